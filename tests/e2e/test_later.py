"""Stories in which time passes, in later/NN-name.  Their language has two verbs more:

later NUMBER s|min|h|d                       the daemon ends, and begins again so much later
on DATE                                      the daemon ends, and begins again at noon (UTC) of that day

A file `begins` holds the day, by the daemon's clock, on which the story starts; else it is today.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import house
import pytest
from daemon import Daemon
from story import Story

FOLDERS = sorted((Path(__file__).parent / "later").glob("*-*"))
AHEAD = Path(__file__).with_name("ahead.py")
UNITS = {"s": "seconds", "min": "minutes", "h": "hours", "d": "days"}


class Later(Daemon):
    """A daemon whose clock, and that of its commands, is `ahead`."""

    ahead = timedelta(0)

    def _words(self, *words: str) -> list[str]:
        interpreter, _, _, *rest = super()._words(*words)
        return [interpreter, str(AHEAD), str(self.ahead.total_seconds()), *rest]

    def leap(self, day: str) -> None:
        """Sets the clock to noon of that day."""
        noon = datetime.fromisoformat(day).replace(hour=12, tzinfo=UTC)
        self.ahead = noon - datetime.now(UTC)


class LaterStory(Story):
    async def v_later(self, number: str, unit: str) -> None:
        daemon = self.house.daemon
        assert isinstance(daemon, Later)
        await daemon.stop()
        daemon.ahead += timedelta(**{UNITS[unit]: float(number)})
        await self.house.start()

    async def v_on(self, day: str) -> None:
        daemon = self.house.daemon
        assert isinstance(daemon, Later)
        await daemon.stop()
        daemon.leap(day)
        await self.house.start()


@pytest.fixture
async def shop(
    request: pytest.FixtureRequest, state: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[house.House]:
    monkeypatch.setattr(house, "Daemon", Later)
    differences = request.param / "config.toml"
    begins = request.param / "begins"
    async with house.opened(state, differences.read_text() if differences.exists() else "") as made:
        if begins.exists():
            assert isinstance(made.daemon, Later)
            made.daemon.leap(begins.read_text().strip())
        yield made


@pytest.mark.parametrize(("shop", "folder"), [(f, f) for f in FOLDERS], ids=lambda f: f.name, indirect=["shop"])
async def test_the_daemon_does_later_what_the_story_tells(shop: house.House, folder: Path) -> None:
    await shop.start()

    await LaterStory(shop, folder).play()
