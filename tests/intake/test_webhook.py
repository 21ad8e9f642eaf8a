"""The doors for HTTP, asked by real requests: what is proven, what is kept, and what a stranger gets."""

from __future__ import annotations

import asyncio
import io
import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, urlencode

import aiohttp
import pytest
from multidict import MultiDict
from prometheus_client import Gauge
from smtp_house import House, connect
from structlog.testing import capture_logs
from twilio.request_validator import RequestValidator

from gateway import events
from gateway.core.model import InboundHook, Phone, StatusIn, TextIn
from gateway.courier.twilio_hook import TwilioHooks
from gateway.doors import HookRefused
from gateway.intake.webhook import AdminDoor, WebDoor, _Callers
from gateway.ports import SpoolUnavailable

ACCOUNT = "AC" + "0123456789abcdef" * 2
SID = "SM" + "a" * 32
OURS, THEIRS = "+12025550100", "+12025550143"
PUBLIC = "https://sms.example.com:8443/shop"
OLD, NEW = "old-token", "new-token"
NOON = datetime(2026, 11, 23, 17, 0, tzinfo=UTC)
MESSAGE, STATUS = "/hooks/twilio/message", "/hooks/twilio/status?d=01J9ZQ.0.0&a=2"
FORM = "application/x-www-form-urlencoded"

TEXT = {
    "AccountSid": ACCOUNT, "MessageSid": SID, "SmsSid": SID, "SmsMessageSid": SID, "From": THEIRS, "To": OURS,
    "Body": "When is it ready?", "NumMedia": "0", "NumSegments": "1", "FromCity": "", "ApiVersion": "2010-04-01",
}  # fmt: skip
REPORT = {
    "AccountSid": ACCOUNT, "MessageSid": SID, "SmsSid": SID, "From": OURS, "To": THEIRS, "ApiVersion": "2010-04-01",
    "MessageStatus": "delivered", "SmsStatus": "delivered",
}  # fmt: skip


class Noon:
    def now(self) -> datetime:
        return NOON


@dataclass
class Shelf:
    """Keeps hooks as a spool does: once for each id."""

    hooks: list[InboundHook] = field(default_factory=list)
    fault: Exception | None = None

    async def keep(self, hook: InboundHook) -> bool:
        if self.fault is not None:
            raise self.fault
        new = hook.id not in {kept.id for kept in self.hooks}
        if new:
            self.hooks.append(hook)
        return new


@dataclass
class Reply:
    status: int
    text: str
    headers: dict[str, str]


@dataclass
class World:
    """A listening door, its shelf, and a client."""

    shelf: Shelf
    url: str
    port: int
    http: aiohttp.ClientSession

    async def post(self, target: str, body: bytes, headers: dict[str, str], method: str = "POST") -> Reply:
        url = aiohttp.client.URL(self.url + target, encoded=True)
        async with self.http.request(method, url, data=body, headers=headers) as answer:
            return Reply(answer.status, await answer.text(), dict(answer.headers))

    async def hook(self, target: str, form: Any, *, token: str = NEW, public: str = PUBLIC, **headers: str) -> Reply:
        """Posts the form as Twilio would, signed with `token` for `public`."""
        body = urlencode(list(form.items()))
        signed = MultiDict(parse_qsl(body, keep_blank_values=True))
        signature = RequestValidator(token).compute_signature(public + target, signed)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.post(target, body.encode(), {"Content-Type": FORM, "X-Twilio-Signature": signature} | named)


@pytest.fixture
async def world() -> AsyncIterator[World]:
    shelf = Shelf()
    hooks = TwilioHooks(account_sid=ACCOUNT, auth_tokens=[OLD, NEW], public_url=PUBLIC + "/", numbers=lambda: [OURS])
    door = WebDoor({"twilio": hooks}, shelf.keep, Noon(), body_seconds=0.3)
    port = await door.listen("127.0.0.1", 0)
    async with aiohttp.ClientSession() as http:
        yield World(shelf, f"http://127.0.0.1:{port}", port, http)
    await door.close()


async def test_a_text_is_kept_and_answered_with_an_empty_response(world: World) -> None:
    answer = await world.hook(MESSAGE, TEXT)

    assert (answer.status, answer.text) == (200, "<Response/>")
    assert answer.headers["Content-Type"].startswith("text/xml")
    assert world.shelf.hooks == [
        InboundHook(
            id=f"twilio:{SID}",
            at=NOON,
            provider="twilio",
            event=TextIn(remote_id=SID, author=THEIRS, number=Phone(OURS), text="When is it ready?"),
            raw=b"\n" + urlencode(TEXT).encode(),
        )
    ]
    assert world.shelf.hooks[0].raw == b"\n" + urlencode(TEXT).encode()


async def test_another_provider_is_given_the_whole_path_and_answered_200() -> None:
    shelf, asked = Shelf(), []

    class Reader:
        def read(
            self, path: str, query: str, headers: Mapping[str, str], body: bytes, now: datetime
        ) -> InboundHook | HookRefused:
            asked.append((path, query))
            if "/s3cr3t/" not in path:
                return HookRefused(status=404, reason="not found")
            event = TextIn(remote_id="mdr2-1", author=THEIRS, number=Phone(OURS), text="Hi")
            return InboundHook(id="flowroute:mdr2-1", at=now, provider="flowroute", event=event, raw=body)

    door = WebDoor({"flowroute": Reader()}, shelf.keep, Noon())
    port = await door.listen("127.0.0.1", 0)
    async with aiohttp.ClientSession() as http:
        world = World(shelf, f"http://127.0.0.1:{port}", port, http)
        good = await world.post("/hooks/flowroute/s3cr3t/message?x=%2F", b"{}", {})
        wrong = await world.post("/hooks/flowroute/guess/message", b"{}", {})
        nowhere = await world.post("/hooks/nobody/guess/message", b"{}", {})
    await door.close()

    assert (good.status, good.text) == (200, "")
    assert (wrong.status, wrong.text) == (nowhere.status, nowhere.text) == (404, "not found\n")
    assert asked == [("/hooks/flowroute/s3cr3t/message", "x=%2F"), ("/hooks/flowroute/guess/message", "")]
    assert [hook.id for hook in shelf.hooks] == ["flowroute:mdr2-1"]


async def test_a_status_is_kept_with_its_delivery_and_attempt(world: World) -> None:
    answer = await world.hook(STATUS, REPORT | {"MessageStatus": "undelivered", "ErrorCode": "30005"})

    assert (answer.status, answer.text) == (204, "")
    (hook,) = world.shelf.hooks
    assert hook.id == f"twilio:{SID}:2:undelivered"
    assert hook.event == StatusIn(remote_id=SID, delivery="01J9ZQ.0.0", attempt=2, status="undelivered", code="30005")
    assert hook.raw.startswith(b"d=01J9ZQ.0.0&a=2\nAccountSid=")


async def test_a_status_without_our_query_belongs_to_no_known_delivery(world: World) -> None:
    assert (await world.hook("/hooks/twilio/status", REPORT)).status == 204

    assert world.shelf.hooks[0].id == f"twilio:{SID}:0:delivered"
    assert world.shelf.hooks[0].event == StatusIn(remote_id=SID, delivery="", attempt=0, status="delivered")


@pytest.mark.parametrize(
    ("changes", "event"),
    [
        ({"Body": ""}, {"text": ""}),
        ({"Body": " two\r\nlines \rof it "}, {"text": " two\nlines \nof it "}),
        ({"Body": "Señor 👍 a&b=c"}, {"text": "Señor 👍 a&b=c"}),
        ({"From": "262966"}, {"author": "262966"}),
        ({"OptOutType": "STOP", "Body": "stop"}, {"opt_out": "STOP", "text": "stop"}),
        ({"OptOutType": "LATER"}, {"opt_out": ""}),
        (
            {"NumMedia": "2", "MediaUrl0": "https://api.twilio.com/a", "MediaUrl1": "https://api.twilio.com/b"},
            {"media": ("https://api.twilio.com/a", "https://api.twilio.com/b")},
        ),
        ({"NumMedia": "3", "MediaUrl1": "https://api.twilio.com/b"}, {"media": ("https://api.twilio.com/b",)}),
        ({"NumMedia": "many"}, {"media": ()}),
        ({"Tomorrow": "a field of tomorrow"}, {}),
    ],
    ids=["empty", "line ends", "unicode", "short code", "stop", "odd opt out", "media", "gap", "count", "new field"],
)
async def test_what_a_text_says_is_read_as_it_was_written(
    world: World, changes: dict[str, str], event: dict[str, Any]
) -> None:
    assert (await world.hook(MESSAGE, TEXT | changes)).status == 200

    expected = {"author": THEIRS, "text": "When is it ready?", "media": (), "opt_out": ""} | event
    assert world.shelf.hooks[0].event == TextIn(remote_id=SID, number=Phone(OURS), **expected)


async def test_a_field_that_is_given_twice_is_proven_like_any_other(world: World) -> None:
    form = MultiDict(TEXT)
    form.add("Tag", "b")
    form.add("Tag", "a")

    assert (await world.hook(MESSAGE, form)).status == 200


@pytest.mark.parametrize("token", [OLD, NEW])
async def test_each_token_of_a_rotation_proves(world: World, token: str) -> None:
    assert (await world.hook(MESSAGE, TEXT, token=token)).status == 200


async def test_a_replay_is_answered_alike_and_kept_once(world: World) -> None:
    with capture_logs() as logs:
        answers = [await world.hook(MESSAGE, TEXT) for _ in range(3)]

    assert [a.status for a in answers] == [200, 200, 200]
    assert len(world.shelf.hooks) == 1
    assert [line["event"] for line in logs] == ["hook.accepted", "hook.repeated", "hook.repeated"]


async def test_the_port_of_the_public_address_may_be_its_schemes_own() -> None:
    shelf = Shelf()
    public = "https://sms.example.com"
    hooks = TwilioHooks(account_sid=ACCOUNT, auth_tokens=[NEW], public_url=public, numbers=lambda: [OURS])
    door = WebDoor({"twilio": hooks}, shelf.keep, Noon())
    port = await door.listen("127.0.0.1", 0)
    async with aiohttp.ClientSession() as http:
        world = World(shelf, f"http://127.0.0.1:{port}", port, http)
        answers = [
            (await world.hook(MESSAGE, TEXT, public=public)).status
            for public in ("https://sms.example.com", "https://sms.example.com:443", "https://sms.example.com:8443")
        ]
    await door.close()

    assert answers == [200, 200, 403]


def signed_for(target: str, form: dict[str, str], token: str = NEW, public: str = PUBLIC) -> str:
    signature: str = RequestValidator(token).compute_signature(public + target, form)
    return signature


BODY = urlencode(TEXT).encode()
GOOD = signed_for(MESSAGE, TEXT)
FORGED = [
    ("no signature", MESSAGE, BODY, {}),
    ("empty signature", MESSAGE, BODY, {"X-Twilio-Signature": ""}),
    ("not base64", MESSAGE, BODY, {"X-Twilio-Signature": "x" * 28}),
    ("long", MESSAGE, BODY, {"X-Twilio-Signature": "x" * 4000}),
    ("wrong token", MESSAGE, BODY, {"X-Twilio-Signature": signed_for(MESSAGE, TEXT, "guess")}),
    ("no token", MESSAGE, BODY, {"X-Twilio-Signature": signed_for(MESSAGE, TEXT, "")}),
    ("tampered", MESSAGE, BODY.replace(b"ready", b"broke"), {"X-Twilio-Signature": GOOD}),
    ("extra field", MESSAGE, BODY + b"&MediaUrl0=http%3A%2F%2Fx", {"X-Twilio-Signature": GOOD}),
    ("field dropped", MESSAGE, BODY.replace(b"&NumSegments=1", b""), {"X-Twilio-Signature": GOOD}),
    ("query added", MESSAGE + "?d=1", BODY, {"X-Twilio-Signature": GOOD}),
    ("other path", "/hooks/twilio/status", BODY, {"X-Twilio-Signature": GOOD}),
    ("body in the query", f"{MESSAGE}?{urlencode(TEXT)}", b"", {"X-Twilio-Signature": GOOD}),
    ("not utf-8", MESSAGE, b"Body=%ff%fe&To=\xff", {"X-Twilio-Signature": GOOD}),
    (
        "our own host",
        MESSAGE,
        BODY,
        {
            "X-Twilio-Signature": signed_for(MESSAGE, TEXT, public="https://evil.example"),
            "Host": "evil.example",
            "X-Forwarded-Host": "evil.example",
            "X-Forwarded-Proto": "https",
        },
    ),
]


@pytest.mark.parametrize(("target", "body", "headers"), [case[1:] for case in FORGED], ids=[case[0] for case in FORGED])
async def test_what_is_not_proven_is_403_and_kept_nowhere(
    world: World, target: str, body: bytes, headers: dict[str, str]
) -> None:
    with capture_logs() as logs:
        answer = await world.post(target, body, {"Content-Type": FORM} | headers)

    assert answer.status == 403
    assert world.shelf.hooks == []
    assert [(line["event"], line["status"]) for line in logs] == [("hook.rejected", 403)]


@pytest.mark.parametrize(
    ("target", "form", "status"),
    [
        (MESSAGE, TEXT | {"AccountSid": "AC" + "f" * 32}, 403),
        (MESSAGE, {k: v for k, v in TEXT.items() if k != "AccountSid"}, 403),
        (MESSAGE, TEXT | {"To": THEIRS}, 403),
        (MESSAGE, TEXT | {"To": ""}, 403),
        (STATUS, REPORT | {"From": THEIRS}, 403),
        (MESSAGE, TEXT | {"MessageSid": SID + "NumMedia0"}, 400),
        (MESSAGE, TEXT | {"MessageSid": ""}, 400),
        (MESSAGE, TEXT | {"From": ""}, 400),
        (STATUS, REPORT | {"MessageStatus": "received"}, 400),
        (STATUS, REPORT | {"MessageStatus": "teleported"}, 400),
        (STATUS, {k: v for k, v in REPORT.items() if k != "MessageStatus"}, 400),
        ("/hooks/twilio/status?d=01J&a=x", REPORT, 400),
        ("/hooks/twilio/status?d=%0a&a=1", REPORT, 400),
        ("/hooks/twilio/status?d=1&d=2&a=1", REPORT, 400),
    ],
    ids=[
        "other account", "no account", "other number", "no number", "status of another number", "sid run on",
        "no sid", "no author", "status of an inbound", "unknown status", "no status", "odd attempt", "odd delivery",
        "two deliveries",
    ],
)  # fmt: skip
async def test_what_is_proven_but_not_ours_or_odd_is_refused(
    world: World, target: str, form: dict[str, str], status: int
) -> None:
    assert (await world.hook(target, form)).status == status
    assert world.shelf.hooks == []


async def test_two_values_for_a_name_that_must_be_single_are_refused(world: World) -> None:
    form = MultiDict(TEXT)
    form.add("Body", "something else")

    assert (await world.hook(MESSAGE, form)).status == 400
    assert world.shelf.hooks == []


@pytest.mark.parametrize(
    ("word", "status"), [("accepted", "queued"), ("scheduled", "queued"), ("read", "delivered"), ("sent", "sent")]
)
async def test_a_status_is_kept_in_our_words(world: World, word: str, status: str) -> None:
    assert (await world.hook(STATUS, REPORT | {"MessageStatus": word})).status == 204

    event = world.shelf.hooks[0].event
    assert isinstance(event, StatusIn)
    assert event.status == status


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/json", b'{"AccountSid": "x"}'),
        ("multipart/form-data; boundary=x", b"--x\r\n\r\n"),
        ("multipart/form-data", b"--x\r\n\r\n"),
        ("text/plain", BODY),
    ],
)
async def test_only_an_urlencoded_form_is_read(world: World, kind: str, body: bytes) -> None:
    answer = await world.post(MESSAGE, body, {"Content-Type": kind, "X-Twilio-Signature": GOOD})

    assert answer.status == 415


async def test_a_charset_after_the_type_does_no_harm(world: World) -> None:
    answer = await world.hook(MESSAGE, TEXT, Content_Type=FORM + "; charset=UTF-8")

    assert answer.status == 200


async def test_a_form_over_64_kib_is_413(world: World) -> None:
    assert (await world.hook(MESSAGE, TEXT | {"Body": "x" * 64_000})).status == 200
    assert (await world.hook(MESSAGE, TEXT | {"Body": "x" * 65_536})).status == 413


async def test_a_form_over_64_kib_in_chunks_is_413(world: World) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield b"x" * 1024

    async with world.http.post(world.url + MESSAGE, data=endless(), headers={"Content-Type": FORM}) as answer:
        assert answer.status == 413


async def test_a_form_of_endless_fields_is_400(world: World) -> None:
    assert (await world.post(MESSAGE, b"a=1&" * 201, {"Content-Type": FORM})).status == 400


@pytest.mark.parametrize(
    ("method", "target", "status"),
    [
        ("GET", MESSAGE, 405),
        ("PUT", MESSAGE, 405),
        ("POST", "/", 404),
        ("GET", "/", 404),
        ("POST", "/hooks/twilio", 404),
        ("POST", "/hooks/twilio/", 404),
        ("POST", "/hooks/twilio/message/", 404),
        ("POST", "/hooks/twilio/mess%61ge", 404),
        ("POST", "/hooks/other/message", 404),
        ("POST", "//hooks/twilio/message", 404),
        ("POST", "/hooks/twilio/../twilio/message", 404),
    ],
)
async def test_other_methods_are_405_and_other_paths_404(world: World, method: str, target: str, status: int) -> None:
    answer = await world.post(target, BODY, {"Content-Type": FORM, "X-Twilio-Signature": GOOD}, method)

    assert answer.status == status
    assert "Python" not in str(answer.headers)


async def test_what_cannot_be_stored_is_503(world: World) -> None:
    world.shelf.fault = SpoolUnavailable("disk full at /var/lib/gateway")

    with capture_logs() as logs:
        answer = await world.hook(MESSAGE, TEXT)

    assert (answer.status, answer.text) == (503, "try again later\n")
    assert [line["event"] for line in logs] == ["hook.deferred"]


async def test_a_fault_of_ours_is_500_and_tells_nothing(world: World) -> None:
    world.shelf.fault = RuntimeError("secret +12025550143")

    with capture_logs() as logs:
        answer = await world.hook(MESSAGE, TEXT)

    assert (answer.status, answer.text) == (500, "internal error\n")
    assert [line["event"] for line in logs] == ["hook.failed"]
    assert "secret" not in str(logs)


async def raw(world: World, request: bytes) -> bytes:
    """What the door answers to these bytes, until it closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", world.port)
    writer.write(request)
    async with asyncio.timeout(10):
        answer = await reader.readuntil(b"\r\n")
    writer.close()
    return answer


async def test_a_body_that_does_not_come_is_408(world: World) -> None:
    head = f"POST {MESSAGE} HTTP/1.1\r\nHost: x\r\nContent-Type: {FORM}\r\nContent-Length: 100\r\n\r\nA=1".encode()

    assert b" 408 " in await raw(world, head)


@pytest.mark.parametrize(
    ("request_line", "status"),
    [
        (b"POST /hooks/twilio/status?d=\xff\xfe HTTP/1.1", b" 400 "),
        (b"POST http://evil.example/hooks/twilio/message HTTP/1.1", b" 404 "),
        (b"POST /hooks/twilio/\x00 HTTP/1.1", b" 400 "),
    ],
)
async def test_a_request_line_of_a_stranger_is_never_a_fault_of_ours(
    world: World, request_line: bytes, status: bytes
) -> None:
    head = request_line + b"\r\nHost: x\r\nContent-Type: " + FORM.encode() + b"\r\nContent-Length: 3\r\n\r\nA=1"

    assert status in await raw(world, head)


@pytest.mark.parametrize(
    "request_line", [b"\x16\x03\x01\x02\x00", b"GET s3cr3t\x00 HTTP/1.1", b"GET /hooks/flowroute/s3cr3t/x HTTP/9.9.9"]
)
async def test_what_is_no_request_is_told_400_and_nothing_else(
    world: World, request_line: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", world.port)
    writer.write(request_line + b"\r\nHost: x\r\n\r\n")
    async with asyncio.timeout(10):
        answer = await reader.read()
    writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")

    assert head.startswith((b"HTTP/1.1 400 ", b"HTTP/1.0 400 "))
    assert body == b""
    assert b"Server: gateway" in head
    for quoted in (b"s3cr3t", b"Python", b"aiohttp", b"Traceback"):
        assert quoted not in answer
    assert caplog.records == []


def test_a_library_that_quotes_requests_in_its_log_is_silenced() -> None:
    events.setup(io.StringIO())

    assert not logging.getLogger("aiohttp.server").isEnabledFor(logging.ERROR)


async def opened(port: int, count: int, host: str = "127.0.0.1") -> list[asyncio.StreamWriter]:
    """Connections that say nothing, from that address."""
    made = [await asyncio.open_connection("127.0.0.1", port, local_addr=(host, 0)) for _ in range(count)]
    return [writer for _, writer in made]


async def test_idle_connections_of_a_stranger_leave_the_other_doors_open(
    admin: tuple[State, Admin], open_door: Callable[..., Awaitable[House]]
) -> None:
    house = await open_door()
    _, get = admin
    door = WebDoor({}, Shelf().keep, Noon(), max_connections=30)
    port = await door.listen("127.0.0.1", 0)
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    with capture_logs() as logs:
        idle = await opened(port, 100)
        async with asyncio.timeout(10):
            while sum(line["event"] == "session.rejected" for line in logs) < 70:
                await asyncio.sleep(0)

        assert len(os.listdir("/proc/self/fd")) <= before + 100 + 30  # noqa: PTH208
        assert (await get("/healthz")).status == 200
        async with await connect(house.port) as client:
            assert (await client.say("NOOP")).startswith("250")
    for writer in idle:
        writer.close()
    await door.close()


async def test_connections_that_end_make_room_for_others() -> None:
    door = WebDoor({}, Shelf().keep, Noon(), max_connections=10)
    port = await door.listen("127.0.0.1", 0)
    for _ in range(3):
        with capture_logs() as logs:
            for writer in await opened(port, 10):
                writer.close()
                await writer.wait_closed()
            async with asyncio.timeout(10), aiohttp.ClientSession() as http:
                answer = 0
                while answer != 404:
                    try:
                        async with http.get(f"http://127.0.0.1:{port}/") as got:
                            answer = got.status
                    except aiohttp.ClientError:
                        answer = 0
        assert answer == 404, logs
    await door.close()


def test_one_address_may_hold_twenty_connections_and_a_proxy_on_loopback_all() -> None:
    def inside(peer: str) -> int:
        callers = _Callers(50)
        return sum(not callers.enter(object(), peer) for _ in range(60))  # type: ignore[arg-type]

    assert {peer: inside(peer) for peer in ("192.0.2.7", "2001:db8::7", "127.0.0.1", "::1", "local")} == {
        "192.0.2.7": 20, "2001:db8::7": 20, "127.0.0.1": 50, "::1": 50, "local": 50,
    }  # fmt: skip


async def test_a_caller_that_hangs_up_is_no_fault_of_ours(world: World) -> None:
    head = f"POST {MESSAGE} HTTP/1.1\r\nHost: x\r\nContent-Type: {FORM}\r\nContent-Length: 100\r\n\r\nA=1"
    with capture_logs() as logs:
        reader, writer = await asyncio.open_connection("127.0.0.1", world.port)
        writer.write(head.encode())
        writer.write_eof()
        async with asyncio.timeout(10):
            await reader.read()
            while not logs:
                await asyncio.sleep(0)
        writer.close()

    assert [(line["event"], line["status"]) for line in logs] == [("hook.rejected", 400)]


@pytest.mark.parametrize(
    ("query", "body", "status"),
    [("", b"A=" + b"x" * 65_535, 413), ("d=\udcff", b"A=1", 400), ("", b"A=1", 403)],
    ids=["too large", "query not ascii", "forged"],
)
def test_the_reader_trusts_no_door_to_have_looked(query: str, body: bytes, status: int) -> None:
    hooks = TwilioHooks(account_sid=ACCOUNT, auth_tokens=[NEW], public_url=PUBLIC, numbers=lambda: [OURS])

    refused = hooks.read(MESSAGE, query, {"content-type": FORM, "x-twilio-signature": GOOD}, body, NOON)

    assert isinstance(refused, HookRefused)
    assert refused.status == status


async def test_the_door_reads_no_more_than_64_kib_of_anything(world: World) -> None:
    assert (await world.post(MESSAGE, b"x" * 65_536, {"Content-Type": "text/plain"})).status == 415
    assert (await world.post(MESSAGE, b"x" * 65_537, {"Content-Type": "text/plain"})).status == 413


async def test_a_body_that_breaks_off_is_no_fault_of_ours(world: World) -> None:
    with capture_logs() as logs:
        head = f"POST {MESSAGE} HTTP/1.1\r\nHost: x\r\nContent-Type: {FORM}\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"
        answer = await raw(world, head.encode())

    assert b" 400 " in answer
    assert "hook.failed" not in {line["event"] for line in logs}


Admin = Callable[[str], Awaitable[Reply]]


@dataclass
class State:
    """What the admin's door is told."""

    reasons: list[str] = field(default_factory=list)
    fault: Exception | None = None
    gauge: Gauge | None = None

    async def ready(self) -> list[str]:
        if self.fault is not None:
            raise self.fault
        return self.reasons

    async def refresh(self) -> None:
        if self.fault is not None:
            raise self.fault
        assert self.gauge is not None
        self.gauge.inc()


@pytest.fixture
async def admin() -> AsyncIterator[tuple[State, Admin]]:
    state = State(gauge=Gauge("test_refreshes", "How often gauges were refreshed", registry=events.REGISTRY))
    door = AdminDoor(state.ready, state.refresh)
    port = await door.listen("127.0.0.1", 0)
    async with aiohttp.ClientSession() as http:

        async def get(path: str) -> Reply:
            async with http.get(f"http://127.0.0.1:{port}{path}") as answer:
                return Reply(answer.status, await answer.text(), dict(answer.headers))

        yield state, get
    await door.close()
    assert state.gauge is not None
    events.REGISTRY.unregister(state.gauge)


async def test_alive_is_not_ready(admin: tuple[State, Admin]) -> None:
    state, get = admin
    state.reasons = ["the disk is full", "the relay refuses the login"]

    health, ready = await get("/healthz"), await get("/readyz")

    assert health.status == 200
    assert (ready.status, ready.text) == (503, "the disk is full\nthe relay refuses the login\n")


async def test_ready_when_nothing_is_in_the_way(admin: tuple[State, Admin]) -> None:
    _, get = admin

    assert (await get("/readyz")).status == 200


async def test_a_store_that_cannot_answer_is_not_ready(admin: tuple[State, Admin]) -> None:
    state, get = admin
    state.fault = SpoolUnavailable("locked")

    assert (await get("/readyz")).status == 503
    assert (await get("/metrics")).status == 503
    assert (await get("/healthz")).status == 200


async def test_metrics_are_fresh_and_count_events(admin: tuple[State, Admin]) -> None:
    _, get = admin
    with capture_logs():
        events.emit("hook.accepted")

    first, second = await get("/metrics"), await get("/metrics")

    assert first.headers["Content-Type"].startswith("text/plain")
    assert 'gateway_events_total{courier="",event="hook.accepted"}' in first.text
    assert ("test_refreshes 1.0" in first.text, "test_refreshes 2.0" in second.text) == (True, True)


async def test_other_paths_of_the_admins_door_are_404(admin: tuple[State, Admin]) -> None:
    _, get = admin

    assert (await get("/hooks/twilio/message")).status == 404
