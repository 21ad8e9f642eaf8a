"""gateway db: is the database sound, a copy of it, and a copy put back in its place."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import click

from gateway.cli.common import UNAVAILABLE, ask_daemon, config_option, fail, json_option, load, print_json

T = TypeVar("T")

LONGEST_SECONDS = 6 * 3600.0  # a check or a copy reads all of a database that may be large
FOLLOWS = """\
What happened after the backup is not known any more:
  {held} paid texts that were due are held, as they may have been sent: gateway queue list, then release or cancel
  {parked} mails that had not been read are parked for the same reason
  texts that were under way in the backup will be looked up at the provider
  mails that were handed over since the backup may go again
  consent entered by command since the backup must be entered again"""


def command() -> click.Command:
    """The group `db`."""
    return db


@click.group(help="Check, back up and restore the database.")
def db() -> None:
    """The group itself does nothing."""


@db.command(help="Read the whole database and say what is wrong in it.")
@click.option("--quick", is_flag=True, help="Do not compare indexes with tables.")
@json_option
@config_option
def check(quick: bool, as_json: bool, config_path: str | None) -> None:
    config = load(config_path, secrets=False)
    answer = ask_daemon(config, "db.check", wait_seconds=LONGEST_SECONDS, quick=quick)
    findings: list[str] = answer["rows"][0]["findings"] if answer else _check_alone(config, quick)
    if as_json:
        print_json([{"database": str(config.database), "ok": not findings, "findings": findings}])
    elif findings:
        click.echo("\n".join(f"{config.database}: {finding}" for finding in findings))
    else:
        click.echo("ok")
    if findings:
        click.echo("gateway: stop the daemon and put a good copy back: gateway db restore FILE", err=True)
        sys.exit(1)


def _check_alone(config: Any, quick: bool) -> list[str]:
    from gateway.spool import copy
    from gateway.spool.database import restoring

    def checked() -> list[str]:
        if restoring(config.database).exists():
            return ["a restore was interrupted"]
        return copy.check(config.database, quick=quick)

    return _alone(config, checked)


@db.command(help="Write a consistent copy to FILE; the daemon goes on meanwhile.")
@click.argument("file", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--force", is_flag=True, help="Replace FILE if it exists.")
@json_option
@config_option
def backup(file: Path, force: bool, as_json: bool, config_path: str | None) -> None:
    from gateway.spool import copy

    config = load(config_path, secrets=False)
    file = file.absolute()
    if file.exists() and not force:
        fail(f"{file} exists: name another file, or add --force")
    if _is_ours(config.database, file):
        fail(f"{file} belongs to the database itself: name another file", 2)
    part = file.with_name(f"{file.name}.part")
    try:
        part.unlink(missing_ok=True)
        _copy(config, part)
        findings = _told(f"{part} cannot be read", lambda: copy.check_copy(part, quick=True))
        if findings:
            fail(f"the copy is not sound, and {file} was not written: {'; '.join(findings)}; see gateway db check")
        size = part.stat().st_size
        copy.sync(part)
        part.replace(file)
        copy.sync(file)
    except OSError as error:
        fail(f"{file} cannot be written: {error}")
    finally:
        copy.drop(part)
    if as_json:
        print_json([{"file": str(file), "bytes": size}])
    else:
        click.echo(f"{file}: {size:,} bytes, checked")


def _is_ours(database: Path, file: Path) -> bool:
    """Whether `file`, or its .part, is one that SQLite or a restore needs."""
    ours = {database.resolve().with_name(database.name + end) for end in ("", "-wal", "-shm", ".restoring")}
    return file.resolve() in ours


def _copy(config: Any, part: Path) -> None:
    from gateway.spool import copy

    answer = ask_daemon(config, "db.backup", wait_seconds=LONGEST_SECONDS)
    if answer is None:
        _alone(config, lambda: copy.backup(config.database, part))
    else:
        copy.move(Path(answer["rows"][0]["path"]), part)


@db.command(help="Put the backup FILE in the place of the database; no daemon may run.")
@click.argument("file", metavar="FILE", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--yes", is_flag=True, help="Do not ask.")
@config_option
def restore(file: Path, yes: bool, config_path: str | None) -> None:
    config = load(config_path, secrets=False)
    if _is_ours(config.database, file):
        fail(f"{file} belongs to the database itself: move the backup somewhere else first", 2)
    if not yes and not sys.stdin.isatty():
        fail("nobody is there to be asked: add --yes", 2)
    _alone(config, lambda: _restore(file, config.database, yes=yes))


def _restore(file: Path, database: Path, *, yes: bool) -> None:
    """The caller holds the state lock."""
    from gateway.spool import copy

    now = datetime.now(UTC)
    try:
        ready = copy.prepare(file, database, now)
    except copy.BadCopy as error:
        fail(f"{file} cannot be restored, and nothing was changed: {error}")
    try:
        if not yes and not click.confirm(f"Put {file} in the place of {database}?", err=True):
            fail("nothing was changed")
        moved = copy.put_in_place(ready, database, f".before-restore-{now:%Y%m%dT%H%M%S}")
    finally:
        copy.drop(ready.path)
    click.echo(f"{database} is restored from {file}.")
    for path in moved:
        click.echo(f"Kept: {path}")
    click.echo(FOLLOWS.format(held=ready.held, parked=ready.parked))


def _alone(config: Any, call: Callable[[], T]) -> T:
    """What `call` answers under the state lock; while a daemon lives the command ends with 75."""
    from gateway import house

    def owned() -> T:
        with house.owned(config):
            return call()

    try:
        return _told(str(config.database), owned)
    except house.StartError as error:
        fail(error.text, error.exit_code)


def _told(what: str, call: Callable[[], T]) -> T:
    """What `call` answers; what the file system refuses becomes a sentence."""
    import apsw

    try:
        return call()
    except (apsw.Error, OSError) as error:
        fail(f"{what}: {error}", UNAVAILABLE)
