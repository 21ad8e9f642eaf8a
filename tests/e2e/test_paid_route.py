"""What the language of the stories cannot say of the paid route: a clock that is moved, a request that goes astray."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

import pytest
from daemon import SECONDS
from house import House, opened

from gateway import house as rooms
from gateway.config import load
from gateway.simulator.hooks import status_form
from gateway.simulator.journal import Posted
from gateway.simulator.phones import Script
from gateway.simulator.world import World

ALICE = "+12025550103"
IN_TWO_ZONES = "+18505550143"  # 850 is in Eastern and in Central time
QUIET = """
[policy]
quiet_hours = "20:00-08:00"
"""


class Movable(Protocol):
    def now(self) -> datetime: ...

    def advance(self, by: timedelta | float) -> datetime: ...


@dataclass(slots=True)
class Shop:
    """The rooms behind the doors in this process, by a clock that moves only when told."""

    house: rooms.House
    world: World
    clock: Movable

    async def command(self, verb: str, **arguments: Any) -> list[dict[str, Any]]:
        answer = await self.house.commands.run(verb, arguments)
        assert "error" not in answer, answer
        rows: list[dict[str, Any]] = answer["rows"]
        return rows

    async def text(self, words: str) -> dict[str, Any]:
        """What the queue says of a text to the customer, once it is planned or sent."""
        (sent,) = await self.command("send", to=IN_TWO_ZONES, text=words)
        async with asyncio.timeout(SECONDS):
            while True:
                rows = await self.command("queue.list", all=True)
                if found := [r for r in rows if r["id"] == f"{sent['id']}.1.1"]:
                    return found[0]

    async def until(self, ident: str, fate: str, reason: str = "") -> dict[str, Any]:
        """That delivery once it stands so."""
        async with asyncio.timeout(SECONDS):
            while True:
                rows = await self.command("queue.list", all=True)
                for row in rows:
                    if (row["id"], row["fate"]) == (ident, fate) and reason in ("", row["reason"]):
                        return row

    async def move_to(self, hour: int, minute: int, second: int = 0) -> None:
        """Lets the clock in New York show the next such time, and the dispatcher look at what is due by then."""
        now = self.clock.now()
        local = now.astimezone(self.house.rules().timezone)
        wanted = local.replace(hour=hour, minute=minute, second=second)
        wanted += timedelta(days=wanted < local)
        self.clock.advance(wanted - local)
        moved = time.monotonic()
        self.house.dispatcher.take((), later=True)
        async with asyncio.timeout(SECONDS):
            while (self.house.dispatcher.turned_at or 0.0) <= moved:
                await self.house.spool.ping()

    async def posted(self, words: str) -> Posted:
        def found(world: World) -> Posted | None:
            entries = (e for e in world.journal.entries if isinstance(e, Posted))
            return next((e for e in entries if dict(e.form)["Body"] == words), None)

        posted = await self.world.wait(found, SECONDS)
        assert posted is not None
        return posted


@asynccontextmanager
async def running(state: Path, clock: Movable, differences: str) -> AsyncIterator[Shop]:
    async with opened(state, differences) as made:
        made.world.twilio.phones.default = Script(callbacks=False)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(rooms, "SystemClock", lambda: clock)
            house = rooms.House(load(state / "config.toml"))
        with rooms.owned(house.config):
            await rooms.open_spool(house)
            await house.reader.start()
            loops = asyncio.create_task(house.engine.run())
            try:
                shop = Shop(house, made.world, clock)
                await shop.command("consent.grant", phone=IN_TWO_ZONES, method="paper", evidence="form 17")
                yield shop
            finally:
                house.engine.stop()
                await loops
                await house.close()


async def test_quiet_hours_hold_a_text_until_they_lift_in_the_last_zone_of_the_phone(
    state: Path, clock: Movable
) -> None:
    async with running(state, clock, QUIET) as shop:
        await shop.move_to(21, 0)
        held = await shop.text("See you on Tuesday.")
        await shop.move_to(8, 59, 59)  # 07:59:59 in Chicago
        (still,) = [r for r in await shop.command("queue.list") if r["id"] == held["id"]]
        before = dict(shop.world.twilio.posts)
        await shop.move_to(9, 0)
        posted = await shop.posted("See you on Tuesday.")

        assert (held["fate"], held["reason"]) == ("waiting", "quiet hours")
        assert held["due_at"] == "2026-11-24T14:00:00Z"
        assert (still["fate"], still["attempts"]) == ("waiting", 0)
        assert before == {}
        # not a second before: it expires [policy] expires_after after the moment from which it may go
        assert dict(posted.form)["ValidityPeriod"] == str(4 * 3600)


async def test_the_provider_may_not_deliver_into_quiet_hours(state: Path, clock: Movable) -> None:
    async with running(state, clock, QUIET) as shop:
        await shop.move_to(19, 30)
        await shop.text("You can come until eight.")
        evening = await shop.posted("You can come until eight.")
        await shop.move_to(19, 59, 45)
        late = await shop.text("Too late for today.")

        assert dict(evening.form)["ValidityPeriod"] == "1800"
        # what has less than half a minute waits rather than fail
        assert (late["fate"], late["reason"]) == ("waiting", "quiet hours")
        assert late["due_at"] == "2026-11-24T14:00:00Z"
        assert shop.world.twilio.posts == {IN_TWO_ZONES: 1}


async def test_a_wait_that_hold_at_most_does_not_allow_ends_at_once(state: Path, clock: Movable) -> None:
    async with running(state, clock, QUIET + 'hold_at_most = "11 h"\n') as shop:
        await shop.move_to(21, 59, 59)
        expired = await shop.text("See you on Tuesday.")
        await shop.move_to(22, 0, 0)
        held = await shop.text("See you on Wednesday.")

        assert (expired["fate"], expired["code"]) == ("expired", "4.4.7")
        assert (held["fate"], held["due_at"]) == ("waiting", "2026-11-24T14:00:00Z")


async def test_a_text_that_a_person_lets_go_at_night_waits_for_the_morning_however_old_it_is(
    state: Path, clock: Movable
) -> None:
    async with running(state, clock, f"{QUIET}hold_at_most = '16 h'\n") as shop:
        await shop.move_to(10, 0)
        shop.world.twilio.faults.add("21211")
        failed = await shop.until((await shop.text("Come in."))["id"], "failed")
        await shop.move_to(22, 0)
        await shop.command("queue.retry", ids=[failed["id"]])
        waiting = await shop.until(failed["id"], "waiting", "quiet hours")
        await shop.move_to(9, 0)
        await shop.until(failed["id"], "handed_over")

        assert waiting["due_at"] == "2026-11-25T14:00:00Z"


async def test_a_text_waits_at_least_as_long_as_the_provider_says(house: House) -> None:
    await house.start()
    house.world.twilio.faults.add("429", to=ALICE, seconds=7)
    await send(house, "ready")
    await house.daemon.wait_event("delivery.deferred", code="20429")
    (listed,) = (await house.daemon.command("queue", "list", "--json")).rows
    await house.daemon.wait_event("delivery.accepted", attempt=2)
    first, second = [e for e in house.world.journal.entries if isinstance(e, Posted)]

    assert (listed["fate"], listed["reason"]) == ("waiting", "retry")
    assert second.at - first.at >= timedelta(seconds=7)
    assert house.world.twilio.posts[ALICE] == 2


async def test_a_text_killed_before_its_request_arrived_is_looked_up_and_sent_once(house: House) -> None:
    async def swallow(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await writer.wait_closed()

    nobody = await asyncio.start_server(swallow, "127.0.0.1", 0)
    port = nobody.sockets[0].getsockname()[1]
    house.merge(f'[twilio]\napi_url = "http://127.0.0.1:{port}"\n')
    house.write()
    await house.start()
    await send(house, "ready")
    await house.daemon.wait_event("delivery.started", courier="twilio")
    await house.daemon.kill()
    nobody.close()
    house.merge(f'[twilio]\napi_url = "{house.world.api_url}"\n')
    house.write()

    after = len(house.daemon.events)
    await house.start()
    resent = await house.daemon.wait_event("delivery.resent", after=after)
    await house.daemon.wait_event("delivery.confirmed", after=after, fate="delivered")
    rows = (await house.daemon.command("queue", "list", "--all", "--json")).rows
    (row,) = [r for r in rows if r["courier"] == "twilio"]

    assert "3 look-ups found nothing" in resent["note"]
    assert house.world.twilio.posts == {ALICE: 1}
    assert (row["fate"], row["attempts"]) == ("delivered", 2)


async def test_a_number_is_paused_by_a_status_that_comes_after_a_restart(house: House) -> None:
    house.world.twilio.phones.default = Script(statuses=("sent", "undelivered"), code=30034, callbacks=False)
    await house.start()
    await send(house, "ready")
    await house.daemon.wait_event("delivery.accepted", courier="twilio")
    await house.daemon.stop()
    (text,) = house.world.phone(ALICE)

    after = len(house.daemon.events)
    await house.start()
    answer = await house.world.twilio.hooks.post(text.callback, status_form(text), text.sid, text.status)
    await house.daemon.wait_event("courier.down", after=after, number="service", courier="twilio")
    await send(house, "ready again")
    await _waits(house)

    assert answer == 204
    assert house.world.twilio.posts[ALICE] == 1


async def _waits(house: House) -> None:
    """Until the queue holds one text that waits for the pause to end."""
    async with asyncio.timeout(SECONDS):
        while True:
            rows = (await house.daemon.command("queue", "list", "--json")).rows
            if [r["reason"] for r in rows if r["fate"] == "waiting" and r["to"] == ALICE] == ["retry"]:
                return


async def send(house: House, words: str) -> None:
    """A mail with those words to Alice, whom the provider texts."""
    raw = f"From: jobs@shop.example.com\r\nSubject: {words}\r\n\r\n{words}\r\n"
    answers = await house.daemon.mail(raw.encode(), "jobs@shop.example.com", ["alice@sms.example.com"])
    assert answers[-1].startswith("250"), answers
