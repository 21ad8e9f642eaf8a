"""What the end of an attempt means: retry, next way, a look-up, an end and its report."""

from __future__ import annotations

import zlib
from dataclasses import replace
from datetime import datetime, timedelta
from typing import assert_never

from gateway.core import another, bounce, codes, dsn, gone, notice, optout, policy, respond, timing
from gateway.core.address import mail_domain
from gateway.core.facts import Facts
from gateway.core.model import BAD_ENDS, Conversation, Fate, Kind
from gateway.core.rules import Rules
from gateway.core.work import Accepted, Deferred, Delivery, Message, Outcome, Refused, Settlement, Unclear, Writes

PAID = frozenset({"twilio", "flowroute"})
_PROVIDER_BACKOFF = (5, 15, 30, 60, 120, 300)
_MAIL_BACKOFF = (30, 60, 300, 600, 900, 1800)
_MAIL_RESENDS = 2
_GREYLISTED = timedelta(minutes=5)  # what comes again sooner is often put off once more
_RETRY_AFTER = 3600  # seconds; more is not believed
_NOTHING = Facts()


def backoff(delivery: Delivery) -> timedelta:
    """The pause before the next try: longer with each, spread by a tenth so that a backlog does not come in step."""
    steps = _PROVIDER_BACKOFF if delivery.courier in PAID else _MAIL_BACKOFF
    seconds = steps[min(max(delivery.attempt, 1), len(steps)) - 1]
    spread = zlib.crc32(delivery.id.encode()) % 100 / 1000
    return timedelta(seconds=seconds * (1 + spread))


def judge(
    delivery: Delivery, message: Message | None, outcome: Outcome, rules: Rules, now: datetime, facts: Facts = _NOTHING
) -> Settlement:
    """The settlement of one attempt.  `delivery` is as `start` left it: fate sending, attempt counted.

    `facts` are those that the attempt was decided on: the ledger, and fresh tokens, the first for a reply's other
    mailbox, the others for an alarm.
    """
    match outcome:
        case Accepted(remote_id=remote_id, note=note):
            told = _relayed(delivery, message, rules, now, facts)
            return settled(delivery, "accepted", Fate.HANDED_OVER, note=note, remote_id=remote_id, writes=told)
        case Deferred():
            return _deferred(delivery, message, outcome, facts, rules, now)
        case Refused():
            return _refused(delivery, message, outcome, facts, rules, now)
        case Unclear():
            return _unclear(delivery, message, outcome, rules, now)
        case _:
            assert_never(outcome)


def _relayed(delivery: Delivery, message: Message | None, rules: Rules, now: datetime, facts: Facts) -> Writes:
    """The report that a carrier's text is on its way, with the last of its mails."""
    if message is None or not timing.by_carrier(delivery) or another.next_part(delivery) in facts.deliveries:
        return Writes()
    return dsn.relayed(message, delivery, rules, now)


def _deferred(
    delivery: Delivery, message: Message | None, end: Deferred, facts: Facts, rules: Rules, now: datetime
) -> Settlement:
    other = gone.overtaking(delivery, message, facts, rules, now)
    if other is not None:
        note = _joined(end.reason, gone.falls_back(delivery, other, facts))
        return settled(delivery, "deferred", Fate.FAILED, code=end.code, note=note, writes=Writes(deliveries=(other,)))
    due = timing.sooner(now + _pause(delivery, end), delivery, rules, now)
    again = _again(delivery, message, end, due, rules, now)
    return again if end.sender_wide else _late(again, delivery, message, end.reason, facts, rules, now)


def _pause(delivery: Delivery, end: Deferred) -> timedelta:
    asked = timedelta(seconds=min(end.retry_after or 0.0, _RETRY_AFTER))
    grey = timing.by_carrier(delivery) and bounce.greylisted(end.code, end.reason)
    return max(backoff(delivery), asked, _GREYLISTED if grey else timedelta())


def overdue(
    delivery: Delivery, message: Message | None, why: str, facts: Facts, rules: Rules, now: datetime
) -> Settlement | None:
    """The end of a carrier's text that cannot leave for too long, as it goes by the provider; None = it waits on."""
    other = gone.overtaking(delivery, message, facts, rules, now)
    if other is None:
        return None
    note = _joined(delivery.note or why, gone.falls_back(delivery, other, facts))
    return settled(delivery, "overdue", Fate.FAILED, code=delivery.code, note=note, writes=Writes(deliveries=(other,)))


def superseded(delivery: Delivery, facts: Facts) -> Settlement | None:
    """The end of a mail whose text goes another way as a whole, or has lost a part; None = it goes.

    Where no other way lives, the loss of the part has been reported: the rest would be half a text.
    """
    other = facts.deliveries.get(another.fallback_id(delivery))
    if other is not None and other.fate not in BAD_ENDS:
        return settled(delivery, "superseded", Fate.CANCELLED, note=f"the whole text goes by {other.courier}")
    earlier = [facts.deliveries[one] for one in another.earlier_parts(delivery) if one in facts.deliveries]
    lost = next((one for one in earlier if one.fate in BAD_ENDS), None)
    if lost is None:
        return None
    note = f"an earlier part could not be sent: {lost.note}"
    return settled(delivery, "superseded", Fate.CANCELLED, note=note)


def _joined(reason: str, what: str) -> str:
    """A note that ends in what follows, however much a host has to say."""
    return f"{reason[:800]}; {what}"


def _again(
    delivery: Delivery, message: Message | None, end: Deferred | Unclear, due: datetime, rules: Rules, now: datetime
) -> Settlement:
    outcome, code = ("deferred", end.code) if isinstance(end, Deferred) else ("unclear", "")
    if now >= delivery.expires_at:
        return expired(delivery, message, rules, now, outcome=outcome, last=end.reason, code=code)
    due = min(due, delivery.expires_at)
    reason = timing.RELAY if isinstance(end, Deferred) and timing.by_relay(delivery, end) else "retry"
    told = dsn.delayed(message, delivery, end.reason, rules, now) if message else Writes()
    note = end.reason
    return settled(delivery, outcome, Fate.WAITING, due_at=due, reason=reason, note=note, code=code, writes=told)


def expired(
    delivery: Delivery,
    message: Message | None,
    rules: Rules,
    now: datetime,
    *,
    outcome: str,
    last: str = "",
    code: str = "",
) -> Settlement:
    """Its time is over; the report names the last thing that was heard."""
    why = f"its time was over at {delivery.expires_at:%Y-%m-%d %H:%M} UTC"
    heard = last or delivery.note
    why += f"; the last answer was: {heard}" if heard else ""
    told = _told(delivery, message, why, code or "4.4.7", Fate.EXPIRED, rules, now)
    return settled(delivery, outcome, Fate.EXPIRED, note=heard or why, code=code or delivery.code, writes=told)


def _told(
    delivery: Delivery, message: Message | None, why: str, code: str, fate: Fate, rules: Rules, now: datetime
) -> Writes:
    """The report of a bad end; nothing where the message is gone."""
    if message is None:
        return Writes()
    return dsn.failure(another.told_of(delivery, message, rules), why, code, fate, rules, now)


def _late(
    again: Settlement,
    delivery: Delivery,
    message: Message | None,
    reason: str,
    facts: Facts,
    rules: Rules,
    now: datetime,
) -> Settlement:
    """A person's reply that its mailbox puts off for too long goes to the one behind as well."""
    begun = delivery.expires_at - notice.MAIL_EXPIRES  # it may have waited for an answer before it could go
    if message is None or again.fate is not Fate.WAITING or now - begun < rules.policy.fallback_after:
        return again
    other = another.to_fallback(delivery, message, reason, facts.fresh, facts, rules, now, late=True)
    return replace(again, writes=again.writes.joined(other))


def _refused(
    delivery: Delivery, message: Message | None, end: Refused, facts: Facts, rules: Rules, now: datetime
) -> Settlement:
    by = mail_domain(delivery.to)
    writes = gone.noted(delivery, message, end.code, end.reason, by, facts, rules, now, facts.fresh[1:])
    if end.opted_out and delivery.phone is not None:
        writes = Writes(consents=(optout.entry(delivery, delivery.phone, end.code, facts, rules, now),))
    elif message is not None:
        other, how = _other_way(delivery, message, end, facts, rules, now)
        if other != Writes():
            note, both = _joined(end.reason, how), other.joined(writes)
            return settled(delivery, "refused", Fate.FAILED, code=end.code, note=note, writes=both)
    fate = Fate.REFUSED if end.opted_out else Fate.FAILED
    # A part that was under way when its text went another way is no news.
    elsewhere = facts.deliveries.get(another.fallback_id(delivery))
    if elsewhere is None or elsewhere.fate in BAD_ENDS:
        writes = writes.joined(_told(delivery, message, end.reason, end.code, fate, rules, now))
    return settled(delivery, "refused", fate, code=end.code, note=end.reason, writes=writes)


def _other_way(
    delivery: Delivery, message: Message, end: Refused, facts: Facts, rules: Rules, now: datetime
) -> tuple[Writes, str]:
    """What brings the message after a no, and words about it; nothing where there is no other way."""
    picture = delivery.courier == "twilio" and end.code in codes.PICTURE
    linked = another.with_links(delivery, now, rules) if picture else None
    if linked is not None:
        return Writes(deliveries=(linked,)), "goes without its pictures, with links to them"
    provider = gone.instead(delivery, message, facts, rules, now)
    if provider is not None:
        return Writes(deliveries=(provider,)), gone.falls_back(delivery, provider, facts)
    hastened = gone.hastened(delivery, end.reason, facts, now)
    if hastened:
        return Writes(moves=hastened), "the whole text goes by the provider"
    other = another.to_fallback(delivery, message, end.reason, facts.fresh, facts, rules, now)
    return other, f"goes to {message.report_to}"


def _unclear(delivery: Delivery, message: Message | None, end: Unclear, rules: Rules, now: datetime) -> Settlement:
    if delivery.courier in PAID:
        due = (delivery.posted_at or now) + rules.lookup_after[0]
        return settled(delivery, "unclear", Fate.UNKNOWN, due_at=due, reason="lookup", note=end.reason)
    if delivery.resends < _MAIL_RESENDS:
        counted = replace(delivery, resends=delivery.resends + 1)
        return _again(counted, message, end, now + backoff(delivery), rules, now)
    why = f"{end.reason}; after {delivery.attempt} tries it may or may not have been handed over"
    told = _told(delivery, message, why, "4.4.2", Fate.FAILED, rules, now)
    return settled(delivery, "unclear", Fate.FAILED, code="4.4.2", note=why, writes=told)


def veto(
    delivery: Delivery, message: Message | None, talk: Conversation | None, facts: Facts, rules: Rules, now: datetime
) -> policy.No | None:
    """Why policy forbids this text at the last moment, a STOP above all; None = it may go.  Mails have no phone."""
    if delivery.phone is None:
        return None
    state = policy.standing(facts.consents.get(delivery.phone, ()), rules.brand)
    if delivery.kind is Kind.CONFIRMATION and _confirms(delivery, message, state, now):
        return None
    # Words of the machine rest on the person's text too, but not where it may have been a STOP.
    machine = delivery.kind in (Kind.ANSWER, Kind.QUESTION) and state.suspended is not None
    answering = delivery.conversational and policy.conversational(talk, now) and not machine
    number = rules.number(delivery.number)
    klass = message.klass if message else "informational"
    no = policy.forbids(delivery.phone, state, rules, answering=answering, klass=klass)
    return no or (policy.barred(number, state) if number else None)


def _confirms(delivery: Delivery, message: Message | None, state: policy.Standing, now: datetime) -> bool:
    """Whether a confirmation may go: the one text that a STOP allows, at once, or the answer to a word said after it.

    Source: 47 CFR 64.1200(a)(12).
    """
    if state.stopped is None:
        return True
    if delivery.message.endswith(".stop"):
        return now - state.stopped.at <= respond.CONFIRM_WITHIN
    return message is not None and state.stopped.at <= message.at


def vetoed(delivery: Delivery, message: Message | None, no: policy.No, rules: Rules, now: datetime) -> Settlement:
    """The end of a delivery that policy forbids, with its report."""
    who = delivery.person or str(delivery.phone)
    why = f"{who} {no.why}: {no.remedy}"
    told = dsn.failure(message, why, no.code, Fate.REFUSED, rules, now) if message else Writes()
    return settled(delivery, "vetoed", Fate.REFUSED, code=no.code, note=why, writes=told)


def over_budget(delivery: Delivery, rules: Rules, now: datetime, facts: Facts) -> Settlement:
    """A text over its sender's budget is held, and the admin is told once a day.

    The alarm's id is that of the day: every text says it, and it is written once, whatever a kill has lost.
    """
    why = f"the budget of sender {delivery.sender} is used up"
    day = f"{now.astimezone(rules.timezone):%Y-%m-%d}"
    text = f"{why[0].upper()}{why[1:]}: its texts are held.\n\n"
    text += f"Send them: gateway queue release --sender {delivery.sender}\n"
    key = f"budget.{delivery.sender}.{day}"
    subject, tokens = f"Texts of {delivery.sender} are held", facts.fresh[1:]
    told = notice.alarm(key, subject, text, rules, now, facts.confirmations, tokens=tokens)
    return settled(delivery, "held", Fate.HELD, reason="budget", note=why, writes=told)


def settled(
    delivery: Delivery,
    outcome: str,
    fate: Fate,
    *,
    due_at: datetime | None = None,
    reason: str = "",
    code: str = "",
    note: str = "",
    remote_id: str = "",
    lookups: int = 0,
    writes: Writes | None = None,
) -> Settlement:
    """A settlement of `delivery`, its counts as they are."""
    return Settlement(
        delivery=delivery.id,
        attempt=delivery.attempt,
        outcome=outcome,
        fate=fate,
        due_at=due_at,
        reason=reason,
        code=code,
        note=note[:1000],
        remote_id=remote_id,
        lookups=lookups,
        resends=delivery.resends,
        writes=writes or Writes(),
    )
