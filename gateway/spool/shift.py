"""A clock that was set back: what waits is due as soon as before."""

from __future__ import annotations

from datetime import timedelta

import apsw

from gateway.spool.rows import span

# By delivery_due and delivery_leased; what waits for the day to break waits by the clock on the wall.
_WAITING = """
UPDATE delivery SET due_at = due_at - :by, expires_at = expires_at - :by WHERE fate IN ('waiting', 'unknown') AND
  reason <> 'quiet hours'
"""
_LEASED = "UPDATE delivery SET lease_until = lease_until - :by WHERE lease_until IS NOT NULL"
_TAKEN = "UPDATE inbound SET lease_until = lease_until - :by WHERE planned_at IS NULL AND lease_until IS NOT NULL"


def set_back(connection: apsw.Connection, by: timedelta) -> int:
    """Moves the times of what waits, its end and every lease back by `by`; how many deliveries wait."""
    bindings = {"by": span(by)}
    connection.execute(_WAITING, bindings)
    moved = connection.changes()
    connection.execute(_LEASED, bindings)
    connection.execute(_TAKEN, bindings)
    return moved
