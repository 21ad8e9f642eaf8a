"""The door for mail against liars, guessers and those who look for a relay."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import re
import ssl
from base64 import b64encode

import aiosmtplib
import pytest
from cases import Open, Seen, case
from house import PASSWORD, House
from logins import STRANGER, login
from rig import (
    JOBS,
    connect,
    envelope,
    events,
    healthy,
    job_mail,
    stored,
    tool,
)
from test_clients import ran

# What other servers have taken, or passed on, for the end of a mail.
ENDS = [
    b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r", b"\r\n.\r", b"\r.\r\n", b"\n.\r", b"\r.\n",
    b"\r\n\x00.\r\n", b"\r\n.\x00\r\n", b"\n\n.\r\n",
    b"\r\r\n.\r\r\n", b"\r\n.\r\r\n", b"\n\x00.\r\n", b"\n\r.\n\r", b"\x00\r\n.\n", b"\r\n\r.\r\n", b"\n.\r\n\r",
]  # fmt: skip


@case(32, "smuggling, 18 sequences", "550, 0 extra mails")
async def test_no_false_end_of_a_mail_lets_a_second_one_in(shop: House, seen: Seen) -> None:
    hidden = b"MAIL FROM:<boss@shop.example.com>\r\nRCPT TO:<bob@sms.example.com>\r\nDATA\r\nSubject: x\r\n\r\nsmuggled"
    answers = []
    for end in ENDS:
        async with await connect(shop.daemon.port()) as client:
            await envelope(client)
            client.send(b"Subject: RO 17\r\n\r\nhello" + end + hidden + b"\r\n.\r\n")
            answers.append(await client.reply())
            client.send(b"QUIT\r\n")
            rest = await client.gone()
            assert rest.startswith(b"221"), (end, answers[-1], rest)

    kept = stored(shop)
    seen(f"{len(ENDS)} sequences: {sorted({a[:9] for a in answers})}; {len(kept)} mails stored")
    assert {answer[:9] for answer in answers} == {"550 5.6.0"}
    assert [] == kept


@case(33, "smuggling out", "no bare CR or LF on the wire, one mail")
async def test_words_that_look_like_commands_leave_in_one_mail(shop: House, seen: Seen) -> None:
    words = "one\r\n..\r\nMAIL FROM:<x@y.example>\r\nRCPT TO:<z@y.example>\r\nDATA\r\n\r\ntwo\r\n..\r\nQUIT"
    coded = b64encode(b"one\n.\nMAIL FROM:<x@y.example>\nRCPT TO:<z@y.example>\nDATA\n\n.\r.\rtwo").decode()
    head = "MIME-Version: 1.0\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n"
    assert (await _mail(shop, job_mail(words))).startswith("250")
    assert (await _mail(shop, job_mail(coded, head=head))).startswith("250")
    mails = await shop.world.wait(lambda w: len(m := w.mail.to("@vtext.com")) == 2 and m, 20)

    bare = sum(mail.raw.replace(b"\r\n", b"").count(end) for mail in mails for end in (b"\r", b"\n"))
    seen(f"{len(shop.world.mails)} mails, {bare} bare CR or LF, the commands stand in the text")
    assert len(shop.world.mails) == 2
    assert bare == 0
    assert all("MAIL FROM" in mail.text for mail in mails)
    assert {r.address for mail in mails for r in mail.rcpt_to} == {"2025550102@vtext.com"}


async def _mail(house: House, raw: bytes, to: str = "bob") -> str:
    async with await connect(house.daemon.port()) as client:
        await envelope(client, f"{to}@sms.example.com")
        client.send(raw + b".\r\n")
        return await client.reply()


@case(34, "STARTTLS injection", "none")
@pytest.mark.parametrize("behind", ["NOOP", "EHLO evil.example", "MAIL FROM:<x@y.example>"])
async def test_commands_behind_starttls_are_never_obeyed_under_tls(behind: str, open_shop: Open, seen: Seen) -> None:
    house = await open_shop(login())
    await house.start()
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    async with await connect(house.daemon.port()) as client:
        client.send(f"STARTTLS\r\n{behind}\r\n".encode())
        answer = await client.reply()
        if answer.startswith("220"):
            await client.start_tls(context)
            client.send(b"NOOP\r\n")
            answer += " | " + await client.reply()
        rest = await client.gone() if answer.startswith("5") else b""

    seen(f"{behind[:9]}: {answer}")
    assert answer.startswith("554 5.5.1")
    assert rest == b""


@case(35, "login in clear", "538, not offered")
async def test_a_login_in_clear_is_neither_offered_nor_taken_from_elsewhere(open_shop: Open, seen: Seen) -> None:
    house = await open_shop(login())
    await house.start()
    async with await connect(house.daemon.port(), STRANGER, greet=False) as client:
        await client.reply()
        offers = await client.say("EHLO pc7.shop.example")
        secret = b64encode(f"\0jobs\0{PASSWORD}".encode()).decode()
        answer = await client.say(f"AUTH PLAIN {secret}")
    words = ["--server", "127.0.0.1", "--port", str(house.daemon.port()), "--local-interface", STRANGER]
    words += ["--auth", "PLAIN", "--auth-user", "jobs", "--auth-password", PASSWORD, "-f", JOBS, "-t", "bob@x.example"]
    with pytest.raises(AssertionError) as refused:
        await ran(tool("swaks"), *words)

    seen(f"AUTH offered: {'AUTH' in offers}; {answer[:10]}; swaks: {str(refused.value).strip().splitlines()[-4][:40]}")
    assert "AUTH" not in offers
    assert "STARTTLS" in offers
    assert answer.startswith("538 5.7.11")
    assert PASSWORD not in str(house.daemon.events)


class Guessers:
    """Clients with wrong passwords, each connecting anew when it is cut off; `times` are those of the wrong ones."""

    def __init__(self, house: House, tries: int, sources: tuple[str, ...] = (STRANGER,)) -> None:
        self.times: list[float] = []
        self._port = house.daemon.port("smtp_tls")
        self._left = iter(range(tries))
        self._sources = sources

    async def run(self, count: int) -> None:
        async with asyncio.TaskGroup() as group:
            for n in range(count):
                group.create_task(self._guess(self._sources[n % len(self._sources)]))

    async def _guess(self, source: str) -> None:
        for first in self._left:
            client = aiosmtplib.SMTP(
                hostname="127.0.0.1",
                port=self._port,
                use_tls=True,
                validate_certs=False,
                timeout=60,
                source_address=(source, 0),
            )
            await client.connect()
            await client.ehlo()
            with contextlib.suppress(aiosmtplib.SMTPServerDisconnected, OSError):
                for n in itertools.chain([first], self._left):
                    begun = asyncio.get_running_loop().time()
                    try:
                        await client.auth_plain("jobs", f"guess {n}")
                    except aiosmtplib.SMTPAuthenticationError as no:
                        if no.code == 535:  # and not the 421 that ends the session
                            self.times.append(asyncio.get_running_loop().time() - begun)
            client.close()


@case(36, "login by brute force", "421 after 3; others unaffected")
@pytest.mark.parametrize("tries", [60, pytest.param(1000, marks=pytest.mark.long)])
async def test_a_guesser_of_passwords_is_cut_off_and_slows_nobody_down(tries: int, open_shop: Open, seen: Seen) -> None:
    house = await open_shop(login())
    await house.start()
    guessers = Guessers(house, tries, (STRANGER, "127.0.0.3"))
    async with healthy(house) as pulse, asyncio.TaskGroup() as group:
        guessing = group.create_task(guessers.run(16))
        await house.daemon.wait_event("login.failed")
        begun = asyncio.get_running_loop().time()
        answers = await house.daemon.mail(job_mail("ready"), JOBS, ["bob@sms.example.com"], login=("jobs", PASSWORD))
        took = asyncio.get_running_loop().time() - begun
        await guessing
    failed, cut = events(house, "login.failed"), events(house, "session.cut", reason="failed logins")

    seen(f"{len(failed)} tries, {len(cut)} sessions cut after 3; {pulse.told}; a right login took {took * 1000:.0f} ms")
    assert len(failed) >= tries // 2
    assert len(cut) >= len(failed) // 3 - 16
    assert answers[-1].startswith("250")
    assert pulse.worst < 1
    assert took < 10


@case(36, "a guesser is slowed down", "a growing delay")
async def test_each_wrong_password_makes_its_address_wait_longer(open_shop: Open, seen: Seen) -> None:
    house = await open_shop(login())
    await house.start()
    told: list[int] = []
    answers = 0
    async with asyncio.timeout(60):
        while len(told) < 3:
            answer = await _guess(house)
            answers += 1
            if (found := re.search(r"^454 .*try again in (\d+) s", answer)) is not None:
                told.append(int(found[1]))
                await asyncio.sleep(told[-1])  # what it is told to wait, and then it guesses again

    seen(f"{answers} guesses, each on a new connection; waits of {told} s")
    assert told == [1, 2, 4]


async def _guess(house: House) -> str:
    port = house.daemon.port("smtp_tls")
    client = aiosmtplib.SMTP(
        hostname="127.0.0.1", port=port, use_tls=True, validate_certs=False, source_address=(STRANGER, 0)
    )
    async with client:
        await client.ehlo()
        try:
            await client.auth_plain("jobs", "guess")
        except aiosmtplib.SMTPAuthenticationError as no:
            return f"{no.code} {no.message}"
    raise AssertionError("a wrong password was taken")


RELAY_FORMS = [
    "v@example.com", "v%example.com@sms.example.com", "v%example.com", '"v@example.com"', '"v%example.com"',
    "v@example.com@sms.example.com", '"v@example.com"@sms.example.com', "v@example.com@[127.0.0.1]",
    "@sms.example.com:v@example.com", "example.com!v", "example.com!v@sms.example.com", "v!x@sms.example.com",
    "v@[127.0.0.1]", "v\x00@sms.example.com", "2025550143%example.com@sms.example.com",
    '"2025550143@vtext.com"@sms.example.com', "2025550143@example.com", "2025550143@vtext.com",
]  # fmt: skip


@case(37, "open relay, 18 forms and nmap", "0 taken")
async def test_no_form_of_an_address_makes_us_a_relay(open_shop: Open, seen: Seen) -> None:
    house = await open_shop('[smtp]\nlisten_public = ["127.0.0.1:0"]\n')
    await house.start()
    taken = []
    for door in ("smtp", "smtp_public"):
        for form in RELAY_FORMS:
            async with await connect(house.daemon.port(door)) as client:
                await client.say(f"MAIL FROM:<{JOBS}>")
                answer = await client.say(f"RCPT TO:<{form}>")
                if not answer.startswith("5"):
                    taken.append((door, form, answer))
    port = house.daemon.port("smtp_public")
    # "+": whatever port it is, so that nmap need not find out by itself that it is one for mail
    script = ["--script", "+smtp-open-relay", "--script-args", "smtp-open-relay.domain=example.com"]
    said = await ran(tool("nmap"), "-Pn", "-n", "-sT", "-p", str(port), *script, "127.0.0.1")
    words = [line.strip("|_ ") for line in said.splitlines() if "relay" in line.lower()]

    seen(f"{len(taken)} of {2 * len(RELAY_FORMS)} taken; nmap: {'; '.join(words) or 'no relay found'}")
    assert [] == taken
    assert any("doesn't seem to be an open relay" in word for word in words), said
    assert [] == stored(house)


@case(50, "51 Received", "554 5.4.6")
async def test_a_mail_that_has_passed_too_many_servers_is_refused(shop: House, seen: Seen) -> None:
    answers = [await _mail(shop, b"Received: from a by b\r\n" * n + job_mail(f"{n} hops")) for n in (50, 51)]

    seen(f"50: {answers[0][:9]}; 51: {answers[1][:9]}")
    assert [answer[:9] for answer in answers] == ["250 2.0.0", "554 5.4.6"]
