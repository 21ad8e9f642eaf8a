"""What is known when deciding: the keys that a decision must see, and the facts that answer them in one snapshot."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from gateway.core.model import Confirmation, Consent, Conversation, Phone, Question, Said, Spent
from gateway.core.work import Delivery, Message


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """The keys that a decision must see.  `Facts` answers them in one snapshot."""

    phones: frozenset[Phone] = frozenset()
    keys: frozenset[tuple[str, Phone, str]] = frozenset()  # (sender, phone, job)
    tokens: frozenset[str] = frozenset()  # conversations by id
    threads: frozenset[Phone] = frozenset()  # a phone's conversations: all open ones, and the last ones that closed
    deliveries: frozenset[str] = frozenset()
    remote_ids: frozenset[tuple[str, str]] = frozenset()  # (courier, remote id)
    bounces: frozenset[str] = frozenset()  # deliveries by the token of their b- address
    employees: frozenset[str] = frozenset()  # confirmations
    senders: frozenset[str] = frozenset()  # segments spent
    questions: frozenset[str] = frozenset()  # by id
    asked: frozenset[Phone] = frozenset()  # open questions about a phone
    pairs: frozenset[tuple[str, Phone]] = frozenset()  # (E.164 of ours, phone): whether the phone knows the number
    said: frozenset[Phone] = frozenset()  # what was texted to a phone within 24 h
    spoken: frozenset[str] = frozenset()  # the same for the phones of conversations: follow.py makes `said` of them
    floods: frozenset[str] = frozenset()  # senders: texts planned within the last minute
    fresh: int = 0  # how many new random tokens

    def joined(self, other: Needs) -> Needs:
        """Both sets of keys; the fresh tokens add up."""
        if other is NOTHING or self is NOTHING:
            return self if other is NOTHING else other
        return Needs(
            phones=self.phones | other.phones,
            keys=self.keys | other.keys,
            tokens=self.tokens | other.tokens,
            threads=self.threads | other.threads,
            deliveries=self.deliveries | other.deliveries,
            remote_ids=self.remote_ids | other.remote_ids,
            bounces=self.bounces | other.bounces,
            employees=self.employees | other.employees,
            senders=self.senders | other.senders,
            questions=self.questions | other.questions,
            asked=self.asked | other.asked,
            pairs=self.pairs | other.pairs,
            said=self.said | other.said,
            spoken=self.spoken | other.spoken,
            floods=self.floods | other.floods,
            fresh=self.fresh + other.fresh,
        )


NOTHING = Needs()  # the one that most often is joined: it costs nothing where it is this one


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    consents: Mapping[Phone, tuple[Consent, ...]] = field(default_factory=dict)  # oldest first
    conversations: tuple[Conversation, ...] = ()  # all that keys, tokens and threads asked for, latest text first
    deliveries: Mapping[str, Delivery] = field(default_factory=dict)  # by id
    by_remote: Mapping[tuple[str, str], Delivery] = field(default_factory=dict)
    by_bounce: Mapping[str, Delivery] = field(default_factory=dict)
    messages: Mapping[str, Message] = field(default_factory=dict)  # those of all deliveries above, by message id
    confirmations: Mapping[str, Confirmation] = field(default_factory=dict)  # by employee
    spent: Mapping[str, Spent] = field(default_factory=dict)  # by sender
    ledger: Mapping[Phone, int] = field(default_factory=dict)  # newest ledger row of the phone; fences `start`
    questions: Mapping[str, Question] = field(default_factory=dict)  # by id, those of Needs.questions and Needs.asked
    introduced: frozenset[tuple[str, Phone]] = frozenset()  # pairs of which a text was accepted, or is on its way
    said: Mapping[Phone, tuple[Said, ...]] = field(default_factory=dict)  # newest first, at most 100
    floods: Mapping[str, int] = field(default_factory=dict)  # by sender, at most 10,000
    fresh: tuple[str, ...] = ()

    def joined(self, other: Facts) -> Facts:
        """These facts and what a second, later read added; the later read wins."""
        known = {c.id for c in other.conversations}
        return Facts(
            consents={**self.consents, **other.consents},
            conversations=other.conversations + tuple(c for c in self.conversations if c.id not in known),
            deliveries={**self.deliveries, **other.deliveries},
            by_remote={**self.by_remote, **other.by_remote},
            by_bounce={**self.by_bounce, **other.by_bounce},
            messages={**self.messages, **other.messages},
            confirmations={**self.confirmations, **other.confirmations},
            spent={**self.spent, **other.spent},
            ledger={**self.ledger, **other.ledger},
            questions={**self.questions, **other.questions},
            introduced=self.introduced | other.introduced,
            said={**self.said, **other.said},
            floods={**self.floods, **other.floods},
            fresh=self.fresh + other.fresh,
        )
