"""The events of what was committed, and which of our numbers are at fault."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from outbox import carried, paid
from shop import MARIA, NOON, RULES, entry, facts, mail
from structlog.testing import capture_logs

from gateway import tell
from gateway.core.intent import Ignored, Report
from gateway.core.model import Fate, Recipient
from gateway.core.work import Delivery, Move, Plan, Settlement, Writes

HOUR, SECOND = timedelta(hours=1), timedelta(seconds=1)


def planned(*moves: Move, moved: frozenset[str] | None = None, known: Any = None, **more: Any) -> tuple[Any, list[str]]:
    made = Plan(inbound="m1", writes=Writes(moves=moves, **more.pop("writes", {})), **more)
    with capture_logs() as lines:
        names = frozenset(m.delivery for m in moves) if moved is None else moved
        at_fault = tell.planned(mail("bob"), made, names, known or facts(), RULES)
    return tuple(at_fault), [line["event"] for line in lines]


def test_a_plan_is_told_with_all_that_it_did() -> None:
    writes = {
        "deliveries": tuple(paid(fate=fate) for fate in Fate),
        "consents": tuple(
            entry(action) for action in ("grant", "stop", "start", "revoke", "suspend", "resume", "block")
        ),
    }
    _, events = planned(parked="too deep", writes=writes)

    assert [
        "inbound.parked", "plan.committed", "consent.granted", "consent.withdrawn", "consent.restored",
        "consent.withdrawn", "consent.suspended", "consent.restored", "consent.blocked",
    ] == events[:9]  # fmt: skip
    assert ["delivery.expired", "delivery.held", "delivery.refused"] == sorted(events[9:])


def move(source: str = "twilio", code: str = "", delivery: str = "m1.1.1") -> Move:
    return Move(delivery=delivery, fate=Fate.FAILED, source=source, code=code)


@pytest.mark.parametrize(
    ("source", "moved", "expected"),
    [
        pytest.param("twilio", None, ["delivery.confirmed"], id="a status"),
        pytest.param("bounce", None, ["delivery.bounced"], id="a bounce"),
        pytest.param("answer", None, [], id="an answer to a question"),
        pytest.param("twilio", frozenset(), [], id="a status that changed nothing"),
    ],
)
def test_only_what_moved_is_told(source: str, moved: frozenset[str] | None, expected: list[str]) -> None:
    assert expected == planned(move(source), moved=moved)[1][1:]


@pytest.mark.parametrize(
    ("delivery", "source", "code", "moved", "expected"),
    [
        pytest.param(paid(), "twilio", "30034", None, ("service",), id="not registered"),
        pytest.param(paid(), "twilio", "30003", None, (), id="the phone is off"),
        pytest.param(paid(), "twilio", "", None, (), id="no code"),
        pytest.param(paid(), "twilio", "30034", frozenset(), (), id="known already"),
        pytest.param(paid(), "bounce", "30034", None, (), id="not by the provider"),
        pytest.param(carried(), "bounce", "30034", None, (), id="no number of ours"),
        pytest.param(None, "twilio", "30034", None, (), id="no delivery of ours"),
        pytest.param(paid(courier="flowroute"), "flowroute", "30034", None, (), id="a provider without a table"),
    ],
)
def test_a_number_whose_texts_fail_for_its_own_fault_is_answered(
    delivery: Delivery | None, source: str, code: str, moved: frozenset[str] | None, expected: tuple[str, ...]
) -> None:
    known = facts(deliveries={"m1.1.1": delivery} if delivery else {})

    assert expected == planned(move(source, code), moved=moved, known=known)[0]


@pytest.mark.parametrize(
    ("fate", "now_is", "code", "note", "expected"),
    [
        pytest.param(Fate.HANDED_OVER, Fate.FAILED, "5.7.1", "bounced: 550 5.7.1 spam", ("@vtext.com",), id="returned"),
        pytest.param(
            Fate.HANDED_OVER, Fate.HANDED_OVER, "4.2.0", "delayed: 421 4.2.0 AUP#SNDR", ("@vtext.com",), id="late"
        ),
        pytest.param(Fate.HANDED_OVER, Fate.FAILED, "5.1.1", "bounced: 550 5.1.1 no such user", (), id="the number's"),
        pytest.param(Fate.FAILED, Fate.FAILED, "5.7.1", "bounced: 550 5.7.1 spam", (), id="it ended badly before"),
    ],
)
def test_a_carrier_that_refuses_us_by_a_bounce_is_answered(
    fate: Fate, now_is: Fate, code: str, note: str, expected: tuple[str, ...]
) -> None:
    known = facts(by_bounce={"x": carried(fate=fate)})
    moved = frozenset({"m1.1.1"} if now_is is Fate.FAILED else ())
    told = Move(delivery="m1.1.1", fate=now_is, code=code, note=note, source="bounce")

    assert expected == planned(told, told, moved=moved, known=known)[0]


@pytest.mark.parametrize(
    ("posted", "code", "expected"),
    [
        pytest.param(4 * HOUR, "5.7.1", True, id="within the time of a text"),
        pytest.param(4 * HOUR + SECOND, "5.7.1", False, id="for good, and long ago"),
        pytest.param(4 * HOUR + SECOND, "4.2.0", True, id="passing: said at the relay's last try"),
        pytest.param(None, "5.7.1", True, id="nobody knows when it left"),
    ],
)
def test_what_comes_back_long_after_it_left_says_nothing_of_the_carrier_today(
    posted: timedelta | None, code: str, expected: bool
) -> None:
    left = carried(fate=Fate.HANDED_OVER, posted_at=None if posted is None else NOON - posted)
    told = Move(delivery="m1.1.1", fate=Fate.FAILED, code=code, note="bounced: rejected by policy", source="bounce")
    with capture_logs():
        made = Plan(inbound="m1", writes=Writes(moves=(told,)))
        shut = tell.planned(mail("bob"), made, frozenset({"m1.1.1"}), facts(by_bounce={"x": left}), RULES)

    assert ({"@vtext.com": left.posted_at} if expected else {}) == shut


def test_a_number_that_is_found_by_the_providers_id_is_answered_too() -> None:
    known = facts(by_remote={("twilio", "SM1"): paid()})

    assert ("service",) == planned(move(code="30034"), known=known)[0]


def test_words_of_a_machine_are_told_as_ignored() -> None:
    said = Recipient(address="bob@sms.example.com")
    with capture_logs() as lines:
        tell.ignored(mail("bob"), (Ignored(recipient=said, reason="a list"), Report(recipient=said, token="x")))

    assert [("inbound.ignored", "a list")] == [(line["event"], line["reason"]) for line in lines]


@pytest.mark.parametrize(
    ("outcome", "fate", "event"),
    [
        ("accepted", Fate.HANDED_OVER, "delivery.accepted"),
        ("deferred", Fate.WAITING, "delivery.deferred"),
        ("deferred", Fate.EXPIRED, "delivery.expired"),
        ("refused", Fate.FAILED, "delivery.refused"),
        ("unclear", Fate.UNKNOWN, "delivery.unclear"),
        ("not_found", Fate.UNKNOWN, "delivery.unclear"),
        ("not_found", Fate.WAITING, "delivery.resent"),
        ("not_found", Fate.HELD, "delivery.held"),
        ("found", Fate.HANDED_OVER, "delivery.adopted"),
        ("vetoed", Fate.REFUSED, "delivery.vetoed"),
        ("overdue", Fate.FAILED, "delivery.overtaken"),
        ("superseded", Fate.CANCELLED, "delivery.overtaken"),
    ],
)
def test_the_end_of_an_attempt_is_one_line(outcome: str, fate: Fate, event: str) -> None:
    end = Settlement(delivery="m1.1.1", attempt=1, outcome=outcome, fate=fate)
    with capture_logs() as lines:
        tell.settled(paid(), end)

    assert [event] == [line["event"] for line in lines]
    assert MARIA not in str(lines), "phones are masked"
