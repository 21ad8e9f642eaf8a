"""What nearly all job software sends: a small mail of plain text, read at once and without the library for mail.

`read` takes time in proportion to its input on every input, so it needs no limited child: it makes a bounded number of
passes over the bytes, each by an operation of the language that is linear or by an expression in which no repeat can
take what its neighbour may.  Whatever is not written in the most usual way is None, and read by mime.read; what is
taken says there exactly the same.
"""

from __future__ import annotations

import binascii
import re
from dataclasses import dataclass

from gateway.core import cut, html, mime, parts, patience, plain
from gateway.core.mime import NO_PATTERNS, Patterns
from gateway.core.model import Reading

LONGEST = 8_192  # bytes; no header or Content field of such a mail is beyond the bounds of `parts`
_FIELDS = 60
_VALUE_CHARS = 998  # RFC 5322 2.1.1 has it for a line; a value that was folded to more is rare

_CONTENT = frozenset(("content-type", "content-transfer-encoding"))
_TYPE = re.compile(
    r"text/plain(?:;[ \t]?charset=\"?(us-ascii|utf-8|iso-8859-1|windows-1252)\"?)?(?:;[ \t]?format=flowed)?",
    re.IGNORECASE,
)
_CODINGS = frozenset(("", "7bit", "8bit", "quoted-printable"))
_ENCODED = re.compile(r"=\?(?:utf-8|us-ascii|iso-8859-1|windows-1252)\?[bq]\?", re.IGNORECASE)
_FOLDED_AT_ONCE = re.compile(r":[ \t]*\r\n[ \t]")  # libraries differ in what such a value begins with
_STRUCTURE = (b"boundary", b"message/rfc822")  # what `parts` counts even in plain text


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """How mail is read, and up to which lengths the patterns may be searched for here."""

    cut_after: tuple[str, ...] = ()
    patterns: Patterns = NO_PATTERNS
    subject_chars: int = mime.SUBJECT_CHARS
    text_chars: int = LONGEST


def wanted(cut_after: tuple[str, ...], patterns: Patterns) -> Wanted:
    """The same for these patterns."""
    every = list(filter(None, (patterns.job, *patterns.in_subject, *patterns.anywhere)))
    return Wanted(
        cut_after=cut_after,
        patterns=patterns,
        subject_chars=patience.longest(every, mime.SUBJECT_CHARS),
        text_chars=patience.longest(patterns.anywhere, LONGEST),
    )


def read(raw: bytes, how: Wanted) -> Reading | None:
    """What mime.read says of this mail, None where only that can tell."""
    end = raw.find(b"\r\n\r\n")
    if end < 0 or len(raw) > LONGEST or b"\0" in raw or not raw[:end].isascii():
        return None
    low = raw.lower()
    fields = _fields(raw[:end].decode("ascii"))
    if fields is None or any(word in low for word in _STRUCTURE):
        return None
    text = _text(fields, raw[end + 4 :])
    answer = None if text is None else cut.answer_at_once(text)
    if text is None or answer is None:
        return None
    if len(parts.first(fields, "subject")) > how.subject_chars or len(text) > how.text_chars:
        return None
    body = parts.Body(text=text, attachments=0)
    return mime.reading(fields, "text/plain", body, cut.job(text, how.cut_after), answer, how.patterns)


def _fields(head: str) -> parts.Fields | None:
    """The same as parts.fields, None where a line has another form than `Name: value`, CRLF and perhaps a fold."""
    if not head.count("\r\n") == head.count("\r") == head.count("\n"):
        return None
    if "\r\n " in head or "\r\n\t" in head:
        if _FOLDED_AT_ONCE.search(head):
            return None
        head = head.replace("\r\n ", " ").replace("\r\n\t", "\t")
    lines = head.split("\r\n")
    if len(lines) > _FIELDS or ("=?" in head and head.count("=?") > len(_ENCODED.findall(head))):
        return None
    found: parts.Fields = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not (name and colon and name.isprintable()) or " " in name or len(value) > _VALUE_CHARS:
            return None
        found.setdefault(name.lower(), []).append(value.lstrip(" \t"))
    return found


def _text(fields: parts.Fields, raw: bytes) -> str | None:
    """The same as the text of parts.body, None where it says that it is no plain text, or looks so."""
    if any(name.startswith("content-") and (name not in _CONTENT or len(fields[name]) > 1) for name in fields):
        return None
    about, coding = parts.first(fields, "content-type"), parts.first(fields, "content-transfer-encoding").lower()
    kind = _TYPE.fullmatch(about or "text/plain")
    if kind is None or coding not in _CODINGS:
        return None
    content = binascii.a2b_qp(raw) if coding == "quoted-printable" else raw
    words = plain.clean(plain.decode(content, kind[1] or "")).lstrip("\ufeff")
    if html.looks_like(words):
        return None
    text = parts.unflow(words, about.lower())
    return text if text.strip() else ""
