"""Where a mail ends, what is stored of it, and what is refused."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.core.model import Refusal
from gateway.intake.content import BARE, LONG_LINE, LOOP, TOO_BIG, Content, fault

WORDS = st.lists(st.sampled_from([b"\r\n", b".", b"..", b"a", b"Received: x"]), max_size=30).map(b"".join)


def collected(blocks: list[bytes], *, bare_lf: bool = False) -> tuple[Content, bytes | None]:
    content = Content(max_bytes=1_000, line_bytes=500, bare_lf=bare_lf)
    for n, block in enumerate(blocks):
        rest = content.feed(block)
        if rest is not None:
            return content, rest + b"".join(blocks[n + 1 :])
    return content, None


def checked(raw: bytes) -> Refusal | None:
    return fault(raw, max_bytes=1_000, line_bytes=500, hops=3)


@given(WORDS, st.lists(st.integers(1, 9), min_size=1))
@example(b"", [1])
@example(b".\r\n.", [2])
def test_a_mail_comes_out_as_it_was_written_however_it_is_cut_into_blocks(mail: bytes, sizes: list[int]) -> None:
    mail += b"" if mail.endswith(b"\r\n") or not mail else b"\r\n"
    stuffed = re.sub(rb"(?m)^\.", b"..", mail)
    wire = stuffed + b".\r\nQUIT\r\n"
    blocks, at = [], 0
    for size in sizes * (len(wire) // sum(sizes) + 1):
        blocks.append(wire[at : at + size])
        at += size

    content, rest = collected([block for block in blocks if block])

    assert rest == b"QUIT\r\n"
    assert content.fault is None
    assert content.take() == mail


@pytest.mark.parametrize(
    "mail",
    [
        pytest.param(b"a\n.\nMAIL FROM:<x@y>\r\n", id="lf-dot-lf"),
        pytest.param(b"a\r.\rMAIL FROM:<x@y>\r\n", id="cr-dot-cr"),
        pytest.param(b"a\r\n.\nMAIL FROM:<x@y>\r\n", id="crlf-dot-lf"),
        pytest.param(b"a\n.\r\nMAIL FROM:<x@y>\r\n", id="lf-dot-crlf"),
        pytest.param(b"a\r\n.\rMAIL FROM:<x@y>\r\n", id="crlf-dot-cr"),
        pytest.param(b"a\r.\r\nMAIL FROM:<x@y>\r\n", id="cr-dot-crlf"),
        pytest.param(b"a\r\n\0.\r\nMAIL FROM:<x@y>\r\n", id="nul-dot"),
        pytest.param(b"a\r\n.\0\r\nMAIL FROM:<x@y>\r\n", id="dot-nul"),
        pytest.param(b"a\r\r\n.\r\r\nMAIL FROM:<x@y>\r\n", id="crcrlf"),
    ],
)
@pytest.mark.parametrize("bare_lf", [False, True], ids=["strict", "bare-lf"])
def test_what_looks_like_an_end_is_not_one(mail: bytes, bare_lf: bool) -> None:
    content, rest = collected([mail, b".\r\n"], bare_lf=bare_lf)

    assert rest == b""
    assert b"MAIL FROM" in content.take()


@pytest.mark.parametrize("mark", [b"\n", b"\r", b"\0", b"\r\r\n", b"\n\r"], ids=repr)
def test_bare_cr_lf_and_nul_are_refused(mark: bytes) -> None:
    assert checked(b"Subject: x\r\n\r\na" + mark + b"b\r\n") is BARE


def test_with_bare_lf_lines_are_stored_with_crlf() -> None:
    content, rest = collected([b"Subject: x\n\nHello\n..dot\r\nbye\n\r\n.\r\n"], bare_lf=True)

    assert rest == b""
    mail = content.take()
    assert mail == b"Subject: x\r\n\r\nHello\r\n.dot\r\nbye\r\n\r\n"
    assert checked(mail) is None


def test_with_bare_lf_a_bare_cr_stays_refused() -> None:
    content, _ = collected([b"a\rb\n\r\n.\r\n"], bare_lf=True)

    assert checked(content.take()) is BARE


def test_with_bare_lf_a_mail_without_any_cr_ends_at_lf_dot_lf() -> None:
    content, rest = collected([b"Subject: x\n\nHello\n", b".\n"], bare_lf=True)

    assert rest == b""
    assert content.take() == b"Subject: x\r\n\r\nHello\r\n"


def test_without_it_lf_dot_lf_never_ends_a_mail() -> None:
    _, rest = collected([b"Subject: x\n\nHello\n", b".\n"])

    assert rest is None


@pytest.mark.parametrize(
    "blocks",
    [
        pytest.param([b"a\n.\nMAIL FROM:<x@y>\n"], id="more-follows"),
        pytest.param([b"Subject: x\r\n", b"a\n.\n"], id="a-cr-came-before"),
    ],
)
def test_with_bare_lf_nothing_is_smuggled(blocks: list[bytes]) -> None:
    _, rest = collected(blocks, bare_lf=True)

    assert rest is None


def test_too_big_a_mail_is_thrown_away_while_it_comes() -> None:
    content, rest = collected([b"a" * 80 + b"\r\n"] * 1_000 + [b".\r\nQUIT"])

    assert rest == b"QUIT"
    assert content.fault is TOO_BIG
    assert content.held < 10


def test_a_line_without_end_is_thrown_away_while_it_comes() -> None:
    content, rest = collected([b"a" * 100] * 9 + [b"\r\n.\r\n"])

    assert rest == b""
    assert content.fault is LONG_LINE


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        pytest.param(b"a" * 998 + b"\r\n", LONG_LINE, id="long-line"),
        pytest.param(b"a" * 498 + b"\r\n" + b"b" * 498 + b"\r\n", None, id="two-good-lines"),
        pytest.param(b"a\r\n" * 334, TOO_BIG, id="too-big"),
        pytest.param(b"Received: x\r\n" * 3 + b"\r\n", None, id="three-hops"),
        pytest.param(b"RECEIVED : x\r\n" * 4 + b"\r\n", LOOP, id="four-hops"),
        pytest.param(b"A: b\r\n\r\n" + b"Received: x\r\n" * 4, None, id="hops-in-the-body"),
        pytest.param(b"\r\n" + b"Received: x\r\n" * 4, None, id="no-header"),
        pytest.param(b"", None, id="empty"),
    ],
)
def test_a_complete_mail_is_judged(raw: bytes, expected: Refusal | None) -> None:
    assert expected == checked(raw)
