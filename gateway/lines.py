"""Lines for a program that reads them: those of one turn of the event loop leave in one write."""

from __future__ import annotations

import asyncio
import atexit
import threading
from typing import TextIO


class Lines:
    """A stream of lines.  Outside a loop, or from another thread, a line leaves at once, behind those that wait."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._lock = threading.Lock()
        self._waiting: list[str] = []
        atexit.register(self._end)

    def write(self, line: str) -> None:
        """Raises OSError where the line leaves at once and nobody reads it."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            loop = None
        with self._lock:
            self._waiting.append(line)
            first = len(self._waiting) == 1
        if loop is None:
            self._leave()
        elif first:
            loop.call_soon(self._end)

    def flush(self) -> None:
        """Nothing: whoever writes a line says so each time, and the loop's turn is not over."""

    def _leave(self) -> None:
        with self._lock:
            lines, self._waiting = self._waiting, []
            if lines:
                self._out.write("".join(lines))
                self._out.flush()

    def _end(self) -> None:
        try:
            self._leave()
        except OSError:
            return  # nobody reads our lines any more, and nobody is left to hear of it
