"""A small plain mail is read at once, and says what it says to the general way; of any other nothing is said."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.core import mime, simple
from gateway.core.mime import Patterns
from gateway.core.model import Reading

JOB = b"""Received: from pc7 by sms.example.com\r
\twith ESMTP; Mon, 23 Nov 2026 12:00:00 -0500\r
From: "Example Auto" <Jobs@Shop.example>\r
To: 2025550143@sms.example.com\r
Reply-To: Service Desk <desk@shop.example>\r
Date: Mon, 23 Nov 2026 12:00:00 -0500\r
Message-ID: <job-1042@shop.example>\r
Subject: RO 1042: =?utf-8?Q?caf=C3=A9?= is ready\r
MIME-Version: 1.0\r
Content-Type: text/plain; charset="utf-8"\r
Content-Transfer-Encoding: 8bit\r
X-Job: 1042\r
\r
Your car is ready, se\xc3\xb1or.\r
Ready by: 5 pm\r
------------\r
\r
Thank you,\r
Example Auto\r
-- \r
Do not answer.\r
"""
HOW = simple.wanted(("do not answer",), Patterns(job=r"RO (\d+)", in_subject=("(ready)",), anywhere=(r"(\d+)",)))
PLAIN = simple.wanted((), Patterns())


def general(raw: bytes, how: simple.Wanted = PLAIN) -> Reading:
    found = mime.read(raw, how.cut_after, how.patterns)
    assert isinstance(found, Reading), found
    return found


def test_a_job_mail_is_read_at_once() -> None:
    found = simple.read(JOB, HOW)

    assert found is not None
    assert found == general(JOB, HOW)
    assert (found.author, found.subject, found.job, found.hops) == (
        "Jobs@shop.example",
        "RO 1042: café is ready",
        "1042",
        1,
    )
    assert found.text == "Your car is ready, señor.\nReady by: 5 pm\n------------\n\nThank you,\nExample Auto"
    assert found.answer == "Your car is ready, señor.\nReady by: 5 pm\n------------"
    assert found.captured == {"(ready)": "ready", r"(\d+)": "1042"}
    assert found.fields["ready_by"] == "5 pm"


TAKEN = {
    "no MIME": b"Subject: x\r\n\r\nwords\r\n",
    "an empty text": b"Subject: x\r\n\r\n",
    "a blank text": b"Subject: x\r\n\r\n \r\n\r\n",
    "no Subject": b"From: jo@shop.example\r\n\r\nwords",
    "Windows-1252 without a charset": b"Subject: x\r\n\r\nIt\x92s ready",
    "Windows-1252": b"Content-Type: text/plain; charset=windows-1252\r\n\r\nIt\x92s ready",
    "a western label on UTF-8": b"Content-Type: text/plain;charset=ISO-8859-1\r\n\r\ncaf\xc3\xa9",
    "quoted-printable": b"Content-Transfer-Encoding: Quoted-Printable\r\n\r\ncaf=C3=A9=20=\r\n open=0D\r\n=ZZ=",
    "format=flowed": b"Content-Type: text/plain; charset=utf-8; format=flowed\r\n\r\none \r\ntwo\r\n",
    "a folded Content-Type": b"Content-Type: text/plain;\r\n\tcharset=us-ascii\r\n\r\nwords",
    "lone line ends in the text": b"Subject: x\r\n\r\none\ntwo\rthree\r\n",
    "an auto-reply": b"Auto-Submitted: auto-replied (away)\r\nPrecedence: bulk\r\n\r\naway",
    "two of a field": b"Subject: x\r\nSubject: y\r\n\r\nwords",
    "an odd address": b"From: (c) jo: a@b.example;, x\r\nReply-To: <\r\n\r\nwords",
    "a closing": b"Subject: x\r\n\r\nIt is ready.\r\n\r\nBest regards\r\nJo",
    "a signature": b"Subject: x\r\n\r\nIt is ready.\r\n-- \r\nJo",
}


@pytest.mark.parametrize("raw", TAKEN.values(), ids=TAKEN)
def test_what_is_taken_reads_as_in_the_general_way(raw: bytes) -> None:
    assert simple.read(raw, PLAIN) == general(raw)


LEFT = {
    "a large one": b"Subject: x\r\n\r\n" + b"words\r\n" * 2_000,
    "no end of the header": b"Subject: x\r\n",
    "no header": b"\r\nwords",
    "a line without a name": b"Subject: x\r\nwords\r\n\r\nwords",
    "a name with a space": b"Subject : x\r\n\r\nwords",
    "an envelope line": b"From jo Mon Nov 23\r\nSubject: x\r\n\r\nwords",
    "a fold at the beginning": b" Subject: x\r\n\r\nwords",
    "a value that begins on the next line": b"Subject:\r\n x\r\n\r\nwords",
    "lone line ends in the header": b"Subject: x\nTo: y\r\n\r\nwords",
    "NUL": b"Subject: x\r\n\r\nwo\0rds",
    "eight bits in the header": b"Subject: caf\xe9\r\n\r\nwords",
    "a rare charset in the header": b"Subject: =?koi8-r?Q?=C1?=\r\n\r\nwords",
    "half an encoded word": b"Subject: =?utf-8\r\n\r\nwords",
    "a long value": b"To: " + b"a@b.example, " * 100 + b"\r\n\r\nwords",
    "many fields": b"X-A: b\r\n" * 61 + b"\r\nwords",
    "HTML": b"Content-Type: text/html\r\n\r\nwords",
    "HTML that says it is plain": b"Subject: x\r\n\r\n<html><body>words",
    "parts": b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nwords",
    "a word that opens parts": b"Subject: x\r\n\r\nBoundary=x\r\n",
    "a message inside": b"Subject: x\r\n\r\nContent-Type: message/rfc822\r\n",
    "another charset": b"Content-Type: text/plain; charset=utf-16\r\n\r\nwords",
    "other parameters": b'Content-Type: text/plain; charset=utf-8; name="a.txt"\r\n\r\nwords',
    "two types": b"Content-Type: text/plain\r\nContent-Type: text/html\r\n\r\nwords",
    "an attachment": b"Content-Disposition: attachment\r\n\r\nwords",
    "base64": b"Content-Transfer-Encoding: base64\r\n\r\nd29yZHM=",
    "a quote": b"Subject: x\r\n\r\nyes\r\n> when?\r\n",
    "an attribution": b"Subject: x\r\n\r\nyes\r\n\r\nOn Monday Jo wrote:\r\nwhen?\r\n",
    "the words of a phone": b"Subject: x\r\n\r\nyes\r\n\r\nSent from my phone\r\n",
    "a header inside": b"Subject: x\r\n\r\nyes\r\n\r\nTo: us\r\nDate: Monday\r\n",
}


@pytest.mark.parametrize("raw", LEFT.values(), ids=LEFT)
def test_what_is_not_written_in_the_usual_way_is_left_to_the_general_one(raw: bytes) -> None:
    assert simple.read(raw, PLAIN) is None


@pytest.mark.parametrize(
    ("patterns", "taken"),
    [
        (Patterns(job=r"RO (\d+)"), True),
        (Patterns(in_subject=(r"RO[ #]*(\d+)",)), True),
        (Patterns(anywhere=("(ready)",)), True),
        (Patterns(job="(R+)+$"), False),
        (Patterns(in_subject=(r"(\w+)+x",)), False),
        (Patterns(anywhere=(r"\d+:(\d+) pm",)), False),
    ],
    ids=["a number", "short enough", "a word", "job", "in the Subject", "a text that is too long"],
)
def test_only_patterns_that_are_quick_on_the_mail_are_searched_for(patterns: Patterns, taken: bool) -> None:
    how = simple.wanted((), patterns)
    raw = JOB.replace(b"\r\nYour", b"\r\n" + b"words " * 100 + b"Your")

    assert taken == (simple.read(raw, how) is not None)
    assert simple.read(raw, how) in (None, general(raw, how))


def test_a_pattern_is_not_held_against_a_long_subject() -> None:
    how = simple.wanted((), Patterns(job=r"RO[ #]*(\d+)"))
    found = {n: simple.read(b"Subject: RO 7 " + b"a" * n + b"\r\n\r\nx", how) for n in (20, 900)}

    assert (found[20] is not None, found[900]) == (True, None)


NAMES = st.sampled_from(
    ["From", "To", "Reply-To", "Subject", "Date", "Message-ID", "In-Reply-To", "References", "X-Job", "x-job",
     "Received", "Auto-Submitted", "Precedence", "List-Id", "X-Autoreply", "X-Gateway-Loop", "MIME-Version",
     "Content-Type", "Content-Transfer-Encoding", "Content-Language", "X-\u00e9", "From "]
)  # fmt: skip
VALUES = st.sampled_from(
    ["jo@shop.example", "Jo Doe <Jo@Shop.example>", '"Doe, Jo" <jo@shop.example>', "<jo@shop.example>", "RO 1042 ready",
     "Re: RO 1042", "<1@x> <2@x>", "=?utf-8?Q?caf=C3?= =?utf-8?Q?=A9?=", "=?us-ascii?B?QUJD?=", "=?utf-8?x?=", "no", "",
     "auto-replied", "bulk", "text/plain", "text/plain; charset=utf-8", 'text/plain;charset="US-ASCII"', "text/html",
     "TEXT/PLAIN; charset=iso-8859-1; format=flowed", "7bit", "8bit", "quoted-printable", "base64", "one\r\n two",
     "\r\n\tthree", "a  b\t", "x" * 999, "\x01", "jo@shop.example,", "a:b;", "Mon, 23 Nov 2026 12:00:00 -0500"]
)  # fmt: skip
FIELDS = st.lists(st.builds("{}: {}".format, NAMES, VALUES | st.text('aé@<>,;:=?() \t"', max_size=9)), max_size=9)
LINES = st.sampled_from(
    ["", " ", "Your car is ready.", "Ready by: 5 pm", " * Total:  $ 4", "-- ", "--", "Thank you,", "Best regards", "Jo",
    "------", "_" * 32, "-" * 40, "Date: Friday", "To: us", "From: jo", "> q", "caf\u00e9", "caf=C3=A9=", "=0D",
    "<html>", "Do not answer", "soft ", "\x0b", "\ufeff", "\u2028", "On Monday Jo wrote:", "# RO 7", "boundary",
    "\u017f"]
)  # fmt: skip
TEXTS = st.lists(LINES | st.text(max_size=12), max_size=9)
ENDS = st.sampled_from(["\r\n", "\r\n", "\r\n", "\n", "\r"])
CODES = st.sampled_from(["utf-8", "utf-8", "cp1252"])


@given(FIELDS, TEXTS, ENDS, CODES)
@example(["Content-Transfer-Encoding: quoted-printable"], ["a=", "=0D"], "\r\n", "utf-8")
def test_a_mail_of_usual_pieces_reads_the_same_or_is_left(
    fields: list[str], text: list[str], end: str, code: str
) -> None:
    head, body = "".join(f"{line}\r\n" for line in fields), end.join(text)
    raw = f"{head}\r\n{body}".encode(code, "replace")

    for how in (PLAIN, HOW, replace(PLAIN, cut_after=("do not", "5"))):
        assert simple.read(raw, how) in (None, general(raw, how))


@given(st.integers(0, len(JOB)), st.integers(0, 30), st.binary(max_size=4))
def test_a_job_mail_with_a_fault_anywhere_reads_the_same_or_is_left(at: int, lost: int, put: bytes) -> None:
    raw = JOB[:at] + put + JOB[at + lost :]

    assert simple.read(raw, HOW) in (None, mime.read(raw, HOW.cut_after, HOW.patterns))
