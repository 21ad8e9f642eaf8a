"""One way out for deliveries, the relay or a number of ours: its queue, its pace and its breaker."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field

from gateway.core import notice
from gateway.core.model import Fate, Kind
from gateway.core.work import Deferred, Delivery

MAIL = "mail"  # the way of deliveries without a number
BULK = notice.PRIORITY[Kind.TEXT]
MOST_PAUSE = 3600.0  # seconds; more is not believed of a Retry-After


@dataclass(slots=True, order=True)
class Item:
    """A place in a queue; `delivery` None tells a worker to end.

    In the order of arrival, not of age: of each conversation one text at a time is in the queue, so that one with a
    hundred texts takes turns with one that has a single text.
    """

    priority: int
    count: int
    delivery: Delivery | None = field(compare=False)


@dataclass(slots=True)
class Way:
    """One way out: its queue, its pace, its breaker."""

    name: str
    bound: int
    gate: asyncio.Lock = field(default_factory=asyncio.Lock)  # whoever is next waits for the pace in it
    queue: asyncio.PriorityQueue[Item] = field(default_factory=asyncio.PriorityQueue)
    next_at: float = 0.0  # monotonic time at which the pace allows the next segment
    open_until: float = 0.0  # breaker: monotonic time until which nothing is tried
    failures: int = 0
    down: bool = False  # that it is at fault has been said

    @property
    def full(self) -> bool:
        return self.queue.qsize() >= self.bound

    def closed_for(self, delivery: Delivery) -> float:
        """For how many seconds nothing is tried, 0 = it is; a look-up is no text."""
        return max(0.0, self.open_until - time.monotonic()) if delivery.fate is Fate.WAITING else 0.0

    def failed(self, outcome: Deferred) -> bool:
        """Leaves the way alone for a while, longer with each failure; whether that is to be said.

        That it asks us to wait is no fault, unless it asks again.
        """
        busy = outcome.retry_after is not None
        self.failures += 1
        least = min(2.0 ** (self.failures - busy), 60.0)
        self.open_until = time.monotonic() + max(least, min(outcome.retry_after or 0.0, MOST_PAUSE))
        said = self.down or self.failures <= busy
        self.down = self.down or not said
        return not said

    def takes(self, delivery: Delivery) -> bool:
        """Whether there is room; a full queue of bulk still takes what goes before it."""
        return self.queue.qsize() < self.bound * (1 if delivery.priority >= BULK else 2)


def way_of(delivery: Delivery) -> str:
    """The way of a delivery.  Look-ups have one of their own: they cost no text, so no pace holds them."""
    if not delivery.number:
        return MAIL
    return delivery.number if delivery.fate is Fate.WAITING else f"look-ups of {delivery.number}"
