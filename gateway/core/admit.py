"""Who may use which address (design.md 5.1), and what is open to each person behind it.

The door asks at RCPT; planning asks again with the same words, because a STOP may have come in between.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from gateway.core import phone as phones
from gateway.core import policy
from gateway.core.address import (
    BadAddress,
    ConsentCommand,
    Foreign,
    Target,
    TextAddress,
    ToAbuse,
    ToAsk,
    ToBounce,
    ToConversation,
    ToEnroll,
    ToName,
    ToPhone,
    ToPostmaster,
    ToPreview,
)
from gateway.core.facts import Facts, Needs
from gateway.core.model import Conversation, Door, Phone, Question, Refusal
from gateway.core.route import NoWay, Person, Pool, Way, chooses, persons, ways
from gateway.core.rules import Rule, Rules, Sender

Texted = ToPhone | ToName | TextAddress | ToConversation
Known = Texted | ToPreview | ConsentCommand | Foreign  # what only known senders may use
SUPERSEDED = "superseded"  # the answer of a question whose place another one took


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What is open to one person: the ways, or why there is none."""

    person: Person
    ways: tuple[Way, ...] = ()
    refused: Refusal | None = None
    consent: str = ""  # what a text would rest on
    rule: str = ""
    conversation: Conversation | None = None  # the one that the text belongs to; None = a new one
    answering: bool = False  # it came by an r- address: conversational consent may stand in for an entry in the ledger


def wants(targets: Iterable[Target], rules: Rules) -> Needs:
    """The facts that `admit` and `choices` read for these targets."""
    seen, crowded = set[Phone](), set[Phone]()
    employees: set[str] = set()
    tokens: set[str] = set()
    bounces: set[str] = set()
    questions: set[str] = set()
    for target in targets:
        inner = target.inner if isinstance(target, ToPreview) else target
        match inner:
            case ToPhone() | ToName() | TextAddress():
                found = persons(inner, rules)
                people = found if isinstance(found, tuple) else ()
                seen |= {person.phone for person in people}
                crowded |= {person.phone for person in people if chooses(person, rules)}
                employees |= {person.employee.name for person in people if person.employee}
            case ToConversation(token=token):
                tokens.add(token)
            case ToBounce(token=token):
                bounces.add(token)
            case ToAsk(token=token):
                questions.add(token)
            case ConsentCommand(phone=phone):
                seen.add(phone)
    return Needs(
        phones=frozenset(seen),
        threads=frozenset(crowded),
        tokens=frozenset(tokens),
        bounces=frozenset(bounces),
        employees=frozenset(employees),
        questions=frozenset(questions),
    )


def followed(facts: Facts, rules: Rules) -> Needs:
    """The facts about the persons of conversations and questions: a token must be read before its phone is known."""
    phones = frozenset([*(c.phone for c in facts.conversations), *(q.phone for q in facts.questions.values())])
    people = [rules.employee_at(phone) for phone in phones]
    return Needs(phones=phones, employees=frozenset(e.name for e in people if e is not None))


def conversation(facts: Facts, token: str) -> Conversation | None:
    """The conversation behind an r- address."""
    return next((c for c in facts.conversations if c.id == token.lower()), None)


def choose(
    person: Person,
    sender: Sender | None,
    facts: Facts,
    rules: Rules,
    now: datetime,
    *,
    talk: Conversation | None = None,
    answering: bool = False,
    rule: Rule | None = None,
) -> Choice:
    """The ways to one person, consent and policy included.

    `talk` is the conversation that the text belongs to; `answering` says that it came in by the r- address; `rule` is
    the [[rule]] that fits the mail.
    """
    state = policy.standing(facts.consents.get(person.phone, ()), rules.brand)
    heard = answering and policy.conversational(talk, now)
    vouched = sender is not None and sender.vouches and not answering
    klass = rule.klass if rule and rule.klass and not answering else "informational"
    consent = policy.label(person.phone, state, rules, answering=heard, vouched=vouched)
    # What no consent can mend is said first.
    unpayable = policy.unpayable(person.phone, rules) if person.employee is None else None
    no = unpayable or policy.forbids(person.phone, state, rules, answering=heard, klass=klass, vouched=vouched)
    bare = Choice(person=person, consent=consent, conversation=talk, answering=answering)
    if no is not None:
        return replace(bare, refused=_no(no.code, f"{_who(person)} {no.why}: {no.remedy}"))
    pool = Pool(
        wanted=rule.numbers if rule else (),
        busy=_busy(person.phone, talk, facts, now),
        barred=frozenset(n.name for n in rules.numbers if n.phone in state.blocked),
    )
    found = ways(
        person,
        sender,
        rules,
        today=now.astimezone(rules.timezone).date(),
        confirmation=facts.confirmations.get(person.employee.name if person.employee else ""),
        conversation=talk if talk is not None and (answering or talk.closes_at > now) else None,
        pool=pool,
    )
    if isinstance(found, NoWay):
        return replace(bare, refused=_no(found.code, found.reason), rule=found.rule)
    return replace(bare, ways=found, rule=found[0].rule)


def _busy(phone: Phone, talk: Conversation | None, facts: Facts, now: datetime) -> frozenset[str]:
    """The numbers on which the phone has another open conversation."""
    others = (c for c in facts.conversations if talk is None or c.id != talk.id)
    return frozenset(c.number for c in others if c.phone == phone and c.closes_at > now)


def choices(
    target: Texted,
    sender: Sender | None,
    facts: Facts,
    rules: Rules,
    now: datetime,
    *,
    about: tuple[str, str] | None = None,
    rule: Rule | None = None,
) -> tuple[Choice, ...] | Refusal:
    """One choice per person behind an address that leads to phones.

    `about` is the sender's name and the job, and `rule` the [[rule]] that fits, once the mail is read: what is said of
    one job stays in its conversation.
    """
    if isinstance(target, ToConversation):
        talk = conversation(facts, target.token)
        if talk is None:
            return _no("5.1.1", "there is no such conversation")
        person = Person(phone=talk.phone, employee=rules.employee_at(talk.phone))
        owner = rules.sender(talk.sender) or sender
        return (choose(person, owner, facts, rules, now, talk=talk, answering=True),)
    found = persons(target, rules)
    if isinstance(found, NoWay):
        return _no(found.code, found.reason)
    chosen = tuple(choose(p, sender, facts, rules, now, talk=_running(p.phone, about, facts), rule=rule) for p in found)
    if isinstance(target, TextAddress) and chosen[0].consent == "none":
        return _no("5.1.1", f"{found[0].stored} belongs to no employee and to no customer who agreed to texts")
    return chosen


def _running(phone: Phone, about: tuple[str, str] | None, facts: Facts) -> Conversation | None:
    return next((c for c in facts.conversations if c.phone == phone and (c.sender, c.job) == about), None)


def admit(
    target: Target | BadAddress, door: Door, sender: Sender | None, facts: Facts, rules: Rules, now: datetime
) -> Refusal | None:
    """The answer to one RCPT; None = welcome."""
    match target:
        case BadAddress(reason=reason):
            return _no("5.1.3", reason)
        case ToBounce(token=token):
            return None if token in facts.by_bounce else _no("5.1.1", "no mail of ours bears this bounce address")
        case ToPostmaster():
            return None
        case ToAbuse():
            return None if door is Door.PUBLIC or sender is not None else _stranger()
        case ToEnroll():
            opened = door is Door.PUBLIC and rules.carriers.reply_domains
            return None if opened else _no("5.1.1", "enrolment is not available here: the phone must text this address")
        case ToConversation() if door is Door.PUBLIC and texter(target, facts, rules) is not None:
            return None  # even after a STOP: the START comes in here
        case ToConversation() | ToAsk() if door is Door.PUBLIC:
            return answerable(target, facts, rules, now)
        case ToAsk():
            return _admit_decision(target, facts) if sender is not None else _stranger()
        case _ if door is Door.PUBLIC:
            return _outside()
        case _ if sender is None:
            return _stranger()
        case _:
            return _admit_known(target, sender, facts, rules, now)


def _stranger() -> Refusal:
    return _no("5.7.1", "you are not a known sender: your address is in no [[sender]] networks, and no login")


def _outside() -> Refusal:
    return _no("5.7.1", "this address is not for mail from outside")


def answered(target: ToConversation | ToAsk, facts: Facts, rules: Rules) -> Sender | None:
    """The sender whose conversation or question somebody in its answer_from may answer from outside; None = nobody.

    An enrolment is no sender's: the mail addresses of alarm_to are the answer_from of one without a name.
    """
    token = target.token
    asked = conversation(facts, token) if isinstance(target, ToConversation) else facts.questions.get(token)
    owner = rules.sender(asked.sender) if asked else None
    if isinstance(asked, Question) and asked.kind == "enroll":
        owner = Sender(name="", answer_from=tuple(to for to in rules.alarm_to if "@" in to))
    return owner if owner is not None and owner.answer_from else None


def answerable(target: ToConversation | ToAsk, facts: Facts, rules: Rules, now: datetime) -> Refusal | None:
    """Why this address takes no mail from outside; None = it takes that of somebody in answer_from, proven at DATA."""
    owner = answered(target, facts, rules)
    if owner is None:
        return _outside()
    if isinstance(target, ToConversation):
        return _admit_texted(target, owner, facts, rules, now)
    no = _admit_decision(target, facts)
    closed = no is None and facts.questions[target.token].closes_at <= now
    return _no("5.7.1", "this question has closed") if closed else no


def texter(target: ToConversation, facts: Facts, rules: Rules) -> Phone | None:
    """The employee's phone that may answer at this address by its carrier's mail; None where no phone may."""
    talk = conversation(facts, target.token)
    return talk.phone if talk is not None and rules.employee_at(talk.phone) is not None else None


def _admit_decision(target: ToAsk, facts: Facts) -> Refusal | None:
    question = facts.questions.get(target.token)
    if question is None or question.kind not in ("stop", "enroll"):
        return _no("5.1.1", "there is no such question")
    if question.answered_at is not None:
        newer = question.answer == SUPERSEDED
        return _no("5.7.1", f"this question has been {'superseded by a newer one' if newer else 'answered'}")
    return None


def _admit_known(target: Known, sender: Sender, facts: Facts, rules: Rules, now: datetime) -> Refusal | None:
    match target:
        case Foreign(address=address):
            if sender.other_mail == "relay":
                return None
            return _no("5.7.1", f"relaying denied: {address} is neither at {rules.domain} nor a carrier's text address")
        case ConsentCommand(action=action, phone=phone):
            if not sender.may_consent:
                return _no("5.7.1", f"sender {sender.name} has no may_consent")
            return _may_opt_in(phone, facts, rules) if action == "optin" else None
        case ToPreview():
            return None
        case _:
            return _admit_texted(target, sender, facts, rules, now)


def _admit_texted(target: Texted, sender: Sender, facts: Facts, rules: Rules, now: datetime) -> Refusal | None:
    found = choices(target, sender, facts, rules, now)
    if isinstance(found, Refusal):
        return found
    return None if any(c.refused is None for c in found) else found[0].refused


def _may_opt_in(phone: Phone, facts: Facts, rules: Rules) -> Refusal | None:
    """A grant after a STOP would change nothing: better said than entered."""
    state = policy.standing(facts.consents.get(phone, ()), rules.brand)
    no = policy.forbids(phone, state, rules) if state.stopped else None
    return _no(no.code, f"{phones.shown(phone)} {no.why}: {no.remedy}") if no else None


def _who(person: Person) -> str:
    return f"{person.employee.name} ({phones.shown(person.phone)})" if person.employee else phones.shown(person.phone)


def _no(enhanced: str, text: str) -> Refusal:
    return Refusal(code=550, enhanced=enhanced, text=text)
