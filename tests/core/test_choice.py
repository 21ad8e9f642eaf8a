"""The first [[rule]] that fits counts."""

from __future__ import annotations

import pytest
from shop import rules

from gateway.core.choice import chosen
from gateway.core.rules import Rule

ANY = Rule(place="config.toml:1", klass="marketing")


def rule(**changes: tuple[str, ...]) -> Rule:
    return Rule(place="config.toml:2", numbers=("sales",), **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("found", "fits"),
    [
        (rule(), True),
        (rule(senders=("jobs", "desk")), True),
        (rule(senders=("desk",)), False),
        (rule(to=("2025550143@*",)), True),
        (rule(to=("*+Sales",)), False),
        (rule(to=("2025550143",)), True),
        (rule(to=("*@other.example", "202*@SMS.example.com")), True),
        (rule(to=("bob",)), False),
        (rule(subject=("*invoice*",)), True),
        (rule(subject=("invoice",)), False),
        (rule(subject=("estimate*", "your INVOICE *")), True),
        (rule(senders=("jobs",), to=("202*",), subject=("*paid*",)), False),
    ],
)
def test_a_rule_fits_when_all_that_it_names_does(found: Rule, fits: bool) -> None:
    expected = found if fits else ANY

    assert expected == chosen(rules(rules=(found, ANY)), "jobs", "2025550143@sms.Example.com", "Your Invoice 17")


def test_without_a_rule_that_fits_nothing_is_chosen() -> None:
    assert chosen(rules(), "jobs", "bob@sms.example.com", "") is None
    assert chosen(rules(rules=(rule(subject=("?*",)),)), "jobs", "bob", "") is None


def test_a_tag_is_part_of_what_stands_before_the_at_sign() -> None:
    tagged = rule(to=("*+sales",))

    assert tagged == chosen(rules(rules=(tagged,)), "jobs", "2025550143+Sales@sms.example.com", "")


def test_the_end_of_an_endless_subject_is_not_looked_at() -> None:
    assert chosen(rules(rules=(rule(subject=("*end",)),)), "jobs", "bob", "x" * 5_000 + "end") is None
