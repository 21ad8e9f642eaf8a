"""AUTH: who logs in, by PLAIN or LOGIN (RFC 4954, RFC 4616), and how long whoever guesses must wait."""

from __future__ import annotations

import asyncio
import binascii
import math
from base64 import b64decode, b64encode
from collections.abc import Sequence
from dataclasses import dataclass, field

from gateway.core.model import Door
from gateway.events import emit
from gateway.intake.dialog import Answer, Dialog
from gateway.intake.limits import Terms
from gateway.intake.wire import Cut
from gateway.ports import SpoolUnavailable


@dataclass(frozen=True, slots=True)
class _Credentials:
    username: str
    password: bytes = field(repr=False)


class LoginDialog(Dialog):
    """A conversation in which somebody may log in."""

    def __init__(self, terms: Terms) -> None:
        super().__init__(terms)
        self.login = ""  # name of the [[sender]] that logged in
        self._failed = 0

    def may_log_in(self) -> bool:
        """Whether AUTH is offered: on the submission door, under TLS or to a peer in a sender's network."""
        return self.terms.door is Door.SUBMISSION and (self.secure or self.terms.host.in_network(self.peer))

    def auth(self, arg: str) -> Answer:
        """The answer to AUTH, from somebody who has greeted."""
        words = arg.split()
        if not self.may_log_in():
            return "538 5.7.11 A login needs TLS, see STARTTLS"
        if self.login or self.in_mail:
            return "503 5.5.1 Not now: logged in already, or in the middle of a mail"
        if len(words) not in {1, 2}:
            return "501 5.5.4 Syntax: AUTH mechanism [initial-response]"
        if words[0].upper() not in {"PLAIN", "LOGIN"}:
            return "504 5.5.4 Only PLAIN and LOGIN are understood"
        return self._log_in(words[0].upper(), words[1:])

    async def _log_in(self, mechanism: str, initial: Sequence[str]) -> str:
        said = await (self._plain(initial) if mechanism == "PLAIN" else self._name_and_password(initial))
        return said if isinstance(said, str) else await self._judge(said)

    async def _plain(self, initial: Sequence[str]) -> _Credentials | str:
        """What the client said, or the answer that refuses it."""
        blob = _decoded(initial[0].encode()) if initial else await self._challenge(b"")
        if isinstance(blob, str):
            return blob
        # An identity to act as, which is not used, a name and a password: RFC 4616 section 2.
        parts = blob.split(b"\0")
        if len(parts) != 3:
            return "501 5.5.2 A name and a password belong into it"
        return _Credentials(parts[1].decode("utf-8", "replace"), parts[2])

    async def _name_and_password(self, initial: Sequence[str]) -> _Credentials | str:
        name = _decoded(initial[0].encode()) if initial else await self._challenge(b"Username:")
        if isinstance(name, str):
            return name
        password = await self._challenge(b"Password:")
        return password if isinstance(password, str) else _Credentials(name.decode("utf-8", "replace"), password)

    async def _challenge(self, words: bytes) -> bytes | str:
        """The client's answer to a 334, decoded, or the answer that refuses it.  Logs nothing.  RFC 4954 section 4."""
        line = await self.ask(f"334 {b64encode(words).decode()}")
        return "501 5.7.0 Login given up" if line.strip() == b"*" else _decoded(line.strip())

    async def _judge(self, said: _Credentials) -> str:
        shown = "".join(c if c.isprintable() else "?" for c in said.username)[:100]
        throttle = self.terms.throttle
        wait = throttle.wait(self.peer, said.username)
        if wait:
            # Not looked at: neither does it tell whether the password was right.
            answer = f"454 4.7.0 Too many failed logins, try again in {math.ceil(wait)} s"
            return self._no_login(shown, "throttled", answer)
        await asyncio.sleep(throttle.pause(self.peer, said.username))
        try:
            name = await self.terms.host.login(self.peer, said.username, said.password)
        except SpoolUnavailable:
            return "454 4.7.0 Logins cannot be checked now, try again later"
        if name is not None:
            self.login = name
            throttle.succeeded(self.peer, said.username)
            emit("login.accepted", peer=self.peer, username=shown, sender=name)
            return "235 2.7.0 Welcome"
        throttle.failed(self.peer, said.username)
        return self._no_login(shown, "wrong", "535 5.7.8 Wrong name or password")

    def _no_login(self, username: str, reason: str, answer: str) -> str:
        """The answer; raises Cut behind it after too many."""
        self._failed += 1
        emit("login.failed", peer=self.peer, username=username, reason=reason)
        if self._failed >= self.limits.failed_logins:
            self.say(answer)
            raise Cut("421 4.7.0 Too many failed logins", "failed logins")
        return answer


def _decoded(blob: bytes) -> bytes | str:
    try:
        return b64decode(blob, validate=True)
    except binascii.Error:
        return "501 5.5.2 This is not base64"
