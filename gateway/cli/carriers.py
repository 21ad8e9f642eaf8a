"""gateway carriers: the table, who depends on it, what an admin has confirmed; and what keeps him ahead of its end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Any

import click

from gateway.cli.carrier_proof import Proof, named, proofs, said
from gateway.cli.common import actor, ask, config_option, json_option, load, print_json, printable, table
from gateway.core.carrier import routable


def command() -> click.Command:
    """The group `carriers`."""
    return carriers


@click.group(help="List, show, check, test, confirm, suggest and set carriers; judge a list of text addresses.")
def carriers() -> None:
    """The group itself does nothing."""


def _rows(config: Any, known: Mapping[str, Proof]) -> Iterator[dict[str, Any]]:
    today = date.today()  # noqa: DTZ011 - the admin's own calendar
    users: dict[tuple[str, str], list[str]] = {}
    for employee in config.rules.employees:
        users.setdefault((employee.carrier, employee.channel), []).append(employee.name)
    for carrier in config.rules.carriers.carriers.values():
        for channel in carrier.channels.values():
            names = users.get((carrier.id, channel.channel), [])
            yield {
                "id": carrier.id,
                "channel": channel.channel,
                "name": carrier.name,
                "country": carrier.country,
                "address": channel.address or None,
                "domain": channel.domain or None,
                "status": channel.status,
                "ends": channel.ends.isoformat() if channel.ends else None,
                "seen": channel.seen.isoformat() if channel.seen else None,
                "successor": carrier.successor or None,
                "max_chars": channel.max_chars or None,
                "max_bytes": channel.max_bytes or None,
                "per_minute": channel.per_minute or None,
                "quirks": list(channel.quirks),
                "aliases": list(carrier.aliases),
                "not_routable": routable(channel, today) or None,
                "employees": names,
                "confirmed": [dict(known[name]) for name in names if name in known],
                "origin": carrier.origin,
                "source": channel.source,
            }


@carriers.command("list", help="Every row: its address, status and dates, and the employees who use it.")
@click.option("--country", default="", help="Only of this country, for example US.")
@click.option("--used", is_flag=True, help="Only those that employees use.")
@json_option
@config_option
def list_(country: str, used: bool, as_json: bool, config_path: str | None) -> None:
    config = _table(config_path)
    known = proofs(config) or {}
    rows = [
        row
        for row in _rows(config, known)
        if (not country or row["country"] == country.upper()) and (not used or row["employees"])
    ]
    if as_json:
        print_json(rows)
        return
    columns = ("id", "channel", "name", "status", "ends", "address")
    people = (", ".join(named(name, known) for name in row["employees"]) for row in rows)
    table((*columns, "employees"), ([*(row[c] for c in columns), who] for row, who in zip(rows, people, strict=True)))


@carriers.command(help="One carrier: each of its rows with its source.")
@click.argument("ident", metavar="ID")
@json_option
@config_option
def show(ident: str, as_json: bool, config_path: str | None) -> None:
    config = _table(config_path)
    rows = [row for row in _rows(config, proofs(config) or {}) if row["id"] == ident]
    if not rows:
        import difflib

        like = difflib.get_close_matches(ident, list(config.rules.carriers.carriers), 1)
        from gateway.cli.common import fail

        fail(f"there is no carrier {ident!r}" + (f"; did you mean {like[0]!r}?" if like else ""))
    if as_json:
        print_json(rows)
        return
    for row in printable(rows):
        words = {**row, "confirmed": [_proven(proof) for proof in row["confirmed"]]}
        shown = ((key, ", ".join(value) if isinstance(value, list) else value) for key, value in words.items() if value)
        click.echo("\n".join(f"{key:>13}: {value}" for key, value in shown))
        click.echo()


def _proven(proof: Proof) -> str:
    note = f" ({proof['note']})" if proof["note"] else ""
    return f"{proof['employee']} {said(proof)} by {proof['by']}{note}"


@carriers.command(help="Check the table and the carriers in use: errors, end dates, MX records.  Reads no secret.")
@json_option
@config_option
def check(as_json: bool, config_path: str | None) -> None:
    from gateway.cli.carrier_check import report

    report(_path(config_path), as_json=as_json)


@carriers.command(help="Record that the carrier address of EMPLOYEE works, because somebody has seen it work.")
@click.argument("employee")
@json_option
@config_option
def confirm(employee: str, as_json: bool, config_path: str | None) -> None:
    rows = ask(load(config_path, secrets=False), "carriers.confirm", employee=employee, actor=actor())["rows"]
    if as_json:
        print_json(rows)
        return
    for row in rows:
        click.echo(f"{row['address']} of {row['employee']} is confirmed by {row['by']}")
        if not row["needed"]:
            click.echo("This carrier needs no confirmation now; the word is kept.")


@carriers.command(help="Text a code to the carrier address of EMPLOYEE, by that way alone; its answer confirms it.")
@click.argument("employee")
@click.option(
    "--wait",
    type=click.FloatRange(min=0),
    default=0,
    metavar="SECONDS",
    help="Wait so long for the answer; exit 75 without one.",
)
@json_option
@config_option
def test(employee: str, wait: float, as_json: bool, config_path: str | None) -> None:
    from gateway.cli.carrier_test import report

    report(config_path, employee, wait=wait, as_json=as_json)


@carriers.command(
    "set", help="Set keys of your carriers file: ID.CHANNEL.KEY VALUE, or ID.KEY VALUE; as many as needed."
)
@click.argument("words", nargs=-1, required=True, metavar="ID.CHANNEL.KEY VALUE ...")
@json_option
@config_option
def set_(words: tuple[str, ...], as_json: bool, config_path: str | None) -> None:
    from gateway.cli.carrier_edit import report

    report(_path(config_path), words, as_json=as_json)


@carriers.command(help="Ask Twilio whose network a phone is on, and name the row.  A look-up costs about one cent.")
@click.argument("who", metavar="PHONE|EMPLOYEE")
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
@config_option
def suggest(who: str, yes: bool, as_json: bool, config_path: str | None) -> None:
    from gateway.cli.carrier_suggest import report

    report(config_path, who, yes=yes, as_json=as_json)


@carriers.command(help="Judge the text addresses of a CSV, or - for standard input, and make employees of them.")
@click.argument("file", metavar="FILE.csv")
@click.option("--column", "columns", multiple=True, metavar="NAME", help="Only this column; may be given again.")
@click.option("--write", type=click.Path(dir_okay=False), help="FILE to write the [[employee]] tables to.")
@click.option("--force", is_flag=True, help="Replace the file of --write.")
@json_option
@config_option
def migrate(
    file: str, columns: tuple[str, ...], write: str | None, force: bool, as_json: bool, config_path: str | None
) -> None:
    from gateway.cli.carrier_migrate import report

    report(_table(config_path), file, columns, write, force=force, as_json=as_json)


def _path(config_path: str | None) -> Path:
    from gateway.config import default_path

    return Path(config_path or click.get_current_context().find_root().obj or default_path())


def _table(config_path: str | None) -> Any:
    """The configuration where there is one, else the shipped table alone."""
    from gateway.config import default_path, shipped_only

    path = config_path or click.get_current_context().find_root().obj
    if path is None and not default_path().exists():
        return shipped_only()
    return load(str(Path(path)) if path else None, secrets=False)
