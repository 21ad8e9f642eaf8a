"""The command: runs the cases, system by system in turns, and tells what was seen."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import uvloop

from benchmarks import report
from benchmarks.case import Case, Result
from benchmarks.cases import ALL
from benchmarks.durability import durable
from benchmarks.load import Client
from benchmarks.processes import Failed, Missing, free_port
from benchmarks.system import DOMAIN, System, tech
from benchmarks.systems import Make, system

RESULTS = Path(__file__).with_name("results")


def main(words: Sequence[str] | None = None) -> int:
    """The exit code: 0 measured, 1 a system failed, 2 usage."""
    asked = _parser().parse_args(words)
    cases = [case for case in ALL if not asked.case or case.name in asked.case]
    path = report.place(asked.out, quick=asked.quick)
    seen = Seen(path, repeats=asked.repeats, quick=asked.quick)
    uvloop.run(seen.run(cases))
    print(f"\n{report.table(seen.results)}\n{path}")
    for words_of_it in seen.failed:
        print(f"bench: {words_of_it}", file=sys.stderr)
    return 1 if seen.failed else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="./dev bench", description=__doc__)
    names = [case.name for case in ALL]
    parser.add_argument("--case", action="append", choices=names, metavar="NAME", help=f"one of {', '.join(names)}")
    parser.add_argument("--repeats", type=int, default=5, help="how often each system is measured (default: 5)")
    parser.add_argument("--quick", action="store_true", help="small numbers: shows that it runs, not how fast")
    parser.add_argument(
        "--out", type=Path, default=RESULTS, help="where JSON and plot go (default: benchmarks/results)"
    )
    return parser


class Seen:
    """What a run has seen so far; it is written after each case, since all of them take an hour and more."""

    def __init__(self, path: Path, *, repeats: int, quick: bool) -> None:
        self.results: list[Result] = []
        self.failed: list[str] = []
        self._path = path
        self._repeats = repeats
        self._quick = quick
        self._durable: dict[str, bool] = {}

    async def run(self, cases: Sequence[Case]) -> None:
        for case in cases:
            self.results.append(Result(case))
            try:
                await self._measure(self.results[-1])
            except Missing as missing:
                self.results[-1].skipped = str(missing)
            except Failed as fault:
                self.failed.append(f"{case.name}: {fault}")
            report.write(self.results, self._path, repeats=self._repeats, quick=self._quick)

    async def _measure(self, result: Result) -> None:
        case = result.case
        if case.durable and case.rivals:
            result.refused = await differing(case.systems, self._durable)
        for repeat in range(min(self._repeats, case.most or self._repeats)):
            await _repeat(result, repeat, quick=self._quick)


async def _repeat(result: Result, repeat: int, *, quick: bool) -> None:
    """One value for each system.  Every other repeat runs backwards: none is always the one that finds a warm disk."""
    case = result.case
    for name in case.systems if repeat % 2 == 0 else reversed(case.systems):
        with tempfile.TemporaryDirectory(prefix="bench-") as folder:
            values = await case.measure(name, Path(folder), case.quick if quick else case.count)
        result.add(name, values)
        shown = ", ".join(f"{report.number(value)} {metric}" for metric, value in values.items())
        print(f"{case.name} {repeat + 1}: {name}: {shown}", flush=True)


async def differing(names: Sequence[str], known: dict[str, bool], made: Make = system) -> str:
    """Why these systems must not be compared, "" = they may: all keep what they take.  `known` is filled."""
    for name in names:
        if name not in known:
            with tempfile.TemporaryDirectory(prefix="bench-") as folder:
                known[name] = await keeps(made(name, Path(folder), relay=free_port(), hold=True), Path(folder))
            print(f"durability: {name}: {'fsync before 250' if known[name] else 'no fsync before 250'}", flush=True)
    careless = [name for name in names if not known[name]]
    return f"no fsync before the 250 of {', '.join(careless)}" if 0 < len(careless) < len(names) else ""


async def keeps(one: System, folder: Path) -> bool:
    """Whether a system that is not started yet answers 250 only to what is on the disk."""
    async with one:
        # What is started at the first mail must be there to be traced.
        client = await Client.connect(one.port)
        await client.mail(f"{tech(1)}@{DOMAIN}", "first")
        await client.quit()
        return await durable(one, folder)


if __name__ == "__main__":
    sys.exit(main())
