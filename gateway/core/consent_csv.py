"""Consent as a table in CSV: what a shop's list says, checked line by line, and the ledger written out again."""

from __future__ import annotations

import csv
import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from difflib import get_close_matches

from gateway.core import phone as phones
from gateway.core.model import Consent, Phone

METHODS = ("paper", "web", "keyword", "verbal", "mail", "job_system", "import")
CLASSES = ("informational", "marketing")
PROVEN = ("paper", "web", "keyword")  # what marketing needs
REQUIRED = ("phone", "method", "evidence")
COLUMNS = ("phone", "class", "method", "evidence", "at", "disclosure", "recorded_by")
EXPORTED = (
    "action",
    "at",
    "phone",
    "brand",
    "class",
    "method",
    "evidence",
    "disclosure",
    "recorded_by",
    "raw",
    "number",
)

_MOST_CHARS = 1000  # of one cell
_LINE = re.compile(r"[^\r\n]*(?:\r\n?|\n)|[^\r\n]+")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_OLDEST_YEAR = 1990  # before texts: a slip of the pen
_FORMULA = ("=", "+", "-", "@")


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    line: int  # of the file, from 1
    column: str  # "" = the whole line
    text: str

    def __str__(self) -> str:
        return f"{self.column}: {self.text}" if self.column else self.text


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A grant as a line of the list states it."""

    line: int
    phone: Phone
    klass: str
    method: str
    evidence: str
    at: datetime
    disclosure: str = ""
    recorded_by: str = ""  # "" = whoever imports

    @property
    def same(self) -> tuple[str, str, str, str]:
        """What makes two entries the same consent."""
        return self.phone, self.klass, self.method, self.evidence


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """What a list says.  With a problem in it nothing of it may be entered."""

    entries: tuple[Entry, ...] = ()
    problems: tuple[Problem, ...] = ()


def lines(text: str) -> Iterator[str]:
    """The lines of a file with their ends, as `read` takes them."""
    return (found.group() for found in _LINE.finditer(text.removeprefix("\ufeff")))


def read(source: Iterable[str], country: str, now: datetime, timezone: tzinfo) -> Sheet:
    """The entries of a list with a header line, or all of its problems, each with the line where its record begins.

    `country` tells how a phone without a plus is read, `timezone` how a time without an offset is.  A line without `at`
    is of `now`.  Source of the form: RFC 4180.
    """
    rows = _records(source)
    first = next(rows, None)
    if first is None or isinstance(first, Problem):
        return Sheet(
            problems=(first or Problem(line=1, column="", text=f"a header line is needed: {','.join(COLUMNS)}"),)
        )
    line, header = first
    columns = [name.strip().lower() for name in header]
    if problems := tuple(_wrong_header(line, columns)):
        return Sheet(problems=problems)
    entries: list[Entry] = []
    wrong: list[Problem] = []
    seen: dict[tuple[str, str, str, str], int] = {}
    for row in rows:
        made = row if isinstance(row, Problem) else _row(*row, columns, country, now, timezone)
        match made:
            case Entry():
                earlier = seen.setdefault(made.same, made.line)
                if earlier == made.line:
                    entries.append(made)
                else:
                    wrong.append(Problem(line=made.line, column="", text=f"is the same as line {earlier}"))
            case Problem():
                wrong.append(made)
            case found:
                wrong.extend(found)
    return Sheet(problems=tuple(wrong)) if wrong else Sheet(entries=tuple(entries))


def check(
    line: int, cells: Mapping[str, str], country: str, now: datetime, timezone: tzinfo
) -> Entry | tuple[Problem, ...]:
    """The entry that the cells of one line make, by the names of COLUMNS, or every problem among them."""
    cells = {name: cells.get(name, "").strip() for name in COLUMNS}
    phone = phones.parse(cells["phone"], country)
    klass = cells["class"] or "informational"
    at = _moment(cells["at"], now, timezone)
    problems = [(name, text) for name in COLUMNS if (text := _unfit(cells[name]))]
    if phone is None:
        problems.append(
            ("phone", f"{_quoted(cells['phone'])} is not a phone number" if cells["phone"] else "is missing")
        )
    problems += [("class", text) for text in _not_in(klass, CLASSES)]
    problems += [("method", text) for text in _not_in(cells["method"], METHODS)]
    if not cells["evidence"]:
        problems.append(("evidence", "is missing: name the form, the file or who heard it"))
    if klass == "marketing" and cells["method"] in METHODS and cells["method"] not in PROVEN:
        problems.append(("method", "marketing needs consent on paper, by web or by keyword"))
    if isinstance(at, str):
        problems.append(("at", at))
    if problems or phone is None or isinstance(at, str):
        return tuple(Problem(line=line, column=name, text=text) for name, text in problems)
    return Entry(
        line=line,
        phone=phone,
        klass=klass,
        method=cells["method"],
        evidence=cells["evidence"],
        at=at,
        disclosure=cells["disclosure"],
        recorded_by=cells["recorded_by"],
    )


def cells(entry: Entry) -> dict[str, str]:
    """The cells that `check` makes the same entry of."""
    return {
        "phone": entry.phone,
        "class": entry.klass,
        "method": entry.method,
        "evidence": entry.evidence,
        "at": entry.at.isoformat(),
        "disclosure": entry.disclosure,
        "recorded_by": entry.recorded_by,
    }


def consent(entry: Entry, brand: str, recorded_by: str) -> Consent:
    """The row of the ledger; its id follows from what it says, so that entering it twice is harmless."""
    said = "\0".join((brand, *entry.same, entry.at.isoformat()))
    return Consent(
        id=f"import.{hashlib.sha256(said.encode()).hexdigest()[:32]}",
        brand=brand,
        phone=entry.phone,
        at=entry.at,
        action="grant",
        klass=entry.klass,
        method=entry.method,
        evidence=entry.evidence,
        disclosure=entry.disclosure,
        recorded_by=entry.recorded_by or recorded_by,
    )


def written(rows: Iterable[Mapping[str, object]], columns: Sequence[str], *, header: bool = True) -> str:
    """Rows as CSV; None is an empty cell.

    `raw` is what a stranger wrote: where a spreadsheet would take it for a formula an apostrophe stands before it.
    """
    out = _Written()
    writer = csv.writer(out, lineterminator="\n")
    if header:
        writer.writerow(columns)
    for row in rows:
        raw = str(row.get("raw") or "")
        shown = {**row, "raw": f"'{raw}" if raw.lstrip().startswith(_FORMULA) else raw}
        writer.writerow(["" if shown.get(name) is None else str(shown[name]) for name in columns])
    return "".join(out.parts)


class _Written:
    """A file in memory, as far as csv.writer needs one."""

    def __init__(self) -> None:
        self.parts: list[str] = []

    def write(self, part: str) -> None:
        self.parts.append(part)


def _records(source: Iterable[str]) -> Iterator[tuple[int, list[str]] | Problem]:
    """Each record that is not blank with the line where it begins; after a broken quote nothing more can be told."""
    reader = csv.reader(source, strict=True)
    while True:
        line = reader.line_num + 1
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield Problem(line=line, column="", text=f"is not CSV: {error}; lines below it were not read")
            return
        if any(cell.strip() for cell in row):
            yield line, row


def _wrong_header(line: int, columns: Sequence[str]) -> Iterator[Problem]:
    if len(columns) == 1 and (";" in columns[0] or "\t" in columns[0]):
        yield Problem(line=line, column="", text="columns are separated by commas")
        return
    for position, name in enumerate(columns):
        if name in columns[:position]:
            yield Problem(line=line, column=name, text="this column is there twice")
        elif name not in COLUMNS:
            like = _like(name.replace(" ", "_"), COLUMNS) or f" (known: {', '.join(COLUMNS)})"
            yield Problem(line=line, column="", text=f"there is no column {_quoted(name)}{like}")
    for name in REQUIRED:
        if name not in columns:
            yield Problem(line=line, column=name, text="this column is missing")


def _row(
    line: int, row: Sequence[str], columns: Sequence[str], country: str, now: datetime, timezone: tzinfo
) -> Entry | tuple[Problem, ...]:
    if len(row) != len(columns):
        text = f"this line has {len(row)} cells, the header {len(columns)}"
        return (Problem(line=line, column="", text=text),)
    return check(line, dict(zip(columns, row, strict=True)), country, now, timezone)


def _moment(text: str, now: datetime, timezone: tzinfo) -> datetime | str:
    """The time, aware, UTC, or what is wrong with it."""
    if not text:
        return now
    try:
        read_as = datetime.fromisoformat(text)
        at = (read_as if read_as.tzinfo else read_as.replace(tzinfo=timezone)).astimezone(UTC)
    except (ValueError, OverflowError):
        return f"{_quoted(text)} is not a time such as 2026-11-21 or 2026-11-21T09:30:00-05:00"
    if at > now:
        return f"{_quoted(text)} is in the future"
    return at if at.year >= _OLDEST_YEAR else f"{_quoted(text)} is too long ago"


def _unfit(cell: str) -> str:
    if len(cell) > _MOST_CHARS:
        return f"has more than {_MOST_CHARS} characters"
    return "has a line break or another control character" if _CONTROL.search(cell) else ""


def _not_in(word: str, known: Sequence[str]) -> list[str]:
    if word in known:
        return []
    return [f"{_quoted(word)} is none of {', '.join(known)}{_like(word, known)}" if word else "is missing"]


def _like(word: str, known: Sequence[str]) -> str:
    like = get_close_matches(word.lower()[:40], known, 1)
    return f" (did you mean {like[0]}?)" if like else ""


def _quoted(text: str) -> str:
    return repr(text if len(text) <= 40 else f"{text[:37]}...")
