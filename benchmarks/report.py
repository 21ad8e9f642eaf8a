"""What was measured: a table for people, JSON for machines, a plot for the README."""

from __future__ import annotations

import json
import os
import platform
import statistics
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

from benchmarks.case import Result
from benchmarks.plot import svg

_PACKAGES = ("mail-text-gateway", "aiosmtpd", "aiosmtplib", "aiohttp", "apsw", "twilio", "uvloop")


def number(value: float) -> str:
    """Three digits that count: 12,300, 45.6, 0.789."""
    if value >= 1000:
        return f"{round(value, -len(str(int(value))) + 4):,.0f}"
    return f"{value:.3g}"


def spread(values: Sequence[float]) -> str:
    """The median, and the range of several repeats."""
    middle = number(statistics.median(values))
    return middle if len(values) == 1 else f"{middle} ({number(min(values))}-{number(max(values))})"


def table(results: Sequence[Result]) -> str:
    """Medians, ranges, ratios and goals, for a terminal of 120 columns."""
    lines: list[str] = []
    for result in results:
        lines.append(f"{result.case.name}: {result.case.title}")
        if result.skipped:
            lines.append(f"    skipped: {result.skipped}")
        if result.refused:
            lines.append(f"    not compared: {result.refused}")
        for metric, by_system in result.seen.items():
            lines += _rows(result, metric, by_system)
        lines.append("")
    return "\n".join(lines)


def _rows(result: Result, metric: str, by_system: dict[str, list[float]]) -> list[str]:
    rows = []
    for system, values in by_system.items():
        row = f"    {metric:<18} {system:<20} {spread(values):<28}"
        ratios = result.ratios(metric, system) if system in result.case.subjects else []
        row += f" ratio {spread(ratios):<22}" if ratios else ""
        for goal in result.case.goals:
            if (goal.metric, goal.subject) == (metric, system):
                seen = result.value(goal)
                row += f" goal {goal}: " + ("-" if seen is None else "met" if goal.met(seen) else "missed")
        rows.append(row.rstrip())
    return rows


def machine() -> dict[str, object]:
    """What the numbers depend on."""
    return {
        "cores": os.cpu_count(),
        "processor": _processor(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in _PACKAGES},
    }


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""


def place(folder: Path, *, quick: bool) -> Path:
    """The JSON file of a run that begins now."""
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{datetime.now(UTC):%Y-%m-%dT%H%M%S}{'-quick' if quick else ''}.json"


def write(results: Sequence[Result], path: Path, *, repeats: int, quick: bool) -> None:
    """The JSON file, and the plot beside it."""
    now = datetime.now(UTC)
    found = {"at": now.isoformat(timespec="seconds"), "repeats": repeats, "quick": quick, "machine": machine()}
    path.write_text(json.dumps({**found, "cases": [_as_json(one) for one in results]}, indent=2) + "\n")
    path.with_suffix(".svg").write_text(svg(results))


def _as_json(result: Result) -> dict[str, object]:
    case = result.case
    ratios = {
        metric: {system: found for system in case.subjects if (found := result.ratios(metric, system))}
        for metric in result.seen
    }
    goals = [
        {
            "metric": g.metric,
            "subject": g.subject,
            "goal": str(g),
            "median": seen,
            "met": seen is not None and g.met(seen),
        }
        for g in case.goals
        for seen in [result.value(g)]
    ]
    named = {"name": case.name, "title": case.title, "skipped": result.skipped, "refused": result.refused}
    return {**named, "seen": result.seen, "ratios": {m: r for m, r in ratios.items() if r}, "goals": goals}
