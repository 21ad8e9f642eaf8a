"""Mails over a real spool and a real relay: a carrier that refuses us, a relay that is down, and the pace."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hop import SENDER_REJECTED, TMOBILE, VERIZON, House, built, carried, ids, table
from postroom import ADMIN, BOB, counted, rules, text, writes

from gateway import way
from gateway.core.carrier import build
from gateway.core.model import Fate
from gateway.core.rules import Rules, Sender


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[Callable[..., House]]:
    async with built(tmp_path) as make:
        yield make


async def test_a_carrier_that_refuses_us_is_left_alone_and_no_other(house: Callable[..., House]) -> None:
    h = house()
    h.hop.says[VERIZON] = [SENDER_REJECTED]
    down = counted("courier.down", "mail")
    await h.leave(carried(0))
    await h.room.ends_as(Fate.WAITING, "m0.1.1")
    await h.room.bell.until(lambda: ADMIN in h.hop.taken)
    others = [carried(1, TMOBILE), carried(2, TMOBILE)]
    await h.leave(carried(3), *others)
    await h.room.ends_as(Fate.HANDED_OVER, *ids(*others))
    await h.given_back("m3.1.1")

    assert Counter({VERIZON: 1, TMOBILE: 2, ADMIN[ADMIN.index("@") :]: 1}) == Counter(h.hop.asked)
    assert counted("courier.down", "mail") == down + 1
    (told,) = [row for row in await h.room.spool.find("queue", all=True, limit=9) if row["to"] == ADMIN]
    assert told["id"].startswith("alarm.policy.vtext.com.")


async def test_after_the_pause_one_text_finds_out_whether_a_carrier_takes_us_again(
    house: Callable[..., House], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(way, "SHUT_SECONDS", 0.2)
    h = house(alarm_to=(), direct=True, carriers=table(6000))
    h.hop.says[VERIZON] = [SENDER_REJECTED, "544 5.7.1 rejecting banned content"]
    up = counted("courier.up", "mail")
    h.room.run()
    await h.leave(carried(0))
    await h.room.ends_as(Fate.WAITING, "m0.1.1")
    waiting = [carried(n) for n in range(1, 9)]
    await h.leave(*waiting)
    await h.room.ends_as(Fate.FAILED, "m1.1.1")
    assert [VERIZON] * 2 == h.hop.asked
    await h.room.ends_as(Fate.HANDED_OVER, *ids(*waiting[1:]))

    assert Counter(h.hop.asked) == {VERIZON: 9}
    assert counted("courier.up", "mail") == up + 1
    assert h.room.account.sent == [("m1.1.2", 1)], "what was refused goes by the provider"


async def test_a_carrier_whose_texts_come_back_is_left_alone(house: Callable[..., House]) -> None:
    h = house()
    down = counted("courier.down", "mail")
    for _ in range(3):
        h.room.dispatcher.pause(VERIZON)
    await h.leave(carried(0), carried(1, TMOBILE))
    await h.room.ends_as(Fate.HANDED_OVER, "m1.1.1")
    await h.given_back("m0.1.1")

    assert [TMOBILE] == h.hop.asked
    assert counted("courier.down", "mail") == down + 1


async def test_a_relay_that_is_down_pauses_all_mails_and_the_first_that_goes_ends_it(
    house: Callable[..., House],
) -> None:
    h = house(alarm_to=())
    before = counted("courier.down", "mail"), counted("courier.up", "mail")
    await h.hop.down()
    await h.leave(carried(0))
    await h.room.ends_as(Fate.WAITING, "m0.1.1")
    mail = replace(carried(3)[1], number="", phone=None, person="", ways=())
    others = [carried(1), carried(2, TMOBILE), (carried(3)[0], mail)]
    await h.leave(*others)
    await h.given_back(*ids(*others))
    assert ["m0.1.1"] == h.room.spool.started
    await h.hop.up()
    h.room.run()
    await h.room.ends_as(Fate.HANDED_OVER, *ids(*others))

    assert {"m1.1.1": 1, "m2.1.1": 1, "m3.1.1": 1}.items() <= Counter(h.room.spool.started).items()
    assert (before[0] + 1, before[1] + 1) == (counted("courier.down", "mail"), counted("courier.up", "mail"))


@pytest.mark.parametrize("fault", ["carrier", "relay"])
async def test_what_a_breaker_holds_for_too_long_goes_by_the_provider_without_an_attempt(
    house: Callable[..., House], fault: str
) -> None:
    h = house(alarm_to=())
    if fault == "carrier":
        h.hop.says[VERIZON] = [SENDER_REJECTED]
    else:
        await h.hop.down()
    h.room.run()
    await h.leave(carried(0))
    await h.room.ends_as(Fate.WAITING, "m0.1.1")
    policy = h.room.rules.policy
    soon = datetime.now(UTC) + timedelta(seconds=0.5)
    begun = soon - policy.fallback_after
    await h.leave(carried(1, due_at=begun, expires_at=begun + policy.expires_after))
    await h.room.ends_as(Fate.FAILED, "m1.1.1")
    await h.room.ends_as(Fate.HANDED_OVER, "m1.1.2")

    assert "m1.1.1" not in h.room.spool.started
    assert [("m1.1.2", 1)] == h.room.account.sent
    (attempt,) = (await h.told("m1.1.1"))["attempts"]
    assert ("overdue", True) == (attempt["outcome"], attempt["note"].endswith("; falls back to twilio"))


async def test_what_a_breaker_holds_until_it_is_worth_nothing_expires(house: Callable[..., House]) -> None:
    h = house()
    h.room.run()
    h.room.dispatcher.pause(VERIZON)
    await h.leave(carried(0, ways=(), expires_at=datetime.now(UTC) + timedelta(seconds=0.3)))
    await h.room.ends_as(Fate.EXPIRED, "m0.1.1")

    assert VERIZON not in h.hop.asked


async def test_a_carrier_is_sent_no_more_than_its_pace(house: Callable[..., House]) -> None:
    h = house(carriers=table(per_minute=1))
    slow, fast = [carried(n) for n in range(5)], [carried(n, TMOBILE) for n in range(10, 15)]
    await h.room.spool.write(writes(*slow, *fast), False)
    h.room.run()
    await h.room.ends_as(Fate.HANDED_OVER, "m0.1.1", *ids(*fast))
    await h.room.stopped()

    assert Counter(h.hop.asked) == {VERIZON: 1, TMOBILE: 5}


@pytest.mark.parametrize(
    ("name", "told", "expected"),
    [
        pytest.param(VERIZON, rules(carriers=table()), 0.0, id="no pace is named"),
        pytest.param(VERIZON, rules(carriers=table(30)), 0.5, id="the row's"),
        pytest.param(VERIZON, rules(carriers=table(), direct=True), 1.0, id="to the carrier's own hosts"),
        pytest.param(VERIZON, rules(carriers=table(120), direct=True), 2.0, id="the row's in any case"),
        pytest.param("@gone.example", rules(), 0.0, id="a domain of no row"),
        pytest.param("mail", rules(direct=True), 0.0, id="other mail"),
        pytest.param("service", rules(3.0), 3.0, id="a number"),
    ],
)
def test_the_pace_of_a_way(name: str, told: Rules, expected: float) -> None:
    assert expected == way.pace(name, told)


def test_brands_that_share_a_domain_go_at_the_pace_of_the_slowest() -> None:
    rows = {
        n: {"name": n, "sms": {"address": "{national}@vtext.com", "per_minute": 60 * p}}
        for n, p in (("a", 2), ("b", 1))
    }
    shared, _ = build([("shop", {**rows, "c": {"name": "c", "sms": {"address": "{national}@vtext.com"}}})])

    assert 1.0 == way.pace(VERIZON, rules(carriers=shared))


async def test_an_address_that_is_gone_is_noted_and_told_once_whatever_many_texts_come_back(
    house: Callable[..., House],
) -> None:
    h = house()
    h.hop.says[VERIZON] = ["550 5.1.1 no such user"] * 3
    for n in range(3):
        await h.leave(carried(n))
        await h.room.ends_as(Fate.HANDED_OVER, f"m{n}.1.2")
    await h.room.bell.until(lambda: ADMIN in h.hop.taken)

    assert [ADMIN] == h.hop.taken
    (word,) = await h.room.spool.find("confirmations")
    assert ("bob", False, "bounce") == (word["employee"], word["works"], word["how"])


async def test_of_a_text_that_goes_another_way_no_part_is_sent_any_more(house: Callable[..., House]) -> None:
    h = house()
    message, first = carried(0, fate=Fate.FAILED)
    part = replace(carried(0)[1], id="m0.1.1-2", lane=first.lane)
    whole = replace(text(0, BOB)[1], id="m0.1.2", person="bob")
    await h.leave((message, first), (message, part), (message, whole))
    await h.room.ends_as(Fate.CANCELLED, "m0.1.1-2")
    await h.room.ends_as(Fate.HANDED_OVER, "m0.1.2")

    assert ([], [("m0.1.2", 1)]) == (h.hop.asked, h.room.account.sent)
    assert "the whole text goes by twilio" == (await h.told("m0.1.1-2"))["note"]


async def test_a_fallback_is_paid_of_the_senders_budget(house: Callable[..., House]) -> None:
    """P8: what a carrier refuses must not spend without a bound."""
    h = house(senders=(Sender(name="jobs", numbers=("service",), segments_per_day=1),), alarm_to=())
    h.hop.says[VERIZON] = ["552 5.3.4 too large"] * 2
    await h.leave(carried(0))
    await h.room.ends_as(Fate.HANDED_OVER, "m0.1.2")
    await h.leave(carried(1))
    await h.room.ends_as(Fate.HELD, "m1.1.2")

    assert [("m0.1.2", 1)] == h.room.account.sent
    assert "the budget of sender jobs is used up" == (await h.told("m1.1.2"))["note"]


async def test_what_an_outage_of_the_relay_put_off_goes_as_soon_as_it_is_back(house: Callable[..., House]) -> None:
    h = house(alarm_to=())
    await h.hop.down()
    first, second = carried(0), carried(1)
    await h.leave(first)
    await h.room.ends_as(Fate.WAITING, *ids(first))
    await h.leave(second)
    await h.given_back(*ids(second))
    (put_off,) = await h.room.spool.find("delivery", id=ids(first)[0])
    await h.hop.up()
    h.room.run()
    await h.room.ends_as(Fate.HANDED_OVER, *ids(first, second))

    # Its own try would have come later.
    (sent,) = await h.room.spool.find("delivery", id=ids(first)[0])
    assert (put_off["reason"], sent["due_at"] < put_off["due_at"]) == ("relay", True)
