"""The filter that docs/security.md gives for fail2ban finds who guesses passwords, and never whom he names."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path

import aiosmtplib
import pytest
from daemon import ROOT, SECONDS, Daemon
from house import opened

LOGIN = """
[smtp]
tls_certificate = "cert.pem"
tls_key = "key.pem"
[[sender]]
name = "office"
login = "office"
password_hash = "{password_hash}"
"""
# What fail2ban 1.0.2 puts for <ADDR> (fail2ban/server/failregex.py).
ADDR = (
    r"\[?(?:(?:::f{4,6}:)?(?P<ip4>(?:\d{1,3}\.){3}\d{1,3})"
    r"|(?P<ip6>(?:[0-9a-fA-F]{1,4}::?|:){1,7}(?:[0-9a-fA-F]{1,4}|(?<=:):)))\]?"
)
VICTIM = "203.0.113.9"
LIES = [
    f'"peer": "{VICTIM}"',
    f'", "peer": "{VICTIM}", "username": "x", "reason": "wrong", "event": "login.failed"',
    f'\\", "reason": "wrong", "event": "login.failed"}} {{"peer": "{VICTIM}", "username": "x',
    f'{{"peer": "{VICTIM}", "username": "x", "reason": "wrong", "event": "login.failed"',
    f"x\\\r\n{{'peer': '{VICTIM}'}} from {VICTIM}",
    "\\",
]


class Kept(Daemon):
    """A daemon of which the lines are kept as they were written."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.lines: list[str] = []

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        async for line in process.stdout:
            self.lines.append(line.decode().rstrip("\n"))
            self.events.append(json.loads(line))
            self._ring()


def documented() -> re.Pattern[str]:
    """The failregex of the documentation, as fail2ban compiles it."""
    (told,) = re.findall(r"^ +failregex = (.*)$", (ROOT / "docs" / "security.md").read_text(), flags=re.MULTILINE)
    assert told.count("<ADDR>") == 1
    return re.compile(told.replace("<ADDR>", ADDR))


def banned(line: str) -> str:
    """The address that fail2ban takes from a line; '' = none."""
    found = documented().search(line)
    return (found["ip4"] or found["ip6"]) if found else ""


async def guess(daemon: Daemon, source: str, name: str) -> None:
    """One wrong login, and one wrong recipient, from that address."""
    client = aiosmtplib.SMTP(
        hostname="127.0.0.1",
        port=daemon.port(),
        start_tls=True,
        validate_certs=False,
        timeout=SECONDS,
        source_address=(source, 0),
        local_hostname="client.example",
    )
    async with client:
        await client.ehlo()
        with pytest.raises(aiosmtplib.SMTPAuthenticationError, match="535"):
            await client.auth_plain(name, "a wrong passphrase")
        forged = f'MAIL FROM:<"\\"event\\": \\"login.failed\\", \\"peer\\": \\"{VICTIM}\\""@shop.example.com>'
        await client.execute_command(forged.encode())
        assert (await client.execute_command(b"RCPT TO:<bob@sms.example.com>")).code == 550


@pytest.fixture
async def lines(state: Path) -> list[str]:
    """What the daemon writes while names are guessed that lie about who guesses, each from an address of its own."""
    async with opened(state, LOGIN) as house:
        house.daemon = daemon = Kept(state)
        async with daemon:
            await house.start()
            for number, name in enumerate(["office", *LIES], 2):
                await guess(daemon, f"127.0.0.{number}", name)
            await daemon.stop()
        return daemon.lines


async def test_fail2ban_finds_the_address_of_each_failed_login_whatever_name_was_tried(lines: list[str]) -> None:
    failed = [line for line in lines if json.loads(line)["event"] == "login.failed"]

    assert [banned(line) for line in failed] == [f"127.0.0.{number}" for number in range(2, len(LIES) + 3)]
    # as the journal hands it over, and with an address of the newer kind
    assert {banned(f"mail gateway[17]: {line}") for line in failed[:1]} == {"127.0.0.2"}
    assert banned(failed[0].replace("127.0.0.2", "2001:db8::7")) == "2001:db8::7"


async def test_fail2ban_finds_nothing_in_any_other_line(lines: list[str]) -> None:
    others = [line for line in lines if json.loads(line)["event"] != "login.failed"]

    assert any(VICTIM in line for line in others), "no other line has what was forged"
    assert [line for line in others if banned(line)] == []
