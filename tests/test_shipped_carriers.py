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
