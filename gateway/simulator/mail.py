"""The shop's relay on loopback: behind it lie the carriers' gateways and every mailbox, told apart by recipient domain.

It takes anything, from anybody, with faults on request.  A mail that it has taken over is in `mails`; whether a phone
shows it is another matter, as with real carriers.
"""

from __future__ import annotations

import asyncio
import re
import secrets
from collections import defaultdict
from datetime import UTC, datetime
from typing import Any, AnyStr

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from gateway.simulator.carrier import Carriers
from gateway.simulator.carrier_mails import Answer
from gateway.simulator.faults import MAIL, Fault, Faults, pause
from gateway.simulator.journal import Journal, Mailed, RcptTo, Sent, Turned

_MAIL = re.compile(r"FROM: *<(?P<path>[^<>]*)>(?P<options>(?: +\S+)*) *", re.IGNORECASE)
_RCPT = re.compile(r"TO: *<(?P<path>[^<>]+)>(?P<options>(?: +\S+)*) *", re.IGNORECASE)
_MAIL_KEYS = {"SIZE", "BODY", "RET", "ENVID", "AUTH"}  # RFC 1870, 6152, 3461, 4954
_RCPT_KEYS = {"NOTIFY", "ORCPT"}  # RFC 3461
_BARE = re.compile(rb"(?<!\r)\n|\r(?!\n)")
_SAID = {
    421: "4.3.2 closing the connection",
    450: "4.2.1 try again later",
    550: "5.1.1 nobody has that address here",
    554: "5.7.1 not taken",
}


class Relay:
    """`host` and `port` are the [relay] of the gateway.  Use as `async with`."""

    host = "127.0.0.1"

    def __init__(self, journal: Journal, port: int = 0) -> None:
        self.port = port
        self.faults = Faults(MAIL)
        self.journal = journal
        self.carriers = Carriers(journal)
        self.mails: list[Mailed] = []  # those that were taken over, oldest first
        self.end = asyncio.Event()
        self.talks: set[Talk] = set()
        self._tries: dict[tuple[str, str, str], tuple[float, int]] = {}  # greylisted: when first, and how often

    async def __aenter__(self) -> Relay:
        """Listens.  Raises OSError when the port is taken."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: Talk(self), self.host, self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        self.end.set()
        open_talks = list(self.talks)
        for talk in open_talks:
            talk.cut()
        await asyncio.gather(*(talk.task for talk in open_talks), return_exceptions=True)
        await self.carriers.close()

    def to(self, address: str) -> list[Mailed]:
        """The mails for `address`, or for a domain when it begins with "@"."""
        return [mail for mail in self.mails if mail.is_for(address)]

    def shown(self, address: str) -> list[Mailed]:
        """Those of them that the phone or mailbox shows."""
        return [mail for mail in self.to(address) if mail.shown]

    async def answers(self, address: str, answer: Answer) -> Sent:
        """What the phone at `address` texts back to the newest text that it shows.  Raises ValueError."""
        shown = self.shown(address)
        return await self.carriers.answers(answer, shown[-1] if shown else None, address)

    async def reports(self, address: str, form: str, words: str = "") -> Sent:
        """A report on the newest mail to `address`.  Raises ValueError."""
        taken = self.to(address)
        if not taken:
            raise ValueError(f"no mail to {address} was taken")
        return await self.carriers.reports(taken[-1], form, words)

    async def handle_EHLO(  # noqa: N802  # aiosmtpd finds it by this name
        self, _server: SMTP, session: Session, _envelope: Envelope, hostname: str, lines: list[str]
    ) -> list[str]:
        session.host_name = hostname
        return [*lines[:-1], "250-ENHANCEDSTATUSCODES", "250-DSN", lines[-1]]

    async def handle_DATA(self, server: Talk, session: Session, envelope: Envelope) -> str:  # noqa: N802
        fault = next((found for to in envelope.rcpt_tos if (found := self.faults.take("data", to))), None)
        answer = f"250 2.0.0 queued as {secrets.token_hex(6)}"
        if fault and fault.mode not in ("late", "lost"):
            answer = reply(fault) if fault.mode == "answer" else ""
        mail = self._keep(session, envelope, answer, fault)
        if fault and fault.report:
            self.carriers.will_report(mail, fault.report, fault.words, fault.seconds)
        if fault and fault.mode in ("late", "silent"):
            await pause(self.end, fault.seconds if fault.mode == "late" else None)
        if not answer:
            await server.hang_up()
        return answer

    async def handle_exception(self, error: Exception) -> str:
        self.journal.surprise(f"the relay failed: {error!r}")
        return "451 4.3.0 try again later"

    def greylisted(self, peer: str, mail_from: str, to: str) -> Fault | None:
        """The fault of a recipient that must be tried again, from the same host and with the same envelope."""
        fault = self.faults.standing("greylist", to)
        if fault is None:
            return None
        now = asyncio.get_running_loop().time()
        began, tries = self._tries.get((peer, mail_from, to), (now, 0))
        self._tries[peer, mail_from, to] = began, tries + 1
        over = tries >= fault.count if fault.count else tries and now - began >= fault.seconds
        return None if over else fault

    def _keep(self, session: Session, envelope: Envelope, answer: str, fault: Fault | None) -> Mailed:
        taken = fault is None or fault.stored
        raw = envelope.original_content or b""
        if _BARE.search(raw):
            self.journal.surprise("a mail with a bare CR or LF")
        mail = Mailed(
            at=datetime.now(UTC),
            mail_from=envelope.mail_from or "",
            options=tuple(envelope.mail_options),
            rcpt_to=tuple(
                RcptTo(address=address, options=tuple(options.split()))
                for address, options in zip(envelope.rcpt_tos, envelope.rcpt_options, strict=True)
            ),
            raw=raw,
            answer=answer,
            taken=taken,
            shown=taken and (fault is None or fault.mode != "lost"),
            login=str(session.auth_data or ""),
        )
        if taken:
            self.mails.append(mail)
        self.journal.note(mail)
        return mail


class Talk(SMTP):
    """One connection.  MAIL and RCPT are parsed here: aiosmtpd knows no DSN parameters and changes their case."""

    envelope: Envelope
    transport: asyncio.Transport | None
    _handler_coroutine: asyncio.Task[None]

    def __init__(self, relay: Relay) -> None:
        super().__init__(
            relay,
            hostname="relay.example",
            ident="simulator",
            auth_require_tls=False,
            authenticator=_anybody,
            loop=asyncio.get_running_loop(),
        )
        self.command_size_limits = defaultdict(lambda: 4096)
        self._relay = relay

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._relay.talks.add(self)

    def connection_lost(self, error: Exception | None) -> None:
        super().connection_lost(error)
        self._relay.talks.discard(self)

    @property
    def task(self) -> asyncio.Task[None]:
        """What serves the connection: done when it is over."""
        return self._handler_coroutine

    def cut(self) -> None:
        if self.transport is not None:
            self.transport.abort()

    def _close(self) -> None:
        if self.transport is not None:
            self.transport.close()

    async def hang_up(self) -> None:
        """Drops the connection without a word.  Does not return: aiosmtpd cancels a session whose peer is gone."""
        self.cut()
        await asyncio.Event().wait()

    async def push(self, status: AnyStr) -> None:
        await super().push(status)
        if str(status).startswith("421"):
            self._close()

    async def _handle_client(self) -> None:
        fault = self._relay.faults.take("connect")
        try:
            if not fault:
                await super()._handle_client()
                return
            await self.push(reply(fault))
            self._close()
        except ConnectionError:
            return  # the client is gone, which is its right

    async def smtp_MAIL(self, arg: str | None) -> None:  # noqa: N802  # aiosmtpd finds commands by these names
        found = _MAIL.fullmatch(arg or "")
        if not found:
            await self.push("501 5.5.4 MAIL FROM:<address>")
        elif self.envelope.mail_from is not None:
            await self.push("503 5.5.1 one MAIL at a time")
        elif await self._known(found["options"], _MAIL_KEYS):
            self.envelope.mail_from = found["path"]
            self.envelope.mail_options = found["options"].split()
            await self.push("250 2.1.0 ok")

    async def smtp_RCPT(self, arg: str | None) -> None:  # noqa: N802
        found = _RCPT.fullmatch(arg or "")
        if not found or self.envelope.mail_from is None:
            await self.push("501 5.5.4 RCPT TO:<address>" if not found else "503 5.5.1 MAIL first")
            return
        if not await self._known(found["options"], _RCPT_KEYS):
            return
        peer = self.transport.get_extra_info("peername")[0] if self.transport else ""
        fault = self._relay.greylisted(peer, self.envelope.mail_from, found["path"])
        fault = fault or self._relay.faults.take("rcpt", found["path"])
        if fault:
            await self._turn_away(found["path"], fault)
            return
        self.envelope.rcpt_tos.append(found["path"])
        self.envelope.rcpt_options.append(found["options"])
        await self.push("250 2.1.5 ok")

    async def _turn_away(self, address: str, fault: Fault) -> None:
        answer = reply(fault) if fault.mode == "answer" else ""
        sender = self.envelope.mail_from or ""
        self._relay.journal.note(Turned(at=datetime.now(UTC), mail_from=sender, address=address, answer=answer))
        if not answer:
            await self.hang_up()
        await self.push(answer)

    async def _known(self, options: str, keys: set[str]) -> bool:
        """RFC 5321 4.1.1.11: parameters that were not offered are refused with 555."""
        unknown = [word for word in options.split() if word.partition("=")[0].upper() not in keys]
        if unknown:
            self._relay.journal.surprise(f"SMTP parameters that were not offered: {' '.join(unknown)}")
            await self.push("555 5.5.4 unknown parameters")
        return not unknown


def reply(fault: Fault) -> str:
    """The SMTP reply of a fault that answers."""
    return f"{fault.code} {fault.words or _SAID.get(fault.code) or f'{fault.code // 100}.0.0 not now'}"


def _anybody(_server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, auth: Any) -> AuthResult:
    name = auth.login.decode("utf-8", "replace") if isinstance(auth, LoginPassword) else ""
    return AuthResult(success=True, auth_data=name)
