"""P1: what was acknowledged survives kill -9, in whatever moment it comes."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path

import apsw

from gateway.spool import database
from gateway.spool.sqlite import SqliteSpool

KILLS = 6
CHILD = Path(__file__).with_name("crash_child.py")
REPOSITORY = Path(__file__).parents[2]


async def killed_after(state: Path, run: int, lines: int) -> list[list[str]]:
    """Everything that a child had acknowledged when it was killed after so many lines."""
    child = await asyncio.create_subprocess_exec(
        sys.executable, CHILD, state, str(run), cwd=REPOSITORY, stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
    )  # fmt: skip
    assert child.stdout is not None
    said = []
    async with asyncio.timeout(60):
        for _ in range(lines):
            said.append(await child.stdout.readline())
        child.send_signal(signal.SIGKILL)
        said += (await child.stdout.read()).splitlines(keepends=True)
        await child.wait()
    assert b"" not in said, "the child ended by itself"
    return [line.decode().split() for line in said if line.endswith(b"\n")]


def acknowledged(lines: list[list[str]]) -> dict[str, set[str]]:
    by_word: dict[str, set[str]] = defaultdict(set)
    for word, id_, *_ in lines:
        by_word[word].add(id_)
    return by_word


def column(connection: apsw.Connection, sql: str) -> set[str]:
    return {row[0] for row in connection.execute(sql)}


async def test_nothing_that_was_acknowledged_is_lost(tmp_path: Path) -> None:
    chance = random.Random(17)
    lines: list[list[str]] = []
    for run in range(KILLS):
        lines += await killed_after(tmp_path, run, chance.randrange(50, 3000))
    said = acknowledged(lines)
    connection = database.connect(tmp_path / "gateway.db", check=True)

    assert len(said["settled"]) > 100
    assert said["accepted"] - column(connection, "SELECT id FROM inbound") == set()
    assert said["planned"] - column(connection, "SELECT id FROM inbound WHERE planned_at IS NOT NULL") == set()
    assert said["started"] - column(connection, "SELECT id FROM delivery WHERE attempt = 1") == set()
    assert said["settled"] - column(connection, "SELECT id FROM delivery WHERE fate = 'handed_over'") == set()
    connection.close()


async def test_what_a_dead_owner_had_begun_is_taken_up(tmp_path: Path, clock) -> None:
    said = acknowledged(await killed_after(tmp_path, 0, 800))
    spool = SqliteSpool(tmp_path / "gateway.db", clock=clock)
    await spool.open()
    left_open = (await spool.recover(datetime.now(UTC))).attempts
    sizes = await spool.sizes()
    rows = [row for id_ in said["started"] for row in await spool.find("delivery", id=id_)]
    await spool.close()
    connection = database.connect(tmp_path / "gateway.db", check=True)
    unclear = column(connection, "SELECT delivery FROM attempt WHERE outcome = 'unclear'")
    connection.close()

    assert (sizes["fate_sending"], left_open) == (0, len(unclear))
    assert {row["id"] for row in rows} == said["started"]
    for row in rows:
        again = "unknown" if row["courier"] == "twilio" else "waiting"
        assert row["fate"] == (again if row["id"] in unclear else "handed_over")
    assert unclear & said["settled"] == set()
