"""The command line: one file per group of commands, imported when it is called.

Exit codes: 0 done, 1 the answer is no, 2 usage, 69 unavailable, 75 try later, 78 bad configuration.
"""

from __future__ import annotations

import importlib
import os
import sys
from typing import Any

import click

from gateway import __version__

_COMMANDS = {
    "demo": ("gateway.cli.demo", "Everything on loopback, no accounts: mails go in, texts and replies are shown."),
    "serve": ("gateway.cli.serve", "Run the daemon in the foreground."),
    "check": ("gateway.cli.check", "Check the configuration as serve would, and look up MX records."),
    "send": ("gateway.cli.send", "Send one text through the running daemon."),
    "preview": ("gateway.cli.preview", "Show what a mail would do; nothing is sent."),
    "queue": ("gateway.cli.queue", "List, show, retry, cancel and release deliveries."),
    "trace": ("gateway.cli.trace", "The whole story of a message, a mail or a phone on one screen."),
    "consent": ("gateway.cli.consent", "Show, grant, revoke, import and export consent."),
    "report": ("gateway.cli.report", "Count texts, segments and cost, and what became of them, by month."),
    "carriers": (
        "gateway.cli.carriers",
        "List, show, check, suggest, set and confirm carriers; judge a list of text addresses.",
    ),
    "db": ("gateway.cli.db", "Check, back up and restore the database."),
    "hash-password": ("gateway.cli.password", "Make the password_hash of a [[sender]]."),
    "simulate": ("gateway.cli.simulate", "Run the simulator on its own: a carrier, a Twilio and a mailbox."),
    "completion": ("gateway.cli.completion", "Print the completion script of a shell."),
}


class Commands(click.Group):
    """A group that imports a command only when it is called: `gateway --version` does not pay for the rest."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        found: Any = importlib.import_module(_COMMANDS[cmd_name][0])
        made: click.Command = found.command()
        return made

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in _COMMANDS.items()])


@click.command(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="gateway")
@click.option(
    "-c",
    "--config",
    type=click.Path(),
    help="config.toml; default $GATEWAY_CONFIG, ./config.toml, /etc/gateway/config.toml",
)
@click.pass_context
def cli(ctx: click.Context, config: str | None) -> None:
    """A gateway from mail to texts and back.

    Try it: gateway demo.  Set it up: copy config.example.toml, gateway check, gateway serve.
    """
    ctx.obj = config
    if "NO_COLOR" in os.environ or os.environ.get("TERM") == "dumb":
        ctx.color = False


def main() -> None:
    """The console script."""
    try:
        cli(prog_name="gateway")
    except BrokenPipeError:
        # The reader of our output has left (`gateway queue list | head`): nobody is there to be told.
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115, PTH123 - it lives as long as the process
        sys.exit(0)
