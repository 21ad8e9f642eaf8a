"""From a mail to texts: one message per person, the first way of each as a delivery.

Also what a mail asks of us instead: a change of consent.  Mails that are passed on: see forward.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime

from gateway.core import address, admit, notice, template
from gateway.core.address import ToConversation
from gateway.core.admit import Choice, Texted
from gateway.core.intent import ConsentChange, Ignored, NotForUs, SendText, bare_subject, job, mailboxes, target_of
from gateway.core.model import Consent, Conversation, Fate, InboundMail, Kind, Phone, Reading, Recipient, Refusal
from gateway.core.route import CarrierWay, ProviderWay, Way
from gateway.core.rules import Rules, Sender
from gateway.core.template import Words
from gateway.core.work import Delivery, Facts, Message, Writes

_REFERENCES = 50


@dataclass(slots=True)
class Desk:
    """What planning one mail keeps in hand: the facts, and what has been used of them."""

    mail: InboundMail
    reading: Reading
    facts: Facts
    rules: Rules
    now: datetime
    tokens: Iterator[str]
    texted: set[Phone] = field(default_factory=set)
    notes: list[str] = field(default_factory=list)  # for recipients from whom no message follows
    count: int = 0

    @property
    def sender(self) -> Sender | None:
        return self.rules.sender(self.mail.sender)

    def next_id(self) -> str:
        self.count += 1
        return f"{self.mail.id}.{self.count}"


def told_of(mail: InboundMail, rules: Rules) -> str:
    """Who hears of a bad end: the envelope sender (RFC 3461 4.2), else the sender's report_to, else the admin.

    "" for mail from outside: its envelope sender may be forged, and a report would be backscatter.
    """
    if not mail.sender:
        return ""
    sender = rules.sender(mail.sender)
    author = mail.envelope.mail_from
    own = address.mail_domain(author) in ("", rules.domain)
    options = ("" if own else author, sender.report_to if sender else "", *mailboxes(rules))
    return next(filter(None, options), "")


def text(intent: SendText, desk: Desk) -> Writes:
    """Everything that follows from one recipient who is to be texted; a phone already texted by this mail is left."""
    found = chosen(intent.target, desk)
    if isinstance(found, Refusal):
        return _refused(intent.recipient, None, found.text, found.enhanced, desk)
    words = words_of(intent.target, desk)
    joined = Writes()
    for choice in found:
        phone = choice.person.phone
        if phone in desk.texted:
            desk.notes.append(f"{intent.recipient.address} leads to a phone that this mail texts already")
        elif choice.refused is not None:
            no = choice.refused
            joined = joined.joined(_refused(intent.recipient, choice, no.text, no.enhanced, desk))
        elif words.problem:
            joined = joined.joined(_refused(intent.recipient, choice, words.problem, "5.6.0", desk, words=words))
        else:
            desk.texted.add(phone)
            joined = joined.joined(_one_text(intent.recipient, choice, words, desk))
    return joined


def chosen(target: Texted, desk: Desk) -> tuple[Choice, ...] | Refusal:
    """One choice per person behind an address, each in the conversation that this mail belongs to."""
    about = (desk.mail.sender, job(desk.reading))
    return admit.choices(target, desk.sender, desk.facts, desk.rules, desk.now, about=about)


def words_of(target: Texted, desk: Desk) -> Words:
    """The text that goes out; `cut` is all that was left out of the mail, in its order."""
    reading = desk.reading
    if isinstance(target, ToConversation):
        found, before = template.fitted(reading.answer, desk.rules.text), reading.answer_cut
    else:
        subject = bare_subject(reading.subject)
        found, before = template.words(subject, reading.text, desk.rules.text), reading.cut
    return replace(found, cut="\n".join(c for c in (found.cut, before) if c))


def _one_text(recipient: Recipient, choice: Choice, words: Words, desk: Desk) -> Writes:
    about = choice.conversation or _opened(choice, desk)
    message = replace(message_to(recipient, choice, desk), conversation=about.id, text=words.text, cut=words.cut)
    way = choice.ways[0]
    bounce = next(desk.tokens) if isinstance(way, CarrierWay) else ""
    delivery = text_by(way, choice.ways[1:], message, desk.rules, desk.now, bounce=bounce)
    if choice.answering:
        delivery = replace(delivery, conversational=True, priority=notice.PRIORITY[Kind.REPLY])
    # Also where the number is only the fallback: what is answered there belongs to this conversation.
    number = next((w.number.name for w in choice.ways if isinstance(w, ProviderWay)), about.number)
    threaded = _threaded(about, choice.answering, desk)
    kept = replace(threaded, number=number, text=words.text, texted_at=desk.now)
    return Writes(messages=(message,), deliveries=(delivery,), conversations=(kept,))


def text_by(
    way: Way, rest: tuple[Way, ...], message: Message, rules: Rules, now: datetime, *, bounce: str, k: int = 1
) -> Delivery:
    """The delivery of a text by `way`; `rest` are the ways to fall back on."""
    parcel = notice.parcel_for(way, message, rules, now, bounce=bounce, delivery=f"{message.id}.{k}")
    made = notice.text_delivery(message, way, rules, now, parcel=parcel, bounce=bounce, k=k)
    return replace(made, ways=tuple(w.number.name for w in rest if isinstance(w, ProviderWay)))


def _opened(choice: Choice, desk: Desk) -> Conversation:
    return Conversation(
        id=next(desk.tokens),
        sender=desk.mail.sender,
        phone=choice.person.phone,
        job=job(desk.reading),
        number="",
        subject="",
        message_id="",
        references=(),
        reply_to="",
        opened_at=desk.now,
        closes_at=desk.now,
    )


def _threaded(about: Conversation, answering: bool, desk: Desk) -> Conversation:
    """The conversation after this mail: its thread grows and it closes later.

    Replies go on the thread of this mail and to whom it names; after an answer at r- they keep going where they went.
    """
    reading = desk.reading
    known = dict.fromkeys((*about.references, about.message_id, *reading.references))
    ids = tuple(i for i in known if i not in ("", reading.message_id))
    return replace(
        about,
        subject=bare_subject(reading.subject) or about.subject,
        message_id=reading.message_id or about.message_id,
        references=ids if len(ids) <= _REFERENCES else (ids[0], *ids[1 - _REFERENCES :]),
        reply_to=about.reply_to if answering else answers_to(desk),
        closes_at=desk.now + desk.rules.close_after,
    )


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


def message_to(recipient: Recipient, choice: Choice | None, desk: Desk) -> Message:
    """A message to one person, or to nobody known, without its words."""
    person = choice.person if choice else None
    return Message(
        id=desk.next_id(),
        inbound=desk.mail.id,
        kind=Kind.TEXT,
        sender=desk.mail.sender,
        recipient=recipient.address,
        phone=person.phone if person else None,
        person=person.employee.name if person and person.employee else "",
        conversation="",
        subject=desk.reading.subject,
        text="",
        rule=choice.rule if choice else "",
        at=desk.now,
        report_to=told_of(desk.mail, desk.rules),
        notify=recipient.notify,
        orcpt=recipient.orcpt,
        envid=desk.mail.envelope.envid,
        message_id=desk.reading.message_id,
    )


def _refused(
    recipient: Recipient, choice: Choice | None, why: str, code: str, desk: Desk, *, words: Words | None = None
) -> Writes:
    """A recipient that policy or the mail itself refuses: a visible end, and a report."""
    message = message_to(recipient, choice, desk)
    if words is not None:
        message = replace(message, text=words.text, cut=words.cut)
    ended = closed(message, Fate.REFUSED, why, code, desk.now)
    told = notice.failure(message, why, code, Fate.REFUSED, desk.rules, desk.now)
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


def ignored(intent: Ignored, desk: Desk) -> Writes:
    """Words of a machine: a visible end, and nobody is told, since nobody wrote them."""
    message = replace(message_to(intent.recipient, None, desk), report_to="")
    ended = closed(message, Fate.REFUSED, intent.reason, "5.7.1", desk.now)
    return Writes(messages=(message,), deliveries=(ended,))


def unwelcome(recipient: Recipient, desk: Desk) -> Writes | None:
    """The refusal of a recipient who may not be written to; None = he may.

    The door has asked already, but refuse = "mail" lets everybody in, and the rules may be others by now.
    """
    target = target_of(recipient.address, desk.rules)
    no = admit.admit(target, desk.mail.door, desk.sender, desk.facts, desk.rules, desk.now)
    return None if no is None else _refused(recipient, None, no.text, no.enhanced, desk)


def not_for_us(intent: NotForUs, desk: Desk) -> Writes:
    """An address that leads nowhere and was let in by refuse = "mail"."""
    refused = unwelcome(intent.recipient, desk)
    assert refused is not None
    return refused


def consent(intent: ConsentChange, desk: Desk) -> Writes:
    """An entry in the ledger, asked for by mail by a sender who may."""
    refused = unwelcome(intent.recipient, desk)
    if refused is not None:
        return refused
    desk.notes.append(f"{intent.action} of {intent.phone}: entered in the ledger")
    entry = Consent(
        id=f"{desk.mail.id}.{intent.action}.{intent.phone}",
        brand=desk.rules.brand,
        phone=intent.phone,
        at=desk.now,
        action="grant" if intent.action == "optin" else "revoke",
        method="mail",
        evidence=f"mail {desk.reading.message_id or desk.mail.id}: {desk.reading.subject}"[:500],
        recorded_by=desk.mail.sender,
        raw=desk.reading.text[:500],
    )
    return Writes(consents=(entry,))
