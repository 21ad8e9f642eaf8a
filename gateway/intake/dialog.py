"""The loop of commands and answers: aiosmtpd's, with budgets, enhanced codes and no word from inside."""

from __future__ import annotations

import binascii
import re
import traceback
from base64 import b64decode, b64encode

from aiosmtpd.smtp import MISSING, AuthResult, _Missing

from gateway.events import emit
from gateway.intake.wire import Cut, Gone, Wire

_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_HTTP = frozenset({"GET", "POST", "PUT", "HEAD", "OPTIONS", "CONNECT"})


class Dialog(Wire):
    """One conversation.  The verbs are `smtp_*` methods, found by name as in aiosmtpd."""

    AuthLoginUsernameChallenge = "Username:"
    AuthLoginPasswordChallenge = "Password:"

    async def _handle_client(self) -> None:
        try:
            if self.terms.implicit_tls and self.terms.tls is not None:
                await self.start_tls(self.terms.tls)
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
