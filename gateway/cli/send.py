"""gateway send: one text through the running daemon."""

from __future__ import annotations

import click

from gateway.cli.common import actor, ask, config_option, json_option, load, print_json


def command() -> click.Command:
    """The command `send`."""
    return send


@click.command(help="Send one TEXT to a phone, an employee, a group or any address of the gateway.")
@click.argument("to", metavar="TO")
@click.argument("text", metavar="TEXT")
@click.option("--sender", default="", help="In whose name; default the first [[sender]].")
@json_option
@config_option
def send(to: str, text: str, sender: str, as_json: bool, config_path: str | None) -> None:
    rows = ask(load(config_path, secrets=False), "send", offline=False, to=to, text=text, sender=sender, actor=actor())[
        "rows"
    ]
    if as_json:
        print_json(rows)
        return
    click.echo(f"accepted as {rows[0]['id']}\nIts story: gateway trace {rows[0]['id']}")
