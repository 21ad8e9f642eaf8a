"""`python hang.py COROUTINE WORDS`: `gateway WORDS`, of which SIGUSR1 ends the loops that run that coroutine.

A loop that was ended turns no more, and nobody is told: to the watchdog it is one that hangs.
"""

from __future__ import annotations

import asyncio
import runpy
import signal
import sys

NAME = sys.argv[1]


def hang(*_: object) -> None:
    for task in asyncio.all_tasks():
        if getattr(task.get_coro(), "__qualname__", "") == NAME:
            task.cancel()


if __name__ == "__main__":
    signal.signal(signal.SIGUSR1, hang)
    sys.argv[1:] = sys.argv[2:]
    runpy.run_module("gateway", run_name="__main__")
