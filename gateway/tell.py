"""The events of what was committed: one line each, said where the commit is known to be done."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime

from gateway.core import codes, gone
from gateway.core.codes import Klass
from gateway.core.facts import Facts
from gateway.core.intent import Ignored, Intent
from gateway.core.model import BAD_ENDS, Consent, Fate, Inbound
from gateway.core.rules import Rules
from gateway.core.work import Delivery, Move, Plan, Settlement
from gateway.events import emit


def ignored(inbound: Inbound, intents: tuple[Intent, ...]) -> None:
    """What of an inbound is words of a machine."""
    for intent in intents:
        if isinstance(intent, Ignored):
            emit("inbound.ignored", inbound=inbound.id, reason=intent.reason)


def planned(
    inbound: Inbound, made: Plan, moved: frozenset[str], facts: Facts, rules: Rules
) -> Mapping[str, datetime | None]:
    """Says what a plan did.  Answers the ways whose texts fail once they are taken, by name: one of our numbers, or the
    domain of a carrier ("@vtext.com"); and when such a text left.
    """
    writes = made.writes
    if made.parked:
        emit("inbound.parked", inbound=inbound.id, reason=made.parked)
    emit(
        "plan.committed",
        inbound=inbound.id,
        messages=len(writes.messages),
        deliveries=[d.id for d in writes.deliveries],
    )
    for entry in writes.consents:
        consent(entry)
    for delivery in writes.deliveries:
        _ended(delivery)
    for move in writes.moves:
        if move.delivery in moved and move.source != "answer":
            bad = move.source == "bounce" and move.fate in BAD_ENDS
            name = "delivery.bounced" if bad else "delivery.confirmed"
            emit(name, delivery=move.delivery, fate=move.fate.value, code=move.code, courier=move.source)
    at_fault = _at_fault([m for m in writes.moves if m.delivery in moved], facts, rules)
    return {d.number: d.posted_at for d in (*at_fault, *_shut(writes.moves, facts, rules, inbound.at))}


_AT_ONCE = {Fate.REFUSED: "delivery.refused", Fate.EXPIRED: "delivery.expired", Fate.HELD: "delivery.held"}


def _ended(delivery: Delivery) -> None:
    """A delivery that ends, or waits for a person, before any attempt."""
    name = _AT_ONCE.get(delivery.fate)
    if name:
        emit(
            name,
            delivery=delivery.id,
            courier=delivery.courier,
            code=delivery.code,
            note=delivery.note,
            attempt=0,
        )


def _at_fault(moves: list[Move], facts: Facts, rules: Rules) -> Iterator[Delivery]:
    known = {d.id: d for d in (*facts.deliveries.values(), *facts.by_remote.values())}
    for move in moves:
        found = known.get(move.delivery)
        if found is None or not found.number or move.source != found.courier or not move.code:
            continue
        if codes.of_text(found.courier, move.code, rules.errors) is Klass.CONFIG:
            yield found


def _shut(moves: tuple[Move, ...], facts: Facts, rules: Rules, now: datetime) -> Iterator[Delivery]:
    """What came back since its carrier refuses us.  That it is only late moves no fate, and says so too."""
    known = {d.id: d for d in facts.by_bounce.values()}
    for move in moves:
        found = known.get(move.delivery)
        if found is None or not found.number or found.fate in BAD_ENDS or move.source != "bounce":
            continue
        if gone.against_us(found, move.code, move.note) and not gone.stale(found, move.code, rules, now):
            yield found


def consent(entry: Consent) -> None:
    """The event of one entry in the ledger."""
    names = {"grant": "consent.granted", "start": "consent.restored", "resume": "consent.restored"}
    names |= {"suspend": "consent.suspended", "block": "consent.blocked"}
    emit(names.get(entry.action, "consent.withdrawn"), phone=entry.phone, method=entry.method, action=entry.action)


_TOLD = {
    "accepted": "delivery.accepted",
    "deferred": "delivery.deferred",
    "refused": "delivery.refused",
    "unclear": "delivery.unclear",
    "found": "delivery.adopted",
    "vetoed": "delivery.vetoed",
    "expired": "delivery.expired",
    "overdue": "delivery.overtaken",
    "superseded": "delivery.overtaken",
    "held": "delivery.held",
}


def settled(delivery: Delivery, settlement: Settlement) -> None:
    """The one line of an attempt's end."""
    name = _TOLD.get(settlement.outcome, "delivery.unclear")
    if settlement.fate is Fate.EXPIRED:
        name = "delivery.expired"
    elif settlement.fate is Fate.HELD:
        name = "delivery.held"
    elif settlement.outcome == "not_found" and settlement.fate is Fate.WAITING:
        name = "delivery.resent"
    emit(
        name,
        delivery=delivery.id,
        courier=delivery.courier,
        attempt=delivery.attempt,
        to=delivery.to,
        fate=settlement.fate.value,
        code=settlement.code,
        note=settlement.note,
        remote_id=settlement.remote_id,
        segments=delivery.segments,
        ms=settlement.ms,
    )
