"""The spools that the contract is run against."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol

import apsw
import pytest

from gateway.ports import Spool
from gateway.spool import database
from gateway.spool.sqlite import SqliteSpool


class Clock(Protocol):
    def now(self) -> datetime: ...

    def advance(self, by: timedelta | float) -> datetime: ...


BACKENDS = ("sqlite",)


@pytest.fixture(params=BACKENDS)
async def spool(request: pytest.FixtureRequest, path: Path, clock: Clock) -> AsyncIterator[Spool]:
    """An empty, open spool; another backend is another name here."""
    assert request.param == "sqlite"
    opened = SqliteSpool(path, clock=clock, timezone=UTC)
    await opened.open()
    yield opened
    await opened.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "gateway.db"


@pytest.fixture
def connection(path: Path) -> Iterator[apsw.Connection]:
    opened = database.connect(path)
    yield opened
    opened.close()
