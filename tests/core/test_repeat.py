from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.repeat import content, digest, window

HEAD = b"Received: from a\r\nMessage-ID: <m1@x>\r\nDate: Mon, 23 Nov 2026 12:00:00 -0500\r\nSubject: Hi\r\n"
MAIL = HEAD + b"\r\nReady.\r\n"
NAMELESS = MAIL.replace(b"Message-ID: <m1@x>\r\n", b"")
DAY = timedelta(days=1)


def printed(sender: str, recipient: str, raw: bytes) -> tuple[bytes, bool]:
    """The fingerprint of one mail to one recipient, and whether a Message-ID is part of it."""
    said, named = content(raw)
    return digest(sender, recipient, said), named


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(MAIL.replace(b"from a", b"from b, by way of c"), id="other trace lines"),
        pytest.param(MAIL.replace(b"12:00", b"12:05"), id="another Date: the Message-ID counts"),
        pytest.param(MAIL.replace(b"Message-ID: <m1@x>", b"MESSAGE-ID :\r\n <m1@x>"), id="another way to write it"),
        pytest.param(MAIL + b"\r\n\r\n", id="blank lines at the end"),
        pytest.param(MAIL + b" \r\n" * 5000, id="very many blank lines at the end"),
        pytest.param(MAIL.replace(b"\r\n\r\n", b"\n\n"), id="LF around the blank line"),
    ],
)
def test_the_same_mail_is_known_again(other: bytes) -> None:
    assert printed("jobs", "a@x", MAIL) == printed("jobs", "A@X", other)


@pytest.mark.parametrize(
    ("sender", "recipient", "raw"),
    [
        pytest.param("desk", "a@x", MAIL, id="another sender"),
        pytest.param("jobs", "b@x", MAIL, id="another recipient: a relay may split one mail"),
        pytest.param("jobs", "a@x", MAIL.replace(b"<m1", b"<m2"), id="another Message-ID"),
        pytest.param(
            "jobs", "a@x", MAIL.replace(b"Ready", b"Not ready"), id="other words: a Message-ID may be constant"
        ),
        pytest.param("jobs", "a@x", MAIL.replace(b"Subject: Hi", b"Subject: Ho"), id="another subject"),
        pytest.param("jobs", "a@x", NAMELESS, id="without Message-ID"),
    ],
)
def test_another_mail_is_no_repeat(sender: str, recipient: str, raw: bytes) -> None:
    assert printed("jobs", "a@x", MAIL)[0] != printed(sender, recipient, raw)[0]


@given(st.text(alphabet="x \t\r\n", max_size=40), st.integers(0, 3), st.sampled_from([0, 4095, 4096, 4097, 9000]))
def test_only_the_white_space_at_the_end_counts_for_nothing(body: str, words: int, blanks: int) -> None:
    said = (body + "x" * words).encode()

    assert content(HEAD + b"\r\n" + said + b" " * blanks) == content(HEAD + b"\r\n" + said.rstrip())


def test_without_a_message_id_the_date_stands_in_for_it() -> None:
    later = NAMELESS.replace(b"12:00", b"12:05")

    assert (True, False) == (printed("jobs", "a@x", MAIL)[1], printed("jobs", "a@x", NAMELESS)[1])
    assert printed("jobs", "a@x", NAMELESS) == printed("jobs", "a@x", b"X: 1\r\n" + NAMELESS)
    assert printed("jobs", "a@x", NAMELESS) != printed("jobs", "a@x", later)


def test_a_mail_without_a_header_is_compared_whole() -> None:
    assert printed("jobs", "a@x", b"Ready.") == printed("jobs", "a@x", b"Ready.\r\n")
    assert printed("jobs", "a@x", b"Ready.")[0] != printed("jobs", "a@x", b"Steady.")[0]


def test_a_field_in_the_body_is_no_header() -> None:
    body = MAIL.replace(b"Message-ID: <m1@x>\r\n", b"") + b"Message-ID: <m1@x>\r\n"

    assert not printed("jobs", "a@x", body)[1]


@given(st.text(), st.text(), st.binary(max_size=300))
def test_every_mail_has_a_fingerprint(sender: str, recipient: str, raw: bytes) -> None:
    sender = sender.encode("utf-8", "replace").decode()
    found, _ = printed(sender, recipient, raw)

    assert (20, printed(sender, recipient, raw)[0]) == (len(found), found)


@pytest.mark.parametrize(
    ("named", "configured", "expected"),
    [
        pytest.param(True, DAY, DAY, id="with a Message-ID as configured"),
        pytest.param(False, DAY, timedelta(hours=1), id="without one, an hour"),
        pytest.param(False, timedelta(minutes=5), timedelta(minutes=5), id="less where less is configured"),
        pytest.param(True, timedelta(0), timedelta(0), id="off"),
        pytest.param(False, timedelta(0), timedelta(0), id="off for all"),
    ],
)
def test_a_first_counts_for_a_while(named: bool, configured: timedelta, expected: timedelta) -> None:
    assert expected == window(named, configured)
