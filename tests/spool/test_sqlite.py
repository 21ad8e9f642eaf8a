"""What is SQLite's own: pragmas, files, migrations, damage, the floor of free disk, the ledger's triggers."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import apsw
import pytest
from spooled import NOON, consent, mail

from gateway.core.work import Writes
from gateway.ports import SpoolUnavailable
from gateway.spool import commit, database
from gateway.spool.database import SpoolCorrupt, SpoolUnusable
from gateway.spool.sqlite import SqliteSpool


def test_a_commit_is_fsynced_and_readers_cannot_write(path: Path, connection: apsw.Connection) -> None:
    names = ("journal_mode", "synchronous", "user_version", "recursive_triggers")
    assert [connection.pragma(name) for name in names] == ["wal", 2, len(database.migrations()), 1]

    reader = database.connect_reader(path)
    with pytest.raises(apsw.ReadOnlyError):
        reader.execute("DELETE FROM message")
    assert reader.pragma("wal_autocheckpoint") == 0
    reader.close()


def test_nobody_else_may_read_the_files(path: Path) -> None:
    path.touch(mode=0o644)
    connection = database.connect(path)
    modes = {file.name: oct(file.stat().st_mode & 0o777) for file in path.parent.iterdir()}
    connection.close()

    assert set(modes.values()) == {"0o600"}
    assert "gateway.db-wal" in modes


def test_the_carried_library_is_new_enough() -> None:
    database.check_library(apsw.sqlite_lib_version())


@pytest.mark.parametrize(("version", "ok"), [("3.51.2", False), ("3.40.1", False), ("3.51.3", True), ("3.54.1", True)])
def test_a_library_that_loses_commits_is_refused(version: str, ok: bool) -> None:
    if ok:
        database.check_library(version)
    else:
        with pytest.raises(SpoolUnusable, match=r"3\.51\.3"):
            database.check_library(version)


def test_migrations_are_numbered_without_a_gap() -> None:
    numbers = [number for number, _ in database.migrations()]

    assert numbers == list(range(1, len(numbers) + 1))


async def test_a_newer_schema_is_refused_with_a_remedy(path: Path, clock) -> None:
    connection = database.connect(path)
    connection.pragma("user_version", 99)
    connection.close()

    with pytest.raises(SpoolUnusable, match=r"newer gateway.*schema 99"):
        await SqliteSpool(path, clock=clock).open()


@pytest.mark.parametrize("damage", ["garbage", "foreign", "page"])
async def test_a_damaged_file_is_named_with_its_remedy_and_left_as_it_is(path: Path, clock, damage: str) -> None:
    if damage == "garbage":
        path.write_bytes(b"not a database at all " * 500)
    elif damage == "foreign":
        other = apsw.Connection(str(path))
        other.execute("CREATE TABLE photos (id)")
        other.close()
    else:
        database.connect(path).close()
        content = bytearray(path.read_bytes())
        content[3 * 4096 : 4 * 4096] = os.urandom(4096)
        path.write_bytes(content)
    before = path.read_bytes()

    with pytest.raises(SpoolCorrupt, match=r"gateway\.db: .*`gateway db restore FILE`"):
        await SqliteSpool(path, clock=clock).open()
    assert path.read_bytes() == before


async def test_a_state_directory_that_is_not_there_is_unavailable(tmp_path: Path, clock) -> None:
    with pytest.raises(SpoolUnavailable, match="nowhere"):
        await SqliteSpool(tmp_path / "nowhere" / "gateway.db", clock=clock).open()


async def test_a_closed_spool_answers_what_was_asked_and_then_nothing(path: Path, clock) -> None:
    spool = SqliteSpool(path, clock=clock)
    await spool.open()
    asked = [asyncio.create_task(spool.accept(mail(f"m{n}"))) for n in range(50)]
    await asyncio.sleep(0)
    await spool.close()

    assert [task.result().id for task in asked] == [f"m{n}" for n in range(50)]
    assert [file.name for file in path.parent.iterdir()] == ["gateway.db"]
    with pytest.raises(SpoolUnavailable, match="closed"):
        await spool.ping()


async def test_what_was_committed_is_there_after_reopening(path: Path, clock) -> None:
    for n, expected in enumerate(([], [mail("m0")])):
        spool = SqliteSpool(path, clock=clock)
        await spool.open()
        await spool.recover(NOON)
        found = await spool.unplanned(9)
        await spool.accept(mail(f"m{n}"))
        await spool.close()

        assert found == expected


async def test_below_the_floor_of_free_disk_nothing_is_accepted_but_work_goes_on(path: Path, clock) -> None:
    spool = SqliteSpool(path, clock=clock, floor_bytes=2**60)
    await spool.open()
    with pytest.raises(SpoolUnavailable, match="full"):
        await spool.accept(mail())
    await spool.write(Writes(consents=(consent(),)))

    assert await spool.unplanned(9) == []
    await spool.close()


def test_the_ledger_of_consent_cannot_be_changed(connection: apsw.Connection) -> None:
    commit.write(connection, Writes(consents=(consent(),)), NOON, None)
    for statement in (
        "DELETE FROM consent",
        "UPDATE consent SET action = 'grant'",
        "REPLACE INTO consent SELECT * FROM consent",
    ):
        with pytest.raises(apsw.ConstraintError, match="append-only"):
            connection.execute(statement)
