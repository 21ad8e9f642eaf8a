"""gateway check --live: what those outside say of us before the first text, and what --fix sets there."""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import asdict, replace

import click

from gateway.cli.common import NO, UNAVAILABLE, load, plain, print_json
from gateway.cli.live_bounce import there_and_back
from gateway.cli.live_mail import mail
from gateway.config import Config
from gateway.core.rules import Number
from gateway.courier.flowroute_account import FlowrouteAccount
from gateway.courier.twilio_account import TwilioAccount
from gateway.courier.twilio_finding import CHANGED, UNREACHABLE, Finding

_COLOURS = {"ok": "green", "warning": "yellow", "error": "red"}

# Asks one party outside; with True it first sets what it can, and then also tells what was set.
Checker = Callable[[Config, bool], Awaitable[list[Finding]]]


def report(config_path: str | None, *, as_json: bool, fix: bool, bounce: bool) -> None:
    """Prints every finding; ends with 0, 1 (an error is left), 69 (somebody could not be asked) or 78."""
    config = load(config_path)
    found = asyncio.run(_ask(config, fix))
    if bounce:
        found += there_and_back(config)
    if as_json:
        print_json(asdict(finding) for finding in found)
    else:
        _show(found)
    if any(finding.what == UNREACHABLE for finding in found):
        sys.exit(UNAVAILABLE)
    if any(finding.level == "error" for finding in found):
        sys.exit(NO)


async def _ask(config: Config, fix: bool) -> list[Finding]:
    return [finding for checker in CHECKERS for finding in await checker(config, fix)]


async def numbers(config: Config, fix: bool) -> list[Finding]:
    """Whether the numbers are ours, lead to us and are registered, by the word of their providers."""
    by_twilio = [number for number in config.rules.numbers if number.provider == "twilio"]
    by_flowroute = [number for number in config.rules.numbers if number.provider == "flowroute"]
    return [*await _twilio(config, by_twilio, fix), *await _flowroute(config, by_flowroute)]


async def _twilio(config: Config, ours: Sequence[Number], fix: bool) -> list[Finding]:
    settings, public_url = config.twilio, config.http.public_url
    if settings is None:
        return _without_account(ours, "twilio", "auth_token")
    account = TwilioAccount(settings.account_sid, settings.auth_tokens[0].reveal(), settings.api_url)
    try:
        found = await account.look(ours, public_url)
        if public_url and config.http.public is None:
            return [_unserved(finding) for finding in found]
        wrong = {finding.number for finding in found if finding.fixable}
        if not fix or not wrong:
            return found
        done = [await account.point(number, public_url) for number in ours if number.name in wrong]
        changed = [finding for finding in done if finding is not None]
        return [*changed, *await account.look(ours, public_url)]
    finally:
        await account.close()


async def _flowroute(config: Config, ours: Sequence[Number]) -> list[Finding]:
    settings = config.flowroute
    if settings is None or settings.secret_key is None:
        return _without_account(ours, "flowroute", "secret_key")
    account = FlowrouteAccount(
        access_key=settings.access_key, secret_key=settings.secret_key.reveal(), api_url=settings.api_url
    )
    try:
        return await account.look(ours, config.http.public_url if config.http.public else "")
    finally:
        await account.close()


def _without_account(ours: Iterable[Number], provider: str, secret: str) -> list[Finding]:
    text = f"there is no [{provider}]: nothing can be texted from this number"
    remedy = f"name the account and its {secret} in [{provider}]"
    return [Finding(number=n.name, level="error", what="account", text=text, remedy=remedy) for n in ours]


def _unserved(finding: Finding) -> Finding:
    """The same where http.public is off: nobody would answer at our address, so no webhook is led there."""
    if finding.what != "webhook":
        return finding
    level = "warning" if finding.level == "ok" else finding.level
    remedy = "http.public is off, so nobody here serves http.public_url: turn it on, or take public_url away"
    return replace(finding, level=level, fixable=False, remedy=remedy)


CHECKERS: tuple[Checker, ...] = (numbers, mail)


def _show(found: Iterable[Finding]) -> None:
    told = list(found)
    for finding in told:
        word = click.style(f"{CHANGED if finding.what == CHANGED else finding.level:<8}", fg=_COLOURS[finding.level])
        click.echo(f"{word} {f'{finding.number}: ' if finding.number else ''}{plain(finding.text)}")
        if finding.remedy:
            click.echo(f"{'':8} = help: {plain(finding.remedy)}")
    counts = Counter(finding.level for finding in told)
    shown = [
        f"{counts[level]} {level}{'s' if counts[level] > 1 else ''}" for level in ("error", "warning") if counts[level]
    ]
    click.echo(", ".join(shown) or "no errors")
