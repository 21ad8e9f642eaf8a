"""systemd's watchdog is fed only while the event loop, the store and every loop of the engine move.

What hangs, and how it is made to:

    event loop            strace holds it at its next wait
    writer of the store   strace holds its thread at the next fsync
    child that reads      SIGSTOP: no reason to end the daemon, the child is ended and another one takes the mail
    sweeper, dispatcher,  They wait for nothing but the store, the reader and each other: from outside they hang with
    planners              these only.  So they are ended from within, see hang.py, and the daemon's clock is put ahead.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path

import aiohttp
import pytest
from daemon import SECONDS, Daemon
from house import House, opened

FAKETIME = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1")
STRACE = shutil.which("strace")
WATCHED_SECONDS = 2.0  # WatchdogSec=: the daemon gives a sign of life twice in that time
JOBS, ANN, OURS = "jobs@shop.example.com", "+12025550143", "+12025550100"
LOOPS = {
    "sweeper": "Engine._sweeper",
    "dispatcher": "Dispatcher.run",
    "planner": "Engine._planner",
    "planner of pictures": "Engine._fetcher",
}


class Hanging(Daemon):
    """A daemon in which SIGUSR1 ends the loops that run `coroutine`."""

    coroutine = ""

    def _words(self, *words: str) -> list[str]:
        interpreter, _, _, *rest = super()._words(*words)
        return [interpreter, str(Path(__file__).with_name("hang.py")), self.coroutine, *rest]


class Systemd:
    """The end of $NOTIFY_SOCKET at which systemd reads."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock

    async def hears(self) -> None:
        """Waits for two signs of life: the second was given after this was called."""
        async with asyncio.timeout(SECONDS):
            for _ in range(2):
                while "WATCHDOG=1" not in await self._told():
                    pass

    async def misses_one(self) -> None:
        """Waits until no sign of life came for as long as systemd waits for one."""
        async with asyncio.timeout(SECONDS):
            with contextlib.suppress(TimeoutError):
                while True:
                    async with asyncio.timeout(WATCHED_SECONDS):
                        await self._told()

    async def _told(self) -> str:
        return (await asyncio.get_running_loop().sock_recv(self._sock, 4096)).decode()


@pytest.fixture
def systemd(monkeypatch: pytest.MonkeyPatch) -> Iterator[Systemd]:
    with tempfile.TemporaryDirectory(prefix="sd-") as folder, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(f"{folder}/notify")
        sock.setblocking(False)
        monkeypatch.setenv("NOTIFY_SOCKET", f"{folder}/notify")
        monkeypatch.setenv("WATCHDOG_USEC", str(int(WATCHED_SECONDS * 1e6)))
        yield Systemd(sock)


@asynccontextmanager
async def held_at(call: str, pid: int) -> AsyncIterator[None]:
    """Each thread of a process that makes this system call waits there, until the end of the block."""
    assert STRACE is not None
    words = ("-f", "-o", "/dev/null", "-e", f"trace={call}", "-e", f"inject={call}:delay_enter=60000000")
    tracer = await asyncio.create_subprocess_exec(STRACE, *words, "-p", str(pid), stderr=asyncio.subprocess.PIPE)
    assert tracer.stderr is not None
    try:
        async with asyncio.timeout(SECONDS):
            line = await tracer.stderr.readline()
        if b"not permitted" in line:
            pytest.skip("tracing is not allowed here")
        assert b"attached" in line, line
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            tracer.send_signal(signal.SIGINT)
        await tracer.communicate()


def pid_of(house: House) -> int:
    return int((house.folder / "lock").read_text())


@pytest.mark.skipif(STRACE is None, reason="strace is missing: apt install strace")
@pytest.mark.parametrize("call", [pytest.param("epoll_pwait", id="event loop"), pytest.param("fdatasync", id="store")])
async def test_while_the_event_loop_or_the_writer_of_the_store_hangs_systemd_gets_no_sign_of_life(
    call: str, house: House, systemd: Systemd
) -> None:
    await house.start()
    await systemd.hears()
    async with held_at(call, pid_of(house)):
        await systemd.misses_one()

    await systemd.hears()
    await house.daemon.stop()


async def test_a_child_that_hangs_over_a_mail_is_ended_and_stops_neither_the_mail_nor_the_signs_of_life(
    house: House, systemd: Systemd
) -> None:
    await house.start()
    lists = Path(f"/proc/{pid_of(house)}/task").glob("*/children")
    (child,) = (int(pid) for one in lists for pid in one.read_text().split())
    os.kill(child, signal.SIGSTOP)
    assert (await house.daemon.mail(job_mail(), JOBS, ["bob@sms.example.com"]))[0].startswith("250")
    killed = await house.daemon.wait_event("reader.killed")
    await house.daemon.wait_event("delivery.accepted", courier="mail")

    assert not Path(f"/proc/{child}").exists(), killed
    await systemd.hears()
    await house.daemon.stop()


def job_mail() -> bytes:
    """A mail that only the child reads, whatever else is read without it."""
    mail = EmailMessage()
    mail["From"], mail["Subject"], mail["Message-ID"] = JOBS, "RO 1", "<1@shop.example.com>"
    mail.set_content("Ready")
    mail.add_alternative("<p>Ready</p>", subtype="html")
    return mail.as_bytes(policy=SMTP)


@pytest.fixture
async def ahead(state: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[House, Path]]:
    """A shop with a daemon that can hang, and the file in which its clock, that of its timers too, is set."""
    if not FAKETIME.exists():
        pytest.skip("libfaketime is missing: apt install faketime")
    clock = state / "faketime"
    clock.write_text("+0")
    async with opened(state) as house:
        house.daemon = Hanging(state)
        monkeypatch.setenv("LD_PRELOAD", str(FAKETIME))
        monkeypatch.setenv("FAKETIME_TIMESTAMP_FILE", str(clock))
        monkeypatch.setenv("FAKETIME_NO_CACHE", "1")
        async with house.daemon:
            yield house, clock


@pytest.mark.parametrize("loop", [*LOOPS, ""])
async def test_a_loop_that_does_not_move_for_minutes_takes_the_signs_of_life_from_systemd(
    loop: str, ahead: tuple[House, Path], systemd: Systemd
) -> None:
    house, clock = ahead
    assert isinstance(house.daemon, Hanging)
    house.daemon.coroutine = LOOPS.get(loop, "no such loop")
    await house.start()
    await systemd.hears()
    house.daemon.signal(signal.SIGUSR1)
    if loop == "planner":
        assert (await house.daemon.mail(job_mail(), JOBS, ["bob@sms.example.com"]))[0].startswith("250")
    if loop == "planner of pictures":
        assert await house.world.customer_texts(ANN, OURS, "Look", [("image/jpeg", b"\xff\xd8\xff")]) == 200
    clock.write_text("+4m")

    if not loop:
        await systemd.hears()
        return
    await systemd.misses_one()
    status, told = await readiness(house)
    assert (status, f"the {loop} does not move" in told) == (503, True), told


async def readiness(house: House) -> tuple[int, str]:
    url = f"http://{house.daemon.doors['admin'][0]}/readyz"
    async with aiohttp.ClientSession() as http, http.get(url) as answer:
        return answer.status, await answer.text()
