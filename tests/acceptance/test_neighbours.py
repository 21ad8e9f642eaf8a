"""The daemon's places for connections, which a known sender and strangers share."""

from __future__ import annotations

import asyncio
import contextlib

from cases import Open, Seen, case
from house import House
from logins import login
from rig import JOBS, connect, events, job_mail, send
from smtp_house import Client

FOREIGN = "ann@elsewhere.example"


async def _knocked(house: House, sources: list[str], stack: contextlib.AsyncExitStack) -> tuple[int, int]:
    """How many of the clients, one from each source, are let in, and how many are told 421; all stay until the end."""
    banners = []
    for source in sources:
        client = await stack.enter_async_context(await connect(house.daemon.port(), source, greet=False))
        banners.append((await client.reply())[:3])
    return banners.count("220"), banners.count("421")


@case(41, "a known sender who takes all his places, and strangers", "neither shuts the other out")
async def test_a_busy_known_sender_leaves_strangers_a_place(open_shop: Open, seen: Seen) -> None:
    house = await open_shop(login())
    await house.start()
    async with contextlib.AsyncExitStack() as stack:
        inside, turned = await _knocked(house, ["127.0.0.1"] * 160, stack)
        stranger = await stack.enter_async_context(await connect(house.daemon.port(), "127.0.2.1"))
        answer = await _to_postmaster(stranger)

    seen(f"the known sender has {inside} of 200 places, {turned} told 421; a stranger's mail: {answer[:9]}")
    assert (inside, turned) == (150, 10)
    assert answer.startswith("250")


async def _to_postmaster(client: Client) -> str:
    """The answer to a mail that is taken from anybody (RFC 5321 4.5.1)."""
    for line in (f"MAIL FROM:<{FOREIGN}>", "RCPT TO:<postmaster@sms.example.com>", "DATA"):
        answer = await client.say(line)
        assert answer[0] in "23", answer
    client.send(b"Subject: hello\r\n\r\nIs somebody there?\r\n.\r\n")
    return await client.reply()


@case(41, "a known sender at work while strangers fill all that they may and knock on", "each of his mails is taken")
async def test_a_known_sender_works_on_while_strangers_knock_all_the_while(open_shop: Open, seen: Seen) -> None:
    house = await open_shop(login())
    await house.start()
    over = asyncio.Event()
    knocks = 0

    async def knocking(source: str) -> None:
        nonlocal knocks
        while not over.is_set():
            async with await connect(house.daemon.port(), source, greet=False) as client:
                await client.reply()
            knocks += 1

    async with contextlib.AsyncExitStack() as stack:
        inside, _ = await _knocked(house, [f"127.0.1.{1 + n // 20}" for n in range(160)], stack)
        async with asyncio.TaskGroup() as group:
            for n in range(8):
                group.create_task(knocking(f"127.0.2.{n + 1}"))
            answers = [await send(house, f"mail {n}", "bob") for n in range(40)]
            over.set()
        greedy = await _knocked(house, ["127.0.0.1"] * 50, stack)

    turned = len(events(house, "session.rejected"))
    seen(f"{inside} strangers inside, {knocks} knocks more, {turned} told 421; {len(answers)} mails of the known one")
    assert inside == 150
    assert {answer[:3] for answer in answers} == {"250"}
    assert greedy == (50, 0)
    assert turned >= knocks > 0
    assert (await house.daemon.mail(job_mail("at the end"), JOBS, ["bob@sms.example.com"]))[0].startswith("250")
