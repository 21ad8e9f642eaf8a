"""Texts out by Twilio, look-ups there, and what came with texts in.

The SDK writes the requests; our own HTTP client under it keeps deadlines, never repeats a request, logs nothing and
knows whether a request may have reached the other side.  What certainly did not is Deferred; what Twilio itself
refused is Deferred or Refused by core/codes.py; everything else is Unclear, because Messages.create has no
idempotency key and a second request would be a second text.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

import aiohttp
from twilio.base.exceptions import TwilioException
from twilio.rest import Client

from gateway.core import codes
from gateway.core.codes import Klass
from gateway.core.work import Accepted, Deferred, Outcome, Refused, Remote, TextParcel, Unclear
from gateway.courier.session import NotSentError, Timeouts, words
from gateway.courier.twilio_media import MEDIA_HOSTS, MediaShelf
from gateway.courier.twilio_wire import AnswerError, Wire
from gateway.ports import Media, MediaFailed

API_URL = "https://api.twilio.com"
_QUEUE_FULL_SECONDS = 300.0
_TOO_MANY = 429
_LOOKUP_BEFORE = timedelta(seconds=120)
_LOOKUP_AFTER = timedelta(seconds=300)
_LOOKUP_PAGES = 4
_INBOUND_PAGES = 40
_PAGE_SIZE = 50
_LARGE_PAGES = 500  # after a long time: a list that is longer than all small pages; Twilio gives up to 1000
_MOST_MEDIA = 10  # Twilio: of one text
_NOT_THERE = "20404"
_UNREADABLE = (TwilioException, ValueError, TypeError, AttributeError)  # the SDK's, for an answer it does not expect
_FAULTS = (NotSentError, AnswerError, aiohttp.ClientError, OSError, *_UNREADABLE)


class _LongListError(Exception):
    """So many pages did not reach back far enough."""


class TwilioProvider:
    """ports.Provider for Twilio.  `public_url` "": no status reports are asked for."""

    name = "twilio"

    def __init__(
        self,
        *,
        account_sid: str,
        auth_token: str,
        api_url: str = API_URL,
        public_url: str = "",
        media_hosts: tuple[str, ...] = MEDIA_HOSTS,
        errors: Callable[[], codes.Errors] = dict,
        timeouts: Timeouts | None = None,
    ) -> None:
        """`media_hosts`: where the API may lead for pictures, names with all below them.  `errors`: the admin's own
        classes and words for codes, asked anew each time.
        """
        self._errors = errors
        self._public_url = public_url.rstrip("/")
        limits = timeouts or Timeouts()
        self._wire = Wire(limits)
        self._shelf = MediaShelf(
            account_sid=account_sid, auth_token=auth_token, api_url=api_url, hosts=media_hosts, timeouts=limits
        )
        # an environment of our own, or TWILIO_EDGE and TWILIO_REGION would change the host
        self._client: Any = Client(account_sid, auth_token, http_client=self._wire, environment={"TWILIO_EDGE": ""})
        self._client.api.base_url = api_url.rstrip("/")
        self._messages = f"/Accounts/{account_sid}/Messages.json"

    async def send(self, parcel: TextParcel, delivery: str, attempt: int) -> Outcome:
        """One request, never repeated.  Codes are Twilio's; `Accepted.status` is in the words of StatusIn."""
        form = self._form(parcel, delivery, attempt)
        try:
            # not messages.create_async: it makes an object with all fields and dates of an answer, to be thrown away
            answer = await self._client.api.v2010.request_async("POST", self._messages, data=form)
            text = json.loads(answer.text)
        except NotSentError as fault:
            return Deferred(reason=f"Twilio cannot be reached: {fault}", sender_wide=True)
        except AnswerError as no:
            return _judge(no, self._errors())
        except (aiohttp.ClientError, OSError) as fault:
            return Unclear(reason=f"no answer from Twilio: {words(fault)}")
        except _UNREADABLE as fault:
            return Unclear(reason=f"Twilio's answer cannot be read: {type(fault).__name__}")
        sid = text.get("sid")
        if not isinstance(sid, str) or not sid:
            return Unclear(reason="Twilio's answer has no sid")
        status = codes.status(str(text.get("status") or ""))
        return Accepted(remote_id=sid, status=status, note=f"accepted by Twilio: {status}")

    def _form(self, parcel: TextParcel, delivery: str, attempt: int) -> dict[str, Any]:
        # From goes with the service: it picks the sender out of the pool, so that a conversation keeps its number
        form: dict[str, Any] = {
            "To": parcel.to,
            "From": parcel.number,
            "Body": parcel.body,
            "ValidityPeriod": parcel.validity_seconds,
        }
        if parcel.service:
            form["MessagingServiceSid"] = parcel.service
        if parcel.media:
            form["MediaUrl"] = list(parcel.media)
        if self._public_url:
            form["StatusCallback"] = f"{self._public_url}/hooks/twilio/status?d={quote(delivery, safe='')}&a={attempt}"
        return form

    async def lookup(self, parcel: TextParcel, posted_at: datetime) -> list[Remote] | None:
        """Texts of ours to the same phone, created from 120 s before to 300 s after `posted_at`; bodies not compared.

        None when a page failed, or when four pages did not reach back far enough.  Not filtered by DateSent, which is
        empty until a text is sent.
        """
        first = posted_at - _LOOKUP_BEFORE
        try:
            found = await self._list(parcel.to, first, _LOOKUP_PAGES)
        except _LongListError:
            return None
        if found is None:
            return None
        last = posted_at + _LOOKUP_AFTER
        return [r for r in found if r.direction.startswith("outbound") and first <= r.created_at <= last]

    async def fetch(self, remote_id: str) -> Remote | None:
        """The text of that SID; None when Twilio could not be asked or does not have it."""
        try:
            return _remote(await self._client.messages(remote_id).fetch_async())
        except _FAULTS:
            return None

    async def inbound_since(self, number: str, since: datetime) -> list[Remote] | None:
        """Texts that came to `number` from `since` on; None when not all of them could be read."""
        first = since.replace(microsecond=0)  # Twilio's times are whole seconds
        try:
            found = await self._list(number, first, _LOOKUP_PAGES)
        except _LongListError:
            try:
                found = await self._list(number, first, _INBOUND_PAGES, _LARGE_PAGES)
            except _LongListError:
                return None
        if found is None:
            return None
        return [r for r in found if r.direction == "inbound" and r.created_at >= first]

    async def media_of(self, remote_id: str) -> tuple[str, ...] | None:
        """The addresses of what came with that text, () when Twilio has none; None when it could not be asked."""
        try:
            rows = await self._client.messages(remote_id).media.list_async(limit=_MOST_MEDIA, page_size=_PAGE_SIZE)
            return tuple(self._shelf.address(remote_id, row.sid) for row in rows)
        except AnswerError as answer:
            return () if answer.code == _NOT_THERE else None
        except _FAULTS:
            return None

    async def fetch_media(self, address: str, most_bytes: int) -> Media | MediaFailed:
        """One picture or file; `address` must be one of the API, whatever it redirects to one of `media_hosts`."""
        return await self._shelf.fetch(address, most_bytes)

    async def delete_media(self, address: str) -> bool:
        """Removes it at Twilio; True also when it is not there any more.  False: it could not be done now."""
        sids = self._shelf.sids(address)
        if sids is None:
            return False
        try:
            return bool(await self._client.messages(sids[0]).media(sids[1]).delete_async())
        except AnswerError as answer:
            return answer.code == _NOT_THERE
        except _FAULTS:
            return False

    async def close(self) -> None:
        await self._shelf.close()
        await self._wire.close()

    async def _list(
        self, to: str, since: datetime, most_pages: int, page_size: int = _PAGE_SIZE
    ) -> list[Remote] | None:
        """The rows to `to`, at least those created from `since` on; None when a page could not be read.

        Raises _LongListError when so many pages did not reach back that far.
        """
        found: list[Remote] = []
        try:
            page = await self._client.messages.page_async(to=to, page_size=page_size)
            for left in reversed(range(most_pages)):
                rows = [_remote(row) for row in page]
                found += rows
                if not page.next_page_url or _reaches(rows, since):
                    return found
                if left:
                    page = await page.next_page_async()
        except _FAULTS:
            return None
        raise _LongListError


def _judge(answer: AnswerError, errors: codes.Errors) -> Outcome:
    """What an answer other than 2xx means for the text.  Certain only when it is Twilio that says no."""
    if not answer.code or not 400 <= answer.status < 500:
        what = f"{answer.status} {answer.code}".strip()
        return Unclear(reason=f"Twilio, or something before it, answered {what}")
    code, klass = answer.code, codes.klass(answer.code, answer.status, errors)
    reason = codes.sentence(code, otherwise=answer.words or f"refused with HTTP {answer.status}", errors=errors)
    match klass:
        case Klass.OPTED_OUT:
            return Refused(reason=reason, code=code, opted_out=True)
        case Klass.RECIPIENT | Klass.MESSAGE:
            return Refused(reason=reason, code=code)
        case Klass.CONFIG:
            return Deferred(reason=reason, code=code, sender_wide=True)
        case Klass.LATER:
            return Deferred(reason=reason, code=code, retry_after=_QUEUE_FULL_SECONDS, sender_wide=True)
        case Klass.RETRY if answer.status == _TOO_MANY:
            # of the whole account: a pause, and not another text that finds the same
            return Deferred(reason=reason, code=code, retry_after=max(1.0, answer.retry_after or 0.0), sender_wide=True)
        case Klass.RETRY:
            return Deferred(reason=reason, code=code, retry_after=answer.retry_after)
        case Klass.UNCLEAR:
            return Unclear(reason=reason)


def _remote(row: Any) -> Remote:
    """A row of the SDK.  Raises ValueError for a row without id or time."""
    if not row.sid or not isinstance(row.date_created, datetime):
        raise ValueError("a text without sid or date_created")
    return Remote(
        remote_id=row.sid,
        to=row.to or "",
        sender=row.from_ or "",
        body=row.body or "",
        status=codes.status(row.status or ""),
        code=str(row.error_code or ""),
        created_at=row.date_created,
        direction=row.direction or "",
        media=int(row.num_media or 0),
    )


def _reaches(rows: Sequence[Remote], since: datetime) -> bool:
    """Whether nothing from `since` on can follow: the page ends before it, and runs from new to old.

    Twilio does not promise an order, so a page that runs the other way proves nothing.
    """
    return bool(rows) and rows[-1].created_at < since and rows[0].created_at >= rows[-1].created_at
