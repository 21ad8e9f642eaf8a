"""A connection to a mail server that is greeted, encrypted and logged in: commands go out, replies come in order."""

from __future__ import annotations

import asyncio
import re
from collections import deque

from aiosmtplib import SMTP, SMTPException, SMTPResponse, SMTPResponseException, SMTPServerDisconnected

WIRE_FAULTS = (SMTPException, OSError)
_REPLY = re.compile(rb"([2-5]\d\d)(?:([ -])(.*))?")
_LONGEST = 32_768  # bytes of one reply


class Wire(asyncio.Protocol):
    """A connection in which commands may be written at once (RFC 2920): each reply is kept until it is asked for.

    aiosmtplib drops what comes before somebody waits for it, so it lends its transport.  A reply that nobody asked for,
    or that is none, spoils the connection: the next one would be taken for another's.
    """

    def __init__(self, client: SMTP) -> None:
        self._lender = client.protocol
        self._transport = client.protocol.transport if client.protocol else None
        self._buffer = b""
        self._lines: list[str] = []
        self._replies: deque[SMTPResponse] = deque()
        self._fault: SMTPException | None = None if self._transport else SMTPServerDisconnected("Connection lost")
        self._owed = 0
        self._loop = asyncio.get_running_loop()
        self._heard: asyncio.Future[None] | None = None  # of the one who waits
        self._seconds = 0.0  # that he waits at most, and until when by the clock of the loop
        self._until = 0.0
        self._alarm: asyncio.TimerHandle | None = None
        self._alarm_at = 0.0
        if self._transport is not None:
            self._transport.set_protocol(self)

    @property
    def between(self) -> bool:
        """Whether the connection is alive, and every command has its answer."""
        return self._fault is None and self._owed == 0 and not self._buffer and not self._lines

    def say(self, commands: bytes, replies: int) -> None:
        """Writes commands that get so many replies.  Raises SMTPException, and then nothing was written."""
        if self._fault is not None or self._lender is None:
            raise self._fault or SMTPServerDisconnected("Connection lost")
        self._lender.write(commands)
        self._owed += replies

    async def hear(self, seconds: float) -> SMTPResponse:
        """The next reply.  Raises SMTPException."""
        if not self._replies and self._fault is None:
            self._heard = self._loop.create_future()
            self._seconds, self._until = seconds, self._loop.time() + seconds
            self._watch()
            try:
                await self._heard
            finally:
                self._heard = None
        if not self._replies:
            raise self._fault or SMTPServerDisconnected("Connection lost")
        self._owed -= 1
        return self._replies.popleft()

    async def ask(self, command: bytes, seconds: float) -> SMTPResponse:
        """The reply to one command.  Raises SMTPException."""
        self.say(command, 1)
        return await self.hear(seconds)

    def data_received(self, data: bytes) -> None:
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        for one in lines:
            self._take(one.rstrip(b"\r"))
        if len(self._buffer) + sum(map(len, self._lines)) > _LONGEST:
            self._spoil(SMTPResponseException(-1, "Response too long"))
        if self._replies:
            self._wake()

    def _take(self, one: bytes) -> None:
        if self._fault is not None:
            return
        found = _REPLY.fullmatch(one)
        if found is None:
            self._spoil(SMTPResponseException(-1, f"it answered {one[:200].decode(errors='ignore')!r}"))
            return
        code, mark, words = found.groups(b"")
        self._lines.append(words.strip().decode("utf-8", "surrogateescape"))
        if mark == b"-":
            return
        if len(self._replies) == self._owed:
            self._spoil(SMTPServerDisconnected(f"it said {code.decode()} unasked"))
        else:
            self._replies.append(SMTPResponse(int(code), "\n".join(self._lines)))
        self._lines = []

    def connection_lost(self, error: Exception | None) -> None:
        if self._lender is not None:
            self._lender.connection_lost(error)
        self._spoil(SMTPServerDisconnected("Connection lost"))
        if self._alarm is not None:
            self._alarm.cancel()

    def _spoil(self, fault: SMTPException) -> None:
        """Keeps the first fault; what was answered before it still counts."""
        self._fault = self._fault or fault
        self._wake()

    def _wake(self) -> None:
        if self._heard is not None and not self._heard.done():
            self._heard.set_result(None)

    def _watch(self) -> None:
        """Sets the alarm.  One that rings too early is set anew: so most answers cost no timer of their own."""
        if self._alarm is not None:
            if self._alarm_at <= self._until:
                return
            self._alarm.cancel()
        self._alarm, self._alarm_at = self._loop.call_at(self._until, self._ring), self._until

    def _ring(self) -> None:
        self._alarm = None
        if self._heard is None or self._heard.done():
            return
        if self._loop.time() < self._until:
            self._watch()
        else:
            self._spoil(SMTPException(f"no answer within {self._seconds:g} s"))
