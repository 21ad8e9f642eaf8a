"""The door to the internet, for employees: what their carriers make of their texts is taken, and what proves it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
from clock import NOON, FakeClock
from signing import FAILS, Dns, name_server, record, signed
from smtp_house import Client, connect

from gateway import outside
from gateway.config import load
from gateway.core.model import Consent, Conversation, Door, Envelope, Inbound, InboundMail, Phone, Recipient, Refusal
from gateway.core.work import Writes
from gateway.doorman import Doorman
from gateway.doors import Visit
from gateway.intake.smtp import Limits, MailDoor
from gateway.ports import SpoolUnavailable
from gateway.proof import Prover
from gateway.reader import MailReader
from gateway.spool.sqlite import SqliteSpool

CONFIG = """
domain = "sms.example.com"
brand = "Example Auto"
alarm_to = ["admin@shop.example.com"]
[smtp]
listen = ["127.0.0.1:0"]
listen_public = ["127.0.0.1:0"]
authserv_id = "mx.example.net"
upstream = ["192.0.2.25"]
[relay]
host = "127.0.0.1"
tls = "off"
[[sender]]
name = "jobs"
networks = ["192.0.2.10"]
answer_from = ["*@shop.example.com"]
[[sender]]
name = "closed"
networks = ["192.0.2.12"]
[[employee]]
name = "bob"
phone = "+12025550112"
carrier = "verizon"
[[employee]]
name = "alice"
phone = "+12025550111"
carrier = "verizon"
"""
BOB, ALICE, MARIA = Phone("+12025550112"), Phone("+12025550111"), Phone("+12025550143")
TALKS = {
    "bobsbobsbobs": ("closed", BOB),
    "bobsjobsjobs": ("jobs", BOB),
    "alicesalices": ("closed", ALICE),
    "mariasmarias": ("jobs", MARIA),
}
TALK, OPEN, ALICES, MARIAS = (f"r-{token}" for token in TALKS)
UPSTREAM, STRANGER = "192.0.2.25", "198.51.100.7"
KEY, DKIM = "sel._domainkey.vtext.com", "dkim=pass header.d=vtext.com"
UNPROVEN: tuple[str, str] = ("", "")  # sender, proven
NOT_ITS_PHONE = "550 5.7.1 this address takes the answers of one phone, and From is not its carrier address"
CROWDED = "451 4.7.1 enroll has taken much mail"
NO_PHONE = "550 5.7.1 enroll takes mail from a phone at its carrier's domain, and From is no such address"


def text(*to: str, author: str = "2025550112@vtext.com", at: datetime = NOON, words: str = "Done.") -> bytes:
    """What a carrier makes of a text."""
    addresses = ", ".join(f"{local}@sms.example.com" for local in to)
    return (
        f"From: {author}\r\nTo: {addresses}\r\nSubject: \r\nDate: {format_datetime(at)}\r\n"
        f"Message-ID: <1@mms.example>\r\nContent-Type: text/plain\r\n\r\n{words}\r\n"
    ).encode()


def entering(number: int, words: str = "Hello.") -> bytes:
    """What the phone 202-555-01xx writes to enroll@."""
    return text("enroll", author=f"20255501{number:02}@vtext.com", words=words)


def by_carrier(raw: bytes) -> bytes:
    return signed(raw, domain="vtext.com")


def results(*said: str) -> bytes:
    return f"Authentication-Results: mx.example.net; {'; '.join(said)}\r\n".encode()


@dataclass(slots=True)
class Entrance:
    doorman: Doorman
    spool: SqliteSpool
    reader: MailReader
    clock: FakeClock
    names: Dns
    arrived: list[Inbound] = field(default_factory=list)

    async def mail(self, raw: bytes, *to: str, peer: str = STRANGER) -> str:
        """The answer to the first recipient that is refused, else to DATA; "" where the mail was kept."""
        visit = Visit(door=Door.PUBLIC, peer=peer)
        for local in to:
            no = await self.doorman.rcpt(visit, "bounce@vtext.com", f"{local}@sms.example.com")
            if no is not None:
                return f"RCPT {no}"
        return await self.data(raw, *to, peer=peer)

    async def data(self, raw: bytes, *to: str, peer: str = STRANGER) -> str:
        """The answer to DATA alone; "" where the mail was kept."""
        recipients = tuple(Recipient(address=f"{local}@sms.example.com") for local in to)
        envelope = Envelope(mail_from="bounce@vtext.com", recipients=recipients)
        answer = await self.doorman.data(Visit(door=Door.PUBLIC, peer=peer), envelope, raw)
        return str(answer) if isinstance(answer, Refusal) else ""

    @property
    def kept(self) -> list[tuple[str, str]]:
        """(sender, proven) of what arrived."""
        return [(mail.sender, mail.proven) for mail in self.arrived if isinstance(mail, InboundMail)]


def talk(token: str, sender: str, phone: Phone, now: datetime) -> Conversation:
    return Conversation(
        id=token, sender=sender, phone=phone, job=token, number="", subject="", message_id="", references=(),
        reply_to="", opened_at=now, closes_at=now + timedelta(days=1),
    )  # fmt: skip


@pytest.fixture
async def entrance(state: Path, clock: FakeClock) -> AsyncIterator[Entrance]:
    path = state / "config.toml"
    path.write_text(CONFIG)
    config = replace(load(path), state=state)
    spool, reader = SqliteSpool(state / "gateway.db", clock=clock, floor_bytes=0), MailReader(children=1)
    await spool.open()
    now = clock.now()
    talks = tuple(talk(token, sender, phone, now) for token, (sender, phone) in TALKS.items())
    await spool.write(Writes(conversations=talks))
    async with name_server() as names:
        arrived: list[Inbound] = []
        doorman = Doorman(
            config=lambda: config,
            spool=spool,
            clock=clock,
            arrived=arrived.append,
            has_room=lambda: True,
            prover=Prover(reader, ["127.0.0.1"], port=names.port, seconds=2),
        )
        yield Entrance(doorman, spool, reader, clock, names, arrived)
    await reader.close()
    await spool.close()


async def stop(entrance: Entrance, phone: Phone) -> None:
    said = Consent(
        id="stop", brand="Example Auto", phone=phone, at=entrance.clock.now(), action="stop", method="keyword"
    )
    await entrance.spool.write(Writes(consents=(said,)))


async def test_an_employees_text_is_taken_as_nobodys_mail_where_nothing_proves_it(entrance: Entrance) -> None:
    assert "" == await entrance.mail(text(TALK), TALK)
    assert "" == await entrance.mail(text(TALK, author="Bob <+12025550112@VZWPIX.com>", words="All."), TALK.upper())
    assert [UNPROVEN, UNPROVEN] == entrance.kept
    assert [] == entrance.names.asked


async def test_the_carriers_signature_proves_it(entrance: Entrance, capsys: pytest.CaptureFixture[str]) -> None:
    entrance.names.zone[KEY] = record()

    assert "" == await entrance.mail(by_carrier(text(TALK)), TALK)
    assert [("", DKIM)] == entrance.kept
    assert "inbound.proven" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("said", "proven"),
    [
        (DKIM, DKIM),
        ("spf=pass smtp.mailfrom=2025550112@vtext.com", "spf=pass smtp.mailfrom=vtext.com"),
        ("dmarc=pass header.from=vtext.com", "dmarc=pass header.from=vtext.com"),
        ("spf=pass smtp.mailfrom=mail.example", ""),
        ("dkim=pass header.d=mail.example", ""),
    ],
)
async def test_the_results_of_the_upstream_prove_it_and_nobody_elses(
    entrance: Entrance, said: str, proven: str
) -> None:
    assert "" == await entrance.mail(results(said) + text(TALK), TALK, peer=UPSTREAM)
    assert "" == await entrance.mail(results(said) + text(TALK, words="More."), TALK)
    assert [("", proven), UNPROVEN] == entrance.kept


async def test_spf_proves_no_answer_of_the_shop(entrance: Entrance) -> None:
    raw = results("spf=pass smtp.mailfrom=shop.example.com") + text(OPEN, author="desk@shop.example.com")

    assert "550 5.7.1 this answer cannot be taken:" == (await entrance.mail(raw, OPEN, peer=UPSTREAM))[:38]


async def test_what_is_signed_but_old_or_written_to_another_is_taken_unproven(entrance: Entrance) -> None:
    entrance.names.zone[KEY] = record()

    assert "" == await entrance.mail(by_carrier(text(OPEN)), TALK)
    assert "" == await entrance.mail(by_carrier(text(TALK, at=NOON - timedelta(days=6), words="Old.")), TALK)
    assert "" == await entrance.mail(by_carrier(text(TALK)).replace(b"Done.", b"Not done."), TALK)
    assert "" == await entrance.mail(by_carrier(text(TALK, words="Yes.")), TALK, OPEN)
    assert [UNPROVEN] * 4 == entrance.kept


async def test_trouble_with_dns_keeps_no_text_out(entrance: Entrance) -> None:
    entrance.names.zone[KEY] = FAILS

    assert "" == await entrance.mail(by_carrier(text(TALK)), TALK)
    assert [UNPROVEN] == entrance.kept


async def test_a_mail_that_can_be_read_in_two_ways_is_taken_unproven(entrance: Entrance) -> None:
    entrance.names.zone[KEY] = record()

    assert "" == await entrance.mail(b"Subject: twice\r\n" + by_carrier(text(TALK)), TALK)
    assert [UNPROVEN] == entrance.kept


@pytest.mark.parametrize(
    "author",
    [
        pytest.param("2025550111@vtext.com", id="another phone"),
        pytest.param("2025550112@mail.example", id="no carrier's domain"),
        pytest.param("post_master@vtext.com", id="the carrier itself"),
        pytest.param("2025550112@vtext.com, 2025550111@vtext.com", id="two addresses"),
        pytest.param("2025550112@vtext.com\r\nFrom: 2025550112@vtext.com", id="two fields"),
        pytest.param("Bob", id="no address"),
    ],
)
async def test_an_employees_conversation_takes_texts_of_his_own_phone_alone(entrance: Entrance, author: str) -> None:
    assert NOT_ITS_PHONE == await entrance.mail(text(TALK, author=author), TALK)
    assert [] == entrance.arrived


async def test_a_customers_conversation_takes_nothing_from_a_carrier(entrance: Entrance) -> None:
    entrance.names.zone[KEY] = record()
    raw = by_carrier(text(MARIAS, author="2025550143@vtext.com"))

    assert "RCPT 550 5.7.1 +1 202-555-0143 has not agreed to texts" == (await entrance.mail(raw, MARIAS))[:54]
    assert "550 5.7.1 this answer cannot be taken: the address in From is not in answer_from of sender jobs" == (
        await entrance.data(raw, MARIAS)
    )


async def test_an_employee_who_said_stop_is_still_heard_and_no_more_written_to(entrance: Entrance) -> None:
    entrance.names.zone |= {KEY: record(), "sel._domainkey.shop.example.com": record()}
    desk = text(OPEN, author="desk@shop.example.com")

    assert "" == await entrance.mail(signed(desk), OPEN)
    await stop(entrance, BOB)
    assert "" == await entrance.mail(by_carrier(text(OPEN, words="START")), OPEN)
    assert "550 5.7.1 bob (+1 202-555-0112) said STOP" == (await entrance.mail(signed(desk), OPEN))[:41]
    assert [("jobs", "dkim=pass header.d=shop.example.com"), ("", DKIM)] == entrance.kept


async def test_every_conversation_that_a_text_reaches_must_be_its_phones(entrance: Entrance) -> None:
    assert "" == await entrance.mail(text(TALK, OPEN), TALK, OPEN)
    assert NOT_ITS_PHONE == await entrance.mail(text(TALK, ALICES), TALK, ALICES)
    assert "" == await entrance.mail(text(TALK, words="Yes."), TALK, "postmaster")
    assert 2 == len(entrance.arrived)


async def test_the_same_text_counts_once(entrance: Entrance) -> None:
    for _ in range(2):
        assert "" == await entrance.mail(text(TALK), TALK)
    assert "" == await entrance.mail(text(TALK, words="Really done."), TALK)
    entrance.clock.advance(timedelta(hours=24))
    assert "" == await entrance.mail(text(TALK), TALK)
    assert [UNPROVEN] * 3 == entrance.kept


async def test_a_proven_text_counts_once_however_it_is_dressed_up(entrance: Entrance) -> None:
    entrance.names.zone[KEY] = record()
    raw = by_carrier(text(TALK))

    assert "" == await entrance.mail(raw, TALK)
    entrance.clock.advance(timedelta(days=4))
    assert "" == await entrance.mail(raw.replace(b"<1@mms", b"<2@mms"), TALK)
    assert "" == await entrance.mail(b"X-Other: 1\r\n" + raw, TALK.upper())
    assert [("", DKIM)] == entrance.kept


async def test_mail_to_a_bounce_address_is_never_refused_and_proven_where_a_phone_wrote_it(entrance: Entrance) -> None:
    entrance.names.zone[KEY] = record()
    bounce = f"b-{next(iter(TALKS))}"
    report = text(bounce, author="post_master@vtext.com")

    assert "" == await entrance.data(by_carrier(text(bounce)), bounce)
    assert "" == await entrance.data(text(bounce, author="2025550143@vtext.com"), bounce)
    assert "" == await entrance.data(by_carrier(report), bounce)
    assert "" == await entrance.data(b"X: " + b"x" * 300_000 + b"\r\n" + report, bounce)
    assert "" == await entrance.data(by_carrier(text(bounce, TALK, words="Both.")), bounce, TALK)
    assert NOT_ITS_PHONE == await entrance.data(report, bounce, TALK)
    await entrance.reader.close()
    assert "" == await entrance.data(report, bounce)
    assert [("", DKIM), UNPROVEN, UNPROVEN, UNPROVEN, ("", DKIM), UNPROVEN] == entrance.kept


async def test_without_a_reader_a_text_is_a_matter_of_time(entrance: Entrance) -> None:
    await entrance.reader.close()

    assert "451 4.7.5" == (await entrance.mail(text(TALK), TALK))[:9]


async def test_a_phone_enters_itself_with_or_without_proof(entrance: Entrance) -> None:
    entrance.names.zone[KEY] = record()

    assert "" == await entrance.mail(text("enroll", author="2025550119@tmomail.net"), "enroll")
    assert "" == await entrance.mail(by_carrier(text("enroll", author="2025550118@vtext.com")), "Enroll")
    assert [UNPROVEN, ("", DKIM)] == entrance.kept


async def test_only_a_phone_enters_itself(entrance: Entrance) -> None:
    entrance.names.zone["sel._domainkey.shop.example.com"] = record()
    desk = signed(text("enroll", author="desk@shop.example.com"))

    assert NO_PHONE == await entrance.mail(desk, "enroll")
    assert NO_PHONE == await entrance.mail(text("enroll", author="2025550119@mail.example"), "enroll")
    assert NO_PHONE == await entrance.mail(text("enroll", author="desk@shop.example.com"), "enroll", OPEN)
    assert NO_PHONE == await entrance.mail(text("enroll", author="2025550119@vtext.com"), "enroll", TALK)
    assert [] == entrance.arrived


async def test_so_many_phones_enter_themselves_within_an_hour_and_proven_ones_are_counted_apart(
    entrance: Entrance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outside, "PROVEN_AN_HOUR", 2)
    entrance.names.zone[KEY] = record()
    for number in range(outside.UNPROVEN_AN_HOUR):
        assert "" == await entrance.mail(entering(number), "enroll")
    late = entering(99)

    assert CROWDED == (await entrance.mail(late, "enroll"))[:36]
    assert "" == await entrance.mail(by_carrier(late), "enroll")
    assert "" == await entrance.mail(by_carrier(entering(98)), "enroll")
    assert CROWDED == (await entrance.mail(by_carrier(entering(97)), "enroll"))[:36]
    assert "" == await entrance.mail(text(TALK), TALK)
    entrance.clock.advance(timedelta(hours=1))
    assert "" == await entrance.mail(entering(96), "enroll")
    assert outside.UNPROVEN_AN_HOUR + 4 == len(entrance.arrived)


async def test_one_phone_is_heard_three_times_an_hour_and_more_of_it_keeps_no_other_out(entrance: Entrance) -> None:
    entrance.names.zone[KEY] = record()
    said = [entering(19, words) for words in ("1", "2", "3", *(f"more {n}" for n in range(outside.UNPROVEN_AN_HOUR)))]

    heard = [await entrance.mail(raw, "enroll") for raw in said]
    assert [""] * 3 + [CROWDED] * outside.UNPROVEN_AN_HOUR == [answer[:36] for answer in heard]
    assert "" == await entrance.mail(by_carrier(entering(19, "It is me.")), "enroll")
    assert "" == await entrance.mail(entering(18), "enroll")


async def test_a_repeat_is_no_further_enrolment_and_what_was_not_kept_is_none(entrance: Entrance) -> None:
    for words in ("1", "1", "1", "1", "2"):
        assert "" == await entrance.mail(entering(19, words), "enroll")
    await entrance.spool.close()
    for _ in range(2):
        with pytest.raises(SpoolUnavailable):
            await entrance.data(entering(19, "3"), "enroll")
    await entrance.spool.open()
    assert "" == await entrance.mail(entering(19, "3"), "enroll")
    assert CROWDED == (await entrance.mail(entering(19, "4"), "enroll"))[:36]


async def over_the_wire(client: Client, raw: bytes, to: str) -> list[str]:
    """The answers to RCPT and to the mail."""
    await client.say("MAIL FROM:<bounce@vtext.com>")
    rcpt = await client.say(f"RCPT TO:<{to}@sms.example.com>")
    if not rcpt.startswith("250"):
        return [rcpt]
    await client.say("DATA")
    client.send(raw + b".\r\n")
    return [rcpt, await client.reply()]


async def test_over_the_wire_the_door_knows_a_phone_when_it_has_read_from(entrance: Entrance) -> None:
    entrance.names.zone[KEY] = record()
    door = MailDoor(entrance.doorman, Limits(), "mx.example.com")
    port = await door.listen("127.0.0.1", 0, Door.PUBLIC)
    async with await connect(port) as client:
        taken = await over_the_wire(client, by_carrier(text(TALK)), TALK)
        forged = await over_the_wire(client, text(TALK, author="2025550111@vtext.com"), TALK)
        nobody = await over_the_wire(client, text(TALK), "r-aaaaaaaaaaaa")
    await door.close(0)

    assert ["250 2.1.5", "250 2.0.0"] == [said[:9] for said in taken]
    assert ["250 2.1.5", "550 5.7.1"] == [said[:9] for said in forged]
    assert ["550 5.7.1"] == [said[:9] for said in nobody]
    assert [("", DKIM)] == entrance.kept
    (kept,) = await entrance.spool.unplanned(10)
    assert isinstance(kept, InboundMail)
    assert ("", DKIM, Door.PUBLIC) == (kept.sender, kept.proven, kept.door)
