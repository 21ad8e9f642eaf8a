"""One at a time for each key: what is decided about one person is decided on what was decided before."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable


class Turns:
    """Locks that exist while somebody uses them."""

    def __init__(self) -> None:
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}  # by key that is held: who waits for it

    def of(self, keys: Iterable[str]) -> _Turn:
        """Holds all of these keys.  All take them in one order, so that no two wait for each other."""
        return _Turn(self._waiting, sorted(set(keys)))


class _Turn:
    """A few dictionary look-ups where nobody else wants the keys, which is nearly always."""

    __slots__ = ("_held", "_keys", "_waiting")

    def __init__(self, waiting: dict[str, deque[asyncio.Future[None]]], keys: list[str]) -> None:
        self._waiting = waiting
        self._keys = keys
        self._held: list[str] = []

    @property
    def taken(self) -> bool:
        """Whether somebody holds one of the keys."""
        return any(key in self._waiting for key in self._keys)

    async def __aenter__(self) -> None:
        try:
            for key in self._keys:
                queue = self._waiting.get(key)
                if queue is None:
                    self._waiting[key] = deque()
                else:
                    await self._wait(key, queue)
                self._held.append(key)
        except BaseException:
            self._release()
            raise

    async def __aexit__(self, *_: object) -> None:
        self._release()

    async def _wait(self, key: str, queue: deque[asyncio.Future[None]]) -> None:
        turn = asyncio.get_running_loop().create_future()
        queue.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._held.append(key)  # it was handed over a moment before
            raise

    def _release(self) -> None:
        for key in self._held:
            queue = self._waiting[key]
            while queue and queue[0].done():
                queue.popleft()
            if queue:
                queue.popleft().set_result(None)
            else:
                del self._waiting[key]
        self._held.clear()
