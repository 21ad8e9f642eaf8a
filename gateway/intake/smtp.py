"""The door for mail: listeners, and the sessions behind them.

A listener that cannot be opened raises OSError.  A session that fails answers 451 and is logged; the door stays open.
"""

from __future__ import annotations

import asyncio
import dataclasses
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress

from gateway.core.model import Door
from gateway.doors import Host
from gateway.intake.limits import Crowd, Limits, Terms
from gateway.intake.session import Session
from gateway.intake.throttle import Throttle

__all__ = ["Limits", "MailDoor"]

_BACKLOG = 512


class MailDoor:
    """All listeners for mail: they share one host, one TLS certificate and one set of limits."""

    def __init__(self, host: Host, limits: Limits, hostname: str, tls: ssl.SSLContext | None = None) -> None:
        """`hostname` is what the banner says.  Without `tls` neither STARTTLS nor implicit TLS is offered."""
        self._crowd = Crowd(limits)
        self._servers: list[asyncio.Server] = []
        self._terms = Terms(
            host=host,
            limits=limits,
            hostname=hostname,
            door=Door.PUBLIC,
            tls=tls,
            implicit_tls=False,
            crowd=self._crowd,
            throttle=Throttle(),
        )

    @property
    def open_sessions(self) -> int:
        """How many clients are in."""
        return len(self._crowd)

    @property
    def held_bytes(self) -> int:
        """How many bytes of unfinished mails are in memory."""
        return self._crowd.held_bytes

    @property
    def stopping(self) -> bool:
        """Whether `close` was called: every new command is answered 421."""
        return self._crowd.stopping

    async def listen(self, host: str, port: int, door: Door, *, implicit_tls: bool = False) -> int:
        """Opens a listener; the answer is its port, the chosen one for port 0.  Raises OSError."""
        loop = asyncio.get_running_loop()
        server = await loop.create_server(self._factory(door, implicit_tls), host, port, backlog=_BACKLOG)
        return self._opened(server)

    async def listen_on(self, sock: socket.socket, door: Door, *, implicit_tls: bool = False) -> int:
        """The same on a bound socket, for example one that systemd opened.  The door closes it."""
        loop = asyncio.get_running_loop()
        server = await loop.create_server(self._factory(door, implicit_tls), sock=sock, backlog=_BACKLOG)
        return self._opened(server)

    async def close(self, grace_seconds: float) -> None:
        """Stops listening, says 421 to idle clients, and returns when all have left.

        A mail that is being sent or committed is finished and answered if it takes no more than `grace_seconds`; what
        is open then is cut without an answer.
        """
        self._crowd.stopping = True
        for server in self._servers:
            server.close()
        for guest in self._crowd.guests():
            guest.dismiss()
        with suppress(TimeoutError):
            async with asyncio.timeout(grace_seconds):
                await self._crowd.empty.wait()
        for guest in self._crowd.guests():
            guest.cut()
        await self._crowd.empty.wait()
        for server in self._servers:
            await server.wait_closed()
        self._servers.clear()

    def _factory(self, door: Door, implicit_tls: bool) -> Callable[[], Session]:
        if implicit_tls and self._terms.tls is None:
            raise ValueError("implicit TLS needs a certificate")
        terms = dataclasses.replace(self._terms, door=door, implicit_tls=implicit_tls)
        return lambda: Session(terms)

    def _opened(self, server: asyncio.Server) -> int:
        for sock in server.sockets:
            # Its connections inherit this.  asyncio leaves Nagle's algorithm on where a socket was made with proto=0:
            # a third of the speed.
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._servers.append(server)
        return int(server.sockets[0].getsockname()[1])
