"""The way to Flowroute's API: deadlines, no repeated POST, no logging, and proof of what was not sent."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Mapping
from types import SimpleNamespace
from urllib.parse import urlencode

import aiohttp
from yarl import URL

from gateway.courier.flowroute_words import line, rows, table
from gateway.courier.session import NotSentError, Timeouts, limits, watched, words
from gateway.courier.session import text as read_text

_JSON_API = "application/vnd.api+json"
_MOST_BYTES = 16 * 1024 * 1024  # of one answer; a page of 500 texts has about 400 KB
_NUMBERS = re.compile(r"\+?\d{7,}")


class AnswerError(Exception):
    """An HTTP answer other than 2xx.  `own`: it has Flowroute's `errors`, so Flowroute itself has spoken.

    `code` is the error's, or else the HTTP status; `words` bear no phone number.
    """

    def __init__(self, status: int, text: str, headers: Mapping[str, str]) -> None:
        super().__init__(status)
        self.status = status
        error = _error(text)
        self.own = bool(error)
        self.code = line(error.get("code")) or str(status)
        said = line(error.get("detail")) or line(error.get("title"))
        self.words = _NUMBERS.sub("<number>", " ".join(said.split()))[:200]
        wait = headers.get("Retry-After", "")
        self.retry_after = float(wait) if wait.isascii() and wait.isdigit() else None


class Wire:
    """One session for all requests, opened in the loop of the first.

    `request` raises NotSentError, AnswerError (status other than 2xx), ValueError (not a JSON object),
    aiohttp.ClientError and OSError; after the latter two the request may have reached the other side.
    """

    def __init__(self, access_key: str, secret_key: str, api_url: str, timeouts: Timeouts) -> None:
        self._api_url = api_url.rstrip("/")
        self._login = "Basic " + b64encode(f"{access_key}:{secret_key}".encode()).decode("ascii")
        self._limits = limits(timeouts)
        self._session: aiohttp.ClientSession | None = None

    async def request(
        self, method: str, path: str, query: Mapping[str, str] | None = None, document: object = None
    ) -> dict[str, object]:
        """The JSON object of a 2xx.  `path` is quoted already."""
        url = URL(f"{self._api_url}{path}?{urlencode(query)}" if query else self._api_url + path, encoded=True)
        headers = {"Authorization": self._login, "Accept": _JSON_API}
        body = None
        if document is not None:
            headers["Content-Type"] = _JSON_API
            body = json.dumps(document).encode("ascii")
        progress = SimpleNamespace(connected=False)
        try:
            async with self._open().request(
                method, url, data=body, headers=headers, allow_redirects=False, trace_request_ctx=progress
            ) as answer:
                text = await read_text(answer, _MOST_BYTES)
        except (aiohttp.ClientError, OSError) as fault:
            if not progress.connected:
                raise NotSentError(words(fault)) from fault
            raise
        if not 200 <= answer.status < 300:
            raise AnswerError(answer.status, text, answer.headers)
        read = _loads(text)
        if not isinstance(read, dict):
            raise ValueError("the answer is not a JSON object")
        return read

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = watched(self._limits)
        return self._session


def _loads(text: str) -> object:
    try:
        read: object = json.loads(text)
    except RecursionError as fault:
        raise ValueError("the answer is nested too deep") from fault
    return read


def _error(text: str) -> dict[str, object]:
    """The first of Flowroute's `errors`; {} for anything else, a proxy's JSON among it."""
    try:
        errors = rows(table(_loads(text)).get("errors"))
    except ValueError:
        return {}
    first = table(errors[0]) if errors else {}
    return first if line(first.get("title")) or line(first.get("detail")) else {}
