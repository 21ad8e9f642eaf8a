"""CI skips nothing unnoticed: the rule of conftest.py, in runs of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CONFTEST = Path(__file__).with_name("conftest.py")
SKIPPED = "import pytest\ndef test_a():\n    pytest.skip('no tool')\ndef test_b(): ...\n"
NOT_COLLECTED = "import pytest\npytest.skip('no tool', allow_module_level=True)\n"
XFAILED = "import pytest\n@pytest.mark.xfail\ndef test_a():\n    assert False\n"
LISTED = "# why\ntest_it.py::test_a | needs a machine that we do not have\n"


def run(folder: Path, test: str, skips: str, *options: str, ci: str = "true") -> subprocess.CompletedProcess[str]:
    for needed in (CONFTEST, CONFTEST.with_name("clock.py")):
        shutil.copy(needed, folder)
    (folder / "skips.txt").write_text(skips)
    (folder / "test_it.py").write_text(test)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "no:cacheprovider",
        "-o",
        "asyncio_default_fixture_loop_scope=function",
    ]
    environment = {**os.environ, "CI": ci}
    return subprocess.run(
        [*command, *options], check=False, cwd=folder, env=environment, capture_output=True, text=True, timeout=60
    )


@pytest.mark.parametrize("options", [(), ("-n", "2")], ids=["alone", "xdist"])
@pytest.mark.parametrize(
    ("test", "skips", "expected"),
    [
        pytest.param(SKIPPED, "", 1, id="unlisted"),
        pytest.param(SKIPPED, LISTED, 0, id="listed"),
        pytest.param(NOT_COLLECTED, "", 1, id="unlisted-module"),
        pytest.param(XFAILED, "", 1, id="unlisted-xfail"),
    ],
)
def test_ci_fails_on_a_skip_that_is_not_listed(
    tmp_path: Path, test: str, skips: str, expected: int, options: tuple[str, ...]
) -> None:
    done = run(tmp_path, test, skips, *options)

    # A module that is skipped whole leaves nothing to run, which is an error of its own.
    assert min(done.returncode, 1) == expected, done.stdout
    assert ("not listed in tests/skips.txt" in done.stdout) == bool(expected)


def test_a_person_may_skip(tmp_path: Path) -> None:
    assert run(tmp_path, SKIPPED, "", ci="").returncode == 0


def test_a_listed_skip_needs_a_reason(tmp_path: Path) -> None:
    assert run(tmp_path, SKIPPED, "test_it.py::test_a |\n").returncode == pytest.ExitCode.USAGE_ERROR
