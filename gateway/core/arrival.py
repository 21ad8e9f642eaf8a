"""Everything that follows from a person's text: the reply mail, what its words do, what is texted back by itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

from gateway.core import ask, compose, doubt, policy, reply, respond, suspect, thread
from gateway.core.doubt import Doubt
from gateway.core.facts import Facts
from gateway.core.incoming import keyword_entry
from gateway.core.intent import WAITING, Reply
from gateway.core.model import Consent, Conversation, Fate, InboundHook, Picture, Question
from gateway.core.reply import Heard
from gateway.core.rules import Rules
from gateway.core.thread import Belonging
from gateway.core.work import Delivery, MailParcel, Move, Writes

_BETWEEN = "\n\n"  # the notes of a reply mail that waits, in Message.cut: it may be written anew for another job


def arrived(
    inbound: InboundHook,
    intent: Reply,
    facts: Facts,
    rules: Rules,
    now: datetime,
    tokens: Iterator[str],
    pictures: tuple[Picture, ...] = (),
) -> Writes:
    """The writes for one text that came in.  `pictures` are what came with it, looked into, or why they are missing."""
    question = ask.open_question(intent.event, facts, rules, now) if intent.keyword is None else None
    chosen = ask.settled(question, intent.event, facts, now) if question and not pictures else None
    if chosen is not None:
        return _settled(inbound, intent, *chosen, facts, rules, now, tokens)
    about = thread.belonging(intent.event, facts, rules, now, tokens)
    heard = Heard(
        inbound=inbound,
        event=intent.event,
        about=about,
        talk=reply.reopened(about.talk, intent.event, rules, now),
        intent=intent,
        entry=keyword_entry(inbound, intent, rules.brand),
        pictures=pictures,
    )
    heard, more = _doubted(heard, facts, rules, now, tokens)
    facts = entered(facts, (*more.consents, *((heard.entry,) if heard.entry else ())))
    heard, texts = _texted_back(heard, facts, rules, now)
    asks = _asked(heard, question, facts, rules, now, tokens)
    return _mailed(heard, facts, rules, now, tokens, asks).joined(more).joined(texts)


def entered(facts: Facts, entries: tuple[Consent, ...]) -> Facts:
    """The facts as what came in leaves them; the door may have made the entry of a keyword already."""
    if not entries:
        return facts
    consents = dict(facts.consents)
    for entry in entries:
        known = consents.get(entry.phone, ())
        if all(c.id != entry.id for c in known):
            consents[entry.phone] = (*known, entry)
    return replace(facts, consents=consents)


def _mailed(heard: Heard, facts: Facts, rules: Rules, now: datetime, tokens: Iterator[str], asks: Writes) -> Writes:
    """The reply mail; it waits for the answer where the person has been asked which job is meant."""
    question = asks.questions[0] if asks.questions else None
    made = reply.message(heard, rules, now)
    if question is not None:
        made = replace(made, cut=_BETWEEN.join((*reply.left_out(heard), *heard.notes)))
        heard = replace(heard, notes=(*heard.notes, "[The person was asked by text which job is meant.]"))
    mail = reply.delivery(made, heard, facts, rules, now, next(tokens))
    if question is not None:
        mail, question = ask.waiting(mail, question, now)
        asks = replace(asks, questions=(question,))
    own = Writes(
        messages=(made,),
        deliveries=(mail,),
        consents=(heard.entry,) if heard.entry else (),
        conversations=(heard.talk,) if made.phone else (),
    )
    return own.joined(asks)


def _doubted(heard: Heard, facts: Facts, rules: Rules, now: datetime, tokens: Iterator[str]) -> tuple[Heard, Writes]:
    """Where the words look like a STOP and are none: the pause, the question, and a line that says so."""
    phone = reply.phone_of(heard.event.author, rules)
    phrase = "" if heard.intent.keyword or phone is None else suspect.suspected(heard.event.text)
    if not phrase or phone is None or doubt.raised(facts, phone, rules):
        return heard, Writes()
    may_be = Doubt(
        id=heard.inbound.id,
        inbound=heard.inbound.id,
        sender=heard.talk.sender,
        mailbox=heard.talk.reply_to,
        phone=phone,
        number=heard.talk.number,
        words=heard.event.text,
        why=f'"{phrase}" may mean that no more texts are wanted',
        source=heard.inbound.provider,
        at=heard.inbound.at,
    )
    asked = doubt.ask(may_be, next(tokens), rules, now)
    after = entered(facts, asked.consents).consents[phone]
    if policy.standing(after, rules.brand).suspended is None:
        return heard, Writes()  # the person has said START since
    note = "[This may be a wish not to be texted: reminders to this phone pause. A question about it is on its way.]"
    return replace(heard, notes=(*heard.notes, note)), asked


def _texted_back(heard: Heard, facts: Facts, rules: Rules, now: datetime) -> tuple[Heard, Writes]:
    """The answer that goes back by itself, and the confirmation of a keyword where that is ours to send."""
    number = rules.number_at(heard.event.number)
    if number is None or reply.phone_of(heard.event.author, rules) is None:
        return heard, Writes()
    found = respond.fitting(heard.intent, number, heard.inbound.at, rules)
    texts, note = respond.answered(heard.inbound, heard.intent, found, heard.talk, number, facts, rules, now)
    confirmed = respond.confirmation(heard.inbound, heard.intent, heard.talk, number, facts, rules, now)
    if found is None and not note:
        return heard, texts.joined(confirmed)
    notes = (*heard.notes, note) if note else heard.notes
    return replace(heard, found=found, notes=notes), texts.joined(confirmed)


def _asked(
    heard: Heard, open_one: Question | None, facts: Facts, rules: Rules, now: datetime, tokens: Iterator[str]
) -> Writes:
    """The question by text which job is meant, where it is asked for and not clear; an open one is not asked again."""
    if open_one is not None:
        return Writes(questions=(open_one,)) if len(open_one.deliveries) < WAITING else Writes()
    number = rules.number_at(heard.event.number)
    if not rules.ask or number is None or not heard.about.ambiguous or heard.intent.keyword is not None:
        return Writes()
    if heard.found is not None and heard.found.text and heard.found.keywords:
        return Writes()  # it was a question to the shop and has its answer, whatever job is meant
    if ask.tired(facts, heard.talk.phone) or now - heard.inbound.at > rules.ask_wait:
        return Writes()
    if respond.silent(heard.talk.phone, facts, rules):
        return Writes()
    return ask.ask(heard.inbound, heard.about, number, rules, now, tokens)


def _settled(
    inbound: InboundHook,
    intent: Reply,
    question: Question,
    talk: Conversation,
    facts: Facts,
    rules: Rules,
    now: datetime,
    tokens: Iterator[str],
) -> Writes:
    """The person said which job is meant: the mails that waited go there, on its thread.

    Where none waits any more the answer itself goes there, so that no word of his is lost.
    """
    kept = reply.reopened(talk, intent.event, rules, now)
    joined = Writes(questions=(question,), conversations=(kept,))
    found = [d for i in question.deliveries if (d := facts.deliveries.get(i)) and d.fate is Fate.WAITING]
    waiting = [(d, m) for d in found if (m := facts.messages.get(d.message))]
    for n, (delivery, message) in enumerate(waiting, 1):
        if message.conversation == talk.id:
            joined = joined.joined(Writes(moves=(_go(delivery, question, now),)))
            continue
        event = replace(intent.event, text=message.text, media=(), remote_id=f"{intent.event.remote_id}.{n}")
        heard = _chosen(replace(inbound, at=message.at), replace(intent, event=event), question, talk, kept, rules)
        kept_notes = tuple(filter(None, message.cut.split(_BETWEEN)))
        heard = replace(heard, pictures=_pictures(delivery), notes=(*heard.notes, *kept_notes))
        made = replace(reply.message(heard, rules, now), id=f"{inbound.id}.{n}")
        mail = reply.delivery(made, heard, facts, rules, now, next(tokens))
        note = f"the person said that it is about another job: it goes as {made.id}"
        moved = Move(delivery=delivery.id, fate=Fate.CANCELLED, note=note, source="answer")
        joined = joined.joined(Writes(messages=(made,), deliveries=(mail,), moves=(moved,)))
    if waiting:
        return joined
    heard = _chosen(inbound, intent, question, talk, kept, rules)
    made = reply.message(heard, rules, now)
    mail = reply.delivery(made, heard, facts, rules, now, next(tokens))
    return joined.joined(Writes(messages=(made,), deliveries=(mail,)))


def _chosen(
    inbound: InboundHook, intent: Reply, question: Question, talk: Conversation, kept: Conversation, rules: Rules
) -> Heard:
    """A text in the conversation that the person chose for it."""
    number = rules.number_at(intent.event.number)
    return Heard(
        inbound=inbound,
        event=intent.event,
        about=Belonging(talk=talk, known=True),
        talk=kept,
        intent=intent,
        found=respond.fitting(intent, number, inbound.at, rules) if number else None,
        notes=(f"[Asked which job is meant, the person answered {question.answer}.]",),
    )


def _go(delivery: Delivery, question: Question, now: datetime) -> Move:
    note = f"asked which job is meant, the person answered {question.answer}"
    return Move(delivery=delivery.id, fate=Fate.WAITING, note=note, source="answer", due_at=now)


def _pictures(delivery: Delivery) -> tuple[Picture, ...]:
    return compose.enclosed(delivery.parcel.data) if isinstance(delivery.parcel, MailParcel) else ()
