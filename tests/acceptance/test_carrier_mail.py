"""The way by the carriers' mail, with Postfix's smtp-sink as the mail server that misbehaves."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from cases import Open, Seen, case
from house import House
from rig import free_port, rig, rows, send, tool


@asynccontextmanager
async def sink(folder: Path, port: int, *options: str) -> AsyncIterator[Path]:
    """smtp-sink on that port; each mail becomes a file in the folder that is yielded."""
    mails = folder / f"sink{options[-1]}"
    mails.mkdir()
    mails.chmod(0o777)
    folder.chmod(0o711)  # smtp-sink gives root up and must still reach its folder
    user = ["-u", "nobody"] if os.geteuid() == 0 else []
    words = [*user, "-h", "sink.example", *options, "-d", str(mails / "%H%M%S."), f"127.0.0.1:{port}", "100"]
    process = await asyncio.create_subprocess_exec(tool("smtp-sink"), *words)
    try:
        async with asyncio.timeout(20):
            while not await _listens(port):
                await asyncio.sleep(0.02)
        yield mails
    finally:
        process.terminate()
        await process.wait()


async def _listens(port: int) -> bool:
    with contextlib.suppress(OSError):
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.transport.abort()
        return True
    return False


async def relayed(open_shop: Open, port: int) -> House:
    tool("smtp-sink")
    house = await open_shop()
    house.merge(f"[relay]\nport = {port}\n")
    house.write()
    return house


@case(29, "the carrier's server hangs up after the dot", "at most 2 resends, the same Message-ID")
async def test_a_mail_whose_last_answer_never_comes_is_sent_at_most_twice_more(open_shop: Open, seen: Seen) -> None:
    port = free_port()
    house = await relayed(open_shop, port)
    async with sink(house.folder, port, "-q", ".") as mails:
        await house.start()
        answer = await send(house, "ready", "bob")
        delivery = f"{answer.rpartition(' ')[2]}.1.1"
        ends = []
        for ahead in (0, 60, 200, 1000):
            after = len(house.daemon.events)
            if ahead:
                await house.daemon.stop()
                rig(house).ahead = ahead
                await house.start()
            if not ends or ends[-1]["fate"] == "waiting":
                ends.append(await house.daemon.wait_event("delivery.unclear", after=after, delivery=delivery))
        await house.daemon.stop()
        raws = [path.read_text() for path in mails.iterdir()]
    idents = [found[1] for raw in raws if (found := re.search(r"(?im)^Message-ID: (.*\b1\.1@.*)$", raw))]

    seen(f"{len(ends)} attempts: {[end['fate'] for end in ends]}; {len(idents)} mails, {len(set(idents))} Message-ID")
    assert [end["fate"] for end in ends] == ["waiting", "waiting", "failed"]
    assert (len(idents), len(set(idents))) == (3, 1)


@case(30, "the carrier's server says 4xx, 5xx, 421, or is slow", "again; failed; again; waited for")
@pytest.mark.parametrize(
    ("options", "event", "fate"),
    [
        (("-r", "rcpt"), "delivery.deferred", "waiting"),
        (("-f", "rcpt"), "delivery.refused", "failed"),
        (("-Q", "mail"), "delivery.deferred", "waiting"),
        (("-W", ".:3"), "delivery.accepted", "handed_over"),
    ],
    ids=["4xx", "5xx", "421", "slow"],
)
async def test_an_answer_of_the_carriers_server_has_its_meaning(
    options: tuple[str, ...], event: str, fate: str, open_shop: Open, seen: Seen
) -> None:
    port = free_port()
    house = await relayed(open_shop, port)
    async with sink(house.folder, port, *options):
        await house.start()
        answer = await send(house, "ready", "bob")
        delivery = f"{answer.rpartition(' ')[2]}.1.1"
        told = await house.daemon.wait_event(event, delivery=delivery)
        (row,) = [row for row in await rows(house, "--all") if row["id"] == delivery]

    seen(f"smtp-sink {' '.join(options)}: {row['fate']}, {told['note'][:60]} ({told['ms']} ms)")
    assert row["fate"] == fate
    assert options[0] != "-W" or told["ms"] >= 2900
