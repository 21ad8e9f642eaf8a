"""The systemd unit is sound: systemd itself reads it and says how exposed it leaves the daemon."""

from __future__ import annotations

import configparser
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from gateway.reader import Limits

UNIT = Path(__file__).parents[1] / "systemd" / "gateway.service"
ANALYZE = shutil.which("systemd-analyze")

needs_systemd = pytest.mark.skipif(ANALYZE is None, reason="systemd-analyze is missing: apt install systemd")


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """The unit with a program that exists here: verify looks for it."""
    copy = tmp_path / UNIT.name
    copy.write_text(
        re.sub(r"^ExecStart=\S+", f"ExecStart={shutil.which('true')}", UNIT.read_text(), flags=re.MULTILINE)
    )
    return copy


def analyze(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    assert ANALYZE is not None
    return subprocess.run([ANALYZE, *arguments], check=False, capture_output=True, text=True, timeout=60)


@needs_systemd
def test_systemd_finds_no_fault_in_the_unit(unit: Path) -> None:
    done = analyze("verify", "--man=no", unit)

    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@needs_systemd
def test_systemd_finds_no_fault_in_the_sockets_either(unit: Path) -> None:
    socket = unit.with_name("gateway.socket")
    shutil.copy(UNIT.with_name("gateway.socket"), socket)

    done = analyze("verify", "--man=no", socket)

    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_the_daemon_has_no_capability_because_systemd_opens_the_ports() -> None:
    assert "\nCapabilityBoundingSet=\n" in UNIT.read_text()
    assert "AmbientCapabilities" not in UNIT.read_text()
    listed = re.findall(r"^ListenStream=(\d+)$", UNIT.with_name("gateway.socket").read_text(), flags=re.MULTILINE)
    assert sorted(map(int, listed)) == [25, 465, 587]


@needs_systemd
def test_systemd_rates_the_exposure_as_low(unit: Path) -> None:
    done = analyze("security", "--offline=true", "--no-pager", "--threshold=15", unit)

    assert done.returncode == 0, done.stdout


def read(name: str) -> configparser.ConfigParser:
    """A unit by section and key; of a key that stands more than once the last."""
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[method-assign, assignment]  # keys of systemd have capitals
    unit.read(UNIT.with_name(name))
    return unit


def test_a_bad_configuration_is_no_restart_loop() -> None:
    unit = read("gateway.service")

    assert unit["Service"]["RestartPreventExitStatus"] == "2 78"
    assert unit["Service"]["Type"] == "notify"


def test_a_client_that_waits_at_the_socket_does_not_start_a_daemon_that_ends_at_once_for_ever() -> None:
    """RestartPreventExitStatus= binds Restart= only: a client that waits starts it again (systemd.socket(5))."""
    unit, socket = read("gateway.service")["Unit"], read("gateway.socket")["Socket"]
    bounds = [
        (int(unit["StartLimitBurst"]), int(unit["StartLimitIntervalSec"])),
        (int(socket["TriggerLimitBurst"]), int(socket["TriggerLimitIntervalSec"])),
    ]

    assert bounds == [(10, 300), (20, 300)]
    # Pending clients are served after a restart.
    assert "FlushPending" not in socket


def test_the_socket_says_how_to_start_again_after_systemd_gave_up() -> None:
    told = UNIT.with_name("gateway.socket").read_text()

    assert "systemctl reset-failed gateway.socket gateway.service" in told
    assert "gateway check" in told


def test_a_mail_and_a_picture_of_the_worst_kind_fit_into_the_units_memory_beside_the_daemon() -> None:
    unit = read("gateway.service")
    limits = Limits()

    high, most = (int(unit["Service"][key].removesuffix("M")) << 20 for key in ("MemoryHigh", "MemoryMax"))

    assert limits.memory_bytes + limits.decoding_bytes + (200 << 20) < high < most
    assert unit["Service"]["OOMPolicy"] == "continue"
