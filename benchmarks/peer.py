"""mailrise: the nearest thing in Python.  It turns a mail into a notification at once, and keeps nothing."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
from pathlib import Path
from typing import cast

from benchmarks.processes import Missing, Program, descendants, free_port
from benchmarks.system import DOMAIN

PROGRAM = "BENCH_MAILRISE"  # the variable that names it: `./dev bench` makes an environment for it
_LENGTH = re.compile(rb"(?i)\r\ncontent-length:[ \t]*(\d+)")
_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"

_CONFIG = """\
listen:
  host: 127.0.0.1
  port: {port}
configs:
  "*@{domain}":
    urls:
      - json://127.0.0.1:{target}/
"""


class Target:
    """An HTTP server that takes notifications and counts them.  Use as `async with`."""

    def __init__(self) -> None:
        self.port = free_port()
        self.count = 0

    async def __aenter__(self) -> Target:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Taking(self), "127.0.0.1", self.port, backlog=512)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()


class _Taking(asyncio.Protocol):
    def __init__(self, target: Target) -> None:
        self._target = target
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one by its methods only

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            found = _LENGTH.search(self._buffer, 0, end)
            whole = end + 4 + int(found.group(1) if found else 0)
            if len(self._buffer) < whole:
                return
            self._buffer = self._buffer[whole:]
            self._target.count += 1
            self._transport.write(_ANSWER)


class Mailrise:
    """system.System; each mail becomes one notification at `target`, a port of loopback."""

    def __init__(self, folder: Path, target: int) -> None:
        self._folder = folder
        self._target = target
        self._port = free_port()
        self._daemon = Program(folder / "mailrise.log")

    @property
    def port(self) -> int:
        return self._port

    @property
    def folder(self) -> Path:
        return self._folder

    @property
    def pids(self) -> list[int]:
        return [self._daemon.pid, *descendants(self._daemon.pid)]

    async def __aenter__(self) -> Mailrise:
        """Listens.  Raises Missing and Failed."""
        program = os.environ.get(PROGRAM) or shutil.which("mailrise")
        if program is None:
            raise Missing("mailrise is not installed: ./dev bench makes an environment for it")
        config = self._folder / "mailrise.yaml"
        config.write_text(_CONFIG.format(port=self._port, domain=DOMAIN, target=self._target))
        await self._daemon.start(program, str(config))
        try:
            await self._daemon.listens(self._port)
        except BaseException:
            await self._daemon.stop(kill=True)
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._daemon.stop()
