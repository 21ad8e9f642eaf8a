"""The shipped carrier table against the rows that it was made from, in both directions."""

from __future__ import annotations

import csv
import tomllib
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from gateway.core import carrier as carriers
from gateway.core.carrier import CarrierTable, Channel
from gateway.core.model import Phone

ROOT = Path(__file__).parents[1]
ORIGINAL = ROOT / "tests" / "data" / "carriers.csv"
FORMS = {"national10": "{national}", "e164_noplus": "{e164}"}
Key = tuple[str, str]

# What the rows do not say; facts of behaviour with their evidence stand in docs/config.md.
QUIRKS = {"vtext.com": ("no_colon",), "msg.telus.com": ("no_links",)}
MAX_BYTES = {("us-cellular", "mms"): 500_000, ("t-mobile", "mms"): 1_000_000}


@pytest.fixture(scope="module")
def shipped() -> dict[str, Any]:
    return tomllib.loads((ROOT / "carriers.toml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def table(shipped: dict[str, Any]) -> CarrierTable:
    return carriers.build([("shipped", shipped)])[0]


@pytest.fixture(scope="module")
def rows() -> list[dict[str, str]]:
    with ORIGINAL.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def expected_channels(rows: list[dict[str, str]]) -> dict[Key, Channel]:
    found: dict[Key, Channel] = {}
    for row in rows:
        form = FORMS.get(row["number_format"])
        day = date.fromisoformat(row["status_date"]) if row["status_date"] else None
        ending = row["status"] in ("retired", "retiring")
        for channel in carriers.CHANNELS if row["channel"] == "both" else (row["channel"],):
            found[row["id"], channel] = Channel(
                carrier=row["id"],
                name=row["name"],
                channel=channel,
                address=f"{form}@{row['domain']}" if form and row["domain"] else "",
                domain=row["domain"],
                status=row["status"],
                ends=day if ending else None,
                seen=None if ending else day,
                max_chars=int(row["max_chars"] or 0),
                quirks=QUIRKS.get(row["domain"], ()),
                max_bytes=MAX_BYTES.get((row["id"], channel), 0),
                source=row["source"],
            )
    return found


def channels_of(table: CarrierTable) -> dict[Key, Channel]:
    return {(c.id, name): channel for c in table.carriers.values() for name, channel in c.channels.items()}


def test_the_shipped_table_has_no_problems(shipped: dict[str, Any]) -> None:
    assert carriers.build([("shipped", shipped)])[1] == []


def test_every_row_is_shipped_and_nothing_else_is(table: CarrierTable, rows: list[dict[str, str]]) -> None:
    assert len(rows) == 351
    assert channels_of(table) == expected_channels(rows)


def test_every_carrier_keeps_its_name_country_and_successor(table: CarrierTable, rows: list[dict[str, str]]) -> None:
    original = {row["id"]: (row["name"], row["country"], row["successor"]) for row in rows}

    assert {c.id: (c.name, c.country, c.successor) for c in table.carriers.values()} == original


def test_the_rows_of_the_help_page_are_shipped_with_and_without_an_address(
    table: CarrierTable, rows: list[dict[str, str]]
) -> None:
    listed = [row for row in rows if row["in_help_page"] == "yes"]
    shipped = channels_of(table)

    assert len(listed) == 33
    assert set(expected_channels(listed)) <= set(shipped)
    assert {row["id"] for row in listed if not row["domain"]} == {"cellular-one", "comcast", "chatr"}


def test_no_row_is_active_because_none_was_proven(table: CarrierTable) -> None:
    assert {c.status for c in channels_of(table).values()} == {"unverified", "retiring", "retired"}


def test_every_domain_leads_to_its_rows(table: CarrierTable, rows: list[dict[str, str]]) -> None:
    assert set(table.domains) == {row["domain"] for row in rows if row["domain"]}
    assert {c.carrier for c in carriers.by_domain(table, "txt.att.net")} >= {"att", "h2o-wireless"}


@pytest.mark.parametrize(
    ("carrier", "domains"),
    [
        ("verizon", {"vtext.com", "vzwpix.com", "mypixmessages.com"}),
        ("visible", {"vtext.com", "vzwpix.com", "mypixmessages.com"}),
        ("att", {"txt.att.net", "mms.att.net", "cingularme.com", "mmode.com"}),
        ("t-mobile", {"tmomail.net"}),
        ("cricket", {"sms.mycricket.com", "mms.cricketwireless.net", "mms.mycricket.com"}),
        ("public-mobile", {"msg.telus.com", "mms.telusmobility.com"}),
        ("sasktel", {"sms.sasktel.com", "sasktel.com", "cdma.sasktel.com"}),
        ("consumer-cellular", {"mailmymobile.net"}),
    ],
)
def test_phones_answer_from_every_domain_of_their_network(table: CarrierTable, carrier: str, domains: set[str]) -> None:
    assert {domain for domain, ids in table.reply_domains.items() if carrier in ids} == domains


def test_no_mailbox_of_the_public_counts_as_a_phone(table: CarrierTable) -> None:
    assert not {"gmail.com", "sbcglobal.net", "comcast.net", "verizon.net", "sasktel.net"} & set(table.reply_domains)


def test_what_three_gateways_take_is_shipped(table: CarrierTable) -> None:
    taken = {c.id: channel.max_chars for c in table.carriers.values() if (channel := c.channels.get("sms"))}

    assert {name: taken[name] for name in ("verizon", "t-mobile", "us-cellular")} == {
        "verizon": 160,
        "t-mobile": 160,
        "us-cellular": 400,
    }


def test_a_row_without_an_address_is_not_routable_and_renders_nothing(table: CarrierTable) -> None:
    silent = [c for c in channels_of(table).values() if not c.address]

    assert silent
    for channel in silent:
        assert carriers.routable(channel, date(2026, 11, 21)) != ""
        assert carriers.render(channel, Phone("+12025550143")) is None


def test_att_is_refused_with_the_day_of_its_end(table: CarrierTable) -> None:
    channel = table.carriers["att"].channels["sms"]

    assert carriers.routable(channel, date(2026, 11, 21)) == "AT&T closed txt.att.net on 2025-06-17"


def test_verizon_works_through_its_last_day(table: CarrierTable) -> None:
    channel = table.carriers["verizon"].channels["sms"]

    assert carriers.routable(channel, date(2027, 3, 31)) == ""
    assert carriers.routable(channel, date(2027, 4, 1)) == "Verizon Wireless closed vtext.com on 2027-03-31"


def test_us_and_canada_come_first_and_ids_are_in_order(shipped: dict[str, Any]) -> None:
    first = {"US": 0, "CA": 1}
    places = [(first.get(row["country"], 2), row["country"], name) for name, row in shipped.items()]

    assert places == sorted(places)
