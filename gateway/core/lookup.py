"""What a look-up of an unclear text says: found and adopted, to be sent again once, or held for a person (P4)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from gateway.core import dsn, incoming
from gateway.core.facts import Facts
from gateway.core.gsm import transliterate
from gateway.core.intent import Status
from gateway.core.model import BAD_ENDS, Fate, InboundHook, StatusIn
from gateway.core.rules import Rules
from gateway.core.verdict import settled
from gateway.core.work import Delivery, Message, Remote, Settlement, TextParcel, Writes

_FAILED_LOOKUPS = 20
_FAILED = "lookup-failed-"
_TRIAL_PREFIX = "Sent from your Twilio trial account - "


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
        and row.media == len(delivery.parcel.media)
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
        return _found(delivery, message, found, taken, rules, now)
    done = delivery.lookups + 1
    if done < len(rules.lookup_after):
        due = max(now, (delivery.posted_at or now) + rules.lookup_after[done])
        return settled(
            delivery, "not_found", Fate.UNKNOWN, due_at=due, reason="lookup", note=delivery.note, lookups=done
        )
    if (
        rules.unknown.get(delivery.courier, rules.on_unknown) == "reconcile"
        and delivery.resends < 1
        and now < delivery.expires_at
    ):
        note = f"{done} look-ups found nothing: sent again, once"
        again = replace(delivery, resends=delivery.resends + 1)
        return settled(again, "not_found", Fate.WAITING, due_at=now, reason="retry", note=note)
    why = f"{done} look-ups found nothing; it may or may not have been sent"
    return _held(delivery, message, "not_found", why, rules, now, done)


def _found(
    delivery: Delivery, message: Message | None, found: Remote, taken: Facts, rules: Rules, now: datetime
) -> Settlement:
    """The text was taken; what the provider says of it by now may be its end already, with all that a status does."""
    fate = incoming.FATES.get(found.status, Fate.HANDED_OVER)
    note = f"found as {found.remote_id}; {incoming.said(delivery.courier, found.status, found.code, rules)}"
    told = Writes()
    if fate in (*BAD_ENDS, Fate.DELIVERED) and message is not None:
        told = replace(_as_status(delivery, message, found, taken, rules, now), moves=())
    done, sid = delivery.lookups + 1, found.remote_id
    return settled(delivery, "found", fate, code=found.code, note=note, remote_id=sid, lookups=done, writes=told)


def _as_status(
    delivery: Delivery, message: Message, found: Remote, taken: Facts, rules: Rules, now: datetime
) -> Writes:
    event = StatusIn(
        remote_id=found.remote_id,
        delivery=delivery.id,
        attempt=delivery.attempt,
        status=found.status,
        code=found.code,
    )
    hook = InboundHook(
        id=f"{delivery.courier}:{found.remote_id}", at=now, provider=delivery.courier, event=event, raw=b""
    )
    facts = replace(
        taken,
        deliveries={**taken.deliveries, delivery.id: delivery},
        messages={**taken.messages, message.id: message},
    )
    return incoming.status(hook, Status(event=event), facts, rules, now, iter(facts.fresh))


def _lookup_failed(delivery: Delivery, message: Message | None, rules: Rules, now: datetime) -> Settlement:
    # A failed look-up proves nothing; `code` counts how many there were, since `lookups` counts completed ones.
    failed = int(delivery.code.removeprefix(_FAILED)) if delivery.code.startswith(_FAILED) else 0
    if failed + 1 >= _FAILED_LOOKUPS:
        why = f"{delivery.courier} could not be asked whether it took the text; it may or may not have been sent"
        return _held(delivery, message, "lookup_failed", why, rules, now, delivery.lookups)
    return settled(
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
    told = dsn.failure(message, why, "4.4.2", Fate.HELD, rules, now) if message else Writes()
    return settled(delivery, outcome, Fate.HELD, reason="unknown", note=why, lookups=lookups, writes=told)
