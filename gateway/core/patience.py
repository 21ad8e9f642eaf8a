"""How long a text may be against which the admin's patterns are held where nothing limits time.

A pattern whose repeats are all of single characters tries each of them at each length from each start, and no more: its
steps on any text can be counted beforehand.  Of any other pattern nothing is promised.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence

STEPS = 400_000  # of the engine for expressions: two milliseconds at the worst

_CHARACTER = r"(?:\\[dDsSwW]|\\[^\w\s]|\[\^?(?:\\[dDsSwW]|\\[^\w\s]|[\w #:.,/+*$%&-])+\]|[^\\\[\](){}*+?|^$])"
_TOKEN = re.compile(
    rf"(?P<repeat>{_CHARACTER}(?:(?P<free>[*+])|\{{\d{{0,3}},?\d{{0,3}}\}})\??)|"
    rf"(?P<choice>{_CHARACTER}\?\??|\||\)\?\??)|"
    rf"(?P<close>\))|{_CHARACTER}|\\[bB]|\(\?:|\((?!\?)|\^|\$"
)
_FLAGS = re.compile(r"(?:\(\?i\))?")


def longest(patterns: Sequence[str], most: int) -> int:
    """The longest text, of at most `most` characters, that all patterns search in STEPS steps; -1 = nobody knows."""
    counted = [_counted(pattern) for pattern in patterns]
    known = [found for found in counted if found is not None]
    if len(known) < len(counted):
        return -1
    return bisect_right(range(most + 1), STEPS, key=lambda size: _steps(known, size)) - 1


def _steps(counted: Sequence[tuple[int, int]], size: int) -> int:
    """No text of `size` characters takes more."""
    return sum(choices * int((size + 1) ** (repeats + 1)) for repeats, choices in counted)


def _counted(pattern: str) -> tuple[int, int] | None:
    """(repeats, steps from one start where each repeat has one length); None for a pattern that may do otherwise.

    A repeat at the very end is none: where it begins to match, the search is over.
    """
    flags = _FLAGS.match(pattern)
    at = flags.end() if flags else 0
    repeats, steps, ending = 0, len(pattern) + 1, False
    while at < len(pattern):
        token = _TOKEN.match(pattern, at)
        if token is None:
            return None
        repeats += token["repeat"] is not None
        steps *= 1 if token["choice"] is None else 2
        ending = token["free"] is not None or (ending and token["close"] is not None)
        at = token.end()
    return repeats - ending, steps
