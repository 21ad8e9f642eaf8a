"""Fates that move outside of an attempt.  Whether one may move is a pure decision; every move is kept as a receipt."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import apsw

from gateway.core.model import BAD_ENDS, Fate
from gateway.core.work import Move
from gateway.spool.due import hasten_behind
from gateway.spool.recent import WELL, forget, introduce
from gateway.spool.remote import Bound, bind
from gateway.spool.rows import one, stamp

ADMIN = "admin"
STOP = "stop"
ANSWER = "answer"  # to a question: what waited for it is not needed, or goes at once
# What each command may end.
COMMANDS = {
    ADMIN: frozenset({Fate.WAITING, Fate.HELD, Fate.UNKNOWN}),
    STOP: frozenset({Fate.WAITING, Fate.HELD}),
    ANSWER: frozenset({Fate.WAITING}),
}
BUDGET = "budget"  # the reason of what is held because its budget is used up

_WAS = """
SELECT fate, attempt, courier, lane, parcel IS NULL, remote_id, expires_at, lifetime, reason, number FROM delivery
  WHERE id = ?
"""
_RECEIPT = """
INSERT INTO receipt (delivery, inbound, at, source, fate, code, note, remote_id, changed) VALUES (?, ?, ?, ?, ?,
  ?, ?, ?, ?)
"""
_MOVE = "UPDATE delivery SET fate = ?, reason = '', code = ?, note = ?, lease_until = NULL WHERE id = ?"
_HASTEN = "UPDATE delivery SET due_at = ? WHERE id = ?"
# What the other side said of the last attempt's text is over: the id of the next one is no second of the same.
_RETRY = """
UPDATE delivery SET remote_id = iif(fate IN ('failed', 'refused'), '', remote_id), fate = 'waiting', reason = '',
  note = coalesce(nullif(?, ''), note), due_at = ?, expires_at = ?, lookups = 0, released = max(released, ?),
  lease_until = NULL WHERE id = ?
"""
_AGAIN = frozenset({Fate.WAITING, Fate.HELD, *BAD_ENDS})


def may_move(was: Fate, attempt: int, move: Move) -> bool:
    """Whether `move` changes a delivery that stands at `was` after `attempt` attempts.

    The admin and a STOP end what has not left, an answer what waits; the admin lets go what waits, was held or ended
    badly.  With a `due_at` a move changes when a waiting one is due, and no fate.  All others tell what became of a
    text that left: it moves forward only, and `delivered` wins over everything.
    """
    if _hastens(move):
        return False
    if move.source in COMMANDS:
        return _may_command(was, move)
    if move.fate is Fate.DELIVERED:
        return was is not Fate.DELIVERED
    # Before the first attempt nothing can have left; after it, a retry that waits may be for a text that did.
    left = was in (Fate.SENDING, Fate.UNKNOWN) or (was is Fate.HELD and attempt > 0)
    if move.fate is Fate.HANDED_OVER:
        return left or (was in (Fate.WAITING, Fate.EXPIRED, Fate.CANCELLED) and attempt > 0)
    if move.fate in BAD_ENDS:
        # That an earlier attempt ended badly says nothing of the one that followed it.
        return (left or was is Fate.HANDED_OVER) and not 0 < move.attempt < attempt
    return False


def _may_command(was: Fate, move: Move) -> bool:
    if move.fate is Fate.WAITING:
        return move.source == ADMIN and was in _AGAIN
    return move.fate in BAD_ENDS and was in COMMANDS[move.source]


def _hastens(move: Move) -> bool:
    return move.fate is Fate.WAITING and move.due_at is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """What one move did."""

    lane: str  # "" when the delivery is not known
    changed: bool  # its fate
    touched: bool = False  # its fate or when it is due: the head of its lane may be free
    doubled: tuple[tuple[str, str, str], ...] = ()  # see ports.Committed


def apply_move(connection: apsw.Connection, move: Move, inbound: str, now: datetime) -> Moved:
    """Keeps the receipt and moves the fate where it may.  `inbound` is the hook or mail that told it, or ""."""
    row = one(connection, _WAS, (move.delivery,))
    if row is None:
        return Moved(lane="", changed=False)
    fate, attempt, courier, lane, empty, remote_id, expires_at, lifetime, reason, number = row
    changed = may_move(Fate(fate), attempt, move) and not (move.fate is Fate.WAITING and empty)
    hastened = _hastens(move) and fate == Fate.WAITING
    receipt = (move.delivery, inbound, stamp(now), move.source, move.fate.value, move.code, move.note, move.remote_id)
    connection.execute(_RECEIPT, (*receipt, int(changed or hastened)))
    bound = Bound()
    if move.remote_id:
        bound = bind(connection, courier, move.remote_id, move.delivery, known=remote_id)
    if hastened and move.due_at is not None:
        connection.execute(_HASTEN, (stamp(move.due_at), move.delivery))
    elif changed and move.fate is Fate.WAITING:
        until = max(expires_at, stamp(now) + lifetime)
        # Only the admin makes a delivery wait again.  What its budget held would be held again at once.
        released = fate == Fate.HELD and reason == BUDGET
        connection.execute(_RETRY, (move.note, stamp(now), until, int(released), move.delivery))
    elif changed:
        connection.execute(_MOVE, (move.fate.value, move.code, move.note, move.delivery))
    if move.fate in WELL and move.source not in COMMANDS:
        introduce(connection, move.delivery, now)
    elif changed and move.fate in BAD_ENDS and move.source not in COMMANDS:
        forget(connection, move.delivery)
    if (changed or hastened) and number.startswith("@"):
        hasten_behind(connection, move.delivery, stamp(move.due_at or now))
    return Moved(lane=lane, changed=changed, touched=changed or hastened, doubled=bound.doubled)
