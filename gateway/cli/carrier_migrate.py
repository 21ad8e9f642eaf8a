"""gateway carriers migrate: a list of stored text addresses, judged by the table, and the employees made of it."""

from __future__ import annotations

import os
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import date
from pathlib import Path
from typing import Any

import click

from gateway.cli.common import fail, plain, print_json, table
from gateway.config import Config, Unconfigured
from gateway.config.document import Document, read
from gateway.core import migrate
from gateway.core import phone as phones
from gateway.core.consent_csv import lines
from gateway.core.migrate import Found, Sheet
from gateway.core.model import Phone
from gateway.core.row import meant

MOST_BYTES = 16 * 1024 * 1024  # of one list
_SLOW = 5_000  # lines after which a person wants to see that it goes on
_STEP = 1_000
_WORDS = {"unknown_domain": "unknown domain", "not_a_number": "not a number"}


def report(
    config: Config | Unconfigured, file: str, columns: Sequence[str], write: str | None, *, force: bool, as_json: bool
) -> None:
    """Prints what became of each address; ends with 0 (dead ones too), 1 (nothing usable, or not written) or 2."""
    if write is not None and Path(write).exists() and not force:
        fail(f"{write} exists: name another file, or replace it with --force")
    name, text = _text(file)
    rules = config.rules
    today = date.today()  # noqa: DTZ011 - the admin's own calendar
    sheet = migrate.read(_told(text), rules.carriers, rules.country, today, columns)
    if sheet.unknown:
        fail(f"{name} has no column {sheet.unknown[0]!r}: {meant(sheet.unknown[0], sheet.header)}", 2)
    if as_json:
        print_json(_row(one) for one in sheet.found)
    else:
        _show(name, sheet)
    if sheet.broken:
        fail(f"{name}: {sheet.broken}; lines below it were not read, nothing was written")
    if not any(one.phone for one in sheet.found):
        fail(f"{name} has no text address, such as 2025550102@txt.att.net: name its columns with --column")
    if write is not None:
        _write(config, sheet.found, name, Path(write), force=force)


def _text(file: str) -> tuple[str, str]:
    """The name for messages and the text; the command ends where it cannot be read."""
    try:
        with click.open_file(file, "rb") as source:
            raw: bytes = source.read(MOST_BYTES + 1)
    except OSError as error:
        fail(f"{file} cannot be read: {error.strerror}", 2)
    if len(raw) > MOST_BYTES:
        fail(f"{file} is larger than {MOST_BYTES // 1024 // 1024} MB: split it", 2)
    name = "stdin" if file == "-" else file
    if b"\0" in raw:
        fail(f"{name} is no CSV in UTF-8 or Latin-1: export it as CSV UTF-8", 2)
    try:
        return name, raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        click.echo(f"{name} is not UTF-8: it is read as Latin-1", err=True)
        return name, raw.decode("latin-1")


def _told(text: str) -> Iterator[str]:
    """The lines; on a terminal a long list shows how far it is."""
    total = text.count("\n")
    shown = total > _SLOW and sys.stderr.isatty()
    for number, line in enumerate(lines(text), 1):
        if shown and number % _STEP == 0:
            click.echo(f"\r{number:,} of {total:,} lines", err=True, nl=False)
        yield line
    if shown:
        click.echo(f"\r{total:,} lines read; judging them", err=True)


def _row(one: Found) -> dict[str, Any]:
    row = one.channel
    return {
        "line": one.line,
        "column": one.column,
        "name": one.name or None,
        "phone": one.phone,
        "domain": one.domain or None,
        "verdict": one.verdict,
        "carrier": row.carrier if row else None,
        "channel": row.channel if row else None,
        "ends": row.ends.isoformat() if row and row.ends else None,
        "successor": one.successor or None,
        "text": one.text or None,
        "mended": list(one.mended),
    }


def _show(name: str, sheet: Sheet) -> None:
    """Each address by its line, without its number; then what was mended, then the sums."""
    columns = ("line", "column", "name", "verdict", "carrier", "note")
    table(columns, (_cells(one) for one in sheet.found))
    click.echo()
    for one in sheet.found:
        for what in one.mended:
            click.echo(plain(f"{name}:{one.line}: {one.column}: {what}; it was read as it is meant"))
        if one.verdict == "not_a_number":
            click.echo(plain(f"{name}:{one.line}: {one.column}: {one.text}"))
    _sums(sheet)


def _cells(one: Found) -> tuple[object, ...]:
    row = one.channel
    successor = f"; look at {one.successor}" if one.successor else ""
    carrier = f"{row.carrier} {row.channel}" if row else ""
    return one.line, one.column, one.name, _word(one.verdict), carrier, f"{one.text}{successor}"


def _sums(sheet: Sheet) -> None:
    groups = Counter((one.verdict, one.domain if one.phone else "") for one in sheet.found)
    ordered = sorted(groups.items(), key=lambda g: (migrate.VERDICTS.index(g[0][0]), -g[1], g[0][1]))
    table(("verdict", "domain", "addresses"), ((_word(v), domain, count) for (v, domain), count in ordered))
    verdicts = Counter(one.verdict for one in sheet.found)
    told = ", ".join(f"{verdicts[v]} {_word(v)}" for v in migrate.VERDICTS if verdicts[v])
    people = {one.phone for one in sheet.found if one.phone}
    where = f" in {', '.join(sheet.columns)}" if sheet.columns else ""
    click.echo()
    click.echo(plain(f"{len(sheet.found)} addresses{where}: {told or 'none'}; {len(people)} phones"))


def _word(verdict: str) -> str:
    return _WORDS.get(verdict, verdict)


def _write(config: Config | Unconfigured, found: Iterable[Found], source: str, path: Path, *, force: bool) -> None:
    names, theirs = _taken(config, path)
    told = list(found)
    employees = migrate.entries(told, names, theirs)
    known = len({one.phone for one in told if one.phone} & theirs)
    head = f"Employees from {Path(source).name}, by gateway carriers migrate.  A paid text goes where no gateway works."
    try:
        replace_file(path, migrate.toml(employees, head), fresh=not force, mode=0o600)
    except FileExistsError:
        fail(f"{path} exists: name another file, or replace it with --force")
    except OSError as error:
        fail(f"{path} cannot be written: {error.strerror}")
    left = f"; {known} phones are entered already and were left out" if known else ""
    click.echo(f"{path} has {len(employees)} employees{left}.", err=True)
    click.echo(f'Read it through, name it in config.toml (employees = "{path.name}"), then: gateway check', err=True)


def replace_file(path: Path, text: str, *, fresh: bool = False, mode: int = 0o644) -> None:
    """Writes the file beside its place and moves it there when it is whole; an old one keeps its mode and owner.

    `fresh`: the file must not exist; raises FileExistsError.  Raises OSError.
    """
    path = path.resolve()
    old = path.stat() if path.exists() else None
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    part = Path(name)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
            file.write(text)
            file.flush()
            os.fchmod(file.fileno(), old.st_mode & 0o7777 if old else mode)
            if old:
                with suppress(PermissionError):  # only root may give a file to another user
                    os.fchown(file.fileno(), old.st_uid, old.st_gid)
            os.fsync(file.fileno())
        if fresh:
            os.link(part, path)
        else:
            part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _taken(config: Config | Unconfigured, path: Path) -> tuple[set[str], set[Phone]]:
    """The names and phones that config.toml and its file of employees hold, but for the file to be replaced."""
    if isinstance(config, Unconfigured):
        return set(), set()
    main = read(config.path)
    beside = config.path.parent / str(main.values.get("employees", "employees.toml"))
    documents = [main]
    if beside.exists() and not (path.exists() and beside.samefile(path)):
        documents.append(read(beside))
    names = {name for document in documents for name in _names(document)}
    written = (
        entry.get("phone", "") for d in documents for key in ("employee", "number") for entry in d.values.get(key, [])
    )
    parsed = (phones.parse(one, config.rules.country) for one in written)
    return names, {phone for phone in parsed if phone}


def _names(document: Document) -> Iterator[str]:
    for kind in ("employee", "number", "template"):
        yield from (entry["name"] for entry in document.values.get(kind, []))
    yield from document.values.get("groups", {})
