"""Whether an expression takes time in proportion to its text, by its form.

Sound and not complete: what passes can only be linear, what fails may be.  A repeat without a bound is of single
characters; what follows it begins with none of them, or nothing follows: so it has one length from each start.  In a
search something before it is none of them either: so no text is run through from two starts.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

_parser = importlib.import_module("re._parser")
_BOUNDED = 400  # times that count as a constant
# One of each kind that the expressions of this project tell apart.
_ALPHABET = frozenset(map(chr, range(0x180))) | frozenset("\u0301\u0307\u2003\u2022\u2028\u212a\ufeff\u4e00")
_CATEGORIES: dict[str, Callable[[str], bool]] = {
    "DIGIT": str.isdecimal,
    "SPACE": str.isspace,
    "WORD": lambda c: c.isalnum() or c == "_",
}

Node = tuple[Any, Any]


@dataclass(frozen=True, slots=True)
class _After:
    """What may come after a node."""

    begins: frozenset[str]  # with which characters it may begin
    ends: bool  # nothing may follow at all, not even a condition


def faults(expression: re.Pattern[Any], *, searched: bool) -> list[str]:
    """Why `expression` may take more than time in proportion to its text; [] where it cannot."""
    pattern = expression.pattern
    text = pattern.decode("latin-1") if isinstance(pattern, bytes) else pattern
    flags = expression.flags & ~re.UNICODE if isinstance(pattern, str) else expression.flags
    tree = _parser.parse(text, flags & ~re.DEBUG)
    return list(_sequence(list(tree), _After(frozenset(), ends=True), frozenset(), bool(flags & re.I), searched))


def _sequence(
    nodes: Sequence[Node], after: _After, apart: frozenset[str], folds: bool, searched: bool
) -> Iterator[str]:
    """`apart`: characters that some single character before the sequence is not."""
    for at, (kind, value) in enumerate(nodes):
        rest = _following(nodes[at + 1 :], after, folds)
        name = str(kind)
        if name in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"):
            yield from _repeat(value, rest, apart, folds, searched)
        elif name == "SUBPATTERN":
            yield from _sequence(list(value[3]), rest, apart, folds, searched)
        elif name == "BRANCH":
            for branch in value[1]:
                yield from _sequence(list(branch), rest, apart, folds, searched)
        elif name in ("GROUPREF", "GROUPREF_EXISTS", "ATOMIC_GROUP"):
            yield f"{name} is not looked into"
        elif name in ("ASSERT", "ASSERT_NOT") and value[1].getwidth()[1] > _BOUNDED:
            yield f"{name} of any length"
        taken = _single(kind, value, folds)
        if taken is not None:
            apart |= _ALPHABET - taken


def _repeat(value: Any, rest: _After, apart: frozenset[str], folds: bool, searched: bool) -> Iterator[str]:
    _least, most, inner = value
    nodes = list(inner)
    if most <= _BOUNDED:
        yield from _sequence(nodes, _After(_ALPHABET, ends=False), apart, folds, searched)
        return
    taken = _single(*nodes[0], folds) if len(nodes) == 1 else None
    if taken is None:
        yield "a repeat of more than one character"
    elif rest.begins & taken:
        yield f"a repeat whose end is not clear: {sorted(rest.begins & taken)[:5]}"
    elif searched and not rest.ends and not taken <= apart:
        yield f"a repeat that a search begins again: {sorted(taken - apart)[:5]}"


def _following(nodes: Sequence[Node], after: _After, folds: bool) -> _After:
    begins: frozenset[str] = frozenset()
    for kind, value in nodes:
        some, empty = _first(kind, value, folds)
        begins |= some
        if not empty:
            return _After(begins, ends=False)
    conditions = any(str(kind) in ("AT", "ASSERT", "ASSERT_NOT") for kind, _ in nodes)
    return _After(begins | after.begins, ends=after.ends and not nodes and not conditions)


def _first(kind: Any, value: Any, folds: bool) -> tuple[frozenset[str], bool]:
    """(with which characters a node may begin, whether it may be empty)."""
    taken = _single(kind, value, folds)
    if taken is not None:
        return taken, False
    match str(kind):
        case "MAX_REPEAT" | "MIN_REPEAT" | "POSSESSIVE_REPEAT":
            found = _following(list(value[2]), _After(frozenset(), ends=True), folds)
            return found.begins, value[0] == 0 or value[2].getwidth()[0] == 0
        case "SUBPATTERN":
            found = _following(list(value[3]), _After(frozenset(), ends=True), folds)
            return found.begins, value[3].getwidth()[0] == 0
        case "BRANCH":
            every = [_following(list(branch), _After(frozenset(), ends=True), folds) for branch in value[1]]
            empty = any(branch.getwidth()[0] == 0 for branch in value[1])
            return frozenset().union(*(one.begins for one in every)), empty
        case "AT" | "ASSERT" | "ASSERT_NOT":
            return frozenset(), True
        case _:
            return _ALPHABET, True


def _single(kind: Any, value: Any, folds: bool) -> frozenset[str] | None:
    """The characters that a node of one character takes, None for any other node."""
    match str(kind):
        case "LITERAL":
            found = frozenset(chr(value))
        case "NOT_LITERAL":
            return _ALPHABET - _folded(frozenset(chr(value)), folds)
        case "ANY":
            return _ALPHABET - {"\n"}
        case "IN":
            negated = str(value[0][0]) == "NEGATE"
            found = frozenset(c for c in _ALPHABET if any(_holds(item, c) for item in value))
            return _ALPHABET - _folded(found, folds) if negated else _folded(found, folds)
        case _:
            return None
    return _folded(found, folds)


def _holds(item: Node, c: str) -> bool:
    kind, value = item
    match str(kind):
        case "LITERAL":
            return ord(c) == value
        case "RANGE":
            return bool(value[0] <= ord(c) <= value[1])
        case "CATEGORY":
            name = str(value).removeprefix("CATEGORY_")
            return _CATEGORIES[name.removeprefix("NOT_")](c) != name.startswith("NOT_")
        case _:
            return False


def _folded(found: frozenset[str], folds: bool) -> frozenset[str]:
    alike = (frozenset(c for c in _ALPHABET if re.fullmatch(re.escape(one), c, re.I)) for one in found)
    return found.union(*alike) if folds else found
