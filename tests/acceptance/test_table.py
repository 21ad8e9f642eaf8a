"""The table is whole: each case is run here, or is listed with the reason why it is not."""

from __future__ import annotations

import re
from pathlib import Path

from cases import COUNT, ELSEWHERE


def test_every_case_of_the_table_is_run_here_or_listed_as_run_elsewhere() -> None:
    files = sorted(Path(__file__).parent.glob("test_*.py"))
    here = {int(n) for file in files for n in re.findall(r"\bcase\(\s*(\d+),", file.read_text())}

    assert set(range(1, COUNT + 1)) == here | set(ELSEWHERE)
    assert here <= set(range(1, COUNT + 1))
