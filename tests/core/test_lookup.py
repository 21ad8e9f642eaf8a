"""Look-ups of unclear texts (P4)."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import shop
from hypothesis import given
from hypothesis import strategies as st
from outbox import message, paid, told_to
from shop import DAY, JOBS, MARIA, NOON, RULES, SALES, SERVICE, facts

from gateway.core import lookup, verdict
from gateway.core.facts import Facts
from gateway.core.model import Fate
from gateway.core.rules import Rules
from gateway.core.work import Delivery, Remote, Settlement, TextParcel, Unclear, Writes

HOLD = shop.rules(on_unknown="hold")


def seconds(count: float) -> timedelta:
    return timedelta(seconds=count)


def unclear(delivery: Delivery, told: Rules, now: Any = NOON) -> Settlement:
    return verdict.judge(delivery, message(), Unclear(reason="no answer"), told, now)


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


UNKNOWN = paid(fate=Fate.UNKNOWN, reason="lookup", note="no answer", due_at=NOON - seconds(60))


def looked_up(
    delivery: Delivery, rows: list[Remote] | None, now: Any, told: Rules = RULES, known: Facts | None = None
) -> Settlement:
    return lookup.judge_lookup(delivery, message(), rows, known or facts(), told, now)


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
    found = unclear(delivery, told)
    for answer in answers:
        delivery, now = followed(delivery, found), found.due_at or now
        if delivery.fate is Fate.SENDING:
            found = unclear(delivery, told, now)
            delivery, now = followed(delivery, found), found.due_at or now
        found = looked_up(delivery, answer, now, told)
        story.append((found.outcome, found.fate, (found.due_at - NOON).total_seconds() if found.due_at else None))
    return story


def test_look_ups_come_20_60_and_150_seconds_after_the_sending_then_it_is_sent_once_more_then_held() -> None:
    assert NOON + seconds(20) == unclear(paid(), RULES).due_at
    assert [
        ("not_found", Fate.UNKNOWN, 60.0),
        ("not_found", Fate.UNKNOWN, 150.0),
        ("not_found", Fate.WAITING, 150.0),
        ("not_found", Fate.UNKNOWN, 210.0),
        ("not_found", Fate.UNKNOWN, 300.0),
        ("not_found", Fate.HELD, None),
    ] == played(RULES, [[]] * 6)


def test_the_second_sending_is_counted() -> None:
    found = looked_up(replace(UNKNOWN, lookups=2), [], NOON + seconds(150))

    assert (Fate.WAITING, "retry", 1, 0) == (found.fate, found.reason, found.resends, found.lookups)
    assert "3 look-ups found nothing: sent again, once" == found.note


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
    found = unclear(delivery, told)
    complete, sent = 0, 1
    for answer in answers:
        if found.fate is Fate.HELD:
            break
        delivery, now = followed(delivery, found), found.due_at or now
        if delivery.fate is Fate.SENDING:
            assert complete >= 3, "sent again only after three complete look-ups"
            assert now >= NOON + seconds(150)
            complete, sent = 0, sent + 1
            found = unclear(delivery, told, now)
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
    found = lookup.judge_lookup(delivery, None, rows, facts(), RULES, NOON)

    assert (Fate.HELD, Writes()) == (found.fate, found.writes)


def test_what_is_no_longer_worth_sending_is_held() -> None:
    delivery = replace(UNKNOWN, lookups=2, expires_at=NOON + seconds(150))

    assert Fate.HELD is looked_up(delivery, [], NOON + seconds(150)).fate


def test_a_look_up_that_comes_late_is_followed_at_once() -> None:
    found = looked_up(UNKNOWN, [], NOON + DAY)

    assert (NOON + DAY, "lookup", "no answer") == (found.due_at, found.reason, found.note)


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


def test_a_text_that_was_found_without_its_picture_goes_with_a_link() -> None:
    picture = "https://sms.example.com/media/abc/brakes.jpg"
    parcel = UNKNOWN.parcel
    assert isinstance(parcel, TextParcel)
    pictured = replace(UNKNOWN, parcel=replace(parcel, media=(picture,)))
    found = looked_up(pictured, [remote(status="undelivered", code="30019", media=1)], NOON + seconds(20))

    (linked,) = found.writes.deliveries
    assert (found.fate, linked.id) == (Fate.FAILED, "m1.1.2")
    assert isinstance(linked.parcel, TextParcel)
    assert (linked.parcel.media, picture in linked.parcel.body) == ((), True)
    assert found.writes.moves == ()


def test_a_text_that_was_found_blocked_raises_the_question_that_its_status_would() -> None:
    found = looked_up(UNKNOWN, [remote(status="undelivered", code="30004")], NOON + seconds(20))

    assert [(q.kind, q.phone) for q in found.writes.questions] == [("stop", MARIA)]
    assert [c.action for c in found.writes.consents] == ["suspend"]


def test_a_text_is_adopted_even_when_its_message_is_gone() -> None:
    found = lookup.judge_lookup(UNKNOWN, None, [remote(status="failed")], facts(), RULES, NOON)

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
    found = lookup.matching(UNKNOWN, rows, facts())

    assert expected == (found.remote_id if found else None)


@pytest.mark.parametrize(("listed", "sent", "fits"), [(0, 0, True), (1, 0, False), (0, 1, False), (2, 2, True)])
def test_the_number_of_pictures_must_match(listed: int, sent: int, fits: bool) -> None:
    assert isinstance(UNKNOWN.parcel, TextParcel)
    delivery = replace(UNKNOWN, parcel=replace(UNKNOWN.parcel, media=("https://x/1",) * sent))

    assert fits == (lookup.matching(delivery, [remote(media=listed)], facts()) is not None)


def test_a_provider_may_have_a_rule_of_its_own_for_what_no_look_up_finds() -> None:
    told = shop.rules(on_unknown="reconcile", unknown={"twilio": "hold"})

    assert Fate.HELD is looked_up(replace(UNKNOWN, lookups=2), [], NOON + seconds(150), told).fate
    assert Fate.WAITING is looked_up(replace(UNKNOWN, lookups=2, courier="flowroute"), [], NOON, told).fate


def test_words_that_the_provider_made_plain_still_match() -> None:
    curly = replace(
        UNKNOWN, parcel=TextParcel(number=SERVICE, service="", to=MARIA, body="It\u2019s", validity_seconds=9)
    )

    assert lookup.matching(curly, [remote(body="It's")], facts()) is not None


SIDS = st.sampled_from(["SM1", "SM2", "SM3", "SM4"])


@given(st.lists(SIDS, max_size=6), st.sets(SIDS), st.sets(SIDS))
def test_a_text_of_another_delivery_is_never_adopted(listed: list[str], others: set[str], own: set[str]) -> None:
    rows = [remote(remote_id=sid, created_at=NOON + seconds(n)) for n, sid in enumerate(listed)]
    by_remote = {("twilio", sid): paid(id="m2.1.1") for sid in others}
    by_remote |= {("twilio", sid): UNKNOWN for sid in own - others}
    by_remote |= {("flowroute", sid): paid(id="m3.1.1") for sid in listed}
    found = lookup.matching(UNKNOWN, rows, facts(by_remote=by_remote))

    assert found is None or found.remote_id not in others
    assert (found is None) == (set(listed) <= others)
