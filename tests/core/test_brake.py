"""The flood brake, and mails through plan.make that meet it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import shop
from outbox import texts
from shop import (
    ADMIN,
    BOB,
    JOBS,
    MARIA,
    MINUTE,
    NOON,
    SERVICE,
    entry,
    facts,
    mail,
    picture,
    planned,
    reading,
    said,
    talk,
)

from gateway.core import brake
from gateway.core.model import Fate, Kind, Phone, Said
from gateway.core.rules import PolicyRules, Rules, TextRules
from gateway.core.work import Delivery, Plan

BRAKED = shop.rules(policy=PolicyRules(flood_per_minute=5))
WORDS = "Your car is ready."


def why(*known: Said, count: int = 0, before: int = 0, sender: str = "jobs") -> str:
    told = facts(said={MARIA: known}, floods={"jobs": count})
    return brake.brakes(sender, MARIA, {WORDS}, before, told, BRAKED, NOON)


@pytest.mark.parametrize(
    ("count", "before", "held"),
    [(4, 0, False), (5, 0, True), (3, 1, False), (3, 2, True), (0, 5, True)],
    ids=["the last that goes", "one too many", "with one of the same mail", "with two of the same mail", "one mail"],
)
def test_a_sender_has_so_many_texts_a_minute(count: int, before: int, held: bool) -> None:
    assert held == why(count=count, before=before).startswith("flood: sender jobs has sent 5 texts")
    assert held == bool(why(count=count, before=before))


def test_each_sender_has_a_brake_of_its_own() -> None:
    assert "" == why(count=9, sender="desk")


@pytest.mark.parametrize(
    ("known", "held"),
    [
        pytest.param([], False, id="none"),
        pytest.param([said()], True, id="the same a minute ago"),
        pytest.param([said("Your bike is ready.")], False, id="other words"),
        pytest.param([said(sender="desk")], False, id="of another sender"),
        pytest.param([said(kind=Kind.ANSWER)], False, id="an answer of the machine"),
        pytest.param([said(fate=Fate.REFUSED)], False, id="that did not go"),
        pytest.param([said(at=NOON - 10 * MINUTE)], False, id="ten minutes ago"),
        pytest.param([said(at=NOON - 10 * MINUTE + timedelta(seconds=1))], True, id="a second less"),
        pytest.param([said(fate=Fate.HELD)], True, id="that is held"),
    ],
)
def test_the_same_text_goes_to_a_phone_once(known: list[Said], held: bool) -> None:
    assert held == bool(why(*known))


def test_the_reason_names_the_one_that_went_and_counts_those_that_did_not() -> None:
    sent = said(at=NOON - 3 * MINUTE)
    held = [said(at=NOON - n * MINUTE, fate=Fate.HELD) for n in (1, 2)]

    assert "flood: the same text went to this phone at 16:57:00 UTC; this is number 4" == why(*held, sent)
    assert "at 16:58:00 UTC; this is number 3" in why(*held)


def test_the_reason_says_where_none_has_gone_yet() -> None:
    held = [said(at=NOON - n * MINUTE, fate=Fate.HELD) for n in (1, 2)]

    assert "flood: the same text to this phone is held, since one came at 16:58:00 UTC; this is number 3" == why(*held)


INTRODUCING = replace(BRAKED, public_url="https://sms.example.com", text=TextRules())
FIRST = "Example Auto: Your car is ready. Reply HELP for help, STOP to opt out."


@pytest.mark.parametrize(
    ("text", "held"),
    [
        pytest.param(FIRST, True, id="as a first text"),
        pytest.param(f"{FIRST}\nhttps://sms.example.com/media/aaaa/car.pdf", True, id="with a link"),
        pytest.param(f"{WORDS}\nhttps://sms.example.com/media/aaaa/car.pdf", True, id="later, with a link"),
        pytest.param(f"{WORDS} Bring the key.", False, id="with more words"),
        pytest.param(f"{WORDS}\nhttps://shop.example.com/media/map", False, id="with a link of the shop's own"),
    ],
)
def test_neither_the_words_of_a_first_text_nor_links_make_another_text(text: str, held: bool) -> None:
    known = facts(entry("grant"), said={MARIA: (said(text),)}, introduced=frozenset({(SERVICE, MARIA)}))
    (made,) = [d for d in planned(mail("2025550143"), known, INTRODUCING).writes.deliveries if d.kind is Kind.TEXT]

    assert ("flood" if held else "") == made.reason


def test_a_text_that_made_room_for_its_link_is_the_same_again() -> None:
    told = replace(INTRODUCING, text=TextRules(max_segments=2, too_long="cut"))
    read, pdf = reading(text="A long tale of brakes. " * 40, pictures=1), picture("application/pdf", "order.pdf")
    known = facts(entry("grant"))
    once = planned(mail("2025550143"), known, told, read, pictures=(pdf,)).writes.messages[0].text
    after = replace(known, said={MARIA: (said(once),)}, introduced=frozenset({(SERVICE, MARIA)}))
    made = planned(mail("2025550143"), after, told, read, pictures=(pdf,)).writes

    assert once.startswith("Example Auto: A long tale")
    assert "/media/" in once
    assert ["flood"] == [d.reason for d in made.deliveries if d.kind is Kind.TEXT]


def test_pictures_without_words_are_counted_and_not_compared() -> None:
    told = replace(INTRODUCING, text=TextRules(first=""))
    known = facts(entry("grant"), said={MARIA: (said(""),)})
    made = planned(mail("2025550143"), known, told, reading(subject="", text="", pictures=1), pictures=(picture(),))

    assert ["waiting"] == [d.fate.value for d in made.writes.deliveries if d.kind is Kind.TEXT]


def test_without_a_brake_nothing_is_held() -> None:
    known = facts(said={MARIA: (said(),)}, floods={"jobs": 9999})

    assert "" == brake.brakes("jobs", MARIA, {WORDS}, 99, known, shop.RULES, NOON)


def test_a_flood_is_held_and_told_once_an_hour() -> None:
    known = facts(entry("grant"), floods={"jobs": 5})
    made = [planned(mail("2025550143", "bob", id=ident), known, BRAKED) for ident in ("m1", "m2")]
    held = [d for p in made for d in p.writes.deliveries if d.fate is Fate.HELD]
    alarms = [m for p in made for m in p.writes.messages if m.kind is Kind.ALARM]

    assert [MARIA, "2025550112@vtext.com"] * 2 == [d.to for d in held]
    assert {"flood"} == {d.reason for d in held}
    assert [] == [t for p in made for t in texts(p)]
    assert {"alarm.flood.jobs.2026-11-23-17.1"} == {m.id for m in alarms}
    assert {ADMIN} == {m.recipient for m in alarms}
    assert "gateway queue release --sender jobs" in alarms[0].text
    assert alarms[0].id != brake.summary("jobs", "", NOON + timedelta(hours=1))[0]


def test_a_mail_to_many_is_held_from_where_it_is_too_many() -> None:
    told = shop.rules(policy=PolicyRules(flood_per_minute=2))
    made = planned(mail("bob", "2025550143", "alice"), facts(entry("grant")), told)

    assert ["waiting", "waiting", "held"] == [d.fate.value for d in made.writes.deliveries if d.kind is Kind.TEXT]


def test_what_a_person_answers_meets_no_brake() -> None:
    talks = (talk(heard_at=NOON), talk(id="bbbbbbbbbbbbbbbb", phone=BOB, heard_at=NOON))
    known = facts(conversations=talks, floods={"jobs": 99})

    assert [MARIA] == [d.to for d in texts(planned(mail("r-aaaaaaaaaaaaaaaa"), known, BRAKED))]


HOUR = timedelta(hours=1)
TALK = "aaaaaaaaaaaaaaaa"
ACK = "We have received your mail."


def round_of(text: str = ACK, **changes: Any) -> Said:
    """What the conversation texted a minute ago."""
    return said(text, **{"conversation": TALK, **changes})


def answered(*known: Said, told: Rules = shop.RULES, phone: Phone = MARIA, words: str = ACK) -> Plan:
    """The plan for one more answer at r- that says `words`."""
    talks = (talk(heard_at=NOON, phone=phone),)
    known_facts = facts(conversations=talks, said={phone: known})
    return planned(mail(f"r-{TALK}"), known_facts, told, reading(answer=words))


def of_kind(plan: Plan, kind: Kind) -> list[Delivery]:
    return [d for d in plan.writes.deliveries if d.kind is kind]


def numbered(count: int, **changes: Any) -> list[Said]:
    """So many texts, no two alike."""
    return [round_of(f"Ticket {n}.", **changes) for n in range(count)]


@pytest.mark.parametrize(
    ("known", "held"),
    [
        pytest.param([], False, id="the first"),
        pytest.param([round_of()], True, id="the same sentence"),
        pytest.param([round_of(at=NOON - 10 * MINUTE)], False, id="the same sentence ten minutes ago"),
        pytest.param([round_of(at=NOON - 10 * MINUTE)] * 3, True, id="the fourth alike"),
        pytest.param([round_of(at=NOON - HOUR)] * 3, False, id="an hour ago"),
        pytest.param([round_of(at=NOON - HOUR + timedelta(seconds=1))] * 3, True, id="a second less"),
        pytest.param([round_of(conversation="bbbbbbbbbbbbbbbb")] * 3, False, id="of another conversation"),
        pytest.param([round_of(kind=Kind.ANSWER)] * 3, False, id="an answer of the gateway"),
        pytest.param([round_of(fate=Fate.CANCELLED)] * 3, False, id="that did not go"),
        pytest.param([round_of(fate=Fate.HELD)], True, id="that is held"),
        pytest.param(numbered(19), False, id="the twentieth"),
        pytest.param(numbered(20), True, id="the twenty-first"),
        pytest.param(numbered(20, at=NOON - 10 * MINUTE), False, id="ten minutes ago"),
    ],
)
@pytest.mark.parametrize(("phone", "courier"), [(MARIA, "twilio"), (BOB, "mail")], ids=["paid", "carrier"])
def test_two_machines_that_answer_each_other_come_to_an_end(
    known: list[Said], held: bool, phone: Phone, courier: str
) -> None:
    (made,) = of_kind(answered(*known, phone=phone), Kind.TEXT)

    assert courier == made.courier
    assert (Fate.HELD, "flood") == (made.fate, made.reason) if held else made.fate is Fate.WAITING
    assert held == made.note.startswith("flood: ")


@pytest.mark.parametrize(("before", "held"), [(2, False), (3, True)])
def test_a_word_may_be_said_again_and_a_fourth_time_within_an_hour_is_a_machines(before: int, held: bool) -> None:
    (made,) = of_kind(answered(*[round_of("Yes")] * before, words="Yes"), Kind.TEXT)

    assert held == (made.fate is Fate.HELD)


def test_answers_that_are_held_are_told_to_the_admin_and_their_author_once() -> None:
    first = answered(*[round_of()] * 3)
    (alarm,) = [m for m in first.writes.messages if m.kind is Kind.ALARM]
    (report,) = [m for m in first.writes.messages if m.kind is Kind.REPORT]
    second = answered(*[round_of()] * 3, round_of(fate=Fate.HELD))

    assert f"alarm.flood.{TALK}.2026-11-23-17.1" == alarm.id
    assert "Answers to +1 202-555-0143 are held: too many alike" == alarm.subject
    assert "gateway queue release m1.1\n" in alarm.text
    assert f"gateway trace {TALK}\n" in alarm.text
    assert "flood: this conversation has had the same sentence within 10 minutes" in alarm.text
    assert (JOBS, "m1.1.held") == (report.recipient, report.id)
    assert [alarm.id] == [m.id for m in second.writes.messages if m.kind is Kind.ALARM]
    assert [] == of_kind(second, Kind.REPORT)


def test_an_answer_with_pictures_and_no_words_is_counted_and_not_compared() -> None:
    public = shop.rules(public_url="https://sms.example.com")
    talks = (talk(heard_at=NOON),)
    known = facts(conversations=talks, said={MARIA: [round_of("")] * 19})
    made = planned(mail(f"r-{TALK}"), known, public, reading(answer="", pictures=1), pictures=(picture(),))

    assert [Fate.WAITING] == [d.fate for d in of_kind(made, Kind.TEXT)]
