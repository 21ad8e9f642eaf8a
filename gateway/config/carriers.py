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


def shipped_table() -> CarrierTable:
    """The shipped table alone."""
    return carrier.build([(SHIPPED, _shipped())])[0]


def read(main: Document, folder: Path, problems: list[Problem]) -> CarrierTable:
    """The table; what is wrong with the admin's file is added to `problems`.

    The file is the one that `carriers` names, else carriers.toml beside config.toml, where there is one.
    """
    named = main.values.get("carriers")
    path = folder / (named if isinstance(named, str) and named else _FILE)
    own = document.read_named(path, "carriers", main, problems)
    layers = [(SHIPPED, _shipped())]
    # In a checkout the shipped file itself may stand beside config.toml.
    if own and own.values != layers[0][1]:
        layers.append((own.shown, own.values))
    table, found = carrier.build(layers)
    problems += [_placed(p, own) for p in found]
    return table


def _shipped() -> dict[str, Any]:
    return tomli.loads(shipped_path().read_text(encoding="utf-8"))


def _placed(problem: carrier.Problem, own: Document | None) -> Problem:
    source = own if own and problem.origin == own.shown else document.read(shipped_path())
    return source.problem(problem.path, problem.text, problem.remedy, severity=problem.severity)
