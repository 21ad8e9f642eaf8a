"""The recipient address as a grammar: what stands before the @ names a person, a phone or one of our tokens.

The grammar is strict, because an address that can be read in two ways is a door: no quotes, no routes, no guessing.
Nothing here knows who exists: whether a name belongs to anybody is decided in route.py.
"""

from __future__ import annotations

import re
from collections.abc import Container
from dataclasses import dataclass

from gateway.core import phone as phones
from gateway.core.model import MailAddr, Phone

# Local parts with a meaning of their own: no employee, group, number or template may bear these names.
RESERVED = frozenset({"postmaster", "abuse", "enroll", "preview", "optin", "optout", "mail"})

LONGEST_LOCAL = 64  # octets, RFC 5321 4.5.3.1.1
LONGEST_DOMAIN = 255  # octets, RFC 5321 4.5.3.1.2
_LONGEST_LABEL = 63

# What no local part may hold: quoting, routes (% ! : , @), brackets.  Space and parentheses occur in phones.
_LOCAL = re.compile(r"[A-Za-z0-9 ()#$&'*+/=?^_`{|}~.-]+")
_ATOM = re.compile(r"[a-z0-9#$&'*+/=?^_`{|}~-]+")  # RFC 5321 4.1.2 without % and !
_LABEL = re.compile(r"[a-z0-9-]+")
_NAME = re.compile(r"[a-z][a-z0-9._]*")
_TOKEN = re.compile(r"[a-z2-7]{10,16}")
_PHONE_STARTS = tuple("+(0123456789")
_INTERNATIONAL = 11  # digits from which a number without a plus may carry a country code


@dataclass(frozen=True, slots=True)
class ToPhone:
    """<phone>@DOMAIN or <phone>+<tag>@DOMAIN."""

    phone: Phone
    tag: str = ""  # a number's or a template's name, lower case


@dataclass(frozen=True, slots=True)
class ToName:
    """<name>@DOMAIN: an employee or a group."""

    name: str  # lower case


@dataclass(frozen=True, slots=True)
class TextAddress:
    """<phone>@<carrier domain>: the address that job software stored long ago."""

    phone: Phone
    domain: str


@dataclass(frozen=True, slots=True)
class ToConversation:
    """r-<token>@DOMAIN."""

    token: str


@dataclass(frozen=True, slots=True)
class ToBounce:
    """b-<token>@DOMAIN."""

    token: str


@dataclass(frozen=True, slots=True)
class ToAsk:
    """a-<token>@DOMAIN."""

    token: str


@dataclass(frozen=True, slots=True)
class ConsentCommand:
    """optin+<phone>@DOMAIN, optout+<phone>@DOMAIN."""

    action: str  # "optin" | "optout"
    phone: Phone


@dataclass(frozen=True, slots=True)
class ToEnroll:
    """enroll@DOMAIN."""


@dataclass(frozen=True, slots=True)
class ToPostmaster:
    """postmaster@DOMAIN, or postmaster alone."""


@dataclass(frozen=True, slots=True)
class ToAbuse:
    """abuse@DOMAIN."""


Plain = (
    ToPhone
    | ToName
    | TextAddress
    | ToConversation
    | ToBounce
    | ToAsk
    | ConsentCommand
    | ToEnroll
    | ToPostmaster
    | ToAbuse
)


@dataclass(frozen=True, slots=True)
class ToPreview:
    """preview+<any of the others>: nothing is sent, the answer shows what would be."""

    inner: Plain


@dataclass(frozen=True, slots=True)
class Foreign:
    """A mailbox elsewhere.  Whether it is relayed is the sender's rule."""

    address: MailAddr  # the local part as written


Target = Plain | ToPreview | Foreign


@dataclass(frozen=True, slots=True)
class BadAddress:
    """An address that means nothing here, and never will."""

    reason: str  # one sentence for an admin, ASCII, without a full stop


def split(address: str) -> tuple[str, str] | None:
    """The local part as written and the domain in lower case; None when the address is not safe to read.

    Refused: quotes, brackets, %, !, source routes, a second @, control and non-ASCII characters, a domain that is no
    list of letter-digit-hyphen labels (RFC 5321 4.1.2), more than 64 or 255 octets.
    """
    if not address.isascii():  # before lower(), which makes an ASCII k of the Kelvin sign
        return None
    local, at, written = address.partition("@")
    domain = written.lower()
    if not at or len(local) > LONGEST_LOCAL or not _LOCAL.fullmatch(local) or not legal_domain(domain):
        return None
    return local, domain


def legal_domain(domain: str) -> bool:
    """Whether `domain` is a list of labels in lower case: letters, digits and inner hyphens, no dot at the end."""
    return len(domain) <= LONGEST_DOMAIN and all(
        len(label) <= _LONGEST_LABEL and _LABEL.fullmatch(label) and label[0] != "-" and label[-1] != "-"
        for label in domain.split(".")
    )


def legal_name(name: str) -> bool:
    """Whether an employee, group, number or template may bear `name`: [a-z][a-z0-9._]* and not reserved."""
    return _NAME.fullmatch(name) is not None and name not in RESERVED


def dotted(local: str) -> bool:
    """Whether `local` is an RFC 5321 dot-string: atoms between single dots."""
    return all(_ATOM.fullmatch(atom) for atom in local.lower().split("."))


def parse(address: str, domain: str, country: str, carrier_domains: Container[str]) -> Target | BadAddress:
    """What the envelope address means, by its form alone.

    `domain` is ours and `carrier_domains` are those of the carrier table, all in lower case; `country` reads a number
    without a plus.  Local parts match without case.  `postmaster` needs no domain (RFC 5321 4.5.1).
    """
    if address.lower() == "postmaster":
        return ToPostmaster()
    parts = split(address)
    if parts is None:
        return BadAddress("This is not a mail address that can be used here")
    local, host = parts
    if host != domain and host not in carrier_domains:
        return _foreign(local, host)
    plain, preview = local.lower(), False
    if plain.startswith("preview+"):
        plain, preview = plain.removeprefix("preview+"), True
    found = _ours(plain, country) if host == domain else _text_address(plain, host, country)
    return ToPreview(found) if preview and not isinstance(found, BadAddress) else found


def _foreign(local: str, host: str) -> Foreign | BadAddress:
    if not dotted(local):
        return BadAddress("This is not a mail address that can be used here")
    return Foreign(MailAddr(f"{local}@{host}"))


def _text_address(local: str, host: str, country: str) -> TextAddress | BadAddress:
    phone = phones.parse(local, country)
    if phone is None and local.isdigit() and len(local) >= _INTERNATIONAL:
        phone = phones.parse(f"+{local}", country)
    if phone is None:
        return BadAddress(f"{local} is not a phone number, and {host} takes nothing else")
    return TextAddress(phone, host)


def _ours(local: str, country: str) -> Plain | BadAddress:
    if local == "postmaster":
        return ToPostmaster()
    if local == "abuse":
        return ToAbuse()
    if local == "enroll":
        return ToEnroll()
    if local[:2] in ("r-", "b-", "a-"):
        return _token(local[0], local[2:])
    if local.startswith(("optin+", "optout+")):
        return _consent(local, country)
    if local.startswith(_PHONE_STARTS):
        return _phone(local, country)
    if _NAME.fullmatch(local):
        return ToName(local)
    return BadAddress(f"{local} is neither a phone number nor a name nor an address that was given out here")


def _token(kind: str, token: str) -> Plain | BadAddress:
    if not _TOKEN.fullmatch(token):
        return BadAddress(f"{kind}-{token} is not an address that was given out here")
    if kind == "r":
        return ToConversation(token)
    return ToBounce(token) if kind == "b" else ToAsk(token)


def _consent(local: str, country: str) -> ConsentCommand | BadAddress:
    action, _, written = local.partition("+")
    phone = phones.parse(written, country)
    return ConsentCommand(action, phone) if phone else _bad_number(written)


def _phone(local: str, country: str) -> ToPhone | BadAddress:
    number, plus, tag = local.rpartition("+")
    if not plus or not number:
        number, plus, tag = local, "", ""
    phone = phones.parse(number, country)
    if phone is None:
        return _bad_number(number)
    if plus and not _NAME.fullmatch(tag):
        return BadAddress(f"+{tag} after the phone number is not the name of a number or a template")
    return ToPhone(phone, tag)


def _bad_number(written: str) -> BadAddress:
    return BadAddress(f"{written or 'Nothing'} is not a valid phone number")


def mail_domain(address: str) -> str:
    """The domain of `address` in lower case; "" when it has none."""
    return address.rpartition("@")[2].lower() if "@" in address else ""


def same(one: str, other: str) -> bool:
    """Whether two addresses name one mailbox: case does not tell them apart."""
    return one.lower() == other.lower()
