"""The door for mail against floods and slow ones."""

from __future__ import annotations

import asyncio
import contextlib
import resource
from collections.abc import Callable

import pytest
from cases import Open, Seen, case
from gauges import LAG_SECONDS, costs
from house import House
from logins import STRANGER, login
from rig import (
    JOBS,
    MIB,
    connect,
    envelope,
    healthy,
    job_mail,
    mib,
    pour,
    send,
)
from smtp_house import Client


@case(38, "an endless line in DATA, 1 GiB", "cut at limit + slack, RSS +< 16 MiB")
async def test_a_line_without_end_is_cut_off_and_leaves_no_trace_in_memory(shop: House, seen: Seen) -> None:
    assert (await send(shop, "warm", "bob")).startswith("250")
    async with healthy(shop) as pulse, costs(shop) as cost:
        async with await connect(shop.daemon.port()) as client:
            await envelope(client)
            sent = await pour(client, b"a" * MIB, 1024)
        await shop.daemon.wait_event("session.cut", reason="too many bytes")

    seen(f"cut after {mib(sent)}; {cost.told}; {pulse.told}")
    assert sent < 64 * MIB
    assert cost.grown < 16 * MIB
    assert cost.own_lag < LAG_SECONDS
    assert pulse.worst < 1


@case(39, "200 MiB of lines, and a SIZE that lies", "552 or cut, RSS flat")
@pytest.mark.parametrize("size", ["", " SIZE=1000", " SIZE=209715200"], ids=["none", "lie", "honest"])
async def test_too_much_mail_is_refused_or_cut_and_memory_stays_flat(size: str, shop: House, seen: Seen) -> None:
    assert (await send(shop, "warm", "bob")).startswith("250")
    async with healthy(shop) as pulse, costs(shop) as cost, await connect(shop.daemon.port()) as client:
        answer = await client.say(f"MAIL FROM:<{JOBS}>{size}")
        sent = 0
        if answer.startswith("250"):
            await client.say("RCPT TO:<bob@sms.example.com>")
            await client.say("DATA")
            sent = await pour(client, (b"b" * 1022 + b"\r\n") * 1024, 200)
            client.send(b".\r\n")
            answer = await client.reply() or "cut"

    seen(f"{size.strip() or 'no SIZE'}: {answer[:9]} after {mib(sent)}; {cost.told}; {pulse.told}")
    assert answer == "cut" or answer.startswith("552 5.3.4")
    # The mail itself may be held up to its limit of 10 MiB, and be copied once.
    assert cost.grown < 32 * MIB
    assert cost.own_lag < LAG_SECONDS
    assert pulse.worst < 1


@case(40, "5,000 RCPT", "452 over the limit, the first ones still usable")
async def test_recipients_over_the_limit_are_put_off_and_the_first_ones_get_the_mail(
    open_shop: Open, seen: Seen
) -> None:
    house = await open_shop(login(sender='refuse = "mail"'))
    await house.start()
    assert (await send(house, "warm", "bob")).startswith("250")
    first = len(house.daemon.events)
    async with healthy(house) as pulse, costs(house) as cost, await connect(house.daemon.port()) as client:
        await client.say(f"MAIL FROM:<{JOBS}>")
        answers = [await client.say(f"RCPT TO:<{2025550000 + n}@sms.example.com>") for n in range(100, 200)]
        answers += [await client.say(f"RCPT TO:<x{n}@sms.example.com>") for n in range(4900)]
        await client.say("DATA")
        client.send(job_mail("ready") + b".\r\n")
        end = await client.reply()
    accepted = await house.daemon.wait_event("inbound.accepted", after=first)

    counts = {code: sum(a.startswith(code) for a in answers) for code in ("250", "452")}
    seen(f"{counts}; then {end[:9]} for {accepted['recipients']}; {cost.told}; {pulse.told}")
    assert counts == {"250": 100, "452": 4900}
    assert all(answer.startswith("452 4.5.3") for answer in answers[100:])
    assert end.startswith("250")
    assert accepted["recipients"] == 100
    assert cost.grown < 16 * MIB
    assert cost.own_lag < LAG_SECONDS
    assert pulse.worst < 1


@case(41, "2,000 idle connections and 300 slow ones", "421 above the caps; a healthy client < 1 s")
async def test_a_crowd_of_connections_is_turned_away_and_a_healthy_client_is_served(
    open_shop: Open, seen: Seen
) -> None:
    _room_for(3000)
    house = await open_shop(login())
    await house.start()
    assert (await send(house, "warm", "bob")).startswith("250")
    async with contextlib.AsyncExitStack() as stack:
        async with healthy(house) as pulse, costs(house) as cost:
            turned, crowd = 0, []
            for n in range(2300):
                # the slow ones come from three addresses more
                source = STRANGER if n < 2000 else f"127.0.0.{3 + n % 3}"
                client = await connect(house.daemon.port(), source, greet=False)
                crowd.append(await stack.enter_async_context(client))
            for n, client in enumerate(crowd):
                banner = await client.reply()
                turned += banner.startswith("421")
                if n >= 2000 and banner.startswith("220"):
                    client.send(b"E")
            assert (await send(house, "healthy", "bob")).startswith("250")
        inside = len(crowd) - turned

    seen(f"{inside} let in, {turned} told 421; {cost.told}; {pulse.told}")
    assert inside <= 80
    assert cost.grown < 16 * MIB
    assert cost.own_lag < LAG_SECONDS
    assert pulse.worst < 1


def _room_for(sockets: int) -> None:
    """Lets this process open so many, or skips."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < sockets:
        pytest.skip(f"no {sockets} open files are allowed here")
    if soft != resource.RLIM_INFINITY and soft < sockets:
        resource.setrlimit(resource.RLIMIT_NOFILE, (sockets, hard))


@case(41, "as many addresses as there are places", "a known sender is still served")
async def test_strangers_from_many_addresses_cannot_shut_a_known_sender_out(open_shop: Open, seen: Seen) -> None:
    house = await open_shop(login())
    await house.start()
    async with contextlib.AsyncExitStack() as stack:
        for n in range(240):
            client = await connect(house.daemon.port(), f"127.0.1.{1 + n // 20}", greet=False)
            await stack.enter_async_context(client)
            await client.reply()
        async with await connect(house.daemon.port(), greet=False) as known:
            banner = await known.reply()

    seen(f"240 strangers of 12 addresses; the known sender is told {banner[:9]}")
    assert banner.startswith("220")


SLOW = """
command_timeout = "2 s"
data_timeout = "3 s"
session_timeout = "4 s"
"""


async def _noops(client: Client) -> None:
    while (answer := await client.say("NOOP")).startswith("250"):
        await asyncio.sleep(0.05)
    assert answer.startswith("421"), answer


async def _drip_command(client: Client) -> None:
    await _drip(client, b"E")


async def _drip_content(client: Client) -> None:
    await envelope(client, "bob@sms.example.com")
    await _drip(client, b"x\r\n")


async def _drip(client: Client, drop: bytes) -> None:
    gone = asyncio.create_task(client.gone())
    while not gone.done():
        client.send(drop)
        await asyncio.sleep(0.05)


async def _deaf(client: Client) -> None:
    """Asks and asks, and reads no answer."""
    client.writer.transport.set_write_buffer_limits(high=1 << 16)
    client.reader._transport.pause_reading()
    with contextlib.suppress(ConnectionError):
        while True:
            client.send(b"HELP\r\n" * 5000)
            await client.writer.drain()


@case(42, "30,000 commands in one go, from four clients", "all answered or cut; loop lag < 100 ms")
@pytest.mark.parametrize("verb", [b"NOOP", b"RSET", b"X"], ids=["noop", "rset", "unknown"])
async def test_many_commands_in_one_go_hold_nobody_up(verb: bytes, shop: House, seen: Seen) -> None:
    assert (await send(shop, "warm", "bob")).startswith("250")

    async def hurry() -> bytes:
        async with await connect(shop.daemon.port()) as client:
            client.send((verb + b"\r\n") * 30_000 + b"QUIT\r\n")
            return await client.gone()

    async with healthy(shop) as pulse, costs(shop) as cost:
        told = await asyncio.gather(*(hurry() for _ in range(4)))
    ends = {one.splitlines()[-1] for one in told}

    seen(f"{verb.decode()}: {sorted(ends)}; {cost.told}; {pulse.told}")
    assert {end[:3] for end in ends} <= {b"221", b"421"}
    assert cost.grown < 16 * MIB
    assert cost.own_lag < LAG_SECONDS
    assert pulse.worst < 1


@case(42, "NOOP for ever, drips, a client that does not read", "cut by the timers; memory flat")
async def test_slow_clients_are_cut_by_the_timers_and_cost_no_memory(open_shop: Open, seen: Seen) -> None:
    house = await open_shop(login(SLOW))
    await house.start()
    assert (await send(house, "warm", "bob")).startswith("250")
    clock = asyncio.get_running_loop().time
    times: dict[str, float] = {}

    async def timed(play: Callable[[Client], object]) -> None:
        begun = clock()
        async with await connect(house.daemon.port()) as client:
            await play(client)  # type: ignore[misc]
        times[play.__name__.strip("_")] = clock() - begun

    async with healthy(house) as pulse, costs(house) as cost, asyncio.timeout(30), asyncio.TaskGroup() as group:
        for play in (_noops, _drip_command, _drip_content, _deaf):
            group.create_task(timed(play))

    told = "; ".join(f"{name} cut after {took:.1f} s" for name, took in times.items())
    seen(f"{told}; {cost.told}; {pulse.told}")
    assert max(times.values()) < 15
    assert cost.grown < 16 * MIB
    assert pulse.worst < 1
