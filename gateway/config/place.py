"""Where things stand in a TOML file, and how a problem there is shown to a person.

tomli tells values, not places.  `places` scans a text that tomli has accepted, so it may trust the grammar; it runs
only when there is something to show.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import tomli

KeyPath = tuple[str | int, ...]  # ("smtp", "listen", 0)


@dataclass(frozen=True, slots=True)
class Place:
    """Offsets in the text."""

    key: int  # of the key, or of the bracket of a table's header
    value: int  # of the value; of the header where it is a table


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing that is wrong in a file of the admin, with its place and a remedy."""

    file: str  # as the admin named it
    line: int = 0  # from 1; 0 = the file as a whole
    column: int = 0  # from 1
    text: str
    remedy: str = ""
    severity: str = "error"  # "error" | "warning"
    source: str = ""  # the line, with secrets veiled


def render(problems: Sequence[Problem], file: Path) -> str:
    """All problems as plain text: errors by file and line, then warnings, then a line that counts them.

    `file` is config.toml as it was named: its own problems stand before those of the files that it names.
    """
    told = ordered(problems, file)
    blocks = [_block(p) for p in told]
    counts = Counter(p.severity for p in told)
    shown = [_counted(counts[s], s) for s in ("error", "warning") if counts[s]] or ["no errors"]
    return "\n".join([*blocks, f"{', '.join(shown)} in {file}"])


def ordered(problems: Iterable[Problem], file: Path) -> list[Problem]:
    """Errors first; within them config.toml first, then by file, line and column.  None is told twice."""
    unique = dict.fromkeys(problems)
    return sorted(unique, key=lambda p: (p.severity != "error", p.file != str(file), p.file, p.line, p.column))


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _block(problem: Problem) -> str:
    where = f"{problem.file}:{problem.line}:{problem.column}" if problem.line else problem.file
    lines = [f"{where}: {problem.severity}: {problem.text}"]
    gutter = " " * max(len(str(problem.line)) + 1, 5)
    if problem.source.strip():
        # A tab is as wide under the caret as above it.
        indent = re.sub(r"[^\t]", " ", problem.source[: problem.column - 1])
        lines += [f"{problem.line:>{len(gutter) - 1}} | {problem.source}", f"{gutter}| {indent}^"]
    if problem.remedy:
        lines.append(f"{gutter}= help: {problem.remedy}")
    return "\n".join(lines)


_TOKEN = re.compile(
    r"""[ \t\r]+ | \#[^\n]*                                                    # between tokens
      | (?P<text>\"\"\"(?:\\.|[^\\])*?\"{3,5} | '''.*?'{3,5} | "(?:\\.|[^"\\\n])*" | '[^'\n]*')
      | (?P<newline>\n)
      | (?P<mark>[\[\]{}=,.])
      | (?P<bare>[^\s\[\]{}=,.\#"']+)""",
    re.DOTALL | re.VERBOSE,
)
_END = ("", "", -1)


def places(text: str) -> dict[KeyPath, Place]:
    """The place of every key, table and array element of a valid TOML text.

    A table that is opened several times (by its header and by [its.child]) stands where it is named first.
    """
    return _Scan(text).document()


class _Scan:
    def __init__(self, text: str) -> None:
        self.tokens = [(m.lastgroup, m.group(), m.start()) for m in _TOKEN.finditer(text) if m.lastgroup]
        self.at = 0
        self.found: dict[KeyPath, Place] = {}
        self.elements: Counter[KeyPath] = Counter()  # of each array of tables, so far

    def document(self) -> dict[KeyPath, Place]:
        table: KeyPath = ()
        while self.at < len(self.tokens):
            if self.next_is("\n"):
                self.at += 1
            elif self.next_is("["):
                table = self.header()
            else:
                self.pair(table)
        return self.found

    def peek(self) -> tuple[str | None, str, int]:
        return self.tokens[self.at] if self.at < len(self.tokens) else _END

    def next_is(self, *marks: str) -> bool:
        return self.peek()[1] in marks

    def header(self) -> KeyPath:
        start = self.peek()[2]
        self.at += 1
        array = self.next_is("[")
        self.at += array
        keys = self.key()
        self.at += 1 + array
        path: KeyPath = ()
        for n, key in enumerate(keys):
            path = (*path, key)
            self.put(path, start, start)
            last = n == len(keys) - 1
            self.elements[path] += array and last
            if self.elements[path]:
                path = (*path, self.elements[path] - 1)
                self.put(path, start, start)
        return path

    def key(self) -> list[str]:
        """The parts of a dotted key; the scan stands behind it."""
        parts: list[str] = []
        while True:
            kind, word, _ = self.peek()
            parts.append(str(tomli.loads(f"k = {word}")["k"]) if kind == "text" else word)
            self.at += 1
            if not self.next_is("."):
                return parts
            self.at += 1

    def pair(self, table: KeyPath) -> None:
        start = self.peek()[2]
        keys = self.key()
        self.at += 1
        value = self.peek()[2]
        for n in range(1, len(keys) + 1):
            self.put((*table, *keys[:n]), start, value)
        self.value((*table, *keys))

    def value(self, path: KeyPath) -> None:
        if self.next_is("["):
            self.array(path)
        elif self.next_is("{"):
            self.inline(path)
        else:
            # A date or a float is several tokens.
            while self.at < len(self.tokens) and not self.next_is("\n", ",", "]", "}"):
                self.at += 1

    def array(self, path: KeyPath) -> None:
        self.at += 1
        count = 0
        while self.at < len(self.tokens) and not self.next_is("]"):
            if self.next_is("\n", ","):
                self.at += 1
                continue
            start = self.peek()[2]
            self.put((*path, count), start, start)
            self.value((*path, count))
            count += 1
        self.at += 1

    def inline(self, path: KeyPath) -> None:
        self.at += 1
        while self.at < len(self.tokens) and not self.next_is("}"):
            if self.next_is("\n", ","):
                self.at += 1
            else:
                self.pair(path)
        self.at += 1

    def put(self, path: KeyPath, key: int, value: int) -> None:
        self.found.setdefault(path, Place(key, value))
