"""What an admin's commands do: the same words whether the daemon answers them or, without one, the command itself.

Every answer is JSON-ready: {"rows": [...]} or {"error": sentence, "exit": code}.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from gateway.commands.answer import Answer, CommandFailed
from gateway.commands.ledger import Ledger
from gateway.commands.probe import Probe
from gateway.commands.queue import Queue
from gateway.commands.report import Report
from gateway.commands.roll import Roll
from gateway.commands.store import Store
from gateway.commands.texts import Texts
from gateway.commands.trial import Trials
from gateway.config import Config
from gateway.core.work import Delivery
from gateway.doorman import Doorman
from gateway.ports import Clock, Reader, ReaderUnavailable, Spool, SpoolUnavailable

__all__ = ["Answer", "CommandFailed", "Commands"]


class Commands:
    def __init__(
        self,
        *,
        config: Callable[[], Config],
        spool: Spool,
        reader: Reader,
        doorman: Doorman,
        clock: Clock,
        take: Callable[[Sequence[Delivery]], None] | None,
        retry: Callable[[Sequence[Delivery]], None] | None,
        refill: Callable[[], None],
        probe: Probe,
    ) -> None:
        """`take` and `retry` (by hand) None: no daemon runs, so nothing is delivered by the process that answers."""
        self._spool = spool
        texts = Texts(config=config, spool=spool, reader=reader, doorman=doorman, clock=clock)
        queue = Queue(config=config, spool=spool, take=take, retry=retry, refill=refill)
        ledger = Ledger(config=config, spool=spool, clock=clock)
        store = Store(config=config, spool=spool)
        self._verbs: dict[str, Callable[..., Awaitable[Answer]]] = {
            "status": self.status,
            "send": texts.send,
            "preview": texts.preview,
            "queue.list": queue.listed,
            "queue.show": queue.show,
            "queue.raw": queue.raw,
            "queue.retry": queue.retry,
            "queue.cancel": queue.cancel,
            "queue.release": queue.release,
            "trace": queue.trace,
            "consent.show": ledger.show,
            "consent.grant": ledger.grant,
            "consent.revoke": ledger.revoke,
            **_tables(config, spool, clock),
            "carriers.test": Trials(config=config, spool=spool, clock=clock, take=take).test,
            "carriers.confirm": ledger.confirm,
            "carriers.confirmed": ledger.confirmed,
            "probe.send": probe.send,
            "probe.seen": probe.seen,
            "db.backup": store.backup,
            "db.check": store.check,
        }

    async def run(self, verb: str, arguments: dict[str, Any]) -> Answer:
        """The answer to one command; a no becomes {"error", "exit"}."""
        found = self._verbs.get(verb)
        if found is None:
            return {"error": f"the daemon knows no command {verb}: is it of another version?", "exit": 69}
        try:
            inspect.signature(found).bind(**arguments)
        except TypeError as failed:
            return {"error": f"{verb}: {failed}", "exit": 2}
        try:
            return await found(**arguments)
        except CommandFailed as failed:
            return {"error": failed.text, "exit": failed.exit_code}
        except SpoolUnavailable as failed:
            return {"error": f"the store cannot answer now: {failed}", "exit": 75}
        except ReaderUnavailable as failed:
            return {"error": f"mail cannot be read now: {failed}", "exit": 75}

    async def status(self) -> Answer:
        """Sizes of the queue, and that the daemon lives."""
        return {"rows": [dict(await self._spool.sizes())]}


def _tables(config: Callable[[], Config], spool: Spool, clock: Clock) -> dict[str, Callable[..., Awaitable[Answer]]]:
    """The verbs that take or give whole tables."""
    roll = Roll(config=config, spool=spool, clock=clock)
    report = Report(config=config, spool=spool, clock=clock)
    return {
        "consent.import": roll.imported,
        "consent.export": roll.exported,
        "report.usage": report.usage,
        "report.deliveries": report.deliveries,
    }
