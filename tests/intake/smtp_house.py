"""What the tests of the mail door share: a host that keeps mails in a list, and a client that speaks bytes."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass, field
from types import TracebackType

from gateway.core.model import Door, Envelope, Refusal
from gateway.doors import Visit
from gateway.intake.smtp import Limits, MailDoor

DEADLINE = 20.0  # seconds; only a test that fails waits for it


@dataclass(frozen=True, slots=True)
class Kept:
    visit: Visit
    envelope: Envelope
    raw: bytes


@dataclass(kw_only=True)
class RecordingHost:
    """A `doors.Host` that keeps what it is given, refuses what `refusals` names and raises what `faults` names."""

    networks: set[str] = field(default_factory=set)
    logins: dict[str, bytes] = field(default_factory=lambda: {"shop": b"wrench"})
    bare_lf: bool = False
    refusals: dict[str, Refusal] = field(default_factory=dict)  # by an address, or "data"
    faults: dict[str, Exception] = field(default_factory=dict)  # by "login", "mail", "rcpt", "data"
    kept: list[Kept] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)  # recipients
    committing: asyncio.Event = field(default_factory=asyncio.Event)
    disk: asyncio.Event = field(default_factory=asyncio.Event)  # cleared: a commit takes as long as the test wants

    def __post_init__(self) -> None:
        self.disk.set()

    def _fail(self, stage: str) -> None:
        if stage in self.faults:
            raise self.faults[stage]

    async def login(self, peer: str, username: str, password: bytes) -> str | None:
        self._fail("login")
        return f"sender-{username}" if self.logins.get(username) == password else None

    def in_network(self, peer: str) -> bool:
        return peer in self.networks

    def may_bare_lf(self, visit: Visit, mail_from: str) -> bool:
        return self.bare_lf

    def mail(self, visit: Visit, mail_from: str) -> Refusal | None:
        self._fail("mail")
        return self.refusals.get(mail_from)

    async def rcpt(self, visit: Visit, mail_from: str, address: str) -> Refusal | None:
        self._fail("rcpt")
        self.asked.append(address)
        return self.refusals.get(address)

    async def data(self, visit: Visit, envelope: Envelope, raw: bytes) -> str | Refusal:
        self.committing.set()
        await self.disk.wait()
        self._fail("data")
        if "data" in self.refusals:
            return self.refusals["data"]
        self.kept.append(Kept(visit, envelope, raw))
        return f"m{len(self.kept)}"


class Client:
    """A client over a real socket that sends exactly what it is told."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.writer.transport.abort()

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def reply(self) -> str:
        """The next reply, its lines joined by LF; '' when the server has hung up."""
        lines = []
        async with asyncio.timeout(DEADLINE):
            while True:
                try:
                    line = (await self.reader.readline()).decode("ascii")
                except ConnectionError:
                    return "\n".join(lines)
                lines.append(line.removesuffix("\r\n"))
                if line[3:4] != "-":
                    return "\n".join(lines)

    async def say(self, line: str) -> str:
        """Sends a line and answers the reply."""
        self.send(line.encode() + b"\r\n")
        return await self.reply()

    async def mail(self, content: bytes, *, to: str = "2025550143@sms.example.com") -> str:
        """The answer to one mail, sent with its content as it stands (the lone dot included)."""
        await self.say("MAIL FROM:<jobs@shop.example>")
        await self.say(f"RCPT TO:<{to}>")
        assert (await self.say("DATA")).startswith("354")
        self.send(content)
        return await self.reply()

    async def start_tls(self, tls: ssl.SSLContext) -> None:
        await self.writer.start_tls(tls, server_hostname="localhost")
        if self.reader._transport is not self.writer.transport:  # Python 3.11 forgets the reader
            self.reader._transport = self.writer.transport

    async def gone(self) -> bytes:
        """All that the server still says until it hangs up."""
        said = b""
        async with asyncio.timeout(DEADLINE):
            while True:
                try:
                    block = await self.reader.read(65536)
                except ConnectionError:
                    return said
                if not block:
                    return said
                said += block


async def connect(port: int, *, tls: ssl.SSLContext | None = None, greet: bool = True) -> Client:
    """A client that has read the banner and said EHLO."""
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", port, ssl=tls, server_hostname="localhost" if tls else None, limit=2**20
    )
    client = Client(reader, writer)
    if greet:
        assert await client.reply() == "220 mx.example.com ESMTP"
        assert (await client.say("EHLO pc7.shop.example")).startswith("250")
    return client


@dataclass(kw_only=True)
class House:
    """One open door with its host."""

    host: RecordingHost
    door: MailDoor
    port: int


async def open_house(
    *,
    door: Door = Door.SUBMISSION,
    limits: Limits | None = None,
    tls: ssl.SSLContext | None = None,
    implicit_tls: bool = False,
) -> House:
    """A door on a free loopback port, with a host that takes everything."""
    host = RecordingHost()
    mail_door = MailDoor(host, limits or Limits(), "mx.example.com", tls)
    port = await mail_door.listen("127.0.0.1", 0, door, implicit_tls=implicit_tls)
    return House(host=host, door=mail_door, port=port)
