"""The door to the internet: what is kept of answers to r- and a-, and what each refusal says."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from signing import DOMAIN, FAILS, NAME, Dns, answer, name_server, record, signed

from gateway.config import Config, load
from gateway.core.model import Conversation, Door, Envelope, Inbound, InboundMail, Phone, Question, Recipient, Refusal
from gateway.core.work import Writes
from gateway.doorman import Doorman
from gateway.doors import Visit
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
name = "parts"
networks = ["192.0.2.11"]
answer_from = ["parts@shop.example.com"]
[[sender]]
name = "closed"
networks = ["192.0.2.12"]
"""
JOBS, PARTS, CLOSED, ASK, ENROL = "jobsjobsjobs", "partsparts", "closedclosed", "askaskaskask", "enrolenrol"
UPSTREAM, STRANGER = "192.0.2.25", "198.51.100.7"
PASS = f"Authentication-Results: mx.example.net; dkim=pass header.d={DOMAIN}\r\n".encode()
NO = "550 5.7.1 this answer cannot be taken:"
UNSIGNED = f"{NO} there is no valid DKIM signature aligned with {DOMAIN} that covers all that is read"


def to(*local: str) -> bytes:
    return answer(*(f"{one}@sms.example.com" for one in local))


MAIL = to(f"r-{JOBS}")


@dataclass(slots=True)
class Entrance:
    built: Callable[[Prover | None, Callable[[Inbound], None]], Doorman]
    prover: Prover | None
    names: Dns
    arrived: list[Inbound] = field(default_factory=list)

    async def mail(self, raw: bytes, *to: str, peer: str = STRANGER, door: Door = Door.PUBLIC) -> str:
        """The answer to DATA; "" where the mail was kept."""
        recipients = tuple(Recipient(address=f"{local}@sms.example.com") for local in to)
        envelope = Envelope(mail_from="desk@shop.example.com", recipients=recipients)
        doorman = self.built(self.prover, self.arrived.append)
        answer = await doorman.data(Visit(door=door, peer=peer), envelope, raw)
        return str(answer) if isinstance(answer, Refusal) else ""

    @property
    def senders(self) -> Sequence[str]:
        return [mail.sender for mail in self.arrived if isinstance(mail, InboundMail)]


def talk(token: str, sender: str, now: datetime) -> Conversation:
    return Conversation(
        id=token, sender=sender, phone=Phone("+12025550143"), job=token, number="", subject="", message_id="",
        references=(), reply_to="", opened_at=now, closes_at=now + timedelta(days=1),
    )  # fmt: skip


def question(now: datetime, token: str = ASK, kind: str = "stop", sender: str = "jobs") -> Question:
    return Question(
        id=token, kind=kind, phone=Phone("+12025550143"), number="", asked_at=now, closes_at=now + timedelta(days=1),
        sender=sender,
    )  # fmt: skip


@pytest.fixture
async def entrance(state: Path, clock: Any) -> AsyncIterator[Entrance]:
    path = state / "config.toml"
    path.write_text(CONFIG)
    config = replace(load(path), state=state)
    spool, reader = SqliteSpool(state / "gateway.db", clock=clock, floor_bytes=0), MailReader(children=1)
    await spool.open()
    now = clock.now()
    talks = tuple(talk(token, sender, now) for token, sender in ((JOBS, "jobs"), (PARTS, "parts"), (CLOSED, "closed")))
    asked = (question(now), question(now, ENROL, "enroll", ""))
    await spool.write(Writes(conversations=talks, questions=asked))
    async with name_server() as names:
        prover = Prover(reader, ["127.0.0.1"], port=names.port, seconds=2)
        made = Entrance(partial(doorman, config, spool, clock), prover, names)
        yield made
    await reader.close()
    await spool.close()


def doorman(
    config: Config, spool: SqliteSpool, clock: Any, prover: Prover | None, arrived: Callable[[Inbound], None]
) -> Doorman:
    return Doorman(
        config=lambda: config, spool=spool, clock=clock, arrived=arrived, has_room=lambda: True, prover=prover
    )


@pytest.mark.parametrize("local", [f"r-{JOBS}", f"R-{JOBS.upper()}", f"a-{ASK}"])
async def test_a_proven_answer_is_kept_as_the_mail_of_its_sender(
    entrance: Entrance, local: str, capsys: pytest.CaptureFixture[str]
) -> None:
    entrance.names.zone[NAME] = record()

    assert "" == await entrance.mail(signed(to(local)), local)
    assert ["jobs"] == entrance.senders
    assert f"dkim=pass header.d={DOMAIN}" in capsys.readouterr().out


async def test_the_admin_answers_about_an_enrolment_by_his_proven_mail(entrance: Entrance) -> None:
    entrance.names.zone[NAME] = record()
    raw = to(f"a-{ENROL}").replace(b"desk@", b"Admin@")

    assert f"{NO} the address in From is not in alarm_to" == await entrance.mail(signed(to(f"a-{ENROL}")), f"a-{ENROL}")
    assert UNSIGNED == await entrance.mail(raw, f"a-{ENROL}")
    assert f"{NO} a-{ENROL}@sms.example.com must be in To or Cc, and these signed" == (
        await entrance.mail(signed(MAIL.replace(b"desk@", b"admin@")), f"a-{ENROL}")
    )
    assert "" == await entrance.mail(signed(raw), f"a-{ENROL}")
    (kept,) = entrance.arrived
    assert isinstance(kept, InboundMail)
    assert ("", f"dkim=pass header.d={DOMAIN}", Door.PUBLIC) == (kept.sender, kept.proven, kept.door)


async def test_spf_proves_no_admin_and_what_else_he_answers_is_his_senders(entrance: Entrance) -> None:
    spf = b"Authentication-Results: mx.example.net; spf=pass smtp.mailfrom=shop.example.com\r\n"
    both = to(f"a-{ENROL}", f"r-{JOBS}").replace(b"desk@", b"admin@")

    assert UNSIGNED == (await entrance.mail(spf + both, f"a-{ENROL}", peer=UPSTREAM))[: len(UNSIGNED)]
    assert "" == await entrance.mail(PASS + both, f"a-{ENROL}", f"r-{JOBS}", peer=UPSTREAM)
    assert ["jobs"] == entrance.senders


async def test_an_unproven_answer_is_refused_with_what_is_missing(entrance: Entrance) -> None:
    assert UNSIGNED == await entrance.mail(MAIL, f"r-{JOBS}")
    assert UNSIGNED == await entrance.mail(MAIL, f"r-{JOBS}", "postmaster")
    assert f"{NO} the address in From is not in answer_from of sender jobs" == (
        await entrance.mail(MAIL.replace(b"shop.example.com>", b"other.example>", 1), f"r-{JOBS}")
    )
    assert [] == entrance.arrived


async def test_the_results_of_the_upstream_count_from_its_address_alone(entrance: Entrance) -> None:
    assert "" == await entrance.mail(PASS + MAIL, f"r-{JOBS}", peer=UPSTREAM)
    assert "" == await entrance.mail(PASS + MAIL + b"2\r\n", f"r-{JOBS}", peer=f"::ffff:{UPSTREAM}")
    assert UNSIGNED == await entrance.mail(PASS + MAIL, f"r-{JOBS}")
    assert f"{UNSIGNED}, and no Authentication-Results of mx.example.net that says pass" == (
        await entrance.mail(MAIL, f"r-{JOBS}", peer=UPSTREAM)
    )


async def test_trouble_with_dns_is_a_matter_of_time(entrance: Entrance) -> None:
    entrance.names.zone[NAME] = FAILS

    assert "451 4.7.5" == (await entrance.mail(signed(MAIL), f"r-{JOBS}"))[:9]


async def test_conversations_of_two_senders_are_proven_for_each(entrance: Entrance) -> None:
    entrance.names.zone[NAME] = record()
    both = to(f"r-{JOBS}", f"r-{PARTS}")
    parts = signed(both.replace(b"desk@", b"parts@"))

    assert "not in answer_from of sender parts" in await entrance.mail(signed(both), f"r-{JOBS}", f"r-{PARTS}")
    assert "" == await entrance.mail(parts, f"r-{PARTS}", f"r-{JOBS}")
    assert ["parts"] == entrance.senders


async def test_every_conversation_that_a_mail_reaches_must_be_written_to(entrance: Entrance) -> None:
    entrance.names.zone[NAME] = record()
    parts = signed(MAIL.replace(b"desk@", b"parts@"))

    assert f"{NO} r-{PARTS}@sms.example.com must be in To or Cc, and these signed" == (
        await entrance.mail(parts, f"r-{JOBS}", f"r-{PARTS}")
    )


async def test_a_proven_mail_counts_once_however_it_is_dressed_up(entrance: Entrance, clock: Any) -> None:
    entrance.names.zone[NAME] = record()
    raw = signed(MAIL)

    assert "" == await entrance.mail(raw, f"r-{JOBS}")
    clock.advance(timedelta(days=5) - timedelta(seconds=1))
    assert "" == await entrance.mail(raw, f"r-{JOBS}")
    assert "" == await entrance.mail(raw.replace(b"<1@", b"<2@").replace(b"is ready", b"is   ready"), f"R-{JOBS}")
    assert "" == await entrance.mail(b"X-Other: 1\r\n" + raw + b"\r\n", f"r-{JOBS}")
    assert ["jobs"] == entrance.senders
    clock.advance(timedelta(seconds=2))
    assert "its Date must be signed, and of the last 5 days" in await entrance.mail(raw, f"r-{JOBS}")


async def test_another_mail_with_the_same_words_is_another_answer(entrance: Entrance, clock: Any) -> None:
    entrance.names.zone[NAME] = record()
    later = answer(f"r-{JOBS}@sms.example.com", at=clock.now() + timedelta(seconds=1))

    assert "" == await entrance.mail(signed(MAIL), f"r-{JOBS}")
    assert "" == await entrance.mail(signed(later), f"r-{JOBS}")
    assert ["jobs", "jobs"] == entrance.senders


async def test_what_takes_no_answers_from_outside_any_more_is_refused(entrance: Entrance) -> None:
    for to in (f"r-{CLOSED}", "r-aaaaaaaaaaaa", "a-aaaaaaaaaaaa"):
        assert "550 5.7.1" == (await entrance.mail(signed(), to))[:9]
    assert [] == entrance.names.asked


async def test_other_mail_and_other_doors_ask_for_no_proof(entrance: Entrance) -> None:
    assert "" == await entrance.mail(MAIL, "postmaster")
    assert "" == await entrance.mail(MAIL, f"r-{JOBS}", peer="192.0.2.10", door=Door.SUBMISSION)
    assert ["", "jobs"] == entrance.senders


async def test_a_house_without_a_prover_takes_no_answers_from_outside(entrance: Entrance) -> None:
    entrance.prover = None

    assert "550 5.7.1 answers from outside are not taken here" == await entrance.mail(signed(), f"r-{JOBS}")
