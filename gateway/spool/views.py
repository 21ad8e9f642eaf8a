"""Named views for people: rows as dicts, ready for JSON, times as RFC 3339.

    queue          all=False, limit=1000, after=""     what is unfinished, oldest first; all: newest first
    held           sender                              ids of what budget or flood brake hold of a sender
    delivery       id                                  one delivery with its attempts and receipts; [] when not known
    story          id or phone, person="", limit=20    see story.py
    consents       phone=None, limit=1000, offset=0    the ledger in its order
    conversations  phone=None, limit=1000, offset=0    last closing first
    questions      phone=None, limit=1000, offset=0    open ones, first closing first
    confirmations                                      by employee
    unconfirmed    since, limit=200                    paid texts without a receipt; for the daemon, so times are values
    usage          sender=None, limit=1000, offset=0   segments by sender and period, newest period first
    texts_out      since, until                        see reports.py, as for the next two: counts by group
    texts_in       since, until
    deliveries_by  since, until, sender=None
    raw            id                                  id, kind, raw (bytes as latin-1) of an inbound; [] when not known
                                                       or when retention took the bytes

Every view is bounded by an index and its limit: a million finished rows do not slow it down.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime

import apsw

from gateway.spool.marks import unconfirmed
from gateway.spool.questions import questions
from gateway.spool.reports import deliveries_by, texts_in, texts_out
from gateway.spool.rows import Shown, one, shown
from gateway.spool.story import delivery, story

LIMIT = 1000
_LAST = 2**62  # comes after every seq

# What costs nothing has no sender whose budget pays: its mail's sender is shown.
_QUEUE_COLUMNS = """
SELECT d.id, d.message, d."to", d.courier, d.fate, d.attempt AS attempts, d.due_at, d.code, d.note, d.kind,
  coalesce(nullif(d.sender, ''), m.sender, '') AS sender, d.reason, d.expires_at FROM
"""
_WITH_MESSAGE = "LEFT JOIN message AS m ON m.id = d.message"
# By delivery_fate: its rows of each open fate are in order, and the four are merged no further than the page.
_OPEN = """
  (
    SELECT seq FROM delivery WHERE fate = 'waiting' AND seq > :after
    UNION ALL SELECT seq FROM delivery WHERE fate = 'sending' AND seq > :after
    UNION ALL SELECT seq FROM delivery WHERE fate = 'unknown' AND seq > :after
    UNION ALL SELECT seq FROM delivery WHERE fate = 'held' AND seq > :after
    ORDER BY seq LIMIT :limit
  ) AS page CROSS JOIN delivery AS d ON d.seq = page.seq
"""
_UNFINISHED = _QUEUE_COLUMNS + _OPEN + _WITH_MESSAGE + " ORDER BY d.seq"
_EVERYTHING = (
    _QUEUE_COLUMNS + "delivery AS d " + _WITH_MESSAGE + " WHERE d.seq < :before ORDER BY d.seq DESC LIMIT :limit"
)
# By inbound_parked and inbound_unplanned, merged.
_INBOUNDS = """
SELECT seq, id, kind, sender, envelope, at, parked FROM inbound WHERE parked <> '' AND seq > :after UNION ALL
  SELECT seq, id, kind, sender, envelope, at, parked FROM inbound WHERE planned_at IS NULL AND seq > :after
  ORDER BY seq LIMIT :limit
"""
# By delivery_fate.
_HELD = """
SELECT d.id FROM delivery AS d LEFT JOIN message AS m ON m.id = d.message WHERE d.fate = 'held' AND d.reason IN
  ('budget', 'flood') AND coalesce(nullif(d.sender, ''), m.sender, '') = ? ORDER BY d.seq
"""
_AFTER = "SELECT seq FROM delivery WHERE id = ?"
_AFTER_INBOUND = "SELECT seq FROM inbound WHERE id = ?"
_CONSENTS = """
SELECT seq, id, brand, phone, at, action, klass, method, evidence, disclosure, recorded_by, raw, number FROM consent
  ORDER BY seq LIMIT :limit OFFSET :offset
"""
_CONSENTS_OF = """
SELECT seq, id, brand, phone, at, action, klass, method, evidence, disclosure, recorded_by, raw, number FROM consent
  WHERE phone = :phone ORDER BY seq LIMIT :limit OFFSET :offset
"""
_TALK_COLUMNS = """
SELECT id, sender, phone, job, number, subject, message_id, reply_to, opened_at, closes_at, texted_at, text,
  heard_at FROM conversation
"""
_TALKS = _TALK_COLUMNS + " ORDER BY closes_at DESC LIMIT :limit OFFSET :offset"
_TALKS_OF = _TALK_COLUMNS + " WHERE phone = :phone ORDER BY closes_at DESC LIMIT :limit OFFSET :offset"
_CONFIRMATIONS = "SELECT employee, address, at, by, works, how, note FROM confirmation ORDER BY employee"
_USAGE = """
SELECT sender, period, segments FROM spent WHERE :sender IS NULL OR sender = :sender ORDER BY period DESC, sender
  LIMIT :limit OFFSET :offset
"""

# By the unique index of inbound.id, then the key of raw.
_RAW = "SELECT i.id, i.kind, r.raw FROM inbound AS i JOIN raw AS r ON r.inbound = i.seq WHERE i.id = ?"


def find(connection: apsw.Connection, view: str, keys: Shown, now: datetime) -> list[Shown]:
    """The rows of a named view at `now`; LookupError for a name, TypeError for a key, that is not in the list above."""
    if view == "questions":
        return questions(connection, now=now, **keys)
    if view not in VIEWS:
        raise LookupError(f"no view is named {view}")
    return VIEWS[view](connection, **keys)


def queue(
    connection: apsw.Connection,
    *,
    all: bool = False,  # noqa: A002 (a key of the view)
    limit: int = LIMIT,
    after: str = "",
) -> list[Shown]:
    """Deliveries; before the unfinished ones, the inbounds that have none yet: parked (held) or not yet planned.

    `after` is the id of the last row of the page before; LookupError where that went meanwhile.
    """
    last = one(connection, _AFTER, (after,)) if after else None
    if all:
        if after and last is None:
            raise LookupError(f"{after} went meanwhile")
        return shown(connection, _EVERYTHING, {"limit": limit, "before": last[0] if last else _LAST})
    rows: list[Shown] = []
    if last is None:
        came = one(connection, _AFTER_INBOUND, (after,)) if after else (0,)
        if came is None:
            raise LookupError(f"{after} went meanwhile")
        rows = [_inbound(row) for row in shown(connection, _INBOUNDS, {"limit": limit, "after": came[0]})]
    rest = {"limit": limit - len(rows), "after": last[0] if last else 0}
    return rows + shown(connection, _UNFINISHED, rest)


def held(connection: apsw.Connection, *, sender: str) -> list[Shown]:
    """What one sender may let go together: the ids alone, as there may be very many."""
    return shown(connection, _HELD, (sender,))


def _inbound(row: Shown) -> Shown:
    """An inbound in the columns of a delivery."""
    envelope = json.loads(row["envelope"])
    if row["kind"] == "mail":
        to = ", ".join(recipient["address"] for recipient in envelope["recipients"])
    else:
        to = envelope.get("number", "")
    return {
        "id": row["id"],
        "message": None,
        "to": to,
        "courier": None,
        "fate": "held" if row["parked"] else "waiting",
        "attempts": 0,
        "due_at": row["at"],
        "code": "",
        "note": row["parked"],
        "kind": row["kind"],
        "sender": row["sender"],
        "reason": "parked" if row["parked"] else "planning",
        "expires_at": None,
    }


def consents(
    connection: apsw.Connection, *, phone: str | None = None, limit: int = LIMIT, offset: int = 0
) -> list[Shown]:
    """Entries of one phone, or of all."""
    bindings = {"limit": limit, "offset": offset}
    if phone is None:
        return shown(connection, _CONSENTS, bindings)
    return shown(connection, _CONSENTS_OF, {**bindings, "phone": phone})


def conversations(
    connection: apsw.Connection, *, phone: str | None = None, limit: int = LIMIT, offset: int = 0
) -> list[Shown]:
    """Conversations with one phone, or all."""
    bindings = {"limit": limit, "offset": offset}
    if phone is None:
        return shown(connection, _TALKS, bindings)
    return shown(connection, _TALKS_OF, {**bindings, "phone": phone})


def confirmations(connection: apsw.Connection) -> list[Shown]:
    """Which employees' carrier addresses work, on whose word."""
    return [{**row, "works": bool(row["works"])} for row in shown(connection, _CONFIRMATIONS)]


def usage(
    connection: apsw.Connection, *, sender: str | None = None, limit: int = LIMIT, offset: int = 0
) -> list[Shown]:
    """Segments by sender and by day ("2026-11-21") or month ("2026-11")."""
    return shown(connection, _USAGE, {"sender": sender, "limit": limit, "offset": offset})


def raw(connection: apsw.Connection, *, id: str) -> list[Shown]:  # noqa: A002 (a key of the view)
    """One inbound as it came in: each character of `raw` is one byte."""
    return [{**row, "raw": row["raw"].decode("latin-1")} for row in shown(connection, _RAW, (id,))]


VIEWS: dict[str, Callable[..., list[Shown]]] = {
    "queue": queue,
    "held": held,
    "delivery": delivery,
    "story": story,
    "consents": consents,
    "conversations": conversations,
    "confirmations": confirmations,
    "unconfirmed": unconfirmed,
    "usage": usage,
    "texts_out": texts_out,
    "texts_in": texts_in,
    "deliveries_by": deliveries_by,
    "raw": raw,
}
