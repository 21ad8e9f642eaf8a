"""Values of the house <-> rows of the database.  The only place where a column's type is taken on trust.

A time is a whole number of microseconds since 1970 UTC.  Each SELECT here names its columns in the order in which the
function below it reads them; the callers add their WHERE.
"""

from __future__ import annotations

import functools
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import apsw

from gateway.core.model import Confirmation, Consent, Conversation, Fate, Kind
from gateway.core.work import Delivery, MailParcel, Message, Parcel, TextParcel

Row = tuple[Any, ...]
Shown = dict[str, Any]  # a row for people, ready for JSON

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_ENCODER = json.JSONEncoder(ensure_ascii=False, check_circular=False, separators=(",", ":"))


def one(connection: apsw.Connection, sql: str, bindings: apsw.Bindings = ()) -> Row | None:
    """The first row, or None."""
    row: Row | None = connection.execute(sql, bindings).fetchone()
    return row


def every(connection: apsw.Connection, sql: str, bindings: apsw.Bindings = ()) -> list[Row]:
    """All rows."""
    return connection.execute(sql, bindings).fetchall()


def shown(connection: apsw.Connection, sql: str, bindings: apsw.Bindings = ()) -> list[Shown]:
    """All rows as dicts by column name; columns named `at` or `..._at` become ISO times."""
    rows: list[Shown] = []
    names: tuple[str, ...] = ()
    cursor = connection.execute(sql, bindings)
    for row in cursor:
        # Told while there is a row only.
        names = names or tuple(name for name, _ in cursor.get_description())
        fields = dict(zip(names, row, strict=True))
        for name in filter(_is_time, names):
            fields[name] = iso(fields[name])
        rows.append(fields)
    return rows


def stamp(at: datetime) -> int:
    """Microseconds of an aware time; TypeError for a naive one."""
    return (at - _EPOCH) // _MICROSECOND


def maybe_stamp(at: datetime | None) -> int | None:
    """Microseconds, or NULL."""
    return None if at is None else stamp(at)


def moment(stamped: int) -> datetime:
    """The aware time of a stamp."""
    return _EPOCH + timedelta(0, 0, stamped)  # without the keyword in half the time


def span(length: timedelta) -> int:
    """Microseconds of a duration."""
    return length // _MICROSECOND


def iso(stamped: int | None) -> str | None:
    """RFC 3339 with Z."""
    return None if stamped is None else moment(stamped).isoformat().replace("+00:00", "Z")


def packed(value: object) -> str:
    """JSON without blanks; most lists that are stored are empty."""
    return _ENCODER.encode(value) if value != () else "[]"


def unpacked(text: str) -> tuple[Any, ...]:
    """What `packed` made of a tuple."""
    return tuple(json.loads(text)) if text != "[]" else ()


MESSAGE = """
SELECT m.id, m.inbound, m.kind, m.sender, m.recipient, m.phone, m.person, m.conversation, m.subject, m.text,
  m.cut, m.rule, m.at, m.report_to, m.notify, m.orcpt, m.envid, m.message_id, m.klass FROM message AS m
"""


def message_row(m: Message) -> Row:
    """The columns of MESSAGE."""
    head = (m.id, m.inbound, m.kind.value, m.sender, m.recipient, m.phone, m.person, m.conversation, m.subject, m.text)
    return *head, m.cut, m.rule, stamp(m.at), m.report_to, m.notify, m.orcpt, m.envid, m.message_id, m.klass


def message_of(row: Row) -> Message:
    """Reads a row of MESSAGE."""
    fields = named(MESSAGE, row)
    fields["kind"] = Kind(fields["kind"])
    return Message(**fields)


DELIVERY = """
SELECT d.id, d.message, d.kind, d.courier, d.lane, d.number, d."to", d.phone, d.person, d.sender, d.segments,
  d.fate, d.reason, d.priority, d.due_at, d.expires_at, d.attempt, d.posted_at, d.lookups, d.resends, d.remote_id,
  d.code, d.note, d.bounce, d.conversational, d.released, d.ways, d.parcel, d.data, d.lifetime FROM delivery AS d
"""


def delivery_row(d: Delivery) -> Row:
    """The columns of DELIVERY."""
    parcel, body = _parcel(d.parcel)
    due_at, expires_at = stamp(d.due_at), stamp(d.expires_at)
    route = (d.id, d.message, d.kind.value, d.courier, d.lane, d.number, d.to, d.phone, d.person, d.sender, d.segments)
    state = (
        d.fate.value,
        d.reason,
        d.priority,
        due_at,
        expires_at,
        d.attempt,
        maybe_stamp(d.posted_at),
        d.lookups,
        d.resends,
    )
    said = (d.remote_id, d.code, d.note, d.bounce, int(d.conversational), int(d.released))
    return *route, *state, *said, packed(d.ways), parcel, body, span(d.expires_at - d.begun_at)


def delivery_of(row: Row) -> Delivery:
    """Reads a row of DELIVERY."""
    fields = named(DELIVERY, row)
    fields["parcel"] = _parcel_of(fields["parcel"], fields.pop("data"))
    fields["kind"], fields["fate"] = Kind(fields["kind"]), Fate(fields["fate"])
    fields["ways"] = unpacked(fields["ways"])
    fields["conversational"], fields["released"] = bool(fields["conversational"]), bool(fields["released"])
    fields["lifetime"] = timedelta(0, 0, fields["lifetime"])
    return Delivery(**fields)


def _parcel(parcel: Parcel | None) -> tuple[str | None, bytes | None]:
    if parcel is None:
        return None, None
    if isinstance(parcel, MailParcel):
        mail = {"mail_from": parcel.mail_from, "rcpt_to": parcel.rcpt_to, "notify": parcel.notify}
        return packed({**mail, "pictures": parcel.pictures} if parcel.pictures else mail), parcel.data
    fields = {"number": parcel.number, "service": parcel.service, "to": parcel.to, "body": parcel.body}
    return packed({**fields, "validity_seconds": parcel.validity_seconds, "media": parcel.media}), None


def _parcel_of(parcel: str | None, body: bytes | None) -> Parcel | None:
    if parcel is None:
        return None
    fields = json.loads(parcel)
    if body is not None:
        fields["pictures"] = tuple(fields.get("pictures", ()))
        return MailParcel(data=body, **fields)
    fields["media"] = tuple(fields.get("media", ()))  # a row from before texts had pictures names none
    return TextParcel(**fields)


CONSENT = """
SELECT c.id, c.brand, c.phone, c.at, c.action, c.klass, c.method, c.evidence, c.disclosure, c.recorded_by, c.raw,
  c.number, c.seq FROM consent AS c
"""


def consent_row(c: Consent) -> Row:
    """The columns of CONSENT but the last."""
    head = (c.id, c.brand, c.phone, stamp(c.at), c.action, c.klass, c.method)
    return *head, c.evidence, c.disclosure, c.recorded_by, c.raw, c.number


def consent_of(row: Row) -> Consent:
    """Reads a row of CONSENT."""
    fields = named(CONSENT, row)
    del fields["seq"]
    return Consent(**fields)


CONVERSATION = """
SELECT c.id, c.sender, c.phone, c.job, c.number, c.subject, c.message_id, c."references", c.reply_to, c.opened_at,
  c.closes_at, c.texted_at, c.text, c.heard_at FROM conversation AS c
"""


def conversation_row(c: Conversation) -> Row:
    """The columns of CONVERSATION."""
    head = (c.id, c.sender, c.phone, c.job, c.number, c.subject, c.message_id, packed(c.references), c.reply_to)
    return *head, stamp(c.opened_at), stamp(c.closes_at), maybe_stamp(c.texted_at), c.text, maybe_stamp(c.heard_at)


def conversation_of(row: Row) -> Conversation:
    """Reads a row of CONVERSATION."""
    fields = named(CONVERSATION, row)
    fields["references"] = unpacked(fields["references"])
    return Conversation(**fields)


CONFIRMATION = "SELECT c.employee, c.address, c.at, c.by, c.works, c.how, c.note FROM confirmation AS c"


def confirmation_of(row: Row) -> Confirmation:
    """Reads a row of CONFIRMATION."""
    fields = named(CONFIRMATION, row)
    fields["works"] = bool(fields["works"])
    return Confirmation(**fields)


def named(select: str, row: Row) -> Shown:
    """The values of a row of `select` by column name, times as times."""
    names, times = _columns(select)
    fields = dict(zip(names, row, strict=True))
    for name in times:
        if fields[name] is not None:
            fields[name] = moment(fields[name])
    return fields


@functools.cache
def _columns(select: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The names of the columns between SELECT and FROM, without table and quotes; and those of them that are times."""
    listed = select.partition("FROM")[0].strip().removeprefix("SELECT")
    names = tuple(column.partition(".")[2].strip().strip('"') for column in listed.split(","))
    return names, tuple(filter(_is_time, names))


@functools.cache
def _is_time(name: str) -> bool:
    return name == "at" or name.endswith("_at")
