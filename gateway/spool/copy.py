"""Copies of the database: taken while others write, checked, and put back.

A check or a backup reads one snapshot by a connection of its own: in WAL mode nobody waits for it, but the log grows
until it ends.  What is wrong inside a file is an answer; what the file system says is raised as apsw.Error or OSError.
"""

from __future__ import annotations

import os
import shutil
import threading
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

import apsw

from gateway.spool.database import APPLICATION_ID, BUSY_MS, migrations, restoring
from gateway.spool.rows import every, stamp

STEP_PAGES = 1024  # 4 MB between two looks at whether to stop
SHOWN = 20  # faults of one kind: a broken file has thousands
SIDES = ("-wal", "-shm")
RESTORED = "restored"  # the reason of what is held because it may have been sent after the backup

# Nothing in the schema forbids these; a person who edits the file, or a bug, makes them.
_ORPHANS = (
    ("delivery", "message", "SELECT id FROM delivery WHERE message NOT IN (SELECT id FROM message)"),
    ("attempt", "delivery", "SELECT delivery FROM attempt WHERE delivery NOT IN (SELECT id FROM delivery)"),
    ("raw mail", "inbound", "SELECT inbound FROM raw WHERE inbound NOT IN (SELECT seq FROM inbound)"),
)
# Due before now: it would leave at the next start, and may have left after the backup was taken.
# A carrier mail counts as a paid text where its refusal would make one.
_HOLD_TEXTS = """
UPDATE delivery SET fate = 'held', reason = ?, note = ?, lease_until = NULL
WHERE (courier <> 'mail' AND fate = 'waiting' AND due_at <= ?)
   OR (courier <> 'mail' AND fate = 'held' AND reason = 'budget')
   OR (courier = 'mail' AND fate IN ('waiting', 'sending') AND ways <> '[]')
"""
# What was unclear may have been sent again and accepted after the backup: it is adopted where found, else held.
_NO_RESEND = "UPDATE delivery SET resends = max(resends, 1) WHERE courier <> 'mail' AND fate IN ('sending', 'unknown')"
# Its plan, made anew, would text again; a hook is a person's words, which at most arrive twice as mail.
_PARK_MAILS = """
UPDATE inbound SET planned_at = ?, parked = ?, lease_until = NULL WHERE kind = 'mail' AND planned_at IS NULL
"""
_NOTE = "it may have been sent after the backup was taken"


class BadCopy(Exception):
    """The file cannot become the database; `findings` say why."""

    def __init__(self, findings: list[str]) -> None:
        super().__init__("; ".join(findings))
        self.findings = findings


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """A checked copy that lies beside the database and waits to take its place."""

    path: Path
    held: int  # paid texts that wait for a person now
    parked: int  # mails without a plan that wait for a person now


def backup(database: Path, to: Path, stop: threading.Event | None = None) -> int:
    """Writes one consistent state of `database` to the new file `to`, mode 0600; its bytes.  Not yet fsynced.

    Raises FileExistsError, apsw.Error, OSError, or apsw.InterruptError once `stop` is set; `to` is then gone again.
    """
    os.close(os.open(to, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    try:
        _copy_pages(database, to, stop or threading.Event())
        return to.stat().st_size
    except BaseException:
        to.unlink(missing_ok=True)
        raise


def _copy_pages(database: Path, to: Path, stop: threading.Event) -> None:
    source = _reader(database)
    target = apsw.Connection(str(to), flags=apsw.SQLITE_OPEN_READWRITE)
    try:
        # A reader of this file meets either nothing or all of it: until then it needs no journal and no fsync.
        target.pragma("journal_mode", "off")
        target.pragma("synchronous", "off")
        source.execute("BEGIN")  # without it every commit of another connection would make the copy begin anew
        every(source, "SELECT 1 FROM sqlite_schema LIMIT 1")
        with target.backup("main", source, "main") as copying:
            while not copying.done:
                if stop.is_set():
                    raise apsw.InterruptError("the daemon is stopping")
                copying.step(STEP_PAGES)
    finally:
        target.close(True)
        source.close(True)


def check(database: Path, *, quick: bool = False, stop: threading.Event | None = None) -> list[str]:
    """What is wrong in a database that others may write to; [] when it is sound.  Changes nothing.

    `quick` leaves out whether indexes and tables agree.  Raises apsw.InterruptError once `stop` is set.
    """
    if not database.exists():
        return ["the file does not exist"]
    try:
        connection = _reader(database)
    except (apsw.NotADBError, apsw.CorruptError) as error:
        return [str(error)]
    try:
        if stop is not None:
            connection.set_progress_handler(stop.is_set, 100_000)
        return faults(connection, quick=quick)
    finally:
        connection.close(True)


def check_copy(path: Path, *, quick: bool = False) -> list[str]:
    """What is wrong in a file that nobody writes to; leaves no file beside it."""
    uri = f"{path.absolute().as_uri()}?immutable=1"
    connection = apsw.Connection(uri, flags=apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI)
    try:
        return _without_journal(faults(connection, quick=quick))
    finally:
        connection.close(True)


def faults(connection: apsw.Connection, *, quick: bool = False) -> list[str]:
    """What is wrong: pages, the program and schema that wrote it, the journal, rows without those they belong to."""
    newest = migrations()[-1][0]
    try:
        if not every(connection, "SELECT 1 FROM sqlite_schema LIMIT 1"):
            return ["there is nothing in it"]
        if connection.pragma("application_id") != APPLICATION_ID:
            return ["a database of another program"]
        said = every(connection, f"PRAGMA {'quick' if quick else 'integrity'}_check({SHOWN})")
        found = [line for (text,) in said for line in str(text).splitlines() if line != "ok"]
        version = int(connection.pragma("user_version"))
        if version > newest:
            found.append(f"written by a newer gateway (schema {version}, this one knows {newest})")
        if (mode := connection.pragma("journal_mode")) != "wal":
            found.append(f"journal_mode is {mode} instead of wal")
        return found or _orphans(connection)
    except (apsw.NotADBError, apsw.CorruptError) as error:
        return [str(error)]


def _without_journal(found: list[str]) -> list[str]:
    """Of a copy it says nothing: one opened as immutable has no log, and the next start sets WAL again."""
    return [line for line in found if not line.startswith("journal_mode")]


def _orphans(connection: apsw.Connection) -> list[str]:
    found = []
    for what, whose, sql in _ORPHANS:
        rows = every(connection, f"{sql} LIMIT {SHOWN}")
        found += [f"{what} {row[0]} has no {whose}" for row in rows]
    return found


def prepare(file: Path, database: Path, now: datetime) -> Ready:
    """A copy of the backup `file` beside `database`, checked, in which no paid text goes by itself a second time.

    `file` is only read; what its own -wal holds is taken too.  Raises BadCopy, apsw.Error or OSError.
    """
    part = database.with_name(f"{database.name}.restore.part")
    drop(part)
    try:
        for side in ("", "-wal"):
            source = file.with_name(file.name + side)
            if not side or source.exists():
                _copy_file(source, part.with_name(part.name + side))
        held, parked = _hold(part, now)
        _own_as(part, database.parent)
        sync(part)
    except BaseException:
        drop(part)
        raise
    return Ready(path=part, held=held, parked=parked)


def _hold(part: Path, now: datetime) -> tuple[int, int]:
    connection = apsw.Connection(str(part), flags=apsw.SQLITE_OPEN_READWRITE)
    try:
        if found := _without_journal(faults(connection)):
            raise BadCopy(found)
        with connection:  # one transaction
            connection.execute(_HOLD_TEXTS, (RESTORED, _NOTE, stamp(now)))
            held = connection.changes()
            connection.execute(_NO_RESEND)
            connection.execute(_PARK_MAILS, (stamp(now), f"{RESTORED}: {_NOTE}"))
            parked = connection.changes()
        connection.pragma("wal_checkpoint(TRUNCATE)")
    finally:
        connection.close(True)
    return held, parked


def put_in_place(ready: Ready, database: Path, suffix: str) -> list[Path]:
    """Makes the copy the database; the old files, kept under their names with `suffix`.

    Nobody may have the database open.  Killed halfway it leaves a file that keeps the daemon from starting with less
    than a whole database.  Raises FileExistsError when something was kept under that name before, or OSError.
    """
    kept = database.with_name(database.name + suffix)
    if kept.exists():
        raise FileExistsError(f"{kept} exists")
    mark = restoring(database)
    ready.path.rename(mark)
    sync(mark)
    moved = []
    for side in ("", *SIDES):
        old = database.with_name(database.name + side)
        if old.exists():
            moved.append(old.rename(kept.with_name(kept.name + side)))
    sync(mark)
    mark.rename(database)
    sync(database)
    return moved


def drop(path: Path) -> None:
    """Removes a copy and what SQLite laid beside it."""
    for side in ("", *SIDES):
        path.with_name(path.name + side).unlink(missing_ok=True)


def move(source: Path, to: Path) -> None:
    """Moves a file to another disk, mode 0600; nothing of it stays when that fails.  Raises OSError."""
    with source.open("rb") as reading:
        source.unlink()  # whatever comes now, the daemon's disk gets its room back
        try:
            _write(reading, to)
        except BaseException:
            to.unlink(missing_ok=True)
            raise


def sync(path: Path) -> None:
    """Makes a file and its name durable."""
    for one in (path, path.parent):
        fd = os.open(one, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


def _copy_file(source: Path, to: Path) -> None:
    with source.open("rb") as reading:
        _write(reading, to)


def _write(reading: BinaryIO, to: Path) -> None:
    with os.fdopen(os.open(to, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "wb") as writing:
        os.fchmod(writing.fileno(), 0o600)
        shutil.copyfileobj(reading, writing, 1024 * 1024)


def _own_as(path: Path, folder: Path) -> None:
    """What root restores must be the daemon's."""
    if os.geteuid() == 0:
        owner = folder.stat()
        os.chown(path, owner.st_uid, owner.st_gid)


def _reader(path: Path) -> apsw.Connection:
    """Like database.connect_reader, and its close leaves the log as it is, even when nobody else has the file open."""
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
    connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
    connection.set_busy_timeout(BUSY_MS)
    try:
        connection.pragma("query_only", 1)
        connection.wal_autocheckpoint(0)
    except BaseException:
        connection.close(True)
        raise
    return connection
