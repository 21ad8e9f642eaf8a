"""The lock of the state directory."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.spool.lock import StateLock, StateLocked


def test_a_second_process_is_refused_with_the_owners_pid(tmp_path: Path) -> None:
    program = (
        "import sys, pathlib\n"
        "from gateway.spool.lock import StateLock, StateLocked\n"
        "try: StateLock(pathlib.Path(sys.argv[1])).take()\n"
        "except StateLocked as error: print(error); sys.exit(3)\n"
    )
    with StateLock(tmp_path):
        refused = subprocess.run([sys.executable, "-c", program, tmp_path], capture_output=True, text=True, check=False)
    allowed = subprocess.run([sys.executable, "-c", program, tmp_path], capture_output=True, text=True, check=False)

    assert (refused.returncode, refused.stdout) == (3, f"{tmp_path} is in use by process {os.getpid()}\n")
    assert (allowed.returncode, allowed.stderr) == (0, "")


def test_a_lock_is_private_and_can_be_taken_again(tmp_path: Path) -> None:
    lock = StateLock(tmp_path)
    lock.take()
    with pytest.raises(StateLocked) as refused:
        StateLock(tmp_path).take()
    lock.drop()
    lock.take()
    lock.drop()

    assert refused.value.pid == os.getpid()
    assert oct((tmp_path / "lock").stat().st_mode & 0o777) == "0o600"


def test_a_lock_needs_its_directory(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        StateLock(tmp_path / "nowhere").take()
