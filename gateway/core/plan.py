"""What must be done about an inbound: intents and facts in, a set of writes out."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from gateway.core import address, arrival, by_mail, doubt, enroll, incoming, notice, outgoing
from gateway.core.desk import Desk, told_of
from gateway.core.facts import Facts
from gateway.core.forecast import preview
from gateway.core.forward import forward
from gateway.core.intent import (
    Answered,
    ConsentChange,
    Enroll,
    Forward,
    Ignored,
    Intent,
    NotForUs,
    Preview,
    Reply,
    ReplyByMail,
    Report,
    SendText,
    Status,
)
from gateway.core.model import InboundHook, InboundMail, Picture, Reading, Unreadable
from gateway.core.rules import Rules
from gateway.core.work import NO_WRITES, Plan, Writes


def make(
    inbound: InboundMail | InboundHook,
    reading: Reading | Unreadable | None,
    intents: tuple[Intent, ...],
    facts: Facts,
    rules: Rules,
    now: datetime,
    pictures: tuple[Picture, ...] = (),
) -> Plan:
    """The plan for one inbound: one transaction or nothing.  Its ids derive, so planning twice is harmless.

    `facts` answers `intent.needs`; its fresh tokens name new conversations, bounce addresses and files.
    `pictures` came with the text or are attached to the mail.
    """
    tokens = iter(facts.fresh)
    if isinstance(inbound, InboundHook):
        writes = _hook(inbound, intents, facts, rules, now, tokens, pictures)
        note = "" if writes != Writes() else "it speaks of no text of ours, or of an attempt that another one followed"
        return Plan(inbound=inbound.id, writes=writes, note=note)
    if not isinstance(reading, Reading):
        reason = reading.reason if reading else "the mail was not read"
        return parked(inbound, reason, rules, now, facts)
    desk = Desk(mail=inbound, reading=reading, facts=facts, rules=rules, now=now, tokens=tokens, pictures=pictures)
    joined = NO_WRITES
    for intent in intents:
        joined = joined.joined(_mail(intent, desk, joined))
    return Plan(inbound=inbound.id, writes=joined, note="; ".join(desk.notes))


def _hook(
    inbound: InboundHook,
    intents: tuple[Intent, ...],
    facts: Facts,
    rules: Rules,
    now: datetime,
    tokens: Iterator[str],
    pictures: tuple[Picture, ...],
) -> Writes:
    joined = Writes()
    for intent in intents:
        match intent:
            case Reply():
                joined = joined.joined(arrival.arrived(inbound, intent, facts, rules, now, tokens, pictures))
            case Status():
                joined = joined.joined(incoming.status(inbound, intent, facts, rules, now, tokens))
            case _:
                raise TypeError(f"{type(intent).__name__} cannot come from a hook")
    return joined


def _mail(intent: Intent, desk: Desk, made: Writes) -> Writes:
    """The writes for one recipient; `made` are those of the recipients before him."""
    match intent:
        case SendText():
            return outgoing.text(intent, desk)
        case Preview():
            return preview(intent, desk)
        case ConsentChange():
            return outgoing.consent(intent, desk)
        case Forward():
            return forward(intent, desk)
        case Report():
            answer = by_mail.to_bounce(intent, desk, made)
            return _bounce(intent, desk) if answer is None else answer
        case ReplyByMail():
            return by_mail.replied(intent, desk, made)
        case Enroll():
            return enroll.asked(intent, desk)
        case Answered():
            question = desk.facts.questions.get(intent.token)
            enrolled = question is not None and question.kind == "enroll"
            return enroll.answered(intent, desk) if enrolled else doubt.answered(intent, desk)
        case Ignored():
            return outgoing.ignored(intent, desk)
        case NotForUs():
            return outgoing.not_for_us(intent, desk)
        case _:
            raise TypeError(f"{type(intent).__name__} cannot come from a mail that was read")


def _bounce(intent: Report, desk: Desk) -> Writes:
    writes = incoming.bounce(intent, desk.reading, desk.facts, desk.rules, desk.now, desk.tokens)
    if writes == Writes():
        desk.notes.append(f"{intent.recipient.address}: no failure of a mail of ours is reported")
    return writes


def parked(inbound: InboundMail | InboundHook, reason: str, rules: Rules, now: datetime, facts: Facts) -> Plan:
    """What nobody could read stays raw until a person acts; the admin is told, and who sent it where we know him."""
    if isinstance(inbound, InboundMail):
        recipients = ", ".join(r.address for r in inbound.envelope.recipients)
        what = f"A mail from {inbound.envelope.mail_from or '<>'} to {recipients}"
        subject, told = "A mail could not be read", told_of(inbound, rules)
    else:
        what = f"What {inbound.provider} told us ({inbound.id})"
        subject, told = "A text or a status could not be read", ""
    text = "\n".join(
        [
            f"{what} could not be read, so nothing followed from it.",
            "",
            f"Why: {reason}",
            "",
            "It is kept as it came.  Show it:        gateway queue show --raw " + inbound.id,
            "Try again, for example after an update: gateway queue retry " + inbound.id,
            "Give it up:                             gateway queue cancel " + inbound.id,
            "",
        ]
    )
    key = f"parked.{inbound.id}"
    writes = notice.alarm(key, subject, text, rules, now, facts.confirmations, tokens=facts.fresh)
    if told and not any(address.same(told, a) for a in rules.alarm_to):
        one = notice.to_mailbox(f"{inbound.id}.parked", inbound.id, told, subject, text, rules, now)
        writes = writes.joined(one)
    return Plan(inbound=inbound.id, parked=reason, writes=writes)
