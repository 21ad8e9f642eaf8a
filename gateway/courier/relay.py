"""The connections to the one relay of `[relay]`: opened, encrypted, logged in, kept for the next mail.

Whatever keeps us from a connection is a RelayError: the relay's or the configuration's fault, never a mail's.
"""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass, field

from aiosmtplib import SMTP, SMTPAuthenticationError, SMTPException, SMTPHeloError, SMTPResponseException

WIRE_FAULTS = (SMTPException, OSError)
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
    client: SMTP
    used: bool = False  # it has carried a transaction: the relay may have closed it since
    idle_since: float = 0.0
    closer: asyncio.TimerHandle | None = field(default=None, repr=False)

    def part(self) -> None:
        """Closes politely without waiting: what is written before close() is still flushed."""
        if self.client.protocol is not None and self.client.is_connected:
            self.client.protocol.write(b"QUIT\r\n")
        self.client.close()


class Relay:
    """`take` a connection, then `keep` or `Link.part` it.

    `tls`: "required" (STARTTLS, never without), "implicit", "opportunistic" (STARTTLS where offered) or "off".  The
    certificate is verified, but for opportunistic without a login: there plain text would be taken as well.  A password
    leaves over TLS only, unless `tls` is "off", which the configuration allows on loopback alone.
    """

    def __init__(
        self,
        *,
        host: str,
        port: int | None,
        tls: str,
        username: str,
        password: str,
        local_hostname: str | None,
        timeouts: Timeouts,
        ssl_context: ssl.SSLContext | None,
    ) -> None:
        self._host = host
        self._port = port or _PORTS.get(tls, 25)
        self._tls = tls
        self._username = username
        self._password = password
        self._local_hostname = local_hostname
        self._timeouts = timeouts
        self._ssl_context = ssl_context or _context(verify=tls != "opportunistic" or bool(username))
        self._idle: list[Link] = []
        self._closed = False

    async def take(self) -> Link:
        """A connection that was alive a moment ago.  Raises RelayError."""
        while self._idle:
            link = self._idle.pop()
            if link.closer is not None:
                link.closer.cancel()
            if await self._alive(link):
                return link
            link.client.close()
        try:
            return Link(await self._open())
        except WIRE_FAULTS as fault:
            raise self._unusable(fault) from fault

    def keep(self, link: Link) -> None:
        """Leaves a connection between two mails open for a while."""
        if self._closed:
            link.part()
            return
        loop = asyncio.get_running_loop()
        link.idle_since = loop.time()
        link.closer = loop.call_later(self._timeouts.idle, self._retire, link)
        self._idle.append(link)

    async def close(self) -> None:
        """Closes what is idle; connections in use close after their mail."""
        self._closed = True
        while self._idle:
            link = self._idle.pop()
            if link.closer is not None:
                link.closer.cancel()
            link.part()
        await asyncio.sleep(0)

    def _retire(self, link: Link) -> None:
        self._idle.remove(link)
        link.part()

    async def _alive(self, link: Link) -> bool:
        if not link.client.is_connected:
            return False
        if asyncio.get_running_loop().time() - link.idle_since < self._timeouts.probe_after:
            return True
        try:
            reply = await link.client.execute_command(b"NOOP", timeout=self._timeouts.connect)
        except WIRE_FAULTS:
            return False
        return reply.code == 250

    async def _open(self) -> SMTP:
        """A connection that is greeted, encrypted and logged in as configured."""
        client = SMTP(
            hostname=self._host,
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
                await _greet(client)
                await self._encrypt(client)
                if self._username:
                    await self._login(client)
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
            await client.starttls()
            await _greet(client)

    async def _login(self, client: SMTP) -> None:
        if self._tls != "off" and client.get_transport_info("sslcontext") is None:
            raise self._error("does not offer TLS, and the password is not sent without")
        offered = client.server_auth_methods
        # one method, one try: a second refusal for the same password may lock the account
        if "plain" in offered:
            await client.auth_plain(self._username, self._password)
        elif "login" in offered:
            await client.auth_login(self._username, self._password)
        elif "cram-md5" in offered:
            await client.auth_crammd5(self._username, self._password)
        else:
            raise self._error("offers no login with a password (PLAIN, LOGIN, CRAM-MD5)")

    def _unusable(self, fault: Exception) -> RelayError:
        if isinstance(fault, SMTPAuthenticationError):
            what = "refused the login, check [relay] username and password"
            return self._error(f"{what}: {fault.code} {line(fault.message)}", fault.code, fault.message)
        if isinstance(fault, SMTPResponseException):
            return self._error(f"does not take mail now: {fault.code} {line(fault.message)}", fault.code, fault.message)
        words = line(str(fault)) or f"no answer within {self._timeouts.connect:g} s"
        return self._error(f"cannot be reached: {words}")

    def _error(self, what: str, code: int = 0, reply: str = "") -> RelayError:
        return RelayError(f"{self._host}:{self._port} {what}", code, reply)


def line(text: str) -> str:
    """One printable line of bounded length: the relay chooses these words, and people read them."""
    plain = "".join(c if c.isprintable() else " " for c in text)
    return " ".join(plain.split())[:400]


def _context(*, verify: bool) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


async def _greet(client: SMTP) -> None:
    try:
        await client.ehlo()
    except SMTPHeloError:
        await client.helo()
