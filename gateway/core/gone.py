"""A carrier's no, or silence: the way that brings the text then, what is noted, and what the admin is told, once.

A no may be said of an employee's address, or of us.
Whose no it is, is read from codes and words: see bounce.verdict_of.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from gateway.core import address, another, bounce, notice, timing
from gateway.core import carrier as carriers
from gateway.core.facts import Facts
from gateway.core.model import Confirmation, Fate
from gateway.core.route import CarrierWay, NoWay, Person, ways
from gateway.core.rules import Employee, Rules
from gateway.core.work import Delivery, Message, Move, Writes

TWICE = "it may reach the phone twice"
_NOTE_CHARS = 200
_LEFT = frozenset({Fate.SENDING, Fate.UNKNOWN, Fate.HANDED_OVER, Fate.DELIVERED})
# The name of a relay ("antispam.example.com") is no word of the host's.
_HEAD = re.compile(r"\A\S+ answered [\w ]{1,20} with (?=[45]\d\d )")


def instead(delivery: Delivery, message: Message, facts: Facts, rules: Rules, now: datetime) -> Delivery | None:
    """The delivery by the provider in place of the carrier's; None where that is not open, or was made before.

    Several mails of one text may fail, and one may be told of twice.
    """
    known = another.superseded(delivery, facts)
    return None if known else another.by_provider(delivery, message, rules, now)


def overtaking(
    delivery: Delivery, message: Message | None, facts: Facts, rules: Rules, now: datetime
) -> Delivery | None:
    """The delivery by the provider of a text with which the carrier has had its time; None = it has time, or all."""
    at = timing.falls_back_at(delivery, rules)
    if message is None or at is None or not at <= now < delivery.expires_at:
        return None
    return instead(delivery, message, facts, rules, now)


def after_delay(
    delivery: Delivery, message: Message | None, facts: Facts, rules: Rules, now: datetime
) -> Delivery | None:
    """The delivery by the provider of a text that is late: at once where the carrier has had its time, else then.

    None where the text's time is over by then.  One report is all that most relays send.
    """
    at = timing.falls_back_at(delivery, rules)
    due = None if at is None else max(at, now)
    if message is None or due is None or due >= delivery.expires_at:
        return None
    other = instead(delivery, message, facts, rules, now)
    if other is None:
        return None
    until = "" if due == now else f"until {due:%Y-%m-%d %H:%M} UTC the carrier has time; "
    bare = f", {other.note}" if other.note else ""
    return replace(other, due_at=due, note=f"{until}{TWICE}: the mail to {delivery.to} is only late{bare}")


def hastened(delivery: Delivery, why: str, facts: Facts, now: datetime) -> tuple[Move, ...]:
    """What lets a fallback go at once that gives the carrier time, now that the carrier says no."""
    other = facts.deliveries.get(another.fallback_id(delivery))
    if other is None or other.fate is not Fate.WAITING or other.attempt or other.due_at <= now:
        return ()
    return (Move(delivery=other.id, fate=Fate.WAITING, note=why, source="bounce", due_at=now),)


def falls_back(delivery: Delivery, other: Delivery, facts: Facts) -> str:
    """Words about a fallback.  What ended unclear may have arrived, and so may another part of the text.

    The facts hold the delivery of `another.next_part`, if any.
    """
    after = facts.deliveries.get(another.next_part(delivery))
    part = "-" in delivery.id.rpartition(".")[2] or (after is not None and (after.fate in _LEFT or after.resends))
    how = f"falls back to {other.courier}{f', {other.note}' if other.note else ''}"
    return f"{how}; {TWICE}" if delivery.resends or part else how


def verdict_of(code: str, words: str) -> str:
    """bounce.verdict_of for the words of an outcome, which begin with the name of the host."""
    return bounce.verdict_of(code, _HEAD.sub("", words))


def against_us(delivery: Delivery, code: str, words: str) -> bool:
    """Whether a no to a text by a carrier is said of us: other texts to that domain would hear the same."""
    return timing.by_carrier(delivery) and verdict_of(code, words) == "policy"


def stale(delivery: Delivery, code: str, rules: Rules, now: datetime) -> bool:
    """Whether a no that came back says nothing of today, as the text left too long ago.

    One for good is said at the first try; a passing one at each of a relay's, however old the text is.
    """
    long_ago = delivery.posted_at is not None and now - delivery.posted_at > rules.policy.expires_after
    return long_ago and not code.startswith("4")


def noted(
    delivery: Delivery,
    message: Message | None,
    code: str,
    words: str,
    by: str,
    facts: Facts,
    rules: Rules,
    now: datetime,
    tokens: Iterable[str] = (),
) -> Writes:
    """That an employee's address is gone, and the mail that asks the admin about it.

    Nothing where the no is not the number's, where it is known, or where somebody has proven the address since the text
    left.  `by` is who said no.  `tokens`: see notice.alarm.
    """
    employee = rules.employee(delivery.person)
    if employee is None or not timing.by_carrier(delivery) or verdict_of(code, words) != "number":
        return Writes()
    earlier = facts.confirmations.get(employee.name)
    if _address(employee, rules) != delivery.to or _is_known(earlier, delivery):
        return Writes()
    said = _HEAD.sub("", words)[:_NOTE_CHARS]
    word = Confirmation(
        employee=employee.name, address=delivery.to, at=now, by=by, works=False, how="bounce", note=said
    )
    # A word that came between makes the next no news, down to the second.
    since = f"{earlier.at:%Y-%m-%dT%H%M%S}" if earlier else ""
    key = f"gone.{delivery.to.replace('@', '.at.')}.{since}"
    confirmations = {**facts.confirmations, employee.name: word}
    subject, text = _told(employee, delivery, message, word, rules, now)
    told = notice.alarm(key, subject, text, rules, now, confirmations, tokens=tokens)
    return Writes(confirmations=(word,)).joined(told)


def _address(employee: Employee, rules: Rules) -> str:
    """Where his texts would go today; "" = to no carrier."""
    channel = rules.channel(employee)
    return (carriers.render(channel, employee.phone) or "") if channel else ""


def _is_known(earlier: Confirmation | None, delivery: Delivery) -> bool:
    if earlier is None or earlier.address != delivery.to:
        return False
    return not earlier.works or earlier.at > (delivery.posted_at or delivery.due_at)


def _told(
    employee: Employee, delivery: Delivery, message: Message | None, word: Confirmation, rules: Rules, now: datetime
) -> tuple[str, str]:
    """Subject and text of the mail about an address that is gone."""
    channel, name = rules.channel(employee), employee.name
    subject = f"{name}'s address at {channel.name if channel else 'the carrier'} is gone: left the carrier?"
    text = (
        f"A text to {delivery.to} came back: {word.note}\n\n"
        f"{_now(employee, message, word, rules, now)}\n\n"
        "What to do:\n"
        f"- Ask {name} for the carrier of today, and set it in [[employee]].\n"
        f"- Which carrier the phone has (paid look-up): gateway carriers suggest {name}\n"
        f"- Find out by a text with a code: gateway carriers test {name}\n"
        f"- If the address works all the same: gateway carriers confirm {name}\n\n"
        f"The text: gateway trace {delivery.message}\n"
    )
    return subject, text


def _now(employee: Employee, message: Message | None, word: Confirmation, rules: Rules, now: datetime) -> str:
    """What becomes of the employee's texts from now on."""
    person = Person(phone=employee.phone, employee=employee)
    sender = rules.sender(message.sender) if message else None
    found = ways(person, sender, rules, today=now.astimezone(rules.timezone).date(), confirmation=word)
    if isinstance(found, NoWay):
        return f"Texts to {employee.name} are refused from now on: {found.reason}."
    first = found[0]
    if isinstance(first, CarrierWay):
        return f"Nothing else is open to {employee.name}, so the carrier is still tried. Such texts may be lost."
    provider, number = first.number.provider, first.number.name
    return f"From now on texts to {employee.name} go by {provider} number {number}, which costs money."


def shut_out(delivery: Delivery, words: str, rules: Rules, now: datetime) -> tuple[str, str, str]:
    """Key, subject and text of the alarm that a carrier's domain refuses us.  One a day."""
    domain = address.mail_domain(delivery.to)
    text = (
        f"{words}\n\n"
        f"That is said of us, not of one phone, so nothing is sent to {domain} for a while: for 15 minutes, later for "
        "up to 4 hours. Then one text finds out whether our mail is taken again. What waits for longer than [policy] "
        "fallback_after goes by the provider where that is open: gateway queue list\n"
        "When the cause is mended: gateway queue retry ID lets one text try at once.\n\n"
        "What to do:\n"
        "- Look at our mail as a receiver sees it (SPF, DKIM, the name of this machine): gateway check --live\n"
        "- Read the carrier's terms: they forbid advertising, and some all texts by a business. A [[number]] of a "
        "provider is the way for those.\n\n"
        f"The text: gateway trace {delivery.message}\n"
    )
    return f"policy.{domain}.{now.astimezone(rules.timezone):%Y-%m-%d}", f"{domain} refuses our texts", text
