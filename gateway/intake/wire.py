"""aiosmtpd's SMTP, guarded: the connection below the verbs.

Stock 1.4.6 grows without bound on lines that never end and lets a client stay for ever.  Here bytes and time are
bounded, whatever the layers above do (dialog.py the loop, session.py the verbs: one object, three floors).
"""

from __future__ import annotations

import asyncio
import ipaddress
import math
import socket
import ssl
from typing import ClassVar

from aiosmtpd.smtp import SMTP

from gateway.events import emit
from gateway.intake.limits import Terms

_LINGER = 5.0  # seconds for the last words to leave
_BLOCK = 65_536  # the reader holds twice this much, then the client must wait


class Gone(Exception):  # noqa: N818  # an end, not an error
    """The other side has left."""


class Cut(Exception):  # noqa: N818
    """The session must end: what the client is told, and what the log says ('' = nothing)."""

    def __init__(self, reply: str, reason: str) -> None:
        super().__init__(reason)
        self.reply = reply
        self.reason = reason


class _Silent:
    """A handler of aiosmtpd without hooks; an empty dir() spares its search."""

    def __dir__(self) -> list[str]:
        return []


class Wire(SMTP):
    """One connection.  The verbs are `smtp_*` methods, found by name as in aiosmtpd."""

    line_length_limit = _BLOCK
    _pipe: asyncio.Transport  # set by connection_made; another one under TLS
    _names: ClassVar[list[str]] = []

    def __init_subclass__(cls) -> None:
        cls._names = [name for name in dir(cls) if name.startswith(("smtp_", "auth_"))]

    def __init__(self, terms: Terms) -> None:
        self.terms = terms
        self.limits = terms.limits
        self.peer = ""
        self.secure = False
        self._idle = False  # waiting for the client's next line
        self.committing = False
        self.ended = False
        self.commands = 0
        self.errors = 0
        self._room = terms.limits.max_bytes + terms.limits.slack_bytes
        self._deadline = math.inf
        self._over_at = math.inf
        super().__init__(
            _Silent(),
            hostname=terms.hostname,
            ident="ESMTP",
            timeout=terms.limits.command_seconds,
            loop=asyncio.get_running_loop(),
        )

    def __dir__(self) -> list[str]:
        """Only the verbs: aiosmtpd searches dir() twice for each connection, 95 us when it sees everything."""
        return self._names

    @property
    def task(self) -> asyncio.Task[None] | None:
        """The conversation; None when the client was turned away."""
        return self._handler_coroutine

    @property
    def in_mail(self) -> bool:
        """Whether a mail has begun: it may be finished although the session's time is over."""
        return False

    @property
    def _closes_at(self) -> float:
        return self._over_at + (self.limits.content_seconds if self.in_mail else 0)

    # -- what the loop calls

    # The type of uvloop's transports is no asyncio.Transport at run time, so this cannot be asserted.
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._pipe = transport
        self.peer = _address(transport.get_extra_info("peername"))
        reason = self.terms.crowd.enter(self, self.peer)
        if reason:
            self._turn_away(transport, reason)
            return
        _no_delay(transport)
        self._over_at = self.loop.time() + self.limits.session_seconds
        super().connection_made(transport)
        if self.task is not None:
            # Not `finally` in the coroutine: one that is cancelled before its first step never gets there.
            self.task.add_done_callback(self._left)

    def data_received(self, data: bytes) -> None:
        if self.task is None or self.task.done():
            return
        self._room -= len(data)
        if self._room < 0:
            emit("session.cut", peer=self.peer, reason="too many bytes")
            self.cut()
            return
        super().data_received(data)

    def eof_received(self) -> bool | None:
        """Lets the commands that came before the end be answered; aiosmtpd would drop them."""
        return asyncio.StreamReaderProtocol.eof_received(self)

    def connection_lost(self, error: Exception | None) -> None:
        if self._timeout_handle is not None:
            self._timeout_handle.cancel()
        asyncio.StreamReaderProtocol.connection_lost(self, error)
        # A commit runs to its end: the engine must hear of a mail that is stored.
        if self.task is not None and not self.committing:
            self.task.cancel()
        self.transport = None

    # -- what the door calls

    def dismiss(self) -> None:
        """Says 421 and hangs up if the client is idle; else the session ends before its next command."""
        if self._idle:
            self.say("421 4.3.2 This server is stopping, try again later")
            self._hang_up()

    def cut(self) -> None:
        """Ends the session now, whatever it does."""
        if self.task is not None:
            self.task.cancel()
        self._pipe.abort()

    # -- reading and writing

    def check_budgets(self) -> None:
        """Raises Cut when the session has used up its commands, errors or time, or the door is closing."""
        if self.terms.crowd.stopping:
            raise Cut("421 4.3.2 This server is stopping, try again later", "")
        if self.errors >= self.limits.errors:
            raise Cut("421 4.7.0 Too many errors", "too many errors")
        if self.commands >= self.limits.commands:
            raise Cut("421 4.7.0 Too many commands", "too many commands")
        if self.loop.time() >= self._closes_at:
            raise Cut("421 4.4.2 This session has lasted too long", "session time")
        self._room = self.limits.max_bytes + self.limits.slack_bytes

    async def line(self, limit: int) -> bytes:
        """The client's next line with its end, CRLF or LF.  Longer than `limit`: 500, and what came is thrown away."""
        while True:
            self._reset_timeout(min(self.limits.command_seconds, self._closes_at - self.loop.time()))
            self._idle = True
            try:
                line = await self._reader.readuntil(b"\n")
            except asyncio.LimitOverrunError:
                raise Cut("500 5.5.2 Line too long", "endless command line") from None
            except (asyncio.IncompleteReadError, OSError):
                raise Gone from None
            finally:
                self._idle = False
            if len(line) <= limit:
                self._reset_timeout()
                return line
            await self.push("500 5.5.2 Line too long")
            self.check_budgets()

    async def block(self) -> bytes:
        """The bytes of a mail that are there, at least one."""
        try:
            block = await self._reader.read(_BLOCK * 16)
        except OSError:
            raise Gone from None
        if not block:
            raise Gone
        return block

    def give_back(self, rest: bytes) -> None:
        """Puts bytes that came behind a mail before those that the reader holds; feed_data cannot after an EOF."""
        self._reader._buffer[:0] = rest  # type: ignore[attr-defined]  # as aiosmtpd clears it

    async def push(self, status: str | bytes) -> None:
        """Sends one reply, of one line or several; ASCII, no line over 512 bytes (RFC 5321 4.5.3.1.5)."""
        text = status.decode("ascii", "replace") if isinstance(status, bytes) else status
        self.errors += text.startswith("5")
        self.say(text)
        try:
            await self._writer.drain()
        except OSError:
            raise Gone from None

    def say(self, text: str) -> None:
        """Writes a reply and does not wait until it has left."""
        if text and not self._pipe.is_closing():
            lines = [line[:510].encode("ascii", "replace") for line in text.splitlines()]
            self._pipe.write(b"\r\n".join([*lines, b""]))

    # -- TLS

    def overtaken(self) -> bool:
        """Whether the client has sent on without waiting: what came in clear must not count as said under TLS."""
        return bool(self._reader._buffer)  # type: ignore[attr-defined]  # asyncio offers no look without taking

    async def start_tls(self, tls: ssl.SSLContext) -> None:
        """Goes on under TLS.  RFC 3207."""
        try:
            pipe = await self.loop.start_tls(
                self._pipe, self, tls, server_side=True, ssl_handshake_timeout=self.limits.command_seconds
            )
        except OSError as error:
            raise Cut("", f"TLS handshake failed: {getattr(error, 'reason', None) or type(error).__name__}") from None
        if pipe is None:
            raise Gone
        self._pipe = self.transport = pipe
        self._reader._transport = pipe  # type: ignore[attr-defined]  # asyncio does so from 3.12 on
        self._writer._transport = pipe  # type: ignore[attr-defined]
        self._over_ssl = True
        self.secure = True

    # -- time

    def _reset_timeout(self, duration: float | None = None) -> None:
        """Moves the deadline.  An earlier timer stays and is set again when it fires: a command costs none."""
        self._deadline = self.loop.time() + (self._timeout_duration if duration is None else duration)
        if self._timeout_handle is not None and self._timeout_handle.when() <= self._deadline:
            return
        if self._timeout_handle is not None:
            self._timeout_handle.cancel()
        self._timeout_handle = self.loop.call_at(self._deadline, self._timeout_cb)

    def no_timeout(self) -> None:
        """Stops the clock while the host works: that is not the client's time."""
        self._deadline = math.inf

    def _timeout_cb(self) -> None:
        self._timeout_handle = None
        if self._deadline == math.inf:
            return
        if self.loop.time() < self._deadline:
            self._timeout_handle = self.loop.call_at(self._deadline, self._timeout_cb)
            return
        reason = "session time" if self.loop.time() >= self._closes_at else "too slow"
        emit("session.cut", peer=self.peer, reason=reason)
        self.say("421 4.4.2 No more time")
        self._hang_up()

    def _hang_up(self) -> None:
        self._pipe.close()
        if self._timeout_handle is not None:
            self._timeout_handle.cancel()
        # One that does not read keeps a closed connection open for as long as it likes.
        self._timeout_handle = self.loop.call_later(_LINGER, self._pipe.abort)

    # -- the end

    def _turn_away(self, transport: asyncio.Transport, reason: str) -> None:
        emit("session.rejected", peer=self.peer, reason=reason)
        if not self.terms.implicit_tls:
            code = "4.3.2" if reason == "stopping" else "4.7.0"
            self.say(f"421 {code} {reason.capitalize()}, try again later")
        transport.close()

    def _left(self, task: asyncio.Task[None]) -> None:
        self.terms.crowd.leave(self)
        if self.transport is not None:
            self._hang_up()
        if not task.cancelled() and (error := task.exception()):
            emit("session.failed", peer=self.peer, error=f"{type(error).__name__}: {error}", where="the conversation")


def _address(peername: object) -> str:
    """The peer's IP address as networks are written: no zone, and IPv4 where it is IPv4 in IPv6."""
    if not isinstance(peername, tuple) or not peername:
        return ""
    address = ipaddress.ip_address(str(peername[0]).partition("%")[0])
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(mapped or address)


def _no_delay(transport: asyncio.Transport) -> None:
    """asyncio leaves Nagle's algorithm on where the listening socket was made with proto=0: a third of the speed."""
    sock = transport.get_extra_info("socket")
    try:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except OSError:  # the client has left already: the first read tells
        return
