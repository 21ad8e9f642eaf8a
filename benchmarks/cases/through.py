"""How fast mail goes through: from the first connection at the door to the last mail at the mail host behind."""

from __future__ import annotations

import time
from pathlib import Path

from benchmarks import load
from benchmarks.case import POSTFIX, Case, Goal, Values
from benchmarks.systems import system

SESSIONS = 50
WARM = 100


async def one_a_connection(name: str, room: Path, count: int) -> Values:
    return await _through(name, room, count, keep_open=False)


async def kept_open(name: str, room: Path, count: int) -> Values:
    return await _through(name, room, count, keep_open=True)


async def _through(name: str, room: Path, count: int, *, keep_open: bool) -> Values:
    async with load.Sink(room) as sink, system(name, room, relay=sink.port) as one:
        await load.warm(one, WARM, sink)
        begun = time.perf_counter()
        await load.mails(one.port, count, SESSIONS, keep_open=keep_open)
        await sink.holds(WARM + count)
        return {"mails/s": count / (time.perf_counter() - begun)}


CASES = (
    Case(
        name="through",
        title=f"mail through, one a connection, {SESSIONS} sessions",
        measure=one_a_connection,
        count=5_000,
        quick=200,
        rivals=POSTFIX,
        goals=(Goal(metric="mails/s", least=2.5, ratio=True),),
    ),
    Case(
        name="through-open",
        title=f"mail through, connections kept open, {SESSIONS} sessions",
        measure=kept_open,
        count=5_000,
        quick=200,
        rivals=POSTFIX,
        goals=(Goal(metric="mails/s", least=4.5, ratio=True),),
    ),
)
