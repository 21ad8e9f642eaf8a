"""gateway queue: what is unfinished, and what a person may do about it."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import click

from gateway.cli.common import actor, ask, config_option, fail, json_option, load, plain, print_json, table

PAGE = 1000  # rows that are asked for at once: a queue may be longer than memory
SCREEN = 200
_UNFINISHED = ("fate_waiting", "fate_sending", "fate_unknown", "fate_held", "unplanned", "parked")  # of the gauges
_COLUMNS = ("id", "kind", "to", "courier", "fate", "attempts", "due_at", "code", "note")


def command() -> click.Command:
    """The group `queue`."""
    return queue


@click.group(help="List, show, retry, cancel and release deliveries.")
def queue() -> None:
    """The group itself does nothing."""


@queue.command("list", help="What is unfinished; with --all everything.")
@click.option("--all", "everything", is_flag=True, help="Finished deliveries too, the newest first.")
@click.option("--limit", type=click.IntRange(min=0), help=f"At most so many, 0 = all.  Else {SCREEN}, with --json all.")
@json_option
@config_option
def list_(everything: bool, limit: int | None, as_json: bool, config_path: str | None) -> None:
    config = load(config_path, secrets=False)
    if limit is None:
        limit = 0 if as_json else SCREEN
    count, last = 0, ""
    for rows in _pages(config, everything, limit):
        count, last = count + len(rows), rows[-1]["id"]
        if as_json:
            print_json(rows)
        else:
            _print(rows, first=count == len(rows))
    if count == 0 and not as_json:
        click.echo("The queue is empty." if not everything else "Nothing has been sent yet.")
    if limit and count == limit and ask(config, "queue.list", all=everything, limit=1, after=last)["rows"]:
        more = "more" if everything else f"{max(1, _unfinished(config) - count):,} more"
        click.echo(f"... and {more}: --limit 0 shows all", err=True)


def _pages(config: Any, everything: bool, limit: int) -> Iterator[list[dict[str, Any]]]:
    """The rows, page by page, at most `limit` (0 = all)."""
    after, left, page = "", limit, SCREEN  # the first one soon
    while True:
        wanted = min(page, left) if limit else page
        rows = ask(config, "queue.list", all=everything, limit=wanted, after=after)["rows"]
        if rows:
            yield rows
        left -= len(rows)
        if len(rows) < wanted or (limit and not left):
            return
        after, page = rows[-1]["id"], PAGE


def _unfinished(config: Any) -> int:
    """How many there are; what has ended is not counted for each who asks."""
    sizes = ask(config, "status")["rows"][0]
    return int(sum(sizes[name] for name in _UNFINISHED))


def _print(rows: Sequence[Mapping[str, Any]], *, first: bool) -> None:
    """One page as a table: for a person by the width of the terminal, else in columns of a line each."""
    cells = [[row.get(c) if c != "note" else _note(row) for c in _COLUMNS] for row in rows]
    if sys.stdout.isatty():
        table(_COLUMNS, cells)
        return
    lines = [["" if cell is None else plain(str(cell)) for cell in line] for line in cells]
    widths = [max(map(len, column)) for column in zip(_COLUMNS, *lines, strict=True)]
    for line in ([*_COLUMNS], *lines) if first else lines:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def _note(row: Mapping[str, object]) -> str:
    reason, note = str(row.get("reason") or ""), str(row.get("note") or "")
    return f"{reason}: {note}" if reason and note else reason or note


@queue.command(help="One delivery with its attempts and receipts, or a mail that could not be read.")
@click.argument("ident", metavar="ID")
@click.option("--raw", is_flag=True, help="The mail itself, byte for byte where the output is a file or a pipe.")
@json_option
@config_option
def show(ident: str, raw: bool, as_json: bool, config_path: str | None) -> None:
    if raw:
        answer = ask(load(config_path, secrets=False), "queue.raw", id=ident)["rows"][0]
        if sys.stdout.isatty():
            click.echo(plain(answer["raw"].replace("\r\n", "\n"), lines=True))
        else:
            sys.stdout.buffer.write(answer["raw"].encode("latin-1"))
        return
    rows = ask(load(config_path, secrets=False), "queue.show", id=ident)["rows"]
    if as_json:
        print_json(rows)
        return
    from gateway.cli.trace import story

    story(rows)


@queue.command(help="Try again now what waits, is held, ended badly or could not be read.")
@click.argument("ids", metavar="ID...", nargs=-1, required=True)
@json_option
@config_option
def retry(ids: tuple[str, ...], as_json: bool, config_path: str | None) -> None:
    _done(
        ask(load(config_path, secrets=False), "queue.retry", ids=list(ids), actor=actor())["rows"],
        "will be tried again",
        as_json,
    )


@queue.command(help="End what has not been sent.")
@click.argument("ids", metavar="ID...", nargs=-1, required=True)
@json_option
@config_option
def cancel(ids: tuple[str, ...], as_json: bool, config_path: str | None) -> None:
    _done(
        ask(load(config_path, secrets=False), "queue.cancel", ids=list(ids), actor=actor())["rows"],
        "is cancelled",
        as_json,
    )


@queue.command(help="Let go what is held.")
@click.argument("ids", metavar="[ID...]", nargs=-1)
@click.option("--sender", default="", help="Everything held of this sender.")
@json_option
@config_option
def release(ids: tuple[str, ...], sender: str, as_json: bool, config_path: str | None) -> None:
    if not ids and not sender:
        fail("name an ID or --sender", 2)
    rows = ask(load(config_path, secrets=False), "queue.release", ids=list(ids), sender=sender, actor=actor())["rows"]
    _done(rows, "is released", as_json)


def _done(rows: list[dict[str, object]], words: str, as_json: bool) -> None:
    if as_json:
        print_json(rows)
    else:
        for row in rows:
            click.echo(plain(f"{row['id']} {words}" if row["done"] else f"{row['id']}: {row['why']}"))
    if not all(row["done"] for row in rows):
        raise SystemExit(1)
