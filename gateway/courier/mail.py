"""Mail out: hands one mail at a time to the one relay of `[relay]`.

Whatever the wire does comes back as an Outcome.  The one unclear moment is between the final dot and its answer; what
breaks before it was certainly not taken.
"""

from __future__ import annotations

import asyncio
import re
import ssl

from aiosmtplib import SMTP, SMTPResponse, SMTPServerDisconnected

from gateway.core.work import Accepted, Deferred, MailParcel, Outcome, Refused, Unclear
from gateway.courier.relay import WIRE_FAULTS, Link, Relay, RelayError, Timeouts, line

_ADDRESS = re.compile(r"[^\s<>\x00-\x1f\x7f]*")
_NOTIFY = re.compile(r"NEVER|(?:SUCCESS|FAILURE|DELAY)(?:,(?:SUCCESS|FAILURE|DELAY)){0,2}")
_LINE_END = re.compile(rb"\r\n|\r|\n")
_DOT = re.compile(rb"(?m)^\.")
_ENHANCED = re.compile(r"[245]\.\d{1,3}\.\d{1,3}\b")
_QUEUE_ID = re.compile(r"\bqueued as <?([\w.-]+)", re.IGNORECASE)
_LOGIN_CODES = frozenset({530, 534, 535, 538})  # RFC 4954 6, RFC 3207 4: we must log in or encrypt first


class RelayCourier:
    """ports.MailCourier for one relay.  At most `connections` mails are under way; the others wait for their turn.

    `port` None is 465 for tls "implicit", 587 for "required", else 25; what `tls` means is told in courier/relay.py.
    """

    def __init__(
        self,
        *,
        host: str,
        port: int | None = None,
        tls: str = "required",
        username: str = "",
        password: str = "",
        local_hostname: str | None = None,
        connections: int = 4,
        timeouts: Timeouts | None = None,
        ssl_context: ssl.SSLContext | None = None,
        senders: tuple[str, ...] | None = None,
    ) -> None:
        """`senders`: our own envelope senders, "@domain" for all of a domain; None = all but the null sender."""
        self._host = host
        self._senders = senders
        self._timeouts = timeouts or Timeouts()
        self._turn = asyncio.Semaphore(connections)
        self._relay = Relay(
            host=host,
            port=port,
            tls=tls,
            username=username,
            password=password,
            local_hostname=local_hostname,
            timeouts=self._timeouts,
            ssl_context=ssl_context,
        )

    async def send(self, parcel: MailParcel) -> Outcome:
        """Hands one mail over: one recipient, one transaction.

        Accepted.note is the relay's own answer, remote_id its queue id where it names one.  The code of Deferred and
        Refused is the enhanced code (RFC 3463), else the reply code.  A relay that cannot be reached, encrypted or
        logged in to is Deferred with `sender_wide`.
        """
        for address in (parcel.mail_from, parcel.rcpt_to):
            if not address.isascii() or not _ADDRESS.fullmatch(address):
                return Refused(reason=f"{address!r} cannot be written as an SMTP address", code="5.1.3")
        async with self._turn:
            while True:
                try:
                    link = await self._relay.take()
                except RelayError as fault:
                    code = _code(fault.code, fault.reply) if fault.code else ""
                    return Deferred(reason=str(fault), code=code, sender_wide=True)
                outcome = await self._transact(link, parcel)
                if outcome is not None:
                    return outcome

    async def close(self) -> None:
        """Closes what is idle; connections in use close after their mail."""
        await self._relay.close()

    async def _transact(self, link: Link, parcel: MailParcel) -> Outcome | None:
        """What became of the mail; None: a kept connection had died before, and no attempt was made."""
        fit = False
        try:
            outcome = await self._hand_over(link, parcel)
            fit = outcome is not None and await self._reset(link, outcome)
        finally:
            if fit:
                self._relay.keep(link)
            else:
                link.part()
        return outcome

    async def _hand_over(self, link: Link, parcel: MailParcel) -> Outcome | None:
        client = link.client
        data = _LINE_END.sub(b"\r\n", parcel.data)
        if not data.endswith(b"\r\n"):
            data += b"\r\n"
        if not data.isascii() and not client.supports_extension("8bitmime"):
            return Refused(reason=f"{self._host} does not take 8-bit mail (RFC 6152)", code="5.6.3")
        for step, good, command in _commands(client, parcel, data):
            try:
                reply = await client.execute_command(*command, timeout=self._timeouts.command)
            except WIRE_FAULTS as fault:
                if step == "MAIL" and link.used and isinstance(fault, SMTPServerDisconnected):
                    return None
                return Deferred(reason=f"{self._host} was lost at {step}: {line(str(fault))}")
            if step == "MAIL" and link.used and reply.code == 421:
                return None
            link.used = True
            if reply.code // 100 != good:
                return self._said_no(step, reply, parcel)
        return await self._content(client, _DOT.sub(b"..", data) + b".\r\n")

    async def _content(self, client: SMTP, content: bytes) -> Outcome:
        protocol = client.protocol
        if protocol is None or not protocol.is_connected:
            return Deferred(reason=f"{self._host} was lost before the content")
        protocol.write(content)
        try:
            reply = await protocol.read_response(timeout=self._timeouts.final)
        except WIRE_FAULTS as fault:
            client.close()
            return Unclear(reason=f"{self._host} did not answer after the content: {line(str(fault))}")
        answer = f"{reply.code} {line(reply.message)}"
        if reply.code // 100 == 2:
            queued = _QUEUE_ID.search(reply.message)
            return Accepted(remote_id=queued[1] if queued else "", note=f"handed over to {self._host}: {answer}")
        if reply.code // 100 in (4, 5):
            return self._said_no("the content", reply, None)
        return Unclear(reason=f"{self._host} answered the content with {answer}")

    def _said_no(self, step: str, reply: SMTPResponse, parcel: MailParcel | None) -> Outcome:
        reason = f"{self._host} answered {step} with {reply.code} {line(reply.message)}"
        code = _code(reply.code, reply.message)
        if reply.code in _LOGIN_CODES:
            remedy = "check [relay] tls, username and password"
            return Deferred(reason=f"{reason}; {remedy}", code=code, sender_wide=True)
        about_sender = step == "MAIL" and not code.startswith(("5.3.4", "552"))
        if reply.code // 100 == 5 and about_sender and parcel is not None and self._is_ours(parcel.mail_from):
            # The relay refuses us, not the recipient: every other mail of ours would meet the same.
            remedy = "it may take one sender only: see [relay] sender"
            return Deferred(reason=f"{reason}; {remedy}", code=code, sender_wide=True)
        if reply.code // 100 == 5:
            return Refused(reason=reason, code=code)
        return Deferred(reason=reason, code=code)

    def _is_ours(self, mail_from: str) -> bool:
        if self._senders is None:
            return bool(mail_from)
        return any(mail_from == s or (s[:1] == "@" and mail_from.endswith(s)) for s in self._senders)

    async def _reset(self, link: Link, outcome: Outcome) -> bool:
        """Whether the connection stands between two mails again."""
        if isinstance(outcome, Unclear) or not link.client.is_connected:
            return False
        if isinstance(outcome, Accepted):
            return True
        try:
            reply = await link.client.execute_command(b"RSET", timeout=self._timeouts.connect)
        except WIRE_FAULTS:
            return False
        return reply.code == 250


def _commands(client: SMTP, parcel: MailParcel, data: bytes) -> tuple[tuple[str, int, tuple[bytes, ...]], ...]:
    """The steps before the content: name, first digit of a good answer, words of the command."""
    mail = [f"FROM:<{parcel.mail_from}>"]
    if client.supports_extension("size"):
        mail.append(f"SIZE={len(data)}")
    if not data.isascii():
        mail.append("BODY=8BITMIME")
    rcpt = [f"TO:<{parcel.rcpt_to}>"]
    if _NOTIFY.fullmatch(parcel.notify) and client.supports_extension("dsn"):
        rcpt.append(f"NOTIFY={parcel.notify}")
    return (
        ("MAIL", 2, (b"MAIL", *(word.encode("ascii") for word in mail))),
        ("RCPT", 2, (b"RCPT", *(word.encode("ascii") for word in rcpt))),
        ("DATA", 3, (b"DATA",)),
    )


def _code(code: int, reply: str) -> str:
    enhanced = _ENHANCED.match(reply)
    return enhanced[0] if enhanced else str(code)
