"""What the cases do to a running daemon: trace it, starve it, measure it, and talk to it byte by byte."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import aiohttp
import apsw
import pytest
from daemon import SECONDS, Daemon
from house import House
from smtp_house import Client

from gateway.simulator.texts import Text

MIB = 2**20
AHEAD = Path(__file__).parents[1] / "e2e" / "ahead.py"
JOBS = "jobs@shop.example.com"
ALICE, BOB = "+12025550103", "+12025550102"  # by Twilio, by her carrier's dead gateway; by mail to vtext.com
ANN, OURS = "+12025550143", "+12025550100"
VOUCHED = '[[sender]]\nname = "jobs"\nnetworks = ["127.0.0.0/8"]\nnumber = "service"\nvouches = true\n'

HOLD = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("held", flush=True)
sys.stdin.read()
"""


class Rig(Daemon):
    """A daemon whose clock may be `ahead` by seconds after the next start, and which may run `under` other words."""

    ahead = 0.0
    under: tuple[str, ...] = ()

    @property
    def pid(self) -> int:
        """Of the process that owns the state directory."""
        return int((self.folder / "lock").read_text())

    def _words(self, *words: str) -> list[str]:
        interpreter, dash, module, *rest = super()._words(*words)
        if self.ahead:
            dash, module = str(AHEAD), str(self.ahead)
        return [*(self.under if words[0] == "serve" else ()), interpreter, dash, module, *rest]


def rig(house: House) -> Rig:
    assert isinstance(house.daemon, Rig)
    return house.daemon


def tool(name: str) -> str:
    """Its path; the case is skipped, with its name, where it is not installed."""
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin:/usr/local/sbin")
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def root() -> None:
    """The case mounts something, which only root may, and not in every container."""
    if os.geteuid() != 0:
        pytest.skip("needs root")
    if subprocess.run([tool("unshare"), "-m", "true"], check=False, capture_output=True).returncode:
        pytest.skip("mounts are not allowed here")


# -- mail in


def job_mail(words: str, *, subject: str = "RO 17", ident: str = "", head: str = "") -> bytes:
    """A mail of the job system; `ident` "" = no Message-ID, `head` more header lines with their ends."""
    named = f"Message-ID: <{ident}@shop.example.com>\r\n" if ident else ""
    return f"From: {JOBS}\r\nSubject: {subject}\r\n{named}{head}\r\n{words}\r\n".encode()


async def send(house: House, words: str, to: str = "alice", **parts: str) -> str:
    """The answer to the mail's data, or the first no."""
    return (await house.daemon.mail(job_mail(words, **parts), JOBS, [f"{to}@sms.example.com"]))[0]


async def connect(port: int, source: str = "127.0.0.1", *, greet: bool = True) -> Client:
    """A client from a loopback address, that has read the banner and said EHLO."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(source, 0), limit=2**20)
    client = Client(reader, writer)
    if greet:
        banner = await client.reply()
        assert banner.startswith("220"), banner
        assert (await client.say("EHLO pc7.shop.example")).startswith("250")
    return client


async def envelope(client: Client, to: str = "alice@sms.example.com", mail_from: str = JOBS) -> None:
    """All that comes before the content."""
    for line in (f"MAIL FROM:<{mail_from}>", f"RCPT TO:<{to}>", "DATA"):
        answer = await client.say(line)
        assert answer[0] in "23", answer


async def pour(client: Client, block: bytes, count: int) -> int:
    """How many bytes of `count` blocks could be sent before the server hung up."""
    sent = 0
    with contextlib.suppress(ConnectionError):
        for _ in range(count):
            client.send(block)
            await client.writer.drain()
            sent += len(block)
    return sent


# -- what became of it


async def rows(house: House, *words: str) -> list[dict[str, Any]]:
    """What `gateway queue list --json` prints."""
    done = await house.daemon.command("queue", "list", "--json", *words)
    assert done.code == 0, done
    return done.rows


async def texted(house: House, words: str, phone: str = "") -> Text:
    """The first text by Twilio that has these words."""

    def found(_: object) -> Text | None:
        texts = (t for t in house.world.phone(phone) if t.direction == "outbound-api")
        return next((t for t in texts if words in t.body), None)

    text = await house.world.wait(found, SECONDS)
    assert text is not None
    return text


def texts_out(house: House, phone: str = "") -> list[str]:
    """The words of all texts that Twilio took from us."""
    return [text.body for text in house.world.phone(phone) if text.direction == "outbound-api"]


def stored(house: House) -> list[bytes]:
    """The raw mails and hooks in the store, which must be whole."""
    connection = apsw.Connection(str(house.folder / "gateway.db"))
    try:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        return [bytes(raw) for (raw,) in connection.execute("SELECT raw FROM raw")]
    finally:
        connection.close()


def events(house: House, name: str, **fields: object) -> list[dict[str, Any]]:
    """The events of that name with those fields, up to now."""
    wanted = {"event": name, **fields}
    return [event for event in house.daemon.events if wanted.items() <= event.items()]


async def probe(house: House, path: str) -> int:
    """The HTTP status of /healthz, /readyz or /metrics."""
    url = f"http://{house.daemon.doors['admin'][0]}{path}"
    async with aiohttp.ClientSession() as http, http.get(url) as answer:
        return answer.status


async def until_ready(house: House, status: int) -> None:
    """Waits until /readyz answers so: the gauges behind it are read every five seconds."""
    async with asyncio.timeout(SECONDS):
        while await probe(house, "/readyz") != status:
            await asyncio.sleep(0.1)


# -- what it takes


def memory(pid: int, line: str = "VmHWM") -> int:
    """Bytes of one process: VmHWM the most that it ever held, VmRSS now."""
    found = re.search(rf"{line}:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1]) * 1024


def children(pid: int) -> list[int]:
    """The processes that `pid` started and that live: the readers of mail."""
    lists = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for one in lists for child in one.read_text().split()]


def established(port: int) -> int:
    """How many connections to a port on loopback are open."""
    lines = (line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:])
    return sum(line[1].endswith(f":{port:04X}") and line[3] == "01" for line in lines)


def mib(count: int) -> str:
    return f"{count / MIB:.0f} MiB"


class Pulse:
    """Answer times of a healthy client, in seconds."""

    def __init__(self) -> None:
        self.times: list[float] = []
        self.banners: list[float] = []  # from the connection on

    @property
    def worst(self) -> float:
        return max(self.times, default=0.0)

    @property
    def told(self) -> str:
        return f"a healthy client waited at most {self.worst * 1000:.0f} ms ({len(self.times)} answers)"


@asynccontextmanager
async def healthy(house: House, every: float = 0.02) -> AsyncIterator[Pulse]:
    """A client that asks NOOP all the while, and once in a while connects anew."""
    pulse, clock = Pulse(), asyncio.get_running_loop().time

    async def beat() -> None:
        while True:
            begun = clock()
            async with await connect(house.daemon.port(), greet=False) as client:
                assert (await client.reply()).startswith("220")
                pulse.banners.append(clock() - begun)
                assert (await client.say("EHLO pc7.shop.example")).startswith("250")
                pulse.times.append(clock() - begun)
                for _ in range(25):
                    begun = clock()
                    answer = await client.say("NOOP")
                    assert answer.startswith("250"), answer
                    pulse.times.append(clock() - begun)
                    await asyncio.sleep(every)

    beating = asyncio.create_task(beat())
    try:
        yield pulse
        async with asyncio.timeout(SECONDS):
            while not pulse.times and not beating.done():
                await asyncio.sleep(every)
    finally:
        beating.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await beating


# -- what is done to it


@asynccontextmanager
async def traced(pid: int, *words: str, log: Path | None = None) -> AsyncIterator[None]:
    """strace with `words` on a running process, its threads and what they start, until the end of the block."""
    out = str(log or "/dev/null")
    tracer = await asyncio.create_subprocess_exec(
        tool("strace"), "-f", "-p", str(pid), "-o", out, *words, stderr=asyncio.subprocess.PIPE
    )
    assert tracer.stderr is not None
    try:
        async with asyncio.timeout(SECONDS):
            line = await tracer.stderr.readline()
        if b"Operation not permitted" in line:
            pytest.skip("tracing is not allowed here")
        assert b"attached" in line, line
        yield
    finally:
        if tracer.returncode is None:
            tracer.send_signal(signal.SIGINT)
        await tracer.communicate()


@asynccontextmanager
async def locked(house: House) -> AsyncIterator[None]:
    """Another process holds the lock for writing until the end of the block."""
    path = str(house.folder / "gateway.db")
    pipe = asyncio.subprocess.PIPE
    holder = await asyncio.create_subprocess_exec(sys.executable, "-c", HOLD, path, stdin=pipe, stdout=pipe)
    try:
        assert holder.stdout is not None
        assert await holder.stdout.readline() == b"held\n"
        yield
    finally:
        await holder.communicate(b"")


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    """A file system of that size at `folder`, which must be empty."""
    root()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(folder)], check=False)
    if done.returncode:
        pytest.skip("mounts are not allowed here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


class Pipe:
    """A TCP port on loopback that leads to another one while it is `open`, and refuses connections before."""

    def __init__(self, target: str) -> None:
        self._host, _, port = target.removeprefix("http://").rpartition(":")
        self._target = int(port)
        self._server: asyncio.Server | None = None
        self._flows: set[asyncio.Task[None]] = set()
        self.port = free_port()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._lead, "127.0.0.1", self.port)

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
        for flow in self._flows:
            flow.cancel()
        await asyncio.gather(*self._flows, return_exceptions=True)

    async def _lead(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        onward, back = await asyncio.open_connection(self._host, self._target)
        for source, sink in ((reader, back), (onward, writer)):
            task = asyncio.create_task(_flow(source, sink))
            self._flows.add(task)
            task.add_done_callback(self._flows.discard)


async def _flow(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    try:
        with contextlib.suppress(ConnectionError):
            while block := await source.read(65536):
                sink.write(block)
                await sink.drain()
    finally:
        sink.close()


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def told_events(house: House) -> str:
    """All that the daemon wrote to its log, as it stands there."""
    return "\n".join(json.dumps(event) for event in house.daemon.events) + house.daemon.complaints
