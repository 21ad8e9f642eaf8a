"""What a row of carriers.toml may say: each key, the form of its value, and what to do about a wrong one."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from difflib import get_close_matches
from typing import Any

from gateway.core import address as addresses

STATUSES = ("active", "unverified", "retiring", "retired", "no_gateway")
CHANNELS = ("sms", "mms")
QUIRKS = (
    "ascii",  # takes ASCII only
    "no_colon",  # loses what stands before a colon
    "no_links",  # drops links
)

_ID = re.compile(r"[a-z0-9][a-z0-9-]*")
_COUNTRY = re.compile(r"[A-Z]{2}")
_MCCMNC = re.compile(r"[0-9]{3}-[0-9]{2,3}")
_PLACEHOLDER = re.compile(r"\{[^{}]*\}")
_FEW = 12
_SAMPLE = "1" * 15  # the longest E.164: whatever is rendered must be legal


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing that is wrong in a table."""

    key: str  # "" = the table itself, where a key is missing
    text: str
    remedy: str


class _WrongValueError(Exception):
    """A value that its key cannot have; args are what is wrong and the remedy."""


def carrier(table: Mapping[str, Any]) -> tuple[dict[str, Any], list[Fault]]:
    """The right values among the keys of a carrier, its channels left out, and the faults."""
    own = {key: value for key, value in table.items() if key not in CHANNELS}
    return _values(own, _CARRIER_KEYS, (*_CARRIER_KEYS, *CHANNELS))


def channel(name: str, table: Mapping[str, Any]) -> tuple[dict[str, Any], list[Fault]]:
    """The right values among the keys of the channel `name`, and the faults."""
    values, faults = _values(table, _CHANNEL_KEYS, tuple(_CHANNEL_KEYS))
    # Between keys only what is right in itself is compared: one mistake shall be told once.
    return values, faults or _contradictions(name, values)


def legal_id(text: str) -> bool:
    """Whether `text` can be the id of a carrier."""
    return _ID.fullmatch(text) is not None


def host(address: str) -> str:
    """The domain of an address with a placeholder; "" when there is no address."""
    return address.partition("@")[2]


def meant(word: str, known: Iterable[str]) -> str:
    """A remedy for a word that is not among the known ones: the nearest, else all of them where they are few."""
    words = list(known)
    near = get_close_matches(word, words, n=1)
    if near:
        return f"did you mean {near[0]}?"
    return f"known are: {', '.join(words)}" if len(words) <= _FEW else "no known one is like it"


def _values(
    table: Mapping[str, Any], readers: Mapping[str, Callable[[Any], Any]], known: Sequence[str]
) -> tuple[dict[str, Any], list[Fault]]:
    values: dict[str, Any] = {}
    faults: list[Fault] = []
    for key, value in table.items():
        if key not in readers:
            faults.append(Fault(key=key, text=f"there is no key {key}", remedy=meant(key, known)))
            continue
        try:
            values[key] = readers[key](value)
        except _WrongValueError as wrong:
            text, remedy = wrong.args
            faults.append(Fault(key=key, text=text, remedy=remedy))
    return values, faults


def _contradictions(name: str, values: Mapping[str, Any]) -> list[Fault]:
    status, address = values.get("status", "unverified"), values.get("address", "")
    faults: list[Fault] = []
    if "ends" in values and status not in ("retiring", "retired"):
        remedy = 'set status = "retiring" or "retired"; the day of evidence has the key seen'
        faults.append(Fault(key="ends", text=f"a gateway that is {status} has no end", remedy=remedy))
    if status == "retiring" and "ends" not in values:
        text = "a gateway that is retiring needs the day of its end"
        faults.append(Fault(key="", text=text, remedy="add a line such as ends = 2027-03-31"))
    if status == "active" and not address:
        text = "a gateway that is active needs an address"
        faults.append(Fault(key="", text=text, remedy='add address = "{national}@..."'))
    if address and values.get("domain", host(address)) != host(address):
        text = f"this is not the domain of {address}"
        faults.append(Fault(key="domain", text=text, remedy="leave domain out: the address names it"))
    if name == "sms" and "max_bytes" in values:
        text = "an sms gateway takes no pictures"
        faults.append(Fault(key="max_bytes", text=text, remedy="write it in the carrier's mms table, or leave it out"))
    return faults


def _line(value: Any) -> str:
    if not isinstance(value, str) or not value.isprintable() or value != value.strip():
        raise _WrongValueError(f"{value!r} is not one line of text", 'write "..." without spaces around the words')
    return str(value)


def _name(value: Any) -> str:
    name = _line(value)
    if not name:
        raise _WrongValueError("the name is empty", "write the carrier's name as people know it")
    return name


def _country(value: Any) -> str:
    country = _line(value)
    if not _COUNTRY.fullmatch(country):
        raise _WrongValueError(f"{country!r} is not a country", 'write two capital letters (ISO 3166), such as "US"')
    return country


def _codes(value: Any) -> tuple[str, ...]:
    remedy = 'write a list such as ["310-150"]: country code, hyphen, network code'
    if not isinstance(value, list):
        raise _WrongValueError(f"{value!r} is not a list", remedy)
    for code in value:
        if not isinstance(code, str) or not _MCCMNC.fullmatch(code):
            raise _WrongValueError(f"{code!r} is not a network code", remedy)
    return tuple(str(code) for code in value)


def _status(value: Any) -> str:
    status = _line(value)
    if status not in STATUSES:
        raise _WrongValueError(f"{status!r} is not a status", meant(status, STATUSES))
    return status


def _day(value: Any) -> date:
    if not isinstance(value, date) or isinstance(value, datetime):
        raise _WrongValueError(f"{value!r} is not a date", "write it without quotes and without a time: 2027-03-31")
    return date(value.year, value.month, value.day)


def _characters(value: Any) -> int:
    return _count(value, "characters")


def _bytes(value: Any) -> int:
    return _count(value, "bytes")


def _texts(value: Any) -> int:
    return _count(value, "texts")


def _count(value: Any, of: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value <= 0:
        raise _WrongValueError(f"{value!r} is not a count of {of}", "write a whole number above 0, or leave it out")
    return int(value)


def _quirks(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise _WrongValueError(f"{value!r} is not a list", f'write a list such as ["{QUIRKS[0]}"]')
    for quirk in value:
        if quirk not in QUIRKS:
            raise _WrongValueError(f"{quirk!r} is not a quirk", meant(str(quirk), QUIRKS))
    return tuple(dict.fromkeys(value))


def _domain(value: Any) -> str:
    # A space at the end of a domain is the commonest fault of the public lists.
    if not isinstance(value, str) or "." not in value or not addresses.legal_domain(value):
        raise _WrongValueError(f"{value!r} is not a mail domain", 'write it in lower case, without spaces: "vtext.com"')
    return str(value)


def _domains(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise _WrongValueError(f"{value!r} is not a list", 'write a list such as ["mms.att.net"]')
    return tuple(dict.fromkeys(_domain(domain) for domain in value))


def _address(value: Any) -> str:
    remedy = 'write one placeholder, one @ and one domain: "{national}@vtext.com" or "{e164}@..."'
    if not isinstance(value, str) or value.count("@") != 1:
        raise _WrongValueError(f"{value!r} is not a mail address", remedy)
    local, _, domain = value.partition("@")
    around = _PLACEHOLDER.sub("", local)
    if _PLACEHOLDER.findall(value) not in (["{national}"], ["{e164}"]) or around == local or set(around) & {"{", "}"}:
        raise _WrongValueError(f"{value!r} does not say once where the number goes", remedy)
    sample = _PLACEHOLDER.sub(_SAMPLE, local)
    if len(sample) > addresses.LONGEST_LOCAL or not addresses.dotted(sample):
        raise _WrongValueError(f"{local!r} cannot stand before an @", remedy)
    _domain(domain)
    return str(value)


_CARRIER_KEYS: Mapping[str, Callable[[Any], Any]] = {
    "name": _name,
    "country": _country,
    "successor": _line,
    "mccmnc": _codes,
    "aliases": _domains,
}
_CHANNEL_KEYS: Mapping[str, Callable[[Any], Any]] = {
    "address": _address,
    "domain": _domain,
    "status": _status,
    "ends": _day,
    "seen": _day,
    "max_chars": _characters,
    "quirks": _quirks,
    "max_bytes": _bytes,
    "per_minute": _texts,
    "source": _line,
}
