"""One at a time for each key (gateway/turns.py)."""

from __future__ import annotations

import asyncio

import pytest

from gateway.turns import Turns


async def _until_waiting() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_who_wants_a_key_waits_for_those_who_came_before() -> None:
    turns, seen = Turns(), list[int]()

    async def one(n: int) -> None:
        async with turns.of(["ann"]):
            seen.append(n)
            await asyncio.sleep(0)
            seen.append(n)

    async with asyncio.TaskGroup() as group:
        for n in range(20):
            group.create_task(one(n))
    assert seen == [n for n in range(20) for _ in range(2)]


async def test_other_keys_wait_for_nobody() -> None:
    turns = Turns()
    async with turns.of(["ann"]), asyncio.timeout(5), turns.of(["ben"]):
        pass


async def test_two_that_want_the_same_two_keys_never_wait_for_each_other() -> None:
    turns = Turns()

    async def one(*keys: str) -> None:
        for _ in range(50):
            async with turns.of(keys):
                await asyncio.sleep(0)

    async with asyncio.timeout(30):
        await asyncio.gather(one("ann", "ben"), one("ben", "ann"), one("ben", "ben", "cal"), one("cal", "ann"))


@pytest.mark.parametrize("handed_over", [False, True], ids=["while it waits", "as its turn comes"])
async def test_who_is_cancelled_leaves_his_place_to_the_next(handed_over: bool) -> None:
    turns = Turns()
    first = turns.of(["ann"])
    await first.__aenter__()

    async def one() -> None:
        async with turns.of(["ann"]):
            pass

    second, third = asyncio.create_task(one()), asyncio.create_task(one())
    await _until_waiting()
    if handed_over:
        await first.__aexit__()
        second.cancel()
    else:
        second.cancel()
        await first.__aexit__()
    async with asyncio.timeout(5):
        await third
    with pytest.raises(asyncio.CancelledError):
        await second


async def test_a_fault_in_a_turn_ends_it() -> None:
    turns = Turns()
    with pytest.raises(RuntimeError):
        async with turns.of(["ann", "ben"]):
            raise RuntimeError
    async with asyncio.timeout(5), turns.of(["ben", "ann"]):
        pass
