"""`gateway simulate`: the simulator on its own, for trying a configuration without accounts, and for load tests."""

from __future__ import annotations

import asyncio
import json
import secrets
import signal
from contextlib import aclosing
from pathlib import Path

import click

from gateway.cli.common import UNAVAILABLE, fail, json_option
from gateway.simulator.hooks import is_loopback
from gateway.simulator.journal import Called, Entry, Mailed, Posted, Sent, Texted, Turned, as_json
from gateway.simulator.world import World


def command() -> click.Command:
    """The click command."""
    return simulate


@click.command("simulate")
@click.option(
    "--twilio-port", type=click.IntRange(0, 65535), default=0, help="Port of the Twilio API; 0 = any free one."
)
@click.option("--smtp-port", type=click.IntRange(0, 65535), default=0, help="Port of the relay; 0 = any free one.")
@click.option("--account-sid", help="AC and 32 hex digits; made up when not given.")
@click.option(
    "--auth-token-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Holds the account's token; made up and shown when not given.",
)
@click.option("--public-url", default="", help="The gateway's public_url: webhooks are signed over it.")
@click.option("--hooks", default="", help="Where the gateway's public listener is: http://127.0.0.1:PORT.")
@json_option
def simulate(
    *,
    twilio_port: int,
    smtp_port: int,
    account_sid: str | None,
    auth_token_file: Path | None,
    public_url: str,
    hooks: str,
    as_json: bool,
) -> None:
    """A Twilio, carriers and mailboxes on loopback, until SIGINT or SIGTERM."""
    if hooks and not is_loopback(hooks):
        raise click.BadParameter("must be on loopback", param_hint="--hooks")
    account = account_sid or "AC" + secrets.token_hex(16)
    token = auth_token_file.read_text().strip() if auth_token_file else secrets.token_hex(16)
    world = World(account, token, public_url, hooks, twilio_port=twilio_port, smtp_port=smtp_port)
    shown = {} if auth_token_file else {"auth_token": token}
    try:
        asyncio.run(_run(world, {"account_sid": account, **shown}, as_lines=as_json))
    except OSError as error:
        fail(f"cannot listen: {error}", UNAVAILABLE)


async def _run(world: World, account: dict[str, str], *, as_lines: bool) -> None:
    loop, end = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, end.set)
    async with world:
        here = {"api_url": world.api_url, "relay_host": world.mail.host, "relay_port": world.mail.port, **account}
        click.echo(json.dumps(here) if as_lines else "\n".join(f"{key:<12} {value}" for key, value in here.items()))
        printing = loop.create_task(_print(world, as_lines=as_lines))
        ended = loop.create_task(end.wait())
        await asyncio.wait({printing, ended}, return_when=asyncio.FIRST_COMPLETED)
        for task in (printing, ended):
            task.cancel()
        for outcome in await asyncio.gather(printing, ended, return_exceptions=True):
            if isinstance(outcome, Exception):
                raise outcome


async def _print(world: World, *, as_lines: bool) -> None:
    async with aclosing(world.journal.follow()) as entries:
        async for entry in entries:
            click.echo(json.dumps(as_json(entry)) if as_lines else line(entry))


def line(entry: Entry) -> str:
    """`entry` on one line, free of control characters."""
    match entry:
        case Posted():
            words = f"api     POST to {entry.to}: {entry.answer or 'no answer'} {entry.code or entry.sid}"
        case Texted():
            words = f"text    {entry.author} -> {entry.to}: {entry.body}"
        case Called():
            words = f"webhook {entry.status} {entry.sid}: {entry.answer or entry.note}"
        case Mailed():
            rcpts = ", ".join(rcpt.address for rcpt in entry.rcpt_to)
            words = f"mail    <{entry.mail_from}> -> {rcpts}: {entry.text} [{entry.answer or 'no answer'}]"
        case Sent():
            words = f"carrier <{entry.mail_from}> -> {entry.to}: {entry.text} [{entry.answer or entry.note}]"
        case Turned():
            words = f"mail    <{entry.mail_from}> -> {entry.address} [{entry.answer or 'dropped'}]"
    plain = "".join(c if c.isprintable() else " " for c in words)
    return f"{entry.at.astimezone():%H:%M:%S}  {plain}"
