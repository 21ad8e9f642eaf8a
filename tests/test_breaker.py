"""Mails over a real spool and a real relay: a carrier that refuses us, a relay that is down, and the pace."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP, Envelope, Session
from postroom import ADMIN, BOB, Account, Bell, Now, Relay, Room, Spool, by_carrier, counted, rules, text, writes

from gateway import way
from gateway.core.carrier import CarrierTable, build
from gateway.core.model import Fate
from gateway.core.rules import Rules, Sender
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
    port: int = 0
    server: asyncio.Server | None = None

    async def handle_RCPT(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        domain = address[address.index("@") :]
        self.asked.append(domain)
        self.bell.ring()
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

    async def leave(self, *made: tuple[Message, Delivery]) -> None:
        """Writes them and hands over what is due."""
        leased = (await self.room.spool.write(writes(*made))).leased
        self.room.dispatcher.take(leased)

    async def given_back(self, *ids: str) -> None:
        """Waits until each was given back without an attempt."""
        async with asyncio.timeout(10):
            for ident in ids:
                while (await self.told(ident))["reason"] != "retry":
                    await asyncio.sleep(0)

    async def told(self, ident: str) -> dict[str, Any]:
        (row,) = await self.room.spool.find("delivery", id=ident)
        return dict(row)


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[Callable[..., House]]:
    """Makes the one house of a test, with rules as given."""
    bell = Bell()
    real = SqliteSpool(tmp_path / "gateway.db", clock=Now(), floor_bytes=0, lease_seconds=1800)
    await real.open()
    hop = Hop(bell)
    await hop.up()
    courier = RelayCourier(host="127.0.0.1", port=hop.port, tls="off", timeouts=SHORT)
    made: list[Room] = []

    def make(**changes: Any) -> House:
        spool, told, account = Spool(real, bell), rules(**{"carriers": table(), **changes}), Account(bell)
        dispatcher = Dispatcher(
            spool=spool, mail=courier, providers={"twilio": account}, rules=lambda: told, clock=Now()
        )
        made.append(Room(bell, spool, Relay(bell), account, dispatcher, told))
        return House(made[0], hop)

    yield make
    for one in made:
        await one.stopped()
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


async def test_a_carrier_that_refuses_us_is_left_alone_and_no_other(house: Callable[..., House]) -> None:
    h = house()
    h.hop.says[VERIZON] = [SENDER_REJECTED]
    down = counted("courier.down", "mail")
    await h.leave(carried(0))
    await h.room.ends_as(Fate.WAITING, "m0.1.1")
    await h.room.bell.until(lambda: ADMIN in h.hop.taken)
    others = [carried(1, TMOBILE), carried(2, TMOBILE)]
    await h.leave(carried(3), *others)
    await h.room.ends_as(Fate.HANDED_OVER, *ids(*others))
    await h.given_back("m3.1.1")

    assert Counter({VERIZON: 1, TMOBILE: 2, ADMIN[ADMIN.index("@") :]: 1}) == Counter(h.hop.asked)
    assert counted("courier.down", "mail") == down + 1
    (told,) = [row for row in await h.room.spool.find("queue", all=True, limit=9) if row["to"] == ADMIN]
    assert told["id"].startswith("alarm.policy.vtext.com.")


async def test_after_the_pause_one_text_finds_out_whether_a_carrier_takes_us_again(
    house: Callable[..., House], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(way, "SHUT_SECONDS", 0.2)
    h = house(alarm_to=())
    h.hop.says[VERIZON] = [SENDER_REJECTED, "544 5.7.1 rejecting banned content"]
    up = counted("courier.up", "mail")
    h.room.run()
    await h.leave(carried(0))
    await h.room.ends_as(Fate.WAITING, "m0.1.1")
    waiting = [carried(n) for n in range(1, 9)]
    await h.leave(*waiting)
    await h.room.ends_as(Fate.FAILED, "m1.1.1")
    assert [VERIZON] * 2 == h.hop.asked
    await h.room.ends_as(Fate.HANDED_OVER, *ids(*waiting[1:]))

    assert Counter(h.hop.asked) == {VERIZON: 9}
    assert counted("courier.up", "mail") == up + 1
    assert h.room.account.sent == [("m1.1.2", 1)], "what was refused goes by the provider"


async def test_a_carrier_whose_texts_come_back_is_left_alone(house: Callable[..., House]) -> None:
    h = house()
    down = counted("courier.down", "mail")
    for _ in range(3):
        h.room.dispatcher.pause(VERIZON)
    await h.leave(carried(0), carried(1, TMOBILE))
    await h.room.ends_as(Fate.HANDED_OVER, "m1.1.1")
    await h.given_back("m0.1.1")

    assert [TMOBILE] == h.hop.asked
    assert counted("courier.down", "mail") == down + 1


async def test_a_relay_that_is_down_pauses_all_mails_and_the_first_that_goes_ends_it(
    house: Callable[..., House],
) -> None:
    h = house(alarm_to=())
    before = counted("courier.down", "mail"), counted("courier.up", "mail")
    await h.hop.down()
    await h.leave(carried(0))
    await h.room.ends_as(Fate.WAITING, "m0.1.1")
    mail = replace(carried(3)[1], number="", phone=None, person="", ways=())
    others = [carried(1), carried(2, TMOBILE), (carried(3)[0], mail)]
    await h.leave(*others)
    await h.given_back(*ids(*others))
    assert ["m0.1.1"] == h.room.spool.started
    await h.hop.up()
    h.room.run()
    await h.room.ends_as(Fate.HANDED_OVER, *ids(*others))

    assert {"m1.1.1": 1, "m2.1.1": 1, "m3.1.1": 1}.items() <= Counter(h.room.spool.started).items()
    assert (before[0] + 1, before[1] + 1) == (counted("courier.down", "mail"), counted("courier.up", "mail"))


@pytest.mark.parametrize("fault", ["carrier", "relay"])
async def test_what_a_breaker_holds_for_too_long_goes_by_the_provider_without_an_attempt(
    house: Callable[..., House], fault: str
) -> None:
    h = house(alarm_to=())
    if fault == "carrier":
        h.hop.says[VERIZON] = [SENDER_REJECTED]
    else:
        await h.hop.down()
    h.room.run()
    await h.leave(carried(0))
    await h.room.ends_as(Fate.WAITING, "m0.1.1")
    policy = h.room.rules.policy
    soon = datetime.now(UTC) + timedelta(seconds=0.5)
    await h.leave(carried(1, expires_at=soon + policy.expires_after - policy.fallback_after))
    await h.room.ends_as(Fate.FAILED, "m1.1.1")
    await h.room.ends_as(Fate.HANDED_OVER, "m1.1.2")

    assert "m1.1.1" not in h.room.spool.started
    assert [("m1.1.2", 1)] == h.room.account.sent
    (attempt,) = (await h.told("m1.1.1"))["attempts"]
    assert ("overdue", True) == (attempt["outcome"], attempt["note"].endswith("; falls back to twilio"))


async def test_what_a_breaker_holds_until_it_is_worth_nothing_expires(house: Callable[..., House]) -> None:
    h = house()
    h.room.run()
    h.room.dispatcher.pause(VERIZON)
    await h.leave(carried(0, ways=(), expires_at=datetime.now(UTC) + timedelta(seconds=0.3)))
    await h.room.ends_as(Fate.EXPIRED, "m0.1.1")

    assert VERIZON not in h.hop.asked


async def test_a_carrier_is_sent_no_more_than_its_pace(house: Callable[..., House]) -> None:
    h = house(carriers=table(per_minute=1))
    slow, fast = [carried(n) for n in range(5)], [carried(n, TMOBILE) for n in range(10, 15)]
    await h.room.spool.write(writes(*slow, *fast), False)
    h.room.run()
    await h.room.ends_as(Fate.HANDED_OVER, "m0.1.1", *ids(*fast))
    await h.room.stopped()

    assert Counter(h.hop.asked) == {VERIZON: 1, TMOBILE: 5}


@pytest.mark.parametrize(
    ("name", "told", "expected"),
    [
        pytest.param(VERIZON, rules(carriers=table()), 0.0, id="no pace is named"),
        pytest.param(VERIZON, rules(carriers=table(30)), 0.5, id="the row's"),
        pytest.param(VERIZON, rules(carriers=table(), direct=True), 1.0, id="to the carrier's own hosts"),
        pytest.param(VERIZON, rules(carriers=table(120), direct=True), 2.0, id="the row's in any case"),
        pytest.param("@gone.example", rules(), 0.0, id="a domain of no row"),
        pytest.param("mail", rules(direct=True), 0.0, id="other mail"),
        pytest.param("service", rules(3.0), 3.0, id="a number"),
    ],
)
def test_the_pace_of_a_way(name: str, told: Rules, expected: float) -> None:
    assert expected == way.pace(name, told)


def test_brands_that_share_a_domain_go_at_the_pace_of_the_slowest() -> None:
    rows = {
        n: {"name": n, "sms": {"address": "{national}@vtext.com", "per_minute": 60 * p}}
        for n, p in (("a", 2), ("b", 1))
    }
    shared, _ = build([("shop", {**rows, "c": {"name": "c", "sms": {"address": "{national}@vtext.com"}}})])

    assert 1.0 == way.pace(VERIZON, rules(carriers=shared))


async def test_an_address_that_is_gone_is_noted_and_told_once_whatever_many_texts_come_back(
    house: Callable[..., House],
) -> None:
    h = house()
    h.hop.says[VERIZON] = ["550 5.1.1 no such user"] * 3
    for n in range(3):
        await h.leave(carried(n))
        await h.room.ends_as(Fate.HANDED_OVER, f"m{n}.1.2")
    await h.room.bell.until(lambda: ADMIN in h.hop.taken)

    assert [ADMIN] == h.hop.taken
    (word,) = await h.room.spool.find("confirmations")
    assert ("bob", False, "bounce") == (word["employee"], word["works"], word["how"])


async def test_of_a_text_that_goes_another_way_no_part_is_sent_any_more(house: Callable[..., House]) -> None:
    h = house()
    message, first = carried(0, fate=Fate.FAILED)
    part = replace(carried(0)[1], id="m0.1.1-2", lane=first.lane)
    whole = replace(text(0, BOB)[1], id="m0.1.2", person="bob")
    await h.leave((message, first), (message, part), (message, whole))
    await h.room.ends_as(Fate.CANCELLED, "m0.1.1-2")
    await h.room.ends_as(Fate.HANDED_OVER, "m0.1.2")

    assert ([], [("m0.1.2", 1)]) == (h.hop.asked, h.room.account.sent)
    assert "the whole text goes by twilio" == (await h.told("m0.1.1-2"))["note"]


async def test_a_fallback_is_paid_of_the_senders_budget(house: Callable[..., House]) -> None:
    """P8: what a carrier refuses must not spend without a bound."""
    h = house(senders=(Sender(name="jobs", numbers=("service",), segments_per_day=1),), alarm_to=())
    h.hop.says[VERIZON] = ["552 5.3.4 too large"] * 2
    await h.leave(carried(0))
    await h.room.ends_as(Fate.HANDED_OVER, "m0.1.2")
    await h.leave(carried(1))
    await h.room.ends_as(Fate.HELD, "m1.1.2")

    assert [("m0.1.2", 1)] == h.room.account.sent
    assert "the budget of sender jobs is used up" == (await h.told("m1.1.2"))["note"]
