"""How fast mail is taken and kept; and how long a client waits meanwhile, from the connection to the 250."""

from __future__ import annotations

from pathlib import Path

from benchmarks import load
from benchmarks.case import POSTFIX, Case, Goal, Values, waits
from benchmarks.processes import free_port
from benchmarks.systems import system

SESSIONS = 100
WARM = 50


async def one_a_connection(name: str, room: Path, count: int) -> Values:
    return await _accept(name, room, count, keep_open=False)


async def kept_open(name: str, room: Path, count: int) -> Values:
    return await _accept(name, room, count, keep_open=True)


async def _accept(name: str, room: Path, count: int, *, keep_open: bool) -> Values:
    # The probes make part of the sessions: what waits must be a client like the others.
    sessions = SESSIONS - load.PROBES
    async with system(name, room, relay=free_port(), hold=True) as one:
        await load.warm(one, WARM)
        sent = await load.mails(one.port, count, sessions, keep_open=keep_open, probes=load.PROBES)
    return {"mails/s": sent.rate, **waits(sent.waits)}


CASES = (
    Case(
        name="accept",
        title=f"mail taken and kept, one a connection, {SESSIONS} sessions, {load.BYTES} bytes",
        measure=one_a_connection,
        count=10_000,
        quick=300,
        rivals=POSTFIX,
        goals=(
            Goal(metric="mails/s", least=2.3, ratio=True),
            Goal(metric="p99 ms", most=1 / 3, ratio=True),
        ),
    ),
    Case(
        name="accept-open",
        title=f"mail taken and kept, connections kept open, {SESSIONS} sessions",
        measure=kept_open,
        count=10_000,
        quick=300,
        rivals=POSTFIX,
        goals=(Goal(metric="mails/s", least=5.5, ratio=True),),
    ),
)
