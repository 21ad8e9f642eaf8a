"""What carriers do to mails, and what they and their phones write back, is what the gateway's own readers know."""

from __future__ import annotations

import asyncio
import base64
import smtplib
from collections.abc import AsyncIterator

import dkim
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from simulated import Api

from gateway.config.carriers import shipped_table
from gateway.core import bounce, carrier_answer, carrier_reply
from gateway.core.carrier_answer import Words
from gateway.simulator.carrier import Key
from gateway.simulator.carrier_mails import FORMS, Answer
from gateway.simulator.journal import Journal, Mailed, Sent
from gateway.simulator.mail import Relay
from gateway.simulator.world import World

CARRIER = "2025550102@vtext.com"
SENDER = "b-abcdefghij@sms.example.com"
TALK = "r-abcdefghij@sms.example.com"
RAW = f"From: {TALK}\r\nTo: {CARRIER}\r\nMessage-ID: <m1.1@sms.example.com>\r\n\r\nBay 3 is free\r\n"
JPEG = b"\xff\xd8\xff\xe0\x00\x10JFIF"
KEY = rsa.generate_private_key(65537, 2048)
PRIVATE = KEY.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
PUBLIC = base64.b64encode(KEY.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))


@pytest.fixture
async def door(world: World) -> AsyncIterator[Relay]:
    """What stands where the gateway's public door would."""
    async with Relay(Journal()) as door:
        world.reach("http://127.0.0.1:1", f"{door.host}:{door.port}")
        yield door


async def texted(world: World, to: str = CARRIER, mail_from: str = SENDER) -> None:
    """A text to a carrier.  Raises what smtplib raises."""

    def send() -> None:
        with smtplib.SMTP(world.mail.host, world.mail.port, timeout=5) as client:
            client.sendmail(mail_from, [to], RAW)

    await asyncio.to_thread(send)


async def came(door: Relay) -> Mailed:
    return await door.journal.wait(lambda: door.mails[-1] if door.mails else None)


@pytest.mark.parametrize(
    ("name", "code", "said"),
    [
        ("aup", 421, "4.2.0 sender rejected AUP#SNDR"),
        ("greylist", 451, "4.7.1 greylisted, try again later"),
        ("banned", 544, "5.7.1 rejecting banned content"),
        ("policy", 550, "5.7.1 From is not of the domain that sends"),
    ],
)
async def test_a_carrier_says_no_in_its_own_words(world: World, name: str, code: int, said: str) -> None:
    world.mail.faults.add(name)
    with pytest.raises((smtplib.SMTPRecipientsRefused, smtplib.SMTPDataError)) as refused:
        await texted(world)

    value = refused.value
    told = (
        value.recipients[CARRIER]
        if isinstance(value, smtplib.SMTPRecipientsRefused)
        else (value.smtp_code, value.smtp_error)
    )
    assert told == (code, said.encode())
    assert world.mails == []


async def test_the_words_of_a_refusal_can_be_given(world: World) -> None:
    world.mail.faults.add("550-data", words="5.2.2 mailbox full")
    with pytest.raises(smtplib.SMTPDataError, match=r"5\.2\.2 mailbox full"):
        await texted(world)


async def test_greylisting_counts_the_tries_of_each_envelope(world: World) -> None:
    world.mail.faults.add("greylist", count=2, to="@vtext.com")
    for mail_from in (SENDER, "b-other@sms.example.com", SENDER, "b-other@sms.example.com"):
        with pytest.raises(smtplib.SMTPRecipientsRefused):
            await texted(world, mail_from=mail_from)
    await texted(world)
    await texted(world, to="2025550102@txt.att.net")

    assert [mail.mail_from for mail in world.mails] == [SENDER, SENDER]


@pytest.mark.parametrize(("seconds", "taken"), [(0, 1), (3600, 0)])
async def test_greylisting_ends_by_the_clock_too(world: World, seconds: float, taken: int) -> None:
    world.mail.faults.add("greylist", count=0, seconds=seconds)
    for _ in range(2):
        try:
            await texted(world)
        except smtplib.SMTPRecipientsRefused:
            continue

    assert len(world.mails) == taken


async def test_what_follows_greylisting_may_go_wrong_as_well(world: World) -> None:
    world.mail.faults.add("greylist", count=1)
    world.mail.faults.add("550")
    codes = []
    for _ in range(2):
        with pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
            await texted(world)
        codes.append(refused.value.recipients[CARRIER][0])

    assert codes == [451, 550]


async def test_a_text_can_be_taken_and_never_be_seen(world: World) -> None:
    world.mail.faults.add("lost")
    await texted(world)
    await texted(world)

    assert [(mail.taken, mail.answer[:3]) for mail in world.mails] == [(True, "250")] * 2
    assert world.mail.shown(CARRIER) == [world.mails[1]]


REPORTS = {
    "bounce": ("", "failed", "5.1.1", "550 5.1.1 no such subscriber", "number"),
    "bounce-policy": ("", "failed", "5.7.1", "550 5.7.1 message blocked as spam", "policy"),
    "bounce-vtext": (
        "post_master@vtext.com",
        "failed",
        "",
        "550 - Requested action not taken: no such user here",
        "number",
    ),
    "bounce-vzwpix": ("", "failed", "", "No valid recipients for this MM", "number"),
    "delayed": ("", "delayed", "4.4.1", "451 4.4.1 the phone cannot be reached", "other"),
}


@pytest.mark.parametrize(("name", "expected"), REPORTS.items(), ids=REPORTS.keys())
async def test_a_carrier_reports_later_to_the_envelope_sender(
    world: World, door: Relay, name: str, expected: tuple[str, str, str, str, str]
) -> None:
    world.mail.faults.add(name, seconds=0)
    await texted(world)
    report = await came(door)
    sent = await world.wait(lambda w: [entry for entry in w.journal.entries if isinstance(entry, Sent)])
    told = bounce.read(report.raw)

    assert told is not None
    assert report.rcpt_to[0].address == SENDER
    assert (report.mail_from, told.action, told.status, told.diagnostic) == expected[:4]
    assert bounce.verdict_of(told.status, told.diagnostic) == expected[4]
    assert world.mail.shown(CARRIER) == []
    assert (sent[0].to, sent[0].answer[:3], sent[0].raw) == (SENDER, "250", report.raw)


async def test_a_carrier_reports_on_request_and_in_the_words_asked_for(world: World, door: Relay) -> None:
    await texted(world)
    await world.mail.reports(CARRIER, "failed", "552 5.2.2 mailbox full")
    told = bounce.read((await came(door)).raw)

    assert told is not None
    assert (told.status, told.diagnostic) == ("5.2.2", "552 5.2.2 mailbox full")
    with pytest.raises(ValueError, match="there are failed, delayed"):
        await world.mail.reports(CARRIER, "angry")
    with pytest.raises(ValueError, match="no mail"):
        await world.mail.reports("2025550199@vtext.com", "failed")


async def test_nothing_is_reported_to_the_null_sender(world: World, door: Relay) -> None:
    world.mail.faults.add("bounce", seconds=0)
    await texted(world, mail_from="")
    await texted(world)
    await world.mail.reports(CARRIER, "failed")

    assert [mail.rcpt_to[0].address for mail in door.mails] == [SENDER]


@pytest.mark.parametrize(
    ("author", "phone"),
    [
        ("", "+12025550102"),
        ("12025550102@mms.att.net", "+12025550102"),
        ("12025550102/TYPE=PLMN@mms.mycricket.com", "+12025550102"),
        ("2025550102@vzwpix.com", "+12025550102"),
    ],
)
async def test_a_phone_answers_from_any_address_of_its_carrier(
    world: World, door: Relay, author: str, phone: str
) -> None:
    await texted(world)
    await world.employee_answers(CARRIER, Answer(words="On my way", author=author))
    mail = await came(door)
    found = carrier_reply.author(mail.message["From"], "US", shipped_table())

    assert found is not None
    assert found[0] == phone
    assert (mail.mail_from, mail.rcpt_to[0].address) == (author or CARRIER, TALK)
    assert carrier_answer.words(mail.raw) == Words(text="On my way", gone="", subject="", link="", images=0)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("words", ["Café <closed> & done?", "STOP"])
async def test_the_words_of_a_phone_are_found_in_every_form(world: World, door: Relay, form: str, words: str) -> None:
    await texted(world)
    await world.employee_answers(CARRIER, Answer(words=words, form=form))
    found = carrier_answer.words((await came(door)).raw)

    assert isinstance(found, Words)
    if form == "link":
        assert (found.text, found.link) == ("", "http://pictures.sprint.example/?share=0123456789")
    else:
        assert (found.text, found.link, found.images) == (words, "", 0)


@pytest.mark.parametrize("form", ["plain", "txt", "html"])
async def test_a_picture_comes_as_mms_with_or_without_words(world: World, door: Relay, form: str) -> None:
    await texted(world)
    for words in ("Look", ""):
        await world.employee_answers(CARRIER, Answer(words=words, form=form, pictures=(("image/jpeg", JPEG),)))
    read = [carrier_answer.words(mail.raw) for mail in door.mails]

    assert [(one.text, one.images) for one in read if isinstance(one, Words)] == [("Look", 1), ("", 1)]
    assert JPEG in [part.get_payload(decode=True) for part in door.mails[0].message.walk()]


async def test_a_phone_writes_to_the_envelope_sender_or_to_whom_it_likes(world: World, door: Relay) -> None:
    with pytest.raises(ValueError, match="to whom it writes"):
        await world.employee_answers(CARRIER, Answer(words="Hello"))
    await world.employee_answers(CARRIER, Answer(words="Hello", to="enroll@sms.example.com"))
    await texted(world)
    await world.employee_answers(CARRIER, Answer(words="Hello", to="envelope"))

    assert [mail.rcpt_to[0].address for mail in door.mails] == ["enroll@sms.example.com", SENDER]
    assert [mail.message["To"] for mail in door.mails] == ["enroll@sms.example.com", SENDER]


async def test_a_carrier_signs_with_its_key_and_the_host_in_front_says_so(world: World, door: Relay) -> None:
    await texted(world)
    with pytest.raises(ValueError, match=r"vtext\.com has no key"):
        await world.employee_answers(CARRIER, Answer(words="Yes", signed=True))
    world.mail.carriers.keys["vtext.com"] = Key(selector="sel", private=PRIVATE)
    proof = "mx.shop.example.com; dkim=pass header.d=vtext.com"
    await world.employee_answers(CARRIER, Answer(words="Yes", signed=True, results=proof))
    mail = await came(door)
    asked: list[str] = []

    def record(name: bytes, **_: object) -> bytes:
        asked.append(name.decode())
        return b"v=DKIM1; k=rsa; p=" + PUBLIC

    assert mail.message["Authentication-Results"] == proof
    assert dkim.verify(mail.raw, dnsfunc=record)
    assert asked == ["sel._domainkey.vtext.com."]


async def test_a_door_that_says_no_or_is_gone_is_told_and_nothing_is_raised(world: World, door: Relay) -> None:
    await texted(world)
    door.faults.add("550")
    no = await world.mail.reports(CARRIER, "failed")
    await door.__aexit__()
    gone = await world.mail.reports(CARRIER, "failed")
    world.mail.carriers.door = ""
    nowhere = await world.mail.reports(CARRIER, "failed")

    assert (no.answer, no.note) == ("550 5.1.1 nobody has that address here", "")
    assert gone.answer == ""
    assert "Error" in gone.note
    assert (nowhere.answer, nowhere.note) == ("", "nobody said where the gateway's public door is")


async def test_another_process_can_play_the_carrier_by_http(world: World, door: Relay, api: Api) -> None:
    world.mail.carriers.door = ""
    await api.control("hooks", {"bounces_to": f"{door.host}:{door.port}"})
    await texted(world)
    status, sent = await api.control("answer", {"phone": CARRIER, "body": "Yes", "form": "txt", "from": "1" + CARRIER})
    _, reported = await api.control("report", {"to": CARRIER, "form": "vtext"})
    _, mails = await api.get("/simulator/mails", to=CARRIER)
    await api.control("key", {"domain": "vtext.com", "selector": "sel", "private": PRIVATE.decode()})
    _, marked = await api.control("answer", {"phone": CARRIER, "body": "Yes", "signed": True})

    assert (status, sent["kind"], sent["to"], sent["mail_from"]) == (200, "sent", TALK, f"1{CARRIER}")
    assert sent["answer"].startswith("250 ")
    assert (reported["subject"], reported["to"]) == ("Re:", SENDER)
    assert [mail["shown"] for mail in mails["mails"]] == [True]
    assert marked["raw"].startswith("DKIM-Signature: ")
    assert len(door.mails) == 3


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("answer", {"phone": CARRIER}),
        ("answer", {"phone": CARRIER, "body": "Yes"}),
        ("answer", {"phone": CARRIER, "body": "Yes", "to": TALK, "form": "song"}),
        ("answer", {"phone": CARRIER, "body": "Yes", "to": TALK, "signed": True}),
        ("report", {"to": CARRIER}),
        ("key", {"domain": "vtext.com"}),
        ("hooks", {"bounces_to": "192.0.2.1:25"}),
    ],
)
async def test_an_order_to_a_carrier_that_is_wrong_is_refused_with_the_reason(
    api: Api, path: str, body: object
) -> None:
    status, answer = await api.control(path, body)

    assert status == 400
    assert answer["error"]


async def test_a_relay_that_ends_writes_nothing_more(world: World, door: Relay) -> None:
    world.mail.faults.add("bounce", seconds=3600)
    await texted(world)
    await world.mail.__aexit__()

    assert door.mails == []
