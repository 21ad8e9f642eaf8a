"""From texts, statuses and bounces to mails and moves: the way back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

from gateway.core import codes, compose, notice
from gateway.core import phone as phones
from gateway.core.intent import Report, Reply, Status
from gateway.core.model import (
    BAD_ENDS,
    Consent,
    Conversation,
    Fate,
    InboundHook,
    InboundMail,
    Kind,
    Phone,
    Reading,
    StatusIn,
    TextIn,
)
from gateway.core.rules import Rules
from gateway.core.work import Facts, MailParcel, Message, Move, Writes

_FATES = {
    "queued": Fate.HANDED_OVER,
    "accepted": Fate.HANDED_OVER,
    "scheduled": Fate.HANDED_OVER,
    "sending": Fate.HANDED_OVER,
    "sent": Fate.HANDED_OVER,
    "delivered": Fate.DELIVERED,
    "read": Fate.DELIVERED,
    "undelivered": Fate.FAILED,
    "failed": Fate.FAILED,
    "canceled": Fate.CANCELLED,
}


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


def reply(inbound: InboundHook, intent: Reply, facts: Facts, rules: Rules, now: datetime, tokens: Iterator[str]) -> Writes:
    """A person's text as a mail on the thread of the job that caused it, and what its keyword does."""
    event = intent.event
    about = _belongs_to(event, facts, rules, now)
    entry = keyword_entry(inbound, intent, rules.brand)
    talk = about or _stranger(event, facts, rules, now, tokens)
    heard = replace(talk, heard_at=now, closes_at=now + rules.close_after)
    answerable = event.author.startswith("+")
    message = Message(
        id=f"{inbound.id}.1",
        inbound=inbound.id,
        kind=Kind.REPLY,
        sender=heard.sender,
        recipient=heard.reply_to,
        phone=Phone(event.author) if answerable else None,
        person=_person(event.author, rules),
        conversation=heard.id if answerable else "",
        subject=compose.again(heard.subject) if heard.subject else f"Text from {_shown(event.author)}",
        text=event.text,
        rule="conversation " + (heard.job or heard.subject) if about else f"inbox of number {_number(event, rules)}",
        at=now,
        report_to=_fallback(heard, rules),
    )
    body = _reply_body(event, heard, _what_it_did(intent, rules), now, rules)
    bounce = next(tokens)
    data = compose.reply(
        author=event.author,
        answer_to=f"r-{heard.id}@{rules.domain}" if answerable else "",
        to=heard.reply_to,
        subject=message.subject,
        text=body,
        message_id=notice.mail_id(event.remote_id, rules),
        in_reply_to=heard.message_id,
        references=(*heard.references, heard.message_id),
        at=inbound.at,
        domain=rules.domain,
    )
    sender = rules.relay_sender or f"b-{bounce}@{rules.domain}"
    parcel = MailParcel(mail_from=sender, rcpt_to=heard.reply_to, data=data)
    made = notice.mail_delivery(message, parcel, now, bounce=bounce)
    return Writes(
        messages=(message,),
        deliveries=(made,),
        consents=(entry,) if entry else (),
        conversations=(heard,) if answerable else (),
    )


def _belongs_to(event: TextIn, facts: Facts, rules: Rules, now: datetime) -> Conversation | None:
    """The open conversation whose text this person answers: the one texted last on that number."""
    number = rules.number_at(event.number)
    name = number.name if number else ""
    open_ones = [
        c
        for c in facts.conversations
        if c.phone == event.author and c.closes_at > now and c.texted_at is not None and c.number == name
    ]
    return max(open_ones, key=lambda c: c.texted_at or now, default=None)


def _stranger(event: TextIn, facts: Facts, rules: Rules, now: datetime, tokens: Iterator[str]) -> Conversation:
    number = rules.number_at(event.number)
    inbox = (number.inbox if number else "") or next((a for a in rules.alarm_to if "@" in a), "")
    for known in facts.conversations:
        if known.sender == "" and known.phone == event.author and known.job == "":
            return replace(known, reply_to=inbox or known.reply_to, number=number.name if number else known.number)
    return Conversation(
        id=next(tokens),
        sender="",
        phone=Phone(event.author),
        job="",
        number=number.name if number else "",
        subject="",
        message_id="",
        references=(),
        reply_to=inbox or f"postmaster@{rules.domain}",
        opened_at=now,
        closes_at=now,
    )


def _what_it_did(intent: Reply, rules: Rules) -> str:
    if intent.keyword is None:
        return ""
    word = intent.keyword.word.upper()
    match intent.keyword.action:
        case "stop":
            return f"[{word} opts this phone out: {rules.brand} will not text it again until it texts START.]"
        case "start":
            return f"[{word} lifts an earlier STOP of this phone. It is no consent by itself.]"
        case _:
            return f"[{word} asks for help; the provider answers it.]"


def _reply_body(event: TextIn, talk: Conversation, did: str, now: datetime, rules: Rules) -> str:
    local = now.astimezone(rules.timezone)
    lines = [event.text or "(no words)"]
    if event.media:
        lines += ["", f"({len(event.media)} picture or file came with it:)", *event.media]
    if did:
        lines += ["", did]
    lines += ["", "-- ", f"{_shown(event.author)}, {local:%A %d %B %Y %H:%M %Z}, to {phones.shown(event.number)}"]
    if event.author.startswith("+"):
        lines.append("Answer this mail to text back.")
    if talk.text and talk.texted_at is not None:
        sent = talk.texted_at.astimezone(rules.timezone)
        lines += ["", f"On {sent:%Y-%m-%d %H:%M} we texted:", *(f"> {line}" for line in talk.text.split("\n"))]
    return "\n".join(lines) + "\n"


def _person(author: str, rules: Rules) -> str:
    employee = rules.employee_at(author)
    return employee.name if employee else ""


def _shown(author: str) -> str:
    return phones.shown(Phone(author)) if author.startswith("+") else author


def _number(event: TextIn, rules: Rules) -> str:
    number = rules.number_at(event.number)
    return number.name if number else str(event.number)


def _fallback(talk: Conversation, rules: Rules) -> str:
    sender = rules.sender(talk.sender)
    options = [sender.reply_fallback if sender else "", *(a for a in rules.alarm_to if "@" in a)]
    return next((o for o in options if o and o.lower() != talk.reply_to.lower()), "")


def status(inbound: InboundHook, intent: Status, facts: Facts, rules: Rules, now: datetime) -> Writes:
    """What a provider's status does: the fate moves forward, and a bad end is told once."""
    event = intent.event
    found = facts.deliveries.get(event.delivery) or facts.by_remote.get((inbound.provider, event.remote_id))
    if found is None or found.courier != inbound.provider:
        return Writes()
    fate = _FATES[event.status]
    move = Move(
        delivery=found.id,
        fate=fate,
        code=event.code,
        note=f"{inbound.provider} says {event.status}" + (f" ({event.code})" if event.code else ""),
        remote_id=event.remote_id,
        source=inbound.provider,
    )
    told = Writes()
    message = facts.messages.get(found.message)
    if fate is Fate.FAILED and message is not None and found.fate not in BAD_ENDS | {Fate.DELIVERED}:
        told = notice.failure(message, _why(event, inbound.provider), event.code, fate, rules, now)
    return Writes(moves=(move,)).joined(told)


def _why(event: StatusIn, provider: str) -> str:
    words = codes.sentence(event.code)
    return f"{provider} reports {event.status}" + (f", error {event.code}: {words}" if event.code else "")


def bounce(
    inbound: InboundMail, intent: Report, reading: Reading, facts: Facts, rules: Rules, now: datetime
) -> Writes:
    """What a mail to a b- address does: a permanent failure ends a delivery that had been handed over."""
    found = facts.by_bounce.get(intent.token)
    if found is None or not reading.bounce or reading.bounce[0] != "failed":
        return Writes()
    _, status_code, words = reading.bounce
    move = Move(delivery=found.id, fate=Fate.FAILED, code=status_code, note=f"bounced: {words}"[:500], source="bounce")
    message = facts.messages.get(found.message)
    if message is None or found.fate in BAD_ENDS:
        return Writes(moves=(move,))
    why = f"the mail to {found.to} came back: {words}"
    return Writes(moves=(move,)).joined(notice.failure(message, why, status_code, Fate.FAILED, rules, now))
