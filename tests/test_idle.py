"""Workers without work (gateway/idle.py)."""

from __future__ import annotations

import asyncio

from gateway.idle import Idle


async def settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_one_is_woken_for_each_thing_and_the_patient_last() -> None:
    idle, woken = Idle(), list[str]()

    async def worker(name: str, *, patient: bool) -> None:
        await idle.rest(patient=patient)
        woken.append(name)

    async with asyncio.TaskGroup() as group:
        for name, patient in (("patient", True), ("first", False), ("second", False)):
            group.create_task(worker(name, patient=patient))
        await settled()
        seen = []
        for _ in range(3):
            idle.wake()
            await settled()
            seen.append(list(woken))

    assert seen == [["first"], ["first", "second"], ["first", "second", "patient"]]


async def test_who_has_gone_is_not_woken_in_place_of_one_who_rests() -> None:
    idle = Idle()
    gone, there = asyncio.create_task(idle.rest()), asyncio.create_task(idle.rest())
    await settled()
    gone.cancel()
    await settled()
    idle.wake()
    async with asyncio.timeout(10):
        await there


async def test_at_the_end_all_are_woken() -> None:
    idle = Idle()
    resting = [asyncio.create_task(idle.rest(patient=n % 2 == 0)) for n in range(4)]
    await settled()
    idle.wake_all()
    async with asyncio.timeout(10):
        await asyncio.gather(*resting)
        await idle.rest()
