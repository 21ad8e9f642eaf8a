"""What came with a text, fetched from the provider's hosts and from nowhere else.

Its address came over the network: it must be a picture's at the API itself, and only the API is shown our credentials.
The API answers with a redirect to a signed address at some CDN; that must be https at a listed host with a public
address, checked on the very addresses that are then connected to, so that no name can lead into a network of ours.
"""

from __future__ import annotations

import asyncio
import re
from base64 import b64encode

import aiohttp
from aiohttp.abc import AbstractResolver
from aiohttp.resolver import ThreadedResolver
from yarl import URL

from gateway.courier.internet import LOOPBACK, PrivateError, PublicResolver
from gateway.courier.session import Timeouts, words
from gateway.ports import Media, MediaFailed

MEDIA_HOSTS = ("twilio.com", "twiliocdn.com", "s3-external-1.amazonaws.com")
_ADDRESS = re.compile(
    r"/2010-04-01/Accounts/(AC[0-9a-fA-F]{32})/Messages/([SM]M[0-9a-fA-F]{32})/Media/(ME[0-9a-fA-F]{32})"
)
_REDIRECTS = 3
_MOVED = frozenset({301, 302, 303, 307, 308})
_GONE = frozenset({404, 410})
_PASSING = frozenset({408, 425, 429})
_KIND = re.compile(r"[a-z0-9.+-]{1,60}/[a-z0-9.+-]{1,60}")


class _ElsewhereError(Exception):
    """An address that must not be asked, and why."""


class MediaShelf:
    """`api_url` is the only place where an address may start; `hosts` (and all below them) those it may lead to.

    Where `api_url` is on loopback (a simulator), loopback counts as the provider's too.  `resolver`: default the
    system's.
    """

    def __init__(
        self,
        *,
        account_sid: str,
        auth_token: str,
        api_url: str,
        hosts: tuple[str, ...],
        timeouts: Timeouts,
        resolver: AbstractResolver | None = None,
    ) -> None:
        self._account_sid = account_sid
        self._login = "Basic " + b64encode(f"{account_sid}:{auth_token}".encode()).decode("ascii")
        self._api = URL(api_url).origin()
        self._hosts = tuple(host.lower().strip(".") for host in hosts)
        self._local = self._api.host in LOOPBACK
        self._total = 3 * timeouts.total  # an answer of 5 MB takes longer than one of 1 kB
        self._limits = aiohttp.ClientTimeout(total=None, sock_connect=timeouts.connect, sock_read=timeouts.read)
        self._resolver = resolver
        self._session: aiohttp.ClientSession | None = None

    def address(self, text_sid: str, media_sid: str) -> str:
        """Where a picture of a text is had."""
        path = f"/2010-04-01/Accounts/{self._account_sid}/Messages/{text_sid}/Media/{media_sid}"
        return str(self._api.with_path(path))

    def sids(self, address: str) -> tuple[str, str] | None:
        """The text and the picture that an address names; None where it is not a picture's of this account here."""
        try:
            url = URL(address, encoded=True)
            here = url.absolute and url.origin() == self._api and url.user is None and url.password is None
        except ValueError:
            return None
        found = _ADDRESS.fullmatch(url.raw_path_qs) if here else None
        return (found[2], found[3]) if found and found[1] == self._account_sid else None

    async def fetch(self, address: str, most_bytes: int) -> Media | MediaFailed:
        """What lies there, of at most `most_bytes`; else why not, and whether another try may help."""
        if self.sids(address) is None:
            return MediaFailed(reason="its address is not one of the provider's API")
        try:
            async with asyncio.timeout(self._total):
                return await self._follow(URL(address, encoded=True), most_bytes)
        except (_ElsewhereError, ValueError):
            return MediaFailed(reason="its address leads away from the provider's hosts")
        except (aiohttp.ClientError, OSError) as fault:
            if isinstance(fault, aiohttp.ClientConnectorError) and isinstance(fault.os_error, PrivateError):
                return MediaFailed(reason="its address leads into a private network")
            return MediaFailed(reason=f"the provider could not be asked for it: {words(fault)}", again=True)

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _follow(self, url: URL, most_bytes: int) -> Media | MediaFailed:
        """Raises _ElsewhereError, ValueError, aiohttp.ClientError and OSError."""
        headers = {"Authorization": self._login}
        for _ in range(_REDIRECTS + 1):
            found = await self._get(url, headers, most_bytes)
            if not isinstance(found, URL):
                return found
            if not self._is_listed(found):
                raise _ElsewhereError
            url, headers = found, {}  # a redirect has its own proof in its address
        return MediaFailed(reason="its address leads in a circle")

    def _is_listed(self, url: URL) -> bool:
        if url.user is not None or url.password is not None:
            return False
        host = (url.host or "").lower().rstrip(".")
        if self._local and host in LOOPBACK:
            return url.scheme in ("http", "https")
        listed = any(host == each or host.endswith(f".{each}") for each in self._hosts)
        return listed and url.scheme == "https" and url.port == 443

    async def _get(self, url: URL, headers: dict[str, str], most_bytes: int) -> Media | MediaFailed | URL:
        """The picture, or where it lies instead."""
        plain = {"Accept-Encoding": "identity"}
        async with self._open().get(url, allow_redirects=False, headers=headers | plain) as answer:
            if answer.status in _MOVED and "Location" in answer.headers:
                return url.join(URL(answer.headers["Location"], encoded=True))
            if answer.status in _GONE:
                return MediaFailed(reason="the provider does not have it any more")
            if answer.status != 200:
                again = answer.status >= 500 or answer.status in _PASSING
                return MediaFailed(reason=f"the provider answered {answer.status}", again=again)
            data = bytearray()
            async for piece in answer.content.iter_chunked(65536):
                data += piece
                if len(data) > most_bytes:
                    return MediaFailed(reason=f"it has more than {most_bytes} bytes")
            kind = answer.content_type.lower()
            named = answer.content_disposition
            name = (named.filename if named else "") or ""
            return Media(kind=kind if _KIND.fullmatch(kind) else "", name=_bare(name), data=bytes(data))

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            resolver = PublicResolver(self._resolver or ThreadedResolver(), local=self._local)
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=4, force_close=True, resolver=resolver, use_dns_cache=False),
                timeout=self._limits,
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
            )
        return self._session


def _bare(name: str) -> str:
    return re.split(r"[/\\]", name)[-1][:200]
