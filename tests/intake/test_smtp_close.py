"""How the door closes: idle clients are told, a mail in flight is finished, nothing stays."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable

import pytest
from smtp_house import Client, House, RecordingHost, connect

from gateway.core.model import Door
from gateway.intake.smtp import Limits, MailDoor

HELLO = b"Subject: x\r\n\r\nhello\r\n.\r\n"


async def begin(client: Client) -> None:
    for line in ("MAIL FROM:<jobs@shop.example>", "RCPT TO:<alice@sms.example.com>", "DATA"):
        await client.say(line)


async def test_idle_clients_hear_421_and_new_ones_are_not_let_in(client: Client, house: House) -> None:
    await house.door.close(5)

    assert house.door.stopping
    assert (await client.reply()).startswith("421 4.3.2")
    assert await client.reply() == ""
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", house.port)


async def test_a_commit_in_flight_is_answered_and_then_the_session_ends(client: Client, house: House) -> None:
    house.host.disk.clear()
    await begin(client)
    client.send(HELLO)
    await house.host.committing.wait()
    closing = asyncio.create_task(house.door.close(20))
    while not house.door.stopping:
        await asyncio.sleep(0)
    house.host.disk.set()

    assert await client.reply() == "250 2.0.0 accepted as m1"
    assert (await client.reply()).startswith("421 4.3.2")
    await closing
    assert house.door.open_sessions == 0


async def test_content_in_flight_may_still_come(client: Client, house: House) -> None:
    await begin(client)
    closing = asyncio.create_task(house.door.close(20))
    while not house.door.stopping:
        await asyncio.sleep(0)
    client.send(HELLO + b"NOOP\r\n")

    assert await client.reply() == "250 2.0.0 accepted as m1"
    assert (await client.reply()).startswith("421 4.3.2")
    await closing


@pytest.mark.parametrize("where", ["content", "commit"])
async def test_what_takes_longer_than_the_grace_is_cut_without_an_answer(
    client: Client, house: House, where: str
) -> None:
    house.host.disk.clear()
    await begin(client)
    client.send(HELLO if where == "commit" else b"half a mail")
    if where == "commit":
        await house.host.committing.wait()
    await house.door.close(0.1)

    assert await client.gone() == b""
    assert not house.host.kept
    assert house.door.open_sessions == 0


async def test_closing_twice_is_harmless(house: House) -> None:
    await house.door.close(0)
    await house.door.close(0)


async def test_a_socket_that_is_open_already_can_be_listened_on() -> None:
    host = RecordingHost()
    door = MailDoor(host, Limits(), "mx.example.com")
    with socket.socket(socket.AF_INET6) as sock:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        sock.bind(("::", 0))
        port = await door.listen_on(sock, Door.SUBMISSION)
        async with await connect(port) as client:
            assert await client.mail(HELLO) == "250 2.0.0 accepted as m1"
        await door.close(5)

    assert host.kept[0].visit.peer == "127.0.0.1"  # not ::ffff:127.0.0.1: networks are written as IPv4


async def test_two_listeners_share_their_limits(open_door: Callable[..., Awaitable[House]]) -> None:
    house = await open_door(limits=Limits(connections=1))
    public = await house.door.listen("127.0.0.1", 0, Door.PUBLIC)
    async with await connect(house.port), await connect(public, greet=False) as late:
        assert (await late.reply()).startswith("421 4.7.0")
