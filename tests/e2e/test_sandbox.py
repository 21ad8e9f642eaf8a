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
import sys
from collections.abc import Sequence
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path

import pytest
from daemon import ROOT, Daemon
from house import PASSWORD, opened

from gateway.config import hash_password

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


_MDWE = """
import ctypes, os, sys
# PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN: what MemoryDenyWriteExecute= uses where the kernel has it (Linux 6.3)
sys.exit(38) if ctypes.CDLL(None).prctl(65, 1, 0, 0, 0) else os.execv(sys.argv[1], sys.argv[1:])
"""


class Denied(Daemon):
    """A daemon to which the kernel gives no memory that was written and may be executed."""

    def _words(self, *words: str) -> list[str]:
        plain = super()._words(*words)
        return [sys.executable, "-c", _MDWE, *plain] if words[0] == "serve" else plain


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


@pytest.mark.skipif(
    subprocess.run([sys.executable, "-c", _MDWE, "/bin/true"], check=False).returncode == 38,
    reason="the kernel has no PR_SET_MDWE: Linux 6.3",
)
async def test_mail_logins_pictures_and_texts_work_where_memory_is_written_or_executed(tmp_path: Path) -> None:
    hashed = hash_password(PASSWORD)
    login = (
        f'[[sender]]\nname = "jobs"\nlogin = "jobs"\npassword_hash = "{hashed}"\nnumber = "service"\nvouches = true\n'
    )
    async with opened(tmp_path, f'{login}[smtp]\ntls_certificate = "cert.pem"\ntls_key = "key.pem"\n') as house:
        daemon = Denied(tmp_path)
        house.daemon = daemon
        house.write()
        async with daemon:
            await house.start()
            answers = await daemon.mail(
                _with_picture(), "jobs@shop.example.com", ["2025550143@sms.example.com"], login=("jobs", PASSWORD)
            )
            assert answers[-1].startswith("250")
            await daemon.wait_event("delivery.confirmed", deadline=60)
            assert (await daemon.command("db", "backup", str(tmp_path / "copy.db"))).code == 0
            await daemon.stop()
        assert house.world.twilio.posts["+12025550143"] == 1
        assert [e for e in daemon.events if e["level"] == "error"] == []


def _with_picture() -> bytes:
    mail = EmailMessage()
    mail["From"], mail["Subject"], mail["Message-ID"] = "jobs@shop.example.com", "RO 1234", "<p@shop.example.com>"
    mail.set_content("Is this the part?")
    photo = (Path(__file__).parent / "t-65-picture-out" / "photo.jpg").read_bytes()
    mail.add_attachment(photo, maintype="image", subtype="jpeg", filename="part.jpg")
    return mail.as_bytes(policy=SMTP)
