"""Clients of two IPv6 networks at one door, in a network namespace of their own: prints how each is greeted."""

from __future__ import annotations

import asyncio
import subprocess
import sys

from smtp_house import RecordingHost

from gateway.core.model import Door
from gateway.events import setup
from gateway.intake.smtp import Limits, MailDoor

CLIENTS = ("2001:db8:0:1::1", "2001:db8:0:1:2::2", "2001:db8:0:1:ffff::3", "2001:db8:0:2::1")


def _owned(*addresses: str) -> None:
    """Gives this namespace the addresses."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    for address in addresses:
        subprocess.run(["ip", "-6", "addr", "add", f"{address}/128", "dev", "lo", "nodad"], check=True)


async def main() -> None:
    door = MailDoor(RecordingHost(), Limits(connections_per_address=2), "mx.example.com")
    port = await door.listen("::", 0, Door.PUBLIC)
    writers = []
    async with asyncio.timeout(20):
        for address in CLIENTS:
            reader, writer = await asyncio.open_connection("::1", port, local_addr=(address, 0))
            writers.append(writer)
            print((await reader.readline())[:3].decode(), flush=True)
    for writer in writers:
        writer.transport.abort()
    await door.close(0)


setup(sys.stderr)
_owned(*CLIENTS)
asyncio.run(main())
