"""What DNS says of mail: whether a domain can still take it, which hosts do, and what stands at a name.

How it fails: that there is nothing is an answer; that nobody answers proves nothing, and is told apart.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any

import dns.asyncresolver
import dns.exception
import dns.resolver
import dns.reversename

from gateway.core.carrier import routable
from gateway.core.rules import Employee, Rules

Answer = list[str] | str  # of a domain: its mail hosts, best first, or why it takes no mail or nobody knows
_NO_SERVER = "no answer: this machine has no DNS server"


class Unanswered(Exception):
    """DNS gave no answer.  The text begins with "no answer"."""


class Names:
    """A resolver: each look-up ends within `seconds`, and raises nothing but Unanswered."""

    def __init__(self, servers: Sequence[str] = (), *, port: int = 53, seconds: float = 10.0) -> None:
        """`servers` are IP addresses, () = the system's."""
        self._resolver: dns.asyncresolver.Resolver | None = None
        try:
            made = dns.asyncresolver.Resolver(configure=not servers)
        except dns.resolver.NoResolverConfiguration:
            return
        if servers:
            made.port = port  # before the servers, which take it over
            made.nameservers = list(servers)
        made.lifetime = seconds
        self._resolver = made

    async def texts(self, name: str) -> list[str]:
        """The TXT records at `name`, each in one piece; [] = there are none."""
        return [b"".join(record.strings).decode("utf-8", "replace") for record in await self._there(name, "TXT")]

    async def addresses(self, host: str) -> list[str]:
        """The IP addresses of a host; [] = it has none."""
        return [record.address for kind in ("A", "AAAA") for record in await self._there(host, kind)]

    async def pointers(self, address: str) -> list[str]:
        """The names that an IP address is given in reverse (PTR), in lower case; [] = none."""
        found = await self._there(dns.reversename.from_address(address).to_text(), "PTR")
        return [str(record.target).rstrip(".").lower() for record in found]

    async def exchanges(self, domain: str) -> list[str] | str:
        """The hosts of a domain's MX records, best first; [] = it has none.  Or why it takes no mail: a clause."""
        try:
            found = await self._asked(domain, "MX")
        except dns.resolver.NXDOMAIN:
            return "the domain does not exist"
        except dns.resolver.NoAnswer:
            return []
        hosts = [str(r.exchange).rstrip(".").lower() for r in sorted(found, key=lambda r: int(r.preference))]
        return hosts if any(hosts) else "the domain says that it takes no mail (null MX)"

    async def _there(self, name: str, kind: str) -> list[Any]:
        try:
            return list(await self._asked(name, kind))
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
            return []

    async def _asked(self, name: str, kind: str) -> dns.resolver.Answer:
        """Raises Unanswered, and NXDOMAIN and NoAnswer of dns.resolver: nothing is there."""
        if self._resolver is None:
            raise Unanswered(_NO_SERVER)
        try:
            return await self._resolver.resolve(f"{name.rstrip('.')}.", kind)
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
            raise
        except (dns.exception.DNSException, OSError) as error:
            raise Unanswered(f"no answer from DNS: {type(error).__name__}") from error


async def look_up(
    domains: Iterable[str], servers: Sequence[str], seconds: float = 10.0, *, port: int = 53
) -> Mapping[str, Answer]:
    """For each domain its mail hosts, best first, or a sentence that says why it takes no mail or why nobody knows.

    A sentence that begins with "no answer" proves nothing about the domain.  A null MX is RFC 7505, a domain without MX
    but with an address takes mail at that address (RFC 5321 5.1).  `seconds` bounds all look-ups together.
    """
    names = Names(servers, port=port, seconds=seconds)
    tasks = {domain: asyncio.create_task(_one(names, domain)) for domain in sorted(set(domains))}
    try:
        if tasks:
            await asyncio.wait(tasks.values(), timeout=seconds)
        late = f"no answer from DNS within {seconds:g} s"
        return {domain: task.result() if task.done() else late for domain, task in tasks.items()}
    finally:
        for task in tasks.values():
            task.cancel()


def unknown(answer: Answer) -> bool:
    """Whether an answer of `look_up` proves nothing."""
    return isinstance(answer, str) and answer.startswith("no answer")


def in_use(rules: Rules, today: date) -> Mapping[str, tuple[Employee, ...]]:
    """The carriers' mail domains by which employees can be texted on that day, and who they are."""
    used: dict[str, tuple[Employee, ...]] = {}
    for employee in rules.employees:
        channel = rules.channel(employee)
        if channel is not None and channel.address and not routable(channel, today):
            used[channel.domain] = (*used.get(channel.domain, ()), employee)
    return used


async def _one(names: Names, domain: str) -> Answer:
    try:
        hosts = await names.exchanges(domain)
        if hosts:
            return hosts
        return [domain] if await names.addresses(domain) else "the domain has no mail host"
    except Unanswered as error:
        return str(error)
