"""gateway hash-password: from the prompt or standard input, never from the command line, where others can read it."""

from __future__ import annotations

import sys

import click

from gateway.cli.common import fail


def command() -> click.Command:
    """The command `hash-password`."""
    return hash_password


@click.command(
    "hash-password", help="Make the password_hash of a [[sender]] from a password that is asked for, or piped in."
)
def hash_password() -> None:
    from gateway.config import hash_password as hashed

    if sys.stdin.isatty():
        password = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    else:
        password = sys.stdin.readline().rstrip("\r\n")
    if not password:
        fail("the password is empty", 2)
    click.echo(hashed(password))
