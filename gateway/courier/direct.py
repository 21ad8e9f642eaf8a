"""Mail out without a relay: each mail goes to the mail hosts of its recipient's own domain (RFC 5321 5.1).

Experimental: carriers want PTR, SPF and DKIM of whoever speaks to them himself.  The next host is tried only where it
is certain that the one before it took nothing; after the content never.  What one domain does is no fault of ours: no
outcome here is `sender_wide`, but that this machine has no DNS.
"""

from __future__ import annotations

import asyncio
import ssl
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from ipaddress import IPv6Address, ip_address

import dns.asyncresolver
import dns.exception
import dns.resolver

from gateway.core import address as addresses
from gateway.core.work import Deferred, MailParcel, Outcome, Refused
from gateway.courier.mail import End, misaddressed, prepared, said, transact
from gateway.courier.relay import Relay, RelayError, Timeouts
from gateway.courier.signer import Signer

CONNECTIONS, CONNECTIONS_A_HOST = 16, 2
MOST_TRIED = 5  # addresses for one mail
_ABSENT = (dns.resolver.NoAnswer, dns.resolver.NXDOMAIN)
_DNS_FAULTS = (dns.exception.DNSException, OSError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    host: str  # the name that a certificate must bear
    address: str


@dataclass(slots=True, eq=False)
class _Host:
    turn: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(CONNECTIONS_A_HOST))
    users: int = 0
    relays: dict[str, Relay] = field(default_factory=dict)  # by address

    @property
    def idle(self) -> list[tuple[float, Relay]]:
        """Since when each connection is idle, and whose it is."""
        return [(since, relay) for relay in self.relays.values() for since in relay.idle]


class DirectCourier:
    """ports.MailCourier for the hosts that DNS names.  At most 16 connections are open, idle ones too, 2 of them to
    one host; the other mails wait for their turn.
    """

    def __init__(
        self,
        *,
        tls: str = "opportunistic",
        local_hostname: str,
        servers: Sequence[str] = (),
        signer: Signer | None = None,
        timeouts: Timeouts | None = None,
        ssl_context: ssl.SSLContext | None = None,
        reserved: bool = False,
        port: int = 25,
        dns_port: int = 53,
        dns_seconds: float = 10.0,
    ) -> None:
        """`servers` are name servers by IP address, () = the system's.  `tls` "required" wants a valid certificate.

        `reserved`: whether hosts at addresses that are not of the internet may be spoken to; only tests want that.
        """
        self._tls = tls
        self._local_hostname = local_hostname
        self._signer = signer
        self._timeouts = timeouts or Timeouts()
        self._ssl_context = ssl_context
        self._reserved = reserved
        self._port = port
        self._dns = (list(servers), dns_port, dns_seconds)
        self._resolver: dns.asyncresolver.Resolver | None = None
        self._turn = asyncio.Semaphore(CONNECTIONS)
        self._busy = 0
        self._hosts: dict[str, _Host] = {}

    async def send(self, parcel: MailParcel) -> Outcome:
        """Hands one mail over; the outcome as that of mail.RelayCourier.

        Codes of our own: 5.1.2 no such domain, 5.1.10 it takes no mail (RFC 7505), 5.4.4 no host that may be spoken to,
        4.4.3 no answer from DNS, 4.4.1 no host could be reached.
        """
        unfit = misaddressed(parcel)
        if unfit is not None:
            return unfit
        targets = await self._targets(addresses.mail_domain(parcel.rcpt_to), parcel.mail_from + parcel.rcpt_to)
        if isinstance(targets, (Deferred, Refused)):
            return targets
        ready = await prepared(parcel, self._signer)
        last = Deferred(reason="no host could be reached", code="4.4.1")
        for target in targets[:MOST_TRIED]:
            end = await self._tried(target, ready)
            if not isinstance(end.outcome, Deferred) or not _goes_on(end):
                return end.outcome
            last = end.outcome
        return last

    async def close(self) -> None:
        """Closes what is idle; connections in use close after their mail."""
        for host in self._hosts.values():
            for relay in host.relays.values():
                await relay.close()

    async def _tried(self, target: Target, parcel: MailParcel) -> End:
        """How it ended at one address.  The turn of the host comes first, or a slow one would take all connections."""
        host = self._hosts.setdefault(target.host, _Host())
        host.users += 1
        try:
            async with host.turn, self._turn:
                self._busy += 1
                try:
                    return await self._handed_over(self._relay(host, target), target, parcel)
                finally:
                    self._busy -= 1
        finally:
            host.users -= 1
            self._tidy()

    async def _handed_over(self, relay: Relay, target: Target, parcel: MailParcel) -> End:
        while True:
            if not relay.idle:
                self._make_room()
            try:
                link = await relay.take()
            except RelayError as fault:
                outcome = Deferred(reason=str(fault), code=said(fault.code, fault.reply) or "4.4.1")
                return End(outcome=outcome, step="the greeting", code=fault.code)
            end = await transact(relay, link, parcel, target.host, self._timeouts)
            if end is not None:
                return end

    def _relay(self, host: _Host, target: Target) -> Relay:
        found = host.relays.get(target.address)
        if found is None:
            found = host.relays[target.address] = Relay(
                host=target.host,
                address=target.address,
                port=self._port,
                tls=self._tls,
                local_hostname=self._local_hostname,
                timeouts=self._timeouts,
                ssl_context=self._ssl_context,
            )
        return found

    def _make_room(self) -> None:
        """Closes the connections that are idle for longest, until one more may be opened."""
        while len(idle := [entry for host in self._hosts.values() for entry in host.idle]) > CONNECTIONS - self._busy:
            min(idle, key=lambda entry: entry[0])[1].shed()

    def _tidy(self) -> None:
        for name in [name for name, host in self._hosts.items() if not host.users and not host.idle]:
            del self._hosts[name]

    async def _targets(self, domain: str, seed: str) -> list[Target] | Deferred | Refused:
        """Where to hand it over, best first; never empty.  Or why it cannot be told, or cannot be."""
        if not addresses.legal_domain(domain):
            return Refused(reason=f"{domain or 'nothing'} is not a mail domain", code="5.1.2")
        try:
            hosts = await self._exchanges(domain, seed)
            found = await self._addressed(hosts) if not isinstance(hosts, Refused) else []
        except dns.resolver.NoResolverConfiguration:
            return Deferred(reason="this machine has no DNS server; see [dns] servers", code="4.4.3", sender_wide=True)
        except _DNS_FAULTS as fault:
            return Deferred(reason=f"no answer from DNS for {domain}: {type(fault).__name__}", code="4.4.3")
        if isinstance(hosts, Refused):
            return hosts
        if not found:
            return Refused(reason=f"{domain} has no mail host", code="5.4.4")
        allowed = [target for target in found if self._reserved or public(target.address)]
        if not allowed:
            return Refused(reason=f"the mail hosts of {domain} have reserved addresses only", code="5.4.4")
        return allowed

    async def _exchanges(self, domain: str, seed: str) -> list[str] | Refused:
        """The mail hosts by preference.  Raises DNSException and OSError where DNS does not answer."""
        try:
            answer = await self._asked(domain, "MX")
        except dns.resolver.NXDOMAIN:
            return Refused(reason=f"the domain {domain} does not exist", code="5.1.2")
        except dns.resolver.NoAnswer:
            return [domain]
        hosts = [(record.preference, str(record.exchange).rstrip(".").lower()) for record in answer]
        if not any(name for _, name in hosts):
            return Refused(reason=f"the domain {domain} says that it takes no mail (null MX)", code="5.1.10")
        return ordered([(preference, name) for preference, name in hosts if name], seed)

    async def _addressed(self, hosts: Sequence[str]) -> list[Target]:
        """The addresses of the hosts in their order.  Raises only where no host has one, and one gave no answer."""
        found: list[Target] = []
        unknown: Exception | None = None
        for host in hosts[:MOST_TRIED]:
            for kind in ("A", "AAAA"):
                try:
                    answer = await self._asked(host, kind)
                except _ABSENT:
                    continue
                except _DNS_FAULTS as fault:
                    unknown = fault
                    continue
                found += [Target(host=host, address=record.address) for record in answer]
        if unknown is not None and not found:
            raise unknown
        return found

    async def _asked(self, name: str, kind: str) -> dns.resolver.Answer:
        if self._resolver is None:
            servers, port, seconds = self._dns
            self._resolver = dns.asyncresolver.Resolver(configure=not servers)
            if servers:
                self._resolver.port = port  # before the servers, which take it over
                self._resolver.nameservers = servers
            self._resolver.lifetime = seconds
            self._resolver.cache = dns.resolver.LRUCache(1000)
        return await self._resolver.resolve(f"{name}.", kind)


def ordered(hosts: Sequence[tuple[int, str]], seed: str) -> list[str]:
    """The names of (preference, name) by preference; equal ones in an order that `seed` gives (RFC 5321 5.1)."""
    return [name for *_, name in sorted((rank, zlib.crc32(f"{seed} {name}".encode()), name) for rank, name in hosts)]


def public(address: str) -> bool:
    """Whether an IP address is one of the internet, and not of a local net or reserved (RFC 6890)."""
    found = ip_address(address)
    if isinstance(found, IPv6Address):
        found = found.ipv4_mapped or found.sixtofour or found
    return found.is_global and not found.is_multicast


def _goes_on(end: End) -> bool:
    """Whether the next host may be tried: at this one nothing was said of the recipient, and no content was sent."""
    return end.step in ("the greeting", "MAIL") or (end.code == 0 and end.step != "the content")
