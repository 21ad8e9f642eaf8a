"""Named views for people: rows as dicts, ready for JSON, times as RFC 3339.

    queue          all=False, limit=1000, offset=0     what is unfinished, oldest first; all: newest first
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

_QUEUE_COLUMNS = """
SELECT d.id, d.message, d."to", d.courier, d.fate, d.attempt AS attempts, d.due_at, d.code, d.note, d.kind,
  coalesce(nullif(d.sender, ''), m.sender, '') AS sender, d.reason, d.expires_at FROM delivery AS d LEFT JOIN message
  AS m ON m.id = d.message
"""
# By delivery_fate; the few unfinished rows are sorted after they were found.  What costs nothing has no sender whose
# budget pays: its mail's sender is shown.
_UNFINISHED = (
    _QUEUE_COLUMNS
    + " WHERE d.fate IN ('waiting', 'sending', 'unknown', 'held') ORDER BY d.seq LIMIT :limit OFFSET :offset"
)
_EVERYTHING = _QUEUE_COLUMNS + " ORDER BY d.seq DESC LIMIT :limit OFFSET :offset"
# By inbound_parked and inbound_unplanned.
_INBOUNDS = """
SELECT seq, id, kind, sender, envelope, at, parked FROM inbound WHERE parked <> '' UNION ALL SELECT seq, id, kind,
  sender, envelope, at, parked FROM inbound WHERE planned_at IS NULL ORDER BY seq LIMIT :limit OFFSET :offset
"""
_COUNT_INBOUNDS = """
SELECT (SELECT count(*) FROM inbound WHERE parked <> '') + (SELECT count(*) FROM inbound WHERE planned_at IS NULL)
"""
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
    offset: int = 0,
) -> list[Shown]:
    """Deliveries; before the unfinished ones, the inbounds that have none yet: parked (held) or not yet planned."""
    if all:
        return shown(connection, _EVERYTHING, {"limit": limit, "offset": offset})
    rows = [_inbound(row) for row in shown(connection, _INBOUNDS, {"limit": limit, "offset": offset})]
    counted = one(connection, _COUNT_INBOUNDS)
    before = counted[0] if counted else 0
    rest = {"limit": limit - len(rows), "offset": max(0, offset - before)}
    return rows + shown(connection, _UNFINISHED, rest)


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
