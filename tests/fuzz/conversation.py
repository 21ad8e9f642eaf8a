"""The door for mail as the fuzzers see it: bytes in, replies out, and the rules that hold between them.

Each line that a client ends is answered exactly once, and so is each mail; 421, 221 and a line that never ends are the
only ways in which the door stops to answer.  What is kept was answered 250.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from smtp_house import DEADLINE, House, connect, open_house
from structlog.testing import capture_logs

from gateway.intake.smtp import Limits

LIMITS = Limits(max_bytes=5_000, line_bytes=1_000, recipients=3, commands=60, hops=5)
FAULT = "451 4.3.0 A fault of this server, try again later"

_CODES = frozenset({211, 214, 220, 221, 235, 250, 252, 334, 354})
_LINE = re.compile(r"([2-5]\d\d)([ -])([ -~]*)")
_REFUSAL = re.compile(r"([45])\d\d \1\.\d{1,3}\.\d{1,3} [ -~]+")
_END = b"\r\n.\r\n"
_LAST = ("221 ", "421 ", "500 5.5.2 Line too long")


class Conversations:
    """An open door on loopback; each call is one client from connect to close."""

    def __init__(self, runner: asyncio.Runner, house: House) -> None:
        self.house = house
        self._runner = runner

    def judged(self, pieces: Sequence[bytes]) -> list[str]:
        """The replies to `pieces`, each sent as a packet of its own, after all rules of this file were held against
        them; the lines of one reply are joined by LF.
        """
        before = len(self.house.host.kept)
        with capture_logs() as logged:
            received = self._runner.run(self._spoken(pieces))
        found = replies(received)
        faults = [event for event in logged if event["event"] == "session.failed"]
        assert faults == [] or self.house.host.faults, faults
        assert FAULT not in found or self.house.host.faults, found
        kept = self.house.host.kept[before:]
        assert len(kept) == sum(reply.startswith("250 2.0.0 accepted as ") for reply in found)
        for mail in kept:
            assert 0 < len(mail.envelope.recipients) <= LIMITS.recipients
            assert len(mail.raw) <= LIMITS.max_bytes
            assert b"\0" not in mail.raw
            assert re.search(rb"\r(?!\n)|(?<!\r)\n", mail.raw) is None
        assert_each_line_is_answered_once(b"".join(pieces), found)
        return found

    def serves(self) -> None:
        """Fails where a healthy client is not served."""
        self._runner.run(self._healthy())

    async def _spoken(self, pieces: Sequence[bytes]) -> bytes:
        async with await connect(self.house.port, greet=False) as client:
            hearing = asyncio.create_task(client.gone())
            try:
                for piece in pieces:
                    if hearing.done():
                        break
                    client.send(piece)
                    await asyncio.sleep(0)
                    await asyncio.sleep(0)
                if client.writer.can_write_eof() and not hearing.done():
                    client.writer.write_eof()
            except OSError:  # the door has hung up meanwhile
                pass
            received = await hearing
        async with asyncio.timeout(DEADLINE):
            while self.house.door.open_sessions:
                await asyncio.sleep(0)
        assert self.house.door.held_bytes == 0
        return received

    async def _healthy(self) -> None:
        before = len(self.house.host.kept)
        async with await connect(self.house.port) as client:
            assert (await client.mail(b"Subject: x\r\n\r\nHello\r\n.\r\n")).startswith("250 2.0.0 accepted as ")
            assert (await client.say("QUIT")).startswith("221 ")
            await client.gone()
        assert len(self.house.host.kept) == before + 1


@dataclass(frozen=True, slots=True)
class _Sliced:
    """One input of bytes: the first says how long the packets are, 0 = all in one."""

    doors: Conversations

    def __call__(self, raw: bytes) -> None:
        size, sent = raw[0] if raw else 0, raw[1:]
        step = size or max(1, len(sent))
        self.doors.judged([sent[at : at + step] for at in range(0, len(sent), step)])
        if size % 16 == 0:
            self.doors.serves()


@contextmanager
def conversing() -> Iterator[Conversations]:
    """A door where login is offered without TLS."""
    with asyncio.Runner() as runner:
        house = runner.run(_made())
        try:
            yield Conversations(runner, house)
        finally:
            runner.run(house.door.close(0))


async def _made() -> House:
    house = await open_house(limits=LIMITS)
    house.host.networks.add("127.0.0.1")
    return house


@contextmanager
def opened() -> Iterator[Callable[[bytes], object]]:
    """The door as a target of bytes."""
    with conversing() as doors:
        yield _Sliced(doors)


def replies(received: bytes) -> list[str]:
    """The replies in what the door sent.  Fails where one is not well formed (RFC 5321 4.2)."""
    found: list[str] = []
    lines: list[str] = []
    text = received.decode("ascii")
    assert not text or text.endswith("\r\n"), text[-80:]
    for line in text.split("\r\n")[:-1]:
        assert len(line) <= 510, line
        match = _LINE.fullmatch(line)
        assert match, line
        assert all(line[:3] == before[:3] for before in lines), (lines, line)
        lines.append(line)
        if match[2] == " ":
            found.append("\n".join(lines))
            lines = []
    assert lines == []
    for reply in found:
        assert int(reply[:3]) in _CODES or _REFUSAL.fullmatch(reply), reply
    return found


def assert_each_line_is_answered_once(sent: bytes, found: Sequence[str]) -> None:
    """Walks through both sides of a conversation."""
    assert found, "no banner"
    assert found[0].startswith("220 ")
    at = 0
    content = False  # a mail is being sent
    for n, reply in enumerate(found[1:], 1):
        if reply.startswith(("221 ", "421 ")):
            assert n == len(found) - 1, (reply, found[n + 1 :])
            return
        if content:
            end = (b"\r\n" + sent[at:]).find(_END)
            assert end >= 0, f"answered before its end: {reply}"
            at += end + len(_END) - 2
        else:
            end = sent.find(b"\n", at)
            assert end >= 0 or (reply == _LAST[-1] and n == len(found) - 1), f"an answer to nothing: {reply}"
            at = end + 1 if end >= 0 else len(sent)
        content = reply.startswith("354 ")
    over = found[-1].startswith(_LAST)
    left = _END in b"\r\n" + sent[at:] if content else b"\n" in sent[at:]
    assert over or not left, (found[-1], sent[at : at + 80])
