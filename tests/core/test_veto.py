"""The last moment before sending: policy once more, and the budget."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from outbox import carried, message, paid, told_to
from shop import ADMIN, BOB, JOBS, NOON, RULES, entry, facts, talk

from gateway.core import verdict
from gateway.core.model import Fate, Kind
from gateway.core.work import Delivery, Writes


@pytest.mark.parametrize(
    ("delivery", "conversation", "entries", "why"),
    [
        pytest.param(paid(), None, ["grant"], None, id="consent"),
        pytest.param(paid(), None, [], "has not agreed to texts", id="no consent"),
        pytest.param(paid(), None, ["grant", "stop"], "said STOP on 2026-11-22", id="a STOP came"),
        pytest.param(paid(), None, ["grant", "revoke"], "was opted out on 2026-11-22", id="a revocation came"),
        pytest.param(paid(conversational=True), talk(heard_at=NOON), [], None, id="an answer"),
        pytest.param(paid(), talk(heard_at=NOON), [], "has not agreed to texts", id="no answer"),
        pytest.param(
            paid(conversational=True), talk(heard_at=NOON, closes_at=NOON), [], "has not agreed to texts", id="closed"
        ),
        pytest.param(paid(conversational=True), talk(heard_at=NOON), ["stop"], "said STOP on 2026-11-22", id="STOP"),
        pytest.param(paid(kind=Kind.REPLY, phone=None), None, ["stop"], None, id="a mail to the shop"),
        pytest.param(paid(kind=Kind.ALARM), None, ["stop"], "said STOP on 2026-11-22", id="an alarm is a text too"),
    ],
)
def test_policy_is_asked_again_before_sending(
    delivery: Delivery, conversation: Any, entries: list[str], why: str
) -> None:
    no = verdict.veto(delivery, message(), conversation, facts(*(entry(a) for a in entries)), RULES, NOON)

    assert why == (no.why if no else None)


@given(
    st.sampled_from([k for k in Kind if k is not Kind.CONFIRMATION]),
    st.sampled_from(["informational", "marketing"]),
    st.booleans(),
    st.lists(st.sampled_from(["grant", "stop", "revoke", "suspend", "resume", "block"])),
)
def test_a_stop_beats_every_kind_class_conversation_and_entry(
    kind: Kind, klass: str, conversational: bool, later: list[str]
) -> None:
    known = facts(entry("grant"), entry("stop"), *(entry(action) for action in later))
    delivery = paid(kind=kind, conversational=conversational)

    assert None is not verdict.veto(delivery, message(klass=klass), talk(heard_at=NOON), known, RULES, NOON)


def test_a_stop_keeps_an_employee_from_his_carrier_too() -> None:
    assert None is verdict.veto(carried(), message(), None, facts(), RULES, NOON)
    assert None is not verdict.veto(carried(), message(), None, facts(entry("stop", BOB)), RULES, NOON)


@pytest.mark.parametrize(
    ("delivery", "note"),
    [(paid(), "+12025550143 said STOP on 2026-11-22"), (carried(), "bob said STOP on 2026-11-22")],
    ids=["customer", "employee"],
)
def test_a_vetoed_text_is_refused_and_told(delivery: Delivery, note: str) -> None:
    stopped = facts(entry("stop"), entry("stop", BOB))
    no = verdict.veto(delivery, message(), None, stopped, RULES, NOON)
    assert no is not None
    found = verdict.vetoed(delivery, message(), no, RULES, NOON)

    assert ("vetoed", Fate.REFUSED, "5.7.1", [JOBS]) == (found.outcome, found.fate, found.code, told_to(found))
    assert found.note.startswith(note)
    assert Writes() == verdict.vetoed(delivery, None, no, RULES, NOON).writes


def test_a_text_over_the_budget_is_held_with_one_alarm_a_day() -> None:
    first = verdict.over_budget(paid(), RULES, NOON, facts())
    evening = verdict.over_budget(paid(), RULES, NOON + timedelta(hours=11, minutes=59), facts())
    tomorrow = verdict.over_budget(paid(), RULES, NOON + timedelta(hours=12), facts())

    assert ("held", Fate.HELD, "budget", None) == (first.outcome, first.fate, first.reason, first.due_at)
    assert "the budget of sender jobs is used up" == first.note
    assert [(ADMIN, Kind.ALARM)] == [(d.to, d.kind) for d in first.writes.deliveries]
    assert ["alarm.budget.jobs.2026-11-23.1"] == [m.id for m in first.writes.messages], "by the shop's calendar"
    assert [m.id for m in first.writes.messages] == [m.id for m in evening.writes.messages]
    assert ["alarm.budget.jobs.2026-11-24.1"] == [m.id for m in tomorrow.writes.messages]
