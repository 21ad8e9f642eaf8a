"""Where nothing limits time, the admin's patterns are held against a text only if their steps can be counted."""

from __future__ import annotations

import re

import pytest

from gateway.core.patience import STEPS, longest


@pytest.mark.parametrize(
    "pattern", [r"RO (\d+)", r"(?i)ro-(\d+)", "(oil change|brakes)", r"\[(\w*)", r"#(\d+)", "", r"caf\.(\d+?)"]
)
def test_a_pattern_whose_only_repeat_ends_it_may_be_held_against_any_subject(pattern: str) -> None:
    assert longest([pattern], 1_000) == 1_000


@pytest.mark.parametrize(
    "pattern", [r"(\d+)x", r"RO[ #]*(\d+)", r"at (\d+:\d+)", r"(\d{4,8})", r"a+|b", r"(\d+)?", r"\d+\+", r"(?:a|b)*?"]
)
def test_a_pattern_that_may_go_back_is_held_against_short_texts_only(pattern: str) -> None:
    assert longest([pattern], 20_000) < 20_000


@pytest.mark.parametrize(
    "pattern",
    ["(a+)+$", "(a|aa)*b", "(?:a?){20}", r"(a)\1", "x(?=y)", "(?<!a)b", "(?P<x>a)", "a++", "(?x) a", "[[:alpha:]]",
     "a{2}{3}", r"\Aa", "(?>a)", "[a", "*"],
)  # fmt: skip
def test_of_any_other_pattern_nothing_is_promised(pattern: str) -> None:
    assert longest([r"RO (\d+)", pattern], 1_000) == -1


def test_all_patterns_share_the_steps() -> None:
    alone = longest([r"(\d+)x"], 10_000)

    assert 0 < longest([r"(\d+)x"] * 4, 10_000) <= alone // 2 + 1
    assert longest([], 10_000) == 10_000


@pytest.mark.parametrize(
    "pattern", [r"(\d+)x", r"\d*\d*x", r"a?a?a?a?a?a?aaaaaax", "(a|a)(a|a)(a|a)(a|a)b", "a{3,7}a{2,5}b", r"(?i)a*?A*?x"]
)
@pytest.mark.parametrize("text", ["1", "a", "A", "1a", "aaaaaax"])
def test_no_text_of_that_length_takes_more_steps(pattern: str, text: str) -> None:
    size = longest([pattern], 1_000)
    subject = (text * size)[:size]

    assert 0 < size
    assert steps(pattern, subject) <= STEPS


def steps(pattern: str, text: str) -> int:
    """How often a plain backtracking matcher looks at a character or the end of `text` in search of `pattern`."""
    flags = re.IGNORECASE if pattern.startswith("(?i)") else 0
    bare = pattern.removeprefix("(?i)")
    pieces = re.findall(r"(\\.|\([^)]*\)|.)(\?\??|[*+]\??|\{\d+,\d+\})?", bare)
    looked = 0

    def matches(piece: int, at: int) -> bool:
        nonlocal looked
        if piece == len(pieces):
            return True
        what, how = pieces[piece]
        least, most = bounds(how)
        ways = 2 if "|" in what else 1
        ends = [at] if not least else []
        while len(ends) + (least > 0) <= most and at < len(text):
            looked += ways
            if not re.fullmatch(what, text[at], flags):
                break
            at += 1
            ends.append(at)
        looked += 1
        return any(matches(piece + 1, end) for end in reversed(ends[max(0, least - 1) :]) for _ in range(ways))

    found = any(matches(0, start) for start in range(len(text) + 1))
    assert found == (re.search(pattern, text) is not None)
    return looked


def bounds(how: str) -> tuple[int, int]:
    match how[:1]:
        case "":
            return 1, 1
        case "?":
            return 0, 1
        case "*":
            return 0, 10**6
        case "+":
            return 1, 10**6
        case _:
            least, most = how[1:-1].split(",")
            return int(least), int(most)
