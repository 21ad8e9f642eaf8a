"""What is delivered when: a queue in memory for each way out, its pace, and its breaker.

The relay, each carrier's domain and each of our numbers have a queue of their own, so that a slow one holds up nobody
else.  A number is paced by segments, a domain by mails; a way that is at fault is paused and keeps its queue in the
spool.  A relay at fault pauses the carriers with it.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from gateway.alarms import Alarms
from gateway.core import timing
from gateway.core.rules import Rules
from gateway.core.work import Deferred, Delivery, Outcome, Refused
from gateway.deliver import Deliverer
from gateway.events import emit, fault
from gateway.known import Known
from gateway.ports import Clock, MailCourier, Provider, Spool, SpoolUnavailable
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
        self._alarms = Alarms(spool=spool, rules=rules, clock=clock, taken=self.take)
        self._deliverer = Deliverer(
            spool=spool,
            mail=mail,
            providers=providers,
            rules=rules,
            clock=clock,
            taken=self.take,
            alarms=self._alarms,
            stopped_within=self.stopped_within,
        )
        self._rules = rules
        self._clock = clock
        self._grace = grace_seconds
        self._ways: dict[str, Way] = {}
        self._count = itertools.count()
        self._workers: set[asyncio.Task[None]] = set()
        self._wake = asyncio.Event()
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
        is what those were planned from that have just been.
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

    @property
    def tell_doubled(self) -> Callable[[Sequence[tuple[str, str, str]]], Awaitable[None]]:
        """See alarms.Alarms.tell_doubled."""
        return self._alarms.tell_doubled

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
            await _set_within(self._wake, pause)
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
        return await _set_within(self._stop, pause.total_seconds())

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
                closed = self._closing(way, delivery)
                if closed is None:
                    way.reserve(delivery, self._rules())
                if way.failures and way.name != MAIL:
                    # One text finds out whether it works again, not twenty.
                    await self._deliver_guarded(way, delivery, closed, item.known)
                    delivery = None
            if delivery is not None:
                await self._deliver_guarded(way, delivery, closed, item.known)
            if self._more and way.queue.qsize() <= way.bound // 2:
                self._wake.set()

    def _closing(self, way: Way, delivery: Delivery) -> Way | None:
        """The way whose breaker holds the delivery: its own, or for a carrier's text the relay's; None = none."""
        way.proven()
        both = (way, self._ways[MAIL]) if way.mail else (way,)
        longest = max(both, key=lambda one: one.closed_for(delivery))
        return longest if longest.closed_for(delivery) else None

    async def _deliver_guarded(self, way: Way, delivery: Delivery, closed: Way | None, known: Known | None) -> None:
        try:
            if closed is not None:
                await self._hold(closed, delivery)
            else:
                outcome = await self._deliverer.deliver_one(delivery, known)
                if outcome is not None:
                    await self._breaker(way, delivery, outcome)
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
        await self._give_back(delivery, due, PAUSED if closed.carrier else "retry")

    async def _give_back(self, delivery: Delivery, due: datetime, reason: str) -> None:
        try:
            await self._spool.release(delivery.id, due, reason)
            if reason != "pacing":
                self._wake.set()
        except SpoolUnavailable as error:
            emit("spool.failed", error=str(error), during="giving back", delivery=delivery.id)

    async def _breaker(self, way: Way, delivery: Delivery, outcome: Outcome) -> None:
        """A way that is itself at fault is left alone for a while; its queue stays in the spool."""
        at = self._ways[MAIL] if way.mail else way  # a relay at fault is so for all mails
        if isinstance(outcome, Deferred) and outcome.sender_wide:
            if at.failed(delivery, outcome) and at.alarming(delivery, outcome):
                await self._alarms.down(delivery, outcome)
            return
        if not isinstance(outcome, Deferred):
            at.mended(delivery.courier)
        if not way.carrier:
            return
        now = self._clock.now()
        changed = way.heard(delivery, outcome, now, direct=self._rules().direct)
        if changed == "shut" and isinstance(outcome, Deferred | Refused):
            await self._alarms.shut_out(delivery, outcome)
        elif changed == "opens":
            await self._spool.resume(way.opens_at(now), way.name)
            self._wake.set()


async def _set_within(event: asyncio.Event, seconds: float) -> bool:
    """Waits for the event, at most that long; whether it came."""
    if seconds <= 0:
        await asyncio.sleep(0)
        return event.is_set()
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return False
    return True
