"""A burst while the relay is down: all is taken, memory stays flat, and all goes out once the relay is back."""

from __future__ import annotations

import time
from pathlib import Path

from benchmarks import load
from benchmarks.case import Case, Goal, Values
from benchmarks.cases.memory import Watch
from benchmarks.inbox import Inbox
from benchmarks.processes import free_port, memory
from benchmarks.subject import Gateway, Shop

SESSIONS = 50
WARM = 20
_DEADLINE = 1800.0


async def outage(_: str, room: Path, count: int) -> Values:
    relay = free_port()
    async with Gateway(room, Shop(relay=relay)) as gateway:
        await load.warm(gateway, WARM)
        before = memory(gateway.pids)
        async with Watch(gateway) as watch:
            taken = await load.mails(gateway.port, count, SESSIONS, keep_open=True)
            begun = time.perf_counter()
            async with Inbox(relay) as inbox:
                # The breaker looks once a minute whether the relay is back: that is part of what a shop waits for.
                await inbox.holds(WARM + count, _DEADLINE)
                first = min(inbox.arrived.values())
                drained = time.perf_counter()
        return {
            "taken/s": taken.rate,
            "drained/s": count / (drained - first),
            "back after s": first - begun,
            "twice": inbox.mails - len(inbox.arrived),
            "more MiB": watch.most - before,
        }


CASES = (
    Case(
        name="burst",
        title="a burst while the relay is down; all of it came out",
        measure=outage,
        count=20_000,
        quick=200,
        most=2,
        goals=(Goal(metric="twice", most=0), Goal(metric="more MiB", most=64)),
    ),
)
