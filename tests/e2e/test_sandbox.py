"""The daemon at work asks the kernel for nothing that systemd/gateway.service forbids.

What it asks is seen with strace; what is forbidden is read from the unit, and its groups from systemd itself.
"""

from __future__ import annotations

import functools
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
from daemon import ROOT, Daemon
from house import opened

STRACE = shutil.which("strace")
ANALYZE = shutil.which("systemd-analyze")
UNIT = ROOT / "systemd" / "gateway.service"
_CALL = re.compile(r"^\d+\s+(?:<\.\.\. )?([a-z_][a-z0-9_]*)(?:\(| resumed>)")

pytestmark = [
    pytest.mark.skipif(STRACE is None, reason="strace is missing: apt install strace"),
    pytest.mark.skipif(ANALYZE is None, reason="systemd-analyze is missing: apt install systemd"),
]


class Watched(Daemon):
    """A daemon whose system calls, and those of its children, are written to `calls`."""

    @property
    def calls(self) -> Path:
        return self.folder / "calls"

    def _words(self, *words: str) -> list[str]:
        plain = super()._words(*words)
        # -D: the daemon stays our own child, and gets our signals.
        return [str(STRACE), "-D", "-f", "-qq", "-o", str(self.calls), *plain] if words[0] == "serve" else plain


def filters() -> tuple[str, ...]:
    """The words of SystemCallFilter= in the unit, in order."""
    lines = re.findall(r"^SystemCallFilter=(.*)$", UNIT.read_text(), flags=re.MULTILINE)
    return tuple(f"~{word}" if line.startswith("~") else word for line in lines for word in line.lstrip("~").split())


@functools.cache
def group(name: str) -> frozenset[str]:
    """The calls of a group of systemd's, those of the groups in it too."""
    assert ANALYZE is not None
    told = subprocess.run([ANALYZE, "syscall-filter", name], check=True, capture_output=True, text=True).stdout
    words = [line.strip() for line in told.splitlines() if line.startswith("    ") and "#" not in line]
    found: set[str] = set()
    for word in words:
        found |= group(word) if word.startswith("@") else {word}
    return frozenset(found)


def allowed(words: Sequence[str]) -> frozenset[str]:
    found: set[str] = set(group("@default"))
    for word in words:
        found = found - group(word[1:]) if word.startswith("~") else found | group(word)
    return frozenset(found)


@pytest.fixture
async def calls(tmp_path: Path) -> list[str]:
    """Every line of strace about a daemon that takes a mail, texts, reloads and ends."""
    async with opened(tmp_path) as house:
        daemon = Watched(tmp_path)
        house.daemon = daemon
        house.write()
        async with daemon:
            await house.start()
            raw = (
                b"From: jobs@shop.example.com\r\nSubject: RO 1234\r\nMessage-ID: <1@shop.example.com>\r\n\r\nReady\r\n"
            )
            assert await daemon.mail(raw, "jobs@shop.example.com", ["bob@sms.example.com"]) != []
            await daemon.wait_event("delivery.accepted", deadline=60)
            daemon.signal(signal.SIGHUP)
            await daemon.wait_event("config.reloaded", deadline=60)
            await daemon.stop()
        return daemon.calls.read_text(errors="replace").splitlines()


async def test_the_daemon_and_its_children_call_nothing_that_the_units_filter_forbids(calls: list[str]) -> None:
    used = {found[1] for found in map(_CALL.match, calls) if found}

    # As root, and only then, SQLite gives its files to the owner of the database.
    root = {"fchown"} if os.geteuid() == 0 else set()
    assert {"fdatasync", "accept4", "execve", "prctl"} <= used, "strace did not see what the daemon does"
    assert sorted(used - allowed(filters()) - root) == []


async def test_no_memory_is_made_writable_and_executable(calls: list[str]) -> None:
    """MemoryDenyWriteExecute= refuses both of these (systemd.exec(5))."""
    both = [line for line in calls if "PROT_WRITE|PROT_EXEC" in line and " mmap(" in line]
    later = [line for line in calls if re.search(r"\b(?:pkey_)?mprotect\(.*PROT_EXEC", line)]

    assert both + later == []
