"""What Twilio says of our account and our numbers before the first text; and the webhooks, set there on request.

Every question is a GET; only `point` writes.  What Twilio does not answer, or answers with a no, is a Finding too.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from twilio.base.exceptions import TwilioException
from twilio.rest import Client

from gateway.core import codes
from gateway.core.rules import Number
from gateway.courier import twilio_finding as judge
from gateway.courier.session import NotSentError, Timeouts, words
from gateway.courier.twilio import API_URL
from gateway.courier.twilio_finding import CHANGED, MESSAGE_HOOK, UNREACHABLE, Finding, Service
from gateway.courier.twilio_wire import AnswerError, Wire

MESSAGING_URL = "https://messaging.twilio.com"
_UNREADABLE = (TwilioException, ValueError, TypeError, AttributeError, KeyError)  # the SDK's, for a strange answer
_PAGE_SIZE = 50


class _StoppedError(Exception):
    """A question got no answer that says anything; the finding, without a number, tells why."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.text)
        self.finding = finding


class TwilioAccount:
    """The account as its owner sees it.  An `api_url` on loopback stands for all of Twilio.

    Raises nothing of the network: a Finding `unreachable` ends what could not be asked.
    """

    def __init__(
        self,
        account_sid: str,
        auth_token: str,
        api_url: str = API_URL,
        messaging_url: str = MESSAGING_URL,
        *,
        timeouts: Timeouts | None = None,
    ) -> None:
        self._sid = account_sid
        self._wire = Wire(timeouts or Timeouts())
        # an environment of our own, or TWILIO_EDGE and TWILIO_REGION would change the host
        self._client: Any = Client(account_sid, auth_token, http_client=self._wire, environment={"TWILIO_EDGE": ""})
        self._client.api.base_url = api_url.rstrip("/")
        self._client.messaging.base_url = (api_url if _on_loopback(api_url) else messaging_url).rstrip("/")

    async def look(self, numbers: Sequence[Number], public_url: str) -> list[Finding]:
        """What is known of the account, then of each number in turn.

        `public_url` is without the trailing slash; "" = texts are polled.  Of an account that cannot be used nothing
        more is asked; nor of a Twilio out of reach, which is then the last finding.
        """
        try:
            found = [judge.account(await _asked(self._client.api.v2010.accounts(self._sid).fetch_async()))]
        except _StoppedError as stop:
            return [judge.unusable(stop.finding.text) if stop.finding.what == "refused" else stop.finding]
        if found[0].level == "error":
            return found
        for number in numbers:
            try:
                async for finding in self._about(number, public_url):
                    found.append(finding)
            except _StoppedError as stop:
                found.append(replace(stop.finding, number=number.name))
                if stop.finding.what == UNREACHABLE:
                    break
        return found

    async def point(self, number: Number, public_url: str) -> Finding | None:
        """Leads texts to `number` to us: what was set, or why it could not be.  None: nothing is to be set.

        Sets InboundRequestUrl of the messaging service where that one counts, else SmsUrl of the number, with POST; the
        fallback address stays.  A second time does no harm.
        """
        ours = f"{public_url}{MESSAGE_HOOK}"
        try:
            row = await self._row(number)
            if row is None or not public_url:
                return None
            door = judge.door(row, await self._service(number, row.sid))
            if door.owner == "application" or door.leads_to(ours):
                return None
            if await self._set(number, row.sid, door.owner, ours) is None:
                return None
        except _StoppedError as stop:
            return replace(stop.finding, number=number.name)
        whose = "its messaging service" if door.owner == "service" else "the number"
        text = f"the webhook of {whose} was set to {ours}; before, it was {door.shown}"
        return Finding(number=number.name, level="ok", what=CHANGED, text=text)

    async def _set(self, number: Number, sid: str, owner: str, url: str) -> Any:
        if owner == "service":
            service = self._client.messaging.v1.services(number.messaging_service_sid)
            return await _asked(service.update_async(inbound_request_url=url, inbound_method="POST"))
        return await _asked(self._client.incoming_phone_numbers(sid).update_async(sms_url=url, sms_method="POST"))

    async def close(self) -> None:
        await self._wire.close()

    async def _about(self, number: Number, public_url: str) -> AsyncIterator[Finding]:
        row = await self._row(number)
        yield judge.ours(number, row)
        if row is None:
            return
        service = await self._service(number, row.sid)
        if number.messaging_service_sid:
            yield judge.pool(number, service)
        yield judge.webhook(number, judge.door(row, service), public_url)
        if judge.toll_free(number):
            yield judge.verification(number, await self._verifications(row.sid))
        elif finding := judge.unasked(number):
            yield finding
        elif service is not None and service.has_number:
            yield judge.campaign(number, await self._campaigns(number.messaging_service_sid))

    async def _row(self, number: Number) -> Any:
        """The account's row of the number, or None.  Twilio's filter finds parts of numbers too."""
        numbers = self._client.incoming_phone_numbers
        page = await _asked(numbers.page_async(phone_number=number.phone, page_size=_PAGE_SIZE))
        return next((row for row in _rows(page) if row.phone_number == number.phone), None)

    async def _service(self, number: Number, sid: str) -> Service | None:
        """The messaging service of the number with that SID; None where it names none, or one that does not exist."""
        if not number.messaging_service_sid:
            return None
        service = self._client.messaging.v1.services(number.messaging_service_sid)
        row = await _asked(service.fetch_async())
        if row is None:
            return None
        return Service(
            has_number=await _asked(service.phone_numbers(sid).fetch_async()) is not None,
            url=row.inbound_request_url or "",
            method=row.inbound_method or "POST",
            defers=row.use_inbound_webhook_on_number is True,
        )

    async def _verifications(self, sid: str) -> list[Any]:
        verifications = self._client.messaging.v1.tollfree_verifications
        page = await _asked(verifications.page_async(tollfree_phone_number_sid=sid, page_size=_PAGE_SIZE))
        return [row for row in _rows(page) if row.tollfree_phone_number_sid == sid]

    async def _campaigns(self, service: str) -> list[Any]:
        campaigns = self._client.messaging.v1.services(service).us_app_to_person
        return _rows(await _asked(campaigns.page_async(page_size=_PAGE_SIZE)))


async def _asked(question: Awaitable[Any]) -> Any:
    """The answer; None where Twilio itself has no such thing.  Raises _StoppedError."""
    try:
        with _told():
            return await question
    except AnswerError as answer:
        if answer.status == 404 and answer.code:
            return None
        if answer.code and answer.status != 429 and answer.status < 500:
            text = f"Twilio refuses to say: {codes.sentence(answer.code, f'HTTP {answer.status}')}"
            remedy = "give the account or its user the right to read this, then check again"
            raise _StoppedError(Finding(number="", level="error", what="refused", text=text, remedy=remedy)) from None
        what = f"{answer.status} {answer.code}".strip()
        raise _StoppedError(judge.unreachable(f"Twilio, or something before it, answered {what}")) from None


def _rows(page: Any) -> list[Any]:
    """The rows of a page; none where Twilio has no such list.  Raises _StoppedError."""
    with _told():
        return [] if page is None else list(page)


@contextmanager
def _told() -> Iterator[None]:
    """Turns what the wire and the SDK raise, but for AnswerError, into _StoppedError."""
    try:
        yield
    except NotSentError as fault:
        raise _StoppedError(judge.unreachable(f"Twilio cannot be reached: {fault}")) from None
    except (aiohttp.ClientError, OSError) as fault:
        raise _StoppedError(judge.unreachable(f"no answer from Twilio: {words(fault)}")) from None
    except _UNREADABLE as fault:
        text = f"Twilio's answer cannot be read: {type(fault).__name__}"
        raise _StoppedError(judge.unreachable(text)) from None


def _on_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
