"""Who may be texted: consent, countries.  The same words decide at the door, when planning and before sending."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from gateway.core import phone as phones
from gateway.core.keyword import keyword
from gateway.core.model import Consent, Conversation, Phone
from gateway.core.rules import Rules


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What the ledger says of one phone and brand today."""

    stopped: Consent | None = None  # the person's STOP, not lifted by a START
    revoked: Consent | None = None  # withdrawn on the person's behalf, no newer grant
    informational: Consent | None = None
    marketing: Consent | None = None

    @property
    def granted(self) -> Consent | None:
        """The entry that allows informational texts; marketing consent includes them."""
        return self.informational or self.marketing


@dataclass(frozen=True, slots=True, kw_only=True)
class No:
    """A refusal of policy.  `why` is a clause for people that follows the phone: "said STOP on 2026-11-21"."""

    why: str
    remedy: str
    code: str = "5.7.1"


EMPLOYEE = "employee"  # the method of the entry that an employee's place in the configuration makes


def standing(entries: Sequence[Consent], brand: str) -> Standing:
    """The state after all `entries`, oldest first.

    A STOP outlasts every later grant until the person's own START; a START lifts nothing but a STOP.
    """
    stopped = revoked = informational = marketing = None
    for entry in entries:
        if entry.brand != brand:
            continue
        match entry.action:
            case "stop":
                stopped = entry
            case "start":
                stopped = None
            case "revoke":
                revoked, informational, marketing = entry, None, None
            case "grant" if entry.method == EMPLOYEE:
                # His place in the configuration is the consent, and ends with it; the entry only records it.
                revoked = None
            case "grant" if entry.klass == "marketing":
                marketing, revoked = entry, None
            case "grant":
                informational, revoked = entry, None
            case _:
                raise ValueError(f"unknown action in the ledger: {entry.action!r}")
    return Standing(stopped=stopped, revoked=revoked, informational=informational, marketing=marketing)


def conversational(conversation: Conversation | None, now: datetime) -> bool:
    """Whether the person wrote to us in this conversation and it has not closed."""
    return conversation is not None and conversation.heard_at is not None and now < conversation.closes_at


def forbids(phone: Phone, state: Standing, rules: Rules, *, answering: bool = False) -> No | None:
    """Why `phone` must not be texted; None = it may be.

    `answering`: an open conversation in which the person wrote; it stands in for consent, and nothing else does.
    An employee's entry in the configuration is his consent.  A STOP beats all of these.
    """
    if state.stopped is not None:
        said = keyword(state.stopped.raw)
        return No(
            why=f"said {said.word if said else 'STOP'} on {state.stopped.at:%Y-%m-%d}",
            remedy="only a START from that phone lifts it",
        )
    if state.revoked is not None:
        return No(why=f"was opted out on {state.revoked.at:%Y-%m-%d}", remedy=_grant(phone))
    if rules.employee_at(phone) is not None or answering or state.granted is not None:
        return None
    return No(why="has not agreed to texts", remedy=_grant(phone))


def _grant(phone: Phone) -> str:
    return f"if the person agreed: gateway consent grant {phone} --method paper --evidence TEXT"


def label(phone: Phone, state: Standing, rules: Rules, *, answering: bool = False) -> str:
    """The consent that a text rests on, for preview and trace; "none" or "stopped" where it rests on nothing."""
    if state.stopped is not None:
        return f"stopped {state.stopped.at:%Y-%m-%d}"
    if state.revoked is not None:
        return f"revoked {state.revoked.at:%Y-%m-%d}"
    if state.granted is not None:
        return f"{state.granted.klass} by {state.granted.method} {state.granted.at:%Y-%m-%d}"
    if rules.employee_at(phone) is not None:
        return "employee"
    return "conversational" if answering else "none"


def unpayable(phone: Phone, rules: Rules) -> No | None:
    """Why a paid text to `phone` is never sent, by the phone alone: its country, or a premium number."""
    if rules.number_at(phone) is not None:
        return No(why="is a number of our own", remedy="a text to it would come back to us")
    region = phones.region(phone)
    if region not in rules.policy.countries:
        allowed = ", ".join(rules.policy.countries)
        return No(why=f"is a number of {region or 'no known country'}", remedy=f"[policy] countries allows {allowed}")
    if phones.premium(phone):
        return No(why="is a premium-rate number", remedy="such numbers are never texted")
    return None
