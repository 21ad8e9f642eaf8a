"""The DKIM signatures of a mail: which of them could prove its From, and which do.

To be run where CPU and memory are limited, in the reader: the library takes quadratic time for crafted white space.
A signature says nothing of fields that it does not cover, and whoever passes a mail on may add such fields: what can be
read in two ways proves nothing.
Sources: RFC 6376, RFC 8301 (algorithms, sizes of keys), RFC 8463 (Ed25519, where PyNaCl is installed).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from email.message import Message
from email.utils import mktime_tz, parsedate_tz
from typing import Any

from gateway.core import address, header, parts, proof
from gateway.core.model import Unreadable
from gateway.core.proof import Witness

MOST = 5  # signatures that are verified
KEY_CHARS = 4_096  # of a key record; RSA of 16,384 bits has 2,800

_LOOKED_AT = 50  # DKIM-Signature fields
_ALGORITHMS = (b"rsa-sha256", b"ed25519-sha256")
_SELECTOR = re.compile(rb"[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63}){0,9}")
_NAME_CHARS = 253  # RFC 1035 2.3.4
_TIME = re.compile(rb"\d{1,12}")
_DATE_CHARS = 100
# At most once each (RFC 5322 3.6, RFC 2045); of two the signature covers the last, and the first is read.
_ONCE = (
    *("content-type", "content-transfer-encoding", "mime-version", "subject", "in-reply-to", "references", "date"),
    *("to", "cc", "reply-to", "message-id", "auto-submitted"),
)
# Where they stand they decide what is read and who is told of it: a signature that leaves one out does not count.
_COVERED = frozenset({b"content-type", b"content-transfer-encoding", b"subject", b"reply-to"})
_FRAME = frozenset({b"content-type", b"content-transfer-encoding"})
_BLANK_LINE = re.compile(rb"\r?\n\r?\n")
_BARE_CR = re.compile(rb"\r(?!\n)")
_FROM_LINE = re.compile(rb"^From ", re.MULTILINE)
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
    covered: frozenset[bytes]  # the fields in h=, in lower case


def claim(raw: bytes, now: int) -> Claim | Unreadable:
    """What a mail claims; `now` in Unix seconds.  Unreadable, too, is what two readers may read in two ways.

    `names` are those of the first 5 signatures that would prove From: by an aligned domain, over the whole body (with
    l= anybody may add to it), rsa-sha256 or ed25519-sha256, not past x=, with From among the signed fields, and
    Content-Type, Content-Transfer-Encoding, Subject and Reply-To where the mail has them; the first two may be left out
    where the signed body says the same: many signers cover neither.
    """
    message = parts.parse(raw)
    if isinstance(message, Unreadable):
        return message
    fields = parts.fields(message)
    reason = _ambiguity(raw, fields)
    if reason:
        return Unreadable(reason=reason)
    authors = tuple(value[: header.LONGEST + 1] for value in fields.get("from", [])[:2])
    results = fields.get("authentication-results", [])[: proof.MOST_FIELDS]
    found = proof.author(authors)
    needed = _COVERED - _FRAME if _framed(message, raw) else _COVERED
    signatures = _signatures(_signer(raw), proof.domain(found), needed, now) if found else ()
    return Claim(
        authors=authors,
        results=tuple(value[: header.LONGEST + 1] for value in results),
        names=tuple(dict.fromkeys(one.name for one in signatures)),
    )


def _framed(message: Message, raw: bytes) -> bool:
    """Whether the body itself shows how it is parted: it begins with the boundary that Content-Type names.

    Then no other Content-Type lets somebody else's words in: every part and its header is in the signed body.
    """
    boundary = message.get_boundary()
    blank = _BLANK_LINE.search(raw)
    if message.get_content_maintype() != "multipart" or not boundary or blank is None:
        return False
    coding = header.token(parts.first(parts.fields(message), "content-transfer-encoding"))
    line = raw[blank.end() : blank.end() + 200].split(b"\n", 1)[0].rstrip()
    return coding in ("", "7bit", "8bit") and line == b"--" + boundary.encode("ascii", "replace")


def _ambiguity(raw: bytes, fields: parts.Fields) -> str:
    """Why a mail can be read in two ways, "" = it cannot.  Of two From the author is nobody already."""
    if b"\0" in raw or _BARE_CR.search(raw):
        return "it has NUL or bare CR"
    blank = _BLANK_LINE.search(raw)
    # The library skips such a line; the standard parser takes the last of the header for the first of the body.
    if _FROM_LINE.search(raw, 0, blank.start() if blank else len(raw)):
        return "a line of its header begins with From and a space"
    twice = next((name for name in _ONCE if len(fields.get(name, ())) > 1), "")
    return f"{twice.title()} stands more than once in its header" if twice else ""


def verify(raw: bytes, from_domain: str, keys: Mapping[str, str], now: int) -> tuple[Witness, ...]:
    """What the header says as it stands, then what each signature covers that is valid by `keys`.

    `raw` is a mail of which `claim` made a Claim, `keys` hold the TXT record of each of its names.  RSA keys have at
    least 1,024 bits.  A key that is only being tested (t=y) proves nothing: RFC 6376 3.6.1.
    """
    message = parts.parse(raw)
    if isinstance(message, Unreadable):
        return ()
    fields = parts.fields(message)
    signer = _signer(raw)
    found = [_witness(fields)]
    needed = _COVERED - _FRAME if _framed(message, raw) else _COVERED
    for one in _signatures(signer, from_domain, needed, now):
        if one.name in keys and _valid(signer, one, keys[one.name]):
            covered = {name: values for name, values in fields.items() if name.encode() in one.covered}
            began = one.tags.get(b"t", b"")
            at = int(began) if _TIME.fullmatch(began) else None
            found.append(_witness(covered, domain=one.domain, at=at))
    return tuple(found)


def _witness(fields: parts.Fields, *, domain: str = "", at: int | None = None) -> Witness:
    dated = _seconds(parts.first(fields, "date"))
    named = (parts.first(fields, name) for name in ("in-reply-to", "references"))
    return Witness(
        domain=domain,
        at=at if dated is None else dated,
        recipients=tuple(sorted(proof.recipients([*fields.get("to", []), *fields.get("cc", [])]))),
        thread=tuple(dict.fromkeys(ident for value in named for ident in header.message_ids(value))),
    )


def _seconds(date: str) -> int | None:
    """A Date in Unix seconds; None when it is none."""
    try:
        found = parsedate_tz(date[:_DATE_CHARS])
        return mktime_tz(found) if found else None
    except _FAULTS:
        return None


def _signer(raw: bytes) -> Any:
    """The library's view of a mail; None when it sees none."""
    import dkim  # type: ignore[import-untyped]  # it has no types

    try:
        signer = dkim.DKIM(raw)
    except (dkim.DKIMException, *_FAULTS):
        return None
    authors = [value for name, value in signer.headers if name.lower() == b"from"]
    return signer if len(authors) == 1 else None


def _signatures(signer: Any, from_domain: str, needed: Set[bytes], now: int) -> tuple[_Signature, ...]:
    if signer is None:
        return ()
    fields = [value for name, value in signer.headers if name.lower() == b"dkim-signature"]
    present = {name.lower() for name, _ in signer.headers}
    return tuple(_usable(fields[:_LOOKED_AT], present & needed, from_domain, now))[:MOST]


def _usable(fields: list[bytes], needed: Set[bytes], from_domain: str, now: int) -> Iterator[_Signature]:
    """Those of `fields` that would prove From; `needed` are the names that they must cover besides."""
    for index, value in enumerate(fields):
        tags = _tags(value)
        domain = tags.get(b"d", b"").decode("ascii", "replace").lower()
        selector = tags.get(b"s", b"").lower()
        covered = frozenset(name.strip().lower() for name in tags.get(b"h", b"").split(b":"))
        if tags.get(b"a") not in _ALGORITHMS or b"l" in tags or _expired(tags, now):
            continue
        if b"from" not in covered or not needed <= covered:
            continue
        if not _SELECTOR.fullmatch(selector) or not proof.aligned(domain, from_domain):
            continue
        name = f"{selector.decode('ascii')}._domainkey.{domain}"
        if len(name) <= _NAME_CHARS:
            yield _Signature(index=index, name=name, domain=domain, tags=tags, covered=covered)


def _expired(tags: Mapping[bytes, bytes], now: int) -> bool:
    end = tags.get(b"x")
    return end is not None and (_TIME.fullmatch(end) is None or int(end) < now)


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
    """Whether a key record may be used for this signature: its services, hashes and flags (RFC 6376 3.6.1)."""
    services = {name.strip().lower() for name in key.get(b"s", b"*").split(b":")}
    flags = {flag.strip() for flag in key.get(b"t", b"").split(b":")}
    hashes = {name.strip() for name in key.get(b"h", b"sha256").split(b":")}
    identity = one.tags.get(b"i", b"").decode("ascii", "replace").lower()
    exact = not identity or address.mail_domain(identity) == one.domain
    if services.isdisjoint((b"*", b"email")):
        return False
    return b"sha256" in hashes and b"y" not in flags and (b"s" not in flags or exact)
