"""Files at /media/<token>/<name>, for the provider and for people: a few at a time, to whoever knows the token.

What is unknown, misnamed or over its time has one and the same answer.  A reader that is too slow is cut.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable

from aiohttp import web

from gateway.core.model import MediaFile
from gateway.events import emit
from gateway.ports import SpoolUnavailable

PREFIX = "/media/"
_PATH = re.compile(r"/media/([a-z0-9]{8,64})/([A-Za-z0-9][A-Za-z0-9.-]{0,59})")
_AT_ONCE = 8  # each holds a file of up to 5 MB
_WAIT_SECONDS = 10.0
_SEND_SECONDS = 60.0
# Twilio refuses a file whose Content-Type is not what it is; anything else is no page that a browser would run.
_KINDS = {
    "image/jpeg": "image/jpeg",
    "image/png": "image/png",
    "image/gif": "image/gif",
    "application/pdf": "application/pdf",
}
_OTHER = "application/octet-stream"


class MediaDesk:
    """Hands out what `media` finds by its token; that may raise SpoolUnavailable, answered 503."""

    def __init__(
        self,
        media: Callable[[str], Awaitable[MediaFile | None]],
        *,
        at_once: int = _AT_ONCE,
        wait_seconds: float = _WAIT_SECONDS,
        send_seconds: float = _SEND_SECONDS,
    ) -> None:
        self._media = media
        self._turns = asyncio.Semaphore(at_once)
        self._wait_seconds = wait_seconds
        self._send_seconds = send_seconds

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """GET and HEAD: the file, 404 for none, 503 when too many are asked for or the store does not answer."""
        if request.method not in ("GET", "HEAD"):
            return _say(405, "only GET and HEAD are answered here", {"Allow": "GET, HEAD"})
        found = _PATH.fullmatch(request.raw_path.partition("?")[0])
        if found is None:
            return _say(404, "not found")
        try:
            async with asyncio.timeout(self._wait_seconds):
                await self._turns.acquire()
        except TimeoutError:
            return _say(503, "try again later", {"Retry-After": "10"})
        try:
            return await self._serve(request, found[1], found[2])
        finally:
            self._turns.release()

    async def _serve(self, request: web.Request, token: str, name: str) -> web.StreamResponse:
        try:
            file = await self._media(token)
        except SpoolUnavailable as fault:
            emit("spool.failed", error=str(fault), during="serving media")
            return _say(503, "try again later", {"Retry-After": "10"})
        if file is None or file.name != name:
            return _say(404, "not found")
        response = web.Response(body=file.data, headers=_headers(file, name))
        try:
            async with asyncio.timeout(self._send_seconds):
                await response.prepare(request)
                await response.write_eof()
        except TimeoutError:
            if request.transport is not None:
                request.transport.abort()
        return response


def _headers(file: MediaFile, name: str) -> dict[str, str]:
    kind = _KINDS.get(file.kind, _OTHER)
    return {
        "Content-Type": kind,
        "Content-Disposition": f'{"attachment" if kind == _OTHER else "inline"}; filename="{name}"',
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "private",
        "X-Robots-Tag": "noindex",
    }


def _say(status: int, text: str, headers: dict[str, str] | None = None) -> web.Response:
    return web.Response(status=status, text=f"{text}\n", headers=headers)
