"""The Twilio SDK's way to the network: deadlines, no repeated request, no logging, and proof of what was not sent."""

from __future__ import annotations

import json
import logging
from base64 import b64encode
from collections.abc import Mapping
from types import SimpleNamespace
from urllib.parse import urlencode

import aiohttp
from twilio.http import AsyncHttpClient
from twilio.http.response import Response
from yarl import URL

from gateway.courier.session import NotSentError, Timeouts, limits, watched, words
from gateway.courier.session import text as read_text

_LEAST_CODE = 10_000  # below it, a "code" is some proxy's HTTP status and proves nothing about the text
_MOST_BYTES = 8 * 1024 * 1024  # of one answer; a page of 50 texts has about 60 KB


class AnswerError(Exception):
    """An HTTP answer other than 2xx.  `code` is Twilio's own; "" when the answer is not Twilio's JSON."""

    def __init__(self, status: int, text: str, headers: Mapping[str, str]) -> None:
        super().__init__(status)
        self.status = status
        self.code, self.words = _error(text)
        self.retry_after = _seconds(headers.get("Retry-After", ""))


class Wire(AsyncHttpClient):  # type: ignore[misc]  # the SDK has no types
    """One session for all requests, opened in the loop of the first.

    `request` raises NotSentError, AnswerError (status other than 2xx), ValueError (not a JSON object, but for 204),
    aiohttp.ClientError and OSError; after the latter two the request may have reached the other side.
    """

    def __init__(self, timeouts: Timeouts) -> None:
        super().__init__(logging.getLogger("twilio.async_http_client"), is_async=True)
        self._limits = limits(timeouts)
        self._session: aiohttp.ClientSession | None = None

    async def request(
        self,
        method: str,
        uri: str,
        params: Mapping[str, object] | None = None,
        data: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        timeout: float | None = None,  # noqa: ASYNC109  # the SDK's signature; it is never given
        allow_redirects: bool = False,
    ) -> Response:
        url = URL(f"{uri}?{urlencode(params, doseq=True)}" if params else uri, encoded=True)
        sent = dict(headers or {})
        if auth is not None:
            sent["Authorization"] = "Basic " + b64encode(f"{auth[0]}:{auth[1]}".encode()).decode("ascii")
        body = urlencode(data, doseq=True).encode("ascii") if data else None
        progress = SimpleNamespace(connected=False)
        try:
            async with self._open().request(
                method, url, data=body, headers=sent, allow_redirects=False, trace_request_ctx=progress
            ) as answer:
                text = await read_text(answer, _MOST_BYTES)
        except (aiohttp.ClientError, OSError) as fault:
            if not progress.connected:
                raise NotSentError(words(fault)) from fault
            raise
        if not 200 <= answer.status < 300:
            raise AnswerError(answer.status, text, answer.headers)
        if answer.status != 204 and not isinstance(json.loads(text), dict):
            raise ValueError("the answer is not a JSON object")
        return Response(answer.status, text, answer.headers)

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = watched(self._limits)
        return self._session


def _error(text: str) -> tuple[str, str]:
    """Code and words of an error in Twilio's JSON, the older form or RFC 9457; ("", "") for anything else."""
    try:
        error = json.loads(text)
    except ValueError:
        return "", ""
    code = error.get("code") if isinstance(error, dict) else None
    if not isinstance(code, int) or code < _LEAST_CODE:
        return "", ""
    words = str(error.get("message") or error.get("detail") or error.get("title") or "")
    return str(code), " ".join(words.split())[:200]


def _seconds(retry_after: str) -> float | None:
    return float(retry_after) if retry_after.isascii() and retry_after.isdigit() else None
