"""What an employee answers to a carrier text, as a mail on the thread of its job: see reply.py for what texts make.

Anybody may write what a carrier writes, and not every carrier signs: the mail says so where nothing proves the phone.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from gateway.core import address, admit, arrival, bounce, compose, mime, notice, policy, reply, respond, trial
from gateway.core import phone as phones
from gateway.core.address import ToConversation
from gateway.core.desk import Desk, refused
from gateway.core.facts import Facts
from gateway.core.intent import ReplyByMail, Report, bare_subject, mailboxes
from gateway.core.keyword import Keyword, keyword
from gateway.core.model import Consent, Conversation, Kind, Phone, Question, Reading, Recipient
from gateway.core.work import Delivery, MailParcel, Message, Writes

_BY_MAIL = Phone("")  # in place of the number of ours that a START was texted to
_ROUNDED = timedelta(minutes=1)  # what the clock of a carrier may be slow; a Date knows no parts of seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class _Heard:
    """A mail of a phone, and all that the mail about it says."""

    recipient: Recipient
    talk: Conversation  # with this mail in it
    phone: Phone
    author: str  # From
    words: str
    notes: tuple[str, ...] = ()  # lines in brackets
    entry: Consent | None = None  # what its keyword entered in the ledger

    @property
    def domain(self) -> str:
        return address.mail_domain(self.author)


def replied(intent: ReplyByMail, desk: Desk, made: Writes) -> Writes:
    """What follows from a phone's mail to r-; the conversation must be with that phone.  `made` is the plan so far."""
    talk = admit.conversation(desk.facts, intent.target.token)
    if talk is None:
        return refused(intent.recipient, None, "there is no such conversation", "5.1.1", desk)
    if admit.texter(intent.target, desk.facts, desk.rules) != intent.phone:
        why = f"{desk.reading.author} is no employee's phone that this conversation is with"
        return refused(intent.recipient, None, why, "5.7.1", desk)
    return _answered(talk, intent.phone, intent.recipient, desk, made)


def to_bounce(intent: Report, desk: Desk, made: Writes) -> Writes | None:
    """The same for a mail to b-, where some carriers send it; None where it is no answer of the phone texted."""
    found = desk.facts.by_bounce.get(intent.token)
    message = desk.facts.messages.get(found.message) if found else None
    talk = admit.conversation(desk.facts, message.conversation) if message else None
    if talk is None or intent.phone is None:
        return None
    if admit.texter(ToConversation(talk.id), desk.facts, desk.rules) != intent.phone:
        return None
    return _answered(talk, intent.phone, intent.recipient, desk, made)


def _answered(talk: Conversation, phone: Phone, recipient: Recipient, desk: Desk, made: Writes) -> Writes:
    if any((m.kind, m.conversation) == (Kind.REPLY, talk.id) for m in made.messages):
        desk.notes.append(f"{recipient.address} is of a conversation that this mail answers already")
        return Writes()
    words = _words(desk.reading, talk)
    kept = replace(
        talk,
        reply_to=talk.reply_to or next(iter(mailboxes(desk.rules)), f"postmaster@{desk.rules.domain}"),
        heard_at=desk.now,
        closes_at=desk.now + desk.rules.close_after,
    )
    heard = _Heard(recipient=recipient, talk=kept, phone=phone, author=str(desk.reading.author), words=words)
    question = _tested(phone, words, desk)
    tested = trial.passed(question, desk.mail, heard.author, desk.rules, desk.now) if question else Writes()
    if question is not None and not talk.sender:
        desk.notes.append(f"{recipient.address}: the code of the test is answered")
        return tested.joined(Writes(conversations=(kept,)))
    heard, facts = _noted(heard, talk, question, desk)
    message = _message(heard, talk, desk)
    mail = _delivery(message, heard, facts, desk)
    entries = (heard.entry,) if heard.entry else ()
    own = Writes(messages=(message,), deliveries=(mail,), consents=entries, conversations=(kept,))
    return own.joined(tested)


def _words(reading: Reading, talk: Conversation) -> str:
    """What the person wrote; a phone may put all of it in the subject."""
    return reading.answer or _subject(reading, talk)


def _subject(reading: Reading, talk: Conversation) -> str:
    """The subject that the person wrote, "" where it is that of the conversation."""
    written = bare_subject(reading.subject)
    return "" if written.casefold() == bare_subject(talk.subject).casefold() else written


def _tested(phone: Phone, words: str, desk: Desk) -> Question | None:
    """The open question whether the phone's address works, where its code stands in the words: as the only number of
    its length, not in our own sentence, and in no mail whose subject says that ours came back.
    """
    if bounce.suspected(desk.reading):
        return None
    for question in desk.facts.questions.values():
        code = question.text
        asked = (question.kind, question.phone, question.answered_at) == ("test", phone, None)
        if asked and code and question.closes_at > desk.now:
            own = re.sub(rf"please[\s>]+answer[\s>]+with[\s>]+{re.escape(code)}", "", words, flags=re.IGNORECASE)
            if {code} == set(re.findall(rf"(?<!\d)\d{{{len(code)}}}(?!\d)", own)):
                return question
    return None


def _noted(heard: _Heard, before: Conversation, question: Question | None, desk: Desk) -> tuple[_Heard, Facts]:
    """The mail with its notes and what its keyword enters, and the facts as that leaves them."""
    said = keyword(heard.words)
    entry = _entry(said, heard, desk) if said else None
    facts = arrival.entered(desk.facts, (entry,) if entry else ())
    notes = [] if desk.mail.proven else [_unproven(heard.domain)]
    if said is not None:
        notes.append(f"[{said.word} {_did(entry, facts, heard, desk)}]")
    if entry is not None and not _taken(entry, facts, desk):
        if _stands(entry, facts, desk):
            desk.notes.append(f"{heard.recipient.address}: the START was not taken, since nothing proves the phone")
        entry, facts = None, desk.facts
    if question is not None:
        notes.append("[It is the code of a test: the text address of this phone works.]")
    if before.closes_at <= desk.now:
        notes.append("[This conversation had closed; the answer opened it again.]")
    return replace(heard, entry=entry, notes=tuple(notes)), facts


def _unproven(domain: str) -> str:
    return f"[Not verified: nothing proves that this came from the phone: no signature of {domain}.]"


def _entry(said: Keyword, heard: _Heard, desk: Desk) -> Consent | None:
    """What a STOP or START enters in the ledger; its id derives from the mail."""
    if said.action not in ("stop", "start"):
        return None
    return Consent(
        id=f"{desk.mail.id}.{said.action}",
        brand=desk.rules.brand,
        phone=heard.phone,
        at=desk.mail.at if said.action == "stop" else _said_at(desk),
        action=said.action,
        method="keyword",
        evidence=f"mail {desk.mail.id} from {heard.author}, {desk.mail.proven or policy.NOT_VERIFIED}",
        recorded_by=policy.BY_MAIL,
        raw=heard.words[:500],
        # Not "": what a provider blocks is lifted by a START to its number alone, and the provider has heard of none.
        number=heard.recipient.address,
    )


def _said_at(desk: Desk) -> datetime:
    """When a START was written: a mail may wait for days, and a STOP that came meanwhile is the later word."""
    written = mime.written_at(desk.reading)
    return desk.mail.at if written is None else min(desk.mail.at, written + _ROUNDED)


def _taken(entry: Consent, facts: Facts, desk: Desk) -> bool:
    """Whether an entry is made.  A STOP is, whoever wrote it; a START of somebody else would undo the person's own, so
    one that is not proven is taken only where it lifts a STOP that was not either.  `facts` hold the entry.
    """
    if entry.action == "stop" or desk.mail.proven:
        return True
    return respond.effect(entry.id, entry.phone, facts, desk.rules).lifts(_BY_MAIL) == "stop"


def _stands(entry: Consent, facts: Facts, desk: Desk) -> bool:
    """Whether there is a STOP, or a doubt about one, that the START `entry` leaves as it is."""
    after = respond.effect(entry.id, entry.phone, facts, desk.rules).after
    return after.stopped is not None or after.suspended is not None


def _did(entry: Consent | None, facts: Facts, heard: _Heard, desk: Desk) -> str:
    """What the keyword did, a clause.  `facts` hold the entry, taken or not."""
    if entry is None:
        return "asks for help; nothing answers it by itself."
    effect = respond.effect(entry.id, entry.phone, facts, desk.rules)
    if entry.action == "stop":
        return reply.stopped(effect, desk.rules)
    if not desk.mail.proven and effect.lifts(_BY_MAIL) == "stop":
        return "lifts an earlier STOP of this phone, which was not verified either. It is no consent by itself."
    if desk.mail.proven or not _stands(entry, facts, desk):
        return reply.started(effect, _BY_MAIL, desk.rules)
    stop = effect.after.stopped
    stands = f"this phone {policy.stop_of(stop)}, and that stands" if stop else "reminders to it stay paused"
    texted = ", or that is texted to a number of ours," if desk.rules.numbers else ""
    why = f"was not taken, since nothing proves that it came from the phone: {stands}."
    return f"{why} A START that {heard.domain} signs{texted} lifts it."


def _message(heard: _Heard, before: Conversation, desk: Desk) -> Message:
    talk, rules = heard.talk, desk.rules
    employee = rules.employee_at(heard.phone)
    rule = f"conversation {talk.job}, by mail from {heard.domain} ({desk.mail.proven or 'not verified'})"
    return Message(
        id=desk.next_id(),
        inbound=desk.mail.id,
        kind=Kind.REPLY,
        sender=talk.sender,
        recipient=talk.reply_to,
        phone=heard.phone,
        person=employee.name if employee else "",
        conversation=talk.id,
        subject=compose.again(talk.subject) if talk.subject else f"Text from {phones.shown(heard.phone)}",
        text=heard.words or _linked(desk.reading),
        cut=desk.reading.answer_cut,
        rule=rule if before.closes_at > desk.now else f"{rule}; reopened",
        at=desk.now,
        report_to=reply.fallback(talk, rules),
        message_id=desk.reading.message_id,
    )


def _delivery(message: Message, heard: _Heard, facts: Facts, desk: Desk) -> Delivery:
    """The mail itself, on the thread, in the person's name."""
    talk, rules, bounce = heard.talk, desk.rules, next(desk.tokens)
    data = compose.reply(
        name=phones.shown(heard.phone),
        address=rules.relay_sender or f"{heard.phone.removeprefix('+')}@{rules.domain}",
        answer_to=f"r-{talk.id}@{rules.domain}",
        to=talk.reply_to,
        subject=message.subject,
        text="\n".join(_lines(heard, facts, desk)),
        message_id=notice.mail_id(message.id, rules),
        in_reply_to=talk.message_id,
        references=(*talk.references, talk.message_id),
        at=desk.mail.at,
        domain=rules.domain,
        attachments=tuple(p for p in desk.pictures if p.data),
    )
    parcel = MailParcel(mail_from=rules.relay_sender or f"b-{bounce}@{rules.domain}", rcpt_to=talk.reply_to, data=data)
    return notice.mail_delivery(message, parcel, desk.now, bounce=bounce)


def _lines(heard: _Heard, facts: Facts, desk: Desk) -> list[str]:
    came = filter(None, (heard.words, _titled(heard, desk.reading), _linked(desk.reading), *_enclosed(desk)))
    said = [*came] or ["(no words)"]
    lines = [said[0], *(line for one in (*said[1:], *heard.notes) for line in ("", one))]
    lines += reply.signed(heard.phone, desk.mail.at, f"by mail from {heard.author}", desk.rules)
    return (
        lines + reply.how_to_answer(heard.phone, heard.entry, facts, desk.rules) + reply.quoted(heard.talk, desk.rules)
    )


def _titled(heard: _Heard, reading: Reading) -> str:
    """The subject, where it says what the words do not."""
    subject = _subject(reading, heard.talk)
    return f"(Its subject: {subject})" if subject and subject.casefold() not in heard.words.casefold() else ""


def _linked(reading: Reading) -> str:
    return f"(The message is kept by the carrier at {reading.link})" if reading.link else ""


def _enclosed(desk: Desk) -> list[str]:
    """What came with the words, and what of it could not be had, each a line.  Sounds and films are never attached."""
    left = desk.reading.pictures - len(desk.pictures)
    what = "A file came with it and is" if left == 1 else f"{left} files came with it and are"
    told = [f"({what} not attached: gateway queue show --raw {desk.mail.id})"] if left > 0 else []
    return [*reply.attached(desk.pictures), *reply.missing(desk.pictures), *told]
