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
from gateway.core.address import BadAddress, Target, TextAddress, ToConversation, ToName, ToPhone
from gateway.core.desk import Desk
from gateway.core.enclosed import carried_bytes
from gateway.core.facts import Facts
from gateway.core.forecast import forecast
from gateway.core.intent import Preview, needs, target_of
from gateway.core.model import Door, Envelope, InboundMail, Picture, Reading, Recipient, Refusal, Unreadable
from gateway.core.template import EMPTY
from gateway.doorman import Doorman
from gateway.doors import Visit
from gateway.events import emit
from gateway.known import gathered
from gateway.ports import Clock, Reader, Spool


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
        facts = await self._facts(target, address, name, raw, reading)
        pictures = await self._pictures(target, raw, reading)
        desk = self._desk(address, name, raw, reading, facts, pictures)
        rows = forecast(target, desk, address)
        for row in rows:
            row["to"] = row["to"] or to
            if not mail and row["refused"] == EMPTY:
                # Nobody gave a mail: the question was about the route alone.
                row["refused"], row["due_at"] = None, self._clock.now().isoformat()
        return {"rows": rows}

    async def _facts(
        self, target: Target | BadAddress, address: str, sender: str, raw: bytes, reading: Reading
    ) -> Facts:
        """What the same mail by the door would be planned with."""
        rules, recipient = self._config().rules, Recipient(address=address)
        if not isinstance(target, ToPhone | ToName | TextAddress | ToConversation):
            return Facts()
        intent = Preview(recipient=recipient, target=target)
        mail = self._inbound(address, sender, raw)
        return await gathered(self._spool, needs((intent,), mail, reading, rules), rules)

    async def _pictures(self, target: Target | BadAddress, raw: bytes, reading: Reading) -> tuple[Picture, ...]:
        rules = self._config().rules
        if not isinstance(target, ToPhone | ToName | TextAddress | ToConversation):
            return ()
        least = carried_bytes((Preview(recipient=Recipient(address=""), target=target),), rules)
        wanted = (rules.public_url or least) and rules.text.pictures == "send" and reading.pictures
        return await self._reader.attached(raw, least) if wanted else ()

    def _inbound(self, address: str, sender: str, raw: bytes) -> InboundMail:
        envelope = Envelope(mail_from="", recipients=(Recipient(address=address),))
        return InboundMail(
            id="preview",
            at=self._clock.now(),
            door=Door.LOCAL,
            peer="local",
            sender=sender,
            envelope=envelope,
            raw=raw,
        )

    def _desk(
        self, address: str, sender: str, raw: bytes, reading: Reading, facts: Facts, pictures: tuple[Picture, ...]
    ) -> Desk:
        mail = self._inbound(address, sender, raw)
        tokens = (f"preview{n:09}" for n in itertools.count())
        return Desk(
            mail=mail,
            reading=reading,
            facts=facts,
            rules=self._config().rules,
            now=mail.at,
            tokens=tokens,
            pictures=pictures,
        )

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
