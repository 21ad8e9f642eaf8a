"""gateway carriers test: a text with a code to an employee's carrier address, and what becomes of it."""

from __future__ import annotations

import sys
import time
from datetime import datetime
from typing import Any

import click

from gateway.cli.common import NO, UNAVAILABLE, actor, ask, ask_daemon, fail, load, plain, print_json

LATER = 75
_BAD_ENDS = ("failed", "refused", "expired", "cancelled")


def report(config_path: str | None, employee: str, *, wait: float, as_json: bool) -> None:
    """Asks the daemon and prints what was sent; with `wait` seconds ends with 0 when the address is confirmed within
    them, 1 when the text ended badly, 75 when nothing has come.
    """
    config = load(config_path, secrets=False)
    (row,) = ask(config, "carriers.test", offline=False, employee=employee, actor=actor())["rows"]
    if as_json:
        print_json([row])
    else:
        _show(config, row)
    if wait:
        _await(config, row, wait, quiet=as_json)


def _show(config: Any, row: dict[str, Any]) -> None:
    name = row["employee"]
    click.echo(plain(f"A text with the code {row['code']} goes to {row['address']} of {name}."))
    by_hand = f"when {name} tells you that it came: gateway carriers confirm {name}"
    if config.rules.relay_sender:
        click.echo(f"Its answer goes to {config.rules.relay_sender}, the sender of [relay], and not here: {by_hand}")
    elif not config.smtp.listen_public:
        click.echo(f"Its answer cannot come here, since [smtp] listen_public is off: {by_hand}")
    else:
        needs = f"needs [smtp] listen_public reached by mail for {config.rules.domain}"
        click.echo(f"When {name} answers with the code, the address is confirmed by itself ({needs}).")
        click.echo(f"Or, {by_hand}")
    click.echo(f"Its story: gateway trace {row['message']}")


def _await(config: Any, row: dict[str, Any], seconds: float, *, quiet: bool) -> None:
    end = time.monotonic() + seconds
    sys.stdout.flush()
    while True:
        word = _word(config, row)
        if word is not None and word["works"]:
            break
        _stop_at_a_bad_end(config, row)
        left = end - time.monotonic()
        if left <= 0:
            fail(f"no answer within {seconds:g} seconds; it counts until {_local(row['closes_at'])}", LATER)
        time.sleep(min(1.0, left))
    if not quiet:
        click.echo(plain(f"{row['address']} is confirmed by {word['how']}: {word['note'] or word['by']}"))


def _word(config: Any, row: dict[str, Any]) -> dict[str, Any] | None:
    """The word on the address that was given since the text was made; None = none yet."""
    for one in _asked(config, "carriers.confirmed"):
        asked_at, at = (datetime.fromisoformat(text) for text in (row["asked_at"], one["at"]))
        # The store keeps whole seconds.
        if (one["employee"], one["address"]) == (row["employee"], row["address"]) and at >= asked_at.replace(
            microsecond=0
        ):
            return one
    return None


def _stop_at_a_bad_end(config: Any, row: dict[str, Any]) -> None:
    for delivery in _asked(config, "queue.show", id=row["delivery"]):
        if delivery["fate"] in _BAD_ENDS:
            fail(f"the text did not go out: {delivery['fate']}, {delivery['note']}", NO)


def _asked(config: Any, verb: str, **arguments: Any) -> list[dict[str, Any]]:
    answer = ask_daemon(config, verb, **arguments)
    if answer is None:
        fail("the daemon was stopped", UNAVAILABLE)
    rows: list[dict[str, Any]] = answer["rows"]
    return rows


def _local(text: str) -> str:
    return f"{datetime.fromisoformat(text).astimezone():%Y-%m-%d %H:%M}"
