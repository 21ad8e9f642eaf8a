"""What the end of an attempt means: retry, next way, a look-up, an end and its report."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import assert_never

from gateway.core import incoming, notice, outgoing, policy
from gateway.core.gsm import transliterate
from gateway.core.model import BAD_ENDS, Consent, Conversation, Fate
from gateway.core.route import NoWay, Person, ways
from gateway.core.rules import Rules
from gateway.core.work import (
    Accepted,
    Deferred,
    Delivery,
    Facts,
    Message,
    Outcome,
    Refused,
    Remote,
    Settlement,
    TextParcel,
    Unclear,
    Writes,
)

PAID = frozenset({"twilio", "flowroute"})
_PROVIDER_BACKOFF = (5, 15, 30, 60, 120, 300)
_MAIL_BACKOFF = (30, 60, 300, 600, 900, 1800)
_MAIL_RESENDS = 2
_RETRY_AFTER = 3600  # seconds; more is not believed
_FAILED_LOOKUPS = 20
_FAILED = "lookup-failed-"
_TRIAL_PREFIX = "Sent from your Twilio trial account - "


def backoff(delivery: Delivery) -> timedelta:
    """The pause before the next try: longer with each, spread by a tenth so that a backlog does not come in step."""
    steps = _PROVIDER_BACKOFF if delivery.courier in PAID else _MAIL_BACKOFF
    seconds = steps[min(max(delivery.attempt, 1), len(steps)) - 1]
    spread = zlib.crc32(delivery.id.encode()) % 100 / 1000
    return timedelta(seconds=seconds * (1 + spread))


def judge(delivery: Delivery, message: Message | None, outcome: Outcome, rules: Rules, now: datetime) -> Settlement:
    """The settlement of one attempt.  `delivery` is as `start` left it: fate sending, attempt counted."""
    match outcome:
        case Accepted(remote_id=remote_id, note=note):
            return _settled(delivery, "accepted", Fate.HANDED_OVER, note=note, remote_id=remote_id)
        case Deferred(retry_after=retry_after):
            pause = max(backoff(delivery), timedelta(seconds=min(retry_after or 0.0, _RETRY_AFTER)))
            return _again(delivery, message, outcome, now + pause, rules, now)
        case Refused(reason=reason, code=code, opted_out=opted_out):
            return _refused(delivery, message, reason, code, opted_out, rules, now)
        case Unclear():
            return _unclear(delivery, message, outcome, rules, now)
        case _:
            assert_never(outcome)


def _again(
    delivery: Delivery, message: Message | None, end: Deferred | Unclear, due: datetime, rules: Rules, now: datetime
) -> Settlement:
    outcome, code = ("deferred", end.code) if isinstance(end, Deferred) else ("unclear", "")
    if now >= delivery.expires_at:
        return expired(delivery, message, rules, now, outcome=outcome, last=end.reason, code=code)
    due = min(due, delivery.expires_at)
    return _settled(delivery, outcome, Fate.WAITING, due_at=due, reason="retry", note=end.reason, code=code)


def expired(
    delivery: Delivery,
    message: Message | None,
    rules: Rules,
    now: datetime,
    *,
    outcome: str,
    last: str = "",
    code: str = "",
) -> Settlement:
    """Its time is over; the report names the last thing that was heard."""
    why = f"its time was over at {delivery.expires_at:%Y-%m-%d %H:%M} UTC"
    heard = last or delivery.note
    why += f"; the last answer was: {heard}" if heard else ""
    told = notice.failure(message, why, code or "4.4.7", Fate.EXPIRED, rules, now) if message else Writes()
    return _settled(delivery, outcome, Fate.EXPIRED, note=heard or why, code=code or delivery.code, writes=told)


def _refused(
    delivery: Delivery, message: Message | None, reason: str, code: str, opted_out: bool, rules: Rules, now: datetime
) -> Settlement:
    writes = Writes()
    if opted_out and delivery.phone is not None:
        entry = Consent(
            id=f"{delivery.id}.{delivery.attempt}.stop",
            brand=rules.brand,
            phone=delivery.phone,
            at=now,
            action="stop",
            method="provider",
            evidence=f"{delivery.courier} refused delivery {delivery.id} with {code}",
            recorded_by=delivery.courier,
        )
        writes = Writes(consents=(entry,))
    other = None if opted_out or message is None else next_way(delivery, message, rules, now)
    if other is not None:
        note = f"{reason}; falls back to {other.courier}"
        return _settled(delivery, "refused", Fate.FAILED, code=code, note=note, writes=Writes(deliveries=(other,)))
    fate = Fate.REFUSED if opted_out else Fate.FAILED
    told = notice.failure(message, reason, code, fate, rules, now) if message else Writes()
    return _settled(delivery, "refused", fate, code=code, note=reason, writes=writes.joined(told))


def next_way(delivery: Delivery, message: Message, rules: Rules, now: datetime) -> Delivery | None:
    """The delivery by the provider after the carrier refused; None where that way is not open.

    It goes out by the number that its conversation was given, and no later than the first way would have.
    """
    employee = rules.employee(delivery.person)
    if not delivery.ways or employee is None:
        return None
    person = Person(phone=employee.phone, employee=replace(employee, carrier=""), tag=delivery.ways[0])
    today = now.astimezone(rules.timezone).date()
    found = ways(person, rules.sender(message.sender), rules, today=today)
    if isinstance(found, NoWay):
        return None
    k = int(delivery.id.rpartition(".")[2]) + 1
    made = outgoing.text_by(found[0], (), message, rules, now, bounce="", k=k)
    return replace(
        made, conversational=delivery.conversational, priority=delivery.priority, expires_at=delivery.expires_at
    )


def _unclear(delivery: Delivery, message: Message | None, end: Unclear, rules: Rules, now: datetime) -> Settlement:
    if delivery.courier in PAID:
        due = (delivery.posted_at or now) + rules.lookup_after[0]
        return _settled(delivery, "unclear", Fate.UNKNOWN, due_at=due, reason="lookup", note=end.reason)
    if delivery.resends < _MAIL_RESENDS:
        counted = replace(delivery, resends=delivery.resends + 1)
        return _again(counted, message, end, now + backoff(delivery), rules, now)
    why = f"{end.reason}; after {delivery.attempt} tries it may or may not have been handed over"
    told = notice.failure(message, why, "4.4.2", Fate.FAILED, rules, now) if message else Writes()
    return _settled(delivery, "unclear", Fate.FAILED, code="4.4.2", note=why, writes=told)


def matching(delivery: Delivery, rows: Sequence[Remote], taken: Facts) -> Remote | None:
    """The listed text that is this one: same words, by the same number, not another delivery's, the nearest in time.

    A row without a number (a service has not picked one yet) may be by any.
    """
    assert isinstance(delivery.parcel, TextParcel)
    wanted = delivery.parcel.body.strip()
    fits = [
        row
        for row in rows
        if row.body.removeprefix(_TRIAL_PREFIX).strip() in (wanted, transliterate(wanted))
        and row.sender in ("", delivery.parcel.number)
        and _free(delivery, row.remote_id, taken)
    ]
    posted = delivery.posted_at or delivery.due_at
    return min(fits, key=lambda row: abs(row.created_at - posted), default=None)


def _free(delivery: Delivery, remote_id: str, taken: Facts) -> bool:
    owner = taken.by_remote.get((delivery.courier, remote_id))
    return owner is None or owner.id == delivery.id


def judge_lookup(
    delivery: Delivery,
    message: Message | None,
    rows: Sequence[Remote] | None,
    taken: Facts,
    rules: Rules,
    now: datetime,
) -> Settlement:
    """The settlement of one look-up of an unclear text (P4).  `rows` None: it could not be completed."""
    if rows is None:
        return _lookup_failed(delivery, message, rules, now)
    found = matching(delivery, rows, taken)
    if found is not None:
        return _found(delivery, message, found, rules, now)
    done = delivery.lookups + 1
    if done < len(rules.lookup_after):
        due = max(now, (delivery.posted_at or now) + rules.lookup_after[done])
        return _settled(
            delivery, "not_found", Fate.UNKNOWN, due_at=due, reason="lookup", note=delivery.note, lookups=done
        )
    if rules.on_unknown == "reconcile" and delivery.resends < 1 and now < delivery.expires_at:
        note = f"{done} look-ups found nothing: sent again, once"
        again = replace(delivery, resends=delivery.resends + 1)
        return _settled(again, "not_found", Fate.WAITING, due_at=now, reason="retry", note=note)
    why = f"{done} look-ups found nothing; it may or may not have been sent"
    return _held(delivery, message, "not_found", why, rules, now, done)


def _found(delivery: Delivery, message: Message | None, found: Remote, rules: Rules, now: datetime) -> Settlement:
    """The text was taken; what the provider says of it by now may be its end already."""
    fate = incoming.FATES.get(found.status, Fate.HANDED_OVER)
    note = f"found as {found.remote_id}; {incoming.said(delivery.courier, found.status, found.code)}"
    told = Writes()
    if fate in BAD_ENDS and message is not None:
        told = notice.failure(message, note, found.code, fate, rules, now)
    done, sid = delivery.lookups + 1, found.remote_id
    return _settled(delivery, "found", fate, code=found.code, note=note, remote_id=sid, lookups=done, writes=told)


def _lookup_failed(delivery: Delivery, message: Message | None, rules: Rules, now: datetime) -> Settlement:
    # A failed look-up proves nothing; `code` counts how many there were, since `lookups` counts completed ones.
    failed = int(delivery.code.removeprefix(_FAILED)) if delivery.code.startswith(_FAILED) else 0
    if failed + 1 >= _FAILED_LOOKUPS:
        why = f"{delivery.courier} could not be asked whether it took the text; it may or may not have been sent"
        return _held(delivery, message, "lookup_failed", why, rules, now, delivery.lookups)
    return _settled(
        delivery,
        "lookup_failed",
        Fate.UNKNOWN,
        due_at=now + timedelta(seconds=min(20 * 2 ** min(failed, 4), 300)),
        reason="lookup",
        code=f"{_FAILED}{failed + 1}",
        note=delivery.note,
        lookups=delivery.lookups,
    )


def _held(
    delivery: Delivery, message: Message | None, outcome: str, why: str, rules: Rules, now: datetime, lookups: int
) -> Settlement:
    told = notice.failure(message, why, "4.4.2", Fate.HELD, rules, now) if message else Writes()
    return _settled(delivery, outcome, Fate.HELD, reason="unknown", note=why, lookups=lookups, writes=told)


def veto(delivery: Delivery, talk: Conversation | None, facts: Facts, rules: Rules, now: datetime) -> policy.No | None:
    """Why policy forbids this text at the last moment, a STOP above all; None = it may go.  Mails have no phone."""
    if delivery.phone is None:
        return None
    state = policy.standing(facts.consents.get(delivery.phone, ()), rules.brand)
    answering = delivery.conversational and policy.conversational(talk, now)
    return policy.forbids(delivery.phone, state, rules, answering=answering)


def vetoed(delivery: Delivery, message: Message | None, no: policy.No, rules: Rules, now: datetime) -> Settlement:
    """The end of a delivery that policy forbids, with its report."""
    who = delivery.person or str(delivery.phone)
    why = f"{who} {no.why}: {no.remedy}"
    told = notice.failure(message, why, no.code, Fate.REFUSED, rules, now) if message else Writes()
    return _settled(delivery, "vetoed", Fate.REFUSED, code=no.code, note=why, writes=told)


def over_budget(delivery: Delivery, rules: Rules, now: datetime, facts: Facts) -> Settlement:
    """A text over its sender's budget is held, and the admin is told once a day.

    The alarm's id is that of the day: every text says it, and it is written once, whatever a kill has lost.
    """
    why = f"the budget of sender {delivery.sender} is used up"
    day = f"{now.astimezone(rules.timezone):%Y-%m-%d}"
    text = f"{why[0].upper()}{why[1:]}: its texts are held.\n\n"
    text += f"Send them: gateway queue release --sender {delivery.sender}\n"
    key = f"budget.{delivery.sender}.{day}"
    told = notice.alarm(key, f"Texts of {delivery.sender} are held", text, rules, now, facts.confirmations)
    return _settled(delivery, "held", Fate.HELD, reason="budget", note=why, writes=told)


def _settled(
    delivery: Delivery,
    outcome: str,
    fate: Fate,
    *,
    due_at: datetime | None = None,
    reason: str = "",
    code: str = "",
    note: str = "",
    remote_id: str = "",
    lookups: int = 0,
    writes: Writes | None = None,
) -> Settlement:
    return Settlement(
        delivery=delivery.id,
        attempt=delivery.attempt,
        outcome=outcome,
        fate=fate,
        due_at=due_at,
        reason=reason,
        code=code,
        note=note[:1000],
        remote_id=remote_id,
        lookups=lookups,
        resends=delivery.resends,
        writes=writes or Writes(),
    )
