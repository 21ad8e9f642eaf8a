"""A Twilio on loopback: the Messages resource of API v2010, with faults on request.

What its callers get wrong is answered as Twilio does, or, where Twilio would be silent, kept in `journal.surprises`.
"""

from __future__ import annotations

import asyncio
import base64
import hmac
import socket
import struct
from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime

from aiohttp import web

from gateway.core import gsm
from gateway.simulator.faults import TWILIO, Fault, Faults, pause
from gateway.simulator.form import Form, check, error, parse, strange
from gateway.simulator.hooks import Hooks
from gateway.simulator.journal import Journal, Posted
from gateway.simulator.phones import Phones
from gateway.simulator.texts import LIST_KEYS, Text, Texts, new_sid, now, resource

_ACCOUNT = "/2010-04-01/Accounts/{account}"


class Twilio:
    """`url` is the api_url for the gateway.  Use as `async with`."""

    def __init__(
        self,
        journal: Journal,
        account_sid: str,
        auth_token: str,
        *,
        hooks: Hooks,
        port: int = 0,
        numbers: Collection[str] = (),
        services: Mapping[str, str] | None = None,
    ) -> None:
        """`numbers` are the account's (none: any will do), `services` messaging services and their number."""
        self.account_sid, self.numbers, self.hooks = account_sid, frozenset(numbers), hooks
        self.texts, self.faults = Texts(), Faults(TWILIO)
        self.phones = Phones(account_sid, self.texts, hooks, journal, services or {})
        self.list_lag_seconds = 0.0  # how old a text must be to be listed
        self.posts: dict[str, int] = {}  # phone -> how many POSTs named it, whatever the answer
        self._journal, self._port = journal, port
        self._login = "Basic " + base64.b64encode(f"{account_sid}:{auth_token}".encode()).decode()
        self._end = asyncio.Event()
        self._app = web.Application()
        self._runner = web.AppRunner(self._app, access_log=None, shutdown_timeout=1)

    async def __aenter__(self) -> Twilio:
        """Listens.  Raises OSError when the port is taken."""
        self._add_routes()
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port)
        try:
            await site.start()
        except OSError:
            await self._runner.cleanup()
            raise
        self._port = self._runner.addresses[0][1]
        self.phones.api_url = self.url
        return self

    async def __aexit__(self, *_: object) -> None:
        self._end.set()
        await self._runner.cleanup()
        await self.hooks.close()
        await self.phones.close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def serve(self, routes: Iterable[web.RouteDef]) -> None:
        """Serves `routes` beside the API.  To be called before the start."""
        self._app.router.add_routes(routes)

    def _add_routes(self) -> None:
        add = self._app.router
        add.add_post(f"{_ACCOUNT}/Messages.json", self._create)
        add.add_get(f"{_ACCOUNT}/Messages.json", self._list)
        add.add_get(f"{_ACCOUNT}/Messages/{{sid}}.json", self._fetch)
        add.add_get(f"{_ACCOUNT}/Messages/{{sid}}/Media/{{media}}", self._media)
        add.add_route("*", "/{any:.*}", self._elsewhere)

    async def _create(self, request: web.Request) -> web.StreamResponse:
        fault = self.faults.take("headers")
        if fault:
            return await self._fail(request, fault)
        try:
            form = parse(await request.read())
        except ValueError:
            return self._refuse(Form(), 20001)
        to = form.get("To", "")
        self.posts[to] = self.posts.get(to, 0) + 1
        for what in strange(form):
            self._journal.surprise(f"POST Messages: {what}")
        fault = self.faults.take("post", to)
        if fault and not fault.stored:
            self._note(form, "", fault.code if fault.mode == "answer" else 0)
            return await self._fail(request, fault)
        code = self._denied(request) or self._unlike_a_form(request) or check(form, self.numbers, self.phones.opted_out)
        if code:
            return self._refuse(form, code)
        text = self._store(form)
        lost = fault if fault and fault.mode != "late" else None
        self._note(form, text.sid, lost.code if lost else 201)
        self.phones.ring(text)
        if lost:
            return await self._fail(request, lost)
        if fault:
            await pause(self._end, fault.seconds)
        return web.json_response(resource(text), status=201)

    def _store(self, form: Form) -> Text:
        media, author, service = form.getall("MediaUrl", []), form.get("From", ""), form.get("MessagingServiceSid", "")
        at = now()
        text = Text(
            sid=new_sid(media=bool(media)),
            account=self.account_sid,
            author=author,
            to=form["To"],
            body=form.get("Body", ""),
            direction="outbound-api",
            status="accepted" if service else "queued",
            created=at,
            updated=at,
            segments=gsm.segments(form.get("Body", "")) if author else 0,
            service=service,
            callback=form.get("StatusCallback", ""),
            media_urls=tuple(media),
        )
        self.texts.add(text)
        self.phones.note(text)
        return text

    async def _list(self, request: web.Request) -> web.StreamResponse:
        code = self._denied(request)
        if code:
            return _error(code)
        fault = self.faults.take("list", request.query.get("To", ""))
        if fault:
            return await self._fail(request, fault)
        for key in sorted(set(request.query) - LIST_KEYS):
            self._journal.surprise(f"GET Messages: unknown parameter {key!r}")
        try:
            return web.json_response(self.texts.page(self.account_sid, request.query, self.list_lag_seconds))
        except ValueError:
            return _error(20001)

    async def _fetch(self, request: web.Request) -> web.StreamResponse:
        text = self.texts.get(request.match_info["sid"])
        code = self._denied(request) or (0 if text else 20404)
        if code or text is None:
            return _error(code)
        fault = self.faults.take("fetch", text.to)
        return await self._fail(request, fault) if fault else web.json_response(resource(text))

    async def _media(self, request: web.Request) -> web.StreamResponse:
        text = self.texts.get(request.match_info["sid"])
        code = self._denied(request)
        if code or text is None or request.match_info["media"] not in text.media_sids:
            return _error(code or 20404)
        kind, data = text.media[text.media_sids.index(request.match_info["media"])]
        return web.Response(body=data, headers={"Content-Type": kind})

    async def _elsewhere(self, request: web.Request) -> web.StreamResponse:
        self._journal.surprise(f"{request.method} {request.path} is nothing that is simulated")
        return _error(20404)

    def _denied(self, request: web.Request) -> int:
        if not hmac.compare_digest(request.headers.get("Authorization", "").encode(), self._login.encode()):
            return 20003
        return 0 if request.match_info["account"] == self.account_sid else 20404

    def _unlike_a_form(self, request: web.Request) -> int:
        return 0 if request.content_type == "application/x-www-form-urlencoded" else 20415

    def _refuse(self, form: Form, code: int) -> web.Response:
        self._note(form, "", error(code)[0], code)
        return _error(code)

    def _note(self, form: Form, sid: str, answer: int, code: int = 0) -> None:
        if answer >= 1000:
            answer, code = error(answer)[0], answer
        at, to = datetime.now(UTC), form.get("To", "")
        self._journal.note(Posted(at=at, form=tuple(form.items()), to=to, sid=sid, answer=answer, code=code))

    async def _fail(self, request: web.Request, fault: Fault) -> web.StreamResponse:
        """The answer that goes wrong; the connection is gone, or the answer never comes, in the other modes."""
        if fault.mode == "answer":
            retry = {"Retry-After": f"{fault.seconds:g}"} if error(fault.code)[0] == 429 else {}
            return _page(fault.code) if fault.html else _error(fault.code, retry)
        if fault.mode in ("silent", "late"):
            await pause(self._end, None if fault.mode == "silent" else fault.seconds)
        else:
            _cut(request, hard=fault.mode == "reset")
        return web.Response(status=500)  # nobody reads it: aiohttp wants an answer from every handler


def _cut(request: web.Request, *, hard: bool) -> None:
    """Ends the connection at once; `hard` by RST, so that the other side sees a reset and no end of file."""
    transport = request.transport
    if transport is None:
        return
    if hard:
        sock = transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


def _error(code: int, headers: Mapping[str, str] | None = None) -> web.Response:
    status, body = error(code)
    return web.json_response(body, status=status, headers=headers)


def _page(status: int) -> web.Response:
    """What a proxy in between would say: no JSON, so that it proves nothing."""
    return web.Response(status=status, text=f"<html><body>{status}</body></html>", content_type="text/html")
