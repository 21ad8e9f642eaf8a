"""What a system takes: memory before, under and after a load, and the processor while nothing happens."""

from __future__ import annotations

import asyncio
from pathlib import Path

from benchmarks import load
from benchmarks.case import POSTFIX, Case, Goal, Values
from benchmarks.processes import cpu, memory
from benchmarks.subject import Gateway, Shop
from benchmarks.system import System
from benchmarks.systems import system

SESSIONS = 50
WARM = 20
REST_SECONDS = 15.0  # then a system is idle
LOOK_SECONDS = 0.2


class Watch:
    """The most memory that a system held while the block ran, in MiB.  Use as `async with`."""

    def __init__(self, one: System) -> None:
        self.most = 0.0
        self._one = one
        self._looking: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Watch:
        self._looking = asyncio.create_task(self._look())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.wait({self._looking})

    async def _look(self) -> None:
        while True:
            self.most = max(self.most, memory(self._one.pids))
            await asyncio.sleep(LOOK_SECONDS)


async def held(name: str, room: Path, count: int) -> Values:
    async with load.Sink(room) as sink, system(name, room, relay=sink.port) as one:
        await load.warm(one, WARM, sink)
        await asyncio.sleep(REST_SECONDS)
        idle = memory(one.pids)
        async with Watch(one) as watch:
            await load.mails(one.port, count, SESSIONS, keep_open=False)
            await sink.holds(WARM + count)
        await asyncio.sleep(REST_SECONDS)
        return {"under load MiB": watch.most, "idle MiB": idle, "after MiB": memory(one.pids)}


async def long_run(_: str, room: Path, count: int) -> Values:
    """So many mails of the usual size, and for each 500 of them one of 5 MB."""
    async with load.Sink(room) as sink, Gateway(room, Shop(relay=sink.port)) as gateway:
        await load.warm(gateway, WARM, sink)
        await asyncio.sleep(REST_SECONDS)
        idle = memory(gateway.pids)
        big = max(count // 500, 1)
        async with Watch(gateway) as small:
            await load.mails(gateway.port, count, SESSIONS, keep_open=True)
            await sink.holds(WARM + count)
        async with Watch(gateway) as large:
            await load.mails(gateway.port, big, 4, keep_open=True, size=5_000_000)
            await sink.holds(WARM + count + big)
        await asyncio.sleep(REST_SECONDS)
        after = memory(gateway.pids)
        return {
            "idle MiB": idle,
            "under load MiB": small.most,
            "of 5 MB MiB": large.most,
            "after MiB": after,
            "after / idle": after / idle,
        }


async def rests(_: str, room: Path, seconds: int) -> Values:
    async with Gateway(room, Shop(relay=1)) as gateway:
        await load.warm(gateway, 1)
        await asyncio.sleep(REST_SECONDS)
        before = cpu(gateway.pids)
        await asyncio.sleep(seconds)
        return {"cpu %": (cpu(gateway.pids) - before) / seconds * 100}


CASES = (
    Case(
        name="memory",
        title=f"memory of all processes, {SESSIONS} sessions",
        measure=held,
        count=5_000,
        quick=200,
        rivals=POSTFIX,
    ),
    Case(
        name="memory-long",
        title="memory of all processes, 100,000 mails of 1.2 KB and 200 of 5 MB",
        measure=long_run,
        count=100_000,
        quick=500,
        most=1,
        goals=(
            Goal(metric="idle MiB", most=80),
            Goal(metric="under load MiB", most=150),
            Goal(metric="of 5 MB MiB", most=150),
            Goal(metric="after / idle", most=1.1),
        ),
    ),
    Case(
        name="idle",
        title="a processor's time at rest",
        most=2,
        measure=rests,
        count=60,
        quick=2,
        goals=(Goal(metric="cpu %", most=0.2),),
    ),
)
