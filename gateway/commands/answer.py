"""What every command shares: its answer, and its no."""

from __future__ import annotations

from typing import Any

Answer = dict[str, Any]


class CommandFailed(Exception):
    """The answer is no: a sentence for the admin and the exit code."""

    def __init__(self, text: str, exit_code: int = 1) -> None:
        super().__init__(text)
        self.text = text
        self.exit_code = exit_code
