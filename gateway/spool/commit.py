"""Sets of writes: a plan, a command's writes, what follows from an attempt.  One transaction or nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

import apsw

from gateway.core.model import Confirmation, Conversation, Fate
from gateway.core.work import Delivery, Plan, Writes
from gateway.ports import Committed
from gateway.spool import media, questions
from gateway.spool.accept import enter
from gateway.spool.due import head
from gateway.spool.moves import apply_move
from gateway.spool.rows import conversation_row, delivery_row, message_row, one, stamp

_MARK = """
UPDATE inbound SET planned_at = ?, parked = ?, note = ?, lease_until = NULL WHERE id = ? AND planned_at IS NULL
"""
_UNLEASE = "UPDATE inbound SET lease_until = NULL WHERE id = ? AND planned_at IS NULL"
_MESSAGE = """
INSERT INTO message (id, inbound, kind, sender, recipient, phone, person, conversation, subject, text, cut, rule,
  at, report_to, notify, orcpt, envid, message_id, klass) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?,
  ?) ON CONFLICT (id) DO NOTHING
"""
_DELIVERY = """
INSERT INTO delivery (id, message, kind, courier, lane, number, "to", phone, person, sender, segments, fate,
  reason, priority, due_at, expires_at, attempt, posted_at, lookups, resends, remote_id, code, note, bounce,
  conversational, released, ways, parcel, data, lifetime, lease_until) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?,
  ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING
"""
# By the unique index of (sender, phone, job).
_SAME_JOB = "SELECT id FROM conversation WHERE sender = ? AND phone = ? AND job = ?"
# A plan made from older facts must not take back what happened meanwhile.  It is older where the thread has gone on
# from its mail to one that it does not know; or, of a stranger, who has no thread, where he has written since.  When
# and what we texted is told by the start of a text.  What the person said allows no answer where our text opens what
# had closed.
_CONVERSE = """
INSERT INTO conversation (id, sender, phone, job, number, subject, message_id, "references", reply_to, opened_at,
  closes_at, texted_at, text, heard_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE SET
  number = iif(OLDER, number, excluded.number),
  subject = iif(OLDER, subject, excluded.subject),
  message_id = iif(OLDER, message_id, excluded.message_id),
  "references" = iif(OLDER, "references", excluded."references"),
  reply_to = iif(OLDER, reply_to, excluded.reply_to),
  text = iif(coalesce(excluded.texted_at, 0) >= coalesce(texted_at, 0), excluded.text, text),
  closes_at = max(closes_at, excluded.closes_at),
  texted_at = nullif(max(coalesce(excluded.texted_at, 0), coalesce(texted_at, 0)), 0),
  heard_at = iif(excluded.heard_at IS NULL AND closes_at <= ? AND excluded.closes_at > closes_at, NULL,
    nullif(max(coalesce(excluded.heard_at, 0), coalesce(heard_at, 0)), 0))
ON CONFLICT (sender, phone, job) DO NOTHING
""".replace(
    "OLDER",
    # Without the look for the bare words most of the time would go into parsing fifty ids, five times over.
    """(iif(sender = '', coalesce(excluded.heard_at < heard_at, 0), instr("references", json_quote(excluded.message_id))
    AND excluded.message_id <> message_id
    AND excluded.message_id IN (SELECT value FROM json_each(conversation."references"))
    AND message_id NOT IN (SELECT value FROM json_each(excluded."references"))))""",
)
_CONFIRM = """
INSERT INTO confirmation (employee, address, at, by, works, how, note) VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (employee) DO UPDATE SET address = excluded.address, at = excluded.at, by = excluded.by, works =
  excluded.works, how = excluded.how, note = excluded.note WHERE excluded.at >= at
"""
_PULSE = "INSERT INTO pulse (id, at) VALUES (1, ?) ON CONFLICT (id) DO UPDATE SET at = excluded.at"


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """What a set of writes touched."""

    lanes: Mapping[str, Delivery | None]  # the new head of each, leased already; None = an old one may be free now
    moved: tuple[str, ...]  # deliveries whose fate a move changed
    doubled: tuple[tuple[str, str, str], ...]  # see ports.Committed


def plan(connection: apsw.Connection, made: Plan, now: datetime, lease_until: int | None) -> Committed:
    """Commits a plan once.  `lease_until` None leases nothing."""
    if _overtaken(connection, made.writes.conversations):
        connection.execute(_UNLEASE, (made.inbound,))
        return Committed(done=False, again=connection.changes() > 0)
    connection.execute(_MARK, (stamp(now), made.parked, made.note, made.inbound))
    if connection.changes() == 0:
        return Committed(done=False)
    return _answer(connection, apply(connection, made.writes, made.inbound, now, lease_until), now, lease_until)


def write(connection: apsw.Connection, writes: Writes, now: datetime, lease_until: int | None) -> Committed:
    """Commits writes that have no inbound."""
    if _overtaken(connection, writes.conversations):
        return Committed(done=False, again=True)
    return _answer(connection, apply(connection, writes, "", now, lease_until), now, lease_until)


def apply(connection: apsw.Connection, writes: Writes, inbound: str, now: datetime, lease_until: int | None) -> Applied:
    """Adds what is new, replaces conversations and questions, moves fates.

    A conversation whose job has another one is left out.
    """
    for message in writes.messages:
        connection.execute(_MESSAGE, message_row(message))
    lanes: dict[str, Delivery | None] = {}
    for delivery in writes.deliveries:
        _add(connection, delivery, lanes, now, None if writes.moves else lease_until)
    enter(connection, writes.consents)
    for conversation in writes.conversations:
        connection.execute(_CONVERSE, (*conversation_row(conversation), stamp(now)))
    for question in writes.questions:
        questions.keep(connection, question)
    for file in writes.media:
        media.keep(connection, file)
    for confirmation in writes.confirmations:
        confirm(connection, confirmation)
    did = [apply_move(connection, move, inbound, now) for move in writes.moves]
    lanes.update(dict.fromkeys(d.lane for d in did if d.touched))
    return Applied(
        lanes=lanes,
        moved=tuple(move.delivery for move, d in zip(writes.moves, did, strict=True) if d.changed),
        doubled=tuple(told for d in did for told in d.doubled),
    )


def _add(
    connection: apsw.Connection,
    delivery: Delivery,
    lanes: dict[str, Delivery | None],
    now: datetime,
    lease_until: int | None,
) -> None:
    """Keeps a delivery, and notes its lane where it may go at once."""
    due = delivery.fate is Fate.WAITING and delivery.due_at <= now
    # The first of a lane of its own is the head: it is leased as it comes, not sought, read and written again.
    first = due and lease_until is not None and delivery.lane == f"mail|{delivery.id}"
    connection.execute(_DELIVERY, (*delivery_row(delivery), lease_until if first else None))
    if first and connection.changes():
        lanes[delivery.lane] = delivery
    elif due:
        lanes.setdefault(delivery.lane, None)


def confirm(connection: apsw.Connection, confirmation: Confirmation) -> None:
    """The newest word about an employee's address stands."""
    c = confirmation
    connection.execute(_CONFIRM, (c.employee, c.address, stamp(c.at), c.by, c.works, c.how, c.note))


def pulse(connection: apsw.Connection, now: datetime) -> None:
    """A row that proves that writing works."""
    connection.execute(_PULSE, (stamp(now),))


def _overtaken(connection: apsw.Connection, conversations: Iterable[Conversation]) -> bool:
    """Whether somebody else opened a conversation on the same job since the facts were gathered."""
    return any(_other(connection, c) for c in conversations)


def _other(connection: apsw.Connection, conversation: Conversation) -> bool:
    row = one(connection, _SAME_JOB, (conversation.sender, conversation.phone, conversation.job))
    return row is not None and row[0] != conversation.id


def _answer(connection: apsw.Connection, applied: Applied, now: datetime, lease_until: int | None) -> Committed:
    leased = () if lease_until is None else leases(connection, applied.lanes, now, lease_until)
    return Committed(done=True, leased=leased, moved=applied.moved, doubled=applied.doubled)


def leases(
    connection: apsw.Connection, lanes: Mapping[str, Delivery | None], now: datetime, lease_until: int
) -> tuple[Delivery, ...]:
    """The heads of these lanes that are in our hands: those that are already, and those that are free and due."""
    heads = (known or head(connection, lane, now, lease_until) for lane, known in lanes.items())
    return tuple(one for one in heads if one is not None)
