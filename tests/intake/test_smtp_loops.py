"""The same door under asyncio's loop and under uvloop's, which runs it in production."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable

import pytest
import uvloop
from smtp_house import House, connect, open_house

from gateway.intake.smtp import Limits

HELLO = b"Subject: x\r\n\r\nhello\r\n.\r\n"
LOOPS = [pytest.param(asyncio.new_event_loop, id="asyncio"), pytest.param(uvloop.new_event_loop, id="uvloop")]
pytestmark = pytest.mark.parametrize("loop", LOOPS)
Loop = Callable[[], asyncio.AbstractEventLoop]


def run(loop: Loop, scene: Awaitable[None]) -> None:
    async def played() -> None:
        await scene

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(played())


async def closed(house: House) -> None:
    await house.door.close(5)
    assert (house.door.open_sessions, house.door.held_bytes) == (0, 0)


def test_mails_are_taken_and_the_door_closes(loop: Loop) -> None:
    async def scene() -> None:
        house = await open_house()
        async with await connect(house.port) as client, await connect(house.port) as idle:
            for n in range(1, 4):
                assert await client.mail(HELLO) == f"250 2.0.0 accepted as m{n}"
            assert (await client.say("QUIT")).startswith("221")
            await closed(house)
            assert (await idle.reply()).startswith("421 4.3.2")

    run(loop, scene())


@pytest.mark.parametrize("implicit", [False, True], ids=["starttls", "implicit"])
def test_tls_works(loop: Loop, implicit: bool, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext) -> None:
    async def scene() -> None:
        house = await open_house(tls=server_tls, implicit_tls=implicit)
        async with await connect(house.port, tls=client_tls if implicit else None) as client:
            if not implicit:
                assert (await client.say("STARTTLS")).startswith("220")
                await client.start_tls(client_tls)
            assert "AUTH PLAIN LOGIN" in await client.say("EHLO pc7")
            assert await client.mail(b"a" * 900_000 + b"\r\n.\r\n") == "250 2.0.0 accepted as m1"
            await closed(house)
            assert (await client.reply()).startswith("421")

    run(loop, scene())


def test_what_follows_starttls_in_clear_is_never_obeyed(loop: Loop, server_tls: ssl.SSLContext) -> None:
    async def scene() -> None:
        house = await open_house(tls=server_tls)
        async with await connect(house.port) as client:
            client.send(b"STARTTLS\r\nNOOP\r\n")
            assert (await client.reply()).startswith("554 5.5.1")
            assert await client.gone() == b""
        await closed(house)

    run(loop, scene())


def test_too_many_bytes_are_cut(loop: Loop) -> None:
    async def scene() -> None:
        house = await open_house(limits=Limits(max_bytes=1_000, slack_bytes=1_000))
        async with await connect(house.port) as client:
            for line in ("MAIL FROM:<jobs@shop.example>", "RCPT TO:<alice@sms.example.com>", "DATA"):
                await client.say(line)
            client.send(b"a" * 1_000_000)
            assert await client.gone() == b""
        await closed(house)

    run(loop, scene())


def test_a_silent_client_is_cut(loop: Loop) -> None:
    async def scene() -> None:
        house = await open_house(limits=Limits(command_seconds=0.05))
        async with await connect(house.port, greet=False) as client:
            assert b"421 4.4.2" in await client.gone()
        await closed(house)

    run(loop, scene())


def test_a_client_that_does_not_read_is_cut(loop: Loop) -> None:
    async def scene() -> None:
        house = await open_house(limits=Limits(command_seconds=0.3, commands=10**9))
        async with await connect(house.port) as client:
            client.writer.transport.pause_reading()
            client.send(b"EHLO x\r\n" * 150_000)
            async with asyncio.timeout(20):
                while house.door.open_sessions:
                    await asyncio.sleep(0)
        await closed(house)

    run(loop, scene())


@pytest.mark.parametrize("leaves", ["before-the-banner", "mid-command", "mid-handshake"])
def test_a_client_that_leaves_is_forgotten(loop: Loop, leaves: str, server_tls: ssl.SSLContext) -> None:
    async def scene() -> None:
        house = await open_house(tls=server_tls, implicit_tls=leaves == "mid-handshake")
        for _ in range(30):
            async with await connect(house.port, greet=False) as client:
                if leaves != "before-the-banner":
                    client.send(b"\x16\x03")
                    await client.writer.drain()
        async with asyncio.timeout(20):
            while house.door.open_sessions:
                await asyncio.sleep(0)
        await closed(house)

    run(loop, scene())
