"""Socket activation with systemd's own tool: the sockets that it opens are those that the daemon serves."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import resource
import select
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
async def activated(
    folder: Path, listen: int, *sockets: int, more: str = ""
) -> AsyncIterator[asyncio.subprocess.Process]:
    """The daemon of a config that listens on port `listen`, behind sockets that it did not open itself."""
    assert ACTIVATE is not None
    configure(folder, listen, more)
    places = [word for port in sockets for word in ("-l", f"127.0.0.1:{port}")]
    process = await asyncio.create_subprocess_exec(
        *(ACTIVATE, *places, f"--setenv=PATH={os.environ['PATH']}", *words(folder)),
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


def words(folder: Path) -> list[str]:
    return [sys.executable, "-m", "gateway", "--config", str(folder / "config.toml"), "serve"]


def configure(folder: Path, listen: int, more: str = "") -> None:
    (folder / "config.toml").write_text(
        f"""
        {more}
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


async def knocks(port: int, process: asyncio.subprocess.Process) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A client of the socket, which is what makes the tool start the daemon."""
    assert process.stderr is not None
    async with asyncio.timeout(SECONDS):
        while b"Listening" not in await process.stderr.readline():
            pass
        return await asyncio.open_connection("127.0.0.1", port)


async def test_a_bad_configuration_ends_with_78_and_says_what_is_wrong_whoever_opened_the_socket(
    tmp_path: Path,
) -> None:
    """gateway.service names 78 as a code after which it is not started again."""
    port = free_port()
    async with activated(tmp_path, port, port, more='barnd = "x"') as process:
        _, writer = await knocks(port, process)
        assert process.stdout is not None
        assert process.stderr is not None
        async with asyncio.timeout(SECONDS):
            told = await process.stderr.read()
            assert await process.stdout.read() == b""
            assert await process.wait() == 78
        writer.close()

        assert b"config.toml" in told
        assert b"barnd" in told


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


async def test_at_a_socket_that_no_listener_wants_clients_are_hung_up_on_and_the_admin_is_told(tmp_path: Path) -> None:
    wanted, other = free_port(), free_port()
    async with activated(tmp_path, wanted, wanted, other) as process:
        _, writer = await knocks(wanted, process)
        warned = await event(process, "config.warned", word="socket")
        writer.close()

        assert f"127.0.0.1:{other}" in warned["note"]
        await event(process, "engine.started")
        assert await said_at(other) == b""


async def test_a_restart_refuses_nobody_and_leaves_the_sockets_to_systemd_as_they_were(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as ours, socket.create_server(("127.0.0.1", 0)) as other:
        configure(tmp_path, ours.getsockname()[1])
        watching = select.poll()
        for sock in (ours, other):
            watching.register(sock, select.POLLIN)
        async with started(tmp_path, ours, other) as first:
            await event(first, "engine.started")
            first.terminate()
            await event(first, "engine.stopped")
            assert await first.wait() == 0

        assert watching.poll(0) == []
        reader, writer = await asyncio.open_connection(*ours.getsockname())
        assert watching.poll(SECONDS * 1000) == [(ours.fileno(), select.POLLIN)]
        async with started(tmp_path, ours, other), asyncio.timeout(SECONDS):
            assert (await reader.readline()).startswith(b"220 sms.example.com")
        writer.close()


@contextlib.asynccontextmanager
async def started(folder: Path, *sockets: socket.socket) -> AsyncIterator[asyncio.subprocess.Process]:
    """The daemon, to which the sockets are handed over as systemd does: as descriptors from 3 on."""
    moved = " ".join(f"{number}<&{sock.fileno()}" for number, sock in enumerate(sockets, 3))
    script = f'LISTEN_PID=$$ LISTEN_FDS={len(sockets)} exec "$@" {moved}'
    process = await asyncio.create_subprocess_exec(
        *("bash", "-c", script, "bash", *words(folder)),
        cwd=folder,
        pass_fds=[sock.fileno() for sock in sockets],
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


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
        passed.close()


async def test_who_knocks_where_nobody_listens_is_hung_up_on_and_the_socket_of_systemd_stays_whole(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A socket that was shut fails the whole unit: "The service probably invoked shutdown() on it" (systemd)."""
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
        passed = handed_over(held, monkeypatch)
        watching = select.poll()
        watching.register(held, select.POLLIN)

        assert passed.left() == [f"127.0.0.1:{port}"]
        for _ in range(2):
            assert await said_at(port) == b""
        passed.close()
        assert watching.poll(0) == []
        with socket.create_connection(("127.0.0.1", port)):
            assert watching.poll(SECONDS * 1000) == [(held.fileno(), select.POLLIN)]


async def said_at(port: int) -> bytes:
    """All that a client hears before it is hung up on."""
    async with asyncio.timeout(SECONDS):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            return await reader.read()
        except ConnectionResetError:
            return b""
        finally:
            writer.close()


async def test_who_knocks_while_no_descriptor_is_left_is_hung_up_on_later(monkeypatch: pytest.MonkeyPatch) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    monkeypatch.setattr(activation, "_FULL_SECONDS", 0.01)
    with socket.create_server(("127.0.0.1", 0)) as held, socket.socket() as client:
        passed = handed_over(held, monkeypatch)
        passed.left()
        client.setblocking(False)
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
        try:
            await asyncio.get_running_loop().sock_connect(client, held.getsockname())
            for _ in range(10):
                await asyncio.sleep(0)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        async with asyncio.timeout(SECONDS):
            assert await asyncio.get_running_loop().sock_recv(client, 1) == b""
        passed.close()


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
