"""Waiting until nothing has come for a while, at the cost of one timer however much comes."""

from __future__ import annotations

import asyncio
import time
from collections import deque


class Calm:
    """Calm at first; `disturb` ends it for `seconds`, counted from the last time."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._disturbed_at = 0.0
        self._timer: asyncio.TimerHandle | None = None  # runs while it is not calm
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._over = False

    def disturb(self) -> None:
        """Something has come."""
        self._disturbed_at = time.monotonic()
        if self._timer is None and not self._over:
            self._timer = asyncio.get_running_loop().call_later(self._seconds, self._look)

    async def comes(self) -> None:
        """Returns when it is calm, or when this one is admitted."""
        if self._timer is None or self._over:
            return
        waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiting)
        await waiting

    def admit(self) -> None:
        """Lets one that waits go on: another one is held up by something else."""
        while self._waiting:
            waiting = self._waiting.popleft()
            if not waiting.done():
                waiting.set_result(None)
                return

    def end(self) -> None:
        """It is calm from now on, whatever comes."""
        self._over = True
        self._all()

    def _look(self) -> None:
        left = self._disturbed_at + self._seconds - time.monotonic()
        if left > 0 and not self._over:
            self._timer = asyncio.get_running_loop().call_later(left, self._look)
        else:
            self._timer = None
            self._all()

    def _all(self) -> None:
        while self._waiting:
            self.admit()
