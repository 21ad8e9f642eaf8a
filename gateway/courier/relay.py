"""The connections to one mail server: opened, encrypted, logged in, kept for the next mail.

Whatever keeps us from a connection is a RelayError: the relay's or the configuration's fault, never a mail's.
"""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass, field

from aiosmtplib import SMTP, SMTPResponseException

from gateway.courier.oauth import LoginError, Tokens, greet, line, log_in
from gateway.courier.wire import WIRE_FAULTS, Wire

_PORTS = {"implicit": 465, "required": 587}


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """Seconds."""

    connect: float = 20.0  # from the first packet to the end of the login
    command: float = 60.0  # each answer before the content
    final: float = 600.0  # the answer to the final dot: RFC 5321 4.5.3.2.6 asks for ten minutes
    idle: float = 30.0  # after that an unused connection is closed
    probe_after: float = 3.0  # a connection idle for longer is tried with NOOP before it is used


class RelayError(Exception):
    """The relay cannot be used now.  The text tells why; `reply` is its answer, where it gave one."""

    def __init__(self, text: str, code: int = 0, reply: str = "") -> None:
        super().__init__(text)
        self.code = code
        self.reply = reply


@dataclass(slots=True, eq=False)
class Link:
    """A connection that is ready for mail."""

    client: SMTP
    wire: Wire = field(init=False)
    offers: frozenset[str] = field(init=False)  # the extensions of the relay, in lower case
    used: bool = False  # it has carried a transaction: the relay may have closed it since
    idle_since: float = 0.0  # by the clock of the loop

    def __post_init__(self) -> None:
        self.wire = Wire(self.client)
        self.offers = frozenset(self.client.esmtp_extensions)

    def part(self) -> None:
        """Closes politely without waiting: what is written before close() is still flushed."""
        if self.client.protocol is not None and self.client.is_connected:
            self.client.protocol.write(b"QUIT\r\n")
        self.client.close()


class Relay:
    """`take` a connection, then `keep` or `Link.part` it.

    `tls`: "required" (STARTTLS, never without), "implicit", "opportunistic" (STARTTLS where offered) or "off".  The
    certificate is verified, but for opportunistic without a login: there plain text would be taken as well.  A password
    or token leaves over TLS only, unless `tls` is "off", which the configuration allows on loopback alone.
    """

    def __init__(
        self,
        *,
        host: str,
        port: int | None,
        tls: str,
        username: str = "",
        password: str = "",
        tokens: Tokens | None = None,
        address: str = "",
        local_hostname: str | None,
        timeouts: Timeouts,
        ssl_context: ssl.SSLContext | None,
    ) -> None:
        """`tokens` log in by XOAUTH2 in place of the password; `address` is where `host` was found, "" = look it up."""
        self._host = host
        self._address = address or host
        self._port = port or _PORTS.get(tls, 25)
        self._tls = tls
        self._username = username
        self._password = password
        self._tokens = tokens
        self._local_hostname = local_hostname
        self._timeouts = timeouts
        self._ssl_context = ssl_context or _context(verify=tls != "opportunistic" or bool(username))
        self._idle: list[Link] = []  # oldest first
        self._closer: asyncio.TimerHandle | None = None
        self._closed = False

    @property
    def idle(self) -> tuple[float, ...]:
        """Since when each kept connection is unused, by the clock of the loop; oldest first."""
        return tuple(link.idle_since for link in self._idle)

    async def take(self) -> Link:
        """A connection that was alive a moment ago.  Raises RelayError."""
        while self._idle:
            link = self._idle.pop()
            if await self._alive(link):
                return link
            link.client.close()
        try:
            return Link(await self._logged_in())
        except LoginError as fault:
            raise self._error(str(fault), fault.code, fault.reply) from fault
        except WIRE_FAULTS as fault:
            raise self._unusable(fault) from fault

    def keep(self, link: Link) -> None:
        """Leaves a connection between two mails open for a while."""
        if self._closed:
            link.part()
            return
        loop = asyncio.get_running_loop()
        link.idle_since = loop.time()
        self._idle.append(link)
        if self._closer is None:
            self._closer = loop.call_later(self._timeouts.idle, self._retire)

    def shed(self) -> None:
        """Closes the connection that is idle for longest."""
        self._idle.pop(0).part()

    async def close(self) -> None:
        """Closes what is idle; connections in use close after their mail."""
        self._closed = True
        if self._closer is not None:
            self._closer.cancel()
        while self._idle:
            self.shed()
        await asyncio.sleep(0)

    def _retire(self) -> None:
        """Closes what is idle for too long; one timer for all: most connections are idle for a moment only."""
        loop = asyncio.get_running_loop()
        while self._idle and loop.time() - self._idle[0].idle_since >= self._timeouts.idle:
            self.shed()
        left = [link.idle_since + self._timeouts.idle for link in self._idle[:1]]
        self._closer = loop.call_at(left[0], self._retire) if left else None

    async def _alive(self, link: Link) -> bool:
        if not link.client.is_connected or not link.wire.between:
            return False
        if asyncio.get_running_loop().time() - link.idle_since < self._timeouts.probe_after:
            return True
        try:
            reply = await link.wire.ask(b"NOOP\r\n", self._timeouts.connect)
        except WIRE_FAULTS:
            return False
        return reply.code == 250

    async def _logged_in(self) -> SMTP:
        if self._tokens is None:
            return await self._open("")
        token = await self._tokens.token()
        try:
            return await self._open(token)
        except LoginError as refused:
            # It may have been withdrawn before its time: once more, but never with the same one.
            other = await self._tokens.token(refused=token) if refused.code == 535 else token
            if other == token:
                raise
        return await self._open(other)

    async def _open(self, token: str) -> SMTP:
        """A connection that is greeted, encrypted and logged in as configured."""
        client = SMTP(
            hostname=self._address,
            port=self._port,
            use_tls=self._tls == "implicit",
            start_tls=False,
            tls_context=self._ssl_context,
            local_hostname=self._local_hostname,
            timeout=self._timeouts.connect,
        )
        ready = False
        try:
            async with asyncio.timeout(self._timeouts.connect):
                await client.connect()
                await greet(client)
                await self._encrypt(client)
                if self._username:
                    clear = self._tls != "off" and client.get_transport_info("sslcontext") is None
                    await log_in(client, self._username, self._password, token, clear=clear)
            ready = True
        finally:
            if not ready:
                client.close()
        return client

    async def _encrypt(self, client: SMTP) -> None:
        offered = client.supports_extension("starttls")
        if self._tls == "required" and not offered:
            raise self._error('does not offer STARTTLS, and [relay] tls = "required" never sends without')
        if self._tls == "required" or (self._tls == "opportunistic" and offered):
            await client.starttls(server_hostname=self._host)
            await greet(client)

    def _unusable(self, fault: Exception) -> RelayError:
        if isinstance(fault, SMTPResponseException):
            return self._error(f"does not take mail now: {fault.code} {line(fault.message)}", fault.code, fault.message)
        words = line(str(fault)) or f"no answer within {self._timeouts.connect:g} s"
        return self._error(f"cannot be reached: {words}")

    def _error(self, what: str, code: int = 0, reply: str = "") -> RelayError:
        return RelayError(f"{self._host}:{self._port} {what}", code, reply)


def _context(*, verify: bool) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
