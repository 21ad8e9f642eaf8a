"""Deliver what is due: gather, veto again, commit the intent, send, judge, settle.

Each way out has a queue of its own in memory (the relay, and each of our numbers), so that a slow one holds up nobody
else.  A number is paced by segments; a way that is at fault is paused and keeps its queue in the spool.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from gateway.core import notice, verdict
from gateway.core.model import Consent, Fate, Kind
from gateway.core.rules import Rules
from gateway.core.work import (
    Deferred,
    Delivery,
    Facts,
    MailParcel,
    Message,
    Needs,
    Outcome,
    Refused,
    Settlement,
    TextParcel,
)
from gateway.events import emit
from gateway.ports import Budget, Clock, MailCourier, Provider, Spool, SpoolUnavailable

IN_FLIGHT = 20  # requests at once per number; Twilio bounds an account, not a number
MAILS_AT_ONCE = 4
CLAIM = 200
MAIL_BACKLOG = 1000
PACED_SECONDS = 20  # how much paced work of one number is kept in memory
LEDGER_TRIES = 5


@dataclass(slots=True)
class Way:
    """One way out: its queue, its pace, its breaker."""

    name: str
    bound: int
    queue: asyncio.PriorityQueue[tuple[int, datetime, str, Delivery]] = field(default_factory=asyncio.PriorityQueue)
    next_at: float = 0.0  # monotonic time at which the pace allows the next segment
    open_until: float = 0.0  # breaker: monotonic time until which nothing is tried
    failures: int = 0

    @property
    def full(self) -> bool:
        return self.queue.qsize() >= self.bound


class Dispatcher:
    def __init__(
        self,
        *,
        spool: Spool,
        mail: MailCourier,
        providers: Mapping[str, Provider],
        rules: Callable[[], Rules],
        clock: Clock,
        grace_seconds: float = 30.0,
    ) -> None:
        self._spool = spool
        self._mail = mail
        self._providers = providers
        self._rules = rules
        self._clock = clock
        self._grace = grace_seconds
        self._ways: dict[str, Way] = {}
        self._workers: set[asyncio.Task[None]] = set()
        self._wake = asyncio.Event()
        self._stop = asyncio.Event()
        self.turned_at: datetime | None = None

    # -- taking work

    def take(self, deliveries: Sequence[Delivery]) -> None:
        """Takes deliveries that are leased to us; what is not due here is given back to the spool."""
        for delivery in deliveries:
            way = self._way(delivery)
            if self._stop.is_set() or way.full:
                self._spawn(self._give_back(delivery, self._clock.now(), "pacing"))
            else:
                way.queue.put_nowait((delivery.priority, delivery.due_at, delivery.id, delivery))
        self._wake.set()

    def _way(self, delivery: Delivery) -> Way:
        name = delivery.number or delivery.courier
        if name not in self._ways:
            number = self._rules().number(delivery.number)
            rate = number.segments_per_second if number else 0.0
            way = Way(name=name, bound=max(IN_FLIGHT, int(rate * PACED_SECONDS)) if number else MAIL_BACKLOG)
            self._ways[name] = way
            for _ in range(IN_FLIGHT if number else MAILS_AT_ONCE):
                self._spawn(self._worker(way))
        return self._ways[name]

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._workers.add(task)
        task.add_done_callback(self._workers.discard)

    # -- the loops

    async def run(self) -> None:
        """Claims what is due until `stop`, then lets what is in flight end within the grace."""
        while not self._stop.is_set():
            self.turned_at = self._clock.now()
            try:
                pause = await self._claim()
            except SpoolUnavailable as error:
                emit("spool.failed", error=str(error), during="claiming")
                pause = 1.0
            self._wake.clear() if pause > 0 else None
            await self._sleep(pause)
        for way in self._ways.values():
            for _ in range(max(IN_FLIGHT, MAILS_AT_ONCE)):
                way.queue.put_nowait((-1, self._clock.now(), "", _END))
        if self._workers:
            _, late = await asyncio.wait(set(self._workers), timeout=self._grace)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def _claim(self) -> float:
        """Takes due deliveries from the spool; answers how many seconds nothing more will be due."""
        full = frozenset(w.name for w in self._ways.values() if w.full)
        now = self._clock.now()
        found = await self._spool.due(now, CLAIM, full)
        self.take(found)
        if len(found) >= CLAIM:
            return 0.0
        upcoming = await self._spool.next_due()
        if upcoming is None:
            return 60.0
        return max(0.05, min(60.0, (upcoming - now).total_seconds()))

    async def _sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            return

    def stop(self) -> None:
        """Takes no more work."""
        self._stop.set()
        self._wake.set()

    async def stopped_within(self, pause: timedelta) -> bool:
        """Waits for the stop, at most that long; whether it came."""
        try:
            async with asyncio.timeout(pause.total_seconds()):
                await self._stop.wait()
        except TimeoutError:
            return False
        return True

    async def _worker(self, way: Way) -> None:
        while True:
            _, _, _, delivery = await way.queue.get()
            if delivery is _END:
                return
            if self._stop.is_set():
                continue
            try:
                await self._deliver_paced(way, delivery)
            except SpoolUnavailable as error:
                # The lease ends by itself; what was sent and not settled is then unclear.
                emit("spool.failed", error=str(error), during="delivering", delivery=delivery.id)
            except Exception as error:
                emit("engine.failed", loop="deliver", delivery=delivery.id, error=repr(error), exc_info=error)
            self._wake.set()

    async def _deliver_paced(self, way: Way, delivery: Delivery) -> None:
        now = time.monotonic()
        if way.open_until > now and delivery.fate is Fate.WAITING:
            due = self._clock.now() + timedelta(seconds=way.open_until - now)
            await self._give_back(delivery, due, "retry")
            return
        number = self._rules().number(delivery.number)
        if number is not None and delivery.fate is Fate.WAITING:
            at = max(now, way.next_at)
            way.next_at = at + delivery.segments / number.segments_per_second
            if at > now and await self.stopped_within(timedelta(seconds=at - now)):
                return
        await self.deliver_one(delivery, way)

    async def _give_back(self, delivery: Delivery, due: datetime, reason: str) -> None:
        try:
            await self._spool.release(delivery.id, due, reason)
        except SpoolUnavailable as error:
            emit("spool.failed", error=str(error), during="giving back", delivery=delivery.id)

    # -- one delivery

    async def deliver_one(self, delivery: Delivery, way: Way) -> None:
        """One attempt, or one look-up, from the facts to the settlement."""
        rules = self._rules()
        for _ in range(LEDGER_TRIES):
            now = self._clock.now()
            facts = await self._facts(delivery)
            message = facts.messages.get(delivery.message)
            if delivery.fate is Fate.UNKNOWN:
                await self._settle(delivery, await self._look_up(delivery, message, rules))
                return
            ended = self._ended(delivery, message, facts, rules, now)
            if ended is not None:
                await self._settle(delivery, ended)
                return
            started = await self._spool.start(delivery, now, _ledger(delivery, facts), self._budget(delivery, rules, now))
            if started.done:
                running = replace(delivery, fate=Fate.SENDING, attempt=delivery.attempt + 1, posted_at=now)
                await self._send(running, message, way, rules)
                return
            if started.reason == "budget":
                held = verdict.over_budget(delivery, rules, now, facts, alarm=started.alarm)
                await self._settle(delivery, held)
                return
            if started.reason != "ledger":
                return
        await self._give_back(delivery, self._clock.now() + timedelta(seconds=1), "retry")

    async def _facts(self, delivery: Delivery) -> Facts:
        phones = frozenset({delivery.phone}) if delivery.phone else frozenset[str]()
        people = frozenset(e.name for e in map(self._rules().employee_at, self._rules().alarm_to) if e is not None)
        wanted = Needs(phones=phones, deliveries=frozenset({delivery.id}), employees=people)  # type: ignore[arg-type]
        facts = await self._spool.gather(wanted)
        message = facts.messages.get(delivery.message)
        if delivery.conversational and message is not None and message.conversation:
            facts = facts.joined(await self._spool.gather(Needs(tokens=frozenset({message.conversation}))))
        return facts

    def _ended(
        self, delivery: Delivery, message: Message | None, facts: Facts, rules: Rules, now: datetime
    ) -> Settlement | None:
        if now >= delivery.expires_at:
            return verdict.expired(delivery, message, rules, now, outcome="expired")
        if delivery.parcel is None:
            return verdict.judge(delivery, message, Refused(reason="there is nothing to send"), rules, now)
        talk = next((c for c in facts.conversations if message and c.id == message.conversation), None)
        no = verdict.veto(delivery, talk, facts, rules, now)
        return verdict.vetoed(delivery, message, no, rules, now) if no else None

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

    async def _send(self, delivery: Delivery, message: Message | None, way: Way, rules: Rules) -> None:
        emit("delivery.started", delivery=delivery.id, courier=delivery.courier, attempt=delivery.attempt, to=delivery.to)
        begun = time.monotonic()
        outcome = await self._over_the_wire(delivery)
        took = int((time.monotonic() - begun) * 1000)
        settlement = verdict.judge(delivery, message, outcome, rules, self._clock.now())
        await self._settle(delivery, replace(settlement, ms=took))
        await self._breaker(way, delivery, outcome, rules)

    async def _over_the_wire(self, delivery: Delivery) -> Outcome:
        match delivery.parcel:
            case MailParcel() as parcel:
                return await self._mail.send(parcel)
            case TextParcel() as parcel:
                provider = self._providers.get(delivery.courier)
                if provider is None:
                    return Deferred(reason=f"no [{delivery.courier}] account is configured")
                left = int((delivery.expires_at - self._clock.now()).total_seconds())
                parcel = replace(parcel, validity_seconds=max(1, min(36_000, left)))
                return await provider.send(parcel, delivery.id, delivery.attempt)
            case None:
                return Refused(reason="there is nothing to send")

    async def _look_up(self, delivery: Delivery, message: Message | None, rules: Rules) -> Settlement:
        provider = self._providers.get(delivery.courier)
        rows = None
        if provider is not None and isinstance(delivery.parcel, TextParcel):
            rows = await provider.lookup(delivery.parcel, delivery.posted_at or delivery.due_at)
        ids = frozenset((delivery.courier, row.remote_id) for row in rows or ())
        taken = await self._spool.gather(Needs(remote_ids=ids))
        return verdict.judge_lookup(delivery, message, rows, taken, rules, self._clock.now())

    async def _settle(self, delivery: Delivery, settlement: Settlement) -> None:
        committed = await self._spool.settle(settlement)
        if not committed.done:
            return
        tell_settled(delivery, settlement)
        for entry in settlement.writes.consents:
            tell_consent(entry)
        self.take(committed.leased)

    async def _breaker(self, way: Way, delivery: Delivery, outcome: Outcome, rules: Rules) -> None:
        """A way that is itself at fault is left alone for a while; its queue stays in the spool."""
        if not (isinstance(outcome, Deferred) and outcome.sender_wide):
            if way.failures and not isinstance(outcome, Deferred):
                emit("courier.up", courier=delivery.courier, number=delivery.number)
                way.failures = 0
            return
        way.failures += 1
        pause = min(2.0**way.failures, 60.0)
        way.open_until = time.monotonic() + pause
        if way.failures > 1:
            return
        emit("courier.down", courier=delivery.courier, number=delivery.number, reason=outcome.reason, code=outcome.code)
        if delivery.courier in verdict.PAID:
            now = self._clock.now()
            key = f"down.{way.name}.{now.astimezone(rules.timezone):%Y-%m-%d}"
            text = f"{outcome.reason}\n\nIts texts wait in the queue: gateway queue list\n"
            subject = f"Texts by {delivery.courier} number {way.name} are paused"
            facts = await self._facts(delivery)
            made = await self._spool.write(notice.alarm(key, subject, text, rules, now, facts.confirmations))
            emit("alarm.raised", key=key)
            self.take(made.leased)


def _ledger(delivery: Delivery, facts: Facts) -> int:
    return facts.ledger.get(delivery.phone, 0) if delivery.phone else 0


def tell_consent(entry: Consent) -> None:
    """The event of one entry in the ledger."""
    names = {"grant": "consent.granted", "start": "consent.restored"}
    emit(names.get(entry.action, "consent.withdrawn"), phone=entry.phone, method=entry.method, action=entry.action)


_TOLD = {
    "accepted": "delivery.accepted",
    "deferred": "delivery.deferred",
    "refused": "delivery.refused",
    "unclear": "delivery.unclear",
    "found": "delivery.adopted",
    "vetoed": "delivery.vetoed",
    "expired": "delivery.expired",
    "held": "delivery.held",
}


def tell_settled(delivery: Delivery, settlement: Settlement) -> None:
    """The one line of an attempt's end."""
    name = _TOLD.get(settlement.outcome, "delivery.unclear")
    if settlement.fate is Fate.EXPIRED:
        name = "delivery.expired"
    elif settlement.fate is Fate.HELD:
        name = "delivery.held"
    elif settlement.outcome == "not_found" and settlement.fate is Fate.WAITING:
        name = "delivery.resent"
    emit(
        name,
        delivery=delivery.id,
        courier=delivery.courier,
        attempt=delivery.attempt,
        to=delivery.to,
        fate=settlement.fate.value,
        code=settlement.code,
        note=settlement.note,
        remote_id=settlement.remote_id,
        segments=delivery.segments,
        ms=settlement.ms,
    )


_EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")
_END = Delivery(
    id="", message="", kind=Kind.TEXT, courier="", lane="", number="", to="", phone=None, person="", sender="",
    parcel=None, due_at=_EPOCH, expires_at=_EPOCH,
)  # fmt: skip
