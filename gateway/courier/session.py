"""What every provider's requests have in common: deadlines, no repeated request, and proof of what was not sent."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from types import SimpleNamespace

import aiohttp


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """Seconds."""

    connect: float = 5.0
    read: float = 15.0  # between two pieces of the answer
    total: float = 20.0


class NotSentError(Exception):
    """The request certainly did not reach the other side."""


def limits(timeouts: Timeouts) -> aiohttp.ClientTimeout:
    """The deadlines of one request, for aiohttp."""
    return aiohttp.ClientTimeout(total=timeouts.total, sock_connect=timeouts.connect, sock_read=timeouts.read)


def watched(deadlines: aiohttp.ClientTimeout) -> aiohttp.ClientSession:
    """A session that sets `connected` of a request's trace_request_ctx once there is a connection for it."""
    watch = aiohttp.TraceConfig()
    watch.on_connection_create_end.append(_connected)
    watch.on_connection_reuseconn.append(_connected)
    return aiohttp.ClientSession(
        # a connection that died unseen makes a text unclear: keep none for long
        connector=aiohttp.TCPConnector(limit=20, keepalive_timeout=15),
        timeout=deadlines,
        cookie_jar=aiohttp.DummyCookieJar(),
        trace_configs=[watch],
    )


async def _connected(_session: aiohttp.ClientSession, context: SimpleNamespace, _params: object) -> None:
    context.trace_request_ctx.connected = True


async def text(answer: aiohttp.ClientResponse, most_bytes: int) -> str:
    """The body of an answer.  Raises aiohttp.ClientPayloadError beyond `most_bytes`, and what the network raises."""
    body = bytearray()
    async for piece in answer.content.iter_chunked(65536):
        body += piece
        if len(body) > most_bytes:
            raise aiohttp.ClientPayloadError("the answer is too long")
    return body.decode("utf-8", "replace")


def words(fault: Exception) -> str:
    """Why a request failed, without its address: that bears phone numbers."""
    if isinstance(fault, asyncio.TimeoutError):
        return "timed out"
    if isinstance(fault, aiohttp.ClientConnectorError):
        return f"{fault.host}:{fault.port}: {fault.os_error}"
    return type(fault).__name__
