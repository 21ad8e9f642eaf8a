"""What was asked of people: kept, answered once, found by its id and by the phone that it is about."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime

import apsw

from gateway.core.model import Phone, Question
from gateway.spool.rows import Row, Shown, every, maybe_stamp, named, one, packed, shown, stamp

_QUESTION = """
SELECT q.id, q.kind, q.phone, q.number, q.sender, q.asked_at, q.closes_at, q.text, q.options, q.deliveries,
  q.answered_at, q.answer FROM question AS q
"""
_BY_ID = _QUESTION + " WHERE q.id = ?"
# By question_open, the longest asked first.
_ASKED = _QUESTION + " WHERE q.phone = ? AND q.closes_at > ? AND q.answered_at IS NULL ORDER BY q.asked_at, q.id"
# A plan made from older facts must not take an answer back.
_KEEP = """
INSERT INTO question (id, kind, phone, number, sender, asked_at, closes_at, text, options, deliveries, answered_at,
  answer) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE SET kind = excluded.kind, phone = excluded.phone, number = excluded.number,
  sender = excluded.sender, asked_at = excluded.asked_at, closes_at = excluded.closes_at, text = excluded.text,
  options = excluded.options,
  deliveries = excluded.deliveries, answered_at = excluded.answered_at, answer = excluded.answer
WHERE excluded.answered_at IS NOT NULL OR answered_at IS NULL
"""
# By question_closes: what has closed is left out by the index, what was answered is little.
_OPEN = (
    _QUESTION
    + " WHERE q.closes_at > :now AND q.answered_at IS NULL ORDER BY q.closes_at, q.id LIMIT :limit OFFSET :offset"
)
_OPEN_OF = (
    _QUESTION + " WHERE q.phone = :phone AND q.closes_at > :now AND q.answered_at IS NULL "
    "ORDER BY q.closes_at, q.id LIMIT :limit OFFSET :offset"
)
# By question_phone.
_TOLD = """
SELECT 'question' AS what, asked_at AS at, id, kind, phone, number, asked_at, closes_at, text, options, deliveries,
  answered_at, answer FROM question WHERE phone = ? ORDER BY asked_at DESC LIMIT 100
"""


def keep(connection: apsw.Connection, question: Question) -> None:
    """Inserts or replaces the whole; an answered one is replaced by an answered one only."""
    connection.execute(_KEEP, _row(question))


def gather(
    connection: apsw.Connection, ids: Iterable[str], phones: Iterable[Phone], now: datetime
) -> dict[str, Question]:
    """By id: the questions asked for, whatever became of them, and the open ones about these phones."""
    rows = [row for id_ in ids if (row := one(connection, _BY_ID, (id_.lower(),)))]
    rows += [row for phone in phones for row in every(connection, _ASKED, (phone, stamp(now)))]
    return {row[0]: _question(row) for row in rows}


def questions(
    connection: apsw.Connection, *, now: datetime, phone: str | None = None, limit: int = 1000, offset: int = 0
) -> list[Shown]:
    """Open questions, about one phone or all, those first that close first."""
    bindings = {"now": stamp(now), "limit": limit, "offset": offset}
    if phone is None:
        return _lists(shown(connection, _OPEN, bindings))
    return _lists(shown(connection, _OPEN_OF, {**bindings, "phone": phone}))


def told(connection: apsw.Connection, phone: str) -> list[Shown]:
    """What was asked about a phone and what was answered, for its story: the newest 100."""
    return _lists(shown(connection, _TOLD, (phone,)))


def _lists(rows: list[Shown]) -> list[Shown]:
    return [{**row, "options": json.loads(row["options"]), "deliveries": json.loads(row["deliveries"])} for row in rows]


def _row(q: Question) -> Row:
    """The columns of _QUESTION."""
    head = (q.id, q.kind, q.phone, q.number, q.sender, stamp(q.asked_at), stamp(q.closes_at), q.text)
    return *head, packed(q.options), packed(q.deliveries), maybe_stamp(q.answered_at), q.answer


def _question(row: Row) -> Question:
    fields = named(_QUESTION, row)
    lists = {name: tuple(json.loads(fields[name])) for name in ("options", "deliveries")}
    return Question(**{**fields, **lists})
