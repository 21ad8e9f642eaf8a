"""Socket activation with systemd's own tool: the sockets that it opens are those that the daemon serves."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gateway import activation
from gateway.activation import Passed
from gateway.config import Listener

ACTIVATE = shutil.which("systemd-socket-activate")
SECONDS = 20.0

pytestmark = pytest.mark.skipif(ACTIVATE is None, reason="systemd-socket-activate is missing: apt install systemd")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return int(sock.getsockname()[1])


@contextlib.asynccontextmanager
async def activated(folder: Path, listen: int, *sockets: int) -> AsyncIterator[asyncio.subprocess.Process]:
    """The daemon of a config that listens on port `listen`, behind sockets that it did not open itself."""
    assert ACTIVATE is not None
    (folder / "config.toml").write_text(
        f"""
        domain = "sms.example.com"
        brand = "Example Auto"
        timezone = "America/New_York"
        alarm_to = ["admin@shop.example.com"]
        [smtp]
        listen = ["127.0.0.1:{listen}"]
        [http]
        public = "127.0.0.1:0"
        admin = "127.0.0.1:0"
        [relay]
        host = "127.0.0.1"
        port = 9
        tls = "off"
        """
    )
    places = [word for port in sockets for word in ("-l", f"127.0.0.1:{port}")]
    process = await asyncio.create_subprocess_exec(
        *(ACTIVATE, *places, f"--setenv=PATH={os.environ['PATH']}", sys.executable, "-m", "gateway"),
        *("--config", str(folder / "config.toml"), "serve"),
        cwd=folder,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def knocks(port: int, process: asyncio.subprocess.Process) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A client of the socket, which is what makes the tool start the daemon."""
    assert process.stderr is not None
    async with asyncio.timeout(SECONDS):
        while b"Listening" not in await process.stderr.readline():
            pass
        return await asyncio.open_connection("127.0.0.1", port)


async def event(process: asyncio.subprocess.Process, name: str, word: str = "") -> dict[str, Any]:
    """The next event of that name whose note, where a word is given, has it."""
    assert process.stdout is not None
    async with asyncio.timeout(SECONDS):
        async for line in process.stdout:
            found: dict[str, Any] = json.loads(line)
            if found["event"] == name and word in found.get("note", ""):
                return found
    raise AssertionError(f"the daemon ended before {name}")


async def test_a_client_that_knocked_before_the_daemon_ran_is_served_on_the_socket_that_systemd_opened(
    tmp_path: Path,
) -> None:
    port = free_port()
    async with activated(tmp_path, port, port) as process:
        reader, writer = await knocks(port, process)
        async with asyncio.timeout(SECONDS):
            greeting = await reader.readline()
        writer.close()

        assert greeting.startswith(b"220 sms.example.com")
        assert (await event(process, "engine.started"))["doors"]["smtp"] == [f"127.0.0.1:{port}"]


async def test_a_socket_that_no_listener_wants_is_closed_and_said(tmp_path: Path) -> None:
    wanted, other = free_port(), free_port()
    async with activated(tmp_path, wanted, wanted, other) as process:
        _, writer = await knocks(wanted, process)
        warned = await event(process, "config.warned", word="socket")
        writer.close()

        assert f"127.0.0.1:{other}" in warned["note"]
        await event(process, "engine.started")
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", other)


@pytest.mark.parametrize(
    ("address", "taken"),
    [
        pytest.param("0.0.0.0", True, id="every address"),
        pytest.param("::", True, id="every address, as IPv6 writes it"),
        pytest.param("127.0.0.1", False, id="one address, which would open more than it says"),
    ],
)
async def test_a_socket_of_all_addresses_is_for_a_listener_of_all_addresses(
    address: str, taken: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("0.0.0.0", 0)) as sock:
        port = sock.getsockname()[1]
        passed = handed_over(sock, monkeypatch)

        assert (passed.take(Listener(address, port)) is not None) == taken
        passed.left()


async def test_a_socket_that_is_left_refuses_though_systemd_holds_it_too(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]

        assert handed_over(held, monkeypatch).left() == [f"127.0.0.1:{port}"]
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", port)


def handed_over(sock: socket.socket, monkeypatch: pytest.MonkeyPatch) -> Passed:
    """What a daemon makes of a copy of the socket, as systemd would hand it over."""
    copy = os.dup(sock.fileno())
    monkeypatch.setattr(activation, "_FIRST_FD", copy)
    monkeypatch.setenv("LISTEN_PID", str(os.getpid()))
    monkeypatch.setenv("LISTEN_FDS", "1")
    return Passed()


async def test_variables_meant_for_another_process_open_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LISTEN_PID", "1")
    monkeypatch.setenv("LISTEN_FDS", "1")

    passed = Passed()

    assert passed.take(Listener("127.0.0.1", 2525)) is None
    assert passed.left() == []
    assert "LISTEN_FDS" not in os.environ
