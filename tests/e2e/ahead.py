"""`python ahead.py SECONDS WORDS`: `gateway WORDS` by a clock that is so many seconds ahead."""

from __future__ import annotations

import runpy
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

from gateway import house

AHEAD = timedelta(seconds=float(sys.argv[1]))


class Ahead:
    def now(self) -> datetime:
        """The time to come, aware, UTC."""
        return datetime.now(UTC) + AHEAD


if __name__ == "__main__":
    room: Any = house
    room.SystemClock = Ahead
    sys.argv[1:] = sys.argv[2:]
    runpy.run_module("gateway", run_name="__main__")
