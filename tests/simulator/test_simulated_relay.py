from __future__ import annotations

import asyncio
import smtplib
from collections.abc import Callable

import pytest

from gateway.simulator.journal import Mailed, RcptTo, Turned
from gateway.simulator.world import World

CARRIER = "2025550102@vtext.com"
RAW = (
    b"From: r-abc@sms.example.com\r\nTo: 2025550102@vtext.com\r\nSubject: \r\n"
    b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
    b"Bay 3 is free\r\n..dot\r\nna\xc3\xafve\r\n"
)


async def talk(world: World, act: Callable[[smtplib.SMTP], object]) -> object:
    """What `act` answers on a connection to the relay."""

    def connected() -> object:
        with smtplib.SMTP(world.mail.host, world.mail.port, timeout=5) as client:
            return act(client)

    return await asyncio.to_thread(connected)


def sending(
    *rcpts: str, mail_options: tuple[str, ...] = (), rcpt_options: tuple[str, ...] = ()
) -> Callable[..., object]:
    return lambda client: client.sendmail("b-x@sms.example.com", rcpts or (CARRIER,), RAW, mail_options, rcpt_options)


async def test_a_mail_arrives_with_its_envelope_and_bytes(world: World) -> None:
    ret = ("RET=HDRS", "ENVID=aBc+2B")
    await talk(world, sending(CARRIER, "Joe@Shop.example", mail_options=ret, rcpt_options=("NOTIFY=NEVER",)))
    mail = world.mails[0]

    assert mail.mail_from == "b-x@sms.example.com"
    assert mail.options[-2:] == ret
    assert mail.rcpt_to == (
        RcptTo(address=CARRIER, options=("NOTIFY=NEVER",)),
        RcptTo(address="Joe@Shop.example", options=("NOTIFY=NEVER",)),
    )
    assert mail.raw == RAW
    assert mail.text == "Bay 3 is free\n..dot\nnaïve"
    assert mail.message["From"] == "r-abc@sms.example.com"
    assert mail.answer.startswith("250 2.0.0 queued as ")
    assert world.mail.to("@vtext.com") == world.mail.to("joe@shop.EXAMPLE") == world.mail.to(CARRIER) == [mail]
    assert world.mail.to("@text.com") == []
    assert world.surprises == []


async def test_the_relay_offers_dsn_and_takes_the_null_sender_and_any_login(world: World) -> None:
    def act(client: smtplib.SMTP) -> dict[str, str]:
        client.ehlo()
        client.login("shop", "any password")
        client.sendmail("", [CARRIER], RAW)
        return client.esmtp_features

    features = await talk(world, act)

    assert isinstance(features, dict)
    assert {"dsn", "enhancedstatuscodes", "8bitmime", "size", "auth"} <= set(features)
    assert (world.mails[0].mail_from, world.mails[0].login) == ("", "shop")


async def test_several_mails_go_over_one_connection(world: World) -> None:
    await talk(world, lambda client: [sending()(client) for _ in range(3)])

    assert len(world.mails) == 3


@pytest.mark.parametrize(
    ("name", "error", "code"),
    [
        ("550", smtplib.SMTPRecipientsRefused, 550),
        ("450", smtplib.SMTPRecipientsRefused, 450),
        ("421", smtplib.SMTPRecipientsRefused, 421),
        ("452-rcpt", smtplib.SMTPRecipientsRefused, 452),
        ("554-data", smtplib.SMTPDataError, 554),
        ("451-data", smtplib.SMTPDataError, 451),
        ("421-data", smtplib.SMTPDataError, 421),
        ("421-connect", smtplib.SMTPConnectError, 421),
        ("554-connect", smtplib.SMTPConnectError, 554),
    ],
)
async def test_a_fault_answers_with_its_code_once_and_nothing_arrives(
    world: World, name: str, error: type[Exception], code: int
) -> None:
    world.mail.faults.add(name)
    with pytest.raises(error) as refused:
        await talk(world, sending())
    arrived = list(world.mails)
    await talk(world, sending())

    value = refused.value
    assert (
        value.recipients[CARRIER][0] if isinstance(value, smtplib.SMTPRecipientsRefused) else value.smtp_code
    ) == code
    assert arrived == []
    assert len(world.mails) == 1


@pytest.mark.parametrize(("name", "arrives"), [("drop-after", 1), ("drop-before", 0), ("drop-rcpt", 0)])
async def test_the_connection_drops_without_an_answer(world: World, name: str, arrives: int) -> None:
    world.mail.faults.add(name)
    with pytest.raises(smtplib.SMTPServerDisconnected):
        await talk(world, sending())
    entry = world.journal.entries[0]

    assert len(world.mails) == arrives
    assert isinstance(entry, Mailed | Turned)
    assert entry.answer == ""


async def test_a_fault_for_one_domain_leaves_the_others_alone(world: World) -> None:
    world.mail.faults.add("550", count=0, to="@txt.att.net")
    refused = await talk(world, sending("2025550102@txt.att.net", CARRIER))

    assert isinstance(refused, dict)
    assert list(refused) == ["2025550102@txt.att.net"]
    assert [rcpt.address for rcpt in world.mails[0].rcpt_to] == [CARRIER]
    assert [entry.answer for entry in world.journal.entries if isinstance(entry, Turned)] == [
        "550 5.1.1 nobody has that address here"
    ]


async def test_a_late_answer_comes_and_a_silent_one_ends_with_the_relay(world: World) -> None:
    world.mail.faults.add("late", seconds=0.05)
    world.mail.faults.add("silent")
    late = await talk(world, sending())
    silent = asyncio.create_task(talk(world, sending()))
    await world.wait(lambda w: len(w.mails) == 2)
    await world.mail.__aexit__()
    with pytest.raises((smtplib.SMTPServerDisconnected, ConnectionError)):
        await silent

    assert late == {}


async def test_bare_line_ends_are_surprises(world: World) -> None:
    def act(client: smtplib.SMTP) -> None:
        client.ehlo("here")
        client.docmd("MAIL FROM:<a@shop.example>")
        client.docmd("RCPT TO:<b@shop.example>")
        client.docmd("DATA")
        client.send(b"Subject: x\r\n\r\none\ntwo\r\n.\r\n")
        client.getreply()

    await talk(world, act)

    assert world.surprises == ["a mail with a bare CR or LF"]
    assert world.mails[0].raw.endswith(b"one\ntwo\r\n")


@pytest.mark.parametrize(
    ("dialog", "code"),
    [
        (["MAIL FROM:a@shop.example"], 501),
        (["MAIL FROM:<a@shop.example>", "MAIL FROM:<a@shop.example>"], 503),
        (["MAIL FROM:<a@shop.example> HOLDFOR=9"], 555),
        (["RCPT TO:<b@shop.example>"], 503),
        (["MAIL FROM:<>", "RCPT TO:<>"], 501),
        (["MAIL FROM:<>", "RCPT TO:<b@shop.example> FOO"], 555),
        (["MAIL FROM:<>", "DATA"], 503),
    ],
    ids=lambda value: " / ".join(value) if isinstance(value, list) else str(value),
)
async def test_a_wrong_command_is_refused(world: World, dialog: list[str], code: int) -> None:
    def act(client: smtplib.SMTP) -> int:
        client.ehlo("here")
        return [client.docmd(line)[0] for line in dialog][-1]

    assert await talk(world, act) == code


async def test_a_client_that_goes_away_leaves_the_relay_working(world: World) -> None:
    reader, writer = await asyncio.open_connection(world.mail.host, world.mail.port)
    await reader.readline()
    writer.write(b"EHLO x\r\nMAIL FROM:<>\r\n")
    writer.transport.abort()
    await talk(world, sending())

    assert len(world.mails) == 1
