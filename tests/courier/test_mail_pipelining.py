"""What becomes of a mail whose commands are written at once (RFC 2920)."""

from __future__ import annotations

import asyncio

import pytest
from relays import SHORT, Make, Script, Scripted
from test_mail import PARCEL, send

from gateway.core.work import Accepted, Deferred, Outcome, Refused, Unclear

PIPELINING = {"EHLO": b"250-relay\r\n250-PIPELINING\r\n250 DSN\r\n"}
BUSY, NO, NEEDS_RCPT = b"450 4.2.1 busy\r\n", b"550 5.1.1 no\r\n", b"503 5.5.1 need RCPT\r\n"


async def test_mail_rcpt_and_data_are_written_at_once_where_that_is_offered(courier: Make) -> None:
    together: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 relay\r\n")
        await reader.readline()
        writer.write(PIPELINING["EHLO"])
        together.extend([await reader.readline() for _ in range(3)])  # not one of them is answered before
        writer.write(b"250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n354 go\r\n")
        await reader.readuntil(b"\r\n.\r\n")
        writer.write(b"250 2.0.0 Ok: queued as 4Q1\r\n")
        await reader.read()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        mine = courier(server.sockets[0].getsockname()[1])
        outcome = await send(mine)
        await mine.close()

    assert outcome == Accepted(remote_id="4Q1", note="handed over to localhost: 250 2.0.0 Ok: queued as 4Q1")
    assert together == [
        f"MAIL FROM:<{PARCEL.mail_from}>\r\n".encode(),
        f"RCPT TO:<{PARCEL.rcpt_to}>\r\n".encode(),
        b"DATA\r\n",
    ]


@pytest.mark.parametrize(
    ("replies", "kind", "code"),
    [
        pytest.param({"MAIL": BUSY, "RCPT": NEEDS_RCPT, "DATA": NEEDS_RCPT}, Deferred, "4.2.1", id="MAIL deferred"),
        pytest.param({"MAIL": NO, "RCPT": NEEDS_RCPT, "DATA": NEEDS_RCPT}, Deferred, "5.1.1", id="MAIL refused"),
        pytest.param({"RCPT": BUSY, "DATA": NEEDS_RCPT}, Deferred, "4.2.1", id="RCPT deferred"),
        pytest.param({"RCPT": NO, "DATA": NEEDS_RCPT}, Refused, "5.1.1", id="RCPT refused"),
        pytest.param({"DATA": b"451 4.3.0 full\r\n"}, Deferred, "4.3.0", id="DATA deferred"),
        pytest.param({"DATA": b"554 5.5.1 no\r\n"}, Refused, "5.5.1", id="DATA refused"),
        pytest.param({".": b"554 5.7.1 spam\r\n"}, Refused, "5.7.1", id="the content refused"),
    ],
)
async def test_the_first_bad_answer_decides_and_the_connection_carries_the_next_mail(
    script: Scripted, courier: Make, replies: dict[str, bytes], kind: type[Deferred | Refused], code: str
) -> None:
    relay = await script(Script(replies=PIPELINING | replies))
    mine = courier(relay.port)

    outcome = await send(mine)

    assert isinstance(outcome, kind)
    assert outcome.code == code
    assert ("." in replies) is (b"Your car is ready\r\n" in relay.lines)
    relay.replies = PIPELINING
    assert isinstance(await send(mine), Accepted)
    assert relay.lines.count(b"EHLO sms.example.com\r\n") == 1
    assert b"RSET\r\n" in relay.lines


@pytest.mark.parametrize("refused", [{"MAIL": NO, "RCPT": NEEDS_RCPT}, {"RCPT": NO}], ids=["MAIL", "RCPT"])
@pytest.mark.parametrize(
    ("dot", "kept"),
    [(b"554 5.5.1 nobody\r\n", True), (b"250 2.0.0 Ok\r\n", True), (b"", False)],
    ids=["refused", "taken", "lost"],
)
async def test_a_data_that_was_let_through_without_a_recipient_ends_with_a_lone_dot(
    script: Scripted, courier: Make, refused: dict[str, bytes], dot: bytes, kept: bool
) -> None:
    relay = await script(Script(replies=PIPELINING | refused | {".": dot}))
    mine = courier(relay.port, senders=())

    outcome = await send(mine)

    assert isinstance(outcome, Refused)
    assert outcome.code == "5.1.1"
    assert relay.lines[1:5] == [*relay.lines[1:4], b".\r\n"]
    relay.replies = PIPELINING
    assert isinstance(await send(mine), Accepted)
    assert relay.lines.count(b"EHLO sms.example.com\r\n") == (1 if kept else 2)


@pytest.mark.parametrize(
    ("replies", "kind"),
    [
        pytest.param({"MAIL": b""}, Deferred, id="lost at MAIL"),
        pytest.param({"RCPT": b""}, Deferred, id="lost at RCPT"),
        pytest.param({"DATA": b""}, Deferred, id="lost at DATA"),
        pytest.param({"RCPT": NO, "DATA": b""}, Refused, id="lost behind a refusal"),
        pytest.param({"RCPT": b"421 4.3.2 closing\r\n", "DATA": b""}, Deferred, id="421"),
        pytest.param({"RCPT": b"what?\r\n"}, Deferred, id="nonsense"),
        pytest.param({"DATA": b"354 go\r\n250 2.0.0 Ok\r\n"}, Deferred, id="an answer too many"),
        pytest.param({".": b""}, Unclear, id="lost after the dot"),
        pytest.param({".": b"what?\r\n"}, Unclear, id="nonsense after the dot"),
    ],
)
async def test_a_mail_is_unclear_only_after_the_dot_and_its_connection_is_not_used_again(
    script: Scripted, courier: Make, replies: dict[str, bytes], kind: type[Outcome]
) -> None:
    relay = await script(Script(replies=PIPELINING | replies))
    mine = courier(relay.port)

    assert isinstance(await send(mine), kind)
    assert (b"Your car is ready\r\n" in relay.lines) is ("." in replies)
    relay.replies = PIPELINING
    assert isinstance(await send(mine), Accepted)
    assert relay.lines.count(b"EHLO sms.example.com\r\n") == 2


@pytest.mark.parametrize("said", [b"", b"421 4.4.2 idle for too long\r\n"], ids=["closed", "421"])
async def test_a_kept_connection_that_is_gone_is_replaced_without_being_an_attempt(
    script: Scripted, courier: Make, said: bytes
) -> None:
    relay = await script(Script(replies=dict(PIPELINING)))
    mine = courier(relay.port, timeouts=SHORT)
    assert isinstance(await send(mine), Accepted)

    class Once(dict[str, bytes]):
        def get(self, verb: str, default: bytes = b"") -> bytes:  # type: ignore[override]
            return self.pop(verb) if verb == "MAIL" and verb in self else super().get(verb, default)

    relay.replies = Once(PIPELINING | {"MAIL": said})

    assert isinstance(await send(mine), Accepted)
    assert relay.lines.count(b"EHLO sms.example.com\r\n") == 2


async def test_many_mails_go_through_few_pipelined_connections(script: Scripted, courier: Make) -> None:
    relay = await script(Script(replies=PIPELINING))
    mine = courier(relay.port, connections=3)

    outcomes = await asyncio.gather(*(send(mine) for _ in range(60)))

    assert {type(outcome) for outcome in outcomes} == {Accepted}
    assert relay.lines.count(b"EHLO sms.example.com\r\n") == 3
    assert relay.lines.count(b".\r\n") == 60
