"""Workers without work, woken one by one: a crowd that wakes for each thing that comes costs more than the thing."""

from __future__ import annotations

import asyncio
from collections import deque


class Idle:
    """Who rests.  Those who are patient are woken when nobody else rests."""

    def __init__(self) -> None:
        self._ready: deque[asyncio.Future[None]] = deque()
        self._patient: deque[asyncio.Future[None]] = deque()
        self._over = False

    async def rest(self, *, patient: bool = False) -> None:
        """Returns when there is something to do, at once when it is over."""
        if self._over:
            return
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        (self._patient if patient else self._ready).append(woken)
        await woken

    def wake(self) -> None:
        """There is something to do for one; nobody rests: whoever is done finds it."""
        for resting in (self._ready, self._patient):
            while resting:
                woken = resting.popleft()
                if not woken.done():
                    woken.set_result(None)
                    return

    def wake_all(self) -> None:
        """It is over: nobody rests any more."""
        self._over = True
        while self._ready or self._patient:
            self.wake()
