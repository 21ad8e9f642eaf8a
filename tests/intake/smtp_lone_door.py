"""A door in a process of its own, for measuring its memory: prints its port, ends when stdin does."""

from __future__ import annotations

import asyncio
import sys

from smtp_house import open_house

from gateway.events import setup
from gateway.intake.smtp import Limits


async def main(slack_bytes: int) -> None:
    house = await open_house(limits=Limits(slack_bytes=slack_bytes))
    print(house.port, flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await house.door.close(1)


setup(sys.stderr)
asyncio.run(main(int(sys.argv[1])))
