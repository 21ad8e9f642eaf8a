"""Mail bytes -> the words a person wrote, and what the header says about who, what and how.

Pure and in proportion to its input, save what hides in the renderer of HTML and the library for quotes; those are held
by the limits of the reader's child process.
"""

from __future__ import annotations

import re

from gateway.core import cut, header, parts, plain
from gateway.core.model import Reading, Unreadable

_DATE_CHARS = 100
_BULK = frozenset(("bulk", "list", "junk", "auto_reply"))
_ANSWERING = ("x-autoreply", "x-autorespond", "x-autoresponder", "x-auto-reply")  # from before RFC 3834
_LOOP = "x-gateway-loop"


def read(raw: bytes, cut_after: tuple[str, ...] = ()) -> Reading | Unreadable:
    """What a mail says; Unreadable when its structure is beyond the bounds.  An empty text is a text.

    `text` is for job mail (the "-- " block and all from a line with one of `cut_after` on removed), `answer` for mails
    to r- addresses (history and signature removed).  `bulk`: List-Id, or Precedence bulk, list, junk or auto_reply;
    X-Auto-Response-Suppress is no sign of it, people's mails bear it too.  Answering machines that say so in the old
    way (X-Autoreply, Precedence: auto_reply) count as auto-replied.
    """
    message = parts.parse(raw)
    if isinstance(message, Unreadable):
        return message
    return _reading(parts.fields(message), message.get_content_type(), parts.body(message), cut_after)


def _reading(fields: parts.Fields, kind: str, body: parts.Body, cut_after: tuple[str, ...]) -> Reading:
    def value(name: str) -> str:
        return parts.first(fields, name)

    author, author_name = header.mailbox(value("from"))
    job = cut.job(body.text, cut_after)
    answer = cut.answer(body.text)
    precedence = header.token(value("precedence"))
    return Reading(
        subject=header.words(value("subject")),
        author=author,
        author_name=author_name,
        reply_to=header.mailbox(value("reply-to"))[0],
        message_id=header.message_id(value("message-id")),
        in_reply_to=header.message_id(value("in-reply-to")),
        references=header.message_ids(value("references")),
        date=plain.one_line(value("date"))[:_DATE_CHARS],
        auto_submitted=header.token(value("auto-submitted")) or _old_sign(fields, precedence),
        bulk="list-id" in fields or precedence in _BULK,
        report=kind in ("multipart/report", "message/delivery-status"),
        hops=len(fields.get("received", ())),
        ours=_LOOP in fields,
        text=job.kept,
        cut=job.gone,
        answer=answer.kept,
        answer_cut=answer.gone,
        attachments=body.attachments,
    )


def _old_sign(fields: parts.Fields, precedence: str) -> str:
    """ "auto-replied" where a header from before RFC 3834 says the same, else ""."""
    answering = any(header.token(value) not in ("", "no") for name in _ANSWERING for value in fields.get(name, ()))
    return "auto-replied" if answering or precedence == "auto_reply" else ""


def captured(pattern: str, subject: str) -> str:
    """The first capture of the admin's `pattern` in a Subject that is not empty, "" = none.

    A pattern may take exponential time on a Subject made for it, so this runs where time is limited: in the reader.
    """
    found = re.search(pattern, subject[:1000]) if pattern else None
    return next((c.strip() for c in found.groups() if c and c.strip()), "") if found else ""
