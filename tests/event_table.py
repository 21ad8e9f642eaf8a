"""The table of docs/events.md as the code has it: names and levels of EVENTS, fields of every call of `emit`.

.venv/bin/python tests/event_table.py     writes it again
"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from gateway.events import EVENTS

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "events.md"
HEAD = "| event | level | meaning | fields |\n|---|---|---|---|\n"


def calls() -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """Where code emits an event: `file:line`, the event's name, the names of the fields that it gives."""
    for path in sorted((ROOT / "gateway").rglob("*.py")):
        module = ast.parse(path.read_text())
        for function in ast.walk(module):
            if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                for call in _emits(function):
                    fields = tuple(keyword.arg for keyword in call.keywords if keyword.arg)
                    for name in _literal(call) or _chosen(function, module):
                        yield f"{path.relative_to(ROOT)}:{call.lineno}", name, fields


def _emits(node: ast.AST) -> list[ast.Call]:
    return [
        call
        for call in ast.walk(node)
        if isinstance(call, ast.Call)
        and call.args
        and (call.func.id if isinstance(call.func, ast.Name) else getattr(call.func, "attr", "")) == "emit"
    ]


def _literal(call: ast.Call) -> list[str]:
    """The names in the first argument itself: one, or both of `a if x else b`."""
    first = call.args[0]
    parts = [first.body, first.orelse] if isinstance(first, ast.IfExp) else [first]
    return [part.value for part in parts if isinstance(part, ast.Constant) and isinstance(part.value, str)]


def _chosen(function: ast.AST, module: ast.Module) -> set[str]:
    """The names that a function can choose from: its own words and those of the module's constants that it uses."""
    used = {node.id for node in ast.walk(function) if isinstance(node, ast.Name)}
    tables = [
        node
        for node in module.body
        if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id in used for t in node.targets)
    ]
    words = {
        node.value
        for tree in [function, *tables]
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    return (words & set(EVENTS)) - {name for call in _emits(function) for name in _literal(call)}


def table() -> str:
    """The whole table; an event that no code emits yet says so."""
    fields: defaultdict[str, list[str]] = defaultdict(list)
    for _, name, given in calls():
        fields[name] += [field for field in given if field not in fields[name]]
    rows = (
        f"| `{name}` | {level} | {meaning} | "
        f"{' '.join(f'`{field}`' for field in fields[name]) if name in fields else 'not emitted yet'} |\n"
        for name, (level, meaning) in EVENTS.items()
    )
    return HEAD + "".join(rows)


def written() -> str:
    """The table that the page has now."""
    return "".join(line for line in PAGE.read_text().splitlines(keepends=True) if line.startswith("|"))


if __name__ == "__main__":
    PAGE.write_text(PAGE.read_text().replace(written(), table()))
