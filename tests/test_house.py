"""A command without a daemon changes the store under the state lock, and sends nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from postroom import Now, by_carrier, text, writes

from gateway.config import Config, load
from gateway.core.model import Fate
from gateway.core.work import Delivery, Message, Settlement
from gateway.house import StartError, offline, owned
from gateway.simulator.world import World
from gateway.spool.lock import StateLock
from gateway.spool.sqlite import SqliteSpool

ACCOUNT, TOKEN = "AC" + "0" * 32, "a token that only this test knows"
SHOP = """
domain = "sms.example.com"
brand = "Example Auto"
timezone = "UTC"
alarm_to = ["admin@shop.example.com"]
[smtp]
listen = ["127.0.0.1:0"]
min_free_disk = "1 MB"
[relay]
host = "127.0.0.1"
port = {port}
tls = "off"
[twilio]
account_sid = "{account}"
auth_token = {{ file = "token" }}
api_url = "{api_url}"
[[sender]]
name = "jobs"
networks = ["127.0.0.0/8"]
number = "service"
[[number]]
name = "service"
phone = "+12065550199"
provider = "twilio"
inbox = "desk@shop.example.com"
"""


@dataclass
class Shop:
    config: Config
    world: World

    async def row(self, ident: str) -> tuple[dict[str, Any], list[str]]:
        """The delivery, and the ids of all that the next daemon would find due."""
        spool = SqliteSpool(self.config.database, clock=Now(), floor_bytes=0)
        await spool.open()
        (row,) = await spool.find("delivery", id=ident)
        due = await spool.due(datetime.now(UTC), 10)
        await spool.close()
        return row, [delivery.id for delivery in due]

    async def ended(self, made: tuple[Message, Delivery], outcome: str, fate: Fate, reason: str) -> str:
        """The id of a delivery that ended so."""
        spool = SqliteSpool(self.config.database, clock=Now(), floor_bytes=0)
        await spool.open()
        (leased,) = (await spool.write(writes(made))).leased
        if outcome != "held":
            assert (await spool.start(leased, datetime.now(UTC), 10, None)).done
        attempt = 0 if outcome == "held" else 1
        end = Settlement(delivery=leased.id, attempt=attempt, outcome=outcome, fate=fate, reason=reason)
        assert (await spool.settle(end)).done
        await spool.close()
        return leased.id


@pytest.fixture
async def shop(state: Path) -> AsyncIterator[Shop]:
    secret = state / "token"
    secret.touch(mode=0o600)
    secret.write_text(TOKEN)
    async with World(ACCOUNT, TOKEN, numbers=["+12065550199"]) as world:
        told = SHOP.format(port=world.mail.port, account=ACCOUNT, api_url=world.api_url)
        (state / "config.toml").write_text(told)
        yield Shop(load(state / "config.toml"), world)


def assert_free(config: Config) -> None:
    with StateLock(config.state):
        assert (config.state / "lock").exists()


@pytest.mark.parametrize(
    ("verb", "made", "end"),
    [
        pytest.param("queue.release", text, ("held", Fate.HELD, "budget"), id="release-of-a-paid-text"),
        pytest.param("queue.retry", text, ("refused", Fate.FAILED, ""), id="retry-of-a-paid-text"),
        pytest.param("queue.retry", by_carrier, ("refused", Fate.FAILED, ""), id="retry-of-a-carrier-mail"),
    ],
)
async def test_without_a_daemon_a_command_makes_it_wait_and_sends_nothing(
    shop: Shop, verb: str, made: Any, end: tuple[str, Fate, str]
) -> None:
    ident = await shop.ended(made(), *end)

    answer = await offline(shop.config, verb, {"ids": [ident]})

    assert answer == {"rows": [{"id": ident, "done": True, "why": ""}]}
    row, due = await shop.row(ident)
    assert row["fate"] == "waiting"
    assert due == [ident]
    assert shop.world.twilio.posts == {}
    assert shop.world.mails == []
    assert_free(shop.config)


@pytest.mark.parametrize("evidence", ["", "  "], ids=["empty", "blank"])
async def test_a_grant_without_evidence_is_refused_with_exit_2(shop: Shop, evidence: str) -> None:
    wanted = {"phone": "+12025550143", "method": "paper", "evidence": evidence}

    answer = await offline(shop.config, "consent.grant", wanted)

    assert (answer["exit"], "evidence" in answer["error"]) == (2, True)
    assert (await offline(shop.config, "consent.show", {}))["rows"] == []
    assert_free(shop.config)


async def test_a_command_is_refused_with_exit_75_while_another_process_owns_the_state(shop: Shop) -> None:
    with owned(shop.config), pytest.raises(StartError) as refused:
        await offline(shop.config, "status", {})

    assert refused.value.exit_code == 75
