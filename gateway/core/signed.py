"""The DKIM signatures of a mail: which of them could prove its From, and which do.

To be run where CPU and memory are limited, in the reader: the library takes quadratic time for crafted white space.
Sources: RFC 6376, RFC 8301 (algorithms, sizes of keys), RFC 8463 (Ed25519, where PyNaCl is installed).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from gateway.core import address, header, parts, proof
from gateway.core.model import Unreadable

MOST = 5  # signatures that are verified
KEY_CHARS = 4_096  # of a key record; RSA of 16,384 bits has 2,800

_LOOKED_AT = 50  # DKIM-Signature fields
_ALGORITHMS = (b"rsa-sha256", b"ed25519-sha256")
_SELECTOR = re.compile(rb"[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63}){0,9}")
_NAME_CHARS = 253  # RFC 1035 2.3.4
_EXPIRY = re.compile(rb"\d{1,12}")
# What the library lets through from crafted signatures and keys, besides exceptions of its own.
_FAULTS = (ValueError, LookupError, TypeError, AssertionError, ArithmeticError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What a mail says of its author, and how that could be proven."""

    authors: tuple[str, ...]  # values of From
    results: tuple[str, ...]  # values of Authentication-Results, topmost first
    names: tuple[str, ...]  # where the keys of its signatures are in DNS


@dataclass(frozen=True, slots=True, kw_only=True)
class _Signature:
    index: int  # among the DKIM-Signature fields, topmost first
    name: str
    domain: str
    tags: Mapping[bytes, bytes]


def claim(raw: bytes, now: int) -> Claim | Unreadable:
    """What a mail claims; `now` in Unix seconds.

    `names` are those of the first 5 signatures that would prove From: by an aligned domain, over the whole body (with
    l= anybody may add to it), From among the signed fields, rsa-sha256 or ed25519-sha256, not past x=.
    """
    message = parts.parse(raw)
    if isinstance(message, Unreadable):
        return message
    fields = parts.fields(message)
    authors = tuple(value[: header.LONGEST + 1] for value in fields.get("from", [])[:2])
    results = fields.get("authentication-results", [])[: proof.MOST_FIELDS]
    found = proof.author(authors)
    signatures = _signatures(_signer(raw), proof.domain(found), now) if found else ()
    return Claim(
        authors=authors,
        results=tuple(value[: header.LONGEST + 1] for value in results),
        names=tuple(dict.fromkeys(one.name for one in signatures)),
    )


def verify(raw: bytes, from_domain: str, keys: Mapping[str, str], now: int) -> tuple[str, ...]:
    """The signing domains of those signatures that are valid by `keys`: the TXT record of each name of `claim`.

    RSA keys have at least 1,024 bits.  A key that is only being tested (t=y) proves nothing: RFC 6376 3.6.1.
    """
    signer = _signer(raw)
    return tuple(
        dict.fromkeys(
            one.domain
            for one in _signatures(signer, from_domain, now)
            if one.name in keys and _valid(signer, one, keys[one.name])
        )
    )


def _signer(raw: bytes) -> Any:
    """The library's view of a mail; None when it sees none."""
    import dkim  # type: ignore[import-untyped]  # it has no types

    try:
        signer = dkim.DKIM(raw)
    except (dkim.DKIMException, *_FAULTS):
        return None
    authors = [value for name, value in signer.headers if name.lower() == b"from"]
    return signer if len(authors) == 1 else None


def _signatures(signer: Any, from_domain: str, now: int) -> tuple[_Signature, ...]:
    if signer is None:
        return ()
    fields = [value for name, value in signer.headers if name.lower() == b"dkim-signature"]
    return tuple(_usable(fields[:_LOOKED_AT], from_domain, now))[:MOST]


def _usable(fields: list[bytes], from_domain: str, now: int) -> Iterator[_Signature]:
    for index, value in enumerate(fields):
        tags = _tags(value)
        domain = tags.get(b"d", b"").decode("ascii", "replace").lower()
        selector = tags.get(b"s", b"").lower()
        signed = {name.strip().lower() for name in tags.get(b"h", b"").split(b":")}
        if tags.get(b"a") not in _ALGORITHMS or b"l" in tags or b"from" not in signed or _expired(tags, now):
            continue
        if not _SELECTOR.fullmatch(selector) or not proof.aligned(domain, from_domain):
            continue
        name = f"{selector.decode('ascii')}._domainkey.{domain}"
        if len(name) <= _NAME_CHARS:
            yield _Signature(index=index, name=name, domain=domain, tags=tags)


def _expired(tags: Mapping[bytes, bytes], now: int) -> bool:
    end = tags.get(b"x")
    return end is not None and (_EXPIRY.fullmatch(end) is None or int(end) < now)


def _tags(value: bytes) -> Mapping[bytes, bytes]:
    """A tag list of RFC 6376 3.2; empty when it is none."""
    from dkim.util import InvalidTagValueList, parse_tag_value  # type: ignore[import-untyped]  # it has no types

    try:
        found: dict[bytes, bytes] = parse_tag_value(value)
    except InvalidTagValueList:
        return {}
    return found


def _valid(signer: Any, one: _Signature, key: str) -> bool:
    import dkim

    if not key.isascii() or len(key) > KEY_CHARS or not _permits(_tags(key.encode()), one):
        return False
    try:
        return bool(signer.verify(one.index, dnsfunc=lambda *_, **__: key.encode()))
    except (dkim.DKIMException, *_FAULTS):
        return False


def _permits(key: Mapping[bytes, bytes], one: _Signature) -> bool:
    """Whether a key record may be used for this signature: its hashes and flags (RFC 6376 3.6.1)."""
    flags = {flag.strip() for flag in key.get(b"t", b"").split(b":")}
    hashes = {name.strip() for name in key.get(b"h", b"sha256").split(b":")}
    identity = one.tags.get(b"i", b"").decode("ascii", "replace").lower()
    exact = not identity or address.mail_domain(identity) == one.domain
    return b"sha256" in hashes and b"y" not in flags and (b"s" not in flags or exact)
