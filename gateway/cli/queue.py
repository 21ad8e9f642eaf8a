"""gateway queue: what is unfinished, and what a person may do about it."""

from __future__ import annotations

import sys

import click

from gateway.cli.common import actor, ask, config_option, fail, json_option, load, plain, print_json, table


def command() -> click.Command:
    """The group `queue`."""
    return queue


@click.group(help="List, show, retry, cancel and release deliveries.")
def queue() -> None:
    """The group itself does nothing."""


@queue.command("list", help="What is unfinished; with --all everything.")
@click.option("--all", "everything", is_flag=True, help="Finished deliveries too.")
@json_option
@config_option
def list_(everything: bool, as_json: bool, config_path: str | None) -> None:
    rows = ask(load(config_path, secrets=False), "queue.list", all=everything)["rows"]
    if as_json:
        print_json(rows)
        return
    if not rows:
        click.echo("The queue is empty." if not everything else "Nothing has been sent yet.")
        return
    columns = ("id", "kind", "to", "courier", "fate", "attempts", "due_at", "code", "note")
    table(columns, ([r.get(c) if c != "note" else _note(r) for c in columns] for r in rows))


def _note(row: dict[str, object]) -> str:
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
