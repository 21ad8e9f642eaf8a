"""Reads mail and pictures in limited child processes, so that a crafted one costs itself and nothing else.

Small plain mail needs none: what simple.read takes, it reads here, in time in proportion to the mail.

How it fails: what uses up its CPU, memory or time, or crashes the parser twice, is Unreadable, and its child is
replaced.  A child that dies of something else (a signal from outside, a starved machine) says nothing about the mail,
which is tried once more in a fresh one.  Where no child can be started, ReaderUnavailable says that nothing was judged.
A mail on which the admin's patterns take too long is read without them.  Pictures wait for each other and for no mail:
decoding never takes the last child.  Large mails wait for each other too: each takes much memory.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from typing import Any

from gateway import child as pipe
from gateway.child import Limits, Slot
from gateway.core import bounce, carrier_answer, simple
from gateway.core.mime import Patterns
from gateway.core.model import Picture, Reading, Unreadable
from gateway.events import emit, fault
from gateway.ports import Media, ReaderUnavailable

_MOST_FILES = 100  # frames of bytes after an answer
_START_SECONDS = 20.0  # imports on a cold and busy machine
_SECOND_TRY = 3.0  # times the deadline: the CPU limit, not the clock of a busy machine, shall judge the mail
_FINAL_SIGNALS = (signal.SIGXCPU,)
_DECODING = frozenset({"attached", "picture"})
_ONE_TRY = frozenset({"picture"})  # when its time is up: the words of the text wait for it
_LARGE = 1 << 20  # bytes of a mail; a child takes about seven times as much


class _Killed(Exception):
    """The child is gone; `final` when the mail is to blame, `spent` when it had used up its CPU or its time."""

    def __init__(self, reason: str, *, final: bool = False, spent: bool = False) -> None:
        super().__init__(reason)
        self.reason, self.final, self.spent = reason, final, spent


class MailReader:
    """A ports.Reader.  Reads at most `children` mails at a time, callers are served in the order in which they ask."""

    def __init__(
        self,
        cut_after: tuple[str, ...] = (),
        job: str = "",
        subject_patterns: tuple[str, ...] = (),
        patterns: tuple[str, ...] = (),
        reply_domains: tuple[str, ...] = (),
        *,
        children: int = 2,
        limits: Limits | None = None,
    ) -> None:
        self._limits = limits or Limits()
        self._slots = [Slot() for _ in range(children)]
        self.configure(cut_after, job, subject_patterns, patterns, reply_domains)
        self._idle = list(self._slots)
        self._turns = asyncio.Semaphore(children)
        self._decoding = asyncio.Semaphore(max(1, children - 1))
        self._large = asyncio.Semaphore(1)
        self._closed = False

    def configure(
        self,
        cut_after: tuple[str, ...],
        job: str = "",
        subject_patterns: tuple[str, ...] = (),
        patterns: tuple[str, ...] = (),
        reply_domains: tuple[str, ...] = (),
    ) -> None:
        """How mail is read from the next one on: where job mail is cut, the pattern that captures its job, those that
        are looked for in its Subject alone and in Subject and text (Reading.captured), and the domains from which
        carriers send texts on (see carrier_answer), in lower case.
        """
        settings = {
            "cut_after": cut_after,
            "job": job,
            "subject_patterns": subject_patterns,
            "patterns": patterns,
            "reply_domains": reply_domains,
            "memory_bytes": self._limits.memory_bytes,
            "decoding_bytes": self._limits.decoding_bytes,
        }
        self._patterned = bool(job or subject_patterns or patterns)
        self._simply = simple.wanted(cut_after, Patterns(job=job, in_subject=subject_patterns, anywhere=patterns))
        self._reply_domains = frozenset(reply_domains)
        self._settings = json.dumps(settings).encode()
        for slot in self._slots:
            slot.mails = self._limits.mails_per_child

    @property
    def pids(self) -> tuple[int, ...]:
        """The processes of the children that live."""
        return tuple(slot.child.pid for slot in self._slots if slot.child is not None and slot.child.returncode is None)

    async def start(self) -> None:
        """Starts one child, to learn now whether it can be done.  Raises ReaderUnavailable."""
        async with self._turn() as slot:
            await self._child(slot)

    def read_now(self, raw: bytes) -> Reading | None:
        """What a small plain mail says; None for any other, and for one that a child must look into further."""
        found = None
        try:
            found = None if self._closed else simple.read(raw, self._simply)
        except Exception as error:  # a fault of ours: the general way may know better
            emit("engine.failed", loop="reader", **fault(error))
        if found is None or bounce.suspected(found) or carrier_answer.texted(found.author, self._reply_domains):
            return None
        return found

    async def read(self, raw: bytes) -> Reading | Unreadable:
        """What a mail says, or why it cannot be read.  No input raises; ReaderUnavailable when no child can be had.

        Where the patterns may be what took too long, it is read without them: no job by pattern, nothing captured.
        """
        read = self.read_now(raw)
        if read is not None:
            return read
        try:
            answer = await self._answered("read", raw, {})
        except _Killed as end:
            if not (end.spent and self._patterned):
                return Unreadable(reason=end.reason)
            answer = await self.ask("read", raw, job="", subject_patterns=(), patterns=())
            if not isinstance(answer, Unreadable):
                emit("reader.patterns_skipped", bytes=len(raw))
        if isinstance(answer, Unreadable):
            return answer
        said: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in answer["reading"].items()}
        return Reading(**said)

    async def attached(self, raw: bytes, most_bytes: int = 0) -> tuple[Picture, ...]:
        """The images and PDFs of a mail, fit to go with a text: see attachment.attached.  A mail that cannot be looked
        into has one Picture, with the reason.  Raises ReaderUnavailable.
        """
        found = await self.ask("attached", raw, most_bytes=most_bytes)
        return (_none(found, 1),) if isinstance(found, Unreadable) else _pictures(found)

    async def inspected(self, media: Media, number: int = 1) -> Picture:
        """What came with a text, the `number`-th of it: see picture.inspected.  Raises ReaderUnavailable."""
        found = await self.ask("picture", media.data, number=number)
        return _none(found, number) if isinstance(found, Unreadable) else _pictures(found)[0]

    async def ask(self, op: str, payload: bytes, **arguments: Any) -> dict[str, Any] | Unreadable:
        """The answer of one of reader_child.OPS about `payload`, within all limits; "files" in it is a list of bytes.

        `arguments` go through JSON.  Raises ReaderUnavailable when no child can be had.
        """
        try:
            return await self._answered(op, payload, arguments)
        except _Killed as end:
            return Unreadable(reason=end.reason)

    async def close(self) -> None:
        """Ends all children.  A mail that is being read gets ReaderUnavailable, as does every later one."""
        self._closed = True
        for slot in self._slots:
            slot.kill()
            await slot.emptied()

    @asynccontextmanager
    async def _turn(self, op: str = "", size: int = 0) -> AsyncIterator[Slot]:
        """A free slot, for one question.  What decodes and what is large wait for their likes first, without a slot."""
        large = op == "read" and size > _LARGE  # no proof: its client waits in DATA
        likes = self._decoding if op in _DECODING else self._large if large else nullcontext()
        async with likes, self._turns:
            slot = self._idle.pop()
            slot.wanted()
            try:
                yield slot
            finally:
                self._idle.append(slot)
                slot.rest(self._limits.rest_seconds)

    async def _answered(self, op: str, payload: bytes, arguments: dict[str, Any]) -> dict[str, Any] | Unreadable:
        """The answer of the first or second try.  Raises _Killed, of the last try."""
        more = len(payload) / self._limits.second_for_bytes + (self._limits.decoding_seconds if op in _DECODING else 0)
        cpu = self._limits.cpu_seconds + int(more)
        head = json.dumps({"op": op, "cpu": cpu, "arguments": arguments}).encode()
        seconds = self._limits.deadline_seconds + more
        async with self._turn(op, len(payload)) as slot:
            try:
                answer = await self._tried(slot, (head, payload), seconds, cpu)
            except _Killed as end:
                if end.final or (end.spent and op in _ONE_TRY):
                    raise
                answer = await self._tried(slot, (head, payload), seconds * _SECOND_TRY, cpu)
        return Unreadable(reason=str(answer["unreadable"])) if "unreadable" in answer else answer

    async def _tried(self, slot: Slot, question: tuple[bytes, bytes], seconds: float, cpu: int) -> dict[str, Any]:
        """The answer of a living child.  Raises _Killed, and says so in the log."""
        child = await self._child(slot)
        try:
            return await self._answer(slot, child, question, seconds, cpu)
        except _Killed as end:
            if self._closed:
                raise ReaderUnavailable("the reader is closed") from None
            emit("reader.killed", error=end.reason, bytes=len(question[1]))
            raise

    async def _answer(
        self, slot: Slot, child: Process, question: tuple[bytes, bytes], seconds: float, cpu: int
    ) -> dict[str, Any]:
        """One question and its answer.  Leaves no child that still owes an answer.  Raises _Killed."""
        answered = False
        try:
            async with asyncio.timeout(seconds):
                for frame in question:
                    await pipe.send(child, frame)
                answer: dict[str, Any] = json.loads(await pipe.receive(child))
                answer["files"] = [await pipe.receive(child) for _ in range(min(answer["files"], _MOST_FILES))]
            answered = not answer.get("last", False)
            slot.mails += 1
        except TimeoutError:
            raise _Killed(f"it could not be read within {seconds:g} s", spent=True) from None
        except (EOFError, OSError):
            pipe.close(child)
            raise _why(await child.wait(), cpu) from None
        except (ValueError, KeyError, TypeError):
            raise _Killed("the reader's answer made no sense") from None
        finally:
            if not answered:
                slot.kill()
        return answer

    async def _child(self, slot: Slot) -> Process:
        """The living child of a slot, a new one where the old is gone or has done its share."""
        if self._closed:
            raise ReaderUnavailable("the reader is closed")
        child = slot.child
        if child is not None and child.returncode is None and slot.mails < self._limits.mails_per_child:
            return child
        slot.kill()
        await slot.emptied()
        settings = self._settings
        slot.child = await self._spawn()
        # What was configured while it started, it does not know: the next mail gets another child.
        slot.mails = 0 if settings is self._settings else self._limits.mails_per_child
        return slot.child

    async def _spawn(self) -> Process:
        command = (sys.executable, "-P", "-m", "gateway.reader_child", str(os.getpid()))
        try:
            child = await asyncio.create_subprocess_exec(
                *command, stdin=PIPE, stdout=PIPE, env=pipe.environment(), start_new_session=True
            )
        except OSError as fault:
            raise ReaderUnavailable(f"no child process for reading: {fault.strerror or fault}") from fault
        ready = False
        try:
            async with asyncio.timeout(_START_SECONDS):
                await pipe.send(child, self._settings)
                said = await pipe.receive(child)
                ready = said == pipe.READY
        except (EOFError, OSError, ValueError) as fault:
            raise ReaderUnavailable(f"the child process for reading did not start ({type(fault).__name__})") from fault
        finally:
            if not ready:
                pipe.kill(child)
        if not ready:
            await child.wait()
            raise ReaderUnavailable(f"the child process for reading says {said!r}: restart the daemon after an upgrade")
        if self._closed:
            pipe.kill(child)
            raise ReaderUnavailable("the reader is closed")
        return child


def _why(code: int, cpu_seconds: int) -> _Killed:
    if -code in _FINAL_SIGNALS:
        return _Killed(f"it took more than {cpu_seconds} s of CPU", final=True, spent=True)
    how = f"signal {-code}" if code < 0 else f"exit code {code}"
    return _Killed(f"the reader died over it ({how})")


def _pictures(answer: dict[str, Any]) -> tuple[Picture, ...]:
    return tuple(Picture(**about, data=data) for about, data in zip(answer["pictures"], answer["files"], strict=True))


def _none(found: Unreadable, number: int) -> Picture:
    return Picture(kind="", name=f"file-{number}", data=b"", problem=found.reason)
