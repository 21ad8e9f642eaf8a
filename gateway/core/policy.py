"""Who may be texted: consent, countries.  The same words decide at the door, when planning and before sending."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from gateway.core import phone as phones
from gateway.core.keyword import keyword
from gateway.core.model import Consent, Conversation, Phone
from gateway.core.rules import Number, Rules


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What the ledger says of one phone and brand today."""

    stopped: Consent | None = None  # the person's STOP, not lifted by a START
    revoked: Consent | None = None  # withdrawn on the person's behalf, no newer grant
    suspended: Consent | None = None  # perhaps a STOP: the shop has been asked, and has not answered
    informational: Consent | None = None
    marketing: Consent | None = None
    blocked: tuple[str, ...] = ()  # E.164 of our numbers from which the provider takes no text to this phone

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
JOB_SYSTEM = "job_system"  # of the entry that a mail makes of a sender who vouches
MARKETING_METHODS = ("paper", "web", "keyword")  # in writing (47 CFR 64.1200(f)(9)): what marketing consent needs
_BY_PERSON = ("paper", "web", "keyword", "verbal")  # a grant that somebody of the shop has looked at
BY_MAIL = "mail"  # who recorded the STOP or START that a phone sent by its carrier's mail
NOT_VERIFIED = "not verified"  # how the evidence of such an entry ends where nothing proves the phone


def standing(entries: Sequence[Consent], brand: str) -> Standing:
    """The state after all `entries`, in the order in which they were committed.

    A STOP outlasts every later grant until the person's own START; a START lifts nothing but a STOP, a doubt about one
    and the block of the number that it was texted to.  Texts can arrive out of order, so what a START lifts is what is
    older than itself, whichever was committed first; said in the same moment, the STOP stands.  A START by mail that
    nothing proves lifts a STOP that came no better, and nothing else.

    Consent is given to a `brand`.  What ends it counts under every name that the shop has had: a person who said STOP
    does not know that the shop was renamed.
    """
    known = [entry for entry in entries if entry.brand == brand or entry.action != "grant"]
    starts = [entry for entry in known if entry.action == "start"]
    state = Standing()
    for entry in known:
        if not _lifted(entry, starts):
            state = _after(state, entry)
    return state


def _lifted(entry: Consent, starts: Sequence[Consent]) -> bool:
    newer = [s for s in starts if s.at > entry.at and (not _unverified(s) or _unverified(entry))]
    match entry.action:
        case "stop" | "suspend":
            return bool(newer)
        case "block":
            return any(start.number in ("", entry.number) for start in newer)
        case _:
            return False


def _unverified(entry: Consent) -> bool:
    """Whether a STOP or START came by a mail that anybody may have written."""
    by_mail = (entry.method, entry.recorded_by) == ("keyword", BY_MAIL)
    return by_mail and entry.evidence.endswith(NOT_VERIFIED)


def _after(state: Standing, entry: Consent) -> Standing:
    match entry.action:
        case "stop":
            newer = state.stopped if state.stopped and state.stopped.at > entry.at else entry
            doubt = state.suspended if state.suspended and state.suspended.at > entry.at else None
            return replace(state, stopped=newer, suspended=doubt)
        case "start":
            return state
        case "suspend":
            return replace(state, suspended=entry)
        case "resume":
            return replace(state, suspended=None)
        case "block":
            return replace(state, blocked=(*(n for n in state.blocked if n != entry.number), entry.number))
        case "revoke":
            return replace(state, revoked=entry, informational=None, marketing=None)
        case "grant":
            return _granted(state, entry)
        case _:
            raise ValueError(f"unknown action in the ledger: {entry.action!r}")


def _granted(state: Standing, entry: Consent) -> Standing:
    if entry.method == EMPLOYEE:
        # His place in the configuration is the consent, and ends with it; the entry only records it.
        return replace(state, revoked=None)
    if entry.method == JOB_SYSTEM and state.revoked is not None:
        return state  # what a machine says of everybody is below any opt-out
    kept = replace(state, revoked=None)
    if entry.method in _BY_PERSON:
        kept = replace(kept, suspended=None)
    return replace(kept, marketing=entry) if entry.klass == "marketing" else replace(kept, informational=entry)


def conversational(conversation: Conversation | None, now: datetime) -> bool:
    """Whether the person wrote to us in this conversation and it has not closed."""
    return conversation is not None and conversation.heard_at is not None and now < conversation.closes_at


def forbids(
    phone: Phone,
    state: Standing,
    rules: Rules,
    *,
    answering: bool = False,
    klass: str = "informational",
    vouched: bool = False,
) -> No | None:
    """Why `phone` must not be texted; None = it may be.

    `answering`: an open conversation in which the person wrote; it stands in for consent, and nothing else does.
    `klass` is that of the text.  `vouched`: the sender asserts informational consent with each mail.
    An employee's entry in the configuration is his consent.  A STOP beats all of these.
    """
    if state.stopped is not None:
        return No(why=stop_of(state.stopped), remedy="only a START from that phone lifts it")
    if state.revoked is not None:
        return No(why=f"was opted out on {state.revoked.at:%Y-%m-%d}", remedy=_grant(phone, klass))
    if rules.employee_at(phone) is not None or answering:
        return None
    if state.suspended is not None:
        return No(
            why=f"perhaps asked on {state.suspended.at:%Y-%m-%d} not to be texted",
            remedy="answer the question that was mailed about it with yes or no",
        )
    if klass == "marketing":
        return None if state.marketing else No(why="has not agreed to marketing texts", remedy=_grant(phone, klass))
    if vouched or state.granted is not None:
        return None
    return No(why="has not agreed to texts", remedy=_grant(phone, klass))


def stop_of(entry: Consent) -> str:
    """A STOP as a clause that follows the phone: who said it, and when."""
    on = f"{entry.at:%Y-%m-%d}"
    if entry.method == "mail":
        return f"was opted out by the shop on {on}, which took a text for a STOP"
    said = keyword(entry.raw)
    return f"said {said.word if said else 'STOP'} on {on}"


def barred(number: Number, state: Standing) -> No | None:
    """Why no text goes from `number` to the phone: the provider would refuse it (Twilio 21610); None = it may."""
    if number.phone not in state.blocked:
        return None
    return No(
        why=f"is blocked by the provider for our number {number.name}",
        remedy=f"only a START from that phone to {phones.shown(number.phone)} lifts it",
    )


def _grant(phone: Phone, klass: str) -> str:
    more = " --class marketing" if klass == "marketing" else ""
    return f"if the person agreed: gateway consent grant {phone} --method paper --evidence TEXT{more}"


def label(phone: Phone, state: Standing, rules: Rules, *, answering: bool = False, vouched: bool = False) -> str:
    """The consent that a text rests on, for preview and trace; "none" or "stopped" where it rests on nothing."""
    if state.stopped is not None:
        return f"stopped {state.stopped.at:%Y-%m-%d}"
    if state.revoked is not None:
        return f"revoked {state.revoked.at:%Y-%m-%d}"
    if state.suspended is not None:
        return f"suspended {state.suspended.at:%Y-%m-%d}"
    if state.granted is not None:
        return f"{state.granted.klass} by {state.granted.method} {state.granted.at:%Y-%m-%d}"
    if rules.employee_at(phone) is not None:
        return "employee"
    if answering:
        return "conversational"
    return "vouched" if vouched else "none"


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
