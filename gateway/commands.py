"""What an admin's commands do: the same words whether the daemon answers them or, without one, the command itself.

Every answer is JSON-ready: {"rows": [...]} or {"error": sentence, "exit": 1}.
"""

from __future__ import annotations

import base64
import itertools
import secrets
from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Any

from gateway.config import Config
from gateway.core import phone as phones
from gateway.core.address import BadAddress
from gateway.core.admit import wants
from gateway.core.carrier import needs_confirmation, render
from gateway.core.forecast import forecast
from gateway.core.intent import job, target_of
from gateway.core.model import (
    Confirmation,
    Consent,
    Door,
    Envelope,
    Fate,
    InboundMail,
    Phone,
    Reading,
    Recipient,
    Refusal,
    Unreadable,
)
from gateway.core.outgoing import Desk
from gateway.core.policy import standing
from gateway.core.rules import Rules
from gateway.core.work import Delivery, Move, Needs, Writes
from gateway.doorman import Doorman
from gateway.engine import gathered
from gateway.events import emit
from gateway.ports import Clock, Reader, Spool, SpoolUnavailable, Visit

Answer = dict[str, Any]
METHODS = ("paper", "web", "keyword", "verbal", "mail", "job_system", "import")
CLASSES = ("informational", "marketing")


class CommandFailed(Exception):
    """The answer is no: a sentence for the admin and the exit code."""

    def __init__(self, text: str, exit_code: int = 1) -> None:
        super().__init__(text)
        self.text = text
        self.exit_code = exit_code


class Commands:
    def __init__(
        self,
        *,
        config: Callable[[], Config],
        spool: Spool,
        reader: Reader,
        doorman: Doorman,
        clock: Clock,
        take: Callable[[Iterable[Delivery]], None],
        refill: Callable[[], None],
    ) -> None:
        self._config = config
        self._spool = spool
        self._reader = reader
        self._doorman = doorman
        self._clock = clock
        self._take = take
        self._refill = refill
        self._verbs: dict[str, Callable[..., Awaitable[Answer]]] = {
            "status": self.status,
            "send": self.send,
            "preview": self.preview,
            "queue.list": self.queue_list,
            "queue.show": self.queue_show,
            "queue.retry": self.queue_retry,
            "queue.cancel": self.queue_cancel,
            "queue.release": self.queue_release,
            "trace": self.trace,
            "consent.show": self.consent_show,
            "consent.grant": self.consent_grant,
            "consent.revoke": self.consent_revoke,
            "carriers.confirm": self.carriers_confirm,
            "carriers.confirmed": self.carriers_confirmed,
        }

    async def run(self, verb: str, arguments: dict[str, Any]) -> Answer:
        """The answer to one command; a no becomes {"error", "exit"}."""
        found = self._verbs.get(verb)
        if found is None:
            return {"error": f"the daemon knows no command {verb}: is it of another version?", "exit": 69}
        try:
            return await found(**arguments)
        except CommandFailed as failed:
            return {"error": failed.text, "exit": failed.exit_code}
        except SpoolUnavailable as failed:
            return {"error": f"the store cannot answer now: {failed}", "exit": 75}
        except TypeError as failed:
            return {"error": f"{verb}: {failed}", "exit": 2}

    async def status(self) -> Answer:
        """Sizes of the queue, and that the daemon lives."""
        return {"rows": [dict(await self._spool.sizes())]}

    # -- send and preview

    async def send(self, to: str, text: str, sender: str = "", actor: str = "") -> Answer:
        """Accepts one text as a mail of the sender; {"rows": [{"id", "to"}]}."""
        name = self._sender(sender)
        address = self._address(to)
        visit = Visit(door=Door.LOCAL, peer="local", login=name)
        no = await self._doorman.rcpt(visit, "", address)
        if no is not None:
            raise CommandFailed(f"{no.text} ({no.enhanced})")
        raw = self._mail(address, text)
        envelope = Envelope(mail_from="", recipients=(Recipient(address=address),))
        stored = await self._doorman.data(visit, envelope, raw)
        if isinstance(stored, Refusal):
            raise CommandFailed(str(stored))
        emit("command.done", command="send", inbound=stored, actor=actor)
        return {"rows": [{"id": stored, "to": address}]}

    async def preview(self, to: str, mail: str = "", sender: str = "") -> Answer:
        """What a mail to `to` would do; `mail` is base64 of a whole mail, "" an empty one."""
        rules = self._config().rules
        name = self._sender(sender)
        address = self._address(to.removeprefix("preview+"))
        raw = base64.b64decode(mail) if mail else self._mail(address, "")
        reading = await self._reader.read(raw)
        if isinstance(reading, Unreadable):
            raise CommandFailed(f"the mail cannot be read: {reading.reason}")
        target = target_of(address, rules)
        wanted = wants([] if isinstance(target, BadAddress) else [target], rules)
        keys = frozenset((name, phone, job(reading, rules)) for phone in wanted.phones)
        facts = await gathered(self._spool, wanted.joined(Needs(keys=keys)), rules)
        desk = self._desk(address, name, raw, reading, facts)
        rows = forecast(target, desk)
        for row in rows:
            row["to"] = row["to"] or to
        return {"rows": rows}

    def _desk(self, address: str, sender: str, raw: bytes, reading: Reading, facts: Any) -> Desk:
        now = self._clock.now()
        envelope = Envelope(mail_from="", recipients=(Recipient(address=address),))
        mail = InboundMail(
            id="preview", at=now, door=Door.LOCAL, peer="local", sender=sender, envelope=envelope, raw=raw
        )
        tokens = (f"preview{n}" for n in itertools.count())
        return Desk(mail=mail, reading=reading, facts=facts, rules=self._config().rules, now=now, tokens=tokens)

    def _sender(self, name: str) -> str:
        rules = self._config().rules
        if not name and rules.senders:
            return rules.senders[0].name
        if rules.sender(name) is None:
            known = ", ".join(s.name for s in rules.senders) or "none"
            raise CommandFailed(f"there is no [[sender]] named {name!r} (known: {known})", 2)
        return name

    def _address(self, to: str) -> str:
        return to if "@" in to else f"{to}@{self._config().rules.domain}"

    def _mail(self, address: str, text: str) -> bytes:
        rules = self._config().rules
        now = self._clock.now()
        mail = EmailMessage()
        mail["From"] = next((a for a in rules.alarm_to if "@" in a), f"postmaster@{rules.domain}")
        mail["To"] = address
        mail["Subject"] = ""
        mail["Date"] = format_datetime(now)
        mail["Message-ID"] = f"<{now.timestamp():.6f}.{secrets.token_hex(6)}@{rules.domain}>"
        mail.set_content(text, charset="utf-8", cte="base64")
        return mail.as_bytes()

    # -- the queue

    async def queue_list(self, all: bool = False, limit: int = 10_000) -> Answer:  # noqa: A002 - the word of --all
        """Unfinished deliveries, or all; the newest last."""
        return {"rows": await self._spool.find("queue", all=all, limit=limit)}

    async def queue_show(self, id: str) -> Answer:  # noqa: A002
        """One delivery with its attempts and receipts, or a parked mail."""
        rows = await self._spool.find("delivery", id=id)
        if not rows:
            rows = await self._spool.find("story", id=id)
        if not rows:
            raise CommandFailed(f"nothing in the queue has the id {id}")
        return {"rows": rows}

    async def queue_retry(self, ids: list[str], actor: str = "") -> Answer:
        """Tries again now what waits, is held or ended badly."""
        return await self._move(ids, Fate.WAITING, "retry", actor)

    async def queue_cancel(self, ids: list[str], actor: str = "") -> Answer:
        """Ends what has not been sent."""
        return await self._move(ids, Fate.CANCELLED, "cancel", actor)

    async def queue_release(self, ids: list[str] | None = None, sender: str = "", actor: str = "") -> Answer:
        """Lets go what is held: the ids, or everything of a sender."""
        wanted = list(ids or [])
        if sender:
            held = await self._spool.find("queue", all=False, limit=100_000)
            wanted += [r["id"] for r in held if r["fate"] == "held" and r.get("sender") == sender and r.get("courier")]
        return await self._move(wanted, Fate.WAITING, "release", actor)

    async def _move(self, ids: list[str], fate: Fate, word: str, actor: str) -> Answer:
        rows = []
        for one in ids:
            rows += await self._move_one(one, fate, word, actor)
        if ids and not any(r["done"] for r in rows):
            raise CommandFailed("; ".join(f"{r['id']}: {r['why']}" for r in rows))
        return {"rows": rows}

    async def _move_one(self, ident: str, fate: Fate, word: str, actor: str) -> list[Answer]:
        if await self._unparked(ident, word, actor):
            return [{"id": ident, "done": True, "why": "it is read again"}]
        found = await self._deliveries(ident)
        if not found:
            return [{"id": ident, "done": False, "why": "no such delivery"}]
        rows = []
        for delivery in found:
            why = _cannot(delivery, word)
            if not why:
                note = f"{word} by {actor or 'admin'}"
                move = Move(delivery=delivery["id"], fate=fate, note=note, source="admin")
                made = await self._spool.write(Writes(moves=(move,)))
                self._take(made.leased)
                if delivery["id"] in made.moved:
                    emit("command.done", command=f"queue {word}", delivery=delivery["id"], actor=actor)
                else:
                    why = "it moved on meanwhile, or there is nothing to send"
            rows.append({"id": delivery["id"], "done": not why, "why": why})
        return rows

    async def _deliveries(self, ident: str) -> list[Answer]:
        rows = await self._spool.find("delivery", id=ident)
        if rows:
            return rows
        story = await self._spool.find("story", id=ident)
        return [r for r in story if r["what"] == "delivery" and _belongs(r, ident)]

    async def _unparked(self, ident: str, word: str, actor: str) -> bool:
        if word == "retry" and await self._spool.unpark(ident):
            emit("command.done", command="queue retry", inbound=ident, actor=actor)
            self._refill()
            return True
        return False

    async def trace(self, what: str) -> Answer:
        """The whole story of a message, a delivery, a mail, or a phone."""
        rules = self._config().rules
        parsed = phones.parse(what, rules.country)
        employee = rules.employee(what)
        phone = employee.phone if employee else parsed
        rows = await self._spool.find("story", id=what)
        if not rows and phone:
            rows = await self._spool.find("story", phone=phone)
        if not rows:
            raise CommandFailed(f"nothing is known of {what}")
        return {"rows": rows}

    # -- consent

    async def consent_show(self, phone: str = "") -> Answer:
        """The ledger of a phone, or of all."""
        rules = self._config().rules
        if not phone:
            return {"rows": await self._spool.find("consents")}
        number = self._phone(phone)
        rows = await self._spool.find("consents", phone=number)
        facts = await self._spool.gather(Needs(phones=frozenset({number})))
        state = standing(facts.consents.get(number, ()), rules.brand)
        return {"rows": rows, "phone": number, "standing": _state(state, rules.employee_at(number) is not None)}

    async def consent_grant(
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
        if klass == "marketing" and method not in ("paper", "web", "keyword"):
            raise CommandFailed("marketing needs consent on paper, by web or by keyword", 1)
        facts = await self._spool.gather(Needs(phones=frozenset({number})))
        state = standing(facts.consents.get(number, ()), rules.brand)
        if state.stopped is not None:
            shown = phones.shown(number)
            raise CommandFailed(
                f"{shown} said STOP on {state.stopped.at:%Y-%m-%d}: only a START from that phone lifts it"
            )
        return await self._enter(number, "grant", method, evidence, klass, disclosure, actor)

    async def consent_revoke(self, phone: str, evidence: str = "", method: str = "verbal", actor: str = "") -> Answer:
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

    # -- carriers

    async def carriers_confirm(self, employee: str, actor: str = "") -> Answer:
        """Records an admin's word that the employee's carrier address works."""
        rules = self._config().rules
        person = rules.employee(employee)
        if person is None:
            raise CommandFailed(f"there is no employee named {employee!r}{_like(employee, rules)}")
        row = rules.carriers.carriers.get(person.carrier)
        channel = row.channels.get(person.channel) if row else None
        address = render(channel, person.phone) if channel else None
        if channel is None or address is None:
            raise CommandFailed(f"{employee} has no carrier address to confirm")
        known = Confirmation(employee=person.name, address=address, at=self._clock.now(), by=actor or "admin")
        await self._spool.confirm(known)
        emit("command.done", command="carriers confirm", employee=person.name, actor=actor)
        needed = needs_confirmation(channel)
        return {"rows": [{"employee": person.name, "address": address, "by": known.by, "needed": needed}]}

    async def carriers_confirmed(self) -> Answer:
        """All confirmations."""
        return {"rows": await self._spool.find("confirmations")}


def _belongs(delivery: Answer, ident: str) -> bool:
    """Whether a delivery is of the message or the mail with that id."""
    return delivery["message"] == ident or str(delivery["message"]).rpartition(".")[0] == ident


def _cannot(delivery: Answer, word: str) -> str:
    fate = delivery["fate"]
    match word:
        case "retry" if fate in ("sending", "handed_over", "delivered"):
            return f"it is {fate}"
        case "retry" if fate == "unknown":
            return "it may have been sent, and is being looked up: sending it again could text somebody twice"
        case "cancel" if fate not in ("waiting", "held", "unknown"):
            return f"it is {fate}"
        case "release" if fate != "held":
            return f"it is {fate}, not held"
        case _:
            return ""


def _state(state: Any, employee: bool) -> str:
    if state.stopped is not None:
        return "stopped"
    if state.revoked is not None:
        return "revoked"
    if state.granted is not None:
        return "granted"
    return "employee" if employee else "none"


def _like(name: str, rules: Rules) -> str:
    known = ", ".join(e.name for e in rules.employees)
    return f" (known: {known})" if known else ""


def _iso(at: datetime) -> str:
    return at.isoformat(timespec="seconds")
