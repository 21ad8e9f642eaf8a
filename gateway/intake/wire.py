"""The connection below the words of SMTP: one asyncio.Protocol, without a task and without a stream.

Bytes and time are bounded here, whatever the layers above do (dialog.py the loop of commands, login.py AUTH, session.py
the other verbs: one object, four floors).  Replies are collected, and leave as one packet when the layers above have
done what they can.
"""

from __future__ import annotations

import asyncio
import functools
import ipaddress
import math
import ssl
from asyncio import sslproto

from gateway.core.model import Door
from gateway.events import emit
from gateway.intake.limits import Terms

_LINGER = 5.0  # seconds for the last words to leave


class Cut(Exception):
    """The session must end: what the client is told, and what the log says ('' = nothing)."""

    def __init__(self, reply: str, reason: str) -> None:
        super().__init__(reason)
        self.reply = reply
        self.reason = reason


class Wire(asyncio.Protocol):
    """One connection, from the crowd's point of view one guest."""

    _pipe: asyncio.Transport  # set by connection_made; another one under TLS

    def __init__(self, terms: Terms) -> None:
        self.terms = terms
        self.limits = terms.limits
        self.loop = asyncio.get_running_loop()
        self.peer = ""
        self.secure = False
        self.over = False  # nothing more is read or answered
        self.full = False  # the client does not read its answers: he must do so first
        self.handshake: asyncio.Future[None] | None = None  # under way since the first byte
        self.work: asyncio.Task[str] | None = None  # what a command waits for
        self.committing = False
        self._mute = terms.implicit_tls  # plain words would spoil a handshake
        self._replies: list[str] = []
        self._timer: asyncio.TimerHandle | None = None
        self._rings = math.inf  # when the timer does
        self._deadline = math.inf
        self._over_at = math.inf
        self._room = terms.limits.max_bytes + terms.limits.slack_bytes

    def begin(self) -> None:
        """The client may be greeted now."""
        raise NotImplementedError

    def go_on(self) -> None:
        """What came may be read now."""
        raise NotImplementedError

    def forget(self) -> None:
        """Nothing of what came is needed any more."""
        raise NotImplementedError

    @property
    def idle(self) -> bool:
        """Whether it waits for the client's next line."""
        raise NotImplementedError

    @property
    def in_mail(self) -> bool:
        """Whether a mail has begun: it may be finished although the session's time is over."""
        raise NotImplementedError

    # The type of uvloop's transports is no asyncio.Transport at run time, so this cannot be asserted.
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._pipe = transport
        self.peer = _address(transport.get_extra_info("peername"))
        known = self.terms.door is Door.SUBMISSION and self.terms.host.in_network(self.peer)
        reason = self.terms.crowd.enter(self, self.peer, known=known)
        if reason:
            self._turn_away(reason)
            return
        self._over_at = self.loop.time() + self.limits.session_seconds
        if self.terms.implicit_tls and self.terms.tls is not None:
            self.shake_hands(self.terms.tls)
        else:
            self.begin()

    def connection_lost(self, error: Exception | None) -> None:
        self.over = True
        if self._timer is not None:
            self._timer.cancel()
        self._end_work()

    def pause_writing(self) -> None:
        self.full = True

    def resume_writing(self) -> None:
        self.full = False
        # Not at once: a transport may call this while it is written to.
        self.loop.call_soon(self.go_on)

    def takes(self, count: int) -> bool:
        """Counts bytes that came; False when the session had to be cut for them."""
        self._room -= count
        if self._room < 0:
            emit("session.cut", peer=self.peer, reason="too many bytes")
            self.cut()
        return self._room >= 0

    # -- answers

    def say(self, text: str) -> None:
        """Adds a reply, ASCII without its last CRLF, to what leaves with the next `flush`."""
        self._replies.append(text)

    def flush(self) -> None:
        """Sends the replies, and does not wait until they have left."""
        if self._replies:
            said = "\r\n".join([*self._replies, ""])
            self._replies.clear()
            if not self._mute and not self._pipe.is_closing():
                self._pipe.write(said.encode("ascii", "replace"))

    # -- time

    def next_line(self) -> None:
        """Gives the client time and bytes for another line.  Raises Cut when the session has lasted too long."""
        now = self.loop.time()
        until = now + self.limits.command_seconds
        if until > self._over_at:
            closes_at = self._over_at + (self.limits.content_seconds if self.in_mail else 0)
            if now >= closes_at:
                raise Cut("421 4.4.2 This session has lasted too long", "session time")
            until = min(until, closes_at)
        self._room = self.limits.max_bytes + self.limits.slack_bytes
        self._set_deadline(until)

    def give_time(self, seconds: float) -> None:
        """Moves the deadline; `math.inf` stops the clock while the host works: that is not the client's time."""
        self._set_deadline(self.loop.time() + seconds)

    def _set_deadline(self, deadline: float) -> None:
        """An earlier timer stays and is set again when it fires: a command costs none."""
        self._deadline = deadline
        if deadline < self._rings:
            if self._timer is not None:
                self._timer.cancel()
            self._rings = deadline
            self._timer = self.loop.call_at(deadline, self._out_of_time)

    def _out_of_time(self) -> None:
        self._timer, self._rings = None, math.inf
        if self.over:
            return
        now = self.loop.time()
        if now < self._deadline:
            if self._deadline < math.inf:
                self._set_deadline(self._deadline)
            return
        closes_at = self._over_at + (self.limits.content_seconds if self.in_mail else 0)
        self.finish("421 4.4.2 No more time", "session time" if now >= closes_at else "too slow")

    # -- the end

    def dismiss(self) -> None:
        """Says 421 and hangs up if the client is idle; else the session ends before its next command."""
        if self.idle:
            self.finish("421 4.3.2 This server is stopping, try again later", "")

    def cut(self) -> None:
        """Ends the session now, whatever it does."""
        self.over = True
        if self.handshake is not None:
            self.handshake.cancel()
        if self.work is not None:
            self.work.cancel()
        else:
            self.leave()
        self._pipe.abort()

    def finish(self, reply: str, reason: str) -> None:
        """Ends the conversation: what the client is told, and what the log says ('' = nothing)."""
        if self.over:
            return
        self.over = True
        if reason:
            emit("session.cut", peer=self.peer, reason=reason)
        if reply:
            self.say(reply)
        self.flush()
        self._hang_up()
        self._end_work()

    def leave(self) -> None:
        """Gives back what the session holds of what all share."""
        self.forget()
        self.terms.crowd.leave(self)

    def _end_work(self) -> None:
        if self.work is None:
            self.leave()
        elif not self.committing:
            # A commit runs to its end: the engine must hear of a mail that is stored.
            self.work.cancel()

    def _hang_up(self) -> None:
        self._pipe.close()
        if self._timer is not None:
            self._timer.cancel()
        # One that does not read keeps a closed connection open for as long as it likes.
        self._timer = self.loop.call_later(min(_LINGER, self.limits.command_seconds), self._pipe.abort)

    def _turn_away(self, reason: str) -> None:
        self.over = True
        emit("session.rejected", peer=self.peer, reason=reason)
        code = "4.3.2" if reason == "stopping" else "4.7.0"
        self.say(f"421 {code} {reason.capitalize()}, try again later")
        self.flush()
        self._pipe.close()

    # -- TLS

    def shake_hands(self, tls: ssl.SSLContext) -> None:
        """Begins TLS, at once: nothing that comes from now on is read as plain text.  RFC 3207.

        Not `loop.start_tls`: before its first step uvloop may have read, and lost, the client's first words.
        """
        self.flush()
        self._mute = True
        self.handshake = self.loop.create_future()
        self._tls_protocol = sslproto.SSLProtocol(
            self.loop,
            self,
            tls,
            self.handshake,
            server_side=True,
            call_connection_made=False,
            ssl_handshake_timeout=self.limits.command_seconds,  # type: ignore[arg-type]  # a float is as good
        )
        self.give_time(math.inf)  # the handshake has a clock of its own
        self.handshake.add_done_callback(self._shaken)
        self._pipe.set_protocol(self._tls_protocol)
        self._tls_protocol.connection_made(self._pipe)

    def _shaken(self, handshake: asyncio.Future[None]) -> None:
        """Goes on under TLS when the handshake is done."""
        self.handshake = None
        error = None if handshake.cancelled() else handshake.exception()
        if self.over:
            return
        if error is not None:
            self.finish("", f"TLS handshake failed: {getattr(error, 'reason', None) or type(error).__name__}")
        elif self._pipe.is_closing():
            self.finish("", "")
        else:
            self._pipe = self._tls_protocol._get_app_transport()  # type: ignore[attr-defined]  # as start_tls does
            self.secure = True
            self._mute = False
            self.begin()


@functools.lru_cache(maxsize=1024)
def _shown(host: str) -> str:
    """An address as networks are written: no zone, and IPv4 where it is IPv4 in IPv6."""
    address = ipaddress.ip_address(host.partition("%")[0])
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(mapped or address)


def _address(peername: object) -> str:
    """The peer's IP address; '' where there is none."""
    return _shown(str(peername[0])) if isinstance(peername, tuple) and peername else ""
