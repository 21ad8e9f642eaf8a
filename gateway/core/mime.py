"""Mail bytes -> the words a person wrote, and what the header says about who, what and how.

Pure and in proportion to its input, save what hides in the renderer of HTML and the library for quotes; those are held
by the limits of the reader's child process.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import mktime_tz, parsedate_tz

from gateway.core import cut, header, parts, plain
from gateway.core.model import Reading, Unreadable

_DATE_CHARS = 100
_BULK = frozenset(("bulk", "list", "junk", "auto_reply"))
_ANSWERING = ("x-autoreply", "x-autorespond", "x-autoresponder", "x-auto-reply")  # from before RFC 3834
_LOOP = "x-gateway-loop"

_FIELDS = 100  # of a template, from the header and from the text each
_FIELD_CHARS = 500
_LINE_CHARS = 2_000  # of a line or value that are looked at
_LINE = re.compile(r"[\s*•-]{0,20}([^\W\d_][^:\n]{0,39}):(?!//)(.*)")  # "Ready by: 5 pm", and no web address
_NOT_NAME = re.compile(r"[^a-z0-9]+")
SUBJECT_CHARS = 1_000  # that patterns are held against
TEXT_CHARS = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Patterns:
    """The admin's expressions.  One may take exponential time on a mail made for it: see `patience`."""

    job: str = ""  # captures the job in the Subject
    in_subject: tuple[str, ...] = ()  # those that name a job, held against the Subject
    anywhere: tuple[str, ...] = ()  # those of templates, held against the Subject and then the text


NO_PATTERNS = Patterns()


def read(raw: bytes, cut_after: tuple[str, ...] = (), patterns: Patterns = NO_PATTERNS) -> Reading | Unreadable:
    """What a mail says; Unreadable when its structure is beyond the bounds.  An empty text is a text.

    `text` is for job mail (the "-- " block and all from a line with one of `cut_after` on removed), `answer` for mails
    to r- addresses (history and signature removed).  `bulk`: List-Id, or Precedence bulk, list, junk or auto_reply;
    X-Auto-Response-Suppress is no sign of it, people's mails bear it too.  Answering machines that say so in the old
    way (X-Autoreply, Precedence: auto_reply) count as auto-replied.  `job` and `captured`: what the patterns find.

    `fields` is what a template's {field} can name: subject, from, from_name, to, date, reply_to, each X- field as
    x_..., and each line `Key: value` of `text`, which wins over a header of its name: a "Date:" there is the visit's.
    Names are lower case, everything but letters and digits an underscore: "Ready-By" is ready_by.  The first of several
    counts.  Values are one line of at most 500 characters, never empty.
    """
    message = parts.parse(raw)
    if isinstance(message, Unreadable):
        return message
    body = parts.body(message)
    fields, kind = parts.fields(message), message.get_content_type()
    return reading(fields, kind, body, cut.job(body.text, cut_after), cut.answer(body.text), patterns)


def reading(
    fields: parts.Fields,
    kind: str,
    body: parts.Body,
    job: cut.Cut,
    answer: cut.Cut,
    patterns: Patterns,
) -> Reading:
    """What `read` says of a mail of this content type, whose text has been parted for job mail and as an answer."""
    values = {name: found[0] for name, found in fields.items()}
    author, author_name = header.mailbox(values.get("from", ""))
    reply_to = header.mailbox(values.get("reply-to", ""))[0]
    subject, date = header.words(values.get("subject", "")), plain.one_line(values.get("date", "")[:_LINE_CHARS])
    precedence = header.token(values.get("precedence", ""))
    named = {
        "subject": subject,
        "from": author or "",
        "from_name": author_name,
        "to": header.mailbox(values.get("to", ""))[0] or "",
        "date": date,
        "reply_to": reply_to or "",
    }
    return Reading(
        subject=subject,
        author=author,
        author_name=author_name,
        reply_to=reply_to,
        message_id=header.message_id(values.get("message-id", "")),
        in_reply_to=header.message_id(values.get("in-reply-to", "")),
        references=header.message_ids(values.get("references", "")),
        date=date[:_DATE_CHARS],
        auto_submitted=header.token(values.get("auto-submitted", "")) or _old_sign(fields, precedence),
        bulk="list-id" in fields or precedence in _BULK,
        report=kind in ("multipart/report", "message/delivery-status"),
        hops=len(fields.get("received", ())),
        ours=_LOOP in fields,
        text=job.kept,
        cut=job.gone,
        answer=answer.kept,
        answer_cut=answer.gone,
        attachments=body.attachments,
        job=captured(patterns.job, subject),
        captured=captures(subject, job.kept, patterns.in_subject, patterns.anywhere),
        fields={name: words[:_FIELD_CHARS].rstrip() for name, words in named.items() if words}
        | _extra(fields)
        | _lines(job.kept),
    )


def written_at(reading: Reading) -> datetime | None:
    """When the mail says that it was written; None where its Date says nothing."""
    try:
        found = parsedate_tz(reading.date)
        return datetime.fromtimestamp(mktime_tz(found), UTC) if found else None
    except (ValueError, OverflowError, TypeError, OSError, IndexError):
        return None


def _old_sign(fields: parts.Fields, precedence: str) -> str:
    """ "auto-replied" where a header from before RFC 3834 says the same, else ""."""
    answering = any(header.token(value) not in ("", "no") for name in _ANSWERING for value in fields.get(name, ()))
    return "auto-replied" if answering or precedence == "auto_reply" else ""


def _extra(fields: parts.Fields) -> dict[str, str]:
    found: dict[str, str] = {}
    for name in [name for name in fields if name.startswith("x-")][:_FIELDS]:
        _add(found, name, header.words(parts.first(fields, name)))
    return found


def _lines(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for line in text.split("\n"):
        match = _LINE.match(line[:_LINE_CHARS]) if ":" in line else None
        if match is not None:
            _add(found, match[1], match[2])
            if len(found) == _FIELDS:
                break
    return found


def _add(found: dict[str, str], name: str, value: str) -> None:
    low = name.lower()
    letters = low if low.isascii() else unicodedata.normalize("NFKD", low).encode("ascii", "ignore").decode()
    key, words = _NOT_NAME.sub("_", letters).strip("_"), plain.one_line(value[:_LINE_CHARS])[:_FIELD_CHARS].rstrip()
    if key[:1].isalpha() and words:
        found.setdefault(key, words)


def captures(subject: str, text: str, subject_patterns: tuple[str, ...], patterns: tuple[str, ...]) -> dict[str, str]:
    """What the admin's patterns find, by pattern; one that finds nothing is left out.

    `subject_patterns` (those that name a job) are held against the Subject, `patterns` (those of templates) against the
    Subject and then the text.  To be run where time is limited, as `captured`.
    """
    found = {p: captured(p, subject) for p in subject_patterns}
    found |= {p: captured(p, subject) or captured(p, text, TEXT_CHARS) for p in patterns}
    return {pattern: value for pattern, value in found.items() if value}


def captured(pattern: str, subject: str, most: int = SUBJECT_CHARS) -> str:
    """The first capture of the admin's `pattern` in a Subject that is not empty, "" = none.

    `most` characters are looked at.  A pattern may take exponential time on a Subject made for it, so this runs where
    time is limited: in the reader.
    """
    found = re.search(pattern, subject[:most]) if pattern else None
    return next((c.strip() for c in found.groups() if c and c.strip()), "") if found else ""
