"""The real daemon as a process: its config, its events, its doors, its commands and its end."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiosmtplib

ROOT = Path(__file__).parents[2]
SECONDS = 20.0  # how long anything may take to show; what is right takes a small part of it
Event = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The objects that a command with --json printed."""
        return [json.loads(line) for line in self.out.splitlines()]


class Daemon:
    """`folder` holds config.toml and becomes the state directory.  Use as `async with`: it is killed at the end."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.events: list[Event] = []
        self.doors: dict[str, list[str]] = {}
        self.starts = 0
        self.listens = asyncio.Event()
        self._process: asyncio.subprocess.Process | None = None
        self._reading: asyncio.Task[None] | None = None
        self._bell = asyncio.Event()

    async def __aenter__(self) -> Daemon:
        return self

    async def __aexit__(self, *_: object) -> None:
        if self.running:
            await self.kill()

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.returncode is None

    @property
    def complaints(self) -> str:
        """What was written to stderr."""
        path = self.folder / "stderr.log"
        return path.read_text() if path.exists() else ""

    async def start(self) -> None:
        """Starts it and waits until it listens."""
        first = len(self.events)
        with (self.folder / "stderr.log").open("ab") as stderr:
            self._process = await asyncio.create_subprocess_exec(
                *self._words("serve"),
                cwd=self.folder,
                env=environment(),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=stderr,
                limit=2**20,
            )
        self._reading = asyncio.create_task(self._read(self._process))
        self.starts += 1
        event = await self.wait_event("engine.started", after=first)
        self.doors = event["doors"]
        self.listens.set()

    async def stop(self, deadline: float = 45) -> None:
        """SIGTERM; it must end by itself with 0."""
        self.signal(signal.SIGTERM)
        try:
            code = await self.ended(deadline)
        except TimeoutError:
            raise AssertionError(f"SIGTERM did not end the daemon within {deadline} s:\n{self.told()}") from None
        assert code == 0, f"the daemon ended badly:\n{self.told()}"

    async def kill(self) -> None:
        """kill -9."""
        self.listens.clear()
        self.signal(signal.SIGKILL)
        await self.ended(SECONDS)

    def signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    async def ended(self, deadline: float) -> int:
        """Its exit code, once it has ended by itself and its last event is read."""
        assert self._process is not None
        assert self._reading is not None
        async with asyncio.timeout(deadline):
            code = await self._process.wait()
            await self._reading
        return code

    async def wait_event(self, name: str, *, after: int = 0, deadline: float = SECONDS, **fields: object) -> Event:
        """The first event of that name with those fields among the events from number `after` on."""
        wanted = {"event": name, **fields}
        try:
            async with asyncio.timeout(deadline):
                while True:
                    for event in self.events[after:]:
                        if wanted.items() <= event.items():
                            return event
                    if not self.running and self._reading is not None and self._reading.done():
                        raise AssertionError(f"the daemon ended before {wanted}:\n{self.told()}")
                    await self._bell.wait()
        except TimeoutError:
            raise AssertionError(f"no event {wanted} within {deadline} s:\n{self.told()}") from None

    async def wait_until(self, at: float) -> None:
        """Reads events until that time of the loop.  Raises AssertionError when the daemon ends before."""
        assert self._reading is not None
        done, _ = await asyncio.wait({self._reading}, timeout=max(0.0, at - asyncio.get_running_loop().time()))
        assert not done, f"the daemon ended by itself:\n{self.told()}"

    async def command(self, *words: str, stdin: bytes = b"", deadline: float = 60) -> Done:
        """Runs `gateway WORDS` from another folder, with the daemon's config."""
        process = await asyncio.create_subprocess_exec(
            *self._words(*words),
            cwd="/",
            env=environment(),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(deadline):
            out, err = await process.communicate(stdin)
        return Done(process.returncode or 0, out.decode(), err.decode())

    def port(self, door: str = "smtp") -> int:
        return int(self.doors[door][0].rpartition(":")[2])

    async def mail(
        self,
        raw: bytes,
        mail_from: str,
        to: Sequence[str],
        *,
        door: str = "smtp",
        login: tuple[str, str] | None = None,
        rcpt_options: Sequence[str] = (),
        mail_options: Sequence[str] = (),
    ) -> list[str]:
        """Sends one mail; the answers that were a no, and the one to its data, each as "250 2.0.0 words".

        `login` is used after STARTTLS.  Raises OSError or SMTPException where the connection ended without an answer.
        """
        client = aiosmtplib.SMTP(
            hostname="127.0.0.1",
            port=self.port(door),
            start_tls=bool(login),
            use_tls=door == "smtp_tls",
            validate_certs=False,
            timeout=SECONDS,
            local_hostname="client.example",
        )
        await client.connect()
        try:
            return await _dialog(client, raw, mail_from, to, login, list(rcpt_options), list(mail_options))
        finally:
            with contextlib.suppress(aiosmtplib.SMTPException, OSError):
                await client.quit()

    def _words(self, *words: str) -> list[str]:
        # hash-password is the one command that reads no config
        config = [] if words[0] == "hash-password" else ["--config", str(self.folder / "config.toml")]
        return [sys.executable, "-m", "gateway", *config, *words]

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        async for line in process.stdout:
            self.events.append(json.loads(line))
            self._ring()
        await process.wait()
        self._ring()

    def _ring(self) -> None:
        self._bell.set()
        self._bell = asyncio.Event()

    def told(self) -> str:
        """Its last events, and what it wrote to stderr."""
        last = "\n".join(f"  {json.dumps(event)[:500]}" for event in self.events[-30:])
        return f"{last}\n{self.complaints}"


async def _dialog(
    client: aiosmtplib.SMTP,
    raw: bytes,
    mail_from: str,
    to: Sequence[str],
    login: tuple[str, str] | None,
    rcpt_options: list[str],
    mail_options: list[str],
) -> list[str]:
    answers: list[str] = []
    try:
        if login:
            await client.login(*login)
        else:
            await client.ehlo()
        await client.mail(mail_from, options=mail_options)
    except aiosmtplib.SMTPResponseException as no:
        return [f"{no.code} {no.message}"]
    for address in to:
        try:
            await client.rcpt(address, options=rcpt_options)
        except aiosmtplib.SMTPResponseException as no:
            answers.append(f"{no.code} {no.message}")
    if len(answers) == len(to):
        return answers
    try:
        said = await client.data(raw)
    except aiosmtplib.SMTPResponseException as no:
        return [*answers, f"{no.code} {no.message}"]
    return [*answers, f"{said.code} {said.message}"]


def environment() -> Mapping[str, str]:
    """Ours, without what would lead the gateway to another config or state."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("GATEWAY_", "TWILIO_")) and k != "STATE_DIRECTORY"}
    return {**kept, "PYTHONPATH": str(ROOT), "NO_COLOR": "1"}
