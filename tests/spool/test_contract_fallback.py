"""The contract of Spool, part nine: what a carrier's text keeps for its fallback, and a fallback that gives it time."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from spooled import NOON, carrier_mail, delivery, end, move, planned, sent

from gateway.core.facts import Needs
from gateway.core.model import Fate
from gateway.core.work import Delivery, MailParcel, Writes
from gateway.ports import Spool

MINUTE = timedelta(minutes=1)
HOURS = timedelta(hours=4)


async def read(spool: Spool, id_: str = "m1.1.1") -> Delivery:
    return (await spool.gather(Needs(deliveries=frozenset({id_})))).deliveries[id_]


async def test_the_time_of_a_text_counts_from_when_it_was_let_go_however_often_it_is_put_off(spool: Spool) -> None:
    (leased,) = await planned(spool, carrier_mail())
    await spool.start(leased, NOON, 0, None)
    await spool.settle(end("deferred", Fate.WAITING, due_at=NOON + 3 * MINUTE, reason="retry"))
    found = await read(spool)

    assert (NOON + 3 * MINUTE, NOON, HOURS) == (found.due_at, found.begun_at, found.lifetime)
    assert leased.begun_at == NOON


async def test_it_counts_anew_from_when_a_person_lets_it_go_again(spool: Spool) -> None:
    past = NOON - 10 * HOURS
    await planned(spool, replace(carrier_mail(), due_at=past, expires_at=past + HOURS, fate=Fate.EXPIRED))
    await spool.write(Writes(moves=(move(Fate.WAITING, "admin"),)))
    found = await read(spool)

    assert (HOURS, found.expires_at - HOURS) == (found.lifetime, found.begun_at)
    assert found.begun_at > past


async def test_a_copy_of_a_stored_text_keeps_its_time(spool: Spool) -> None:
    await planned(spool, carrier_mail())
    copy = replace(await read(spool), id="m1.1.2", due_at=NOON + MINUTE)
    await spool.write(Writes(deliveries=(copy,)))

    assert HOURS == (await read(spool, "m1.1.2")).lifetime


async def test_the_pictures_of_a_mail_come_back(spool: Spool) -> None:
    parcel = carrier_mail().parcel
    assert isinstance(parcel, MailParcel)
    pictured = replace(parcel, pictures=("https://sms.example.com/media/t/car.jpg", "car.jpg"))
    await planned(spool, replace(carrier_mail(), parcel=pictured), carrier_mail("m1.1.2"))

    assert pictured == (await read(spool)).parcel
    assert parcel == (await read(spool, "m1.1.2")).parcel


async def test_a_fallback_that_gives_the_carrier_time_waits_and_goes_at_once_when_the_carrier_says_no(
    spool: Spool,
) -> None:
    await sent(spool, replace(carrier_mail(), number="@vtext.com"))
    later = delivery("m1.1.2", due_at=NOON + 15 * MINUTE, note="the carrier has time")
    assert () == (await spool.write(Writes(deliveries=(later,)))).leased
    hasten = move(Fate.WAITING, "bounce", "m1.1.2", due_at=NOON, note="bounced")
    written = await spool.write(Writes(moves=(move(Fate.FAILED, "bounce"), hasten)))

    assert ["m1.1.2"] == [d.id for d in written.leased]
    assert ("m1.1.1",) == written.moved
