"""How long the event loop keeps everybody waiting, as a gauge.

A look is a timer of the loop, and comes late by as long as something else holds the loop.  Looks are close together
only while the loop works, since a daemon at rest shall rest: what holds the loop is told too short by the time to the
next look at most, and may go unseen when it is shorter.
How it fails: where the kernel does not tell how long the thread waited for a processor, none of the lag counts as such.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time

from prometheus_client import Gauge

from gateway.events import REGISTRY

BUSY_SECONDS, REST_SECONDS = 0.01, 0.25  # from one look to the next
_AWAKE_SECONDS = 1.0  # looks stay close together for so long after the last work
_WORK_SECONDS = 0.003  # what the thread computes between two looks when it works; a look and the gauges take less
_MINUTE = 60.0
_LAG = Gauge("gateway_loop_lag_seconds", "What held the event loop, see docs/metrics.md", ["what"], registry=REGISTRY)


class Lag:
    """The worst lag in seconds: `worst` and `own` since the start, `minute` in the last minute or two.

    `own` leaves out the time for which the loop's thread was ready and the machine gave its processors to others.
    """

    def __init__(self) -> None:
        self.worst = self.own = 0.0
        self.looks = 0
        self._recent = self._before = 0.0  # the worst of this minute and of the one before
        self._turn = self._due = self._awake = 0.0
        self._used = self._waited = 0.0
        self._queue = -1  # descriptor of the kernel's count of waiting for a processor
        self._next: asyncio.TimerHandle | None = None

    @property
    def minute(self) -> float:
        return max(self._recent, self._before)

    def start(self) -> None:
        """Looks at the running loop, from the thread that runs it, until `stop`."""
        with contextlib.suppress(OSError):
            self._queue = os.open("/proc/thread-self/schedstat", os.O_RDONLY | os.O_CLOEXEC)
        self._used, self._waited = time.thread_time(), self._waiting()
        self._turn = time.monotonic() + _MINUTE
        self._wait(BUSY_SECONDS)

    def stop(self) -> None:
        if self._next is not None:
            self._next.cancel()
        if self._queue >= 0:
            os.close(self._queue)
            self._queue = -1

    def show(self) -> None:
        """Brings the gauge up to date."""
        for what, seconds in (("worst", self.worst), ("own", self.own), ("minute", self.minute)):
            _LAG.labels(what=what).set(seconds)

    def _look(self) -> None:
        now, used, waited = time.monotonic(), time.thread_time(), self._waiting()
        self.looks += 1
        self._note(max(0.0, now - self._due), waited - self._waited, now)
        if used - self._used >= _WORK_SECONDS:
            self._awake = now + _AWAKE_SECONDS
        self._used, self._waited = used, waited
        self._wait(BUSY_SECONDS if now < self._awake else REST_SECONDS)

    def _note(self, late: float, waited: float, now: float) -> None:
        if now >= self._turn:
            self._before = self._recent if now < self._turn + _MINUTE else 0.0
            self._recent, self._turn = 0.0, now + _MINUTE
        self._recent = max(self._recent, late)
        self.worst = max(self.worst, late)
        self.own = max(self.own, late - waited)

    def _wait(self, pause: float) -> None:
        self._due = time.monotonic() + pause
        self._next = asyncio.get_running_loop().call_later(pause, self._look)

    def _waiting(self) -> float:
        """Seconds for which this thread has waited for a processor so far: Linux, proc(5), schedstat."""
        if self._queue < 0:
            return 0.0
        return int(os.pread(self._queue, 64, 0).split()[1]) / 1e9
