"""A list of stored text addresses (2025550102@txt.att.net): which still work, and the employees that they make.

The list is CSV as any program exports it.  A slip of the pen that can be mended in one way only is mended and told;
nothing else is guessed.
"""

from __future__ import annotations

import csv
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from difflib import get_close_matches
from itertools import chain

from gateway.core import address as addresses
from gateway.core import brandname
from gateway.core import carrier as carriers
from gateway.core import phone as phones
from gateway.core.carrier import CarrierTable, Channel
from gateway.core.model import Phone

# From the best to the worst: of two addresses of one phone the better one counts.
VERDICTS = ("good", "retiring", "unproven", "dead", "unknown_domain", "not_a_number")

_LIKE = re.compile(r"\d[\d ().+/-]{5,40}@", re.ASCII)
_BETWEEN = re.compile(r"[;,\r\n]+|(?<=[A-Za-z])\s+(?=[+(0-9])")  # several addresses in one cell
_BRACKETS = re.compile(r"<([^<>]*)>")
_NAME_HEADERS = ("name", "employee", "employee name", "technician", "tech", "full name")
_NAME_WORDS = frozenset({"name", "employee", "technician", "tech"})
_NOT_OF_PEOPLE = frozenset({"carrier", "company", "file", "user", "shop", "provider", "domain"})
_LONGEST_NAME = 40
_INTERNATIONAL = 11  # digits from which a number without a plus may carry a country code


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One address of the list, judged."""

    line: int  # where its record begins, from 1
    column: str  # as the header names it
    name: str = ""  # of the person, as written
    phone: Phone | None = None
    domain: str = ""
    verdict: str
    channel: Channel | None = None  # the row that it would go by
    successor: str = ""  # id to look at next where the gateway is dead
    text: str = ""  # what follows, without a full stop
    mended: tuple[str, ...] = ()  # what was wrong in the writing, and read as it was meant


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    columns: tuple[str, ...] = ()  # those that hold text addresses
    unknown: tuple[str, ...] = ()  # columns that were asked for and are not there
    header: tuple[str, ...] = ()
    found: tuple[Found, ...] = ()
    broken: str = ""  # why the rest could not be read, with the line


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """An [[employee]] to be."""

    name: str
    phone: Phone
    carrier: str = ""
    channel: str = "sms"
    comment: str = ""


def read(lines: Iterable[str], table: CarrierTable, country: str, today: date, wanted: Sequence[str] = ()) -> Sheet:
    """Every text address of a CSV with a header line, in order.  `wanted` names the columns; () = those that hold any.

    The separator is that of the first line.  In a column where few cells are text addresses the others are no mistake.
    """
    source = iter(lines)
    first = next(source, "").removeprefix("\ufeff")
    delimiter = max(",;\t|", key=re.sub(r'"[^"]*"', "", first).count)
    rows, broken = _rows(chain([first], source), delimiter)
    if not rows:
        return Sheet(broken=broken)
    header = _header(rows)
    body = rows if any(_LIKE.search(cell) for cell in rows[0][1]) else rows[1:]
    if unknown := tuple(name for name in wanted if name.strip().lower() not in map(str.lower, header)):
        return Sheet(unknown=unknown, header=header)
    asked = {name.strip().lower() for name in wanted}
    holds = [any(_LIKE.search(_cell(row, n)) for _, row in body) for n in range(len(header))]
    columns = [n for n, name in enumerate(header) if (name.lower() in asked if asked else holds[n])]
    strict = {n for n in columns if asked or _mostly(body, n)}
    people = _people(header, columns)
    judged = _Judge(table, country, today)
    found: list[Found] = []
    for line, row in body:
        name = " ".join(filter(None, (_cell(row, n).strip() for n in people)))
        for n in columns:
            cell = _cell(row, n)
            if cell.strip() and (n in strict or _LIKE.search(cell)):
                found += [judged.piece(piece, line, header[n], name) for piece in _pieces(cell)]
    return Sheet(columns=tuple(header[n] for n in columns), header=header, found=tuple(found), broken=broken)


def _rows(lines: Iterable[str], delimiter: str) -> tuple[list[tuple[int, list[str]]], str]:
    """The records that are not blank, each with its line; and why the last could not be read."""
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    found: list[tuple[int, list[str]]] = []
    while True:
        line = reader.line_num + 1
        try:
            row = next(reader)
        except StopIteration:
            return found, ""
        except csv.Error as error:
            return found, f"line {line} is not CSV: {error}"
        if any(cell.strip() for cell in row):
            found.append((line, row))


def _header(rows: Sequence[tuple[int, list[str]]]) -> tuple[str, ...]:
    """A name for each column; a list that begins with an address has no header."""
    first = rows[0][1] if not any(_LIKE.search(cell) for cell in rows[0][1]) else []
    names = [" ".join(cell.split()) for cell in first] + [""] * (max(len(row) for _, row in rows) - len(first))
    return tuple(name or f"column {n}" for n, name in enumerate(names, 1))


def _mostly(body: Sequence[tuple[int, list[str]]], column: int) -> bool:
    filled = [cell for _, row in body if (cell := _cell(row, column)).strip()]
    return 2 * sum(_LIKE.search(cell) is not None for cell in filled) > len(filled)


def _people(header: Sequence[str], columns: Sequence[int]) -> list[int]:
    """The columns that name the person: one, or first and last name."""
    words = {n: re.findall("[a-z]+", name.lower()) for n, name in enumerate(header) if n not in columns}
    for known in _NAME_HEADERS:
        if exact := [n for n, said in words.items() if " ".join(said) == known]:
            return exact[:1]
    halves = [n for half in ("first", "last") for n, said in words.items() if half in said]
    if len(halves) == 2:
        return halves
    return [n for n, said in words.items() if _NAME_WORDS & {*said} and not _NOT_OF_PEOPLE & {*said}][:1]


def _cell(row: Sequence[str], column: int) -> str:
    return row[column] if column < len(row) else ""


def _pieces(cell: str) -> list[str]:
    """The addresses of a cell as written; the cell itself where there is none."""
    pieces = [piece.strip() for piece in _BETWEEN.split(cell) if "@" in piece]
    return pieces if len(pieces) > 1 else [cell]


class _Judge:
    """Judges addresses by one table on one day.  A domain is judged once."""

    def __init__(self, table: CarrierTable, country: str, today: date) -> None:
        self._table, self._country, self._today = table, country, today
        self._domains: dict[str, Found] = {}

    def piece(self, piece: str, line: int, column: str, name: str) -> Found:
        """The address `piece`, with what was mended in it."""
        inside = _BRACKETS.search(piece)
        written = (inside.group(1) if inside else piece).strip().removeprefix("mailto:")
        mended = [] if inside or piece == piece.strip() else ["spaces around the address"]
        parts = [part.strip() for part in written.split("@")]
        if len(parts) == 2 and parts != written.split("@"):
            mended.append("spaces around the @")
        parts = self._single(parts, mended)
        domain = self._domain(parts[-1], mended) if len(parts) == 2 else ""
        phone = _phone(parts[0], self._country) if len(parts) == 2 else None
        if phone is None:
            text = "no phone number stands before the @" if len(parts) == 2 else "this is not one address"
            return Found(line=line, column=column, name=name, domain=domain, verdict="not_a_number", text=text)
        if domain not in self._domains:
            self._domains[domain] = self._verdict(domain)
        return replace(self._domains[domain], line=line, column=column, name=name, phone=phone, mended=tuple(mended))

    def _single(self, parts: list[str], mended: list[str]) -> list[str]:
        """`parts` with a number or a domain that is there twice in a row only once."""
        if len(parts) != 3:
            return parts
        numbers = [_phone(part, self._country) for part in parts]
        if numbers[0] and numbers[0] == numbers[1]:
            mended.append("the number is there twice")
            return parts[1:]
        if numbers[0] and parts[1].lower() == parts[2].lower():
            mended.append("the domain is there twice")
            return parts[:2]
        return parts

    def _domain(self, written: str, mended: list[str]) -> str:
        """The domain in lower case, and mended where the table knows what comes out."""
        domain = written.lower()
        label, dot, rest = domain.partition(".")
        readings = (
            (domain.rstrip("."), "a full stop after the domain"),
            (_half(domain), "the domain is there twice"),
            (f"{_half(label)}{dot}{rest}", "a part of the domain is there twice"),
        )
        known = self._table.domains
        meant, what = next((r for r in readings if domain not in known and r[0] in known), (domain, ""))
        mended += [what] if what else []
        return meant

    def _verdict(self, domain: str) -> Found:
        """What is found of any phone at that domain."""
        channels = carriers.by_domain(self._table, domain)
        if not channels:
            near = get_close_matches(domain, self._table.domains, 1, 0.8)
            text = f"no carrier of the table has {domain or 'an empty domain'}"
            return _of(domain, "unknown_domain", f"{text}; did you mean {near[0]}?" if near else text)
        channel = min(channels, key=lambda c: self._rank(c, channels))
        if closed := carriers.routable(channel, self._today):
            ended = channel.status in ("retired", "retiring", "no_gateway")
            found = _of(domain, "dead" if ended else "unproven", closed, channel)
            return replace(found, successor=self._table.carriers[channel.carrier].successor if ended else "")
        if channel.ends:
            return _of(domain, "retiring", f"{channel.name} closes {domain} on {channel.ends.isoformat()}", channel)
        if carriers.needs_confirmation(channel):
            return _of(domain, "unproven", f"nobody has shown that {domain} works", channel)
        return _of(domain, "good", "", channel)

    def _rank(self, channel: Channel, channels: Sequence[Channel]) -> tuple[bool, bool, bool, str]:
        """Several brands write one domain: the carrier whose network it is comes first, then who took others over."""
        ids = {other.carrier for other in channels}
        successor = self._table.carriers[channel.carrier].successor
        return not brandname.hosts(channel.carrier), successor in ids, channel.channel != "sms", channel.carrier


def _of(domain: str, verdict: str, text: str, channel: Channel | None = None) -> Found:
    return Found(line=0, column="", domain=domain, verdict=verdict, text=text, channel=channel)


def _phone(local: str, country: str) -> Phone | None:
    phone = phones.parse(local, country)
    if phone is None and local.isascii() and local.isdigit() and len(local) >= _INTERNATIONAL:
        phone = phones.parse(f"+{local}", country)
    return phone


def _half(text: str) -> str:
    """What `text` is twice; "" when it is not."""
    half = text[: len(text) // 2]
    return half if half * 2 == text else ""


def entries(found: Iterable[Found], names: Iterable[str], theirs: Iterable[Phone]) -> list[Entry]:
    """An employee for each phone of the list, by the best of its addresses, in the order of the list.

    `names` are taken already, and `theirs` are phones that somebody has.  Who has no name is called tech and the last
    four digits; of equal names the second gets a 2.
    """
    taken, known = set(names), frozenset(theirs)
    best: dict[Phone, Found] = {}
    called: dict[Phone, str] = {}
    for one in found:
        if one.phone is not None and one.phone not in known:
            called[one.phone] = called.get(one.phone) or one.name
            earlier = best.setdefault(one.phone, one)
            if VERDICTS.index(one.verdict) < VERDICTS.index(earlier.verdict):
                best[one.phone] = one
    made: list[Entry] = []
    for phone, one in best.items():
        name = _legal(called[phone] or f"tech {phone[-4:]}", taken)
        taken.add(name)
        row = one.channel
        where = {"carrier": row.carrier, "channel": row.channel} if row else {}
        made.append(Entry(name=name, phone=phone, comment=one.text, **where))
    return made


def _legal(name: str, taken: set[str]) -> str:
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower().replace("'", "")
    base = re.sub(r"[^a-z0-9]+", ".", plain).strip(".")[:_LONGEST_NAME].strip(".")
    base = base if base[:1].isalpha() else f"tech.{base}".strip(".")
    count, found = 1, base
    while found in taken or not addresses.legal_name(found):
        count += 1
        found = f"{base}.{count}"
    return found


def toml(employees: Iterable[Entry], head: str) -> str:
    """employees.toml with those; `head` is the comment above them.

    A dead gateway stays named: the employee is then texted by the provider, and `gateway carriers check` tells who is.
    """
    blocks = [f"# {_line(head)}"]
    for one in employees:
        keys = [f'name = "{one.name}"', f'phone = "{one.phone}"']
        keys += [f'carrier = "{one.carrier}"', f'channel = "{one.channel}"'] if one.carrier else []
        comment = [f"# {_line(one.comment)}"] if one.comment else []
        blocks.append("\n".join([*comment, "[[employee]]", *keys, 'fallback = "provider"']))
    return "\n\n".join(blocks) + "\n"


def _line(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text)
