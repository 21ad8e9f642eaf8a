"""What a provider's word that a person is opted out enters in the ledger."""

from __future__ import annotations

from datetime import datetime

from gateway.core import policy
from gateway.core.facts import Facts
from gateway.core.model import Consent, Phone
from gateway.core.rules import Rules
from gateway.core.work import Delivery


def entry(
    delivery: Delivery, phone: Phone, code: str, facts: Facts, rules: Rules, now: datetime, *, attempt: int = 0
) -> Consent:
    """The entry that a provider's no makes (Twilio 21610): a STOP to the brand; or, where the person has said START
    since, and may have said it to another number, the block of this number alone.

    It is as old as the request that was refused: a START that came later than that lifts it.
    `attempt` is the one that was refused; 0 = the last.
    """
    entries = facts.consents.get(phone, ())
    started = any(e.action == "start" and e.brand == rules.brand for e in entries)
    block = started and policy.standing(entries, rules.brand).stopped is None
    number = rules.number(delivery.number)
    return Consent(
        id=f"{delivery.id}.{attempt or delivery.attempt}.stop",
        brand=rules.brand,
        phone=phone,
        at=delivery.posted_at or now,
        action="block" if block else "stop",
        method="provider",
        evidence=f"{delivery.courier} refused delivery {delivery.id} with {code}",
        recorded_by=delivery.courier,
        number=number.phone if number else "",
    )
