"""A clock on the wall that is set while the daemon runs (libfaketime; the steady clock goes on as it was)."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from cases import Open, Seen, case
from house import House
from rig import ALICE, ANN, JOBS, OURS, VOUCHED, rig, rows, send, texted, texts_out, tool

FAKETIME = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1")
FAST = '[[number]]\nname = "service"\nphone = "+12025550100"\nprovider = "twilio"\nsegments_per_second = 1000\n'
# Before the words that start the daemon: it looks for what is too old each second, not each hour.
OFTEN = """
import runpy, sys
from gateway import purger
purger.FIRST_SECONDS = purger.SECONDS = 1.0
sys.argv[:] = sys.argv[2:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""
Move = Callable[[str], None]


@pytest.fixture
def movable(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Move:
    """Moves the clock of every process started from now on: "+1d", "-2h"."""
    tool("faketime")
    if not FAKETIME.exists():
        pytest.skip("faketime is not installed")
    told = tmp_path / "faketime"
    told.write_text("+0")
    monkeypatch.setenv("LD_PRELOAD", str(FAKETIME))
    monkeypatch.setenv("FAKETIME_TIMESTAMP_FILE", str(told))
    monkeypatch.setenv("FAKETIME_NO_CACHE", "1")
    monkeypatch.setenv("FAKETIME_DONT_FAKE_MONOTONIC", "1")
    return lambda words: (told.write_text(words), None)[1]


@case(19, "clock + 1 day and - 2 hours, live", "no storm, nothing stuck, hooks are taken")
@pytest.mark.parametrize(("jump", "end"), [("+1d", "expired"), ("-2h", "sent")])
async def test_a_clock_that_jumps_neither_storms_nor_stops_what_waits(
    jump: str, end: str, open_shop: Open, movable: Move, seen: Seen
) -> None:
    house = await open_shop(FAST)
    await house.start()
    house.world.twilio.faults.add("429", seconds=8)
    await send(house, "waiting")
    await house.daemon.wait_event("delivery.deferred")
    movable(jump)
    after = len(house.daemon.events)
    await send(house, "new", "bob")
    answer = await house.world.customer_texts(ALICE, OURS, "Is it ready?")
    await house.world.wait(lambda w: any("new" in m.text for m in w.mail.to("2025550102@vtext.com")), 20)
    told = ""
    if end == "expired":
        # A clock that is set forward is believed: a text of yesterday is not sent today, and its sender is told.
        await house.daemon.wait_event("delivery.expired", after=after, deadline=60)
        over = "its time was over"
        report = await house.world.wait(lambda w: next((m for m in w.mail.to(JOBS) if over in m.text), None), 20)
        told = f", {report.message['Subject']}"
    else:
        await house.daemon.wait_event("clock.stepped", after=after)
        await house.world.wait(lambda _: texts_out(house, ALICE), 60)

    posts = house.world.twilio.posts[ALICE]
    seen(f"{jump}: a new text went, hook {answer}, the waiting one: {end}{told}; {posts} posts")
    assert answer == 200
    assert posts == (1 if end == "expired" else 2)
    assert len(texts_out(house, ALICE)) == posts - 1


@case(19, "clock set into quiet hours and out of them, live", "quiet hours are evaluated anew")
async def test_quiet_hours_follow_a_clock_that_is_set(open_shop: Open, movable: Move, seen: Seen) -> None:
    begin, end = _from_here(timedelta(hours=2)), _from_here(timedelta(hours=6))
    house = await open_shop(f'{VOUCHED}[policy]\nquiet_hours = "{begin:%H:%M}-{end:%H:%M}"\n')
    await house.start()
    assert (await send(house, "before them", ANN[1:])).startswith("250")
    await texted(house, "before them", ANN)
    movable("+4h")
    assert (await send(house, "within them", ANN[1:], subject="RO 18")).startswith("250")
    row = await _waits(house, "quiet hours")
    away = datetime.fromisoformat(row["due_at"]) - datetime.now(UTC)
    during = len(texts_out(house, ANN))
    movable("+7h")
    await _stir(house)
    await texted(house, "within them", ANN)

    seen(f"sent before; 2 h into them held for {away - timedelta(hours=4)}; sent at once when the clock was past them")
    assert during == 1
    assert timedelta(hours=5) < away < timedelta(hours=7)
    assert house.world.twilio.posts[ANN] == 2


@case(19, "clock set back into quiet hours, live", "what waits for them to end is not sent in them")
async def test_a_clock_that_is_set_back_sends_nothing_in_quiet_hours(
    open_shop: Open, movable: Move, seen: Seen
) -> None:
    begin, end = _from_here(timedelta(hours=-3)), _from_here(timedelta(hours=3))
    house = await open_shop(f'{VOUCHED}[policy]\nquiet_hours = "{begin:%H:%M}-{end:%H:%M}"\n')
    movable("+2h")
    await house.start()
    assert (await send(house, "within them", ANN[1:])).startswith("250")
    first = await _waits(house, "quiet hours")
    movable("+0")
    await house.daemon.wait_event("clock.stepped")
    movable("+70m")  # at which it would be due, had the wait only been moved with the clock
    await _stir(house)
    second = await _waits(house, "quiet hours", datetime.now(UTC) + timedelta(minutes=71))

    seen(f"held until {first['due_at'][11:16]}, after the step until {second['due_at'][11:16]}; no post")
    assert first["due_at"] == second["due_at"]
    assert ANN not in house.world.twilio.posts


@case(19, "a year and more later", "what is old is removed; the ledger of consent is kept")
async def test_what_is_removed_with_the_years_is_never_the_ledger(open_shop: Open, seen: Seen) -> None:
    house = await open_shop()
    await house.start()
    grant = ("consent", "grant", ANN, "--method", "paper", "--evidence", "form 17")
    assert (await house.daemon.command(*grant)).code == 0
    await send(house, "ready", ANN[1:])
    await texted(house, "ready", ANN)
    assert await house.world.customer_texts(ANN, OURS, "STOP") == 200
    await house.daemon.wait_event("consent.withdrawn")
    await house.daemon.stop()
    before = await house.daemon.command("consent", "show", ANN, "--json")
    script = house.folder / "often.py"
    script.write_text(OFTEN)
    rig(house).ahead, rig(house).under = 500 * 86_400, (sys.executable, str(script))
    await house.start()
    gone = await house.daemon.wait_event("purge.done")
    after = await house.daemon.command("consent", "show", ANN, "--json")
    answer = await send(house, "ready again", ANN[1:])

    seen(f"500 days later {gone['rows']} rows are removed, {len(after.rows)} entries of the ledger kept; {answer[:9]}")
    assert [] == await rows(house, "--all")
    assert len(before.rows) >= 1
    assert before.rows == after.rows
    assert answer.startswith("550 5.7.1")


def _from_here(ahead: timedelta) -> datetime:
    """The time on the wall where Ann's phone is at home, so much later."""
    return datetime.now(ZoneInfo("America/New_York")) + ahead


async def _stir(house: House) -> None:
    """Makes the daemon look at what is due now, which it does each minute by itself, by a text that is put off."""
    after = len(house.daemon.events)
    house.world.twilio.faults.add("429", seconds=1, to=ALICE)
    await send(house, "what stirs it")
    await house.daemon.wait_event("delivery.deferred", after=after)


async def _waits(house: House, reason: str, after: datetime | None = None) -> dict[str, str]:
    """The row of Ann's text, as soon as it waits for that reason, and until a time after `after`."""
    async with asyncio.timeout(20):
        while True:
            found = [r for r in await rows(house) if (r["to"], r["reason"]) == (ANN, reason)]
            if found and (after is None or datetime.fromisoformat(found[0]["due_at"]) > after):
                assert found[0]["fate"] == "waiting"
                return found[0]
            await asyncio.sleep(0.1)
