"""The texts that the simulated Flowroute keeps, as Messages v2.2 shows them, and what it says to a new one.

Source: developer.flowroute.com, Messages v2.2; numbers come back without their plus, as in the answers printed there.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import urlsplit

_E164 = re.compile(r"\+[1-9]\d{9,14}")
_KNOWN = frozenset({"to", "from", "body", "is_mms", "media_urls", "dlr_callback"})
_CURLY = frozenset(map(chr, range(0x2018, 0x2020)))
_TITLES = {
    400: "Client Error",
    401: "Unauthorized",
    403: "Permission Denied",
    404: "Not Found",
    415: "Unsupported Media Type",
    422: "Unprocessable Entity",
    429: "Too Many Requests",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """One word of the network about a text: level 1 on the way to the carrier, 2 beyond."""

    level: int
    status: str
    code: str | None = None
    words: str = ""


SENT = Receipt(level=1, status="smsc submit", words="Message has been sent")
BUFFERED = Receipt(level=2, status="message buffered", code="1003", words="Message accepted by Carrier")
DELIVERED = Receipt(level=2, status="delivered", code="1000", words="Message delivered")
FAILED = Receipt(level=2, status="failed", code="1108", words="Message rejected by Carrier")


@dataclass(frozen=True, slots=True, kw_only=True)
class Medium:
    name: str
    kind: str
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    id: str
    author: str  # E.164 with its plus, like `to`
    to: str
    body: str
    direction: str  # inbound | outbound
    created: datetime
    callback: str = ""
    media: tuple[Medium, ...] = ()  # of an inbound text
    media_urls: tuple[str, ...] = ()  # of an outbound text
    receipts: tuple[tuple[datetime, Receipt], ...] = ()  # newest first


def new_id() -> str:
    return f"mdr2-{secrets.token_hex(16)}"


def written(at: datetime) -> str:
    """2026-11-23T17:00:00.25Z"""
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%S}.{at.microsecond // 10000:02}Z"


def resource(text: Text) -> dict[str, object]:
    """The message detail record of a text."""
    last = text.receipts[0][1].status if text.receipts else None
    found: dict[str, object] = {
        "type": "message",
        "id": text.id,
        "attributes": {
            "amount_display": "$0.0040",
            "amount_nanodollars": 4_000_000,
            "body": text.body,
            "delivery_receipts": [_receipt(at, receipt) for at, receipt in text.receipts],
            "direction": text.direction,
            "from": text.author.removeprefix("+"),
            "is_mms": bool(text.media or text.media_urls),
            "message_encoding": 0 if text.body.isascii() else 8,
            "message_type": "longcode",
            "status": "delivered" if text.direction == "inbound" else last,
            "timestamp": written(text.created),
            "to": text.to.removeprefix("+"),
        },
    }
    if text.media:
        named = [{"type": "media", "id": ident} for ident in _media_ids(text)]
        found["relationships"] = {"media": {"data": named}}
    return found


def included(text: Text, url: str) -> list[dict[str, object]]:
    """The media of a text with their signed addresses below `url`."""
    shown: list[dict[str, object]] = []
    for ident, medium in zip(_media_ids(text), text.media, strict=True):
        attributes = {
            "file_name": medium.name,
            "file_size": len(medium.data),
            "mime_type": medium.kind,
            "url": f"{url}/media/{ident}/{medium.name}?Signature={ident[-12:]}&Expires=1800000000",
        }
        shown.append(
            {"type": "media", "id": ident, "attributes": attributes, "links": {"self": f"{url}/media/{ident}"}}
        )
    return shown


def receipt(text: Text, at: datetime, said: Receipt) -> dict[str, object]:
    """What is posted to a dlr_callback."""
    attributes = {**_receipt(at, said), "body": "" if text.media_urls else text.body}
    return {"data": {"type": "delivery_receipt", "id": text.id, "attributes": attributes}}


def error(status: int, detail: str) -> dict[str, object]:
    """The body of an answer that says no."""
    title = _TITLES.get(status, "Error")
    return {"errors": [{"id": secrets.token_hex(16), "status": status, "title": title, "detail": detail}]}


def check(said: Mapping[str, object], numbers: Collection[str]) -> tuple[int, str]:
    """HTTP status and words of a refusal of a new text; (0, "") = it is taken.  No `numbers`: any are the account's."""
    to, author, body, media = said.get("to"), said.get("from"), said.get("body"), said.get("media_urls", [])
    for name, value in (("to", to), ("from", author)):
        if not isinstance(value, str) or not _E164.fullmatch(value):
            return 422, f"'{name}' is not a valid phone number"
    if numbers and author not in numbers:
        return 403, "the 'from' number does not belong to the account"
    if not isinstance(media, list) or not all(isinstance(url, str) and _is_url(url) for url in media):
        return 422, "'media_urls' must be a list of addresses"
    if not isinstance(body, str) or (not body and not media):
        return 422, "'body' is required"
    if not isinstance(said.get("is_mms", False), bool):
        return 422, "'is_mms' must be a boolean"
    callback = said.get("dlr_callback", "https://x.example")
    return (0, "") if isinstance(callback, str) and _is_url(callback) else (422, "'dlr_callback' is not an address")


def strange(said: Mapping[str, object]) -> list[str]:
    """What Flowroute would pass over in silence, or fail on later."""
    found = [f"unknown attribute {key!r}" for key in sorted(set(said) - _KNOWN)]
    if said.get("media_urls") and said.get("is_mms") is not True:
        found.append("media_urls without is_mms")
    if _CURLY & set(str(said.get("body", ""))):
        found.append("curly quotes in the body are known to cause errors")
    return found


def _media_ids(text: Text) -> list[str]:
    return [f"{text.id.removeprefix('mdr2-')}-{n}" for n in range(len(text.media))]


def _receipt(at: datetime, said: Receipt) -> dict[str, object]:
    return {
        "level": said.level,
        "status": said.status,
        "status_code": said.code,
        "status_code_description": said.words,
        "timestamp": written(at),
    }


def _is_url(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname)
