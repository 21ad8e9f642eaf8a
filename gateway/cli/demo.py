"""gateway demo: a shop's morning on loopback, with the real daemon between simulated phones and a mailbox."""

from __future__ import annotations

import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

import click


def command() -> click.Command:
    """The command `demo`."""
    return demo


@click.command(help="Play a shop's morning on this computer: no accounts, nothing leaves it.  Then try more yourself.")
@click.option("--exit", "leave", is_flag=True, help="End after the play; 0 only if every step happened as it should.")
@click.option("--log", type=click.Path(path_type=Path), help="Keep the daemon's events in this file.")
def demo(leave: bool, log: Path | None) -> None:
    from gateway import app, events
    from gateway.cli.play import play
    from gateway.cli.stage import Ear
    from gateway.house import StartError

    with ExitStack() as open_:
        folder = open_.enter_context(tempfile.TemporaryDirectory(prefix="gateway-demo-"))
        ear = Ear(open_.enter_context(log.open("w", buffering=1)) if log else None)
        events.setup(ear)
        try:
            right = app.run(play(Path(folder), ear, leave=leave))
        except StartError as error:
            click.echo(f"gateway: {error.text}", err=True)
            sys.exit(error.exit_code)
        except KeyboardInterrupt:
            sys.exit(130)
    sys.exit(0 if right else 1)
