"""Waiting until nothing has come for a while, at the cost of one timer however much comes.

A rush is when more comes than is worked off.  In its first seconds nobody works on what has come: the doors need the
processor.  After that the steady go on, however long it lasts, and the others wait for calm.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque


class Calm:
    """Calm at first; `disturb` ends it for `seconds`, counted from the last time.

    A rush begins when more than `crowd` wait, is held for `hold` seconds, and is over when nothing waits.
    """

    def __init__(self, seconds: float, *, crowd: int = 0, hold: float = 0.0) -> None:
        self._seconds = seconds
        self._crowd = crowd
        self._hold = hold
        self._disturbed_at = 0.0
        self._rush_at: float | None = None  # when it began; a calm moment in between does not begin it anew
        self._timer: asyncio.TimerHandle | None = None  # runs while it is not calm
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._steady: deque[asyncio.Future[None]] = deque()
        self._over = False

    def disturb(self, waiting: int = 0) -> None:
        """Something has come, and so much waited already."""
        self._disturbed_at = time.monotonic()
        if waiting == 0:
            self._rush_at = None
        elif waiting > self._crowd and self._rush_at is None:
            self._rush_at = self._disturbed_at
        if self._timer is None and not self._over:
            self._timer = asyncio.get_running_loop().call_later(self._seconds, self._look)

    async def comes(self) -> None:
        """Returns when it is calm, or when this one is admitted."""
        if self._timer is not None and not self._over:
            await _turn(self._waiting)

    async def passes(self) -> None:
        """For the steady: returns unless a rush has just begun."""
        if self._held(time.monotonic()):
            await _turn(self._steady)

    def admit(self) -> None:
        """Lets one that waits go on: another one is held up by something else."""
        _wake_one(self._waiting)

    def end(self) -> None:
        """It is calm from now on, whatever comes."""
        self._over = True
        _wake(self._waiting)
        _wake(self._steady)

    def _held(self, now: float) -> bool:
        rush = self._rush_at
        return rush is not None and self._timer is not None and not self._over and now < rush + self._hold

    def _look(self) -> None:
        now = time.monotonic()
        left = self._disturbed_at + self._seconds - now
        if left > 0 and not self._over:
            self._timer = asyncio.get_running_loop().call_later(left, self._look)
        else:
            self._timer = None
            _wake(self._waiting)
        if not self._held(now):
            _wake(self._steady)


async def _turn(queue: deque[asyncio.Future[None]]) -> None:
    waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    queue.append(waiting)
    await waiting


def _wake_one(queue: deque[asyncio.Future[None]]) -> None:
    while queue:
        waiting = queue.popleft()
        if not waiting.done():
            waiting.set_result(None)
            return


def _wake(queue: deque[asyncio.Future[None]]) -> None:
    while queue:
        _wake_one(queue)
