"""From the bytes of a mail to the words of a person."""

from __future__ import annotations

import base64
import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core import mime
from gateway.core.model import Reading, Unreadable

MAILS = Path(__file__).parents[1] / "data" / "mails"
FROM = b"From: shop@jobs.example\r\n"


def reading(raw: bytes, cut_after: tuple[str, ...] = ()) -> Reading:
    found = mime.read(raw, cut_after)
    assert isinstance(found, Reading), found
    return found


def mail(name: str) -> Reading:
    return reading((MAILS / f"{name}.eml").read_bytes())


def with_body(content_type: str, body: bytes, encoding: str = "8bit") -> bytes:
    header = f"Content-Type: {content_type}\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n"
    return FROM + header.encode() + body


@pytest.mark.parametrize(
    ("name", "text", "attachments"),
    [
        ("plain_without_mime", "Your car is ready.\n\nPick up until 6 pm.", 0),
        ("windows_1252_without_charset", "It’s ready – café is open", 0),  # noqa: RUF001
        ("html_only", "Job 1042\n\nYour car is ready & washed.", 0),
        ("alternative", "The café is open.", 0),
        ("text_attachment", "Your car is ready.", 2),
        ("only_a_text_attachment", "Yes, at five", 1),
    ],
)
def test_the_body_is_found(name: str, text: str, attachments: int) -> None:
    found = mail(name)

    assert (found.text, found.attachments) == (text, attachments)


def test_job_mail_loses_its_signature_and_shows_it_as_cut() -> None:
    assert mail("plain_without_mime").cut == "--\nExample Auto\n12 Main Street"


def test_an_answer_loses_history_and_signature_and_keeps_the_persons_lines_whole() -> None:
    found = mail("flowed_answer")

    assert found.answer == "We close at 6 pm today, please come before that."
    assert found.answer_cut.startswith('On 23.11.2026 11:58, "+1 202-555-0143" wrote:\n> When do you close?')
    assert found.answer_cut.endswith("--\nJo Doe\nExample Auto")


def test_the_header_says_who_what_and_on_which_thread() -> None:
    found = mail("flowed_answer")

    assert (found.author, found.author_name) == ("Jo.Doe@shop.example", "Doe, Jo")
    assert found.subject == "Re: RO 1042 – café"  # noqa: RUF001
    assert found.message_id == "<answer-1@shop.example>"
    assert found.in_reply_to == "<reply-1@sms.example.com>"
    assert found.references == ("<job-1@jobs.example>", "<reply-1@sms.example.com>")
    assert found.date == "Mon, 23 Nov 2026 12:00:00 -0500"
    assert (found.bulk, found.auto_submitted, found.report, found.ours, found.hops) == (False, "", False, False, 0)


@pytest.mark.parametrize("charset", ["undefined", "idna"])
def test_a_charset_that_breaks_the_parser_of_a_multipart_without_parts_is_unknown(charset: str) -> None:
    assert reading(with_body(f"multipart/mixed; charset={charset}", "é at five".encode())).text == "é at five"


@pytest.mark.parametrize("reference", ["&#1;", "&#27;", "&#x7f;", "&#1"])
def test_a_control_character_that_html_names_is_left_out(reference: str) -> None:
    assert reading(with_body("text/html", f"<p>a{reference} b".encode())).text == "a b"


@pytest.mark.parametrize(
    ("name", "auto_submitted", "bulk", "report"),
    [
        ("list", "auto-generated", True, False),
        ("vacation", "auto-replied", True, False),
        ("dsn_failed", "auto-replied", False, True),
    ],
)
def test_words_of_machines_are_known(name: str, auto_submitted: str, bulk: bool, report: bool) -> None:
    found = mail(name)

    assert (found.auto_submitted, found.bulk, found.report) == (auto_submitted, bulk, report)


@pytest.mark.parametrize(
    ("date", "at"),
    [
        ("Mon, 23 Nov 2026 12:00:05 -0500", datetime(2026, 11, 23, 17, 0, 5, tzinfo=UTC)),
        ("23 Nov 2026 12:00 (noon)", datetime(2026, 11, 23, 12, tzinfo=UTC)),
        ("yesterday", None),
        ("Mon, 23 Nov 99999 12:00:00 -0500", None),
        ("", None),
    ],
)
def test_the_time_at_which_a_mail_was_written(date: str, at: datetime | None) -> None:
    assert at == mime.written_at(reading(f"Date: {date}\r\n".encode() + FROM + b"\r\nx"))


@given(st.text(max_size=60))
def test_any_date_has_an_answer(date: str) -> None:
    found = mime.written_at(replace(reading(FROM + b"\r\nx"), date=date))

    assert found is None or found.tzinfo is UTC


@pytest.mark.parametrize(
    ("header", "bulk"),
    [
        (b"Precedence: Bulk", True),
        (b"Precedence: junk", True),
        (b"Precedence: list", True),
        (b"Precedence: first-class", False),
        (b"List-Id: <x.example>", True),
        (b"X-Auto-Response-Suppress: All", False),
        (b"Auto-Submitted: no", False),
    ],
)
def test_what_is_bulk(header: bytes, bulk: bool) -> None:
    assert reading(FROM + header + b"\r\n\r\nx").bulk is bulk


def test_our_own_mail_and_the_number_of_hops_are_seen() -> None:
    raw = b"Received: a\r\nreceived: b\r\nX-Gateway-Loop: sms.example.com\r\n" + FROM + b"\r\nx"

    assert (reading(raw).ours, reading(raw).hops) == (True, 2)


@pytest.mark.parametrize(
    ("cut_after", "text", "cut"),
    [
        ((), "Ready.\nDo not reply to this mail.\nFooter", ""),
        (("do not REPLY",), "Ready.", "Do not reply to this mail.\nFooter"),
        (("Footer", "Do not"), "Ready.", "Do not reply to this mail.\nFooter"),
        (("", "  "), "Ready.\nDo not reply to this mail.\nFooter", ""),
    ],
)
def test_job_mail_is_cut_at_what_the_admin_named(cut_after: tuple[str, ...], text: str, cut: str) -> None:
    found = reading(FROM + b"\r\nReady.\r\nDo not reply to this mail.\r\nFooter\r\n", cut_after)

    assert (found.text, found.cut) == (text, cut)


def test_job_mail_keeps_quotes_and_two_dashes_without_the_space() -> None:
    text = "> as you asked\n--\nOn 1 May Jo wrote:\n> x"

    assert reading(FROM + b"\r\n" + text.encode()).text == text


@pytest.mark.parametrize(
    "charset",
    ["no-such", "rot13", "zlib", "idna", "undefined", "punycode", "base64", "hex", "utf-7", "unicode_escape", "mbcs",
     '"a\0b"', '""', "utf-16", "utf-32", "us-ascii", "utf-8", "iso-8859-1", "windows-1252", "UTF-8''x"],
)  # fmt: skip
@pytest.mark.parametrize("bytes_", ["café".encode(), "café".encode("cp1252")], ids=["utf-8", "windows-1252"])
def test_a_charset_that_is_unknown_or_lies_falls_back(charset: str, bytes_: bytes) -> None:
    raw = with_body(f"text/plain; charset={charset}", bytes_) + b"\r\n"
    subject = b"Subject: =?" + charset.encode() + b"?B?Y2Fmw6k=?=\r\n"

    assert reading(raw).text == "café"
    if "\0" not in charset and '"' not in charset:
        assert reading(subject + raw).subject == "café"


@pytest.mark.parametrize("charset", ["koi8-r", "windows-1251", "utf-16-le", "gb18030", "shift_jis", "iso-8859-5"])
def test_a_charset_that_holds_is_believed(charset: str) -> None:
    body = "Привет".encode(charset)
    raw = with_body(f'text/plain; charset="{charset}"', base64.encodebytes(body), "base64")

    assert reading(raw).text == "Привет"


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"a\tb\x07c\x7f\x0bd\r\re  \r\n\r\n\r\n\r\nf", "a bc\nd\n\ne\n\nf"),
        (b"a\r\nb\nc\rd", "a\nb\nc\nd"),
        (b"", ""),
        (b"\r\n \r\n", ""),
        ("\ufeffa\u2028b\x85c".encode(), "a\nb\nc"),
    ],
)
def test_texts_have_no_control_characters_but_lf(body: bytes, text: str) -> None:
    assert reading(with_body("text/plain; charset=utf-8", body)).text == text


@pytest.mark.parametrize(
    "header",
    [
        b"Subject: =?utf-8?Q?Hi=0D=0ABcc:_x@y.example?=",
        b"Subject: =?utf-8?B?SGkNCkJjYzogeEB5LmV4YW1wbGU=?=",
        b"Subject: Hi\r\n Bcc: x@y.example",
        "Subject: Hi\u2028Bcc: x@y.example".encode(),
    ],
    ids=["quoted", "base64", "folded", "line separator"],
)
def test_an_encoded_word_cannot_begin_another_header(header: bytes) -> None:
    assert reading(header + b"\r\n\r\nx").subject == "Hi Bcc: x@y.example"


def test_html_without_any_content_type_is_still_html() -> None:
    assert reading(FROM + b"\r\n<!DOCTYPE html><html><body>Your car<br>is ready</body></html>").text == (
        "Your car\nis ready"
    )


def test_a_blank_plain_part_gives_way_to_the_html_part() -> None:
    raw = with_body(
        "multipart/alternative; boundary=b",
        b"--b\r\nContent-Type: text/plain\r\n\r\n \r\n--b\r\nContent-Type: text/html\r\n\r\n<p>words\r\n--b--\r\n",
    )

    assert reading(raw).text == "words"


def test_all_plain_parts_of_a_mixed_mail_are_its_words() -> None:
    raw = with_body(
        "multipart/mixed; boundary=b",
        b"--b\r\n\r\none\r\n--b\r\nContent-Type: image/png\r\n\r\nx\r\n--b\r\n\r\ntwo\r\n--b--\r\n",
    )

    assert (reading(raw).text, reading(raw).attachments) == ("one\n\ntwo", 1)


def test_of_the_choices_of_an_alternative_one_is_taken() -> None:
    raw = with_body(
        "multipart/alternative; boundary=b", b"--b\r\n\r\none\r\n--b\r\n\r\none, in other words\r\n--b--\r\n"
    )

    assert reading(raw).text == "one"


def test_a_multipart_without_parts_is_read_as_text() -> None:
    assert reading(with_body("multipart/mixed", b"words")).text == "words"


def test_texts_beyond_the_bound_are_not_read() -> None:
    part = b"--b\r\n\r\n" + b"word " * 40_000 + b"\r\n"
    found = reading(with_body("multipart/mixed; boundary=b", part * 5))

    assert len(found.text) < 300_000


def test_html_that_the_renderer_refuses_is_stripped() -> None:
    declaration = b'<?xml version="1.0" encoding="utf-8"?>'

    assert reading(with_body("text/html", declaration * 3 + b"<p>words")).text == "words"


def test_a_forwarded_message_inside_is_an_attachment() -> None:
    raw = with_body(
        "multipart/mixed; boundary=b",
        b"--b\r\n\r\nsee below\r\n--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: x\r\n\r\ninner\r\n--b--\r\n",
    )

    assert (reading(raw).text, reading(raw).attachments) == ("see below", 1)


@pytest.mark.parametrize("depth", [10, 199, 300, 5000])
def test_no_word_is_lost_in_deeply_nested_html(depth: int) -> None:
    html = b"<p>before</p>" + b"<div>" * depth + b"deep" + b"</div>" * depth + b"<p>after</p>"

    assert reading(with_body("text/html", html)).text.split() == ["before", "deep", "after"]


@pytest.mark.parametrize(
    ("html", "text"),
    [
        (b"<div>" * 300 + b"<!-- no --><script>no</script>5 < 6 &amp; 7<br>caf&eacute;", "5 < 6 & 7\ncafé"),
        (b"<div>" * 300 + b"yes<script>never closed", "yes"),
        (b"<div>" * 300 + b"yes<!-- never closed", "yes"),
        (b"<div>" * 300 + b"yes<a never closed", "yes"),
        (b"<div>" * 300 + b"yes&#" + b"9" * 5000 + b"; and &#99999999999;no", "yes and no"),
    ],
    ids=["marks", "script", "comment", "tag", "reference"],
)
def test_the_plain_stripper_reads_html_that_is_too_deep(html: bytes, text: str) -> None:
    assert reading(with_body("text/html", html)).text == text


def _nested(count: int) -> bytes:
    return b"".join(b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (i, i) for i in range(count))


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (FROM + b"Content-Type: text/plain" + b";" * 32_000 + b"\r\n\r\nx", "Content field"),
        (FROM + b"X: " + b"a" * 300_000 + b"\r\n\r\nx", "header has"),
        (FROM + b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\n\r\nx\r\n" * 100_000, "parts"),
        (FROM + _nested(990), "nested"),
        (FROM + b"Content-Type: message/rfc822\r\n\r\n" * 990, "messages inside"),
        (FROM + b"Content-Type: message/partial\r\n\r\n" * 2_000, "cannot be read"),
    ],
    ids=["semicolons", "header", "parts", "nestings", "messages", "recursion"],
)
def test_a_structure_beyond_the_bounds_is_unreadable_and_says_why(raw: bytes, reason: str) -> None:
    found = mime.read(raw)

    assert isinstance(found, Unreadable)
    assert reason in found.reason


@given(st.binary(max_size=2000))
def test_any_bytes_have_an_answer(raw: bytes) -> None:
    assert isinstance(mime.read(raw), Reading | Unreadable)


HEADERS = st.sampled_from(
    [b"From: ", b"Subject: ", b"Content-Type: ", b"Content-Transfer-Encoding: ", b"References: ", b"\r\n", b"\r\n\r\n",
     b"multipart/mixed; boundary=b", b"--b\r\n", b"text/html", b"base64", b"=?utf-8?Q?=41?=", b"charset=", b"\0",
     b"\xe9", b"message/rfc822", b"multipart/alternative", b"; name*", b'"', b"(", b"<a@b>",
     b"begin 644 x\r\n", b"x-uuencode"]
)  # fmt: skip


@given(st.lists(HEADERS | st.binary(max_size=8), max_size=40).map(b"".join))
def test_any_arrangement_of_mail_like_bytes_has_a_clean_answer(raw: bytes) -> None:
    found = mime.read(raw, ("x",))

    if isinstance(found, Reading):
        lines = (found.subject, found.author or "", found.author_name, found.message_id, found.date, *found.references)
        texts = (found.text, found.cut, found.answer, found.answer_cut)
        assert all(c >= " " and c != "\x7f" for line in lines for c in line)
        assert all(c >= " " or c == "\n" for text in texts for c in text)
        assert not any("\ud800" <= c <= "\udfff" for part in (*lines, *texts) for c in part)


FIELDS = """Subject: =?utf-8?Q?RO_1042_=E2=80=93_caf=C3=A9?=
From: "Doe, Jo" <Jo@Jobs.example>
To: 2025550143@sms.example.com, other@example.com
Reply-To: <desk@jobs.example>
Date: Mon, 23 Nov 2026 12:00:00 -0500
X-Ready-By: =?utf-8?B?NSBwbQ==?=
X-Ready-By: 6 pm
X-Empty:
Received: x

Your car is ready.
Customer: Jo Doe
 * Vehicle (VIN):  1FT\t7W2
K\u00fchlmittel:ja
DATE: Friday
Customer: somebody else
Time:
https://example.com/pay
12:30 is fine
{long}: no
Total due: {long}
--\x20
Phone: below
"""


def test_a_mail_names_the_fields_of_its_header_and_lines() -> None:
    found = reading(FIELDS.format(long="x" * 600).encode())

    assert found.fields == {
        "subject": "RO 1042 \u2013 caf\u00e9",
        "from": "Jo@jobs.example",
        "from_name": "Doe, Jo",
        "to": "2025550143@sms.example.com",
        "reply_to": "desk@jobs.example",
        "x_ready_by": "5 pm",
        "customer": "Jo Doe",
        "vehicle_vin": "1FT 7W2",
        "kuhlmittel": "ja",
        "date": "Friday",
        "total_due": "x" * 500,
    }


def test_no_more_than_a_hundred_lines_and_extra_headers_are_fields() -> None:
    extra = "".join(f"X-H{n}: v\r\n" for n in range(200)).encode()
    lines = "".join(f"k{n}: v\r\n" for n in range(200)).encode()
    names = reading(FROM + extra + b"\r\n" + lines).fields

    assert (100, 100) == (sum(n.startswith("x_h") for n in names), sum(n.startswith("k") for n in names))


@given(st.binary(max_size=300))
def test_every_field_has_a_legal_name_and_one_line(body: bytes) -> None:
    for name, value in reading(FROM + b"X-" + body.replace(b"\n", b":") + b": x\r\n\r\n" + body).fields.items():
        assert re.fullmatch("[a-z][a-z0-9_]*", name)
        assert value.strip()
        assert value == " ".join(value.split())
        assert len(value) <= 500


@pytest.mark.parametrize(
    ("subject_patterns", "patterns", "expected"),
    [
        ((r"RO (\d+)",), (), {r"RO (\d+)": "7"}),
        ((r"WO (\d+)",), (), {}),
        ((), (r"WO (\d+)",), {r"WO (\d+)": "8"}),
        ((), (r"RO (\d+)",), {r"RO (\d+)": "7"}),
        ((r"WO (\d+)",), (r"WO (\d+)", r"(\d+) pm"), {r"WO (\d+)": "8", r"(\d+) pm": "5"}),
        ((), (r"colou?r( red)?", "(end)"), {}),
    ],
    ids=["in the Subject", "not in the text", "in the text", "the Subject first", "both kinds", "nothing captured"],
)
def test_patterns_capture_what_they_name(
    subject_patterns: tuple[str, ...], patterns: tuple[str, ...], expected: dict[str, str]
) -> None:
    text = "RO 9 and WO 8 at 5 pm, color" + " " * 20_000 + "end"

    assert expected == mime.captures("Your RO 7", text, subject_patterns, patterns)
