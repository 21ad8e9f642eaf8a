"""gateway carriers suggest: which row is a phone's, as far as its network tells.  Each look-up costs about one cent."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterable
from datetime import date
from typing import Any

import click

from gateway.cli.common import NO, UNAVAILABLE, fail, load, plain, print_json, table
from gateway.config import Config
from gateway.core import brandname
from gateway.core import carrier as carriers
from gateway.core import phone as phones
from gateway.core.brandname import Told
from gateway.core.model import Phone
from gateway.core.rules import Employee
from gateway.courier.twilio_lookup import UNREACHABLE, Line, NoLine, TwilioLookup

_KINDS = {
    "landline": "a landline",
    "fixedVoip": "an internet line that belongs to an address",
    "nonFixedVoip": "an internet line",
    "tollFree": "a toll-free number",
    "pager": "a pager",
    "voicemail": "a voice mailbox",
}


def report(config_path: str | None, who: str, *, yes: bool, as_json: bool) -> None:
    """Asks Twilio and prints the row; ends with 0 (one row fits), 1 (none, or it cannot be told), 2, 69 or 78."""
    config = load(config_path)
    employee = config.rules.employee(who)
    phone = employee.phone if employee else phones.parse(who, config.rules.country)
    if phone is None:
        fail(f"{who} is neither an employee nor a phone number", 2)
    if config.twilio is None:
        fail("Twilio is asked, and there is no [twilio]: name the account and its auth_token there")
    if not yes:
        _agreed()
    line = asyncio.run(_asked(config, phone))
    if isinstance(line, NoLine):
        remedy = f": {line.remedy}" if line.remedy else ""
        fail(f"{line.text}{remedy}", UNAVAILABLE if line.what == UNREACHABLE else NO)
    told = _told(config, phone, line)
    if as_json:
        rows = list(_rows(config, [told.carrier] if told.carrier else told.candidates, phone))
        known = {"type": line.kind or None, "mccmnc": line.code or None, "carrier_name": line.name or None}
        print_json([{**known, "id": told.carrier or None, "text": told.why, "rows": rows}])
    else:
        _show(config, phone, line, told, employee)
    sys.exit(0 if told.carrier else NO)


def _agreed() -> None:
    if not sys.stdin.isatty():
        fail("the look-up costs about one cent, and nobody is there to be asked: add --yes", 2)
    if not click.confirm("One look-up at Twilio costs about one cent.  Ask?", err=True):
        fail("nothing was asked")


async def _asked(config: Config, phone: Phone) -> Line | NoLine:
    assert config.twilio is not None
    twilio = config.twilio
    lookup = TwilioLookup(twilio.account_sid, twilio.auth_tokens[0].reveal(), twilio.api_url)
    try:
        return await lookup.line(phone)
    finally:
        await lookup.close()


def _told(config: Config, phone: Phone, line: Line) -> Told:
    if line.kind == "mobile":
        return brandname.tell(line.name, line.code, config.rules.carriers, phones.region(phone))
    if not line.kind or line.kind == "unknown":
        return Told(why="Twilio does not know what kind of line it is, and only a mobile may get a carrier")
    kind = _KINDS.get(line.kind, f"a line of the kind {line.kind}")
    return Told(why=f"it is {kind}: only a mobile may get a carrier, a carrier's gateway does not reach it")


def _rows(config: Config, ids: Iterable[str], phone: Phone) -> Iterable[dict[str, Any]]:
    today = date.today()  # noqa: DTZ011 - the admin's own calendar
    for ident in ids:
        carrier = config.rules.carriers.carriers[ident]
        for channel in carrier.channels.values():
            yield {
                "id": ident,
                "name": carrier.name,
                "channel": channel.channel,
                "status": channel.status,
                "ends": channel.ends.isoformat() if channel.ends else None,
                "address": carriers.render(channel, phone),
                "not_routable": carriers.routable(channel, today) or None,
            }


def _show(config: Config, phone: Phone, line: Line, told: Told, employee: Employee | None) -> None:
    said = ", ".join(filter(None, (line.kind, line.code and f"network {line.code}", line.name)))
    click.echo(plain(f"Twilio says: {said or 'nothing'}"))
    click.echo(plain(f"{told.why}."))
    rows = list(_rows(config, [told.carrier] if told.carrier else told.candidates, phone))
    if rows:
        columns = ("id", "name", "channel", "status", "ends", "address")
        table(columns, ([row[column] for column in columns] for row in rows))
    if told.carrier:
        click.echo(_next(rows, told.carrier, employee))
    elif rows:
        click.echo("Ask the person whose name is on the bill; the row of that brand is the one to enter.")


def _next(rows: Iterable[dict[str, Any]], ident: str, employee: Employee | None) -> str:
    """What to do with the row."""
    usable = [row for row in rows if not row["not_routable"]]
    if not usable:
        closed = next((row["not_routable"] for row in rows), "it has no gateway")
        return f'{closed}: leave carrier out, or write fallback = "provider".'
    entered = employee is not None and employee.carrier == ident
    name = employee.name if employee else "EMPLOYEE"
    step = f"{name} is entered with it." if entered else f'Write carrier = "{ident}" under [[employee]] of {name}.'
    if any(row["status"] == "unverified" for row in usable):
        step += f"  Nobody has shown that it works: gateway carriers test {name}"
    return step
