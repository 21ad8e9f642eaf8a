"""What becomes of a carrier mail at the relay: every end of a transaction and its one outcome."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest
from aiosmtpd.smtp import SMTP
from relays import SHORT, Make, Script, Scripted, Start

from gateway.core.work import Accepted, Deferred, MailParcel, Outcome, Refused, Unclear
from gateway.ports import MailCourier

DATA = b"From: a@sms.example.com\r\nTo: b@carrier.example\r\n\r\nYour car is ready\r\n"
PARCEL = MailParcel(mail_from="b-k3x@sms.example.com", rcpt_to="2025550143@carrier.example", data=DATA)


async def send(courier: MailCourier, parcel: MailParcel = PARCEL) -> Outcome:
    async with asyncio.timeout(20):
        return await courier.send(parcel)


async def test_a_250_is_handed_over_in_the_relays_own_words(hop: Start, courier: Make) -> None:
    relay = await hop()

    outcome = await send(courier(relay.port))

    assert outcome == Accepted(remote_id="4Q1", note="handed over to localhost: 250 2.0.0 Ok: queued as 4Q1")
    assert relay.mails[0].mail_from == PARCEL.mail_from
    assert relay.mails[0].rcpt_tos == [PARCEL.rcpt_to]
    assert relay.mails[0].content == DATA


async def test_a_mail_without_a_sender_goes_out_with_the_null_path(script: Scripted, courier: Make) -> None:
    relay = await script(Script())

    assert isinstance(await send(courier(relay.port), replace(PARCEL, mail_from="")), Accepted)
    assert b"MAIL FROM:<>\r\n" in relay.lines


@pytest.mark.parametrize("step", ["MAIL", "RCPT", "DATA"])
@pytest.mark.parametrize(
    ("reply", "ends"),
    [
        ("450 4.2.1 mailbox busy", (Deferred, "4.2.1")),
        ("451 try later", (Deferred, "451")),
        ("421 4.3.2 shutting down", (Deferred, "4.3.2")),
        ("550 5.1.1 no such user", (Refused, "5.1.1")),
        ("554 no", (Refused, "554")),
    ],
)
async def test_4xx_is_deferred_and_5xx_refused_at_every_step(
    hop: Start, courier: Make, step: str, reply: str, ends: tuple[type[Deferred | Refused], str]
) -> None:
    kind, code = ends
    relay = await hop()
    relay.says[step] = reply
    # A 5xx to MAIL is about our sender: every other mail would meet the same, and the recipient is not to blame.
    sender_wide = step == "MAIL" and kind is Refused

    outcome = await send(courier(relay.port))

    assert isinstance(outcome, Deferred if sender_wide else kind)
    assert outcome.code == code
    assert reply in outcome.reason
    assert getattr(outcome, "sender_wide", False) is sender_wide
    assert relay.steps.count("MAIL") == 1


async def test_a_refused_sender_that_is_not_ours_is_refused_alone(hop: Start, courier: Make) -> None:
    relay = await hop()
    relay.says["MAIL"] = "550 5.1.8 unknown sender"
    ours = courier(relay.port, senders=("@sms.example.com",))

    assert isinstance(await send(ours, replace(PARCEL, mail_from="scan@unknown.local")), Refused)
    assert isinstance(await send(ours, replace(PARCEL, mail_from="")), Refused)
    assert isinstance(await send(ours, replace(PARCEL, mail_from="b-abc@sms.example.com")), Deferred)


async def test_a_mail_that_is_too_large_for_the_relay_is_refused_alone(hop: Start, courier: Make) -> None:
    relay = await hop()
    relay.says["MAIL"] = "552 5.3.4 message too big"

    assert isinstance(await send(courier(relay.port)), Refused)


async def test_a_relay_that_wants_a_login_first_is_at_fault_for_all_mails(hop: Start, courier: Make) -> None:
    relay = await hop()
    relay.says["MAIL"] = "530 5.7.0 Authentication required"

    outcome = await send(courier(relay.port))

    assert isinstance(outcome, Deferred)
    assert outcome.sender_wide
    assert "[relay]" in outcome.reason


async def drop(server: SMTP) -> None:
    assert server.transport is not None
    server.transport.abort()


@pytest.mark.parametrize(
    ("step", "kind"), [("MAIL", Deferred), ("RCPT", Deferred), ("DATA", Unclear)], ids=["mail", "rcpt", "after the dot"]
)
async def test_a_lost_connection_is_unclear_only_after_the_dot(
    hop: Start, courier: Make, step: str, kind: type[Outcome]
) -> None:
    relay = await hop()
    relay.does[step] = drop

    assert isinstance(await send(courier(relay.port)), kind)
    assert relay.steps.count("MAIL") == 1


@pytest.mark.parametrize(
    ("step", "kind"), [("MAIL", Deferred), ("RCPT", Deferred), ("DATA", Unclear)], ids=["mail", "rcpt", "after the dot"]
)
async def test_a_relay_that_falls_silent_is_unclear_only_after_the_dot(
    hop: Start, courier: Make, never: Callable[[SMTP], Awaitable[None]], step: str, kind: type[Outcome]
) -> None:
    relay = await hop()
    relay.does[step] = never

    outcome = await send(courier(relay.port, timeouts=replace(SHORT, command=0.2, final=0.2)))

    assert isinstance(outcome, kind)
    await relay.gone(1)


@pytest.mark.parametrize(
    ("replies", "kind"),
    [
        ({"DATA": b""}, Deferred),
        ({"DATA": b"451 4.3.0 no space\r\n"}, Deferred),
        ({"DATA": b"554 5.5.1 no valid recipients\r\n"}, Refused),
        ({"RCPT": b"what?\r\n"}, Deferred),
        ({".": b""}, Unclear),
        ({".": b"what?\r\n"}, Unclear),
        ({".": b"354 more\r\n"}, Unclear),
        ({".": b"452 4.3.1 no space\r\n"}, Deferred),
        ({".": b"554 5.7.1 spam\r\n"}, Refused),
        ({".": b"251 forwarded\r\n"}, Accepted),
    ],
    ids=[
        "lost at DATA",
        "DATA 4xx",
        "DATA 5xx",
        "nonsense",
        "lost",
        "nonsense after",
        "354 after",
        "4xx",
        "5xx",
        "251",
    ],
)
async def test_only_an_answer_that_cannot_be_read_after_the_dot_is_unclear(
    script: Scripted, courier: Make, replies: dict[str, bytes], kind: type[Outcome]
) -> None:
    relay = await script(Script(replies=replies))

    assert isinstance(await send(courier(relay.port)), kind)


@pytest.mark.parametrize("greeting", [b"554 5.3.2 not now\r\n", b"421 4.3.2 too many\r\n", b"hello\r\n", b""])
async def test_a_relay_that_does_not_greet_is_at_fault_for_all_mails(
    script: Scripted, courier: Make, greeting: bytes
) -> None:
    relay = await script(Script(greeting=greeting, replies={"EHLO": b""}))

    outcome = await send(courier(relay.port, timeouts=replace(SHORT, connect=0.3)))

    assert isinstance(outcome, Deferred)
    assert outcome.sender_wide
    assert f"localhost:{relay.port}" in outcome.reason


async def test_a_relay_that_is_not_there_is_deferred_for_all_mails(courier: Make) -> None:
    with socket.create_server(("127.0.0.1", 0)) as bound:
        port = bound.getsockname()[1]

    outcome = await send(courier(port))

    assert isinstance(outcome, Deferred)
    assert outcome.sender_wide
    assert "cannot be reached" in outcome.reason


async def test_required_tls_never_falls_back_to_plain_text(hop: Start, courier: Make) -> None:
    relay = await hop(auth_require_tls=False)
    relay_with_login = courier(relay.port, tls="required", username="shop", password="right")

    outcome = await send(relay_with_login)

    assert isinstance(outcome, Deferred)
    assert outcome.sender_wide
    assert "STARTTLS" in outcome.reason
    assert (relay.logins, relay.steps) == ([], [])


async def test_opportunistic_tls_sends_no_password_without_tls(hop: Start, courier: Make) -> None:
    relay = await hop(auth_require_tls=False)

    outcome = await send(courier(relay.port, tls="opportunistic", username="shop", password="right"))

    assert isinstance(outcome, Deferred)
    assert outcome.sender_wide
    assert "password" in outcome.reason
    assert (relay.logins, relay.steps) == ([], [])


@pytest.mark.parametrize("tls", ["required", "implicit"])
async def test_a_certificate_of_nobody_we_know_is_not_accepted(
    hop: Start, courier: Make, serving: ssl.SSLContext, tls: str
) -> None:
    relay = await hop(**({"implicit": serving} if tls == "implicit" else {"tls_context": serving}))

    outcome = await send(courier(relay.port, tls=tls))

    assert isinstance(outcome, Deferred)
    assert outcome.sender_wide
    assert "certificate" in outcome.reason.lower()
    assert relay.steps == []


async def test_a_certificate_of_another_name_is_not_accepted(
    hop: Start, courier: Make, serving: ssl.SSLContext, trusting: ssl.SSLContext
) -> None:
    relay = await hop(tls_context=serving)

    outcome = await send(courier(relay.port, host="127.0.0.1", tls="required", ssl_context=trusting))

    assert isinstance(outcome, Deferred)
    assert outcome.sender_wide
    assert relay.steps == []


@pytest.mark.parametrize("tls", ["required", "implicit", "opportunistic"])
async def test_a_mail_goes_over_tls(
    hop: Start, courier: Make, serving: ssl.SSLContext, trusting: ssl.SSLContext, tls: str
) -> None:
    relay = await hop(**({"implicit": serving} if tls == "implicit" else {"tls_context": serving}))

    outcome = await send(courier(relay.port, tls=tls, ssl_context=trusting))

    assert isinstance(outcome, Accepted)
    assert relay.tls == [True]


async def test_opportunistic_tls_takes_any_certificate_and_plain_text(
    hop: Start, courier: Make, serving: ssl.SSLContext
) -> None:
    unknown, plain = await hop(tls_context=serving), await hop()

    assert isinstance(await send(courier(unknown.port, tls="opportunistic")), Accepted)
    assert isinstance(await send(courier(plain.port, tls="opportunistic")), Accepted)
    assert (unknown.tls, plain.tls) == ([True], [False])


async def test_a_login_goes_over_tls_and_once_a_connection(
    hop: Start, courier: Make, serving: ssl.SSLContext, trusting: ssl.SSLContext
) -> None:
    relay = await hop(tls_context=serving)
    mine = courier(relay.port, tls="required", ssl_context=trusting, username="shop", password="right")

    outcomes = [await send(mine), await send(mine)]

    assert [type(o) for o in outcomes] == [Accepted, Accepted]
    assert relay.logins == [(b"shop", b"right")]


async def test_a_refused_login_names_the_configuration_and_is_tried_once(
    hop: Start, courier: Make, serving: ssl.SSLContext, trusting: ssl.SSLContext
) -> None:
    relay = await hop(tls_context=serving)

    outcome = await send(courier(relay.port, tls="required", ssl_context=trusting, username="shop", password="wrong"))

    assert isinstance(outcome, Deferred)
    assert outcome.sender_wide
    assert outcome.code == "5.7.8"
    assert "[relay] username and password" in outcome.reason
    assert "wrong" not in outcome.reason
    assert relay.logins == [(b"shop", b"wrong")]


@pytest.mark.parametrize(
    ("offered", "said"),
    [
        (b"AUTH CRAM-MD5 LOGIN", [b"AUTH LOGIN c2hvcA==\r\n", b"cmlnaHQ=\r\n"]),
        (b"AUTH XOAUTH2", []),
        (b"SIZE", []),
    ],
    ids=["login", "nothing that we speak", "no AUTH"],
)
async def test_a_login_uses_one_method_that_the_relay_offers(
    script: Scripted, courier: Make, offered: bytes, said: list[bytes]
) -> None:
    replies = {"EHLO": b"250-relay\r\n250 " + offered + b"\r\n", "AUTH": b"334 UGFz\r\n", "CMLNAHQ=": b"235 ok\r\n"}
    relay = await script(Script(replies=replies))

    outcome = await send(courier(relay.port, username="shop", password="right"))

    assert isinstance(outcome, Accepted if said else Deferred)
    assert [line for line in relay.lines if line.startswith((b"AUTH", b"cmln"))] == said


async def test_a_connection_carries_the_next_mail_too(hop: Start, courier: Make) -> None:
    relay = await hop()
    mine = courier(relay.port)

    for _ in range(3):
        assert isinstance(await send(mine), Accepted)

    assert (relay.sessions, len(relay.mails)) == (1, 3)


@pytest.mark.parametrize("step", ["MAIL", "RCPT", "DATA"])
async def test_a_refused_mail_does_not_spoil_the_connection(hop: Start, courier: Make, step: str) -> None:
    relay = await hop()
    mine = courier(relay.port)
    relay.says[step] = "550 5.1.1 no"
    assert isinstance(await send(mine), Deferred if step == "MAIL" else Refused)
    relay.says.clear()

    assert isinstance(await send(mine), Accepted)
    assert relay.sessions == 1


@pytest.mark.parametrize("probe_after", [0.0, 60.0], ids=["probed", "not probed"])
async def test_a_connection_that_died_idle_is_replaced_without_being_an_attempt(
    hop: Start, courier: Make, probe_after: float
) -> None:
    relay = await hop()
    mine = courier(relay.port, timeouts=replace(SHORT, probe_after=probe_after))
    assert isinstance(await send(mine), Accepted)
    await drop(relay.protocols[0])
    await relay.gone(1)

    assert isinstance(await send(mine), Accepted)
    assert relay.sessions == 2


async def test_a_kept_connection_that_says_421_is_replaced_without_being_an_attempt(hop: Start, courier: Make) -> None:
    relay = await hop()
    mine = courier(relay.port)
    assert isinstance(await send(mine), Accepted)

    async def only_once(_server: SMTP) -> None:
        relay.says.clear() if relay.sessions == 2 else relay.says.update(MAIL="421 4.4.2 idle for too long")

    relay.does["MAIL"] = only_once

    assert isinstance(await send(mine), Accepted)
    assert (relay.sessions, len(relay.mails)) == (2, 2)


async def test_a_connection_that_dies_with_the_mail_half_said_is_an_attempt(hop: Start, courier: Make) -> None:
    relay = await hop()
    mine = courier(relay.port)
    assert isinstance(await send(mine), Accepted)
    relay.does["RCPT"] = drop

    assert isinstance(await send(mine), Deferred)
    assert relay.sessions == 1


async def test_an_idle_connection_is_closed_after_a_while(hop: Start, courier: Make) -> None:
    relay = await hop()
    mine = courier(relay.port, timeouts=replace(SHORT, idle=0.05))
    assert isinstance(await send(mine), Accepted)

    await relay.gone(1)

    assert isinstance(await send(mine), Accepted)
    assert relay.sessions == 2


async def test_closing_says_goodbye_on_every_connection(script: Scripted, courier: Make) -> None:
    relay = await script(Script(replies={"QUIT": b""}))
    mine = courier(relay.port)
    assert isinstance(await send(mine), Accepted)

    await mine.close()

    await relay.ended()
    assert relay.lines[-1] == b"QUIT\r\n"


async def test_a_mail_under_way_ends_and_takes_its_connection_along_when_we_close(hop: Start, courier: Make) -> None:
    relay = await hop()
    mine = courier(relay.port)
    reached, go_on = asyncio.Event(), asyncio.Event()

    async def hold(_server: SMTP) -> None:
        reached.set()
        await go_on.wait()

    relay.does["DATA"] = hold
    sending = asyncio.create_task(send(mine))
    await asyncio.wait_for(reached.wait(), 10)
    await mine.close()
    go_on.set()

    assert isinstance(await sending, Accepted)
    await relay.gone(1)


@pytest.mark.parametrize("reply", [b"what?\r\n", b"354 more\r\n"])
async def test_a_connection_whose_answer_made_no_sense_carries_no_other_mail(
    script: Scripted, courier: Make, reply: bytes
) -> None:
    relay = await script(Script(replies={".": reply}))
    mine = courier(relay.port)
    assert isinstance(await send(mine), Unclear)
    relay.replies = {}

    assert isinstance(await send(mine), Accepted)
    assert relay.lines.count(b"EHLO sms.example.com\r\n") == 2


async def test_no_more_mails_are_under_way_than_connections_are_allowed(hop: Start, courier: Make) -> None:
    relay = await hop()
    mine = courier(relay.port, connections=3)

    outcomes = await asyncio.gather(*(send(mine) for _ in range(20)))

    assert {type(o) for o in outcomes} == {Accepted}
    assert (relay.most, len(relay.mails)) == (3, 20)


async def test_a_cancelled_mail_leaves_no_connection_half_said(
    hop: Start, courier: Make, never: Callable[[SMTP], Awaitable[None]]
) -> None:
    relay = await hop()
    mine = courier(relay.port, connections=1)
    reached = asyncio.Event()

    async def hang(server: SMTP) -> None:
        reached.set()
        await never(server)

    relay.does["RCPT"] = hang
    sending = asyncio.create_task(send(mine))
    await asyncio.wait_for(reached.wait(), 10)
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    relay.does.clear()

    assert isinstance(await send(mine), Accepted)
    assert relay.sessions == 2


@pytest.mark.parametrize(
    ("data", "arrives"),
    [
        (b"A: b\n\nx\ny\n", b"A: b\r\n\r\nx\r\ny\r\n"),
        (b"A: b\r\n\r\nx\ry\r\n", b"A: b\r\n\r\nx\r\ny\r\n"),
        (b"A: b\r\n\r\nx\n.\r\nMAIL FROM:<>\r\n", b"A: b\r\n\r\nx\r\n.\r\nMAIL FROM:<>\r\n"),
        (b"A: b\r\n\r\nx\r.\rQUIT\r\n", b"A: b\r\n\r\nx\r\n.\r\nQUIT\r\n"),
        (b"A: b\r\n\r\n.\r\n..\r\n", b"A: b\r\n\r\n.\r\n..\r\n"),
        (b".A: b\r\n\r\nx\r\n", b".A: b\r\n\r\nx\r\n"),
        (b"A: b\r\n\r\nx\r\r\ny\n\rz\r\n", b"A: b\r\n\r\nx\r\n\r\ny\r\n\r\nz\r\n"),
        (b"A: b\r\n\r\nno end", b"A: b\r\n\r\nno end\r\n"),
    ],
    ids=[
        "bare lf",
        "bare cr",
        "dot after bare lf",
        "dot between bare crs",
        "dots",
        "dot first",
        "mixed",
        "no line end",
    ],
)
async def test_no_content_ends_a_mail_early_or_leaves_a_bare_line_end(
    hop: Start, courier: Make, data: bytes, arrives: bytes
) -> None:
    relay = await hop()

    assert isinstance(await send(courier(relay.port), replace(PARCEL, data=data)), Accepted)
    assert [mail.content for mail in relay.mails] == [arrives]


@pytest.mark.parametrize(
    "address", ["a b@x.example", "a@x.example>", "a@x\r\nRCPT", "<a@x", "jos\u00e9@x.example", "a\0@x"]
)
async def test_an_address_that_cannot_be_written_is_refused_before_any_connection(
    hop: Start, courier: Make, address: str
) -> None:
    relay = await hop()
    mine = courier(relay.port)

    for parcel in (replace(PARCEL, rcpt_to=address), replace(PARCEL, mail_from=address)):
        outcome = await send(mine, parcel)
        assert isinstance(outcome, Refused)
        assert outcome.code == "5.1.3"
    assert relay.sessions == 0


@pytest.mark.parametrize(
    ("offers", "notify", "command"),
    [
        (b"DSN", "FAILURE,DELAY", b"RCPT TO:<2025550143@carrier.example> NOTIFY=FAILURE,DELAY\r\n"),
        (b"DSN", "NEVER", b"RCPT TO:<2025550143@carrier.example> NOTIFY=NEVER\r\n"),
        (b"DSN", "", b"RCPT TO:<2025550143@carrier.example>\r\n"),
        (b"DSN", "NEVER SIZE=1", b"RCPT TO:<2025550143@carrier.example>\r\n"),
        (b"HELP", "NEVER", b"RCPT TO:<2025550143@carrier.example>\r\n"),
    ],
    ids=["passed", "never", "nothing asked", "nonsense", "not offered"],
)
async def test_notify_is_passed_where_the_relay_offers_dsn(
    script: Scripted, courier: Make, offers: bytes, notify: str, command: bytes
) -> None:
    relay = await script(Script(replies={"EHLO": b"250-relay\r\n250 " + offers + b"\r\n"}))

    assert isinstance(await send(courier(relay.port), replace(PARCEL, notify=notify)), Accepted)
    assert command in relay.lines


async def test_8_bit_mail_goes_only_where_8bitmime_is_offered(script: Scripted, courier: Make) -> None:
    mail = replace(PARCEL, data="A: b\r\n\r\n\u00e9\r\n".encode())
    able = await script(Script(replies={"EHLO": b"250-relay\r\n250-SIZE 1000\r\n250 8BITMIME\r\n"}))
    unable = await script(Script())

    assert isinstance(await send(courier(able.port), mail), Accepted)
    refused = await send(courier(unable.port), mail)

    assert b"MAIL FROM:<b-k3x@sms.example.com> SIZE=12 BODY=8BITMIME\r\n" in able.lines
    assert isinstance(refused, Refused)
    assert refused.code == "5.6.3"
    assert not any(line.startswith(b"MAIL") for line in unable.lines)


async def test_a_relay_that_knows_only_helo_is_served(script: Scripted, courier: Make) -> None:
    relay = await script(Script(replies={"EHLO": b"502 5.5.1 unknown\r\n"}))

    assert isinstance(await send(courier(relay.port)), Accepted)
    assert relay.lines[:2] == [b"EHLO sms.example.com\r\n", b"HELO sms.example.com\r\n"]


async def test_the_relays_words_come_back_as_one_short_printable_line(script: Scripted, courier: Make) -> None:
    reply = b"550-5.7.1 first\x1b[31m\r\n550 5.7.1 \xff" + b"x" * 1000 + b"\r\n"
    relay = await script(Script(replies={"RCPT": reply}))

    outcome = await send(courier(relay.port))

    assert isinstance(outcome, Refused)
    assert outcome.code == "5.7.1"
    assert outcome.reason.isprintable()
    assert len(outcome.reason) < 500
