"""Who may be texted: consent, countries.  The same words decide at the door, when planning and before sending."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache

import phonenumbers
from phonenumbers import PhoneNumberType

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


_UNKNOWN = Standing()  # of a phone without an entry
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
    if not entries:
        return _UNKNOWN
    starts = [entry for entry in entries if entry.action == "start"]
    state = _Fold()
    for entry in entries:
        if entry.action == "grant":
            if entry.brand == brand:
                state.grant(entry)
        elif not _lifted(entry, starts):
            state.enter(entry)
    return Standing(
        stopped=state.stopped,
        revoked=state.revoked,
        suspended=state.suspended,
        informational=state.informational,
        marketing=state.marketing,
        blocked=tuple(state.blocked),
    )


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


@dataclass(slots=True)
class _Fold:
    """A standing in the making.  It changes in place: a frozen value for each entry costs ten times as much."""

    stopped: Consent | None = None
    revoked: Consent | None = None
    suspended: Consent | None = None
    informational: Consent | None = None
    marketing: Consent | None = None
    blocked: list[str] = field(default_factory=list)

    def enter(self, entry: Consent) -> None:
        """Any entry but a grant, unless a START lifts it."""
        match entry.action:
            case "stop":
                if self.stopped is None or self.stopped.at <= entry.at:
                    self.stopped = entry
                if self.suspended is not None and self.suspended.at <= entry.at:
                    self.suspended = None
            case "start":
                return
            case "suspend":
                self.suspended = entry
            case "resume":
                self.suspended = None
            case "block":
                self.blocked = [*(n for n in self.blocked if n != entry.number), entry.number]
            case "revoke":
                self.revoked, self.informational, self.marketing = entry, None, None
            case _:
                raise ValueError(f"unknown action in the ledger: {entry.action!r}")

    def grant(self, entry: Consent) -> None:
        if entry.method == JOB_SYSTEM and self.revoked is not None:
            return  # what a machine says of everybody is below any opt-out
        self.revoked = None
        if entry.method == EMPLOYEE:
            return  # his place in the configuration is the consent, and ends with it; the entry only records it
        if entry.method in _BY_PERSON:
            self.suspended = None
        if entry.klass == "marketing":
            self.marketing = entry
        else:
            self.informational = entry


def vouched(entry: Consent) -> bool:
    """Whether it is the grant that a mail makes of a sender who vouches: it ends nothing, and no two say different."""
    return (entry.action, entry.method, entry.klass) == ("grant", JOB_SYSTEM, "informational")


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
    """Why a paid text to `phone` is never sent, by the phone alone: its country, or what kind of number it is."""
    if rules.number_at(phone) is not None:
        return No(why="is a number of our own", remedy="a text to it would come back to us")
    region = phones.region(phone)
    if region not in rules.policy.countries:
        allowed = ", ".join(rules.policy.countries)
        return No(why=f"is a number of {region or 'no known country'}", remedy=f"[policy] countries allows {allowed}")
    if phones.premium(phone):
        return No(why="is a premium-rate number", remedy="such numbers are never texted")
    kind = _dear_or_deaf(phone)
    return No(why=f"is {kind}", remedy="such numbers are never texted") if kind else None


# Beside premium rate.  +44 70 looks like a mobile, and is what toll fraud likes best.
_NEVER = {
    PhoneNumberType.PERSONAL_NUMBER: "a personal number, which may cost much",
    PhoneNumberType.SHARED_COST: "a shared-cost number",
    PhoneNumberType.UAN: "a company-wide number",
    PhoneNumberType.PAGER: "a pager",
    PhoneNumberType.VOICEMAIL: "a voicemail box",
    PhoneNumberType.FIXED_LINE: "a landline",
}


@lru_cache(maxsize=65_536)
def _dear_or_deaf(phone: Phone) -> str:
    """What the plan of the phone's country calls it, where that takes no text or may cost more than one; "" = neither.

    The plan of +1 tells no landline from a mobile: there the provider does, before it charges (Twilio 21614).
    """
    if phones.is_nanp(phone):
        return ""
    return _NEVER.get(phonenumbers.number_type(phonenumbers.parse(phone, None)), "")
