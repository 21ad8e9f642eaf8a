"""Whether the From of a mail from outside is proven by what its header says, whose answers are taken, and to what.

A proven From says who wrote, not to whom: what is not bound to a conversation could be any mail of that author, sent
again to an address of ours by anybody who has it.

Every function takes time in proportion to its input and looks at no more than header.LONGEST characters of a value.
What is ambiguous proves nothing.  Sources: RFC 8601, RFC 5322 3.4, RFC 7489 3.1, RFC 6376 8.6 (replays).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from fnmatch import fnmatchcase
from typing import NamedTuple

from gateway.core import address, header
from gateway.core.model import MailAddr
from gateway.core.rules import Sender

MOST_FIELDS = 50  # Authentication-Results fields of one mail that are looked at
OLDEST = timedelta(days=5)  # as long as mail usually waits for a host that is down (RFC 5321 4.5.4.1)
AHEAD = timedelta(days=1)  # of a clock that is wrong
REMEMBERED = OLDEST + AHEAD  # from the first time that a mail can be taken to the last

_ENCODED = re.compile(r"=\?[^?\s]{1,80}\?[bBqQ]\?[^?\s<>@()\"]{0,1000}\?=")
_UNSAFE = re.compile(r"[^A-Za-z0-9@._-]")  # in a quoted string: what could be taken for the end of it
_ID = re.compile(r"(\S+)(?: \d+)?")  # authserv-id and version
_METHOD = re.compile(r"([a-z0-9-]+)(?:/\d+)?")
_BETWEEN = re.compile(r"[,;:]")  # of addresses, and around those of a group
_PLAIN = re.compile(r"[^\s@<>]+@[^\s@<>]+")
_BLANK_LINE = re.compile(rb"\r?\n\r?\n")


class Witness(NamedTuple):
    """What a signature covers, or what the header says where nothing is signed.  A tuple: it travels as JSON."""

    domain: str  # that signed; "" = the header alone
    at: int | None  # Date, else t= of the signature; Unix seconds
    recipients: Sequence[str]  # addresses in To and Cc, in lower case
    thread: Sequence[str]  # message ids of In-Reply-To and References, with brackets


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """What one recipient of a mail from outside stands for."""

    address: str  # r-<token>@DOMAIN or a-<token>@DOMAIN, for a phone also b-<token> and enroll, in lower case
    sender: Sender | None = None  # whose conversation or question it is; None = a phone writes by its carrier
    thread: frozenset[str] = frozenset()  # the job system's message ids in the conversation


def author(values: Sequence[str]) -> MailAddr | None:
    """The address in From: of exactly one field, with exactly one address; None for anything else.

    Whoever may choose which of two addresses is looked at proves one and writes as the other.
    """
    if len(values) != 1 or len(values[0]) > header.LONGEST:
        return None
    bare = _uncommented(_ENCODED.sub(" ", values[0]), quoted="")
    if bare is None or bare.count("@") != 1 or any(c in bare for c in ",;:"):
        return None
    found, _ = header.mailbox(values[0])
    if found is None or str(found).lower() not in bare.lower() or not address.legal_domain(domain(found)):
        return None
    return found


def domain(author: MailAddr) -> str:
    """What stands behind the @, in lower case."""
    return address.mail_domain(author)


def may_answer(author: MailAddr, sender: Sender) -> bool:
    """Whether the sender's answer_from names this address, compared without case."""
    return any(fnmatchcase(author.lower(), pattern.lower()) for pattern in sender.answer_from)


def recipients(values: Iterable[str]) -> frozenset[str]:
    """The addresses in To or Cc, in lower case.  Names beside them say nothing: a correspondent chose them."""
    return frozenset(found.lower() for value in values for found in _listed(value))


def _listed(value: str) -> Iterable[str]:
    bare = _uncommented(_ENCODED.sub(" ", value), quoted="") if len(value) <= header.LONGEST else None
    if bare is None or "=?" in bare:
        return
    for piece in _BETWEEN.split(bare):
        _, mark, rest = piece.partition("<")
        inner, _, after = rest.partition(">") if mark else (piece, "", "")
        if _PLAIN.fullmatch(inner.strip()) and not after.strip():
            yield inner.strip()


def unbound(witness: Witness, answered: Answered, domain: str, now: int) -> str:
    """Why what the witness vouches for is no answer to this, as a clause; "" = it is.

    `domain` is ours, in lower case, `now` in Unix seconds.  Bound is a mail of the last five days, not more than a day
    ahead, that is written to the address, or follows a mail of ours on the thread of the conversation.
    """
    at = witness.at
    if at is None or not now - OLDEST.total_seconds() <= at <= now + AHEAD.total_seconds():
        return "its Date must be signed, and of the last 5 days"
    ours = any(ident.lower().endswith(f"@{domain}>") for ident in witness.thread)
    if answered.address in witness.recipients or (ours and not answered.thread.isdisjoint(witness.thread)):
        return ""
    return f"{answered.address} must be in To or Cc, and these signed"


def fingerprint(author: str, at: int, recipient: str, raw: bytes) -> bytes:
    """What makes two proven mails to one recipient the same: author, date and body, white space apart.

    Message-ID and all else that may be unsigned do not count: whoever sends a mail again may change them.
    """
    found = _BLANK_LINE.search(raw)
    body = raw[found.end() :] if found else b""
    hashed = hashlib.blake2b(digest_size=20)
    for part in (b"answer", author.lower().encode(), str(at).encode(), recipient.lower().encode()):
        hashed.update(len(part).to_bytes(4, "big"))
        hashed.update(part)
    hashed.update(body.translate(None, b" \t\r\n"))
    return hashed.digest()


def aligned(signing_domain: str, from_domain: str) -> bool:
    """Whether who signs as the one speaks for the other: the same, or From is below it and it is no top-level domain.

    Both in lower case.  RFC 7489 3.1.1 (relaxed) would also let a subdomain sign for its parent.
    """
    if not address.legal_domain(signing_domain):
        return False
    return from_domain == signing_domain or ("." in signing_domain and from_domain.endswith(f".{signing_domain}"))


def believed(values: Sequence[str], authserv_id: str, from_domain: str, *, spf: bool = False) -> str:
    """Why Authentication-Results prove From, as written there: "dkim=pass header.d=example.com"; "" = they do not.

    `values` are those of the fields, topmost first; the first with that authserv-id (lower case) counts and no other:
    what stands below may have been brought along.  Taken are dkim=pass with an aligned header.d (or header.i where
    there is no header.d), and dmarc=pass with From's own domain in header.from; with `spf` also spf=pass with an
    aligned smtp.mailfrom: for a domain whose hosts write no From but the true one, as a carrier's.
    """
    for value in values[:MOST_FIELDS]:
        sections = _sections(value)
        if sections is None:
            return ""  # perhaps it is the one that counts
        named = _ID.fullmatch(sections[0])
        if named is not None and named[1].lower() == authserv_id:
            proven = (_proves(section, from_domain, spf=spf) for section in sections[1:])
            return next(filter(None, proven), "")
    return ""


def _proves(section: str, from_domain: str, *, spf: bool) -> str:
    """The same of one result: "dkim=pass header.d=example.com header.s=a"."""
    first, *rest = section.split(" ")
    written, _, result = first.partition("=")
    method = _METHOD.fullmatch(written.lower())
    if method is None or result.lower() != "pass":
        return ""
    properties: dict[str, str] = {}
    for word in rest:
        name, _, value = word.partition("=")
        if name.lower() in properties:
            return ""
        properties[name.lower()] = value.lower()
    match method[1]:
        case "dkim":
            name = "header.d" if "header.d" in properties else "header.i"
            signer = properties.get(name, "")
            said = aligned(signer.rpartition("@")[2], from_domain)
        case "dmarc":
            name, signer = "header.from", properties.get("header.from", "")
            said = signer == from_domain
        case "spf" if spf:
            name, signer = "smtp.mailfrom", properties.get("smtp.mailfrom", "").rpartition("@")[2]
            said = aligned(signer, from_domain)
        case _:
            return ""
    return f"{method[1]}=pass {name}={signer}" if said else ""


def _sections(value: str) -> list[str] | None:
    """The parts of a value between semicolons: no comments, single spaces, none around "="; None = unbalanced."""
    bare = _uncommented(value, quoted="?") if len(value) <= header.LONGEST else None
    if bare is None:
        return None
    spaced = " ".join(bare.split())
    return [part.strip() for part in spaced.replace(" =", "=").replace("= ", "=").split(";")]


def _uncommented(value: str, *, quoted: str) -> str | None:
    """`value` with each comment as a space; None when a comment or quoted string has no end, or an end no begin.

    `quoted` "" leaves quoted strings out; else they stay without their quotes, this in place of all that could be read
    as anything but a word.
    """
    out: list[str] = []
    inside: list[str] = []
    depth, in_quotes, at = 0, False, 0
    while at < len(value):
        c = value[at]
        if c == "\\" and (depth or in_quotes):
            at += 1
            inside.append("?")
        elif depth:
            depth += (c == "(") - (c == ")")
        elif c == '"':
            if in_quotes:
                out.append(_UNSAFE.sub(quoted, "".join(inside)) if quoted else "")
            inside.clear()
            in_quotes = not in_quotes
        elif in_quotes:
            inside.append(c)
        elif c == "(":
            depth = 1
            out.append(" ")
        elif c == ")":
            return None
        else:
            out.append(c)
        at += 1
    return None if depth or in_quotes else "".join(out)
