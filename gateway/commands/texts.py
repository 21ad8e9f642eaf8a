"""Texts by command: one that is sent, and one that is only shown."""

from __future__ import annotations

import base64
import itertools
import secrets
from collections.abc import Callable
from email.message import EmailMessage
from email.utils import format_datetime

from gateway.commands.answer import Answer, CommandFailed
from gateway.config import Config
from gateway.core.address import BadAddress
from gateway.core.admit import wants
from gateway.core.forecast import forecast
from gateway.core.intent import job, target_of
from gateway.core.model import Door, Envelope, InboundMail, Reading, Recipient, Refusal, Unreadable
from gateway.core.outgoing import Desk
from gateway.core.template import EMPTY
from gateway.core.work import Facts, Needs
from gateway.doorman import Doorman
from gateway.engine import gathered
from gateway.events import emit
from gateway.ports import Clock, Reader, Spool, Visit


class Texts:
    def __init__(
        self, *, config: Callable[[], Config], spool: Spool, reader: Reader, doorman: Doorman, clock: Clock
    ) -> None:
        self._config = config
        self._spool = spool
        self._reader = reader
        self._doorman = doorman
        self._clock = clock

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
        keys = frozenset((name, phone, job(reading)) for phone in wanted.phones)
        facts = await gathered(self._spool, wanted.joined(Needs(keys=keys)), rules)
        desk = self._desk(address, name, raw, reading, facts)
        rows = forecast(target, desk)
        for row in rows:
            row["to"] = row["to"] or to
            if not mail and row["refused"] == EMPTY:
                # Nobody gave a mail: the question was about the route alone.
                row["refused"], row["due_at"] = None, self._clock.now().isoformat()
        return {"rows": rows}

    def _desk(self, address: str, sender: str, raw: bytes, reading: Reading, facts: Facts) -> Desk:
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
