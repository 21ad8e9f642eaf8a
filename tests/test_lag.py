"""The gauge of what holds the event loop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from gateway.events import REGISTRY
from gateway.lag import REST_SECONDS, Lag

BLOCK = 2 * REST_SECONDS


@pytest.fixture
async def lag() -> AsyncIterator[Lag]:
    made = Lag()
    made.start()
    yield made
    made.stop()


async def looked(lag: Lag, times: int) -> None:
    wanted = lag.looks + times
    async with asyncio.timeout(20):
        while lag.looks < wanted:
            await asyncio.sleep(0)


def compute(seconds: float) -> None:
    """Uses the processor for that long, as a parser would."""
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


@pytest.mark.parametrize("hold", [compute, time.sleep], ids=["computing", "waiting for the kernel"])
async def test_what_holds_the_loop_is_seen_as_its_own_lag(hold: object, lag: Lag) -> None:
    await looked(lag, 1)
    assert callable(hold)
    hold(BLOCK)
    await looked(lag, 1)

    # At rest it is told too short by the time to the next look at most.
    assert lag.worst >= lag.own >= BLOCK - REST_SECONDS - 0.02
    assert lag.minute == lag.worst


async def test_a_loop_at_rest_is_looked_at_seldom(lag: Lag) -> None:
    await asyncio.sleep(4 * REST_SECONDS)

    assert 1 <= lag.looks <= 6


async def test_a_loop_that_works_is_looked_at_often(lag: Lag) -> None:
    begun = time.thread_time()
    async with asyncio.timeout(20):
        while lag.looks < 20:
            compute(0.005)
            await asyncio.sleep(0)

    assert time.thread_time() - begun < 20 * REST_SECONDS


async def test_the_gauge_tells_what_was_seen(lag: Lag) -> None:
    await looked(lag, 1)
    compute(BLOCK)
    await looked(lag, 1)
    lag.show()

    shown = {
        what: REGISTRY.get_sample_value("gateway_loop_lag_seconds", {"what": what})
        for what in ("worst", "own", "minute")
    }
    assert shown == {"worst": lag.worst, "own": lag.own, "minute": lag.minute}


async def test_nothing_is_looked_at_after_the_stop() -> None:
    lag = Lag()
    lag.start()
    lag.stop()
    await asyncio.sleep(2 * REST_SECONDS)

    assert lag.looks == 0
