from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import shop
from hypothesis import given
from hypothesis import strategies as st
from outbox import carried, message, paid, told_to
from shop import BOB, BRAND, DAY, JOBS, MARIA, NOON, RULES, SERVICE

from gateway.core import verdict
from gateway.core.model import BAD_ENDS, Fate, Kind
from gateway.core.rules import Rules
from gateway.core.work import Accepted, Deferred, Delivery, Outcome, Refused, Settlement, TextParcel, Unclear, Writes

TO_BOB = message(phone=BOB, person="bob", recipient="bob@sms.example.com")


def seconds(count: float) -> timedelta:
    return timedelta(seconds=count)


def judged(delivery: Delivery, outcome: Outcome, now: Any = NOON, told: Rules = RULES) -> Settlement:
    return verdict.judge(delivery, TO_BOB if delivery.person else message(), outcome, told, now)


def test_an_accepted_text_is_handed_over_and_no_more() -> None:
    found = judged(paid(), Accepted(remote_id="SM1", status="queued", note="accepted by Twilio"))

    assert (
        Settlement(
            delivery="m1.1.1",
            attempt=1,
            outcome="accepted",
            fate=Fate.HANDED_OVER,
            note="accepted by Twilio",
            remote_id="SM1",
        )
        == found
    )


@pytest.mark.parametrize("delivery", [paid(), carried()], ids=["paid", "mail"])
def test_a_deferred_text_waits_for_another_try(delivery: Delivery) -> None:
    found = judged(delivery, Deferred(reason="busy", code="4.4.1"))

    assert ("deferred", Fate.WAITING, "retry") == (found.outcome, found.fate, found.reason)
    assert ("busy", "4.4.1", NOON + verdict.backoff(delivery)) == (found.note, found.code, found.due_at)
    assert Writes() == found.writes


@pytest.mark.parametrize(
    ("retry_after", "pause"),
    [(None, 5), (0.0, 5), (1.0, 5), (600.0, 600), (1e9, 3600)],
    ids=["not named", "at once", "sooner than ours", "later than ours", "beyond belief"],
)
def test_the_other_side_may_ask_for_a_longer_pause(retry_after: float | None, pause: int) -> None:
    due = judged(paid(), Deferred(reason="busy", retry_after=retry_after)).due_at

    assert due is not None
    assert pause <= (due - NOON).total_seconds() <= pause * 1.1


def test_a_text_is_tried_no_longer_than_it_is_worth() -> None:
    late = paid(expires_at=NOON + seconds(1))

    assert NOON + seconds(1) == judged(late, Deferred(reason="busy")).due_at
    assert Fate.EXPIRED is judged(late, Deferred(reason="busy"), NOON + seconds(1)).fate


def test_an_expired_text_is_reported_with_the_last_answer() -> None:
    late = paid(expires_at=NOON)
    by_outcome = judged(late, Deferred(reason="busy", code="21611"))
    by_time = verdict.expired(replace(late, note="was busy", code="4.4.1"), message(), RULES, NOON, outcome="expired")
    silent = verdict.expired(late, None, RULES, NOON, outcome="expired")

    assert ("deferred", Fate.EXPIRED, "busy", "21611") == (
        by_outcome.outcome,
        by_outcome.fate,
        by_outcome.note,
        by_outcome.code,
    )
    assert ("expired", "was busy", "4.4.1") == (by_time.outcome, by_time.note, by_time.code)
    assert "its time was over at 2026-11-23 17:00 UTC" == silent.note
    assert [[JOBS], [JOBS], []] == [told_to(s) for s in (by_outcome, by_time, silent)]
    assert "; the last answer was: busy" in by_outcome.writes.messages[0].text
    assert "Code: 4.4.7" in by_time.writes.messages[0].text
    assert "was not handed over in time" in by_outcome.writes.messages[0].text


def test_a_refused_text_ends_and_is_told() -> None:
    found = judged(paid(), Refused(reason="a landline", code="21635"))

    assert ("refused", Fate.FAILED, "21635", "a landline") == (found.outcome, found.fate, found.code, found.note)
    assert [JOBS] == told_to(found)
    assert () == found.writes.consents


def test_an_opt_out_that_the_provider_knows_is_entered_as_a_stop() -> None:
    found = judged(paid(), Refused(reason="opted out", code="21610", opted_out=True))
    (stop,) = found.writes.consents

    assert Fate.REFUSED is found.fate
    assert ("m1.1.1.1.stop", BRAND, MARIA, "stop", "provider") == (
        stop.id,
        stop.brand,
        stop.phone,
        stop.action,
        stop.method,
    )
    assert (NOON, "twilio") == (stop.at, stop.recorded_by)
    assert [JOBS] == told_to(found)


def test_an_opt_out_closes_every_other_way_too() -> None:
    found = judged(carried(), Refused(reason="opted out", code="21610", opted_out=True))

    assert [Kind.REPORT] == [d.kind for d in found.writes.deliveries]


def test_an_opt_out_of_nobody_enters_nothing() -> None:
    assert () == judged(paid(phone=None), Refused(reason="opted out", code="21610", opted_out=True)).writes.consents


@pytest.mark.parametrize(
    "outcome",
    [
        Refused(reason="no"),
        Deferred(reason="no"),
        Unclear(reason="no"),
        Refused(reason="no", code="21610", opted_out=True),
    ],
    ids=["refused", "deferred", "unclear", "opted out"],
)
@pytest.mark.parametrize("delivery", [paid(), carried(resends=2)], ids=["paid", "mail"])
def test_an_attempt_can_end_when_its_message_is_gone(delivery: Delivery, outcome: Outcome) -> None:
    found = verdict.judge(delivery, None, outcome, RULES, NOON + DAY)

    assert () == found.writes.messages == found.writes.deliveries
    assert found.fate in BAD_ENDS | {Fate.UNKNOWN}


def test_something_that_is_no_outcome_is_a_fault() -> None:
    with pytest.raises(AssertionError):
        judged(paid(), "accepted")  # type: ignore[arg-type]


def test_a_text_that_the_carrier_refuses_falls_back_to_the_provider() -> None:
    found = judged(
        carried(conversational=True, priority=1), Refused(reason="not today", code="5.0.0"), NOON + seconds(9)
    )
    (other,) = found.writes.deliveries

    assert (Fate.FAILED, "5.0.0") == (found.fate, found.code)
    assert "not today; falls back to twilio" == found.note
    assert () == found.writes.messages, "nobody is told while another way is open"
    assert ("m1.1.2", "m1.1", "twilio", "service") == (other.id, other.message, other.courier, other.number)
    assert (BOB, BOB, "bob", "jobs") == (other.to, other.phone, other.person, other.sender)
    assert (Fate.WAITING, NOON + seconds(9), ()) == (other.fate, other.due_at, other.ways)
    assert (True, 1) == (other.conversational, other.priority)
    assert NOON + timedelta(hours=4) == other.expires_at, "no later than the first way would have brought it"
    assert isinstance(other.parcel, TextParcel)
    assert (SERVICE, BOB, "Your car is ready.") == (other.parcel.number, other.parcel.to, other.parcel.body)


def test_the_fallback_goes_by_the_number_of_its_conversation() -> None:
    found = judged(carried(ways=("sales",)), Refused(reason="no"))

    assert ["sales"] == [d.number for d in found.writes.deliveries]


@pytest.mark.parametrize(
    ("delivery", "told"),
    [
        pytest.param(carried(ways=()), RULES, id="no other way"),
        pytest.param(carried(), shop.rules(employees=()), id="no employee any more"),
        pytest.param(carried(), shop.rules(numbers=()), id="no number any more"),
    ],
)
def test_without_another_way_the_refusal_is_the_end(delivery: Delivery, told: Rules) -> None:
    found = judged(delivery, Refused(reason="no such user", code="5.1.1"), told=told)

    assert (Fate.FAILED, "no such user", [JOBS]) == (found.fate, found.note, told_to(found))


def test_an_unclear_paid_text_is_looked_up_and_never_sent_again_at_once() -> None:
    found = judged(paid(posted_at=NOON - seconds(9)), Unclear(reason="no answer"))

    assert ("unclear", Fate.UNKNOWN, "lookup", "no answer") == (found.outcome, found.fate, found.reason, found.note)
    assert (NOON + seconds(11), 0, 0) == (found.due_at, found.lookups, found.resends)
    assert Writes() == found.writes


def test_an_unclear_mail_is_sent_again_twice_and_not_more() -> None:
    delivery, fates = carried(), []
    for _ in range(3):
        found = judged(delivery, Unclear(reason="no answer"))
        fates.append((found.fate, found.resends))
        delivery = replace(delivery, attempt=delivery.attempt + 1, resends=found.resends)

    assert [(Fate.WAITING, 1), (Fate.WAITING, 2), (Fate.FAILED, 2)] == fates
    assert ("4.4.2", [JOBS]) == (found.code, told_to(found))
    assert "after 3 tries it may or may not have been handed over" in found.note
    assert () == tuple(d for d in found.writes.deliveries if d.kind is Kind.TEXT), "no fallback: it may have arrived"


def test_a_deferral_between_two_unclear_ends_forgets_no_resend() -> None:
    assert 2 == judged(carried(resends=2), Deferred(reason="busy")).resends


OUTCOMES: st.SearchStrategy[Outcome] = st.one_of(
    st.builds(Accepted, remote_id=st.text(max_size=5), note=st.text(max_size=2000)),
    st.builds(
        Deferred,
        reason=st.text(max_size=2000),
        code=st.text(max_size=5),
        retry_after=st.none() | st.floats(0, 1e12),
    ),
    st.builds(Refused, reason=st.text(), code=st.text(max_size=5), opted_out=st.booleans()),
    st.builds(Unclear, reason=st.text()),
)
LEGAL = {
    "accepted": {Fate.HANDED_OVER},
    "deferred": {Fate.WAITING, Fate.EXPIRED, Fate.FAILED},
    "refused": {Fate.FAILED, Fate.REFUSED},
    "unclear": {Fate.UNKNOWN, Fate.WAITING, Fate.FAILED, Fate.EXPIRED},
}


@given(
    OUTCOMES,
    st.sampled_from(["mail", "twilio", "flowroute"]),
    st.integers(1, 40),
    st.integers(0, 2),
    st.integers(-9, 9),
    st.booleans(),
)
def test_every_outcome_ends_in_a_legal_fate(
    outcome: Outcome, courier: str, attempt: int, resends: int, hours: int, known: bool
) -> None:
    delivery = (carried if courier == "mail" else paid)(courier=courier, attempt=attempt, resends=resends)
    now = NOON + timedelta(hours=hours)
    found = verdict.judge(delivery, message() if known else None, outcome, RULES, now)

    assert found.fate in LEGAL[found.outcome]
    assert (found.due_at is not None) == (found.fate in (Fate.WAITING, Fate.UNKNOWN))
    assert courier == "mail" or found.outcome != "deferred" or found.fate is not Fate.FAILED, (
        "no fallback but a carrier's"
    )
    assert (found.fate is Fate.UNKNOWN) == (courier != "mail" and found.outcome == "unclear")
    assert courier == "mail" or found.outcome != "unclear" or found.fate is Fate.UNKNOWN
    assert resends <= found.resends <= 2
    assert ("m1.1.1", attempt) == (found.delivery, found.attempt)
    assert len(found.note) <= 1000
    assert found.fate is not Fate.WAITING or (found.due_at or NOON) <= delivery.expires_at


@given(st.sampled_from(["mail", "twilio", "flowroute"]), st.text(max_size=20), st.integers(0, 100))
def test_the_pause_between_tries_grows_and_is_bounded(courier: str, ident: str, attempt: int) -> None:
    delivery = paid(courier=courier, id=ident, attempt=attempt)
    pause = verdict.backoff(delivery)
    most = 1800 if courier == "mail" else 300

    assert pause <= verdict.backoff(replace(delivery, attempt=attempt + 1))
    assert seconds(5) <= pause <= seconds(most * 1.1)
    assert pause == verdict.backoff(delivery)


@pytest.mark.parametrize(
    ("courier", "steps"),
    [("twilio", [5, 15, 30, 60, 120, 300, 300]), ("mail", [30, 60, 300, 600, 900, 1800, 1800])],
)
def test_the_pauses_of_a_courier(courier: str, steps: list[int]) -> None:
    pauses = [verdict.backoff(paid(courier=courier, attempt=n)) / seconds(1) for n in range(1, 8)]

    assert all(step <= pause < step * 1.1 for step, pause in zip(steps, pauses, strict=True))


def test_a_backlog_does_not_come_in_step() -> None:
    assert len({verdict.backoff(paid(id=f"m{n}.1.1")) for n in range(50)}) > 10
