"""A Twilio on loopback: the Messages and Media resources of API v2010, with faults on request.

What its callers get wrong is answered as Twilio does, or, where Twilio would be silent, kept in `journal.surprises`.
"""

from __future__ import annotations

import asyncio
import base64
import hmac
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from datetime import UTC, datetime

from aiohttp import web

from gateway.core import gsm
from gateway.simulator.faults import TWILIO, Faults, fail, pause, refusal
from gateway.simulator.form import Form, check, error, parse, strange
from gateway.simulator.hooks import Hooks
from gateway.simulator.journal import Journal, Posted
from gateway.simulator.media import Media
from gateway.simulator.phones import Phones
from gateway.simulator.texts import LIST_KEYS, Text, Texts, new_sid, now, resource

_ACCOUNT = "/2010-04-01/Accounts/{account}"
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


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
        self._end = asyncio.Event()
        self.media = Media(self.texts, self.faults, journal, hooks, self._end)
        self.phones = Phones(account_sid, self.texts, hooks, journal, services or {}, self.media)
        self.magic_numbers = True  # whether +15005550001 and its like fail, as with test credentials
        self.list_lag_seconds = 0.0  # how old a text must be to be listed
        self.posts: dict[str, int] = {}  # phone -> how many POSTs named it, whatever the answer
        self._journal, self._port = journal, port
        self._login = "Basic " + base64.b64encode(f"{account_sid}:{auth_token}".encode()).decode()
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
        await self.media.__aenter__()
        self._port = self._runner.addresses[0][1]
        self.phones.api_url = self.url
        return self

    async def __aexit__(self, *_: object) -> None:
        self._end.set()
        await self._runner.cleanup()
        await self.media.__aexit__()
        await self.hooks.close()
        await self.phones.close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def serve(self, routes: Iterable[web.RouteDef]) -> None:
        """Serves `routes` beside the API.  To be called before the start."""
        self._app.router.add_routes(routes)

    def _add_routes(self) -> None:
        add, one = self._app.router, f"{_ACCOUNT}/Messages/{{sid}}"
        add.add_post(f"{_ACCOUNT}/Messages.json", self._create)
        add.add_get(f"{_ACCOUNT}/Messages.json", self._guarded(self._list))
        add.add_get(f"{one}/Media.json", self._guarded(self.media.page))
        add.add_get(f"{one}/Media/{{media}}", self._guarded(self.media.one))
        add.add_delete(f"{one}/Media/{{media}}.json", self._guarded(self.media.delete))
        add.add_get(f"{one}.json", self._guarded(self._fetch))
        add.add_post(f"{one}.json", self._guarded(self._redact))
        add.add_route("*", "/{any:.*}", self._elsewhere)

    def _guarded(self, answer: _Handler) -> _Handler:
        """`answer` for the account's own requests."""

        async def guarded(request: web.Request) -> web.StreamResponse:
            code = self._denied(request)
            return refusal(code) if code else await answer(request)

        return guarded

    async def _create(self, request: web.Request) -> web.StreamResponse:
        fault = self.faults.take("headers")
        if fault:
            return await fail(request, fault, self._end)
        try:
            form = parse(await request.read())
        except ValueError:
            return self._refuse(Form(), 20001)
        to = form.get("To", "")
        self.posts[to] = self.posts.get(to, 0) + 1
        for what in strange(form):
            self._journal.surprise(f"POST Messages: {what}")
        fault = self.faults.take("post", to, form.get("From", ""))
        if fault and not fault.stored:
            self._note(form, "", fault.code if fault.mode == "answer" else 0)
            return await fail(request, fault, self._end)
        code = self._denied(request) or self._unlike_a_form(request)
        code = code or check(form, self.numbers, self.phones.barred, magic=self.magic_numbers)
        if code:
            return self._refuse(form, code)
        text = self._store(form)
        lost = fault if fault and fault.mode != "late" else None
        self._note(form, text.sid, lost.code if lost else 201)
        self.phones.ring(text)
        if lost:
            return await fail(request, lost, self._end)
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
            validity=int(form.get("ValidityPeriod", "36000")),
        )
        self.texts.add(text)
        self.phones.note(text)
        return text

    async def _list(self, request: web.Request) -> web.StreamResponse:
        fault = self.faults.take("list", request.query.get("To", ""))
        if fault:
            return await fail(request, fault, self._end)
        for key in sorted(set(request.query) - LIST_KEYS):
            self._journal.surprise(f"GET Messages: unknown parameter {key!r}")
        try:
            return web.json_response(self.texts.page(self.account_sid, request.query, self.list_lag_seconds))
        except ValueError:
            return refusal(20001)

    async def _fetch(self, request: web.Request) -> web.StreamResponse:
        text = self.texts.get(request.match_info["sid"])
        if text is None:
            return refusal(20404)
        fault = self.faults.take("fetch", text.to)
        return await fail(request, fault, self._end) if fault else web.json_response(resource(text))

    async def _redact(self, request: web.Request) -> web.StreamResponse:
        """Body= and nothing else: the words of a text are removed."""
        text = self.texts.get(request.match_info["sid"])
        if text is None:
            return refusal(20404)
        try:
            form = parse(await request.read())
        except ValueError:
            return refusal(20001)
        if list(form.items()) != [("Body", "")]:
            self._journal.surprise("POST Messages/SID: the simulator knows only Body=")
            return refusal(20001)
        text = self.texts.change(text.sid, body="")
        self._journal.ring()
        return web.json_response(resource(text))

    async def _elsewhere(self, request: web.Request) -> web.StreamResponse:
        self._journal.surprise(f"{request.method} {request.path} is nothing that is simulated")
        return refusal(20404)

    def _denied(self, request: web.Request) -> int:
        if not hmac.compare_digest(request.headers.get("Authorization", "").encode(), self._login.encode()):
            return 20003
        return 0 if request.match_info["account"] == self.account_sid else 20404

    def _unlike_a_form(self, request: web.Request) -> int:
        return 0 if request.content_type == "application/x-www-form-urlencoded" else 20415

    def _refuse(self, form: Form, code: int) -> web.Response:
        self._note(form, "", error(code)[0], code)
        return refusal(code)

    def _note(self, form: Form, sid: str, answer: int, code: int = 0) -> None:
        if answer >= 1000:
            answer, code = error(answer)[0], answer
        at, to = datetime.now(UTC), form.get("To", "")
        self._journal.note(Posted(at=at, form=tuple(form.items()), to=to, sid=sid, answer=answer, code=code))
