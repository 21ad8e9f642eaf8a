"""A connection that is kept: how long an answer is waited for, and what is said on it unasked."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from aiosmtpd.smtp import SMTP
from relays import SHORT, Make, Script, Scripted, Start
from test_mail import send

from gateway.core.work import Accepted, Deferred, Unclear


@pytest.mark.parametrize(
    ("step", "command", "final", "kind"),
    [("RCPT", 0.2, 60.0, Deferred), ("DATA", 60.0, 0.2, Unclear)],
    ids=["a command", "the content"],
)
async def test_each_answer_has_its_own_deadline_also_after_one_that_was_longer(
    hop: Start, courier: Make, step: str, command: float, final: float, kind: type[Deferred | Unclear]
) -> None:
    relay = await hop()
    mine = courier(relay.port, timeouts=replace(SHORT, command=command, final=final))
    assert isinstance(await send(mine), Accepted)
    left = asyncio.Event()

    async def hang(_server: SMTP) -> None:
        await left.wait()

    relay.does[step] = hang

    outcome = await send(mine)
    left.set()

    assert isinstance(outcome, kind)
    assert "no answer within 0.2 s" in outcome.reason


async def test_an_answer_may_take_longer_than_one_before_it_was_allowed_to(hop: Start, courier: Make) -> None:
    relay = await hop()
    mine = courier(relay.port, timeouts=replace(SHORT, command=0.2, final=10.0))
    passed = asyncio.Event()

    async def take_time(_server: SMTP) -> None:
        asyncio.get_running_loop().call_later(0.5, passed.set)  # time is what this is about
        await passed.wait()

    relay.does["DATA"] = take_time

    assert isinstance(await send(mine), Accepted)


@pytest.mark.parametrize("said", [b"421 4.4.2 idle for too long\r\n", b"250 2.0.0 Ok\r\n", b"what?\r\n", b"4"])
async def test_a_kept_connection_on_which_something_was_said_unasked_is_replaced(
    script: Scripted, courier: Make, said: bytes
) -> None:
    relay = await script(Script(replies={"RSET": b"250 2.0.0 Ok\r\n" + said, "MAIL": b"450 4.2.1 busy\r\n"}))
    mine = courier(relay.port)
    assert isinstance(await send(mine), Deferred)
    relay.replies = {}

    assert isinstance(await send(mine), Accepted)
    assert relay.lines.count(b"EHLO sms.example.com\r\n") == 2


async def test_all_idle_connections_are_closed_after_a_while(hop: Start, courier: Make) -> None:
    relay = await hop()
    mine = courier(relay.port, timeouts=replace(SHORT, idle=0.1))
    together = asyncio.Barrier(3)

    async def meet(_server: SMTP) -> None:
        await together.wait()

    relay.does["DATA"] = meet
    outcomes = await asyncio.gather(*(send(mine) for _ in range(3)))
    relay.does.clear()
    assert isinstance(await send(mine), Accepted)  # one of them is idle for less long than the others

    await relay.gone(3)

    assert {type(outcome) for outcome in outcomes} == {Accepted}
    assert (relay.sessions, relay.most) == (3, 3)
