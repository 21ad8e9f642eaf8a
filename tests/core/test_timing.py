"""When a text may go."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import shop
from hypothesis import given
from hypothesis import strategies as st
from outbox import carried, paid
from shop import BOB, MINUTE, NOON

from gateway.core import timing
from gateway.core.model import Fate, Kind
from gateway.core.rules import PolicyRules, Rules
from gateway.core.work import Delivery

EVENING = datetime(2026, 11, 24, 1, 30, tzinfo=UTC)  # 20:30 in Washington, where Maria's number is from
MORNING = datetime(2026, 11, 24, 13, 0, tzinfo=UTC)  # 08:00 there
HOUR = timedelta(hours=1)


def quiet(**changes: object) -> Rules:
    return shop.rules(policy=PolicyRules(quiet_hours="20:00-08:00", **changes))  # type: ignore[arg-type]


def waiting(**changes: object) -> Delivery:
    return paid(**{"fate": Fate.WAITING, "due_at": EVENING, "expires_at": EVENING + 4 * HOUR, **changes})


def test_quiet_hours_hold_a_text_to_a_customer_and_its_time_begins_when_they_lift() -> None:
    found = timing.timed(waiting(), quiet(), EVENING)

    assert (Fate.WAITING, MORNING, "quiet hours") == (found.fate, found.due_at, found.reason)
    assert MORNING + 4 * HOUR == found.expires_at


@pytest.mark.parametrize(
    ("delivery", "changes", "held"),
    [
        pytest.param(waiting(), {}, True, id="a reminder"),
        pytest.param(carried(fate=Fate.WAITING), {}, False, id="an employee"),
        pytest.param(waiting(phone=BOB), {}, False, id="an employee by the provider"),
        pytest.param(waiting(kind=Kind.REPLY, phone=None), {}, False, id="a mail"),
        pytest.param(waiting(conversational=True), {}, False, id="an answer"),
        pytest.param(waiting(conversational=True), {"quiet_replies": "hold"}, True, id="an answer that waits too"),
        pytest.param(waiting(kind=Kind.ANSWER), {}, False, id="an answer of the machine"),
        pytest.param(waiting(kind=Kind.QUESTION), {"quiet_replies": "hold"}, True, id="a question that waits too"),
        pytest.param(waiting(kind=Kind.CONFIRMATION), {"quiet_replies": "hold"}, False, id="a confirmation never"),
        pytest.param(waiting(fate=Fate.REFUSED), {}, False, id="what has ended"),
    ],
)
def test_whom_quiet_hours_concern(delivery: Delivery, changes: dict[str, str], held: bool) -> None:
    assert held == (timing.timed(delivery, quiet(**changes), EVENING) != delivery)


@pytest.mark.parametrize(
    ("now", "lifts"),
    [
        pytest.param(EVENING, MORNING, id="in the evening"),
        pytest.param(NOON, None, id="at noon"),
        pytest.param(EVENING - 31 * MINUTE, None, id="a minute before"),
        pytest.param(EVENING - 30 * MINUTE - timedelta(seconds=20), MORNING, id="too short before"),
        pytest.param(MORNING, None, id="when they lift"),
    ],
)
def test_quiet_hours_lift_in_the_morning(now: datetime, lifts: datetime | None) -> None:
    assert lifts == timing.lifts_at(waiting(), quiet(), now)


def test_without_quiet_hours_a_text_goes_at_any_time() -> None:
    assert waiting() == timing.timed(waiting(), shop.RULES, EVENING)


def test_what_quiet_hours_would_hold_for_too_long_expires_at_once() -> None:
    found = timing.timed(waiting(), quiet(hold_at_most=11 * HOUR), EVENING)

    assert (Fate.EXPIRED, "4.4.7") == (found.fate, found.code)
    assert "until 2026-11-24 13:00 UTC, longer than [policy] hold_at_most allows" in found.note


@pytest.mark.parametrize(
    ("changes", "since"),
    [
        pytest.param({"due_at": NOON}, NOON, id="from its mail on"),
        pytest.param({"due_at": EVENING}, EVENING, id="let go by a person since"),
        pytest.param({"due_at": EVENING, "reason": "pacing"}, EVENING, id="let go, and the pace put it off"),
        pytest.param({"due_at": EVENING, "reason": "retry"}, NOON, id="tried again by itself"),
        pytest.param({"due_at": EVENING, "reason": "quiet hours"}, NOON, id="held by quiet hours already"),
    ],
)
def test_the_wait_for_quiet_hours_counts_from_when_a_text_was_let_go(
    changes: dict[str, object], since: datetime
) -> None:
    assert since == timing.let_go(waiting(**changes), NOON)


@pytest.mark.parametrize(
    ("delivery", "now", "expected"),
    [
        pytest.param(waiting(expires_at=NOON + HOUR), NOON, 3600, id="until it expires"),
        pytest.param(waiting(expires_at=NOON + 40 * HOUR), NOON, 8 * 3600, id="until quiet hours begin"),
        pytest.param(waiting(kind=Kind.CONFIRMATION, expires_at=NOON + 40 * HOUR), NOON, 36_000, id="at most"),
        pytest.param(waiting(phone=BOB, expires_at=NOON + 40 * HOUR), NOON, 36_000, id="an employee"),
        pytest.param(waiting(phone=None, expires_at=NOON + 40 * HOUR), NOON, 36_000, id="nobody's phone"),
        pytest.param(waiting(expires_at=NOON - HOUR), NOON, 1, id="at least"),
    ],
)
def test_the_provider_tries_no_longer_than_a_text_may_arrive(delivery: Delivery, now: datetime, expected: int) -> None:
    assert expected == timing.seconds_left(delivery, quiet(), now)


def test_without_quiet_hours_only_expiry_bounds_the_validity() -> None:
    assert 14_400 == timing.seconds_left(paid(), shop.RULES, NOON)


@given(st.datetimes(min_value=datetime(2026, 1, 1), max_value=datetime(2027, 1, 1)))  # noqa: DTZ001
def test_a_text_that_leaves_is_over_before_quiet_hours_begin(naive: datetime) -> None:
    now, told = naive.replace(tzinfo=UTC), quiet()
    left = timing.timed(waiting(expires_at=now + 40 * HOUR, due_at=now), told, now)
    at = max(left.due_at, now)
    ends = at + timedelta(seconds=timing.seconds_left(left, told, at))

    assert timing.lifts_at(left, told, at) is None
    assert ends <= at + 12 * HOUR
    local = ends.astimezone(shop.RULES.timezone)
    assert (8, 0) <= (local.hour, local.minute) < (20, 0) or (local.hour, local.minute, local.second) == (20, 0, 0)


def test_the_time_of_a_carrier_is_set_by_the_policy() -> None:
    told = shop.rules(policy=PolicyRules(fallback_after=HOUR))

    assert NOON + HOUR == timing.falls_back_at(carried(), told)


@pytest.mark.parametrize("hours", [1, 8])
def test_another_configuration_moves_no_start_of_a_text_that_waits(hours: int) -> None:
    told = shop.rules(policy=PolicyRules(expires_after=hours * HOUR))
    put_off = carried(due_at=NOON + HOUR, lifetime=4 * HOUR)

    assert [NOON + 15 * MINUTE] * 2 == [timing.falls_back_at(d, told) for d in (carried(), put_off)]
