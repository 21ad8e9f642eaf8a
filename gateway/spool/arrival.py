"""What came in <-> its row, as rows.py for all else."""

from __future__ import annotations

import json

from gateway.core.model import (
    Door,
    Envelope,
    Inbound,
    InboundHook,
    InboundMail,
    Recipient,
    StatusIn,
    TextIn,
)
from gateway.spool.rows import Row, Shown, moment, packed, stamp

INBOUND = """
SELECT i.seq, i.id, i.at, i.kind, i.door, i.peer, i.sender, i.phone, i.envelope, i.proven, r.raw FROM inbound AS i
  JOIN raw AS r ON r.inbound = i.seq
"""


def inbound_row(inbound: Inbound) -> Row:
    """id, at, kind, door, peer, sender, phone, envelope, proven."""
    at = stamp(inbound.at)
    if isinstance(inbound, InboundMail):
        return (
            inbound.id,
            at,
            "mail",
            inbound.door.value,
            inbound.peer,
            inbound.sender,
            inbound.phone,
            _envelope(inbound.envelope),
            inbound.proven,
        )
    author = inbound.event.author if isinstance(inbound.event, TextIn) else None
    return inbound.id, at, "hook", "", inbound.provider, "", author, _event(inbound.event), ""


def inbound_of(row: Row) -> Inbound:
    """Reads a row of INBOUND."""
    _, id_, at, kind, door, peer, sender, phone, envelope, proven, raw = row
    read = json.loads(envelope)
    if kind == "hook":
        return InboundHook(id=id_, at=moment(at), provider=peer, event=_event_of(read), raw=raw)
    recipients = tuple(Recipient(**recipient) for recipient in read.pop("recipients"))
    return InboundMail(
        id=id_,
        at=moment(at),
        door=Door(door),
        peer=peer,
        sender=sender,
        envelope=Envelope(recipients=recipients, **read),
        raw=raw,
        proven=proven,
        phone=phone,
    )


def _envelope(envelope: Envelope) -> str:
    recipients = [{"address": r.address, "notify": r.notify, "orcpt": r.orcpt} for r in envelope.recipients]
    return packed(
        {"mail_from": envelope.mail_from, "recipients": recipients, "envid": envelope.envid, "ret": envelope.ret}
    )


def _event(event: TextIn | StatusIn) -> str:
    fields: Shown
    if isinstance(event, StatusIn):
        fields = {"delivery": event.delivery, "attempt": event.attempt, "status": event.status, "code": event.code}
    else:
        fields = {"author": event.author, "number": event.number, "text": event.text}
        fields |= {"media": event.media, "opt_out": event.opt_out}
    return packed({"remote_id": event.remote_id, **fields})


def _event_of(read: Shown) -> TextIn | StatusIn:
    if "status" in read:
        return StatusIn(**read)
    media = tuple(read.pop("media"))
    return TextIn(media=media, **read)
