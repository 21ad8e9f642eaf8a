"""The admin commands' socket: HTTP over control.sock, open to its owner alone (mode 0600)."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from aiohttp import web

from gateway.events import emit, fault

MAX_BYTES = 64 * 1024 * 1024


class ControlDoor:
    """Answers POST /command {"verb", "arguments"} with JSON.  A command's no is an answer too, with status 200."""

    def __init__(self, run: Callable[[str, dict[str, Any]], Awaitable[dict[str, Any]]]) -> None:
        self._run = run
        app = web.Application(client_max_size=MAX_BYTES)
        app.router.add_post("/command", self._answer)
        self._runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=2.0)

    async def listen(self, path: Path) -> None:
        """Opens the socket; one that a dead daemon left is replaced (the state lock proves that it is dead)."""
        await self._runner.setup()
        await web.SockSite(self._runner, _private(path)).start()

    async def close(self) -> None:
        """Closes the socket."""
        await self._runner.cleanup()

    async def _answer(self, request: web.Request) -> web.Response:
        try:
            asked = await request.json()
            verb, arguments = str(asked["verb"]), dict(asked["arguments"])
        except (json.JSONDecodeError, KeyError, TypeError, ValueError) as error:
            return web.json_response({"error": f"not a command: {error!r}", "exit": 2}, status=400)
        try:
            return web.json_response(await self._run(verb, arguments))
        except Exception as error:
            emit("engine.failed", loop="command", command=verb, **fault(error))
            return web.json_response({"error": "a fault of the gateway; its log has more", "exit": 1}, status=500)


def _private(path: Path) -> socket.socket:
    """A bound socket that is its owner's alone from its first moment."""
    path.unlink(missing_ok=True)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        sock.bind(_short(path))
    finally:
        os.umask(before)
    return sock


def _short(path: Path) -> str:
    """A name within the 108 bytes that the kernel allows for a socket (unix(7)): the shorter of two."""
    return min(str(path), os.path.relpath(path), key=len)
