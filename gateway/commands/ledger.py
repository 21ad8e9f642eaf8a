"""The ledger of consent, and an admin's word on carrier addresses."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from datetime import datetime

from gateway.commands.answer import Answer, CommandFailed
from gateway.config import Config
from gateway.core import phone as phones
from gateway.core.carrier import Channel, needs_confirmation, render, routable
from gateway.core.consent_csv import CLASSES, METHODS, PROVEN
from gateway.core.facts import Needs
from gateway.core.model import Confirmation, Consent, Phone
from gateway.core.policy import Standing, forbids, standing, stop_of
from gateway.core.rules import Employee, Rules
from gateway.core.work import Writes
from gateway.events import emit
from gateway.ports import Clock, Spool

MOST = 1_000_000  # rows of one answer


class Ledger:
    def __init__(self, *, config: Callable[[], Config], spool: Spool, clock: Clock) -> None:
        self._config = config
        self._spool = spool
        self._clock = clock

    async def show(self, phone: str = "") -> Answer:
        """The ledger of a phone, or of all.

        Of a phone also `standing` (stopped, revoked, suspended, granted, employee or none), `says` (what follows from
        it, "" where texts go), and `blocked`: our numbers from which the provider takes no text to it.
        """
        rules = self._config().rules
        if not phone:
            return {"rows": await self._spool.find("consents", limit=MOST)}
        number = self._phone(phone)
        rows = await self._spool.find("consents", phone=number)
        facts = await self._spool.gather(Needs(phones=frozenset({number})))
        state = standing(facts.consents.get(number, ()), rules.brand)
        no = forbids(number, state, rules)
        return {
            "rows": rows,
            "phone": number,
            "standing": _state(state, rules.employee_at(number) is not None),
            "says": f"{no.why}: {no.remedy}" if no else "",
            "blocked": list(state.blocked),
        }

    async def grant(
        self,
        phone: str,
        method: str,
        evidence: str,
        klass: str = "informational",
        disclosure: str = "",
        actor: str = "",
    ) -> Answer:
        """An entry in the ledger; a no where the person said STOP, which only his START lifts."""
        number = self._phone(phone)
        rules = self._config().rules
        if method not in METHODS or klass not in CLASSES:
            raise CommandFailed(f"method is one of {', '.join(METHODS)}; class one of {', '.join(CLASSES)}", 2)
        if not evidence.strip():
            raise CommandFailed("evidence is what proves the consent later: name the form, the file or who heard it", 2)
        if klass == "marketing" and method not in PROVEN:
            raise CommandFailed("marketing needs consent on paper, by web or by keyword", 1)
        facts = await self._spool.gather(Needs(phones=frozenset({number})))
        state = standing(facts.consents.get(number, ()), rules.brand)
        if state.stopped is not None:
            shown = phones.shown(number)
            raise CommandFailed(f"{shown} {stop_of(state.stopped)}: only a START from that phone lifts it")
        return await self._enter(number, "grant", method, evidence, klass, disclosure, actor)

    async def revoke(self, phone: str, evidence: str = "", method: str = "verbal", actor: str = "") -> Answer:
        """An entry in the ledger that withdraws every class of consent."""
        return await self._enter(self._phone(phone), "revoke", method, evidence, "informational", "", actor)

    async def _enter(
        self, phone: Phone, action: str, method: str, evidence: str, klass: str, disclosure: str, actor: str
    ) -> Answer:
        entry = Consent(
            id=f"admin.{secrets.token_hex(8)}",
            brand=self._config().rules.brand,
            phone=phone,
            at=self._clock.now(),
            action=action,
            klass=klass,
            method=method,
            evidence=evidence,
            disclosure=disclosure,
            recorded_by=actor or "admin",
        )
        await self._spool.write(Writes(consents=(entry,)))
        emit("consent.granted" if action == "grant" else "consent.withdrawn", phone=phone, method=method, action=action)
        return {"rows": [{"phone": phone, "action": action, "class": klass, "method": method, "at": _iso(entry.at)}]}

    def _phone(self, text: str) -> Phone:
        rules = self._config().rules
        employee = rules.employee(text)
        number = employee.phone if employee else phones.parse(text, rules.country)
        if number is None:
            raise CommandFailed(f"{text!r} is neither a phone number nor an employee", 2)
        return number

    async def confirm(self, employee: str, actor: str = "") -> Answer:
        """Records an admin's word that the employee's carrier address works.

        `needed` tells whether texts would not go there without it.  A no where none would go there with it either.
        """
        rules, now = self._config().rules, self._clock.now()
        person = rules.employee(employee)
        if person is None:
            raise CommandFailed(f"there is no employee named {employee!r}{like(employee, rules)}")
        channel, address = _confirmable(person, rules, now)
        known = Confirmation(employee=person.name, address=address, at=now, by=actor or "admin")
        facts = await self._spool.gather(Needs(employees=frozenset({person.name})))
        before = facts.confirmations.get(person.name)
        gone = before is not None and not before.works and before.address == address
        await self._spool.confirm(known)
        emit("command.done", command="carriers confirm", employee=person.name, actor=actor)
        needed = needs_confirmation(channel) or gone
        return {"rows": [{"employee": person.name, "address": address, "by": known.by, "needed": needed}]}

    async def confirmed(self) -> Answer:
        """All confirmations."""
        return {"rows": await self._spool.find("confirmations")}


def _confirmable(person: Employee, rules: Rules, now: datetime) -> tuple[Channel, str]:
    """The employee's gateway and his address there; a no where nothing can be sent to it, confirmed or not."""
    channel = rules.channel(person)
    remedy = f"ask {person.name} for the carrier of today, or: gateway carriers suggest {person.name}"
    if channel is None:
        why = f"carrier {person.carrier} has no {person.channel} gateway" if person.carrier else "no carrier is set"
        raise CommandFailed(f"{person.name} has no carrier address to confirm: {why}; {remedy}")
    why = routable(channel, now.astimezone(rules.timezone).date())
    if not why and channel.domain in rules.dead:
        why = f"{channel.domain} takes no mail: {rules.dead[channel.domain]}"
    if why:
        raise CommandFailed(f"{why}: nothing would be sent there, so nothing was recorded; {remedy}")
    address = render(channel, person.phone)
    if address is None:
        raise CommandFailed(f"{channel.name} takes no number of this country: leave carrier out")
    return channel, address


def _state(state: Standing, employee: bool) -> str:
    if state.stopped is not None:
        return "stopped"
    if state.revoked is not None:
        return "revoked"
    if state.suspended is not None and not employee:
        return "suspended"
    if state.granted is not None:
        return "granted"
    return "employee" if employee else "none"


def like(name: str, rules: Rules) -> str:
    """The employees that there are, in brackets after a sentence about one that there is not."""
    known = ", ".join(e.name for e in rules.employees)
    return f" (known: {known})" if known else ""


def _iso(at: datetime) -> str:
    return at.isoformat(timespec="seconds")
