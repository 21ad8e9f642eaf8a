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
from asyncio import sslproto
from typing import ClassVar

from aiosmtpd.smtp import SMTP

from gateway.core.model import Door
from gateway.events import emit
from gateway.intake.limits import Terms

_LINGER = 5.0  # seconds for the last words to leave
_BLOCK = 65_536  # the reader holds twice this much, then the client must wait


class Gone(Exception):
    """The other side has left."""


class Cut(Exception):
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
        self.idle = False  # waiting for the client's next line
        self._mute = terms.implicit_tls  # plain words would spoil a handshake
        self.handshake: asyncio.Future[None] | None = None  # under way since the first byte
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

    @property
    def _known(self) -> bool:
        return self.terms.door is Door.SUBMISSION and self.terms.host.in_network(self.peer)

    # The type of uvloop's transports is no asyncio.Transport at run time, so this cannot be asserted.
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._pipe = transport
        self.peer = _address(transport.get_extra_info("peername"))
        reason = self.terms.crowd.enter(self, self.peer, known=self._known)
        if reason:
            self._turn_away(transport, reason)
            return
        _no_delay(transport)
        self._over_at = self.loop.time() + self.limits.session_seconds
        super().connection_made(transport)
        if self.terms.implicit_tls and self.terms.tls is not None:
            self.handshake = self.shake_hands(self.terms.tls)
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

    def dismiss(self) -> None:
        """Says 421 and hangs up if the client is idle; else the session ends before its next command."""
        if self.idle:
            self.say("421 4.3.2 This server is stopping, try again later")
            self._hang_up()

    def cut(self) -> None:
        """Ends the session now, whatever it does."""
        if self.task is not None:
            self.task.cancel()
        self._pipe.abort()

    def say(self, text: str) -> None:
        """Writes a reply and does not wait until it has left."""
        if text and not self._mute and not self._pipe.is_closing():
            lines = [line[:510].encode("ascii", "replace") for line in text.splitlines()]
            self._pipe.write(b"\r\n".join([*lines, b""]))

    def shake_hands(self, tls: ssl.SSLContext) -> asyncio.Future[None]:
        """Begins TLS, at once: nothing that comes from now on is read as plain text.  RFC 3207.

        Not `loop.start_tls`: before its first step uvloop may have read, and lost, the client's first words.
        """
        self._mute = True
        waiter: asyncio.Future[None] = self.loop.create_future()
        self._tls_protocol = sslproto.SSLProtocol(
            self.loop,
            self,
            tls,
            waiter,
            server_side=True,
            call_connection_made=False,
            ssl_handshake_timeout=self.limits.command_seconds,  # type: ignore[arg-type]  # a float is as good
        )
        self._pipe.set_protocol(self._tls_protocol)
        self._tls_protocol.connection_made(self._pipe)
        return waiter

    async def secured(self, handshake: asyncio.Future[None]) -> None:
        """Goes on under TLS when the handshake is done."""
        try:
            await handshake
        except OSError as error:
            raise Cut("", f"TLS handshake failed: {getattr(error, 'reason', None) or type(error).__name__}") from None
        if self._tls_protocol is None or self._pipe.is_closing():
            raise Gone
        pipe = self._tls_protocol._get_app_transport()  # type: ignore[attr-defined]  # as loop.start_tls does
        self._pipe = self.transport = pipe
        self._reader._transport = pipe  # type: ignore[attr-defined]  # as aiosmtpd does
        self._writer._transport = pipe  # type: ignore[attr-defined]
        self._over_ssl = self.secure = True
        self._mute = False

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
        self._timeout_handle = self.loop.call_later(min(_LINGER, self.limits.command_seconds), self._pipe.abort)

    def _turn_away(self, transport: asyncio.Transport, reason: str) -> None:
        emit("session.rejected", peer=self.peer, reason=reason)
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
