"""Memory goes back to the system (gateway/heap.py)."""

from __future__ import annotations

import platform
import subprocess
import sys
from pathlib import Path

import pytest

# Many blocks that are too small for mappings of their own, in the middle of which some live on.
_LOAD = """
import pathlib
from gateway import heap

def held():
    status = pathlib.Path("/proc/self/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0])

heap.settle()
before = held()
blocks = [bytearray(100_000) for _ in range(1000)]
large = bytearray(5_000_000)
filled = held()
del large
kept = blocks[::50]
del blocks
heap.trim()
print(filled - before, held() - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="needs glibc")
def test_what_is_freed_between_what_lives_on_goes_back() -> None:
    root = Path(__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-c", _LOAD], check=True, capture_output=True, text=True, timeout=60, cwd=root
    )
    filled, left = map(int, done.stdout.split())

    assert filled > 90_000
    assert left < filled // 4
