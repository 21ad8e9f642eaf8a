"""A mail of ours to an address of ours: whether what comes back to us finds the way, from the relay to our door."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta

from gateway.commands.answer import Answer, CommandFailed
from gateway.config import Config
from gateway.core import compose, notice
from gateway.core.facts import Needs
from gateway.core.model import Inbound, InboundMail, Kind
from gateway.core.work import Delivery, MailParcel, Writes
from gateway.events import emit
from gateway.ports import Clock, Spool

_LIFE = timedelta(minutes=10)  # nobody waits longer for the end of a probe
_MOST = 20  # probes that are remembered; the oldest is forgotten first
_SUBJECT = "Does mail come back to the gateway?"
_TEXT = "The gateway has sent this to itself.  It shows that bounces and answers find their way.\n"


class Probe:
    def __init__(
        self,
        *,
        config: Callable[[], Config],
        spool: Spool,
        clock: Clock,
        take: Callable[[Sequence[Delivery]], None] | None,
    ) -> None:
        """`take` None: no daemon runs, so nothing is sent and nothing can come."""
        self._config = config
        self._spool = spool
        self._clock = clock
        self._take = take
        self._heard: dict[str, tuple[str, str]] = {}  # address of a probe -> door and peer, "" until it came

    def heard(self, inbound: Inbound) -> None:
        """Notes a mail that came in, where it is for the address of a probe."""
        if not self._heard or not isinstance(inbound, InboundMail):
            return
        for recipient in inbound.envelope.recipients:
            if recipient.address.lower() in self._heard:
                self._heard[recipient.address.lower()] = (inbound.door.value, inbound.peer)

    async def send(self, actor: str = "") -> Answer:
        """Sends a mail by the relay to a fresh b- address of ours; {"rows": [{"to", "delivery"}]}."""
        if self._take is None:
            raise CommandFailed("only the daemon sends mail: start it with gateway serve", 69)
        rules, now = self._config().rules, self._clock.now()
        token = (await self._spool.gather(Needs(fresh=1))).fresh[0]
        to = f"b-{token}@{rules.domain}"
        told = notice.told_message(f"probe.{token}", Kind.REPORT, None, to, _SUBJECT, _TEXT, now)
        data = compose.notice(
            sender=notice.author(rules),
            to=to,
            subject=_SUBJECT,
            text=_TEXT,
            message_id=notice.mail_id(told.id, rules),
            at=now,
            domain=rules.domain,
        )
        parcel = MailParcel(mail_from=rules.relay_sender or to, rcpt_to=to, data=data)
        delivery = replace(notice.mail_delivery(told, parcel, now, bounce=token), expires_at=now + _LIFE)
        while len(self._heard) >= _MOST:
            del self._heard[next(iter(self._heard))]
        self._heard[to] = ("", "")
        written = await self._spool.write(Writes(messages=(told,), deliveries=(delivery,)))
        self._take(written.leased)
        emit("command.done", command="check --bounce", delivery=delivery.id, actor=actor)
        return {"rows": [{"to": to, "delivery": delivery.id}]}

    async def seen(self, to: str, delivery: str) -> Answer:
        """What became of a probe; {"rows": [{"door", "peer", "fate", "note"}]}, `door` "" until it came back."""
        door, peer = self._heard.get(to, ("", ""))
        rows = await self._spool.find("delivery", id=delivery)
        fate, note = (rows[0]["fate"], rows[0]["note"]) if rows else ("", "")
        return {"rows": [{"door": door, "peer": peer, "fate": fate, "note": note}]}
