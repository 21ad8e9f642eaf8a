"""A text that may be a STOP without being its word: texts by machine pause, and a person of the shop is asked once.

47 CFR 64.1200(a)(10): a person may revoke consent in any reasonable way, not only by a keyword.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from gateway.core import address, compose, notice, policy, suspect
from gateway.core import phone as phones
from gateway.core.desk import Desk, refused
from gateway.core.facts import Facts
from gateway.core.intent import Answered, mailboxes
from gateway.core.model import Consent, Door, Kind, Phone, Question
from gateway.core.rules import Rules
from gateway.core.work import MailParcel, Message, Writes

_OPEN_FOR = timedelta(days=30)
YES = frozenset({"yes", "y", "ja", "si", "sí", "oui"})
NO = frozenset({"no", "n", "nein", "non", "nope"})
_WORD = re.compile(r"[^\W\d_]+")


def raised(facts: Facts, phone: Phone, rules: Rules) -> bool:
    """Whether there is no point in asking: the phone is opted out, or the question stands."""
    state = policy.standing(facts.consents.get(phone, ()), rules.brand)
    return any((state.stopped, state.revoked, state.suspended)) or rules.employee_at(phone) is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubt:
    """What may be a STOP."""

    id: str  # derived from what raised it, so that asking twice writes once
    inbound: str
    sender: str  # the [[sender]] whose conversation it is
    mailbox: str  # who is asked
    phone: Phone
    number: str  # name of the number of ours that it is about
    words: str  # the person's, "" where the provider raised it
    why: str  # a clause that says what was noticed
    source: str  # who recorded it
    at: datetime  # when the person wrote


def ask(doubt: Doubt, token: str, rules: Rules, now: datetime) -> Writes:
    """The pause of texts by machine, and the question by mail with its a- address."""
    entry = Consent(
        id=f"{doubt.id}.suspend",
        brand=rules.brand,
        phone=doubt.phone,
        at=doubt.at,
        action="suspend",
        method="keyword" if doubt.words else "provider",
        evidence=f"{doubt.why}; question {token}"[:500],
        recorded_by=doubt.source,
        raw=doubt.words[:500],
    )
    question = Question(
        id=token,
        kind="stop",
        sender=doubt.sender,
        phone=doubt.phone,
        number=doubt.number,
        asked_at=now,
        closes_at=now + _OPEN_FOR,
        text=doubt.words[:500],
    )
    return Writes(consents=(entry,), questions=(question,)).joined(mail(_asked(doubt, rules, now), token, rules, now))


def _asked(doubt: Doubt, rules: Rules, now: datetime) -> Message:
    """The question as a message.  Nobody would know why the texts pause: where it cannot be delivered, another mailbox
    hears of it.
    """
    text = _text(doubt.phone, doubt.words, doubt.why, rules)
    subject, to = _subject(doubt.phone), doubt.mailbox
    told = notice.told_message(f"{doubt.id}.question", Kind.QUESTION, None, to, subject, text, now, doubt.inbound)
    other = next((a for a in mailboxes(rules) if not address.same(a, to)), "")
    return replace(told, sender=doubt.sender, rule=f"question to {to}", report_to=other)


def mail(told: Message, token: str, rules: Rules, now: datetime, *, about: str = "") -> Writes:
    """`told` as a mail whose answer comes to the a- address of `token`; without one it asks nothing."""
    data = compose.notice(
        sender=notice.author(rules),
        reply_to=f"a-{token}@{rules.domain}" if token else "",
        to=told.recipient,
        subject=told.subject,
        text=told.text,
        message_id=notice.mail_id(told.id, rules),
        at=now,
        domain=rules.domain,
        in_reply_to=about,
    )
    made = notice.mail_delivery(told, MailParcel(mail_from="", rcpt_to=told.recipient, data=data), now)
    return Writes(messages=(told,), deliveries=(made,))


def _subject(phone: Phone) -> str:
    return f"Did {phones.shown(phone)} ask not to be texted?"


def _text(phone: Phone, words: str, why: str, rules: Rules) -> str:
    shown = phones.shown(phone)
    said = [f"{shown} texted:", "", *(f"> {line}" for line in words.split("\n")), ""] if words else []
    return "\n".join(
        [
            *said,
            f"{why[0].upper()}{why[1:]}.",
            "",
            f"Is this a wish not to be texted by {rules.brand}?",
            "",
            "Answer this mail with yes: the phone is opted out, as if it had said STOP.",
            "Answer this mail with no:  texts go on.",
            "",
            "Until then no reminders go to this phone; answers that a person writes still do.",
            "",
        ]
    )


def answered(intent: Answered, desk: Desk) -> Writes:
    """What a person of the shop decided: opted out, or texts go on.  Anything but yes or no is asked again."""
    question = desk.facts.questions.get(intent.token)
    if question is None or question.kind != "stop":
        return refused(intent.recipient, None, "there is no such question", "5.1.1", desk)
    if question.answered_at is not None:
        desk.notes.append(f"the question was answered with {question.answer} before")
        return Writes()
    found = _decision(desk.reading.answer)
    if not found:
        return _again(question, intent.token, desk)
    desk.notes.append(f"the question about {question.phone} is answered: {found}")
    done = Writes(questions=(replace(question, answered_at=desk.now, answer=found),))
    why = _pointless(question, found, desk)
    if why:
        desk.notes.append(f"it changes nothing: {why}")
        return done.joined(_unchanged(question, found, why, desk))
    author = desk.reading.author or desk.mail.envelope.mail_from
    entry = Consent(
        id=f"{desk.mail.id}.{question.id}",
        brand=desk.rules.brand,
        phone=question.phone,
        at=desk.now,
        action="stop" if found == "yes" else "resume",
        method="mail",
        evidence=f"question {question.id} answered {found} by {author}"[:500],
        recorded_by=desk.mail.sender or "mail",
        raw=question.text,
    )
    return replace(done, consents=(entry,))


def _pointless(question: Question, found: str, desk: Desk) -> str:
    """Why an answer changes nothing, a sentence for people; "" = it does.

    The person's own word since counts more.  What others entered meanwhile undoes no yes: it says what he meant.
    """
    entries = [e for e in desk.facts.consents.get(question.phone, ()) if e.brand == desk.rules.brand]
    state = policy.standing(entries, desk.rules.brand)
    if state.stopped is not None:
        return f"the phone {policy.stop_of(state.stopped)} already"
    started = max((e.at for e in entries if e.action == "start"), default=None)
    if started is not None and started > question.asked_at:
        return f"the person texted START on {started:%Y-%m-%d}, after the question was asked"
    if found == "no" and state.suspended is None:
        return "texts to the phone did not pause any more: consent was entered since"
    return ""


def _unchanged(question: Question, found: str, why: str, desk: Desk) -> Writes:
    """The word to who answered that it came to nothing: he would rely on it."""
    to = back(desk)
    if not to:
        return Writes()
    text = f"Your answer was {found}, but nothing was changed, because {why}.\n"
    text += f"Its entries: gateway consent show {question.phone}\n"
    ident = f"{question.id}.unchanged"
    subject = _subject(question.phone)
    told = notice.told_message(ident, Kind.REPORT, None, to, subject, text, desk.now, desk.mail.id)
    return mail(told, "", desk.rules, desk.now, about=desk.reading.message_id)


def back(desk: Desk) -> str:
    """Who answered; "" when nobody can be told.  From outside only From is proven, not where it wants its answer."""
    if desk.mail.door is Door.PUBLIC:
        return desk.reading.author or ""
    return desk.reading.reply_to or desk.reading.author or desk.mail.envelope.mail_from


def _decision(words: str) -> str:
    """ "yes" or "no" by the first word of an answer; "" for anything else.

    "No more texts" is no no: what may be a STOP itself decides nothing.
    """
    found = _WORD.search(words[:200])
    word = found[0].casefold() if found else ""
    if word in NO:
        return "" if suspect.suspected(words) else "no"
    return "yes" if word in YES or word == "stop" else ""


def _again(question: Question, token: str, desk: Desk) -> Writes:
    to = back(desk)
    if not to:
        return Writes()
    text = "Your answer was neither yes nor no, so nothing was changed.\n\n" + _text(
        question.phone, question.text, "one word is enough: yes or no", desk.rules
    )
    # Once an hour: two machines that answer each other must come to an end.
    ident = f"{question.id}.again.{desk.now:%Y-%m-%d-%H}"
    subject = _subject(question.phone)
    told = notice.told_message(ident, Kind.QUESTION, None, to, subject, text, desk.now, desk.mail.id)
    desk.notes.append(f"the question about {question.phone} is asked again: neither yes nor no")
    return mail(told, token, desk.rules, desk.now, about=desk.reading.message_id)
