"""gateway consent: the ledger."""

from __future__ import annotations

import click

from gateway.cli import roll
from gateway.cli.common import actor, ask, config_option, json_option, load, plain, print_json, table

METHODS = ["paper", "web", "keyword", "verbal", "mail", "job_system", "import"]


def command() -> click.Command:
    """The group `consent`."""
    return consent


@click.group(
    help="Show, grant, revoke, import and export consent.  The ledger is append-only; only a phone lifts its own STOP."
)
def consent() -> None:
    """The group itself does nothing."""


@consent.command(help="The ledger of PHONE, or of all phones.")
@click.argument("phone", required=False, default="")
@json_option
@config_option
def show(phone: str, as_json: bool, config_path: str | None) -> None:
    answer = ask(load(config_path, secrets=False), "consent.show", phone=phone)
    rows = answer["rows"]
    if as_json:
        print_json(rows)
    elif rows:
        columns = ("at", "phone", "action", "class", "method", "sent to", "evidence", "recorded_by")
        keys = {"class": "klass", "sent to": "number"}
        table(columns, ([r[keys.get(c, c)] for c in columns] for r in rows))
    if phone and not as_json:
        click.echo(f"{answer['phone']}: {answer['standing']}")
        if answer["says"]:
            click.echo(plain(f"{answer['phone']} {answer['says']}"))
        for number in answer["blocked"]:
            click.echo(
                f"{answer['phone']}: blocked by the provider for our number {number}: only a START to it lifts that"
            )


@consent.command(help="Record that the person behind PHONE agreed to texts.")
@click.argument("phone")
@click.option("--method", required=True, type=click.Choice(METHODS), help="How the person agreed.")
@click.option("--evidence", required=True, help="What proves it: a form's number, a file, who heard it.")
@click.option("--class", "klass", type=click.Choice(["informational", "marketing"]), default="informational")
@click.option("--disclosure", default="", help="Version of the words that were shown.")
@json_option
@config_option
def grant(
    phone: str, method: str, evidence: str, klass: str, disclosure: str, as_json: bool, config_path: str | None
) -> None:
    answer = ask(
        load(config_path, secrets=False),
        "consent.grant",
        phone=phone,
        method=method,
        evidence=evidence,
        klass=klass,
        disclosure=disclosure,
        actor=actor(),
    )
    _told(answer["rows"], "may be texted", as_json)


@consent.command(help="Record that the person behind PHONE no longer wants texts.")
@click.argument("phone")
@click.option("--method", type=click.Choice(METHODS), default="verbal", help="How the person said so.")
@click.option("--evidence", default="", help="What proves it.")
@json_option
@config_option
def revoke(phone: str, method: str, evidence: str, as_json: bool, config_path: str | None) -> None:
    answer = ask(
        load(config_path, secrets=False), "consent.revoke", phone=phone, method=method, evidence=evidence, actor=actor()
    )
    _told(answer["rows"], "will not be texted", as_json)


consent.add_command(roll.import_)
consent.add_command(roll.export)


def _told(rows: list[dict[str, object]], words: str, as_json: bool) -> None:
    if as_json:
        print_json(rows)
        return
    for row in rows:
        click.echo(f"{row['phone']} {words} (recorded {row['at']})")
