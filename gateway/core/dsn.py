"""Delivery reports to whoever sent the mail (RFC 3461, RFC 3464): what failed, and, where he asked for it, what is late
and how far it has come.

A hand-over to a carrier is "relayed": nobody there says whether the phone has it.  "delivered" is said on a receipt
only.  Each is told once: ids derive from the message and from what is told.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from gateway.core import address, compose, notice
from gateway.core import phone as phones
from gateway.core.intent import mailboxes
from gateway.core.model import Fate, Kind
from gateway.core.rules import Rules
from gateway.core.work import Delivery, MailParcel, Message, Writes

_THINGS = {Kind.REPLY: "reply from", Kind.FORWARD: "mail to", Kind.QUESTION: "question to"}


def failure(message: Message, why: str, code: str, fate: Fate, rules: Rules, now: datetime) -> Writes:
    """The report of a bad end to whom the message names; nothing where NOTIFY asks for silence.

    Of an alarm's text it goes to the mailboxes of alarm_to.
    """
    if message.kind is Kind.ALARM:
        return _untold(message, why, rules, now)
    unwanted = message.notify != "" and not _asks(message, "FAILURE")  # RFC 3461 4.1
    if not message.report_to or unwanted or message.kind in (Kind.REPORT, Kind.PREVIEW):
        return Writes()
    what = {
        Fate.EXPIRED: "was not handed over in time",
        Fate.HELD: "is held for a person to decide",
        Fate.FAILED: "was, as far as is known, not delivered",
    }.get(fate, "was not sent")
    lines = [f"Why: {why}", *([f"Code: {code}"] if code else [])]
    action = "delayed" if fate is Fate.HELD else "failed"
    # Held, let go and failed: each is told, and each once.
    return _told(message, fate.value, "Not delivered", what, lines, action, _status(code, fate), why, rules, now)


def _untold(message: Message, why: str, rules: Rules, now: datetime) -> Writes:
    """That an alarm could not be texted, once: its id names no fate.  Nothing about an alarm by mail, or this one."""
    if message.phone is None:
        return Writes()
    who = message.person or phones.shown(message.phone)
    text = f"Why: {why}\n\nThe alarm was: {message.text}\nIts whole story: gateway trace {message.id}\n"
    joined = Writes()
    for n, to in enumerate(mailboxes(rules), 1):
        ident, subject = f"{message.id}.untold.{n}", f"An alarm did not reach {who} by text"
        joined = joined.joined(notice.to_mailbox(ident, message.inbound, to, subject, text, rules, now))
    return joined


def delayed(message: Message, delivery: Delivery, heard: str, rules: Rules, now: datetime) -> Writes:
    """The word that a text is late, once, where NOTIFY asks for it: a quarter of its time is over.

    `heard` is the last answer.
    """
    begun = delivery.begun_at
    late = now >= begun + (delivery.expires_at - begun) / 4
    if not late or not _wanted(message, "DELAY"):
        return Writes()
    what = f"has not been handed over yet, and is tried until {delivery.expires_at:%Y-%m-%d %H:%M} UTC"
    return _told(
        message, "delayed", "Delayed", what, [f"The last answer: {heard}"], "delayed", "4.4.7", heard, rules, now
    )


def relayed(message: Message, delivery: Delivery, rules: Rules, now: datetime) -> Writes:
    """The word that a carrier's host, or the relay on the way to it, has a text."""
    if not _wanted(message, "SUCCESS"):
        return Writes()
    what = f"was handed over on the way to {address.mail_domain(delivery.to)}"
    line = "Whether the phone has it is not known: carriers tell of failures at most, and late."
    return _told(message, "relayed", "Handed over", what, [line], "relayed", "2.0.0", "", rules, now)


def delivered(message: Message, by: str, rules: Rules, now: datetime) -> Writes:
    """The word that the phone has a text, on the receipt of the provider `by`."""
    if not _wanted(message, "SUCCESS"):
        return Writes()
    line = f"That is what {by} says by its receipt."
    return _told(message, "delivered", "Delivered", "was delivered", [line], "delivered", "2.0.0", "", rules, now)


def expanded(message: Message, people: Sequence[str], rules: Rules, now: datetime) -> Writes:
    """The word that a mail to a group went to its `people`: then nothing more is told of success (RFC 3461 5.2.7).

    `message` is that of the first of them.
    """
    if not people or not _wanted(message, "SUCCESS"):
        return Writes()
    what = f"goes to {', '.join(people)}"
    heard = "Of each who cannot be texted you hear on its own."
    line = heard if _asks(message, "FAILURE") else "Of failures nothing is told, as was asked."
    return _told(message, "expanded", "Sent on", what, [line], "expanded", "2.0.0", "", rules, now, to_group=True)


def unasked(notify: str) -> str:
    """NOTIFY without success, for the members of a group (RFC 3461 5.2.7); "NEVER" where nothing is left."""
    kept = [word for word in notify.split(",") if word not in ("", "SUCCESS")]
    return ",".join(kept) if kept or not notify else "NEVER"


def _asks(message: Message, word: str) -> bool:
    return word in message.notify.split(",")


def _wanted(message: Message, word: str) -> bool:
    return bool(message.report_to) and message.kind is Kind.TEXT and _asks(message, word)


def _status(code: str, fate: Fate) -> str:
    """The enhanced code of a bad end (RFC 3463); what is held has not failed."""
    found = code if code[:2] in ("5.", "4.") else {Fate.EXPIRED: "4.4.7"}.get(fate, "5.0.0")
    return f"4{found[1:]}" if fate is Fate.HELD else found


def _told(
    message: Message,
    name: str,
    title: str,
    what: str,
    lines: Sequence[str],
    action: str,
    status: str,
    diagnostic: str,
    rules: Rules,
    now: datetime,
    *,
    to_group: bool = False,
) -> Writes:
    who = "" if to_group else message.person or (phones.shown(message.phone) if message.phone else message.recipient)
    thing = f"{_THINGS.get(message.kind, 'text to')} {who or message.recipient}"
    named = thing if to_group else f"{thing} ({message.recipient})"
    words = [f"The {named} {what}.", "", *lines, ""]
    words += [f"The text was: {message.text}", ""] if message.text else []
    words += [f"Its whole story: gateway trace {message.inbound if to_group else message.id}", ""]
    to, subject = message.report_to, f"{title}: {thing}"
    told = notice.told_message(f"{message.id}.{name}", Kind.REPORT, message, to, subject, "\n".join(words), now)
    data = compose.report(
        sender=notice.author(rules),
        to=to,
        text=told.text,
        subject=subject,
        message_id=notice.mail_id(told.id, rules),
        at=now,
        domain=rules.domain,
        original_recipient=message.orcpt,
        final_recipient=message.recipient,
        action=action,
        status=status,
        diagnostic=diagnostic,
        envelope_id=message.envid,
        arrived=message.at,
        about_id=message.message_id,
        about_subject=message.subject,
    )
    parcel = MailParcel(mail_from="", rcpt_to=to, data=data)
    return Writes(messages=(told,), deliveries=(notice.mail_delivery(told, parcel, now),))
