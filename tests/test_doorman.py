"""Who may send to whom, as the door is told it while the configuration and the ledger change."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from clock import FakeClock

from gateway.config import load
from gateway.core.model import Consent, Door, Inbound, Phone
from gateway.core.work import Writes
from gateway.doorman import Doorman
from gateway.doors import Visit
from gateway.ports import SpoolUnavailable
from gateway.spool.sqlite import SqliteSpool

CONFIG = """
domain = "sms.example.com"
brand = "Example Auto"
alarm_to = ["admin@shop.example.com"]
[smtp]
listen = ["127.0.0.1:0"]
[relay]
host = "127.0.0.1"
tls = "off"
[[sender]]
name = "jobs"
networks = ["192.0.2.10"]
mail_from = ["*@shop.example.com"]
[[employee]]
name = "bob"
phone = "+12025550112"
carrier = "verizon"
[[employee]]
name = "alice"
phone = "+12025550111"
carrier = "verizon"
"""
BOB = Phone("+12025550112")
HERE, ELSEWHERE = Visit(door=Door.SUBMISSION, peer="192.0.2.10"), Visit(door=Door.SUBMISSION, peer="192.0.2.11")
SHOP = "jobs@shop.example.com"


@pytest.fixture
async def spool(state: Path, clock: FakeClock) -> AsyncIterator[SqliteSpool]:
    spool = SqliteSpool(state / "gateway.db", clock=clock, floor_bytes=0)
    await spool.open()
    yield spool
    await spool.close()


class Entrance:
    """A doorman whose configuration can be replaced."""

    def __init__(
        self, state: Path, spool: SqliteSpool, clock: FakeClock, moved: Callable[[], int] | None = None
    ) -> None:
        self._path = state / "config.toml"
        self.arrived: list[Inbound] = []
        self.configure(CONFIG)
        self.man = Doorman(
            config=lambda: self._config,
            spool=spool,
            clock=clock,
            arrived=self.arrived.append,
            has_room=lambda: True,
            moved=moved,
        )

    def configure(self, text: str) -> None:
        self._path.write_text(text)
        self._config = load(self._path)

    async def answer(self, local: str, *, visit: Visit = HERE, mail_from: str = SHOP) -> str:
        """The code and the enhanced code of the refusal; "" = welcome."""
        no = await self.man.rcpt(visit, mail_from, f"{local}@sms.example.com")
        return f"{no.code} {no.enhanced}" if no else ""


@pytest.fixture
def door(state: Path, spool: SqliteSpool, clock: FakeClock) -> Entrance:
    return Entrance(state, spool, clock)


async def test_each_gets_the_answer_to_his_own_question(door: Entrance, spool: SqliteSpool, clock: FakeClock) -> None:
    said = Consent(id="stop", brand="Example Auto", phone=BOB, at=clock.now(), action="stop", method="keyword")
    await spool.write(Writes(consents=(said,)))

    answers = await asyncio.gather(*map(door.answer, ["bob", "alice", "nobody", "postmaster"]))

    assert ["550 5.7.1", "", "550 5.1.1", ""] == answers


async def test_a_new_configuration_is_in_force_at_once(door: Entrance) -> None:
    assert ("", "550 5.7.1") == (await door.answer("bob"), await door.answer("bob", visit=ELSEWHERE))
    assert (True, False) == (door.man.in_network("192.0.2.10"), door.man.in_network("192.0.2.11"))

    door.configure(CONFIG.replace("192.0.2.10", "192.0.2.11").replace('"bob"', '"bert"'))

    assert ("550 5.1.1", "") == (
        await door.answer("bob", visit=ELSEWHERE),
        await door.answer("bert", visit=ELSEWHERE),
    )
    assert "550 5.7.1" == await door.answer("bert")
    assert (False, True) == (door.man.in_network("192.0.2.10"), door.man.in_network("192.0.2.11"))


async def test_a_sender_is_remembered_with_the_address_it_writes_as(door: Entrance) -> None:
    assert "" == await door.answer("bob")
    assert "550 5.7.1" == await door.answer("bob", mail_from="boss@elsewhere.example")
    assert "" == await door.answer("bob")


async def test_a_recipient_that_was_welcome_is_refused_from_the_commit_of_his_stop_on(
    state: Path, clock: FakeClock
) -> None:
    spool = SqliteSpool(state / "gateway.db", clock=clock, floor_bytes=0)
    await spool.open()
    door = Entrance(state, spool, clock, moved=lambda: spool.moved)
    said = Consent(id="stop", brand="Example Auto", phone=BOB, at=clock.now(), action="stop", method="keyword")

    assert ["", ""] == [await door.answer("bob"), await door.answer("bob")]
    giving_up = asyncio.create_task(spool.write(Writes(consents=(said,))))
    await asyncio.sleep(0)
    giving_up.cancel()  # the commit goes on
    await spool.ping()

    assert "550 5.7.1" == await door.answer("bob")
    assert "" == await door.answer("alice")
    await spool.close()


async def test_while_no_consent_moves_a_welcome_recipient_is_not_looked_up_again(state: Path, clock: FakeClock) -> None:
    spool = SqliteSpool(state / "gateway.db", clock=clock, floor_bytes=0)
    await spool.open()
    door = Entrance(state, spool, clock, moved=lambda: spool.moved)
    assert ["", "550 5.1.1"] == [await door.answer("bob"), await door.answer("nobody")]
    await spool.close()

    assert "" == await door.answer("bob")
    with pytest.raises(SpoolUnavailable):
        await door.answer("alice")
