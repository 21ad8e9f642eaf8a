"""From texts, statuses and bounces to mails and moves: the way back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

from gateway.core import address, codes, compose, notice, policy
from gateway.core import phone as phones
from gateway.core.intent import Reply, Report, Status, mailboxes
from gateway.core.model import (
    BAD_ENDS,
    Consent,
    Conversation,
    Fate,
    InboundHook,
    Kind,
    Phone,
    Reading,
    TextIn,
)
from gateway.core.rules import Rules
from gateway.core.work import Delivery, Facts, MailParcel, Message, Move, Writes

FATES = {  # what a provider's status makes of a delivery
    "queued": Fate.HANDED_OVER,
    "sending": Fate.HANDED_OVER,
    "sent": Fate.HANDED_OVER,
    "delivered": Fate.DELIVERED,
    "undelivered": Fate.FAILED,
    "failed": Fate.FAILED,
    "canceled": Fate.CANCELLED,
}
# A bad end that comes back from outside is news only of what has left and did not end badly.
_LEFT = frozenset({Fate.SENDING, Fate.UNKNOWN, Fate.HELD, Fate.HANDED_OVER})


def keyword_entry(inbound: InboundHook, reply: Reply, brand: str) -> Consent | None:
    """The ledger entry of a STOP or START; its id derives from the text, so that writing it twice is harmless."""
    if reply.keyword is None or reply.keyword.action not in ("stop", "start") or not reply.event.author.startswith("+"):
        return None
    return Consent(
        id=f"{inbound.id}.{reply.keyword.action}",
        brand=brand,
        phone=Phone(reply.event.author),
        at=inbound.at,
        action=reply.keyword.action,
        method="keyword",
        evidence=f"text {reply.event.remote_id} to {reply.event.number}",
        recorded_by=inbound.provider,
        raw=reply.event.text[:500],
    )


def reply(
    inbound: InboundHook, intent: Reply, facts: Facts, rules: Rules, now: datetime, tokens: Iterator[str]
) -> Writes:
    """A person's text as a mail on the thread of the job that caused it, and what its keyword does."""
    event = intent.event
    phone = _phone(event.author, rules)
    entry = keyword_entry(inbound, intent, rules.brand)
    about = _belongs_to(event, facts, rules, now)
    talk = about or _stranger(event, facts, rules, now, tokens)
    reply_to = talk.reply_to or _inbox(event, rules)
    heard = replace(talk, reply_to=reply_to, heard_at=now, closes_at=now + rules.close_after)
    employee = rules.employee_at(event.author)
    message = Message(
        id=f"{inbound.id}.1",
        inbound=inbound.id,
        kind=Kind.REPLY,
        sender=heard.sender,
        recipient=heard.reply_to,
        phone=phone,
        person=employee.name if employee else "",
        conversation=heard.id if phone else "",
        subject=compose.again(heard.subject) if heard.subject else f"Text from {_shown(event.author, rules)}",
        text=event.text,
        rule=f"conversation {heard.job}" if about and about.sender else f"inbox of number {_name(event, rules)}",
        at=now,
        report_to=_fallback(heard, rules),
    )
    lines = _words(event) + _what_it_did(intent, rules) + _signed(event, inbound.at, rules)
    lines += _how_to_answer(phone, entry, facts, rules) + _quoted(heard, rules)
    return Writes(
        messages=(message,),
        deliveries=(_reply_mail(message, "\n".join(lines), inbound, event, heard, rules, now, next(tokens)),),
        consents=(entry,) if entry else (),
        conversations=(heard,) if phone else (),
    )


def _reply_mail(
    message: Message,
    text: str,
    inbound: InboundHook,
    event: TextIn,
    heard: Conversation,
    rules: Rules,
    now: datetime,
    bounce: str,
) -> Delivery:
    local = "".join(c for c in event.author if c.isascii() and c.isalnum()).lower()
    data = compose.reply(
        name=_shown(event.author, rules),
        address=rules.relay_sender or f"{local or 'unknown'}@{rules.domain}",
        answer_to=f"r-{heard.id}@{rules.domain}" if message.phone else "",
        to=heard.reply_to,
        subject=message.subject,
        text=text,
        message_id=notice.mail_id(event.remote_id, rules),
        in_reply_to=heard.message_id,
        references=(*heard.references, heard.message_id),
        at=inbound.at,
        domain=rules.domain,
    )
    parcel = MailParcel(mail_from=rules.relay_sender or f"b-{bounce}@{rules.domain}", rcpt_to=heard.reply_to, data=data)
    return notice.mail_delivery(message, parcel, now, bounce=bounce)


def _phone(author: str, rules: Rules) -> Phone | None:
    """The phone that can be texted back; None for a short code or a name."""
    return phones.parse(author, rules.country) if author.startswith("+") else None


def _belongs_to(event: TextIn, facts: Facts, rules: Rules, now: datetime) -> Conversation | None:
    """The open conversation whose text this person answers: the one texted last on that number."""
    number = rules.number_at(event.number)
    if number is None:
        return None
    texted = {
        c.texted_at: c
        for c in reversed(facts.conversations)
        if c.phone == event.author and c.number == number.name and c.closes_at > now and c.texted_at is not None
    }
    return texted[max(texted)] if texted else None


def _stranger(event: TextIn, facts: Facts, rules: Rules, now: datetime, tokens: Iterator[str]) -> Conversation:
    """The conversation of somebody who answers no text of ours: his words go to the inbox of the number."""
    number = rules.number_at(event.number)
    name = number.name if number else ""
    for known in facts.conversations:
        if (known.sender, known.phone, known.job) == ("", event.author, ""):
            return replace(known, reply_to=_inbox(event, rules), number=name)
    return Conversation(
        id=next(tokens),
        sender="",
        phone=Phone(event.author),
        job="",
        number=name,
        subject="",
        message_id="",
        references=(),
        reply_to=_inbox(event, rules),
        opened_at=now,
        closes_at=now,
    )


def _inbox(event: TextIn, rules: Rules) -> str:
    number = rules.number_at(event.number)
    options = (number.inbox if number else "", *mailboxes(rules))
    return next(filter(None, options), f"postmaster@{rules.domain}")


def _words(event: TextIn) -> list[str]:
    lines = [event.text or "(no words)"]
    if event.media:
        lines += ["", f"({len(event.media)} picture or file came with it:)", *event.media]
    return lines


def _what_it_did(intent: Reply, rules: Rules) -> list[str]:
    if intent.keyword is None:
        return []
    word = intent.keyword.word
    match intent.keyword.action:
        case "stop":
            did = f"opts this phone out: {rules.brand} will not text it again until it texts START."
        case "start":
            did = "lifts an earlier STOP of this phone. It is no consent by itself."
        case _:
            did = "asks for help; the provider answers it."
    return ["", f"[{word} {did}]"]


def _signed(event: TextIn, at: datetime, rules: Rules) -> list[str]:
    local = at.astimezone(rules.timezone)
    return ["", "-- ", f"{_shown(event.author, rules)}, {local:%A %d %B %Y %H:%M %Z}, to {phones.shown(event.number)}"]


def _how_to_answer(phone: Phone | None, entry: Consent | None, facts: Facts, rules: Rules) -> list[str]:
    """Whether an answer to the mail will be texted, by the ledger as this text leaves it."""
    if phone is None:
        return ["This cannot be answered by text."]
    known = facts.consents.get(phone, ())
    entries = (*known, entry) if entry and all(c.id != entry.id for c in known) else known
    no = policy.forbids(phone, policy.standing(entries, rules.brand), rules, answering=True)
    return ["Answer this mail to text back." if no is None else f"No answer can be texted: this phone {no.why}."]


def _quoted(talk: Conversation, rules: Rules) -> list[str]:
    if not talk.text or talk.texted_at is None:
        return []
    sent = talk.texted_at.astimezone(rules.timezone)
    return ["", f"On {sent:%Y-%m-%d %H:%M} we texted:", *(f"> {line}" for line in talk.text.split("\n"))]


def _shown(author: str, rules: Rules) -> str:
    phone = _phone(author, rules)
    return phones.shown(phone) if phone else author


def _name(event: TextIn, rules: Rules) -> str:
    number = rules.number_at(event.number)
    return number.name if number else str(event.number)


def _fallback(talk: Conversation, rules: Rules) -> str:
    sender = rules.sender(talk.sender)
    options = (sender.reply_fallback if sender else "", *mailboxes(rules))
    return next((o for o in options if o and not address.same(o, talk.reply_to)), "")


def status(inbound: InboundHook, intent: Status, facts: Facts, rules: Rules, now: datetime) -> Writes:
    """What a provider's status does: the fate moves forward, and a bad end is told once.

    That an earlier attempt ended badly says nothing of the one that followed it.
    """
    event = intent.event
    found = facts.deliveries.get(event.delivery) or facts.by_remote.get((inbound.provider, event.remote_id))
    if found is None or found.courier != inbound.provider:
        return Writes()
    fate = FATES[event.status]
    if fate in BAD_ENDS and 0 < event.attempt < found.attempt:
        return Writes()
    move = Move(
        delivery=found.id,
        fate=fate,
        code=event.code,
        note=said(inbound.provider, event.status, event.code),
        remote_id=event.remote_id,
        source=inbound.provider,
    )
    message = facts.messages.get(found.message)
    if fate not in BAD_ENDS or message is None or found.fate not in _LEFT:
        return Writes(moves=(move,))
    return Writes(moves=(move,)).joined(notice.failure(message, move.note, event.code, fate, rules, now))


def said(provider: str, status: str, code: str) -> str:
    """A provider's word about a text, for people."""
    return f"{provider} says {status}" + (f": {codes.sentence(code)}" if code else "")


def bounce(intent: Report, reading: Reading, facts: Facts, rules: Rules, now: datetime) -> Writes:
    """What a mail to a b- address does: a permanent failure ends a delivery that had been handed over."""
    found = facts.by_bounce.get(intent.token)
    if found is None or not reading.bounce or reading.bounce[0] != "failed":
        return Writes()
    _, status_code, words = reading.bounce
    move = Move(delivery=found.id, fate=Fate.FAILED, code=status_code, note=f"bounced: {words}"[:500], source="bounce")
    message = facts.messages.get(found.message)
    if message is None or found.fate not in _LEFT:
        return Writes(moves=(move,))
    why = f"the mail to {found.to} came back: {words}"
    return Writes(moves=(move,)).joined(notice.failure(message, why, status_code, Fate.FAILED, rules, now))
