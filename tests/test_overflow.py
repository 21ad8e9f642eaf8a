"""More inbounds than memory holds: the rest waits in the spool, and is planned as soon as there is room."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from postroom import Room, mail

from gateway import backlog, engine
from gateway.core.model import InboundMail
from gateway.ports import ReaderUnavailable

PAD = b"X-Pad: " + b"x" * 500 + b"\r\n"


def job(n: int, pads: int = 0) -> InboundMail:
    """Mail number n to Bob, of half a kilobyte for each pad."""
    raw = b"From: jobs@shop.example.com\r\n" + PAD * pads + f"Subject: RO {n}\r\n\r\nJob {n} is next\r\n".encode()
    return replace(mail(), id=f"mailmail{n:03d}", at=datetime.now(UTC), raw=raw)


async def all_go_out(r: Room, mails: list[InboundMail], *errors: Exception) -> None:
    """Well before the sweeper, which would find them too, looks for the first time."""
    loops = r.engine(*errors)
    for one in mails:
        await r.spool.accept(one)
        loops.arrived(one)
    r.run(loops)
    await r.bell.until(lambda: len(r.relay.sent) == len(mails))
    await r.stopped()

    said = [line for m in r.relay.sent for line in m.data.split(b"\r\n") if line.startswith(b"Job ")]
    assert sorted(said) == sorted(f"Job {n} is next".encode() for n in range(len(mails)))


async def test_what_finds_no_room_in_memory_is_planned_as_soon_as_there_is_some(
    room: Callable[..., Room], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backlog, "MOST", 3)
    await all_go_out(room(), [job(n) for n in range(20)])


async def test_while_those_in_hand_take_as_much_memory_as_they_may_the_others_wait_for_their_end(
    room: Callable[..., Room], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backlog, "HEAVY_BYTES", 2000)
    await all_go_out(room(), [job(n, pads=3) for n in range(12)])


async def test_a_large_mail_that_no_reader_can_take_now_makes_room_for_the_others(
    room: Callable[..., Room], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backlog, "HEAVY_BYTES", 1000)
    monkeypatch.setattr(engine, "LARGE", 1000)
    await all_go_out(room(), [job(0, pads=3), *(job(n) for n in range(1, 5))], ReaderUnavailable("no memory"))
