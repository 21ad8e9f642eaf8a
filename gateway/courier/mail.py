"""Mail out: hands one mail at a time to the one relay of `[relay]`.

Whatever the wire does comes back as an Outcome.  The one unclear moment is between the final dot and its answer; what
breaks before it was certainly not taken.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from dataclasses import dataclass, replace

from aiosmtplib import SMTPResponse, SMTPServerDisconnected

from gateway.core.work import Accepted, Deferred, MailParcel, Outcome, Refused, Unclear
from gateway.courier.oauth import Tokens, line
from gateway.courier.relay import Link, Relay, RelayError, Timeouts
from gateway.courier.signer import Signer, wire_form
from gateway.courier.wire import WIRE_FAULTS, Wire

_ADDRESS = re.compile(r"[^\s<>\x00-\x1f\x7f]*")
_NOTIFY = re.compile(r"NEVER|(?:SUCCESS|FAILURE|DELAY)(?:,(?:SUCCESS|FAILURE|DELAY)){0,2}")
_ENHANCED = re.compile(r"[245]\.\d{1,3}\.\d{1,3}\b")
_QUEUE_ID = re.compile(r"\bqueued as <?([\w.-]+)", re.IGNORECASE)
_LOGIN_CODES = frozenset({530, 534, 535, 538})  # RFC 4954 6, RFC 3207 4: we must log in or encrypt first


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """How a transaction ended."""

    outcome: Outcome
    step: str  # MAIL | RCPT | DATA | the content
    code: int = 0  # of the reply that ended it; 0 = there was none


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
        tokens: Tokens | None = None,
        local_hostname: str | None = None,
        connections: int = 4,
        timeouts: Timeouts | None = None,
        ssl_context: ssl.SSLContext | None = None,
        senders: tuple[str, ...] | None = None,
        signer: Signer | None = None,
    ) -> None:
        """`senders`: our own envelope senders, "@domain" for all of a domain; None = all but the null sender.

        `tokens` log in by XOAUTH2 in place of the password; without a `signer` mail goes unsigned.
        """
        self._host = host
        self._senders = senders
        self._signer = signer
        self._timeouts = timeouts or Timeouts()
        self._turn = asyncio.Semaphore(connections)
        self._relay = Relay(
            host=host,
            port=port,
            tls=tls,
            username=username,
            password=password,
            tokens=tokens,
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
        unfit = misaddressed(parcel)
        if unfit is not None:
            return unfit
        ready = await prepared(parcel, self._signer)
        async with self._turn:
            while True:
                try:
                    link = await self._relay.take()
                except RelayError as fault:
                    return Deferred(reason=str(fault), code=said(fault.code, fault.reply), sender_wide=True)
                end = await transact(self._relay, link, ready, self._host, self._timeouts)
                if end is not None:
                    return self._judged(end, parcel)

    async def close(self) -> None:
        """Closes what is idle; connections in use close after their mail."""
        await self._relay.close()

    def _judged(self, end: End, parcel: MailParcel) -> Outcome:
        """The outcome; Deferred with `sender_wide` where the relay refuses us and not the recipient."""
        outcome = end.outcome
        if not isinstance(outcome, (Deferred, Refused)):
            return outcome
        if end.code in _LOGIN_CODES:
            remedy = "check [relay] tls, username and password"
            return Deferred(reason=f"{outcome.reason}; {remedy}", code=outcome.code, sender_wide=True)
        about_sender = end.step == "MAIL" and end.code and not outcome.code.startswith(("5.3.4", "552"))
        if isinstance(outcome, Refused) and about_sender and self._is_ours(parcel.mail_from):
            # Every other mail of ours would meet the same.
            remedy = "it may take one sender only: see [relay] sender"
            return Deferred(reason=f"{outcome.reason}; {remedy}", code=outcome.code, sender_wide=True)
        return outcome

    def _is_ours(self, mail_from: str) -> bool:
        if self._senders is None:
            return bool(mail_from)
        return any(mail_from == s or (s[:1] == "@" and mail_from.endswith(s)) for s in self._senders)


async def prepared(parcel: MailParcel, signer: Signer | None) -> MailParcel:
    """The parcel with its mail in `wire_form`."""
    data = await wire_form(parcel.data, signer)
    return parcel if data is parcel.data else replace(parcel, data=data)


def misaddressed(parcel: MailParcel) -> Refused | None:
    """Why the envelope cannot be said in SMTP; None where it can."""
    for address in (parcel.mail_from, parcel.rcpt_to):
        if not address.isascii() or not _ADDRESS.fullmatch(address):
            return Refused(reason=f"{address!r} cannot be written as an SMTP address", code="5.1.3")
    return None


async def transact(relay: Relay, link: Link, parcel: MailParcel, host: str, timeouts: Timeouts) -> End | None:
    """What became of a mail in `wire_form`; None: a kept connection had died before, and no attempt was made.

    The connection goes back to the relay where it may carry another mail, else it is closed.
    """
    fit = False
    try:
        end = await _handed_over(link, parcel, host, timeouts)
        fit = await _reset(link.wire, end, timeouts)
    except _DiedIdleError:
        return None
    finally:
        if fit:
            relay.keep(link)
        else:
            link.client.close()  # no QUIT in the middle of a dialog: it would be taken for content
    return end


async def _handed_over(link: Link, parcel: MailParcel, host: str, timeouts: Timeouts) -> End:
    data = parcel.data
    if not data.isascii() and "8bitmime" not in link.offers:
        refused = Refused(reason=f"{host} does not take 8-bit mail (RFC 6152)", code="5.6.3")
        return End(outcome=refused, step="MAIL")
    steps = _commands(link, parcel)
    for batch in (steps,) if "pipelining" in link.offers else tuple((step,) for step in steps):
        end = await _refusal(link, batch, host, timeouts)
        if end is not None:
            return end
    return await _content(link.wire, _stuffed(data) + b".\r\n", host, timeouts)


def _stuffed(data: bytes) -> bytes:
    """A mail in `wire_form` with a dot more in front of each that begins a line (RFC 5321 4.5.2)."""
    return (b"." if data[:1] == b"." else b"") + data.replace(b"\n.", b"\n..")


async def _refusal(link: Link, batch: tuple[tuple[str, int, str], ...], host: str, timeouts: Timeouts) -> End | None:
    """The first bad answer to commands that are written at once; None: all are good."""
    wire, first, reply = link.wire, None, None
    for step, good, _ in batch:
        try:
            if reply is None:
                wire.say("".join(f"{command}\r\n" for *_, command in batch).encode("ascii"), len(batch))
            reply = await wire.hear(timeouts.command)
        except WIRE_FAULTS as fault:
            if step == "MAIL" and link.used and isinstance(fault, SMTPServerDisconnected):
                raise _DiedIdleError from fault
            reason = f"{host} was lost at {step}: {line(str(fault))}"
            return first or End(outcome=Deferred(reason=reason), step=step)
        if step == "MAIL" and link.used and reply.code == 421:
            raise _DiedIdleError
        link.used = True
        if first is None and reply.code // 100 != good:
            first = End(outcome=_no(step, reply, host), step=step, code=reply.code)
    if first is not None and first.step != "DATA" and len(batch) > 1 and reply and reply.code // 100 == 3:
        try:
            await wire.ask(b".\r\n", timeouts.command)  # an empty mail to nobody: RFC 2920 3.1
        except WIRE_FAULTS:
            return first
    return first


async def _content(wire: Wire, content: bytes, host: str, timeouts: Timeouts) -> End:
    try:
        wire.say(content, 1)
    except WIRE_FAULTS as fault:
        return End(outcome=Deferred(reason=f"{host} was lost before the content: {line(str(fault))}"), step="DATA")
    step = "the content"
    try:
        reply = await wire.hear(timeouts.final)
    except WIRE_FAULTS as fault:
        return End(outcome=Unclear(reason=f"{host} did not answer after the content: {line(str(fault))}"), step=step)
    answer = f"{reply.code} {line(reply.message)}"
    outcome: Outcome = Unclear(reason=f"{host} answered the content with {answer}")
    if reply.code // 100 == 2:
        queued = _QUEUE_ID.search(reply.message)
        outcome = Accepted(remote_id=queued[1] if queued else "", note=f"handed over to {host}: {answer}")
    if reply.code // 100 in (4, 5):
        outcome = _no(step, reply, host)
    return End(outcome=outcome, step=step, code=reply.code)


def _no(step: str, reply: SMTPResponse, host: str) -> Deferred | Refused:
    reason, code = f"{host} answered {step} with {reply.code} {line(reply.message)}", said(reply.code, reply.message)
    return Refused(reason=reason, code=code) if reply.code // 100 == 5 else Deferred(reason=reason, code=code)


async def _reset(wire: Wire, end: End, timeouts: Timeouts) -> bool:
    """Whether the connection stands between two mails again."""
    if isinstance(end.outcome, Unclear) or not wire.between or end.code == 421:
        return False
    if isinstance(end.outcome, Accepted):
        return True
    try:
        reply = await wire.ask(b"RSET\r\n", timeouts.connect)
    except WIRE_FAULTS:
        return False
    return reply.code == 250


def _commands(link: Link, parcel: MailParcel) -> tuple[tuple[str, int, str], ...]:
    """The steps before the content: name, first digit of a good answer, command."""
    mail, rcpt = f"MAIL FROM:<{parcel.mail_from}>", f"RCPT TO:<{parcel.rcpt_to}>"
    if "size" in link.offers:
        mail += f" SIZE={len(parcel.data)}"
    if not parcel.data.isascii():
        mail += " BODY=8BITMIME"
    if _NOTIFY.fullmatch(parcel.notify) and "dsn" in link.offers:
        rcpt += f" NOTIFY={parcel.notify}"
    return (("MAIL", 2, mail), ("RCPT", 2, rcpt), ("DATA", 3, "DATA"))


def said(code: int, reply: str) -> str:
    """The enhanced code of a reply (RFC 3463), else its code; "" for none."""
    enhanced = _ENHANCED.match(reply)
    return enhanced[0] if enhanced else str(code or "")


class _DiedIdleError(Exception):
    """A kept connection had ended before its next mail."""
