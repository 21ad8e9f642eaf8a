"""gateway carriers: the table, who depends on it, and what an admin has confirmed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Any

import click

from gateway.cli.common import actor, ask, config_option, json_option, load, print_json, table


def command() -> click.Command:
    """The group `carriers`."""
    return carriers


@click.group(help="List, show, check and confirm carriers.")
def carriers() -> None:
    """The group itself does nothing."""


def _rows(config: Any) -> Iterator[dict[str, Any]]:
    from gateway.core.carrier import routable

    today = date.today()  # noqa: DTZ011 - the admin's own calendar
    users: dict[tuple[str, str], list[str]] = {}
    for employee in config.rules.employees:
        users.setdefault((employee.carrier, employee.channel), []).append(employee.name)
    for carrier in config.rules.carriers.carriers.values():
        for channel in carrier.channels.values():
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
                "not_routable": routable(channel, today) or None,
                "employees": users.get((carrier.id, channel.channel), []),
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
    rows = [
        r for r in _rows(config) if (not country or r["country"] == country.upper()) and (not used or r["employees"])
    ]
    if as_json:
        print_json(rows)
        return
    columns = ("id", "channel", "name", "status", "ends", "address", "employees")
    table(columns, ([", ".join(r[c]) if c == "employees" else r[c] for c in columns] for r in rows))


@carriers.command(help="One carrier: each of its rows with its source.")
@click.argument("ident", metavar="ID")
@json_option
@config_option
def show(ident: str, as_json: bool, config_path: str | None) -> None:
    config = _table(config_path)
    rows = [r for r in _rows(config) if r["id"] == ident]
    if not rows:
        import difflib

        like = difflib.get_close_matches(ident, list(config.rules.carriers.carriers), 1)
        from gateway.cli.common import fail

        fail(f"there is no carrier {ident!r}" + (f"; did you mean {like[0]!r}?" if like else ""))
    if as_json:
        print_json(rows)
        return
    for row in rows:
        click.echo("\n".join(f"{k:>13}: {v if not isinstance(v, list) else ', '.join(v)}" for k, v in row.items() if v))
        click.echo()


@carriers.command(help="Check the table and the carriers in use: errors, end dates, MX records.  Reads no secret.")
@json_option
@config_option
def check(as_json: bool, config_path: str | None) -> None:
    from gateway.cli.check import report

    report(config_path, as_json=as_json, carriers_only=True)


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


def _table(config_path: str | None) -> Any:
    """The configuration where there is one, else the shipped table alone."""
    from pathlib import Path

    from gateway.config import default_path, shipped_only

    path = config_path or click.get_current_context().find_root().obj
    if path is None and not default_path().exists():
        return shipped_only()
    return load(str(Path(path)) if path else None, secrets=False)
