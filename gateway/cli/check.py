"""gateway check: all that serve checks before it listens, and whether the domains in use still take mail."""

from __future__ import annotations

import asyncio
import os
import sys
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Any

import click

from gateway.cli.common import BAD_CONFIG, config_option, json_option, print_json


def command() -> click.Command:
    """The command `check`."""
    return check


@click.command(
    help="Check the configuration as serve would, and look up MX records.  0: it can be used, 78: it cannot.  "
    "With --live ask the providers, DNS and the relay instead.  1: an error is left, 69: somebody cannot be asked."
)
@click.option(
    "--live", is_flag=True, help="Are the numbers ours, lead to us, are registered?  Will our mail be believed?"
)
@click.option("--fix", is_flag=True, help="As --live, but first lead texts to our numbers to us where they do not.")
@click.option("--bounce", is_flag=True, help="As --live, and send a mail to ourselves by the relay: does it come back?")
@json_option
@config_option
def check(live: bool, fix: bool, bounce: bool, as_json: bool, config_path: str | None) -> None:
    if live or fix or bounce:
        from gateway.cli.live import report as report_live

        report_live(config_path, as_json=as_json, fix=fix, bounce=bounce)
    else:
        report(config_path, as_json=as_json)


def report(config_path: str | None, *, as_json: bool) -> None:
    """Prints every problem of the configuration and ends with 0 or 78; warnings end with 0."""
    from gateway.config import ConfigError, Problem, default_path, load, render

    path = Path(config_path or click.get_current_context().find_root().obj or default_path())
    problems: list[Problem] = []
    config: Any = None
    try:
        config = load(path)
        problems += config.warnings
    except ConfigError as error:
        problems += error.problems
    if config is not None:
        problems += [Problem(file=str(path), text=text, severity=severity) for severity, text in _places(config)]
        problems += [Problem(file=str(path), text=text, severity="warning") for text in _domains(config)]
    if as_json:
        print_json(asdict(problem) for problem in problems)
    else:
        click.echo(render(problems, path))
    if any(p.severity == "error" for p in problems):
        sys.exit(BAD_CONFIG)


def _places(config: Any) -> list[tuple[str, str]]:
    """Whether the state directory can be used, and whether a daemon uses it."""
    if not config.state.is_dir():
        return [("error", f"the state directory {config.state} does not exist: create it, owned by the gateway's user")]
    if not os.access(config.state, os.W_OK | os.X_OK):
        return [("error", f"the state directory {config.state} cannot be written by this user")]
    return []


def _domains(config: Any) -> list[str]:
    """What DNS says of the mail domains that employees need."""
    from gateway.mx import in_use, look_up, unknown

    used = in_use(config.rules, date.today())  # noqa: DTZ011 - the admin's own calendar
    found = asyncio.run(look_up(used, config.dns_servers)) if used else {}
    silent = sorted(domain for domain, answer in found.items() if unknown(answer))
    texts = [
        f"{domain}: {answer}; {', '.join(e.name for e in used[domain])} cannot be texted there"
        for domain, answer in found.items()
        if isinstance(answer, str) and domain not in silent
    ]
    if silent:
        texts.append(f"MX records could not be looked up ({found[silent[0]]}): {', '.join(silent)}")
    return texts
