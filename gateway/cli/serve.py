"""gateway serve: the daemon in the foreground."""

from __future__ import annotations

import sys

import click

from gateway.cli.common import config_option, load


def command() -> click.Command:
    """The command `serve`."""
    return serve


@click.command(
    help="Run the daemon in the foreground.  Events go to stdout; SIGTERM drains it, SIGHUP reads the rules anew."
)
@config_option
def serve(config_path: str | None) -> None:
    config = load(config_path)
    from gateway import app, events
    from gateway.house import StartError

    events.setup()
    try:
        app.run(app.serve(config))
    except StartError as error:
        click.echo(f"gateway: {error.text}", err=True)
        sys.exit(error.exit_code)
