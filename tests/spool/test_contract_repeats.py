"""The contract of Spool, part six: which mail is another one again (P7), and what an id stands for."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
from spooled import BEN, NOON, carrier_mail, consent, delivery, mail, message, prints

from gateway.core.model import Fate, Kind
from gateway.core.work import Plan, Writes
from gateway.ports import Spool, SpoolUnavailable, Stored

A, B = "2025550143@sms.example.com", "2025550144@sms.example.com"


async def test_a_repeat_is_answered_with_the_id_of_the_first_and_stored_nowhere(spool: Spool) -> None:
    first, second = mail("m1"), mail("m2", at=NOON + timedelta(minutes=5))
    await spool.accept(first, prints(first))

    assert await spool.accept(second, prints(second)) == Stored(id="m1", repeated=(A,), new=False)
    assert [i.id for i in await spool.unplanned(10)] == ["m1"]


async def test_recipients_are_compared_without_case_and_named_as_written(spool: Spool) -> None:
    first, second = mail("m1", "Alice@sms.example.com"), mail("m2", "ALICE@SMS.example.com")
    await spool.accept(first, prints(first))

    assert (await spool.accept(second, prints(second))).repeated == ("ALICE@SMS.example.com",)


async def test_one_mail_that_names_a_recipient_twice_is_no_repeat_of_itself(spool: Spool) -> None:
    twice = mail("m1", "alice@sms.example.com", "Alice@sms.example.com")

    assert await spool.accept(twice, prints(twice)) == Stored(id="m1")


async def test_only_the_repeated_recipients_are_left_out(spool: Spool) -> None:
    first, second = mail("m1", A), mail("m2", A, B)
    await spool.accept(first, prints(first))

    assert await spool.accept(second, prints(second)) == Stored(id="m2", repeated=(A,))
    assert await spool.unplanned(10) == [first, mail("m2", B)]


async def test_other_content_is_no_repeat(spool: Spool) -> None:
    first, second = mail("m1"), mail("m2")
    await spool.accept(first, prints(first, digest="one"))

    assert (await spool.accept(second, prints(second, digest="two"))).new


@pytest.mark.parametrize(("seconds", "new"), [(3599, False), (3600, True)])
async def test_a_first_counts_within_its_window(spool: Spool, seconds: int, new: bool) -> None:
    first, second = mail("m1"), mail("m2", at=NOON + timedelta(seconds=seconds))
    await spool.accept(first, prints(first))

    assert (await spool.accept(second, prints(second, window=3600))).new is new


@pytest.mark.parametrize(
    ("fates", "new"),
    [
        (["waiting"], False),
        (["handed_over"], False),
        (["held"], False),
        (["failed"], True),
        (["expired"], True),
        (["refused"], True),
        (["cancelled"], True),
        (["failed", "waiting"], False),
        (["failed", "expired"], True),
        ([], True),
    ],
    ids=lambda value: "+".join(value) or "none" if isinstance(value, list) else None,
)
async def test_a_first_counts_while_one_of_its_deliveries_has_not_ended_badly(
    spool: Spool, fates: list[str], new: bool
) -> None:
    first, second = mail("m1"), mail("m2")
    await spool.accept(first, prints(first))
    ways = tuple(delivery(f"m1.1.{k}", fate=Fate(fate)) for k, fate in enumerate(fates))
    await spool.plan(Plan(inbound="m1", writes=Writes(messages=(message(),), deliveries=ways)))

    assert (await spool.accept(second, prints(second))).new is new


@pytest.mark.parametrize("given_up", [False, True], ids=["parked", "given up"])
async def test_a_first_that_was_parked_does_not_count(spool: Spool, given_up: bool) -> None:
    first, second = mail("m1"), mail("m2")
    await spool.accept(first, prints(first))
    alarm = replace(message("m1.9", kind=Kind.ALARM), recipient="admin@example.com")
    writes = Writes(messages=(alarm,), deliveries=(carrier_mail("m1.9.1"),))
    await spool.plan(Plan(inbound="m1", parked="no charset of that name", writes=writes))
    if given_up:
        await spool.discard("m1", "cancel by ann")

    assert await spool.accept(second, prints(second)) == Stored(id="m2")


async def test_a_parked_first_counts_again_once_it_is_released(spool: Spool) -> None:
    first, second = mail("m1"), mail("m2")
    await spool.accept(first, prints(first))
    await spool.plan(Plan(inbound="m1", parked="no charset of that name"))
    await spool.unpark("m1")

    assert await spool.accept(second, prints(second)) == Stored(id="m1", repeated=(A,), new=False)


async def test_another_mail_with_an_id_that_is_taken_fails_alone_and_leaves_no_trace(spool: Spool) -> None:
    first, other, third = mail("m1"), mail("m1", B), mail("m3", B)
    await spool.accept(first)
    answers = await asyncio.gather(
        spool.accept(other, prints(other), [consent()]), spool.accept(third, prints(third)), return_exceptions=True
    )

    assert [type(answers[0]), str(answers[0])] == [SpoolUnavailable, "the id is taken"]
    assert answers[1] == Stored(id="m3")
    assert await spool.unplanned(10) == [first, third]
    assert await spool.find("consents") == []


async def test_a_repeat_is_told_even_if_its_id_is_taken(spool: Spool) -> None:
    first = mail("m1")
    await spool.accept(first, prints(first))

    assert await spool.accept(first, prints(first)) == Stored(id="m1", repeated=(A,), new=False)


async def test_the_fate_of_one_recipient_does_not_speak_for_another(spool: Spool) -> None:
    first, second = mail("m1", A, B), mail("m2", A, B)
    await spool.accept(first, prints(first))
    messages = (message("m1.1"), replace(message("m1.2", phone=BEN), recipient=B))
    ways = (delivery("m1.1.1", fate=Fate.FAILED), delivery("m1.2.1", phone=BEN))
    await spool.plan(Plan(inbound="m1", writes=Writes(messages=messages, deliveries=ways)))

    assert await spool.accept(second, prints(second)) == Stored(id="m2", repeated=(B,))


async def test_a_report_that_went_out_does_not_make_a_failed_first_count(spool: Spool) -> None:
    first, second = mail("m1"), mail("m2")
    await spool.accept(first, prints(first))
    report = replace(message("m1.9", kind=Kind.REPORT), recipient="jobs@example.com")
    ways = (delivery("m1.1.1", fate=Fate.REFUSED, parcel=None), carrier_mail("m1.9.1"))
    await spool.plan(Plan(inbound="m1", writes=Writes(messages=(message(), report), deliveries=ways)))

    assert (await spool.accept(second, prints(second))).new
