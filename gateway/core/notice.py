"""What the gateway itself has to say, and what carries it: texts, mails, alarms to the admin.

Their ids derive from what they speak of, so that saying a thing twice writes it once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import chain, repeat

from gateway.core import compose, gsm, taste
from gateway.core.model import Confirmation, Kind, Phone, Picture
from gateway.core.route import CarrierWay, NoWay, Person, ProviderWay, Way, ways
from gateway.core.rules import Rules
from gateway.core.taste import Unfit
from gateway.core.work import Delivery, MailParcel, Message, Parcel, TextParcel, Writes

# Mail that must reach a person waits as long as mail does (RFC 5321 4.5.4.1).
MAIL_EXPIRES = timedelta(days=5)
_NOTIFY = "FAILURE,DELAY"  # of carrier texts: a delay is worth another way (RFC 3461 4.1)
PRIORITY = {
    Kind.CONFIRMATION: 0, Kind.REPLY: 1, Kind.QUESTION: 1, Kind.PREVIEW: 1, Kind.ANSWER: 2, Kind.ALARM: 2,
    Kind.REPORT: 3, Kind.FORWARD: 4, Kind.TEXT: 5,
}  # fmt: skip


def mail_id(ident: str, rules: Rules) -> str:
    """The stable Message-ID of a mail of ours, from the id of what it brings (RFC 5322 3.6.4)."""
    if not ident.replace(".", "").isalnum():
        ident = "".join(c if c.isalnum() or c == "." else "-" for c in ident)
    return f"<{ident}@{rules.domain}>"


def author(rules: Rules) -> str:
    """The address in From of the machine's own mails: ours, or the one that the relay takes."""
    return rules.relay_sender or f"postmaster@{rules.domain}"


def mail_delivery(message: Message, parcel: MailParcel, now: datetime, *, bounce: str = "") -> Delivery:
    """The delivery of one mail by the relay, due now."""
    return Delivery(
        id=f"{message.id}.1",
        message=message.id,
        kind=message.kind,
        courier="mail",
        lane=f"mail|{message.id}.1",
        number="",
        to=parcel.rcpt_to,
        phone=None,
        person=message.person,
        sender="",
        parcel=parcel,
        priority=PRIORITY[message.kind],
        due_at=now,
        expires_at=now + MAIL_EXPIRES,
        bounce=bounce,
    )


def text_author(conversation: str, rules: Rules) -> str:
    """The address in From of a text by mail: where it is answered, or the one that the relay takes."""
    return rules.relay_sender or _answered_at(conversation, rules)


def _answered_at(conversation: str, rules: Rules) -> str:
    return f"r-{conversation}@{rules.domain}" if conversation else f"postmaster@{rules.domain}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """What goes with a text, and what else is known of how it goes."""

    picture: Picture | None = None  # with the first mail to a carrier
    kept: tuple[str, ...] = ()  # what another way has of it
    media: tuple[str, ...] = ()  # public addresses, for the provider
    ways: tuple[str, ...] = ()  # that are open after this one: names of our numbers
    answering: bool = False  # it came by an r- address


def texts(
    message: Message,
    way: Way,
    rules: Rules,
    now: datetime,
    tokens: Iterator[str],
    beside: Beside = Beside(),
    most: int = 0,
) -> tuple[Delivery, ...] | Unfit:
    """The deliveries of one text by its first way, due now: one by the provider, one for each mail to a carrier.

    Each mail takes one of `tokens`, "" for none, for its bounce address; where the gateway cannot take the text, Unfit
    says why and no token is taken.  `most` mails, 0 = [text] max_segments.
    """
    if not isinstance(way, CarrierWay):
        paid = provider_parcel(way, message, rules, beside.media)
        return (text_delivery(message, way, rules, now, parcel=paid, bounce="", beside=beside),)
    author = text_author(message.conversation, rules)
    found = taste.parts(message.text, way.channel, author, most=most or rules.text.max_segments)
    if isinstance(found, Unfit):
        return found
    made = []
    for n, text in enumerate(found or ("",)):
        one = message if text == message.text else replace(message, text=text)
        ident, bounce, goes = _part(message, 1, n), next(tokens), None if n else beside.picture
        parcel = parcel_for(way, one, rules, now, bounce=bounce, delivery=ident, picture=goes, kept=beside.kept)
        made.append(text_delivery(one, way, rules, now, parcel=parcel, bounce=bounce, n=n, beside=beside))
    return tuple(made)


def text_delivery(
    message: Message,
    way: Way,
    rules: Rules,
    now: datetime,
    *,
    parcel: Parcel | None,
    bounce: str,
    k: int = 1,
    n: int = 0,
    beside: Beside = Beside(),
) -> Delivery:
    """The delivery of one text by its `k`-th way, due now; `n` mails of the same text go before it."""
    if isinstance(way, CarrierWay):
        # A text's mails have a lane of their own: they leave in order, and hold up no other text to the same mailbox.
        to, number, courier, lane = way.address, f"@{way.channel.domain}", "mail", f"mail|{message.id}.{k}"
    else:
        to, number, courier = str(message.phone), way.number.name, way.number.provider
        lane = f"{courier}|{way.number.phone}|{to}"
    return Delivery(
        id=_part(message, k, n),
        message=message.id,
        kind=message.kind,
        courier=courier,
        lane=lane,
        number=number,
        to=to,
        phone=message.phone,
        person=message.person,
        sender="" if isinstance(way, CarrierWay) else message.sender,
        parcel=parcel,
        segments=gsm.segments(message.text),
        priority=PRIORITY[Kind.REPLY if beside.answering else message.kind],
        due_at=now,
        expires_at=now + rules.policy.expires_after,
        bounce=bounce,
        conversational=beside.answering,
        ways=beside.ways,
    )


def _part(message: Message, k: int, n: int) -> str:
    return f"{message.id}.{k}-{n + 1}" if n else f"{message.id}.{k}"


def parcel_for(
    way: Way,
    message: Message,
    rules: Rules,
    now: datetime,
    *,
    bounce: str,
    delivery: str,
    picture: Picture | None = None,
    kept: tuple[str, ...] = (),
) -> MailParcel | TextParcel:
    """What goes over the wire for a text: a mail to the carrier's gateway, or a provider's request.

    The mail tells its failure to the b- address; without `bounce` its envelope sender is empty.
    """
    assert message.phone is not None
    if not isinstance(way, CarrierWay):
        return provider_parcel(way, message, rules)
    data = compose.carrier_text(
        sender=text_author(message.conversation, rules),
        reply_to=_answered_at(message.conversation, rules),
        to=way.address,
        text=message.text,
        message_id=mail_id(delivery, rules),
        at=now,
        domain=rules.domain,
        picture=picture,
    )
    sender = rules.relay_sender or (f"b-{bounce}@{rules.domain}" if bounce else "")
    notify = _NOTIFY if sender else ""
    return MailParcel(mail_from=sender, rcpt_to=way.address, data=data, notify=notify, pictures=kept)


def provider_parcel(way: ProviderWay, message: Message, rules: Rules, media: tuple[str, ...] = ()) -> TextParcel:
    """A provider's request for a text, with the addresses of the pictures that go with it."""
    assert message.phone is not None
    seconds = int(rules.policy.expires_after.total_seconds())
    return TextParcel(
        number=way.number.phone,
        service=way.number.messaging_service_sid,
        to=message.phone,
        body=message.text,
        validity_seconds=max(1, min(36_000, seconds)),
        media=media,
    )


def told_message(
    ident: str, kind: Kind, about: Message | None, to: str, subject: str, text: str, now: datetime, inbound: str = ""
) -> Message:
    """A mail of the machine as a message of its own."""
    return Message(
        id=ident,
        inbound=about.inbound if about else inbound,
        kind=kind,
        sender=about.sender if about else "",
        recipient=to,
        phone=about.phone if about else None,
        person=about.person if about else "",
        conversation=about.conversation if about else "",
        subject=subject,
        text=text,
        rule=f"{kind.value} to {to}",
        at=now,
    )


def to_mailbox(ident: str, inbound: str, to: str, subject: str, text: str, rules: Rules, now: datetime) -> Writes:
    """One mail of the machine to one mailbox, about an inbound that made no message."""
    told = told_message(ident, Kind.REPORT, None, to, subject, text, now, inbound=inbound)
    return Writes(messages=(told,), deliveries=(_notice(told, rules, now),))


def _notice(told: Message, rules: Rules, now: datetime) -> Delivery:
    data = compose.notice(
        sender=author(rules),
        to=told.recipient,
        subject=told.subject,
        text=told.text,
        message_id=mail_id(told.id, rules),
        at=now,
        domain=rules.domain,
    )
    return mail_delivery(told, MailParcel(mail_from="", rcpt_to=told.recipient, data=data), now)


def alarm(
    key: str,
    subject: str,
    text: str,
    rules: Rules,
    now: datetime,
    confirmations: Mapping[str, Confirmation],
    *,
    by_relay: bool = True,
    tokens: Iterable[str] = (),
) -> Writes:
    """One alarm to everybody in alarm_to: by mail, and by text to the phones of employees.  One per `key`.

    `by_relay` False: the relay is what the alarm is about, so employees are texted by the provider where that is open.
    Each mail to a carrier takes one of `tokens` for its bounce address, while there are any: see Rules.alarm_texts.
    """
    joined = Writes()
    fresh = chain(tokens, repeat(""))
    for n, to in enumerate(rules.alarm_to, 1):
        ident = f"alarm.{key}.{n}"
        if "@" in to:
            told = told_message(ident, Kind.ALARM, None, to, subject, text, now)
            joined = joined.joined(Writes(messages=(told,), deliveries=(_notice(told, rules, now),)))
        else:
            joined = joined.joined(_alarm_text(ident, to, subject, rules, now, confirmations, fresh, by_relay=by_relay))
    return joined


def _alarm_text(
    ident: str,
    to: str,
    subject: str,
    rules: Rules,
    now: datetime,
    confirmations: Mapping[str, Confirmation],
    tokens: Iterator[str],
    *,
    by_relay: bool,
) -> Writes:
    employee = rules.employee_at(to)
    if employee is None:
        return Writes()
    person = Person(phone=Phone(to), employee=employee)
    today = now.astimezone(rules.timezone).date()
    found = ways(person, None, rules, today=today, confirmation=confirmations.get(employee.name))
    if isinstance(found, NoWay):
        return Writes()
    if not by_relay:
        found = tuple(sorted(found, key=lambda way: isinstance(way, CarrierWay)))
    text = gsm.shorten(gsm.transliterate(f"{rules.brand}: {subject}"), 1)
    told = told_message(ident, Kind.ALARM, None, to, subject, text, now)
    for n, way in enumerate(found, 1):
        about = told.with_person(person.phone, employee.name, way.rule)
        rest = tuple(w.number.name for w in found[n:] if isinstance(w, ProviderWay))
        made = texts(about, way, rules, now, tokens, Beside(ways=rest), most=taste.MOST_PARTS)
        if not isinstance(made, Unfit):
            return Writes(messages=(about,), deliveries=made)
    return Writes()
