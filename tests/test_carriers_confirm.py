"""`gateway carriers confirm`: an admin's word on an address, taken where a text would go there."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from clock import FakeClock

from gateway.commands import CommandFailed
from gateway.commands.ledger import Ledger
from gateway.config import Config, load
from gateway.core.model import Confirmation
from gateway.spool.sqlite import SqliteSpool

CONFIG = """
domain = "sms.example.com"
alarm_to = ["admin@shop.example.com"]
[smtp]
listen = ["127.0.0.1:0"]
[relay]
host = "127.0.0.1"
tls = "off"
[[sender]]
name = "jobs"
networks = ["192.0.2.10"]
"""
CARRIERS = """
[works]
name = "Works"
sms.address = "{national}@works.example"
sms.status = "active"
[maybe]
name = "Maybe"
sms.address = "{national}@maybe.example"
sms.status = "unverified"
[ended]
name = "Ended"
sms.address = "{national}@ended.example"
sms.status = "retiring"
sms.ends = 2026-11-20
[nameless]
name = "Nameless"
sms.domain = "nameless.example"
sms.status = "unverified"
"""
PEOPLE = {
    "alice": ("works", "+12025550111"),
    "bob": ("maybe", "+12025550112"),
    "carol": ("ended", "+12025550114"),
    "dave": ("nameless", "+12025550115"),
    "erin": ("", "+12025550116"),
    "frank": ("works", "+442079460018"),
}


@dataclass(slots=True)
class Desk:
    config: Config
    spool: SqliteSpool
    clock: FakeClock

    async def confirm(self, name: str) -> dict[str, Any]:
        ledger = Ledger(config=lambda: self.config, spool=self.spool, clock=self.clock)
        (row,) = (await ledger.confirm(name, actor="ann"))["rows"]
        return dict(row)

    async def came_back(self, address: str) -> None:
        word = Confirmation(
            employee="alice", address=address, at=self.clock.now(), by="bounce", works=False, how="bounce"
        )
        await self.spool.confirm(word)

    async def refusal(self, name: str) -> str:
        with pytest.raises(CommandFailed) as failed:
            await self.confirm(name)
        assert 1 == failed.value.exit_code
        assert [] == await self.spool.find("confirmations")
        return failed.value.text


@pytest.fixture
async def desk(state: Path, clock: FakeClock) -> AsyncIterator[Desk]:
    path = state / "config.toml"
    people = (
        f'[[employee]]\nname = "{name}"\nphone = "{phone}"\n' + (f'carrier = "{row}"\n' if row else "")
        for name, (row, phone) in PEOPLE.items()
    )
    path.write_text(CONFIG + "".join(people))
    (state / "carriers.toml").write_text(CARRIERS)
    config = replace(load(path), state=state)
    spool = SqliteSpool(state / "gateway.db", clock=clock, floor_bytes=0)
    await spool.open()
    yield Desk(config, spool, clock)
    await spool.close()


@pytest.mark.parametrize(
    ("name", "said"),
    [
        pytest.param("carol", "Ended closed ended.example on 2026-11-20: nothing would be sent there", id="closed"),
        pytest.param("dave", "it is not known how Nameless writes its sms addresses at nameless.example", id="unknown"),
        pytest.param("erin", "erin has no carrier address to confirm: no carrier is set; ask erin", id="no carrier"),
        pytest.param("frank", "Works takes no number of this country: leave carrier out", id="another country"),
        pytest.param("mallory", "there is no employee named 'mallory' (known: alice", id="nobody"),
    ],
)
async def test_what_would_not_be_texted_is_not_confirmed(desk: Desk, name: str, said: str) -> None:
    assert said == (await desk.refusal(name))[: len(said)]


async def test_a_domain_that_takes_no_mail_is_not_confirmed(desk: Desk) -> None:
    desk.config = replace(desk.config, rules=replace(desk.config.rules, dead={"works.example": "it does not exist"}))

    assert (
        "works.example takes no mail: it does not exist: nothing would be sent there, so nothing was recorded; "
        "ask alice for the carrier of today, or: gateway carriers suggest alice"
    ) == await desk.refusal("alice")


async def test_a_word_is_needed_where_nobody_has_proven_the_carrier_and_where_the_address_came_back(
    desk: Desk,
) -> None:
    assert (True, "2025550112@maybe.example") == ((row := await desk.confirm("bob"))["needed"], row["address"])
    assert not (await desk.confirm("alice"))["needed"]
    desk.clock.advance(timedelta(hours=1))
    await desk.came_back("2025550111@elsewhere.example")
    assert not (await desk.confirm("alice"))["needed"]
    desk.clock.advance(timedelta(hours=1))
    await desk.came_back("2025550111@works.example")
    desk.clock.advance(timedelta(hours=1))
    assert (await desk.confirm("alice"))["needed"]
    assert not (await desk.confirm("alice"))["needed"]
