"""The mails that we write: a carrier text, a person's reply, a report, a notice.

Words of a person (text, reply) and words of a machine (report, notice) differ in their header: ticket systems suspend
mails that say Auto-Submitted, and answering machines must not be answered (RFC 3834).
"""

from __future__ import annotations

import email.policy
from collections.abc import Sequence
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime

from gateway.core import phone as phones
from gateway.core.model import Phone

# Long message ids must not be folded into encoded words, which no reader of References undoes.
_POLICY = email.policy.SMTP.clone(max_line_length=990, cte_type="7bit", refold_source="none")
_REFERENCES_CHARS = 900
LOOP_HEADER = "X-Gateway-Loop"


def carrier_text(*, sender: str, reply_to: str, to: str, text: str, message_id: str, at: datetime, domain: str) -> bytes:
    """One text as a carrier's gateway takes it: a single part text/plain, no Subject, as little header as allowed."""
    mail = _mail(at, message_id, domain)
    mail["From"] = sender
    if reply_to and reply_to != sender:
        mail["Reply-To"] = reply_to
    mail["To"] = to
    _body(mail, text)
    return mail.as_bytes()


def reply(
    *,
    author: str,
    answer_to: str,
    to: str,
    subject: str,
    text: str,
    message_id: str,
    in_reply_to: str,
    references: Sequence[str],
    at: datetime,
    domain: str,
) -> bytes:
    """What a person texted, as a mail in his name on the thread of the job.  `author` is E.164 or a short code."""
    mail = _mail(at, message_id, domain)
    mail["From"] = Address(_name(author), "".join(c for c in author if c.isalnum()).lower() or "unknown", domain)
    if answer_to:
        mail["Reply-To"] = answer_to
    mail["To"] = to
    mail["Subject"] = clean(subject)
    if in_reply_to:
        mail["In-Reply-To"] = in_reply_to
    if references:
        mail["References"] = thread(references)
    mail["X-Auto-Response-Suppress"] = "All"
    _body(mail, text)
    return mail.as_bytes()


def notice(
    *,
    to: str,
    subject: str,
    text: str,
    message_id: str,
    at: datetime,
    domain: str,
    in_reply_to: str = "",
) -> bytes:
    """Words of the machine: a preview's answer or an alarm."""
    mail = _machine(to, subject, message_id, at, domain, in_reply_to)
    _body(mail, text)
    return mail.as_bytes()


def report(
    *,
    to: str,
    text: str,
    subject: str,
    message_id: str,
    at: datetime,
    domain: str,
    in_reply_to: str,
    original_recipient: str,
    final_recipient: str,
    action: str,
    status: str,
    diagnostic: str,
    envelope_id: str = "",
    arrived: datetime | None = None,
    header: str = "",
) -> bytes:
    """A delivery status notification (RFC 3464, multipart/report), in words first.

    `action` is "failed"; `status` an enhanced code; `header` the header of the mail that it speaks of, or "".
    """
    mail = _machine(to, subject, message_id, at, domain, in_reply_to)
    mail["MIME-Version"] = "1.0"
    mail.add_header("Content-Type", "multipart/report", **{"report-type": "delivery-status"})
    words = EmailMessage(policy=_POLICY)
    _body(words, text)
    del words["MIME-Version"]
    fields = [f"Reporting-MTA: dns; {domain}"]
    if envelope_id:
        fields.append(f"Original-Envelope-Id: {clean(envelope_id)}")
    if arrived is not None:
        fields.append(f"Arrival-Date: {format_datetime(arrived)}")
    fields.append("")
    if original_recipient:
        fields.append(f"Original-Recipient: {clean(original_recipient)}")
    fields += [f"Final-Recipient: rfc822; {clean(final_recipient)}", f"Action: {action}", f"Status: {status}"]
    if diagnostic:
        fields.append(f"Diagnostic-Code: X-Gateway; {clean(diagnostic)[:900]}")
    mail.attach(words)
    mail.attach(_part("message/delivery-status", "\n".join(fields) + "\n"))
    if header:
        mail.attach(_part("text/rfc822-headers", header))
    return mail.as_bytes()


def clean(text: str) -> str:
    """`text` as one header line: no control characters, no line ends."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:900]


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


def _name(author: str) -> str:
    return phones.shown(Phone(author)) if author.startswith("+") else author


def _mail(at: datetime, message_id: str, domain: str) -> EmailMessage:
    mail = EmailMessage(policy=_POLICY)
    mail["Date"] = format_datetime(at)
    mail["Message-ID"] = message_id
    mail[LOOP_HEADER] = domain
    return mail


def _machine(to: str, subject: str, message_id: str, at: datetime, domain: str, in_reply_to: str) -> EmailMessage:
    mail = _mail(at, message_id, domain)
    mail["From"] = Address("Text gateway", "postmaster", domain)
    mail["To"] = to
    mail["Subject"] = clean(subject)
    mail["Auto-Submitted"] = "auto-generated"
    mail["X-Auto-Response-Suppress"] = "All"
    if in_reply_to:
        mail["In-Reply-To"] = in_reply_to
        mail["References"] = in_reply_to
    return mail


def _body(mail: EmailMessage, text: str) -> None:
    plain = text.isascii() and all(len(line) < 900 for line in text.split("\n"))
    if plain:
        mail.set_content(text, charset="us-ascii", cte="7bit")
    else:
        mail.set_content(text, charset="utf-8", cte="quoted-printable")


def _part(kind: str, text: str) -> EmailMessage:
    part = EmailMessage(policy=_POLICY)
    part["Content-Type"] = kind
    part.set_payload(text.encode("ascii", "replace").decode("ascii"))
    return part
