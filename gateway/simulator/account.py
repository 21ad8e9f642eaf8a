"""The account of the simulated Twilio as its owner sees it: numbers, messaging services and registrations.

Resources of API v2010 and of messaging v1, both on one address.  To be served beside the texts, before the start:
`twilio.serve(account.routes())`.  The values are set in place; `changes` keeps what was set through the API.
"""

from __future__ import annotations

import base64
import hmac
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from aiohttp import web

from gateway.simulator.form import Form, error, parse
from gateway.simulator.journal import Journal

_V2010 = "/2010-04-01/Accounts/{account}"
_SERVICE = "/v1/Services/{service}"
_LIST_KEYS = frozenset({"PageSize", "Page", "PageToken"})


@dataclass(slots=True, kw_only=True)
class OwnNumber:
    """One number of the account."""

    phone: str
    sid: str = field(default_factory=lambda: "PN" + secrets.token_hex(16))
    can_text: bool = True
    can_picture: bool = True
    sms_url: str = ""
    sms_method: str = "POST"
    sms_fallback_url: str = ""
    application_sid: str = ""  # of a TwiML App: Twilio then ignores sms_url
    verification: str = ""  # of a toll-free number: PENDING_REVIEW | IN_REVIEW | TWILIO_APPROVED | TWILIO_REJECTED
    rejection: str = ""  # why it was rejected


@dataclass(slots=True, kw_only=True)
class OwnService:
    """One messaging service of the account."""

    sid: str = field(default_factory=lambda: "MG" + secrets.token_hex(16))
    phones: set[str] = field(default_factory=set)
    inbound_url: str | None = None  # None: texts that come in are dropped
    inbound_method: str = "POST"
    fallback_url: str | None = None
    use_webhook_on_number: bool = False
    campaign: str = ""  # IN_PROGRESS | VERIFIED | FAILED; "" = there is none
    campaign_errors: tuple[int, ...] = ()  # codes


class Account:
    """What is asked with another login is answered 401; parameters that Twilio would ignore are surprises."""

    def __init__(self, journal: Journal, account_sid: str, auth_token: str) -> None:
        self.sid, self.status, self.kind = account_sid, "active", "Full"
        self.numbers: dict[str, OwnNumber] = {}  # by phone
        self.services: dict[str, OwnService] = {}  # by SID
        self.asked: list[tuple[str, str]] = []  # method and path of every request
        self.changes: list[tuple[str, dict[str, str]]] = []  # SID of what was changed, and the form
        self.refuse: dict[str, int] = {}  # part of a path -> Twilio's code, or HTTP status, that answers it
        self._journal = journal
        self._login = "Basic " + base64.b64encode(f"{account_sid}:{auth_token}".encode()).decode()

    def add(self, number: OwnNumber, service: OwnService | None = None) -> OwnNumber:
        """The number, which is then the account's, and in the pool of the service."""
        self.numbers[number.phone] = number
        if service is not None:
            self.services[service.sid] = service
            service.phones.add(number.phone)
        return number

    def routes(self) -> list[web.RouteDef]:
        """What Twilio.serve takes."""
        get, post = web.get, web.post
        return [
            get(f"{_V2010}.json", self._guarded(self._account)),
            get(f"{_V2010}/IncomingPhoneNumbers.json", self._guarded(self._numbers, "PhoneNumber")),
            get(f"{_V2010}/IncomingPhoneNumbers/{{number}}.json", self._guarded(self._number)),
            post(f"{_V2010}/IncomingPhoneNumbers/{{number}}.json", self._guarded(self._set_number)),
            get(_SERVICE, self._guarded(self._service)),
            post(_SERVICE, self._guarded(self._set_service)),
            get(f"{_SERVICE}/PhoneNumbers/{{number}}", self._guarded(self._pooled)),
            get(f"{_SERVICE}/Compliance/Usa2p", self._guarded(self._campaigns)),
            get("/v1/Tollfree/Verifications", self._guarded(self._verifications, "TollfreePhoneNumberSid", "Status")),
        ]

    def _guarded(
        self, answer: Callable[[web.Request], Awaitable[dict[str, object]]], *queries: str
    ) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def guarded(request: web.Request) -> web.Response:
            try:
                self.asked.append((request.method, request.path))
                self._admit(request)
                for key in sorted(set(request.query) - _LIST_KEYS - set(queries)):
                    self._journal.surprise(f"{request.method} {request.path}: unknown parameter {key!r}")
                return web.json_response(await answer(request))
            except _NoError as no:
                status, body = error(no.code)
                return web.json_response(body, status=status)

        return guarded

    def _admit(self, request: web.Request) -> None:
        if not hmac.compare_digest(request.headers.get("Authorization", "").encode(), self._login.encode()):
            raise _NoError(20003)
        if request.match_info.get("account", self.sid) != self.sid:
            raise _NoError(20404)
        if code := next((code for part, code in self.refuse.items() if part in request.path), 0):
            raise _NoError(code)

    async def _account(self, _request: web.Request) -> dict[str, object]:
        return {"sid": self.sid, "status": self.status, "type": self.kind, "friendly_name": "Example Auto"}

    async def _numbers(self, request: web.Request) -> dict[str, object]:
        part = request.query.get("PhoneNumber", "")
        rows = [_number(self.sid, n) for n in self.numbers.values() if part.removeprefix("+") in n.phone]
        return {"incoming_phone_numbers": rows, "page": 0, "page_size": 50, "next_page_uri": None, "uri": request.path}

    async def _number(self, request: web.Request) -> dict[str, object]:
        return _number(self.sid, self._number_of(request))

    async def _set_number(self, request: web.Request) -> dict[str, object]:
        number = self._number_of(request)
        form = await self._form(request, number.sid, {"SmsUrl", "SmsMethod", "SmsFallbackUrl"})
        number.sms_url = form.get("SmsUrl", number.sms_url)
        number.sms_method = form.get("SmsMethod", number.sms_method)
        number.sms_fallback_url = form.get("SmsFallbackUrl", number.sms_fallback_url)
        return _number(self.sid, number)

    async def _service(self, request: web.Request) -> dict[str, object]:
        return _service(self.sid, self._service_of(request))

    async def _set_service(self, request: web.Request) -> dict[str, object]:
        service = self._service_of(request)
        known = {"InboundRequestUrl", "InboundMethod", "FallbackUrl", "UseInboundWebhookOnNumber"}
        form = await self._form(request, service.sid, known)
        service.inbound_url = form.get("InboundRequestUrl", service.inbound_url) or None
        service.inbound_method = form.get("InboundMethod", service.inbound_method)
        service.fallback_url = form.get("FallbackUrl", service.fallback_url) or None
        if "UseInboundWebhookOnNumber" in form:
            service.use_webhook_on_number = form["UseInboundWebhookOnNumber"] == "true"
        return _service(self.sid, service)

    async def _pooled(self, request: web.Request) -> dict[str, object]:
        service, number = self._service_of(request), self._number_of(request)
        if number.phone not in service.phones:
            raise _NoError(20404)
        return {
            "sid": number.sid,
            "account_sid": self.sid,
            "service_sid": service.sid,
            "phone_number": number.phone,
            "country_code": "US",
            "capabilities": ["SMS"] if number.can_text else [],
        }

    async def _campaigns(self, request: web.Request) -> dict[str, object]:
        service = self._service_of(request)
        row: dict[str, object] = {
            "sid": "QE" + service.sid[2:],
            "account_sid": self.sid,
            "messaging_service_sid": service.sid,
            "campaign_status": service.campaign,
            "errors": [{"error_code": code, "fields": ["MESSAGE_FLOW"]} for code in service.campaign_errors],
        }
        return _page(request, "compliance", [row] if service.campaign else [])

    async def _verifications(self, request: web.Request) -> dict[str, object]:
        wanted, status = request.query.get("TollfreePhoneNumberSid", ""), request.query.get("Status", "")
        rows: list[dict[str, object]] = [
            {
                "sid": "HH" + number.sid[2:],
                "account_sid": self.sid,
                "tollfree_phone_number_sid": number.sid,
                "status": number.verification,
                "rejection_reason": number.rejection or None,
            }
            for number in self.numbers.values()
            if number.verification and wanted in ("", number.sid) and status in ("", number.verification)
        ]
        return _page(request, "verifications", rows)

    def _number_of(self, request: web.Request) -> OwnNumber:
        sid = request.match_info["number"]
        found = next((number for number in self.numbers.values() if number.sid == sid), None)
        if found is None:
            raise _NoError(20404)
        return found

    def _service_of(self, request: web.Request) -> OwnService:
        found = self.services.get(request.match_info["service"])
        if found is None:
            raise _NoError(20404)
        return found

    async def _form(self, request: web.Request, sid: str, known: set[str]) -> Form:
        """The form, once it is sound; what it says is kept in `changes`."""
        if request.content_type != "application/x-www-form-urlencoded":
            raise _NoError(20415)
        try:
            form = parse(await request.read())
        except ValueError:
            raise _NoError(20001) from None
        for key in sorted(set(form) - known):
            self._journal.surprise(f"POST {request.path}: {key!r} is nothing that is simulated")
        for key, value in form.items():
            if not _sound(key, value):
                raise _NoError(20001)
        self.changes.append((sid, dict(form)))
        return form


class _NoError(Exception):
    """The request is answered by that code of Twilio's."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


def _sound(key: str, value: str) -> bool:
    if key.endswith("Method"):
        return value in ("GET", "POST")
    if key.endswith("Url"):
        return not value or urlsplit(value).scheme in ("http", "https")
    return True


def _number(account: str, number: OwnNumber) -> dict[str, object]:
    return {
        "sid": number.sid,
        "account_sid": account,
        "phone_number": number.phone,
        "capabilities": {"voice": True, "sms": number.can_text, "mms": number.can_picture, "fax": False},
        "sms_url": number.sms_url,
        "sms_method": number.sms_method,
        "sms_fallback_url": number.sms_fallback_url,
        "sms_fallback_method": "POST",
        "sms_application_sid": number.application_sid,
        "origin": "twilio",
        "status": "in-use",
        "uri": f"/2010-04-01/Accounts/{account}/IncomingPhoneNumbers/{number.sid}.json",
    }


def _service(account: str, service: OwnService) -> dict[str, object]:
    return {
        "sid": service.sid,
        "account_sid": account,
        "friendly_name": "Example Auto",
        "inbound_request_url": service.inbound_url,
        "inbound_method": service.inbound_method,
        "fallback_url": service.fallback_url,
        "fallback_method": "POST",
        "use_inbound_webhook_on_number": service.use_webhook_on_number,
        "us_app_to_person_registered": service.campaign == "VERIFIED",
    }


def _page(request: web.Request, key: str, rows: list[dict[str, object]]) -> dict[str, object]:
    url = str(request.url)
    meta = {"page": 0, "page_size": 50, "first_page_url": url, "previous_page_url": None, "url": url}
    return {key: rows, "meta": {**meta, "next_page_url": None, "key": key}}
