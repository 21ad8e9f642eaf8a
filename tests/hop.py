"""A carrier behind a real relay on loopback, around a dispatcher over a real spool."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP, Envelope, Session
from postroom import Account, Bell, Now, Relay, Room, Spool, by_carrier, rules, writes

from gateway.core.carrier import CarrierTable, build
from gateway.core.work import Delivery, MailParcel, Message
from gateway.courier.mail import RelayCourier
from gateway.courier.relay import Timeouts
from gateway.dispatch import Dispatcher
from gateway.spool.sqlite import SqliteSpool

SENDER_REJECTED = "421 4.2.0 sender rejected AUP#SNDR"
VERIZON, TMOBILE = "@vtext.com", "@tmomail.net"
SHORT = Timeouts(connect=5.0, command=5.0, final=5.0)


@dataclass
class Hop:
    """A relay on loopback that says what it is told of a domain, one reply to RCPT after the other, and then yes."""

    bell: Bell
    says: dict[str, list[str]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)  # by domain
    taken: list[str] = field(default_factory=list)  # by mailbox
    silent: set[str] = field(default_factory=set)  # domains to which it says nothing until `open` is set
    open: asyncio.Event = field(default_factory=asyncio.Event)
    port: int = 0
    server: asyncio.Server | None = None

    async def handle_RCPT(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        domain = address[address.index("@") :]
        self.asked.append(domain)
        self.bell.ring()
        if domain in self.silent:
            await self.open.wait()
        if self.says.get(domain):
            return self.says[domain].pop(0)
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 Ok"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        self.taken += envelope.rcpt_tos
        self.bell.ring()
        return "250 2.0.0 Ok"

    async def up(self) -> None:
        loop = asyncio.get_running_loop()
        self.server = await loop.create_server(lambda: SMTP(self, hostname="hop.example"), "127.0.0.1", self.port)
        self.port = self.server.sockets[0].getsockname()[1]

    async def down(self) -> None:
        if self.server is not None:
            self.server.close()
            self.server = None


@dataclass
class House:
    room: Room
    hop: Hop
    begun: Callable[[], Dispatcher]

    async def restarted(self) -> None:
        """Ends the dispatcher and begins another one over the same spool."""
        await self.room.stopped()
        await self.room.spool.recover(Now().now())
        self.room.dispatcher = self.begun()
        self.room.run()

    async def leave(self, *made: tuple[Message, Delivery]) -> None:
        """Writes them and hands over what is due."""
        leased = (await self.room.spool.write(writes(*made))).leased
        self.room.dispatcher.take(leased)

    async def given_back(self, *ids: str) -> None:
        """Waits until each was given back without an attempt."""
        async with asyncio.timeout(10):
            for ident in ids:
                while (await self.told(ident))["reason"] not in ("retry", "relay", "paused"):
                    await asyncio.sleep(0)

    async def told(self, ident: str) -> dict[str, Any]:
        (row,) = await self.room.spool.find("delivery", id=ident)
        return dict(row)


@asynccontextmanager
async def built(folder: Path) -> AsyncIterator[Callable[..., House]]:
    """Makes the one house of a test, with rules as given."""
    bell = Bell()
    real = SqliteSpool(folder / "gateway.db", clock=Now(), floor_bytes=0, lease_seconds=1800)
    await real.open()
    hop = Hop(bell)
    await hop.up()
    courier = RelayCourier(host="127.0.0.1", port=hop.port, tls="off", timeouts=SHORT)
    made: list[House] = []

    def make(**changes: Any) -> House:
        spool, told, account = Spool(real, bell), rules(**{"carriers": table(), **changes}), Account(bell)

        def begun() -> Dispatcher:
            return Dispatcher(spool=spool, mail=courier, providers={"twilio": account}, rules=lambda: told, clock=Now())

        made.append(House(Room(bell, spool, Relay(bell), account, begun(), told), hop, begun))
        return made[0]

    try:
        yield make
    finally:
        hop.open.set()
        for one in made:
            await one.room.stopped()
        await courier.close()
        await hop.down()
        await real.close()


def table(per_minute: int = 0) -> CarrierTable:
    """Verizon at that pace, and T-Mobile as fast as it can."""
    verizon = {"address": "{national}@vtext.com", "status": "active"} | (
        {"per_minute": per_minute} if per_minute else {}
    )
    tmobile = {"address": "{national}@tmomail.net", "status": "active"}
    found, problems = build(
        [("shop", {"verizon": {"name": "Verizon", "sms": verizon}, "tmobile": {"name": "T-Mobile", "sms": tmobile}})]
    )
    assert not problems
    return found


def carried(n: int, domain: str = VERIZON, **changes: Any) -> tuple[Message, Delivery]:
    """Text number n to Bob's mailbox there, with the provider behind."""
    message, delivery = by_carrier(n)
    to = f"2065550102{domain}"
    parcel = MailParcel(mail_from="b-x@sms.example.com", rcpt_to=to, data=b"From: x\r\n\r\nhi\r\n")
    made = replace(delivery, number=domain, to=to, parcel=parcel, person="bob", ways=("service",))
    return replace(message, person="bob"), replace(made, **changes)


def ids(*made: tuple[Message, Delivery]) -> tuple[str, ...]:
    return tuple(delivery.id for _, delivery in made)
