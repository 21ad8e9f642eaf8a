"""A TOML file of the admin: its values, and the problems in it with place and line.  Lines with secrets are veiled."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence
from difflib import get_close_matches
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from typing import Any

import tomli

from gateway.config.place import KeyPath, Place, Problem, places

_SECRETS = ("auth_token", "password", "password_hash")
_SECRETISH = re.compile(r"tok|pass|pwd|secret|credential|^(?:private_)?key$", re.IGNORECASE)
_KEY = re.compile(r"""(?:^|[{,])\s*(?:[\w-]+\s*\.\s*)*["']?([\w-]+)["']?\s*=\s*""")
_TOKEN = re.compile(r"""(?<=["'])[0-9a-fA-F]{32}(?=["'])""")
_LOGIN = re.compile(r"""://(?=[^/\s"']*@)""")  # of an address such as postgresql://name:password@host
_HEADER = re.compile(r"""\s*\[{1,2}[^\[\]]+\]{1,2}\s*(?:\#|$)""")
_WORD = re.compile(r"""\s*["']?([\w-]+)""")
_ONE = r"""\{\s*(?:file|env)\s*=\s*(?:"[^"]*"|'[^']*')\s*\}"""
_REFERENCE = re.compile(rf"\s*(?:{_ONE}|\[\s*(?:{_ONE}\s*,?\s*)*\])\s*(?:$|[,}}\]#])")
_HUGE = 4 * 1024**2  # bytes; a table of every carrier there is has less than a tenth


class UnreadableError(Exception):
    """A file that is missing or no TOML."""

    def __init__(self, problem: Problem, *, missing: bool = False) -> None:
        self.problem = problem
        self.missing = missing
        super().__init__(problem.text)


class Document:
    """One file that could be read."""

    def __init__(self, shown: str, text: str, values: dict[str, Any]) -> None:
        self.shown = shown  # as the admin named it
        self.text = text
        self.values = values

    @cached_property
    def places(self) -> dict[KeyPath, Place]:
        """Where each key stands.  Scanned when first asked for: a file without problems does not need it."""
        return places(self.text)

    @cached_property
    def _lines(self) -> list[str]:
        return self.text.split("\n")

    @cached_property
    def _starts(self) -> list[int]:
        """The offset of each line."""
        return list(accumulate((len(line) + 1 for line in self._lines[:-1]), initial=0))

    def problem(
        self, path: KeyPath, text: str, remedy: str = "", *, at_key: bool = False, severity: str = "error"
    ) -> Problem:
        """A problem at the value of `path`, or at its key; at the nearest table around it when it is not there."""
        known = path
        while known and known not in self.places:
            known = known[:-1]
        found = self.places.get(known, Place(0, 0))
        offset = found.value if known == path and not at_key else found.key
        line = bisect_right(self._starts, offset)
        column = offset - self._starts[line - 1] + 1
        secret = any(isinstance(part, str) and secretish(part) for part in known)
        source, column = veiled(self._lines, line, column, secret=secret)
        return Problem(
            file=self.shown, line=line, column=column, text=text, remedy=remedy, severity=severity, source=source
        )

    def line_of(self, path: KeyPath) -> int:
        """The line of a key or table that is there, from 1."""
        return self.text.count("\n", 0, self.places[path].key) + 1


def read(path: Path) -> Document:
    """The file as a Document.  Raises UnreadableError with the Problem when it is missing, not UTF-8 or not TOML."""
    try:
        with path.open("rb") as file:
            raw = file.read(_HUGE + 1)
    except (FileNotFoundError, ValueError):  # ValueError: a NUL in its name
        remedy = "name the file with --config or $GATEWAY_CONFIG; config.example.toml is one to begin with"
        problem = Problem(file=str(path), text="there is no such file", remedy=remedy)
        raise UnreadableError(problem, missing=True) from None
    except OSError as error:
        text = f"the file cannot be read: {error.strerror}"
        raise UnreadableError(Problem(file=str(path), text=text)) from None
    if len(raw) > _HUGE:
        raise UnreadableError(Problem(file=str(path), text="the file has more than 4 MB"))
    try:
        # Editors on Windows put a byte order mark in front.
        text = raw.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        text = f"line {line} is not UTF-8 text"
        raise UnreadableError(Problem(file=str(path), text=text, remedy="save the file as UTF-8")) from None
    try:
        return Document(str(path), text, tomli.loads(text))
    except tomli.TOMLDecodeError as error:
        raise UnreadableError(_no_toml(path, text, error)) from None
    except (ValueError, RecursionError) as error:
        deep = isinstance(error, RecursionError)
        reason = "keys or lists are nested too deep" if deep else "a number has too many digits"
        raise UnreadableError(Problem(file=str(path), text=f"not TOML that can be read: {reason}")) from None


def read_named(path: Path, key: str, main: Document, problems: list[Problem]) -> Document | None:
    """A further file; None, with the reason added to `problems`, when it cannot be read.

    A file that is missing is a problem only where `key` of config.toml names it.
    """
    try:
        return read(path)
    except UnreadableError as error:
        if not error.missing:
            problems.append(error.problem)
        elif isinstance(main.values.get(key), str):
            remedy = "paths are relative to the folder of this file; leave the key out where there is none"
            problems.append(main.problem((key,), f"{key}: there is no file {path}", remedy))
        return None


def _no_toml(path: Path, text: str, error: tomli.TOMLDecodeError) -> Problem:
    line = min(error.lineno, text.rstrip("\n").count("\n") + 1)
    column = error.colno if line == error.lineno else len(text.split("\n")[line - 1]) + 1
    source, column = veiled(text.split("\n"), line, column, secret=False)
    return Problem(
        file=str(path),
        line=line,
        column=column,
        text=f"not TOML: {error.msg[:1].lower()}{error.msg[1:]}",
        remedy='texts stand in quotes: key = "value"; see https://toml.io',
        source=source,
    )


def secretish(key: str) -> bool:
    """Whether the value of `key` may be a secret; a misspelt key counts too."""
    return _SECRETISH.search(key) is not None or bool(get_close_matches(key, _SECRETS, n=1, cutoff=0.75))


def veiled(lines: Sequence[str], line: int, column: int, *, secret: bool) -> tuple[str, int]:
    """Line number `line` with any secret cut off, and `column` moved to where it was cut.

    `secret`: the problem is about a secret, so that the line is veiled also when it holds no key.  References to a
    file or a variable are no secrets.
    """
    shown = lines[line - 1]
    keys = [key for key in _KEY.finditer(shown) if secretish(key.group(1))]
    for key in keys:
        if not _REFERENCE.match(shown, key.end()):
            return _cut(shown, key.end(), column)
    bare = not _HEADER.match(shown) and not _KEY.search(shown)
    inside = secret or (bare and _inside_secret(lines, line - 1))
    if not keys and inside and not _REFERENCE.match(shown):
        return _cut(shown, len(shown) - len(shown.lstrip()), column)
    word = _WORD.match(shown)
    if word and not _KEY.match(shown) and secretish(word.group(1)):
        return _cut(shown, word.end(), column)
    login = _LOGIN.search(shown)
    if login:
        return _cut(shown, login.end(), column)
    return disguised(shown), column


def disguised(text: str) -> str:
    """`text` without what looks like a token in quotes: somebody may have pasted it as the value of another key."""
    return _TOKEN.sub("*" * 32, text)


def _inside_secret(lines: Sequence[str], above: int) -> bool:
    """Whether the nearest key in the first `above` lines is one of a secret: a list or a text of several lines."""
    for at in range(above - 1, -1, -1):
        shown = lines[at]
        if shown.lstrip().startswith("["):
            return False
        keys = _KEY.findall(shown)
        if keys and not _REFERENCE.match(shown):
            return secretish(keys[-1])
    return False


def _cut(shown: str, end: int, column: int) -> tuple[str, int]:
    return f"{shown[:end]}...", min(column, end + 1)
