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
import tempfile
from collections.abc import Sequence
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from daemon import ROOT, Daemon
from house import PASSWORD, House, opened

STRACE = shutil.which("strace")
ANALYZE = shutil.which("systemd-analyze")
UNIT = ROOT / "systemd" / "gateway.service"
PHOTO = Path(__file__).parent / "t-65-picture-out" / "photo.jpg"
NOBODY = 65534
SECONDS = 60.0  # traced, everything takes its time
JOBS, ANN, OURS = "jobs@shop.example.com", "+12025550143", "+12025550100"
OFFICE = """
[[sender]]
name = "jobs"
networks = ["127.0.0.0/8"]
number = "service"
vouches = true
[[sender]]
name = "office"
login = "office"
password_hash = "{password_hash}"
number = "service"
vouches = true
[smtp]
listen_tls = ["127.0.0.1:0"]
listen_public = ["127.0.0.1:0"]
tls_certificate = "cert.pem"
tls_key = "key.pem"
[relay]
host = "localhost"
[dns]
watch = "24 h"
servers = ["127.0.0.9"]
"""
_CALL = re.compile(r"^\d+\s+(?:<\.\.\. )?([a-z_][a-z0-9_]*)(?:\(| resumed>)")
_SOCKET = re.compile(r" socket\((AF_\w+)")

pytestmark = [
    pytest.mark.skipif(STRACE is None, reason="strace is missing: apt install strace"),
    pytest.mark.skipif(ANALYZE is None, reason="systemd-analyze is missing: apt install systemd"),
]


class Served(Daemon):
    """A daemon that runs as a user without rights: where we are root as nobody, who may read our files all the same."""

    def _words(self, *words: str) -> list[str]:
        plain = super()._words(*words)
        return [*service_user(), *self.under(), *plain] if words[0] == "serve" else plain

    def under(self) -> list[str]:
        """The words before those that start it."""
        return []

    async def start(self) -> None:
        if os.geteuid() == 0:
            for path in (self.folder, *self.folder.rglob("*")):
                os.chown(path, NOBODY, NOBODY)
        await super().start()


class Watched(Served):
    """A daemon whose system calls, and those of its children, are written to `calls`."""

    @property
    def calls(self) -> Path:
        return self.folder / "calls"

    def under(self) -> list[str]:
        # -D: the daemon stays our own child, and gets our signals.
        return [str(STRACE), "-D", "-f", "-qq", "-o", str(self.calls)]


_MDWE = """
import ctypes, os, sys
# PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN: what MemoryDenyWriteExecute= uses where the kernel has it (Linux 6.3)
sys.exit(38) if ctypes.CDLL(None).prctl(65, 1, 0, 0, 0) else os.execv(sys.argv[1], sys.argv[1:])
"""


class Denied(Served):
    """A daemon to which the kernel gives no memory that was written and may be executed."""

    def under(self) -> list[str]:
        return [sys.executable, "-c", _MDWE]


def service_user() -> list[str]:
    """The words that make a process that of an unprivileged user.  The test is skipped where root may not."""
    if os.geteuid() != 0:
        return []
    caps = "-all,+dac_read_search"  # to read an interpreter and a checkout that lie in root's home
    user = [f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--no-new-privs"]
    words = ["setpriv", *user, f"--inh-caps={caps}", f"--ambient-caps={caps}"]
    if subprocess.run([*words, "true"], check=False, capture_output=True).returncode:
        pytest.skip("root may not become another user here")
    return words


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


async def at_work(house: House) -> None:
    """All that a shop does in a day, from the start of its daemon to SIGTERM: each door, each way out, each child."""
    daemon, world = house.daemon, house.world
    await house.start()
    await mailed(house, plain("one"), "bob", "delivery.accepted", courier="mail")
    await mailed(house, plain("two"), "alice", "delivery.accepted", courier="twilio", door="smtp_tls")
    await mailed(house, plain("zero"), "postmaster", "delivery.accepted", courier="mail", door="smtp_public")
    wrong = await daemon.mail(plain("three"), JOBS, [f"{ANN}@sms.example.com"], login=("office", "wrong"))
    assert wrong[0].startswith("535")
    await mailed(house, with_picture(), "2025550143", "delivery.confirmed", login=("office", PASSWORD))
    assert world.twilio.posts[ANN] == 1
    assert await world.customer_texts(ANN, OURS, "Like this", [("image/jpeg", PHOTO.read_bytes())]) == 200
    await world.wait(lambda w: any(m.is_for(JOBS) and "Like this" in m.text for m in w.mails), SECONDS)
    assert next(m for m in world.mails if "Like this" in m.text).message.is_multipart()
    assert (await daemon.command("db", "backup", str(house.folder / "copy.db"))).code == 0
    assert (await daemon.command("queue", "list", "--all", "--json")).rows != []
    daemon.signal(signal.SIGHUP)
    await daemon.wait_event("config.reloaded", deadline=SECONDS)
    await daemon.stop()
    assert [e for e in daemon.events if e["level"] == "error"] == []


async def mailed(
    house: House, raw: bytes, to: str, event: str, *, door: str = "smtp", login: Any = None, **fields: str
) -> None:
    """Sends a mail, which is taken, and waits for what becomes of it."""
    after = len(house.daemon.events)
    answers = await house.daemon.mail(raw, JOBS, [f"{to}@sms.example.com"], door=door, login=login)
    assert [answer[:3] for answer in answers] == ["250"]
    await house.daemon.wait_event(event, after=after, deadline=SECONDS, **fields)


def plain(words: str) -> bytes:
    return f"From: {JOBS}\r\nSubject: RO 1234\r\nMessage-ID: <{words}@shop.example.com>\r\n\r\n{words}\r\n".encode()


def with_picture() -> bytes:
    mail = EmailMessage()
    mail["From"], mail["Subject"], mail["Message-ID"] = JOBS, "RO 1234", "<p@shop.example.com>"
    mail.set_content("Is this the part?")
    mail.add_attachment(PHOTO.read_bytes(), maintype="image", subtype="jpeg", filename="part.jpg")
    return mail.as_bytes(policy=SMTP)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def calls() -> list[str]:
    """Every line of strace about a daemon at work."""
    with tempfile.TemporaryDirectory(prefix="gw-") as name:
        async with opened(Path(name), OFFICE) as house:
            house.daemon = daemon = Watched(house.folder)
            async with daemon:
                await at_work(house)
            return daemon.calls.read_text(errors="replace").splitlines()


async def test_the_daemon_and_its_children_call_nothing_that_the_units_filter_forbids(calls: list[str]) -> None:
    used = {found[1] for found in map(_CALL.match, calls) if found}

    assert {"fdatasync", "accept4", "execve", "prctl"} <= used, "strace did not see what the daemon does"
    assert sorted(used - allowed(filters())) == []


async def test_no_memory_is_made_writable_and_executable(calls: list[str]) -> None:
    """MemoryDenyWriteExecute= refuses both of these (systemd.exec(5))."""
    both = [line for line in calls if "PROT_WRITE|PROT_EXEC" in line and " mmap(" in line]
    later = [line for line in calls if re.search(r"\b(?:pkey_)?mprotect\(.*PROT_EXEC", line)]

    assert both + later == []


async def test_no_socket_is_opened_of_a_family_that_the_unit_forbids(calls: list[str]) -> None:
    used = {found[1] for found in map(_SOCKET.search, calls) if found}
    (line,) = re.findall(r"^RestrictAddressFamilies=(.*)$", UNIT.read_text(), flags=re.MULTILINE)

    # The C library asks for our own addresses before it looks up a name, and does without the answer.
    assert "AF_INET" in used
    assert sorted(used - set(line.split()) - {"AF_NETLINK"}) == []


@pytest.mark.skipif(
    subprocess.run([sys.executable, "-c", _MDWE, "/bin/true"], check=False).returncode == 38,
    reason="the kernel has no PR_SET_MDWE: Linux 6.3",
)
async def test_everything_works_where_no_memory_that_was_written_may_be_executed(state: Path) -> None:
    async with opened(state, OFFICE) as house:
        house.daemon = Denied(state)
        async with house.daemon:
            await at_work(house)
