"""From a mail to texts: one message per person, the first way of each as a delivery.

Also what a mail asks of us instead: a change of consent.  Mails that are passed on: see forward.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

from gateway.core import admit, brake, notice, policy, template, timing
from gateway.core.address import ToConversation, ToPhone
from gateway.core.admit import Choice, Texted
from gateway.core.desk import Desk, answers_to, closed, message_to, refused, unwelcome
from gateway.core.enclosed import Enclosed, enclosed, linked
from gateway.core.intent import ConsentChange, Ignored, NotForUs, SendText, bare_subject, job
from gateway.core.model import (
    Consent,
    Conversation,
    Fate,
    Kind,
    Refusal,
)
from gateway.core.route import CarrierWay, ProviderWay, Way
from gateway.core.rules import Rules, Template
from gateway.core.template import Words
from gateway.core.work import Delivery, Message, TextParcel, Writes

_REFERENCES = 50


def text(intent: SendText, desk: Desk) -> Writes:
    """Everything that follows from one recipient who is to be texted; a phone already texted by this mail is left."""
    recipient, target = intent.recipient, intent.target
    found = chosen(target, recipient.address, desk)
    if isinstance(found, Refusal):
        return refused(recipient, None, found.text, found.enhanced, desk)
    joined = Writes()
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


def chosen(target: Texted, recipient: str, desk: Desk) -> tuple[Choice, ...] | Refusal:
    """One choice per person behind an address, each in the conversation that this mail belongs to."""
    rule = desk.rule(recipient)
    about = (desk.mail.sender, job(desk.reading, rule))
    found = admit.choices(target, desk.sender, desk.facts, desk.rules, desk.now, about=about, rule=rule)
    if isinstance(found, Refusal):
        return found
    named = _template(target, recipient, desk)
    places = [f"[[rule]] {rule.place}"] if rule else []
    places += [f"[[template]] {named.place}"] if named else []
    return tuple(
        one if one.answering else replace(one, rule="; ".join(filter(None, [one.rule, *places]))) for one in found
    )


def _template(target: Texted, recipient: str, desk: Desk) -> Template | None:
    """The [[template]] that a +tag names, else that of the [[rule]]."""
    rule = desk.rule(recipient)
    return desk.rules.template(target.tag if isinstance(target, ToPhone) else "") or desk.rules.template(
        rule.template if rule else ""
    )


def words_for(target: Texted, recipient: str, one: Choice | None, desk: Desk, most: int = 0) -> Words:
    """The text that goes out to one person; `cut` is all that was left out of the mail, in its order.

    `most` segments where that is less than [text] max_segments; 0 = those.
    """
    brand = desk.rules.brand if one is not None and _is_first(one, desk) else ""
    return _worded(target, recipient, brand, desk, most)


def _worded(target: Texted, recipient: str, brand: str, desk: Desk, most: int) -> Words:
    """The words of the mail for one person, as a first text where `brand` is given."""
    reading, rules = desk.reading, desk.rules
    told = replace(rules.text, max_segments=most) if most else rules.text
    if isinstance(target, ToConversation):
        found, before = template.fitted(reading.answer, told), reading.answer_cut
    else:
        named = _template(target, recipient, desk)
        fields = template.fields(named, reading) if named else {}
        subject = bare_subject(reading.subject)
        found = template.words(subject, reading.text, told, template=named, fields=fields, introduce=brand)
        before = reading.cut
    return replace(found, cut="\n".join(c for c in (found.cut, before) if c))


def whole_for(
    target: Texted, recipient: str, one: Choice, ident: str, desk: Desk, tokens: Iterator[str]
) -> tuple[Words, Enclosed]:
    """The text with the links to its files, and what goes with it.  `ident` is the message, `tokens` name its files.

    Where both are too long and the text may be cut, the words give way: neither a link nor how to opt out is cut.
    """
    words, way = words_for(target, recipient, one, desk), one.ways[0] if one.ways else None
    if not isinstance(way, ProviderWay):
        return words, Enclosed()
    inside = enclosed(desk.pictures, way.number, ident, desk.rules, desk.now, tokens)
    if words.problem == template.EMPTY and inside.files:
        words = replace(words, text=_introduced(one, desk), problem="")  # a picture says enough
    whole = linked(words, inside.links, desk.rules)
    if words.problem or not whole.problem or desk.rules.text.too_long != "cut":
        return whole, inside
    for most in range(desk.rules.text.max_segments - 1, 0, -1):
        shorter = linked(words_for(target, recipient, one, desk, most), inside.links, desk.rules)
        if not shorter.problem:
            return shorter, inside
    return whole, inside


def _introduced(one: Choice, desk: Desk) -> str:
    """What a first text says that has no words of its own."""
    pattern = desk.rules.text.first if _is_first(one, desk) else ""
    return " ".join(template.first("", pattern, desk.rules.brand).split())


def _is_first(one: Choice, desk: Desk) -> bool:
    """Whether this is the first text of a number of ours to a customer."""
    way = one.ways[0] if one.ways else None
    if not isinstance(way, ProviderWay) or one.person.employee is not None or one.answering:
        return False
    return (way.number.phone, one.person.phone) not in desk.facts.introduced


def _one_text(intent: SendText, one: Choice, before: int, desk: Desk) -> Writes:
    recipient, rules = intent.recipient, desk.rules
    about = one.conversation or _opened(one, recipient.address, desk)
    message = replace(message_to(recipient, one, desk), conversation=about.id)
    way = one.ways[0]
    words, inside = whole_for(intent.target, recipient.address, one, message.id, desk, desk.tokens)
    if words.problem:
        return refused(recipient, one, words.problem, "5.6.0", desk, words=words, ident=message.id)
    left = [f"({p.problem})" for p in desk.pictures if p.problem and isinstance(way, ProviderWay)]
    message = replace(message, text=words.text, cut="\n".join(filter(None, [words.cut, *left])))
    bounce = next(desk.tokens) if isinstance(way, CarrierWay) else ""
    delivery = text_by(way, one.ways[1:], message, rules, desk.now, bounce=bounce)
    if isinstance(delivery.parcel, TextParcel):
        delivery = replace(delivery, parcel=replace(delivery.parcel, media=inside.media))
    if one.answering:
        delivery = replace(delivery, conversational=True, priority=notice.PRIORITY[Kind.REPLY])
    # Also where the number is only the fallback: what is answered there belongs to this conversation.
    number = next((w.number.name for w in one.ways if isinstance(w, ProviderWay)), about.number)
    kept = replace(_threaded(about, one.answering, desk), number=number)
    made = Writes(messages=(message,), conversations=(kept,), media=inside.files, consents=_vouched(one, desk))
    wordings = _wordings(intent.target, recipient.address, one, desk)
    return made.joined(_let_go(delivery, message, wordings, before, desk))


def _wordings(target: Texted, recipient: str, one: Choice, desk: Desk) -> frozenset[str]:
    """The forms that the words of this mail take for one person, without links: introduced or not, and cut to make
    room for links or not.  None where no brake asks.
    """
    if one.answering or not desk.rules.policy.flood_per_minute:
        return frozenset()
    most = desk.rules.text.max_segments
    room = range(1, most + 1) if desk.pictures and desk.rules.text.too_long == "cut" else (most,)
    made = [_worded(target, recipient, brand, desk, n) for brand in ("", desk.rules.brand) for n in room]
    return frozenset(w.text for w in made if not w.problem)


def _let_go(delivery: Delivery, message: Message, wordings: frozenset[str], before: int, desk: Desk) -> Writes:
    """The delivery as quiet hours and the flood brake let it go, with the report or alarm of what they hold."""
    rules, now = desk.rules, desk.now
    timed = timing.timed(delivery, rules, now)
    if timed.fate is Fate.EXPIRED:
        told = notice.failure(message, timed.note, timed.code, Fate.EXPIRED, rules, now)
        return Writes(deliveries=(timed,)).joined(told)
    why = ""
    if message.phone is not None and not delivery.conversational:
        why = brake.brakes(desk.mail.sender, message.phone, wordings, before, desk.facts, rules, now)
    if not why:
        return Writes(deliveries=(timed,))
    held = replace(timed, fate=Fate.HELD, reason=brake.FLOOD, note=why)
    key, subject, text = brake.summary(desk.mail.sender, why, now)
    return Writes(deliveries=(held,)).joined(notice.alarm(key, subject, text, rules, now, desk.facts.confirmations))


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


def text_by(
    way: Way, rest: tuple[Way, ...], message: Message, rules: Rules, now: datetime, *, bounce: str, k: int = 1
) -> Delivery:
    """The delivery of a text by `way`; `rest` are the ways to fall back on."""
    parcel = notice.parcel_for(way, message, rules, now, bounce=bounce, delivery=f"{message.id}.{k}")
    made = notice.text_delivery(message, way, rules, now, parcel=parcel, bounce=bounce, k=k)
    return replace(made, ways=tuple(w.number.name for w in rest if isinstance(w, ProviderWay)))


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
        # What had closed opens by our text, not by the person's: his old words allow no answer any more.
        heard_at=about.heard_at if about.closes_at > desk.now else None,
    )


def ignored(intent: Ignored, desk: Desk) -> Writes:
    """Words of a machine: a visible end, and nobody is told, since nobody wrote them."""
    message = replace(message_to(intent.recipient, None, desk), report_to="")
    ended = closed(message, Fate.REFUSED, intent.reason, "5.7.1", desk.now)
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
