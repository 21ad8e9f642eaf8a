"""Next hops: a real aiosmtpd that can fail at each step, and a scripted one for what aiosmtpd never says."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from gateway.courier.mail import RelayCourier
from gateway.courier.relay import Timeouts

SHORT = Timeouts(connect=5.0, command=5.0, final=5.0)


@dataclass
class Hop:
    """A next hop: what it was given, and what it does at which step instead of saying yes."""

    port: int = 0
    says: dict[str, str] = field(default_factory=dict)  # "MAIL" | "RCPT" | "DATA" -> reply
    does: dict[str, Callable[[SMTP], Awaitable[None]]] = field(default_factory=dict)
    mails: list[Envelope] = field(default_factory=list)
    logins: list[tuple[bytes, bytes]] = field(default_factory=list)
    steps: list[str] = field(default_factory=list)
    tls: list[bool] = field(default_factory=list)  # whether each mail came encrypted
    sessions: int = 0
    most: int = 0  # sessions open at the same time
    left: int = 0  # sessions that have ended
    protocols: list[SMTP] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def step(self, name: str, server: SMTP) -> str | None:
        self.steps.append(name)
        if name in self.does:
            await self.does[name](server)
        return self.says.get(name)

    async def handle_MAIL(  # noqa: N802
        self, server: SMTP, _session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        said = await self.step("MAIL", server)
        if said is None:
            envelope.mail_from, envelope.mail_options = address, options
        return said or "250 2.1.0 Ok"

    async def handle_RCPT(  # noqa: N802
        self, server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        said = await self.step("RCPT", server)
        if said is None:
            envelope.rcpt_tos.append(address)
        return said or "250 2.1.5 Ok"

    async def handle_DATA(self, server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        said = await self.step("DATA", server)
        if said is None:
            self.mails.append(envelope)
            self.tls.append(server.transport.get_extra_info("sslcontext") is not None)
        return said or f"250 2.0.0 Ok: queued as 4Q{len(self.mails)}"

    def authenticator(
        self, _server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, data: Any
    ) -> AuthResult:
        assert isinstance(data, LoginPassword)
        self.logins.append((data.login, data.password))
        return AuthResult(success=data.password == b"right", handled=False)

    async def gone(self, sessions: int) -> None:
        """Returns when that many sessions have ended."""
        async with asyncio.timeout(10):
            while self.left < sessions:
                self.changed.clear()
                await self.changed.wait()


class HopSession(SMTP):
    """aiosmtpd that counts its sessions."""

    hop: Hop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if not self.hop.protocols or self.hop.protocols[-1] is not self:  # STARTTLS comes here again
            self.hop.protocols.append(self)
            self.hop.sessions += 1
            self.hop.most = max(self.hop.most, self.hop.sessions - self.hop.left)
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        super().connection_lost(error)
        self.hop.left += 1
        self.hop.changed.set()


@dataclass
class Script:
    """A server that knows nothing but its lines: a greeting, and a reply by verb ("." is the final dot)."""

    port: int = 0
    greeting: bytes = b"220 relay.example ESMTP\r\n"
    replies: dict[str, bytes] = field(default_factory=dict)
    lines: list[bytes] = field(default_factory=list)
    over: asyncio.Event = field(default_factory=asyncio.Event)

    async def ended(self) -> None:
        """Returns when a session has ended."""
        async with asyncio.timeout(10):
            await self.over.wait()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(self.greeting)
        content = False
        while line := await reader.readline():
            self.lines.append(line)
            verb = line.strip().split(b" ")[0].decode().upper()
            if content and verb != ".":
                continue
            reply = self.replies.get(verb, b"354 go\r\n" if verb == "DATA" else b"250 2.0.0 Ok\r\n")
            content = verb == "DATA" and reply.startswith(b"354")
            if not reply:
                break
            writer.write(reply)
        writer.close()
        self.over.set()


Start = Callable[..., Awaitable[Hop]]
Scripted = Callable[[Script], Awaitable[Script]]
Make = Callable[..., RelayCourier]
