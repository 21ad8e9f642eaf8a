"""What planning one mail keeps in hand, and what every recipient of it has in common: a message, or a refusal."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime

from gateway.core import address, admit, choice, dsn
from gateway.core.admit import Choice
from gateway.core.facts import Facts
from gateway.core.intent import mailboxes, target_of
from gateway.core.model import Door, Fate, InboundMail, Kind, Phone, Picture, Reading, Recipient
from gateway.core.rules import Rule, Rules, Sender
from gateway.core.template import Words
from gateway.core.work import Delivery, Message, Writes


@dataclass(slots=True)
class Desk:
    """What planning one mail keeps in hand: the facts, and what has been used of them."""

    mail: InboundMail
    reading: Reading
    facts: Facts
    rules: Rules
    now: datetime
    tokens: Iterator[str]
    pictures: tuple[Picture, ...] = ()  # attached to the mail
    texted: set[Phone] = field(default_factory=set)
    worded: dict[tuple[object, ...], Words] = field(default_factory=dict)  # by what they depend on: see wording.py
    _rules: dict[str, Rule | None] = field(default_factory=dict)  # by recipient
    notes: list[str] = field(default_factory=list)  # for recipients from whom no message follows
    count: int = 0

    @property
    def sender(self) -> Sender | None:
        return self.rules.sender(self.mail.sender)

    def rule(self, recipient: str) -> Rule | None:
        """The [[rule]] for this mail to that recipient."""
        if recipient not in self._rules:
            found = choice.chosen(self.rules, self.mail.sender, recipient, self.reading.subject)
            self._rules[recipient] = found
        return self._rules[recipient]

    def next_id(self) -> str:
        self.count += 1
        return f"{self.mail.id}.{self.count}"


def told_of(mail: InboundMail, rules: Rules) -> str:
    """Who hears of a bad end: the envelope sender (RFC 3461 4.2), else the sender's report_to, else the admin.

    "" for mail from outside: its envelope sender may be forged, and a report would be backscatter.  Of an answer from
    outside From is proven and the envelope is not: the sender's own people hear.
    """
    if not mail.sender:
        return ""
    sender = rules.sender(mail.sender)
    author = mail.envelope.mail_from
    unfit = mail.door is Door.PUBLIC or address.mail_domain(author) in ("", rules.domain)
    options = ("" if unfit else author, sender.report_to if sender else "", *mailboxes(rules))
    return next(filter(None, options), "")


def answers_to(desk: Desk) -> str:
    """Where replies go: what the sender's configuration says, else Reply-To, else From, else its fallback."""
    sender = desk.sender
    written = (desk.reading.reply_to or "", desk.reading.author or "")
    envelope = desk.mail.envelope.mail_from
    options = (
        sender.reply_to if sender else "",
        *(w for w in written if address.mail_domain(w) != desk.rules.domain),
        sender.reply_fallback if sender else "",
        envelope if address.mail_domain(envelope) not in ("", desk.rules.domain) else "",
        *mailboxes(desk.rules),
    )
    return next(filter(None, options), "")


def message_to(
    recipient: Recipient,
    one: Choice | None,
    desk: Desk,
    *,
    ident: str = "",
    conversation: str = "",
    words: Words | None = None,
    route: str = "",
) -> Message:
    """A message to one person, or to nobody known.

    `ident` "" is the next of this mail; `route` is the rule that chose its way, where that is not `one`'s.
    """
    person = one.person if one else None
    rule = desk.rule(recipient.address) if one and not one.answering else None
    return Message(
        id=ident or desk.next_id(),
        inbound=desk.mail.id,
        kind=Kind.TEXT,
        sender=desk.mail.sender,
        recipient=recipient.address,
        phone=person.phone if person else None,
        person=person.employee.name if person and person.employee else "",
        conversation=conversation,
        subject=desk.reading.subject,
        text=words.text if words else "",
        cut=words.cut if words else "",
        rule=route or (one.rule if one else ""),
        at=desk.now,
        report_to=told_of(desk.mail, desk.rules),
        notify=recipient.notify,
        orcpt=recipient.orcpt,
        envid=desk.mail.envelope.envid,
        message_id=desk.reading.message_id,
        klass=rule.klass if rule and rule.klass else "informational",
    )


def refused(
    recipient: Recipient,
    one: Choice | None,
    why: str,
    code: str,
    desk: Desk,
    *,
    words: Words | None = None,
    ident: str = "",
) -> Writes:
    """A recipient that policy or the mail itself refuses: a visible end, and a report."""
    message = message_to(recipient, one, desk, words=words)
    if ident:
        message = replace(message, id=ident)
    ended = closed(message, Fate.REFUSED, why, code, desk.now)
    told = dsn.failure(message, why, code, Fate.REFUSED, desk.rules, desk.now)
    return Writes(messages=(message,), deliveries=(ended,)).joined(told)


def closed(message: Message, fate: Fate, why: str, code: str, now: datetime) -> Delivery:
    """A delivery that never sets out: it carries the end of its message."""
    return Delivery(
        id=f"{message.id}.1",
        message=message.id,
        kind=message.kind,
        courier="twilio" if message.phone and not message.person else "mail",
        lane="",
        number="",
        to=str(message.phone or message.recipient),
        phone=message.phone,
        person=message.person,
        sender="",
        parcel=None,
        fate=fate,
        due_at=now,
        expires_at=now,
        code=code,
        note=why,
    )


def unwelcome(recipient: Recipient, desk: Desk) -> Writes | None:
    """The refusal of a recipient who may not be written to; None = he may.

    The door has asked already, but refuse = "mail" lets everybody in, and the rules may be others by now.
    """
    target = target_of(recipient.address, desk.rules)
    no = admit.admit(target, desk.mail.door, desk.sender, desk.facts, desk.rules, desk.now)
    return None if no is None else refused(recipient, None, no.text, no.enhanced, desk)
