"""What an attempt rests on: read for it, or what its plan was made from a moment ago."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace

from gateway.core import another, follow, policy, timing
from gateway.core.arrival import entered
from gateway.core.facts import NOTHING, Facts, Needs
from gateway.core.model import Kind, Phone
from gateway.core.rules import Rules
from gateway.core.work import Delivery, Writes
from gateway.ports import Spool

KNOWN_SECONDS = 5.0  # what waited longer is read again


@dataclass(frozen=True, slots=True)
class Known:
    """The facts that a plan was made from, for its first attempts: no second read of what was read a moment ago.

    `start` holds the ledger against them, so a STOP that came since is seen; all else that may end a text is a fate.
    """

    facts: Facts
    rules: Rules
    read_at: float = field(default_factory=time.monotonic)

    def holds(self, delivery: Delivery, rules: Rules) -> bool:
        """Whether they still tell what an attempt at the delivery rests on."""
        fresh = time.monotonic() - self.read_at < KNOWN_SECONDS and self.rules is rules
        own = delivery.id in self.facts.deliveries
        return own and fresh and (delivery.phone is None or delivery.phone in self.facts.ledger)


def after(writes: Writes, facts: Facts, rules: Rules) -> Known:
    """What is known once a plan is committed; of whose consent it has changed, nothing.

    A sender's word for a person takes nothing from him, so `start` does not count it against the ledger.
    """
    changed = {entry.phone for entry in writes.consents if not policy.vouched(entry)}
    facts = entered(facts, writes.consents)
    ledger = {phone: row for phone, row in facts.ledger.items() if phone not in changed}
    new = Facts(
        conversations=writes.conversations,
        deliveries={delivery.id: delivery for delivery in writes.deliveries},
        messages={message.id: message for message in writes.messages},
    )
    return Known(replace(facts, deliveries={}, ledger=ledger).joined(new), rules)


async def gathered(spool: Spool, wanted: Needs, rules: Rules) -> Facts:
    """The facts asked for, and those that they lead to: the people of conversations, what waits for an answer."""
    facts = await spool.gather(wanted)
    more = follow.further(facts, wanted, rules)
    return facts if more is NOTHING or more == NOTHING else facts.joined(await spool.gather(more))


async def facts_of(spool: Spool, rules: Rules, delivery: Delivery) -> Facts:
    """What an attempt at a delivery rests on, and what may follow from its end."""
    phones = frozenset({delivery.phone}) if delivery.phone else frozenset[Phone]()
    people = frozenset(e.name for e in map(rules.employee_at, rules.alarm_to) if e is not None)
    people |= {delivery.person} - {""}
    # A reply may have to go to another mailbox, whose bounces come to an address of their own, as an alarm's do.
    alarm = rules.alarm_texts
    fresh = 1 + alarm if alarm or delivery.kind is Kind.REPLY else 0
    related = _related(delivery) if timing.by_carrier(delivery) else ()
    deliveries = frozenset({delivery.id, *related})
    wanted = Needs(phones=phones, deliveries=deliveries, employees=people, fresh=fresh)
    facts = await spool.gather(wanted)
    message = facts.messages.get(delivery.message)
    if delivery.conversational and message is not None and message.conversation:
        facts = facts.joined(await spool.gather(Needs(tokens=frozenset({message.conversation}))))
    return facts


def _related(delivery: Delivery) -> tuple[str, ...]:
    """The other mails of a carrier's text, as far as they decide about this one, and what replaces them all."""
    return (another.fallback_id(delivery), *another.earlier_parts(delivery), another.next_part(delivery))
