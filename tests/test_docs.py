"""The docs say what is true: every command, event, dependency and link is looked up."""

from __future__ import annotations

import ast
import re
import subprocess
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import click
import error_table
import event_table
import pytest

from gateway.events import EVENTS

ROOT = Path(__file__).parents[1]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def name_of(requirement: str) -> str:
    return re.split(r"[^A-Za-z0-9._-]", requirement, maxsplit=1)[0]


def commands(group: click.Group, path: str) -> Iterator[str]:
    """The full name of every command below `group`."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from commands(command, f"{path} {name}")
        else:
            yield f"{path} {name}"


def dev_commands() -> set[str]:
    usage = subprocess.run([ROOT / "dev", "help"], check=True, capture_output=True, text=True, timeout=10).stdout
    return set(re.findall(r"^\./dev ([a-z]+)", usage, re.MULTILINE))


def test_every_command_is_documented_and_every_documented_command_exists() -> None:
    from gateway.cli import cli

    documented = re.findall(r"^### `(gateway [a-z -]+)`$", (ROOT / "docs/commands.md").read_text(), re.MULTILINE)

    assert sorted(documented) == sorted(commands(cli, "gateway"))


def test_the_table_of_events_is_what_the_code_emits() -> None:
    assert event_table.written() == event_table.table(), "write it again: .venv/bin/python tests/event_table.py"


def test_the_table_of_errors_is_what_the_code_has() -> None:
    assert error_table.written() == error_table.made(), "write it again: .venv/bin/python tests/error_table.py"


def test_code_emits_only_events_of_the_closed_list() -> None:
    assert [(place, name) for place, name, _ in event_table.calls() if name not in EVENTS] == []


def test_every_dependency_is_justified_and_nothing_else_is() -> None:
    groups = PROJECT["dependency-groups"]
    wanted = [
        *PROJECT["project"]["dependencies"],
        *groups["test"],
        *groups["lint"],
        *PROJECT["build-system"]["requires"],
        *(ROOT / "requirements/contract.in").read_text().splitlines(),
        *(ROOT / "requirements/fuzz.in").read_text().splitlines(),
        *(ROOT / "requirements/peer.in").read_text().splitlines(),
    ]
    rows = re.findall(r"^\| ([A-Za-z0-9._-]+) \|(.+)\|$", (ROOT / "docs/dependencies.md").read_text(), re.MULTILINE)
    rows = [(name, cells) for name, cells in rows if name != "package"]

    assert sorted(name for name, _ in rows) == sorted(map(name_of, wanted))
    assert [name for name, cells in rows if not all(cell.strip() for cell in cells.split("|"))] == []


def test_every_dependency_of_the_daemon_is_imported() -> None:
    trees = [ast.parse(path.read_text()) for path in (ROOT / "gateway").rglob("*.py")]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    modules = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    modules |= {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module}
    homes = packages_distributions()
    imported = {name.replace("_", "-") for module in modules for name in homes.get(module.partition(".")[0], [])}
    declared = {name_of(requirement) for requirement in PROJECT["project"]["dependencies"]}

    assert declared - imported == {"tzdata"}, "zoneinfo finds tzdata by itself; what else nothing imports is not needed"


def test_the_readme_starts_with_the_two_commands() -> None:
    commands_in_order = re.findall(r"^    \./dev ([a-z]+)", (ROOT / "README.md").read_text(), re.MULTILINE)

    assert commands_in_order == ["demo", "test"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_dev_command_that_a_page_names_exists(page: Path) -> None:
    assert set(re.findall(r"\./dev ([a-z]+)", page.read_text())) <= dev_commands()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_and_every_file_that_a_page_names_exists(page: Path) -> None:
    text = page.read_text()
    links = {link.partition("#")[0] for link in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in link}
    named = set(re.findall(r"`((?:tests|gateway|docs|systemd|requirements|benchmarks)/[\w./-]+\.\w+)`", text))

    assert sorted(link for link in links if link and not (page.parent / link).exists()) == []
    assert sorted(name for name in named if not (ROOT / name).exists()) == []


def test_every_promise_names_the_tests_that_show_it() -> None:
    rows = re.findall(r"^\| (P\d+) \|.*\|([^|]*)\|$", (ROOT / "docs/promises.md").read_text(), re.MULTILINE)

    assert [promise for promise, _ in rows] == [f"P{n}" for n in range(1, 11)]
    assert [promise for promise, shown_by in rows if "`tests/" not in shown_by] == []


async def test_every_metric_is_documented(state: Path, clock: Any) -> None:
    import gateway.app  # registers its metrics
    from gateway.events import REGISTRY
    from gateway.spool.sqlite import SqliteSpool

    assert gateway.app
    spool = SqliteSpool(state / "gateway.db", clock=clock)
    await spool.open()
    sizes = await spool.sizes()
    await spool.close()
    page = (ROOT / "docs/metrics.md").read_text()
    names = {family.name for family in REGISTRY.collect()} | set(sizes)

    assert [name for name in sorted(names) if f"`{name}" not in page] == []
