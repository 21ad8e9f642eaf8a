"""Around the loops: a real spool, and at the ports a relay, an account and a reader that answer what they are told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from gateway.core import mime
from gateway.core.carrier import build
from gateway.core.model import Consent, Door, Envelope, Fate, InboundMail, Kind, Phone, Reading, Recipient, Unreadable
from gateway.core.rules import Employee, Number, Rules, Sender, TextRules
from gateway.core.work import (
    Accepted,
    Delivery,
    MailParcel,
    Message,
    Outcome,
    Remote,
    Settlement,
    TextParcel,
    Unclear,
    Writes,
)
from gateway.dispatch import Dispatcher
from gateway.enclosures import Enclosures
from gateway.engine import Engine
from gateway.events import REGISTRY
from gateway.ports import Committed, SpoolUnavailable, Started
from gateway.spool.sqlite import SqliteSpool

OURS, BOB = Phone("+12065550199"), Phone("+12065550102")
ADMIN, JOBS = "admin@shop.example.com", "jobs@shop.example.com"
SECONDS = 10.0
VERIZON = {"name": "Verizon", "sms": {"address": "{national}@vtext.com", "status": "active"}}
TABLE, _ = build([("shop", {"verizon": VERIZON})])
MS = timedelta(milliseconds=1)


class Now:
    def now(self) -> datetime:
        return datetime.now(UTC)


def rules(rate: float = 1000.0, **changes: Any) -> Rules:
    """A shop with one number of that many segments a second, whose unclear texts are looked up within milliseconds."""
    made = Rules(
        domain="sms.example.com",
        country="US",
        brand="Example Auto",
        timezone=ZoneInfo("UTC"),
        alarm_to=(ADMIN,),
        senders=(Sender(name="jobs", numbers=("service",)),),
        numbers=(Number(name="service", phone=OURS, provider="twilio", segments_per_second=rate),),
        employees=(Employee(name="bob", phone=BOB, carrier="verizon"),),
        carriers=TABLE,
        providers=frozenset({"twilio"}),
        text=TextRules(first=""),
        lookup_after=(MS, 2 * MS, 3 * MS),
    )
    return replace(made, **changes)


class Bell:
    """Rung by everything here that changes."""

    def __init__(self) -> None:
        self._rung = asyncio.Event()

    def ring(self) -> None:
        self._rung.set()
        self._rung = asyncio.Event()

    async def until(self, true: Callable[[], bool]) -> None:
        """Waits until it is true.  Raises TimeoutError after ten seconds."""
        async with asyncio.timeout(SECONDS):
            while not true():
                await self._rung.wait()


class Relay:
    """A `ports.MailCourier` that gives these answers, then takes everything.  While `open` is not set it is slow."""

    def __init__(self, bell: Bell, answers: Iterable[Outcome] = ()) -> None:
        self._bell = bell
        self._answers = iter(answers)
        self.sent: list[MailParcel] = []
        self.open = asyncio.Event()
        self.open.set()

    async def send(self, parcel: MailParcel) -> Outcome:
        self.sent.append(parcel)
        self._bell.ring()
        await self.open.wait()
        return next(self._answers, Accepted())


class Account:
    """A `ports.Provider` that gives these answers, then takes everything.  Its list of texts is empty.

    While `open` is not set a request stays unanswered.
    """

    name = "twilio"

    def __init__(self, bell: Bell, answers: Iterable[Outcome] = ()) -> None:
        self._bell = bell
        self._answers = iter(answers)
        self.sent: list[tuple[str, int]] = []
        self.looked_up = 0
        self.open = asyncio.Event()
        self.open.set()

    async def send(self, parcel: TextParcel, delivery: str, attempt: int) -> Outcome:
        self.sent.append((delivery, attempt))
        self._bell.ring()
        await self.open.wait()
        return next(self._answers, Accepted(remote_id=f"SM{len(self.sent)}"))

    async def lookup(self, parcel: TextParcel, posted_at: datetime) -> list[Remote] | None:
        self.looked_up += 1
        return []

    async def fetch(self, remote_id: str) -> Remote | None:
        return None

    async def inbound_since(self, number: str, since: datetime) -> list[Remote] | None:
        return []


class Spool:
    """The real spool, which says what was started and settled, and whose `settle` is unavailable `failing` times."""

    def __init__(self, real: SqliteSpool, bell: Bell) -> None:
        self._real = real
        self._bell = bell
        self.failing = 0
        self.started: list[str] = []
        self.settled: list[Settlement] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    async def start(self, delivery: Delivery, *rest: Any) -> Started:
        answer = await self._real.start(delivery, *rest)
        self.started.append(delivery.id)
        self._bell.ring()
        return answer

    async def settle(self, settlement: Settlement, lease: bool = True) -> Committed:
        if self.failing:
            self.failing -= 1
            raise SpoolUnavailable("the disk is busy")
        answer = await self._real.settle(settlement, lease)
        self.settled.append(settlement)
        self._bell.ring()
        return answer

    async def fates(self) -> dict[str, str]:
        """Where each delivery stands, by id."""
        return {row["id"]: row["fate"] for row in await self._real.find("queue", all=True, limit=1000)}


class FaultyReader:
    """A `ports.Reader` that raises these, one after the other, and then reads as the real one does."""

    def __init__(self, *errors: Exception) -> None:
        self._errors = list(errors)

    def read_now(self, raw: bytes) -> Reading | None:
        return None

    async def read(self, raw: bytes) -> Reading | Unreadable:
        if self._errors:
            raise self._errors.pop(0)
        return mime.read(raw)


@dataclass
class Room:
    """A dispatcher and what stands around it."""

    bell: Bell
    spool: Spool
    relay: Relay
    account: Account
    dispatcher: Dispatcher
    rules: Rules
    running: asyncio.Task[None] | None = None
    stop: Callable[[], None] = lambda: None

    def run(self, engine: Engine | None = None) -> None:
        loops = engine or self.dispatcher
        self.stop = loops.stop
        self.running = asyncio.create_task(loops.run())

    async def stopped(self) -> None:
        """Ends what runs, within its deadline."""
        if self.running is None:
            self.run()
        assert self.running is not None
        self.stop()
        await ended(self.running)

    def engine(self, *errors: Exception) -> Engine:
        """Its reader raises these, one after the other, before it reads."""
        reader = FaultyReader(*errors)
        return Engine(
            spool=self.spool,
            reader=reader,
            dispatcher=self.dispatcher,
            enclosures=Enclosures(
                reader=reader, providers={}, deleting=(), stopped_within=self.dispatcher.stopped_within
            ),
            rules=lambda: self.rules,
            clock=Now(),
            keep_days={},
        )

    async def ends_as(self, fate: Fate, *ids: str) -> None:
        """Waits until each of them was settled with that fate."""
        await self.bell.until(lambda: set(ids) <= {s.delivery for s in self.spool.settled if s.fate is fate})


def phone(n: int) -> Phone:
    return Phone(f"+1{202 + n // 100}55501{n % 100:02d}")


def text(n: int = 0, to: Phone | None = None, **changes: Any) -> tuple[Message, Delivery]:
    """Text number n, of one segment, due now to a phone of its own."""
    to, at = to or phone(n), datetime.now(UTC)
    message = Message(
        id=f"m{n}.1", inbound=f"m{n}", kind=Kind.TEXT, sender="jobs", recipient=f"{to}@sms.example.com", phone=to,
        person="", conversation="", subject="", text="Your car is ready", at=at, report_to=JOBS,
    )  # fmt: skip
    delivery = Delivery(
        id=f"m{n}.1.1", message=message.id, kind=Kind.TEXT, courier="twilio", lane=f"twilio|{OURS}|{to}",
        number="service", to=to, phone=to, person="", sender="jobs", segments=1, due_at=at,
        parcel=TextParcel(number=OURS, service="", to=to, body=message.text, validity_seconds=3600),
        expires_at=at + timedelta(hours=4),
    )  # fmt: skip
    return message, replace(delivery, **changes)


def by_carrier(n: int = 0, data: bytes = b"From: x\r\n\r\nhi\r\n") -> tuple[Message, Delivery]:
    """The same, to Bob's carrier."""
    to = "2065550102@vtext.com"
    parcel = MailParcel(mail_from="b-x@sms.example.com", rcpt_to=to, data=data)
    message, delivery = text(n, BOB)
    lane = f"mail|{delivery.id}"
    return message, replace(delivery, courier="mail", lane=lane, number="@vtext.com", to=to, sender="", parcel=parcel)


def mail() -> InboundMail:
    """A mail of jobs to Bob."""
    return InboundMail(
        id="mailmailmai",
        at=datetime.now(UTC),
        door=Door.SUBMISSION,
        peer="192.0.2.7",
        sender="jobs",
        envelope=Envelope(mail_from=JOBS, recipients=(Recipient(address="bob@sms.example.com"),)),
        raw=b"From: jobs@shop.example.com\r\nMessage-ID: <1@shop.example.com>\r\nSubject: x\r\n\r\nCome in\r\n",
    )


def writes(*made: tuple[Message, Delivery]) -> Writes:
    """All of these, and the consent of their people."""
    people = {d.phone for _, d in made if d.phone}
    agreed = [
        Consent(id=p, brand="Example Auto", phone=p, at=datetime.now(UTC), action="grant", method="paper")
        for p in people
    ]
    return Writes(
        messages=tuple(message for message, _ in made),
        deliveries=tuple(delivery for _, delivery in made),
        consents=tuple(agreed),
    )


def counted(event: str, courier: str = "twilio") -> float:
    """How often that event was told in this process."""
    return REGISTRY.get_sample_value("gateway_events_total", {"event": event, "courier": courier}) or 0.0


async def ended(run: asyncio.Task[None]) -> None:
    """Waits for the end of a loop that was told to stop."""
    async with asyncio.timeout(SECONDS):
        await run


UNCLEAR = Unclear(reason="the connection ended after the request")
