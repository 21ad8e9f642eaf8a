"""A mail host of our own behind a system, where it matters which mail came, and when."""

from __future__ import annotations

import asyncio
import re
import time

from benchmarks.processes import Failed, free_port

_IDENT = re.compile(rb"(?mi)^message-id:\s*(\S+)")


class Inbox:
    """`arrived`: Message-IDs, each with the time of its first arrival by time.perf_counter.  Use as `async with`."""

    def __init__(self, port: int = 0) -> None:
        self.port = port or free_port()
        self.arrived: dict[bytes, float] = {}
        self.mails = 0  # with those that came twice
        self._server: asyncio.Server | None = None
        self._bell = asyncio.Event()

    async def __aenter__(self) -> Inbox:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Session(self), "127.0.0.1", self.port, backlog=1000)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.close()

    def took(self, mail: bytes) -> None:
        found = _IDENT.search(mail)
        self.mails += 1
        self.arrived.setdefault(found[1] if found else b"none %d" % self.mails, time.perf_counter())
        self._bell.set()

    async def holds(self, count: int, deadline: float) -> None:
        """Waits until so many different mails have come.  Raises Failed."""
        try:
            async with asyncio.timeout(deadline):
                while len(self.arrived) < count:
                    self._bell.clear()
                    await self._bell.wait()
        except TimeoutError:
            raise Failed(f"{len(self.arrived)} of {count} mails came within {deadline:g} s") from None


class _Session(asyncio.Protocol):
    """RFC 5321 as far as a relay needs it, with PIPELINING (RFC 2920)."""

    def __init__(self, inbox: Inbox) -> None:
        self._inbox = inbox
        self._buffer = b""
        self._in_data = False
        self._wire: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport) or hasattr(transport, "write")
        self._wire = transport  # type: ignore[assignment]  # uvloop's transports are no asyncio.WriteTransport
        self._say(b"220 inbox ESMTP")

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while self._mail() if self._in_data else self._command():
            pass

    def _mail(self) -> bool:
        mail, end, rest = self._buffer.partition(b"\r\n.\r\n")
        if not end:
            return False
        self._buffer, self._in_data = rest, False
        self._inbox.took(mail)
        self._say(b"250 2.0.0 taken")
        return True

    def _command(self) -> bool:
        line, end, rest = self._buffer.partition(b"\r\n")
        if not end:
            return False
        self._buffer = rest
        verb = line[:4].upper()
        if verb == b"DATA":
            self._in_data = True
            self._say(b"354 go on")
        elif verb == b"EHLO":
            self._say(b"250-inbox\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 ENHANCEDSTATUSCODES")
        elif verb == b"QUIT":
            self._say(b"221 2.0.0 bye")
            assert self._wire is not None
            self._wire.close()
        else:
            self._say(b"250 2.0.0 good")
        return True

    def _say(self, line: bytes) -> None:
        assert self._wire is not None
        self._wire.write(line + b"\r\n")
