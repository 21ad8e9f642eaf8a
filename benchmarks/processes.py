"""Processes of a benchmark: started, looked at in /proc, and ended by their id."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

SECONDS = 60.0  # how long anything may take to start or to end
_TICKS = os.sysconf("SC_CLK_TCK")


class Missing(Exception):
    """A case cannot be run here; the text says what it lacks."""


class Failed(Exception):
    """A program did not do what the measurement is about; the text says which and how."""


def tool(name: str) -> str:
    """Its path.  Raises Missing."""
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin:/usr/local/sbin")
    if found is None:
        raise Missing(f"{name} is not installed")
    return found


def free_port() -> int:
    """A port of loopback that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


class Program:
    """A program in the background that writes into `log`.  It leads a group: what it starts ends with it."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.returncode is None

    async def start(self, *words: str, env: Mapping[str, str] | None = None) -> None:
        with self._log.open("ab") as out:
            self._process = await asyncio.create_subprocess_exec(
                *words, stdin=asyncio.subprocess.DEVNULL, stdout=out, stderr=out, env=env, start_new_session=True
            )

    async def listens(self, port: int) -> None:
        """Waits until `port` takes connections.  Raises Failed when the program ends before."""
        try:
            async with asyncio.timeout(SECONDS):
                while not await _answers(port):
                    if not self.running:
                        raise Failed(f"a program ended at its start: {self.said()}")
                    await asyncio.sleep(0.01)
        except TimeoutError:
            raise Failed(f"nobody listens at port {port}: {self.said()}") from None

    async def ended(self, deadline: float) -> None:
        """Waits until it has ended well by itself.  Raises Failed."""
        assert self._process is not None
        try:
            async with asyncio.timeout(deadline):
                code = await self._process.wait()
        except TimeoutError:
            raise Failed(f"it did not end within {deadline:g} s: {self.said()}") from None
        if code:
            raise Failed(f"it ended with {code}: {self.said()}")

    async def stop(self, *, kill: bool = False) -> None:
        """Ends it, by force when it does not follow."""
        if self._process is None or self._process.returncode is not None:
            return
        started = descendants(self.pid)
        self._process.send_signal(signal.SIGKILL if kill else signal.SIGTERM)
        try:
            async with asyncio.timeout(SECONDS):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
        _end(started)

    def said(self) -> str:
        """The end of what it wrote."""
        return self._log.read_text(errors="replace")[-2000:]


def _end(pids: Iterable[int]) -> None:
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


async def _answers(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


async def run(*words: str, deadline: float = 600.0) -> str:
    """What a program printed.  Raises Failed when it did not end well."""
    process = await asyncio.create_subprocess_exec(
        *words,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(deadline):
            out, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        raise Failed(f"{Path(words[0]).name} ended with {process.returncode}: {out.decode(errors='replace')[-1000:]}")
    return out.decode(errors="replace")


def descendants(pid: int) -> list[int]:
    """All processes below `pid`, without itself."""
    found: list[int] = []
    for one in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            children = [int(child) for child in one.read_text().split()]
        except OSError:
            continue
        for child in children:
            found += [child, *descendants(child)]
    return found


def memory(pids: Sequence[int]) -> float:
    """MiB that these processes hold, shared pages counted once among those who share them (PSS)."""
    return sum(_value(pid, "smaps_rollup", "Pss:") for pid in pids) / 1024


def cpu(pids: Sequence[int]) -> float:
    """Seconds of a processor that these processes have used."""
    return sum(_ticks(pid) for pid in pids) / _TICKS


def _value(pid: int, file: str, name: str) -> int:
    try:
        lines = Path(f"/proc/{pid}/{file}").read_text().splitlines()
    except OSError:
        return 0  # it has ended meanwhile
    return sum(int(line.split()[1]) for line in lines if line.startswith(name))


def _ticks(pid: int) -> int:
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return 0
    # The name in parentheses may hold blanks; utime and stime are fields 14 and 15 (proc(5)).
    fields = text.rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])
