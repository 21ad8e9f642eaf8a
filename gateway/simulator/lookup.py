"""Lookup v2 of the simulated Twilio: line type and network of phones.

To be served beside the texts, before the start: `twilio.serve(lookups.routes())`.  The lines are set in place.
"""

from __future__ import annotations

import base64
import hmac
from dataclasses import dataclass

from aiohttp import web

from gateway.simulator.form import error
from gateway.simulator.journal import Journal

_PACKAGE = "line_type_intelligence"


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownLine:
    """What is answered for one phone."""

    kind: str | None = "mobile"  # None = Twilio does not know
    code: str = ""  # "310-260"; "" = none
    name: str | None = None
    error_code: int | None = None
    valid: bool = True


class Lookups:
    """A phone without a line of its own is unknown: its type is null.  Parameters that Twilio would ignore are
    surprises.
    """

    def __init__(self, journal: Journal, account_sid: str, auth_token: str) -> None:
        self.lines: dict[str, KnownLine] = {}  # by phone
        self.asked: list[str] = []  # the phones, one for each request that would be paid for
        self.refuse = 0  # Twilio's code, or an HTTP status, that answers all requests
        self._journal = journal
        self._login = "Basic " + base64.b64encode(f"{account_sid}:{auth_token}".encode()).decode()

    def routes(self) -> list[web.RouteDef]:
        """What Twilio.serve takes."""
        return [web.get("/v2/PhoneNumbers/{phone}", self._one)]

    async def _one(self, request: web.Request) -> web.Response:
        if not hmac.compare_digest(request.headers.get("Authorization", "").encode(), self._login.encode()):
            return _no(20003)
        if self.refuse:
            return _no(self.refuse)
        for key in sorted(set(request.query) - {"Fields"}):
            self._journal.surprise(f"GET {request.path}: unknown parameter {key!r}")
        phone = request.match_info["phone"]
        line = self.lines.get(phone, KnownLine(kind=None))
        packages = request.query.get("Fields", "").split(",")
        if _PACKAGE in packages:
            self.asked.append(phone)
        return web.json_response(_resource(phone, line, asked=_PACKAGE in packages, url=str(request.url)))


def _resource(phone: str, line: KnownLine, *, asked: bool, url: str) -> dict[str, object]:
    country, _, network = line.code.partition("-")
    intelligence = {
        "mobile_country_code": country or None,
        "mobile_network_code": network or None,
        "carrier_name": line.name,
        "type": line.kind,
        "error_code": line.error_code,
    }
    return {
        "calling_country_code": "1",
        "country_code": "US",
        "phone_number": phone,
        "national_format": phone,
        "valid": line.valid,
        "validation_errors": [] if line.valid else ["INVALID_LENGTH"],
        "line_type_intelligence": intelligence if asked and line.valid else None,
        "url": url,
    }


def _no(code: int) -> web.Response:
    status, body = error(code)
    return web.json_response(body, status=status)
