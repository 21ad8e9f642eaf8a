"""The public listener for HTTP against forgers, replays, fuzz, and addresses that lead inside."""

from __future__ import annotations

import asyncio
import random
import secrets
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

import aiohttp
import pytest
from cases import Open, Seen, case
from house import PASSWORD, House
from logins import login
from rig import (
    ANN,
    JOBS,
    OURS,
    Pipe,
    connect,
    established,
    events,
    job_mail,
    locked,
    rig,
    root,
    send,
    stored,
    texted,
    told_events,
    tool,
    traced,
)
from test_clients import ran

from gateway.simulator.hooks import inbound_form, signature
from gateway.simulator.journal import Mailed

PATH = "/hooks/twilio/message"
TYPE = "application/x-www-form-urlencoded"
DESK = "desk@shop.example.com"


@dataclass(frozen=True, slots=True)
class Hook:
    """A webhook of a customer's text that was not posted yet."""

    house: House
    form: dict[str, str]

    def sign(self, form: Mapping[str, str]) -> str:
        return signature(self.house.token, f"https://sms.example.com{PATH}", form)

    async def post(self, form: Mapping[str, str] | None = None, signed: str | None = None) -> int:
        """The answer's status; `signed` None: signed as Twilio would."""
        sent = self.form if form is None else form
        head = {"X-Twilio-Signature": self.sign(sent) if signed is None else signed, "Content-Type": TYPE}
        url = f"http://{self.house.daemon.doors['http'][0]}{PATH}"
        async with aiohttp.ClientSession() as http, http.post(url, data=urlencode(sent), headers=head) as answer:
            return answer.status


async def hook(house: House, words: str, **more: str) -> Hook:
    """A text of Ann's that only a webhook of ours shall bring."""
    phones = house.world.twilio.phones
    _, text = await phones.customer_texts(ANN, OURS, words, missed=True)
    return Hook(house, inbound_form(text, house.world.api_url) | more)


async def mailed(house: House, words: str) -> Mailed:
    found = await house.world.wait(lambda w: next((m for m in w.mails if words in m.text), None), 30)
    assert found is not None
    return found


@case(52, "webhooks: forged, tampered, with a field more, of another account", "403, nothing stored")
async def test_a_webhook_that_is_not_the_providers_own_is_refused_and_not_kept(shop: House, seen: Seen) -> None:
    good = await hook(shop, "hello")
    signed = good.sign(good.form)
    tampered = {
        "forged": (good.form, "c2lnbmVk" * 3),
        "unsigned": (good.form, ""),
        "tampered": (good.form | {"Body": "STOP"}, signed),
        "a field more": (good.form | {"MediaUrl0": "http://127.0.0.1/"}, signed),
        "a field less": ({k: v for k, v in good.form.items() if k != "To"}, signed),
        "another account": (good.form | {"AccountSid": "AC" + "1" * 32}, None),
        "another number": (good.form | {"To": "+12025550199"}, None),
    }
    answers = {name: await good.post(form, proof) for name, (form, proof) in tampered.items()}
    kept = len(stored(shop))

    seen(f"{answers}; {kept} stored; the true one {await good.post()}")
    assert set(answers.values()) == {403}
    assert kept == 0
    assert (await mailed(shop, "hello")).is_for(DESK)


@case(53, "a webhook 100 times in parallel", "200, one reply mail")
async def test_a_replayed_webhook_is_answered_and_changes_nothing(shop: House, seen: Seen) -> None:
    one = await hook(shop, "hello")
    answers = await asyncio.gather(*(one.post() for _ in range(100)))
    later = await hook(shop, "and goodbye")
    await later.post()
    await mailed(shop, "and goodbye")
    mails = [m for m in shop.world.mails if "hello" in m.text]

    counts = dict(Counter(answers))
    seen(f"{counts}; {len(mails)} reply mail, {len(events(shop, 'hook.accepted'))} kept")
    assert counts == {200: 100}
    assert len(mails) == 1
    assert len(events(shop, "hook.accepted")) == 2


@case(54, "webhook while the database is locked", "503; what was answered 2xx is not lost")
async def test_a_webhook_that_cannot_be_stored_is_put_off_and_comes_again(shop: House, seen: Seen) -> None:
    async with locked(shop):
        hooks = [await hook(shop, f"words {n}") for n in range(5)]
        during = await asyncio.gather(*(one.post() for one in hooks))
    async with asyncio.timeout(20):
        while (after := [await one.post() for one in hooks]) != [200] * 5:
            await asyncio.sleep(0.1)
    for n in range(5):
        await mailed(shop, f"words {n}")

    seen(f"locked: {during}; then {after}, 5 reply mails")
    assert set(during) == {503}
    assert len([m for m in shop.world.mails if "words" in m.text]) == 5


PATHS = [
    PATH, "/hooks/twilio/status", "/hooks/twilio/status?d=%00&a=x", "/media/x/y", "/media/../../etc/passwd", "/", "*",
    "http://169.254.169.254/", "/hooks/" + "a" * 9000, "/hooks/twilio/%ff%fe", "/hooks//message",
]  # fmt: skip
VERBS = ["POST", "POST", "GET", "HEAD", "OPTIONS", "PUT", "TRACE", "CONNECT", "\x00", "P" * 300]
KINDS = [
    TYPE, f"{TYPE}; charset=idna", "multipart/form-data", "multipart/form-data; boundary=", "application/json",
    "text/xml; charset=zlib", ";", "a" * 5000,
]  # fmt: skip
BODIES = [b"", b"a=%ff&b=%zz&&&===", b"\x00" * 100, b"{" * 2000, b"a=1&" * 20_000, bytes(range(256))]
HEADS = [
    "X-Twilio-Signature: x", "Content-Length: -1", "Content-Length: 5\r\nContent-Length: 6", "Expect: 100-continue",
    "Transfer-Encoding: chunked", "Content-Encoding: gzip", "X: \x01", "Host: evil.example", ": x",
    "Upgrade: websocket",
]  # fmt: skip


def requests(dice: random.Random, count: int) -> list[bytes]:
    """Requests of all sorts, most of them nonsense."""
    made = []
    for _ in range(count):
        body = dice.choice(BODIES)
        lines = [f"{dice.choice(VERBS)} {dice.choice(PATHS)} HTTP/{dice.choice(['1.1', '1.1', '1.0', '2.0', '9'])}"]
        lines += [f"Content-Type: {dice.choice(KINDS)}", *dice.sample(HEADS, dice.randrange(3))]
        lines += [f"Content-Length: {len(body)}"] * (dice.random() < 0.7)
        lines += ["Host: sms.example.com", "Connection: close"]
        made.append("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body)
    return made


async def asked(host: str, port: str, raw: bytes) -> str:
    """The status that answers these bytes; "cut" = the connection ended without one."""
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        async with asyncio.timeout(20):
            writer.write(raw)
            line = await reader.readline()
    except ConnectionError:
        line = b""
    finally:
        writer.transport.abort()
    return line[9:12].decode() or "cut"


@case(55, "webhook fuzz and slow clients", "0 x 5xx, the service is up")
async def test_no_request_is_answered_5xx_and_slow_clients_hold_nobody_up(shop: House, seen: Seen) -> None:
    host, _, port = shop.daemon.doors["http"][0].rpartition(":")
    statuses: Counter[str] = Counter()
    left = iter(requests(random.Random(55), 400))

    async def client() -> None:
        for raw in left:
            statuses[await asked(host, port, raw)] += 1

    async with asyncio.TaskGroup() as group:
        for _ in range(40):
            group.create_task(client())
    url = f"http://{host}:{port}{PATH}"
    words = ["-c", "150", "-H", "-i", "1", "-r", "150", "-l", "4", "-u", url]
    slow = asyncio.create_task(ran(tool("slowhttptest"), *words))
    async with asyncio.timeout(20):
        while established(int(port)) < 120:
            await asyncio.sleep(0.02)
    clock = asyncio.get_running_loop().time
    begun = clock()
    answer = await (await hook(shop, "hello")).post()
    took = clock() - begun
    said = await slow

    seen(f"{dict(statuses)}; beside 150 slow ones a hook took {took * 1000:.0f} ms: {answer}")
    assert not any(status.startswith("5") for status in statuses)
    assert [] == events(shop, "hook.failed")
    assert (answer, took < 1) == (200, True), said


INSIDE = [
    "http://169.254.169.254/latest/meta-data/", "http://localhost:{port}/x", "http://127.0.0.1:{port}/x",
    "http://[::1]:{port}/x", "file:///etc/passwd", "http://0.0.0.0:{port}/x", "http://2130706433:{port}/x",
    "{api}@127.0.0.1:{port}/x", "https://api.twilio.com.evil.example/x", "gopher://127.0.0.1:{port}/x", "//127.0.0.1/x",
]  # fmt: skip
AWAY = [
    "http://169.254.169.254/latest/meta-data/",
    "file:///etc/passwd",
    "https://10.0.0.1/x",
    "https://evil.twilio.com/x",
]


@case(59, "media at inner addresses, redirects inside, a name that leads inside", "refused, logged, nobody asked")
async def test_a_picture_at_an_inner_address_is_never_fetched(open_shop: Open, tmp_path: Path, seen: Seen) -> None:
    root()
    house = await open_shop()
    asked: list[bytes] = []
    moved = iter(AWAY)
    stranger = await asyncio.start_server(_noting(asked), "127.0.0.1", 0)
    port = stranger.sockets[0].getsockname()[1]
    api = Pipe(house.world.api_url)
    mover = await asyncio.start_server(_moving(moved), "127.0.0.1", api.port)
    house.merge(f'[twilio]\napi_url = "{api.url}"\n')
    house.write()
    hosts = tmp_path / "hosts"
    hosts.write_text("127.0.0.1 localhost\n169.254.169.254 evil.twilio.com\n")
    words = f'mount --bind {hosts} /etc/hosts && exec "$@"'
    rig(house).under = (tool("unshare"), "-m", "sh", "-c", words, "sh")
    await house.start()
    urls = [url.format(port=port, api=api.url) for url in INSIDE]
    path = f"/2010-04-01/Accounts/{house.world.twilio.account_sid}/Messages/SM{secrets.token_hex(16)}/Media/ME"
    urls += [f"{api.url}{path}{secrets.token_hex(16)}" for _ in AWAY]
    log = house.folder / "connects"
    async with traced(rig(house).pid, "-e", "trace=connect,sendto", log=log):
        for n, url in enumerate(urls):
            one = await hook(house, f"Look {n}.", NumMedia="1", MediaUrl0=url, MediaContentType0="image/jpeg")
            assert await one.post() == 200
        mails = [await mailed(house, f"Look {n}.") for n in range(len(urls))]
    led = [line for line in log.read_text().splitlines() if "169.254.169.254" in line or "10.0.0.1" in line]
    files = [part for mail in mails for part in mail.message.iter_attachments()]
    failed = Counter(str(e.get("reason") or e.get("error")) for e in events(house, "media.failed"))
    stranger.close()
    mover.close()

    seen(f"{len(urls)} addresses: {len(files)} fetched, {len(asked) + len(led)} asked, {sum(failed.values())} logged")
    assert [] == files
    assert [] == asked
    assert [] == led
    assert next(moved, None) is None, "not every redirect was tried"
    assert sum(failed.values()) == len(urls)


def _noting(asked: list[bytes]) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], object]:
    async def note(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readline())
        writer.close()

    return note


def _moving(moved: object) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], object]:
    async def move(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = await reader.readline()
        to = next(moved, "") if b"/Media/" in line else ""  # type: ignore[call-overload]
        head = f"HTTP/1.1 302 Found\r\nLocation: {to}\r\n" if to else "HTTP/1.1 404 Not Found\r\n"
        writer.write(f"{head}Content-Length: 0\r\nConnection: close\r\n\r\n".encode())
        writer.close()

    return move


# There is one level of the log; what more an admin can have said is what Python itself says of a process.
VERBOSE = {"PYTHONASYNCIODEBUG": "1", "PYTHONDEVMODE": "1", "PYTHONWARNINGS": "always"}


@case(61, "<script> in a text, private data in the log", "inert; one line each; 0 numbers, bodies, secrets")
@pytest.mark.parametrize("more", [{}, VERBOSE], ids=["as it runs", "all that can be turned on"])
async def test_what_strangers_write_is_inert_and_nothing_private_is_in_the_log(
    more: dict[str, str], open_shop: Open, seen: Seen, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in more.items():
        monkeypatch.setenv(name, value)
    house = await open_shop(login(sender="vouches = true"))
    await house.start()
    secret = "the brake pads of bay seven"
    subject = "RO 17 =?utf-8?q?=0a{=22event=22:_=22forged.line=22}=0a?="
    await send(house, secret, ANN[1:], subject=subject)
    await texted(house, secret, ANN)
    await house.daemon.mail(job_mail(secret), JOBS, ["bob@sms.example.com"], login=("jobs", PASSWORD))
    await house.daemon.mail(job_mail("x"), JOBS, ["(202) 555-0144@sms.example.com", "202.555.0145%x@sms.example.com"])
    async with await connect(house.daemon.port()) as client:
        await client.say('MAIL FROM:<"evil\x0b{}"@2025550146.example>')
        await client.say("RCPT TO:<+1-202-555-0147+2025550148@sms.example.com>")
        await client.say("2025550149 " + secret)
    await (await hook(house, f'<script>alert(\'{secret}\')</script>\r\n{{"event": "forged.line"}}')).post()
    reply = await mailed(house, "<script>")
    house.world.twilio.faults.add("21211")
    await send(house, f"{secret} again", ANN[1:])
    await house.daemon.wait_event("delivery.refused")
    assert await house.world.customer_texts(ANN, OURS, "STOP") == 200
    assert (await send(house, secret, ANN[1:])).startswith("550 5.7.1 +1 202-555-0143")
    await house.daemon.stop()

    log = told_events(house)
    numbers = ["2025550102", "2025550103", *(f"202555014{n}" for n in range(3, 10))]
    numbers += [f"{n[:3]}{mark}{n[3:6]}{mark}{n[6:]}" for n in numbers for mark in "-. "]
    leaks = [word for word in [*numbers, secret, "script", PASSWORD, house.token] if word in log]
    kinds = {part.get_content_type() for part in reply.message.walk()}
    wrote = f"{len(house.daemon.events)} log lines, {len(house.daemon.complaints)} bytes of stderr"
    seen(f"reply mail: {sorted(kinds)}; {wrote}, {len(leaks)} leaks: {leaks}")
    assert "text/html" not in kinds
    assert [] == events(house, "forged.line")
    assert [] == leaks
