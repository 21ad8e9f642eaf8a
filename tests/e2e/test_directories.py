"""Each directory t-NN-name is one story: what differs in the config, mails in, what comes out.  See story.py."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from house import opened
from story import Story, fits

FOLDERS = sorted(Path(__file__).parent.glob("t-*"))


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
async def test_the_daemon_does_what_the_story_tells(folder: Path, state: Path) -> None:
    differences = folder / "config.toml"
    table = folder / "carriers.toml"
    if table.exists():
        shutil.copy(table, state)
    async with opened(state, differences.read_text() if differences.exists() else "") as house:
        await house.start()
        story = Story(house, folder)
        await story.play()
        wanted = folder / "want.events"
        if wanted.exists():
            in_order(wanted.read_text(), house.daemon.events)


def in_order(wanted: str, events: list[dict[str, object]]) -> None:
    """The lines `name field=value` are an ordered part of the events."""
    rest = iter(events)
    for line in wanted.splitlines():
        name, *fields = line.split()
        values = {"event": name} | dict(field.split("=", 1) for field in fields)
        assert any(fits(event, values) for event in rest), f"not in this order: {line}"
