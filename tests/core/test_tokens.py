"""A plan never runs out of the tokens that were asked for."""

from __future__ import annotations

from dataclasses import replace

import pytest
from shop import facts, mail, planned, reading
from shop import rules as shop_rules

from gateway.core.intent import needs, understand
from gateway.core.model import Fate, Kind, Phone
from gateway.core.rules import Employee, PolicyRules, TextRules


@pytest.mark.parametrize(("segments", "phones"), [(1, 1), (1, 3), (3, 2), (6, 1), (6, 3)])
def test_a_group_that_the_brake_holds_has_an_alarm_for_each_text_and_phone(segments: int, phones: int) -> None:
    crew = tuple(
        Employee(name=f"tech{n}", phone=Phone(f"+120255501{n + 60}"), carrier="verizon", channel="sms")
        for n in range(10)
    )
    rules = shop_rules(
        policy=PolicyRules(flood_per_minute=5),
        text=TextRules(max_segments=segments, first=""),
        employees=crew,
        groups={"crew": tuple(one.name for one in crew)},
        alarm_to=tuple(str(one.phone) for one in crew[:phones]),
    )
    came, read = mail("crew"), reading(text="word " * (22 * segments))
    wanted = needs(understand(came, read, rules), came, read, rules).fresh
    known = replace(facts(floods={"jobs": 9}), fresh=tuple(f"tok{n:05d}" for n in range(wanted)))

    made = planned(came, known, rules, read).writes

    assert {d.fate for d in made.deliveries if d.kind is Kind.TEXT} == {Fate.HELD}
    assert all(conversation.id for conversation in made.conversations)
