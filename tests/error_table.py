"""The table of docs/errors.md as the code has it: each code of the provider, its class, its sentence, what follows.

.venv/bin/python tests/error_table.py     writes it again
"""

from __future__ import annotations

from pathlib import Path

from gateway.core.codes import ACTIONS, table

PAGE = Path(__file__).parents[1] / "docs" / "errors.md"
HEAD = "| code | class | what it means | what follows |\n|---|---|---|---|\n"


def made() -> str:
    """The whole table."""
    rows = (f"| {code} | `{klass}` | {words} | {ACTIONS[klass]} |\n" for code, klass, words in table())
    return HEAD + "".join(rows)


def written() -> str:
    """The table that the page has now."""
    return "".join(line for line in PAGE.read_text().splitlines(keepends=True) if line.startswith("|"))


if __name__ == "__main__":
    PAGE.write_text(PAGE.read_text().replace(written(), made()))
