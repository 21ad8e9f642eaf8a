"""Notices that the clock on the wall was set back.

Times in the spool are those of the wall.  What waits for a retry at noon must not wait two hours more because somebody
mended a clock that was two hours ahead.  A clock that is set forward is believed: things are due early, and a text
whose time is over by it expires, with its report.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from datetime import timedelta

from gateway.events import emit
from gateway.ports import Clock, Spool, SpoolUnavailable

EVERY = timedelta(seconds=5)
LEAST = timedelta(seconds=30)  # less is what clocks are slewed by


class Timekeeper:
    def __init__(
        self,
        *,
        spool: Spool,
        clock: Clock,
        moved: Callable[[], None],
        stopped_within: Callable[[timedelta], Awaitable[bool]],
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        """`moved` is told when what waits became due earlier; `steady` answers seconds that no hand sets."""
        self._spool = spool
        self._clock = clock
        self._moved = moved
        self._stopped_within = stopped_within
        self._steady = steady
        self._wall = clock.now() - timedelta(seconds=steady())  # what the wall said when `steady` was 0

    async def run(self) -> None:
        """Looks every few seconds, until the daemon stops."""
        while not await self._stopped_within(EVERY):
            try:
                await self.look()
            except SpoolUnavailable as error:
                emit("spool.failed", error=str(error), during="following the clock")

    async def look(self) -> None:
        """Moves what waits back where the clock was set back since the last look that was done."""
        wall = self._clock.now() - timedelta(seconds=self._steady())
        back = self._wall - wall
        if back >= LEAST:
            count = await self._spool.set_back(back)
            emit("clock.stepped", seconds=-int(back.total_seconds()), deliveries=count)
            self._moved()
        self._wall = wall
