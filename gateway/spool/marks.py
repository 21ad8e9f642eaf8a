"""How far lists at a provider have been read."""

from __future__ import annotations

from datetime import datetime

import apsw

from gateway.spool.rows import Shown, every, moment, one, stamp

_MARK = "SELECT at FROM mark WHERE name = ?"
_SET = "INSERT INTO mark (name, at) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET at = max(at, excluded.at)"
# By delivery_unconfirmed, the youngest first.
_UNCONFIRMED = """
SELECT id, courier, remote_id, attempt, posted_at FROM delivery INDEXED BY delivery_unconfirmed WHERE fate =
  'handed_over' AND courier <> 'mail' AND posted_at > ? ORDER BY posted_at DESC LIMIT ?
"""


def mark(connection: apsw.Connection, name: str) -> datetime | None:
    """The mark of that name; None when it was never set."""
    row = one(connection, _MARK, (name,))
    return moment(row[0]) if row else None


def set_mark(connection: apsw.Connection, name: str, at: datetime) -> None:
    """Moves the mark forward, never back."""
    connection.execute(_SET, (name, stamp(at)))


def unconfirmed(connection: apsw.Connection, *, since: datetime, limit: int = 200) -> list[Shown]:
    """Paid texts handed over since then, without a receipt: id, courier, remote_id, attempt, posted_at (a datetime)."""
    rows = every(connection, _UNCONFIRMED, (stamp(since), limit))
    return [
        {"id": r[0], "courier": r[1], "remote_id": r[2], "attempt": r[3], "posted_at": moment(r[4])}
        for r in rows
        if r[2]
    ]
