from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import shop
from hypothesis import given
from hypothesis import strategies as st
from shop import (
    ADMIN,
    BOB,
    BRAND,
    DAY,
    JOBS,
    MARIA,
    NOON,
    RULES,
    SALES,
    SERVICE,
    carried,
    entry,
    facts,
    message,
    paid,
    talk,
)

from gateway.core import verdict
from gateway.core.model import BAD_ENDS, Fate, Kind
from gateway.core.rules import Rules
from gateway.core.work import (
    Accepted,
    Deferred,
    Delivery,
    Facts,
    Outcome,
    Refused,
    Remote,
    Settlement,
    TextParcel,
    Unclear,
    Writes,
)

HOLD = shop.rules(on_unknown="hold")
TO_BOB = message(phone=BOB, person="bob", recipient="bob@sms.example.com")


def seconds(count: float) -> timedelta:
    return timedelta(seconds=count)


def judged(delivery: Delivery, outcome: Outcome, now: Any = NOON, told: Rules = RULES) -> Settlement:
    return verdict.judge(delivery, TO_BOB if delivery.person else message(), outcome, told, now)


def told_to(settlement: Settlement) -> list[str]:
    return [d.to for d in settlement.writes.deliveries if d.kind is Kind.REPORT]


# -- the end of an attempt


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
    assert "was not sent in time" in by_outcome.writes.messages[0].text


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


# -- the next way


def test_a_text_that_the_carrier_refuses_falls_back_to_the_provider() -> None:
    found = judged(
        carried(conversational=True, priority=1), Refused(reason="no such user", code="5.1.1"), NOON + seconds(9)
    )
    (other,) = found.writes.deliveries

    assert (Fate.FAILED, "5.1.1") == (found.fate, found.code)
    assert "no such user; falls back to twilio" == found.note
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


# -- unclear ends


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


# -- look-ups (P4)


def remote(**changes: Any) -> Remote:
    made = Remote(
        remote_id="SM1",
        to=MARIA,
        sender=SERVICE,
        body="Your car is ready.",
        status="sent",
        code="",
        created_at=NOON,
        direction="outbound-api",
    )
    return replace(made, **changes)


UNKNOWN = paid(fate=Fate.UNKNOWN, reason="lookup", note="no answer")


def looked_up(
    delivery: Delivery, rows: list[Remote] | None, now: Any, told: Rules = RULES, known: Facts | None = None
) -> Settlement:
    return verdict.judge_lookup(delivery, message(), rows, known or facts(), told, now)


def followed(delivery: Delivery, found: Settlement) -> Delivery:
    """The delivery as the settlement leaves it; one that waits is started again when it is due."""
    left = replace(
        delivery, fate=found.fate, lookups=found.lookups, resends=found.resends, code=found.code, note=found.note
    )
    if found.fate is Fate.WAITING:
        return replace(left, fate=Fate.SENDING, attempt=left.attempt + 1, posted_at=found.due_at, lookups=0)
    return left


def played(told: Rules, answers: list[list[Remote] | None]) -> list[tuple[str, Fate, float | None]]:
    """Outcome, fate, and seconds from the first sending to what is due, of each look-up; unclear again when resent."""
    delivery, now, story = paid(), NOON, []
    found = judged(delivery, Unclear(reason="no answer"), told=told)
    for answer in answers:
        delivery, now = followed(delivery, found), found.due_at or now
        if delivery.fate is Fate.SENDING:
            found = verdict.judge(delivery, message(), Unclear(reason="no answer"), told, now)
            delivery, now = followed(delivery, found), found.due_at or now
        found = looked_up(delivery, answer, now, told)
        story.append((found.outcome, found.fate, (found.due_at - NOON).total_seconds() if found.due_at else None))
    return story


def test_look_ups_come_20_60_and_150_seconds_after_the_sending_then_it_is_sent_once_more_then_held() -> None:
    assert NOON + seconds(20) == judged(paid(), Unclear(reason="no answer")).due_at
    assert [
        ("not_found", Fate.UNKNOWN, 60.0),
        ("not_found", Fate.UNKNOWN, 150.0),
        ("not_found", Fate.WAITING, 150.0),
        ("not_found", Fate.UNKNOWN, 210.0),
        ("not_found", Fate.UNKNOWN, 300.0),
        ("not_found", Fate.HELD, None),
    ] == played(RULES, [[]] * 6)


def test_under_hold_nothing_is_sent_again() -> None:
    assert [
        ("not_found", Fate.UNKNOWN, 60.0),
        ("not_found", Fate.UNKNOWN, 150.0),
        ("not_found", Fate.HELD, None),
    ] == played(HOLD, [[]] * 3)


def test_a_look_up_that_failed_is_repeated_and_proves_nothing() -> None:
    assert [
        ("not_found", Fate.UNKNOWN, 60.0),
        ("lookup_failed", Fate.UNKNOWN, 80.0),
        ("lookup_failed", Fate.UNKNOWN, 120.0),
        ("not_found", Fate.UNKNOWN, 150.0),
        ("not_found", Fate.WAITING, 150.0),
    ] == played(RULES, [[], None, None, [], []])


def test_look_ups_that_never_succeed_end_in_held_and_nothing_was_sent_again() -> None:
    story = played(RULES, [None] * 20)

    assert [Fate.UNKNOWN] * 19 + [Fate.HELD] == [fate for _, fate, _ in story]
    assert {"lookup_failed"} == {outcome for outcome, _, _ in story}


@given(
    st.lists(st.sampled_from([None, [], [remote(body="another text")]]), max_size=80), st.sampled_from([RULES, HOLD])
)
def test_whatever_the_look_ups_answer_the_bound_on_doubles_holds(
    answers: list[list[Remote] | None], told: Rules
) -> None:
    delivery, now = paid(), NOON
    found = judged(delivery, Unclear(reason="no answer"), told=told)
    complete, sent = 0, 1
    for answer in answers:
        if found.fate is Fate.HELD:
            break
        delivery, now = followed(delivery, found), found.due_at or now
        if delivery.fate is Fate.SENDING:
            assert complete >= 3, "sent again only after three complete look-ups"
            assert now >= NOON + seconds(150)
            complete, sent = 0, sent + 1
            found = verdict.judge(delivery, message(), Unclear(reason="no answer"), told, now)
            delivery, now = followed(delivery, found), found.due_at or now
        found = looked_up(delivery, answer, now, told)
        complete += answer is not None

    assert sent <= (1 if told is HOLD else 2)


def test_a_held_text_is_told_as_delayed() -> None:
    found = looked_up(replace(UNKNOWN, lookups=2, resends=1), [], NOON + seconds(150))
    (report,) = found.writes.messages

    assert ("unknown", [JOBS], "m1.1.held") == (found.reason, told_to(found), report.id)
    assert "is held for a person to decide" in report.text
    assert "may or may not have been sent" in found.note


@pytest.mark.parametrize("rows", [None, []], ids=["never completed", "never found"])
def test_a_text_is_held_even_when_its_message_is_gone(rows: list[Remote] | None) -> None:
    delivery = replace(UNKNOWN, lookups=2, resends=1, code="lookup-failed-19")
    found = verdict.judge_lookup(delivery, None, rows, facts(), RULES, NOON)

    assert (Fate.HELD, Writes()) == (found.fate, found.writes)


def test_what_is_no_longer_worth_sending_is_held() -> None:
    delivery = replace(UNKNOWN, lookups=2, expires_at=NOON + seconds(150))

    assert Fate.HELD is looked_up(delivery, [], NOON + seconds(150)).fate


def test_a_look_up_that_comes_late_is_followed_at_once() -> None:
    assert NOON + DAY == looked_up(UNKNOWN, [], NOON + DAY).due_at


@pytest.mark.parametrize(
    ("status", "fate", "told"),
    [
        pytest.param("queued", Fate.HANDED_OVER, [], id="queued"),
        pytest.param("delivered", Fate.DELIVERED, [], id="delivered"),
        pytest.param("undelivered", Fate.FAILED, [JOBS], id="undelivered"),
        pytest.param("canceled", Fate.CANCELLED, [JOBS], id="canceled"),
        pytest.param("partly", Fate.HANDED_OVER, [], id="a status that nobody knows"),
    ],
)
def test_a_text_that_was_found_is_adopted_with_what_became_of_it(status: str, fate: Fate, told: list[str]) -> None:
    found = looked_up(UNKNOWN, [remote(status=status, code="30005")], NOON + seconds(20))

    assert ("found", fate, "SM1", "30005") == (found.outcome, found.fate, found.remote_id, found.code)
    assert told == told_to(found)
    assert f"found as SM1; twilio says {status}" in found.note


def test_a_text_is_adopted_even_when_its_message_is_gone() -> None:
    found = verdict.judge_lookup(UNKNOWN, None, [remote(status="failed")], facts(), RULES, NOON)

    assert (Fate.FAILED, Writes()) == (found.fate, found.writes)


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        pytest.param([remote()], "SM1", id="the same words"),
        pytest.param([remote(body="Sent from your Twilio trial account - Your car is ready.\n")], "SM1", id="a trial"),
        pytest.param([remote(body="Your bike is ready.")], None, id="other words"),
        pytest.param([remote(sender=SALES)], None, id="by another number of ours"),
        pytest.param([remote(sender="")], "SM1", id="by a service that has not chosen"),
        pytest.param(
            [remote(created_at=NOON - seconds(50)), remote(remote_id="SM2", created_at=NOON + seconds(2))],
            "SM2",
            id="the nearest in time",
        ),
        pytest.param([], None, id="nothing"),
    ],
)
def test_the_listed_text_that_is_this_one(rows: list[Remote], expected: str | None) -> None:
    found = verdict.matching(UNKNOWN, rows, facts())

    assert expected == (found.remote_id if found else None)


def test_words_that_the_provider_made_plain_still_match() -> None:
    curly = replace(
        UNKNOWN, parcel=TextParcel(number=SERVICE, service="", to=MARIA, body="It\u2019s", validity_seconds=9)
    )

    assert verdict.matching(curly, [remote(body="It's")], facts()) is not None


SIDS = st.sampled_from(["SM1", "SM2", "SM3", "SM4"])


@given(st.lists(SIDS, max_size=6), st.sets(SIDS), st.sets(SIDS))
def test_a_text_of_another_delivery_is_never_adopted(listed: list[str], others: set[str], own: set[str]) -> None:
    rows = [remote(remote_id=sid, created_at=NOON + seconds(n)) for n, sid in enumerate(listed)]
    by_remote = {("twilio", sid): paid(id="m2.1.1") for sid in others}
    by_remote |= {("twilio", sid): UNKNOWN for sid in own - others}
    by_remote |= {("flowroute", sid): paid(id="m3.1.1") for sid in listed}
    found = verdict.matching(UNKNOWN, rows, facts(by_remote=by_remote))

    assert found is None or found.remote_id not in others
    assert (found is None) == (set(listed) <= others)


# -- the last moment


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
    no = verdict.veto(delivery, conversation, facts(*(entry(a) for a in entries)), RULES, NOON)

    assert why == (no.why if no else None)


def test_a_stop_keeps_an_employee_from_his_carrier_too() -> None:
    assert None is verdict.veto(carried(), None, facts(), RULES, NOON)
    assert None is not verdict.veto(carried(), None, facts(entry("stop", BOB)), RULES, NOON)


@pytest.mark.parametrize(
    ("delivery", "note"),
    [(paid(), "+12025550143 said STOP on 2026-11-22"), (carried(), "bob said STOP on 2026-11-22")],
    ids=["customer", "employee"],
)
def test_a_vetoed_text_is_refused_and_told(delivery: Delivery, note: str) -> None:
    stopped = facts(entry("stop"), entry("stop", BOB))
    no = verdict.veto(delivery, None, stopped, RULES, NOON)
    assert no is not None
    found = verdict.vetoed(delivery, message(), no, RULES, NOON)

    assert ("vetoed", Fate.REFUSED, "5.7.1", [JOBS]) == (found.outcome, found.fate, found.code, told_to(found))
    assert found.note.startswith(note)
    assert Writes() == verdict.vetoed(delivery, None, no, RULES, NOON).writes


def test_a_text_over_the_budget_is_held_with_one_alarm_a_day() -> None:
    first = verdict.over_budget(paid(), RULES, NOON, facts(), alarm=True)
    later = verdict.over_budget(paid(), RULES, NOON, facts(), alarm=False)
    evening = verdict.over_budget(paid(), RULES, NOON + timedelta(hours=11, minutes=59), facts(), alarm=True)

    assert ("held", Fate.HELD, "budget", None) == (first.outcome, first.fate, first.reason, first.due_at)
    assert "the budget of sender jobs is used up" == first.note == later.note
    assert Writes() == later.writes
    assert [(ADMIN, Kind.ALARM)] == [(d.to, d.kind) for d in first.writes.deliveries]
    assert ["alarm.budget.jobs.2026-11-23.1"] == [m.id for m in first.writes.messages], "by the shop's calendar"
    assert [m.id for m in first.writes.messages] == [m.id for m in evening.writes.messages]


# -- what holds for all

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
    "deferred": {Fate.WAITING, Fate.EXPIRED},
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


def test_a_backlog_does_not_come_in_step() -> None:
    assert len({verdict.backoff(paid(id=f"m{n}.1.1")) for n in range(50)}) > 10
