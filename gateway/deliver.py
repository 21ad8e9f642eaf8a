"""Deliver one thing: gather, veto again, commit the intent, send, judge, settle."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TypeVar

from gateway import tell
from gateway.alarms import Alarms, Taken
from gateway.core import lookup, timing, verdict
from gateway.core.facts import Facts, Needs
from gateway.core.model import Fate, Phone
from gateway.core.rules import Rules
from gateway.core.work import (
    Accepted,
    Deferred,
    Delivery,
    MailParcel,
    Message,
    Outcome,
    Refused,
    Settlement,
    TextParcel,
)
from gateway.events import emit
from gateway.known import Known, facts_of
from gateway.ports import Budget, Clock, MailCourier, Provider, Spool, SpoolUnavailable

T = TypeVar("T")

LEDGER_TRIES = 5
# To all carriers by the relay, one less than courier.mail.RelayCourier has connections: replies and alarms need not
# wait for a carrier that is slow.
CARRIERS_AT_ONCE = 3


@dataclass(frozen=True, slots=True)
class _Ended:
    outcome: Outcome
    ms: int  # on the wire


class Deliverer:
    def __init__(
        self,
        *,
        spool: Spool,
        mail: MailCourier,
        providers: Mapping[str, Provider],
        rules: Callable[[], Rules],
        clock: Clock,
        taken: Taken,
        alarms: Alarms,
        stopped_within: Callable[[timedelta], Awaitable[bool]],
        carriers_at_once: int = CARRIERS_AT_ONCE,
    ) -> None:
        self._spool = spool
        self._mail = mail
        self._providers = providers
        self._rules = rules
        self._clock = clock
        self._taken = taken
        self._alarms = alarms
        self._stopped_within = stopped_within
        self._carriers = asyncio.Semaphore(carriers_at_once)
        # Some more are committed as leaving, so that no connection waits for a commit; not many, lest one that is slow
        # leaves hundreds of them unclear when the daemon ends.
        self._setting_out = asyncio.Semaphore(5 * carriers_at_once)

    async def deliver_one(self, delivery: Delivery, known: Known | None = None) -> Outcome | None:
        """One attempt, or one look-up, from the facts to the settlement; the outcome of an attempt that was made."""
        rules = self._rules()
        for _ in range(LEDGER_TRIES):
            now = self._clock.now()
            if known is not None and known.holds(delivery, rules):
                facts = known.facts
            else:
                facts = await facts_of(self._spool, rules, delivery)
            known = None  # what did not do once is read again
            message = facts.messages.get(delivery.message)
            if delivery.fate is Fate.UNKNOWN:
                await self._settle(delivery, await self._look_up(delivery, message, facts, rules))
                return None
            ended = self._ended(delivery, message, facts, rules, now)
            if ended is not None:
                await self._settle(delivery, ended)
                return None
            if await self._waits(delivery, rules, now):
                return None
            over, outcome = await self._attempt(delivery, message, facts, rules, now)
            if over:
                return outcome
        await self._spool.release(delivery.id, self._clock.now() + timedelta(seconds=1), "retry")
        self._taken((), later=True)
        return None

    async def reserved(self, delivery: Delivery, known: Known) -> bool:
        """Whether a text that is about to be planned may leave in one with its plan; a place for it is held then.

        It is followed by `deliver_started`, or by `unreserve` where it was not started.
        """
        now = self._clock.now()
        rules = known.rules
        # By the rules in force, not by those of the plan: they may have been read anew since.
        if self._setting_out.locked() or not self._by_relay(delivery, rules):
            return False
        if not known.holds(delivery, self._rules()):
            return False
        message = known.facts.messages.get(delivery.message)
        if self._ended(delivery, message, known.facts, rules, now) or timing.lifts_at(delivery, rules, now):
            return False
        return await self._setting_out.acquire()

    def unreserve(self) -> None:
        """Gives back the place of one that was not started."""
        self._setting_out.release()

    async def deliver_started(self, delivery: Delivery, known: Known) -> Outcome:
        """Sends and settles what was committed as leaving with its plan."""
        try:
            ended = await self._send(delivery, known.rules)
        finally:
            self._setting_out.release()
        await self._judge(delivery, known.facts.messages.get(delivery.message), ended, known.facts, known.rules)
        return ended.outcome

    async def _attempt(
        self, delivery: Delivery, message: Message | None, facts: Facts, rules: Rules, now: datetime
    ) -> tuple[bool, Outcome | None]:
        """Commits the intent, sends and settles.  Whether that was the end of it, False = the ledger has moved on; and
        the outcome of an attempt that was made.
        """
        async with self._setting_out if self._by_relay(delivery, rules) else nullcontext():
            budget = self._budget(delivery, rules, now)
            started = await self._spool.start(delivery, now, _ledger(delivery, facts), budget)
            if started.done and started.alarm:
                await self._alarms.half_spent(delivery, started, rules, now)
            running = replace(delivery, fate=Fate.SENDING, attempt=delivery.attempt + 1, posted_at=now)
            ended = await self._send(running, rules) if started.done else None
        if ended is not None:
            await self._judge(running, message, ended, facts, rules)
            return True, ended.outcome
        if started.reason == "budget":
            facts = await facts_of(self._spool, rules, delivery)
            await self._settle(delivery, verdict.over_budget(delivery, rules, now, facts))
        return started.reason != "ledger", None

    async def overdue(self, delivery: Delivery, why: str) -> bool:
        """Ends a text that its way holds for too long, without an attempt; False = it waits on.

        `why` is what is wrong with the way.
        """
        rules, now = self._rules(), self._clock.now()
        facts = await facts_of(self._spool, rules, delivery)
        message = facts.messages.get(delivery.message)
        ended = self._ended(delivery, message, facts, rules, now)
        ended = ended or verdict.overdue(delivery, message, why, facts, rules, now)
        if ended is not None:
            await self._settle(delivery, ended)
        return ended is not None

    def _ended(
        self, delivery: Delivery, message: Message | None, facts: Facts, rules: Rules, now: datetime
    ) -> Settlement | None:
        superseded = verdict.superseded(delivery, facts)
        if superseded is not None:
            return superseded
        if now >= delivery.expires_at:
            return verdict.expired(delivery, message, rules, now, outcome="expired")
        if delivery.parcel is None:
            return verdict.judge(delivery, message, Refused(reason="there is nothing to send"), rules, now)
        talk = next((c for c in facts.conversations if message and c.id == message.conversation), None)
        no = verdict.veto(delivery, message, talk, facts, rules, now)
        if no is not None:
            return verdict.vetoed(delivery, message, no, rules, now)
        lift = timing.lifts_at(delivery, rules, now)
        late = timing.too_late(lift, timing.let_go(delivery, message.at), rules) if lift and message else ""
        return verdict.expired(delivery, message, rules, now, outcome="expired", last=late) if late else None

    async def _waits(self, delivery: Delivery, rules: Rules, now: datetime) -> bool:
        """Gives a text back that quiet hours hold: a retry may come into them."""
        lift = timing.lifts_at(delivery, rules, now)
        if lift is None:
            return False
        until = lift + rules.policy.expires_after
        await self._spool.release(delivery.id, lift, timing.QUIET, expires_at=until)
        self._taken((), later=True)
        return True

    def _budget(self, delivery: Delivery, rules: Rules, now: datetime) -> Budget | None:
        sender = rules.sender(delivery.sender)
        if sender is None or delivery.courier not in verdict.PAID:
            return None
        local = now.astimezone(rules.timezone)
        return Budget(
            sender=sender.name,
            day=f"{local:%Y-%m-%d}",
            month=f"{local:%Y-%m}",
            per_day=sender.segments_per_day,
            per_month=sender.segments_per_month,
        )

    async def _send(self, delivery: Delivery, rules: Rules) -> _Ended:
        emit(
            "delivery.started", delivery=delivery.id, courier=delivery.courier, attempt=delivery.attempt, to=delivery.to
        )
        begun = time.monotonic()
        outcome = await self._over_the_wire(delivery, rules)
        return _Ended(outcome, int((time.monotonic() - begun) * 1000))

    async def _judge(
        self, delivery: Delivery, message: Message | None, ended: _Ended, facts: Facts, rules: Rules
    ) -> None:
        if not isinstance(ended.outcome, Accepted):
            # What follows from a bad end may rest on more than the attempt did, and needs tokens.
            facts = await self._until_done(lambda: facts_of(self._spool, rules, delivery), "judging", delivery.id)
        settlement = verdict.judge(delivery, message, ended.outcome, rules, self._clock.now(), facts)
        await self._settle(delivery, replace(settlement, ms=ended.ms))

    def _by_relay(self, delivery: Delivery, rules: Rules) -> bool:
        """Whether it shares the relay's connections with the texts to other carriers."""
        return not rules.direct and timing.by_carrier(delivery)

    async def _over_the_wire(self, delivery: Delivery, rules: Rules) -> Outcome:
        match delivery.parcel:
            case MailParcel() as parcel:
                if not self._by_relay(delivery, rules):
                    return await self._mail.send(parcel)
                async with self._carriers:
                    return await self._mail.send(parcel)
            case TextParcel() as parcel:
                provider = self._providers.get(delivery.courier)
                if provider is None:
                    return Deferred(reason=f"no [{delivery.courier}] account is configured")
                left = timing.seconds_left(delivery, rules, self._clock.now())
                parcel = replace(parcel, validity_seconds=left)
                return await provider.send(parcel, delivery.id, delivery.attempt)
            case None:
                return Refused(reason="there is nothing to send")

    async def _look_up(self, delivery: Delivery, message: Message | None, facts: Facts, rules: Rules) -> Settlement:
        provider = self._providers.get(delivery.courier)
        rows = None
        if provider is not None and isinstance(delivery.parcel, TextParcel):
            rows = await provider.lookup(delivery.parcel, delivery.posted_at or delivery.due_at)
        ids = frozenset((delivery.courier, row.remote_id) for row in rows or ())
        people = frozenset({delivery.phone}) if delivery.phone else frozenset[Phone]()
        # What it is found to have become may raise a question about the person.
        taken = await self._spool.gather(Needs(remote_ids=ids, phones=people, asked=people, fresh=1))
        return lookup.judge_lookup(delivery, message, rows, facts.joined(taken), rules, self._clock.now())

    async def _settle(self, delivery: Delivery, settlement: Settlement) -> None:
        committed = await self._until_done(lambda: self._spool.settle(settlement), "settling", delivery.id)
        if committed.bound_to:
            emit("delivery.doubled", delivery=delivery.id, remote_id=settlement.remote_id, other=committed.bound_to)
        await self._alarms.tell_doubled(committed.doubled)
        if not committed.done:
            return
        tell.settled(delivery, settlement)
        for entry in settlement.writes.consents:
            tell.consent(entry)
        self._taken(committed.leased, later=settlement.due_at is not None)

    async def _until_done(self, call: Callable[[], Awaitable[T]], during: str, delivery: str) -> T:
        """Tried until it succeeds: the outcome of an attempt is known here alone, and must not be lost."""
        pause = 0.2
        while True:
            try:
                return await call()
            except SpoolUnavailable as error:
                emit("spool.failed", error=str(error), during=during, delivery=delivery)
                pause = min(pause * 2, 10.0)
                if await self._stopped_within(timedelta(seconds=pause)):
                    return await call()


def _ledger(delivery: Delivery, facts: Facts) -> int:
    return facts.ledger.get(delivery.phone, 0) if delivery.phone else 0
