"""Webhooks as Twilio posts them: a form, signed over the public URL, to a gateway that is really on loopback.

What cannot be posted is an entry in the journal with answer 0: Twilio does not repeat these webhooks unless told so.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import urldefrag, urlsplit
from xml.etree import ElementTree

import aiohttp
from yarl import URL

from gateway.simulator.journal import Called, Journal
from gateway.simulator.texts import API_VERSION, Text

_LOOPBACK = {"127.0.0.1", "::1", "localhost"}
_DEADLINE = aiohttp.ClientTimeout(total=15)  # Twilio 11200: at most 15 seconds
_MOST_BYTES = 64 * 1024 * 1024  # of one file: enough to see that it is too large


@dataclass(frozen=True, slots=True, kw_only=True)
class Got:
    """The answer of the gateway to HEAD or GET."""

    status: int  # HTTP status; 0 = none
    kind: str = ""  # Content-Type as sent
    length: int | None = None  # Content-Length
    data: bytes = field(default=b"", repr=False)


def signature(token: str, url: str, form: Mapping[str, str]) -> str:
    """X-Twilio-Signature of a form that is posted to `url`; the fragment is not covered.

    Source: Twilio, webhooks security: HMAC-SHA1 over the URL and the sorted names and values.
    """
    words = urldefrag(url).url + "".join(key + form[key] for key in sorted(form))
    return base64.b64encode(hmac.new(token.encode(), words.encode(), hashlib.sha1).digest()).decode()


def is_loopback(url: str) -> bool:
    return urlsplit(url).hostname in _LOOPBACK


def status_form(text: Text) -> dict[str, str]:
    """What the StatusCallback of `text` is told."""
    form = {
        "AccountSid": text.account,
        "ApiVersion": API_VERSION,
        "From": text.author,
        "MessageSid": text.sid,
        "MessageStatus": text.status,
        "SmsSid": text.sid,
        "SmsStatus": text.status,
        "To": text.to,
    }
    if text.service:
        form["MessagingServiceSid"] = text.service
    if text.code:
        form["ErrorCode"] = str(text.code)
    if text.status in ("delivered", "undelivered"):
        form["RawDlrDoneDate"] = text.updated.strftime("%y%m%d%H%M")
    return form


def inbound_form(text: Text, api_url: str) -> dict[str, str]:
    """What the webhook of a customer's text is told; its media are below `api_url`."""
    form = {
        "AccountSid": text.account,
        "ApiVersion": API_VERSION,
        "Body": text.body,
        "From": text.author,
        "MessageSid": text.sid,
        "NumMedia": str(len(text.media)),
        "NumSegments": str(text.segments),
        "SmsMessageSid": text.sid,
        "SmsSid": text.sid,
        "SmsStatus": text.status,
        "To": text.to,
    }
    for side in ("From", "To"):
        # Blank ones are what Twilio sends for places that it does not know: the signature covers them.
        form |= {f"{side}City": "", f"{side}State": "", f"{side}Zip": "", f"{side}Country": "US"}
    for n, ((kind, _), sid) in enumerate(zip(text.media, text.media_sids, strict=True)):
        form |= {f"MediaContentType{n}": kind, f"MediaUrl{n}": f"{api_url}{text.path}/Media/{sid}"}
    if text.service:
        form["MessagingServiceSid"] = text.service
    return form


class Hooks:
    """Posts webhooks.  `public_url` is where the gateway says it is, `base` where it is."""

    def __init__(self, journal: Journal, auth_token: str, public_url: str = "", base: str = "") -> None:
        self.public_url = public_url.rstrip("/")
        self.base = base.rstrip("/")
        self.retries = 0  # how often a webhook without a 2xx, 3xx or 4xx is repeated: "#rc=2" and "rp=5xx,ct,rt"
        self._journal = journal
        self._token = auth_token
        self._session: aiohttp.ClientSession | None = None

    @property
    def origin(self) -> str:
        """Where Twilio was told that the gateway is."""
        return self.public_url or self.base

    def real(self, url: str) -> str:
        """Where `url` is on loopback; "" = nowhere: nothing is posted.  Raises ValueError for a base elsewhere."""
        if self.base and not is_loopback(self.base):
            raise ValueError(f"the simulator posts to loopback only, not to {self.base}")
        url = urldefrag(url).url
        if self.base and self.public_url and url.startswith(self.public_url + "/"):
            return self.base + url.removeprefix(self.public_url)
        return url if is_loopback(url) else ""

    async def post(self, url: str, form: Mapping[str, str], sid: str, status: str) -> int:
        """The HTTP status of the last answer; 0 = none.  The journal has the rest."""
        answer, fields = 0, tuple(form.items())
        mark = {"I-Twilio-Idempotency-Token": secrets.token_hex(16)} if self.retries else {}
        for _ in range(1 + self.retries):
            answer, note = await self._try(url, form, mark)
            at = datetime.now(UTC)
            self._journal.note(Called(at=at, sid=sid, status=status, url=url, form=fields, answer=answer, note=note))
            if 0 < answer < 500:
                break
        return answer

    async def get(self, method: str, url: str) -> Got:
        """What is at `url`, asked with HEAD or GET and without credentials, as Twilio fetches a MediaUrl."""
        real = self.real(url)
        if not real:
            return Got(status=0)
        try:
            async with self._open().request(method, URL(real, encoded=True), allow_redirects=False) as answer:
                data = bytearray()
                async for piece in answer.content.iter_chunked(65536):
                    data += piece
                    if len(data) > _MOST_BYTES:
                        break
                kind = answer.headers.get("Content-Type", "")
                return Got(status=answer.status, kind=kind, length=answer.content_length, data=bytes(data))
        except (aiohttp.ClientError, TimeoutError, OSError):
            return Got(status=0)

    async def close(self) -> None:
        if self._session:
            await self._session.close()

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            # A killed gateway leaves dead connections behind: each webhook gets its own.
            self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True), timeout=_DEADLINE)
        return self._session

    async def _try(self, url: str, form: Mapping[str, str], mark: Mapping[str, str]) -> tuple[int, str]:
        real = self.real(url)
        if not real:
            return 0, "not on loopback"
        headers = {"X-Twilio-Signature": signature(self._token, url, form), "User-Agent": "TwilioProxy/1.1", **mark}
        target = URL(real, encoded=True)
        try:
            async with self._open().post(target, data=form, headers=headers, allow_redirects=False) as response:
                self._judge(url, response, await response.text(errors="replace"))
                return response.status, ""
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            return 0, type(error).__name__

    def _judge(self, url: str, response: aiohttp.ClientResponse, body: str) -> None:
        """Twilio 12300 and 12100: a 2xx with a body must be TwiML; 204 has none."""
        if not 200 <= response.status < 300 or not body:
            return
        if response.content_type not in ("text/xml", "application/xml"):
            self._journal.surprise(f"12300: {response.content_type} is no TwiML, from {url}")
        elif not _is_twiml(body):
            self._journal.surprise(f"12100: the answer is no <Response>, from {url}")


def _is_twiml(body: str) -> bool:
    try:
        return ElementTree.fromstring(body).tag == "Response"  # noqa: S314  # our own gateway's answer, on loopback
    except ElementTree.ParseError:
        return False
