"""The admin commands' socket: HTTP over control.sock, open to its owner alone (mode 0600)."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from aiohttp import web

from gateway.events import emit

MAX_BYTES = 64 * 1024 * 1024


class ControlDoor:
    """Answers POST /command {"verb", "arguments"} with JSON.  A command's no is an answer too, with status 200."""

    def __init__(self, run: Callable[[str, dict[str, Any]], Awaitable[dict[str, Any]]]) -> None:
        self._run = run
        app = web.Application(client_max_size=MAX_BYTES)
        app.router.add_post("/command", self._answer)
        self._runner = web.AppRunner(app, access_log=None)

    async def listen(self, path: Path) -> None:
        """Opens the socket; one that a dead daemon left is replaced (the state lock proves that it is dead)."""
        await self._runner.setup()
        path.unlink(missing_ok=True)
        before = os.umask(0o177)
        try:
            await web.UnixSite(self._runner, str(path)).start()
        finally:
            os.umask(before)
        path.chmod(stat.S_IRUSR | stat.S_IWUSR)

    async def close(self) -> None:
        """Closes the socket and removes it."""
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
            emit("engine.failed", loop="command", command=verb, error=repr(error), exc_info=error)
            return web.json_response({"error": "a fault of the gateway; its log has more", "exit": 1}, status=500)
