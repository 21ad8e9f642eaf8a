"""Mails that were made to hurt and are too large to be kept as files; the small ones are in tests/data/torture."""

from __future__ import annotations

from email.charset import CHARSETS as KNOWN
from pathlib import Path

from grammar import CHARSETS, ENCODINGS

FROM = b"From: shop@jobs.example\r\n"
FILES = sorted((Path(__file__).parents[1] / "data" / "torture").iterdir())
_MIXED = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"


def _nested(count: int, kind: str = "mixed") -> bytes:
    return FROM + b"".join(
        f"Content-Type: multipart/{kind}; boundary=b{n}\r\n\r\n--b{n}\r\n".encode() for n in range(count)
    )


def _field(name: str, value: bytes) -> bytes:
    return FROM + name.encode() + b": " + value + b"\r\n\r\nwords\r\n"


def _plain(about: str, body: bytes, encoding: str = "8bit") -> bytes:
    head = f"Content-Type: text/plain; {about}\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n"
    return FROM + head.encode("utf-8", "surrogatepass") + body


_QUADRATIC = {
    f"32 kB of {piece!r} in {name}": _field(name, piece * (32_768 // len(piece)))
    for name in ("Content-Type", "Content-Disposition", "To", "From", "Subject", "References", "DKIM-Signature", "Date")
    for piece in (b";", b"(", b'"', b"a=", b"<", b"=?a?q?", b"\\", b"\r\n ", b"a@b,", b"name*1=")
}
_ENDLESS = {
    "parts without end": FROM + _MIXED + b"--b\r\n\r\nx\r\n" * 100_000,
    "parts that never begin": FROM + _MIXED + b"--bb\r\n" * 100_000,
    "one part that never ends": FROM + _MIXED + b"--b\r\n\r\n" + b"words\r\n" * 100_000,
    "boundaries within a line": FROM + _MIXED + b"--b" * 200_000,
    "100,000 lines of a part's header": FROM
    + _MIXED
    + b"--b\r\n"
    + b"X-Part: 1\r\n" * 100_000
    + b"\r\nwords\r\n--b--\r\n",
    "100,000 lines of a header": FROM + b"X-Line: 1\r\n" * 100_000 + b"\r\nwords\r\n",
    "100,000 folded lines": FROM + b"Subject: a\r\n" + b" b\r\n" * 100_000 + b"\r\nwords\r\n",
    "3,000 signatures": FROM + b"DKIM-Signature: v=1; a=rsa-sha256; d=jobs.example; s=s; h=from\r\n" * 3_000 + b"\r\nx",
    "5,000 recipients of a report": FROM + b"Content-Type: multipart/report; boundary=b\r\n\r\n--b\r\n"
    b"Content-Type: message/delivery-status\r\n\r\n"
    + b"Action: failed\r\nStatus: 5.1.1\r\n\r\n" * 5_000
    + b"--b--\r\n",
    "990 nestings": _nested(990),
    "49 nestings": _nested(49) + b"\r\nwords\r\n",
    "49 alternatives": _nested(49, "alternative") + b"\r\nwords\r\n",
    "990 messages in messages": FROM + b"Content-Type: message/rfc822\r\n\r\n" * 990,
    "990 messages of parts": FROM + (b"Content-Type: message/rfc822\r\n\r\n" + _MIXED + b"--b\r\n") * 990,
    "990 nested lists of HTML": FROM + b"Content-Type: text/html\r\n\r\n" + b"<ul><li>" * 990 + b"words",
    "a report in one line": FROM + b"Subject: failure notice\r\n\r\n" + b"," * 2_000_000,
    "a line of 9 MB": FROM + b"\r\n" + b"a" * 9_000_000,
}
_CODED = {
    f"{name} that is broken": _plain("charset=utf-8", body * 20_000, name)
    for name, body in (
        ("base64", b"QUJD===="),
        ("base64", b"\xff\r\n"),
        ("quoted-printable", b"=\r\n=0=ZZ"),
        ("x-uuencode", b"begin 666 a\r\n\xff\xff\r\n"),
        ("uuencode", b"M\r\n"),
    )
}
_LABELLED = {
    f"charset {label!r} in {encoding or 'no coding'}": _plain(
        f'charset="{label}"', b"h\xe9llo +AGE- =\x80 xn--\xff", encoding
    )
    for label in sorted({*CHARSETS, *KNOWN})
    for encoding in ("8bit", "base64")
} | {f"coding {encoding!r}": _plain("charset=utf-8", b"begin 6\r\nh=c3=\xff", encoding) for encoding in ENCODINGS}

GENERATED = _QUADRATIC | _ENDLESS | _CODED
# Small, and so many that one child reads them all.
LABELLED = _LABELLED
