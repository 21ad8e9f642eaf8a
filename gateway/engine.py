"""The loops: plan what came in, deliver what is due, look up what is unclear, purge what is old.

What was just committed is planned and delivered from memory; the spool is read only for what memory does not hold.
A fault of ours in one item is logged, the item stays in the spool, and the loop goes on.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from gateway import tell
from gateway.backlog import Backlog, Loops
from gateway.calm import Calm
from gateway.core import dsn, plan
from gateway.core.facts import Facts, Needs
from gateway.core.intent import needs, understand
from gateway.core.model import Fate, Inbound, InboundMail, Reading, Unreadable
from gateway.core.rules import Rules
from gateway.core.work import Plan
from gateway.dispatch import Dispatcher
from gateway.enclosures import Enclosures, Interrupted, brings
from gateway.events import emit, fault
from gateway.known import after, gathered
from gateway.ports import Clock, Reader, ReaderUnavailable, Spool, SpoolUnavailable
from gateway.purger import purging
from gateway.turns import Turns

PLANNERS = 32  # each waits for the store most of the time, and what waits together is committed together
BUSY_PLANNERS = 4  # of them go on while mail pours in: what is not accepted now may be lost, what is can wait
CALM_SECONDS = 0.05  # without an arrival: then all of them go on
RUSH = 50  # inbounds that wait while more come: then nothing is planned at first, since the doors need the processor,
RUSH_SECONDS = 3.0  # for so long
FETCHERS = 4  # planners of texts with pictures: a host that hangs must not hold up what has none
LARGE = 1 << 20  # bytes of an inbound
REFILL = 1000  # inbounds that are taken from the spool at once
RACES = 5  # two mails that open one conversation at once: the second looks again
FAULTS = 3  # tries of one inbound before it is parked
SWEEP_SECONDS = 30.0
STUCK_SECONDS = 180.0


class Engine:
    def __init__(
        self,
        *,
        spool: Spool,
        reader: Reader,
        dispatcher: Dispatcher,
        enclosures: Enclosures,
        rules: Callable[[], Rules],
        clock: Clock,
        keep_days: Mapping[str, int],
    ) -> None:
        self._spool = spool
        self._reader = reader
        self._dispatcher = dispatcher
        self._enclosures = enclosures
        self._rules = rules
        self._clock = clock
        self._keep_days = keep_days
        self._turns = Turns()  # of addresses, and of phones: two mails to one person must not choose the same number
        self._backlog = Backlog()
        self._faults: dict[str, int] = {}
        self._untold: set[str] = set()  # held deliveries whose report could not be written yet
        self._calm = Calm(CALM_SECONDS, crowd=RUSH, hold=RUSH_SECONDS)
        self._behind = True  # the spool may hold inbounds that memory does not
        self._overflowed = False  # and does: what comes now is younger
        self._stopping = False
        self.loops = Loops()

    def arrived(self, inbound: Inbound) -> None:
        """Takes what a door has just committed; over the bound it waits in the spool."""
        self._calm.disturb(len(self._backlog.now))
        if self._backlog.full or self._overflowed:
            # It waits behind those that found no room before it.
            self._behind = self._overflowed = True
            self._backlog.wake()
        else:
            self._take(inbound)

    def _take(self, inbound: Inbound) -> None:
        self._backlog.add(inbound, slow=brings(inbound))

    def refill(self) -> None:
        """Says that the spool holds inbounds that memory does not."""
        self._behind = True
        self._backlog.wake()

    def stuck(self) -> list[str]:
        """The loops that should have turned and have not; nothing = all move."""
        begun = self.loops.begun_at or time.monotonic()
        loops = {"sweeper": self.loops.swept_at or begun, "dispatcher": self._dispatcher.turned_at or begun}
        if self._backlog.now:
            loops["planner"] = self.loops.planned_at or begun
        if self._backlog.slow:
            loops["planner of pictures"] = self.loops.fetched_at or begun
        return [name for name, turned in loops.items() if time.monotonic() - turned > STUCK_SECONDS]

    async def run(self) -> None:
        """Runs until `stop`; everything that was begun is settled or given back when it returns."""
        self.loops.begun_at = time.monotonic()
        async with asyncio.TaskGroup() as group:
            for n in range(PLANNERS):
                group.create_task(self._planner(patient=n >= BUSY_PLANNERS))
            for _ in range(FETCHERS):
                group.create_task(self._fetcher())
            group.create_task(self._sweeper())
            group.create_task(purging(self._spool, self._clock, self._keep_days, self._dispatcher.stopped_within))
            group.create_task(self._dispatcher.run())

    def stop(self) -> None:
        """Ends the loops after what is in hand."""
        self._stopping = True
        self._calm.end()
        self._backlog.wake_all()
        self._dispatcher.stop()

    async def _planner(self, *, patient: bool) -> None:
        while True:
            await (self._calm.comes() if patient else self._calm.passes())
            if self._stopping:
                return
            self.loops.planned_at = time.monotonic()
            if self._backlog.now:
                await self._plan_guarded(self._backlog.next())
            elif self._behind and not self._backlog.heavy:
                await self._refill()
            else:
                await self._backlog.rest(patient=patient)

    async def _fetcher(self) -> None:
        while not self._stopping:
            self.loops.fetched_at = time.monotonic()
            if self._backlog.slow:
                await self._plan_guarded(self._backlog.next(slow=True))
            else:
                await self._backlog.rest(slow=True)

    async def _refill(self) -> None:
        self._behind = False
        try:
            found = await self._spool.unplanned(REFILL)
        except SpoolUnavailable as error:
            emit("spool.failed", error=str(error), during="planning")
            await self._pause(1.0)
            self._behind = True
            return
        except Exception as error:
            emit("engine.failed", loop="refill", **fault(error))
            await self._pause(5.0)
            self._behind = True
            return
        for inbound in found:
            self._take(inbound)
        self._overflowed = self._overflowed and (self._behind or bool(found))
        self._behind = self._behind or bool(found)
        self._backlog.wake()

    async def _plan_guarded(self, inbound: Inbound) -> None:
        again = False
        try:
            await self.plan_one(inbound)
            self._faults.pop(inbound.id, None)
        except Interrupted:
            return
        except (SpoolUnavailable, ReaderUnavailable) as error:
            emit("engine.failed", loop="plan", inbound=inbound.id, error=str(error))
            await self._pause(1.0)
            again = True
        except Exception as error:
            again = await self._fault(inbound, error)
        finally:
            self._backlog.done(inbound)
        if again and not self._stopping:
            self._again(inbound)
        if self._behind:
            self._backlog.wake()  # there may be room for what waits in the spool

    def _again(self, inbound: Inbound) -> None:
        """A large one waits in the spool: where none can be read, those that can must find room."""
        if len(inbound.raw) > LARGE:
            self._behind = True
        else:
            self._take(inbound)

    async def _fault(self, inbound: Inbound, error: Exception) -> bool:
        """Whether to try again.  A bug of ours must neither lose a mail nor stop the others: then it is parked."""
        count = self._faults[inbound.id] = self._faults.get(inbound.id, 0) + 1
        emit("engine.failed", loop="plan", inbound=inbound.id, count=count, **fault(error))
        if count < FAULTS:
            return True
        reason = f"a fault of the gateway: {type(error).__name__}"
        try:
            parked = await self._spool.plan(self._parking(inbound, reason))
        except SpoolUnavailable as failed:
            emit("spool.failed", error=str(failed), during="parking")
            await self._pause(1.0)
            return True
        self._faults.pop(inbound.id, None)
        self._dispatcher.take(parked.leased)
        emit("inbound.parked", inbound=inbound.id, reason=reason)
        return False

    def _parking(self, inbound: Inbound, reason: str) -> Plan:
        try:
            return plan.parked(inbound, reason, self._rules(), self._clock.now(), Facts())
        except Exception as error:
            # What cannot even be told must still be kept where a person finds it.
            emit("engine.failed", loop="parking", inbound=inbound.id, **fault(error))
            return Plan(inbound=inbound.id, parked=reason)

    async def plan_one(self, inbound: Inbound) -> None:
        """understand (pure) -> gather facts (one read) -> make plan (pure) -> commit (one write).

        In turn for each recipient: a mail that is quicker read must not overtake an earlier one to the same person.
        """
        recipients = inbound.envelope.recipients if isinstance(inbound, InboundMail) else ()
        turn = self._turns.of(f"to {recipient.address.lower()}" for recipient in recipients)
        if turn.taken:
            self._calm.admit()
        async with turn:
            await self._planned(inbound)

    async def _read(self, mail: InboundMail) -> Reading | Unreadable:
        read = self._reader.read_now(mail.raw)
        if read is not None:
            return read
        self._calm.admit()  # a mail that is long read must not hold up those to others
        return await self._reader.read(mail.raw)

    async def _planned(self, inbound: Inbound) -> None:
        rules = self._rules()
        reading = await self._read(inbound) if isinstance(inbound, InboundMail) else None
        intents = understand(inbound, reading, rules)
        pictures = await self._enclosures.of(inbound, reading, intents, rules)
        wanted = needs(intents, inbound, reading, rules)
        people = frozenset[str](wanted.phones)
        for _ in range(RACES):
            async with self._turns.of(people):
                facts = await gathered(self._spool, wanted, rules)
                # Behind a token is a person whom only the facts name: his turn must be ours before they count.
                named = people | {c.phone for c in facts.conversations} | {q.phone for q in facts.questions.values()}
                if named != people:
                    people = named
                    continue
                made = plan.make(inbound, reading, intents, facts, rules, self._clock.now(), pictures)
                committed = await self._dispatcher.commit(made, after(made.writes, facts, rules))
            if committed.done:
                at_fault = tell.planned(inbound, made, frozenset(committed.moved), facts, rules)
                for way, posted_at in at_fault.items():
                    self._dispatcher.pause(way, posted_at)
                tell.ignored(inbound, intents)
                await self._dispatcher.alarms.tell_doubled(committed.doubled)
                taken = len(committed.leased) + len(committed.started)
                if sum(d.fate is Fate.WAITING for d in made.writes.deliveries) > taken:
                    self._dispatcher.take((), later=True)
                await self._enclosures.kept(inbound, pictures)
            if not committed.again:
                return
        self._behind = True

    async def _sweeper(self) -> None:
        """Looks now and then for inbounds whose lease ended or that came in by another door."""
        while not self._stopping:
            await self._pause(SWEEP_SECONDS)
            now = self._clock.now()
            try:
                await self.recover(now, until=now)
            except SpoolUnavailable as error:
                emit("spool.failed", error=str(error), during="sweeping")
            except Exception as error:
                emit("engine.failed", loop="sweep", **fault(error))
            self.loops.swept_at = time.monotonic()
            self._behind = True
            self._backlog.wake()

    async def recover(self, now: datetime, *, until: datetime | None = None) -> int:
        """Takes back what dead hands held; how many attempts they left open.  What is held for a person is told."""
        rules = self._rules()
        found = await self._spool.recover(now, rules.lookup_after[0], until=until)
        self._untold.update(found.held)
        facts = await self._spool.gather(Needs(deliveries=frozenset(self._untold)))
        for delivery in facts.deliveries.values():
            message = facts.messages.get(delivery.message)
            if message is not None:
                told = dsn.failure(message, delivery.note, "4.4.2", Fate.HELD, rules, now)
                self._dispatcher.take((await self._spool.write(told)).leased)
            self._untold.discard(delivery.id)
        return found.attempts

    async def _pause(self, seconds: float) -> None:
        """Waits, but not past the end of the daemon."""
        await self._dispatcher.stopped_within(timedelta(seconds=seconds))
