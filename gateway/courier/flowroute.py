"""Texts out by Flowroute (Messages v2.2), and look-ups there.

Messages has no idempotency key: what certainly did not reach Flowroute is Deferred, what Flowroute itself refused (4xx
with its own `errors`) is Deferred or Refused, everything else is Unclear and looked up.  Flowroute has neither a
validity period, so a text that it took may come late, nor messaging services.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import aiohttp

from gateway.core import gsm
from gateway.core.work import Accepted, Deferred, Outcome, Refused, Remote, TextParcel, Unclear
from gateway.courier.flowroute_media import MediaShelf
from gateway.courier.flowroute_wire import AnswerError, Wire
from gateway.courier.flowroute_words import line, media, remote, rows, table
from gateway.courier.session import NotSentError, Timeouts, words
from gateway.ports import Media, MediaFailed

API_URL = "https://api.flowroute.com"
_REGIONS = ("us-east-1", "us-east-2", "us-west-1", "us-west-2")
# Media lie in S3 for about a week, in which region is not documented.  Nothing else of Amazon's: anybody can have a
# host of EC2 there.
MEDIA_HOSTS = (
    "flowroute.com",
    "s3.amazonaws.com",
    *(f"s3{sign}{region}.amazonaws.com" for region in _REGIONS for sign in ".-"),
)
_MESSAGES = "/v2.2/messages"
_LOOKUP_BEFORE = timedelta(seconds=120)
_LOOKUP_AFTER = timedelta(seconds=300)
_PAGE_SIZE = 500
_LOOKUP_PAGES = 10  # of the whole account: at five texts a second the window holds 2100, and what came in
_INBOUND_PAGES = 40
_OURS = frozenset({401, 402, 403})  # keys, funds, permission: no text of the account would go
_FAULTS = (NotSentError, AnswerError, aiohttp.ClientError, OSError, ValueError)


class FlowrouteProvider:
    """ports.Provider for Flowroute.  Without `public_url` and `hook_secret` no status reports are asked for."""

    name = "flowroute"

    def __init__(
        self,
        *,
        access_key: str,
        secret_key: str,
        api_url: str = API_URL,
        public_url: str = "",
        hook_secret: str = "",
        media_hosts: tuple[str, ...] = MEDIA_HOSTS,
        timeouts: Timeouts | None = None,
    ) -> None:
        """`media_hosts`: the domains, their subdomains too, from which media are fetched."""
        self._hooks = ""
        if public_url and hook_secret:
            self._hooks = f"{public_url.rstrip('/')}/hooks/flowroute/{quote(hook_secret, safe='')}"
        limits = timeouts or Timeouts()
        self._wire = Wire(access_key, secret_key, api_url, limits)
        self._shelf = MediaShelf(media_hosts, api_url, limits)

    async def send(self, parcel: TextParcel, delivery: str, attempt: int) -> Outcome:
        """One request, never repeated.  `parcel.validity_seconds` and `parcel.service` have no counterpart there.

        Typographic characters go out as those of GSM-7, also where the configuration leaves them: Flowroute fails on
        curly quotes.
        """
        try:
            answer = await self._wire.request("POST", _MESSAGES, document=self._document(parcel, delivery, attempt))
        except NotSentError as fault:
            return Deferred(reason=f"Flowroute cannot be reached: {fault}", sender_wide=True)
        except AnswerError as fault:
            return _judge(fault)
        except (aiohttp.ClientError, OSError) as fault:
            return Unclear(reason=f"no answer from Flowroute: {words(fault)}")
        except ValueError:
            return Unclear(reason="Flowroute's answer cannot be read")
        remote_id = line(table(answer.get("data")).get("id"))
        if not remote_id:
            return Unclear(reason="Flowroute's answer has no id")
        return Accepted(remote_id=remote_id, status="queued", note="accepted by Flowroute: queued")

    def _document(self, parcel: TextParcel, delivery: str, attempt: int) -> dict[str, object]:
        attributes: dict[str, object] = {
            "to": parcel.to,
            "from": parcel.number,
            "body": gsm.transliterate(parcel.body),
        }
        if parcel.media:
            attributes |= {"is_mms": True, "media_urls": list(parcel.media)}
        if self._hooks:
            attributes["dlr_callback"] = f"{self._hooks}/status?d={quote(delivery, safe='')}&a={attempt}"
        return {"data": {"type": "message", "attributes": attributes}}

    async def lookup(self, parcel: TextParcel, posted_at: datetime) -> list[Remote] | None:
        """Texts of ours to the same phone, created from 120 s before to 300 s after `posted_at`; bodies not compared.

        None when a page failed or the window holds more pages than are read.
        """
        first, last = posted_at - _LOOKUP_BEFORE, posted_at + _LOOKUP_AFTER
        found = await self._list({"start_date": _written(first), "end_date": _written(last)}, _LOOKUP_PAGES)
        if found is None:
            return None
        ours = [row for row in found if row.direction.startswith("outbound") and row.to == parcel.to]
        return [row for row in ours if first <= row.created_at <= last]

    async def fetch(self, remote_id: str) -> Remote | None:
        """The text of that id; None when Flowroute could not be asked or does not have it."""
        try:
            return remote((await self._one(remote_id)).get("data"))
        except _FAULTS:
            return None

    async def inbound_since(self, number: str, since: datetime) -> list[Remote] | None:
        """Texts that came to `number` from `since` on, newest first; None when not all of them could be read."""
        first = since.replace(microsecond=0)
        found = await self._list({"start_date": _written(first)}, _INBOUND_PAGES)
        if found is None:
            return None
        came = [row for row in found if row.direction == "inbound" and row.to == number and row.created_at >= first]
        return sorted(came, key=lambda row: row.created_at, reverse=True)

    async def media_of(self, remote_id: str) -> tuple[str, ...] | None:
        """The addresses of what came with a text, signed by Flowroute for a while; None when it could not be asked."""
        try:
            return media((await self._one(remote_id)).get("included"))
        except _FAULTS:
            return None

    async def fetch_media(self, address: str, most_bytes: int) -> Media | MediaFailed:
        """One picture or file, from `media_hosts` only.  The address is its own proof: no keys are sent."""
        return await self._shelf.fetch(address, most_bytes)

    async def delete_media(self, address: str) -> bool:
        """False: Flowroute's API removes no media, its addresses run out by themselves."""
        return False

    async def close(self) -> None:
        await self._wire.close()
        await self._shelf.close()

    async def _one(self, remote_id: str) -> dict[str, object]:
        return await self._wire.request("GET", f"{_MESSAGES}/{quote(remote_id, safe='')}")

    async def _list(self, span: Mapping[str, str], most_pages: int) -> list[Remote] | None:
        """All texts of that time; None when not all of them could be read.

        Only an empty page is the end: a short one may be a limit that Flowroute lowered.  Texts that come while the
        pages are read may push others to the next page: each counts once.
        """
        found: dict[str, Remote] = {}
        offset = 0
        try:
            for _ in range(most_pages):
                query = {**span, "limit": str(_PAGE_SIZE), "offset": str(offset)}
                data = (await self._wire.request("GET", _MESSAGES, query)).get("data")
                if not isinstance(data, list):
                    return None
                if not data:
                    return list(found.values())
                found |= {row.remote_id: row for row in map(remote, rows(data))}
                offset += len(data)
        except _FAULTS:
            return None
        return None


def _judge(answer: AnswerError) -> Outcome:
    """What an answer other than 2xx means for the text.  Certain only when it is Flowroute that says no."""
    if not answer.own or not 400 <= answer.status < 500 or answer.status == 408:
        return Unclear(reason=f"Flowroute, or something before it, answered {answer.status}")
    reason = f"{answer.words} (Flowroute {answer.code})"
    if answer.status in _OURS:
        return Deferred(reason=reason, code=answer.code, sender_wide=True)
    if answer.status == 429:
        return Deferred(reason=reason, code=answer.code, retry_after=answer.retry_after)
    return Refused(reason=reason, code=answer.code)


def _written(at: datetime) -> str:
    """UTC as the list wants it: 2026-11-23T17:00:00.00Z."""
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%S}.{at.microsecond // 10000:02}Z"
