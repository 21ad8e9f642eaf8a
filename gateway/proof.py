"""Proves the From of a mail from outside: by the word of our own upstream, or by DKIM with keys from DNS.

How it fails: what a stranger writes proves nothing, and that is an answer.  Where DNS or the reader gives none, nothing
is known: ProofUnavailable, and the mail may come again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import dns.asyncresolver
import dns.exception
import dns.resolver

from gateway.core import proof
from gateway.core.model import MailAddr, Unreadable
from gateway.core.rules import Sender
from gateway.core.signed import KEY_CHARS
from gateway.ports import Reader, ReaderUnavailable


class ProofUnavailable(Exception):
    """Whether the From is proven cannot be told now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What proves a From, or what is missing."""

    why: str = ""  # "dkim=pass header.d=example.com"; "" = it is not proven
    missing: str = ""  # a clause for people


class Prover:
    def __init__(self, reader: Reader, servers: Sequence[str] = (), *, port: int = 53, seconds: float = 5.0) -> None:
        """`servers` are IP addresses, () = the system's; `seconds` bound the look-ups of one mail together."""
        self._reader = reader
        self._servers = list(servers)
        self._port = port
        self._seconds = seconds

    async def proven(self, raw: bytes, senders: Iterable[Sender], authserv_id: str, now: datetime) -> Proof:
        """Whether the mail is by somebody who may answer for each of `senders`.

        `authserv_id` is the name whose Authentication-Results are believed, "" = nobody's: it must be given only for a
        peer who puts them there himself.  Raises ProofUnavailable.
        """
        seconds = int(now.timestamp())
        claim = await self._asked("signatures", raw, now=seconds)
        if isinstance(claim, Unreadable):
            return Proof(missing=f"the mail cannot be read: {claim.reason}")
        author = proof.author(claim["from"])
        if author is None:
            return Proof(missing="there must be one From with one address")
        for sender in senders:
            if not proof.may_answer(author, sender):
                return Proof(missing=f"the address in From is not in answer_from of sender {sender.name}")
        domain = proof.domain(author)
        why = proof.believed(claim["results"], authserv_id, domain) if authserv_id else ""
        why = why or await self._signed(raw, domain, claim["names"], seconds)
        return Proof(why=why) if why else Proof(missing=_missing(author, authserv_id))

    async def _signed(self, raw: bytes, domain: str, names: Sequence[str], now: int) -> str:
        """The valid signature as Authentication-Results would name it, "" = none.  Raises ProofUnavailable."""
        if not names:
            return ""
        keys, unknown = await self._keys(names)
        found = await self._asked("verify", raw, domain=domain, keys=keys, now=now) if keys else {"domains": []}
        domains = [] if isinstance(found, Unreadable) else found["domains"]
        if domains:
            return f"dkim=pass header.d={domains[0]}"
        if unknown:
            raise ProofUnavailable(f"no answer from DNS for {unknown[0]}")
        return ""

    async def _asked(self, op: str, raw: bytes, **arguments: Any) -> dict[str, Any] | Unreadable:
        try:
            return await self._reader.ask(op, raw, **arguments)
        except ReaderUnavailable as error:
            raise ProofUnavailable(str(error)) from error

    async def _keys(self, names: Sequence[str]) -> tuple[Mapping[str, str], Sequence[str]]:
        """The key records that exist, by name, and the names of which nobody could tell."""
        try:
            resolver = dns.asyncresolver.Resolver(configure=not self._servers)
        except dns.resolver.NoResolverConfiguration:
            return {}, names
        if self._servers:
            resolver.port = self._port
            resolver.nameservers = self._servers
        resolver.lifetime = self._seconds
        async with asyncio.TaskGroup() as group:  # each ends within the lifetime
            tasks = {name: group.create_task(_key(resolver, name)) for name in names}
        answers = {name: task.result() for name, task in tasks.items()}
        keys = {name: key for name, key in answers.items() if key}
        return keys, [name for name, key in answers.items() if key is None]


async def _key(resolver: dns.asyncresolver.Resolver, name: str) -> str | None:
    """The key record at `name`, "" when there is none, None when nobody knows."""
    try:
        answer = await resolver.resolve(f"{name}.", "TXT")
    except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
        return ""
    except (dns.exception.DNSException, OSError):
        return None
    records = [b"".join(record.strings).decode("ascii", "replace")[: KEY_CHARS + 1] for record in answer]
    # A name may hold one record only (RFC 6376 3.6.2.2), but some keep notes beside the key.
    return next((record for record in records if record.startswith("v=DKIM1")), records[0] if records else "")


def _missing(author: MailAddr, authserv_id: str) -> str:
    missing = f"there is no valid DKIM signature aligned with {proof.domain(author)}"
    return f"{missing}, and no Authentication-Results of {authserv_id} that says pass" if authserv_id else missing
