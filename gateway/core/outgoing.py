"""From a mail to texts: one message per person, the first way of each as a delivery.

Also what a mail asks of us instead: a change of consent, or to be passed on.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from email.utils import format_datetime

from gateway.core import address, compose, notice, template
from gateway.core.address import TextAddress, ToConversation, ToName, ToPhone
from gateway.core.admit import Choice, admit, choices, choose, conversation
from gateway.core.intent import ConsentChange, Forward, Ignored, NotForUs, SendText, bare_subject, job
from gateway.core.model import Consent, Conversation, Fate, InboundMail, Kind, Phone, Reading, Recipient, Refusal
from gateway.core.route import CarrierWay, ProviderWay, Way
from gateway.core.rules import Rules, Sender
from gateway.core.template import Words
from gateway.core.work import Delivery, Facts, MailParcel, Message, Writes

TextTarget = ToPhone | ToName | TextAddress | ToConversation


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
    talks: dict[tuple[str, Phone, str], Conversation] = field(default_factory=dict)
    count: int = 0

    @property
    def sender(self) -> Sender | None:
        return self.rules.sender(self.mail.sender)

    def next_id(self) -> str:
        self.count += 1
        return f"{self.mail.id}.{self.count}"


def told_of(desk: Desk) -> str:
    """Who hears of a bad end: the envelope sender, else report_to, else the admin; "" = nobody can be told."""
    author = desk.mail.envelope.mail_from
    if "@" in author and address.mail_domain(author) != desk.rules.domain:
        return author
    if desk.sender is not None and desk.sender.report_to:
        return desk.sender.report_to
    return next((a for a in desk.rules.alarm_to if "@" in a), "")


def text(intent: SendText, desk: Desk) -> Writes:
    """Everything that follows from one recipient who is to be texted; a phone already texted by this mail is left."""
    talk = conversation(desk.facts, intent.target.token) if isinstance(intent.target, ToConversation) else None
    found = choices(intent.target, desk.sender, desk.facts, desk.rules, desk.now)
    if isinstance(found, Refusal):
        return _refused(intent.recipient, None, found.text, found.enhanced, desk)
    answering = talk is not None
    words = words(desk, answering=answering)
    cut = "\n".join(c for c in (desk.reading.answer_cut if answering else desk.reading.cut, words.cut) if c)
    joined = Writes()
    for choice in found:
        if choice.person.phone in desk.texted:
            continue
        desk.texted.add(choice.person.phone)
        if choice.refused is not None:
            one = _refused(intent.recipient, choice, choice.refused.text, choice.refused.enhanced, desk)
        elif words.problem:
            one = _refused(intent.recipient, choice, words.problem, "5.6.0", desk, words=words)
        else:
            one = _one_text(intent.recipient, choice, words, cut, talk, desk)
        joined = joined.joined(one)
    return joined


def words(desk: Desk, *, answering: bool) -> Words:
    rules = desk.rules.text
    if answering:
        return template.fitted(desk.reading.answer, rules)
    return template.words(bare_subject(desk.reading.subject), desk.reading.text, rules)


def _one_text(
    recipient: Recipient, choice: Choice, words: Words, cut: str, talk: Conversation | None, desk: Desk
) -> Writes:
    about = talk or _talk(choice, desk)
    if talk is None:
        choice = _on_its_number(choice, about, desk)
        if choice.refused is not None:
            return _refused(recipient, choice, choice.refused.text, choice.refused.enhanced, desk)
    message = replace(message_to(recipient, choice, desk), conversation=about.id, text=words.text, cut=cut)
    way = choice.ways[0]
    bounce = next(desk.tokens) if isinstance(way, CarrierWay) else ""
    delivery = text_by(way, choice.ways[1:], message, desk.rules, desk.now, bounce=bounce)
    delivery = replace(
        delivery, conversational=choice.answering, priority=1 if choice.answering else delivery.priority
    )
    number = way.number.name if isinstance(way, ProviderWay) else about.number
    kept = replace(_threaded(about, desk), number=number, text=words.text, texted_at=desk.now)
    desk.talks[(kept.sender, kept.phone, kept.job)] = kept
    return Writes(messages=(message,), deliveries=(delivery,), conversations=(kept,))


def text_by(
    way: Way, rest: tuple[Way, ...], message: Message, rules: Rules, now: datetime, *, bounce: str, k: int = 1
) -> Delivery:
    """The delivery of a text by `way`; `rest` are the ways to fall back on."""
    parcel = notice.parcel_for(way, message, rules, now, bounce=bounce, delivery=f"{message.id}.{k}")
    made = notice.text_delivery(message, way, rules, now, parcel=parcel, bounce=bounce, k=k)
    return replace(made, ways=tuple("provider" for w in rest if isinstance(w, ProviderWay)))


def _on_its_number(choice: Choice, about: Conversation, desk: Desk) -> Choice:
    """The same choice once its conversation is known: a running conversation keeps its number."""
    return choose(choice.person, desk.sender, desk.facts, desk.rules, desk.now, talk=about)


def _talk(choice: Choice, desk: Desk) -> Conversation:
    """The conversation of (sender, phone, job), opened where there is none."""
    key = (desk.mail.sender, choice.person.phone, job(desk.reading, desk.rules))
    if key in desk.talks:
        return desk.talks[key]
    for known in desk.facts.conversations:
        if (known.sender, known.phone, known.job) == key:
            return known
    return Conversation(
        id=next(desk.tokens),
        sender=key[0],
        phone=key[1],
        job=key[2],
        number="",
        subject="",
        message_id="",
        references=(),
        reply_to="",
        opened_at=desk.now,
        closes_at=desk.now,
    )


def _threaded(about: Conversation, desk: Desk) -> Conversation:
    """The conversation after this mail: its thread grows, it closes later, answers keep going where they went."""
    reading = desk.reading
    before = (*about.references, about.message_id) if about.message_id else about.references
    known = tuple(dict.fromkeys((*before, *reading.references)))[-50:]
    return replace(
        about,
        subject=about.subject or bare_subject(reading.subject),
        message_id=reading.message_id or about.message_id,
        references=tuple(r for r in known if r != reading.message_id),
        reply_to=answers_to(desk) if about.sender == desk.mail.sender and not _is_answer(about, desk) else about.reply_to,
        closes_at=desk.now + desk.rules.close_after,
    )


def _is_answer(about: Conversation, desk: Desk) -> bool:
    token = f"r-{about.id}@"
    return any(r.address.lower().startswith(token) for r in desk.mail.envelope.recipients) and bool(about.reply_to)


def answers_to(desk: Desk) -> str:
    """Where replies go: what the sender's configuration says, else Reply-To, else From, else its fallback."""
    sender = desk.sender
    written = desk.reading.reply_to or desk.reading.author or ""
    own = address.mail_domain(written) == desk.rules.domain if written else False
    options = (
        sender.reply_to if sender else "",
        "" if own else written,
        sender.reply_fallback if sender else "",
        desk.mail.envelope.mail_from if "@" in desk.mail.envelope.mail_from else "",
        next((a for a in desk.rules.alarm_to if "@" in a), ""),
    )
    return next((o for o in options if o), "")


def message_to(recipient: Recipient, choice: Choice | None, desk: Desk) -> Message:
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
        report_to=told_of(desk),
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
        message = replace(message, text=words.text)
    ended = closed(message, Fate.REFUSED, why, code, desk.now)
    told = notice.failure(message, why, code, Fate.REFUSED, desk.rules, desk.now)
    return Writes(messages=(message,), deliveries=(ended,)).joined(told)


def closed(message: Message, fate: Fate, why: str, code: str, now: datetime) -> Delivery:
    """A delivery that never sets out: it carries the end of its message."""
    return Delivery(
        id=f"{message.id}.1",
        message=message.id,
        kind=message.kind,
        courier="mail" if message.person else "twilio",
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
    message = replace(message_to(intent.recipient, None, desk), report_to="", text="")
    return Writes(
        messages=(message,), deliveries=(closed(message, Fate.REFUSED, intent.reason, "5.7.1", desk.now),)
    )


def not_for_us(intent: NotForUs, desk: Desk) -> Writes:
    """An address that leads nowhere and was let in by refuse = "mail"."""
    no = admit(intent.target, desk.mail.door, desk.sender, desk.facts, desk.rules, desk.now)
    why, code = (no.text, no.enhanced) if no else ("there is no such address here", "5.1.1")
    return _refused(intent.recipient, None, why, code, desk)


def consent(intent: ConsentChange, desk: Desk) -> Writes:
    """An entry in the ledger, asked for by mail."""
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


def forward(intent: Forward, desk: Desk) -> Writes:
    """A mail passed on: unchanged to an outside address, or to the people behind postmaster."""
    joined = Writes()
    for to in intent.to:
        message = replace(
            message_to(intent.recipient, None, desk), kind=Kind.FORWARD, recipient=to, rule=f"passed on to {to}"
        )
        if "@" not in to:
            continue
        bounce = "" if intent.unchanged else next(desk.tokens)
        author = desk.mail.envelope.mail_from if intent.unchanged else f"b-{bounce}@{desk.rules.domain}"
        head = b"" if intent.unchanged else f"{compose.LOOP_HEADER}: {desk.rules.domain}\r\n".encode()
        parcel = MailParcel(
            mail_from=author,
            rcpt_to=to,
            data=_received(desk) + head + desk.mail.raw,
            notify=intent.recipient.notify if intent.unchanged else "",
        )
        made = notice.mail_delivery(message, parcel, desk.now, bounce=bounce)
        joined = joined.joined(Writes(messages=(message,), deliveries=(made,)))
    return joined


def _received(desk: Desk) -> bytes:
    """The trace line that every relay adds (RFC 5321 4.4)."""
    at = format_datetime(desk.mail.at)
    peer = desk.mail.peer
    return f"Received: from [{peer}] by {desk.rules.domain} with ESMTP id {desk.mail.id}; {at}\r\n".encode()
