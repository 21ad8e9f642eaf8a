"""The carrier table in force: the shipped file, and the admin's own laid over it row by row."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Any

import tomli

import gateway
from gateway.config import document
from gateway.config.document import Document
from gateway.config.place import Problem
from gateway.core import carrier
from gateway.core.carrier import CarrierTable

SHIPPED = "shipped"  # the origin of its rows
_FILE = "carriers.toml"


def shipped_path() -> Path:
    """The shipped table: inside the wheel, or at the root of a checkout."""
    packed = resources.files("gateway") / "_data" / _FILE
    if isinstance(packed, Path) and packed.is_file():
        return packed
    return Path(gateway.__file__).resolve().parent.parent / _FILE


def read(main: Document, folder: Path, problems: list[Problem]) -> CarrierTable:
    """The table; what is wrong with the admin's file is added to `problems`.

    The file is the one that `carriers` names, else carriers.toml beside config.toml, where there is one.
    """
    shipped = shipped_path()
    own = _own(main, folder, shipped, problems)
    layers: list[tuple[str, dict[str, Any]]] = [(SHIPPED, tomli.loads(shipped.read_text(encoding="utf-8")))]
    if own:
        layers.append((own.shown, own.values))
    table, found = carrier.build(layers)
    problems += [_placed(p, own, shipped) for p in found]
    return table


def _own(main: Document, folder: Path, shipped: Path, problems: list[Problem]) -> Document | None:
    named = main.values.get("carriers")
    path = folder / (named if isinstance(named, str) and named else _FILE)
    if not path.exists():
        if named:
            remedy = "leave the key out to use the shipped table alone; paths are relative to the folder of this file"
            problems.append(main.problem(("carriers",), f"carriers: there is no file {path}", remedy))
        return None
    if path.samefile(shipped):
        return None
    try:
        return document.read(path)
    except document.UnreadableError as error:
        problems.append(error.args[0])
        return None


def _placed(problem: carrier.Problem, own: Document | None, shipped: Path) -> Problem:
    source = own if own and problem.origin == own.shown else document.read(shipped)
    return source.problem(problem.path, problem.text, problem.remedy, severity=problem.severity)
