"""What many rows cost: the rate, start and commands of a daemon whose store is full of what waits or is done."""

from __future__ import annotations

import functools
import tempfile
import time
from pathlib import Path

from benchmarks import load
from benchmarks.case import Case, Goal, Values
from benchmarks.seed import place, seed
from benchmarks.subject import Gateway, Shop
from benchmarks.system import tech_phone

SESSIONS = 50
WARM = 100
SOME, MANY = 20, 200  # rows for each mail that is sent
EMPTY = "empty"
STORES = {
    f"{times}x {'done' if done else 'waiting'}": (times, done) for times in (SOME, MANY) for done in (False, True)
}


async def grown(name: str, room: Path, count: int) -> Values:
    async with load.Sink(room) as sink:
        gateway = Gateway(room, Shop(relay=sink.port))
        if name != EMPTY:
            times, done = STORES[name]
            place(await _store(times * count, done), gateway)
        begun = time.perf_counter()
        async with gateway:
            started = time.perf_counter() - begun
            await load.warm(gateway, WARM, sink)
            begun = time.perf_counter()
            await load.mails(gateway.port, count, SESSIONS, keep_open=True)
            await sink.holds(WARM + count)
            rate = count / (time.perf_counter() - begun)
            listed = await _seconds(gateway, "queue", "list")
            traced = await _seconds(gateway, "trace", f"+1{tech_phone(1)}")
    return {"mails/s": rate, "start s": started, "queue list s": listed, "trace s": traced}


async def _seconds(gateway: Gateway, *words: str) -> float:
    begun = time.perf_counter()
    await gateway.command(*words)
    return time.perf_counter() - begun


async def _store(rows: int, done: bool) -> Path:
    """A store with so many mails.  It takes minutes to make, so all repeats copy one."""
    folder = Path(_folder().name) / f"{rows}-{done}"
    if not folder.exists():
        folder.mkdir()
        return await seed(folder, rows, done=done)
    return folder / "gateway" / "gateway.db"


@functools.cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    """Of all stores; it goes with this process."""
    return tempfile.TemporaryDirectory(prefix="bench-stores-")


CASES = (
    Case(
        name="growth",
        title=f"mail through while the store holds {SOME} and {MANY} times as many (100,000 and 1,000,000)",
        measure=grown,
        count=5_000,
        quick=100,
        most=3,
        subjects=tuple(STORES),
        rivals=(EMPTY,),
        durable=False,
        goals=(
            *(Goal(metric="mails/s", subject=name, least=0.9, ratio=True) for name in STORES),
            *(Goal(metric=f"{what} s", subject=name, most=0.5) for what in ("queue list", "trace") for name in STORES),
            Goal(metric="start s", subject=f"{SOME}x waiting", most=2),
        ),
    ),
)
