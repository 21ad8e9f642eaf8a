"""Disks that fail, and jobs that share a commit."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator
from pathlib import Path

import apsw
import pytest
from spooled import consent, mail, message

from gateway.core.facts import Facts, Needs
from gateway.core.work import Plan, Writes
from gateway.ports import SpoolUnavailable
from gateway.spool import accept, clerk, database
from gateway.spool.sqlite import SqliteSpool


class FaultyFile(apsw.VFSFile):
    def __init__(self, vfs: Faulty, name: str | apsw.URIFilename, flags: list[int]) -> None:
        self._vfs = vfs
        super().__init__("unix", name, flags)

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802 (SQLite's name)
        if self._vfs.error is not None:
            raise self._vfs.error
        super().xWrite(data, offset)


class Faulty(apsw.VFS):
    """SQLite's own file layer, whose writes fail while `error` is set."""

    def __init__(self) -> None:
        self.error: apsw.Error | None = None
        super().__init__("faulty", "unix", makedefault=True)

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> apsw.VFSFile:  # noqa: N802
        return FaultyFile(self, name or "", flags)


@pytest.fixture
async def faulty(path: Path, clock) -> AsyncIterator[tuple[SqliteSpool, Faulty]]:
    default = apsw.vfs_names()[0]
    vfs = Faulty()
    spool = SqliteSpool(path, clock=clock)
    await spool.open()
    yield spool, vfs
    vfs.error = None
    await spool.close()
    gc.collect()  # file objects must go before their VFS
    vfs.unregister()
    assert apsw.vfs_names()[0] == default


@pytest.mark.parametrize(
    "error", [apsw.FullError("disk full"), apsw.IOError("read-only now"), apsw.ReadOnlyError("remounted")], ids=repr
)
async def test_a_failing_disk_fails_every_caller_and_is_told_once(
    faulty: tuple[SqliteSpool, Faulty],
    error: apsw.Error,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(clerk, "REOPEN_SECONDS", 0.0)
    spool, vfs = faulty
    await spool.accept(mail("before"))
    vfs.error = error
    for _ in range(2):
        answers = await asyncio.gather(*(spool.accept(mail(f"m{n}")) for n in range(5)), return_exceptions=True)
        assert [type(answer) for answer in answers] == [SpoolUnavailable] * 5
    vfs.error = None
    await spool.accept(mail("after"))

    assert [i.id for i in await spool.unplanned(99)] == ["before", "after"]
    said = capsys.readouterr().out
    assert said.count("spool.failed") == 1
    assert said.count("spool.recovered") == 1


async def test_a_lock_held_by_a_person_is_waited_out_or_told(path: Path, clock) -> None:
    spool = SqliteSpool(path, clock=clock)
    await spool.open()
    shell = apsw.Connection(str(path))
    shell.execute("BEGIN IMMEDIATE")
    with pytest.raises(SpoolUnavailable, match="Busy"):
        await spool.accept(mail())
    shell.execute("ROLLBACK")
    shell.close()

    assert (await spool.accept(mail())).new
    await spool.close()


async def test_a_job_that_fails_fails_alone(path: Path, clock) -> None:
    spool = SqliteSpool(path, clock=clock)
    await spool.open()
    bad = Plan(inbound="m1", writes=Writes(messages=(message("m1.9"),), consents=(consent("c2", "shrug"),)))
    await spool.accept(mail("m1"))
    answers = await asyncio.gather(
        spool.accept(mail("m2")), spool.plan(bad), spool.accept(mail("m3")), return_exceptions=True
    )

    assert isinstance(answers[1], apsw.ConstraintError)
    assert [i.id for i in await spool.unplanned(9)] == ["m1", "m2", "m3"]
    assert await spool.find("story", id="m1.9") == []
    await spool.close()


async def test_jobs_of_one_moment_share_a_commit(path: Path) -> None:
    commits = 0

    def count() -> int:
        nonlocal commits
        commits += 1
        return 0

    connection = database.connect(path)
    connection.set_commit_hook(count)
    writer = clerk.Clerk("test", lambda: connection)
    writer.start(connection)
    await asyncio.gather(
        *(writer.ask(lambda c, n=n: accept.accept(c, mail(f"m{n}"), (), ())) for n in range(400))  # type: ignore[misc]
    )
    await writer.stop()

    assert commits <= 40


async def test_what_is_asked_in_one_turn_of_the_loop_is_one_commit(path: Path) -> None:
    commits = 0

    def count() -> int:
        nonlocal commits
        commits += 1
        return 0

    connection = database.connect(path)
    connection.set_commit_hook(count)
    writer = clerk.Clerk("test", lambda: connection)
    writer.start(connection)
    asked = [writer.ask(lambda c, n=n: accept.accept(c, mail(f"m{n}"), (), ())) for n in range(50)]  # type: ignore[misc]
    await asyncio.gather(*asked)
    await writer.stop()

    assert commits == 1


async def test_after_many_jobs_and_a_rest_the_memory_of_the_pages_is_given_back(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clerk, "REST_SECONDS", 0.1)
    connection = database.connect(path)
    writer = clerk.Clerk("test", lambda: connection)
    writer.start(connection)
    large = b"x" * 20_000
    await asyncio.gather(
        *(writer.ask(lambda c, n=n: accept.accept(c, mail(f"m{n}", raw=large), (), ())) for n in range(200))  # type: ignore[misc]
    )
    held = apsw.memory_used()
    async with asyncio.timeout(10):
        while apsw.memory_used() > held - 2_000_000:
            await asyncio.sleep(0.05)
    assert await writer.ask(lambda c: c.execute("SELECT count(*) FROM inbound").fetchall(), reads=True) == [(200,)]
    await writer.stop()


async def test_what_only_reads_is_answered_while_nothing_can_be_written(
    faulty: tuple[SqliteSpool, Faulty], capsys: pytest.CaptureFixture[str]
) -> None:
    spool, vfs = faulty
    await spool.accept(mail("m1"))
    vfs.error = apsw.FullError("disk full")
    for _ in range(2):
        kept, facts = await asyncio.gather(
            spool.accept(mail("m2")), spool.gather(Needs(senders=frozenset({"jobs"}))), return_exceptions=True
        )
        assert isinstance(kept, SpoolUnavailable)
        assert isinstance(facts, Facts)
    vfs.error = None
    await spool.accept(mail("m2"))

    assert [i.id for i in await spool.unplanned(9)] == ["m1", "m2"]
    said = capsys.readouterr().out
    assert (said.count("spool.failed"), said.count("spool.recovered")) == (1, 1)


async def test_a_cancelled_caller_disturbs_nobody(path: Path, clock) -> None:
    spool = SqliteSpool(path, clock=clock)
    await spool.open()
    gone = asyncio.create_task(spool.accept(mail("m1")))
    await asyncio.sleep(0)
    gone.cancel()
    await spool.accept(mail("m2"))

    assert gone.cancelled()
    assert [i.id for i in await spool.unplanned(9)] == ["m1", "m2"]
    await spool.close()
