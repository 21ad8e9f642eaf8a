"""gateway carriers: the table, who depends on it, what an admin has confirmed; and what keeps him ahead of its end."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Any

import click

from gateway.cli.common import BAD_CONFIG, actor, ask, config_option, json_option, load, print_json, printable, table
from gateway.core.brandname import hosts
from gateway.core.carrier import CHANNELS, CarrierTable, notice, routable

Finding = tuple[tuple[str | int, ...], str, str]  # the path in the admin's file, what is, what to do


def command() -> click.Command:
    """The group `carriers`."""
    return carriers


@click.group(help="List, show, check, suggest, set and confirm carriers; judge a list of text addresses.")
def carriers() -> None:
    """The group itself does nothing."""


def _rows(config: Any) -> Iterator[dict[str, Any]]:
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
                "max_bytes": channel.max_bytes or None,
                "quirks": list(channel.quirks),
                "aliases": list(carrier.aliases),
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
    for row in printable(rows):
        click.echo("\n".join(f"{k:>13}: {v if not isinstance(v, list) else ', '.join(v)}" for k, v in row.items() if v))
        click.echo()


@carriers.command(help="Check the table and the carriers in use: errors, end dates, MX records.  Reads no secret.")
@json_option
@config_option
def check(as_json: bool, config_path: str | None) -> None:
    from gateway.config import ConfigError, render
    from gateway.config import load as load_config

    path = _path(config_path)
    try:
        config = load_config(path, secrets=False)
        problems = [*config.warnings, *_findings(config, path)]
    except ConfigError as error:
        problems = list(error.problems)
    if as_json:
        print_json(asdict(problem) for problem in problems)
    else:
        click.echo(render(problems, path))
    if any(problem.severity == "error" for problem in problems):
        sys.exit(BAD_CONFIG)


def _findings(config: Any, path: Path) -> Iterator[Any]:
    """What is no error, but the admin should know: twins, ends, and what DNS says of the carriers in use."""
    from gateway.cli.carrier_edit import own
    from gateway.config.carriers import shipped_table

    file = own(path)
    today = date.today()  # noqa: DTZ011 - the admin's own calendar
    for at, text, remedy in (*_twins(config.rules.carriers, shipped_table(), file.values), *_ended(file.values, today)):
        yield file.document.problem(at, text, remedy, severity="warning")
    entered = _entered(file.main, path.parent)
    used: dict[str, list[str]] = {}
    for employee in config.rules.employees:
        row = config.rules.channel(employee)
        if row is None or not row.address or routable(row, today):
            continue
        used.setdefault(row.domain, []).append(employee.name)
        if row.status == "retiring" and not notice(row, today):  # nearer ends are told by the configuration itself
            document, at = entered[employee.name]
            text = f"texts to {employee.name} go by {row.domain}, which {row.name} closes on {row.ends.isoformat()}"
            yield document.problem(at, text, f"ask {employee.name} for a way that stays", severity="warning")
    yield from _dns(config, path, used, entered)


def _twins(table: CarrierTable, shipped: CarrierTable, own: dict[str, Any]) -> Iterator[Finding]:
    """Addresses that the admin's file gives to one carrier more, where neither took the other over."""
    for ident, channel, address in _addresses(own):
        before = shipped.carriers.get(ident)
        if before and channel in before.channels and before.channels[channel].address == address:
            continue
        others = [
            row.carrier for row in table.domains.get(address.partition("@")[2].lower(), ()) if row.address == address
        ]
        twins = {other for other in others if other != ident and not _related(table, ident, other)}
        if twins:
            first, *more = sorted(twins, key=lambda twin: (not hosts(twin), twin))
            text = f"{address} is also that of {', '.join([first, *more])}"
            remedy = f'add successor = "{first}" under [{ident}] where it is the same gateway, or remove one of them'
            yield (ident, channel, "address"), text, remedy


def _addresses(own: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    for ident, carrier in own.items():
        for channel in CHANNELS:
            if address := carrier.get(channel, {}).get("address"):
                yield ident, channel, address


def _related(table: CarrierTable, one: str, other: str) -> bool:
    """Whether one carrier is among the successors of the other."""
    return other in _successors(table, one) or one in _successors(table, other)


def _successors(table: CarrierTable, ident: str) -> list[str]:
    line: list[str] = []
    while (ident := table.carriers[ident].successor) in table.carriers and ident not in line:
        line.append(ident)
    return line


def _ended(own: dict[str, Any], today: date) -> Iterator[Finding]:
    for ident, carrier in own.items():
        for channel in CHANNELS:
            row = carrier.get(channel, {})
            if row.get("status") == "retiring" and row["ends"] < today:
                text = f"{ident}.{channel} ended on {row['ends'].isoformat()} and counts as retired"
                yield (ident, channel, "ends"), text, f"say so: gateway carriers set {ident}.{channel}.status retired"


def _entered(main: Any, folder: Path) -> dict[str, tuple[Any, tuple[str | int, ...]]]:
    """Where each employee's carrier is written: the file, and the path in it."""
    from gateway.config.document import read

    beside = folder / str(main.values.get("employees", "employees.toml"))
    documents = [main, read(beside)] if beside.exists() else [main]
    return {
        entry["name"]: (document, ("employee", n, "carrier"))
        for document in documents
        for n, entry in enumerate(document.values.get("employee", []))
    }


def _dns(config: Any, path: Path, used: dict[str, list[str]], entered: dict[str, Any]) -> Iterator[Any]:
    """What DNS says of the mail domains that employees need, told where the first of them is entered."""
    from gateway.config import Problem
    from gateway.mx import look_up

    found = asyncio.run(look_up(used, config.dns_servers)) if used else {}
    silent = sorted(d for d, answer in found.items() if isinstance(answer, str) and answer.startswith("no answer"))
    for domain, answer in found.items():
        if isinstance(answer, str) and domain not in silent:
            document, at = entered[used[domain][0]]
            text = f"{domain}: {answer}; {', '.join(used[domain])} cannot be texted there"
            yield document.problem(
                at, text, "ask for the carrier of today: gateway carriers suggest", severity="warning"
            )
    if silent:
        text = f"MX records could not be looked up ({found[silent[0]]}): {', '.join(silent)}"
        yield Problem(file=str(path), text=text, severity="warning")


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
