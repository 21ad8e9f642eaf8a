"""What was texted lately: to whom by which number, in which words, and how much by one sender."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

import apsw

from gateway.core.model import Fate, Kind, Phone, Said
from gateway.spool.rows import every, moment, one, stamp

SAID_FOR = timedelta(hours=24)
MOST_SAID = 100
FLOOD_FOR = timedelta(seconds=60)
WELL = frozenset({Fate.HANDED_OVER, Fate.DELIVERED})

# The parcel names our number in E.164; a delivery's own `number` is a name, which the configuration may change.
_INTRODUCE = """
INSERT INTO pair (number, phone, at) SELECT json_extract(parcel, '$.number'), phone, ? FROM delivery WHERE id = ? AND
  courier <> 'mail' AND phone IS NOT NULL AND parcel IS NOT NULL ON CONFLICT (number, phone) DO NOTHING
"""
# Only what the failed text itself has recorded: its attempt began before.
_FORGET = """
DELETE FROM pair WHERE (number, phone) = (SELECT json_extract(parcel, '$.number'), phone FROM delivery WHERE id = :id)
  AND at >= (SELECT posted_at FROM delivery WHERE id = :id)
"""
# By the primary key of pair; by delivery_lane and delivery_held, whose conditions SQLite must find word for word.
_KNOWN = "SELECT 1 FROM pair WHERE number = ? AND phone = ?"
_UNDER_WAY = """
SELECT 1 FROM delivery INDEXED BY delivery_lane WHERE lane IN (?, ?) AND fate IN ('waiting', 'sending', 'unknown') AND
  kind IN ('text', 'answer') LIMIT 1
"""
_HELD = """
SELECT 1 FROM delivery INDEXED BY delivery_held WHERE lane IN (?, ?) AND fate = 'held' AND kind IN ('text', 'answer')
  LIMIT 1
"""
# By message_phone, then delivery_message.  A phone's older story is not walked through to find less than 100.  A
# question by mail has the phone that it is about, its delivery has none.  What counts is the last way of which no part
# ended badly, else the last end: see accept.py.
_SAID = """
SELECT newest.kind, newest.sender, newest.text, newest.rule, newest.at, d.fate, newest.conversation FROM (SELECT seq,
  id, kind, sender, text, rule, at, conversation FROM message INDEXED BY message_phone WHERE phone = ? ORDER BY seq
  DESC LIMIT 1000) AS newest CROSS JOIN delivery AS d ON d.seq = coalesce((SELECT max(l.seq) FROM delivery AS l WHERE
  l.message = newest.id GROUP BY CAST(substr(l.id, length(newest.id) + 2) AS INTEGER) HAVING NOT max(l.fate IN
  ('failed', 'refused', 'expired', 'cancelled')) ORDER BY 1 DESC LIMIT 1), (SELECT max(l.seq) FROM delivery AS l WHERE
  l.message = newest.id AND l.fate IN ('failed', 'refused', 'expired', 'cancelled'))) WHERE newest.at > ? AND
  (newest.kind IN ('text', 'answer', 'confirmation') OR (newest.kind = 'question' AND d.phone IS NOT NULL)) ORDER BY
  newest.seq DESC LIMIT ?
"""
# By message_at: the newest 10,000 of all senders bound what a flood costs.
_FLOOD = """
SELECT count(*) FROM (SELECT sender, kind FROM message INDEXED BY message_at WHERE at > ? ORDER BY at DESC LIMIT 10000)
  WHERE sender = ? AND kind = 'text'
"""


def introduce(connection: apsw.Connection, delivery: str, now: datetime) -> None:
    """Records that the phone of a paid text knows its number; a carrier mail comes from no number of ours."""
    connection.execute(_INTRODUCE, (stamp(now), delivery))


def forget(connection: apsw.Connection, delivery: str) -> None:
    """Takes the record of a first text back: it was taken, and did not arrive."""
    connection.execute(_FORGET, {"id": delivery})


def introduced(connection: apsw.Connection, pairs: Iterable[tuple[str, Phone]]) -> frozenset[tuple[str, Phone]]:
    """Those pairs of which a text was accepted, or is on its way or held."""
    return frozenset(pair for pair in pairs if _introduced(connection, *pair))


def _introduced(connection: apsw.Connection, number: str, phone: Phone) -> bool:
    if one(connection, _KNOWN, (number, phone)) is not None:
        return True
    lanes = tuple(f"{courier}|{number}|{phone}" for courier in ("twilio", "flowroute"))
    return any(one(connection, sql, lanes) is not None for sql in (_UNDER_WAY, _HELD))


def said(connection: apsw.Connection, phone: Phone, now: datetime) -> tuple[Said, ...]:
    """Our texts to a phone within SAID_FOR, newest first, at most MOST_SAID, with the fate of the last living way."""
    rows = every(connection, _SAID, (phone, stamp(now - SAID_FOR), MOST_SAID))
    return tuple(
        Said(kind=Kind(kind), sender=sender, text=text, rule=rule, at=moment(at), fate=Fate(fate), conversation=talk)
        for kind, sender, text, rule, at, fate, talk in rows
    )


def flood(connection: apsw.Connection, sender: str, now: datetime) -> int:
    """How many texts of a sender were planned within FLOOD_FOR, among the newest 10,000 messages of all."""
    row = one(connection, _FLOOD, (stamp(now - FLOOD_FOR), sender))
    return int(row[0]) if row else 0
