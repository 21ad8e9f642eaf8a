"""A clock that is set back holds nothing up; what it does otherwise changes nothing."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from datetime import UTC, timedelta
from pathlib import Path

import pytest
from clock import NOON, FakeClock

from gateway.core.model import Fate
from gateway.core.work import Writes
from gateway.spool.sqlite import SqliteSpool
from gateway.timekeeper import Timekeeper

sys.path.append(str(Path(__file__).parent / "spool"))

from spooled import delivery, message

HOUR = timedelta(hours=1)


class Steady:
    """Seconds that no hand sets."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
async def spool(tmp_path: Path, clock: FakeClock) -> AsyncIterator[SqliteSpool]:
    made = SqliteSpool(tmp_path / "gateway.db", clock=clock, floor_bytes=0, timezone=UTC)
    await made.open()
    retry = delivery("m1.1.1", due_at=NOON + timedelta(minutes=5), expires_at=NOON + HOUR, reason="retry")
    night = delivery("m2.1.1", due_at=NOON + 9 * HOUR, expires_at=NOON + 10 * HOUR, reason="quiet hours", lane="other")
    texts = (message("m1.1"), message("m2.1"))
    await made.write(Writes(messages=texts, deliveries=(retry, night)), lease=False)
    yield made
    await made.close()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(NOON)


async def due(spool: SqliteSpool) -> dict[str, str]:
    rows = await spool.find("queue")
    assert {row["fate"] for row in rows} == {Fate.WAITING}
    return {row["id"]: row["due_at"] for row in rows}


@pytest.mark.parametrize(
    ("by", "moved"),
    [
        pytest.param(-2 * HOUR, 2 * HOUR, id="two hours back"),
        pytest.param(timedelta(seconds=-31), timedelta(seconds=31), id="half a minute back"),
        pytest.param(timedelta(seconds=-29), timedelta(), id="slewed"),
        pytest.param(timedelta(), timedelta(), id="not at all"),
        pytest.param(24 * HOUR, timedelta(), id="a day ahead"),
    ],
)
async def test_what_waits_follows_a_clock_that_is_set_back(
    spool: SqliteSpool, clock: FakeClock, by: timedelta, moved: timedelta
) -> None:
    steady, told = Steady(), []
    keeper = Timekeeper(
        spool=spool, clock=clock, moved=lambda: told.append(1), stopped_within=lambda _: _never(), steady=steady
    )
    steady.now += 5
    clock.advance(timedelta(seconds=5) + by)
    for _ in range(2):  # it is moved once
        await keeper.look()

    assert await due(spool) == {
        "m1.1.1": f"{NOON + timedelta(minutes=5) - moved:%Y-%m-%dT%H:%M:%SZ}",
        "m2.1.1": f"{NOON + 9 * HOUR:%Y-%m-%dT%H:%M:%SZ}",  # the night ends by the clock on the wall
    }
    assert len(told) == bool(moved)


async def _never() -> bool:
    return True
