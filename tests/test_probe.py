"""Whether a carrier that refused us takes us again: one text finds out, and a relay's yes is none of the carrier's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hop import SENDER_REJECTED, TMOBILE, VERIZON, House, built, carried, ids, table
from postroom import ADMIN, counted, rules

from gateway import way
from gateway.commands.queue import Queue
from gateway.core import gone
from gateway.core.model import Fate
from gateway.core.work import Accepted, Deferred, Delivery, MailParcel, Message, Outcome, Refused
from gateway.way import PAUSED, Way

NOON, SECOND = datetime(2026, 11, 23, 17, tzinfo=UTC), timedelta(seconds=1)
TAKEN, POLICY = Accepted(note="handed over"), Deferred(reason=f"hop answered RCPT with {SENDER_REJECTED}", code="4.2.0")


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[Callable[..., House]]:
    async with built(tmp_path) as make:
        yield make


async def shut(house: House, count: int) -> list[tuple[Message, Delivery]]:
    """So many texts to a carrier that is shut."""
    house.room.run()
    house.room.dispatcher.pause(VERIZON)
    texts = [carried(n) for n in range(count)]
    await house.leave(*texts)
    return texts


async def waiting(house: House, *texts: str) -> None:
    """Waits until each is put off by more than a minute, as its carrier is shut."""
    soon = f"{datetime.now(UTC) + timedelta(minutes=1):%Y-%m-%dT%H:%M}"
    async with asyncio.timeout(10):
        for ident in texts:
            while (row := await house.told(ident))["reason"] != PAUSED or row["due_at"] < soon:
                await asyncio.sleep(0)


def queue(house: House) -> Queue:
    dispatcher = house.room.dispatcher
    return Queue(
        config=lambda: pytest.fail("not asked for"), spool=house.room.spool, take=dispatcher.take,
        retry=dispatcher.take_by_hand, refill=lambda: None,
    )  # fmt: skip


async def test_what_a_relay_takes_is_waited_for_before_the_others_go(
    house: Callable[..., House], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(way, "SHUT_SECONDS", 0.2)
    h = house()
    texts = await shut(h, 10)
    await h.room.bell.until(lambda: bool(h.hop.taken))
    (first,) = h.room.spool.started
    await waiting(h, *(ident for ident in ids(*texts) if ident != first))

    assert [VERIZON] == h.hop.asked


async def test_when_what_a_relay_has_taken_does_not_come_back_all_go(
    house: Callable[..., House], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(way, "SHUT_SECONDS", 0.2)
    monkeypatch.setattr(way, "PROBE_SECONDS", 0.2)
    h = house()
    up = counted("courier.up", "mail")
    texts = await shut(h, 10)
    await h.room.ends_as(Fate.HANDED_OVER, *ids(*texts))

    assert [VERIZON] * 10 == h.hop.asked
    assert up + 1 == counted("courier.up", "mail")


async def test_a_retry_by_hand_lets_one_text_try_at_once_and_the_others_follow_when_it_stays_away(
    house: Callable[..., House], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(way, "PROBE_SECONDS", 0.5)
    h = house()
    texts = await shut(h, 5)
    await waiting(h, *ids(*texts))
    await queue(h).retry(["m3.1.1"])
    await h.room.ends_as(Fate.HANDED_OVER, *ids(*texts))

    assert "m3.1.1" == h.room.spool.started[0]


async def test_a_retry_by_hand_by_the_carriers_own_hosts_lets_the_others_follow_at_once(
    house: Callable[..., House],
) -> None:
    h = house(direct=True, carriers=table(6000))
    texts = await shut(h, 5)
    await waiting(h, *ids(*texts))
    await queue(h).retry(["m3.1.1"])
    await h.room.ends_as(Fate.HANDED_OVER, *ids(*texts))

    assert "m3.1.1" == h.room.spool.started[0]


async def test_many_retries_by_hand_let_one_text_try(house: Callable[..., House]) -> None:
    h = house()
    texts = await shut(h, 5)
    await waiting(h, *ids(*texts))
    await queue(h).retry(list(ids(*texts)))
    await h.room.bell.until(lambda: bool(h.hop.taken))
    (first,) = h.room.spool.started
    await waiting(h, *(ident for ident in ids(*texts) if ident != first))

    assert [VERIZON] == h.hop.asked


@pytest.mark.parametrize("word", ["release", "cancel"])
async def test_no_other_command_opens_a_carrier(house: Callable[..., House], word: str) -> None:
    h = house()
    (_, held), other = carried(0, fate=Fate.HELD), carried(1)
    h.room.dispatcher.pause(VERIZON)
    await h.leave((carried(0)[0], held), other)
    await h.given_back("m1.1.1")
    await getattr(queue(h), word)(["m0.1.1"])
    h.room.run()
    await waiting(h, "m1.1.1", *(["m0.1.1"] if word == "release" else []))

    assert [] == h.hop.asked


async def test_after_a_restart_one_text_finds_out_for_all_that_a_carrier_held(house: Callable[..., House]) -> None:
    h = house(alarm_to=())
    texts = await shut(h, 10)
    await waiting(h, *ids(*texts))
    await h.restarted()
    await h.room.bell.until(lambda: bool(h.hop.taken))
    (first,) = h.room.spool.started
    await waiting(h, *(ident for ident in ids(*texts) if ident != first))

    assert [VERIZON] == h.hop.asked


async def test_replies_and_alarms_need_not_wait_for_a_slow_carrier(house: Callable[..., House]) -> None:
    h = house(alarm_to=())
    h.hop.silent.add(VERIZON)
    await h.leave(*(carried(n) for n in range(8)))
    await h.room.bell.until(lambda: len(h.hop.asked) == 3)
    message, text = carried(9)
    parcel = MailParcel(mail_from="", rcpt_to=ADMIN, data=b"From: x\r\n\r\nhi\r\n")
    await h.leave((message, replace(text, number="", to=ADMIN, phone=None, person="", ways=(), parcel=parcel)))
    await h.room.ends_as(Fate.HANDED_OVER, "m9.1.1")

    assert [ADMIN] == h.hop.taken


def test_an_alarm_says_how_to_try_at_once() -> None:
    _, delivery = carried(0)

    assert "gateway queue retry ID lets one text try at once" in gone.shut_out(delivery, "x", rules(), NOON)[2]


def opened(*, by: str = "time") -> Way:
    """A carrier that was shut at noon and may be tried."""
    made = Way(name=VERIZON, bound=9)
    assert made.shut("refused", "4.2.0", NOON)
    if by == "hand":
        made.reopen()
    else:
        made.open_until = 0.0
    return made


TEXT = carried(0)[1]


@pytest.mark.parametrize(
    ("outcome", "direct", "expected", "closed"),
    [
        pytest.param(TAKEN, False, "opens", True, id="taken by a relay"),
        pytest.param(TAKEN, True, "opens", False, id="taken by the carrier"),
        pytest.param(POLICY, False, "shut", True, id="refused by policy"),
        pytest.param(Refused(reason="550 5.1.1 no such user", code="5.1.1"), True, "opens", False, id="a number's no"),
        pytest.param(Refused(reason="552 5.3.4 too big", code="5.3.4"), False, "", False, id="a relay's own no"),
        pytest.param(Deferred(reason="451 4.3.0 later", code="4.3.0"), True, "", False, id="not now"),
    ],
)
def test_what_the_answer_to_a_probe_changes(outcome: Outcome, direct: bool, expected: str, closed: bool) -> None:
    made = opened()

    assert expected == made.heard(TEXT, outcome, NOON + SECOND, direct=direct)
    assert closed == (made.closed_for(TEXT) > 0)


@pytest.mark.parametrize(
    ("posted", "expected"),
    [
        pytest.param(SECOND, True, id="the probe"),
        pytest.param(-SECOND, False, id="what left before"),
        pytest.param(timedelta(), False, id="what shut it"),
    ],
)
@pytest.mark.parametrize("probed", [True, False], ids=["waited for", "open again"])
def test_only_what_left_since_a_carrier_was_shut_shuts_it_anew(posted: timedelta, expected: bool, probed: bool) -> None:
    made = opened()
    made.heard(TEXT, TAKEN, NOON + SECOND, direct=not probed)

    assert expected == made.shut("its texts come back", "", NOON + 9 * SECOND, NOON + posted)
    assert (expected or probed) == (made.closed_for(TEXT) > 0)


def test_a_carrier_that_was_refused_again_is_left_alone_for_longer() -> None:
    made = opened()
    made.heard(TEXT, TAKEN, NOON + SECOND, direct=False)
    made.shut("its texts come back", "", NOON + 9 * SECOND, NOON + SECOND)

    assert made.closed_for(TEXT) > way.SHUT_SECONDS * 1.5


@pytest.mark.parametrize("outcome", [TAKEN, POLICY])
def test_what_was_under_way_when_a_carrier_was_shut_changes_nothing(outcome: Outcome) -> None:
    made = Way(name=VERIZON, bound=9)
    made.shut("refused", "4.2.0", NOON)
    before = made.open_until

    assert "" == made.heard(TEXT, outcome, NOON, direct=False)
    assert before == made.open_until


def test_nobody_opens_a_carrier_whose_probe_is_waited_for() -> None:
    made = opened(by="hand")
    assert made.closed_for(TEXT) == 0
    made.heard(TEXT, TAKEN, NOON + SECOND, direct=False)
    made.reopen()
    made.proven()

    assert made.closed_for(TEXT) > 0


def test_the_answer_to_a_text_by_a_carrier_that_takes_us_changes_nothing() -> None:
    made = Way(name=TMOBILE, bound=9)

    assert ["", ""] == [made.heard(TEXT, TAKEN, NOON, direct=direct) for direct in (True, False)]
    assert made.closed_for(TEXT) == 0
