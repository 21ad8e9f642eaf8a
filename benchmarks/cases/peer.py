"""The peer in Python: from the first connection at the door to the last mail, or notification, behind it."""

from __future__ import annotations

import time
from pathlib import Path

from benchmarks import load
from benchmarks.case import GATEWAY, Case, Goal, Values
from benchmarks.cases import through
from benchmarks.peer import Mailrise, Target
from benchmarks.processes import Failed

MAILRISE = "mailrise"


async def notified(name: str, room: Path, count: int) -> Values:
    if name == GATEWAY:
        return await through.one_a_connection(name, room, count)
    async with Target() as target, Mailrise(room, target.port) as peer:
        await load.warm(peer, through.WARM)
        begun = time.perf_counter()
        await load.mails(peer.port, count, through.SESSIONS, keep_open=False)
        seconds = time.perf_counter() - begun
        # It answers 250 when the notification is out, and keeps nothing.
        if target.count != through.WARM + count:
            raise Failed(f"{target.count} of {through.WARM + count} notifications came")
        return {"mails/s": count / seconds}


CASES = (
    Case(
        name="peer",
        title=f"mail through, one a connection, {through.SESSIONS} sessions, beside one that keeps nothing",
        measure=notified,
        count=2_000,
        quick=200,
        rivals=(MAILRISE,),
        durable=False,
        goals=(Goal(metric="mails/s", least=6, ratio=True),),
    ),
)
