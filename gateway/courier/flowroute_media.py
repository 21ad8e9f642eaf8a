"""Pictures and files that Flowroute keeps for a while: fetched from its own hosts only, without our keys.

An address comes out of a webhook, so it is not trusted: https, a listed domain, a public address in the network, no
way to another host, no more bytes than asked for.
"""

from __future__ import annotations

from pathlib import PurePosixPath, PureWindowsPath

import aiohttp
from aiohttp.resolver import ThreadedResolver
from yarl import URL

from gateway.courier.internet import LOOPBACK, PrivateError, PublicResolver
from gateway.courier.session import Timeouts, words
from gateway.ports import Media, MediaFailed

_REDIRECTS = 3
_GONE = frozenset({401, 403, 404, 410})  # a signed address that ran out is 403 at S3
_PASSING = frozenset({408, 425, 429})


class MediaShelf:
    """`api_url` decides whether loopback counts as Flowroute: only where it is http on loopback itself."""

    def __init__(self, hosts: tuple[str, ...], api_url: str, timeouts: Timeouts) -> None:
        self._hosts = tuple(host.lower().strip(".") for host in hosts)
        self._local = _is_loopback(URL(api_url))
        self._limits = aiohttp.ClientTimeout(
            total=3 * timeouts.total, sock_connect=timeouts.connect, sock_read=timeouts.read
        )
        self._session: aiohttp.ClientSession | None = None

    async def fetch(self, address: str, most_bytes: int) -> Media | MediaFailed:
        """What lies at `address`; why not otherwise, and whether another try may help."""
        try:
            url = URL(address, encoded=True)
            for _ in range(_REDIRECTS + 1):
                if not self._ours(url):
                    return MediaFailed(reason="its address is not one of the provider's")
                found = await self._get(url, most_bytes)
                if not isinstance(found, URL):
                    return found
                if found.origin() != url.origin():
                    return MediaFailed(reason="its address leads to another host")
                url = found
        except ValueError:
            return MediaFailed(reason="its address cannot be read")
        except (aiohttp.ClientError, OSError) as fault:
            if isinstance(fault, aiohttp.ClientConnectorError) and isinstance(fault.os_error, PrivateError):
                return MediaFailed(reason="its address is none of the internet")
            return MediaFailed(reason=f"the provider could not be asked for it: {words(fault)}", again=True)
        return MediaFailed(reason="its address leads in a circle")

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _ours(self, url: URL) -> bool:
        if url.user is not None or url.password is not None:
            return False
        if self._local and _is_loopback(url):
            return True
        host = (url.host or "").lower().rstrip(".")
        listed = any(host == each or host.endswith("." + each) for each in self._hosts)
        return url.scheme == "https" and url.port == 443 and listed

    async def _get(self, url: URL, most_bytes: int) -> Media | MediaFailed | URL:
        """The medium, or where it lies instead.  Raises aiohttp.ClientError and OSError."""
        async with self._open().get(url, allow_redirects=False, headers={"Accept-Encoding": "identity"}) as answer:
            if answer.status in (301, 302, 303, 307, 308) and "Location" in answer.headers:
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
                    return MediaFailed(reason=f"it is larger than {most_bytes} bytes")
            named = answer.content_disposition
            name = (named.filename if named else "") or url.name
            return Media(kind=answer.content_type.lower(), name=_bare(name), data=bytes(data))

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            resolver = PublicResolver(ThreadedResolver(), local=self._local)
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=4, force_close=True, resolver=resolver, use_dns_cache=False),
                timeout=self._limits,
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
            )
        return self._session


def _is_loopback(url: URL) -> bool:
    return url.scheme == "http" and url.host in LOOPBACK


def _bare(name: str) -> str:
    return PureWindowsPath(PurePosixPath(name).name).name
