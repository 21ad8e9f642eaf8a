"""The acceptance table: every case that ran, what was seen and how it ended; and the shop that the cases share."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
for room in ("e2e", "intake", "acceptance"):
    sys.path.append(str(TESTS / room))

import house as houses  # noqa: E402
from cases import ELSEWHERE, Open, Seen  # noqa: E402
from rig import Rig  # noqa: E402

Row = tuple[int, str, str, str, str]
_WIDTHS = (3, 34, 40, 56, 13)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--acceptance-table", action="store_true", help="run the long cases too, and print the table")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "case(number, title, expected): a case of the acceptance table")
    config.addinivalue_line("markers", "long: takes minutes; only with --acceptance-table")
    if config.getoption("acceptance_table", default=False) and not hasattr(config, "workerinput"):
        config.pluginmanager.register(Table(), "acceptance-table")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        if (mark := item.get_closest_marker("case")) is not None:
            item.user_properties.append(("case", list(mark.args)))
    if config.getoption("acceptance_table", default=False):
        return
    long = [item for item in items if item.get_closest_marker("long")]
    if long:
        config.hook.pytest_deselected(items=long)
        items[:] = [item for item in items if item not in long]


class Table:
    """Gathers the reports of the run, from all workers, and prints them as the acceptance table."""

    def __init__(self) -> None:
        self._rows: list[Row] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        known = dict(report.user_properties)
        if "case" not in known or not (report.when == "call" or report.outcome != "passed"):
            return
        number, title, expected = known["case"]
        seen = "; ".join(str(value) for name, value in report.user_properties if name == "seen")
        if report.skipped and not hasattr(report, "wasxfail") and isinstance(report.longrepr, tuple):
            seen = report.longrepr[2].removeprefix("Skipped: ")
        outcome: str = report.outcome
        if why := getattr(report, "wasxfail", ""):
            seen, outcome = "; ".join(filter(None, [seen, why])), "gap" if report.skipped else "gap is gone"
        self._rows.append((number, title, expected, seen, outcome))

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        away = [(n, e.title, e.expected, e.reason, "run elsewhere") for n, e in ELSEWHERE.items()]
        terminalreporter.section("acceptance")
        terminalreporter.write_line(_line(("#", "case", "expected", "seen", "outcome")))
        for row in sorted([*self._rows, *away], key=lambda row: (row[0], row[4] == "run elsewhere")):
            terminalreporter.write_line(_line(tuple(map(str, row))))
        count = len(
            {row[0] for row in self._rows if row[4] == "passed"} - {r[0] for r in self._rows if r[4] != "passed"}
        )
        terminalreporter.write_line(f"{count} cases passed, {len(away)} are run elsewhere, in whole or in part")


def _line(cells: tuple[str, ...]) -> str:
    """One row of the table, its cells wrapped."""
    columns = [textwrap.wrap(cell, width) or [""] for cell, width in zip(cells, _WIDTHS, strict=True)]
    height = max(map(len, columns))
    filled = [column + [""] * (height - len(column)) for column in columns]
    lines = zip(*filled, strict=True)
    return "\n".join(
        "  ".join(f"{cell:<{width}}" for cell, width in zip(line, _WIDTHS, strict=True)).rstrip() for line in lines
    )


@pytest.fixture
def seen(record_property: Callable[[str, object], None]) -> Seen:
    """Notes a figure or phrase for the table."""
    return lambda words: record_property("seen", words)


@pytest.fixture
async def open_shop(state: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Open]:
    """Opens the shop of tests/e2e with differences and its daemon not started; at most once for a folder."""
    monkeypatch.setattr(houses, "Daemon", Rig)
    async with AsyncExitStack() as stack:

        async def opened(differences: str = "", folder: Path = state) -> houses.House:
            return await stack.enter_async_context(houses.opened(folder, differences))

        yield opened


@pytest.fixture
async def shop(open_shop: Open) -> houses.House:
    """The shop of tests/e2e as it stands, its daemon started."""
    made = await open_shop()
    await made.start()
    return made
