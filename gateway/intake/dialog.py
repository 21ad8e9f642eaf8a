"""The loop of commands and answers: aiosmtpd's, with budgets, enhanced codes and no word from inside."""

from __future__ import annotations

import asyncio
import binascii
import re
import traceback
from base64 import b64decode, b64encode

from aiosmtpd.smtp import MISSING, AuthResult, _Missing

from gateway.events import emit
from gateway.intake.wire import Cut, Gone, Wire

_BLOCK = 1_048_576  # more than the reader ever holds
_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_HTTP = frozenset({"GET", "POST", "PUT", "HEAD", "OPTIONS", "CONNECT"})


class Dialog(Wire):
    """One conversation.  The verbs are `smtp_*` methods, found by name as in aiosmtpd."""

    AuthLoginUsernameChallenge = "Username:"
    AuthLoginPasswordChallenge = "Password:"

    async def _handle_client(self) -> None:
        try:
            if self.handshake is not None:
                await self.secured(self.handshake)
            await self.push(f"220 {self.hostname} ESMTP")
            while not self.ended:
                self.check_budgets()
                await self._obey(await self.line(self.limits.command_bytes))
        except Gone:
            return
        except Cut as end:
            if end.reason:
                emit("session.cut", peer=self.peer, reason=end.reason)
            self.say(end.reply)

    async def _obey(self, line: bytes) -> None:
        self.commands += 1
        line = line.strip()
        word, _, rest = line.partition(b" ")
        verb = word.decode("ascii", "replace").upper()
        if _CONTROL.search(line):
            await self.push("500 5.5.2 Control characters are not allowed in commands")
        elif verb in _HTTP:
            # A web page can make a browser on the shop's network post a mail to us.
            raise Cut("421 4.7.0 This is a mail server", "HTTP")
        elif verb not in self._smtp_methods:
            await self.push("500 5.5.2 Unknown command")
        elif verb in {"MAIL", "RCPT"} and not rest.isascii():
            await self.push("553 5.6.7 An address must be ASCII here")
        else:
            try:
                await self._smtp_methods[verb](rest.decode("ascii", "replace").strip())
            except (Gone, Cut):
                raise
            except Exception as error:
                await self.push(await self.handle_exception(error))

    async def handle_exception(self, error: Exception) -> str:
        """The answer to a fault of ours: temporary, because nobody knows whether it will last; nothing from inside."""
        frame = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{frame.filename.rpartition('/')[2]}:{frame.lineno} in {frame.name}"
        emit("session.failed", peer=self.peer, error=f"{type(error).__name__}: {error}", where=where)
        return "451 4.3.0 A fault of this server, try again later"

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
            self.idle = True
            try:
                line = await self._reader.readuntil(b"\n")
            except asyncio.LimitOverrunError:
                raise Cut("500 5.5.2 Line too long", "endless command line") from None
            except (asyncio.IncompleteReadError, OSError):
                raise Gone from None
            finally:
                self.idle = False
            if len(line) <= limit:
                self._reset_timeout()
                return line
            await self.push("500 5.5.2 Line too long")
            self.check_budgets()

    async def block(self) -> bytes:
        """The bytes of a mail that are there, at least one."""
        try:
            block = await self._reader.read(_BLOCK)
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

    def overtaken(self) -> bool:
        """Whether the client has sent on without waiting: what came in clear must not count as said under TLS."""
        return bool(self._reader._buffer)  # type: ignore[attr-defined]  # asyncio offers no look without taking

    async def challenge_auth(
        self, challenge: str | bytes, encode_to_b64: bool = True, log_client_response: bool = False
    ) -> _Missing | bytes:
        """The client's answer to a 334, decoded; MISSING when it was refused.  Logs nothing.  RFC 4954 section 4."""
        words = challenge.encode() if isinstance(challenge, str) else challenge
        await self.push(b"334 " + b64encode(words))
        blob = (await self.line(self.limits.login_bytes)).strip()
        if blob == b"*":
            await self.push("501 5.7.0 Login given up")
            return MISSING
        try:
            return b64decode(blob, validate=True)
        except binascii.Error:
            await self.push("501 5.5.2 This is not base64")
            return MISSING

    def _authenticate(self, mechanism: str, auth_data: object) -> AuthResult:
        """aiosmtpd asks here, without await, whether a login is good; session.py asks the host afterwards."""
        return AuthResult(success=True, auth_data=auth_data)
