"""What Flowroute's JSON says, in our words: numbers, times, statuses, texts.  Pure.

Source: developer.flowroute.com, Messages v2.2, and the answers in the README of flowroute-sdk-v3-python.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

from gateway.core.work import Remote

MOST_MEDIA = 10
_MOST_URL = 4000
ENDS_BADLY = frozenset({"undelivered", "failed", "canceled"})
_PHONE = re.compile(r"\+?([1-9][0-9]{9,14})")
# Flowroute names "smsc submit", "message buffered", "message sent", "delivered" and "failed"; its pages have no whole
# list.  The others are the message states of SMPP 3.4 5.2.28, of which receipts are made.
_STATUS = {
    "queued": "queued",
    "pending": "queued",
    "scheduled": "queued",
    "sending": "sending",
    "smsc submit": "sent",
    "message sent": "sent",
    "message buffered": "sent",
    "sent": "sent",
    "enroute": "sent",
    "accepted": "sent",
    "unknown": "sent",
    "delivered": "delivered",
    "expired": "undelivered",
    "deleted": "undelivered",
    "undeliverable": "undelivered",
    "undelivered": "undelivered",
    "rejected": "undelivered",
    "smsc reject": "undelivered",
    "failed": "failed",
    "canceled": "canceled",
    "cancelled": "canceled",
}


def table(value: object) -> dict[str, object]:
    """`value` where it is a JSON object, else {}."""
    return value if isinstance(value, dict) else {}


def rows(value: object) -> list[object]:
    """`value` where it is a JSON list, else []."""
    return value if isinstance(value, list) else []


def line(value: object) -> str:
    """`value` where it is a string or a whole number, without what no file can keep (lone surrogates); else ""."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace") if isinstance(value, str) else ""


def number(value: object) -> str:
    """E.164 with its plus, which Flowroute leaves out in lists and hooks; a short code as it is.

    Ten digits are one of +1: Flowroute texts within the North American plan.
    """
    written = line(value).strip()
    found = _PHONE.fullmatch(written)
    if found is None:
        return written
    return f"+1{found[1]}" if len(found[1]) == 10 and written[0] != "+" else f"+{found[1]}"


def status(word: object, level: int = 2) -> str:
    """Flowroute's status in the words of `StatusIn.status`; one that is not known is "sent", never an end.

    A receipt of level 1 tells of the way to the carrier: "delivered" there is not yet at the phone.
    """
    said = _STATUS.get(" ".join(line(word).lower().replace("_", " ").split()), "sent")
    return "sent" if said == "delivered" and level == 1 else said


def code(value: object, said: str) -> str:
    """The status code of a bad end; "" for any other, because there it is no error ("1003", accepted by carrier)."""
    return line(value)[:40] if said in ENDS_BADLY else ""


def level(value: object) -> int:
    """1 = to the carrier, 2 = beyond; 0 = not said."""
    said = line(value)
    return int(said) if said in ("1", "2") else 0


def media(included: object) -> tuple[str, ...]:
    """The addresses of the media that came with one text, in order, at most ten."""
    found = []
    for each in map(table, rows(included)):
        url = line(table(each.get("attributes")).get("url"))
        if each.get("type") == "media" and 0 < len(url) <= _MOST_URL and url.isascii() and not _blank(url):
            found.append(url)
    return tuple(found[:MOST_MEDIA])


def remote(value: object) -> Remote:
    """A message detail record.  Raises ValueError for one without id, time or direction."""
    record = table(value)
    said = table(record.get("attributes"))
    ident, at, direction = line(record.get("id")), line(said.get("timestamp")), line(said.get("direction"))
    if not ident or not direction:
        raise ValueError("a text without id or direction")
    receipts = [table(each) for each in rows(said.get("delivery_receipts"))]
    about = [each for each in receipts if each.get("status") == said.get("status")]
    state = status(said.get("status"), max((level(each.get("level")) for each in about), default=0))
    return Remote(
        remote_id=ident,
        to=number(said.get("to")),
        sender=number(said.get("from")),
        body=line(said.get("body")),
        status=state,
        code=next(filter(None, (code(each.get("status_code"), state) for each in about)), ""),
        created_at=_time(at),
        direction=direction,
        media=len(rows(table(table(record.get("relationships")).get("media")).get("data"))),
    )


def _time(written: str) -> datetime:
    """ISO 8601; UTC where no zone is given.  Raises ValueError."""
    at = datetime.fromisoformat(written)
    return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)


def _blank(url: str) -> bool:
    return any(not c.isprintable() or c.isspace() for c in url)
