"""The contract of Spool, part two: who may go, in which order, in whose hands."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from spooled import ANN, BEN, NOON, SECOND, carrier_mail, delivery, end, mail, move, planned, started, state_of

from gateway.core.model import Fate
from gateway.core.work import Writes
from gateway.ports import Recovered, Spool

LOOKUP = timedelta(seconds=20)


def ids(deliveries: object) -> list[str]:
    return [d.id for d in deliveries]  # type: ignore[attr-defined]  # any sequence of deliveries


async def test_the_first_of_a_lane_is_leased_and_the_next_follows_its_settlement(spool: Spool) -> None:
    leased = await planned(spool, delivery("m1.1.1"), delivery("m1.2.1"), delivery("m1.3.1", phone=BEN))
    assert ids(leased) == ["m1.1.1", "m1.3.1"]
    assert await spool.due(NOON, 10) == []
    await spool.start(leased[0], NOON, 0, None)
    settled = await spool.settle(end("accepted", Fate.HANDED_OVER))

    assert ids(settled.leased) == ["m1.2.1"]


async def test_a_settlement_leases_nothing_when_it_is_told_so(spool: Spool) -> None:
    await started(spool, delivery("m1.1.1"), delivery("m1.2.1"))
    settled = await spool.settle(end("accepted", Fate.HANDED_OVER), lease=False)

    assert settled.leased == ()
    assert ids(await spool.due(NOON, 10)) == ["m1.2.1"]


@pytest.mark.parametrize(
    ("first", "goes"),
    [
        ({"fate": Fate.SENDING, "attempt": 1}, False),
        ({"fate": Fate.UNKNOWN, "attempt": 1, "due_at": NOON + SECOND}, False),
        ({"attempt": 1, "due_at": NOON + SECOND, "reason": "retry"}, False),
        ({"due_at": NOON + SECOND, "reason": "pacing"}, False),
        ({"due_at": NOON + SECOND, "reason": "retry"}, False),
        ({"due_at": NOON + SECOND, "reason": "relay"}, False),
        ({"due_at": NOON + SECOND, "reason": "quiet hours"}, True),
        ({"attempt": 1, "due_at": NOON + SECOND, "reason": "quiet hours"}, True),
        ({"fate": Fate.HELD, "attempt": 1}, True),
        ({"fate": Fate.FAILED, "attempt": 1}, True),
        ({"fate": Fate.HANDED_OVER, "attempt": 1}, True),
    ],
    ids=[
        "sending",
        "unknown",
        "retry",
        "pacing",
        "held by a breaker",
        "relay",
        "quiet hours",
        "quiet after a try",
        "held",
        "failed",
        "handed over",
    ],
)
async def test_nothing_passes_an_earlier_one_that_is_under_way(
    spool: Spool, first: dict[str, object], goes: bool
) -> None:
    await planned(spool, replace(delivery("m1.1.1"), **first), delivery("m1.2.1"), lease=False)

    assert ids(await spool.due(NOON, 10)) == (["m1.2.1"] if goes else [])


async def test_an_earlier_one_that_becomes_due_waits_for_the_later_one_in_flight(spool: Spool) -> None:
    quiet = delivery("m1.1.1", due_at=NOON + SECOND, reason="quiet hours")
    (leased,) = await planned(spool, quiet, delivery("m1.2.1"))
    await spool.start(leased, NOON, 0, None)
    assert await spool.due(NOON + SECOND, 10) == []
    settled = await spool.settle(end("accepted", Fate.HANDED_OVER, delivery="m1.2.1"))

    assert settled.leased == ()
    assert ids(await spool.due(NOON + SECOND, 10)) == ["m1.1.1"]


async def test_due_ones_come_by_priority_then_time_then_age(spool: Spool) -> None:
    def made(id_: str, lane: str, priority: int, due: int) -> object:
        return delivery(id_, lane=lane, priority=priority, due_at=NOON - due * SECOND)

    rows = (made("m1.1.1", "a", 5, 1), made("m1.2.1", "b", 5, 2), made("m1.3.1", "c", 5, 2), made("m1.4.1", "d", 1, 0))
    await planned(spool, *rows, lease=False)  # type: ignore[arg-type]  # they are deliveries

    assert ids(await spool.due(NOON, 3)) == ["m1.4.1", "m1.2.1", "m1.3.1"]
    assert ids(await spool.due(NOON, 3)) == ["m1.1.1"]


async def test_what_is_not_yet_due_stays(spool: Spool) -> None:
    await planned(spool, delivery(due_at=NOON + SECOND))

    assert await spool.due(NOON, 10) == []
    assert ids(await spool.due(NOON + SECOND, 10)) == ["m1.1.1"]


@pytest.mark.parametrize(
    ("paused", "left"),
    [(set(), ["m1.1.1", "m1.2.1"]), ({"service"}, ["m1.2.1"]), ({"mail"}, ["m1.1.1"]), ({"service", "mail"}, [])],
    ids=["none", "the number", "the relay", "both"],
)
async def test_paused_ways_are_left_alone(spool: Spool, paused: set[str], left: list[str]) -> None:
    await planned(spool, delivery("m1.1.1"), carrier_mail("m1.2.1"), lease=False)

    assert ids(await spool.due(NOON, 10, frozenset(paused))) == left


async def test_an_ended_lease_counts_as_free(spool: Spool) -> None:
    await planned(spool, delivery())

    assert await spool.due(NOON + 59 * SECOND, 10) == []
    assert ids(await spool.due(NOON + 60 * SECOND, 10)) == ["m1.1.1"]


async def test_an_unknown_one_is_given_out_for_its_look_up(spool: Spool) -> None:
    await started(spool)
    await spool.settle(end("unclear", Fate.UNKNOWN, due_at=NOON + LOOKUP, reason="lookup"))

    assert await spool.due(NOON, 10) == []
    (found,) = await spool.due(NOON + LOOKUP, 10)
    assert (found.fate, found.reason, found.attempt) == (Fate.UNKNOWN, "lookup", 1)


async def test_a_released_one_waits_until_then_with_its_reason(spool: Spool) -> None:
    await planned(spool, delivery())
    await spool.release("m1.1.1", NOON + SECOND, "pacing")

    assert await spool.due(NOON, 10) == []
    assert [d.reason for d in await spool.due(NOON + SECOND, 10)] == ["pacing"]


async def test_a_started_one_is_not_released(spool: Spool) -> None:
    await started(spool)
    await spool.release("m1.1.1", NOON, "pacing")

    assert (await state_of(spool))["fate"] == "sending"


async def test_next_due_is_the_earliest_that_nobody_holds_and_nothing_delays(spool: Spool) -> None:
    assert await spool.next_due() is None
    await planned(
        spool,
        delivery("m1.1.1"),
        delivery("m1.2.1"),
        carrier_mail("m1.3.1", due_at=NOON + 9 * SECOND),
        delivery("m1.4.1", phone=BEN, due_at=NOON + 5 * SECOND),
    )

    assert await spool.next_due() == NOON + 5 * SECOND
    await spool.release("m1.1.1", NOON, "")
    assert await spool.next_due() == NOON


async def test_recovery_ends_every_lease(spool: Spool) -> None:
    await spool.accept(mail("m0"))
    await spool.unplanned(1)
    await planned(spool, delivery())

    assert await spool.recover(NOON, LOOKUP) == Recovered(attempts=0)
    assert [i.id for i in await spool.unplanned(1)] == ["m0"]
    assert ids(await spool.due(NOON, 10)) == ["m1.1.1"]


async def test_recovery_looks_a_paid_text_up_and_sends_carrier_mail_again(spool: Spool) -> None:
    await started(spool, delivery("m1.1.1"), carrier_mail("m1.2.1"))

    assert await spool.recover(NOON + 9 * SECOND, LOOKUP) == Recovered(attempts=2)
    (again,) = await spool.due(NOON + 9 * SECOND, 10)
    assert (again.id, again.fate, again.reason, again.resends) == ("m1.2.1", Fate.WAITING, "retry", 1)
    (unclear,) = await spool.due(NOON + LOOKUP, 10)
    assert (unclear.id, unclear.fate, unclear.reason, unclear.resends) == ("m1.1.1", Fate.UNKNOWN, "lookup", 0)
    assert [a["outcome"] for a in (await state_of(spool))["attempts"]] == ["unclear"]  # type: ignore[attr-defined]
    assert "not known" in unclear.note


async def test_recovery_sends_one_mail_again_at_most_twice_and_names_what_it_holds(spool: Spool) -> None:
    await started(spool, carrier_mail())
    for _ in range(2):
        await spool.recover(NOON, LOOKUP)
        (again,) = await spool.due(NOON, 1)
        await spool.start(again, NOON, 0, None)
    last = await spool.recover(NOON, LOOKUP)

    assert last == Recovered(attempts=1, held=("m1.1.1",))
    row = await state_of(spool)
    assert (row["fate"], row["resends"], row["attempts_started"]) == ("held", 2, 3)


async def test_recovery_until_a_moment_frees_only_what_was_leased_no_longer(spool: Spool, clock) -> None:
    await spool.accept(mail("m0"))
    await spool.unplanned(1)
    await started(spool, delivery("m1.1.1"), carrier_mail("m1.2.1"))
    await planned(spool, delivery("m2.1.1", lane="other"), inbound="m2")
    now = clock.advance(59)

    assert await spool.recover(now, LOOKUP, until=now) == Recovered(attempts=0)
    living = [await state_of(spool, i) for i in ("m1.1.1", "m1.2.1", "m2.1.1")]
    assert [(r["fate"], r["leased"]) for r in living] == [("sending", 1), ("sending", 1), ("waiting", 1)]
    assert await spool.unplanned(5) == []
    now = clock.advance(1)
    assert await spool.recover(now, LOOKUP, until=now) == Recovered(attempts=2)
    after = [await state_of(spool, i) for i in ("m1.1.1", "m1.2.1", "m2.1.1")]
    assert [(r["fate"], r["leased"]) for r in after] == [("unknown", 0), ("waiting", 0), ("waiting", 0)]
    assert [i.id for i in await spool.unplanned(5)] == ["m0"]


async def test_recovery_leaves_what_was_leased_later_alone(spool: Spool, clock) -> None:
    await started(spool, delivery("m1.1.1"))
    now = clock.advance(30)
    (later,) = await planned(spool, delivery("m2.1.1", lane="other"), inbound="m2")
    await spool.start(later, now, 0, None)
    now = clock.advance(30)

    assert await spool.recover(now, LOOKUP, until=now) == Recovered(attempts=1)
    assert [(await state_of(spool, i))["fate"] for i in ("m1.1.1", "m2.1.1")] == ["unknown", "sending"]
    settled = await spool.settle(end("accepted", Fate.HANDED_OVER, delivery="m2.1.1"))
    assert settled.done


async def test_large_mails_are_leased_in_several_answers(spool: Spool) -> None:
    made = tuple(carrier_mail(f"m1.{n}.1", to=f"{n}@carrier.example") for n in range(20))
    large = tuple(replace(d, parcel=replace(d.parcel, data=b"x" * (2 << 20))) for d in made)
    await planned(spool, *large, lease=False)
    counts = [len(await spool.due(NOON, 100)) for _ in range(3)]

    assert sum(counts) == 20
    assert (0 < counts[1] < counts[0] < 20, counts[2]) == (True, 0)


async def test_a_move_that_frees_a_lane_leases_its_next(spool: Spool) -> None:
    await planned(spool, delivery("m1.1.1"), delivery("m1.2.1"))
    answer = await spool.write(Writes(moves=(move(Fate.CANCELLED, "admin"),)))

    assert (ids(answer.leased), answer.moved) == (["m1.2.1"], ("m1.1.1",))


async def test_two_spools_hands_never_hold_one_lane(spool: Spool) -> None:
    quiet = delivery("m1.1.1", due_at=NOON + SECOND, reason="quiet hours")
    await planned(spool, quiet, delivery("m1.2.1"))

    assert await spool.due(NOON + SECOND, 10) == []
    assert ANN in (await state_of(spool))["lane"]  # type: ignore[operator]
