"""Plays every dialogs/*.smtp against a door on a real socket.

A dialog reads like an example in an RFC.  Its lines:

    # ...                  a remark
    given: network         the client is in a sender's network
    given: public          the door for the internet
    given: refuse WHAT CODE ENHANCED TEXT      the host's answer to an address, or to "data"
    c: ...                 the client's line, sent with CRLF
    c| ...                 bytes as they stand, with \\r \\n \\0 and \\\\
    s: ...                 the server's next line; ... stands for anything
    s: (closed)            the server has hung up
    kept: N                so many mails are stored
    rcpt: ...              a recipient of the last mail
    text: ...              a line of the last mail, without its CRLF; they follow each other
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from smtp_house import DEADLINE, Client, House, connect

from gateway.core.model import Door, Refusal

DIALOGS = sorted(Path(__file__).with_name("dialogs").glob("*.smtp"))
ESCAPES = {"\\r": "\r", "\\n": "\n", "\\0": "\0", "\\\\": "\\"}


@pytest.mark.parametrize("path", DIALOGS, ids=lambda path: path.stem)
async def test_the_dialog_goes_as_written(path: Path, open_door: Callable[..., Awaitable[House]]) -> None:
    script = path.read_text("utf-8").splitlines()
    house = await open_door(door=Door.PUBLIC if "given: public" in script else Door.SUBMISSION)
    texts: list[str] = []
    async with await connect(house.port, greet=False) as client:
        for number, line in enumerate(script, 1):
            mark, content = line[:2], line[3:]
            where = f"{path.name}:{number}"
            if line.startswith("#") or not line:
                continue
            if line.startswith("given: "):
                prepare(house, line.removeprefix("given: "))
            elif mark == "c:":
                client.send(content.encode("latin-1") + b"\r\n")
            elif mark == "c|":
                client.send(re.sub(r"\\.", lambda m: ESCAPES[m[0]], content).encode("latin-1"))
            elif mark == "s:":
                assert_matches(content, await next_line(client), where)
            elif line.startswith("kept: "):
                assert int(line.removeprefix("kept: ")) == len(house.host.kept), where
            elif line.startswith("rcpt: "):
                recipients = [r.address for r in house.host.kept[-1].envelope.recipients]
                assert line.removeprefix("rcpt: ") in recipients, where
            elif line.startswith("text:"):
                texts.append(line.removeprefix("text:").removeprefix(" "))
            else:
                pytest.fail(f"{where}: cannot be read: {line}")
    if texts:
        assert "".join(f"{text}\r\n" for text in texts).encode("latin-1") == house.host.kept[-1].raw


def prepare(house: House, words: str) -> None:
    if words == "network":
        house.host.networks.add("127.0.0.1")
    elif words.startswith("refuse "):
        _, what, code, enhanced, text = words.split(" ", 4)
        house.host.refusals[what] = Refusal(code=int(code), enhanced=enhanced, text=text)
    else:
        assert words == "public"


async def next_line(client: Client) -> str:
    async with asyncio.timeout(DEADLINE):
        try:
            line = await client.reader.readline()
        except ConnectionError:
            return "(closed)"
    return line.decode("ascii").removesuffix("\r\n") or "(closed)"


def assert_matches(pattern: str, line: str, where: str) -> None:
    parts = [re.escape(part) for part in pattern.split("...")]
    assert re.fullmatch(".*".join(parts), line), f"{where}: expected {pattern!r}, the server said {line!r}"
