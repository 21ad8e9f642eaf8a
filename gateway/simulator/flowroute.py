"""A Flowroute on loopback: Messages v2.2, its webhooks and media, with faults on request.

What its callers get wrong is answered as Flowroute does, or, where it would be silent, kept in `journal.surprises`.
"""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

from aiohttp import web

from gateway.simulator.faults import Faults, pause
from gateway.simulator.flowroute_answers import FLOWROUTE, answer, fail, no
from gateway.simulator.flowroute_hooks import JSON_API, Poster, attributes, flat
from gateway.simulator.flowroute_texts import (
    DELIVERED,
    SENT,
    Medium,
    Receipt,
    Text,
    check,
    included,
    new_id,
    receipt,
    resource,
    strange,
)
from gateway.simulator.journal import Journal, Posted, Texted

_MESSAGES = "/v2.2/messages"
_LIST_KEYS = frozenset({"start_date", "end_date", "limit", "offset"})


class Flowroute:
    """`url` is the api_url for the gateway.  Use as `async with`."""

    def __init__(
        self,
        journal: Journal,
        access_key: str,
        secret_key: str,
        *,
        hooks: str = "",
        hook_secret: str = "",
        public_url: str = "",
        port: int = 0,
        numbers: Collection[str] = (),
    ) -> None:
        """`hooks` is where the gateway's public listener really is, `public_url` where it says it is, `hook_secret` the
        secret in the path of the message hook; `numbers` are the account's (none: any will do).
        """
        self.hooks = Poster(journal, base=hooks, public_url=public_url, secret=hook_secret)
        self.numbers, self.faults = frozenset(numbers), Faults(FLOWROUTE)
        self.texts: dict[str, Text] = {}  # by id, oldest first
        self.posts: dict[str, int] = {}  # phone -> how many POSTs named it, whatever the answer
        self.default: tuple[Receipt, ...] = (SENT, DELIVERED)
        self.scripts: dict[str, tuple[Receipt, ...]] = {}  # by phone
        self.list_lag_seconds = 0.0  # how old a text must be to be listed
        self.most_per_page = 1000  # whatever the limit asks for
        self.journal, self._port = journal, port
        self._login = "Basic " + base64.b64encode(f"{access_key}:{secret_key}".encode()).decode()
        self._end = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        app = web.Application()
        app.router.add_post(_MESSAGES, self._create)
        app.router.add_get(_MESSAGES, self._list)
        app.router.add_get(f"{_MESSAGES}/{{id}}", self._fetch)
        app.router.add_get("/media/{medium}/{name}", self._media)
        app.router.add_route("*", "/{any:.*}", self._elsewhere)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)

    async def __aenter__(self) -> Flowroute:
        """Listens.  Raises OSError when the port is taken."""
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, "127.0.0.1", self._port).start()
        except OSError:
            await self._runner.cleanup()
            raise
        self._port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *_: object) -> None:
        """Ends all receipts that are under way.  Raises what went wrong in one."""
        self._end.set()
        await self._runner.cleanup()
        for task in self._tasks:
            task.cancel()
        ends = await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.hooks.close()
        for end in ends:
            if isinstance(end, Exception):
                raise end

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def phone(self, number: str) -> list[Text]:
        """The texts from and to that phone, oldest first."""
        return [text for text in self.texts.values() if number in (text.author, text.to)]

    async def customer_texts(
        self, phone: str, number: str, body: str, media: Sequence[Medium] = ()
    ) -> tuple[int, Text]:
        """A text from `phone` to `number`: the answer of the message hook (0 = none) and the text."""
        text = Text(
            id=new_id(),
            author=phone,
            to=number,
            body=body,
            direction="inbound",
            created=datetime.now(UTC),
            media=tuple(media),
        )
        self._keep(text)
        return await self.deliver(text), text

    async def deliver(self, text: Text) -> int:
        """Posts the hook of an inbound text, also a second time; the answer's status, 0 = none."""
        document: dict[str, object] = {"data": resource(text)}
        if text.media:
            document["included"] = included(text, self.url)
        return await self.hooks.post(self.hooks.message_url, document, text.id, "received")

    async def _create(self, request: web.Request) -> web.StreamResponse:
        fault = self.faults.take("headers")
        if fault:
            return await fail(request, fault, self._end)
        said = _attributes(await request.read())
        to = str(said.get("to", ""))
        self.posts[to] = self.posts.get(to, 0) + 1
        self._wonder(request, said)
        fault = self.faults.take("post", to)
        if fault and not fault.stored:
            self._note(said, "", fault.code if fault.mode == "answer" else 0)
            return await fail(request, fault, self._end)
        status, words = self._denied(request) or check(said, self.numbers)
        if status:
            self._note(said, "", status)
            return no(status, words)
        text = _made(said)
        self._keep(text)
        lost = fault if fault and fault.mode != "late" else None
        self._note(said, text.id, lost.code if lost else 202)
        self._ring(text)
        if lost:
            return await fail(request, lost, self._end)
        if fault:
            await pause(self._end, fault.seconds)
        links = {"self": f"{self.url}{_MESSAGES}/{text.id}"}
        return answer({"data": {"type": "message", "id": text.id, "links": links}}, 202)

    async def _list(self, request: web.Request) -> web.StreamResponse:
        denied = self._denied(request)
        if denied:
            return no(*denied)
        fault = self.faults.take("list")
        if fault:
            return await fail(request, fault, self._end)
        for key in sorted(set(request.query) - _LIST_KEYS):
            self.journal.surprise(f"GET messages: unknown parameter {key!r}")
        try:
            return answer(self._page(request.query))
        except (KeyError, ValueError):
            return no(400, "start_date, end_date, limit or offset is missing or invalid")

    def _page(self, query: Mapping[str, str]) -> dict[str, object]:
        """One page, newest first.  Raises KeyError and ValueError for a query that is none."""
        first, offset, limit = _date(query["start_date"]), int(query.get("offset", "0")), int(query.get("limit", "10"))
        last = datetime.now(UTC) - timedelta(seconds=self.list_lag_seconds)
        if "end_date" in query:
            last = min(last, _date(query["end_date"]))
        if limit < 1 or offset < 0:
            raise ValueError("limit or offset")
        found = [text for text in reversed(self.texts.values()) if first <= text.created <= last]
        end = offset + min(limit, self.most_per_page)
        page: dict[str, object] = {"data": [resource(text) for text in found[offset:end]]}
        if end < len(found):
            page["links"] = {"next": f"{self.url}{_MESSAGES}?{urlencode({**query, 'offset': str(end)})}"}
        return page

    async def _fetch(self, request: web.Request) -> web.StreamResponse:
        denied = self._denied(request)
        if denied:
            return no(*denied)
        text = self.texts.get(request.match_info["id"])
        if text is None:
            return no(404, "there is no such message")
        fault = self.faults.take("fetch", text.to)
        if fault:
            return await fail(request, fault, self._end)
        return answer({"data": resource(text)} | ({"included": included(text, self.url)} if text.media else {}))

    async def _media(self, request: web.Request) -> web.StreamResponse:
        if "Authorization" in request.headers:
            self.journal.surprise("GET media: the address is signed, the keys of the API went along")
        for text in self.texts.values():
            for shown, medium in zip(included(text, self.url), text.media, strict=True):
                if shown["id"] == request.match_info["medium"]:
                    return web.Response(body=medium.data, headers={"Content-Type": medium.kind})
        return web.Response(status=404)

    async def _elsewhere(self, request: web.Request) -> web.StreamResponse:
        self.journal.surprise(f"{request.method} {request.path} is nothing that is simulated")
        return no(404, "there is nothing here")

    def _denied(self, request: web.Request) -> tuple[int, str] | None:
        sent = request.headers.get("Authorization", "").encode()
        return None if hmac.compare_digest(sent, self._login.encode()) else (403, "the keys are not accepted")

    def _wonder(self, request: web.Request, said: Mapping[str, object]) -> None:
        found = strange(said)
        sent = request.headers
        found += [f"{name} is not {JSON_API}" for name in ("Content-Type", "Accept") if sent.get(name) != JSON_API]
        for what in found:
            self.journal.surprise(f"POST messages: {what}")

    def _keep(self, text: Text) -> None:
        self.texts[text.id] = text
        self.journal.note(
            Texted(
                at=text.created,
                sid=text.id,
                author=text.author,
                to=text.to,
                body=text.body,
                direction="outbound-api" if text.direction == "outbound" else text.direction,
            )
        )

    def _note(self, said: Mapping[str, object], ident: str, answer: int) -> None:
        to, at = str(said.get("to", "")), datetime.now(UTC)
        code = answer if answer >= 400 else 0
        self.journal.note(
            Posted(at=at, form=flat({"data": {"attributes": dict(said)}}), to=to, sid=ident, answer=answer, code=code)
        )

    def _ring(self, text: Text) -> None:
        task = asyncio.get_running_loop().create_task(self._play(text.id, self.scripts.get(text.to, self.default)))
        self._tasks.add(task)

    async def _play(self, ident: str, script: Sequence[Receipt]) -> None:
        for said in script:
            at, text = datetime.now(UTC), self.texts[ident]
            self.texts[ident] = replace(text, receipts=((at, said), *text.receipts))
            self.journal.ring()
            if text.callback:
                await self.hooks.post(text.callback, receipt(text, at, said), ident, said.status)


def _attributes(body: bytes) -> dict[str, object]:
    try:
        return attributes(json.loads(body))
    except ValueError:
        return {}


def _made(said: Mapping[str, object]) -> Text:
    media = said.get("media_urls")
    return Text(
        id=new_id(),
        author=str(said["from"]),
        to=str(said["to"]),
        body=str(said["body"]),
        direction="outbound",
        created=datetime.now(UTC),
        callback=str(said.get("dlr_callback", "")),
        media_urls=tuple(map(str, media)) if isinstance(media, list) else (),
    )


def _date(written: str) -> datetime:
    at = datetime.fromisoformat(written)
    return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
