"""The load: Postfix's smtp-source and smtp-sink for rates, clients of our own where each answer is timed."""

from __future__ import annotations

import asyncio
import os
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.processes import Failed, Program, free_port, run, tool
from benchmarks.system import DOMAIN, System, tech

BYTES = 1200  # of a mail's body
SENDER = "jobs@shop.example.com"
SUBJECT = "RO 17"  # one job: the texts of a person are one conversation
MACHINES = 10  # that send at the same time, each to a person of its own
PROBES = 4  # sessions of `mails` in which each mail is timed
_DEADLINE = 600.0
_LOOK = 0.005  # seconds between two looks at what came
_COUNT = re.compile(rb"mesg=(\d+)\r")


class Sink:
    """smtp-sink: the mail host behind a system.  Use as `async with`."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self._log = folder / "sink.log"
        self._program = Program(self._log)

    async def __aenter__(self) -> Sink:
        user = ("-u", "nobody") if os.geteuid() == 0 else ()
        # Not -M, which would end it before it answers the last mails: they would count as unclear, and come again.
        await self._program.start(tool("smtp-sink"), *user, "-4", "-c", "-m", "1000", f"127.0.0.1:{self.port}", "1000")
        await self._program.listens(self.port)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._program.stop()

    @property
    def count(self) -> int:
        """How many mails have come: it writes a counter behind each of them."""
        with self._log.open("rb") as log:
            log.seek(max(0, self._log.stat().st_size - 200))
            counts = _COUNT.findall(log.read())
        return int(counts[-1]) if counts else 0

    async def holds(self, count: int) -> None:
        """Waits until so many mails have come.  Raises Failed."""
        try:
            async with asyncio.timeout(_DEADLINE):
                while self.count < count:  # noqa: ASYNC110  # another process tells no event
                    await asyncio.sleep(_LOOK)
        except TimeoutError:
            raise Failed(f"{self.count} of {count} mails came within {_DEADLINE:g} s") from None


@dataclass(slots=True)
class Sent:
    """What a load took, in seconds, and how long each timed mail waited from the connection to its 250."""

    mails: int
    seconds: float
    waits: list[float] = field(default_factory=list)

    @property
    def rate(self) -> float:
        return self.mails / self.seconds


async def mails(
    port: int,
    count: int,
    sessions: int,
    *,
    keep_open: bool,
    to: Sequence[str] = (),
    sender: str = SENDER,
    probes: int = 0,
    size: int = BYTES,
) -> Sent:
    """Hands `count` mails over in so many sessions; `probes` sessions more time what they send meanwhile.

    `size`: bytes of a body.
    """
    people = list(to) or [f"{tech(n)}@{DOMAIN}" for n in range(min(MACHINES, sessions))]
    begun = time.perf_counter()
    over = asyncio.Event()
    timed = [asyncio.create_task(_probe(port, n, over, keep_open=keep_open)) for n in range(probes)]
    try:
        async with asyncio.TaskGroup() as group:
            for n, person in enumerate(people):
                mine = _share(count, len(people), n)
                if mine:
                    words = _source(mine, max(1, _share(sessions, len(people), n)), size, keep_open)
                    group.create_task(run(*words, "-f", sender, "-t", person, f"127.0.0.1:{port}"))
        seconds = time.perf_counter() - begun
    except ExceptionGroup as faults:
        raise faults.exceptions[0] from None
    finally:
        over.set()
        waits = await asyncio.gather(*timed)
    waited = [one for some in waits for one in some]
    return Sent(mails=count + len(waited), seconds=seconds, waits=waited)


def _source(count: int, sessions: int, size: int, keep_open: bool) -> list[str]:
    words = [tool("smtp-source"), "-s", str(sessions), "-m", str(count), "-l", str(size)]
    return [*words, "-M", "shop.example.com", "-S", SUBJECT, *(["-d"] if keep_open else [])]


def _share(whole: int, parts: int, n: int) -> int:
    return whole // parts + (n < whole % parts)


async def _probe(port: int, n: int, over: asyncio.Event, *, keep_open: bool) -> list[float]:
    waits: list[float] = []
    client: Client | None = None
    while not over.is_set():
        begun = time.perf_counter()
        client = client or await Client.connect(port)
        await client.mail(f"{tech(n)}@{DOMAIN}", f"probe-{n}-{len(waits)}-{begun}")
        waits.append(time.perf_counter() - begun)
        if not keep_open:
            await client.quit()
            client = None
    if client is not None:
        await client.quit()
    return waits


class Client:
    """One session of a mail program that waits for each answer, as smtp-source does."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def connect(cls, port: int) -> Client:
        """A session that has been greeted.  Raises OSError and Failed."""
        client = cls(*await asyncio.open_connection("127.0.0.1", port))
        await client._answer("220")
        await client._say("EHLO pc7.shop.example.com", "250")
        return client

    async def mail(self, to: str, ident: str, words: str = "") -> None:
        """Hands one mail over; it is taken when this returns.  Raises Failed."""
        await self._say(f"MAIL FROM:<{SENDER}>", "250")
        await self._say(f"RCPT TO:<{to}>", "250")
        await self._say("DATA", "354")
        body = words or "X" * 78
        rest = "\r\n" + "\r\n".join(["X" * 78] * (BYTES // 80 - 1))
        await self._say(
            f"From: {SENDER}\r\nTo: {to}\r\nSubject: {SUBJECT}\r\nMessage-ID: <{ident}@shop.example.com>\r\n\r\n"
            f"{body}{rest}\r\n.",
            "250",
        )

    async def quit(self) -> None:
        await self._say("QUIT", "221")
        self._writer.close()

    async def _say(self, line: str, wanted: str) -> None:
        self._writer.write(line.encode() + b"\r\n")
        await self._answer(wanted)

    async def _answer(self, wanted: str) -> None:
        async with asyncio.timeout(_DEADLINE):
            line = await self._reader.readline()
            while line[3:4] == b"-":
                line = await self._reader.readline()
        if not line.startswith(wanted.encode()):
            raise Failed(f"the answer was {line.decode(errors='replace').strip()!r} in place of {wanted}")


async def warm(system: System, count: int, sink: Sink | None = None) -> None:
    """Lets a system start what it starts at its first mails."""
    await mails(system.port, count, min(10, count), keep_open=False)
    if sink is not None:
        await sink.holds(count)
