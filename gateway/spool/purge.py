"""What retention lets go, and the gauges of what is there."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path

import apsw

from gateway.core.model import OPEN_FATES, Fate
from gateway.spool import media
from gateway.spool.rows import every, one, stamp

KEYS = frozenset({"raw", "done", "conversations"})
# The newest row that is old enough, by inbound_at; from there by the key of raw, where what went is not met again.
# A mail that is unplanned or parked is kept as it came, whatever its age.
_OLD_RAW = """
SELECT r.inbound FROM raw AS r JOIN inbound AS i ON i.seq = r.inbound WHERE r.inbound <= (SELECT seq FROM inbound
  WHERE at < ? ORDER BY at DESC LIMIT 1) AND i.planned_at IS NOT NULL AND i.parked = '' ORDER BY r.inbound LIMIT ?
"""
# By message_at, then delivery_message.
_OLD_MESSAGES = """
SELECT m.id FROM message AS m WHERE m.at < ? AND NOT EXISTS (SELECT 1 FROM delivery AS d WHERE d.message = m.id
  AND d.fate IN ('waiting', 'sending', 'unknown', 'held')) ORDER BY m.at LIMIT ?
"""
_OLD_INBOUNDS = """
SELECT i.seq FROM inbound AS i WHERE i.at < ? AND i.planned_at IS NOT NULL AND i.parked = '' AND NOT EXISTS
  (SELECT 1 FROM message AS m WHERE m.inbound = i.id) ORDER BY i.at LIMIT ?
"""
_OLD_PRINTS = "SELECT digest, recipient FROM fingerprint WHERE at < ? LIMIT ?"
_CLOSED = "SELECT seq FROM conversation WHERE closes_at < ? ORDER BY closes_at LIMIT ?"
# By question_closes.
_OLD_QUESTIONS = "SELECT seq FROM question WHERE closes_at < ? ORDER BY closes_at LIMIT ?"
_DELIVERIES = "SELECT id FROM delivery WHERE message = ?"
_OF_DELIVERY = (
    "DELETE FROM attempt WHERE delivery = ?",
    "DELETE FROM receipt WHERE delivery = ?",
    "DELETE FROM remote WHERE delivery = ?",
    "DELETE FROM delivery WHERE id = ?",
)
# By delivery_fate, which holds all that they read: what is open is little, what has ended is all that retention keeps.
_OPEN = """
SELECT fate, count(*) FROM delivery WHERE fate IN ('waiting', 'sending', 'unknown', 'held') GROUP BY fate
"""
_ENDED = """
SELECT fate, count(*) FROM delivery WHERE fate IN ('handed_over', 'delivered', 'failed', 'refused', 'expired',
  'cancelled') GROUP BY fate
"""
COUNT_AGAIN = timedelta(minutes=5)
_UNPLANNED = "SELECT count(*) FROM inbound WHERE planned_at IS NULL"
_PARKED = "SELECT count(*) FROM inbound WHERE parked <> ''"
_OLDEST_INBOUND = "SELECT at FROM inbound WHERE planned_at IS NULL ORDER BY seq LIMIT 1"
_OLDEST_DELIVERY = """
SELECT m.at FROM delivery AS d JOIN message AS m ON m.id = d.message WHERE d.fate = ? ORDER BY d.seq LIMIT 1
"""


def purge(connection: apsw.Connection, now: datetime, keep_days: Mapping[str, int], limit: int) -> int:
    """Removes at most about `limit` rows of each kind; answers how many rows went.

    Keys of `keep_days`: raw (bytes as they came in), done (messages, deliveries, attempts, receipts, inbounds, counts
    of segments, questions after their close), conversations (after their close).  A key that is missing keeps for
    good; another one is a ValueError.  Media go when they expire.
    """
    if unknown := set(keep_days) - KEYS:
        raise ValueError(f"nothing is kept by the name of {', '.join(sorted(unknown))}")
    before = connection.total_changes()
    media.purge(connection, now, limit)
    if "raw" in keep_days:
        _each(connection, _OLD_RAW, "DELETE FROM raw WHERE inbound = ?", _border(now, keep_days["raw"]), limit)
    if "done" in keep_days:
        _purge_done(connection, now, keep_days["done"], limit)
    if "conversations" in keep_days:
        border = _border(now, keep_days["conversations"])
        _each(connection, _CLOSED, "DELETE FROM conversation WHERE seq = ?", border, limit)
    return connection.total_changes() - before


def _purge_done(connection: apsw.Connection, now: datetime, days: int, limit: int) -> None:
    border = _border(now, days)
    for (message,) in every(connection, _OLD_MESSAGES, (border, limit)):
        for (delivery,) in every(connection, _DELIVERIES, (message,)):
            for statement in _OF_DELIVERY:
                connection.execute(statement, (delivery,))
        connection.execute("DELETE FROM message WHERE id = ?", (message,))
    for (inbound,) in every(connection, _OLD_INBOUNDS, (border, limit)):
        connection.execute("DELETE FROM raw WHERE inbound = ?", (inbound,))
        connection.execute("DELETE FROM inbound WHERE seq = ?", (inbound,))
    _each(connection, _OLD_PRINTS, "DELETE FROM fingerprint WHERE digest = ? AND recipient = ?", border, limit)
    _each(connection, _OLD_QUESTIONS, "DELETE FROM question WHERE seq = ?", border, limit)
    # A month sorts before its days, so the month of the border itself stays.
    last = f"{now - timedelta(days=days):%Y-%m}"
    connection.execute("DELETE FROM spent WHERE period < ?", (last,))


def _each(connection: apsw.Connection, select: str, delete: str, border: int, limit: int) -> None:
    connection.executemany(delete, every(connection, select, (border, limit)))


def _border(now: datetime, days: int) -> int:
    return stamp(now - timedelta(days=days))


class Ended:
    """How many deliveries ended how, counted anew when the last count is COUNT_AGAIN old."""

    def __init__(self) -> None:
        self._at: datetime | None = None
        self._counts: dict[str, int] = {}

    def counts(self, connection: apsw.Connection, now: datetime) -> dict[str, int]:
        """Rows by fate, of the fates that are ends."""
        # A clock that was set back must not keep an old count for long.
        if self._at is None or not self._at <= now < self._at + COUNT_AGAIN:
            self._counts = {row[0]: row[1] for row in every(connection, _ENDED)}
            self._at = now
        return self._counts


def sizes(connection: apsw.Connection, path: Path, now: datetime, ended: Ended) -> dict[str, float]:
    """Gauges: fate_* for every fate, unplanned, parked, oldest_seconds of what is under way, and bytes.

    Fates that are ends may be as old as COUNT_AGAIN; all else is exact.
    """
    counts = {**ended.counts(connection, now), **{row[0]: row[1] for row in every(connection, _OPEN)}}
    gauges = {f"fate_{fate.value}": float(counts.get(fate.value, 0)) for fate in Fate}
    for name, sql in (("unplanned", _UNPLANNED), ("parked", _PARKED)):
        row = one(connection, sql)
        gauges[name] = float(row[0]) if row else 0.0
    under_way = sorted(fate.value for fate in OPEN_FATES - {Fate.HELD})
    rows = [one(connection, _OLDEST_INBOUND), *(one(connection, _OLDEST_DELIVERY, (fate,)) for fate in under_way)]
    oldest = min((row[0] for row in rows if row is not None), default=stamp(now))
    gauges["oldest_seconds"] = max(0.0, (stamp(now) - oldest) / 1e6)
    gauges["media_bytes"] = media.total_bytes(connection)
    files = (path, path.with_name(path.name + "-wal"))
    gauges["database_bytes"] = float(sum(file.stat().st_size for file in files if file.exists()))
    gauges["free_bytes"] = float(shutil.disk_usage(path.parent).free)
    return gauges
