"""The provider beside a gateway: the simulator as a process, and the webhooks that a provider posts."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp

from benchmarks.processes import SECONDS, Failed
from benchmarks.subject import ACCOUNT, NUMBERS, PUBLIC_URL, TOKEN
from gateway.simulator.hooks import inbound_form, signature
from gateway.simulator.texts import Text, new_sid

_WORLD = Path(__file__).with_name("world.py")
_PATH = "/hooks/twilio/message"
_LONGEST = 330.0  # seconds for an answer of the simulator's process


class Provider:
    """world.py; use as `async with`."""

    def __init__(self) -> None:
        self.api_url = ""
        self._process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> Provider:
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            str(_WORLD),
            ACCOUNT,
            TOKEN,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        self.api_url = (await self._answer(SECONDS))["api_url"]
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._process is not None:
            await self._process.communicate(b"")

    async def posted(self, count: int) -> dict[str, Any]:
        """What world.py tells once so many texts were posted.  Raises Failed when they are not, or oddly."""
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(b"%d\n" % count)
        told = await self._answer(_LONGEST)
        if told["posts"] < count or told["surprises"]:
            raise Failed(f"{told['posts']} of {count} texts were posted; {told['surprises']}")
        return told

    async def _answer(self, seconds: float) -> dict[str, Any]:
        assert self._process is not None
        assert self._process.stdout is not None
        async with asyncio.timeout(seconds):
            line = await self._process.stdout.readline()
        if not line:
            raise Failed("the simulator ended")
        answer: dict[str, Any] = json.loads(line)
        return answer


@dataclass(frozen=True, slots=True)
class Hook:
    """A webhook about a customer's text, signed as the provider does it."""

    form: dict[str, str]
    signature: str


def hook(n: int, customer: str) -> Hook:
    """What customer, ten digits, texts to one of our numbers: words that no other text has."""
    now = datetime.now(UTC)
    text = Text(
        sid=new_sid(media=False),
        account=ACCOUNT,
        author=f"+1{customer}",
        to=NUMBERS[int(customer) % len(NUMBERS)],
        body=f"Thank you, I come at {n} past four.",
        direction="inbound",
        status="received",
        created=now,
        updated=now,
        segments=1,
    )
    form = inbound_form(text, "http://127.0.0.1")
    return Hook(form=form, signature=signature(TOKEN, PUBLIC_URL + _PATH, form))


async def post(base: str, hooks: list[Hook], at_once: int) -> list[float]:
    """Posts them to the gateway at `base`; how long each waited for its 2xx.  Raises Failed."""
    waits: list[float] = []
    left = iter(hooks)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=at_once)) as http:

        async def caller() -> None:
            for one in left:
                begun = time.perf_counter()
                async with http.post(
                    base + _PATH, data=one.form, headers={"X-Twilio-Signature": one.signature}
                ) as answer:
                    if answer.status // 100 != 2:
                        raise Failed(f"a webhook was answered {answer.status}")
                waits.append(time.perf_counter() - begun)

        await asyncio.gather(*(caller() for _ in range(at_once)))
    return waits
