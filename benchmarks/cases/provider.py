"""The paid route: job mails become texts at the provider, one request each; customers' texts become reply mails."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from benchmarks import load
from benchmarks.case import Case, Goal, Values, waits
from benchmarks.provider import Provider, hook, post
from benchmarks.subject import NUMBERS, Gateway, Shop
from benchmarks.system import CUSTOMERS, DOMAIN, customer

AT_ONCE = 20


async def texts(_: str, room: Path, count: int) -> Values:
    async with Provider() as provider, Gateway(room, Shop(relay=1, api_url=provider.api_url)) as gateway:
        await _remind(gateway, provider, CUSTOMERS, 0)
        begun = time.perf_counter()
        told = await _remind(gateway, provider, count, CUSTOMERS)
        seconds = time.perf_counter() - begun
    return {"texts/s": count / seconds, "POSTs per text": told["posts"] / (CUSTOMERS + count)}


async def _remind(gateway: Gateway, provider: Provider, count: int, before: int) -> dict[str, int]:
    """Sends so many reminders, until all are posted."""
    posted = asyncio.create_task(provider.posted(before + count))
    try:
        async with asyncio.TaskGroup() as group:
            for n, _ in enumerate(NUMBERS):
                # Each number has a sender of its own, and the customers whose last digit says so.
                people = [f"{customer(c)}@{DOMAIN}" for c in range(n, CUSTOMERS, len(NUMBERS))]
                group.create_task(
                    load.mails(
                        gateway.port,
                        count // len(NUMBERS),
                        len(people),
                        keep_open=True,
                        to=people,
                        sender=f"shop{n}@shop.example.com",
                    )
                )
        return await posted
    finally:
        posted.cancel()


async def hooks(_: str, room: Path, count: int) -> Values:
    async with Provider() as provider, load.Sink(room) as sink:
        shop = Shop(relay=sink.port, api_url=provider.api_url, hooks=True)
        async with Gateway(room, shop) as gateway:
            await _remind(gateway, provider, CUSTOMERS, 0)
            made = [hook(n, customer(n)) for n in range(count)]
            begun = time.perf_counter()
            waited = await post(gateway.hooks, made, AT_ONCE)
            answered = time.perf_counter() - begun
            await sink.holds(count)
            through = time.perf_counter() - begun
    return {"hooks/s": count / answered, **waits(waited), "reply mails/s": count / through}


CASES = (
    Case(
        name="provider",
        title=f"texts to the simulated provider, {AT_ONCE} in flight by each of two numbers",
        measure=texts,
        count=2_000,
        quick=80,
        goals=(Goal(metric="texts/s", least=1000), Goal(metric="POSTs per text", least=1, most=1)),
    ),
    Case(
        name="webhook",
        title=f"texts of customers, signed webhooks to reply mail, {AT_ONCE} in flight",
        measure=hooks,
        count=1_000,
        quick=80,
        goals=(Goal(metric="hooks/s", least=1000), Goal(metric="p99 ms", most=100)),
    ),
)
