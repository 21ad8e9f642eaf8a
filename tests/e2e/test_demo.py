"""`gateway demo` as a person starts it: the real command line as a process."""

from __future__ import annotations

import os
import re
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

DEMO = [sys.executable, "-m", "gateway", "demo"]
SECONDS = 60  # for the whole play; it takes two
PHONES = ("2025550143", "2025550102", "2025550103")


def run(folder: Path, *words: str, command: list[str] = DEMO) -> subprocess.CompletedProcess[str]:
    """The command with `folder` as the place of temporary files and as the working directory."""
    return subprocess.run(
        [*command, *words],
        cwd=folder,
        env={"PATH": "/usr/bin:/bin", "TMPDIR": str(folder)},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


def read_until(process: subprocess.Popen[bytes], words: str) -> str:
    """What is printed up to `words`."""
    assert process.stdout is not None
    deadline, read = time.monotonic() + SECONDS, b""
    while words.encode() not in read:
        ready, _, _ = select.select([process.stdout], [], [], deadline - time.monotonic())
        more = os.read(process.stdout.fileno(), 65536) if ready else b""
        assert more, f"{words!r} was not printed:\n{read.decode()}"
        read += more
    return read.decode()


def test_the_demo_shows_the_whole_morning_and_leaves_nothing_behind(tmp_path: Path) -> None:
    done = run(tmp_path, "--exit")

    assert (0, "") == (done.returncode, done.stderr), done.stdout
    assert "FAILED" not in done.stdout
    assert done.stdout.endswith("Every step happened as it should.\n")
    assert list(tmp_path.iterdir()) == []


def test_two_jobs_of_one_customer_are_answered_on_their_own_threads_and_a_picture_comes_back(tmp_path: Path) -> None:
    shown = run(tmp_path, "--exit").stdout
    flat = re.sub(r"\s+", " ", shown)
    mailbox = re.sub(r"\s+", " ", shown.partition("[Mailbox of ")[2])

    assert 'mail "Thursday after 4?", on the thread of RO 1051 ok' in flat
    assert 'mail "Do I need to wait for the car?", on the thread of RO 1042 ok' in flat
    assert 'mail "And this dent, please.", with the picture attached, on the thread of RO 1042 ok' in flat
    assert "Re: Parts for RO 1051 (on RO 1051) Thursday after 4?" in mailbox
    assert "Re: Reminder for RO 1042 (on RO 1042) Do I need to wait for the car?" in mailbox
    assert "[picture-1.jpg attached]" in mailbox
    assert max(map(len, shown.splitlines())) <= 100


@pytest.mark.parametrize(
    ("other", "failed"),
    [
        ("play.PICTURE = (1, 1)", "with the picture attached, on the thread of RO 1042: did not happen"),
        ('stage._CONFIG = stage._CONFIG.replace(\'["service", "second"]\', \'"service"\')', "from our second number"),
        ("play._FIRST = '{}'", 'Is that still right?": did not happen'),
    ],
    ids=["another picture", "one number for two jobs", "no introduction"],
)
def test_a_step_that_does_not_happen_is_shown_and_ends_with_1(tmp_path: Path, other: str, failed: str) -> None:
    code = f"from gateway.cli import main, play, stage; stage.SECONDS = 1; {other}; main()"
    done = run(tmp_path, "demo", "--exit", command=[sys.executable, "-c", code])

    assert (1, "") == (done.returncode, done.stderr)
    assert failed in re.sub(r"\s+", " ", done.stdout)
    assert done.stdout.endswith("Something did not happen as it should; see FAILED above.\n")


def test_the_events_of_the_demo_hold_no_phone_and_no_words(tmp_path: Path) -> None:
    log = tmp_path / "events.log"
    run(tmp_path, "--exit", "--log", str(log))
    events = log.read_text()

    assert "delivery.confirmed" in events
    assert [word for word in (*PHONES, "Corolla", "dent", "Tow at") if word in events] == []


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
def test_without_exit_it_stays_open_for_commands_until_a_signal(tmp_path: Path, end: signal.Signals) -> None:
    place = {"PATH": "/usr/bin:/bin", "TMPDIR": str(tmp_path)}
    with subprocess.Popen(DEMO, cwd=tmp_path, env=place, stdout=subprocess.PIPE) as process:
        try:
            shown = read_until(process, "gateway queue list")
            found = re.search(r"gateway trace -c (\S+) (\S+)", shown)
            assert found is not None
            told = run(tmp_path, "-c", found[1], "trace", found[2], command=[sys.executable, "-m", "gateway"])
            process.send_signal(end)

            assert process.wait(SECONDS) == 0
            assert told.returncode == 0, told.stderr
            assert "said STOP" in told.stdout
        finally:
            process.kill()
