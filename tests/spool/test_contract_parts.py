"""The contract of Spool, part eight: a carrier's text that is several mails is one text."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from spooled import ANN, NOON, carrier_mail, delivery, end, mail, message, move, planned, prints, state_of

from gateway.core.facts import Needs
from gateway.core.model import Fate
from gateway.core.work import Delivery, Plan, Writes
from gateway.ports import Spool

LATER = NOON + timedelta(minutes=5)
IDS = ("m1.1.1", "m1.1.1-2", "m1.1.1-3")


def part(id_: str, fate: str = "waiting", **fields: object) -> Delivery:
    """One mail of a text by its first way."""
    lane = f"mail|{id_.partition('-')[0]}"
    return replace(carrier_mail(id_), number="@vtext.com", lane=lane, fate=Fate(fate), **fields)


async def dues(spool: Spool, *ids: str) -> list[object]:
    return [(await state_of(spool, id_))["due_at"] for id_ in ids or IDS]


async def begun(spool: Spool) -> None:
    """Three mails of one text, the first under way."""
    (first,) = await planned(spool, *(part(id_) for id_ in IDS))
    assert (await spool.start(first, NOON, 0, None)).done


async def test_the_mails_behind_one_that_is_put_off_wait_as_long(spool: Spool) -> None:
    await begun(spool)
    await spool.settle(end("deferred", Fate.WAITING, due_at=LATER, reason="retry"))

    assert len(set(await dues(spool))) == 1
    assert await spool.due(NOON, 10) == []
    assert await spool.next_due() == LATER
    assert [d.id for d in await spool.due(LATER, 10)] == ["m1.1.1"]


async def test_the_mails_behind_one_that_is_given_back_wait_as_long(spool: Spool) -> None:
    await planned(spool, *(part(id_) for id_ in IDS))
    await spool.release("m1.1.1", LATER, "retry")

    assert len(set(await dues(spool))) == 1
    assert await spool.due(NOON, 10) == []
    assert await spool.next_due() == LATER


async def test_only_what_stands_behind_it_waits_for_a_mail(spool: Spool) -> None:
    await begun(spool)
    (second,) = (await spool.settle(end("accepted", Fate.HANDED_OVER))).leased
    await planned(spool, part("m2.1.1"), inbound="m2", lease=False)
    before = await dues(spool, "m1.1.1", "m2.1.1")
    await spool.release(second.id, LATER, "retry")

    assert await dues(spool, "m1.1.1", "m2.1.1") == before
    assert len({before[0], *await dues(spool, "m1.1.1-2", "m1.1.1-3")}) == 2


async def test_texts_by_a_number_of_ours_keep_their_own_time(spool: Spool) -> None:
    await planned(spool, delivery("m1.1.1"), delivery("m1.2.1"))
    before = await dues(spool, "m1.2.1")
    await spool.release("m1.1.1", LATER, "quiet hours")

    assert await dues(spool, "m1.2.1") == before


async def put_off(spool: Spool) -> None:
    await begun(spool)
    await spool.settle(end("deferred", Fate.WAITING, due_at=LATER, reason="retry"))


@pytest.mark.parametrize(
    "moved",
    [
        move(Fate.CANCELLED, "admin"),
        move(Fate.HANDED_OVER, "bounce"),
    ],
    ids=["ended by a person", "taken after all"],
)
async def test_what_stood_behind_a_mail_goes_on_when_it_ends(spool: Spool, moved) -> None:
    await put_off(spool)
    made = await spool.write(Writes(moves=(moved,)))

    assert [d.id for d in made.leased] == ["m1.1.1-2"]


async def test_what_stands_behind_a_mail_that_goes_sooner_follows_it(spool: Spool) -> None:
    await put_off(spool)
    (first,) = (await spool.write(Writes(moves=(move(Fate.WAITING, "answer", due_at=NOON),)))).leased
    assert (await spool.start(first, NOON, 0, None)).done
    settled = await spool.settle(end("accepted", Fate.HANDED_OVER, attempt=2))

    assert (first.id, [d.id for d in settled.leased]) == ("m1.1.1", ["m1.1.1-2"])


async def test_what_stood_behind_a_mail_follows_however_soon_that_went(spool: Spool) -> None:
    await put_off(spool)
    (first,) = await spool.due(LATER, 1)
    await spool.release(first.id, NOON, "retry")  # earlier than what waits behind it
    (first,) = await spool.due(NOON, 1)
    assert (await spool.start(first, NOON, 0, None)).done
    settled = await spool.settle(end("accepted", Fate.HANDED_OVER, attempt=2))

    assert [d.id for d in settled.leased] == ["m1.1.1-2"]


LOST = [
    (["failed", "waiting", "waiting"], True),
    (["handed_over", "failed", "cancelled"], True),
    (["failed", "handed_over", "handed_over"], True),
    (["handed_over", "handed_over", "waiting"], False),
    (["failed", "cancelled", "cancelled", "waiting"], False),
    (["failed", "handed_over", "handed_over", "delivered"], False),
    (["failed", "handed_over", "handed_over", "failed"], True),
    (["handed_over", "handed_over", "handed_over", "failed"], False),
]
NAMES = ["+".join(fates) for fates, _ in LOST]


async def stored(spool: Spool, fates: list[str]) -> None:
    """A first mail whose text went in three parts, and perhaps by the provider, with these fates."""
    first = mail("m1")
    await spool.accept(first, prints(first))
    made = [part(id_, fate) for id_, fate in zip(IDS, fates, strict=False)]
    made += [delivery("m1.1.2", fate=Fate(fate)) for fate in fates[len(IDS) :]]
    await spool.plan(Plan(inbound="m1", writes=Writes(messages=(message(),), deliveries=tuple(made))), lease=False)


@pytest.mark.parametrize(("fates", "lost"), LOST, ids=NAMES)
async def test_a_first_that_lost_a_part_does_not_count_unless_another_way_lives(
    spool: Spool, fates: list[str], lost: bool
) -> None:
    await stored(spool, fates)
    second = mail("m2")

    assert (await spool.accept(second, prints(second))).new is lost


@pytest.mark.parametrize(("fates", "lost"), LOST, ids=NAMES)
async def test_what_was_said_in_parts_has_failed_with_one_of_them(spool: Spool, fates: list[str], lost: bool) -> None:
    await stored(spool, fates)
    (one,) = (await spool.gather(Needs(said=frozenset({ANN})))).said[ANN]

    assert (one.fate in (Fate.FAILED, Fate.CANCELLED)) is lost


async def test_the_queue_shows_the_sender_of_what_costs_nothing_too(spool: Spool) -> None:
    await planned(spool, part("m1.1.1", sender=""), lease=False)
    rows = await spool.find("queue") + await spool.find("queue", all=True)

    assert [r["sender"] for r in rows] == ["jobs", "jobs"]
