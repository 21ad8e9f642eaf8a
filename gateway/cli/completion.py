"""gateway completion: the script of a shell."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class


def command() -> click.Command:
    """The command `completion`."""
    return completion


@click.command(help='Print the completion script of a shell, for example: eval "$(gateway completion bash)"')
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    from gateway.cli import cli

    found = get_completion_class(shell)
    assert found is not None
    click.echo(found(cli, {}, "gateway", "_GATEWAY_COMPLETE").source())
