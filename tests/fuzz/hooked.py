"""The doors for webhooks as the fuzzers see them: bytes of HTTP in, a status out, and what was kept.

500 is never an answer, and nothing is kept that was not answered 2xx.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from urllib.parse import parse_qsl, urlencode

from multidict import MultiDict
from smtp_house import DEADLINE
from structlog.testing import capture_logs
from twilio.request_validator import RequestValidator

from gateway.core.model import InboundHook
from gateway.courier.flowroute_hook import FlowrouteHooks
from gateway.courier.twilio_hook import TwilioHooks
from gateway.intake.webhook import WebDoor

ACCOUNT = "AC" + "0123456789abcdef" * 2
TOKEN = "a-token-of-the-tests"
SECRET = "b3Ks9x_Vd0-fXv2WqGz1Tg7mLr5pYc4e"
OURS = "+12025550100"
PUBLIC = "https://sms.example.com"
FORM = "application/x-www-form-urlencoded"
NOON = datetime(2026, 11, 23, 17, 0, tzinfo=UTC)
_STATUS = re.compile(rb"HTTP/1\.[01] (\d{3}) [ -~]*\r\n")
_ID = re.compile(r"twilio:(?:SM|MM)[0-9a-fA-F]{32}(?::\d{1,6}:[a-z]+)?|flowroute:[\w-]{1,100}(?::\d{1,6}:[\w: -]+)?")

SID = "SM" + "a" * 32
TEXT = urlencode(
    {
        "AccountSid": ACCOUNT, "MessageSid": SID, "From": "+12025550143", "To": OURS, "Body": "When is it ready?",
        "NumMedia": "1", "MediaUrl0": "https://api.twilio.com/a", "OptOutType": "STOP",
    }
).encode()  # fmt: skip
STATUS = urlencode(
    {"AccountSid": ACCOUNT, "MessageSid": SID, "From": OURS, "To": "+12025550143", "MessageStatus": "delivered"}
).encode()
DOCUMENT = json.dumps(
    {
        "data": {
            "id": "mdr2-ca82be46e6ba11e79d08862d092cf73d",
            "type": "message",
            "attributes": {"body": "Hi", "direction": "inbound", "from": "12025550143", "to": "12025550100"},
        },
        "included": [{"type": "media", "attributes": {"url": "https://x.example/a.jpg", "mime_type": "image/jpeg"}}],
    }
).encode()
RECEIPT = json.dumps(
    {
        "data": {
            "id": "mdr2-ca82be46e6ba11e79d08862d092cf73d",
            "type": "delivery_receipt",
            "attributes": {"level": 2, "status": "delivered", "status_code": "1000"},
        }
    }
).encode()
SEEDS = (
    b"Tmessage\n" + TEXT,
    b"Tstatus?d=01J9ZQ.0.0&a=2\n" + STATUS,
    b"Fmessage\n" + DOCUMENT,
    b"Fstatus?d=01J9ZQ.0.0&a=2\n" + RECEIPT,
    b"-POST /hooks/twilio/message HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\na=b",
    b"-POST /hooks/twilio/message HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\na=b\r\n0\r\n\r\n",
    b"-GET /media/0123456789abcdef/picture.jpg HTTP/1.1\r\nHost: x\r\nRange: bytes=0-\r\n\r\n",
)


class _Noon:
    def now(self) -> datetime:
        return NOON


class Hooks:
    """An open door on loopback with Twilio and Flowroute behind it; each call is one connection."""

    def __init__(self, runner: asyncio.Runner) -> None:
        self.kept: list[InboundHook] = []
        self._runner = runner
        self._door = WebDoor(
            {
                "twilio": TwilioHooks(
                    account_sid=ACCOUNT, auth_tokens=[TOKEN], public_url=PUBLIC, numbers=lambda: [OURS]
                ),
                "flowroute": FlowrouteHooks(secret=SECRET, numbers=lambda: [OURS]),
            },
            self._keep,
            _Noon(),
        )
        self._port = runner.run(self._door.listen("127.0.0.1", 0))

    def close(self) -> None:
        self._runner.run(self._door.close())

    def judged(self, request: bytes, *, whole: bool = True) -> tuple[list[int], list[InboundHook]]:
        """The statuses of the answers to what was sent, and the hooks that were kept, after the rules of this file were
        held against them.  What may be no `whole` request is followed by the end of the stream, which may overtake the
        answer.
        """
        self.kept.clear()
        with capture_logs() as logged:
            received = self._runner.run(self._sent(request, whole))
        statuses = [int(status) for status in _STATUS.findall(received)]
        broken = [event for event in logged if event["event"] == "hook.failed"]
        assert broken == []
        assert not [status for status in statuses if status >= 500], received
        assert b"Traceback" not in received
        assert not whole or len(self.kept) == sum(200 <= status < 300 for status in statuses), statuses
        for hook in self.kept:
            assert _ID.fullmatch(hook.id), hook.id
            assert hook.raw
        return statuses, list(self.kept)

    async def _keep(self, hook: InboundHook) -> bool:
        self.kept.append(hook)
        return True

    async def _sent(self, request: bytes, whole: bool) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port, limit=2**20)
        async with asyncio.timeout(DEADLINE):
            try:
                writer.write(request)
                if not whole:
                    writer.write_eof()
                return await reader.read()
            except OSError:  # the door has hung up: what it said before is lost
                return b""
            finally:
                writer.transport.abort()


def post(target: str, body: bytes, headers: Sequence[tuple[str, str]]) -> bytes:
    """A request as it goes over the wire; nothing in it is escaped."""
    lines = [f"POST {target} HTTP/1.1", "Host: sms.example.com", f"Content-Length: {len(body)}", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in headers]
    return "\r\n".join([*lines, "", ""]).encode("utf-8", "surrogateescape") + body


def signed(target: str, body: bytes, token: str = TOKEN) -> bytes:
    """A form of Twilio's, signed for `target` (path and query)."""
    fields = MultiDict(parse_qsl(body.decode("latin-1"), keep_blank_values=True))
    signature = RequestValidator(token).compute_signature(PUBLIC + target, fields)
    return post(target, body, [("Content-Type", FORM), ("X-Twilio-Signature", signature)])


@contextmanager
def hooking() -> Iterator[Hooks]:
    with asyncio.Runner() as runner:
        hooks = Hooks(runner)
        try:
            yield hooks
        finally:
            hooks.close()


@contextmanager
def opened() -> Iterator[Callable[[bytes], object]]:
    """The doors as a target of bytes: T and F are rightly signed, the first line is what follows the path, the rest
    the body; everything else goes to the door as it is, and nothing of it is kept but where it bears the secret.
    """
    with hooking() as hooks:

        def check(raw: bytes) -> None:
            line, _, body = raw[1:].partition(b"\n")
            tail = re.sub(r"[^!-~]", "", line.decode("latin-1"))
            match raw[:1]:
                case b"T":
                    hooks.judged(signed(f"/hooks/twilio/{tail}", body))
                case b"F":
                    kind = [("Content-Type", "application/json")]
                    hooks.judged(post(f"/hooks/flowroute/{SECRET}/{tail}", body, kind))
                case _:
                    _, kept = hooks.judged(raw[1:], whole=False)
                    assert kept == [] or SECRET.encode() in raw

        yield check
