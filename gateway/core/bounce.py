"""Delivery reports: whether a mail of ours came back for good or is late, and what the other side said.

Which delivery it speaks of is told by the b- address that it was sent to, never by its content.
Sources: RFC 3464 2.3 (fields of a recipient), RFC 3463 (enhanced status); flufl.bounce for all other forms.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from email.errors import MessageError
from email.message import Message

from flufl.bounce import all_failures

from gateway.core import header, parts, plain
from gateway.core.model import Reading, Unreadable

_DIAGNOSTIC_CHARS = 500
_RECIPIENTS = 100
_ACTIONS = ("failed", "delayed")  # the worse first; delivered, relayed and expanded are no bounce
_POSTMASTERS = ("mailer-daemon", "postmaster", "mdaemon", "mail-daemon", "mail.daemon", "bounce")
_SUBJECTS = re.compile(
    r"undeliver|non-deliver|not be delivered|couldn't be delivered|failure notice|returned mail|returned to sender|"
    r"delivery (?:status|failure|failed|has failed|problem|report)|mail (?:delivery|system error)",
    re.IGNORECASE,
)
_STATUS = re.compile(r"\b[245]\.\d{1,3}\.\d{1,3}\b")
_ANSWER = re.compile(r"(?<!\d)[45]\d\d[ -].{0,300}")
_TYPED = re.compile(r"\s*[\w.-]{1,40}\s*;\s*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounce:
    action: str  # "failed" | "delayed"
    status: str  # RFC 3463, "" when not told
    diagnostic: str  # one line, at most 500 characters


def suspected(reading: Reading) -> bool:
    """Whether author, subject or form of a mail speak for a report, so that `read` is worth its time."""
    author = (reading.author or "").lower()
    return reading.report or author.startswith(_POSTMASTERS) or bool(_SUBJECTS.search(reading.subject))


def read(raw: bytes) -> Bounce | None:
    """What a delivery report says, None when `raw` is none or tells of no failure.  Never raises.

    Of several recipients the worst counts: our mails have one.
    """
    message = parts.parse(raw)
    if isinstance(message, Unreadable):
        return None
    try:
        told = min(_standard(message), key=lambda found: _ACTIONS.index(found.action), default=None)
        return told if told is not None or _has_status(message) else _guessed(message)
    except (MessageError, ValueError, LookupError, TypeError, AttributeError, AssertionError, RecursionError):
        return None


def _standard(message: Message) -> Iterator[Bounce]:
    for part, _ in parts.leaves(message):
        blocks = part.get_payload() if part.get_content_type() == "message/delivery-status" else None
        inside = blocks[:_RECIPIENTS] if isinstance(blocks, list) else ()
        for fields in (parts.fields(block) for block in inside if isinstance(block, Message)):
            action = header.token(parts.first(fields, "action"))
            if action in _ACTIONS:
                said = plain.one_line(parts.first(fields, "diagnostic-code"))
                status = _STATUS.search(parts.first(fields, "status")[:100])
                yield _bounce(action, status.group() if status else "", _TYPED.sub("", said[:1000], count=1))


def _bounce(action: str, status: str, said: str) -> Bounce:
    """A Bounce whose status, where it says no more than "x.0.0", comes from the host's own words."""
    better = _STATUS.search(said) if status[1:] in ("", ".0.0") else None
    return Bounce(action=action, status=better.group() if better else status, diagnostic=said[:_DIAGNOSTIC_CHARS])


def _has_status(message: Message) -> bool:
    return any(part.get_content_type() == "message/delivery-status" for part, _ in parts.leaves(message))


def _guessed(message: Message) -> Bounce | None:
    late, failed = all_failures(message)
    if not late and not failed:
        return None
    said = _ANSWER.search(" ".join(parts.body(message).text.split()))
    return _bounce("failed" if failed else "delayed", "", plain.one_line(said.group()) if said else "")
