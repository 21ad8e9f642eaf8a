"""The benchmarks run, with tiny numbers; and they compare nothing that does not keep what it takes."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

ROOT = Path(__file__).parents[1]
sys.path.append(str(ROOT))

from benchmarks import bench, load, report  # noqa: E402
from benchmarks.case import POSTFIX, Case, Goal, Result, Values  # noqa: E402
from benchmarks.cases import ALL  # noqa: E402
from benchmarks.durability import synced  # noqa: E402
from benchmarks.plot import svg  # noqa: E402
from benchmarks.processes import Failed  # noqa: E402
from benchmarks.system import System  # noqa: E402
from benchmarks.systems import system  # noqa: E402

_PATH = f"{os.environ.get('PATH', '')}:/usr/sbin"
needs_postfix = pytest.mark.skipif(
    os.geteuid() != 0 or not all(shutil.which(tool, path=_PATH) for tool in ("postfix", "smtp-source", "strace")),
    reason="needs root, postfix and strace",
)
TINY = {"idle": 1}


class Careless(load.Sink):
    """A system that answers 250 and keeps nothing."""

    folder = Path("/var/empty")

    @property
    def pids(self) -> list[int]:
        return [self._program.pid]


async def nothing(_: str, __: Path, ___: int) -> Values:
    return {}


def result(**seen: list[float]) -> Result:
    """Of a case with a goal, as seen by each system in two repeats."""
    goal = Goal(metric="mails/s", least=2.5, ratio=True)
    case = Case(name="it", title="a <case>", measure=nothing, count=1, quick=1, rivals=POSTFIX, goals=(goal,))
    made = Result(case)
    made.seen["mails/s"] = {name.replace("_", " "): values for name, values in seen.items()}
    return made


@needs_postfix
@pytest.mark.parametrize("case", ALL, ids=lambda case: case.name)
async def test_each_case_runs_and_sees_what_its_goals_are_about(case: Case, state: Path) -> None:
    values = await case.measure(case.systems[0], state, TINY.get(case.name, 10))

    assert {goal.metric for goal in case.goals} <= values.keys()


@needs_postfix
@pytest.mark.parametrize("name", POSTFIX)
async def test_the_rival_takes_mail_and_hands_it_on(name: str, state: Path) -> None:
    async with load.Sink(state) as sink, system(name, state, relay=sink.port) as rival:
        await load.mails(rival.port, 10, 2, keep_open=True)
        await sink.holds(10)

        assert sink.count == 10


@needs_postfix
async def test_what_keeps_nothing_is_not_compared_with_what_does() -> None:
    def made(name: str, folder: Path, *, relay: int, hold: bool = False) -> System:
        return Careless(folder) if name == "careless" else system(name, folder, relay=relay, hold=hold)

    refused = await bench.differing(("gateway", *POSTFIX, "careless"), {}, made)

    assert refused == "no fsync before the 250 of careless"
    assert await bench.differing(("gateway", *POSTFIX), {}) == ""


@pytest.mark.parametrize(
    ("log", "expected"),
    [
        pytest.param('1 write(3<s>, "354 go"\n2 fdatasync(5</q/a>) = 0\n1 write(3<s>, "250 ok"\n', ["/q/a"], id="kept"),
        pytest.param(
            '1 write(3<s>, "354 go"\n2 fsync(5</q/a> <unfinished ...>\n1 futex()\n2 <... fsync resumed>) = 0\n'
            '1 sendto(3<s>, "250 ok"\n',
            ["/q/a"],
            id="kept-in-two-lines",
        ),
        pytest.param(
            '1 write(3<s>, "354 go"\n2 fsync(5</q/a> <unfinished ...>\n1 write(3<s>, "250 ok"\n'
            "2 <... fsync resumed>) = 0\n",
            [],
            id="answered-before-its-end",
        ),
        pytest.param(
            '2 fsync(5</q/a>) = 0\n1 write(3<s>, "354 go"\n1 write(3<s>, "250 ok"\n', [], id="before-the-mail"
        ),
        pytest.param('1 write(3<s>, "354 go"\n2 fsync(5</x/a>) = 0\n1 write(3<s>, "250 ok"\n', [], id="elsewhere"),
        pytest.param('1 write(3<s>, "354 go"\n2 fsync(5</q/a>) = -1 EIO\n1 write(3<s>, "250 ok"\n', [], id="failed"),
        pytest.param('1 write(3<s>, "354 go"\n2 fsync(5</q/a>) = 0\n', [], id="never-answered"),
    ],
)
def test_a_mail_is_kept_when_it_was_on_the_disk_before_the_250(log: str, expected: list[str]) -> None:
    assert synced(log, Path("/q")) == expected


def test_a_ratio_is_to_the_better_rival_of_the_same_repeat() -> None:
    seen = result(gateway=[30.0, 40.0], postfix=[10.0, 20.0], postfix_tuned=[15.0, 10.0])

    assert seen.ratios("mails/s", "gateway") == [2.0, 2.0]
    assert "goal ratio >= 2.5: missed" in report.table([seen])


def test_sides_that_must_not_be_compared_have_no_ratio_and_meet_no_goal() -> None:
    seen = result(gateway=[30.0, 40.0], postfix=[10.0, 10.0], postfix_tuned=[10.0, 10.0])
    seen.refused = "no fsync before the 250 of postfix"
    told = report.table([seen])

    assert seen.ratios("mails/s", "gateway") == []
    assert "not compared: no fsync" in told
    assert "goal ratio >= 2.5: -" in told
    assert "met" not in told


async def test_what_was_seen_is_written_after_each_case(tmp_path: Path) -> None:
    path = report.place(tmp_path, quick=True)

    async def fails(_: str, __: Path, ___: int) -> Values:
        raise Failed(f"before it: {path.read_text().count('one mail')}")

    cases = [
        Case(name="first", title="one mail", measure=nothing, count=1, quick=1),
        Case(name="second", title="no mail", measure=fails, count=1, quick=1),
    ]
    seen = bench.Seen(path, repeats=1, quick=True)
    await seen.run(cases)

    assert seen.failed == ["second: before it: 1"]
    assert '"no mail"' in path.read_text()


def test_the_report_is_json_and_a_plot_beside_it(tmp_path: Path) -> None:
    seen = result(gateway=[30.0, 40.0], postfix=[10.0, 10.0], postfix_tuned=[10.0, 10.0])
    path = report.place(tmp_path, quick=False)
    report.write([seen], path, repeats=2, quick=False)

    assert '"met": true' in path.read_text()
    assert path.with_suffix(".svg").read_text() == svg([seen])
    assert ElementTree.fromstring(svg([seen])).tag.endswith("svg")  # noqa: S314  # our own
