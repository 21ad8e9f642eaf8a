"""What is delivered when: a queue in memory for each way out, its pace, and its breaker.

The relay, each carrier's domain and each of our numbers have a queue of their own, so that a slow one holds up nobody
else.  A number is paced by segments, a domain by mails; a way that is at fault is paused and keeps its queue in the
spool.  A relay at fault pauses the carriers with it.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from gateway.alarms import Alarms
from gateway.breaker import Breakers
from gateway.core import timing
from gateway.core.model import Fate
from gateway.core.rules import Rules
from gateway.core.work import Delivery, Plan
from gateway.deliver import Deliverer
from gateway.events import emit, fault
from gateway.known import Known
from gateway.pause import set_within
from gateway.ports import Clock, Committed, MailCourier, Provider, Spool, SpoolUnavailable
from gateway.way import MAIL, PAUSED, Item, Way, pace, size, way_of

IN_FLIGHT = 20  # requests at once per number; Twilio bounds an account, not a number
MAILS_AT_ONCE = 16  # most of them wait for a commit; see deliver.CARRIERS_AT_ONCE for those on the wire
DIRECT_AT_ONCE = 2  # to one carrier's own hosts
CLAIM = 200
MAIL_BACKLOG = 1000
MOST_BYTES = 32 << 20  # of mails in hand; more waits in the spool
PACED_SECONDS = 20  # how much paced work of one way is kept in memory


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
        self.alarms = Alarms(spool=spool, rules=rules, clock=clock, taken=self.take)
        self._deliverer = Deliverer(
            spool=spool,
            mail=mail,
            providers=providers,
            rules=rules,
            clock=clock,
            taken=self.take,
            alarms=self.alarms,
            stopped_within=self.stopped_within,
        )
        self._rules = rules
        self._clock = clock
        self._grace = grace_seconds
        self._ways: dict[str, Way] = {}
        self._wake = asyncio.Event()
        self._breakers = Breakers(
            ways=self._ways, spool=spool, alarms=self.alarms, rules=rules, clock=clock, wake=self._wake.set
        )
        self._count = itertools.count()
        self._workers: set[asyncio.Task[None]] = set()
        self._begun = False
        self._more = True  # the spool may hold due deliveries that found no room
        self._hand: set[str] = set()  # in a queue or with a worker
        self._next: dict[str, Delivery] = {}  # to be taken when the hand is free again
        self._bytes = 0  # of their mails
        self._stop = asyncio.Event()
        self.turned_at: float | None = None  # by the monotonic clock

    def take(self, deliveries: Sequence[Delivery], *, later: bool = True, known: Known | None = None) -> None:
        """Takes deliveries that are leased to us; what a full queue has no room for goes back to the spool.

        `later`: others wait in the spool for a time of their own, so the next claim may have to come earlier.  `known`
        is what some of them have just been planned from.
        """
        if later:
            self._wake.set()
        for delivery in deliveries:
            if self._stop.is_set():
                continue  # the lease ends with this process; the next one begins with what is open
            if delivery.id in self._hand:
                # Its own settlement leased it anew, or its lease ended in the queue: one at a time, the newest state.
                self._next[delivery.id] = delivery
                continue
            way = self._way(way_of(delivery))
            if not way.takes(delivery) or (way.mail and self._bytes > MOST_BYTES):
                self._more = True
                self._spawn(self._give_back(delivery, self._clock.now(), "pacing"))
            else:
                self._hand.add(delivery.id)
                self._bytes += size(delivery)
                way.queue.put_nowait(Item(delivery.priority, next(self._count), delivery, known))

    async def commit(self, made: Plan, known: Known) -> Committed:
        """Commits a plan, with it the first attempts of what nothing holds up, and takes what is due."""
        starts: dict[str, int] = {}
        committed = Committed(done=False)
        try:
            for d in made.writes.deliveries:
                if d.phone is not None and self._free(d) and await self._deliverer.reserved(d, known):
                    starts[d.id] = known.facts.ledger[d.phone]
            committed = await self._spool.plan(made, starts=starts)
        finally:
            for _ in range(len(starts) - len(committed.started)):
                self._deliverer.unreserve()
        for delivery in committed.started:
            self._hand.add(delivery.id)
            self._bytes += size(delivery)
            work = self._guarded(delivery, self._started(delivery, known))
            if self._stop.is_set():
                await work  # nobody waits any more for what is spawned now
            else:
                self._spawn(work)
        self.take(committed.leased, later=False, known=known)
        return committed

    def _free(self, delivery: Delivery) -> bool:
        """Whether nothing is in the way of a carrier's text: others before it, a pace, a fault or a breaker."""
        if not delivery.number.startswith("@") or delivery.fate is not Fate.WAITING or self._stop.is_set():
            return False
        way = self._way(way_of(delivery))
        return way.idle(self._rules()) and not self._ways[MAIL].failures and not self._breakers.closing(way, delivery)

    async def _started(self, delivery: Delivery, known: Known) -> None:
        outcome = await self._deliverer.deliver_started(delivery, known)
        await self._breakers.heard(self._way(way_of(delivery)), delivery, outcome)

    def take_by_hand(self, deliveries: Sequence[Delivery]) -> None:
        """As `take`, what an admin lets try again: one of them finds out whether a carrier that was shut takes us."""
        for way in {way_of(delivery) for delivery in deliveries} & self._ways.keys():
            if self._ways[way].carrier:
                self._ways[way].reopen()
        self.take(deliveries)

    def _way(self, name: str) -> Way:
        if name not in self._ways:
            rules = self._rules()
            rate = pace(name, rules)
            way = Way(name=name, bound=max(IN_FLIGHT, int(rate * PACED_SECONDS)) if rate else MAIL_BACKLOG)
            self._ways[name] = way
            mails = DIRECT_AT_ONCE if way.carrier and rules.direct else MAILS_AT_ONCE
            for _ in range(mails if way.mail else IN_FLIGHT):
                self._spawn(self._worker(way))
            if way.carrier:
                self._way(MAIL)  # whose breaker is for all mails
        return self._ways[name]

    def pause(self, name: str, posted_at: datetime | None = None) -> None:
        """Leaves one of our numbers, or a carrier ("@vtext.com"), alone for a while: its texts are taken, and fail.

        `posted_at` is of the text that failed.
        """
        found = self._rules().number(name)
        if name.startswith("@"):
            self._way(name).shut("its texts come back: the carrier refuses us", "", self._clock.now(), posted_at)
        elif found is not None:
            self._way(name).fails_later(found.provider)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._workers.add(task)
        task.add_done_callback(self._workers.discard)

    async def run(self) -> None:
        """Claims what is due until `stop`, then lets what is in flight end within the grace."""
        while not self._stop.is_set():
            self.turned_at = time.monotonic()
            # Cleared before the claim: what changes, or the stop that comes, during it must not be slept over.
            self._wake.clear()
            try:
                pause = await self._claim()
            except SpoolUnavailable as error:
                emit("spool.failed", error=str(error), during="claiming")
                pause = 1.0
            except Exception as error:
                emit("engine.failed", loop="claim", **fault(error))
                pause = 5.0
            await set_within(self._wake, pause)
        for way in self._ways.values():
            for _ in range(max(IN_FLIGHT, MAILS_AT_ONCE)):
                way.queue.put_nowait(Item(-1, next(self._count), None))
        if self._workers:
            _, late = await asyncio.wait(set(self._workers), timeout=self._grace)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def _claim(self) -> float:
        """Takes due deliveries from the spool; answers how many seconds nothing more will be due."""
        if not self._begun:
            for name in await self._spool.resume(self._clock.now()):
                self._way(name).remembered()
            await self._spool.hasten_mail(self._clock.now())
            self._begun = True
        full = frozenset(w.name for w in self._ways.values() if w.full)
        if self._bytes > MOST_BYTES:
            carriers = (*self._rules().carriers.domains, *(w.name[1:] for w in self._ways.values() if w.carrier))
            full |= {MAIL, *(f"@{domain}" for domain in carriers)}
        # Before the claim: what finds no room while it is taken sets it again.
        self._more = False
        now = self._clock.now()
        found = await self._spool.due(now, CLAIM, full)
        self.take(found, later=False)
        self._more = self._more or bool(full) or len(found) >= CLAIM
        if len(found) >= CLAIM:
            return 0.0
        upcoming = await self._spool.next_due()
        if upcoming is None:
            return 60.0
        # What a full queue keeps in the spool is due already: its worker wakes us.
        return max(1.0 if full else 0.01, min(60.0, (upcoming - now).total_seconds()))

    def stop(self) -> None:
        """Takes no more work."""
        self._stop.set()
        self._wake.set()

    async def stopped_within(self, pause: timedelta) -> bool:
        """Waits for the stop, at most that long; whether it came."""
        return await set_within(self._stop, pause.total_seconds())

    async def _worker(self, way: Way) -> None:
        while True:
            async with way.gate:
                # What arrives while the pace is waited for may go before all that waited longer.
                if way.wait > 0:
                    await self.stopped_within(timedelta(seconds=way.wait))
                item = await way.queue.get()
                delivery = item.delivery
                if delivery is None:
                    return
                if self._stop.is_set():
                    continue
                closed = self._breakers.closing(way, delivery)
                if closed is None:
                    way.reserve(delivery, self._rules())
                if way.failures and way.name != MAIL:
                    # One text finds out whether it works again, not twenty.
                    await self._guarded(delivery, self._deliver(way, delivery, closed, item.known))
                    delivery = None
            if delivery is not None:
                await self._guarded(delivery, self._deliver(way, delivery, closed, item.known))
            if self._more and way.queue.qsize() <= way.bound // 2:
                self._wake.set()

    async def _deliver(self, way: Way, delivery: Delivery, closed: Way | None, known: Known | None) -> None:
        if closed is not None:
            await self._hold(closed, delivery)
            return
        outcome = await self._deliverer.deliver_one(delivery, known)
        if outcome is not None:
            await self._breakers.heard(way, delivery, outcome)

    async def _guarded(self, delivery: Delivery, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except SpoolUnavailable as error:
            # Its lease ends, and the sweeper brings it back: what was sent and not settled is then unclear.
            emit("spool.failed", error=str(error), during="delivering", delivery=delivery.id)
        except Exception as error:
            emit("engine.failed", loop="deliver", delivery=delivery.id, **fault(error))
        finally:
            self._hand.discard(delivery.id)
            self._bytes -= size(delivery)
            again = self._next.pop(delivery.id, None)
            if again is not None:
                self.take([again], later=False)

    async def _hold(self, closed: Way, delivery: Delivery) -> None:
        """Gives back what a breaker holds; a carrier's text whose time by the carrier is over is decided at once."""
        now = self._clock.now()
        if timing.decided(delivery, self._rules(), now) and await self._deliverer.overdue(delivery, closed.why):
            return
        due = timing.sooner(closed.opens_at(now), delivery, self._rules(), now)
        reason = PAUSED if closed.carrier else timing.RELAY if closed.mail else "retry"
        await self._give_back(delivery, due, reason)

    async def _give_back(self, delivery: Delivery, due: datetime, reason: str) -> None:
        try:
            await self._spool.release(delivery.id, due, reason)
            if reason != "pacing":
                self._wake.set()
        except SpoolUnavailable as error:
            emit("spool.failed", error=str(error), during="giving back", delivery=delivery.id)
