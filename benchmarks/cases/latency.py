"""How long a single mail takes on an idle system, from the connection at the door to the mail host behind."""

from __future__ import annotations

import time
from pathlib import Path

from benchmarks.case import POSTFIX, Case, Goal, Values, waits
from benchmarks.inbox import Inbox
from benchmarks.load import Client
from benchmarks.system import DOMAIN, tech
from benchmarks.systems import system

WARM = 20


async def single(name: str, room: Path, count: int) -> Values:
    seconds: list[float] = []
    async with Inbox() as inbox, system(name, room, relay=inbox.port) as one:
        for n in range(WARM + count):
            begun = time.perf_counter()
            client = await Client.connect(one.port)
            await client.mail(f"{tech(n)}@{DOMAIN}", f"single-{n}")
            await inbox.holds(n + 1, 60)
            seconds.append(time.perf_counter() - begun)
            await client.quit()
    return waits(seconds[WARM:])


CASES = (
    Case(
        name="latency",
        title="one mail at a time, door to mail host",
        measure=single,
        count=300,
        quick=20,
        rivals=POSTFIX,
        goals=(Goal(metric="p50 ms", most=1, ratio=True), Goal(metric="p99 ms", most=1, ratio=True)),
    ),
)
