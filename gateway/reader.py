"""Reads mail and pictures in limited child processes, so that a crafted one costs itself and nothing else.

How it fails: what uses up its CPU, memory or time, or crashes the parser twice, is Unreadable, and its child is
replaced.  A child that dies of something else (a signal from outside, a starved machine) says nothing about the mail,
which is tried once more in a fresh one.  Where no child can be started, ReaderUnavailable says that nothing was judged.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import struct
import sys
from asyncio.subprocess import PIPE, Process
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gateway
from gateway.core.model import Picture, Reading, Unreadable
from gateway.events import emit
from gateway.ports import Media, ReaderUnavailable

_LENGTH = struct.Struct(">I")
_LONGEST_ANSWER = 32 << 20  # bytes of one frame
_MOST_FILES = 100  # frames of bytes after an answer
_START_SECONDS = 20.0  # imports on a cold and busy machine
_SECOND_TRY = 3.0  # times the deadline: the CPU limit, not the clock of a busy machine, shall judge the mail
_FINAL_SIGNALS = (signal.SIGXCPU,)
_DECODING = frozenset({"attached", "picture"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one question may use; time and CPU grow by a second for every `second_for_bytes` of what it is about."""

    deadline_seconds: float = 2.0
    cpu_seconds: int = 2  # at least 2; up to one less is given, see reader_child.renew
    decoding_seconds: int = 8  # more of both where pictures are decoded: a small file may hold 50 megapixels
    second_for_bytes: int = 4_000_000
    memory_bytes: int = 512 << 20  # address space of the child
    mails_per_child: int = 1_000


class _Killed(Exception):
    """The child is gone; `final` when the mail is to blame."""

    def __init__(self, reason: str, final: bool) -> None:
        super().__init__(reason)
        self.reason = reason
        self.final = final


class MailReader:
    """A ports.Reader.  Reads at most `children` mails at a time, callers are served in the order in which they ask."""

    def __init__(
        self,
        cut_after: tuple[str, ...] = (),
        job: str = "",
        subject_patterns: tuple[str, ...] = (),
        patterns: tuple[str, ...] = (),
        *,
        children: int = 2,
        limits: Limits | None = None,
    ) -> None:
        self._limits = limits or Limits()
        self._slots = [_Slot() for _ in range(children)]
        self.configure(cut_after, job, subject_patterns, patterns)
        self._idle: asyncio.Queue[_Slot] = asyncio.Queue()
        for slot in self._slots:
            self._idle.put_nowait(slot)
        self._closed = False

    def configure(
        self,
        cut_after: tuple[str, ...],
        job: str = "",
        subject_patterns: tuple[str, ...] = (),
        patterns: tuple[str, ...] = (),
    ) -> None:
        """How mail is read from the next one on: where job mail is cut, the pattern that captures its job, and those
        that are looked for in its Subject alone and in Subject and text (Reading.captured).
        """
        settings = {
            "cut_after": cut_after,
            "job": job,
            "subject_patterns": subject_patterns,
            "patterns": patterns,
            "memory_bytes": self._limits.memory_bytes,
        }
        self._settings = json.dumps(settings).encode()
        for slot in self._slots:
            slot.mails = self._limits.mails_per_child

    @property
    def pids(self) -> tuple[int, ...]:
        """The processes of the children that live."""
        return tuple(slot.child.pid for slot in self._slots if slot.child is not None and slot.child.returncode is None)

    async def start(self) -> None:
        """Starts one child, to learn now whether it can be done.  Raises ReaderUnavailable."""
        slot = await self._idle.get()
        try:
            await self._child(slot)
        finally:
            self._idle.put_nowait(slot)

    async def read(self, raw: bytes) -> Reading | Unreadable:
        """What a mail says, or why it cannot be read.  No input raises; ReaderUnavailable when no child can be had."""
        answer = await self.ask("read", raw)
        if isinstance(answer, Unreadable):
            return answer
        found: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in answer["reading"].items()}
        return Reading(**found)

    async def attached(self, raw: bytes) -> tuple[Picture, ...]:
        """The images and PDFs of a mail, fit to go with a text: see attachment.attached.  A mail that cannot be looked
        into has one Picture, with the reason.  Raises ReaderUnavailable.
        """
        answer = await self.ask("attached", raw)
        return (_none(answer, 1),) if isinstance(answer, Unreadable) else _pictures(answer)

    async def inspected(self, media: Media, number: int = 1) -> Picture:
        """What came with a text, the `number`-th of it, made harmless: see picture.inspected.  Raises
        ReaderUnavailable.
        """
        answer = await self.ask("picture", media.data, number=number)
        return _none(answer, number) if isinstance(answer, Unreadable) else _pictures(answer)[0]

    async def ask(self, op: str, payload: bytes, **arguments: Any) -> dict[str, Any] | Unreadable:
        """The answer of one of reader_child.OPS about `payload`, within all limits; "files" in it is a list of bytes.

        `arguments` go through JSON.  Raises ReaderUnavailable when no child can be had.
        """
        slot = await self._idle.get()
        try:
            return await self._ask(slot, op, payload, arguments)
        finally:
            self._idle.put_nowait(slot)

    async def close(self) -> None:
        """Ends all children.  A mail that is being read gets ReaderUnavailable, and so does every later one."""
        self._closed = True
        for slot in self._slots:
            child = slot.child
            slot.kill()
            if child is not None:
                await child.wait()

    async def _ask(
        self, slot: _Slot, op: str, payload: bytes, arguments: dict[str, Any]
    ) -> dict[str, Any] | Unreadable:
        reason = ""
        more = len(payload) / self._limits.second_for_bytes + (self._limits.decoding_seconds if op in _DECODING else 0)
        cpu = self._limits.cpu_seconds + int(more)
        head = json.dumps({"op": op, "cpu": cpu, "arguments": arguments}).encode()
        seconds = self._limits.deadline_seconds + more
        for patience in (1.0, _SECOND_TRY):
            child = await self._child(slot)
            try:
                answer = await self._answer(slot, child, (head, payload), seconds * patience, cpu)
            except _Killed as end:
                if self._closed:
                    raise ReaderUnavailable("the reader is closed") from None
                reason = end.reason
                emit("reader.killed", error=reason, bytes=len(payload))
                if end.final:
                    break
            else:
                return Unreadable(reason=str(answer["unreadable"])) if "unreadable" in answer else answer
        return Unreadable(reason=reason)

    async def _answer(
        self, slot: _Slot, child: Process, question: tuple[bytes, bytes], seconds: float, cpu: int
    ) -> dict[str, Any]:
        """One question and its answer.  Leaves no child that still owes an answer.  Raises _Killed."""
        answered = False
        try:
            async with asyncio.timeout(seconds):
                for frame in question:
                    await _send(child, frame)
                answer: dict[str, Any] = json.loads(await _receive(child))
                answer["files"] = [await _receive(child) for _ in range(min(answer["files"], _MOST_FILES))]
            answered = not answer.get("last", False)
            slot.mails += 1
        except TimeoutError:
            raise _Killed(f"it could not be read within {seconds:g} s", final=False) from None
        except (EOFError, OSError):
            _close(child)
            raise _why(await child.wait(), cpu) from None
        except (ValueError, KeyError, TypeError):
            raise _Killed("the reader's answer made no sense", final=False) from None
        finally:
            if not answered:
                slot.kill()
        return answer

    async def _child(self, slot: _Slot) -> Process:
        """The living child of a slot, a new one where the old is gone or has done its share."""
        if self._closed:
            raise ReaderUnavailable("the reader is closed")
        child = slot.child
        if child is not None and child.returncode is None and slot.mails < self._limits.mails_per_child:
            return child
        slot.kill()
        settings = self._settings
        slot.child = await self._spawn()
        # What was configured while it started, it does not know: the next mail gets another child.
        slot.mails = 0 if settings is self._settings else self._limits.mails_per_child
        return slot.child

    async def _spawn(self) -> Process:
        command = (sys.executable, "-P", "-m", "gateway.reader_child", str(os.getpid()))
        try:
            child = await asyncio.create_subprocess_exec(
                *command, stdin=PIPE, stdout=PIPE, env=_environment(), start_new_session=True
            )
        except OSError as fault:
            raise ReaderUnavailable(f"no child process for reading: {fault.strerror or fault}") from fault
        ready = False
        try:
            async with asyncio.timeout(_START_SECONDS):
                await _send(child, self._settings)
                ready = await _receive(child) == b"ready"
        except (EOFError, OSError, ValueError) as fault:
            raise ReaderUnavailable(f"the child process for reading did not start ({type(fault).__name__})") from fault
        finally:
            if not ready:
                _kill(child)
        if not ready or self._closed:
            _kill(child)
            raise ReaderUnavailable("the reader is closed, or its child is not what it should be")
        return child


class _Slot:
    """The place of one child."""

    def __init__(self) -> None:
        self.child: Process | None = None
        self.mails = 0

    def kill(self) -> None:
        """Ends the child at once, if there is one."""
        if self.child is not None:
            _kill(self.child)
            self.child = None


def _close(child: Process) -> None:
    if child.stdin is not None:
        child.stdin.close()


def _kill(child: Process) -> None:
    _close(child)
    if child.returncode is None:
        child.kill()


def _why(code: int, cpu_seconds: int) -> _Killed:
    if -code in _FINAL_SIGNALS:
        return _Killed(f"it took more than {cpu_seconds} s of CPU", final=True)
    how = f"signal {-code}" if code < 0 else f"exit code {code}"
    return _Killed(f"the reader died over it ({how})", final=False)


def _pictures(answer: dict[str, Any]) -> tuple[Picture, ...]:
    return tuple(Picture(**about, data=data) for about, data in zip(answer["pictures"], answer["files"], strict=True))


def _none(found: Unreadable, number: int) -> Picture:
    return Picture(kind="", name=f"file-{number}", data=b"", problem=found.reason)


async def _send(child: Process, frame: bytes) -> None:
    if child.stdin is None:
        raise EOFError
    child.stdin.writelines((_LENGTH.pack(len(frame)), frame))
    await child.stdin.drain()


async def _receive(child: Process) -> bytes:
    """The next frame.  Raises EOFError (IncompleteReadError is one) without a child, ValueError on too long a frame."""
    if child.stdout is None:
        raise EOFError
    size: int = _LENGTH.unpack(await child.stdout.readexactly(_LENGTH.size))[0]
    if size > _LONGEST_ANSWER:
        raise ValueError(size)
    return await child.stdout.readexactly(size)


def _environment() -> dict[str, str]:
    """As little as Python needs: the daemon's may hold secrets, and the child reads what strangers wrote."""
    kept = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH", "LANG", "LC_ALL") if name in os.environ}
    home = str(Path(gateway.__file__).resolve().parent.parent)
    return kept | {"PYTHONPATH": home}
