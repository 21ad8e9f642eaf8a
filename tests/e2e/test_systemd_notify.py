"""What systemd is told: that the daemon is ready, alive and stopping (sd_notify(3))."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

CONFIG = """
domain = "sms.example.com"
alarm_to = ["admin@example.com"]
[smtp]
listen = ["127.0.0.1:0"]
[http]
public = ""
admin = ""
[relay]
host = "127.0.0.1"
port = 9
tls = "off"
[[sender]]
name = "jobs"
networks = ["127.0.0.0/8"]
"""


@pytest.fixture
def systemd() -> Iterator[socket.socket]:
    with tempfile.TemporaryDirectory(prefix="sd-") as folder, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(f"{folder}/notify")
        sock.settimeout(20)
        yield sock


def told(sock: socket.socket, wanted: str) -> str:
    """The first message with that word; TimeoutError when none comes."""
    while True:
        said = sock.recv(4096).decode()
        if wanted in said:
            return said


def test_readiness_life_and_end_are_told(systemd: socket.socket, tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text(CONFIG)
    watched = {"NOTIFY_SOCKET": systemd.getsockname(), "WATCHDOG_USEC": "2000000"}
    daemon = subprocess.Popen(
        [sys.executable, "-m", "gateway", "serve", "-c", str(tmp_path / "config.toml")],
        env={**os.environ, **watched},
        stdout=subprocess.DEVNULL,
    )
    try:
        assert "STATUS=listening on 127.0.0.1:" in told(systemd, "READY=1")
        assert told(systemd, "WATCHDOG=1") == "WATCHDOG=1"
    finally:
        daemon.send_signal(signal.SIGTERM)
    assert told(systemd, "STOPPING=1") == "STOPPING=1"
    assert daemon.wait(20) == 0
