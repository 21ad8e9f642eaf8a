"""gateway carriers check: what is wrong in the table, and who depends on a carrier that closes or is not proven."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Any

import click

from gateway.cli.carrier_edit import own
from gateway.cli.carrier_proof import Proof, day, proofs
from gateway.cli.common import BAD_CONFIG, print_json
from gateway.config import ConfigError, Problem, load, render
from gateway.config.carriers import shipped_table
from gateway.config.document import read
from gateway.core.brandname import hosts
from gateway.core.carrier import CHANNELS, CarrierTable, notice, routable
from gateway.mx import look_up

Finding = tuple[tuple[str | int, ...], str, str]  # the path in the admin's file, what is, what to do


def report(path: Path, *, as_json: bool) -> None:
    """Prints what is wrong; ends with 78 where something is an error, and with 0 after warnings."""
    try:
        config = load(path, secrets=False)
        problems = list(_findings(config, path))
    except ConfigError as error:
        problems = list(error.problems)
    if as_json:
        print_json(asdict(problem) for problem in problems)
    else:
        click.echo(render(problems, path))
    if any(problem.severity == "error" for problem in problems):
        sys.exit(BAD_CONFIG)


def _findings(config: Any, path: Path) -> Iterator[Problem]:
    """What is no error, but the admin should know: what the configuration warns of, twins, ends, addresses that came
    back, and what DNS says of the carriers in use.
    """
    known = proofs(config) or {}
    yield from _unproven(config, known)
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
        document, at = entered[employee.name]
        if row.status == "retiring" and not notice(row, today):  # nearer ends are told by the configuration itself
            text = f"texts to {employee.name} go by {row.domain}, which {row.name} closes on {row.ends.isoformat()}"
            yield document.problem(at, text, f"ask {employee.name} for a way that stays", severity="warning")
        if employee.name in known and not known[employee.name]["works"]:
            yield document.problem(at, *_gone(known[employee.name]), severity="warning")
    yield from _dns(config, path, used, entered)


def _unproven(config: Any, known: Mapping[str, Proof]) -> Iterator[Problem]:
    """The warnings of the configuration, which does not know whom somebody has confirmed."""
    proven = tuple(f"texts to {name} " for name, proof in known.items() if proof["works"])
    for warning in config.warnings:
        if not (warning.text.startswith(proven) and " until confirmed: " in warning.text):
            yield warning


def _gone(proof: Proof) -> tuple[str, str]:
    name = proof["employee"]
    text = f"{proof['address']} of {name} came back on {day(proof)}: {proof['note'] or proof['by']}"
    return text, f"ask {name} for the carrier of today; whether it works again tells: gateway carriers test {name}"


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
    beside = folder / str(main.values.get("employees", "employees.toml"))
    documents = [main, read(beside)] if beside.exists() else [main]
    return {
        entry["name"]: (document, ("employee", n, "carrier"))
        for document in documents
        for n, entry in enumerate(document.values.get("employee", []))
    }


def _dns(config: Any, path: Path, used: dict[str, list[str]], entered: dict[str, Any]) -> Iterator[Problem]:
    """What DNS says of the mail domains that employees need, told where the first of them is entered."""
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
