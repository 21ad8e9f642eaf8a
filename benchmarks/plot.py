"""The plot: of each case the first metric, a bar for the median of each system, a line for the range."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from html import escape

from benchmarks.case import Result

WIDTH, BAR, GAP = 860, 18, 34  # pixels
LEFT, RIGHT = 180, 170  # room for names, for numbers
OURS, THEIRS = "#2b6cb0", "#a0aec0"


def svg(results: Sequence[Result]) -> str:
    """The picture, as text.  Each case has a scale of its own: only bars of one case may be compared."""
    parts: list[str] = []
    at = 16
    for result in results:
        if result.seen:
            at = _case(parts, result, at)
    style = "text{font:13px sans-serif;fill:#1a202c} .t{font-weight:bold}"
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{at}" viewBox="0 0 {WIDTH} {at}">'
    ground = f'<rect width="{WIDTH}" height="{at}" fill="white"/>'
    return "\n".join([head, f"<style>{style}</style>", ground, *parts, "</svg>"]) + "\n"


def _case(parts: list[str], result: Result, at: int) -> int:
    """Draws one case from `at` on; where the next one begins."""
    metric, by_system = next(iter(result.seen.items()))
    better = "more is better" if metric.endswith("/s") else "less is better"
    title = f"{result.case.name}: {result.case.title}, {metric} ({better})"
    parts.append(f'<text class="t" x="8" y="{at + 10}">{escape(title)}</text>')
    at += 20
    most = max(max(values) for values in by_system.values()) or 1.0
    scale = (WIDTH - LEFT - RIGHT) / most
    for system, values in by_system.items():
        colour = OURS if system in result.case.subjects else THEIRS
        parts += _bar(system, values, scale, colour, at)
        at += BAR + 4
    return at + GAP - BAR


def _bar(system: str, values: list[float], scale: float, colour: str, at: int) -> list[str]:
    median, low, high = (f(values) * scale for f in (statistics.median, min, max))
    middle = at + BAR / 2
    shown = (
        f"{statistics.median(values):,.4g}" if statistics.median(values) < 1000 else f"{statistics.median(values):,.0f}"
    )
    return [
        f'<text x="{LEFT - 8}" y="{at + 14}" text-anchor="end">{escape(system)}</text>',
        f'<rect x="{LEFT}" y="{at}" width="{max(1.0, median):.1f}" height="{BAR}" fill="{colour}"/>',
        f'<line x1="{LEFT + low:.1f}" x2="{LEFT + high:.1f}" y1="{middle}" y2="{middle}" stroke="#1a202c"/>',
        f'<text x="{LEFT + high + 8:.1f}" y="{at + 14}">{shown}</text>',
    ]
