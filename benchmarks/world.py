"""The simulated provider in a process of its own, as the real one is: its work must not be the load's.

`python world.py ACCOUNT TOKEN` says {"api_url"} on stdout.  To each line N on stdin it answers, once N texts were
posted, {"posts", "texts", "surprises"}: requests to send, texts that were taken, and what a real provider would
complain of.  It ends with stdin.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import sys

import uvloop

from gateway.simulator.phones import Script
from gateway.simulator.world import World

_SECONDS = 300.0


async def _serve(account: str, token: str) -> None:
    lines = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    async with World(account, token) as world:
        # What it tells about a text would be one more load.
        world.twilio.phones.default = Script(statuses=(), callbacks=False)
        _say({"api_url": world.api_url})
        while line := await lines.readline():
            wanted = int(line)
            with contextlib.suppress(TimeoutError):  # the count tells
                await world.wait(functools.partial(_reached, wanted), _SECONDS)
            texts = sum(text.direction == "outbound-api" for text in world.phone(""))
            _say({"posts": _posts(world), "texts": texts, "surprises": world.surprises[:5]})


def _reached(wanted: int, world: World) -> bool:
    return _posts(world) >= wanted


def _posts(world: World) -> int:
    return sum(world.twilio.posts.values())


def _say(answer: dict[str, object]) -> None:
    print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    uvloop.run(_serve(sys.argv[1], sys.argv[2]))
