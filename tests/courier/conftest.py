"""Relays and couriers for the tests of the ways out."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import trustme
from aiosmtpd.smtp import SMTP
from relays import SHORT, Hop, HopSession, Make, Script, Scripted, Start

from gateway.courier.mail import RelayCourier


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="session")
def trusting(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


@pytest.fixture(scope="session")
def serving(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(context)
    return context


@pytest.fixture
async def hop() -> AsyncIterator[Start]:
    """Starts a Hop; keywords are those of aiosmtpd.SMTP, and `implicit` the context of a TLS port."""
    servers: list[asyncio.Server] = []
    hops: list[Hop] = []

    async def start(implicit: ssl.SSLContext | None = None, **options: Any) -> Hop:
        hop = Hop()

        def session() -> SMTP:
            session = HopSession(hop, hostname="relay.example", authenticator=hop.authenticator, **options)
            session.hop = hop
            return session

        server = await asyncio.get_running_loop().create_server(session, "127.0.0.1", 0, ssl=implicit)
        hop.port = server.sockets[0].getsockname()[1]
        servers.append(server)
        hops.append(hop)
        return hop

    yield start
    for server in servers:
        server.close()
    for one in hops:
        for protocol in one.protocols:
            if protocol.transport is not None:
                protocol.transport.abort()
        await one.gone(one.sessions)


@pytest.fixture
async def script() -> AsyncIterator[Scripted]:
    servers: list[asyncio.Server] = []

    async def start(script: Script) -> Script:
        server = await asyncio.start_server(script.serve, "127.0.0.1", 0)
        script.port = server.sockets[0].getsockname()[1]
        servers.append(server)
        return script

    yield start
    for server in servers:
        server.close()


@pytest.fixture
async def courier() -> AsyncIterator[Make]:
    """Makes couriers to localhost, without TLS unless told; all are closed at the end."""
    made: list[RelayCourier] = []

    def make(port: int, **options: Any) -> RelayCourier:
        options = {"host": "localhost", "tls": "off", "timeouts": SHORT, "local_hostname": "sms.example.com"} | options
        made.append(RelayCourier(port=port, **options))
        return made[-1]

    yield make
    for one in made:
        await one.close()


@pytest.fixture
def never() -> Callable[[SMTP], Awaitable[None]]:
    """A step that does not end while the test runs."""

    async def wait(_server: SMTP) -> None:
        await asyncio.Event().wait()

    return wait
