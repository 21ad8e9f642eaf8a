"""The store itself: a copy of it, and whether it is sound."""

from __future__ import annotations

from collections.abc import Callable

from gateway.commands.answer import Answer
from gateway.config import Config
from gateway.ports import Spool


class Store:
    def __init__(self, *, config: Callable[[], Config], spool: Spool) -> None:
        self._config = config
        self._spool = spool

    async def backup(self) -> Answer:
        """Where a copy lies that the one who asked takes away: a confined daemon can write nowhere else."""
        database = self._config().database
        path = database.with_name(f".{database.name}.copy")
        return {"rows": [{"path": str(path), "bytes": await self._spool.backup(path)}]}

    async def check(self, quick: bool = False) -> Answer:
        """What is wrong with the store; no findings when it is sound."""
        return {"rows": [{"findings": await self._spool.check(quick=quick)}]}
