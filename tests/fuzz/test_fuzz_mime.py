"""Mail of any kind is read or Unreadable: nothing raises, nothing unclean comes out, work grows with the input."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from types import FrameType

import pytest
from grammar import MAILS, VALUES, fields, mails, mutations, times
from hypothesis import given
from hypothesis import strategies as st
from targets import TARGETS, Check

CORPUS = [path.read_bytes() for path in MAILS]
PIECES = (
    *(
        b";",
        b" ",
        b"\t",
        b"a",
        b"=",
        b'"',
        b"(",
        b")",
        b"<",
        b">",
        b"\\",
        b",",
        b":",
        b"@",
        b"*",
        b"'",
        b"?",
        b"/",
        b".",
    ),
    *(b"=?a?q?", b"?=", b"=?utf-8?q?=C3?= ", b"&#1", b"<a ", b"<b>", b"</b>", b"<!--", b"<table><td>", b"<script>"),
    *(
        b"> ",
        b"\r\n",
        b"\n ",
        b"\r\n--b\r\n",
        b"--b--",
        b"On 1 ",
        b"-- \r\n",
        b"_",
        b"- ",
        b"wrote:\r\n",
        b"From: a\r\n",
        b"a@b ",
    ),
    *(b"name*0=", b"charset=", b"boundary=b", b"QUJD", b"=E2", b"\xe2\x80", b"\0", b"http://x ", b"Error: "),
    b"550 5.1.1 ",
)
FROM = b"From: a@b.example\r\n"
HEADS = (
    *(b"From: ", FROM + b"Subject: ", FROM + b"References: ", b"Content-Type: text/plain", b"Content-Disposition: "),
    *(FROM + b"\r\n", FROM + b"Content-Type: text/html\r\n\r\n", b"From: post_master@vtext.com\r\n\r\n"),
    FROM + b"Content-Transfer-Encoding: base64\r\n\r\n",
    FROM + b"DKIM-Signature: v=1; d=b.example; h=",
    b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n",
    b"Content-Type: multipart/report; boundary=b\r\n\r\n--b\r\nContent-Type: message/delivery-status\r\n\r\n",
)


@pytest.fixture
def check(request: pytest.FixtureRequest) -> Iterator[Check]:
    """The target that the test names."""
    with TARGETS[request.param].opened() as opened:
        yield opened


both = pytest.mark.parametrize("check", ["mail", "files"], indirect=True)


@both
@times(150)
@given(st.binary(max_size=2_000))
def test_any_bytes_are_read_or_unreadable(check: Check, raw: bytes) -> None:
    check(raw)


@both
@times(60)
@given(mutations(CORPUS))
def test_a_real_mail_that_was_damaged_is_read_or_unreadable(check: Check, raw: bytes) -> None:
    check(raw)


@both
@times(40)
@given(mails())
def test_mime_with_every_word_wrong_is_read_or_unreadable(check: Check, raw: bytes) -> None:
    check(raw)


@pytest.mark.parametrize("check", ["mail"], indirect=True)
@times(100)
@given(fields(), st.sampled_from([b"\r\n", b""]), st.binary(max_size=100))
def test_a_header_of_wild_values_is_read_or_unreadable(check: Check, head: bytes, gap: bytes, body: bytes) -> None:
    check(head + gap + body)


@pytest.mark.parametrize("check", ["value"], indirect=True)
@times(200)
@given(
    st.sampled_from([b"utf-8", b"utf-16", b"idna", b"utf-7", b"", b"iso-2022-jp"]),
    st.one_of(
        st.binary(max_size=300),
        st.lists(st.sampled_from(VALUES), max_size=8).map(lambda v: " ".join(v).encode("utf-8", "surrogatepass")),
        st.lists(st.sampled_from(PIECES), max_size=60).map(b"".join),
    ),
)
def test_every_value_and_text_comes_out_clean(check: Check, charset: bytes, value: bytes) -> None:
    check(value)
    check(charset + b"\n" + value)


@pytest.mark.parametrize("check", ["picture"], indirect=True)
@times(60)
@given(st.one_of(st.binary(max_size=300), mutations(TARGETS["picture"].corpus(), 4)))
def test_any_file_is_shown_or_left_out(check: Check, raw: bytes) -> None:
    check(raw)


def calls(check: Check, raw: bytes) -> int:
    """How many functions are called for an input, those of the C library too."""
    count = 0

    def called(_frame: FrameType, event: str, _of: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(called)
    try:
        check(raw)
    finally:
        sys.setprofile(before)
    return count


def grows_evenly(check: Check, made: Callable[[int], bytes]) -> None:
    """Fails where twice the input takes much more than twice the work."""
    less, more = calls(check, made(200)), calls(check, made(400))

    assert more <= 2.5 * less + 2_000


@pytest.mark.parametrize("check", ["mail"], indirect=True)
@times(40)
@given(st.sampled_from(HEADS), st.lists(st.sampled_from(PIECES), min_size=1, max_size=3).map(b"".join))
def test_work_grows_as_the_mail_does(check: Check, head: bytes, piece: bytes) -> None:
    grows_evenly(check, lambda count: head + piece * count + b"\r\n\r\nx")
