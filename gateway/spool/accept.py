"""What came in: kept, recognised when it comes again, given out for planning, released when it was parked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import apsw

from gateway.core.model import Consent, Inbound, InboundMail
from gateway.ports import Fingerprint, SpoolUnavailable, Stored
from gateway.spool.arrival import INBOUND, inbound_of, inbound_row
from gateway.spool.rows import consent_row, every, one, span, stamp

_KEEP = """
INSERT INTO inbound (id, at, kind, door, peer, sender, phone, envelope, proven, lease_until) VALUES (?, ?, ?, ?, ?,
  ?, ?, ?, ?, NULL) ON CONFLICT (id) DO NOTHING
"""
_KEEP_RAW = "INSERT INTO raw (inbound, raw) VALUES (?, ?)"
# By the primary key of fingerprint.
_FIRST = "SELECT inbound, at FROM fingerprint WHERE digest = ? AND recipient = ?"
_STANDS_FOR = """
INSERT INTO fingerprint (digest, recipient, at, inbound) VALUES (?, ?, ?, ?) ON CONFLICT (digest, recipient) DO
  UPDATE SET at = excluded.at, inbound = excluded.inbound
"""
_PLANNED = "SELECT planned_at, parked FROM inbound WHERE id = ?"
# By message_inbound, then delivery_message.  The number behind a message's id is the way: a carrier's text may be
# several mails, "m1.1.1" and "m1.1.1-2", of which one that ended badly is the end of all.
_WAYS = """
SELECT m.recipient, m.kind, max(d.fate IN ('failed', 'refused', 'expired', 'cancelled')) FROM message AS m JOIN delivery
  AS d ON d.message = m.id WHERE m.inbound = ? GROUP BY m.id, CAST(substr(d.id, length(m.id) + 2) AS INTEGER)
"""
_ENTER = """
INSERT INTO consent (id, brand, phone, at, action, klass, method, evidence, disclosure, recorded_by, raw,
  number) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING
"""
# By inbound_unplanned: the index holds nothing but these.
_UNPLANNED = INBOUND + (
    " WHERE i.planned_at IS NULL AND (i.lease_until IS NULL OR i.lease_until <= ?) ORDER BY i.seq LIMIT ?"
)
# The same rows in the same order; SQLite knows the length of a blob without reading it.
_SIZES = """
SELECT length(r.raw) FROM inbound AS i JOIN raw AS r ON r.inbound = i.seq WHERE i.planned_at IS NULL AND
  (i.lease_until IS NULL OR i.lease_until <= ?) ORDER BY i.seq LIMIT ?
"""
_LEASE = "UPDATE inbound SET lease_until = ? WHERE seq = ?"
_UNPARK = """
UPDATE inbound SET planned_at = NULL, parked = '', note = ?, lease_until = NULL WHERE id = ? AND parked <> ''
"""
_DISCARD = "UPDATE inbound SET parked = '', note = ? WHERE id = ? AND parked <> ''"
_REMARKS = frozenset({"report", "alarm"})
MOST_BYTES = 8 << 20  # of mails in one answer; the last one may go over it


def accept(
    connection: apsw.Connection, inbound: Inbound, prints: Sequence[Fingerprint], consents: Sequence[Consent]
) -> Stored:
    """Keeps `inbound` without the recipients that are repeats.

    A hook's id says what it tells, so a known one is a repeat.  A mail's id is made by the door: a known one belongs to
    another mail, and SpoolUnavailable lets the client send this one again.
    """
    new: list[tuple[bytes, str, int, str]] = []
    repeated: tuple[str, ...] = ()
    if isinstance(inbound, InboundMail) and prints:
        firsts = _firsts(connection, inbound, prints)
        recipients = inbound.envelope.recipients
        repeated = tuple(r.address for r in recipients if r.address.lower() in firsts)
        kept = tuple(r for r in recipients if r.address.lower() not in firsts)
        if repeated and not kept:
            return Stored(id=firsts[repeated[0].lower()], repeated=repeated, new=False)
        if repeated:
            inbound = replace(inbound, envelope=replace(inbound.envelope, recipients=kept))
        new = [(p.digest, p.recipient.lower(), stamp(inbound.at), inbound.id) for p in prints]
        new = [row for row in new if row[1] not in firsts]
    connection.execute(_KEEP, inbound_row(inbound))
    if connection.changes() == 0:
        if isinstance(inbound, InboundMail):
            raise SpoolUnavailable("the id is taken")
        return Stored(id=inbound.id, new=False)
    connection.execute(_KEEP_RAW, (connection.last_insert_rowid(), inbound.raw))
    connection.executemany(_STANDS_FOR, new)
    enter(connection, consents)
    return Stored(id=inbound.id, repeated=repeated)


def enter(connection: apsw.Connection, consents: Sequence[Consent]) -> None:
    """Adds to the ledger what it does not have."""
    for consent in consents:
        connection.execute(_ENTER, consent_row(consent))


def _firsts(connection: apsw.Connection, mail: InboundMail, prints: Sequence[Fingerprint]) -> dict[str, str]:
    """Recipients in lower case whose first mail still counts -> the id of that first."""
    firsts: dict[str, str] = {}
    for fingerprint in prints:
        recipient = fingerprint.recipient.lower()
        row = one(connection, _FIRST, (fingerprint.digest, recipient))
        if row is None:
            continue
        first, at = row
        young = stamp(mail.at) - at < span(timedelta(seconds=fingerprint.window_seconds))
        if young and _counts(connection, first, recipient):
            firsts[recipient] = first
    return firsts


def _counts(connection: apsw.Connection, first: str, recipient: str) -> bool:
    """Whether a first mail is not planned yet, or a way was found for it that did not end badly.

    What was parked brought nobody anything, also after a person gave it up: the same mail again may fare better.  A
    recipient without a delivery of his own was joined to another one of the same mail, whose fates then speak.
    """
    row = one(connection, _PLANNED, (first,))
    if row is None:
        return False
    planned_at, parked = row
    if planned_at is None or parked:
        return planned_at is None
    ways = [(to.lower(), lost) for to, kind, lost in every(connection, _WAYS, (first,)) if kind not in _REMARKS]
    own = [lost for to, lost in ways if to == recipient] or [lost for _, lost in ways]
    return not all(own)


def unplanned(connection: apsw.Connection, limit: int, now: int, lease_until: int) -> list[Inbound]:
    """Leases the oldest without a plan, not much more than MOST_BYTES of them: what is read must fit into memory."""
    count = size = 0
    for (length,) in every(connection, _SIZES, (now, limit)):
        count += 1
        size += length
        if size > MOST_BYTES:
            break
    rows = every(connection, _UNPLANNED, (now, count))
    connection.executemany(_LEASE, [(lease_until, row[0]) for row in rows])
    return [inbound_of(row) for row in rows]


def discard(connection: apsw.Connection, inbound: str, note: str) -> bool:
    """Gives a parked inbound up, with a note of who did; False when it is not parked."""
    connection.execute(_DISCARD, (note, inbound))
    return connection.changes() > 0


def unpark(connection: apsw.Connection, inbound: str) -> bool:
    """Lets a parked inbound be planned again; False when it is not parked."""
    connection.execute(_UNPARK, ("released", inbound))
    return connection.changes() > 0
