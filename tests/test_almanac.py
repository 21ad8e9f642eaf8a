"""What the calendar says: gateways of carriers that end are told ahead, once each, with the employees concerned."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from email import message_from_bytes
from email.policy import default
from pathlib import Path

import pytest
from clock import FakeClock
from postroom import ADMIN, BOB, OURS, rules

from gateway.almanac import Almanac
from gateway.core.carrier import build
from gateway.core.route import CarrierWay, Person, ProviderWay, ways
from gateway.core.rules import Employee, Rules
from gateway.core.work import Delivery, MailParcel
from gateway.events import REGISTRY
from gateway.spool.sqlite import SqliteSpool

END = date(2027, 3, 31)
ROW = {"address": "{national}@vtext.com", "status": "retiring", "ends": END}
TABLE, _ = build([("shop", {"verizon": {"name": "Verizon", "successor": "other", "sms": ROW},
                            "other": {"name": "Other Wireless"}})])  # fmt: skip
TOLD = rules(
    carriers=TABLE,
    employees=(
        Employee(name="bob", phone=BOB, carrier="verizon"),
        Employee(name="eve", phone=BOB, carrier="verizon", fallback="none"),
    ),
)


class Office:
    """An almanac over a real spool, and what it has handed to the dispatcher."""

    def __init__(self, spool: SqliteSpool, clock: FakeClock, told: Rules) -> None:
        self.clock = clock
        self.taken: list[Delivery] = []
        self._almanac = Almanac(
            spool=spool, rules=lambda: told, clock=clock, taken=self.taken.extend, stopped_within=self._stopped
        )

    async def _stopped(self, _pause: timedelta) -> bool:
        return True

    async def looks_on(self, day: date) -> list[str]:
        """The subjects of the mails that follow from a look on that day at noon."""
        self.taken.clear()
        self.clock.advance(datetime(day.year, day.month, day.day, 12, tzinfo=UTC) - self.clock.now())
        await self._almanac.look()
        return [str(mail["Subject"]) for mail in map(written, self.taken)]


def written(delivery: Delivery):  # type: ignore[no-untyped-def]
    assert isinstance(delivery.parcel, MailParcel)
    assert delivery.to == ADMIN
    return message_from_bytes(delivery.parcel.data, policy=default)


@pytest.fixture
async def office(tmp_path: Path, clock: FakeClock) -> AsyncIterator[Office]:
    spool = SqliteSpool(tmp_path / "gateway.db", clock=clock, floor_bytes=0)
    await spool.open()
    yield Office(spool, clock, TOLD)
    await spool.close()


async def test_a_walk_past_the_end_tells_each_step_once(office: Office) -> None:
    heard = {}
    for days in (120, 91, 90, 89, 31, 30, 29, 8, 7, 6, 1, 0, -1, -2, -30):
        for subject in await office.looks_on(END - timedelta(days=days)):
            heard[days] = subject

    assert heard == {
        90: "Verizon closes vtext.com on 2027-03-31, in 90 days: 2 of your employees",
        30: "Verizon closes vtext.com on 2027-03-31, in 30 days: 2 of your employees",
        7: "Verizon closes vtext.com on 2027-03-31, in 7 days: 2 of your employees",
        -1: "Verizon closed vtext.com on 2027-03-31: 2 of your employees",
    }


async def test_the_notice_names_the_employees_and_what_becomes_of_their_texts(office: Office) -> None:
    await office.looks_on(END - timedelta(days=30))
    text = written(office.taken[0]).get_body().get_content()

    assert "- bob: texts go by twilio number service, which costs money" in text
    assert "- eve: texts are refused: eve cannot be texted: Verizon closed vtext.com" in text
    assert "Verizon went to Other Wireless: see gateway carriers show other" in text


async def test_the_days_left_are_a_metric(office: Office) -> None:
    for day, left in ((END - timedelta(days=200), 200), (END + timedelta(days=3), -3)):
        await office.looks_on(day)
        labels = {"carrier": "verizon", "channel": "sms"}
        assert REGISTRY.get_sample_value("gateway_carrier_days_left", labels) == left


async def test_who_starts_the_daemon_late_hears_the_nearest_step_alone(office: Office) -> None:
    assert len(await office.looks_on(END - timedelta(days=5))) == 1
    assert await office.looks_on(END - timedelta(days=4)) == []


@pytest.mark.parametrize(("day", "way"), [(END, CarrierWay), (END + timedelta(days=1), ProviderWay)])
def test_on_the_day_after_the_end_the_route_switches_by_itself(day: date, way: type) -> None:
    bob = TOLD.employees[0]
    found = ways(Person(phone=bob.phone, employee=bob), TOLD.senders[0], TOLD, today=day)

    assert isinstance(found, tuple)
    assert isinstance(found[0], way)
    assert isinstance(found[-1], ProviderWay)
    assert found[-1].number.phone == OURS
