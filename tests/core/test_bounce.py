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


def test_a_report_is_known_whatever_comes_back_below_it() -> None:
    returned = b"," * 100_000 + b"\r\n" + b"a line of the mail\r\n" * 50_000
    found = bounce.read(raw("qmail_bounce") + returned)

    assert found is not None
    assert (found.action, found.status) == ("failed", "5.1.1")


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


@pytest.mark.parametrize(
    ("name", "diagnostic"),
    [
        ("verizon_vtext_bounce", "550 - Requested action not taken: no such user here"),
        ("verizon_vzwpix_bounce", "No valid recipients for this MM"),
    ],
)
def test_verizons_reports_are_no_answers_of_a_person(name: str, diagnostic: str) -> None:
    report = raw(f"carriers/{name}")
    found = mime.read(report)

    assert isinstance(found, Reading)
    assert bounce.suspected(found)
    assert bounce.read(report) == Bounce(action="failed", status="", diagnostic=diagnostic)
    assert bounce.verdict_of("", diagnostic) == "number"


def test_a_report_of_verizons_is_suspected_whatever_its_subject() -> None:
    for name in ("verizon_vtext_bounce", "verizon_vzwpix_bounce"):
        found = mime.read(raw(f"carriers/{name}").replace(b"Undeliverable Message", b"RO 4711"))

        assert isinstance(found, Reading)
        assert bounce.suspected(found)


def test_a_mail_of_verizons_postmaster_that_names_no_error_is_no_report() -> None:
    report = raw("carriers/verizon_vtext_bounce").replace(b"Error: ", b"").replace(b"550 - ", b"")

    assert bounce.read(report) is None


def test_a_persons_answer_by_verizon_is_no_report() -> None:
    answer = raw("carriers/verizon_vtext_bounce").replace(b"post_master@", b"2025550143@")
    found = mime.read(answer)

    assert isinstance(found, Reading)
    assert not bounce.suspected(found)
    assert bounce.read(answer) is None


@pytest.mark.parametrize(
    ("code", "words", "verdict"),
    [
        pytest.param("5.1.1", "550 5.1.1 User unknown", "number", id="user unknown"),
        pytest.param("5.1.1", "550 5.1.1 rejected, see our policy", "number", id="5.1.1 whatever its words"),
        pytest.param("550", "", "number", id="a bare 550"),
        pytest.param("550", "relay.example answered RCPT TO with 550", "number", id="a bare 550 in a reason"),
        pytest.param("", "550 - Requested action not taken: no such user here", "number", id="vtext"),
        pytest.param("", "No valid recipients for this MM", "number", id="vzwpix"),
        pytest.param("550", "550 permanent failure for one or more recipients", "number", id="T-Mobile"),
        pytest.param("5.0.0", "550 5.0.0 unknown subscriber", "number", id="5.0.0 and words"),
        pytest.param("5.0.0", "550 5.0.0", "number", id="5.0.0 and 550"),
        pytest.param("4.2.0", "421 4.2.0 sender rejected AUP#SNDR", "policy", id="T-Mobile, temporary by its digit"),
        pytest.param("421", "421 sender rejected", "policy", id="sender rejected"),
        pytest.param("544", "", "policy", id="544 alone"),
        pytest.param("544", "544 rejecting banned content", "policy", id="banned content"),
        pytest.param("5.7.1", "554 5.7.1 not accepted", "policy", id="5.7.1"),
        pytest.param("550", "550 5.7.26 unauthenticated", "policy", id="5.7.26 in the words alone"),
        pytest.param("550", "550 rejected as spam", "policy", id="spam"),
        pytest.param("550", "550 your host is blocked using example", "policy", id="blocked"),
        pytest.param("550", "550 refused by policy", "policy", id="550 policy"),
        pytest.param("5.1.8", "550 5.1.8 bad sender address", "policy", id="bad sender"),
        pytest.param("554", "554 AUP#I-1000", "policy", id="Charter"),
        pytest.param("5.2.2", "552 5.2.2 full", "mailbox_full", id="5.2.2"),
        pytest.param("452", "452 mailbox full", "mailbox_full", id="mailbox full"),
        pytest.param("4.7.1", "450 4.7.1 Greylisted, try again", "other", id="greylisting"),
        pytest.param("450", "450 mailbox unavailable", "other", id="temporary, whatever its words"),
        pytest.param("5.1.2", "550 5.1.2 host has no MX", "other", id="the domain's fault"),
        pytest.param("5.3.4", "552 5.3.4 too large", "other", id="too large"),
        pytest.param("554", "554 transaction failed", "other", id="a bare 554"),
        pytest.param(
            "", "host njbrspamp1.example at 202-555-0143 went away", "other", id="digits and letters by chance"
        ),
        pytest.param("", "", "other", id="nothing"),
    ],
)
def test_a_refusal_is_the_numbers_or_is_against_us(code: str, words: str, verdict: str) -> None:
    assert bounce.verdict_of(code, words) == verdict


def test_that_a_domain_takes_no_mail_is_not_said_of_a_number() -> None:
    assert bounce.verdict_of("5.1.10", "556 5.1.10 Domain does not accept mail (nullMX)") == "other"
    assert bounce.verdict_of("5.1.10", "the domain vtext.com says that it takes no mail (null MX)") == "other"


@pytest.mark.parametrize(
    ("code", "words", "expected"),
    [
        pytest.param("4.7.1", "451 4.7.1 Greylisted, come back later", True, id="greylisted"),
        pytest.param("450", "450 Recipient rejected: Grey-listing in action", True, id="with a hyphen"),
        pytest.param("", "graylisted", True, id="without a code"),
        pytest.param("4.7.1", "451 4.7.1 try again later", False, id="other words"),
        pytest.param("5.7.1", "550 5.7.1 greylist us and you are out", False, id="for good"),
    ],
)
def test_greylisting_is_told_by_its_words(code: str, words: str, expected: bool) -> None:
    assert bounce.greylisted(code, words) is expected


@given(st.text(max_size=8), st.text(max_size=60))
def test_any_refusal_has_a_verdict(code: str, words: str) -> None:
    assert bounce.verdict_of(code, words) in ("number", "policy", "mailbox_full", "other")


PIECES = st.sampled_from(
    [b"From: MAILER-DAEMON@x\r\n", b"Subject: failure notice\r\n", b"\r\n", b"Action: failed\r\n", b"Status: 5.x\r\n",
     b"Content-Type: multipart/report; boundary=b\r\n", b"--b\r\n", b"Content-Type: message/delivery-status\r\n",
     b"<a@b>:\r\n", b"550 5.1.1 no", b"\xe9\0", b"From: (\r\n", b"From: \"\r\n"]
)  # fmt: skip


@given(st.lists(PIECES | st.binary(max_size=8), max_size=30).map(b"".join))
def test_any_bytes_have_an_answer(raw: bytes) -> None:
    found = bounce.read(raw)

    assert found is None or found.action in ("failed", "delayed")
