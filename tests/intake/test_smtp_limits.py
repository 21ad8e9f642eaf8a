"""What one client may take, and how he is told that it is enough."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import AsyncExitStack
from typing import Any

import pytest
from smtp_house import Client, House, connect

from gateway.core.model import Door, Refusal
from gateway.intake.smtp import Limits

Open = Callable[..., Awaitable[House]]
Events = list[MutableMapping[str, Any]]
Until = Callable[[Callable[[], bool]], Awaitable[None]]
HELLO = b"Subject: x\r\n\r\nhello\r\n.\r\n"


def reasons(events: Events, name: str) -> list[str]:
    return [event["reason"] for event in events if event["event"] == name]


async def test_one_recipient_too_many_is_452_and_the_first_ones_stay(open_door: Open) -> None:
    house = await open_door(limits=Limits(recipients=2))
    async with await connect(house.port) as client:
        await client.say("MAIL FROM:<jobs@shop.example>")
        answers = [(await client.say(f"RCPT TO:<p{n}@sms.example.com>"))[:9] for n in range(3)]
        again = await client.say("RCPT TO:<p0@sms.example.com>")
        await client.say("DATA")
        client.send(HELLO)

        assert answers == ["250 2.1.5", "250 2.1.5", "452 4.5.3"]
        assert again.startswith("250")
        assert await client.reply() == "250 2.0.0 accepted as m1"
        assert len(house.host.kept[0].envelope.recipients) == 2


async def test_one_connection_too_many_from_an_address_is_421(
    open_door: Open, events: Events, eventually: Until
) -> None:
    house = await open_door(limits=Limits(connections_per_address=2))
    async with AsyncExitStack() as stack:
        for _ in range(2):
            await stack.enter_async_context(await connect(house.port))
        late = await stack.enter_async_context(await connect(house.port, greet=False))

        assert (await late.reply()).startswith("421 4.7.0")
        assert await late.reply() == ""
        assert house.door.open_sessions == 2
        assert reasons(events, "session.rejected") == ["too many connections from this address"]
    await eventually(lambda: house.door.open_sessions == 0)
    async with await connect(house.port):
        assert house.door.open_sessions == 1


async def test_a_known_address_may_hold_three_quarters_of_all_places(open_door: Open) -> None:
    house = await open_door(limits=Limits(connections=8, connections_per_address=2))
    house.host.networks.add("127.0.0.1")
    async with AsyncExitStack() as stack:
        for _ in range(6):
            await stack.enter_async_context(await connect(house.port))
        late = await stack.enter_async_context(await connect(house.port, greet=False))

        assert (await late.reply()).startswith("421 4.7.0 Too many connections from this address")


async def test_one_connection_too_many_in_all_is_421(open_door: Open) -> None:
    house = await open_door(limits=Limits(connections=1))
    async with await connect(house.port), await connect(house.port, greet=False) as late:
        assert (await late.reply()).startswith("421 4.7.0 Too many connections")


async def test_a_client_in_the_tls_handshake_counts(open_door: Open, server_tls: Any, eventually: Until) -> None:
    house = await open_door(limits=Limits(connections=1), tls=server_tls, implicit_tls=True)
    async with await connect(house.port, greet=False):
        await eventually(lambda: house.door.open_sessions == 1)
        async with await connect(house.port, greet=False) as late:
            assert await late.gone() == b""


async def test_too_many_commands_end_the_session(open_door: Open, events: Events) -> None:
    house = await open_door(limits=Limits(commands=3))
    async with await connect(house.port) as client:
        await client.say("NOOP")
        await client.say("NOOP")

        assert (await client.reply()).startswith("421 4.7.0")
        assert await client.reply() == ""
    assert reasons(events, "session.cut") == ["too many commands"]


async def test_a_mail_that_was_accepted_gives_the_commands_back(open_door: Open) -> None:
    house = await open_door(limits=Limits(commands=6))
    async with await connect(house.port) as client:
        for n in range(1, 9):
            assert await client.mail(HELLO) == f"250 2.0.0 accepted as m{n}"


async def test_too_many_errors_end_the_session(open_door: Open, events: Events) -> None:
    house = await open_door(limits=Limits(errors=3))
    async with await connect(house.port) as client:
        for _ in range(3):
            assert (await client.say("XYZZY")).startswith("500 5.5.2")

        assert (await client.reply()).startswith("421 4.7.0")
        assert await client.reply() == ""
    assert reasons(events, "session.cut") == ["too many errors"]


@pytest.mark.parametrize(
    ("door", "ends"), [(Door.SUBMISSION, False), (Door.PUBLIC, True)], ids=["submission", "public"]
)
async def test_refused_recipients_count_as_errors_only_where_strangers_probe(
    open_door: Open, door: Door, ends: bool
) -> None:
    house = await open_door(limits=Limits(errors=3), door=door)
    no = Refusal(code=550, enhanced="5.1.1", text="Nobody")
    house.host.refusals = {f"p{n}@sms.example.com": no for n in range(3)}
    async with await connect(house.port) as client:
        await client.say("MAIL FROM:<jobs@shop.example>")
        for n in range(3):
            assert await client.say(f"RCPT TO:<p{n}@sms.example.com>") == "550 5.1.1 Nobody"
        answer = await client.say("RCPT TO:<alice@sms.example.com>")

        assert answer[:3] == ("421" if ends else "250")


async def test_a_silent_client_is_cut(open_door: Open, events: Events) -> None:
    house = await open_door(limits=Limits(command_seconds=0.05))
    async with await connect(house.port, greet=False) as client:
        assert (await client.gone()).endswith(b"421 4.4.2 No more time\r\n")
    assert reasons(events, "session.cut") == ["too slow"]


async def test_a_client_that_never_finishes_its_line_is_cut(open_door: Open) -> None:
    house = await open_door(limits=Limits(command_seconds=0.05))
    async with await connect(house.port, greet=False) as client:
        client.send(b"EHLO pc")

        assert b"421 4.4.2" in await client.gone()


async def test_noops_do_not_keep_a_session_for_ever(open_door: Open, events: Events) -> None:
    house = await open_door(limits=Limits(session_seconds=0.3, commands=10**9))
    async with await connect(house.port) as client:
        answer = "250"
        while answer.startswith("250"):
            answer = await client.say("NOOP")

        assert answer.startswith("421 4.4.2")
    assert reasons(events, "session.cut") == ["session time"]


async def test_a_mail_that_has_begun_may_end_after_the_session_time(open_door: Open) -> None:
    house = await open_door(limits=Limits(session_seconds=0.2, commands=10**9))
    async with await connect(house.port) as client:
        await client.say("MAIL FROM:<jobs@shop.example>")
        loop = asyncio.get_running_loop()
        over = loop.time() + 0.3
        while loop.time() < over:
            assert (await client.say("RCPT TO:<alice@sms.example.com>")).startswith("250")
        await client.say("DATA")
        client.send(HELLO)

        assert await client.reply() == "250 2.0.0 accepted as m1"
        assert (await client.reply()).startswith("421 4.4.2")


async def test_a_mail_that_has_begun_is_no_way_to_stay_for_ever(open_door: Open) -> None:
    house = await open_door(limits=Limits(session_seconds=0.1, content_seconds=0.1, commands=10**9))
    async with await connect(house.port) as client:
        answer = await client.say("MAIL FROM:<jobs@shop.example>")
        while answer.startswith("250"):
            answer = await client.say("NOOP")

        assert answer.startswith("421 4.4.2")


async def test_content_that_drips_is_cut(open_door: Open, events: Events) -> None:
    house = await open_door(limits=Limits(content_seconds=0.2))
    async with await connect(house.port) as client:
        for line in ("MAIL FROM:<jobs@shop.example>", "RCPT TO:<alice@sms.example.com>", "DATA"):
            await client.say(line)

        async def drip() -> None:
            while True:
                client.send(b"x\r\n")
                await asyncio.sleep(0)

        dripping = asyncio.create_task(drip())
        said = await client.gone()
        dripping.cancel()

        assert b"250" not in said
    assert not house.host.kept
    assert reasons(events, "session.cut") == ["too slow"]


async def test_the_time_of_a_commit_is_not_the_clients(open_door: Open) -> None:
    house = await open_door(limits=Limits(command_seconds=0.1, content_seconds=0.1))
    house.host.disk.clear()
    async with await connect(house.port) as client:
        answer = asyncio.create_task(client.mail(HELLO))
        await house.host.committing.wait()
        asyncio.get_running_loop().call_later(0.3, house.host.disk.set)

        assert await answer == "250 2.0.0 accepted as m1"


async def test_too_big_a_mail_is_552_and_the_session_goes_on(open_door: Open, events: Events) -> None:
    house = await open_door(limits=Limits(max_bytes=1_000))
    async with await connect(house.port) as client:
        answer = await client.mail(b"a" * 70 + b"\r\n" + (b"b" * 70 + b"\r\n") * 1_000 + b".\r\n")

        assert answer.startswith("552 5.3.4")
        assert await client.mail(HELLO) == "250 2.0.0 accepted as m1"
    refused = [event for event in events if event["event"] == "inbound.refused"]
    assert [(e["stage"], e["code"], e["peer"]) for e in refused] == [("data", "552 5.3.4", "127.0.0.1")]


async def test_far_too_big_a_mail_is_cut(open_door: Open, events: Events, eventually: Until) -> None:
    house = await open_door(limits=Limits(max_bytes=1_000, slack_bytes=1_000))
    async with await connect(house.port) as client:
        for line in ("MAIL FROM:<jobs@shop.example>", "RCPT TO:<alice@sms.example.com>", "DATA"):
            await client.say(line)
        client.send(b"a" * 100_000)

        assert await client.gone() == b""
        await eventually(lambda: house.door.open_sessions == 0)
    assert reasons(events, "session.cut") == ["too many bytes"]


async def test_mails_that_are_too_much_together_are_452(open_door: Open, eventually: Until) -> None:
    house = await open_door(limits=Limits(held_bytes=200_000))
    big = (b"a" * 70 + b"\r\n") * 2_000
    async with await connect(house.port) as first, await connect(house.port) as second:
        for line in ("MAIL FROM:<jobs@shop.example>", "RCPT TO:<alice@sms.example.com>", "DATA"):
            await first.say(line)
        first.send(big)
        await eventually(lambda: house.door.held_bytes > len(big))

        assert (await second.mail(big + b".\r\n")).startswith("452 4.3.1")
        first.send(b".\r\n")
        assert await first.reply() == "250 2.0.0 accepted as m1"
        assert await second.mail(big + b".\r\n") == "250 2.0.0 accepted as m2"


async def test_a_line_of_a_megabyte_is_taken(client: Client, house: House) -> None:
    line = b"<p>" + b"x" * 999_000 + b"</p>\r\n"

    assert await client.mail(line + b".\r\n") == "250 2.0.0 accepted as m1"
    assert house.host.kept[0].raw == line


async def test_a_longer_line_is_refused(client: Client, house: House) -> None:
    assert (await client.mail(b"x" * 1_000_001 + b"\r\n.\r\n")).startswith("500 5.5.2")
    assert not house.host.kept


async def test_a_long_command_is_500_and_the_session_goes_on(client: Client) -> None:
    assert (await client.say("NOOP " + "x" * 3_000)).startswith("500 5.5.2")
    assert (await client.say("NOOP")).startswith("250")


async def test_an_endless_command_is_cut(client: Client, events: Events) -> None:
    client.send(b"x" * 200_000)
    await client.gone()

    assert reasons(events, "session.cut") == ["endless command line"]


@pytest.mark.parametrize(("hops", "answer"), [(50, "250 2.0.0"), (51, "554 5.4.6")])
async def test_more_than_fifty_received_headers_are_a_loop(client: Client, hops: int, answer: str) -> None:
    content = b"Received: from a by b\r\n" * hops + b"\r\nhello\r\n.\r\n"

    assert (await client.mail(content)).startswith(answer)
