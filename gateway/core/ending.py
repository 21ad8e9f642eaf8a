"""Gateways of carriers that end: who is concerned, what then happens, and what an admin is told ahead."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

from gateway.core import carrier as carriers
from gateway.core.carrier import NOTICE_DAYS, Channel
from gateway.core.route import CarrierWay, NoWay, Person, ways
from gateway.core.rules import Employee, Rules

_NEWS_DAYS = 14  # an end that is older is said by `gateway check`, not by mail
ENDED = 0  # the step that tells of the end itself


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """One gateway that ends soon, or has ended, with the employees whose texts go by it."""

    channel: Channel
    days: int  # left on that day; below 0 = it has ended
    employees: tuple[Employee, ...]

    @property
    def step(self) -> int | None:
        """Which notice is due: 90, 30 or 7 days ahead, 0 = it has ended; None = none yet, or it is long known."""
        if self.days < 0:
            return ENDED if self.days >= -_NEWS_DAYS else None
        return next((step for step in sorted(NOTICE_DAYS) if self.days <= step), None)

    @property
    def key(self) -> str:
        """Names the notice: each is told once, however often it is looked for."""
        return f"carrier.{self.channel.carrier}.{self.channel.channel}.{self.channel.ends}.{self.step}"


def endings(rules: Rules, today: date) -> tuple[Ending, ...]:
    """The gateways with a day of end that employees are set to, in the order of their end."""
    used: dict[tuple[str, str], list[Employee]] = {}
    for employee in rules.employees:
        channel = rules.channel(employee)
        if channel is not None and channel.ends is not None:
            used.setdefault((channel.carrier, channel.channel), []).append(employee)
    found = []
    for employees in used.values():
        channel = rules.channel(employees[0])
        if channel is not None and channel.ends is not None:
            found.append(Ending(channel=channel, days=(channel.ends - today).days, employees=tuple(employees)))
    return tuple(sorted(found, key=lambda one: (one.days, one.channel.carrier, one.channel.channel)))


def told(ending: Ending, rules: Rules, today: date) -> tuple[str, str]:
    """Subject and text of the notice: the names, what becomes of their texts, and what to do."""
    channel = ending.channel
    ended = ending.days < 0
    head = carriers.warning(channel, today) or f"{channel.name} closed {channel.domain} on {channel.ends}"
    after = max(today, (channel.ends or today) + timedelta(days=1))
    lines = [f"- {e.name}: {_after(e, rules, after)}" for e in ending.employees]
    successor = rules.carriers.carriers.get(rules.carriers.carriers[channel.carrier].successor)
    successors = (
        [f"{channel.name} went to {successor.name}: see gateway carriers show {successor.id}", ""] if successor else []
    )
    text = "\n".join(
        [
            f"{head}.",
            "",
            "Since then:" if ended else f"From {after} on, texts to these employees take another way:",
            *lines,
            "",
            *successors,
            "Ask them for the carrier of today, or let the provider bring their texts.",
            "Which carrier a phone has (paid look-up): gateway carriers suggest NAME",
            "",
        ]
    )
    return f"{head}: {len(ending.employees)} of your employees", text


def _after(employee: Employee, rules: Rules, day: date) -> str:
    person = Person(phone=employee.phone, employee=employee)
    found = ways(person, rules.senders[0] if rules.senders else None, rules, today=day)
    if isinstance(found, NoWay):
        return f"texts are refused: {found.reason}"
    first = found[0]
    if isinstance(first, CarrierWay):
        return f"texts go on by {first.address}"
    return f"texts go by {first.number.provider} number {first.number.name}, which costs money"
