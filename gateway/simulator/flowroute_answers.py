"""What the simulated Flowroute answers, and how an answer goes wrong on purpose."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from collections.abc import Mapping

from aiohttp import web

from gateway.simulator.faults import Fault, Kinds, pause
from gateway.simulator.flowroute_hooks import JSON_API
from gateway.simulator.flowroute_texts import error

FLOWROUTE = Kinds(
    words={
        "drop": Fault(on="headers", mode="drop"),
        "drop-before": Fault(on="post", mode="drop"),
        "drop-after": Fault(on="post", mode="drop", stored=True),
        "reset-before": Fault(on="post", mode="reset"),
        "reset-after": Fault(on="post", mode="reset", stored=True),
        "late": Fault(on="post", mode="late", stored=True),
        "silent": Fault(on="post", mode="silent", stored=True),
        "reset-list": Fault(on="list", mode="reset"),
        "silent-list": Fault(on="list", mode="silent"),
        "reset-fetch": Fault(on="fetch", mode="reset"),
    },
    codes={
        "": Fault(on="post", mode="answer"),
        "before": Fault(on="post", mode="answer"),
        "after": Fault(on="post", mode="answer", stored=True),
        "html": Fault(on="post", mode="answer", html=True),
        "html-after": Fault(on="post", mode="answer", html=True, stored=True),
        "list": Fault(on="list", mode="answer"),
        "fetch": Fault(on="fetch", mode="answer"),
    },
)


async def fail(request: web.Request, fault: Fault, end: asyncio.Event) -> web.StreamResponse:
    """The answer that goes wrong; the connection is gone, or the answer never comes, in the other modes.

    `end` is set when the server ends.
    """
    if fault.mode == "answer":
        if fault.html:
            page = f"<html><body>{fault.code}</body></html>"
            return web.Response(status=fault.code, text=page, content_type="text/html")
        retry = {"Retry-After": f"{fault.seconds:g}"} if fault.code == 429 else {}
        return answer(error(fault.code, "as it was ordered"), fault.code, retry)
    if fault.mode in ("silent", "late"):
        await pause(end, None if fault.mode == "silent" else fault.seconds)
    else:
        _cut(request, hard=fault.mode == "reset")
    return web.Response(status=500)  # nobody reads it: aiohttp wants an answer from every handler


def no(status: int, words: str) -> web.Response:
    """Flowroute's `errors` with that status."""
    return answer(error(status, words), status)


def answer(document: Mapping[str, object], status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """A JSON:API document."""
    return web.Response(status=status, text=json.dumps(document), content_type=JSON_API, headers=headers)


def _cut(request: web.Request, *, hard: bool) -> None:
    """Ends the connection at once; `hard` by RST, so that the other side sees a reset and no end of file."""
    transport = request.transport
    if transport is None:
        return
    if hard:
        sock = transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
