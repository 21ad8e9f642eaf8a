"""The loop of commands and answers: what comes is cut into lines and mails, with budgets and no word from inside.

A verb answers with a reply, or with a coroutine where it must wait; nothing is read meanwhile, and what comes then is
held until it is too much.
"""

from __future__ import annotations

import asyncio
import re
import traceback
from collections.abc import Coroutine

from gateway.events import emit
from gateway.intake.limits import Terms
from gateway.intake.wire import Cut, Wire

Answer = str | Coroutine[None, None, str]

_BLOCK = 65_536  # the longest line at all; behind as much as that which is not read yet the client must wait
_AT_ONCE = 50  # commands of one client, then it is the turn of the others
_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_HTTP = frozenset({b"GET", b"POST", b"PUT", b"HEAD", b"OPTIONS", b"CONNECT"})


class Dialog(Wire):
    """One conversation."""

    def __init__(self, terms: Terms) -> None:
        super().__init__(terms)
        self.commands = 0
        self.errors = 0
        self.ended = False
        self.receiving = False  # a mail, not commands
        self._input = b""  # what came
        self._at = 0  # how much of it is read
        self._eof = False
        self._paused = False
        self._gives_way = False  # until the next turn of the loop
        self._asked: asyncio.Future[bytes] | None = None  # the next line belongs to a command that is under way

    def command(self, verb: bytes, arg: str) -> Answer | None:
        """The answer to one command; None = there is no such verb.  `verb` is in upper case."""
        raise NotImplementedError

    def content(self, block: bytes) -> tuple[bytes, Answer] | None:
        """Takes a block of a mail: None while it goes on, at its end the bytes that follow it, and the answer."""
        raise NotImplementedError

    @property
    def idle(self) -> bool:
        busy = self._gives_way or self.over or self.receiving or self.handshake is not None
        return not busy and (self.work is None or self._asked is not None)

    def begin(self) -> None:
        if not self.secure or self.terms.implicit_tls:
            self.say(f"220 {self.terms.hostname} ESMTP")
        self._resume("")

    def data_received(self, data: bytes) -> None:
        if self.over or not self.takes(len(data)):
            return
        self._input = self._input[self._at :] + data if len(self._input) > self._at else data
        self._at = 0
        self.go_on()

    def eof_received(self) -> bool:
        """Lets the commands that came before the end be answered."""
        self._eof = True
        self.go_on()
        return not self.secure

    def go_on(self) -> None:
        """Obeys what came, as far as nothing must be waited for, and answers it in one packet."""
        try:
            for _ in range(_AT_ONCE):
                if self._at >= len(self._input) or not self._listens():
                    break
                if self.receiving:
                    self._take_block()
                elif not self._take_line():
                    break
            else:
                self._gives_way = True
                self.loop.call_soon(self._take_turn)
        except Cut as end:
            self.finish(end.reply, end.reason)
            return
        self.flush()
        left = len(self._input) - self._at
        if self._eof and self._listens() and not self.over:
            self.finish("", "")
        elif self._paused != (left > _BLOCK) and not self.over:
            self._paused = not self._paused
            (self._pipe.pause_reading if self._paused else self._pipe.resume_reading)()

    def _take_turn(self) -> None:
        self._gives_way = False
        self.go_on()

    def forget(self) -> None:
        self._input, self._at = b"", 0

    def overtaken(self) -> bool:
        """Whether the client has sent on without waiting: what came in clear must not count as said under TLS."""
        return self._at < len(self._input)

    async def ask(self, words: str) -> bytes:
        """The client's line behind a 334."""
        self.say(words)
        self.flush()
        self._asked = self.loop.create_future()
        self.next_line()
        self.loop.call_soon(self.go_on)
        return await self._asked

    def _listens(self) -> bool:
        waits = self.work is not None and self._asked is None
        return not (waits or self._gives_way or self.over or self.full or self.handshake is not None)

    def _take_block(self) -> None:
        block, self._input, self._at = self._input[self._at :], b"", 0
        try:
            ended = self.content(block)
        except Exception as error:
            # What follows is still the mail, and must not be obeyed.
            raise Cut(self._fault(error), "") from None
        if ended is not None:
            self._input, answer = ended
            self._settle(answer)

    def _take_line(self) -> bool:
        """Obeys the next line, which ends in CRLF or LF; False when there is none yet."""
        begin, end = self._at, self._input.find(b"\n", self._at)
        length = (end + 1 if end >= 0 else len(self._input)) - begin
        if length > _BLOCK + 1 or (end < 0 and length > _BLOCK):
            raise Cut("500 5.5.2 Line too long", "endless command line")
        if end < 0:
            return False
        self._at = end + 1
        if length > (self.limits.command_bytes if self._asked is None else self.limits.login_bytes):
            self.say("500 5.5.2 Line too long")
            self.errors += 1
            self._check_budgets()
        elif self._asked is not None:
            asked, self._asked = self._asked, None
            self.give_time(self.limits.command_seconds)
            asked.set_result(self._input[begin:end])
        else:
            self._obey(self._input[begin:end].strip())
        return True

    def _obey(self, line: bytes) -> None:
        self.commands += 1
        word, _, rest = line.partition(b" ")
        verb = word.upper()
        if _CONTROL.search(line):
            self._settle("500 5.5.2 Control characters are not allowed in commands")
        elif verb in _HTTP:
            # A web page can make a browser on the shop's network post a mail to us.
            raise Cut("421 4.7.0 This is a mail server", "HTTP")
        elif verb in {b"MAIL", b"RCPT"} and not rest.isascii():
            self._settle("553 5.6.7 An address must be ASCII here")
        else:
            try:
                answer = self.command(verb, rest.decode("ascii", "replace").strip())
            except Cut:
                raise
            except Exception as error:
                answer = self._fault(error)
            self._settle("500 5.5.2 Unknown command" if answer is None else answer)

    def _settle(self, answer: Answer) -> None:
        """Ends a command with its answer ('' = it has none), or waits for it.  Raises Cut."""
        if not isinstance(answer, str):
            self.give_time(self.limits.command_seconds)
            self.work = self.loop.create_task(answer)
            self.work.add_done_callback(self._done)
            return
        if answer:
            self.errors += answer[0] == "5"
            self.say(answer)
        if self.ended:
            self.finish("", "")
        else:
            self._check_budgets()

    def _done(self, work: asyncio.Task[str]) -> None:
        """Goes on where a command had to wait."""
        self.work = self._asked = None
        try:
            answer = "" if work.cancelled() else work.result()
        except Cut as end:
            self.finish(end.reply, end.reason)
            answer = ""
        except Exception as error:
            answer = self._fault(error)
        if self.over:
            self.leave()
        elif work.cancelled():
            self.cut()
        else:
            self._resume(answer)

    def _resume(self, answer: str) -> None:
        try:
            self._settle(answer)
        except Cut as end:
            self.finish(end.reply, end.reason)
        self.go_on()

    def _fault(self, error: Exception) -> str:
        """The answer to a fault of ours: temporary, because nobody knows whether it will last; nothing from inside."""
        frame = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{frame.filename.rpartition('/')[2]}:{frame.lineno} in {frame.name}"
        emit("session.failed", peer=self.peer, error=f"{type(error).__name__}: {error}", where=where)
        return "451 4.3.0 A fault of this server, try again later"

    def _check_budgets(self) -> None:
        """Raises Cut when the session has used up its commands, errors or time, or the door is closing."""
        if self.receiving or self.handshake is not None:
            return
        if self.terms.crowd.stopping:
            raise Cut("421 4.3.2 This server is stopping, try again later", "")
        if self.errors >= self.limits.errors:
            raise Cut("421 4.7.0 Too many errors", "too many errors")
        if self.commands >= self.limits.commands:
            raise Cut("421 4.7.0 Too many commands", "too many commands")
        self.next_line()
