"""What the whole-daemon tests share."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from house import House, opened


@pytest.fixture
async def house(state: Path) -> AsyncIterator[House]:
    """The shop, not started yet."""
    async with opened(state) as made:
        yield made
