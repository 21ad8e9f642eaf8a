"""The mails that we write: a carrier text, a person's reply, a report, a notice.

Words of a person (text, reply) and words of a machine (report, notice) differ in their header: ticket systems suspend
mails that say Auto-Submitted, and answering machines must not be answered (RFC 3834).  Whatever the values hold, what
comes out is 7-bit lines with CRLF and no header field but those named here.
"""

from __future__ import annotations

import base64
import binascii
import email
import hashlib
import re
from collections.abc import Sequence
from datetime import datetime
from email.header import Header
from email.utils import format_datetime
from functools import lru_cache

from gateway.core import plain
from gateway.core.model import Picture

Fields = list[tuple[str, str]]

_CRLF = "\r\n"
_REFERENCES_CHARS = 900
_LINE_CHARS = 900  # RFC 5322 2.1.1: at most 998
_VALUE_CHARS = 960  # the same for a field with its name
LOOP_HEADER = "X-Gateway-Loop"
_EXTRA = re.compile(r"X-[A-Za-z0-9-]{1,60}", re.IGNORECASE)
_KIND = re.compile(r"(?!multipart/|message/)[a-z]{1,20}/[a-z0-9.+-]{1,60}")
_date = lru_cache(maxsize=8)(format_datetime)  # of whole seconds in UTC, which many mails have in common
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]")


def carrier_text(
    *,
    sender: str,
    reply_to: str,
    to: str,
    text: str,
    message_id: str,
    at: datetime,
    domain: str,
    picture: Picture | None = None,
) -> bytes:
    """One text as a carrier's gateway takes it: a single part text/plain, no Subject, as little header as allowed.

    With a `picture` it is multipart/mixed, the text first, where there is one.
    """
    fields = _head(at, message_id, domain)
    fields += [("From", sender), ("Reply-To", "" if reply_to == sender else reply_to), ("To", to)]
    if picture is None:
        return _mail(fields, _plain(text))
    words = [_part(_plain(text))] if text else []
    return _mail(fields, _joined("mixed", [*words, _part(_file(picture))]))


def reply(
    *,
    name: str,
    address: str,
    answer_to: str,
    to: str,
    subject: str,
    text: str,
    message_id: str,
    in_reply_to: str,
    references: Sequence[str],
    at: datetime,
    domain: str,
    attachments: Sequence[Picture] = (),
    header: tuple[str, str] | tuple[()] = (),
) -> bytes:
    """What a person texted, as a mail in his name on the thread of the job.

    `name` and `address` make From; `answer_to` is the r- address, "" where no answer can be texted.  `attachments`
    without data are left out.  `header` is one more field, X-something and its value; it is left out where it is a
    field of ours already.
    """
    fields = _head(at, message_id, domain)
    fields += [
        ("From", _mailbox(name, address)),
        ("Reply-To", answer_to),
        ("To", to),
        ("Subject", _encoded("Subject", subject)),
        ("In-Reply-To", in_reply_to),
        ("References", thread(references)),
        ("X-Auto-Response-Suppress", "All"),
    ]
    fields += _extra(header, fields)
    files = [_part(_file(p)) for p in attachments if p.data]
    return _mail(fields, _joined("mixed", [_part(_plain(text)), *files]) if files else _plain(text))


def notice(
    *,
    sender: str,
    to: str,
    subject: str,
    text: str,
    message_id: str,
    at: datetime,
    domain: str,
    in_reply_to: str = "",
    reply_to: str = "",
) -> bytes:
    """Words of the machine: a preview's answer, a question or an alarm.  `sender` is the address in From."""
    fields = _machine(sender, to, subject, message_id, at, domain, in_reply_to)
    return _mail([*fields, ("Reply-To", reply_to)], _plain(text))


def report(
    *,
    sender: str,
    to: str,
    text: str,
    subject: str,
    message_id: str,
    at: datetime,
    domain: str,
    original_recipient: str,
    final_recipient: str,
    action: str,
    status: str,
    diagnostic: str,
    envelope_id: str = "",
    arrived: datetime | None = None,
    about_id: str = "",
    about_subject: str = "",
) -> bytes:
    """A delivery status notification (RFC 3464, multipart/report), in words first.

    `action` is "failed" or "delayed"; `status` an enhanced code; `about_id` and `about_subject` are the Message-ID and
    Subject of the mail that it speaks of.
    """
    about_mail = [("Original-Envelope-Id", envelope_id), ("Reporting-MTA", f"dns; {domain}")]
    about_mail += [("Arrival-Date", format_datetime(arrived) if arrived else "")]
    about_recipient = [("Original-Recipient", original_recipient), ("Final-Recipient", f"rfc822; {final_recipient}")]
    about_recipient += [("Action", action), ("Status", status)]
    about_recipient += [("Diagnostic-Code", f"X-Gateway; {diagnostic}" if diagnostic else "")]
    about = _lines([("Message-ID", about_id), ("Subject", _encoded("Subject", about_subject))])
    parts = [
        _part(_plain(text)),
        _part(([("Content-Type", "message/delivery-status")], f"{_lines(about_mail)}{_CRLF}{_lines(about_recipient)}")),
    ]
    if about:
        parts.append(_part(([("Content-Type", "text/rfc822-headers")], about)))
    fields = _machine(sender, to, subject, message_id, at, domain, about_id)
    return _mail(fields, _joined("report; report-type=delivery-status", parts))


def enclosed(data: bytes) -> tuple[Picture, ...]:
    """What is attached to a mail that `reply` wrote."""
    found = email.message_from_bytes(data)
    if found.get_content_maintype() != "multipart":
        return ()
    parts = [part for part in found.walk() if part.get_filename()]
    return tuple(
        Picture(
            kind=part.get_content_type(),
            name=part.get_filename() or "",
            data=bytes(part.get_payload(decode=True) or b""),
        )
        for part in parts
    )


def clean(text: str) -> str:
    """`text` as one header line of at most 900 characters: no control characters, no line ends."""
    return _line(text)[:_LINE_CHARS]


def thread(references: Sequence[str]) -> str:
    """A References value: the root, then as many of the newest ids as fit a line (RFC 5322 3.6.4)."""
    ids = list(dict.fromkeys(r for r in references if r))
    root, rest = ids[:1], ids[1:]
    size, kept = len("".join(root)), []
    for one in reversed(rest):
        size += len(one) + 1
        if size > _REFERENCES_CHARS:
            break
        kept.append(one)
    return " ".join(root + kept[::-1])


def again(subject: str) -> str:
    """`subject` with one Re: in front."""
    return subject if subject[:3].lower() == "re:" else f"Re: {subject}".strip()


def _head(at: datetime, message_id: str, domain: str) -> Fields:
    return [("Date", _date(at.replace(microsecond=0))), ("Message-ID", message_id), (LOOP_HEADER, domain)]


def _machine(
    sender: str, to: str, subject: str, message_id: str, at: datetime, domain: str, in_reply_to: str
) -> Fields:
    return [
        *_head(at, message_id, domain),
        ("From", _mailbox("Text gateway", sender)),
        ("To", to),
        ("Subject", _encoded("Subject", subject)),
        ("Auto-Submitted", "auto-generated"),
        ("X-Auto-Response-Suppress", "All"),
        ("In-Reply-To", in_reply_to),
        ("References", in_reply_to),
    ]


def _mail(fields: Fields, content: tuple[Fields, str]) -> bytes:
    kind, body = content
    whole = _lines([*fields, ("MIME-Version", "1.0"), *kind]) + _CRLF + body
    return whole.encode("ascii")


def _part(content: tuple[Fields, str]) -> str:
    fields, body = content
    return _lines(fields) + _CRLF + body


def _lines(fields: Fields) -> str:
    """Header lines; an empty value is no field."""
    return "".join(f"{name}: {_folded(value)}{_CRLF}" for name, value in fields if value)


def _folded(value: str) -> str:
    """A value as it may stand in a header: ASCII, no line end but before a space."""
    lines = (_ascii(line)[:_VALUE_CHARS] for line in value.split(f"{_CRLF} "))
    return f"{_CRLF} ".join(filter(None, lines))


def _plain(text: str) -> tuple[Fields, str]:
    words = plain.clean(text).rstrip("\n") + "\n"
    if words.isascii() and all(len(line) < _LINE_CHARS for line in words.split("\n")):
        charset, encoding = "us-ascii", "7bit"
    else:
        charset, encoding = "utf-8", "quoted-printable"
        words = binascii.b2a_qp(words.encode(), istext=True).decode("ascii")
    kind = [("Content-Type", f'text/plain; charset="{charset}"'), ("Content-Transfer-Encoding", encoding)]
    return kind, words.replace("\n", _CRLF)


def _file(picture: Picture) -> tuple[Fields, str]:
    kind = picture.kind if _KIND.fullmatch(picture.kind) else "application/octet-stream"
    name = _UNSAFE.sub("-", picture.name)[:60] or "file"
    about = [
        ("Content-Type", f'{kind}; name="{name}"' + ('; charset="utf-8"' if kind.startswith("text/") else "")),
        ("Content-Disposition", f'attachment; filename="{name}"'),
        ("Content-Transfer-Encoding", "base64"),
    ]
    return about, base64.encodebytes(picture.data).decode("ascii").replace("\n", _CRLF)


def _extra(header: tuple[str, str] | tuple[()], fields: Fields) -> Fields:
    """The one more field of a reply, where it can be one."""
    if not header or not _EXTRA.fullmatch(header[0]):
        return []
    name = header[0].lower()
    taken = name.startswith("x-gateway-") or name in {field.lower() for field, _ in fields}
    return [] if taken else [(header[0], _encoded(*header))]


def _mailbox(name: str, address: str) -> str:
    shown = clean(name)[:200]
    if not shown.isascii():
        return f"{_encoded('From', shown)} <{_ascii(address)}>"
    quoted = shown.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{quoted}" <{_ascii(address)}>'


def _encoded(name: str, words: str) -> str:
    """Free words as the value of a field, in encoded words (RFC 2047) where they are not ASCII or look like such."""
    line = clean(words)
    if line.isascii() and "=?" not in line:
        return line
    return Header(line, "utf-8", header_name=name).encode(linesep=_CRLF)


def _line(text: str) -> str:
    if text.isprintable() and "  " not in text and text == text.strip(" "):
        return text  # as most values are; " " is the one white space that is printable
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def _ascii(text: str) -> str:
    return _line(text).encode("ascii", "replace").decode("ascii")


def _joined(how: str, parts: Sequence[str]) -> tuple[Fields, str]:
    """The parts as one multipart; the boundary follows from them, since planning twice must make the same bytes."""
    boundary = "=_" + hashlib.blake2b("\0".join(parts).encode(), digest_size=16).hexdigest()
    kind = f'multipart/{how}; boundary="{boundary}"'
    body = "".join(f"--{boundary}{_CRLF}{part}{_CRLF}" for part in parts) + f"--{boundary}--{_CRLF}"
    return [("Content-Type", kind)], body
