"""What an inbound means, recipient by recipient, and the keys that deciding on it needs."""

from __future__ import annotations

import re
from dataclasses import dataclass

from gateway.core import address, automatic, choice
from gateway.core.address import (
    BadAddress,
    ConsentCommand,
    Foreign,
    Plain,
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
from gateway.core.admit import wants
from gateway.core.facts import NOTHING, Needs
from gateway.core.keyword import Keyword, texted
from gateway.core.model import Door, InboundHook, InboundMail, Phone, Reading, Recipient, StatusIn, TextIn, Unreadable
from gateway.core.rules import Rule, Rules


@dataclass(frozen=True, slots=True, kw_only=True)
class SendText:
    recipient: Recipient
    target: ToPhone | ToName | TextAddress | ToConversation


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    recipient: Recipient
    target: Plain


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsentChange:
    """Consent by mail: optin+ or optout+."""

    recipient: Recipient
    action: str  # optin | optout
    phone: Phone


@dataclass(frozen=True, slots=True, kw_only=True)
class Forward:
    """A mail that goes on as it is: to the people of postmaster and abuse, or to an outside address."""

    recipient: Recipient
    to: tuple[str, ...]
    unchanged: bool  # other_mail = "relay": our hand does not show


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A mail to a b- address: it speaks of a mail of ours, or a carrier sends there what its phone answers."""

    recipient: Recipient
    token: str
    phone: Phone | None = None  # that a person may have written it with; None = what it is not


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplyByMail:
    """An employee answers a carrier text: mail from a phone to r-.  Whether it is his phone, the conversation tells."""

    recipient: Recipient
    target: ToConversation
    phone: Phone


@dataclass(frozen=True, slots=True, kw_only=True)
class Enroll:
    """A phone writes to enroll@: From tells its number and its carrier."""

    recipient: Recipient
    phone: Phone
    carriers: tuple[str, ...]  # ids of the carriers whose phones write from that domain
    address: str  # From


@dataclass(frozen=True, slots=True, kw_only=True)
class Ignored:
    """Words of a machine that must go no further."""

    recipient: Recipient
    reason: str
    phone: Phone | None = None  # in whose name they come


@dataclass(frozen=True, slots=True, kw_only=True)
class NotForUs:
    """An address that the door let pass (refuse = "mail") and that leads nowhere."""

    recipient: Recipient
    target: Target | BadAddress


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """A person texted us."""

    event: TextIn
    keyword: Keyword | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """A provider tells what became of a text."""

    event: StatusIn


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """A person answers a question that we mailed: mail to a-."""

    recipient: Recipient
    token: str


MailIntent = (
    SendText | Preview | ConsentChange | Forward | Report | ReplyByMail | Enroll | Answered | Ignored | NotForUs
)
Intent = MailIntent | Reply | Status | Unreadable

FILES = 10  # that go with one text at most
WAITING = 20  # mails that wait for one answer to "which job?" at most

_AGAIN = re.compile(r"^\s*(?:(?:re|fwd?|aw|wg|sv|antw|rif|tr)(?:\[\d+\])?\s*:\s*)+", re.IGNORECASE)


def target_of(recipient: str, rules: Rules) -> Target | BadAddress:
    """The meaning of one envelope address under `rules`."""
    return address.parse(recipient, rules.domain, rules.country, rules.carriers.domains)


def understand(
    inbound: InboundMail | InboundHook, reading: Reading | Unreadable | None, rules: Rules
) -> tuple[Intent, ...]:
    """What `inbound` means: one intent per recipient of a mail, one for a hook.  `reading` is None for a hook."""
    if isinstance(inbound, InboundHook):
        event = inbound.event
        return (Status(event=event) if isinstance(event, StatusIn) else Reply(event=event, keyword=texted(event)),)
    if not isinstance(reading, Reading):
        return (reading or Unreadable(reason="the mail was not read"),)
    return tuple(_one(r, inbound, reading, rules) for r in inbound.envelope.recipients)


def _one(recipient: Recipient, mail: InboundMail, reading: Reading, rules: Rules) -> MailIntent:
    target = target_of(recipient.address, rules)
    match target:
        case ToConversation() | ToEnroll() if mail.door is Door.PUBLIC and not mail.sender:
            return _from_phone(recipient, target, mail, reading, rules)
        case ToConversation():
            why = automatic.answer(mail, reading)
            return Ignored(recipient=recipient, reason=why) if why else SendText(recipient=recipient, target=target)
        case ToPhone() | ToName() | TextAddress():
            why = automatic.job_mail(reading)
            return Ignored(recipient=recipient, reason=why) if why else SendText(recipient=recipient, target=target)
        case ToPreview(inner=inner):
            return Preview(recipient=recipient, target=inner)
        case ToBounce(token=token):
            found = automatic.phone(mail, reading, rules)
            return Report(recipient=recipient, token=token, phone=None if isinstance(found, str) else found[0])
        case ToAsk(token=token):
            why = automatic.answer(mail, reading)
            return Ignored(recipient=recipient, reason=why) if why else Answered(recipient=recipient, token=token)
        case ConsentCommand(action=action, phone=phone):
            return ConsentChange(recipient=recipient, action=action, phone=phone)
        case ToPostmaster() | ToAbuse():
            if reading.ours:
                return Ignored(recipient=recipient, reason="a mail of our own came back")
            return Forward(recipient=recipient, to=mailboxes(rules), unchanged=False)
        case Foreign(address=other):
            return Forward(recipient=recipient, to=(other,), unchanged=True)
        case _:
            return NotForUs(recipient=recipient, target=target)


def _from_phone(
    recipient: Recipient, target: ToConversation | ToEnroll, mail: InboundMail, reading: Reading, rules: Rules
) -> ReplyByMail | Enroll | Ignored:
    """A mail from outside that is taken from phones alone."""
    found = automatic.phone(mail, reading, rules)
    if isinstance(found, str):
        return Ignored(recipient=recipient, reason=found, phone=automatic.author(reading, rules))
    if isinstance(target, ToConversation):
        return ReplyByMail(recipient=recipient, target=target, phone=found[0])
    return Enroll(recipient=recipient, phone=found[0], carriers=found[1], address=str(reading.author))


def mailboxes(rules: Rules) -> tuple[str, ...]:
    """The mail addresses in alarm_to; the others are phones."""
    return tuple(a for a in rules.alarm_to if "@" in a)


def job(reading: Reading, rule: Rule | None = None) -> str:
    """The name of the job that a mail is about: the configured capture, the root of its thread, or its subject.

    The pattern of the [[rule]] that fits takes the place of [text] job.
    """
    if rule is not None and rule.job:
        own = reading.captured.get(rule.job, "")
        if own:
            return own
    elif reading.job:
        return reading.job
    if reading.references:
        return reading.references[0]
    return bare_subject(reading.subject).casefold()


def bare_subject(subject: str) -> str:
    """`subject` without Re: and Fwd: in front."""
    if ":" not in subject:
        return subject.strip()
    return _AGAIN.sub("", subject).strip()


def needs(
    intents: tuple[Intent, ...], inbound: InboundMail | InboundHook, reading: Reading | Unreadable | None, rules: Rules
) -> Needs:
    """Everything that `plan.make` reads.  The phones behind r- and b- tokens follow from `admit.followed`."""
    wanted = wants([i.target for i in intents if isinstance(i, SendText | Preview | ReplyByMail)], rules)
    more, files = NOTHING, 0
    if isinstance(inbound, InboundMail) and isinstance(reading, Reading):
        more = _needs_of_texts(intents, wanted, inbound, reading, rules)
        files = min(reading.pictures, FILES)
    for intent in intents:
        more = more.joined(_needs_of(intent, inbound, rules))
    wanted = wanted.joined(more)
    alarmed = frozenset(e.name for to in rules.alarm_to if (e := rules.employee_at(to)))
    # Of a person who is texted: a conversation, the mails that bring the text to a carrier, the files, and the alarm
    # where his text is held.
    others, each = (0, 1 + rules.text.max_segments) if all(isinstance(i, SendText) for i in intents) else (8, 11)
    people = len(wanted.phones | wanted.tokens)
    fresh = others + (each + files) * people + rules.alarm_texts * (len(intents) + people)
    return wanted.joined(Needs(employees=alarmed, fresh=fresh))


def _needs_of_texts(
    intents: tuple[Intent, ...], wanted: Needs, mail: InboundMail, reading: Reading, rules: Rules
) -> Needs:
    """What a text's conversation, first words and the flood brake depend on."""
    keys = set()
    for intent in intents:
        if isinstance(intent, SendText | Preview):
            rule = choice.chosen(rules, mail.sender, intent.recipient.address, reading.subject)
            phones = wanted.phones if len(intents) == 1 else wants([intent.target], rules).phones
            keys |= {(mail.sender, phone, job(reading, rule)) for phone in phones}
    customers = [phone for phone in wanted.phones if rules.employee_at(phone) is None]  # who may not know our numbers
    braked = bool(rules.policy.flood_per_minute)
    return Needs(
        keys=frozenset(keys),
        pairs=frozenset((number.phone, phone) for number in rules.numbers for phone in customers),
        said=wanted.phones if braked else frozenset(),
        spoken=wanted.tokens if any(isinstance(intent, SendText) for intent in intents) else frozenset(),
        floods=frozenset({mail.sender}) if braked else frozenset(),
    )


def _needs_of(intent: Intent, inbound: InboundMail | InboundHook, rules: Rules) -> Needs:
    match intent:
        case Reply(event=event):
            author = frozenset({Phone(event.author)})
            return Needs(
                phones=author,
                threads=author,
                keys=frozenset(("", phone, "") for phone in author),
                asked=author,
                said=author,
                fresh=WAITING,
            )
        case Status(event=event):
            remote = (inbound.provider if isinstance(inbound, InboundHook) else "", event.remote_id)
            named = frozenset({event.delivery}) if event.delivery else frozenset[str]()
            return Needs(deliveries=named, remote_ids=frozenset({remote}))
        case Report(token=token, phone=phone):
            return Needs(bounces=frozenset({token}), phones=frozenset({phone} if phone else ()), fresh=1)
        case ReplyByMail(phone=phone) | Enroll(phone=phone):
            own, employee = frozenset({phone}), rules.employee_at(phone)
            return Needs(phones=own, asked=own, employees=frozenset({employee.name} if employee else ()), fresh=1)
        case ConsentChange(phone=phone):
            return Needs(phones=frozenset({phone}))
        case Answered(token=token):
            return Needs(questions=frozenset({token}))
        case Forward(to=to):
            return Needs(fresh=len(to))
        case _:
            return NOTHING
