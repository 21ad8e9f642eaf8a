"""The contract of Spool, part seven: what was texted lately, who knows which number, and ids that come twice."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from spooled import (
    ANN,
    BEN,
    NOON,
    OURS,
    SECOND,
    carrier_mail,
    conversation,
    delivery,
    end,
    message,
    move,
    planned,
    sent,
    started,
    state_of,
)

from gateway.core.facts import Needs
from gateway.core.model import Fate, Kind, Said
from gateway.core.work import Writes
from gateway.ports import Spool

DAY = timedelta(days=1)
PAIR = (OURS, ANN)


async def knows(spool: Spool) -> bool:
    """Whether ANN's phone knows our number; BEN's never does."""
    facts = await spool.gather(Needs(pairs=frozenset({PAIR, (OURS, BEN)})))
    assert facts.introduced <= {PAIR}
    return bool(facts.introduced)


@pytest.mark.parametrize(
    ("outcome", "fate", "known"),
    [
        ("accepted", Fate.HANDED_OVER, True),
        ("found", Fate.HANDED_OVER, True),
        ("found", Fate.FAILED, False),
        ("refused", Fate.FAILED, False),
        ("unclear", Fate.FAILED, False),
    ],
)
async def test_a_phone_knows_a_number_from_its_first_accepted_text_on(
    spool: Spool, outcome: str, fate: Fate, known: bool
) -> None:
    await started(spool)
    if outcome == "found":
        await spool.settle(end("unclear", Fate.UNKNOWN, due_at=NOON))
    await spool.settle(end(outcome, fate))

    assert await knows(spool) is known


@pytest.mark.parametrize("fate", [Fate.HANDED_OVER, Fate.DELIVERED])
async def test_a_receipt_of_success_makes_the_number_known(spool: Spool, fate: Fate) -> None:
    await started(spool)
    await spool.write(Writes(moves=(move(fate),)))
    await spool.settle(end("refused", Fate.FAILED))

    assert await knows(spool)


async def test_what_is_known_outlasts_the_text(spool: Spool, clock) -> None:
    await sent(spool, delivery())
    await spool.purge(clock.advance(500 * DAY), {"raw": 1, "done": 1}, 100)

    assert await spool.find("queue", all=True) == []
    assert await knows(spool)


@pytest.mark.parametrize(
    ("made", "known"),
    [
        (delivery(due_at=NOON + DAY), True),
        (delivery(kind=Kind.ANSWER, due_at=NOON + DAY), True),
        (delivery(courier="flowroute", lane=f"flowroute|{OURS}|{ANN}"), True),
        (delivery(fate=Fate.UNKNOWN), True),
        (delivery(fate=Fate.HELD), True),
        (delivery(fate=Fate.CANCELLED), False),
        (delivery(kind=Kind.CONFIRMATION), False),
        (delivery(lane=f"twilio|+12025550101|{ANN}"), False),
        (carrier_mail(), False),
    ],
    ids=["waits", "an answer", "flowroute", "looked up", "held", "cancelled", "confirmation", "other number", "mail"],
)
async def test_a_text_on_its_way_counts_as_the_first(spool: Spool, made, known: bool) -> None:
    await planned(spool, made, lease=False)

    assert await knows(spool) is known


async def test_a_text_that_is_being_sent_counts_as_the_first(spool: Spool) -> None:
    await started(spool)

    assert await knows(spool)


async def test_a_carrier_mail_introduces_no_number(spool: Spool) -> None:
    await sent(spool, carrier_mail())

    assert not await knows(spool)


async def texted(spool: Spool, id_: str, made, **fields: object) -> None:
    """A message with one delivery."""
    await spool.write(Writes(messages=(message(id_, **fields),), deliveries=(made,)), lease=False)


async def said(spool: Spool) -> tuple[Said, ...]:
    facts = await spool.gather(Needs(said=frozenset({ANN})))
    assert set(facts.said) == {ANN}
    return facts.said[ANN]


async def test_our_texts_of_a_day_are_known_newest_first_with_the_fate_of_the_last_way(spool: Spool) -> None:
    assert await said(spool) == ()
    await texted(spool, "m1.1", delivery("m1.1.1"), at=NOON - DAY, text="too old")
    made = carrier_mail("m2.1.1", fate=Fate.FAILED)
    await texted(spool, "m2.1", made, at=NOON - SECOND, text="ready", conversation="talk1")
    await spool.write(Writes(deliveries=(delivery("m2.1.2", fate=Fate.DELIVERED),)))
    await texted(spool, "m3.1", delivery("m3.1.1", phone=BEN), phone=BEN)
    await texted(spool, "m4.1", delivery("m4.1.1"), kind=Kind.ANSWER, rule="answer hours", text="closed", sender="")

    kind = Kind.TEXT
    assert await said(spool) == (
        Said(kind=Kind.ANSWER, sender="", text="closed", rule="answer hours", at=NOON, fate=Fate.WAITING),
        Said(
            kind=kind,
            sender="jobs",
            text="ready",
            rule="",
            at=NOON - SECOND,
            fate=Fate.DELIVERED,
            conversation="talk1",
        ),
    )


@pytest.mark.parametrize(
    ("kind", "by_text", "counts"),
    [
        (Kind.CONFIRMATION, True, True),
        (Kind.QUESTION, True, True),
        (Kind.QUESTION, False, False),
        (Kind.REPLY, False, False),
        (Kind.REPORT, False, False),
    ],
)
async def test_only_texts_are_what_we_said(spool: Spool, kind: Kind, by_text: bool, counts: bool) -> None:
    made = delivery(kind=kind) if by_text else replace(carrier_mail(kind=kind), phone=None)
    await texted(spool, "m1.1", made, kind=kind)

    assert [s.kind for s in await said(spool)] == ([kind] if counts else [])


async def test_at_most_a_hundred_texts_are_told(spool: Spool) -> None:
    ids = [f"a{n}.1" for n in range(103)]
    rows = Writes(
        messages=tuple(message(id_, text=id_) for id_ in ids), deliveries=tuple(delivery(f"{id_}.1") for id_ in ids)
    )
    await spool.write(rows, lease=False)

    assert [s.text for s in await said(spool)] == ids[:2:-1]


async def test_a_flood_is_the_texts_of_a_sender_within_a_minute(spool: Spool, clock) -> None:
    rows = (
        message("a.1"),
        message("a.2", at=NOON - timedelta(seconds=59)),
        message("a.3", at=NOON - timedelta(seconds=60)),
        message("a.4", kind=Kind.REPLY),
        message("a.5", sender="desk"),
    )
    await spool.write(Writes(messages=rows))

    needs = Needs(floods=frozenset({"jobs", "desk", "nobody"}))
    assert (await spool.gather(needs)).floods == {"jobs": 2, "desk": 1, "nobody": 0}
    clock.advance(60)
    assert (await spool.gather(needs)).floods == {"jobs": 0, "desk": 0, "nobody": 0}


async def test_threads_are_all_open_conversations_and_the_last_five_that_closed(spool: Spool) -> None:
    opened = [conversation(f"open{n}", job=f"O {n}", texted_at=NOON - n * SECOND) for n in range(7)]
    closed = [
        conversation(f"closed{n}", job=f"C {n}", texted_at=NOON - (10 + n) * SECOND, closes_at=NOON) for n in range(7)
    ]
    silent = conversation("silent", job="S", closes_at=NOON)
    await spool.write(Writes(conversations=(silent, *reversed(closed), *opened)))

    facts = await spool.gather(Needs(threads=frozenset({ANN, BEN})))

    assert facts.conversations == (*opened, *closed[:5])


async def test_a_second_id_for_a_text_is_told_and_both_stay_bound(spool: Spool) -> None:
    await started(spool)
    first = await spool.write(Writes(moves=(move(Fate.HANDED_OVER, remote_id="SM1"),)))
    settled = await spool.settle(end("accepted", Fate.HANDED_OVER, remote_id="SM2"))
    later = await spool.write(Writes(moves=(move(Fate.DELIVERED, remote_id="SM2"),)))

    assert (first.doubled, later.doubled) == ((), ())
    assert (settled.done, settled.doubled) == (True, (("m1.1.1", "SM1", "SM2"),))
    ids = frozenset({("twilio", "SM1"), ("twilio", "SM2")})
    assert {d.id for d in (await spool.gather(Needs(remote_ids=ids))).by_remote.values()} == {"m1.1.1"}
    assert len((await spool.gather(Needs(remote_ids=ids))).by_remote) == 2
    assert (await state_of(spool))["remote_id"] == "SM1"


async def test_a_receipt_that_brings_a_second_id_tells_it_once(spool: Spool) -> None:
    await sent(spool, delivery(), remote_id="SM1")
    words = [move(Fate.HANDED_OVER, remote_id="SM2"), move(Fate.DELIVERED, remote_id="SM2")]
    told = [(await spool.write(Writes(moves=(word,)))).doubled for word in words]

    assert told == [(("m1.1.1", "SM1", "SM2"),), ()]


async def test_a_second_id_is_told_also_where_the_settlement_came_too_late(spool: Spool) -> None:
    await started(spool)
    await spool.write(Writes(moves=(move(Fate.FAILED, remote_id="SM1"),)))
    settled = await spool.settle(end("accepted", Fate.HANDED_OVER, remote_id="SM2"))

    assert (settled.done, settled.doubled) == (False, (("m1.1.1", "SM1", "SM2"),))


async def test_a_retry_of_what_the_provider_gave_up_has_an_id_of_its_own(spool: Spool) -> None:
    await sent(spool, delivery(), remote_id="SM1")
    failed = Writes(moves=(move(Fate.FAILED, remote_id="SM1"),))
    await spool.write(failed)
    (again,) = (await spool.write(Writes(moves=(move(Fate.WAITING, "admin"),)))).leased
    await spool.start(again, NOON, 0, None)
    await spool.write(failed)
    await spool.write(Writes(moves=(move(Fate.WAITING, "admin"),)))
    settled = await spool.settle(end("accepted", Fate.HANDED_OVER, attempt=2, remote_id="SM2"))

    assert (again.remote_id, settled.doubled) == ("", ())
    assert (await state_of(spool))["remote_id"] == "SM2"


async def test_the_answers_of_a_relay_to_two_tries_of_one_mail_are_no_second_text(spool: Spool) -> None:
    await started(spool, carrier_mail())
    (again,) = (await spool.settle(end("unclear", Fate.WAITING, remote_id="Ok 1", due_at=NOON))).leased
    await spool.start(again, NOON, 0, None)

    assert (await spool.settle(end("accepted", Fate.HANDED_OVER, attempt=2, remote_id="Ok 2"))).doubled == ()


async def test_a_first_text_that_was_taken_and_failed_introduced_nobody(spool: Spool) -> None:
    await sent(spool, delivery())
    assert await knows(spool)

    await spool.write(Writes(moves=(move(Fate.FAILED),)))
    assert not await knows(spool)


async def test_a_later_text_that_fails_takes_no_introduction_back(spool: Spool, clock) -> None:
    await sent(spool, delivery())
    later = delivery("m2.1.1")
    (leased,) = await planned(spool, later, inbound="m2")
    assert (await spool.start(leased, clock.advance(SECOND), 0, None)).done
    await spool.settle(end("accepted", Fate.HANDED_OVER, delivery=later.id, remote_id="SM10"))
    await spool.write(Writes(moves=(move(Fate.FAILED, delivery=later.id),)))

    assert await knows(spool)
