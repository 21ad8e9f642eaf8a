"""Deliver one thing: gather, veto again, commit the intent, send, judge, settle."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Protocol

from gateway import tell
from gateway.core import another, gone, lookup, notice, timing, verdict
from gateway.core.facts import Facts, Needs
from gateway.core.model import Fate, Kind, Phone
from gateway.core.rules import Rules
from gateway.core.work import Deferred, Delivery, MailParcel, Message, Outcome, Refused, Settlement, TextParcel
from gateway.events import emit
from gateway.ports import Budget, Clock, Committed, MailCourier, Provider, Spool, SpoolUnavailable, Started

LEDGER_TRIES = 5
# To all carriers by the relay, one less than courier.mail.RelayCourier has connections: replies and alarms need not
# wait for a carrier that is slow.
CARRIERS_AT_ONCE = 3


class Taken(Protocol):
    def __call__(self, deliveries: Sequence[Delivery], *, later: bool) -> None:
        """Takes deliveries that are leased to us; `later`: others became due at a time of their own."""
        ...


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
        stopped_within: Callable[[timedelta], Awaitable[bool]],
        carriers_at_once: int = CARRIERS_AT_ONCE,
    ) -> None:
        self._spool = spool
        self._mail = mail
        self._providers = providers
        self._rules = rules
        self._clock = clock
        self._taken = taken
        self._stopped_within = stopped_within
        self._carriers = asyncio.Semaphore(carriers_at_once)

    async def deliver_one(self, delivery: Delivery) -> Outcome | None:
        """One attempt, or one look-up, from the facts to the settlement; the outcome of an attempt that was made."""
        rules = self._rules()
        for _ in range(LEDGER_TRIES):
            now = self._clock.now()
            facts = await self._facts(delivery)
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
            started = await self._spool.start(
                delivery, now, _ledger(delivery, facts), self._budget(delivery, rules, now)
            )
            if started.done:
                if started.alarm:
                    await self._warn(delivery, started, rules, now, facts)
                running = replace(delivery, fate=Fate.SENDING, attempt=delivery.attempt + 1, posted_at=now)
                return await self._send(running, message, facts, rules)
            if started.reason == "budget":
                await self._settle(delivery, verdict.over_budget(delivery, rules, now, facts))
                return None
            if started.reason != "ledger":
                return None
        await self._spool.release(delivery.id, self._clock.now() + timedelta(seconds=1), "retry")
        self._taken((), later=True)
        return None

    async def overdue(self, delivery: Delivery, why: str) -> bool:
        """Ends a text that its way holds for too long, without an attempt; False = it waits on.

        `why` is what is wrong with the way.
        """
        rules, now = self._rules(), self._clock.now()
        facts = await self._facts(delivery)
        message = facts.messages.get(delivery.message)
        ended = self._ended(delivery, message, facts, rules, now)
        ended = ended or verdict.overdue(delivery, message, why, facts, rules, now)
        if ended is not None:
            await self._settle(delivery, ended)
        return ended is not None

    async def _facts(self, delivery: Delivery) -> Facts:
        phones = frozenset({delivery.phone}) if delivery.phone else frozenset[Phone]()
        people = frozenset(e.name for e in map(self._rules().employee_at, self._rules().alarm_to) if e is not None)
        people |= {delivery.person} - {""}
        # A reply may have to go to another mailbox, whose bounces come to an address of their own, as an alarm's do.
        alarm = self._rules().alarm_texts
        fresh = 1 + alarm if alarm or delivery.kind is Kind.REPLY else 0
        related = _related(delivery) if timing.by_carrier(delivery) else ()
        deliveries = frozenset({delivery.id, *related})
        wanted = Needs(phones=phones, deliveries=deliveries, employees=people, fresh=fresh)
        facts = await self._spool.gather(wanted)
        message = facts.messages.get(delivery.message)
        if delivery.conversational and message is not None and message.conversation:
            facts = facts.joined(await self._spool.gather(Needs(tokens=frozenset({message.conversation}))))
        return facts

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

    async def _warn(self, delivery: Delivery, started: Started, rules: Rules, now: datetime, facts: Facts) -> None:
        """Half of a budget is used up: the admin hears of it while there is time (P8)."""
        spent = f"segments today: {started.spent_day}, this month: {started.spent_month}"
        text = f"Sender {delivery.sender} has used half of its budget or more: {spent}.\n\nOver it texts are held.\n"
        key = f"half.{delivery.sender}.{now.astimezone(rules.timezone):%Y-%m-%d}"
        subject = f"Half of the budget of {delivery.sender} is used"
        try:
            await self._raise(key, subject, text, facts)
        except SpoolUnavailable as error:
            # The text is committed as leaving; its alarm must not keep it from that.
            emit("spool.failed", error=str(error), during="warning of a budget", delivery=delivery.id)
        emit("budget.warned", sender=delivery.sender, day=started.spent_day, month=started.spent_month)

    async def _send(self, delivery: Delivery, message: Message | None, facts: Facts, rules: Rules) -> Outcome:
        emit(
            "delivery.started", delivery=delivery.id, courier=delivery.courier, attempt=delivery.attempt, to=delivery.to
        )
        begun = time.monotonic()
        outcome = await self._over_the_wire(delivery, rules)
        took = int((time.monotonic() - begun) * 1000)
        settlement = verdict.judge(delivery, message, outcome, rules, self._clock.now(), facts)
        await self._settle(delivery, replace(settlement, ms=took))
        return outcome

    async def _over_the_wire(self, delivery: Delivery, rules: Rules) -> Outcome:
        match delivery.parcel:
            case MailParcel() as parcel:
                if rules.direct or not timing.by_carrier(delivery):
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
        committed = await self._committed(settlement)
        if committed.bound_to:
            emit("delivery.doubled", delivery=delivery.id, remote_id=settlement.remote_id, other=committed.bound_to)
        await self.tell_doubled(committed.doubled)
        if not committed.done:
            return
        tell.settled(delivery, settlement)
        for entry in settlement.writes.consents:
            tell.consent(entry)
        self._taken(committed.leased, later=settlement.due_at is not None)

    async def _committed(self, settlement: Settlement) -> Committed:
        """The settlement's commit, tried until it succeeds: the outcome is known here alone, and must not be lost."""
        pause = 0.2
        while True:
            try:
                return await self._spool.settle(settlement)
            except SpoolUnavailable as error:
                emit("spool.failed", error=str(error), during="settling", delivery=settlement.delivery)
                pause = min(pause * 2, 10.0)
                if await self._stopped_within(timedelta(seconds=pause)):
                    return await self._spool.settle(settlement)

    async def tell_doubled(self, doubled: Sequence[tuple[str, str, str]]) -> None:
        """Two ids of the provider for one text: perhaps the person got it twice, and the admin hears of it."""
        for delivery, first, second in doubled:
            emit("delivery.doubled", delivery=delivery, remote_id=second, other=first)
            facts = await self._spool.gather(Needs(deliveries=frozenset({delivery})))
            found = facts.deliveries.get(delivery)
            subject = "A text was perhaps sent twice"
            text = (
                f"The provider has two texts for one of ours: {first} and {second}.\n\n"
                f"Its whole story: gateway trace {found.message if found else delivery}\n"
            )
            await self._raise(f"doubled.{delivery}", subject, text, facts)

    async def down(self, delivery: Delivery, outcome: Deferred) -> None:
        """A way out is at fault: the admin hears of it once a day."""
        day = self._clock.now().astimezone(self._rules().timezone)
        paid = delivery.courier in verdict.PAID
        remedy = f"check [{delivery.courier}] and the account" if paid else "check [relay]"
        other = (
            "" if paid else "\nTexts to employees go by the provider after [policy] fallback_after, where that is open."
        )
        text = (
            f"{outcome.reason}\n\nWhat it should bring waits, and is tried again by itself until it expires "
            f"([policy] expires_after for texts): gateway queue list{other}\nIf it does not mend: {remedy}.\n"
        )
        what = f"Texts by {delivery.courier} number {delivery.number}" if paid else "Mails by the relay"
        key = f"down.{delivery.number if paid else delivery.courier}.{day:%Y-%m-%d}"
        facts = await self._facts(delivery)
        await self._raise(key, f"{what} are paused", text, facts, by_relay=paid)

    async def shut_out(self, delivery: Delivery, outcome: Deferred | Refused) -> None:
        """A carrier's domain refuses us: the admin hears of it once a day."""
        key, subject, text = gone.shut_out(delivery, outcome.reason, self._rules(), self._clock.now())
        await self._raise(key, subject, text, await self._facts(delivery), by_relay=False)

    async def _raise(self, key: str, subject: str, text: str, facts: Facts, *, by_relay: bool = True) -> None:
        rules, now = self._rules(), self._clock.now()
        tokens = facts.fresh[1:]
        writes = notice.alarm(key, subject, text, rules, now, facts.confirmations, by_relay=by_relay, tokens=tokens)
        made = await self._spool.write(writes)
        emit("alarm.raised", key=key)
        self._taken(made.leased, later=False)


def _related(delivery: Delivery) -> tuple[str, ...]:
    """The other mails of a carrier's text, as far as they decide about this one, and what replaces them all."""
    return (another.fallback_id(delivery), *another.earlier_parts(delivery), another.next_part(delivery))


def _ledger(delivery: Delivery, facts: Facts) -> int:
    return facts.ledger.get(delivery.phone, 0) if delivery.phone else 0
