"""Memory goes back to the system (gateway/heap.py)."""

from __future__ import annotations

import platform
import subprocess
import sys
from pathlib import Path

import pytest

_HELD = """
import pathlib
from gateway import heap

def held():
    status = pathlib.Path("/proc/self/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0])

"""
# One large block that was freed moves glibc's own bound; then large ones lie among small ones, of which one lives on.
_SETTLED = """
heap.settle()
first = bytearray(5_000_000)
del first
before = held()
blocks = [bytearray(200_000 if n % 2 else 20_000) for n in range(400)]
filled = held()
pin = blocks[-2]
del blocks
print(filled - before, held() - before)
"""
# Blocks that are too small for mappings of their own, in the middle of which some live on.
_TRIMMED = """
before = held()
blocks = [bytearray(100_000) for _ in range(1000)]
filled = held()
kept = blocks[::50]
del blocks
heap.trim()
print(filled - before, held() - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="needs glibc")
@pytest.mark.parametrize("load", [pytest.param(_SETTLED, id="large blocks"), pytest.param(_TRIMMED, id="small blocks")])
def test_what_is_freed_between_what_lives_on_goes_back(load: str) -> None:
    root = Path(__file__).parents[1]
    words = [sys.executable, "-c", _HELD + load]
    done = subprocess.run(words, check=True, capture_output=True, text=True, timeout=60, cwd=root)
    filled, left = map(int, done.stdout.split())

    assert filled > 30_000
    assert left < filled // 3
