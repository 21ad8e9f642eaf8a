"""The systems by the names that they have in the report."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from benchmarks.case import GATEWAY, POSTFIX
from benchmarks.rival import Postfix
from benchmarks.subject import Gateway, Shop
from benchmarks.system import System


class Make(Protocol):
    """As `system`."""

    def __call__(self, name: str, folder: Path, *, relay: int, hold: bool = False) -> System: ...


def system(name: str, folder: Path, *, relay: int, hold: bool = False) -> System:
    """`relay` is the port behind it; `hold`: nothing is handed on, so that only its door is measured."""
    if name == GATEWAY:
        # It knows no such thing: nobody listens at its relay, and what it has planned waits.
        return Gateway(folder, Shop(relay=relay))
    if name not in POSTFIX:
        raise ValueError(name)
    return Postfix(folder, relay, tuned=name != POSTFIX[0], hold=hold)
