"""Lists of consent that are entered as a whole or not at all, and the ledger written out: commands and command line."""

from __future__ import annotations

import csv
import io
import json
import stat
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from shop_store import ANN, BEN, gateway, shop

from gateway.commands import CommandFailed, roll
from gateway.commands.roll import Roll
from gateway.config import Config
from gateway.core.consent_csv import EXPORTED
from gateway.core.model import Consent, Phone
from gateway.core.work import Writes
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
def ledger(config: Config, spool: SqliteSpool, clock: Any) -> Roll:
    return Roll(config=lambda: config, spool=spool, clock=clock)


def line(phone: str = ANN, evidence: str = "form 7", number: int = 2, **cells: str) -> dict[str, str]:
    return {
        "line": str(number),
        "phone": phone,
        "method": "paper",
        "evidence": evidence,
        "at": "2026-11-02T09:30:00-05:00",
        **cells,
    }


def said(phone: Phone, action: str, at: datetime = NOON) -> Writes:
    return Writes(consents=(Consent(id=f"{action}.{phone}", brand="Example Auto", phone=phone, at=at, action=action),))


async def test_a_list_that_is_imported_twice_changes_nothing(ledger: Roll, spool: Any) -> None:
    entries = [line(), line(BEN, number=3, **{"class": "marketing"}, recorded_by="Ann")]
    first = await ledger.imported(entries, actor="root")
    before = await spool.find("consents")
    second = await ledger.imported(entries, actor="root")

    assert {"lines": 2, "added": 2, "known": 0, "left_out": 0, "dry_run": False} == first["rows"][0]
    assert {"lines": 2, "added": 0, "known": 2, "left_out": 0, "dry_run": False} == second["rows"][0]
    assert before == await spool.find("consents")
    assert [("informational", "root"), ("marketing", "Ann")] == [(r["klass"], r["recorded_by"]) for r in before]
    assert {"2026-11-02T14:30:00Z"} == {r["at"] for r in before}


async def test_a_dry_run_says_what_would_be_and_writes_nothing(ledger: Roll, spool: Any) -> None:
    answer = await ledger.imported([line()], dry_run=True)

    assert {"lines": 1, "added": 1, "known": 0, "left_out": 0, "dry_run": True} == answer["rows"][0]
    assert await spool.find("consents") == []


async def test_one_wrong_line_keeps_all_others_out(ledger: Roll, spool: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(roll, "_STEP", 1)
    answer = await ledger.imported([line(), line("555", number=3), line(BEN, number=4, method="guess")])

    assert [(3, "phone"), (4, "method")] == [(p["line"], p["column"]) for p in answer["problems"]]
    assert await spool.find("consents") == []


async def test_a_stop_refuses_the_list_unless_such_lines_are_left_out(ledger: Roll, spool: Any) -> None:
    await spool.write(said(ANN, "stop"))
    entries = [line(), line(BEN, number=3)]
    refused = await ledger.imported(entries)
    after = await spool.find("consents", phone=BEN)
    skipped = await ledger.imported(entries, skip_stopped=True)
    text = "+12025550143 said STOP on 2026-11-23: only a START from that phone lifts it"

    assert [{"line": 2, "column": "phone", "error": text}] == refused["problems"]
    assert after == []
    assert (1, 1) == (skipped["rows"][0]["added"], skipped["rows"][0]["left_out"])
    assert ["stop"] == [r["action"] for r in await spool.find("consents", phone=ANN)]


async def test_an_old_consent_does_not_undo_a_newer_opt_out(ledger: Roll, spool: Any, clock: Any) -> None:
    await spool.write(said(ANN, "revoke"))
    old = await ledger.imported([line()])
    clock.advance(DAY)
    new = await ledger.imported([line(evidence="form 8", at="2026-11-24T10:00:00-05:00")])

    assert ["+12025550143 was opted out on 2026-11-23, after this consent"] == [p["error"] for p in old["problems"]]
    assert 1 == new["rows"][0]["added"]


async def test_the_same_consent_cannot_be_dated_past_an_opt_out(ledger: Roll, spool: Any, clock: Any) -> None:
    await ledger.imported([line()])
    await spool.write(said(ANN, "revoke"))
    clock.advance(DAY)
    answer = await ledger.imported([line(at="")])

    assert ["phone"] == [p["column"] for p in answer["problems"]]


async def test_a_list_that_is_too_long_is_refused_whole(ledger: Roll, monkeypatch: Any) -> None:
    monkeypatch.setattr(roll, "MOST_ENTRIES", 1)
    with pytest.raises(CommandFailed, match="at most 1 lines"):
        await ledger.imported([line(), line(BEN)])


async def test_the_export_names_our_number_to_which_a_stop_was_texted(ledger: Roll, spool: Any) -> None:
    (stop,) = said(ANN, "stop").consents
    await spool.write(Writes(consents=(replace(stop, number="+12025550100"),)))
    (row,) = (await ledger.exported())["rows"]

    assert ("stop", "+12025550100") == (row["action"], row["number"])


async def test_the_export_brings_every_entry_page_by_page(ledger: Roll, spool: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(roll, "PAGE", 2)
    await ledger.imported([line(), line(BEN)])
    await spool.write(said(ANN, "stop"))
    pages = [await ledger.exported(), await ledger.exported(offset=2)]

    assert [(["grant", "grant"], True), (["stop"], False)] == [
        ([r["action"] for r in page["rows"]], page["more"]) for page in pages
    ]
    assert {EXPORTED} == {tuple(r) for page in pages for r in page["rows"]}


@pytest.mark.usefixtures("config")
def test_a_list_with_problems_is_told_line_by_line_with_exit_1(state: Path) -> None:
    (state / "list.csv").write_text("phone,method,evidence\n555,paper,form 7\n2025550143,papr,form 8\n")
    done = gateway(state, "consent", "import", str(state / "list.csv"))

    assert (1, "") == (done.returncode, done.stdout)
    assert done.stderr.splitlines()[0] == f"{state}/list.csv:2: error: phone: '555' is not a phone number"
    assert done.stderr.splitlines()[1].startswith(f"{state}/list.csv:3: error: method: 'papr' is none of paper")
    assert done.stderr.splitlines()[2:] == ["gateway: nothing was recorded: 2 problems"]


@pytest.mark.usefixtures("config")
def test_a_list_that_is_not_utf_8_is_told_by_its_line(state: Path) -> None:
    (state / "list.csv").write_bytes("phone,method,evidence\n2025550143,paper,café\n".encode("latin-1"))
    done = gateway(state, "consent", "import", str(state / "list.csv"))

    assert 1 == done.returncode
    assert done.stderr.startswith(f"{state}/list.csv:2: error: is not UTF-8")


@pytest.mark.usefixtures("config")
def test_a_list_goes_in_by_standard_input_and_the_ledger_out_to_a_private_file(state: Path) -> None:
    given = 'phone,method,evidence\n202-555-0143,paper,"form 7, p. 2"\n'
    done = gateway(state, "consent", "import", "-", "--json", given=given)
    again = gateway(state, "consent", "import", "-", given=given)
    out = state / "ledger.csv"
    exported = gateway(state, "consent", "export", "--output", str(out))
    (shown,) = csv.DictReader(io.StringIO(out.read_text()))
    printed = json.loads(gateway(state, "consent", "export", "--json").stdout)

    assert (0, 1) == (done.returncode, json.loads(done.stdout)["added"])
    assert (0, "0 recorded; 1 were in the ledger already\n") == (again.returncode, again.stdout)
    assert (0, "") == (exported.returncode, exported.stdout)
    assert 0o600 == stat.S_IMODE(out.stat().st_mode)
    assert ("grant", ANN, "form 7, p. 2") == (shown["action"], shown["phone"], shown["evidence"])
    assert shown == printed


async def test_a_ledger_that_is_written_out_and_read_again_adds_nothing(ledger: Roll, spool: Any) -> None:
    first = Consent(
        id="m1.vouched",
        brand="Example Auto",
        phone=Phone(ANN),
        at=NOON,
        action="grant",
        method="job_system",
        evidence="mail 1",
    )
    await spool.write(Writes(consents=(first, replace(first, id="m2.vouched", evidence="mail 2"))))

    answer = await ledger.imported([line(method="job_system", evidence=f"mail {n}", number=n) for n in (1, 2, 3)])

    assert {name: answer["rows"][0][name] for name in ("added", "known")} == {"added": 1, "known": 2}
