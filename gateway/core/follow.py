"""The second read: what the facts of the first one lead to, such as the person behind a token."""

from __future__ import annotations

from gateway.core import admit, another
from gateway.core.facts import NOTHING, Facts, Needs
from gateway.core.rules import Rules
from gateway.core.work import Delivery


def further(facts: Facts, wanted: Needs, rules: Rules) -> Needs:
    """The keys that `facts`, the answer to `wanted`, lead to; no keys where all of it was asked for already."""
    more = admit.followed(facts, rules) if wanted.tokens or wanted.questions else NOTHING
    more = more.joined(_waiting(facts)) if facts.questions else more
    more = more.joined(_texted(facts, wanted)) if facts.by_bounce else more
    more = more.joined(_spoken(facts, wanted)) if wanted.spoken else more
    if more is NOTHING:
        return more
    new = (
        more.phones - wanted.phones,
        more.employees - wanted.employees,
        more.deliveries - wanted.deliveries,
        more.tokens - wanted.tokens,
        more.asked - wanted.asked,
        more.said - wanted.said,
    )
    return more if any(new) else NOTHING


def _waiting(facts: Facts) -> Needs:
    """What hangs on the answer to "which job?"."""
    asked = [question for question in facts.questions.values() if question.kind == "job"]
    return Needs(
        deliveries=frozenset(delivery for question in asked for delivery in question.deliveries),
        tokens=frozenset(talk for question in asked for talk in question.options),
    )


def _spoken(facts: Facts, wanted: Needs) -> Needs:
    """What was said to the phones that are answered: the brake asks whether a machine answers a machine."""
    tokens = {token.lower() for token in wanted.spoken}
    return Needs(said=frozenset(talk.phone for talk in facts.conversations if talk.id in tokens))


def _texted(facts: Facts, wanted: Needs) -> Needs:
    """Whom the texts were for that a mail to b- is about, and what became of them: it may end his address and send the
    text by the provider.  Where it is a mail of that phone, what he may answer is read too.
    """
    texts = [(d, d.phone) for d in facts.by_bounce.values() if d.phone is not None]
    heard = [(d, phone) for d, phone in texts if phone in wanted.phones]
    answered = [message for d, _ in heard if (message := facts.messages.get(d.message))]
    return Needs(
        phones=frozenset(phone for _, phone in texts),
        employees=frozenset(d.person for d, _ in texts) - {""},
        deliveries=frozenset(key for d, _ in texts for key in _related(d)),
        asked=frozenset(phone for _, phone in heard),
        tokens=frozenset(message.conversation for message in answered) - {""},
    )


def _related(delivery: Delivery) -> tuple[str, ...]:
    """What replaces a carrier's text, and the mail of it that comes next; nothing for all else."""
    other = another.fallback_id(delivery)
    return (other, another.next_part(delivery)) if other else ()
