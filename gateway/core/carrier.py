"""The carrier table: which mail address reaches a phone, as of which date, on whose word.

The table is built from layers (the shipped file, then the admin's); whether a gateway works today is asked with a date.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

from gateway.core import phone as phones
from gateway.core import row
from gateway.core.model import MailAddr, Phone

STATUSES = row.STATUSES
CHANNELS = row.CHANNELS
QUIRKS = row.QUIRKS
NOTICE_DAYS = (7, 30, 90)  # before the end of a gateway that is retiring

Path = tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """One gateway of a carrier: its sms or its mms table."""

    carrier: str  # id of the carrier
    name: str = ""  # of the carrier, as people know it
    channel: str  # "sms" | "mms"
    address: str = ""  # "{national}@vtext.com"; "" = not routable
    domain: str = ""  # of the address, or named alone where the address form is not known; lower case
    status: str = "unverified"
    ends: date | None = None
    seen: date | None = None
    max_chars: int = 0  # 0 = not known: 160 is assumed
    quirks: tuple[str, ...] = ()  # see QUIRKS
    max_bytes: int = 0  # of one picture, mms only; 0 = not known: see taste.picture_bytes
    per_minute: int = 0  # mails that its domain is sent at most; 0 = as fast as they can be handed over
    source: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Carrier:
    id: str
    name: str
    country: str = ""
    successor: str = ""
    mccmnc: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()  # domains from which its phones may answer, beside those of its channels
    channels: Mapping[str, Channel] = field(default_factory=dict)  # "sms", "mms"
    origin: str = "shipped"  # of the last layer that speaks of it: "shipped", or the admin's file


@dataclass(frozen=True, slots=True, kw_only=True)
class CarrierTable:
    carriers: Mapping[str, Carrier] = field(default_factory=dict)
    domains: Mapping[str, tuple[Channel, ...]] = field(default_factory=dict)  # every domain, routable or not
    reply_domains: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # whose phones may answer from a domain


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """A fault in a layer.  `origin` and `path` lead to its line."""

    origin: str
    path: Path  # ("att", "sms", "status"); ends at the table when a key is missing
    text: str  # what is wrong
    remedy: str  # what to do
    severity: str = "error"  # "error" | "warning"


def build(layers: Sequence[tuple[str, Mapping[str, Any]]]) -> tuple[CarrierTable, list[Problem]]:
    """The table that the layers make, and what is wrong with them.

    A layer is its origin and its parsed TOML.  A later layer adds carriers; of a known one it replaces the keys that it
    names, and a channel's table as a whole.  What is wrong is left out: a table with errors is not to be used.
    """
    carriers: dict[str, Carrier] = {}
    successors: dict[str, str] = {}  # the origin of each carrier's successor
    problems: list[Problem] = []
    for origin, layer in layers:
        for name, table in layer.items():
            if not row.legal_id(name):
                remedy = "use lower-case letters, digits and hyphens"
                problems.append(_problem(origin, (name,), f"{name!r} cannot be the id of a carrier", remedy))
            elif not isinstance(table, Mapping):
                problems.append(_problem(origin, (name,), f"{name} is not a table", f"write [{name}] above its keys"))
            else:
                known = carriers.get(name, Carrier(id=name, name=""))
                carriers[name] = _overlaid(known, origin, table, problems)
                if "successor" in table:
                    successors[name] = origin
    told = {problem.path for problem in problems}
    for carrier in carriers.values():
        if not carrier.name and (carrier.id, "name") not in told:
            text = f"carrier {carrier.id} has no name"
            problems.append(_problem(carrier.origin, (carrier.id,), text, 'add a line such as name = "AT&T"'))
    problems += _bad_successors(carriers, successors)
    domains, replies = _domains(carriers.values()), _reply_domains(carriers.values())
    return CarrierTable(carriers=carriers, domains=domains, reply_domains=replies), problems


def _overlaid(known: Carrier, origin: str, table: Mapping[str, Any], problems: list[Problem]) -> Carrier:
    path = (known.id,)
    values, faults = row.carrier(table)
    problems += _problems(faults, origin, path)
    channels: dict[str, Channel] = dict(known.channels)
    for name in CHANNELS:
        own = table.get(name)
        if isinstance(own, Mapping):
            found, faults = row.channel(name, own)
            problems += _problems(faults, origin, (*path, name))
            found.setdefault("domain", row.host(found.get("address", "")))
            channels[name] = Channel(carrier=known.id, channel=name, **found)
        elif own is not None:
            remedy = f"write [{known.id}.{name}] above its keys"
            problems.append(_problem(origin, (*path, name), f"{name} is not a table", remedy))
    carrier = replace(known, **values, origin=origin)
    # A later layer may give the carrier another name: its channels speak of it by the newest.
    named = {name: replace(channel, name=carrier.name) for name, channel in channels.items()}
    return replace(carrier, channels=named)


def _bad_successors(carriers: Mapping[str, Carrier], origins: Mapping[str, str]) -> list[Problem]:
    found: list[Problem] = []
    for carrier in carriers.values():
        path, origin = (carrier.id, "successor"), origins.get(carrier.id, carrier.origin)
        if carrier.successor and carrier.successor not in carriers:
            text = f"there is no carrier {carrier.successor!r}"
            found.append(_problem(origin, path, text, row.meant(carrier.successor, carriers)))
        elif carrier.id in _line_of(carrier, carriers):
            text = f"the successors of {carrier.id} lead back to it"
            found.append(_problem(origin, path, text, "remove the successor of one of them"))
    return found


def _line_of(carrier: Carrier, carriers: Mapping[str, Carrier]) -> list[str]:
    """The successors one after the other, until there is none, or one comes again."""
    line: list[str] = []
    step = carrier.successor
    while step in carriers and step not in line:
        line.append(step)
        step = carriers[step].successor
    return line


def _domains(carriers: Iterable[Carrier]) -> dict[str, tuple[Channel, ...]]:
    found: dict[str, tuple[Channel, ...]] = {}
    for carrier in carriers:
        for channel in carrier.channels.values():
            if channel.domain:
                found[channel.domain] = (*found.get(channel.domain, ()), channel)
    return found


def _reply_domains(carriers: Iterable[Carrier]) -> dict[str, tuple[str, ...]]:
    found: dict[str, dict[str, None]] = {}
    for carrier in carriers:
        for domain in (*(channel.domain for channel in carrier.channels.values()), *carrier.aliases):
            if domain:
                found.setdefault(domain, {})[carrier.id] = None
    return {domain: tuple(ids) for domain, ids in found.items()}


def _problems(faults: Iterable[row.Fault], origin: str, path: Path) -> list[Problem]:
    return [_problem(origin, (*path, f.key) if f.key else path, f.text, f.remedy) for f in faults]


def _problem(origin: str, path: Path, text: str, remedy: str) -> Problem:
    return Problem(origin=origin, path=path, text=text, remedy=remedy)


def by_domain(table: CarrierTable, domain: str) -> tuple[Channel, ...]:
    """Every gateway at `domain`, routable or not; several brands share one."""
    return table.domains.get(domain.lower(), ())


def routable(channel: Channel, today: date) -> str:
    """Why nothing can be sent through the gateway on that day; "" when it can.

    A gateway that is retiring works through the day of its end.  The sentence names the carrier, the domain and the
    date, as far as they are known, and has no full stop.
    """
    if channel.status == "no_gateway":
        return f"{channel.name} has no mail-to-text gateway"
    if channel.status == "retired" or _past(channel, today):
        on = f" on {channel.ends.isoformat()}" if channel.ends else ""
        return f"{channel.name} closed {channel.domain or 'its mail-to-text gateway'}{on}"
    if not channel.address:
        at = f" at {channel.domain}" if channel.domain else ""
        return f"it is not known how {channel.name} writes its {channel.channel} addresses{at}"
    return ""


def needs_confirmation(channel: Channel) -> bool:
    """Whether nobody has shown that the gateway works: an admin must confirm it for each employee's address."""
    return channel.status == "unverified"


def notice(channel: Channel, today: date) -> int:
    """How near the end is: 90, 30 or 7, the least that the days left do not exceed; 0 = far, past, or no end."""
    if channel.status != "retiring" or channel.ends is None or _past(channel, today):
        return 0
    left = (channel.ends - today).days
    return next((days for days in NOTICE_DAYS if left <= days), 0)


def warning(channel: Channel, today: date) -> str:
    """The sentence for an admin when the end is 90 days away or less; "" before and after."""
    if not notice(channel, today) or channel.ends is None:
        return ""
    left = (channel.ends - today).days
    when = "today" if left == 0 else "tomorrow" if left == 1 else f"in {left} days"
    return f"{channel.name} closes {channel.domain} on {channel.ends.isoformat()}, {when}"


def _past(channel: Channel, today: date) -> bool:
    return channel.status == "retiring" and channel.ends is not None and today > channel.ends


def render(channel: Channel, phone: Phone) -> MailAddr | None:
    """The mail address of `phone` at the gateway; None when it has no address, or takes no number of that country."""
    if not channel.address:
        return None
    if "{e164}" in channel.address:
        return MailAddr(channel.address.replace("{e164}", phones.digits(phone)))
    if not phones.is_nanp(phone):
        return None
    return MailAddr(channel.address.replace("{national}", phones.national(phone)))
