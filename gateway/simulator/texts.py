"""The texts that the simulated Twilio keeps, as its API shows and lists them."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any
from urllib.parse import urlencode

API_VERSION = "2010-04-01"
_DATES = ("DateSent", "DateSent<", "DateSent>")
LIST_KEYS = frozenset({"To", "From", *_DATES, "PageSize", "Page", "PageToken"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    sid: str
    account: str
    author: str  # "" while a service has not chosen a number
    to: str
    body: str
    direction: str  # inbound | outbound-api | outbound-reply
    status: str
    created: datetime
    updated: datetime
    segments: int  # 0 while a service has not chosen a number
    service: str = ""
    callback: str = ""
    media: tuple[tuple[str, bytes], ...] = ()  # content type and bytes: came in, or fetched from media_urls
    media_urls: tuple[str, ...] = ()  # of an outbound text
    gone: frozenset[str] = frozenset()  # SIDs of media that were deleted
    validity: int = 36000  # seconds that it may wait to be sent
    sent: datetime | None = None
    code: int | None = None

    @property
    def path(self) -> str:
        """Its resource without ".json"."""
        return f"/{API_VERSION}/Accounts/{self.account}/Messages/{self.sid}"

    @property
    def media_sids(self) -> tuple[str, ...]:
        """One stable SID per medium, deleted ones too."""
        return tuple(f"ME{n:02x}{self.sid[4:]}" for n in range(len(self.media)))


def new_sid(*, media: bool) -> str:
    """SM (text) or MM (with media) and 32 hex digits."""
    return ("MM" if media else "SM") + secrets.token_hex(16)


def resource(text: Text) -> dict[str, object]:
    """The message resource of API v2010: numbers as strings, dates as RFC 2822, price unknown."""
    return {
        "account_sid": text.account,
        "api_version": API_VERSION,
        "body": text.body,
        "date_created": format_datetime(text.created),
        "date_sent": format_datetime(text.sent) if text.sent else None,
        "date_updated": format_datetime(text.updated),
        "direction": text.direction,
        "error_code": text.code,
        "error_message": f"Error {text.code}" if text.code else None,
        "from": text.author or None,
        "messaging_service_sid": text.service or None,
        "num_media": str(len(text.media_urls or text.media)),
        "num_segments": str(text.segments),
        "price": None,
        "price_unit": "USD",
        "sid": text.sid,
        "status": text.status,
        "subresource_uris": {"media": f"{text.path}/Media.json"},
        "to": text.to,
        "uri": f"{text.path}.json",
    }


class Texts:
    """All texts of the account, oldest first."""

    def __init__(self) -> None:
        self._by_sid: dict[str, Text] = {}

    def add(self, text: Text) -> None:
        self._by_sid[text.sid] = text

    def get(self, sid: str) -> Text | None:
        return self._by_sid.get(sid)

    def change(self, sid: str, **values: Any) -> Text:
        """The text with new values and a new date.  Raises KeyError."""
        self._by_sid[sid] = replace(self._by_sid[sid], updated=now(), **values)
        return self._by_sid[sid]

    def all(self, phone: str = "") -> list[Text]:
        """Those from or to `phone`, or every one."""
        return [text for text in self._by_sid.values() if phone in ("", text.to, text.author)]

    def page(self, account: str, query: Mapping[str, str], lag_seconds: float) -> dict[str, object]:
        """One page of the list, newest first; `query` is that of the request.

        Texts younger than `lag_seconds` are not listed yet.  Raises ValueError for a bad date or page size.
        """
        size = min(1000, int(query.get("PageSize", "50")))
        if size < 1:
            raise ValueError("PageSize")
        spans = {key: _span(query[key]) for key in _DATES if key in query}
        visible = now() - timedelta(seconds=lag_seconds)
        newest = reversed(self._by_sid.values())
        rows = [text for text in newest if text.created <= visible and _listed(text, query, spans)]
        token = query.get("PageToken", "").removeprefix("PA")
        start = next((n + 1 for n, text in enumerate(rows) if text.sid == token), 0)
        shown = rows[start : start + size]
        page = int(query.get("Page", "0"))
        more = start + size < len(rows)
        base = f"/{API_VERSION}/Accounts/{account}/Messages.json"
        return {
            "messages": [resource(text) for text in shown],
            "page": page,
            "page_size": size,
            "start": start,
            "end": start + max(0, len(shown) - 1),
            "uri": _uri(base, query, size, page, query.get("PageToken", "")),
            "first_page_uri": _uri(base, query, size, 0, ""),
            "next_page_uri": _uri(base, query, size, page + 1, f"PA{shown[-1].sid}") if more else None,
            "previous_page_uri": None,
        }


def now() -> datetime:
    """The time in whole seconds: the API knows no finer."""
    return datetime.now(UTC).replace(microsecond=0)


def media_page(text: Text) -> dict[str, object]:
    """The list of a text's media that were not deleted, on one page: there are ten at most."""
    base, size = f"{text.path}/Media.json", 50
    shown = [medium(text, sid) for sid in text.media_sids if sid not in text.gone]
    return {
        "media_list": shown,
        "page": 0,
        "page_size": size,
        "start": 0,
        "end": max(0, len(shown) - 1),
        "uri": _uri(base, {}, size, 0, ""),
        "first_page_uri": _uri(base, {}, size, 0, ""),
        "next_page_uri": None,
        "previous_page_uri": None,
    }


def medium(text: Text, sid: str) -> dict[str, object]:
    """The media resource of API v2010.  Raises ValueError for a SID that is not the text's."""
    return {
        "account_sid": text.account,
        "content_type": text.media[text.media_sids.index(sid)][0],
        "date_created": format_datetime(text.created),
        "date_updated": format_datetime(text.created),
        "parent_sid": text.sid,
        "sid": sid,
        "uri": f"{text.path}/Media/{sid}.json",
    }


def _uri(base: str, query: Mapping[str, str], size: int, page: int, token: str) -> str:
    keys = {key: value for key, value in query.items() if key not in ("PageSize", "Page", "PageToken")}
    keys |= {"PageSize": str(size), "Page": str(page)} | ({"PageToken": token} if token else {})
    return f"{base}?{urlencode(keys)}"


def _span(value: str) -> tuple[datetime, datetime]:
    """First and last second that a date filter names: a date is its whole day.  Raises ValueError."""
    low = datetime.fromisoformat(value)
    low = low.astimezone(UTC) if low.tzinfo else low.replace(tzinfo=UTC)
    return low, low + timedelta(days=1, seconds=-1) if len(value) == len("2026-11-21") else low


def _listed(text: Text, query: Mapping[str, str], spans: Mapping[str, tuple[datetime, datetime]]) -> bool:
    if query.get("To", text.to) != text.to or query.get("From", text.author) != text.author:
        return False
    return all(text.sent is not None and _dated(text.sent, key, *span) for key, span in spans.items())


def _dated(sent: datetime, key: str, low: datetime, high: datetime) -> bool:
    """Whether `sent` matches one filter; bounds are inclusive, and DateSent alone means the day."""
    if key == "DateSent":
        return sent.date() == low.date()
    return sent <= high if key == "DateSent<" else sent >= low
