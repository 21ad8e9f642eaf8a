"""The core decides and touches nothing: no I/O, no clock, no randomness, no logging, no await."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

CORE = Path(__file__).parents[1] / "gateway" / "core"
FILES = sorted(CORE.rglob("*.py"))

ROOMS = {
    "aiohttp", "aiosmtpd", "aiosmtplib", "apsw", "asyncio", "ctypes", "dns", "glob", "http", "importlib", "io",
    "logging", "multiprocessing", "os", "pathlib", "prometheus_client", "queue", "random", "secrets", "select",
    "shutil", "signal", "smtplib", "socket", "sqlite3", "ssl", "structlog", "subprocess", "sys", "tempfile",
    "threading", "time", "twilio", "urllib.request", "uuid", "uvloop",
}  # fmt: skip
CALLS = {
    "__import__", "eval", "exec", "formatdate", "input", "localtime", "make_msgid", "now", "open", "print",
    "read_bytes", "read_text", "today", "urandom", "utcnow", "write_bytes", "write_text",
}  # fmt: skip
WAITS = (ast.Await, ast.AsyncFunctionDef, ast.AsyncFor, ast.AsyncWith)


def impurities(source: str) -> Iterator[str]:
    """What in `source` waits, reaches out of the core or asks for the time or for chance: `line: what`."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names=names):
                found = [alias.name for alias in names if _reaches_out(alias.name)]
            case ast.ImportFrom(module=str(module)) if _reaches_out(module):
                found = [module]
            case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)) if name in CALLS:
                found = [f"{name}()"]
            case _ if isinstance(node, WAITS):
                found = [type(node).__name__]
            case ast.comprehension(is_async=1):
                found = ["async for"]
            case _:
                found = []
        yield from (f"{getattr(node, 'lineno', '?')}: {what}" for what in found)


def _reaches_out(module: str) -> bool:
    return any(module == room or module.startswith(f"{room}.") for room in ROOMS)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_core_touches_nothing(path: Path) -> None:
    assert list(impurities(path.read_text())) == []


def test_the_core_is_found() -> None:
    assert {"model", "work", "rules"} <= {path.stem for path in FILES}


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import time", ["1: time"]),
        ("import os.path", ["1: os.path"]),
        ("from random import choice", ["1: random"]),
        ("from urllib.request import urlopen", ["1: urllib.request"]),
        ("from urllib.parse import quote", []),
        ("from datetime import datetime, time", []),
        ("def f():\n    import secrets", ["2: secrets"]),
        ("datetime.now(UTC)", ["1: now()"]),
        ("date.today()", ["1: today()"]),
        ("open('x')", ["1: open()"]),
        ("Path('x').read_text()", ["1: read_text()"]),
        ("make_msgid()", ["1: make_msgid()"]),
        ("def f(now): return now", []),
        ("async def f(): ...", ["1: AsyncFunctionDef"]),
    ],
)
def test_what_is_impure_is_seen(source: str, expected: list[str]) -> None:
    assert list(impurities(source)) == expected
