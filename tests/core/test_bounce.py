"""Delivery reports: RFC 3464 and the forms from before it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core import bounce, mime
from gateway.core.bounce import Bounce
from gateway.core.model import Reading

MAILS = Path(__file__).parents[1] / "data" / "mails"


def raw(name: str) -> bytes:
    return (MAILS / f"{name}.eml").read_bytes()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "dsn_failed",
            Bounce(
                action="failed", status="5.1.1", diagnostic="550 5.1.1 <2025550143@sms.carrier.example> User unknown"
            ),
        ),
        (
            "dsn_delayed",
            Bounce(
                action="delayed", status="4.4.1", diagnostic="451 4.4.1 <2025550143@sms.carrier.example> User unknown"
            ),
        ),
        ("dsn_delivered", None),
        ("plain_without_mime", None),
        ("flowed_answer", None),
    ],
)
def test_a_report_says_what_became_of_the_mail(name: str, expected: Bounce | None) -> None:
    assert bounce.read(raw(name)) == expected


def test_a_report_without_a_standard_is_recognised() -> None:
    found = bounce.read(raw("qmail_bounce"))

    assert found is not None
    assert (found.action, found.status) == ("failed", "5.1.1")
    assert found.diagnostic.startswith("550 5.1.1 unknown subscriber")


@pytest.mark.parametrize(
    ("name", "suspected"),
    [("dsn_failed", True), ("qmail_bounce", True), ("flowed_answer", False), ("vacation", False)],
)
def test_only_what_looks_like_a_report_is_suspected(name: str, suspected: bool) -> None:
    found = mime.read(raw(name))

    assert isinstance(found, Reading)
    assert bounce.suspected(found) is suspected


def test_a_report_beyond_the_bounds_says_nothing() -> None:
    assert bounce.read(b"X: " + b"a" * 300_000 + b"\r\n\r\n" + raw("dsn_failed")) is None


def test_of_several_recipients_the_worst_counts() -> None:
    report = raw("dsn_delayed").replace(
        b"Diagnostic-Code:", b"X: y\r\n\r\nAction: failed\r\nStatus: 5.7.1\r\n\r\nAction: relayed\r\nDiagnostic-Code:"
    )

    assert bounce.read(report) == Bounce(action="failed", status="5.7.1", diagnostic="")


PIECES = st.sampled_from(
    [b"From: MAILER-DAEMON@x\r\n", b"Subject: failure notice\r\n", b"\r\n", b"Action: failed\r\n", b"Status: 5.x\r\n",
     b"Content-Type: multipart/report; boundary=b\r\n", b"--b\r\n", b"Content-Type: message/delivery-status\r\n",
     b"<a@b>:\r\n", b"550 5.1.1 no", b"\xe9\0", b"From: (\r\n", b"From: \"\r\n"]
)  # fmt: skip


@given(st.lists(PIECES | st.binary(max_size=8), max_size=30).map(b"".join))
def test_any_bytes_have_an_answer(raw: bytes) -> None:
    found = bounce.read(raw)

    assert found is None or found.action in ("failed", "delayed")
