"""From texts, statuses and bounces to mails and moves: the way back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

from gateway.core import another, codes, doubt, dsn, gone, notice, optout, timing
from gateway.core.codes import Klass
from gateway.core.doubt import Doubt
from gateway.core.facts import Facts
from gateway.core.intent import Reply, Report, Status, mailboxes
from gateway.core.model import BAD_ENDS, Consent, Fate, InboundHook, Kind, Phone, Reading
from gateway.core.rules import Rules
from gateway.core.work import Delivery, Message, Move, Writes

FATES = {  # what a provider's status makes of a delivery
    "queued": Fate.HANDED_OVER,
    "sending": Fate.HANDED_OVER,
    "sent": Fate.HANDED_OVER,
    "delivered": Fate.DELIVERED,
    "undelivered": Fate.FAILED,
    "failed": Fate.FAILED,
    "canceled": Fate.CANCELLED,
}
_OPTED_OUT = "21610"  # what the provider answers after a STOP; other codes of that class only suspect one
# A bad end that comes back from outside is news only of what has left and did not end badly.
_LEFT = frozenset({Fate.SENDING, Fate.UNKNOWN, Fate.HELD, Fate.HANDED_OVER})


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
        number=reply.event.number,
        recorded_by=inbound.provider,
        raw=reply.event.text[:500],
    )


def status(
    inbound: InboundHook, intent: Status, facts: Facts, rules: Rules, now: datetime, tokens: Iterator[str]
) -> Writes:
    """What a provider's status does: the fate moves forward, and a bad end is told once.

    That an earlier attempt ended badly says nothing of the one that followed it.  What was accepted is not sent again,
    but for a text whose picture was refused: it goes with a link.
    """
    event = intent.event
    found = facts.deliveries.get(event.delivery) or facts.by_remote.get((inbound.provider, event.remote_id))
    if found is None or found.courier != inbound.provider:
        return Writes()
    fate = FATES[event.status]
    if fate in BAD_ENDS and 0 < event.attempt < found.attempt:
        return Writes()
    move = Move(
        delivery=found.id,
        fate=fate,
        code=event.code,
        note=said(inbound.provider, event.status, event.code, rules),
        remote_id=event.remote_id,
        source=inbound.provider,
        attempt=event.attempt,
    )
    message = facts.messages.get(found.message)
    if message is not None and fate is Fate.DELIVERED:
        return Writes(moves=(move,)).joined(dsn.delivered(message, inbound.provider, rules, now))
    if fate not in BAD_ENDS or message is None or found.fate not in _LEFT:
        return Writes(moves=(move,))
    return Writes(moves=(move,)).joined(ended(move, found, message, facts, rules, now, tokens))


def ended(
    move: Move, found: Delivery, message: Message, facts: Facts, rules: Rules, now: datetime, tokens: Iterator[str]
) -> Writes:
    """What follows from a bad end after the provider had accepted the text: links in place of its pictures, or the
    report, and the entry, question or alarm that the code asks for.
    """
    picture = found.courier == "twilio" and move.code in codes.PICTURE
    linked = another.with_links(found, now, rules) if picture else None
    if linked is not None:
        return Writes(deliveries=(linked,))
    told = dsn.failure(message, move.note, move.code, move.fate, rules, now)
    klass = codes.of_text(found.courier, move.code, rules.errors)
    if klass is Klass.CONFIG:
        return told.joined(_at_fault(found, move, rules, now, facts, tokens))
    if klass is not Klass.OPTED_OUT or found.phone is None:
        return told
    if move.code == _OPTED_OUT:
        entry = optout.entry(found, found.phone, move.code, facts, rules, now, attempt=move.attempt)
        return told.joined(Writes(consents=(entry,)))
    if doubt.raised(facts, found.phone, rules):
        return told
    may_be = Doubt(
        id=f"{found.id}.{move.code}",
        inbound=message.inbound,
        sender=message.sender,
        mailbox=message.report_to or next(iter(mailboxes(rules)), f"postmaster@{rules.domain}"),
        phone=found.phone,
        number=found.number,
        words="",
        why=move.note,
        source=move.source,
        at=now,
    )
    return told.joined(doubt.ask(may_be, next(tokens), rules, now))


def _at_fault(found: Delivery, move: Move, rules: Rules, now: datetime, facts: Facts, tokens: Iterator[str]) -> Writes:
    """The number, account or registration is at fault: the admin hears of it once a day."""
    key = f"code.{found.number}.{move.code}.{now.astimezone(rules.timezone):%Y-%m-%d}"
    text = (
        f"{move.note}.\n\nTexts that were taken by the provider fail for this reason, so the number is left alone for "
        f"a while and its texts wait: gateway queue list\nAsk the provider what is wrong: gateway check --live\n"
        f"The first text: gateway trace {found.message}\n"
    )
    subject = f"Texts by {found.courier} number {found.number} fail"
    return notice.alarm(key, subject, text, rules, now, facts.confirmations, tokens=tokens)


def said(provider: str, status: str, code: str, rules: Rules) -> str:
    """A provider's word about a text, for people."""
    if not code:
        return f"{provider} says {status}"
    why = codes.sentence(code, errors=rules.errors) if provider == "twilio" else f"code {code}"
    return f"{provider} says {status}: {why}"


def bounce(
    intent: Report, reading: Reading, facts: Facts, rules: Rules, now: datetime, tokens: Iterator[str]
) -> Writes:
    """What a mail to a b- address does: a permanent failure ends a delivery that had been handed over.

    A person's reply then goes to the mailbox behind, and so does one that is only late.  Likewise a carrier's text goes
    by the provider.
    """
    found = facts.by_bounce.get(intent.token)
    if found is None or not reading.bounce:
        return Writes()
    if timing.by_carrier(found):
        return _carrier_bounce(found, reading.bounce, facts, rules, now, tokens)
    action, status_code, words = reading.bounce
    message = facts.messages.get(found.message)
    other = Writes()
    if message is not None and message.kind is Kind.REPLY:
        why = f"the mail {'came back' if action == 'failed' else 'is delayed'}: {words}"
        late = action != "failed"
        other = another.to_fallback(found, message, why, tokens, facts, rules, now, late=late)
    if action != "failed":
        return other
    move = Move(delivery=found.id, fate=Fate.FAILED, code=status_code, note=f"bounced: {words}"[:500], source="bounce")
    if message is None or found.fate not in _LEFT:
        return Writes(moves=(move,))
    if other != Writes():
        return Writes(moves=(move,)).joined(other)
    why = f"the mail to {found.to} came back: {words}"
    told = another.told_of(found, message, rules)
    return Writes(moves=(move,)).joined(dsn.failure(told, why, status_code, Fate.FAILED, rules, now))


def _carrier_bounce(
    found: Delivery, said: tuple[str, str, str], facts: Facts, rules: Rules, now: datetime, tokens: Iterator[str]
) -> Writes:
    """What the return, or the delay, of a text by a carrier does; of what ended badly before it is no news."""
    action, code, words = said
    message = facts.messages.get(found.message)
    if action != "failed":
        return _carrier_delay(found, message, code, words, facts, rules, now, tokens)
    move = Move(delivery=found.id, fate=Fate.FAILED, code=code, note=f"bounced: {words}"[:500], source="bounce")
    if message is None or found.fate not in _LEFT:
        return Writes(moves=(move,))
    news = gone.noted(found, message, code, words, "bounce", facts, rules, now, tokens)
    news = news.joined(_refuses_us(found, code, words, facts, rules, now, tokens))
    if another.superseded(found, facts):
        return Writes(moves=(move, *gone.hastened(found, move.note, facts, now))).joined(news)
    other = gone.instead(found, message, facts, rules, now) if now < found.expires_at else None
    if other is not None:
        move = replace(move, note=f"{move.note}; {gone.falls_back(found, other, facts)}")
        return Writes(moves=(move,), deliveries=(other,)).joined(news)
    why = f"the mail to {found.to} came back: {words}"
    told = dsn.failure(message, why, code, Fate.FAILED, rules, now)
    return Writes(moves=(move,)).joined(told).joined(news)


def _carrier_delay(
    found: Delivery,
    message: Message | None,
    code: str,
    words: str,
    facts: Facts,
    rules: Rules,
    now: datetime,
    tokens: Iterator[str],
) -> Writes:
    """What the word that a text is late does: the next hop has it, and may bring it yet."""
    note = f"delayed: {words}"[:500]
    move = Move(delivery=found.id, fate=Fate.HANDED_OVER, code=code, note=note, source="bounce")
    if found.fate not in _LEFT:
        return Writes(moves=(move,))
    news = _refuses_us(found, code, words, facts, rules, now, tokens)
    other = gone.after_delay(found, message, facts, rules, now)
    if other is None:
        return Writes(moves=(move,)).joined(news)
    when = f" at {other.due_at:%Y-%m-%d %H:%M} UTC" if other.due_at > now else ""
    move = replace(move, note=f"{note}; goes by {other.courier} as well{when}: {gone.TWICE}")
    return Writes(moves=(move,), deliveries=(other,)).joined(news)


def _refuses_us(
    found: Delivery, code: str, words: str, facts: Facts, rules: Rules, now: datetime, tokens: Iterator[str]
) -> Writes:
    """The alarm where a carrier's no is said of us; who reads the plan leaves the carrier alone then."""
    if not gone.against_us(found, code, words) or gone.stale(found, code, rules, now):
        return Writes()
    key, subject, text = gone.shut_out(found, words, rules, now)
    return notice.alarm(key, subject, text, rules, now, facts.confirmations, by_relay=False, tokens=tokens)
