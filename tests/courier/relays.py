"""Next hops: a real aiosmtpd that can fail at each step, a scripted one for what aiosmtpd never says, one that takes
tokens, and a net of hosts with its name server.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset
from aiohttp import web
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from gateway.courier.direct import DirectCourier
from gateway.courier.mail import RelayCourier
from gateway.courier.relay import Timeouts

Zone = dict[tuple[str, str], list[str] | dns.rcode.Rcode]
CHALLENGE = base64.b64encode(b'{"status":"400","schemes":"Bearer","scope":"https://mail.google.com/"}')
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


@dataclass
class Net(asyncio.DatagramProtocol):
    """A name server and the mail hosts that it knows, which all listen on `port`."""

    port: int = 0
    dns_port: int = 0
    zone: Zone = field(default_factory=dict)  # rows by (name, type); a name without any does not exist
    asked: list[tuple[str, str]] = field(default_factory=list)
    servers: list[asyncio.Server] = field(default_factory=list)
    hops: list[Hop] = field(default_factory=list)
    couriers: list[DirectCourier] = field(default_factory=list)
    transport: asyncio.DatagramTransport | None = None

    def datagram_received(self, data: bytes, peer: tuple[str, int]) -> None:
        query = dns.message.from_wire(data)
        question = query.question[0]
        name, kind = question.name.to_text(omit_final_dot=True), dns.rdatatype.to_text(question.rdtype)
        self.asked.append((name, kind))
        found = self.zone.get((name, kind), [])
        answer = dns.message.make_response(query)
        answer.flags |= dns.flags.RA
        if isinstance(found, dns.rcode.Rcode):
            answer.set_rcode(found)
        elif found:
            answer.answer.append(dns.rrset.from_text(question.name, 60, "IN", kind, *found))
        elif name not in {known for known, _ in self.zone}:
            answer.set_rcode(dns.rcode.NXDOMAIN)
        assert self.transport is not None
        self.transport.sendto(answer.to_wire(), peer)

    async def script(self, address: str, script: Script) -> Script:
        self.servers.append(await asyncio.start_server(script.serve, address, self.port))
        return script

    async def hop(self, address: str) -> Hop:
        hop = Hop(port=self.port)

        def session() -> HopSession:
            made = HopSession(hop, hostname="mx.example", authenticator=hop.authenticator)
            made.hop = hop
            return made

        self.servers.append(await asyncio.get_running_loop().create_server(session, address, self.port))
        self.hops.append(hop)
        return hop

    def courier(self, **options: Any) -> DirectCourier:
        base: dict[str, Any] = {"local_hostname": "sms.example.com", "servers": ["127.0.0.1"], "timeouts": SHORT}
        base |= {"reserved": True, "port": self.port, "dns_port": self.dns_port, "dns_seconds": 5.0}
        self.couriers.append(DirectCourier(**base | options))
        return self.couriers[-1]


@dataclass
class Provider:
    """A token endpoint: what it was asked, and what it answers."""

    url: str = ""
    asked: list[dict[str, str]] = field(default_factory=list)
    answers: list[dict[str, Any]] = field(default_factory=list)  # the last one stays
    status: int = 200
    does: Callable[[], Awaitable[None]] | None = None

    async def token(self, request: web.Request) -> web.StreamResponse:
        self.asked.append({key: str(value) for key, value in (await request.post()).items()})
        if self.does is not None:
            await self.does()
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        headers = {"Location": "/elsewhere"} if self.status == 302 else {}
        return web.json_response(answer, status=self.status, headers=headers)


@dataclass
class TokenRelay(Script):
    """Speaks AUTH XOAUTH2 as Google does: a challenge with an error, an empty line, and then 535."""

    good: set[str] = field(default_factory=set)
    tokens: list[str] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(self.greeting)
        while line := await reader.readline():
            self.lines.append(line)
            verb, *words = line.split()
            if verb == b"AUTH":
                user, bearer = base64.b64decode(words[1]).rstrip(b"\x01").split(b"\x01")
                assert (words[0], user) == (b"XOAUTH2", b"user=gateway@example.com")
                self.tokens.append(bearer.removeprefix(b"auth=Bearer ").decode())
                if self.tokens[-1] not in self.good:
                    writer.write(b"334 " + CHALLENGE + b"\r\n")
                    assert await reader.readline() == b"\r\n"
                    writer.write(b"535 5.7.8 Username and Password not accepted\r\n")
                    continue
                writer.write(b"235 2.7.0 Accepted\r\n")
            elif verb == b"EHLO":
                writer.write(b"250-relay\r\n250 AUTH LOGIN PLAIN XOAUTH2\r\n")
            elif verb == b"DATA":
                writer.write(b"354 go\r\n")
                await reader.readuntil(b"\r\n.\r\n")
                writer.write(b"250 2.0.0 Ok\r\n")
            else:
                writer.write(b"250 2.0.0 Ok\r\n")
        writer.close()


Start = Callable[..., Awaitable[Hop]]
Scripted = Callable[[Script], Awaitable[Script]]
Make = Callable[..., RelayCourier]
