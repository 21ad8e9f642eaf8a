"""When a text may go: quiet hours, in all time zones that the phone may be in, for customers only."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from gateway.core import quiet
from gateway.core.model import Fate, Kind
from gateway.core.rules import Rules
from gateway.core.work import Deferred, Delivery

QUIET = "quiet hours"  # Delivery.reason
RELAY = "relay"  # of what waits for our relay: it goes as soon as that takes mail again
RETRY = "retry"
_SHORTEST = timedelta(seconds=30)  # a text that has less time before quiet hours would only be late (Twilio 30036)
_ANSWERS = frozenset({Kind.ANSWER, Kind.CONFIRMATION, Kind.QUESTION})  # the person wrote a moment ago


def by_carrier(delivery: Delivery) -> bool:
    """Whether it is a text by an employee's address at a carrier; other mails have no phone."""
    return delivery.courier == "mail" and delivery.phone is not None


def by_relay(delivery: Delivery, end: Deferred) -> bool:
    """Whether our relay was not there for a mail, whatever the mail is."""
    return end.sender_wide and delivery.courier == "mail"


def falls_back_at(delivery: Delivery, rules: Rules) -> datetime | None:
    """When a carrier has had its time with a text, which then goes by the provider; None where that is not open.

    It counts from when the text was let go.
    """
    if not by_carrier(delivery) or not delivery.ways:
        return None
    return delivery.begun_at + rules.policy.fallback_after


def decided(delivery: Delivery, rules: Rules, now: datetime) -> bool:
    """Whether a carrier's text need not wait for the carrier any more: the provider is open to it, or it expires."""
    at = falls_back_at(delivery, rules)
    return by_carrier(delivery) and (now >= delivery.expires_at or (at is not None and now >= at))


def sooner(due: datetime, delivery: Delivery, rules: Rules, now: datetime) -> datetime:
    """`due`, or the moment before it at which a carrier's text goes by the provider or expires."""
    if not by_carrier(delivery):
        return due
    ends = (falls_back_at(delivery, rules), delivery.expires_at)
    return min([due, *(end for end in ends if end is not None and end > now)])


def exempt(delivery: Delivery, rules: Rules) -> bool:
    """Whether quiet hours do not concern it: mails, employees, and answers in a conversation where so configured."""
    if not rules.policy.quiet_hours or delivery.phone is None or rules.employee_at(delivery.phone) is not None:
        return True
    answering = delivery.conversational or delivery.kind in _ANSWERS
    return delivery.kind is Kind.CONFIRMATION or (answering and rules.policy.quiet_replies == "send")


def lifts_at(delivery: Delivery, rules: Rules, now: datetime) -> datetime | None:
    """When quiet hours let the text go; None = they do not hold it."""
    if exempt(delivery, rules) or delivery.phone is None:
        return None
    soon = now + _SHORTEST
    return quiet.lifts_at(delivery.phone, rules.policy.quiet_hours, now) or quiet.lifts_at(
        delivery.phone, rules.policy.quiet_hours, soon
    )


def too_late(lift: datetime, since: datetime, rules: Rules) -> str:
    """Why a text of `since` is not worth sending at `lift`, "" = it is."""
    if lift - since <= rules.policy.hold_at_most:
        return ""
    return f"quiet hours hold it until {lift:%Y-%m-%d %H:%M} UTC, longer than [policy] hold_at_most allows"


def let_go(delivery: Delivery, planned: datetime) -> datetime:
    """From when a text's wait for quiet hours counts: from its mail, or from when a person let it go since.

    What is tried again, or waits for quiet hours already, has been waiting all the time.
    """
    return planned if delivery.reason in (QUIET, RETRY, RELAY) else max(planned, delivery.due_at)


def timed(delivery: Delivery, rules: Rules, now: datetime) -> Delivery:
    """The delivery of a text as quiet hours let it go: at once, when they lift, or, when that is too late, ended.

    It expires [policy] expires_after after the moment from which it may go.
    """
    lift = lifts_at(delivery, rules, now) if delivery.fate is Fate.WAITING else None
    if lift is None:
        return delivery
    late = too_late(lift, now, rules)
    if late:
        return replace(delivery, fate=Fate.EXPIRED, code="4.4.7", note=late)
    return replace(delivery, due_at=lift, reason=QUIET, expires_at=lift + rules.policy.expires_after)


def seconds_left(delivery: Delivery, rules: Rules, now: datetime) -> int:
    """The validity period of a text that leaves at `now`: it ends with the text's time, and before quiet hours begin.

    From 1 to 36,000 s, which is what Twilio takes.
    """
    ends = delivery.expires_at
    if delivery.phone is not None and not exempt(delivery, rules):
        begins = quiet.begins_at(delivery.phone, rules.policy.quiet_hours, now)
        ends = min(ends, begins) if begins else ends
    return max(1, min(36_000, int((ends - now).total_seconds())))
