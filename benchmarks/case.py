"""A case: what is measured, on which systems, and what we want to see."""

from __future__ import annotations

import statistics
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

GATEWAY = "gateway"
POSTFIX = ("postfix", "postfix tuned")  # its best in each repeat counts
Values = dict[str, float]  # metric -> value; what ends in "/s" is a rate, where more is better; all else is a cost
Measure = Callable[[str, Path, int], Awaitable[Values]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """What a metric of `subject` should be: at least, at most; `ratio`: to the best rival of the same repeat."""

    metric: str
    subject: str = GATEWAY
    least: float | None = None
    most: float | None = None
    ratio: bool = False

    def met(self, value: float) -> bool:
        return (self.least is None or value >= self.least) and (self.most is None or value <= self.most)

    def __str__(self) -> str:
        bound = f">= {self.least:g}" if self.least is not None else f"<= {self.most:.3g}"
        return f"{'ratio ' if self.ratio else ''}{bound}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """`measure` (system, an empty folder, how many) gives the values of one repeat."""

    name: str
    title: str
    measure: Measure
    count: int
    quick: int  # how many with --quick
    subjects: tuple[str, ...] = (GATEWAY,)
    rivals: tuple[str, ...] = ()
    most: int = 0  # repeats at most, 0 = as many as asked for: it takes long and has no rival
    durable: bool = True  # whether both sides must keep what they take, or there is no ratio
    goals: tuple[Goal, ...] = ()

    @property
    def systems(self) -> tuple[str, ...]:
        return self.subjects + self.rivals


@dataclass(slots=True)
class Result:
    """What was seen: for each metric and system a value for each repeat."""

    case: Case
    seen: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    refused: str = ""  # why the sides are not compared
    skipped: str = ""  # why nothing was measured

    def add(self, system: str, values: Values) -> None:
        for metric, value in values.items():
            self.seen.setdefault(metric, {}).setdefault(system, []).append(value)

    def ratios(self, metric: str, subject: str) -> list[float]:
        """Subject to the best rival, repeat by repeat; nothing where they must not or cannot be compared."""
        by_system = self.seen.get(metric, {})
        rivals = [by_system[rival] for rival in self.case.rivals if rival in by_system]
        if self.refused or not rivals or subject not in by_system:
            return []
        best = max if metric.endswith("/s") else min
        against = [best(values) for values in zip(*rivals, strict=False)]
        return [ours / theirs for ours, theirs in zip(by_system[subject], against, strict=False) if theirs]

    def value(self, goal: Goal) -> float | None:
        """The median that a goal is about; None = it was not seen."""
        seen = self.seen.get(goal.metric, {}).get(goal.subject, [])
        values = self.ratios(goal.metric, goal.subject) if goal.ratio else seen
        return statistics.median(values) if values else None


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that so large a share of all values does not pass; 0 without values."""
    ranked = sorted(values)
    return ranked[min(len(ranked) - 1, int(len(ranked) * share))] if ranked else 0.0


def waits(seconds: Sequence[float]) -> Values:
    """The metrics of waiting times."""
    return {"p50 ms": percentile(seconds, 0.5) * 1000, "p99 ms": percentile(seconds, 0.99) * 1000}
