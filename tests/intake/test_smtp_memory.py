"""The door's memory stays flat, whatever is poured into it."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from smtp_house import Client, connect

import gateway

MB = 2**20
POURED = 100 * MB


@asynccontextmanager
async def lone_door(slack_bytes: int) -> AsyncIterator[tuple[int, int]]:
    """The process id and the port of a door of its own."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(Path(__file__).with_name("smtp_lone_door.py")),
        str(slack_bytes),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": str(Path(gateway.__file__).parents[1])},
    )
    assert process.stdin is not None
    assert process.stdout is not None
    async with asyncio.timeout(60):
        port = int(await process.stdout.readline())
    yield process.pid, port
    process.stdin.close()
    async with asyncio.timeout(60):
        assert await process.wait() == 0


def peak(pid: int) -> int:
    """The most memory that a process ever held, in bytes."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1]) * 1024


async def pour(client: Client, block: bytes) -> None:
    """Sends 100 MB, or as much as the server takes before it hangs up."""
    try:
        for _ in range(POURED // len(block)):
            client.send(block)
            await client.writer.drain()
    except ConnectionError:
        return


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="no /proc here")
@pytest.mark.parametrize(
    "block",
    [
        pytest.param(b"a" * MB, id="no-line-end"),
        pytest.param(b".\n" * (MB // 2), id="bare-lf"),
        pytest.param((b"a" * 1022 + b"\r\n") * 1024, id="lines"),
        pytest.param(b"\r\n" * (MB // 2), id="empty-lines"),
    ],
)
@pytest.mark.parametrize(("slack_bytes", "end"), [(10 * MB, ""), (200 * MB, "5")], ids=["cut", "read-to-the-end"])
@pytest.mark.parametrize("stage", ["content", "command"])
async def test_a_hundred_megabytes_leave_no_trace_in_memory(
    stage: str, block: bytes, slack_bytes: int, end: str
) -> None:
    async with lone_door(slack_bytes) as (pid, port), await connect(port) as client:
        assert (await client.mail(b"Subject: x\r\n\r\nwarm\r\n.\r\n")).startswith("250")
        before = peak(pid)
        if stage == "content":
            for line in ("MAIL FROM:<jobs@shop.example>", "RCPT TO:<alice@sms.example.com>", "DATA"):
                await client.say(line)
        await pour(client, block)
        if stage == "content":
            client.send(b"\r\n.\r\n")
            assert (await client.reply())[:1] == end
        grown = peak(pid) - before

        assert grown < 16 * MB
