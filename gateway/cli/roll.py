"""gateway consent import | export: the ledger by the file."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

import click

from gateway.cli.common import actor, ask, config_option, fail, json_line, json_option, load, plain, print_json

MOST_BYTES = 16 * 1024 * 1024  # of one list
_SLOW = 5_000  # lines after which a person wants to see that it goes on
_STEP = 1_000


@click.command("import")
@click.argument("file")
@click.option("--dry-run", is_flag=True, help="Say what would be entered; enter nothing.")
@click.option("--skip-stopped", is_flag=True, help="Leave out who said STOP or was opted out, instead of refusing all.")
@json_option
@config_option
def import_(file: str, dry_run: bool, skip_stopped: bool, as_json: bool, config_path: str | None) -> None:
    """Record consents from FILE, CSV with a header line, or - for standard input; all of them or none.

    Columns, in any order: phone, method, evidence; class, at, disclosure, recorded_by where known.
    """
    from gateway.core import consent_csv

    config = load(config_path, secrets=False)
    name, text = _text(file)
    rules = config.rules
    sheet = consent_csv.read(_told(text), rules.country, datetime.now(UTC), rules.timezone)
    problems = [{"line": p.line, "column": p.column, "error": p.text} for p in sheet.problems]
    if problems:
        _refuse(name, problems, as_json)
    entries = [{"line": str(entry.line), **consent_csv.cells(entry)} for entry in sheet.entries]
    answer = ask(config, "consent.import", entries=entries, dry_run=dry_run, skip_stopped=skip_stopped, actor=actor())
    if answer["problems"]:
        _refuse(name, answer["problems"], as_json)
    if as_json:
        print_json(answer["rows"])
        return
    counts = answer["rows"][0]
    said = "would be recorded, nothing was written" if dry_run else "recorded"
    click.echo(f"{counts['added']} {said}; {counts['known']} were in the ledger already")
    if counts["left_out"]:
        click.echo(f"{counts['left_out']} left out: they said STOP or were opted out")


@click.command()
@click.option("--output", type=click.Path(dir_okay=False), help="FILE to write, readable by its owner alone.")
@json_option
@config_option
def export(output: str | None, as_json: bool, config_path: str | None) -> None:
    """Write the whole ledger as CSV, or as JSON lines, to standard output or FILE."""
    config = load(config_path, secrets=False)
    if output is None:
        _write(config, sys.stdout, as_json)
        return
    try:
        with _private(Path(output)) as file:
            _write(config, file, as_json)
    except OSError as error:
        fail(f"{output} cannot be written: {error.strerror}")


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
    try:
        return name, raw.decode()
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        click.echo(f"{name}:{line}: error: is not UTF-8: save the list as CSV UTF-8", err=True)
        sys.exit(1)


def _told(text: str) -> Iterator[str]:
    """The lines; on a terminal a long list shows how far it is."""
    from gateway.core import consent_csv

    total = text.count("\n")
    shown = total > _SLOW and sys.stderr.isatty()
    for number, line in enumerate(consent_csv.lines(text), 1):
        if shown and number % _STEP == 0:
            click.echo(f"\r{number:,} of {total:,} lines", err=True, nl=False)
        yield line
    if shown:
        click.echo(f"\r{total:,} lines read; asking the ledger", err=True)


def _refuse(name: str, problems: Iterable[dict[str, Any]], as_json: bool) -> None:
    count = 0
    for count, problem in enumerate(problems, 1):  # noqa: B007 - the last one is the count
        if as_json:
            print_json([{"file": name, **problem}])
        column = f"{problem['column']}: " if problem["column"] else ""
        click.echo(plain(f"{name}:{problem['line']}: error: {column}{problem['error']}"), err=True)
    fail(f"nothing was recorded: {count} {'problem' if count == 1 else 'problems'}")


def _write(config: Any, out: TextIO, as_json: bool) -> None:
    from gateway.core.consent_csv import EXPORTED, written

    offset, more = 0, True
    while more:
        answer = ask(config, "consent.export", offset=offset)
        if as_json:
            out.writelines(f"{json_line(row)}\n" for row in answer["rows"])
        else:
            rows = written(answer["rows"], EXPORTED, header=offset == 0)
            out.write(plain(rows, lines=True) if out.isatty() else rows)
        offset += len(answer["rows"])
        more = answer["more"]


@contextmanager
def _private(path: Path) -> Iterator[TextIO]:
    """A file of mode 0600 that takes its place when it is whole."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    part = Path(name)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
            yield file
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
