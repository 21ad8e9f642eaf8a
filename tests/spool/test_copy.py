"""Copies of the database: one moment of it while others write, checked, and harmless when it is put back."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import apsw
import pytest
from spooled import NOON, SECOND, carrier_mail, delivery, hook, mail, planned, started, state_of

from gateway.core.model import Fate
from gateway.ports import SpoolUnavailable
from gateway.spool import copy, database
from gateway.spool.sqlite import SqliteSpool

LATER = NOON + timedelta(hours=1)


async def restored(path: Path, clock) -> SqliteSpool:
    """The spool that a restore of what lies at `path` makes an hour later, open."""
    backup = path.with_name("backup.db")
    copy.backup(path, backup)
    copy.put_in_place(copy.prepare(backup, path, LATER), path, ".before")
    opened = SqliteSpool(path, clock=clock)
    await opened.open()
    return opened


async def test_a_backup_under_load_holds_every_mail_that_was_there_and_each_with_its_bytes(path: Path, clock) -> None:
    spool = SqliteSpool(path, clock=clock, floor_bytes=0)
    await spool.open()
    for n in range(200):
        await spool.accept(mail(f"before{n}", raw=b"x" * 20_000))
    over = asyncio.Event()

    async def load() -> int:
        count = 0
        while not over.is_set():
            await spool.accept(mail(f"during{count}", raw=b"y" * 20_000))
            count += 1
        return count

    loading = asyncio.create_task(load())
    size = await spool.backup(path.with_name("copy.db"))
    over.set()
    await loading
    await spool.close()

    made = path.with_name("copy.db")
    assert size == made.stat().st_size
    assert made.stat().st_mode & 0o777 == 0o600
    assert copy.check_copy(made) == []
    reading = apsw.Connection(str(made))
    ids = [
        row[0]
        for row in reading.execute("SELECT i.id FROM inbound AS i JOIN raw AS r ON r.inbound = i.seq ORDER BY i.seq")
    ]
    assert ids == [*(f"before{n}" for n in range(200)), *(f"during{n}" for n in range(len(ids) - 200))]


async def test_a_backup_without_room_on_the_disk_is_unavailable_and_leaves_nothing(path: Path, clock) -> None:
    spool = SqliteSpool(path, clock=clock, floor_bytes=1 << 60)
    await spool.open()

    with pytest.raises(SpoolUnavailable, match="no room"):
        await spool.backup(path.with_name("copy.db"))
    await spool.close()
    assert [file.name for file in path.parent.iterdir()] == ["gateway.db"]


def test_a_backup_that_is_told_to_stop_leaves_nothing(path: Path) -> None:
    database.connect(path).close()
    stop = threading.Event()
    stop.set()

    with pytest.raises(apsw.InterruptError):
        copy.backup(path, path.with_name("copy.db"), stop)
    assert not path.with_name("copy.db").exists()


def test_a_backup_never_writes_over_a_file(path: Path) -> None:
    database.connect(path).close()
    other = path.with_name("copy.db")
    other.write_text("precious")

    with pytest.raises(FileExistsError):
        copy.backup(path, other)
    assert other.read_text() == "precious"


@pytest.mark.parametrize(
    ("made", "fate", "reason"),
    [
        pytest.param(delivery(), "held", "restored", id="paid text that was due"),
        pytest.param(delivery(due_at=NOON + 60 * SECOND), "held", "restored", id="paid text due since the backup"),
        pytest.param(delivery(due_at=LATER + SECOND), "waiting", "", id="paid text due after the restore"),
        pytest.param(carrier_mail(), "waiting", "", id="mail to a carrier"),
        pytest.param(carrier_mail(ways=("service",)), "held", "restored", id="mail whose refusal makes a paid text"),
        pytest.param(delivery(fate=Fate.HELD, reason="budget"), "held", "restored", id="text held for its budget"),
    ],
)
async def test_what_may_have_been_texted_for_money_since_the_backup_waits_for_a_person(
    path: Path, clock, made, fate: str, reason: str
) -> None:
    spool = SqliteSpool(path, clock=clock)
    await spool.open()
    await planned(spool, made)
    await spool.close()

    again = await restored(path, clock)
    row = await state_of(again)
    due = await again.due(LATER, 10)
    await again.close()

    assert (row["fate"], row["reason"]) == (fate, reason)
    assert [d.id for d in due if d.courier != "mail"] == []


async def test_a_paid_text_under_way_in_the_backup_is_looked_up_not_held(path: Path, clock) -> None:
    spool = SqliteSpool(path, clock=clock)
    await spool.open()
    await started(spool)
    await spool.close()

    again = await restored(path, clock)
    await again.recover(LATER, 20 * SECOND)
    row = await state_of(again)
    await again.close()

    assert (row["fate"], row["reason"]) == ("unknown", "lookup")
    # It may have been sent again after the backup, so it is never sent again by itself.
    assert row["resends"] == 1


async def test_a_mail_without_a_plan_in_the_backup_is_parked_and_can_be_let_go(path: Path, clock) -> None:
    spool = SqliteSpool(path, clock=clock)
    await spool.open()
    await spool.accept(mail("m1"))
    await spool.accept(hook("SM1"))
    await spool.close()

    again = await restored(path, clock)
    first = [inbound.id for inbound in await again.unplanned(10)]
    unparked = await again.unpark("m1")
    then = [inbound.id for inbound in await again.unplanned(10)]
    await again.close()

    assert (first, unparked, then) == (["twilio:SM1"], True, ["m1"])


def garbage(path: Path) -> None:
    path.write_bytes(b"not a database at all " * 500)


def foreign(path: Path) -> None:
    path.unlink()
    other = apsw.Connection(str(path))
    other.execute("CREATE TABLE photos (id)")
    other.close()


def empty(path: Path) -> None:
    path.write_bytes(b"")


def newer(path: Path) -> None:
    _change(path, "PRAGMA user_version = 99")


def orphan(path: Path) -> None:
    _change(path, "INSERT INTO raw VALUES (77, x'00')")


def torn(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[3 * 4096 : 4 * 4096] = b"\xa5" * 4096
    path.write_bytes(content)


def _change(path: Path, sql: str) -> None:
    connection = apsw.Connection(str(path))
    connection.execute(sql)
    connection.close()


DAMAGES = [
    pytest.param(garbage, "not a database", id="garbage"),
    pytest.param(foreign, "another program", id="foreign"),
    pytest.param(empty, "nothing in it", id="empty"),
    pytest.param(newer, "newer gateway.*schema 99", id="newer"),
    pytest.param(orphan, "raw mail 77 has no inbound", id="orphan"),
    pytest.param(torn, "page", id="torn"),
]


@pytest.mark.parametrize(("damage", "finding"), DAMAGES)
def test_a_check_names_the_damage_and_changes_nothing(path: Path, damage: Callable[[Path], None], finding: str) -> None:
    database.connect(path).close()
    damage(path)
    before = path.read_bytes()

    assert_matches(finding, copy.check(path))
    assert path.read_bytes() == before


@pytest.mark.parametrize(("damage", "finding"), DAMAGES)
def test_a_backup_that_is_damaged_never_becomes_the_database(
    path: Path, damage: Callable[[Path], None], finding: str
) -> None:
    database.connect(path).close()
    bad = path.with_name("bad.db")
    copy.backup(path, bad)
    damage(bad)

    with pytest.raises(copy.BadCopy) as refused:
        copy.prepare(bad, path, NOON)
    assert_matches(finding, refused.value.findings)
    assert [file.name for file in path.parent.iterdir() if ".restore" in file.name] == []
    assert copy.check(path) == []


def test_a_sound_database_has_no_findings_and_a_missing_one_has(path: Path) -> None:
    missing = copy.check(path)
    database.connect(path).close()

    assert missing == ["the file does not exist"]
    assert copy.check(path) == []


def test_a_restore_takes_what_the_log_of_the_backup_holds(path: Path) -> None:
    writing = database.connect(path.with_name("other.db"))
    writing.execute("INSERT INTO mark VALUES ('inbound', 1)")

    copy.put_in_place(copy.prepare(path.with_name("other.db"), path, NOON), path, ".before")
    writing.close()

    connection = database.connect(path)
    assert connection.execute("SELECT name FROM mark").fetchall() == [("inbound",)]
    connection.close()


def test_the_log_of_the_old_database_never_reaches_the_restored_one(path: Path) -> None:
    old = database.connect(path)
    backup = path.with_name("backup.db")
    copy.backup(path, backup)
    old.execute("INSERT INTO mark VALUES ('since the backup', 1)")
    # An open connection stands for a daemon that was killed: it leaves the log as it is.
    moved = copy.put_in_place(copy.prepare(backup, path, NOON), path, ".before")

    connection = database.connect(path)
    assert [file.name for file in moved] == ["gateway.db.before", "gateway.db.before-wal", "gateway.db.before-shm"]
    assert connection.execute("SELECT name FROM mark").fetchall() == []
    connection.close()
    old.close()


def test_a_restore_that_was_killed_halfway_keeps_the_daemon_from_starting(path: Path) -> None:
    database.connect(path).close()
    path.rename(database.restoring(path))

    with pytest.raises(database.SpoolCorrupt, match=r"a restore was interrupted.*`gateway db restore FILE`"):
        database.connect(path)
    assert not path.exists()


def assert_matches(pattern: str, findings: list[str]) -> None:
    assert any(re.search(pattern, finding) for finding in findings), findings
