"""A clock that tests move."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

NOON = datetime(2026, 11, 23, 17, tzinfo=UTC)  # a Monday, 12:00 in New York


class FakeClock:
    """A `ports.Clock` that moves only when told."""

    def __init__(self, now: datetime = NOON) -> None:
        self._now = now

    def now(self) -> datetime:
        return self._now

    def advance(self, by: timedelta | float) -> datetime:
        """The new time, `by` (a timedelta, or seconds) later."""
        self._now += by if isinstance(by, timedelta) else timedelta(seconds=by)
        return self._now
