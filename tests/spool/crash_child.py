"""Run by test_crash.py, to be killed: works as hard as it can and says on stdout what was acknowledged.

Lines: `accepted ID`, `planned ID`, `started ID ATTEMPT`, `settled ID`; one write each, after the answer.
"""

from __future__ import annotations

import asyncio
import os
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from spooled import carrier_mail, delivery, end, mail, message

from gateway.core.model import Fate
from gateway.core.work import Delivery, Plan, Writes
from gateway.spool.lock import StateLock
from gateway.spool.sqlite import SqliteSpool


class Clock:
    def now(self) -> datetime:
        return datetime.now(UTC)


def say(*words: object) -> None:
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


async def deliver(spool: SqliteSpool, leased: tuple[Delivery, ...]) -> None:
    for one in leased:
        begun = await spool.start(one, Clock().now(), 0, None)
        assert begun.done, begun
        say("started", one.id, one.attempt + 1)
        settled = await spool.settle(
            end("accepted", Fate.HANDED_OVER, delivery=one.id, attempt=one.attempt + 1, remote_id=f"SM{one.id}")
        )
        assert settled.done
        say("settled", one.id)
        await deliver(spool, settled.leased)


async def work(spool: SqliteSpool, name: str) -> None:
    number = 0
    while True:
        number += 1
        now = Clock().now()
        id_ = f"{name}-{number}"
        await spool.accept(mail(id_, at=now, raw=b"x" * 1500))
        say("accepted", id_)
        paid = delivery(f"{id_}.1.1", lane=f"paid {name}", due_at=now)
        free = replace(carrier_mail(f"{id_}.1.2", due_at=now), lane=f"mail {name}", expires_at=now + timedelta(hours=1))
        committed = await spool.plan(
            Plan(inbound=id_, writes=Writes(messages=(message(f"{id_}.1"),), deliveries=(paid, free)))
        )
        assert committed.done
        say("planned", id_)
        await deliver(spool, committed.leased)


async def main(state: Path, run: str) -> None:
    StateLock(state).take()
    spool = SqliteSpool(state / "gateway.db", clock=Clock())
    await spool.open()
    await spool.recover(Clock().now())
    async with asyncio.TaskGroup() as group:
        for n in range(20):
            group.create_task(work(spool, f"r{run}w{n}"))


asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
