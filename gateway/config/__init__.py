"""config.toml -> frozen Config.  Every error names file, line, column, key, value and remedy, and all are told at once.

place     where keys stand, and how a Problem is shown      document  one file that could be read
unit      the forms of single values                        schema    the tables, their keys and defaults
wording   pydantic's findings in the words of the shop      tables    what the files say
carriers  the carrier table in force                        check     rules between keys and tables
warn      what the admin should know                        build     from tables to Config
secret    secrets, and hashes of passwords                  values    the frozen Config
phrase    the forms of words: globs, patterns, fields       rulebook  [[rule]], [[template]], [[answer]]
account   rules between the keys of providers' accounts   outgoing  those of [relay] and [dkim], and their settings
signing   the key of [dkim]
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from gateway.config import account, build, carriers, check, document, outgoing, rulebook, tables, warn
from gateway.config.place import Problem, ordered, render
from gateway.config.secret import Secret, hash_password, verify
from gateway.config.values import (
    Config,
    Credential,
    DkimSettings,
    FlowrouteSettings,
    HttpSettings,
    Listener,
    RelaySettings,
    RetentionSettings,
    SmtpSettings,
    TwilioSettings,
)
from gateway.core.rules import Rules

__all__ = [
    "Config",
    "ConfigError",
    "Credential",
    "DkimSettings",
    "FlowrouteSettings",
    "HttpSettings",
    "Listener",
    "Problem",
    "RelaySettings",
    "RetentionSettings",
    "Secret",
    "SmtpSettings",
    "TwilioSettings",
    "Unconfigured",
    "default_path",
    "hash_password",
    "load",
    "render",
    "shipped_only",
    "verify",
]


class ConfigError(Exception):
    """A configuration that cannot be used.  Its text is `render` of all problems, warnings too."""

    def __init__(self, problems: Sequence[Problem], path: Path) -> None:
        self.problems = tuple(ordered(problems, path))
        self.path = path
        super().__init__(render(self.problems, path))


@dataclass(frozen=True, slots=True)
class Unconfigured:
    """What is known without any config.toml."""

    rules: Rules


def shipped_only() -> Unconfigured:
    """The shipped carrier table, for commands that only look things up there."""
    return Unconfigured(
        Rules(domain="", country="US", brand="", timezone=ZoneInfo("UTC"), carriers=carriers.shipped_table())
    )


def default_path() -> Path:
    """$GATEWAY_CONFIG, else ./config.toml where it exists, else /etc/gateway/config.toml."""
    named = os.environ.get("GATEWAY_CONFIG")
    if named:
        return Path(named)
    here = Path("config.toml")
    return here if here.exists() else Path("/etc/gateway/config.toml")


def load(path: Path | None = None, *, secrets: bool = True) -> Config:
    """The configuration in `path`, or in `default_path`.  Raises ConfigError with every problem that was found.

    Reads config.toml, the files that it names (carriers, employees, secrets, certificate) and the environment.  Without
    `secrets` neither secrets nor the certificate are read: the Config has none, and cannot be served.
    """
    path = path or default_path()
    try:
        main = document.read(path)
    except document.UnreadableError as error:
        raise ConfigError([error.problem], path) from None
    problems: list[Problem] = []
    read = tables.read(main, path.parent, problems)
    table = carriers.read(main, path.parent, problems)
    problems += [
        *check.problems(read, table),
        *account.problems(read),
        *outgoing.problems(read),
        *rulebook.problems(read),
    ]
    known = build.Secrets()
    if secrets:
        known = build.read_secrets(read, problems)
        problems += check.certificate(read)
    zone = read.top.model.timezone if read.top else UTC
    told = [*warn.problems(read, table, datetime.now(zone).date()), *outgoing.warnings(read, known.signing)]
    warnings = ordered(told, path)
    if problems:
        raise ConfigError([*problems, *warnings], path)
    return build.config(path, read, table, known, warnings)
