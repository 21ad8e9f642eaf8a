"""What Hypothesis makes: sessions, mails, forms and TOML that look like what they are not, and how many of each.

GATEWAY_FUZZ=50 in the environment makes fifty times as many.
"""

from __future__ import annotations

import base64
import os
import random
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

T = TypeVar("T")
MAILS = sorted((Path(__file__).parents[1] / "data" / "mails").rglob("*.eml"))

# Each of these broke some mail program.
CHARSETS = (
    "us-ascii", "utf-8", "UTF8", "iso-8859-1", "windows-1252", "utf-16", "utf-16le", "utf-32", "koi8-r", "gb18030",
    "iso-2022-jp", "shift_jis", "big5-hkscs", "hz-gb-2312", "cp65001", "iso-8859-16", "utf-8-sig", "mac-roman",
    "no-such", "utf-7", "idna", "punycode", "rot13", "zlib", "bz2", "hex", "base64", "uu", "undefined", "mbcs", "é",
    "unicode_escape", "raw_unicode_escape", "charmap", "a\0b", "\x01", "x" * 500, "''", "utf-8''", "*", "..", "",
)  # fmt: skip
ENCODINGS = (
    "7bit", "8bit", "base64", "quoted-printable", "x-uuencode", "uuencode", "uue", "binary", "no-such", "", ";",
)  # fmt: skip
TYPES = (
    "text/plain", "text/html", "TEXT/PLAIN", "text", "text/", "/", "", "image/jpeg", "application/pdf", "text/calendar",
    "application/octet-stream", "message/rfc822", "message/delivery-status", "message/partial", "text/rfc822-headers",
    "message/external-body", "message/disposition-notification", "application/smil", "multipart/mixed",
)  # fmt: skip
MULTIPARTS = ("mixed", "alternative", "related", "report", "digest", "signed", "parallel", "form-data", "no-such", "")
PARAMETERS = (
    "name=a.txt", 'name="a.jpg"', "name*=utf-8''%e2%82%ac.pdf", "name*0*=utf-8''a; name*1=b", "name*", "name*=", "=x",
    "name*0*=a; name*999999999999=b", "filename*=no-such'x'%ff%fe", 'filename="a\\', "boundary", "boundary=", ";;;",
    "format=flowed; delsp=yes", "report-type=delivery-status", "charset*=utf-8''utf-8", "charset*0=utf; charset*1=-8",
)  # fmt: skip
VALUES = (
    "=?utf-8?q?=0d=0aBcc:_x?=", "=?utf-8?b?4oKs?= =?utf-8?b?4o?= =?utf-8?b?Ks?=", "=?no-such?q?=ff?=", "=?a?b?!!!?=",
    "=?utf-8*en?q?x?=", "=?utf-7?q?+AGE-?=", "=?idna?q?xn--a?=", "=?utf-8?q?a\0b?=", "=?=?=?=", "=?utf-8?x?a?=", "?=",
    '"a\\"b" <2025550143@vtext.com>', "2025550143@tmomail.net", "(((", "a:;", "<<>>", "a@[127.0.0.1]", "@", '"', "\\",
    "<1@x> <2@x>", "<[x@y]>", "<" * 50, "post_master@vtext.com", "MAILER-DAEMON@x.example", "failure notice", "é",
    "auto-replied (vacation)", "bulk", "no", "Thu, 99 Foo 99999 99:99:99 +9999999999", "\ud83d\ude00", "\u2028",
)  # fmt: skip
FIELDS = (
    "From", "To", "Cc", "Subject", "Reply-To", "Message-ID", "In-Reply-To", "References", "Date", "Auto-Submitted",
    "Precedence", "List-Id", "Received", "X-Gateway-Loop", "Content-Disposition", "Content-ID", "DKIM-Signature",
    "Authentication-Results", "X-Autoreply", "Content-Location", "Action", "Status", "Diagnostic-Code", "", "A B",
)  # fmt: skip
BODIES = (
    b"Your car is ready.\r\n-- \r\nShop\r\n", b"On Mon, Jo <jo@x.example> wrote:\r\n> hi\r\n", b"&#1;&#xd800;&nbsp;",
    b"begin 666 a\r\n#0V%T\r\n`\r\nend\r\n", b"<html><p>Hi</p><style>x", b"<!doctype html><table><tr><td>a<td>b",
    b"<?xml x?><a b=", b"\xff\xfe\x00a", b"\x1b$B\x1b(B", b"+AGE-", b"=e2=82=", b"=\r\n=0", b"QUJD====", b"\r\n.\r\n",
    b"Action: failed\r\nStatus: 5.1.1\r\nDiagnostic-Code: smtp; 550 no\r\n", b"Error: 550 5.1.1 no such user\r\n",
    b"You have new Picture Mail!\r\nhttp://pictures.example/x\r\n", b"\xe2\x80\xa8\xc2\x85\x0b\x0c\r", b"\0\0",
    b"-----\r\n--\r\n- -\r\n", b"From: x\r\nTo: y\r\n",
)  # fmt: skip


def times(examples: int) -> Callable[[T], T]:
    """How many examples a test has; GATEWAY_FUZZ multiplies them."""
    factor = float(os.environ.get("GATEWAY_FUZZ", "1"))
    slow = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture]
    return settings(max_examples=max(1, int(examples * factor)), suppress_health_check=slow)


def fields() -> st.SearchStrategy[bytes]:
    """Some lines of a header, in any order, some of them folded or without a colon."""
    value = st.lists(st.one_of(st.sampled_from(VALUES), st.text(max_size=20)), max_size=4).map(" ".join)
    joint = st.sampled_from([": ", ":", " : ", ":\r\n ", "", ":\r\n\t"])
    line = st.builds("{}{}{}\r\n".format, st.sampled_from(FIELDS), joint, value)
    return st.lists(line, max_size=8).map(lambda lines: _encoded("".join(lines)))


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


@st.composite
def leaf(draw: st.DrawFn) -> bytes:
    """A part without parts; what it says of itself need not be so."""
    kind = draw(st.sampled_from(TYPES))
    about = [f"charset={draw(st.sampled_from(('', chr(34))))}{draw(st.sampled_from(CHARSETS))}"]
    about += draw(st.lists(st.sampled_from(PARAMETERS), max_size=3))
    encoding = draw(st.sampled_from(ENCODINGS))
    body = b"".join(draw(st.lists(st.one_of(st.sampled_from(BODIES), st.binary(max_size=40)), max_size=4)))
    if encoding == "base64" and draw(st.booleans()):
        body = base64.encodebytes(body)
    shown = draw(st.sampled_from(["", "Content-Disposition: attachment; filename=a.pdf\r\n", "Content-ID: <a@b>\r\n"]))
    head = f"Content-Type: {kind}; {'; '.join(about)}\r\nContent-Transfer-Encoding: {encoding}\r\n{shown}"
    return draw(fields()) + _encoded(head) + draw(st.sampled_from([b"\r\n", b"\r\n", b"\n", b""])) + body


def _multipart(inside: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    def made(kind: str, boundary: str, head: bytes, parts: list[bytes], end: bytes) -> bytes:
        mark = b"\r\n--" + boundary.encode()
        about = f'Content-Type: multipart/{kind}; boundary="{boundary}"\r\n\r\n'.encode()
        return head + about + b"".join(mark + b"\r\n" + part for part in parts) + mark + end

    boundaries = st.sampled_from(["b", "bb", "--", "a b", "x" * 70, "", "b'?"])
    ends = st.sampled_from([b"--\r\n", b"", b"\r\n", b"-- after"])
    return st.builds(made, st.sampled_from(MULTIPARTS), boundaries, fields(), st.lists(inside, max_size=4), ends)


def mails() -> st.SearchStrategy[bytes]:
    """MIME by its grammar, where each word is one that hurts."""
    return st.recursive(leaf(), _multipart, max_leaves=6)


def mutated(raw: bytes, dice: random.Random, count: int) -> bytes:
    """`raw` with `count` of its pieces changed, doubled, moved or lost."""
    data = bytearray(raw)
    words = [
        *map(_encoded, VALUES),
        *map(_encoded, CHARSETS),
        *BODIES,
        b"\r\n\r\n",
        b"\r\n ",
        b";",
        b"--",
        b'"',
        b"=?",
        b"\0",
    ]
    for _ in range(count):
        at = dice.randrange(len(data) + 1)
        end = min(len(data), at + dice.choice((1, 2, 10, 60, 400)))
        match dice.randrange(5):
            case 0:
                data[at:end] = dice.randbytes(end - at)
            case 1:
                del data[at:end]
            case 2:
                data[at:at] = data[at:end] * dice.choice((1, 2, 20))
            case 3:
                other = dice.randrange(len(data) + 1)
                data[other:other] = data[at:end]
            case _:
                data[at:at] = dice.choice(words)
    return bytes(data)


def mutations(corpus: list[bytes], most: int = 20) -> st.SearchStrategy[bytes]:
    """Inputs that are nearly one of `corpus`."""

    def made(raw: bytes, seed: int, count: int) -> bytes:
        return mutated(raw, random.Random(seed), count)

    return st.builds(made, st.sampled_from(corpus), st.integers(0, 2**32), st.integers(0, most))


def cut_up(sent: bytes) -> st.SearchStrategy[list[bytes]]:
    """`sent` in packets of any length."""

    def made(marks: list[int]) -> list[bytes]:
        bounds = [0, *sorted(marks), len(sent)]
        pieces = [sent[a:b] for a, b in pairwise(bounds)]
        return [piece for piece in pieces if piece]

    return st.lists(st.integers(0, len(sent)), max_size=12).map(made)


def toml_value() -> st.SearchStrategy[Any]:
    """Any value that TOML has."""
    plain: st.SearchStrategy[Any] = st.one_of(
        st.sampled_from(["", "true", "10 s", "1 MB", "0:0:0", "*", "US", "{ env = 'X' }", "$1", "a@b", "2025550143"]),
        st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=8),
        st.integers(-(2**63), 2**63 - 1), st.floats(), st.booleans(), st.dates(), st.datetimes(), st.times(),
    )  # fmt: skip
    keys = st.sampled_from(["file", "env", "name", "host", "x"])
    return st.recursive(
        plain, lambda v: st.one_of(st.lists(v, max_size=3), st.dictionaries(keys, v, max_size=3)), max_leaves=4
    )
