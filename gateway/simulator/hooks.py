"""Webhooks as Twilio posts them: a form, signed over the public URL, to a gateway that is really on loopback.

What cannot be posted is an entry in the journal with answer 0: Twilio does not repeat these webhooks by itself.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime
from urllib.parse import urldefrag, urlsplit
from xml.etree import ElementTree

import aiohttp
from yarl import URL

from gateway.simulator.journal import Called, Journal

_LOOPBACK = {"127.0.0.1", "::1", "localhost"}
_DEADLINE = aiohttp.ClientTimeout(total=15)  # Twilio 11200: at most 15 seconds


def signature(token: str, url: str, form: Mapping[str, str]) -> str:
    """X-Twilio-Signature of a form that is posted to `url`; the fragment is not covered.

    Source: Twilio, webhooks security: HMAC-SHA1 over the URL and the sorted names and values.
    """
    words = urldefrag(url).url + "".join(key + form[key] for key in sorted(form))
    return base64.b64encode(hmac.new(token.encode(), words.encode(), hashlib.sha1).digest()).decode()


def is_loopback(url: str) -> bool:
    return urlsplit(url).hostname in _LOOPBACK


class Hooks:
    """Posts webhooks.  `public_url` is where the gateway says it is, `base` where it is."""

    def __init__(self, journal: Journal, auth_token: str, public_url: str = "", base: str = "") -> None:
        self.public_url = public_url.rstrip("/")
        self.base = base.rstrip("/")
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
        """The HTTP status of the answer; 0 = none.  The journal has the rest."""
        answer, note = await self._try(url, form)
        fields = tuple(form.items())
        called = Called(at=datetime.now(UTC), sid=sid, status=status, url=url, form=fields, answer=answer, note=note)
        self._journal.note(called)
        return answer

    async def close(self) -> None:
        if self._session:
            await self._session.close()

    async def _try(self, url: str, form: Mapping[str, str]) -> tuple[int, str]:
        real = self.real(url)
        if not real:
            return 0, "not on loopback"
        if self._session is None:
            # A killed gateway leaves dead connections behind: each webhook gets its own.
            self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True), timeout=_DEADLINE)
        headers = {"X-Twilio-Signature": signature(self._token, url, form), "User-Agent": "TwilioProxy/1.1"}
        target = URL(real, encoded=True)
        try:
            async with self._session.post(target, data=form, headers=headers, allow_redirects=False) as response:
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
