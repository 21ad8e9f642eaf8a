"""What the ends of attempts say about the ways out: which one is left alone, and when it is tried again."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from gateway.alarms import Alarms
from gateway.core.rules import Rules
from gateway.core.work import Deferred, Delivery, Outcome, Refused
from gateway.ports import Clock, Spool
from gateway.way import MAIL, Way


class Breakers:
    """The breakers of all ways; `wake`: what is due may have changed."""

    def __init__(
        self,
        *,
        ways: Mapping[str, Way],
        spool: Spool,
        alarms: Alarms,
        rules: Callable[[], Rules],
        clock: Clock,
        wake: Callable[[], None],
    ) -> None:
        self._ways = ways
        self._spool = spool
        self._alarms = alarms
        self._rules = rules
        self._clock = clock
        self._wake = wake

    def closing(self, way: Way, delivery: Delivery) -> Way | None:
        """The way whose breaker holds the delivery: its own, or for a carrier's text the relay's; None = none."""
        way.proven()
        both = (way, self._ways[MAIL]) if way.mail else (way,)
        longest = max(both, key=lambda one: one.closed_for(delivery))
        return longest if longest.closed_for(delivery) else None

    async def heard(self, way: Way, delivery: Delivery, outcome: Outcome) -> None:
        """What an attempt says about its way: one that is itself at fault is left alone for a while."""
        at = self._ways[MAIL] if way.mail else way  # a relay at fault is so for all mails
        if isinstance(outcome, Deferred) and outcome.sender_wide:
            if at.failed(delivery, outcome) and at.alarming(delivery, outcome):
                await self._alarms.down(delivery, outcome)
            return
        now = self._clock.now()
        if not isinstance(outcome, Deferred):
            back = at.name == MAIL and at.failures > 0
            at.mended(delivery.courier)
            if back and await self._spool.hasten_mail(now):
                self._wake()
        if not way.carrier:
            return
        changed = way.heard(delivery, outcome, now, direct=self._rules().direct)
        if changed == "shut" and isinstance(outcome, Deferred | Refused):
            await self._alarms.shut_out(delivery, outcome)
        elif changed == "opens":
            await self._spool.resume(way.opens_at(now), way.name)
            self._wake()
