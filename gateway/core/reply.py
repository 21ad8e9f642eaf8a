"""What a person texted, as a mail on the thread of its job."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from gateway.core import address, compose, notice, policy, respond
from gateway.core import phone as phones
from gateway.core.facts import Facts
from gateway.core.intent import Reply, mailboxes
from gateway.core.model import Consent, Conversation, InboundHook, Kind, Phone, Picture, TextIn
from gateway.core.respond import Effect
from gateway.core.rules import Answer, Rules
from gateway.core.thread import Belonging, inbox, named
from gateway.core.work import Delivery, MailParcel, Message

_LISTED = 5  # other jobs that a mail names


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """A person's text and all that the mail about it says."""

    inbound: InboundHook
    event: TextIn
    about: Belonging
    talk: Conversation  # of `about`, with this text in it
    intent: Reply
    entry: Consent | None = None  # what its keyword entered in the ledger
    found: Answer | None = None  # the [[answer]] that fits
    notes: tuple[str, ...] = ()  # lines in brackets
    pictures: tuple[Picture, ...] = ()


def phone_of(author: str, rules: Rules) -> Phone | None:
    """The phone that can be texted back; None for a short code or a name."""
    return phones.parse(author, rules.country) if author.startswith("+") else None


def shown(author: str, rules: Rules) -> str:
    """An author for people."""
    phone = phone_of(author, rules)
    return phones.shown(phone) if phone else author


def message(heard: Heard, rules: Rules, now: datetime) -> Message:
    """The message: a person's words to the mailbox of a conversation."""
    event, talk, about = heard.event, heard.talk, heard.about
    phone = phone_of(event.author, rules)
    employee = rules.employee_at(event.author)
    subject = compose.again(talk.subject) if talk.subject else f"Text from {shown(event.author, rules)}"
    if heard.found and heard.found.subject_tag:
        subject = f"{heard.found.subject_tag} {subject}"
    rule = f"conversation {talk.job}" if about.known and talk.sender else f"inbox of number {_name(event, rules)}"
    rule += "; reopened" if about.reopened else ""
    return Message(
        id=f"{heard.inbound.id}.1",
        inbound=heard.inbound.id,
        kind=Kind.REPLY,
        sender=talk.sender,
        recipient=talk.reply_to,
        phone=phone,
        person=employee.name if employee else "",
        conversation=talk.id if phone else "",
        subject=subject,
        text=event.text,
        rule=f"{rule}; [[answer]] {heard.found.place}" if heard.found else rule,
        at=now,
        report_to=fallback(talk, rules),
    )


def delivery(made: Message, heard: Heard, facts: Facts, rules: Rules, now: datetime, bounce: str) -> Delivery:
    """The mail itself, on the thread, in the person's name."""
    event, talk = heard.event, heard.talk
    local = "".join(c for c in event.author if c.isascii() and c.isalnum()).lower()
    data = compose.reply(
        name=shown(event.author, rules),
        address=rules.relay_sender or f"{local or 'unknown'}@{rules.domain}",
        answer_to=f"r-{talk.id}@{rules.domain}" if made.phone else "",
        to=talk.reply_to,
        subject=made.subject,
        text="\n".join(_lines(made.phone, heard, facts, rules, now)),
        message_id=notice.mail_id(event.remote_id, rules),
        in_reply_to=talk.message_id,
        references=(*talk.references, talk.message_id),
        at=heard.inbound.at,
        domain=rules.domain,
        attachments=tuple(p for p in heard.pictures if p.data),
        header=heard.found.header if heard.found else (),
    )
    parcel = MailParcel(mail_from=rules.relay_sender or f"b-{bounce}@{rules.domain}", rcpt_to=talk.reply_to, data=data)
    return notice.mail_delivery(made, parcel, now, bounce=bounce)


def reopened(talk: Conversation, event: TextIn, rules: Rules, now: datetime) -> Conversation:
    """The conversation after the text: heard, and open for longer."""
    return replace(talk, reply_to=talk.reply_to or inbox(event, rules), heard_at=now, closes_at=now + rules.close_after)


def _lines(phone: Phone | None, heard: Heard, facts: Facts, rules: Rules, now: datetime) -> list[str]:
    lines = _words(heard) + _what_it_did(heard, facts, rules, now)
    for note in (*heard.notes, *_others(heard.about)):
        lines += ["", note]
    lines += signed(heard.event.author, heard.inbound.at, f"to {phones.shown(heard.event.number)}", rules)
    return lines + how_to_answer(phone, heard.entry, facts, rules) + quoted(heard.talk, rules)


def _words(heard: Heard) -> list[str]:
    enclosed = attached(heard.pictures)
    lines = [heard.event.text] if heard.event.text else [] if enclosed else ["(no words)"]
    return lines + [line for one in (*enclosed, *left_out(heard)) for line in ("", one)]


def attached(pictures: tuple[Picture, ...]) -> list[str]:
    """The line that says how much is attached; none where nothing is."""
    good = sum(1 for p in pictures if p.data)
    several = "s" if good > 1 else ""
    return [f"({good} picture{several} or file{several} attached)"] if good else []


def missing(pictures: tuple[Picture, ...]) -> list[str]:
    """What could not be had, in words."""
    return [f"(One picture or file is missing: {p.problem})" for p in pictures if not p.data]


def left_out(heard: Heard) -> tuple[str, ...]:
    """What came with the text and is not in the mail, in words."""
    lines = missing(heard.pictures)
    media = heard.event.media
    if media and not heard.pictures:
        lines.append("\n".join((f"({len(media)} picture or file came with it:)", *media)))
    return tuple(lines)


def _others(about: Belonging) -> Sequence[str]:
    """Says that the text may be about another job, and which."""
    if not about.others:
        return [] if not about.reopened else ["[This conversation had closed; the text opened it again.]"]
    listed = [f"- {named(talk)}" for talk in about.others[:_LISTED]]
    if len(about.others) > _LISTED:
        listed.append(f"- and {len(about.others) - _LISTED} more")
    return [
        "\n".join(
            ["[This person has other open jobs on the same number; the text may be about one of these:", *listed, "]"]
        )
    ]


def _what_it_did(heard: Heard, facts: Facts, rules: Rules, now: datetime) -> list[str]:
    """What a keyword did beside being an answer; nothing of who cannot be opted out, such as a short code."""
    keyword, entry = heard.intent.keyword, heard.entry
    if keyword is None or (keyword.action != "help" and entry is None):
        return []
    if entry is None:
        did = _helped(heard, rules, now)
    else:
        effect = respond.effect(entry.id, entry.phone, facts, rules)
        did = stopped(effect, rules) if keyword.action == "stop" else started(effect, heard.event.number, rules)
    return ["", f"[{keyword.word} {did}]"]


def stopped(effect: Effect, rules: Rules) -> str:
    """What a STOP did, a clause."""
    if effect.after.stopped is None:
        return "opts a phone out, but this phone has texted START since: texts go on."
    return f"opts this phone out: {rules.brand} will not text it again until it texts START."


def started(effect: Effect, ours: Phone, rules: Rules) -> str:
    """What a START to our number `ours` did, a clause; `ours` "" = it came by mail."""
    number = rules.number_at(ours)
    did = {
        "stop": "lifts an earlier STOP of this phone. It is no consent by itself.",
        "doubt": "ends the pause of reminders to this phone. It is no consent by itself.",
        "block": f"lifts the provider's block of our number {number.name if number else ours} for this phone.",
    }
    otherwise = "is also the word that lifts a STOP; "
    otherwise += "there was none." if effect.after.stopped is None else "the one of this phone is newer and stands."
    return did.get(effect.lifts(ours), otherwise)


def _helped(heard: Heard, rules: Rules, now: datetime) -> str:
    number = rules.number_at(heard.event.number)
    if number is None or number.confirms_stop != "gateway":
        return "asks for help; the provider answers it."
    if phone_of(heard.event.author, rules) is None or now - heard.inbound.at > respond.CONFIRM_WITHIN:
        return "asks for help; nothing answers it by itself."
    return "asks for help; the gateway answers it."


def signed(author: str, at: datetime, how: str, rules: Rules) -> list[str]:
    """Who wrote it, when, and `how` it came."""
    local = at.astimezone(rules.timezone)
    return ["", "-- ", f"{shown(author, rules)}, {local:%A %d %B %Y %H:%M %Z}, {how}"]


def how_to_answer(phone: Phone | None, entry: Consent | None, facts: Facts, rules: Rules) -> list[str]:
    """Whether an answer to the mail will be texted, by the ledger as this text leaves it."""
    if phone is None:
        return ["This cannot be answered by text."]
    known = facts.consents.get(phone, ())
    entries = (*known, entry) if entry and all(c.id != entry.id for c in known) else known
    no = policy.forbids(phone, policy.standing(entries, rules.brand), rules, answering=True)
    return ["Answer this mail to text back." if no is None else f"No answer can be texted: this phone {no.why}."]


def quoted(talk: Conversation, rules: Rules) -> list[str]:
    """What we texted last in the conversation."""
    if not talk.text or talk.texted_at is None:
        return []
    sent = talk.texted_at.astimezone(rules.timezone)
    return ["", f"On {sent:%Y-%m-%d %H:%M} we texted:", *(f"> {line}" for line in talk.text.split("\n"))]


def _name(event: TextIn, rules: Rules) -> str:
    number = rules.number_at(event.number)
    return number.name if number else str(event.number)


def fallback(talk: Conversation, rules: Rules) -> str:
    """The mailbox behind that of a conversation, "" = none."""
    sender = rules.sender(talk.sender)
    options = (sender.reply_fallback if sender else "", *mailboxes(rules))
    return next((o for o in options if o and not address.same(o, talk.reply_to)), "")
