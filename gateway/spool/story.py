"""The whole story of a message or a phone: what `gateway trace` tells.

A story is a list of dicts in the order of time.  Each has `what` (inbound | message | delivery | consent | question |
confirmation) and `at`; an inbound has its `envelope` (of a mail) or `event` (of a hook) as a dict, a delivery its
`attempts` and `receipts`, and its `text` where it is one of several parts, a question its `answer` ("" until
`answered_at`).
"""

from __future__ import annotations

import email
import json
from collections.abc import Iterable
from datetime import datetime
from email.policy import default

import apsw

from gateway.spool import questions
from gateway.spool.rows import Shown, every, one, shown

_INBOUND = """
SELECT 'inbound' AS what, at, id, kind, door, peer, sender, phone, envelope, proven, planned_at, parked,
  note FROM inbound
  WHERE id = ?
"""
_MESSAGE = """
SELECT 'message' AS what, m.at, m.id, m.inbound, m.kind, m.sender, m.recipient, m.phone, m.person, m.conversation,
  m.subject, m.text, m.cut, m.rule, m.report_to, m.notify, m.orcpt, m.envid, m.message_id, m.klass FROM message AS
  m WHERE m.id = ?
"""
_DELIVERY = """
SELECT 'delivery' AS what, m.at, d.id, d.message, d.kind, d.courier, d.lane, d.number, d."to", d.phone, d.person,
  d.sender, d.segments, d.fate, d.reason, d.priority, d.due_at, d.expires_at, d.attempt AS attempts_started,
  d.posted_at, d.lookups, d.resends, d.remote_id, d.code, d.note, d.bounce, d.conversational, d.ways,
  coalesce(json_array_length(d.parcel, '$.media'), 0) AS pictures, d.lease_until IS NOT NULL AS leased FROM delivery AS
  d LEFT JOIN message AS m ON m.id = d.message WHERE d.id = ?
"""
_ATTEMPTS = """
SELECT attempt, started_at, ended_at, outcome, code, note, remote_id, ms FROM attempt WHERE delivery = ? ORDER BY
  seq
"""
_RECEIPTS = """
SELECT at, inbound, source, fate, code, note, remote_id, changed FROM receipt WHERE delivery = ? ORDER BY seq
"""
_CONSENTS = """
SELECT 'consent' AS what, at, id, seq, brand, phone, action, klass, method, evidence, disclosure, recorded_by, raw,
  number FROM consent WHERE phone = ? ORDER BY seq
"""
_CONFIRMATION = """
SELECT 'confirmation' AS what, at, employee, address, by, works, how, note FROM confirmation WHERE employee = ?
"""
# Each by the index on what it asks for.
_MESSAGES_OF_INBOUND = "SELECT id FROM message WHERE inbound = ? ORDER BY seq LIMIT 1000"
_MESSAGES_OF_PHONE = "SELECT id FROM message WHERE phone = ? ORDER BY seq DESC LIMIT ?"
# A job that never ends is not walked through for its answers.
_ANSWERS = """
SELECT id FROM (SELECT seq, id, kind FROM message WHERE conversation = (SELECT conversation FROM message WHERE id = ?)
  AND conversation <> '' ORDER BY seq DESC LIMIT 1000) AS newest WHERE kind = 'reply' ORDER BY seq DESC LIMIT 20
"""
_INBOUNDS_OF_PHONE = "SELECT id FROM inbound WHERE phone = ? ORDER BY seq DESC LIMIT ?"
_OF_CONVERSATION = """
SELECT id FROM message WHERE conversation = ? AND conversation <> '' ORDER BY seq DESC LIMIT 20
"""
_MESSAGE_OF_BOUNCE = "SELECT message FROM delivery WHERE bounce = ? AND bounce <> ''"
_ASKED_ABOUT = "SELECT phone FROM question WHERE id = ?"
# By message_at: a question and what asks it were made at the same microsecond.
_ASKED_BY = """
SELECT m.id FROM question AS q CROSS JOIN message AS m INDEXED BY message_at ON m.at = q.asked_at WHERE q.id = ? AND
  m.kind IN ('question', 'text') AND (m.phone IS NULL OR m.phone = q.phone) ORDER BY m.seq LIMIT 20
"""
_WAITING_FOR = """
SELECT d.message FROM question AS q CROSS JOIN json_each(q.deliveries) CROSS JOIN delivery AS d ON d.id =
  json_each.value WHERE q.id = ?
"""
_DATA = "SELECT data FROM delivery WHERE id = ? AND data IS NOT NULL"
_INBOUND_OF_MESSAGE = "SELECT inbound FROM message WHERE id = ? AND inbound <> ''"
_MESSAGE_OF_DELIVERY = "SELECT message FROM delivery WHERE id = ?"
_DELIVERIES = "SELECT id FROM delivery WHERE message = ? ORDER BY seq"
_TOLD_BY = "SELECT delivery FROM receipt WHERE inbound = ? AND inbound <> ''"
_TOLD_ABOUT = "SELECT DISTINCT inbound FROM receipt WHERE delivery = ? AND inbound <> ''"
_BY_REMOTE = "SELECT delivery FROM remote WHERE courier IN ('twilio', 'flowroute') AND remote_id = ?"
_HOOK_OF_REMOTE = "SELECT id FROM inbound WHERE id IN ('twilio:' || ?1, 'flowroute:' || ?1)"


def delivery(connection: apsw.Connection, *, id: str) -> list[Shown]:  # noqa: A002 (a key of the view)
    """One delivery with all that happened to it; [] when it is not known."""
    rows = shown(connection, _DELIVERY, (id,))
    for row in rows:
        row["ways"] = json.loads(row["ways"])
        row["attempts"] = shown(connection, _ATTEMPTS, (id,))
        row["receipts"] = shown(connection, _RECEIPTS, (id,))
    return rows


def story(
    connection: apsw.Connection,
    *,
    id: str | None = None,  # noqa: A002 (a key of the view)
    phone: str | None = None,
    person: str = "",
    limit: int = 20,
) -> list[Shown]:
    """Everything about one id (of an inbound, message, delivery, conversation, question or b- address, or of the
    provider), or the newest about one phone.

    [] when nothing is known by that id.  A phone's story holds at most `limit` messages and texts that it wrote;
    `person` is the employee whose phone it is, "" = nobody's.
    """
    if phone is not None:
        messages = _names(connection, _MESSAGES_OF_PHONE, (phone, limit))
        inbounds = _names(connection, _INBOUNDS_OF_PHONE, (phone, limit))
        return _told(connection, messages, inbounds, {phone}, {person})
    if id is None:
        raise TypeError("a story is about an id or a phone")
    messages, inbounds = _about(connection, id)
    return _told(connection, messages, inbounds, set(_names(connection, _ASKED_ABOUT, (id,))), set())


def _about(connection: apsw.Connection, id_: str) -> tuple[list[str], list[str]]:
    """Messages and inbounds to which an id belongs: all messages of its inbound, and the answers to them."""
    ids = [id_, *_names(connection, _HOOK_OF_REMOTE, (id_,))]
    inbounds = [i for i in ids if one(connection, _INBOUND, (i,))]
    deliveries = [*_names(connection, _BY_REMOTE, (id_,)), id_]
    deliveries += [d for i in inbounds for d in _names(connection, _TOLD_BY, (i,))]
    messages = [id_] if one(connection, _MESSAGE, (id_,)) else []
    messages += [m for d in deliveries for m in _names(connection, _MESSAGE_OF_DELIVERY, (d,))]
    by_token = (_OF_CONVERSATION, _MESSAGE_OF_BOUNCE, _ASKED_BY, _WAITING_FOR)
    messages += [m for sql in by_token for m in _names(connection, sql, (id_,))]
    inbounds += [i for m in messages for i in _names(connection, _INBOUND_OF_MESSAGE, (m,))]
    messages += [m for i in inbounds for m in _names(connection, _MESSAGES_OF_INBOUND, (i,))]
    answers = [a for m in dict.fromkeys(messages) for a in _names(connection, _ANSWERS, (m,))]
    return [*messages, *answers], inbounds


def _told(
    connection: apsw.Connection, messages: Iterable[str], inbounds: Iterable[str], phones: set[str], named: set[str]
) -> list[Shown]:
    """The rows of it all in the order of time; at the same time a cause stands before what it caused."""
    told = [row for m in dict.fromkeys(messages) for row in shown(connection, _MESSAGE, (m,))]
    sent = [row for m in told for row in _sent(connection, m["id"])]
    hooks = [i for row in sent for i in _names(connection, _TOLD_ABOUT, (row["id"],))]
    causes = [row["inbound"] for row in told]
    came = [row for i in dict.fromkeys([*inbounds, *causes, *hooks]) for row in shown(connection, _INBOUND, (i,))]
    for row in came:
        row["envelope" if row["kind"] == "mail" else "event"] = json.loads(row.pop("envelope"))
    people = sorted(phones or {row["phone"] for row in (*told, *came) if row["phone"]})
    entries = [row for phone in people for row in shown(connection, _CONSENTS, (phone,))]
    asked = [row for phone in people for row in questions.told(connection, phone)]
    known = sorted((named or {row["person"] for row in (*told, *sent)}) - {""})
    proven = [
        {**row, "works": bool(row["works"])} for name in known for row in shown(connection, _CONFIRMATION, (name,))
    ]
    return sorted([*came, *entries, *told, *sent, *asked, *proven], key=_when)


def _sent(connection: apsw.Connection, message: str) -> list[Shown]:
    """The deliveries of a message; where several mails bring one text, each with its part of the words."""
    rows = [row for d in _names(connection, _DELIVERIES, (message,)) for row in delivery(connection, id=d)]
    for row in rows:
        before = [r for r in rows if _way(r) < _way(row)]
        if before:
            row["at"] = _begun(row, before)
        if sum(_way(r) == _way(row) for r in rows) > 1:
            found = one(connection, _DATA, (row["id"],))
            row["text"] = _words(found[0]) if found else ""
    return rows


def _way(row: Shown) -> int:
    """Which way of its message a delivery is: parts of one text are one way."""
    number = str(row["id"]).rpartition(".")[2].partition("-")[0]
    return int(number) if number.isdecimal() else 0


def _begun(row: Shown, before: list[Shown]) -> str:
    """When another way was taken: when it set out, or at the last word on the ways before it, which led to it."""
    starts = [a["started_at"] for a in row["attempts"]] or ([row["posted_at"]] if row["posted_at"] else [])
    if starts:
        return str(min(starts, key=datetime.fromisoformat))
    ends = [a["ended_at"] for r in before for a in r["attempts"]] + [t["at"] for r in before for t in r["receipts"]]
    return str(max([row["at"], *ends], key=datetime.fromisoformat))


def _words(data: bytes) -> str:
    """The text in a mail of ours."""
    body = email.message_from_bytes(data, policy=default).get_body(("plain",))
    return str(body.get_content()).strip() if body is not None else ""


def _names(connection: apsw.Connection, sql: str, bindings: apsw.Bindings) -> list[str]:
    return [str(row[0]) for row in every(connection, sql, bindings)]


def _when(row: Shown) -> datetime:
    return datetime.fromisoformat(row["at"])
