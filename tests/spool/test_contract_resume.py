"""ports.Spool, what a breaker holds: it is due sooner when its way is tried again."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from spooled import NOON, carrier_mail

from gateway.core.work import Writes
from gateway.ports import Spool

HOUR = timedelta(hours=1)
VERIZON, TMOBILE = "@vtext.com", "@tmomail.net"


@pytest.mark.parametrize(
    ("number", "at", "found", "due"),
    [
        pytest.param("", NOON, {VERIZON, TMOBILE}, [0, 0, 1, 1], id="all carriers"),
        pytest.param(VERIZON, NOON, {VERIZON}, [0, 1, 1, 1], id="one carrier"),
        pytest.param(VERIZON, NOON + 2 * HOUR, {VERIZON}, [1, 1, 1, 1], id="never later than before"),
        pytest.param("@gone.example", NOON, set(), [1, 1, 1, 1], id="a carrier that holds nothing"),
    ],
)
async def test_what_is_paused_is_due_by_then_and_nothing_else(
    spool: Spool, number: str, at: datetime, found: set[str], due: list[int]
) -> None:
    held = [(VERIZON, "paused"), (TMOBILE, "paused"), (VERIZON, "retry"), ("", "paused")]
    made = [
        replace(carrier_mail(f"m{n}.1.1"), lane=f"mail|m{n}", number=way, due_at=NOON)
        for n, (way, _) in enumerate(held)
    ]
    await spool.write(Writes(deliveries=tuple(made)))
    for one, (_, reason) in zip(made, held, strict=True):
        await spool.release(one.id, NOON + HOUR, reason)

    assert found == set(await spool.resume(at, number))
    rows = {row["id"]: row["due_at"] for row in await spool.find("queue", all=True, limit=9)}
    hours = [NOON, NOON + HOUR]
    assert [f"{hours[h]:%Y-%m-%dT%H:%M}" for h in due] == [rows[one.id][:16] for one in made]
