"""Who is meant by an address, and the ways open to that person's phone, best first."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from gateway.core import carrier as carriers
from gateway.core import phone as phones
from gateway.core import policy
from gateway.core.address import TextAddress, ToName, ToPhone
from gateway.core.carrier import Channel
from gateway.core.model import Confirmation, Conversation, Phone
from gateway.core.rules import Employee, Number, Rules, Sender


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    phone: Phone
    employee: Employee | None = None
    tag: str = ""  # name of the number asked for; "" = the sender's
    stored: str = ""  # the text address that was written, where it was one

    @property
    def kind(self) -> str:
        return "employee" if self.employee else "customer"


@dataclass(frozen=True, slots=True, kw_only=True)
class CarrierWay:
    channel: Channel
    address: str  # 2025550102@vtext.com
    rule: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderWay:
    number: Number
    rule: str


Way = CarrierWay | ProviderWay


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """What decides on the number of ours, beside the sender's own numbers."""

    wanted: tuple[str, ...] = ()  # names that a [[rule]] chose, in place of the sender's
    busy: frozenset[str] = frozenset()  # names on which the phone has other open conversations: the others come first
    barred: frozenset[str] = frozenset()  # names from which the provider takes no text to the phone


@dataclass(frozen=True, slots=True, kw_only=True)
class NoWay:
    reason: str  # a sentence an admin understands
    code: str = "5.1.1"  # RFC 3463
    rule: str = ""


def persons(target: ToPhone | ToName | TextAddress, rules: Rules) -> tuple[Person, ...] | NoWay:
    """The people behind an address, each phone once."""
    match target:
        case ToName(name=name):
            return _named(name, rules)
        case ToPhone(phone=phone, tag=tag):
            if tag and rules.number(tag) is None and rules.template(tag) is None:
                known = ", ".join([*(n.name for n in rules.numbers), *(t.name for t in rules.templates)]) or "none"
                return NoWay(reason=f"there is no number or template named {tag} (known: {known})")
            named = tag if rules.number(tag) else ""
            return (Person(phone=phone, employee=rules.employee_at(phone), tag=named),)
        case _:
            phone = target.phone
            stored = f"{phones.national(phone) if phones.is_nanp(phone) else phones.digits(phone)}@{target.domain}"
            return (Person(phone=phone, employee=rules.employee_at(phone), stored=stored),)


def _named(name: str, rules: Rules) -> tuple[Person, ...] | NoWay:
    names = rules.groups.get(name, (name,))
    found = [e for e in (rules.employee(n) for n in names) if e is not None]
    if not found:
        return NoWay(reason=f"{name} is neither an employee nor a group")
    unique = {e.phone: e for e in reversed(found)}
    return tuple(Person(phone=e.phone, employee=e) for e in found if unique.pop(e.phone, None) is not None)


def chooses(person: Person, rules: Rules) -> bool:
    """Whether there is more than one number of ours that may text a person, so that what else it is used for counts."""
    return len(rules.numbers) > 1 and (person.employee is None or _paid_for(person.employee))


def _paid_for(employee: Employee) -> bool:
    """Whether an employee may be texted by the provider."""
    return employee.fallback == "provider" or not employee.carrier


def ways(
    person: Person,
    sender: Sender | None,
    rules: Rules,
    *,
    today: date,
    confirmation: Confirmation | None = None,
    conversation: Conversation | None = None,
    pool: Pool = Pool(),
) -> tuple[Way, ...] | NoWay:
    """Every way to `person`, best first; NoWay says why there is none.

    An open conversation keeps its number, whatever number the address names.  A new one gets a number of the pool that
    is free for this phone, so that an answer can only belong to one job.
    """
    if person.employee is None:
        number = _number(person, sender, rules, conversation, pool)
        if isinstance(number, NoWay):
            return number
        rule = f"customer: {number.provider} number {number.name}{_instead(person, number)}"
        return (ProviderWay(number=number, rule=rule),)
    return _employee_ways(person, person.employee, sender, rules, today, confirmation, conversation, pool)


def _employee_ways(
    person: Person,
    employee: Employee,
    sender: Sender | None,
    rules: Rules,
    today: date,
    confirmation: Confirmation | None,
    conversation: Conversation | None,
    pool: Pool,
) -> tuple[Way, ...] | NoWay:
    carrier = _carrier_way(employee, rules, today, confirmation)
    gone = _gone(carrier, confirmation, rules)
    stored = f", stored as {person.stored}" if person.stored else ""
    head = f"employee {employee.name}{stored}"
    paid: Number | NoWay | None = None
    if _paid_for(employee):
        paid = _number(person, sender, rules, conversation, pool)
    found: list[Way] = []
    if isinstance(carrier, CarrierWay) and not (gone and isinstance(paid, Number)):
        rule = f"{head}: {carrier.rule}{f'; {gone}, and no other way is open' if gone else ''}"
        found.append(CarrierWay(channel=carrier.channel, address=carrier.address, rule=rule))
    if isinstance(paid, Number):
        why = carrier.reason if isinstance(carrier, NoWay) else gone
        because = f": {why}; fallback" if why else ": fallback"
        rule = f"{head}{because} {paid.provider} number {paid.name}{_instead(person, paid)}"
        found.append(ProviderWay(number=paid, rule=rule))
    if found:
        return tuple(found)
    assert isinstance(carrier, NoWay)
    also = f"; {paid.reason}" if isinstance(paid, NoWay) else "; no fallback is set"
    return NoWay(reason=f"{employee.name} cannot be texted: {carrier.reason}{also}", code=carrier.code, rule=head)


def _carrier_way(
    employee: Employee, rules: Rules, today: date, confirmation: Confirmation | None
) -> CarrierWay | NoWay:
    if not employee.carrier:
        return NoWay(reason="no carrier is set", code="5.1.1")
    channel = rules.channel(employee)
    if channel is None:
        return NoWay(reason=f"carrier {employee.carrier} has no {employee.channel} gateway", code="5.1.1")
    why = carriers.routable(channel, today)
    if why:
        return NoWay(reason=why, code="5.1.6")
    address = carriers.render(channel, employee.phone)
    if address is None:
        return NoWay(reason=f"{channel.name} takes no number of this country", code="5.1.3")
    if channel.domain in rules.dead:
        why = rules.dead[channel.domain]
        return NoWay(reason=f"{channel.name}'s mail domain {channel.domain} takes no mail: {why}", code="5.1.2")
    shown = confirmation is not None and confirmation.works and confirmation.address == address
    if carriers.needs_confirmation(channel) and not shown:
        remedy = f"confirm it with: gateway carriers confirm {employee.name}"
        return NoWay(reason=f"{channel.name}: nobody has confirmed that {channel.domain} works; {remedy}", code="5.7.1")
    return CarrierWay(
        channel=channel, address=address, rule=f"carrier {channel.carrier}.{channel.channel} ({channel.status})"
    )


def _gone(carrier: CarrierWay | NoWay, confirmation: Confirmation | None, rules: Rules) -> str:
    """Words of a rule where the newest word on the address is that it came back; "" = it did not."""
    if isinstance(carrier, NoWay) or confirmation is None or confirmation.works:
        return ""
    if confirmation.address != carrier.address:
        return ""
    on = confirmation.at.astimezone(rules.timezone).date()
    return f"its address came back on {on}{f': {confirmation.note}' if confirmation.note else ''}"


def _number(
    person: Person, sender: Sender | None, rules: Rules, conversation: Conversation | None, pool: Pool
) -> Number | NoWay:
    names = _names(person, sender, rules, conversation, pool)
    free = tuple(n for n in names if n not in pool.barred)
    first = next((n for n in free if n not in pool.busy), free[0] if free else "")
    number = rules.number(first)
    if number is None and names and not free:
        shown = phones.shown(person.phone)
        remedy = "only a START from that phone to our number lifts it"
        return NoWay(reason=f"the provider takes no text from {' or '.join(names)} to {shown}: {remedy}", code="5.7.1")
    if number is None:
        return NoWay(reason="no [[number]] is configured: texts to customers need one", code="5.3.5")
    if number.provider not in rules.providers:
        return NoWay(reason=f"no [{number.provider}] account is configured", code="5.3.5")
    no = policy.unpayable(person.phone, rules)
    if no is not None:
        return NoWay(reason=f"{phones.shown(person.phone)} {no.why}: {no.remedy}", code=no.code)
    return number


def _instead(person: Person, number: Number) -> str:
    """Words of a rule where a +tag names another number than that of the open conversation."""
    return f", of the open conversation, not {person.tag}" if person.tag not in ("", number.name) else ""


def _names(
    person: Person, sender: Sender | None, rules: Rules, conversation: Conversation | None, pool: Pool
) -> tuple[str, ...]:
    """The numbers that may bring the text, by name, the one that should first."""
    own = pool.wanted or (sender.numbers if sender else ()) or tuple(n.name for n in rules.numbers[:1])
    own = (person.tag,) if person.tag else own
    if conversation is None or rules.number(conversation.number) is None:
        return tuple(n for n in own if rules.number(n) is not None)
    if conversation.number in pool.barred:
        return (conversation.number, *own)
    return (conversation.number,)
