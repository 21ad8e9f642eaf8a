"""Carriers' mail domains that DNS says are gone: believed when it is certain, told once, and taken back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from email import message_from_bytes
from email.policy import default
from functools import partial
from pathlib import Path

import pytest
from clock import FakeClock
from dns.rcode import Rcode
from names import SERVFAIL, Names, Zone, name_server
from postroom import BOB, rules

from gateway.config import load
from gateway.core.carrier import build
from gateway.core.rules import Employee
from gateway.core.work import Delivery, MailParcel
from gateway.events import REGISTRY
from gateway.house import House
from gateway.mx import look_up
from gateway.spool.sqlite import SqliteSpool
from gateway.watch import AGAIN, Watch

VTEXT, OTHER = "vtext.com", "text.other.example"
LIVES: Zone = {(VTEXT, "MX"): ["10 mx.vtext.com."], (OTHER, "MX"): ["10 mx.other.example."]}
ROW = {"address": "{national}@vtext.com", "status": "active"}
TABLE, _ = build([("shop", {"verizon": {"name": "Verizon", "successor": "other", "sms": ROW},
                            "other": {"name": "Other Wireless",
                                      "sms": {"address": f"{{national}}@{OTHER}", "status": "active"}},
                            "old": {"name": "Old", "sms": {"address": "{national}@old.example",
                                                           "status": "retired"}}})])  # fmt: skip
TOLD = rules(
    carriers=TABLE,
    employees=(
        Employee(name="bob", phone=BOB, carrier="verizon"),
        Employee(name="eve", phone=BOB, carrier="verizon", fallback="none"),
        Employee(name="amy", phone=BOB, carrier="other"),
        Employee(name="dan", phone=BOB, carrier="old"),
    ),
)
EVERY = timedelta(hours=6)


class Office:
    """A watch over a real spool and a real name server, and what it has handed to the dispatcher."""

    def __init__(self, spool: SqliteSpool, clock: FakeClock, names: Names) -> None:
        self.spool = spool
        self.clock = clock
        self.names = names
        self.told = TOLD
        self.taken: list[Delivery] = []
        self.pauses: list[timedelta] = []
        self.watch = self.begun()

    def begun(self, every: timedelta = EVERY) -> Watch:
        """A watch as a daemon that was just started has it."""
        self.watch = Watch(
            spool=self.spool,
            rules=lambda: replace(self.told, dead=self.watch.dead),
            clock=self.clock,
            taken=self.taken.extend,
            stopped_within=self._stopped,
            look_up=partial(look_up, servers=["127.0.0.1"], seconds=2.0, port=self.names.port),
            every=every,
        )
        return self.watch

    async def _stopped(self, pause: timedelta) -> bool:
        self.pauses.append(pause)
        return True

    async def looks(self, *after: timedelta) -> dict[str, str]:
        """What is dead after one look at each of these distances."""
        for pause in after:
            self.clock.advance(pause)
            await self.watch.look()
        return dict(self.watch.dead)

    @property
    def mails(self) -> list[str]:
        """The subjects of the alarms."""
        return [str(_mail(delivery)["Subject"]) for delivery in self.taken]


def _mail(delivery: Delivery):  # type: ignore[no-untyped-def]
    assert isinstance(delivery.parcel, MailParcel)
    return message_from_bytes(delivery.parcel.data, policy=default)


@pytest.fixture
async def office(tmp_path: Path, clock: FakeClock) -> AsyncIterator[Office]:
    spool = SqliteSpool(tmp_path / "gateway.db", clock=clock, floor_bytes=0)
    await spool.open()
    async with name_server() as names:
        names.zone |= LIVES
        yield Office(spool, clock, names)
    await spool.close()


NOW, LATER = timedelta(0), AGAIN


@pytest.mark.parametrize(
    ("zone", "why"),
    [
        pytest.param({}, "the domain does not exist", id="NXDOMAIN"),
        pytest.param({(VTEXT, "MX"): ["0 ."]}, "the domain says that it takes no mail (null MX)", id="null MX"),
        pytest.param({(VTEXT, "TXT"): ["x"]}, "the domain has no mail host", id="neither MX nor address"),
    ],
)
async def test_two_definite_answers_ten_minutes_apart_make_a_domain_dead(office: Office, zone: Zone, why: str) -> None:
    del office.names.zone[VTEXT, "MX"]
    office.names.zone |= zone

    assert await office.looks(NOW) == {}
    assert await office.looks(LATER) == {VTEXT: why}


@pytest.mark.parametrize(
    "zone",
    [
        pytest.param({(VTEXT, "MX"): SERVFAIL}, id="no answer"),
        pytest.param({(VTEXT, "A"): SERVFAIL}, id="no MX and no answer for the address"),
        pytest.param({(VTEXT, "A"): ["192.0.2.1"]}, id="no MX but an address"),
        pytest.param({(VTEXT, "AAAA"): ["2001:db8::1"]}, id="no MX but an IPv6 address"),
    ],
)
async def test_what_proves_no_end_leaves_a_domain_alone(office: Office, zone: Zone) -> None:
    del office.names.zone[VTEXT, "MX"]
    office.names.zone |= zone

    assert await office.looks(NOW, LATER, LATER) == {}


async def test_two_answers_within_ten_minutes_count_as_one(office: Office) -> None:
    del office.names.zone[VTEXT, "MX"]

    assert await office.looks(NOW, AGAIN / 2, AGAIN / 2 - timedelta(seconds=1)) == {}


async def test_a_good_answer_between_two_bad_ones_begins_anew(office: Office) -> None:
    del office.names.zone[VTEXT, "MX"]
    await office.looks(NOW)
    office.names.zone |= LIVES
    await office.looks(LATER)
    del office.names.zone[VTEXT, "MX"]

    assert await office.looks(LATER) == {}


async def test_no_answer_between_two_bad_ones_and_after_them_changes_nothing(office: Office) -> None:
    del office.names.zone[VTEXT, "MX"]
    await office.looks(NOW)
    office.names.zone[VTEXT, "MX"] = SERVFAIL
    assert await office.looks(LATER) == {}
    del office.names.zone[VTEXT, "MX"]
    assert VTEXT in await office.looks(LATER)
    office.names.failing = True

    assert VTEXT in await office.looks(LATER)


async def test_a_domain_that_answers_again_comes_back_at_once(office: Office) -> None:
    del office.names.zone[VTEXT, "MX"]
    await office.looks(NOW, LATER)
    office.names.zone |= LIVES

    assert await office.looks(LATER) == {}


async def test_a_resolver_that_says_no_to_everything_is_not_believed(office: Office) -> None:
    office.names.zone.clear()
    before = count("dns.doubted")

    assert await office.looks(NOW, LATER, LATER) == {}
    assert office.mails == []
    assert count("dns.doubted") == before + 1


@pytest.mark.parametrize(
    ("domain", "records", "believed"),
    [
        pytest.param("sms.example.com", ["10 mx.example.com."], True, id="the gateway's"),
        pytest.param("shop.example.com", ["10 mx.example.com."], True, id="that of an alarm's mailbox"),
        pytest.param("shop.example.com", SERVFAIL, False, id="no answer"),
        pytest.param("other.example.com", ["10 mx.example.com."], False, id="another"),
    ],
)
async def test_domains_that_die_together_are_believed_when_dns_finds_one_of_ours(
    office: Office, domain: str, records: list[str] | Rcode, believed: bool
) -> None:
    office.names.zone.clear()
    office.names.zone[domain, "MX"] = records

    assert ({VTEXT, OTHER} if believed else set()) == set(await office.looks(NOW, LATER))


async def test_what_is_dead_stays_dead_while_the_resolver_is_not_believed(office: Office) -> None:
    del office.names.zone[VTEXT, "MX"]
    await office.looks(NOW, LATER)
    office.names.zone.clear()

    assert set(await office.looks(LATER, LATER)) == {VTEXT}


async def test_the_one_domain_in_use_is_believed(office: Office) -> None:
    office.told = replace(TOLD, employees=TOLD.employees[:2])
    del office.names.zone[VTEXT, "MX"]

    assert set(await office.looks(NOW, LATER)) == {VTEXT}


async def test_only_domains_that_employees_can_be_texted_at_are_asked_for(office: Office) -> None:
    await office.looks(NOW)

    assert sorted(office.names.asked) == [(OTHER, "MX"), (VTEXT, "MX")]


async def test_a_domain_that_nobody_uses_any_more_is_forgotten(office: Office) -> None:
    del office.names.zone[VTEXT, "MX"]
    await office.looks(NOW, LATER)
    office.told = replace(TOLD, employees=TOLD.employees[2:])

    assert await office.looks(LATER) == {}


async def test_an_end_is_told_once_also_by_a_daemon_that_was_started_anew(office: Office) -> None:
    del office.names.zone[VTEXT, "MX"]
    await office.looks(NOW, LATER, LATER)
    office.begun()
    await office.looks(LATER, LATER)

    assert office.mails == ["vtext.com takes no mail any more: 2 of your employees"]


async def test_the_alarm_names_the_employees_and_what_becomes_of_their_texts(office: Office) -> None:
    del office.names.zone[VTEXT, "MX"]
    await office.looks(NOW, LATER)
    text = _mail(office.taken[0]).get_body().get_content()

    assert "DNS says of vtext.com, the mail domain of Verizon: the domain does not exist." in text
    assert "- bob: texts go by twilio number service, which costs money" in text
    assert "- eve: texts are refused: eve cannot be texted: " in text
    assert "amy" not in text
    assert "Verizon went to Other Wireless: see gateway carriers show other" in text


async def test_rules_do_not_change_while_dns_says_the_same(office: Office) -> None:
    del office.names.zone[VTEXT, "MX"]
    await office.looks(NOW, LATER)
    before = office.watch.dead
    await office.looks(LATER)

    assert office.watch.dead is before


async def test_the_next_look_comes_soon_after_a_first_bad_answer_and_else_after_the_configured_time(
    office: Office,
) -> None:
    await office.watch.run()
    del office.names.zone[VTEXT, "MX"]
    await office.watch.run()
    office.clock.advance(LATER)
    await office.watch.run()

    assert [pause >= EVERY for pause in office.pauses] == [True, False, True]
    assert AGAIN <= office.pauses[1] < 2 * AGAIN


async def test_a_watch_that_is_off_asks_nobody(office: Office) -> None:
    await office.begun(timedelta(0)).run()

    assert office.names.asked == []


async def test_no_answer_is_said_once_a_day(office: Office) -> None:
    office.names.failing = True
    before = count("dns.failed")
    await office.looks(NOW, LATER, LATER)
    assert count("dns.failed") == before + 1
    await office.looks(timedelta(days=1))

    assert count("dns.failed") == before + 2


SHOP = """
domain = "sms.example.com"
{brand}
[smtp]
listen = ["127.0.0.1:0"]
[relay]
host = "127.0.0.1"
tls = "off"
[[sender]]
name = "jobs"
networks = ["127.0.0.0/8"]
"""


async def test_the_rules_in_force_hold_what_is_dead_across_a_reload_and_are_made_once_for_each_change(
    tmp_path: Path,
) -> None:
    path = tmp_path / "config.toml"
    path.write_text(SHOP.format(brand=""))
    house = House(load(path))
    before = house.rules()
    house.watch.dead = {VTEXT: "gone"}
    marked = house.rules()
    path.write_text(SHOP.format(brand='brand = "Example Auto"'))
    house.config = load(path)
    after = house.rules()

    assert before is not marked
    assert [before.dead, marked.dead, after.dead] == [{}, {VTEXT: "gone"}, {VTEXT: "gone"}]
    assert (after.brand, house.rules() is after, house.current().rules is after) == ("Example Auto", True, True)
    house.watch.dead = {}
    assert house.rules() is house.config.rules


def count(event: str) -> float:
    return REGISTRY.get_sample_value("gateway_events_total", {"event": event, "courier": ""}) or 0.0
