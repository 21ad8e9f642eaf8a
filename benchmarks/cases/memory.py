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
SETTLE_SECONDS = 3.0
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
        idle = memory(one.pids)
        async with Watch(one) as watch:
            await load.mails(one.port, count, SESSIONS, keep_open=False)
            await sink.holds(WARM + count)
        await asyncio.sleep(SETTLE_SECONDS)
        return {"under load MiB": watch.most, "idle MiB": idle, "after MiB": memory(one.pids)}


async def rests(_: str, room: Path, seconds: int) -> Values:
    async with Gateway(room, Shop(relay=1)) as gateway:
        await load.warm(gateway, 1)
        await asyncio.sleep(SETTLE_SECONDS)
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
        name="idle",
        title="a processor's time at rest",
        measure=rests,
        count=60,
        quick=2,
        goals=(Goal(metric="cpu %", most=0.2),),
    ),
)
