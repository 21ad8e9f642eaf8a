"""Mails that are passed on: unchanged to an outside address, or to the people behind postmaster and abuse."""

from __future__ import annotations

from dataclasses import replace
from email.utils import format_datetime

from gateway.core import compose, notice
from gateway.core.desk import Desk, closed, message_to, unwelcome
from gateway.core.intent import Forward
from gateway.core.model import Fate, Kind
from gateway.core.work import MailParcel, Writes


def forward(intent: Forward, desk: Desk) -> Writes:
    """One mail to each mailbox; a visible end where there is none, or where the sender may not."""
    refused = unwelcome(intent.recipient, desk)
    if refused is not None:
        return refused
    if not intent.to:
        message = replace(message_to(intent.recipient, None, desk), kind=Kind.FORWARD)
        ended = closed(message, Fate.FAILED, "alarm_to names no mailbox", "5.3.5", desk.now)
        return Writes(messages=(message,), deliveries=(ended,))
    joined = Writes()
    for to in intent.to:
        joined = joined.joined(_passed_on(intent, to, desk))
    return joined


def _passed_on(intent: Forward, to: str, desk: Desk) -> Writes:
    message = message_to(intent.recipient, None, desk)
    message = replace(message, kind=Kind.FORWARD, recipient=to, rule=f"passed on to {to}")
    bounce = "" if intent.unchanged else next(desk.tokens)
    head = b"" if intent.unchanged else f"{compose.LOOP_HEADER}: {desk.rules.domain}\r\n".encode()
    own = desk.rules.relay_sender or f"b-{bounce}@{desk.rules.domain}"
    parcel = MailParcel(
        mail_from=desk.mail.envelope.mail_from if intent.unchanged else own,
        rcpt_to=to,
        data=_received(desk) + head + desk.mail.raw,
        notify=intent.recipient.notify if intent.unchanged else "",
    )
    made = notice.mail_delivery(message, parcel, desk.now, bounce=bounce)
    return Writes(messages=(message,), deliveries=(made,))


def _received(desk: Desk) -> bytes:
    """The trace line that every relay adds (RFC 5321 4.4; 4.1.3 for the address)."""
    at = format_datetime(desk.mail.at)
    peer = f"IPv6:{desk.mail.peer}" if ":" in desk.mail.peer else desk.mail.peer
    return f"Received: from [{peer}] by {desk.rules.domain} with ESMTP id {desk.mail.id}; {at}\r\n".encode()
