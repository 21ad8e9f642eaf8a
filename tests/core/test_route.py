from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest
import shop
from shop import ALICE, BOB, BRITON, CAROL, DAVE, ERIN, MARIA, NOON, PETER, RULES

from gateway.core.address import TextAddress, ToName, ToPhone
from gateway.core.model import Confirmation, Conversation
from gateway.core.route import CarrierWay, NoWay, Person, Pool, ProviderWay, Way, persons, ways
from gateway.core.rules import Employee, Rules

TODAY = date(2026, 11, 23)
CONFIRMED = Confirmation(employee="carol", address="2025550113@txt.unsure.example", at=NOON, by="admin")


def person(name: str, told: Rules = RULES) -> Person:
    employee = told.employee(name)
    assert employee is not None
    return Person(phone=employee.phone, employee=employee)


def found(who: Person, told: Rules = RULES, **more: object) -> tuple[Way, ...] | NoWay:
    sender = told.sender(str(more.pop("sender", "jobs")))
    return ways(who, sender, told, today=TODAY, **more)  # type: ignore[arg-type]


def told(way: Way) -> str:
    """The address of a carrier's gateway, or the name of our number."""
    return way.address if isinstance(way, CarrierWay) else way.number.name


def names(result: tuple[Way, ...] | NoWay) -> list[str]:
    assert not isinstance(result, NoWay), result.reason
    return [told(way) for way in result]


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        pytest.param(ToName("bob"), [BOB], id="an employee"),
        pytest.param(ToName("techs"), [ALICE, BOB, DAVE], id="a group"),
        pytest.param(ToName("twins"), [BOB], id="a group that names one twice"),
        pytest.param(ToPhone(MARIA), [MARIA], id="a phone"),
        pytest.param(ToPhone(MARIA, "sales"), [MARIA], id="a phone and a number"),
        pytest.param(TextAddress(ALICE, "txt.att.net"), [ALICE], id="a text address"),
    ],
)
def test_an_address_leads_to_phones_each_once(target: ToName | ToPhone | TextAddress, expected: list[str]) -> None:
    people = persons(target, RULES)

    assert not isinstance(people, NoWay)
    assert expected == [p.phone for p in people]
    assert [RULES.employee_at(p.phone) for p in people] == [p.employee for p in people]


def test_of_two_employees_with_one_phone_the_first_is_meant() -> None:
    twice = replace(
        RULES, employees=(*RULES.employees, Employee(name="bert", phone=BOB)), groups={"b": ("bert", "bob")}
    )

    people = persons(ToName("b"), twice)

    assert not isinstance(people, NoWay)
    assert ["bert"] == [p.employee.name for p in people if p.employee]


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        pytest.param(ToName("mallory"), "mallory is neither an employee nor a group", id="name"),
        pytest.param(ToPhone(MARIA, "salse"), "no number or template named salse (known: service, sales)", id="tag"),
    ],
)
def test_an_address_that_leads_to_nobody_says_so(target: ToName | ToPhone, reason: str) -> None:
    result = persons(target, RULES)

    assert isinstance(result, NoWay)
    assert reason in result.reason


def test_without_numbers_no_tag_is_known() -> None:
    result = persons(ToPhone(MARIA, "sales"), shop.rules(numbers=()))

    assert isinstance(result, NoWay)
    assert "(known: none)" in result.reason


def test_a_text_address_shows_as_it_was_stored() -> None:
    (american,) = persons(TextAddress(ALICE, "txt.att.net"), RULES)  # type: ignore[misc]
    (british,) = persons(TextAddress(BRITON, "txt.att.net"), RULES)  # type: ignore[misc]

    assert ("2025550111@txt.att.net", "447400123456@txt.att.net") == (american.stored, british.stored)


@pytest.mark.parametrize(
    ("who", "expected"),
    [
        pytest.param(person("bob"), ["2025550112@vtext.com", "service"], id="a good carrier, then the fallback"),
        pytest.param(person("bob", shop.employee("bob", fallback="none")), ["2025550112@vtext.com"], id="no fallback"),
        pytest.param(person("alice"), ["service"], id="a retired carrier falls back"),
        pytest.param(person("erin"), ["service"], id="no carrier"),
        pytest.param(person("erin", shop.employee("erin", fallback="none")), ["service"], id="no carrier, no fallback"),
        pytest.param(Person(phone=MARIA), ["service"], id="a customer"),
        pytest.param(Person(phone=MARIA, tag="sales"), ["sales"], id="a customer by the number that is asked for"),
        pytest.param(
            replace(person("alice"), tag="sales"), ["sales"], id="an employee by the number that is asked for"
        ),
    ],
)
def test_the_ways_to_a_person_best_first(who: Person, expected: list[str]) -> None:
    assert expected == names(found(who))


@pytest.mark.parametrize(
    ("name", "changes", "code", "reason"),
    [
        pytest.param("dave", {}, "5.1.6", "AT&T closed txt.att.net on 2025-06-17; no fallback is set", id="retired"),
        pytest.param("carol", {}, "5.7.1", "gateway carriers confirm carol", id="unverified"),
        pytest.param("dave", {"carrier": "lost"}, "5.1.1", "carrier lost has no sms gateway", id="unknown carrier"),
        pytest.param("dave", {"carrier": "verizon", "channel": "mms"}, "5.1.1", "has no mms gateway", id="channel"),
        pytest.param("dave", {"carrier": "dark"}, "5.1.6", "not known how Dark writes its sms addresses", id="dark"),
        pytest.param("bob", {"phone": BRITON, "fallback": "none"}, "5.1.3", "no number of this country", id="country"),
        pytest.param("bob", {"phone": BRITON}, "5.1.3", "is a number of GB", id="country, nor does the fallback"),
        pytest.param("erin", {"phone": BRITON}, "5.1.1", "is a number of GB", id="the fallback is no way either"),
    ],
)
def test_an_employee_without_a_way_is_refused_with_the_reason(
    name: str, changes: dict[str, str], code: str, reason: str
) -> None:
    changed = shop.employee(name, **changes)
    result = found(person(name, changed), changed)

    assert isinstance(result, NoWay)
    assert code == result.code
    assert f"{name} cannot be texted: " in result.reason
    assert reason in result.reason


@pytest.mark.parametrize(
    ("number", "barred", "expected", "said"),
    [
        pytest.param("service", (), "service", ", of the open conversation, not sales", id="another number is named"),
        pytest.param("sales", (), "sales", "", id="the same number is named"),
        pytest.param("", (), "sales", "", id="a conversation by carrier has none"),
        pytest.param("service", ("service",), "sales", "", id="the provider takes no text by its number"),
    ],
)
def test_an_open_conversation_keeps_its_number_whatever_the_address_names(
    number: str, barred: tuple[str, ...], expected: str, said: str
) -> None:
    who, told = Person(phone=MARIA, tag="sales"), Pool(barred=frozenset(barred))
    made = ways(who, None, RULES, today=TODAY, conversation=shop.talk(number=number), pool=told)

    assert isinstance(made, tuple)
    assert f"customer: twilio number {expected}{said}" == made[0].rule


def test_an_unverified_carrier_works_for_exactly_the_address_that_was_confirmed() -> None:
    other = replace(CONFIRMED, address="2025550113@elsewhere.example")

    assert ["2025550113@txt.unsure.example"] == names(found(person("carol"), confirmation=CONFIRMED))
    assert isinstance(found(person("carol"), confirmation=other), NoWay)
    assert isinstance(found(person("carol"), confirmation=None), NoWay)


GONE = Confirmation(
    employee="bob",
    address="2025550112@vtext.com",
    at=NOON,
    by="vtext.com",
    works=False,
    how="bounce",
    note="550 no user",
)


@pytest.mark.parametrize(
    ("changes", "word", "expected", "rule"),
    [
        pytest.param(
            {}, GONE, ["service"],
            "employee bob: its address came back on 2026-11-23: 550 no user; fallback twilio number service",
            id="the provider goes in its place",
        ),
        pytest.param(
            {}, replace(GONE, note=""), ["service"],
            "employee bob: its address came back on 2026-11-23; fallback twilio number service", id="without a word",
        ),
        pytest.param(
            {"fallback": "none"}, GONE, ["2025550112@vtext.com"],
            "employee bob: carrier verizon.sms (active); its address came back on 2026-11-23: 550 no user, and no "
            "other way is open", id="nothing else is open",
        ),
        pytest.param(
            {}, replace(GONE, address="2025550112@elsewhere.example"), ["2025550112@vtext.com", "service"],
            "employee bob: carrier verizon.sms (active)", id="another address",
        ),
        pytest.param(
            {}, replace(GONE, works=True), ["2025550112@vtext.com", "service"],
            "employee bob: carrier verizon.sms (active)", id="it was proven since",
        ),
    ],
)  # fmt: skip
def test_an_address_that_came_back_is_left_out_while_another_way_is_open(
    changes: dict[str, str], word: Confirmation, expected: list[str], rule: str
) -> None:
    told = shop.employee("bob", **changes)
    result = found(person("bob", told), told, confirmation=word)

    assert expected == names(result)
    assert not isinstance(result, NoWay)
    assert rule == result[0].rule


def test_an_unverified_carrier_is_not_confirmed_by_an_address_that_came_back() -> None:
    assert isinstance(found(person("carol"), confirmation=replace(CONFIRMED, works=False)), NoWay)


def test_a_carrier_whose_mail_domain_is_dead_is_no_way() -> None:
    told = shop.rules(dead={"vtext.com": "null MX"})
    alone = replace(told, employees=shop.employee("bob", fallback="none").employees)
    result, refused = found(person("bob", told), told), found(person("bob", alone), alone)

    assert ["service"] == names(result)
    assert not isinstance(result, NoWay)
    why = "Verizon's mail domain vtext.com takes no mail: null MX"
    assert f"employee bob: {why}; fallback twilio number service" == result[0].rule
    assert isinstance(refused, NoWay)
    assert ("5.1.2", True) == (refused.code, why in refused.reason)


@pytest.mark.parametrize(
    ("conversation", "busy", "sender", "expected"),
    [
        pytest.param(None, [], "desk", "sales", id="the first of the pool"),
        pytest.param(None, ["sales"], "desk", "service", id="a number that is busy is avoided"),
        pytest.param(None, ["sales", "service"], "desk", "sales", id="all are busy"),
        pytest.param(shop.talk(number="service"), ["sales"], "desk", "service", id="a running conversation keeps it"),
        pytest.param(shop.talk(number="service"), ["service"], "desk", "service", id="even when it is busy"),
        pytest.param(shop.talk(number=""), [], "desk", "sales", id="a conversation by carrier has none"),
        pytest.param(shop.talk(number="gone"), [], "desk", "sales", id="a number that is no more"),
        pytest.param(None, ["service"], "jobs", "service", id="no pool: the first number"),
        pytest.param(None, [], "nobody", "service", id="no sender"),
    ],
)
def test_the_number_of_a_pool(conversation: Conversation | None, busy: list[str], sender: str, expected: str) -> None:
    result = found(Person(phone=MARIA), sender=sender, conversation=conversation, pool=Pool(busy=frozenset(busy)))

    assert [expected] == names(result)


@pytest.mark.parametrize(
    ("who", "changed", "code", "reason"),
    [
        pytest.param(Person(phone=MARIA), shop.rules(numbers=()), "5.3.5", "no [[number]] is configured", id="number"),
        pytest.param(
            Person(phone=MARIA), shop.rules(providers=frozenset()), "5.3.5", "no [twilio] account", id="account"
        ),
        pytest.param(Person(phone=BRITON), RULES, "5.7.1", "countries allows US, CA", id="country"),
        pytest.param(person("alice"), shop.rules(numbers=()), "5.1.6", "; no [[number]] is configured", id="fallback"),
    ],
)
def test_a_paid_way_that_is_closed_says_why(who: Person, changed: Rules, code: str, reason: str) -> None:
    result = found(who, changed)

    assert isinstance(result, NoWay)
    assert code == result.code
    assert reason in result.reason


@pytest.mark.parametrize(
    ("who", "rule"),
    [
        pytest.param(person("bob"), "employee bob: carrier verizon.sms (active)", id="carrier"),
        pytest.param(
            replace(person("alice"), stored="2025550111@txt.att.net"),
            "employee alice, stored as 2025550111@txt.att.net: AT&T closed txt.att.net on 2025-06-17; "
            "fallback twilio number service",
            id="fallback of a stored address",
        ),
        pytest.param(Person(phone=PETER), "customer: twilio number service", id="customer"),
    ],
)
def test_the_rule_that_chose_is_named(who: Person, rule: str) -> None:
    result = found(who)

    assert not isinstance(result, NoWay)
    assert rule == result[0].rule


def test_the_second_way_of_an_employee_is_his_fallback() -> None:
    result = found(person("bob"))

    assert not isinstance(result, NoWay)
    assert isinstance(result[1], ProviderWay)
    assert "employee bob: fallback twilio number service" == result[1].rule


def test_the_people_are_of_two_kinds() -> None:
    assert ("employee", "customer") == (person("carol").kind, Person(phone=CAROL).kind)
    assert ERIN == person("erin").phone
