"""Hooks as Flowroute posts them: JSON:API, unsigned, to a gateway that is really on loopback.

What cannot be posted is an entry in the journal with answer 0.  Flowroute repeats, four times in all, what is not
answered 200; here any other 2xx is a surprise, and nothing is repeated.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime

import aiohttp
from yarl import URL

from gateway.simulator.hooks import is_loopback
from gateway.simulator.journal import Called, Journal

JSON_API = "application/vnd.api+json"
_DEADLINE = aiohttp.ClientTimeout(total=15)


class Poster:
    """`public_url` is where the gateway says it is, `base` where it is, `secret` what stands in the path."""

    def __init__(self, journal: Journal, *, base: str, public_url: str, secret: str) -> None:
        self.base, self.public_url, self.secret = base.rstrip("/"), public_url.rstrip("/"), secret
        self._journal = journal
        self._session: aiohttp.ClientSession | None = None

    @property
    def message_url(self) -> str:
        """Where texts of customers are posted."""
        return f"{self.public_url or self.base}/hooks/flowroute/{self.secret}/message"

    async def post(self, url: str, document: Mapping[str, object], ident: str, status: str) -> int:
        """The HTTP status of the answer; 0 = none.  The journal has the rest."""
        answer, note = await self._try(url, document)
        fields = flat(document)
        called = Called(at=datetime.now(UTC), sid=ident, status=status, url=url, form=fields, answer=answer, note=note)
        self._journal.note(called)
        if 200 < answer < 300:
            self._journal.surprise(f"{status}: the hook was answered {answer}, and not 200: it would come again")
        return answer

    async def close(self) -> None:
        if self._session:
            await self._session.close()

    async def _try(self, url: str, document: Mapping[str, object]) -> tuple[int, str]:
        if self.base and self.public_url and url.startswith(self.public_url + "/"):
            url = self.base + url.removeprefix(self.public_url)
        if not is_loopback(url):
            return 0, "not on loopback"
        if self._session is None:
            # A killed gateway leaves dead connections behind: each hook gets its own.
            self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True), timeout=_DEADLINE)
        headers, body = {"Content-Type": JSON_API}, json.dumps(document).encode()
        target = URL(url, encoded=True)
        try:
            async with self._session.post(target, data=body, headers=headers, allow_redirects=False) as response:
                await response.read()
                return response.status, ""
        except (aiohttp.ClientError, TimeoutError, OSError) as fault:
            return 0, type(fault).__name__


def attributes(document: object) -> dict[str, object]:
    """data.attributes of a JSON:API document; {} where there are none."""
    data = document.get("data") if isinstance(document, dict) else None
    found = data.get("attributes") if isinstance(data, dict) else None
    return found if isinstance(found, dict) else {}


def flat(document: object) -> tuple[tuple[str, str], ...]:
    """The attributes of a document for the journal: text as it is, else as JSON; a list gives one pair each."""
    return tuple(
        (key, each if isinstance(each, str) else json.dumps(each))
        for key, value in attributes(document).items()
        for each in (value if isinstance(value, list) else [value])
    )
