"""What a first read leads to, and that nothing is read twice."""

from __future__ import annotations

from dataclasses import replace

from outbox import carried, message, paid
from shop import BOB, CAROL, MARIA, NOON, RULES, facts, talk

from gateway.core.facts import Facts, Needs
from gateway.core.follow import further
from gateway.core.model import Kind, Question
from gateway.core.work import Delivery

BOUNCE, TALK = "bbbbbbbbbbbbbbbb", "aaaaaaaaaaaaaaaa"
REPORT = Needs(bounces=frozenset({BOUNCE}))


def about(delivery: Delivery, person: str = "") -> Facts:
    """What a mail to the b- address of this delivery finds."""
    text = message(phone=delivery.phone, person=person, kind=delivery.kind)
    return replace(facts(), by_bounce={BOUNCE: delivery}, messages={"m1.1": text})


BEHIND = Needs(phones=frozenset({BOB}), employees=frozenset({"bob"}), deliveries=frozenset({"m1.1.2", "m1.1.1-2"}))


def test_a_report_about_a_carrier_text_leads_to_its_person_its_fallback_and_its_next_part() -> None:
    later = replace(BEHIND, deliveries=frozenset({"m1.1.2", "m1.1.1-4"}))

    assert BEHIND == further(about(carried(number="@vtext.com"), "bob"), REPORT, RULES)
    assert later == further(about(carried(id="m1.1.1-3", number="@vtext.com"), "bob"), REPORT, RULES)


def test_an_answer_of_the_phone_that_was_texted_leads_to_its_conversation_and_to_what_it_was_asked() -> None:
    texted = about(carried(number="@vtext.com"), "bob")
    found = replace(BEHIND, asked=frozenset({BOB}), tokens=frozenset({TALK}))

    assert found == further(texted, replace(REPORT, phones=frozenset({BOB})), RULES)
    assert BEHIND == further(texted, replace(REPORT, phones=frozenset({MARIA})), RULES)


def test_a_mail_about_a_mail_to_a_mailbox_leads_to_nothing() -> None:
    mailed = paid(kind=Kind.REPLY, courier="mail", number="", phone=None, person="bob", to="jobs@shop.example.com")

    assert Needs() == further(about(mailed, "bob"), REPORT, RULES)
    assert Needs() == further(facts(), REPORT, RULES)


def question(kind: str, **changes: object) -> Question:
    made = Question(id="q" * 16, kind=kind, phone=CAROL, number="", asked_at=NOON, closes_at=NOON)
    return replace(made, **changes)  # type: ignore[arg-type]


def test_a_question_leads_to_the_person_it_is_about() -> None:
    asked = replace(facts(), questions={"q" * 16: question("enroll")})
    found = Needs(phones=frozenset({CAROL}), employees=frozenset({"carol"}))

    assert found == further(asked, Needs(questions=frozenset({"q" * 16})), RULES)


def test_what_waits_for_an_answer_is_read_and_an_address_is_no_conversation() -> None:
    job = question("job", id="j" * 16, options=("c1", "c2"), deliveries=("m7.1.1",))
    test = question("test", options=("2025550113@txt.unsure.example",))
    known = replace(facts(), questions={q.id: q for q in (job, test)})
    wanted = Needs(phones=frozenset({CAROL}), asked=frozenset({CAROL}))

    assert Needs(deliveries=frozenset({"m7.1.1"}), tokens=frozenset({"c1", "c2"})) == further(known, wanted, RULES)


def test_what_was_asked_for_already_is_not_read_again() -> None:
    known = facts(conversations=(talk(phone=BOB),))
    wanted = Needs(tokens=frozenset({TALK}), phones=frozenset({BOB}), employees=frozenset({"bob"}))

    assert Needs() == further(known, wanted, RULES)
    assert frozenset({MARIA}) == further(facts(conversations=(talk(),)), wanted, RULES).phones


def test_an_answer_leads_to_what_was_said_to_its_phone_and_the_door_does_not_ask() -> None:
    known = facts(conversations=(talk(phone=BOB), talk(id="b" * 16)))
    door = Needs(tokens=frozenset({TALK}))

    assert frozenset({BOB}) == further(known, replace(door, spoken=frozenset({TALK.upper()})), RULES).said
    assert frozenset() == further(known, door, RULES).said
