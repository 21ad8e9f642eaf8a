"""While the host works, nothing of the client's is obeyed, lost or piled up."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import pytest
from smtp_house import Client, House, connect

from gateway.intake.smtp import Limits

Open = Callable[..., Awaitable[House]]
Events = list[MutableMapping[str, Any]]
Until = Callable[[Callable[[], bool]], Awaitable[None]]
MB = 2**20
HELLO = b"Subject: x\r\n\r\nhello\r\n.\r\n"
NAME, PASSWORD = base64.b64encode(b"shop") + b"\r\n", base64.b64encode(b"wrench") + b"\r\n"


async def begin(client: Client) -> None:
    for line in ("MAIL FROM:<jobs@shop.example>", "RCPT TO:<alice@sms.example.com>", "DATA"):
        await client.say(line)


async def test_what_is_poured_in_during_a_commit_waits_outside_and_is_obeyed_then(
    open_door: Open, events: Events
) -> None:
    house = await open_door(limits=Limits(max_bytes=MB, slack_bytes=MB, commands=10**9))
    house.host.disk.clear()
    async with await connect(house.port) as client:
        await begin(client)
        client.send(HELLO + b"NOOP\r\n" * (16 * MB // 6))  # eight times what would have the session cut
        await house.host.committing.wait()
        async with await connect(house.port) as other:
            for _ in range(200):  # turns of the loop in which it would be read
                assert (await other.say("NOOP")).startswith("250")
        house.host.disk.set()

        assert await client.reply() == "250 2.0.0 accepted as m1"
        for _ in range(10_000):
            assert await client.reply() == "250 2.0.0 Here"
    assert [e for e in events if e["event"] == "session.cut"] == []


async def test_commands_behind_a_mail_are_answered_in_order_after_it(client: Client, house: House) -> None:
    house.host.disk.clear()
    await begin(client)
    client.send(HELLO + b"NOOP\r\nVRFY x\r\nQUIT\r\n")
    await house.host.committing.wait()
    client.writer.write_eof()
    house.host.disk.set()
    said = (await client.gone()).decode().splitlines()

    assert [line[:3] for line in said] == ["250", "250", "252", "221"]


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(b"AUTH LOGIN\r\n" + NAME + PASSWORD, id="login"),
        pytest.param(b"AUTH PLAIN\r\n" + base64.b64encode(b"\0shop\0wrench") + b"\r\n", id="plain"),
    ],
)
async def test_a_login_may_come_as_one_packet(house: House, sent: bytes) -> None:
    house.host.networks.add("127.0.0.1")
    async with await connect(house.port) as client:
        client.send(sent + b"NOOP\r\n")
        answers = [await client.reply() for _ in range(2 + sent.count(NAME))]

        assert [answer[:3] for answer in answers[:-1]] == ["334"] * (len(answers) - 1)
        assert answers[-1].startswith("235 2.7.0")
        assert (await client.reply()).startswith("250 2.0.0")


@pytest.mark.parametrize("how", ["aborts", "closes-its-side"])
async def test_a_client_that_leaves_in_the_middle_of_a_login_is_forgotten(
    house: House, eventually: Until, how: str
) -> None:
    house.host.networks.add("127.0.0.1")
    async with await connect(house.port) as client:
        assert (await client.say("AUTH LOGIN")).startswith("334")
        if how == "aborts":
            client.writer.transport.abort()
        else:
            client.writer.write_eof()
            assert await client.gone() == b""
        await eventually(lambda: house.door.open_sessions == 0)


async def test_a_client_that_is_asked_for_its_password_hears_421_when_the_door_closes(house: House) -> None:
    house.host.networks.add("127.0.0.1")
    async with await connect(house.port) as client:
        assert (await client.say("AUTH LOGIN")).startswith("334")
        await house.door.close(5)

        assert (await client.reply()).startswith("421 4.3.2")
        assert await client.reply() == ""


async def test_a_client_that_never_gives_its_password_is_cut(open_door: Open, events: Events) -> None:
    house = await open_door(limits=Limits(command_seconds=0.05))
    house.host.networks.add("127.0.0.1")
    async with await connect(house.port) as client:
        assert (await client.say("AUTH LOGIN")).startswith("334")

        assert await client.gone() == b"421 4.4.2 No more time\r\n"
    assert [e["reason"] for e in events if e["event"] == "session.cut"] == ["too slow"]


async def test_a_host_that_gives_up_costs_the_session_and_nothing_else(house: House, eventually: Until) -> None:
    house.host.faults["data"] = asyncio.CancelledError()  # type: ignore[assignment]
    async with await connect(house.port) as client:
        await begin(client)
        client.send(HELLO)

        assert await client.gone() == b""
    await eventually(lambda: house.door.open_sessions == 0)
    house.host.faults.clear()
    async with await connect(house.port) as client:
        assert await client.mail(HELLO) == "250 2.0.0 accepted as m1"


async def test_a_client_that_says_much_at_once_lets_the_others_speak_between(open_door: Open) -> None:
    house = await open_door(limits=Limits(commands=10**9))
    async with await connect(house.port) as hasty, await connect(house.port) as patient:
        hasty.send(b"NOOP\r\n" * 30_000 + b"QUIT\r\n")
        first = house.door._crowd.guests()[0]
        answered = asyncio.create_task(hasty.gone())
        while first.commands < 2:
            await asyncio.sleep(0)
        assert (await patient.say("NOOP")).startswith("250")

        assert first.commands < 10_000
        assert (await answered).splitlines() == [b"250 2.0.0 Here"] * 30_000 + [b"221 2.0.0 Bye"]
