"""Inbounds in memory, and the workers that plan them: those of one queue wait for nothing of the other."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from gateway.core.model import Inbound
from gateway.idle import Idle

MOST = 5000  # inbounds; more wait in the spool
MOST_BYTES = 8 << 20  # of them
HEAVY_BYTES = 20 << 20  # of those in hand as well: two of the largest that [smtp] max_bytes lets in by default


@dataclass(slots=True)
class Loops:
    """When each loop last turned, by a clock that nobody can set: what the watchdog and readiness look at."""

    begun_at: float | None = None
    planned_at: float | None = None  # a planner took something up
    fetched_at: float | None = None  # the same of texts with pictures
    swept_at: float | None = None


class Backlog:
    """`now` are planned at once; `slow` are texts whose pictures have to be fetched first."""

    def __init__(self) -> None:
        self.now: deque[Inbound] = deque()
        self.slow: deque[Inbound] = deque()
        self._idle = {False: Idle(), True: Idle()}  # by whether they work on `slow`
        self._bytes = 0  # of those that wait
        self._known: dict[str, int] = {}  # these and those in hand, with the bytes of each
        self._held = 0  # bytes of both

    @property
    def full(self) -> bool:
        """Whether what comes now must wait in the spool."""
        return len(self.now) + len(self.slow) >= MOST or self._bytes > MOST_BYTES or self.heavy

    @property
    def heavy(self) -> bool:
        """Whether what is in memory takes as much of it as it may: nothing more is taken from the spool."""
        return self._held > HEAVY_BYTES

    def add(self, inbound: Inbound, *, slow: bool) -> None:
        """Takes one that nobody has in hand, and wakes one worker for it."""
        if inbound.id not in self._known:
            size = self._known[inbound.id] = len(inbound.raw)
            self._bytes += size
            self._held += size
            (self.slow if slow else self.now).append(inbound)
            self.wake(slow=slow)

    def next(self, *, slow: bool = False) -> Inbound:
        """The one that came first; the worker that is woken next finds the one behind it."""
        queue = self.slow if slow else self.now
        inbound = queue.popleft()
        self._bytes -= len(inbound.raw)
        if queue:
            self.wake(slow=slow)
        return inbound

    def done(self, inbound: Inbound) -> None:
        """It is planned, or out of our hands: it may be added again."""
        self._held -= self._known.pop(inbound.id, 0)

    async def rest(self, *, slow: bool = False, patient: bool = False) -> None:
        """Returns when there may be something to do."""
        await self._idle[slow].rest(patient=patient)

    def wake(self, *, slow: bool = False) -> None:
        """There may be something to do for one worker."""
        self._idle[slow].wake()

    def wake_all(self) -> None:
        """It is over."""
        for idle in self._idle.values():
            idle.wake_all()
