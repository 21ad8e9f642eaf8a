"""The internet as far as files may be fetched from it: names that lead into a network of ours lead nowhere."""

from __future__ import annotations

import socket
from ipaddress import IPv6Address, IPv6Network, ip_address

from aiohttp.abc import AbstractResolver, ResolveResult

LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
_NAT64 = IPv6Network("64:ff9b::/96")


class PrivateError(OSError):
    """A name that leads to no public address."""


class PublicResolver(AbstractResolver):
    """The addresses of a name that are of the internet; aiohttp connects to these and asks nobody again.

    Names of loopback pass where `local`.  What is an address already never comes here: it is in no list of host names.
    """

    def __init__(self, inner: AbstractResolver, *, local: bool) -> None:
        self._inner = inner
        self._local = local

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await self._inner.resolve(host, port, family)
        public = [each for each in found if (self._local and host in LOOPBACK) or is_public(each["host"])]
        if not public:
            raise PrivateError("no public address")
        return public

    async def close(self) -> None:
        await self._inner.close()


def is_public(address: str) -> bool:
    """Whether an IP address is one of the internet: not private, loopback, link-local, shared, reserved or multicast,
    and no IPv6 address with an IPv4 address hidden in it (RFC 4291 2.5.5, RFC 3056, RFC 4380, RFC 6052).
    """
    ip = ip_address(address.partition("%")[0])
    if isinstance(ip, IPv6Address) and (ip.ipv4_mapped or ip.sixtofour or ip.teredo or ip in _NAT64):
        return False
    return ip.is_global and not ip.is_multicast
