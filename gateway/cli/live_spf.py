"""SPF of our mail's domain: whether receivers can use the record, and whether it names the address that we send from.

Sources: RFC 7208 4.5 (which records count), 4.6.4 (at most ten look-ups), 5 and 6.1 (mechanisms and redirect).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address, ip_network

from gateway.mx import Names

_MOST = 10  # look-ups that a receiver makes
_MECHANISM = re.compile(
    r"([+?~-]?)(all|include|a|mx|ptr|ip4|ip6|exists)(?::([^/%]+|\S*%\S*))?((?:/\d{1,3})?(?://\d{1,3})?)", re.IGNORECASE
)
_MODIFIER = re.compile(r"([a-z][a-z0-9_.-]*)=(.*)", re.IGNORECASE)


class SpfError(Exception):
    """Why a receiver answers permerror: a clause.  It treats the mail as if it had come from anybody."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spf:
    record: str  # "" = there is none
    everybody: bool = False  # it lets any host send
    covers: bool | None = None  # whether the address passes; None = that cannot be judged here


async def judged(domain: str, names: Names, address: str = "") -> Spf:
    """The record of `domain`, and whether `address` may send for it.  Raises SpfError, and Unanswered of mx."""
    walk = _Walk(names, address)
    record = await walk.record(domain)
    if not record:
        return Spf(record="")
    covers = await walk.passes(domain, record)
    return Spf(record=record, everybody=walk.everybody, covers=covers)


class _Walk:
    """One evaluation; every branch is walked, for other senders meet what ours does not."""

    def __init__(self, names: Names, address: str) -> None:
        self._names = names
        self._address = ip_address(address) if address else None
        self._look_ups = 0
        self._depth = 0
        self.everybody = False

    async def record(self, domain: str) -> str:
        found = [text for text in await self._names.texts(domain) if re.match(r"v=spf1(?: |$)", text, re.IGNORECASE)]
        if len(found) > 1:
            raise SpfError(f"{domain} has {len(found)} SPF records, and may have one only")
        return found[0].strip() if found else ""

    async def passes(self, domain: str, record: str) -> bool | None:
        """Whether the address matches before anything says no; None = a mechanism that is not judged here decides."""
        verdict: list[bool | None] = []
        terms = record.split()[1:]
        redirect = ""
        for term in terms:
            modifier = _MODIFIER.fullmatch(term)
            if modifier:
                redirect = modifier[2] if modifier[1].lower() == "redirect" else redirect
                continue
            found = _MECHANISM.fullmatch(term)
            if found is None:
                raise SpfError(f"{domain} has {term!r} in its SPF record, which is nothing that SPF knows")
            sign, name, value = found[1], found[2].lower(), found[3] or ""
            if name == "all":
                self.everybody = self.everybody or (self._depth == 0 and sign in ("", "+"))
            matched = await self._matches(name, value or domain, found[4], term)
            if matched is None or matched:
                verdict.append(None if matched is None else sign in ("", "+"))
        if redirect and not any(_is_all(term) for term in terms):
            verdict.append(await self._included(redirect, "redirect"))
        return verdict[0] if verdict else False

    async def _matches(self, name: str, value: str, length: str, term: str) -> bool | None:
        """Whether a mechanism speaks of the address; None = not judged."""
        match name:
            case "all":
                return True
            case "ip4" | "ip6":
                return self._within([value], length, term)
            case "include":
                return await self._included(value, "include")
        self._count()
        if "%" in value or name in ("ptr", "exists"):
            return None
        if self._address is None:
            return False
        hosts: Sequence[str] | str = [value] if name == "a" else await self._names.exchanges(value)
        if isinstance(hosts, str):
            return False
        found = [address for host in hosts[:_MOST] for address in await self._names.addresses(host)]
        four, _, six = length.partition("//")
        sized = [(one, f"/{six}" if ":" in one and six else "" if ":" in one else four) for one in found]
        return any(self._within([one], size, term) for one, size in sized)

    async def _included(self, domain: str, word: str) -> bool | None:
        self._count()
        if "%" in domain:
            return None
        record = await self.record(domain)
        if not record:
            raise SpfError(f"its {word} {domain or 'of nothing'} has no SPF record")
        self._depth += 1
        found = await self.passes(domain, record)
        self._depth -= 1
        return found

    def _within(self, addresses: Sequence[str], length: str, term: str) -> bool:
        try:
            networks = [ip_network(f"{address}{length}", strict=False) for address in addresses]
        except ValueError:
            raise SpfError(f"{term!r} in its SPF record is not an IP network") from None
        return self._address is not None and any(self._address in network for network in networks)

    def _count(self) -> None:
        self._look_ups += 1
        if self._look_ups > _MOST:
            raise SpfError(f"its SPF record needs more than {_MOST} look-ups")


def _is_all(term: str) -> bool:
    return term.lstrip("+?~-").lower() == "all"
