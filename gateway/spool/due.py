"""Who is next: deliveries that are due, at most one per lane, in the order of their lane.

The lane is one pair of numbers, or one mailbox.  Its head is free when nothing earlier is under way (sending, being
looked up, waiting for a retry or for the pace), nothing earlier is due, and nobody holds another one of the lane.  What
quiet hours put off holds up nothing, tried before or not: an answer may go all the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import apsw

from gateway.core.work import Delivery, MailParcel
from gateway.spool.rows import DELIVERY, delivery_of, every, maybe_stamp, moment, one, stamp

# The first EXISTS by delivery_lane, the second by delivery_leased, which holds only what somebody works on.
_FREE = """
  AND d.due_at <= :now
  AND (d.lease_until IS NULL OR d.lease_until <= :now)
  AND NOT EXISTS (
    SELECT 1 FROM delivery AS o WHERE o.lane = d.lane AND o.seq < d.seq AND o.fate IN ('waiting', 'sending', 'unknown')
    AND (o.fate <> 'waiting' OR (o.attempt > 0 AND o.reason <> 'quiet hours') OR o.reason IN
      ('pacing', 'retry', 'relay', 'paused')
      OR o.due_at <= :now)
  )
  AND NOT EXISTS (
    SELECT 1 FROM delivery AS f WHERE f.lane = d.lane AND f.lease_until IS NOT NULL AND f.seq <> d.seq
    AND (f.fate = 'sending' OR f.lease_until > :now)
  )
"""
# delivery_due begins with the number and the priority: each step is one seek.  To ask for the next pair in one
# statement, (number, priority) > (?, ?), would read all that waits for the number.
_FIRST_NUMBER = """
SELECT number, priority FROM delivery INDEXED BY delivery_due WHERE fate IN ('waiting', 'unknown') AND number >= ?
  ORDER BY number, priority LIMIT 1
"""
_NEXT_PRIORITY = """
SELECT number, priority FROM delivery INDEXED BY delivery_due WHERE fate IN ('waiting', 'unknown') AND number = ? AND
  priority > ? ORDER BY priority LIMIT 1
"""
_NEXT_NUMBER = """
SELECT number, priority FROM delivery INDEXED BY delivery_due WHERE fate IN ('waiting', 'unknown') AND number > ?
  ORDER BY number, priority LIMIT 1
"""
_OF_PAIR = """
SELECT d.priority, d.due_at, d.seq FROM delivery AS d INDEXED BY delivery_due WHERE d.fate IN ('waiting',
  'unknown') AND d.number = :number AND d.priority = :priority
"""
_CANDIDATES = _OF_PAIR + _FREE + "ORDER BY d.due_at, d.seq LIMIT :limit"
_LATER = """
SELECT due_at FROM delivery INDEXED BY delivery_due WHERE fate IN ('waiting', 'unknown') AND number = :number AND
  priority = :priority AND due_at > :now AND (lease_until IS NULL OR lease_until <= :now) ORDER BY due_at LIMIT 1
"""
_BY_SEQ = DELIVERY + " WHERE d.seq = ?"
# By delivery_lane, whose condition SQLite must find word for word.
_OF_LANE = (
    "SELECT d.seq FROM delivery AS d INDEXED BY delivery_lane "
    "WHERE d.lane = :lane AND d.fate IN ('waiting', 'sending', 'unknown') AND d.fate <> 'sending'"
)
_HEAD = _OF_LANE + _FREE + "ORDER BY d.seq LIMIT 1"
_LEASE = "UPDATE delivery SET lease_until = ? WHERE seq = ?"
_GIVE_BACK = """
UPDATE delivery SET due_at = ?, reason = CASE fate WHEN 'waiting' THEN ? ELSE reason END, expires_at =
  coalesce(?, expires_at), lease_until = NULL WHERE id = ? AND fate IN ('waiting', 'unknown')
"""
# By the unique index of id, then delivery_lane.  Only a carrier's text is several mails.
_BEHIND = """
UPDATE delivery INDEXED BY delivery_lane SET due_at = :due FROM delivery AS h WHERE h.id = :head AND h.number LIKE '@%'
  AND delivery.lane = h.lane AND delivery.seq > h.seq AND delivery.fate IN ('waiting', 'sending', 'unknown')
  AND delivery.fate = 'waiting'
"""
_PUT_OFF = _BEHIND + " AND delivery.due_at < :due"
_HASTEN = _BEHIND + " AND delivery.due_at > :due"
# By delivery_paused, for one number or for all that begin with "@".
_RESUME = """
UPDATE delivery SET due_at = :at WHERE seq IN (SELECT seq FROM delivery INDEXED BY delivery_paused WHERE fate =
  'waiting' AND reason = 'paused' AND number = :number AND due_at > :at LIMIT :limit)
"""
# By the same index: one seek to the next number.
_PAUSED = """
SELECT number FROM delivery INDEXED BY delivery_paused WHERE fate = 'waiting' AND reason = 'paused' AND number > ?
  ORDER BY number LIMIT 1
"""
_HASTEN_MAIL = """
UPDATE delivery SET due_at = :at WHERE seq IN (SELECT seq FROM delivery INDEXED BY delivery_relay WHERE fate = 'waiting'
  AND reason = 'relay' AND due_at > :at ORDER BY due_at LIMIT :limit)
"""
MOST_BYTES = 32 << 20  # of mails in one answer; the last one may go over it


def due(
    connection: apsw.Connection, now: datetime, limit: int, not_numbers: frozenset[str], lease_until: int
) -> list[Delivery]:
    """Leases at most `limit`: lowest priority number first, then the longest due, then the oldest.

    Fewer when their mails are more than about MOST_BYTES: the rest comes with the next call.
    """
    found: list[tuple[int, int, int]] = []
    for number, priority in _pairs(connection):
        if number in not_numbers or (not number and "mail" in not_numbers):
            continue
        bindings = {"number": number, "priority": priority, "now": stamp(now), "limit": limit}
        found += [(row[0], row[1], row[2]) for row in every(connection, _CANDIDATES, bindings)]
    leased: list[Delivery] = []
    size = 0
    for _, _, seq in sorted(found)[:limit]:
        delivery = _lease(connection, seq, lease_until)
        leased.append(delivery)
        size += len(delivery.parcel.data) if isinstance(delivery.parcel, MailParcel) else 0
        if size > MOST_BYTES:
            break
    return leased


def next_due(connection: apsw.Connection, now: datetime) -> datetime | None:
    """The earliest due time of what nobody holds; what stands behind another one of its lane follows that one."""
    times: list[int] = []
    for number, priority in _pairs(connection):
        bindings = {"number": number, "priority": priority, "now": stamp(now)}
        times += [row[1] for row in every(connection, _CANDIDATES, {**bindings, "limit": 1})]
        times += [row[0] for row in every(connection, _LATER, bindings)]
    return moment(min(times)) if times else None


def head(connection: apsw.Connection, lane: str, now: datetime, lease_until: int) -> Delivery | None:
    """Leases the head of a lane, where it is free and due."""
    row = one(connection, _HEAD, {"lane": lane, "now": stamp(now)})
    return None if row is None else _lease(connection, row[0], lease_until)


def give_back(
    connection: apsw.Connection, delivery: str, due_at: datetime, reason: str, expires_at: datetime | None = None
) -> None:
    """Ends the lease of what has not been started, perhaps with a new end; what is being looked up stays so."""
    connection.execute(_GIVE_BACK, (stamp(due_at), reason, maybe_stamp(expires_at), delivery))
    put_off_behind(connection, delivery, stamp(due_at))


def paused(connection: apsw.Connection) -> tuple[str, ...]:
    """The numbers of what breakers hold."""
    found: list[str] = []
    while (row := one(connection, _PAUSED, (found[-1] if found else "@",))) is not None:
        found.append(row[0])
    return tuple(found)


def resume(connection: apsw.Connection, at: datetime, number: str, limit: int) -> int:
    """Makes due at `at` what a breaker holds for later; how many, at most `limit`."""
    connection.execute(_RESUME, {"at": stamp(at), "number": number, "limit": limit})
    return connection.changes()


def hasten_mail(connection: apsw.Connection, at: datetime, limit: int) -> int:
    """Makes due at `at` what an outage of the relay has put off, the longest due first; how many, at most `limit`."""
    connection.execute(_HASTEN_MAIL, {"at": stamp(at), "limit": limit})
    return connection.changes()


def put_off_behind(connection: apsw.Connection, head: str, due_at: int) -> None:
    """Lets the further mails of a carrier's text wait as long as the one before them.

    What is due and stands behind another one would be stepped over by every claim.
    """
    connection.execute(_PUT_OFF, {"head": head, "due": due_at})


def hasten_behind(connection: apsw.Connection, head: str, now: int) -> None:
    """Lets the further mails of a carrier's text go on: the one before them has ended, or goes sooner."""
    connection.execute(_HASTEN, {"head": head, "due": now})


def _pairs(connection: apsw.Connection) -> Iterator[tuple[str, int]]:
    row = one(connection, _FIRST_NUMBER, ("",))
    while row is not None:
        number, priority = row
        yield number, priority
        row = one(connection, _NEXT_PRIORITY, (number, priority)) or one(connection, _NEXT_NUMBER, (number,))


def _lease(connection: apsw.Connection, seq: int, lease_until: int) -> Delivery:
    row = one(connection, _BY_SEQ, (seq,))
    if row is None:
        raise LookupError(f"delivery {seq} went while it was leased")
    connection.execute(_LEASE, (lease_until, seq))
    return delivery_of(row)
