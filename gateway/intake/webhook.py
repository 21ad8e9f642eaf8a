"""The doors for HTTP: webhooks of providers and files on the public listener, health and metrics on the admin's.

A webhook is answered 2xx after its commit, and 503 when it could not be stored: the provider asks again or lists it.
The path and query count as they came over the wire; Host and X-Forwarded-* are never looked at.  Connections are
bounded: idle ones would use up the descriptors that the other doors need.
"""

from __future__ import annotations

import asyncio
import socket
import traceback
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from ipaddress import ip_address
from pathlib import Path

from aiohttp import ClientError, web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from gateway.core.model import InboundHook, MediaFile, TextIn
from gateway.doors import HookReader, HookRefused
from gateway.events import REGISTRY, emit
from gateway.intake.media import PREFIX, MediaDesk
from gateway.ports import Clock, SpoolUnavailable

MOST_BYTES = 64 * 1024
_BODY_SECONDS = 10.0
_STOP_SECONDS = 5.0
_IDLE_SECONDS = 10.0  # without a whole header, at the begin and between requests
_LINGER_SECONDS = 2.0  # for a body that nobody reads
_MOST_CONNECTIONS = 200
_MOST_PER_ADDRESS = 20

Answering = Callable[[web.Request], Awaitable[web.StreamResponse]]


class _Callers:
    """Who is connected to one door.  A caller on loopback is a proxy, and may hold all connections."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._inside: dict[_Connection, str] = {}
        self._by_peer: Counter[str] = Counter()

    def enter(self, caller: _Connection, peer: str) -> str:
        """Lets a caller in; the answer is "", or the reason why he must stay outside."""
        if len(self._inside) >= self._most:
            return "too many connections"
        if self._by_peer[peer] >= _MOST_PER_ADDRESS and not _is_loopback(peer):
            return "too many connections from this address"
        self._inside[caller] = peer
        self._by_peer[peer] += 1
        return ""

    def leave(self, caller: _Connection) -> None:
        """Forgets a caller; he may never have been in."""
        peer = self._inside.pop(caller, None)
        if peer is None:
            return
        self._by_peer[peer] -= 1
        if not self._by_peer[peer]:
            del self._by_peer[peer]


class _Connection(web.RequestHandler):
    """One connection: closed at once where there are too many, and told no more than 400 where it speaks no HTTP."""

    __slots__ = ("_callers",)

    def __init__(self, callers: _Callers, server: web.Server) -> None:
        super().__init__(
            server,
            loop=asyncio.get_running_loop(),
            access_log=None,  # type: ignore[arg-type]  # which is how aiohttp is told to write none
            keepalive_timeout=_IDLE_SECONDS,
            lingering_time=_LINGER_SECONDS,
        )
        self._callers = callers

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        peer = str((transport.get_extra_info("peername") or ("local",))[0])
        reason = self._callers.enter(self, peer)
        if not reason:
            super().connection_made(transport)
            return
        emit("session.rejected", peer=peer, reason=reason)
        if isinstance(transport, asyncio.Transport):
            transport.abort()

    def connection_lost(self, exc: BaseException | None) -> None:
        self._callers.leave(self)
        super().connection_lost(exc)

    def handle_error(
        self, request: web.BaseRequest, status: int = 500, exc: BaseException | None = None, message: str | None = None
    ) -> web.StreamResponse:
        """What is no request, or broke our answer to one.  Neither the stranger's bytes nor our fault are shown."""
        emit("hook.rejected", provider="", status=status, reason="no sound request", peer=request.remote or "local")
        if request.writer.output_size > 0:
            raise ConnectionError("an answer has begun already")
        answer = web.Response(status=status, headers={"Server": "gateway"})
        answer.force_close()
        return answer


class _Site(web.BaseSite):
    """A socket that listens, for connections of ours."""

    def __init__(self, runner: web.AppRunner, bound: socket.socket, callers: _Callers) -> None:
        super().__init__(runner)
        self._bound = bound
        self._callers = callers

    @property
    def name(self) -> str:
        return f"http at {self._bound.getsockname()}"

    async def start(self) -> None:
        await super().start()
        server = self._runner.server
        assert server is not None
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Connection(self._callers, server), sock=self._bound)


class _Listener:
    """An aiohttp application on any number of addresses."""

    def __init__(self, app: web.Application, max_connections: int = _MOST_CONNECTIONS) -> None:
        app.on_response_prepare.append(_nameless)
        self._callers = _Callers(max_connections)
        self._runner = web.AppRunner(app, handle_signals=False, shutdown_timeout=_STOP_SECONDS)

    async def listen(self, host: str, port: int) -> int:
        """The port that is bound; 0 asks for a free one.  Raises OSError."""
        if self._runner.server is None:
            await self._runner.setup()
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        bound = socket.create_server((host, port), family=family, backlog=128)
        await _Site(self._runner, bound, self._callers).start()
        return int(bound.getsockname()[1])

    async def close(self) -> None:
        """Stops listening, lets requests end for some seconds, then cuts them."""
        await self._runner.cleanup()


class WebDoor(_Listener):
    """POST /hooks/<provider>/... for each provider of `readers`, and GET or HEAD /media/<token>/<name>.

    `keep` commits a hook and tells whether it was new; `media` finds a file, None: there are none.  Both may raise
    SpoolUnavailable.  A reader is given the whole path: what follows its provider's name is its own affair.
    """

    def __init__(
        self,
        readers: Mapping[str, HookReader],
        keep: Callable[[InboundHook], Awaitable[bool]],
        clock: Clock,
        *,
        media: Callable[[str], Awaitable[MediaFile | None]] | None = None,
        body_seconds: float = _BODY_SECONDS,
        max_connections: int = _MOST_CONNECTIONS,
    ) -> None:
        self._readers = readers
        self._desk = MediaDesk(media) if media else None
        self._keep = keep
        self._clock = clock
        self._body_seconds = body_seconds
        app = web.Application(client_max_size=MOST_BYTES)
        app.router.add_route("*", "/{rest:.*}", _guarded(self._answer))
        super().__init__(app, max_connections)

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        path, _, query = request.raw_path.partition("?")
        if self._desk is not None and path.startswith(PREFIX):
            return await self._desk.answer(request)
        return await self._hook(request, path, query)

    async def _hook(self, request: web.Request, path: str, query: str) -> web.Response:
        step = path.split("/")
        reader = self._readers.get(step[2]) if step[:2] == ["", "hooks"] and len(step) > 3 else None
        if reader is None:
            return _say(404, "not found")
        provider = step[2]
        if request.method != "POST":
            return _say(405, "only POST is answered here", {"Allow": "POST"})
        body = await self._body(request)
        if isinstance(body, HookRefused):
            return _refuse(body, provider, request)
        hook = reader.read(path, query, request.headers, body, self._clock.now())
        if isinstance(hook, HookRefused):
            return _refuse(hook, provider, request)
        try:
            new = await self._keep(hook)
        except SpoolUnavailable as fault:
            emit("hook.deferred", provider=provider, inbound=hook.id, error=str(fault))
            return _say(503, "try again later")
        emit("hook.accepted" if new else "hook.repeated", provider=provider, inbound=hook.id)
        return _thanks(hook)

    async def _body(self, request: web.Request) -> bytes | HookRefused:
        try:
            async with asyncio.timeout(self._body_seconds):
                return await request.read()
        except web.HTTPRequestEntityTooLarge:
            return HookRefused(status=413, reason="the form is too large")
        except (web.RequestPayloadError, ClientError, ConnectionError):
            return HookRefused(status=400, reason="the body broke off")
        except TimeoutError:
            return HookRefused(status=408, reason="the body did not come in time")


class AdminDoor(_Listener):
    """GET /healthz (alive), /readyz (able to keep promises), /metrics (Prometheus).

    `ready` answers what is in the way, nothing = ready; `refresh` brings the gauges of events.REGISTRY up to date.
    Both may raise SpoolUnavailable, answered 503.
    """

    def __init__(self, ready: Callable[[], Awaitable[Sequence[str]]], refresh: Callable[[], Awaitable[None]]) -> None:
        self._ready = ready
        self._refresh = refresh
        app = web.Application(client_max_size=MOST_BYTES)
        app.router.add_get("/healthz", _guarded(self._health))
        app.router.add_get("/readyz", _guarded(self._readiness))
        app.router.add_get("/metrics", _guarded(self._metrics))
        super().__init__(app)

    async def _health(self, _request: web.Request) -> web.Response:
        return _say(200, "alive")

    async def _readiness(self, _request: web.Request) -> web.Response:
        try:
            reasons = await self._ready()
        except SpoolUnavailable as fault:
            reasons = [f"the store: {fault}"]
        return _say(503, "\n".join(reasons)) if reasons else _say(200, "ready")

    async def _metrics(self, _request: web.Request) -> web.Response:
        try:
            await self._refresh()
        except SpoolUnavailable as fault:
            return _say(503, f"the store: {fault}")
        return web.Response(body=generate_latest(REGISTRY), headers={"Content-Type": CONTENT_TYPE_LATEST})


def _guarded(answer: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> Answering:
    """`answer`, with a plain 500 for any fault of ours."""

    async def guarded(request: web.Request) -> web.StreamResponse:
        try:
            return await answer(request)
        except Exception as fault:  # the edge: what went wrong is our log's, not the other side's
            frame = traceback.extract_tb(fault.__traceback__)[-1]
            emit("hook.failed", error=type(fault).__name__, where=f"{Path(frame.filename).name}:{frame.lineno}")
            return _say(500, "internal error")

    return guarded


def _thanks(hook: InboundHook) -> web.Response:
    """The 2xx that a provider wants: Twilio reads what it should text back, Flowroute takes nothing but 200."""
    if hook.provider != "twilio":
        return web.Response(status=200)
    if isinstance(hook.event, TextIn):
        return web.Response(text="<Response/>", content_type="text/xml")
    return web.Response(status=204)


def _refuse(refused: HookRefused, provider: str, request: web.Request) -> web.Response:
    emit(
        "hook.rejected", provider=provider, status=refused.status, reason=refused.reason, peer=request.remote or "local"
    )
    return _say(refused.status, refused.reason)


def _say(status: int, text: str, headers: Mapping[str, str] | None = None) -> web.Response:
    return web.Response(status=status, text=f"{text}\n", headers=headers)


def _is_loopback(peer: str) -> bool:
    try:
        return ip_address(peer).is_loopback
    except ValueError:
        return peer == "local"


async def _nameless(_request: web.Request, response: web.StreamResponse) -> None:
    response.headers["Server"] = "gateway"
