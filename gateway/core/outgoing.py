"""From a mail to texts: one message per person, the first way of each as a delivery.

Also what a mail asks of us instead: a change of consent.  Mails that are passed on: see forward.py.
"""

from __future__ import annotations

from dataclasses import replace

from gateway.core import admit, brake, dsn, notice, policy, timing, wording
from gateway.core.address import ToName
from gateway.core.admit import Choice, Texted
from gateway.core.desk import Desk, answers_to, closed, message_to, refused, unwelcome
from gateway.core.intent import ConsentChange, Ignored, NotForUs, SendText, bare_subject, job
from gateway.core.model import (
    Consent,
    Conversation,
    Fate,
    Kind,
    Refusal,
)
from gateway.core.route import ProviderWay
from gateway.core.taste import Unfit
from gateway.core.wording import Load
from gateway.core.work import NO_WRITES, Delivery, Message, Writes

_REFERENCES = 50


def text(intent: SendText, desk: Desk) -> Writes:
    """Everything that follows from one recipient who is to be texted; a phone already texted by this mail is left."""
    recipient, target = intent.recipient, intent.target
    found = chosen(target, recipient.address, desk)
    if isinstance(found, Refusal):
        return refused(recipient, None, found.text, found.enhanced, desk)
    joined = _expanded(intent, found, desk)
    if joined is not NO_WRITES and joined != NO_WRITES:
        intent = replace(intent, recipient=replace(recipient, notify=dsn.unasked(recipient.notify)))
    for one in found:
        phone = one.person.phone
        if phone in desk.texted:
            desk.notes.append(f"{recipient.address} leads to a phone that this mail texts already")
            continue
        if one.refused is not None:
            joined = joined.joined(refused(recipient, one, one.refused.text, one.refused.enhanced, desk))
            continue
        before = len(desk.texted)
        desk.texted.add(phone)
        joined = joined.joined(_one_text(intent, one, before, desk))
    return joined


def _expanded(intent: SendText, found: tuple[Choice, ...], desk: Desk) -> Writes:
    """The report that a mail to a group goes to its members, where its sender asked for one."""
    target, wanted = intent.target, "SUCCESS" in intent.recipient.notify.split(",")
    if not wanted or not isinstance(target, ToName) or target.name not in desk.rules.groups:
        return NO_WRITES
    people = [one.person.employee.name for one in found if one.person.employee and one.refused is None]
    about = replace(message_to(intent.recipient, None, desk), id=f"{desk.mail.id}.{target.name}")
    return dsn.expanded(about, people, desk.rules, desk.now)


def chosen(target: Texted, recipient: str, desk: Desk) -> tuple[Choice, ...] | Refusal:
    """One choice per person behind an address, each in the conversation that this mail belongs to."""
    rule = desk.rule(recipient)
    about = (desk.mail.sender, job(desk.reading, rule))
    found = admit.choices(target, desk.sender, desk.facts, desk.rules, desk.now, about=about, rule=rule)
    if isinstance(found, Refusal):
        return found
    named = wording.named(target, recipient, desk)
    places = [f"[[rule]] {rule.place}"] if rule else []
    places += [f"[[template]] {named.place}"] if named else []
    if not places:
        return found
    return tuple(
        one if one.answering else replace(one, rule="; ".join(filter(None, [one.rule, *places]))) for one in found
    )


def _one_text(intent: SendText, one: Choice, before: int, desk: Desk) -> Writes:
    recipient = intent.recipient
    about = one.conversation or _opened(one, recipient.address, desk)
    ident = desk.next_id()
    load = wording.load(intent.target, recipient.address, one, ident, about.id, desk, desk.tokens)
    words = load.words
    if words.problem:
        return refused(recipient, one, words.problem, "5.6.0", desk, words=words, ident=ident)
    if load.left:
        words = replace(words, cut="\n".join(filter(None, [words.cut, *(f"({why})" for why in load.left)])))
    message = message_to(recipient, one, desk, ident=ident, conversation=about.id, words=words, route=load.rule)
    # Also where the number is only the fallback: what is answered there belongs to this conversation.
    number = next((w.number.name for w in one.ways if isinstance(w, ProviderWay)), about.number)
    kept = _threaded(about, number, one.answering, desk)
    made = Writes(messages=(message,), conversations=(kept,), media=load.inside.files, consents=_vouched(one, desk))
    forms = wording.forms(intent.target, recipient.address, one, load, desk)
    return made.joined(_let_go(_deliveries(load, message, one, desk), message, forms, before, desk))


def _deliveries(load: Load, message: Message, one: Choice, desk: Desk) -> tuple[Delivery, ...]:
    """The text by the way that takes it, with what goes with it and what it falls back on."""
    assert load.way is not None
    beside = notice.Beside(
        picture=load.picture,
        kept=load.kept,
        media=load.inside.media,
        ways=tuple(w.number.name for w in load.rest if isinstance(w, ProviderWay)),
        answering=one.answering,
    )
    made = notice.texts(message, load.way, desk.rules, desk.now, desk.tokens, beside)
    assert not isinstance(made, Unfit)
    return made


def _let_go(
    deliveries: tuple[Delivery, ...], message: Message, forms: frozenset[str], before: int, desk: Desk
) -> Writes:
    """The text as quiet hours and the flood brake let it go, with the report or alarm of what they hold."""
    rules, now = desk.rules, desk.now
    timed = tuple(timing.timed(one, rules, now) for one in deliveries)
    first = timed[0]
    if first.fate is Fate.EXPIRED:
        told = dsn.failure(message, first.note, first.code, Fate.EXPIRED, rules, now)
        return Writes(deliveries=timed).joined(told)
    why = ""
    if first.conversational:
        why = brake.echoes(message, desk.facts, rules, now)
    elif message.phone is not None:
        why = brake.brakes(desk.mail.sender, message.phone, forms, before, desk.facts, rules, now)
    if not why:
        return Writes(deliveries=timed)
    held = tuple(replace(one, fate=Fate.HELD, reason=brake.FLOOD, note=why) for one in timed)
    echo = first.conversational
    key, subject, text = brake.echo(message, why, now) if echo else brake.summary(desk.mail.sender, why, now)
    alarm = notice.alarm(key, subject, text, rules, now, desk.facts.confirmations, tokens=desk.tokens)
    made = Writes(deliveries=held).joined(alarm)
    if echo and not brake.echoed(message, desk.facts, now):
        made = made.joined(dsn.failure(message, why, "4.7.1", Fate.HELD, rules, now))
    return made


def _vouched(one: Choice, desk: Desk) -> tuple[Consent, ...]:
    """The entry by which a sender who vouches asserts a customer's consent, one for each mail."""
    sender = desk.sender
    if sender is None or not sender.vouches or one.person.employee is not None or one.answering:
        return ()
    entry = Consent(
        id=f"{desk.mail.id}.vouched.{one.person.phone}",
        brand=desk.rules.brand,
        phone=one.person.phone,
        at=desk.now,
        action="grant",
        method=policy.JOB_SYSTEM,
        evidence=f"[[sender]] {sender.name} vouches; mail {desk.reading.message_id or desk.mail.id}"[:500],
        recorded_by=sender.name,
    )
    return (entry,)


def _opened(one: Choice, recipient: str, desk: Desk) -> Conversation:
    return Conversation(
        id=next(desk.tokens),
        sender=desk.mail.sender,
        phone=one.person.phone,
        job=job(desk.reading, desk.rule(recipient)),
        number="",
        subject="",
        message_id="",
        references=(),
        reply_to="",
        opened_at=desk.now,
        closes_at=desk.now,
    )


def _threaded(about: Conversation, number: str, answering: bool, desk: Desk) -> Conversation:
    """The conversation after this mail: its thread grows and it closes later; `number` is that of ours it is on.

    Replies go on the thread of this mail and to whom it names; after an answer at r- they keep going where they went.
    """
    reading = desk.reading
    known = dict.fromkeys((*about.references, about.message_id, *reading.references))
    known.pop("", None)
    known.pop(reading.message_id, None)
    ids = tuple(known)
    return replace(
        about,
        number=number,
        subject=bare_subject(reading.subject) or about.subject,
        message_id=reading.message_id or about.message_id,
        references=ids if len(ids) <= _REFERENCES else (ids[0], *ids[1 - _REFERENCES :]),
        reply_to=about.reply_to if answering else answers_to(desk),
        closes_at=desk.now + desk.rules.close_after,
        # What had closed opens by our text, not by the person's: his old words allow no answer any more.
        heard_at=about.heard_at if about.closes_at > desk.now else None,
    )


def ignored(intent: Ignored, desk: Desk) -> Writes:
    """Words of a machine: a visible end, and nobody is told, since nobody wrote them.

    What comes in the name of a phone stands in its story.
    """
    message = replace(message_to(intent.recipient, None, desk), report_to="")
    ended = closed(message, Fate.REFUSED, intent.reason, "5.7.1", desk.now)
    if intent.phone is not None:
        employee = desk.rules.employee_at(intent.phone)
        name = employee.name if employee else ""
        message = replace(message, kind=Kind.REPLY, phone=intent.phone, person=name, text=desk.reading.answer)
        ended = replace(ended, kind=Kind.REPLY, phone=intent.phone, person=name)
    return Writes(messages=(message,), deliveries=(ended,))


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
