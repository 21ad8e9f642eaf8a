"""What a report says of something that was not delivered: its code, its subject and its words."""

from __future__ import annotations

from gateway.core import phone as phones
from gateway.core.model import Fate, Kind
from gateway.core.work import Message


def status(code: str, fate: Fate) -> str:
    """The enhanced code of a report (RFC 3463); what is held has not failed."""
    found = code if code[:2] in ("5.", "4.") else {Fate.EXPIRED: "4.4.7"}.get(fate, "5.0.0")
    return f"4{found[1:]}" if fate is Fate.HELD else found


def words(message: Message, why: str, code: str, fate: Fate) -> tuple[str, str]:
    """Subject and text of a report."""
    who = phones.shown(message.phone) if message.phone else message.recipient
    what = {
        Fate.EXPIRED: "was not handed over in time",
        Fate.HELD: "is held for a person to decide",
        Fate.FAILED: "was, as far as is known, not delivered",
    }.get(fate, "was not sent")
    things = {Kind.REPLY: "reply from", Kind.FORWARD: "mail to", Kind.QUESTION: "question to"}
    thing = things.get(message.kind, "text to")
    subject = f"Not delivered: {thing} {message.person or who}"
    text = "\n".join(
        [
            f"The {thing} {message.person or who} ({message.recipient}) {what}.",
            "",
            f"Why: {why}",
            *([f"Code: {code}"] if code else []),
            "",
            *([f"The text was: {message.text}", ""] if message.text else []),
            f"Its whole story: gateway trace {message.id}",
            "",
        ]
    )
    return subject, text
