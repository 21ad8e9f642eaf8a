"""Proves an answer from outside: its From by the word of our own upstream, or by DKIM with keys from DNS; and that it
is a fresh answer to the conversation, since a signed mail can be sent again by anybody, to anybody.

How it fails: what a stranger writes proves nothing, and that is an answer.  Where DNS or the reader gives none, nothing
is known: ProofUnavailable, and the mail may come again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import dns.asyncresolver
import dns.exception
import dns.resolver

from gateway.core import proof
from gateway.core.model import MailAddr, Unreadable
from gateway.core.proof import Answered, Witness
from gateway.core.signed import KEY_CHARS
from gateway.ports import Reader, ReaderUnavailable


class ProofUnavailable(Exception):
    """Whether the From is proven cannot be told now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What proves an answer, or what is missing."""

    why: str = ""  # "dkim=pass header.d=example.com"; "" = it is not proven
    missing: str = ""  # a clause for people
    author: str = ""  # the address in From
    at: int = 0  # its proven Date, in Unix seconds


class Prover:
    def __init__(self, reader: Reader, servers: Sequence[str] = (), *, port: int = 53, seconds: float = 5.0) -> None:
        """`servers` are IP addresses, () = the system's; `seconds` bound the look-ups of one mail together."""
        self._reader = reader
        self._servers = list(servers)
        self._port = port
        self._seconds = seconds

    async def author(self, raw: bytes) -> MailAddr | None:
        """Whom the one address in From names; None where it is not one, or the mail cannot be read.

        Raises ProofUnavailable.
        """
        found = await self._asked("author", raw)
        return None if isinstance(found, Unreadable) else proof.author(found["from"])

    async def proven(
        self, raw: bytes, answered: Sequence[Answered], authserv_id: str, domain: str, now: datetime
    ) -> Proof:
        """Whether the mail is by somebody who may answer to each of `answered`, and is an answer to them.

        Where there is no sender the caller must know that the author may.  `authserv_id` is the name whose
        Authentication-Results are believed, "" = nobody's: it must be given only for a peer who puts them there
        himself.  `domain` is ours.  Raises ProofUnavailable.
        """
        seconds = int(now.timestamp())
        claim = await self._asked("signatures", raw, now=seconds)
        if isinstance(claim, Unreadable):
            return Proof(missing=f"the mail cannot be read: {claim.reason}")
        author = proof.author(claim["from"])
        if author is None:
            return Proof(missing="there must be one From with one address")
        for one in answered:
            if one.sender is not None and not proof.may_answer(author, one.sender):
                return Proof(missing=f"the address in From is not in answer_from of sender {one.sender.name}")
        spf = all(one.sender is None for one in answered)
        why = proof.believed(claim["results"], authserv_id, proof.domain(author), spf=spf) if authserv_id else ""
        names = [] if why else claim["names"]
        keys, unknown = await self._keys(names) if names else ({}, [])
        found = await self._witnesses(raw, proof.domain(author), keys, seconds) if why or keys else []
        witnesses = found[:1] if why else found[1:]
        bars = [_unbound(witness, answered, domain.lower(), seconds) for witness in witnesses]
        if "" in bars:
            taken = witnesses[bars.index("")]
            return Proof(why=why or f"dkim=pass header.d={taken.domain}", author=author, at=taken.at or 0)
        if unknown:
            raise ProofUnavailable(f"no answer from DNS for {unknown[0]}")
        return Proof(missing=bars[0] if bars else _missing(author, authserv_id))

    async def _witnesses(self, raw: bytes, domain: str, keys: Mapping[str, str], now: int) -> Sequence[Witness]:
        """The header alone, then what each valid signature covers.  Raises ProofUnavailable."""
        found = await self._asked("verify", raw, domain=domain, keys=keys, now=now)
        return [] if isinstance(found, Unreadable) else [Witness(*row) for row in found["domains"]]

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


def _unbound(witness: Witness, answered: Sequence[Answered], domain: str, now: int) -> str:
    return next(filter(None, (proof.unbound(witness, one, domain, now) for one in answered)), "")


def _missing(author: MailAddr, authserv_id: str) -> str:
    missing = f"there is no valid DKIM signature aligned with {proof.domain(author)} that covers all that is read"
    return f"{missing}, and no Authentication-Results of {authserv_id} that says pass" if authserv_id else missing
