"""The loop that removes what is too old."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta

from gateway.events import emit, fault
from gateway.ports import Clock, Spool, SpoolUnavailable

FIRST_SECONDS, SECONDS = 60.0, 3600.0  # the first one soon: a daemon that is started every day must purge as well
ROWS = 10_000  # of each kind, at most, each time


async def purging(
    spool: Spool, clock: Clock, keep_days: Mapping[str, int], stopped_within: Callable[[timedelta], Awaitable[bool]]
) -> None:
    """Purges now and then until `stopped_within` says that the stop has come; a fault is told and tried again."""
    pause = FIRST_SECONDS
    while not await stopped_within(timedelta(seconds=pause)):
        pause = SECONDS
        try:
            gone = await spool.purge(clock.now(), keep_days, ROWS)
        except SpoolUnavailable as error:
            emit("spool.failed", error=str(error), during="purge")
        except Exception as error:
            emit("engine.failed", loop="purge", **fault(error))
        else:
            if gone:
                emit("purge.done", rows=gone)
