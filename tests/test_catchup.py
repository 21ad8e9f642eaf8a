"""What no webhook brought is fetched: a real spool, the real Twilio courier, a simulated Twilio."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from catch_up_delivery import handed_over

from gateway.catchup import CatchUp
from gateway.core.model import InboundHook, Phone, StatusIn, TextIn
from gateway.core.rules import Number, Rules
from gateway.courier.twilio import TwilioProvider
from gateway.ports import Media
from gateway.simulator.phones import Script
from gateway.simulator.world import World
from gateway.spool.sqlite import SqliteSpool

ACCOUNT, TOKEN = "AC" + "0" * 32, "token"
OURS, MARIA = Phone("+12025550100"), Phone("+12025550143")
JPEG = b"\xff\xd8\xff\xe0 a picture"
NUMBER = Number(name="service", phone=OURS, provider="twilio")


class Now:
    """The simulator lives by the machine's clock, so this one does too."""

    def now(self) -> datetime:
        return datetime.now(UTC)


@dataclass
class Scene:
    world: World
    spool: SqliteSpool
    catch_up: CatchUp
    provider: TwilioProvider
    rules: Rules
    kept: list[InboundHook] = field(default_factory=list)


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    rules = Rules(
        domain="sms.example.com", country="US", brand="Example Auto", timezone=ZoneInfo("UTC"), numbers=(NUMBER,)
    )
    async with World(ACCOUNT, TOKEN, numbers=[OURS]) as world:
        provider = TwilioProvider(account_sid=ACCOUNT, auth_token=TOKEN, api_url=world.api_url)
        spool = SqliteSpool(tmp_path / "gateway.db", clock=Now(), floor_bytes=0)
        await spool.open()

        async def keep(hook: InboundHook) -> bool:
            stored = await spool.accept(hook)
            if stored.new:
                made.kept.append(hook)
            return stored.new

        async def stopped_within(_: timedelta) -> bool:
            await asyncio.sleep(0)
            return True

        catch_up = CatchUp(
            spool=spool,
            providers={"twilio": provider},
            rules=lambda: made.rules,
            clock=Now(),
            keep=keep,
            stopped_within=stopped_within,
            every=timedelta(seconds=20),
        )
        made = Scene(world, spool, catch_up, provider, rules)
        yield made
        await provider.close()
        await spool.close()


async def test_the_first_time_nothing_is_fetched(scene: Scene) -> None:
    await scene.world.customer_texts(MARIA, OURS, "from before the gateway was there")

    assert await scene.catch_up.texts(NUMBER) == 0
    assert scene.kept == []


async def test_a_text_that_no_webhook_brought_is_fetched_once(scene: Scene) -> None:
    await scene.spool.set_mark(f"inbound {OURS}", datetime.now(UTC))
    await scene.world.customer_texts(MARIA, OURS, "Are you there?")

    assert await scene.catch_up.texts(NUMBER) == 1
    assert await scene.catch_up.texts(NUMBER) == 0

    (hook,) = scene.kept
    assert isinstance(hook.event, TextIn)
    assert hook.id == f"twilio:{hook.event.remote_id}"
    assert (hook.event.author, hook.event.number, hook.event.text) == (MARIA, OURS, "Are you there?")


async def test_texts_are_kept_in_the_order_in_which_they_were_written(scene: Scene) -> None:
    await scene.spool.set_mark(f"inbound {OURS}", datetime.now(UTC))
    for words in ("STOP", "START"):
        await scene.world.customer_texts(MARIA, OURS, words)
    await scene.catch_up.texts(NUMBER)

    assert [h.event.text for h in scene.kept if isinstance(h.event, TextIn)] == ["STOP", "START"]


async def test_a_list_that_cannot_be_read_moves_no_mark(scene: Scene) -> None:
    begun = datetime.now(UTC)
    await scene.spool.set_mark(f"inbound {OURS}", begun)
    scene.world.twilio.faults.add("500-list", count=1)

    assert await scene.catch_up.texts(NUMBER) == 0
    assert await scene.spool.mark(f"inbound {OURS}") == begun


async def test_a_text_that_no_webhook_brought_comes_with_its_pictures(scene: Scene) -> None:
    await scene.spool.set_mark(f"inbound {OURS}", datetime.now(UTC))
    await scene.world.customer_texts(MARIA, OURS, "", [("image/jpeg", JPEG), ("image/jpeg", JPEG)])

    assert await scene.catch_up.texts(NUMBER) == 1
    (hook,) = scene.kept
    assert isinstance(hook.event, TextIn)
    assert [await scene.provider.fetch_media(a, 1000) for a in hook.event.media] == [
        Media(kind="image/jpeg", name="", data=JPEG)
    ] * 2


async def test_a_text_whose_pictures_cannot_be_asked_for_comes_again_and_holds_up_no_other(scene: Scene) -> None:
    begun = datetime.now(UTC) - timedelta(minutes=1)
    await scene.spool.set_mark(f"inbound {OURS}", begun)
    await scene.world.customer_texts(MARIA, OURS, "with a picture", [("image/jpeg", JPEG)])
    await scene.world.customer_texts(MARIA, OURS, "STOP")
    scene.world.twilio.faults.add("500-media", count=1)
    (pictured, _) = scene.world.phone(MARIA)[:2]

    assert await scene.catch_up.texts(NUMBER) == 1
    assert await scene.spool.mark(f"inbound {OURS}") == pictured.created
    assert await scene.catch_up.texts(NUMBER) == 1
    assert [h.event.text for h in scene.kept if isinstance(h.event, TextIn)] == ["STOP", "with a picture"]


async def test_pictures_that_are_known_are_not_asked_for_again(scene: Scene) -> None:
    await scene.spool.set_mark(f"inbound {OURS}", datetime.now(UTC))
    await scene.world.customer_texts(MARIA, OURS, "", [("image/jpeg", JPEG)])
    await scene.catch_up.texts(NUMBER)
    scene.world.twilio.faults.add("500-media", count=1)

    assert await scene.catch_up.texts(NUMBER) == 0
    assert (await scene.spool.mark(f"inbound {OURS}") or datetime.min.replace(tzinfo=UTC)) > scene.kept[0].at


async def test_a_number_without_an_account_is_left_alone(scene: Scene) -> None:
    assert await scene.catch_up.texts(Number(name="other", phone=OURS, provider="flowroute")) == 0


async def test_with_webhooks_too_the_end_of_a_text_is_asked_for_at_the_start(scene: Scene) -> None:
    scene.rules = replace(scene.rules, public_url="https://sms.example.com")
    scene.world.twilio.phones.default = Script(statuses=("sent", "delivered"), callbacks=False)
    delivery = await handed_over(scene.spool, scene.world.api_url, ACCOUNT, TOKEN, OURS, MARIA)
    await scene.world.wait(lambda w: any(t.status == "delivered" for t in w.phone(MARIA)))
    await scene.catch_up.run()

    assert [h.event.delivery for h in scene.kept if isinstance(h.event, StatusIn)] == [delivery]


@pytest.mark.parametrize(
    ("script", "word"),
    [
        pytest.param(Script(statuses=("sent", "delivered"), callbacks=False), "delivered", id="delivered"),
        pytest.param(Script(statuses=("sent", "undelivered"), code=30005, callbacks=False), "undelivered", id="failed"),
    ],
)
async def test_without_webhooks_the_end_of_a_text_is_asked_for(scene: Scene, script: Script, word: str) -> None:
    scene.world.twilio.phones.default = script
    delivery = await handed_over(scene.spool, scene.world.api_url, ACCOUNT, TOKEN, OURS, MARIA)
    await scene.world.wait(lambda w: any(t.status == word for t in w.phone(MARIA)))
    await scene.catch_up.statuses()

    (hook,) = scene.kept
    assert isinstance(hook.event, StatusIn)
    assert (hook.event.delivery, hook.event.attempt, hook.event.status) == (delivery, 1, word)
