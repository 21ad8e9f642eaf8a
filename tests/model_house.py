"""The real doors, planner, deliverer and spool, driven one step at a time on one loop; only the world is made up.

The hand holds what the dispatcher would hold: deliveries that are leased to us, in memory, gone with a crash.
"""

from __future__ import annotations

import asyncio
import functools
import itertools
import shutil
import tempfile
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

from clock import FakeClock
from model_world import WORK, Work, World
from postroom import FaultyReader

from gateway.alarms import Alarms
from gateway.commands.answer import CommandFailed
from gateway.commands.queue import Queue
from gateway.config import Config, load
from gateway.core.model import Consent, Door, Envelope, Fate, Inbound, InboundHook, Phone, Recipient, Refusal
from gateway.core.work import Delivery, Plan, Writes
from gateway.deliver import Deliverer
from gateway.doorman import Doorman
from gateway.doors import Visit
from gateway.enclosures import Enclosures
from gateway.engine import Engine
from gateway.house import LEASE_SECONDS
from gateway.known import Known
from gateway.ports import Committed
from gateway.spool.sqlite import SqliteSpool

T = TypeVar("T")

ANN = Phone("+12025550143")  # a customer who agreed
BEN = Phone("+12025550144")  # another one
EVE = Phone("+12025550145")  # never agreed
BOB = Phone("+12025550112")  # an employee, by carrier, else by the provider
SERVICE = Phone("+12025550100")
BY_CARRIER = "2025550112@vtext.com"
JOBS = "jobs@shop.example.com"
DOMAIN = "sms.example.com"
HERE = Visit(door=Door.SUBMISSION, peer="192.0.2.7")
SEGMENTS_PER_DAY = 25
CONFIG = f"""
domain = "{DOMAIN}"
brand = "Example Auto"
timezone = "America/New_York"
alarm_to = ["admin@shop.example.com"]
carriers = "shop.toml"
[smtp]
listen = ["127.0.0.1:0"]
[relay]
host = "127.0.0.1"
tls = "off"
[twilio]
account_sid = "AC00000000000000000000000000000000"
auth_token = {{ file = "token" }}
on_unknown = "%s"
[[sender]]
name = "jobs"
networks = ["192.0.2.0/24"]
number = "service"
segments_per_day = {SEGMENTS_PER_DAY}
[[number]]
name = "service"
phone = "{SERVICE}"
provider = "twilio"
inbox = "desk@shop.example.com"
[[employee]]
name = "bob"
phone = "{BOB}"
carrier = "shop"
"""
CARRIERS = """
[shop]
name = "The carrier of the shop"
country = "US"
[shop.sms]
address = "{national}@vtext.com"
status = "active"
"""


@functools.cache
def config(on_unknown: str) -> Config:
    """The shop of these tests."""
    with tempfile.TemporaryDirectory(prefix="gw-") as folder:
        path = Path(folder) / "config.toml"
        path.write_text(CONFIG % on_unknown)
        path.with_name("shop.toml").write_text(CARRIERS)
        return load(path, secrets=False)


class Between:
    """The real spool; what `first` holds happens before the next commit of an intent or a plan."""

    def __init__(self, real: SqliteSpool) -> None:
        self.real = real
        self.first: Callable[[], Awaitable[object]] | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)

    async def start(self, *given: Any) -> Any:
        await self._before()
        return await self.real.start(*given)

    async def plan(self, *given: Any, **named: Any) -> Any:
        await self._before()
        return await self.real.plan(*given, **named)

    async def _before(self) -> None:
        first, self.first = self.first, None
        if first is not None:
            await first()


class Hand:
    """What the dispatcher holds."""

    def __init__(self, house: House) -> None:
        self._house = house
        self.alarms: Alarms | None = None
        self.leased: list[Delivery] = []
        self.known: dict[str, Known] = {}  # what they were planned from, however long ago

    async def commit(self, made: Plan, known: Known) -> Committed:
        """As Dispatcher.commit: what nothing holds up is on the wire when it returns."""
        deliverer, starts = self._house.deliverer, {}
        for d in made.writes.deliveries:
            if d.fate is Fate.WAITING and d.phone is not None and await deliverer.reserved(d, known):
                starts[d.id] = known.facts.ledger[d.phone]
        committed: Committed = await self._house.spool.plan(made, starts=starts)
        self.take(committed.leased, known=known)
        for delivery in committed.started:
            await self._house.begin(delivery, known)
        return committed

    def take(self, deliveries: Sequence[Delivery], *, later: bool = True, known: Known | None = None) -> None:
        self.leased += deliveries
        if known is not None:
            self.known |= {delivery.id: known for delivery in deliveries}

    def pause(self, number: str, posted_at: object) -> None:
        """A pause is the dispatcher's own: here every delivery sets out when it is told to."""

    async def stopped_within(self, pause: timedelta) -> bool:
        return False


class House:
    def __init__(self, on_unknown: str) -> None:
        self.config = config(on_unknown)
        self.clock = FakeClock()
        self.world = World(self.clock, hold=on_unknown == "hold", people={BY_CARRIER: BOB})
        self._loop = asyncio.new_event_loop()
        self._folder = tempfile.TemporaryDirectory(prefix="gw-", dir="/dev/shm" if Path("/dev/shm").is_dir() else None)
        self._count = itertools.count()  # of inbounds: their ids spread the pauses, so a failure can be found again
        self._lives = itertools.count()
        self.run(self._open(self._place()))
        agreed = [
            Consent(id=p, brand="Example Auto", phone=p, at=self.clock.now(), action="grant", method="paper")
            for p in (ANN, BEN)
        ]
        self.run(self.spool.write(Writes(consents=tuple(agreed))))

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self._loop.run_until_complete(work)

    def _place(self) -> Path:
        return Path(self._folder.name) / f"gateway{next(self._lives)}.db"

    async def _open(self, path: Path) -> None:
        self._path = path
        self.spool = Between(
            SqliteSpool(
                path, clock=self.clock, floor_bytes=0, lease_seconds=LEASE_SECONDS, timezone=self.rules.timezone
            )
        )
        await self.spool.real.open()
        self.hand = Hand(self)
        self.arrived: list[Inbound] = []
        providers = {"twilio": self.world}
        reader = FaultyReader()
        self.engine = Engine(
            spool=self.spool, reader=reader, dispatcher=self.hand, rules=lambda: self.rules, clock=self.clock,
            enclosures=Enclosures(
                reader=reader, providers=providers, deleting=(), stopped_within=self.hand.stopped_within
            ),
            keep_days={},
        )  # fmt: skip
        alarms = Alarms(spool=self.spool, rules=lambda: self.rules, clock=self.clock, taken=self.hand.take)
        self.deliverer = Deliverer(
            spool=self.spool, mail=self.world.relay, providers=providers, rules=lambda: self.rules,
            clock=self.clock, taken=self.hand.take, alarms=alarms, stopped_within=self.hand.stopped_within,
            carriers_at_once=1_000,  # here all of them may be on the wire at once
        )  # fmt: skip
        self.hand.alarms = alarms
        self._doorman = Doorman(
            config=lambda: self.config, spool=self.spool, clock=self.clock, arrived=self.arrived.append,
            has_room=lambda: True,
        )  # fmt: skip
        self._doorman._ids._count = self._count
        self._queue = Queue(config=lambda: self.config, spool=self.spool, take=self.hand.take, refill=lambda: None)

    @property
    def rules(self) -> Any:
        return self.config.rules

    # -- the doors

    def rcpt(self, address: str) -> Refusal | None:
        return self.run(self._doorman.rcpt(HERE, JOBS, address))

    def mail(self, recipients: Sequence[str], raw: bytes) -> str:
        """The id that stands for it, as the answer to DATA says."""
        envelope = Envelope(mail_from=JOBS, recipients=tuple(Recipient(address=r) for r in recipients))
        answer = self.run(self._doorman.data(HERE, envelope, raw))
        assert isinstance(answer, str)
        return answer

    async def hook(self, hook: InboundHook) -> bool:
        """Whether it was new; it is committed when this answers."""
        return await self._doorman.hook(replace(hook, at=self.clock.now()))

    # -- the loops

    def plan(self, inbound: Inbound) -> None:
        self.run(self.engine.plan_one(inbound))

    def refill(self) -> None:
        """Takes up what the spool holds for the planner and nobody has in hand."""
        self.arrived += self.run(self.spool.unplanned(100))

    def claim(self, limit: int = 200) -> None:
        self.hand.take(self.run(self.spool.due(self.clock.now(), limit)))

    def ready(self) -> list[Delivery]:
        """What a worker may take up: one at a time of each delivery."""
        busy = {work.delivery.id for work in self.world.on_the_wire}
        return [d for d in self.hand.leased if d.id not in busy]

    async def begin(self, delivery: Delivery, started_from: Known | None = None) -> Work:
        """Delivers until the request is on the wire, or until nothing is left to do."""
        if started_from is None:
            self.hand.leased.remove(delivery)
        work = Work(delivery, self.clock.now())
        work.task = asyncio.create_task(self._deliver(work, started_from))
        entered = asyncio.create_task(work.entered.wait())
        await asyncio.wait({work.task, entered}, return_when=asyncio.FIRST_COMPLETED)
        entered.cancel()
        if work.task.done():
            work.task.result()
        return work

    async def _deliver(self, work: Work, started_from: Known | None) -> None:
        WORK.set(work)
        if started_from is not None:
            await self.deliverer.deliver_started(work.delivery, started_from)
            return
        await self.deliverer.deliver_one(work.delivery, self.hand.known.pop(work.delivery.id, None))

    async def answer(self, work: Work, answer: str, end: str = "delivered") -> None:
        """The world answers what is on the wire; returns when that is settled."""
        assert work.answer is not None
        work.answer.set_result(self.world.end(work, answer, end))
        assert work.task is not None
        await work.task

    async def deliver(self, delivery: Delivery, answer: str = "accepted") -> None:
        """One attempt or look-up from hand to settlement."""
        work = await self.begin(delivery)
        if work in self.world.on_the_wire:
            await self.answer(work, answer)

    async def lose(self, work: Work, *, taken: bool, end: str = "delivered") -> None:
        """The worker is gone between the intent and its settlement."""
        self.world.cut(work, end, taken=taken)
        assert work.task is not None
        work.task.cancel()
        await asyncio.wait({work.task})

    def sweep(self) -> None:
        now = self.clock.now()
        self.run(self.engine.recover(now, until=now))

    def crash(self, taken: bool) -> None:
        """Dies as by kill -9, and comes back with nothing but what the file says at that moment."""
        for work in list(self.world.on_the_wire):
            self.run(self.lose(work, taken=taken))
        dead, left = self.spool.real, self._path
        found = self._place()
        for ending in ("", "-wal"):
            if left.with_name(left.name + ending).exists():
                shutil.copy(left.with_name(left.name + ending), found.with_name(found.name + ending))
        self.run(dead.close())
        self.run(self._open(found))
        self.run(self.engine.recover(self.clock.now()))
        self.refill()

    def close(self) -> None:
        for work in list(self.world.on_the_wire):
            self.run(self.lose(work, taken=False))
        self.run(self.spool.real.close())
        self._loop.close()
        self._folder.cleanup()

    # -- what people see

    def command(self, word: str, ident: str) -> bool:
        """Whether `gateway queue WORD ID` did it."""
        try:
            self.run(getattr(self._queue, word)([ident]))
        except CommandFailed:
            return False
        return True

    def queue(self, *, everything: bool = False) -> list[dict[str, Any]]:
        return self.run(self.spool.find("queue", all=everything, limit=100_000))

    def story(self, ident: str) -> list[dict[str, Any]]:
        return self.run(self.spool.find("story", id=ident))

    def raw(self, ident: str) -> list[dict[str, Any]]:
        return self.run(self.spool.find("raw", id=ident))
