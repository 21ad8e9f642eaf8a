"""The two reports: the commands behind them, and the command line without a daemon."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import apsw
import pytest
from shop_store import SALES, gateway, shop, text_in, text_out

from gateway.commands import CommandFailed
from gateway.commands.report import Report
from gateway.config import Config
from gateway.core.model import Fate, Kind, Phone
from gateway.spool import database, reports
from gateway.spool.sqlite import SqliteSpool

NOON = datetime(2026, 11, 23, 17, 0, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture
def config(state: Path) -> Config:
    return shop(state)


@pytest.fixture
async def spool(config: Config, clock: Any) -> AsyncIterator[SqliteSpool]:
    opened = SqliteSpool(config.database, clock=clock, timezone=config.rules.timezone)
    await opened.open()
    yield opened
    await opened.close()


@pytest.fixture
def report(config: Config, spool: SqliteSpool, clock: Any) -> Report:
    return Report(config=lambda: config, spool=spool, clock=clock)


def row(sender: str, number: str, month: str = "2026-11", **counts: Any) -> dict[str, Any]:
    empty = {"texts_out": 0, "segments_out": 0, "texts_in": 0, "segments_in": 0, "cost": None}
    left = {"budget_left_day": None, "budget_left_month": None}
    return {"month": month, "sender": sender, "number": number, **empty, **left, **counts}


async def test_usage_counts_segments_cost_and_what_is_left_by_sender_and_number(report: Report, spool: Any) -> None:
    await text_out(spool, "m1", NOON)
    await text_out(spool, "m2", NOON - DAY)
    await text_out(spool, "m3", NOON, sender="desk", number="sales")
    left = {"budget_left_day": 98, "budget_left_month": 996}

    assert [
        row("desk", "sales", texts_out=1, segments_out=2, budget_left_day=9998),
        row("jobs", "service", texts_out=2, segments_out=4, cost=0.0332, **left),
    ] == (await report.usage())["rows"]


async def test_usage_counts_what_was_or_may_have_been_taken_and_nothing_else(report: Report, spool: Any) -> None:
    await text_out(spool, "m1", NOON, outcome="accepted")
    await text_out(spool, "m2", NOON, outcome="unclear")
    await text_out(spool, "m3", NOON, outcome="refused")
    await text_out(spool, "m4", NOON, outcome="", due_at=NOON + DAY)
    await text_out(spool, "m5", NOON, courier="mail")
    (counted,) = (await report.usage(month="2026-11"))["rows"]

    assert (2, 4) == (counted["texts_out"], counted["segments_out"])


async def test_texts_in_belong_to_the_sender_whom_they_reached_else_to_nobody(report: Report, spool: Any) -> None:
    await text_in(spool, "SM1", NOON, "Thanks", sender="jobs")
    await text_in(spool, "SM2", NOON, "é" * 161, sender="jobs")
    await text_in(spool, "SM3", NOON, "😀" * 36, number=SALES)
    await text_in(spool, "SM4", NOON, "?", number=Phone("+12025550109"))
    left = {"budget_left_day": 100, "budget_left_month": 1000}

    assert [
        row("", "+12025550109", texts_in=1, segments_in=1),
        row("", "sales", texts_in=1, segments_in=2),
        row("jobs", "service", texts_in=2, segments_in=3, cost=0.0, **left),
    ] == (await report.usage())["rows"]


async def test_a_month_begins_and_ends_at_midnight_in_the_shop(report: Report, spool: Any, clock: Any) -> None:
    clock.advance(30 * DAY)
    begins = datetime(2026, 11, 1, 4, 0, tzinfo=UTC)  # still summer time in New York
    ends = datetime(2026, 12, 1, 5, 0, tzinfo=UTC)
    second = timedelta(seconds=1)
    for n, at in enumerate((begins - second, begins, ends - second, ends)):
        await text_out(spool, f"m{n}", at)
        await text_in(spool, f"SM{n}", at, "x", sender="jobs")
    counted = {m: (await report.usage(month=m))["rows"] for m in ("2026-10", "2026-11", "2026-12")}

    assert {"2026-10": 1, "2026-11": 2, "2026-12": 1} == {m: rows[0]["texts_out"] for m, rows in counted.items()}
    assert {"2026-10": 1, "2026-11": 2, "2026-12": 1} == {m: rows[0]["texts_in"] for m, rows in counted.items()}


async def test_without_a_month_the_last_twelve_are_shown_newest_first_and_only_the_current_has_a_budget(
    report: Report, spool: Any
) -> None:
    for n, at in enumerate(
        (NOON, NOON - 40 * DAY, datetime(2025, 12, 5, tzinfo=UTC), datetime(2025, 11, 29, tzinfo=UTC))
    ):
        await text_out(spool, f"m{n}", at)
    rows = (await report.usage())["rows"]

    assert [("2026-11", 98), ("2026-10", None), ("2025-12", None)] == [(r["month"], r["budget_left_day"]) for r in rows]


async def test_deliveries_are_counted_by_fate_for_each_courier_number_and_sender(report: Report, spool: Any) -> None:
    await text_out(spool, "m1", NOON)
    await text_out(spool, "m2", NOON)
    await text_out(spool, "m3", NOON, outcome="refused")
    await text_out(spool, "m4", NOON, courier="mail", kind=Kind.REPLY)
    await text_out(spool, "m5", NOON, sender="desk", number="sales", outcome="unclear")
    found = (await report.deliveries(month="2026-11"))["rows"]
    counts = [
        (r["sender"], r["number"], r["courier"], r["kind"], {fate: r[fate] for fate in Fate if r[fate]}) for r in found
    ]

    assert [
        ("desk", "sales", "twilio", "text", {"unknown": 1}),
        ("jobs", "", "mail", "reply", {"handed_over": 1}),
        ("jobs", "service", "twilio", "text", {"handed_over": 2, "failed": 1}),
    ] == counts
    assert found[:1] == (await report.deliveries(sender="desk"))["rows"]
    assert (await report.deliveries(month="2026-10"))["rows"] == []


@pytest.mark.parametrize("month", ["2026", "2026-13", "2026-00", "1999-01", "2026-1", "2026-11-01", "november"])
async def test_what_is_no_month_is_wrong_usage(report: Report, month: str) -> None:
    with pytest.raises(CommandFailed, match="is not a month such as 2026-11") as failed:
        await report.usage(month=month)

    assert failed.value.exit_code == 2


def test_a_report_reads_only_the_rows_of_its_time(tmp_path: Path) -> None:
    connection = database.connect(tmp_path / "gateway.db")
    seen: dict[str, Any] = {}

    def keep(_: apsw.Cursor, sql: str, bindings: Any) -> bool:
        seen[sql] = bindings
        return True

    connection.set_exec_trace(keep)
    for view in (reports.texts_out, reports.texts_in, reports.deliveries_by):
        view(connection, since=NOON - DAY, until=NOON)
    connection.set_exec_trace(None)
    plans = [[r[3] for r in connection.execute("EXPLAIN QUERY PLAN " + sql, seen[sql])] for sql in seen]
    connection.close()

    assert 3 == len(plans)
    assert all(re.search(r"USING INDEX (message|inbound)_at \(at>\? AND at<\?\)", " ".join(steps)) for steps in plans)
    assert [step for steps in plans for step in steps if step.startswith("SCAN") and "CONSTANT" not in step] == []


@pytest.mark.usefixtures("config")
def test_reports_of_nothing_are_exit_0_in_every_form(state: Path) -> None:
    header = gateway(state, "report", "usage", "--csv")
    fates = gateway(state, "report", "deliveries", "--csv", "--month", "2026-11")
    table = gateway(state, "report", "deliveries", "--sender", "jobs")
    both = gateway(state, "report", "usage", "--csv", "--json")

    assert (0, "month,sender,number,texts_out") == (header.returncode, header.stdout[:29])
    assert (0, ["month", "sender", "number", "courier", "kind", *Fate]) == (
        fates.returncode,
        fates.stdout.strip().split(","),
    )
    assert (0, "Nothing was sent or received.\n") == (table.returncode, table.stdout)
    assert 2 == both.returncode


async def test_a_report_shows_the_same_numbers_as_table_csv_and_json(state: Path, config: Config, clock: Any) -> None:
    spool = SqliteSpool(config.database, clock=clock, timezone=config.rules.timezone)
    await spool.open()
    await text_out(spool, "m1", NOON)
    await spool.close()
    forms = {
        form: gateway(state, "report", "usage", "--month", "2026-11", *form.split()) for form in ("", "--csv", "--json")
    }
    (as_csv,) = csv.DictReader(io.StringIO(forms["--csv"].stdout))
    as_json = json.loads(forms["--json"].stdout)
    table = gateway(state, "report", "deliveries", "--month", "2026-11").stdout.split()

    assert as_csv == {name: "" if value is None else str(value) for name, value in as_json.items()}
    assert ["1", "2", "0.0166"] == [as_csv[k] for k in ("texts_out", "segments_out", "cost")]
    assert "0.0166" in forms[""].stdout
    assert [
        "month",
        "sender",
        "number",
        "courier",
        "kind",
        "handed_over",
        "2026-11",
        "jobs",
        "service",
        "twilio",
        "text",
        "1",
    ] == table
