"""What is read without a limited child is read in time that grows as the mail does, and as the general way reads it."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest
from expressions import faults
from grammar import BODIES, MAILS, VALUES, fields, mails, mutations, times
from hypothesis import given
from hypothesis import strategies as st
from targets import DATA, ROOT, SIMPLY, read_simply
from torture import FILES, GENERATED, LABELLED

from gateway.core import simple

CORPUS = [path.read_bytes() for path in (*MAILS, *FILES, *sorted((ROOT / "tests" / "e2e").rglob("*.eml")))]
HEAD = b"From: shop@jobs.example\r\nSubject: RO 7\r\nContent-Type: text/plain; charset=utf-8\r\n"
PIECES = (
    *(b";", b" ", b"\t", b"a", b"=", b'"', b"(", b")", b"<", b"\\", b",", b":", b"@", b"*", b"?"),
    *(b"/", b".", b"-", b"_"),
    *(b"=?utf-8?q?", b"?=", b"=?utf-8?q?=C3?= ", b"a@b, ", b"<a@b> ", b"\xc3\xa9", b"\xe2\x80\xa8"),
    *(b"\xff", b"=\r\n", b"=0D"),
    *(b"\r\n", b"a\r\n", b":\r\n", b"a: b\r\n", b"- \r\n", b"-\r\n", b"__\r\n", b"To : a\r\n", b"Thanks, a\r\n"),
    *(b"RO ", b"RO 7"),
    *(b"## ", b"## \r\n", b" * a:\r\n", b"best", b"soft \r\n", b"\x0b", b"- a\r\n"),
)  # fmt: skip
PLACES = (
    *((HEAD + b"X-A: ", b"\r\n\r\nx"), (b"From: ", b"\r\n\r\nx"), (b"Subject: ", b"\r\n\r\nx")),
    *((b"References: ", b"\r\n\r\nx"), (b"Message-ID: ", b"\r\n\r\nx")),
    *((b"To: ", b"\r\n\r\nx"), (b"Date: ", b"\r\n\r\nx"), (b"Precedence: ", b"\r\n\r\nx")),
    *((HEAD + b"\r\n", b""), (HEAD + b"\r\n##", b"\r\nx"), (HEAD + b"\r\nTo: a\r\n", b"\r\nx")),
    (b"Content-Type: text/plain; format=flowed\r\n\r\n", b"x"),
    (b"Content-Transfer-Encoding: quoted-printable\r\n\r\n", b"x"),
)  # fmt: skip


def every_mail() -> list[bytes]:
    crashers = [path.read_bytes() for path in (DATA / "crashers").rglob("*") if path.is_file()]
    return [*CORPUS, *crashers, *GENERATED.values(), *LABELLED.values()]


def test_every_mail_that_is_kept_reads_the_same_or_is_left() -> None:
    taken = [raw for raw in every_mail() if read_simply(raw) is not None]

    assert len(taken) >= 15


@times(300)
@given(mutations(CORPUS, 6))
def test_a_damaged_mail_reads_the_same_or_is_left(raw: bytes) -> None:
    read_simply(raw)


@times(100)
@given(mails())
def test_mime_reads_the_same_or_is_left(raw: bytes) -> None:
    read_simply(raw)


@times(200)
@given(fields(), st.lists(st.sampled_from([*BODIES, *PIECES]), max_size=6).map(b"".join))
def test_a_header_of_wild_values_reads_the_same_or_is_left(head: bytes, body: bytes) -> None:
    read_simply(head + b"\r\n" + body)


@times(200)
@given(
    st.lists(st.sampled_from(PLACES[:8]), max_size=3),
    st.lists(st.sampled_from([*VALUES, "a", "RO 7"]), max_size=3).map(lambda v: " ".join(v).encode("utf-8", "replace")),
    st.lists(st.sampled_from([*PIECES, b"words ", b"Your car is ready.\r\n"]), max_size=20).map(b"".join),
)
def test_a_mail_of_plain_pieces_reads_the_same_or_is_left(
    places: list[tuple[bytes, bytes]], value: bytes, body: bytes
) -> None:
    read_simply(b"".join(head.removeprefix(HEAD) + value + b"\r\n" for head, _ in places) + b"\r\n" + body)


class Watch:
    """Counts the lines that are run and the functions that are called, those of the language too, and notes each
    expression with the way in which it was used.
    """

    def __init__(self) -> None:
        self.steps = 0
        self.used: set[tuple[re.Pattern[Any], str]] = set()

    def during(self, act: Callable[[], object]) -> None:
        tracing, profiling = sys.gettrace(), sys.getprofile()
        sys.settrace(self._line)
        sys.setprofile(self._called)
        try:
            act()
        finally:
            sys.setprofile(profiling)
            sys.settrace(tracing)

    def _line(self, _frame: FrameType, _event: str, _of: object) -> Callable[..., Any]:
        self.steps += 1
        return self._line

    def _called(self, _frame: FrameType, event: str, of: object) -> None:
        self.steps += event == "c_call"
        owner = getattr(of, "__self__", None)
        if event == "c_call" and isinstance(owner, re.Pattern):
            self.used.add((owner, getattr(of, "__name__", "")))


def watched(raw: bytes) -> Watch:
    watch = Watch()
    watch.during(lambda: simple.read(raw, SIMPLY))
    return watch


@times(300)
@given(st.sampled_from(PLACES), st.lists(st.sampled_from(PIECES), min_size=1, max_size=3).map(b"".join))
def test_twice_the_mail_takes_twice_the_steps(place: tuple[bytes, bytes], piece: bytes) -> None:
    head, end = place
    size = 450 if end.startswith(b"\r\n\r\n") else simple.LONGEST // 2 - 200
    less, more = (watched(head + piece * (length // len(piece)) + end).steps for length in (size, 2 * size))

    assert more <= 2.2 * less + 300


def test_every_expression_that_is_used_is_linear_by_its_form() -> None:
    grown = [head + piece * 30 + end for head, end in PLACES for piece in PIECES]
    used = {one for raw in (*every_mail(), *grown) if len(raw) < 20_000 for one in watched(raw).used}
    own = {
        (pattern, how)
        for pattern, how in used
        if pattern.pattern not in (SIMPLY.patterns.job, *SIMPLY.patterns.anywhere)
    }
    found = {p.pattern: faults(p, searched=how not in ("match", "fullmatch")) for p, how in own}

    assert len(found) >= 15
    assert {pattern: why for pattern, why in found.items() if why} == {}


@pytest.mark.parametrize(
    ("pattern", "searched"),
    [
        ("(a+)+$", False), ("(?:ab)*", False), ("a*a*b", False), (r"\s*\s", False), (r"[\W_]*\s{0,3}:", False),
        ("a+b", True), (r"\s+$", True), (r"(?i)[a-z]*K", False), (r"(a)\1", False), ("(?:a*|b)a", False),
        (r"x\s*\n", True), ("a*?.", False),
    ],
)  # fmt: skip
def test_an_expression_that_may_take_longer_is_found(pattern: str, searched: bool) -> None:
    assert faults(re.compile(pattern), searched=searched) != []


@pytest.mark.parametrize(
    ("pattern", "searched"),
    [
        (r"<([^<>]+)>", True),
        (r"\s*([A-Za-z][\w-]*)", False),
        (r"a\d{0,9}b", True),
        (r"[^a-z]+", True),
        (r":[ \t]*\r\n", True),
    ],
)
def test_an_expression_that_is_linear_passes(pattern: str, searched: bool) -> None:
    assert faults(re.compile(pattern), searched=searched) == []
