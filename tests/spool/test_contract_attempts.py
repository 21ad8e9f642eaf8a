"""The contract of Spool, part three: the intent, its fences and budget, the settlement, and moves from outside."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from spooled import (
    ANN,
    NOON,
    SECOND,
    carrier_mail,
    consent,
    conversation,
    delivery,
    end,
    mail,
    message,
    move,
    planned,
    sent,
    started,
    state_of,
    status_hook,
)

from gateway.core.facts import Needs
from gateway.core.model import Fate
from gateway.core.work import Plan, Writes
from gateway.ports import Budget, Spool

BUDGET = Budget(sender="jobs", day="2026-11-23", month="2026-11", per_day=10)


async def test_a_start_commits_the_intent(spool: Spool) -> None:
    (leased,) = await planned(spool, delivery(reason="pacing"))
    answer = await spool.start(leased, NOON, 0, None)

    assert (answer.done, answer.reason) == (True, "")
    facts = await spool.gather(Needs(deliveries=frozenset({"m1.1.1"})))
    assert facts.deliveries["m1.1.1"] == delivery(fate=Fate.SENDING, attempt=1, posted_at=NOON)


async def test_a_delivery_starts_once(spool: Spool) -> None:
    (leased,) = await planned(spool, delivery())
    await spool.start(leased, NOON, 0, None)

    assert (await spool.start(leased, NOON, 0, None)).reason == "stale"
    assert (await spool.start(replace(leased, attempt=1), NOON, 0, None)).reason == "stale"


@pytest.mark.parametrize("how", ["unknown id", "another attempt", "released", "cancelled"])
async def test_what_moved_on_does_not_start(spool: Spool, how: str) -> None:
    (leased,) = await planned(spool, delivery())
    if how == "unknown id":
        leased = replace(leased, id="none")
    elif how == "another attempt":
        leased = replace(leased, attempt=3)
    elif how == "released":
        await spool.release("m1.1.1", NOON + SECOND, "pacing")
    else:
        await spool.write(Writes(moves=(move(Fate.CANCELLED, "admin"),)))

    answer = await spool.start(leased, NOON, 0, None)

    assert (answer.done, answer.reason) == (False, "stale")


async def test_a_stop_after_the_facts_were_read_prevents_the_start(spool: Spool) -> None:
    await spool.write(Writes(consents=(consent("c1"),)))
    (leased,) = await planned(spool, delivery())
    seen = (await spool.gather(Needs(phones=frozenset({ANN})))).ledger[ANN]
    await spool.write(Writes(consents=(consent("c2", "stop"),)))

    assert (await spool.start(leased, NOON, seen, None)).reason == "ledger"
    assert (await spool.start(leased, NOON, seen + 1, None)).done


async def test_what_a_sender_vouches_for_holds_no_text_up(spool: Spool) -> None:
    (leased,) = await planned(spool, delivery())
    seen = (await spool.gather(Needs(phones=frozenset({ANN})))).ledger[ANN]
    await spool.write(Writes(consents=(replace(consent("c2"), method="job_system"),)))

    assert (await spool.start(leased, NOON, seen, None)).done


async def test_a_budget_counts_until_it_is_used_up_and_alarms_twice(spool: Spool) -> None:
    answers = []
    for n in range(5):
        (leased,) = await planned(spool, delivery(f"m{n}.1.1", lane=str(n)), inbound=f"m{n}")
        answers.append(await spool.start(leased, NOON, 0, BUDGET))

    assert [(a.done, a.reason, a.spent_day, a.spent_month, a.alarm) for a in answers] == [
        (True, "", 3, 3, False),
        (True, "", 6, 6, True),
        (True, "", 9, 9, False),
        (False, "budget", 9, 9, True),
        (False, "budget", 9, 9, False),
    ]
    row = await state_of(spool, "m4.1.1")
    assert (row["fate"], row["attempts_started"]) == ("waiting", 0)


async def test_what_a_person_released_is_counted_and_goes_over_the_budget(spool: Spool) -> None:
    full = replace(BUDGET, per_day=2)
    (leased,) = await planned(spool, delivery())
    assert (await spool.start(leased, NOON, 0, full)).reason == "budget"
    await spool.settle(end("held", Fate.HELD, attempt=0, reason="budget"))
    (let_go,) = (await spool.write(Writes(moves=(move(Fate.WAITING, "admin"),)))).leased

    assert let_go == delivery(released=True)
    answer = await spool.start(let_go, NOON, 0, full)
    assert (answer.done, answer.reason, answer.spent_day, answer.spent_month, answer.alarm) == (True, "", 3, 3, False)
    await spool.settle(end("deferred", Fate.WAITING, due_at=NOON + SECOND, reason="retry"))
    (again,) = await spool.due(NOON + SECOND, 1)
    assert again.released
    assert (await spool.start(again, NOON + SECOND, 0, full)).done
    await spool.settle(end("refused", Fate.FAILED, attempt=2))
    (retried,) = (await spool.write(Writes(moves=(move(Fate.WAITING, "admin"),)))).leased
    assert retried.released


@pytest.mark.parametrize(
    ("fate", "reason"), [(Fate.HELD, "unknown"), (Fate.FAILED, "budget"), (Fate.WAITING, "budget")], ids=str
)
async def test_only_what_its_budget_held_is_released_from_it(spool: Spool, fate: Fate, reason: str) -> None:
    await planned(spool, delivery(fate=fate, reason=reason), lease=False)
    (again,) = (await spool.write(Writes(moves=(move(Fate.WAITING, "admin"),)))).leased

    assert not again.released
    assert (await spool.start(again, NOON, 0, replace(BUDGET, per_day=2))).reason == "budget"


async def test_a_month_has_a_budget_of_its_own(spool: Spool) -> None:
    answers = []
    for n, day in enumerate(("2026-11-22", "2026-11-23")):
        (leased,) = await planned(spool, delivery(f"m{n}.1.1", lane=str(n)), inbound=f"m{n}")
        answers.append(await spool.start(leased, NOON, 0, replace(BUDGET, day=day, per_month=4)))

    assert [(a.done, a.spent_day, a.spent_month, a.alarm) for a in answers] == [(True, 3, 3, True), (False, 0, 3, True)]


@pytest.mark.parametrize(
    ("outcome", "fate", "spent"),
    [
        ("accepted", Fate.HANDED_OVER, 3),
        ("unclear", Fate.UNKNOWN, 3),
        ("deferred", Fate.WAITING, 0),
        ("refused", Fate.FAILED, 0),
    ],
)
async def test_what_was_proven_not_taken_costs_nothing(spool: Spool, outcome: str, fate: Fate, spent: int) -> None:
    (leased,) = await planned(spool, delivery())
    await spool.start(leased, NOON, 0, BUDGET)
    await spool.settle(end(outcome, fate, due_at=NOON + SECOND))

    facts = await spool.gather(Needs(senders=frozenset({"jobs"})))

    assert (facts.spent["jobs"].day, facts.spent["jobs"].month) == (spent, spent)


async def test_a_settlement_is_written_with_what_follows_from_it(spool: Spool) -> None:
    await started(spool)
    follows = Writes(
        messages=(message("m1.2"),),
        deliveries=(carrier_mail("m1.2.1"),),
        consents=(consent("c9", "stop"),),
        conversations=(conversation(),),
    )
    s = end("refused", Fate.FAILED, code="21610", note="opted out", ms=70, writes=follows)
    settled = await spool.settle(s)

    assert (settled.done, [d.id for d in settled.leased]) == (True, ["m1.2.1"])
    row = await state_of(spool)
    assert (row["fate"], row["code"], row["note"], row["leased"]) == ("failed", "21610", "opted out", 0)
    (attempt,) = row["attempts"]  # type: ignore[misc]
    assert (attempt["attempt"], attempt["outcome"], attempt["code"], attempt["ms"]) == (1, "refused", "21610", 70)
    assert (await spool.gather(Needs(phones=frozenset({ANN})))).ledger == {ANN: 1}


async def test_a_wrong_attempt_number_changes_nothing(spool: Spool) -> None:
    await started(spool)

    assert not (await spool.settle(end("accepted", Fate.HANDED_OVER, attempt=2))).done
    assert not (await spool.settle(end("accepted", Fate.HANDED_OVER, delivery="none"))).done
    assert (await state_of(spool))["fate"] == "sending"


async def test_an_attempt_is_settled_once(spool: Spool) -> None:
    await started(spool)
    await spool.settle(end("deferred", Fate.WAITING, due_at=NOON + SECOND, reason="retry"))
    again = await spool.settle(end("accepted", Fate.HANDED_OVER, writes=Writes(consents=(consent(),))))

    assert not again.done
    row = await state_of(spool)
    assert (row["fate"], len(row["attempts"])) == ("waiting", 1)  # type: ignore[arg-type]
    assert await spool.find("consents") == []


@pytest.mark.parametrize(
    ("outcome", "fate", "done"),
    [
        ("vetoed", Fate.REFUSED, True),
        ("held", Fate.HELD, True),
        ("expired", Fate.EXPIRED, True),
        ("accepted", Fate.HANDED_OVER, False),
        ("found", Fate.HANDED_OVER, False),
    ],
)
async def test_what_was_not_started_ends_by_decision_only(spool: Spool, outcome: str, fate: Fate, done: bool) -> None:
    await planned(spool, delivery())

    assert (await spool.settle(end(outcome, fate, attempt=0))).done is done


async def test_resends_are_never_forgotten(spool: Spool) -> None:
    await started(spool, carrier_mail())
    await spool.settle(end("unclear", Fate.WAITING, resends=1, due_at=NOON))
    (again,) = await spool.due(NOON + timedelta(minutes=2), 1)
    await spool.start(again, NOON, 0, None)
    await spool.settle(end("deferred", Fate.WAITING, attempt=2, due_at=NOON))

    assert (await state_of(spool))["resends"] == 1


async def test_a_remote_id_belongs_to_one_delivery(spool: Spool) -> None:
    await sent(spool, delivery("m1.1.1"), remote_id="SM9")
    (leased,) = await planned(spool, delivery("m2.1.1"), inbound="m2")
    await spool.start(leased, NOON, 0, None)
    settled = await spool.settle(end("accepted", Fate.HANDED_OVER, delivery="m2.1.1", remote_id="SM9"))

    assert (settled.done, settled.bound_to) == (True, "m1.1.1")
    row = await state_of(spool, "m2.1.1")
    assert (row["fate"], row["remote_id"]) == ("handed_over", "")
    assert "m1.1.1" in str(row["note"])
    facts = await spool.gather(Needs(remote_ids=frozenset({("twilio", "SM9")})))
    assert [d.id for d in facts.by_remote.values()] == ["m1.1.1"]


async def test_a_text_of_another_delivery_is_not_adopted(spool: Spool) -> None:
    await sent(spool, delivery("m1.1.1"), remote_id="SM9")
    (leased,) = await planned(spool, delivery("m2.1.1"), inbound="m2")
    await spool.start(leased, NOON, 0, None)
    await spool.settle(end("unclear", Fate.UNKNOWN, delivery="m2.1.1", due_at=NOON))
    settled = await spool.settle(end("found", Fate.HANDED_OVER, delivery="m2.1.1", remote_id="SM9"))

    assert (settled.done, settled.bound_to) == (False, "m1.1.1")
    assert (await state_of(spool, "m2.1.1"))["fate"] == "unknown"


async def test_the_same_answer_of_a_relay_to_two_mails_is_kept_for_both(spool: Spool) -> None:
    await sent(spool, carrier_mail("m1.1.1"), remote_id="Ok")
    await sent(spool, carrier_mail("m2.1.1"), inbound="m2", remote_id="Ok")

    assert [(await state_of(spool, id_))["remote_id"] for id_ in ("m1.1.1", "m2.1.1")] == ["Ok", "Ok"]


async def test_a_receipt_that_was_faster_than_the_answer_keeps_its_word(spool: Spool) -> None:
    await started(spool)
    await spool.write(Writes(moves=(move(Fate.DELIVERED, remote_id="SM9"),)))
    follows = Writes(conversations=(conversation(),))
    settled = await spool.settle(end("accepted", Fate.HANDED_OVER, remote_id="SM9", writes=follows))

    row = await state_of(spool)
    assert (settled.done, row["fate"], row["remote_id"]) == (True, "delivered", "SM9")
    assert len(await spool.find("conversations")) == 1


async def test_a_refusal_after_a_receipt_of_success_starts_no_other_way(spool: Spool) -> None:
    await started(spool)
    await spool.write(Writes(moves=(move(Fate.DELIVERED),)))
    follows = Writes(deliveries=(carrier_mail("m1.1.2"),))
    settled = await spool.settle(end("refused", Fate.FAILED, writes=follows))

    row = await state_of(spool)
    assert (settled.done, row["fate"], len(row["attempts"])) == (False, "delivered", 1)  # type: ignore[arg-type]
    assert await spool.find("delivery", id="m1.1.2") == []


async def test_every_move_is_kept_as_a_receipt_with_the_hook_that_told_it(spool: Spool) -> None:
    await sent(spool, delivery())
    for word, fate in (("delivered", Fate.DELIVERED), ("sent", Fate.HANDED_OVER)):
        told = status_hook("SM9", word)
        await spool.accept(told)
        await spool.plan(Plan(inbound=told.id, writes=Writes(moves=(move(fate, note=word),))))

    row = await state_of(spool)
    kept = [(r["inbound"], r["fate"], r["note"], r["changed"]) for r in row["receipts"]]  # type: ignore[attr-defined]
    assert (row["fate"], row["note"]) == ("delivered", "delivered")
    assert kept == [
        ("twilio:SM9:1:delivered", "delivered", "delivered", 1),
        ("twilio:SM9:1:sent", "handed_over", "sent", 0),
    ]


async def test_a_move_of_an_unknown_delivery_is_passed_over(spool: Spool) -> None:
    answer = await spool.write(Writes(moves=(move(Fate.DELIVERED, delivery="none"),)))

    assert (answer.done, answer.moved) == (True, ())


@pytest.mark.parametrize("fate", [Fate.HELD, Fate.FAILED, Fate.EXPIRED, Fate.CANCELLED, Fate.REFUSED])
async def test_the_admin_retries_what_is_held_or_ended_badly_with_a_new_lifetime(
    spool: Spool, clock, fate: Fate
) -> None:
    await planned(spool, delivery(fate=fate, reason="budget", attempt=2, lookups=3))
    clock.advance(timedelta(days=2))
    answer = await spool.write(Writes(moves=(move(Fate.WAITING, "admin"),)))

    (again,) = answer.leased
    assert (again.fate, again.reason, again.attempt, again.lookups) == (Fate.WAITING, "", 2, 0)
    assert (again.due_at, again.expires_at) == (clock.now(), clock.now() + timedelta(hours=4))


async def test_what_was_never_made_cannot_be_retried(spool: Spool) -> None:
    await planned(spool, delivery(fate=Fate.REFUSED, parcel=None))

    assert (await spool.write(Writes(moves=(move(Fate.WAITING, "admin"),)))).moved == ()


async def test_retention_removes_what_is_finished_and_old(spool: Spool, clock) -> None:
    await sent(spool, delivery())
    await spool.write(Writes(moves=(move(Fate.DELIVERED),), consents=(consent(),), conversations=(conversation(),)))
    later = clock.advance(timedelta(days=100))
    keep = {"raw": 90, "done": 90, "conversations": 80}

    assert await spool.purge(NOON + timedelta(days=90), keep, 1000) == 0
    assert await spool.purge(later, keep, 1000) > 0
    assert await spool.find("queue", all=True) == []
    assert await spool.find("conversations") == []
    assert len(await spool.find("consents")) == 1
    assert (await spool.accept(mail())).new


async def test_retention_keeps_what_is_open_parked_or_unplanned(spool: Spool, clock) -> None:
    await planned(spool, delivery(fate=Fate.HELD))
    await spool.accept(mail("m2"))
    await spool.accept(mail("m3"))
    await spool.plan(Plan(inbound="m3", parked="why"))
    later = clock.advance(timedelta(days=500))
    await spool.purge(later, {"raw": 1, "done": 1, "conversations": 1}, 1000)

    assert sorted(row["id"] for row in await spool.find("queue")) == ["m1.1.1", "m2", "m3"]
    await spool.unpark("m3")
    assert [i.raw for i in await spool.unplanned(5)] == [mail().raw, mail().raw]


async def test_retention_knows_its_names(spool: Spool) -> None:
    with pytest.raises(ValueError, match="texts"):
        await spool.purge(NOON, {"texts": 3}, 10)
