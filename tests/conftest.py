"""What all tests share: a fixed noon, a clock that stands still, and the rule that CI skips nothing unnoticed."""

from __future__ import annotations

import os
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import structlog
from clock import NOON, FakeClock
from hypothesis import settings

# A busy machine is no bug: no example is judged by its time.
settings.register_profile("house", deadline=None)
settings.load_profile("house")

if TYPE_CHECKING:
    from postroom import Room

    from gateway.core.work import Outcome

SKIPS = Path(__file__).with_name("skips.txt")


@pytest.fixture(autouse=True)
def events_go_to_stdout() -> Iterator[None]:
    """A command that a test runs in this process binds the events to a stream of its own: not beyond that test."""
    yield
    structlog.reset_defaults()


@pytest.fixture
def noon() -> datetime:
    return NOON


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def state() -> Iterator[Path]:
    """An empty state directory with a short name: the path of a Unix socket may have no more than 107 bytes."""
    with tempfile.TemporaryDirectory(prefix="gw-") as name:
        yield Path(name)


@pytest.fixture
async def room(tmp_path: Path) -> AsyncIterator[Callable[..., Room]]:
    """Makes the one room of a test (postroom.py); answers of the account, and rules, as given."""
    from postroom import Account, Bell, Now, Relay, Room, Spool, rules

    from gateway.dispatch import Dispatcher
    from gateway.spool.sqlite import SqliteSpool

    bell = Bell()
    real = SqliteSpool(tmp_path / "gateway.db", clock=Now(), floor_bytes=0, lease_seconds=1800)
    await real.open()
    made: list[Room] = []

    def make(answers: Sequence[Outcome] = (), *, rate: float = 1000.0, **changes: Any) -> Room:
        spool, told = Spool(real, bell), rules(rate, **changes)
        relay, account = Relay(bell), Account(bell, answers)
        providers = {"twilio": account}
        dispatcher = Dispatcher(spool=spool, mail=relay, providers=providers, rules=lambda: told, clock=Now())
        made.append(Room(bell, spool, relay, account, dispatcher, told))
        return made[0]

    yield make
    for one in made:
        one.account.open.set()
        one.relay.open.set()
        await one.stopped()
    await real.close()


def pytest_configure(config: pytest.Config) -> None:
    # Under pytest-xdist the controller sees every report: its word is enough.
    if os.environ.get("CI") == "true" and not hasattr(config, "workerinput"):
        config.pluginmanager.register(SkipsAreListed(SKIPS.read_text()), "skips-are-listed")


class SkipsAreListed:
    """Fails a run in which something was skipped, or failed as expected, that skips.txt does not name with a reason."""

    def __init__(self, listed: str) -> None:
        lines = [line for line in listed.splitlines() if line.strip() and not line.startswith("#")]
        entries = [tuple(part.strip() for part in line.partition("|")[::2]) for line in lines]
        if bad := [prefix for prefix, reason in entries if not (prefix and reason)]:
            raise pytest.UsageError(f"skips.txt: a line is `nodeid-prefix | reason`: {bad}")
        self._prefixes = tuple(prefix for prefix, _ in entries)
        self._unlisted: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._note(report.skipped, report.nodeid)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        self._note(report.skipped, report.nodeid)

    def _note(self, skipped: bool, nodeid: str) -> None:
        if skipped and not nodeid.startswith(self._prefixes):
            self._unlisted.append(nodeid)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        if self._unlisted and exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self._unlisted:
            terminalreporter.section("skipped, and not listed in tests/skips.txt", red=True)
            terminalreporter.write_line("\n".join(self._unlisted), red=True)
