"""Views that count: what went out and came in between two times.

All are bounded by `since` and `until` (aware datetimes, the second is outside), found by message_at or inbound_at, and
answer with one row for each group, however many texts there were.
"""

from __future__ import annotations

from datetime import datetime

import apsw

from gateway.core.gsm import segments
from gateway.spool.rows import Shown, shown, stamp

# By message_at, then delivery_message: the join is written in the order in which it must run.
_SINCE = """
FROM message AS m INDEXED BY message_at CROSS JOIN delivery AS d ON d.message = m.id WHERE m.at >= :since AND
  m.at < :until
"""
# Counted in the budget and not given back, or known at the provider: the paid texts that were, or may have been, taken.
_TEXTS_OUT = f"""
SELECT d.sender, d.number, count(*) AS texts, sum(d.segments) AS segments {_SINCE} AND d.courier <> 'mail' AND
  (d.remote_id <> '' OR d.charged <> '') GROUP BY d.sender, d.number ORDER BY d.sender, d.number
"""
_DELIVERIES = f"""
SELECT d.sender, d.number, d.courier, d.kind, d.fate, count(*) AS deliveries {_SINCE} AND (:sender IS NULL OR
  d.sender = :sender) GROUP BY d.sender, d.number, d.courier, d.kind, d.fate ORDER BY d.sender, d.number, d.courier,
  d.kind, d.fate
"""
# By inbound_at, then message_inbound.  A text belongs to the sender to whom it was brought, "" where to nobody.
_TEXTS_IN = """
SELECT coalesce((SELECT m.sender FROM message AS m WHERE m.inbound = i.id AND m.sender <> '' ORDER BY m.seq LIMIT 1),
  ''), json_extract(i.envelope, '$.number'), json_extract(i.envelope, '$.text') FROM inbound AS i INDEXED BY
  inbound_at WHERE i.at >= :since AND i.at < :until AND i.kind = 'hook' AND i.phone IS NOT NULL
"""


def texts_out(connection: apsw.Connection, *, since: datetime, until: datetime) -> list[Shown]:
    """Paid texts: sender, number (its name), texts, segments."""
    return shown(connection, _TEXTS_OUT, _between(since, until))


def texts_in(connection: apsw.Connection, *, since: datetime, until: datetime) -> list[Shown]:
    """Texts that came in: sender, phone (E.164 of our number), texts, segments."""
    counts: dict[tuple[str, str], list[int]] = {}
    for sender, phone, text in connection.execute(_TEXTS_IN, _between(since, until)):
        count = counts.setdefault((str(sender), str(phone)), [0, 0])
        count[0] += 1
        count[1] += segments(str(text))
    return [
        {"sender": sender, "phone": phone, "texts": texts, "segments": parts}
        for (sender, phone), (texts, parts) in sorted(counts.items())
    ]


def deliveries_by(
    connection: apsw.Connection, *, since: datetime, until: datetime, sender: str | None = None
) -> list[Shown]:
    """Everything that leaves: sender, number, courier, kind, fate, deliveries."""
    return shown(connection, _DELIVERIES, {**_between(since, until), "sender": sender})


def _between(since: datetime, until: datetime) -> dict[str, int]:
    return {"since": stamp(since), "until": stamp(until)}
