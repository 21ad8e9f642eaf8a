"""Mails that were made to hurt, through the real reader: an answer or Unreadable, and the next mail is read."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from targets import NOW, read_files, read_mail
from torture import FILES, FROM, GENERATED, LABELLED

from gateway.core.model import Reading, Unreadable
from gateway.reader import MailReader

# HTML, so that the child must read it.
SIMPLE = FROM + b"Content-Type: text/html\r\nSubject: Ready\r\n\r\nYour car is ready.\r\n"
OUR_FAULT = re.compile(r"Error at \S+:\d+|died over it|made no sense")


@dataclass(frozen=True, slots=True)
class Desk:
    """A reader with one child, which is replaced when a mail has spoilt it."""

    runner: asyncio.Runner
    reader: MailReader

    def read(self, raw: bytes) -> Reading | Unreadable:
        """What a mail says.  No fault of ours may be why it is not read."""
        found = self.runner.run(self.reader.read(raw))
        if isinstance(found, Unreadable):
            assert not OUR_FAULT.search(found.reason), found.reason
        return found

    def survives(self, raw: bytes) -> Reading | Unreadable:
        """What the reader makes of a mail by each of its ways; the next one is read."""
        found = self.read(raw)
        for op, arguments in (("signatures", {"now": NOW}), ("author", {}), ("attached", {"most_bytes": 0})):
            answer = self.runner.run(self.reader.ask(op, raw, **arguments))
            assert not (isinstance(answer, Unreadable) and OUR_FAULT.search(answer.reason)), (op, answer)
        following = self.read(SIMPLE)

        assert isinstance(following, Reading), following
        assert following.text == "Your car is ready."
        return found


@pytest.fixture(scope="module")
def desk() -> Iterator[Desk]:
    with asyncio.Runner() as runner:
        reader = MailReader(reply_domains=("vtext.com",), children=1)
        runner.run(reader.start())
        yield Desk(runner, reader)
        runner.run(reader.close())


@pytest.mark.parametrize("raw", GENERATED.values(), ids=GENERATED)
def test_a_mail_that_was_made_to_hurt_costs_itself_alone(desk: Desk, raw: bytes) -> None:
    desk.survives(raw)


def test_a_long_line_keeps_no_mail_from_being_read_that_sounds_like_a_report(desk: Desk) -> None:
    assert isinstance(desk.read(GENERATED["a report in one line"]), Reading)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_small_mail_that_was_made_to_hurt_is_read(desk: Desk, path: Path) -> None:
    raw = path.read_bytes()
    read_files(raw)

    assert isinstance(read_mail(raw), Reading)
    assert isinstance(desk.survives(raw), Reading)


def test_no_label_of_a_charset_or_coding_keeps_a_mail_from_being_read(desk: Desk) -> None:
    found = {name: desk.read(raw) for name, raw in LABELLED.items()}

    assert [name for name, reading in found.items() if not isinstance(reading, Reading) or not reading.text] == []
