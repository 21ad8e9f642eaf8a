"""The SQLite file: opened with the settings that make a commit durable, brought to the newest schema, and checked.

What is wrong with the file is told by an exception that says what to do; nothing is ever created over a damaged file.
"""

from __future__ import annotations

import os
from importlib import resources
from pathlib import Path

import apsw

# The first release without the race that loses committed writes in WAL mode (sqlite.org/changes.html, 3.51.3).
OLDEST_LIBRARY = (3, 51, 3)
APPLICATION_ID = 1735881844
# A check reads the whole file: below this size it takes less than about a second of the start.
CHECK_BELOW_BYTES = 256 * 1024 * 1024
BUSY_MS = 1000  # only a person with a shell can hold the file: the doors rather answer 4xx than wait long
CHECKPOINT_PAGES = 4000
WAL_KEPT_BYTES = 64 * 1024 * 1024
CACHE_KIB = 16 * 1024


class SpoolCorrupt(Exception):
    """The database file is damaged or not ours."""

    def __init__(self, path: Path, what: str) -> None:
        super().__init__(f"{path}: {what}; put a good copy back with `gateway db restore FILE`")
        self.path = path


class SpoolUnusable(Exception):
    """The program and the database file do not fit together; the text says which of the two is too old."""


def check_library(version: str) -> None:
    """Raises SpoolUnusable when SQLite `version` ("3.54.1") is older than the fix of the WAL race."""
    if tuple(int(part) for part in version.split(".")) < OLDEST_LIBRARY:
        oldest = ".".join(str(part) for part in OLDEST_LIBRARY)
        raise SpoolUnusable(f"SQLite {version} can lose committed mail: {oldest} or newer is needed (package apsw)")


def connect(path: Path, *, check: bool | None = None) -> apsw.Connection:
    """The writing connection to the newest schema.  `check` reads the whole file first; None: where that is quick.

    Raises SpoolCorrupt, SpoolUnusable, or the error of apsw that the file system caused.
    """
    check_library(apsw.sqlite_lib_version())
    if restoring(path).exists():
        raise SpoolCorrupt(path, "a restore was interrupted")
    _create(path)
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE, statementcachesize=200)
    try:
        _read_header(connection, path)
        if check or (check is None and path.stat().st_size < CHECK_BELOW_BYTES):
            check_pages(connection, path)
        _settle_pragmas(connection)
        migrate(connection, path)
    except (apsw.NotADBError, apsw.CorruptError) as error:
        connection.close()
        raise SpoolCorrupt(path, str(error)) from error
    except BaseException:
        connection.close()
        raise
    return connection


def connect_reader(path: Path) -> apsw.Connection:
    """A connection that cannot write and never moves pages between the log and the file."""
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE, statementcachesize=100)
    connection.set_busy_timeout(BUSY_MS)
    connection.pragma("query_only", 1)
    connection.wal_autocheckpoint(0)
    return connection


def restoring(path: Path) -> Path:
    """What lies beside the database while a restore changes its files: there may be no whole database then."""
    return path.with_name(f"{path.name}.restoring")


def check_pages(connection: apsw.Connection, path: Path) -> None:
    """Raises SpoolCorrupt with the first fault that SQLite finds in the file."""
    said = str(connection.execute("PRAGMA quick_check(1)").fetchall()[0][0])
    if said != "ok":
        raise SpoolCorrupt(path, said.splitlines()[-1])


def migrations() -> list[tuple[int, str]]:
    """(number, SQL) of every schema file, in order."""
    folder = resources.files("gateway.spool") / "schema"
    names = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".sql"))
    return [(int(name.partition("_")[0]), (folder / name).read_text("utf-8")) for name in names]


def migrate(connection: apsw.Connection, path: Path) -> None:
    """Runs the schema files that the database has not seen, each in a transaction of its own."""
    known = migrations()
    version = int(connection.pragma("user_version"))
    if version > known[-1][0]:
        raise SpoolUnusable(
            f"{path} was written by a newer gateway (schema {version}, this one knows {known[-1][0]}): "
            "install that version again, or put back the copy from before the upgrade with `gateway db restore FILE`"
        )
    for number, statements in known:
        if number > version:
            with connection:  # one transaction
                connection.execute(statements)
                connection.pragma("user_version", number)


def _create(path: Path) -> None:
    """Makes the empty file, readable by nobody else, and its name durable."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.fchmod(fd, 0o600)
    finally:
        os.close(fd)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _read_header(connection: apsw.Connection, path: Path) -> None:
    connection.set_busy_timeout(BUSY_MS)
    tables = connection.execute("SELECT count(*) FROM sqlite_schema").fetchall()[0][0]
    if tables and connection.pragma("application_id") != APPLICATION_ID:
        raise SpoolCorrupt(path, "a database of another program")


def _settle_pragmas(connection: apsw.Connection) -> None:
    mode = connection.pragma("journal_mode", "wal")
    if mode != "wal":
        raise SpoolUnusable(
            f"the file system refuses SQLite's write-ahead log (journal_mode is {mode}): use a local disk"
        )
    connection.pragma("synchronous", "FULL")
    connection.pragma("journal_size_limit", WAL_KEPT_BYTES)
    connection.pragma("cache_size", -CACHE_KIB)
    connection.pragma("temp_store", "MEMORY")
    connection.pragma("recursive_triggers", 1)  # REPLACE on the ledger must meet its trigger too
    connection.wal_autocheckpoint(CHECKPOINT_PAGES)
    # The plan of a statement never depends on bound values: tests hold for it, and nothing is prepared again (30 us).
    connection.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, 1)
