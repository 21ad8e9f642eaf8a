"""Waiting until nothing has come for a while (gateway/calm.py)."""

from __future__ import annotations

import asyncio

from gateway.calm import Calm


async def waits(calm: Calm, *, steady: bool = False) -> bool:
    """Whether somebody must wait now."""
    task = asyncio.create_task(calm.passes() if steady else calm.comes())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    waiting = not task.done()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return waiting


async def test_it_is_calm_until_something_comes_and_again_a_while_after_the_last() -> None:
    calm = Calm(0.02)
    assert not await waits(calm)
    calm.disturb()
    calm.disturb()
    assert await waits(calm)
    async with asyncio.timeout(10):
        await calm.comes()


async def test_what_comes_while_one_waits_makes_him_wait_longer() -> None:
    loop, calm = asyncio.get_running_loop(), Calm(0.1)
    calm.disturb()
    await asyncio.sleep(0.06)
    again = loop.time()
    calm.disturb()
    async with asyncio.timeout(10):
        await calm.comes()

    assert loop.time() - again >= 0.09


async def test_at_the_end_nobody_waits_any_more() -> None:
    calm = Calm(3600.0)
    calm.disturb()
    waiting = asyncio.create_task(calm.comes())
    await asyncio.sleep(0)
    calm.end()
    calm.disturb()
    async with asyncio.timeout(10):
        await waiting
    assert not await waits(calm)


async def test_one_who_waits_is_admitted_in_place_of_one_who_is_held_up() -> None:
    calm = Calm(3600.0)
    calm.disturb()
    first, second = asyncio.create_task(calm.comes()), asyncio.create_task(calm.comes())
    await asyncio.sleep(0)
    calm.admit()
    async with asyncio.timeout(10):
        await first
    assert not second.done()
    calm.end()
    async with asyncio.timeout(10):
        await second


async def keep(calm: Calm, waiting: int) -> None:
    """Never lets it be calm."""
    while True:
        calm.disturb(waiting)
        await asyncio.sleep(0.01)


async def test_a_rush_holds_the_steady_until_it_is_calm() -> None:
    calm = Calm(0.02, crowd=5, hold=3600.0)
    calm.disturb(5)
    assert not await waits(calm, steady=True)
    calm.disturb(6)
    assert await waits(calm, steady=True)
    async with asyncio.timeout(10):
        await calm.passes()


async def test_a_rush_that_lasts_holds_the_steady_for_its_first_seconds_and_the_others_until_calm() -> None:
    loop, calm = asyncio.get_running_loop(), Calm(0.5, crowd=5, hold=0.2)
    begun = loop.time()
    rush = asyncio.create_task(keep(calm, 6))
    await asyncio.sleep(0)
    async with asyncio.timeout(10):
        await calm.passes()
    assert loop.time() - begun >= 0.2
    assert await waits(calm)
    rush.cancel()


async def test_a_rush_is_held_once_until_nothing_waits_any_more() -> None:
    calm = Calm(0.02, crowd=5, hold=0.1)
    calm.disturb(6)
    async with asyncio.timeout(10):
        await calm.passes()  # calm came first
    calm.disturb(6)
    assert await waits(calm, steady=True)
    await asyncio.sleep(0.15)
    calm.disturb(6)
    assert not await waits(calm, steady=True)
    calm.disturb(0)
    calm.disturb(6)
    assert await waits(calm, steady=True)


async def test_at_the_end_the_steady_wait_no_more() -> None:
    calm = Calm(3600.0, hold=3600.0)
    calm.disturb(1)
    waiting = asyncio.create_task(calm.passes())
    await asyncio.sleep(0)
    calm.end()
    async with asyncio.timeout(10):
        await waiting
