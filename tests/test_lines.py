"""Lines that leave together (gateway/lines.py)."""

from __future__ import annotations

import asyncio
import os
import threading

import pytest

from gateway.lines import Lines


class Written:
    """A stream that knows each write."""

    def __init__(self) -> None:
        self.writes: list[str] = []

    def write(self, text: str) -> None:
        self.writes.append(text)

    def flush(self) -> None: ...


async def test_the_lines_of_one_turn_of_the_loop_leave_in_one_write() -> None:
    out = Written()
    lines = Lines(out)  # type: ignore[arg-type]
    for n in range(3):
        lines.write(f"{n}\n")
    assert out.writes == []
    await asyncio.sleep(0)
    lines.write("3\n")
    await asyncio.sleep(0)

    assert out.writes == ["0\n1\n2\n", "3\n"]


def test_outside_a_loop_each_line_leaves_at_once() -> None:
    out = Written()
    lines = Lines(out)  # type: ignore[arg-type]
    lines.write("0\n")
    lines.write("1\n")

    assert out.writes == ["0\n", "1\n"]


async def test_a_line_of_another_thread_leaves_at_once_and_behind_those_that_wait() -> None:
    out = Written()
    lines = Lines(out)  # type: ignore[arg-type]
    lines.write("0\n")
    other = threading.Thread(target=lines.write, args=("1\n",))
    other.start()
    other.join()
    assert out.writes == ["0\n1\n"]
    await asyncio.sleep(0)

    assert out.writes == ["0\n1\n"]


async def test_that_nobody_reads_any_more_stops_nothing_in_the_loop() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    failed: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: failed.append(context))
    with os.fdopen(writer, "w", closefd=True) as out:
        lines = Lines(out)
        lines.write("0\n")
        await asyncio.sleep(0)
        assert failed == []
        with pytest.raises(OSError, match="pipe"):
            await asyncio.to_thread(lines.write, "1\n")
        with pytest.raises(OSError, match="pipe"):
            out.flush()
        os.dup2(os.open(os.devnull, os.O_WRONLY), out.fileno())
