"""Watches the carriers' mail domains: one that DNS says is gone is texted no more, and its end is told by mail.

How it fails: without an answer from DNS, or with one that cannot be true, everything stays as it was.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta

from gateway.core import notice
from gateway.core.address import mail_domain
from gateway.core.facts import Facts, Needs
from gateway.core.route import CarrierWay, NoWay, Person, ways
from gateway.core.rules import Employee, Rules
from gateway.core.work import Delivery
from gateway.events import emit, fault
from gateway.mx import Answer, in_use, unknown
from gateway.ports import Clock, Spool, SpoolUnavailable

AGAIN = timedelta(minutes=10)  # the least time between two answers that prove an end together
_SOON = AGAIN + timedelta(seconds=5)  # the clock of the day and that of the loop may differ


class Watch:
    def __init__(
        self,
        *,
        spool: Spool,
        rules: Callable[[], Rules],
        clock: Clock,
        taken: Callable[[Sequence[Delivery]], None],
        stopped_within: Callable[[timedelta], Awaitable[bool]],
        look_up: Callable[[Iterable[str]], Awaitable[Mapping[str, Answer]]],
        every: timedelta,
    ) -> None:
        """`rules` must hold this watch's `dead`; `look_up` asks DNS as mx.look_up does; `every` 0 watches nothing."""
        self._spool = spool
        self._rules = rules
        self._clock = clock
        self._taken = taken
        self._stopped_within = stopped_within
        self._look_up = look_up
        self._every = every
        self._since: dict[str, datetime] = {}  # domains that were gone at each answer since then
        self._told: set[str] = set()  # domains whose end is in the spool
        self._said: dict[str, date] = {}  # the last day of what is said once a day
        self.dead: Mapping[str, str] = {}  # domains that take no mail: why.  Replaced at a change, never changed

    async def run(self) -> None:
        """Looks at once and then every so often, until the daemon stops."""
        while self._every:
            pause = _SOON
            try:
                pause = await self.look()
            except SpoolUnavailable as error:
                emit("spool.failed", error=str(error), during="looking up carriers")
            except Exception as error:
                emit("engine.failed", loop="watch of carriers", **fault(error))
            if await self._stopped_within(min(pause, self._every)):
                return

    async def look(self) -> timedelta:
        """Asks DNS for the domains in use and acts on what it says; how long until the next look."""
        now = self._clock.now()
        today = now.astimezone(self._rules().timezone).date()
        used = in_use(self._rules(), today)
        found = await self._look_up(used) if used else {}
        silent = sorted(domain for domain, answer in found.items() if unknown(answer))
        alive = {domain for domain, answer in found.items() if not isinstance(answer, str)}
        gone = {d: a for d, a in found.items() if isinstance(a, str) and d not in silent}
        if silent and self._first_of_day("silent", today):
            emit("dns.failed", domains=silent, reason=found[silent[0]])
        # A resolver without its own way out, or one that leads to a page to log in at, says so of everything.
        if gone and not alive and len(found) > 1 and not await self._finds_ours(used):
            if self._first_of_day("doubted", today):
                emit("dns.doubted", domains=sorted(gone))
            return _SOON
        self._judge(used.keys(), alive, gone, now)
        for domain in [d for d in self.dead if d not in self._told]:
            await self._tell(domain, used[domain], now)
            self._told.add(domain)
        return _SOON if gone.keys() - self.dead.keys() else self._every

    async def _finds_ours(self, used: Iterable[str]) -> bool:
        """Whether DNS finds a domain of the shop that takes mail: then it says the truth of others too."""
        rules = self._rules()
        ours = {rules.domain, *map(mail_domain, rules.alarm_to)} - {"", *used}
        answers = await self._look_up(ours)
        return any(not isinstance(answer, str) for answer in answers.values())

    def _judge(self, used: Iterable[str], alive: set[str], gone: Mapping[str, str], now: datetime) -> None:
        """Brings `dead` up to date."""
        found = sorted(alive & self.dead.keys())
        self._since = {d: self._since.get(d, now) for d in used if d in gone or (d in self._since and d not in alive)}
        dead = {d: why for d, why in self.dead.items() if d in self._since}
        lost = [d for d in gone if d not in dead and now - self._since[d] >= AGAIN]
        dead |= {domain: gone[domain] for domain in lost}
        if dead != self.dead:
            self.dead = dead
        self._told &= dead.keys()
        for domain in found:
            emit("carrier.found", domain=domain)
        for domain in lost:
            emit("carrier.lost", domain=domain, reason=gone[domain])

    async def _tell(self, domain: str, employees: Sequence[Employee], now: datetime) -> None:
        """One alarm a day for one domain, also where the daemon was started anew."""
        rules = self._rules()
        today = now.astimezone(rules.timezone).date()
        admins = frozenset(e.name for e in map(rules.employee_at, rules.alarm_to) if e is not None)
        wanted = Needs(employees=admins | {e.name for e in employees}, fresh=rules.alarm_texts)
        facts = await self._spool.gather(wanted)
        subject, text = words(domain, employees, facts, rules, today)
        key = f"dead.{domain}.{today}"
        writes = notice.alarm(key, subject, text, rules, now, facts.confirmations, tokens=facts.fresh)
        known = await self._spool.gather(Needs(deliveries=frozenset(d.id for d in writes.deliveries)))
        if writes.deliveries and not known.deliveries:
            emit("alarm.raised", key=key)
            self._taken((await self._spool.write(writes)).leased)

    def _first_of_day(self, what: str, today: date) -> bool:
        first = self._said.get(what) != today
        self._said[what] = today
        return first


def words(domain: str, employees: Sequence[Employee], facts: Facts, rules: Rules, today: date) -> tuple[str, str]:
    """Subject and text of the alarm: the names, what becomes of their texts, and what to do."""
    why = rules.dead[domain]
    named = dict.fromkeys(e.carrier for e in employees)
    carriers = [c for c in map(rules.carriers.carriers.get, named) if c is not None]
    heirs = {c.name: rules.carriers.carriers[c.successor] for c in carriers if c.successor}
    text = "\n".join(
        [
            f"DNS says of {domain}, the mail domain of {', '.join(c.name for c in carriers)}: {why}.",
            "It was asked twice.  Nothing is sent there until it takes mail again.",
            "",
            *(f"- {e.name}: {_after(e, facts, rules, today)}" for e in employees),
            "",
            *(f"{name} went to {heir.name}: see gateway carriers show {heir.id}" for name, heir in heirs.items()),
            "Ask them for the carrier of today, or let the provider bring their texts.",
            "What DNS says now: gateway carriers check",
            "",
        ]
    )
    return f"{domain} takes no mail any more: {len(employees)} of your employees", text


def _after(employee: Employee, facts: Facts, rules: Rules, today: date) -> str:
    person = Person(phone=employee.phone, employee=employee)
    sender = rules.senders[0] if rules.senders else None
    found = ways(person, sender, rules, today=today, confirmation=facts.confirmations.get(employee.name))
    if isinstance(found, NoWay):
        return f"texts are refused: {found.reason}"
    first = found[0]
    if isinstance(first, CarrierWay):
        return f"texts go on by {first.address}"
    return f"texts go by {first.number.provider} number {first.number.name}, which costs money"
