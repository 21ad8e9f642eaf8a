"""The reader's end of a child process: its limits and place, the frames to and fro, and the little that it may know."""

from __future__ import annotations

import asyncio
import os
import struct
from asyncio.subprocess import Process
from dataclasses import dataclass
from pathlib import Path

import gateway

# A child is started when it is needed: an upgrade may have changed it under a daemon that runs.
READY = f"ready {gateway.__version__}".encode()
_LENGTH = struct.Struct(">I")
_LONGEST_ANSWER = 32 << 20  # bytes of one frame


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one question may use; time and CPU grow by a second for every `second_for_bytes` of what it is about."""

    deadline_seconds: float = 2.0
    cpu_seconds: int = 2  # at least 2; up to one less is given, see reader_child.renew
    decoding_seconds: int = 8  # more of both where pictures are decoded: a small file may hold 25 megapixels
    second_for_bytes: int = 4_000_000
    memory_bytes: int = 512 << 20  # address space of the child
    decoding_bytes: int = 320 << 20  # the same while pictures are decoded; systemd/gateway.service counts on both
    mails_per_child: int = 1_000
    rest_seconds: float = 10.0  # without a question: then a child ends; it takes 20 MiB, and a quarter second to start


class Slot:
    """The place of one child."""

    def __init__(self) -> None:
        self.child: Process | None = None
        self.mails = 0
        self._dying: list[Process] = []
        self._resting: asyncio.TimerHandle | None = None

    def rest(self, seconds: float) -> None:
        """Ends the child then, unless it is `wanted` before."""
        self._resting = asyncio.get_running_loop().call_later(seconds, self.kill)

    def wanted(self) -> None:
        """The child lives on."""
        if self._resting is not None:
            self._resting.cancel()
            self._resting = None

    def kill(self) -> None:
        """Ends the child at once, if there is one."""
        self.wanted()
        if self.child is not None:
            kill(self.child)
            self._dying.append(self.child)
            self.child = None

    async def emptied(self) -> None:
        """Waits until what was killed is gone: no slot ever has the memory of two children."""
        await asyncio.gather(*(child.wait() for child in self._dying))
        self._dying = [child for child in self._dying if child.returncode is None]


def close(child: Process) -> None:
    """Ends its stdin, which tells it to end."""
    if child.stdin is not None:
        child.stdin.close()


def kill(child: Process) -> None:
    """Ends it at once."""
    close(child)
    if child.returncode is None:
        child.kill()


async def send(child: Process, frame: bytes) -> None:
    """Writes one frame.  Raises EOFError without a child, and what the pipe raises."""
    if child.stdin is None:
        raise EOFError
    child.stdin.writelines((_LENGTH.pack(len(frame)), frame))
    await child.stdin.drain()


async def receive(child: Process) -> bytes:
    """The next frame.  Raises EOFError (IncompleteReadError is one) without a child, ValueError on too long a frame."""
    if child.stdout is None:
        raise EOFError
    size: int = _LENGTH.unpack(await child.stdout.readexactly(_LENGTH.size))[0]
    if size > _LONGEST_ANSWER:
        raise ValueError(size)
    return await child.stdout.readexactly(size)


def environment() -> dict[str, str]:
    """As little as Python needs: the daemon's may hold secrets, and the child reads what strangers wrote."""
    kept = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH", "LANG", "LC_ALL") if name in os.environ}
    home = str(Path(gateway.__file__).resolve().parent.parent)
    return kept | {"PYTHONPATH": home}
