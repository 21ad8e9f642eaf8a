"""The tables of the configuration, by name and by phone."""

from __future__ import annotations

from dataclasses import replace

import shop
from shop import ALICE, BOB, RULES, SERVICE

from gateway.core.rules import Employee, Template


def test_each_is_found_by_its_name_and_by_its_phone() -> None:
    wash = Template(place="config.toml:9", name="wash", text="Washed.")
    rules = shop.rules(templates=(wash,))

    assert (rules.senders[0], rules.numbers[0], rules.employees[1]) == (
        rules.sender("jobs"),
        rules.number("service"),
        rules.employee("bob"),
    )
    assert (rules.numbers[0], rules.employees[1], wash) == (
        rules.number_at(SERVICE),
        rules.employee_at(BOB),
        rules.template("wash"),
    )
    assert rules.sender("") is rules.number("x") is rules.employee_at(SERVICE) is rules.template("") is None


def test_of_two_with_one_phone_the_first_counts() -> None:
    two = (Employee(name="ann", phone=BOB), Employee(name="ben", phone=BOB))

    assert two[0] == shop.rules(employees=two).employee_at(BOB)


def test_rules_that_are_changed_know_their_own_tables() -> None:
    changed = replace(RULES, employees=(Employee(name="new", phone=ALICE),))

    assert ("new", None) == (getattr(changed.employee_at(ALICE), "name", ""), changed.employee("bob"))
    assert changed != RULES
    assert replace(changed, employees=RULES.employees) == RULES
