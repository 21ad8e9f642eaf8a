"""MX look-ups: whether a domain can still take mail."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence

import dns.asyncresolver
import dns.exception
import dns.resolver


async def look_up(
    domains: Iterable[str], servers: Sequence[str], seconds: float = 10.0
) -> Mapping[str, list[str] | str]:
    """For each domain its mail hosts, best first, or a sentence that says why it takes no mail or why nobody knows.

    A sentence that begins with "no answer" proves nothing about the domain.  A null MX is RFC 7505, a domain without MX
    but with an address takes mail at that address (RFC 5321 5.1).  `seconds` bounds all look-ups together.
    """
    wanted = sorted(set(domains))
    try:
        resolver = dns.asyncresolver.Resolver(configure=not servers)
    except dns.resolver.NoResolverConfiguration:
        return dict.fromkeys(wanted, "no answer: this machine has no DNS server")
    if servers:
        resolver.nameservers = list(servers)
    resolver.lifetime = seconds
    tasks = {domain: asyncio.create_task(_one(resolver, domain)) for domain in wanted}
    if tasks:
        await asyncio.wait(tasks.values(), timeout=seconds)
    found: dict[str, list[str] | str] = {}
    for domain, task in tasks.items():
        if task.done():
            found[domain] = task.result()
        else:
            task.cancel()
            found[domain] = f"no answer from DNS within {seconds:g} s"
    return found


async def _one(resolver: dns.asyncresolver.Resolver, domain: str) -> list[str] | str:
    try:
        answer = await resolver.resolve(domain, "MX")
    except dns.resolver.NXDOMAIN:
        return "the domain does not exist"
    except dns.resolver.NoAnswer:
        return await _address(resolver, domain)
    except (dns.exception.DNSException, OSError) as error:
        return f"no answer from DNS: {type(error).__name__}"
    hosts = [str(r.exchange).rstrip(".") for r in sorted(answer, key=lambda r: r.preference)]
    return hosts if any(hosts) else "the domain says that it takes no mail (null MX)"


async def _address(resolver: dns.asyncresolver.Resolver, domain: str) -> list[str] | str:
    for kind in ("A", "AAAA"):
        try:
            await resolver.resolve(domain, kind)
        except (dns.resolver.NoAnswer, dns.resolver.NXDOMAIN):
            continue
        except (dns.exception.DNSException, OSError) as error:
            return f"no answer from DNS: {type(error).__name__}"
        return [domain]
    return "the domain has no mail host"
