"""What the gateway texts back by itself: an [[answer]], that nobody reads a number, the confirmation of a STOP."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from gateway.core import answer, gsm, notice, policy, timing
from gateway.core.facts import Facts
from gateway.core.intent import Reply
from gateway.core.model import Conversation, Fate, InboundHook, Kind, Phone
from gateway.core.route import ProviderWay
from gateway.core.rules import Answer, Number, Rules
from gateway.core.work import Message, Writes

CONFIRM_WITHIN = timedelta(minutes=5)  # 47 CFR 64.1200(a)(12)
UNMONITORED = "unmonitored"  # in place of an answer's name


def machine_text(
    ident: str, kind: Kind, text: str, talk: Conversation, number: Number, inbound: str, rules: Rules, now: datetime
) -> Writes:
    """One text in the machine's own words, on the number that the person wrote to; the budget of its sender pays."""
    words = gsm.transliterate(text) if rules.text.transliterate else text
    message = Message(
        id=ident,
        inbound=inbound,
        kind=kind,
        sender=talk.sender or _owner(number, rules),
        recipient=talk.phone,
        phone=talk.phone,
        person="",
        conversation=talk.id,
        subject=talk.subject,
        text=words,
        rule=f"{kind.value} of number {number.name}",
        at=now,
    )
    way = ProviderWay(number=number, rule=message.rule)
    parcel = notice.parcel_for(way, message, rules, now, bounce="", delivery=f"{ident}.1")
    made = notice.text_delivery(message, way, rules, now, parcel=parcel, bounce="")
    made = timing.timed(replace(made, conversational=True), rules, now)
    return Writes(messages=(message,), deliveries=(made,))


def _owner(number: Number, rules: Rules) -> str:
    """The sender whose budget pays for a text to a stranger: the first that uses the number."""
    return next(
        (s.name for s in rules.senders if number.name in s.numbers), rules.senders[0].name if rules.senders else ""
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """What the ledger said before the entry of a keyword, and what it says with all that is known by now."""

    before: policy.Standing
    after: policy.Standing

    def lifts(self, number: Phone) -> str:
        """What a START lifted: "stop", "doubt", "block" (of `number`, E.164 of ours), or "" nothing."""
        if self.after.stopped is not None:
            return ""
        if self.before.stopped is not None:
            return "stop"
        if self.before.suspended is not None and self.after.suspended is None:
            return "doubt"
        return "block" if number in self.before.blocked and number not in self.after.blocked else ""


def effect(ident: str, phone: Phone, facts: Facts, rules: Rules) -> Effect:
    """The effect of the entry `ident`, which the facts hold."""
    entries = facts.consents.get(phone, ())
    own = next((n for n, entry in enumerate(entries) if entry.id == ident), len(entries))
    return Effect(before=policy.standing(entries[:own], rules.brand), after=policy.standing(entries, rules.brand))


def confirmation(
    inbound: InboundHook, reply: Reply, talk: Conversation, number: Number, facts: Facts, rules: Rules, now: datetime
) -> Writes:
    """The one answer to a keyword, where the provider gives none.  The facts hold the entry that the keyword made.

    None to a STOP that stands already or that a START has followed, nor to a START that lifts nothing: a YES is mostly
    a person's answer.
    """
    if reply.keyword is None or number.confirms_stop != "gateway" or now - inbound.at > CONFIRM_WITHIN:
        return Writes()
    ident = f"{inbound.id}.{reply.keyword.action}"
    did = effect(ident, talk.phone, facts, rules)
    match reply.keyword.action:
        case "stop" if did.before.stopped is not None or did.after.stopped is None:
            return Writes()
        case "start" if not did.lifts(number.phone) or did.before.revoked is not None:
            return Writes()
        case "stop":
            text = f"{rules.brand}: you are opted out and will get no more texts. Reply START to get them again."
        case "start":
            text = f"{rules.brand}: you will get texts again. Reply HELP for help, STOP to opt out."
        case _:
            help_ = number.unmonitored or "answer here and a person reads it."
            text = f"{rules.brand}: {help_} Reply STOP to opt out."
    made = machine_text(ident, Kind.CONFIRMATION, text, talk, number, inbound.id, rules, now)
    return replace(made, deliveries=tuple(replace(d, expires_at=inbound.at + CONFIRM_WITHIN) for d in made.deliveries))


def silent(phone: Phone, facts: Facts, rules: Rules) -> str:
    """Why the machine says nothing to a phone by itself, a clause; "" = it may, since the person wrote a moment ago."""
    state = policy.standing(facts.consents.get(phone, ()), rules.brand)
    no = policy.forbids(phone, state, rules, answering=True)
    if no is not None:
        return f"the phone {no.why}"
    return "the phone perhaps asked not to be texted" if state.suspended is not None else ""


def fitting(reply: Reply, number: Number, at: datetime, rules: Rules) -> Answer | None:
    """The [[answer]] for a person's text; a keyword of consent has none."""
    return None if reply.keyword else answer.answers(rules, number.name, reply.event.text, at)


def answered(
    inbound: InboundHook,
    reply: Reply,
    found: Answer | None,
    talk: Conversation,
    number: Number,
    facts: Facts,
    rules: Rules,
    now: datetime,
) -> tuple[Writes, str]:
    """The text that goes back by itself, and what the reply mail says of it."""
    text = found.text if found and found.text else ("" if found or reply.keyword else number.unmonitored)
    if not text or rules.employee_at(talk.phone) is not None or now - inbound.at > timedelta(hours=1):
        return Writes(), ""
    name = found.name if found else UNMONITORED
    rule = answer.rule_of(name)
    why = silent(talk.phone, facts, rules)
    why = why or answer.may_answer(facts.said.get(talk.phone, ()), name, reply.event.author, reply.event.text, now)
    if why:
        return Writes(), f"[The answer {name} was not texted: {why}.]"
    made = machine_text(f"{inbound.id}.answer", Kind.ANSWER, text, talk, number, inbound.id, rules, now)
    made = replace(made, messages=tuple(replace(m, rule=rule) for m in made.messages))
    if any(d.fate is Fate.EXPIRED for d in made.deliveries):
        return Writes(), f"[The answer {name} was not texted: quiet hours.]"
    return made, f"[Texted back by itself ({name}): {text}]"
