"""Doors for mail on loopback, and a certificate authority that only the tests trust."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, MutableMapping
from typing import Any

import pytest
import pytest_asyncio
import trustme
from smtp_house import Client, House, connect, open_house
from structlog.testing import capture_logs


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="session")
def server_tls(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    return context


@pytest.fixture(scope="session")
def client_tls(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


@pytest_asyncio.fixture
async def open_door() -> AsyncIterator[Callable[..., Awaitable[House]]]:
    """Opens doors, with the arguments of `open_house`; they are closed after the test."""
    houses: list[House] = []

    async def opened(**options: Any) -> House:
        houses.append(await open_house(**options))
        return houses[-1]

    yield opened
    for house in houses:
        house.host.disk.set()
        await house.door.close(0)
        assert (house.door.open_sessions, house.door.held_bytes) == (0, 0)


@pytest_asyncio.fixture
async def house(open_door: Callable[..., Awaitable[House]]) -> House:
    """A submission door as it is by default."""
    return await open_door()


@pytest_asyncio.fixture
async def client(house: House) -> AsyncIterator[Client]:
    """A client of `house` that has said EHLO."""
    async with await connect(house.port) as connected:
        yield connected


@pytest.fixture
def events() -> Iterator[list[MutableMapping[str, Any]]]:
    """Every event of the test, in order."""
    with capture_logs() as logged:
        yield logged


@pytest_asyncio.fixture
async def eventually() -> Callable[[Callable[[], bool]], Awaitable[None]]:
    """Waits, turn by turn of the loop, until something is true."""

    async def until(true: Callable[[], bool]) -> None:
        async with asyncio.timeout(20):
            while not true():
                await asyncio.sleep(0)

    return until
