"""Pictures and files that the provider, or a person, fetches from us until they expire."""

from __future__ import annotations

from datetime import datetime

import apsw

from gateway.core.model import MediaFile
from gateway.spool.rows import every, named, one, stamp

_KEEP = """
INSERT INTO media (token, name, kind, message, at, expires_at, bytes, data) VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON
  CONFLICT (token) DO NOTHING
"""
_SERVED = """
SELECT f.token, f.name, f.kind, f.data, f.message, f.at, f.expires_at FROM media AS f
"""
_BY_TOKEN = _SERVED + " WHERE f.token = ? AND f.expires_at > ?"
# By media_expires.
_EXPIRED = "SELECT rowid FROM media WHERE expires_at <= ? ORDER BY expires_at LIMIT ?"
_DELETE = "DELETE FROM media WHERE rowid = ?"
_BYTES = "SELECT coalesce(sum(bytes), 0) FROM media INDEXED BY media_expires"
# Each may be megabytes whose pages are freed one by one, while those who wait for a commit wait on.
MOST_AT_ONCE = 50


def keep(connection: apsw.Connection, file: MediaFile) -> None:
    """Adds a file; one whose token exists is left alone."""
    head = (file.token, file.name, file.kind, file.message, stamp(file.at), stamp(file.expires_at))
    connection.execute(_KEEP, (*head, len(file.data), file.data))


def served(connection: apsw.Connection, token: str, now: datetime) -> MediaFile | None:
    """The file of that token; None when there is none or its time is over."""
    row = one(connection, _BY_TOKEN, (token, stamp(now)))
    return None if row is None else MediaFile(**named(_SERVED, row))


def purge(connection: apsw.Connection, now: datetime, limit: int) -> None:
    """Removes what has expired, at most `limit` and MOST_AT_ONCE."""
    rows = every(connection, _EXPIRED, (stamp(now), min(limit, MOST_AT_ONCE)))
    connection.executemany(_DELETE, rows)


def total_bytes(connection: apsw.Connection) -> float:
    """What all files hold, those that expired and are still there too."""
    row = one(connection, _BYTES)
    return float(row[0]) if row else 0.0
