"""Pictures and files of the simulated Twilio: its Media resource, the CDN behind it, and the fetching of MediaUrl.

The CDN is an origin of its own (another port of loopback), as Twilio's is: a client that carries its credentials there
is a surprise in the journal.
"""

from __future__ import annotations

import asyncio
import secrets

from aiohttp import web

from gateway.simulator.faults import Faults, fail, refusal
from gateway.simulator.hooks import Got, Hooks
from gateway.simulator.journal import Journal
from gateway.simulator.texts import Text, Texts, media_page, medium

_MOST_BYTES = 5_000_000  # of all media of one text: above it Twilio fails the text with 63034
_MAGIC = {
    "image/jpeg": b"\xff\xd8\xff",
    "image/png": b"\x89PNG\r\n\x1a\n",
    "image/gif": b"GIF8",
    "application/pdf": b"%PDF-",
}
_UNTYPED = ("", "application/octet-stream")


class Media:
    """Use as `async with`.  The handlers want requests whose credentials were checked."""

    def __init__(self, texts: Texts, faults: Faults, journal: Journal, hooks: Hooks, end: asyncio.Event) -> None:
        self.fetches = False  # whether the MediaUrl of a text are fetched before it is sent
        self._texts, self._faults, self._journal, self._hooks, self._end = texts, faults, journal, hooks, end
        self._places: dict[str, tuple[str, str]] = {}  # path at the CDN -> SID of the text and of the medium
        app = web.Application()
        app.router.add_get("/{path:.*}", self._cdn)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)

    async def __aenter__(self) -> Media:
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    @property
    def cdn_url(self) -> str:
        """The origin to which the media of texts are redirected."""
        return f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def page(self, request: web.Request) -> web.StreamResponse:
        """GET Messages/{sid}/Media.json."""
        text = self._texts.get(request.match_info["sid"])
        if text is None:
            return refusal(20404)
        fault = self._faults.take("media", text.to)
        return await fail(request, fault, self._end) if fault else web.json_response(media_page(text))

    async def one(self, request: web.Request) -> web.StreamResponse:
        """GET Messages/{sid}/Media/{media}: the resource with ".json", else a redirect to the file."""
        found = self._found(request)
        if found is None:
            return refusal(20404)
        text, sid = found
        fault = self._faults.take("media", text.to)
        if fault:
            return await fail(request, fault, self._end)
        if request.match_info["media"].endswith(".json"):
            return web.json_response(medium(text, sid))
        path = f"/{text.account}/{sid}/{secrets.token_urlsafe(16)}"
        self._places[path] = text.sid, sid
        return web.Response(status=307, headers={"Location": self.cdn_url + path})

    async def delete(self, request: web.Request) -> web.StreamResponse:
        """DELETE Messages/{sid}/Media/{media}.json."""
        found = self._found(request)
        if found is None:
            return refusal(20404)
        text, sid = found
        fault = self._faults.take("media", text.to)
        if fault:
            return await fail(request, fault, self._end)
        self._texts.change(text.sid, gone=text.gone | {sid})
        self._journal.ring()
        return web.Response(status=204)

    async def collect(self, text: Text) -> tuple[Text, int]:
        """`text` with what its MediaUrl gave, and the code with which Twilio fails it; 0 = it may be sent."""
        if not self.fetches or not text.media_urls:
            return text, 0
        got: list[tuple[str, bytes]] = []
        for url in text.media_urls:
            head, body = await self._hooks.get("HEAD", url), await self._hooks.get("GET", url)
            code = self._judge(head, body)
            if code:
                return text, code
            got.append((_kind(body), body.data))
        text = self._texts.change(text.sid, media=tuple(got))
        self._journal.ring()
        return text, 63034 if sum(len(data) for _, data in got) > _MOST_BYTES else 0

    def _judge(self, head: Got, body: Got) -> int:
        """11200 = it cannot be had, 12300 = its Content-Type is not what it is; both are surprises."""
        if head.status != 200 or body.status != 200:
            self._journal.surprise(f"11200: a MediaUrl answers HEAD with {head.status} and GET with {body.status}")
            return 11200
        if head.data or head.length not in (None, len(body.data)) or _kind(head) != _kind(body):
            self._journal.surprise("a MediaUrl answers HEAD and GET with different headers")
        real = next((kind for kind, magic in _MAGIC.items() if body.data.startswith(magic)), "")
        said = _kind(body)
        if said in _UNTYPED or (said != real and (real or said in _MAGIC)):
            self._journal.surprise(f"12300: a MediaUrl says {said or 'nothing'} and is {real or 'something else'}")
            return 12300
        return 0

    def _found(self, request: web.Request) -> tuple[Text, str] | None:
        text, sid = self._texts.get(request.match_info["sid"]), request.match_info["media"].removesuffix(".json")
        return (text, sid) if text is not None and _has(text, sid) else None

    async def _cdn(self, request: web.Request) -> web.StreamResponse:
        if "Authorization" in request.headers:
            self._journal.surprise("credentials were sent to the CDN, which is another origin")
        text_sid, sid = self._places.get(request.path, ("", ""))
        text = self._texts.get(text_sid)
        if text is None or not _has(text, sid):
            return web.Response(status=404)
        fault = self._faults.take("cdn", text.to)
        if fault:
            return await fail(request, fault, self._end)
        kind, data = text.media[text.media_sids.index(sid)]
        return web.Response(body=data, headers={"Content-Type": kind})


def _has(text: Text, sid: str) -> bool:
    return sid in text.media_sids and sid not in text.gone


def _kind(got: Got) -> str:
    return got.kind.partition(";")[0].strip().lower()
