from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import shop
from hypothesis import given
from hypothesis import strategies as st
from outbox import carried, paid
from shop import AGREED, ALICE, BOB, CAROL, DAVE, DAY, MARIA, NOON, PETER, RULES, entry, facts, talk

from gateway.core.address import BadAddress, ToAsk, ToConversation, ToName, ToPhone
from gateway.core.admit import SUPERSEDED, admit, answered, choices, followed, texter, wants
from gateway.core.carrier import CarrierTable
from gateway.core.facts import Facts, Needs
from gateway.core.intent import target_of
from gateway.core.model import Door, Question, Refusal
from gateway.core.route import ProviderWay
from gateway.core.rules import Rules

NOTHING = Facts()
TOKEN = "aaaaaaaaaaaaaaaa"
KNOWN = facts(entry("grant"), conversations=(talk(),), by_bounce={TOKEN: carried()}, deliveries={"m1.1.1": paid()})
PHONE, OTHER = "2025550143", "2025550144"


def answer(
    recipient: str,
    known: Facts = NOTHING,
    sender: str = "jobs",
    door: Door = Door.SUBMISSION,
    told: Rules = RULES,
) -> str:
    """The answer at RCPT: "" for welcome, else code, enhanced code and words."""
    no = admit(target_of(shop.at(recipient), told), door, told.sender(sender), known, told, NOON)
    return str(no) if no else ""


@pytest.mark.parametrize(
    ("recipient", "submission", "stranger", "public"),
    [
        pytest.param(PHONE, "", "550 5.7.1", "550 5.7.1", id="phone"),
        pytest.param("bob", "", "550 5.7.1", "550 5.7.1", id="employee"),
        pytest.param("techs", "", "550 5.7.1", "550 5.7.1", id="group"),
        pytest.param("mallory", "550 5.1.1", "550 5.7.1", "550 5.7.1", id="nobody"),
        pytest.param("2025550112@vtext.com", "", "550 5.7.1", "550 5.7.1", id="text address"),
        pytest.param("2025550143@vtext.com", "", "550 5.7.1", "550 5.7.1", id="text address of a customer"),
        pytest.param("2025550144@vtext.com", "550 5.1.1", "550 5.7.1", "550 5.7.1", id="text address of a stranger"),
        pytest.param(f"r-{TOKEN}", "", "550 5.7.1", "550 5.7.1", id="conversation"),
        pytest.param("r-bbbbbbbbbbbbbbbb", "550 5.1.1", "550 5.7.1", "550 5.7.1", id="unknown conversation"),
        pytest.param(f"b-{TOKEN}", "", "", "", id="bounce"),
        pytest.param(f"B-{TOKEN.upper()}", "", "", "", id="bounce in capitals"),
        pytest.param("b-bbbbbbbbbbbbbbbb", "550 5.1.1", "550 5.1.1", "550 5.1.1", id="unknown bounce"),
        pytest.param(f"a-{TOKEN}", "550 5.1.1", "550 5.7.1", "550 5.7.1", id="unknown question"),
        pytest.param("enroll", "550 5.1.1", "550 5.1.1", "", id="enrolment"),
        pytest.param("postmaster", "", "", "", id="postmaster"),
        pytest.param("abuse", "", "550 5.7.1", "", id="abuse"),
        pytest.param("preview+bob", "", "550 5.7.1", "550 5.7.1", id="preview"),
        pytest.param("optin+2025550143", "550 5.7.1", "550 5.7.1", "550 5.7.1", id="opt in"),
        pytest.param("optout+2025550143", "550 5.7.1", "550 5.7.1", "550 5.7.1", id="opt out"),
        pytest.param("friend@elsewhere.example", "550 5.7.1", "550 5.7.1", "550 5.7.1", id="foreign"),
        pytest.param("12", "550 5.1.3", "550 5.1.3", "550 5.1.3", id="bad number"),
        pytest.param("a%b", "550 5.1.3", "550 5.1.3", "550 5.1.3", id="bad address"),
    ],
)
def test_who_may_use_which_address_at_which_door(recipient: str, submission: str, stranger: str, public: str) -> None:
    assert submission == answer(recipient, KNOWN)[:9]
    assert submission == answer(recipient, KNOWN, door=Door.LOCAL)[:9]
    assert stranger == answer(recipient, KNOWN, sender="")[:9]
    assert public == answer(recipient, KNOWN, sender="", door=Door.PUBLIC)[:9]
    assert public == answer(recipient, KNOWN, door=Door.PUBLIC)[:9], "networks and logins do not count here"


@pytest.mark.parametrize(
    ("recipient", "known", "expected"),
    [
        pytest.param("optin+2025550143", NOTHING, "", id="opt in"),
        pytest.param("optout+2025550143", NOTHING, "", id="opt out"),
        pytest.param("optin+2025550143", facts(entry("revoke")), "", id="opt in after a revocation"),
        pytest.param(
            "optin+2025550143", facts(entry("stop")), "550 5.7.1 +1 202-555-0143 said STOP", id="after a STOP"
        ),
        pytest.param("optout+2025550143", facts(entry("stop")), "", id="opt out after a STOP"),
        pytest.param("friend@elsewhere.example", NOTHING, "", id="foreign"),
    ],
)
def test_a_sender_may_what_his_configuration_allows(recipient: str, known: Facts, expected: str) -> None:
    found = answer(recipient, known, sender="clerk")

    assert found.startswith(expected)
    assert bool(found) == bool(expected)


@pytest.mark.parametrize(
    ("recipient", "known", "words"),
    [
        pytest.param(
            PHONE, NOTHING, "5.7.1 +1 202-555-0143 has not agreed to texts: if the person agreed:", id="consent"
        ),
        pytest.param(PHONE, facts(entry("grant"), entry("stop")), "said STOP on 2026-11-22: only a START", id="STOP"),
        pytest.param(PHONE, facts(entry("grant"), entry("revoke")), "was opted out on 2026-11-22", id="revoked"),
        pytest.param("bob", facts(entry("stop", BOB)), "bob (+1 202-555-0112) said STOP", id="an employee's STOP"),
        pytest.param("2025550112@vtext.com", facts(entry("stop", BOB)), "bob (+1 202-555-0112) said STOP", id="stored"),
        pytest.param("2025550143@vtext.com", facts(entry("stop")), "said STOP on 2026-11-22", id="a customer's stored"),
        pytest.param(
            "2025550144@vtext.com",
            NOTHING,
            "belongs to no employee and to no customer who agreed",
            id="stranger's stored",
        ),
        pytest.param(
            "dave", NOTHING, "5.1.6 dave cannot be texted: AT&T closed txt.att.net on 2025-06-17", id="retired"
        ),
        pytest.param("carol", NOTHING, "5.7.1 carol cannot be texted: Unsure: nobody has confirmed", id="unverified"),
        pytest.param("friend@elsewhere.example", NOTHING, "relaying denied: friend@elsewhere.example", id="relaying"),
    ],
)
def test_a_refusal_says_why_and_what_to_do(recipient: str, known: Facts, words: str) -> None:
    found = answer(recipient, known)

    assert found.startswith("550 ")
    assert words in found


def test_a_customer_is_never_texted_by_a_carrier() -> None:
    (choice,) = found = choices(target_of("2025550143@vtext.com", RULES), None, AGREED, RULES, NOON)  # type: ignore[arg-type]

    assert not isinstance(found, Refusal)
    assert [ProviderWay] == [type(way) for way in choice.ways]


OUTSIDE = shop.sender("jobs", answer_from=("*@shop.example.com",))


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        pytest.param(facts(conversations=(talk(phone=BOB),)), "", id="employee"),
        pytest.param(facts(conversations=(talk(phone=BOB, sender=""),)), "", id="a conversation of nobody's"),
        pytest.param(facts(conversations=(talk(phone=BOB, closes_at=NOON),)), "", id="closed"),
        pytest.param(facts(entry("stop", BOB), conversations=(talk(phone=BOB),)), "", id="after a STOP"),
        pytest.param(facts(entry("grant"), conversations=(talk(),)), "550 5.7.1", id="customer"),
    ],
)
def test_an_employees_phone_may_answer_from_outside_whatever_it_said_before(known: Facts, expected: str) -> None:
    assert expected == answer(f"r-{TOKEN}", known, sender="", door=Door.PUBLIC)[:9]


def test_who_is_no_employee_any_more_does_not_answer_by_his_carrier() -> None:
    known = facts(conversations=(talk(phone=BOB),))

    assert BOB == texter(ToConversation(TOKEN), known, RULES)
    assert None is texter(ToConversation(TOKEN), known, replace(RULES, employees=()))
    assert None is texter(ToConversation(TOKEN), NOTHING, RULES)


def test_phones_enter_themselves_from_outside_where_there_are_carriers() -> None:
    said = "550 5.1.1 enrolment is not available here: the phone must text this address"

    assert "" == answer("enroll", sender="", door=Door.PUBLIC)
    assert said == answer("Enroll", door=Door.PUBLIC, told=replace(RULES, carriers=CarrierTable()))
    assert said == answer("enroll")


def question(**changes: Any) -> Facts:
    """What is known where Maria may have meant STOP, in a conversation of jobs."""
    made = Question(
        id=TOKEN, kind="stop", phone=MARIA, number="service", asked_at=NOON - DAY, closes_at=NOON + DAY, sender="jobs"
    )
    return facts(questions={TOKEN: replace(made, **changes)})


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        pytest.param(facts(entry("grant"), conversations=(talk(),)), "", id="agreed"),
        pytest.param(facts(conversations=(talk(heard_at=NOON - DAY),)), "", id="the person wrote"),
        pytest.param(facts(conversations=(talk(phone=BOB),)), "", id="employee"),
        pytest.param(
            facts(entry("stop"), conversations=(talk(),)),
            "550 5.7.1 +1 202-555-0143 said STOP on 2026-11-22: only a START from that phone lifts it",
            id="opted out",
        ),
        pytest.param(
            facts(entry("grant"), conversations=(talk(sender="desk"),)),
            "550 5.7.1 this address is not for mail from outside",
            id="a sender without answer_from",
        ),
        pytest.param(
            facts(entry("grant"), conversations=(talk(sender=""),)),
            "550 5.7.1 this address is not for mail from outside",
            id="a stranger's text to the inbox",
        ),
        pytest.param(facts(), "550 5.7.1 this address is not for mail from outside", id="unknown"),
    ],
)
def test_an_answer_from_outside_is_taken_for_senders_with_answer_from(known: Facts, expected: str) -> None:
    assert expected == answer(f"r-{TOKEN}", known, sender="", door=Door.PUBLIC, told=OUTSIDE)


@pytest.mark.parametrize(
    ("known", "inside", "outside"),
    [
        pytest.param(question(), "", "", id="open"),
        pytest.param(question(sender="desk"), "", "550 5.7.1 this address is not", id="a sender without answer_from"),
        pytest.param(question(sender=""), "", "550 5.7.1 this address is not", id="of a stranger"),
        pytest.param(
            question(answered_at=NOON, answer="no"),
            "550 5.7.1 this question has been answered",
            "550 5.7.1 this question has been answered",
            id="answered",
        ),
        pytest.param(question(closes_at=NOON), "", "550 5.7.1 this question has closed", id="closed"),
        pytest.param(question(kind="enroll", sender=""), "", "", id="an enrolment"),
        pytest.param(
            question(kind="enroll", sender="", closes_at=NOON), "", "550 5.7.1 this question has closed", id="too late"
        ),
        pytest.param(
            question(kind="enroll", sender="", answered_at=NOON, answer=SUPERSEDED),
            "550 5.7.1 this question has been superseded by a newer one",
            "550 5.7.1 this question has been superseded by a newer one",
            id="an enrolment that a newer one followed",
        ),
        pytest.param(
            question(kind="test"), "550 5.1.1 there is no such", "550 5.1.1 there is no such", id="a test of an address"
        ),
        pytest.param(
            question(kind="job"), "550 5.1.1 there is no such", "550 5.1.1 there is no such", id="asked by text"
        ),
    ],
)
def test_a_question_is_answered_once_by_those_whom_it_concerns(known: Facts, inside: str, outside: str) -> None:
    for door in (Door.SUBMISSION, Door.LOCAL):
        assert inside == answer(f"a-{TOKEN}", known, door=door, told=OUTSIDE)[: len(inside) or None]
    assert outside == answer(f"A-{TOKEN.upper()}", known, "", Door.PUBLIC, OUTSIDE)[: len(outside) or None]
    assert "550 5.7.1 you are not a known sender" == answer(f"a-{TOKEN}", known, "", told=OUTSIDE)[:36]


def test_an_enrolment_is_answered_from_outside_by_mailboxes_of_alarm_to_alone() -> None:
    phones, both = replace(RULES, alarm_to=(BOB,)), replace(RULES, alarm_to=(BOB, shop.ADMIN))
    known = question(kind="enroll", sender="")
    owner = answered(ToAsk(TOKEN), known, both)

    assert "550 5.7.1 this address is not" == answer(f"a-{TOKEN}", known, "", Door.PUBLIC, phones)[:29]
    assert ("", (shop.ADMIN,)) == (owner and (owner.name, owner.answer_from))


def test_one_member_who_cannot_be_texted_does_not_keep_the_group_out() -> None:
    told = replace(RULES, groups={"techs": ("alice", "bob", "dave"), "lost": ("dave", "carol")})

    assert "" == answer("techs", facts(entry("stop", ALICE)), told=told)
    assert "550 5.1.6" == answer("lost", told=told)[:9]


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        pytest.param(facts(conversations=(talk(heard_at=NOON - DAY),)), "", id="the person wrote"),
        pytest.param(facts(conversations=(talk(),)), "550 5.7.1", id="the person never wrote"),
        pytest.param(facts(conversations=(talk(heard_at=NOON - DAY, closes_at=NOON),)), "550 5.7.1", id="closed"),
        pytest.param(facts(entry("grant"), conversations=(talk(closes_at=NOON),)), "", id="closed, with consent"),
        pytest.param(facts(entry("stop"), conversations=(talk(heard_at=NOON),)), "550 5.7.1", id="STOP"),
    ],
)
def test_at_r_the_persons_own_text_stands_in_for_consent_until_the_conversation_closes(
    known: Facts, expected: str
) -> None:
    assert expected == answer(f"r-{TOKEN}", known)[:9]


def test_conversational_consent_counts_only_at_r() -> None:
    assert "550 5.7.1" == answer(PHONE, facts(conversations=(talk(heard_at=NOON),)))[:9]


def test_an_answer_at_r_goes_by_the_senders_number_of_the_conversation() -> None:
    known = facts(entry("grant"), conversations=(talk(sender="desk", number=""),))
    found = choices(ToConversation(TOKEN), RULES.sender("jobs"), known, RULES, NOON)

    assert not isinstance(found, Refusal)
    assert ["sales"] == [w.number.name for w in found[0].ways if isinstance(w, ProviderWay)]
    assert found[0].answering
    assert known.conversations[0] == found[0].conversation


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        pytest.param(talk(number="sales"), "service", id="open"),
        pytest.param(talk(number="sales", sender=""), "service", id="a stranger's text to the inbox"),
        pytest.param(talk(number="sales", closes_at=NOON), "sales", id="closed"),
        pytest.param(talk(number="sales", phone=PETER), "sales", id="another phone"),
    ],
)
def test_a_new_conversation_avoids_numbers_on_which_the_phone_has_another(
    other: shop.Conversation, expected: str
) -> None:
    known = facts(entry("grant"), conversations=(other,))
    found = choices(ToPhone(MARIA), RULES.sender("desk"), known, RULES, NOON, about=("desk", "new"))

    assert not isinstance(found, Refusal)
    assert expected == found[0].rule.removeprefix("customer: twilio number ")
    assert None is found[0].conversation


@pytest.mark.parametrize(
    ("closes", "expected"),
    [pytest.param(NOON + DAY, "service", id="running"), pytest.param(NOON, "sales", id="closed: as a new one")],
)
def test_a_running_conversation_keeps_its_number(closes: shop.datetime, expected: str) -> None:
    running = talk(sender="desk", number="service", closes_at=closes)
    other = talk(id="bbbbbbbbbbbbbbbb", job="other", number="service")
    known = facts(entry("grant"), conversations=(other, running))
    found = choices(ToPhone(MARIA), RULES.sender("desk"), known, RULES, NOON, about=("desk", "reminder"))

    assert not isinstance(found, Refusal)
    assert running == found[0].conversation
    assert expected == found[0].rule.removeprefix("customer: twilio number ")


def test_a_refusal_of_the_route_names_its_rule() -> None:
    found = choices(ToName("dave"), RULES.sender("jobs"), NOTHING, RULES, NOON)

    assert not isinstance(found, Refusal)
    assert ["employee dave"] == [c.rule for c in found]


def test_a_tag_names_the_number() -> None:
    found = choices(ToPhone(MARIA, "sales"), RULES.sender("jobs"), AGREED, RULES, NOON)

    assert not isinstance(found, Refusal)
    assert ["customer: twilio number sales"] == [c.rule for c in found]


def test_the_needs_are_what_is_read() -> None:
    tokens = (ToConversation(TOKEN), target_of(shop.at(f"b-{TOKEN}"), RULES))
    people = (ToName("techs"), ToName("mallory"), ToPhone(MARIA), target_of(shop.at("preview+carol"), RULES))
    rest = (target_of(shop.at("optin+2025550144"), RULES), target_of(shop.at("postmaster"), RULES), ToAsk(TOKEN))
    targets = [t for t in (*tokens, *people, *rest) if not isinstance(t, BadAddress)]
    phones = frozenset({ALICE, BOB, DAVE, MARIA, CAROL, PETER})

    assert Needs(
        phones=phones,
        threads=frozenset({ALICE, BOB, MARIA}),
        tokens=frozenset({TOKEN}),
        bounces=frozenset({TOKEN}),
        questions=frozenset({TOKEN}),
        employees=frozenset({"alice", "bob", "dave", "carol"}),
    ) == wants(targets, RULES)


def test_what_else_is_open_with_a_person_counts_only_where_there_is_a_number_to_choose() -> None:
    one = shop.rules(numbers=RULES.numbers[:1])

    assert frozenset({MARIA}) == wants([ToPhone(MARIA)], RULES).threads
    assert frozenset() == wants([ToPhone(MARIA)], one).threads
    assert frozenset() == wants([ToName("dave")], RULES).threads, "his carrier, or nothing"


def test_the_people_behind_tokens_are_read_next() -> None:
    known = facts(conversations=(talk(), talk(id="b", phone=CAROL)))

    assert Needs(phones=frozenset({MARIA, CAROL}), employees=frozenset({"carol"})) == followed(known, RULES)


@given(st.text(max_size=60), st.sampled_from(Door), st.sampled_from(["", "jobs", "clerk", "desk"]))
def test_every_address_has_an_answer(local: str, door: Door, sender: str) -> None:
    no = admit(target_of(shop.at(local), RULES), door, RULES.sender(sender), NOTHING, RULES, NOON)

    assert no is None or no.code == 550
