"""gateway db: backup while serving, check, and a restore that brings a damaged shop back."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import apsw
from house import House

from gateway.spool.lock import StateLock

CUSTOMER = "+12025550143"


async def send(house: House, words: str, to: str = f"{CUSTOMER}@sms.example.com") -> None:
    raw = f"From: jobs@shop.example.com\r\nSubject: RO 17\r\nMessage-ID: <{words}@shop>\r\n\r\n{words}\r\n"
    answers = await house.daemon.mail(raw.encode(), "jobs@shop.example.com", [to])
    assert answers[-1].startswith("250"), answers


async def open_shop(house: House) -> None:
    await house.start()
    granted = await house.daemon.command("consent", "grant", CUSTOMER, "--method", "paper", "--evidence", "form")
    assert granted.code == 0, granted


def damage(path: Path) -> None:
    """Overwrites 4 KB in the middle."""
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2 // 4096 * 4096)
        file.write(b"\xa5" * 4096)


async def test_a_damaged_database_keeps_serve_from_starting_and_a_restored_backup_brings_it_back(house: House) -> None:
    await open_shop(house)
    await send(house, "ready")
    await house.daemon.wait_event("delivery.confirmed", fate="delivered")
    backup, database = house.folder / "safe.db", house.folder / "gateway.db"
    made = await house.daemon.command("db", "backup", str(backup), "--json")
    await house.daemon.stop()
    damage(database)
    broken = database.read_bytes()

    refused = await house.daemon.command("serve")
    checked = await house.daemon.command("db", "check")
    unsaved = await house.daemon.command("db", "backup", str(house.folder / "worse.db"))
    restored = await house.daemon.command("db", "restore", str(backup), "--yes")
    sound = await house.daemon.command("db", "check", "--json")
    await house.daemon.start()
    listed = await house.daemon.command("queue", "list", "--all", "--json")

    assert (made.code, made.rows) == (0, [{"file": str(backup), "bytes": backup.stat().st_size}])
    assert refused.code == 1
    assert f"{database}: " in refused.err
    assert "`gateway db restore FILE`" in refused.err
    assert checked.code == 1
    assert checked.out.startswith(f"{database}: ")
    assert "gateway db restore FILE" in checked.err
    assert unsaved.code == 1
    assert list(house.folder.glob("worse.db*")) == []
    assert restored.code == 0, restored
    assert broken in [path.read_bytes() for path in house.folder.glob("gateway.db.before-restore-*")]
    assert sound.rows == [{"database": str(database), "ok": True, "findings": []}]
    assert [row["fate"] for row in listed.rows if row["to"] == CUSTOMER] == ["delivered"]
    assert not any("Traceback" in done.err for done in (refused, checked, unsaved, restored))


async def test_a_backup_under_load_is_private_sound_and_holds_all_that_was_acknowledged_before(house: House) -> None:
    await open_shop(house)
    for n in range(10):
        await send(house, f"before{n}")
    over = asyncio.Event()

    async def load(name: int) -> None:
        count = 0
        while not over.is_set():
            count += 1
            await send(house, f"during{name}.{count}")

    backup = house.folder / "safe.db"
    async with asyncio.TaskGroup() as group:
        for name in range(3):
            group.create_task(load(name))
        made = await house.daemon.command("db", "backup", str(backup))
        over.set()

    left = sorted(path.name for path in house.folder.iterdir() if "safe" in path.name or "copy" in path.name)
    connection = apsw.Connection(str(backup))
    raws = [row[0] for row in connection.execute("SELECT raw FROM raw")]
    assert made.code == 0, made
    assert connection.pragma("integrity_check") == "ok"
    assert backup.stat().st_mode & 0o777 == 0o600
    assert [n for n in range(10) if not any(f"before{n}@shop".encode() in raw for raw in raws)] == []
    assert left == ["safe.db"]


async def test_a_text_that_left_after_the_backup_is_not_sent_again_by_itself_after_a_restore(house: House) -> None:
    await open_shop(house)
    await send(house, "ready")
    await house.daemon.wait_event("delivery.confirmed", fate="delivered")
    await house.daemon.stop()
    backup, database = house.folder / "safe.db", house.folder / "gateway.db"
    made = await house.daemon.command("db", "backup", str(backup))
    connection = apsw.Connection(str(backup))  # the moment before it left
    connection.execute("DELETE FROM attempt; DELETE FROM receipt; DELETE FROM remote")
    connection.execute("UPDATE delivery SET fate = 'waiting', attempt = 0, posted_at = NULL, remote_id = ''")
    connection.close()
    restored = await house.daemon.command("db", "restore", str(backup), "--yes")

    after = len(house.daemon.events)
    await house.daemon.start()
    (held,) = (await house.daemon.command("queue", "list", "--json")).rows
    sent = house.world.twilio.posts[CUSTOMER]
    released = await house.daemon.command("queue", "release", held["id"])
    await house.daemon.wait_event("delivery.accepted", after=after)

    assert (made.code, restored.code, released.code) == (0, 0, 0)
    assert database.exists()
    assert "1 paid texts that were due are held" in restored.out
    assert (held["fate"], held["reason"]) == ("held", "restored")
    assert sent == 1
    assert house.world.twilio.posts[CUSTOMER] == 2


async def test_check_asks_the_running_daemon(house: House) -> None:
    await house.start()
    full = await house.daemon.command("db", "check")
    quick = await house.daemon.command("db", "check", "--quick", "--json")

    assert (full.code, full.out) == (0, "ok\n")
    assert [(row["ok"], row["findings"]) for row in quick.rows] == [(True, [])]


async def test_a_restore_needs_the_state_directory_for_itself(house: House) -> None:
    await house.start()
    backup = house.folder / "safe.db"
    await house.daemon.command("db", "backup", str(backup))

    done = await house.daemon.command("db", "restore", str(backup), "--yes")

    assert done.code == 75
    assert "stop the other first" in done.err
    assert list(house.folder.glob("*restore*")) == []


async def test_a_backup_and_a_check_wait_for_whoever_owns_the_state_directory(house: House) -> None:
    with StateLock(house.folder):
        backup = await house.daemon.command("db", "backup", str(house.folder / "safe.db"))
        check = await house.daemon.command("db", "check")

    assert (backup.code, check.code) == (75, 75)


async def test_nothing_is_written_over_without_a_word(house: House) -> None:
    await house.start()
    await house.daemon.stop()
    precious, database = house.folder / "precious", house.folder / "gateway.db"
    precious.write_text("precious")

    refused = await house.daemon.command("db", "backup", str(precious))
    kept = precious.read_text()
    forced = await house.daemon.command("db", "backup", "--force", str(precious))
    itself = await house.daemon.command("db", "backup", "--force", str(database))
    unasked = await house.daemon.command("db", "restore", str(precious))

    assert (refused.code, kept) == (1, "precious")
    assert "--force" in refused.err
    assert forced.code == 0
    assert precious.read_bytes().startswith(b"SQLite format 3")
    assert (itself.code, unasked.code) == (2, 2)
    assert "--yes" in unasked.err


async def test_a_file_that_is_no_backup_changes_nothing(house: House) -> None:
    await house.start()
    await house.daemon.stop()
    database = house.folder / "gateway.db"
    before = database.read_bytes()

    done = await house.daemon.command("db", "restore", str(house.folder / "config.toml"), "--yes")

    assert done.code == 1
    assert "nothing was changed" in done.err
    assert database.read_bytes() == before
    assert list(house.folder.glob("*restore*")) == []


async def test_a_file_that_cannot_be_written_is_a_sentence(house: House) -> None:
    done = await house.daemon.command("db", "backup", os.fspath(house.folder / "nowhere" / "safe.db"))

    assert done.code == 69
    assert "Traceback" not in done.err
