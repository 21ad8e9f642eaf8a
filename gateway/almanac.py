"""Looks at the calendar: what ends soon is told 90, 30 and 7 days ahead and on the day, by mail and as a metric."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta

from prometheus_client import Gauge

from gateway.core import notice
from gateway.core.ending import Ending, endings, told
from gateway.core.facts import Needs
from gateway.core.rules import Rules
from gateway.core.work import Delivery
from gateway.events import REGISTRY, emit, fault
from gateway.ports import Clock, Spool, SpoolUnavailable

EVERY = timedelta(hours=1)
_LEFT = Gauge(
    "gateway_carrier_days_left",
    "Days until a carrier's gateway that employees use ends, see docs/metrics.md",
    ["carrier", "channel"],
    registry=REGISTRY,
)


class Almanac:
    def __init__(
        self,
        *,
        spool: Spool,
        rules: Callable[[], Rules],
        clock: Clock,
        taken: Callable[[Sequence[Delivery]], None],
        stopped_within: Callable[[timedelta], Awaitable[bool]],
    ) -> None:
        self._spool = spool
        self._rules = rules
        self._clock = clock
        self._taken = taken
        self._stopped_within = stopped_within
        self._told: set[str] = set()  # by this daemon; the store knows of those before it

    async def run(self) -> None:
        """Looks at once and then every hour, until the daemon stops."""
        while True:
            try:
                await self.look()
            except SpoolUnavailable as error:
                emit("spool.failed", error=str(error), during="looking at the calendar")
            except Exception as error:
                emit("engine.failed", loop="almanac", **fault(error))
            if await self._stopped_within(EVERY):
                return

    async def look(self) -> None:
        """Tells what is due today.  An alarm's id names gateway, end and step, so each is written once."""
        rules, now = self._rules(), self._clock.now()
        today = now.astimezone(rules.timezone).date()
        _LEFT.clear()
        for ending in endings(rules, today):
            _LEFT.labels(carrier=ending.channel.carrier, channel=ending.channel.channel).set(ending.days)
            if ending.step is not None and ending.key not in self._told:
                await self._tell(ending, rules, now)
                self._told.add(ending.key)

    async def _tell(self, ending: Ending, rules: Rules, now: datetime) -> None:
        subject, text = told(ending, rules, now.astimezone(rules.timezone).date())
        people = frozenset(e.name for e in map(rules.employee_at, rules.alarm_to) if e is not None)
        facts = await self._spool.gather(Needs(employees=people, fresh=rules.alarm_texts))
        writes = notice.alarm(ending.key, subject, text, rules, now, facts.confirmations, tokens=facts.fresh)
        known = await self._spool.gather(Needs(deliveries=frozenset(d.id for d in writes.deliveries)))
        emit("carrier.warned", note=subject)
        if not known.deliveries:
            self._taken((await self._spool.write(writes)).leased)
