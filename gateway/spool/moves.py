"""Fates that move outside of an attempt.  Whether one may move is a pure decision; every move is kept as a receipt."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import apsw

from gateway.core.model import BAD_ENDS, Fate
from gateway.core.work import Move
from gateway.spool.remote import bind
from gateway.spool.rows import one, stamp

ADMIN = "admin"
STOP = "stop"
BUDGET = "budget"  # the reason of what is held because its budget is used up

_WAS = """
SELECT fate, attempt, courier, lane, parcel IS NULL, remote_id, expires_at, lifetime, reason FROM delivery WHERE
  id = ?
"""
_RECEIPT = """
INSERT INTO receipt (delivery, inbound, at, source, fate, code, note, remote_id, changed) VALUES (?, ?, ?, ?, ?,
  ?, ?, ?, ?)
"""
_MOVE = "UPDATE delivery SET fate = ?, reason = '', code = ?, note = ?, lease_until = NULL WHERE id = ?"
_RETRY = """
UPDATE delivery SET fate = 'waiting', reason = '', note = coalesce(nullif(?, ''), note), due_at = ?, expires_at =
  ?, lookups = 0, released = max(released, ?), lease_until = NULL WHERE id = ?
"""
_AGAIN = frozenset({Fate.WAITING, Fate.HELD, *BAD_ENDS})


def may_move(was: Fate, attempt: int, move: Move) -> bool:
    """Whether `move` changes a delivery that stands at `was` after `attempt` attempts.

    The admin and a STOP end what has not left; the admin lets go what waits, was held or ended badly.  All others
    tell what became of a text that left: it moves forward only, and `delivered` wins over everything.
    """
    if move.source in (ADMIN, STOP):
        return _may_command(was, move)
    if move.fate is Fate.DELIVERED:
        return was is not Fate.DELIVERED
    # Before the first attempt nothing can have left; after it, a retry that waits may be for a text that did.
    left = was in (Fate.SENDING, Fate.UNKNOWN) or (was is Fate.HELD and attempt > 0)
    if move.fate is Fate.HANDED_OVER:
        return left or (was in (Fate.WAITING, Fate.EXPIRED, Fate.CANCELLED) and attempt > 0)
    if move.fate in BAD_ENDS:
        return left or was is Fate.HANDED_OVER
    return False


def _may_command(was: Fate, move: Move) -> bool:
    if move.fate is Fate.WAITING:
        return move.source == ADMIN and was in _AGAIN
    if move.fate in BAD_ENDS:
        return was in (Fate.WAITING, Fate.HELD) or (was is Fate.UNKNOWN and move.source == ADMIN)
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """What one move did."""

    lane: str  # "" when the delivery is not known
    changed: bool


def apply_move(connection: apsw.Connection, move: Move, inbound: str, now: datetime) -> Moved:
    """Keeps the receipt and moves the fate where it may.  `inbound` is the hook or mail that told it, or ""."""
    row = one(connection, _WAS, (move.delivery,))
    if row is None:
        return Moved(lane="", changed=False)
    fate, attempt, courier, lane, empty, remote_id, expires_at, lifetime, reason = row
    changed = may_move(Fate(fate), attempt, move) and not (move.fate is Fate.WAITING and empty)
    receipt = (move.delivery, inbound, stamp(now), move.source, move.fate.value, move.code, move.note, move.remote_id)
    connection.execute(_RECEIPT, (*receipt, int(changed)))
    if move.remote_id:
        bind(connection, courier, move.remote_id, move.delivery, known=remote_id)
    if changed and move.fate is Fate.WAITING:
        until = max(expires_at, stamp(now) + lifetime)
        # Only the admin makes a delivery wait again.  What its budget held would be held again at once.
        released = fate == Fate.HELD and reason == BUDGET
        connection.execute(_RETRY, (move.note, stamp(now), until, int(released), move.delivery))
    elif changed:
        connection.execute(_MOVE, (move.fate.value, move.code, move.note, move.delivery))
    return Moved(lane=lane, changed=changed)
