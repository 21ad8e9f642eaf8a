"""What a case costs the daemon: its memory, that of the processes that parse for it, and what held its loop."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp
from house import House
from rig import children, memory, mib, rig

LAG_SECONDS = 0.1  # nobody waits longer for one piece of work in the loop
READER_BYTES = 512 << 20  # reader.Limits: more than that no process that parses gets from the kernel
DAEMON_BYTES = 368 << 20  # what MemoryMax of systemd/gateway.service leaves beside two that parse, 512 MiB and 320 MiB
_EVERY_SECONDS = 0.01  # a child is replaced after it was ended: its peak is read while it lives


@dataclass(slots=True)
class Cost:
    """What a block has cost; `grown` in bytes, of the most that the daemon ever held, and lags since it started."""

    pid: int
    before: int
    grown: int = 0
    lag: float = 0.0  # seconds, also while the machine gave its processors to others
    own_lag: float = 0.0  # without that
    readers: dict[int, int] = field(default_factory=dict)  # the most bytes of each process that parsed, by pid

    @property
    def most(self) -> int:
        """The most bytes that the daemon ever held."""
        return self.before + self.grown

    @property
    def reader(self) -> int:
        """The most bytes that any process that parsed ever held."""
        return max(self.readers.values(), default=0)

    @property
    def told(self) -> str:
        reader = f", a reader at most {mib(self.reader)}" if self.readers else ""
        lag = f"lag at most {self.own_lag * 1000:.0f} ms, {self.lag * 1000:.0f} ms with the wait for a processor"
        return f"daemon + {mib(self.grown)}{reader}; {lag}"

    def look(self) -> None:
        self.grown = memory(self.pid) - self.before
        for child in children(self.pid):
            with contextlib.suppress(OSError, AssertionError):  # it has ended meanwhile
                self.readers[child] = max(self.readers.get(child, 0), memory(child))


@asynccontextmanager
async def costs(house: House) -> AsyncIterator[Cost]:
    """The cost of the block, whole when it has ended well.  What was there before is no part of its memory."""
    pid = rig(house).pid
    cost = Cost(pid, memory(pid))

    async def watch() -> None:
        while True:
            cost.look()
            await asyncio.sleep(_EVERY_SECONDS)

    watching = asyncio.create_task(watch())
    try:
        yield cost
    finally:
        watching.cancel()
    cost.look()
    gauges = await metrics(house)
    cost.lag, cost.own_lag = (gauges[f'gateway_loop_lag_seconds{{what="{what}"}}'] for what in ("worst", "own"))


async def metrics(house: House) -> dict[str, float]:
    """What /metrics says: a value for each name with its labels."""
    url = f"http://{house.daemon.doors['admin'][0]}/metrics"
    async with aiohttp.ClientSession() as http, http.get(url) as answer:
        lines = re.findall(r"(?m)^(\w+(?:\{.*\})?) (\S+)$", await answer.text())
    return {name: float(value) for name, value in lines}
