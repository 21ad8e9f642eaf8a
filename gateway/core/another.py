"""Another delivery of the same message: by the provider after the carrier, to another mailbox, without the pictures."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from gateway.core import address, gsm, notice
from gateway.core.enclosed import as_links, linked
from gateway.core.facts import Facts
from gateway.core.intent import mailboxes
from gateway.core.model import Kind
from gateway.core.route import NoWay, Person, ProviderWay, ways
from gateway.core.rules import Rules
from gateway.core.template import Words
from gateway.core.work import Delivery, MailParcel, Message, Writes

BARE = "without its picture"


def by_provider(delivery: Delivery, message: Message, rules: Rules, now: datetime) -> Delivery | None:
    """The delivery of the whole text by the provider after the carrier refused a part; None where that is not open.

    It goes out by the number that its conversation was given, and no later than the first way would have.  Its id is
    the same for every part, so that two of them make it once.  Its note is BARE where the picture stays behind: then a
    bare picture has no words to fall back on.
    """
    employee = rules.employee(delivery.person)
    if not delivery.ways or employee is None or (employee.carrier and employee.fallback == "none"):
        return None
    person = Person(phone=employee.phone, employee=replace(employee, carrier=""), tag=delivery.ways[0])
    today = now.astimezone(rules.timezone).date()
    found = ways(person, rules.sender(message.sender), rules, today=today)
    if isinstance(found, NoWay) or not isinstance(found[0], ProviderWay):
        return None
    whole, media = _with_pictures(delivery, message, found[0], rules, now)
    if not whole.text and not media:
        return None
    k = _count(delivery) + 1
    parcel = notice.provider_parcel(found[0], whole, rules, media)
    made = notice.text_delivery(whole, found[0], rules, now, parcel=parcel, bounce="", k=k)
    return replace(
        made,
        note="" if media or whole != message or not _pictures(delivery) else BARE,
        conversational=delivery.conversational,
        priority=delivery.priority,
        expires_at=delivery.expires_at,
    )


def _with_pictures(
    delivery: Delivery, message: Message, way: ProviderWay, rules: Rules, now: datetime
) -> tuple[Message, tuple[str, ...]]:
    """The message with links to the pictures of a carrier's text, or as it is and what goes with it.

    Neither for what nobody can fetch any more, nor for links that find no room.
    """
    base = f"{rules.public_url}/" if rules.public_url and now < message.at + rules.media_for else ""
    kept = tuple(p for p in _pictures(delivery) if base and p.startswith(base))
    if way.number.mms:
        return message, kept
    words = linked(Words(text=message.text, segments=gsm.segments(message.text)), kept, rules)
    return (message if words.problem else replace(message, text=words.text)), ()


def _pictures(delivery: Delivery) -> tuple[str, ...]:
    return delivery.parcel.pictures if isinstance(delivery.parcel, MailParcel) else ()


def fallback_id(delivery: Delivery) -> str:
    """The id of the delivery by the provider that replaces a carrier text, whichever part of it; "" for all else."""
    carried = delivery.courier == "mail" and delivery.number.startswith("@")
    return f"{delivery.message}.{_count(delivery) + 1}" if carried else ""


def next_part(delivery: Delivery) -> str:
    """The id that the next mail of the same carrier text has, if there is one."""
    first, _, part = delivery.id.rpartition(".")[2].partition("-")
    return f"{delivery.message}.{first}-{int(part or 1) + 1}"


def earlier_parts(delivery: Delivery) -> tuple[str, ...]:
    """The ids of the mails of the same carrier text that go before this one, from the first on."""
    first, _, part = delivery.id.rpartition(".")[2].partition("-")
    whole = f"{delivery.message}.{first}"
    return tuple(f"{whole}-{n}" if n > 1 else whole for n in range(1, int(part or 1)))


def superseded(delivery: Delivery, facts: Facts) -> bool:
    """Whether the whole text goes by the provider already.  The facts hold the delivery of `fallback_id`, if any."""
    return fallback_id(delivery) in facts.deliveries


def with_links(delivery: Delivery, now: datetime, rules: Rules) -> Delivery | None:
    """The text with the addresses of its pictures in place of them; None where it had none."""
    parcel = as_links(delivery)
    if parcel is None:
        return None
    return Delivery(
        id=f"{delivery.message}.{_count(delivery) + 1}",
        message=delivery.message,
        kind=delivery.kind,
        courier=delivery.courier,
        lane=delivery.lane,
        number=delivery.number,
        to=delivery.to,
        phone=delivery.phone,
        person=delivery.person,
        sender=delivery.sender,
        parcel=parcel,
        segments=gsm.segments(parcel.body),
        priority=delivery.priority,
        due_at=now,
        expires_at=max(delivery.expires_at, now + rules.policy.expires_after / 4),
        conversational=delivery.conversational,
    )


def to_fallback(
    delivery: Delivery,
    message: Message,
    why: str,
    tokens: Iterable[str],
    facts: Facts,
    rules: Rules,
    now: datetime,
    *,
    late: bool = False,
) -> Writes:
    """A person's reply to the mailbox behind the one that does not take it, and a word to the admin.

    `late`: the first mailbox only puts it off, and may take it yet.  The first of `tokens` is for its bounce address.
    Nothing where there is no other mailbox, or where this was it.
    """
    other = message.report_to
    if message.kind is not Kind.REPLY or not isinstance(delivery.parcel, MailParcel):
        return Writes()
    if not other or _count(delivery) > 1 or address.same(other, delivery.to):
        return Writes()
    fresh = iter(tokens)
    token = next(fresh, "")
    sender = rules.relay_sender or (f"b-{token}@{rules.domain}" if token else "")
    parcel = replace(delivery.parcel, rcpt_to=other, mail_from=sender)
    made = replace(notice.mail_delivery(message, parcel, now, bounce=token), id=f"{message.id}.2")
    made = replace(made, lane=f"mail|{made.id}", to=other)
    told = _told(delivery, other, why, rules, now, facts, fresh, late=late)
    return Writes(deliveries=(made,)).joined(told)


def told_of(delivery: Delivery, message: Message, rules: Rules) -> Message:
    """The message as its failure is told: not to the mailbox that does not take it."""
    if not address.same(delivery.to, message.report_to):
        return message
    # At last the first mailbox, which refused before: it may be back, and there is nobody else.
    options = (*mailboxes(rules), message.recipient)
    other = next((a for a in options if "@" in a and not address.same(a, delivery.to)), "")
    return replace(message, report_to=other)


def _told(
    delivery: Delivery,
    other: str,
    why: str,
    rules: Rules,
    now: datetime,
    facts: Facts,
    tokens: Iterable[str],
    *,
    late: bool,
) -> Writes:
    day = now.astimezone(rules.timezone).date()
    key = f"mailbox.{delivery.to.replace('@', '.at.')}.{day}"
    went = f"It goes to {other} as well; the first mail is still tried, and may arrive too." if late else ""
    text = (
        f"What people text back {'is put off by' if late else 'cannot be handed to'} {delivery.to}: {why}\n\n"
        f"{went or f'It went to {other} instead.'} Mend the mailbox, or change [[sender]] reply_to.\n"
        f"The first reply: gateway trace {delivery.message}\n\n"
        "Other replies to that mailbox are treated alike; this is told once a day.\n"
    )
    subject = f"Replies do not reach {delivery.to}"
    return notice.alarm(key, subject, text, rules, now, facts.confirmations, tokens=tokens)


def _count(delivery: Delivery) -> int:
    """Which way of its message it is, from 1 on: 1 for every part of a carrier text, "m1.1.1-3" too."""
    return int(delivery.id.rpartition(".")[2].partition("-")[0])
