"""The simulator by plain HTTP, for who plays it from another process: /simulator/... beside the API.

    GET  /simulator/messages?phone=     texts as the API shows them, oldest first
    GET  /simulator/mails?to=           mails that arrived; to = an address or "@domain"
    GET  /simulator/journal?after=N&seconds=S    entries from number N on; waits up to S seconds for one
    POST /simulator/text    {"from", "to", "body", "missed", "media": [{"kind", "data" in base64}]}    a customer texts,
                            perhaps with pictures; answers the webhook's status
    POST /simulator/again   {"sid"}                                    the webhook of an inbound text once more
    POST /simulator/answer  {"phone": ADDRESS, "body", "form", "from", "to", "signed", "results", "media"}    an
                            employee texts back, and his carrier mails it; see Answer in carrier_mails.py
    POST /simulator/report  {"to": ADDRESS, "form", "words"}           a carrier reports on the newest mail to ADDRESS
    POST /simulator/key     {"domain", "selector", "private" in PEM}   what that carrier's domain signs with
    POST /simulator/fail    {"at": "twilio"|"mail", "fault", "count", "to", "number", "seconds", "words"}    see
                            faults.py
    POST /simulator/script  {"phone", "statuses", "code", ...}         phone "" = all; see Script in phones.py
    POST /simulator/account {"full": [NUMBER], "pair_limit", "retries", and true or false for "confirms", "blocks",
                            "advanced_opt_out", "magic_numbers", "fetches_media"}         what the account is like
    POST /simulator/hooks   {"public_url", "hooks", "bounces_to": HOST:PORT of listen_public, "list_lag_seconds"}
                            where the gateway is; when texts are listed
    POST /simulator/clear   {}                                         ends all faults and scripts

Bodies are JSON objects; what is wrong with one is answered 400 with {"error"}.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Awaitable, Callable
from dataclasses import fields, replace
from typing import Any

from aiohttp import web

from gateway.simulator.carrier import Key
from gateway.simulator.carrier_mails import Answer
from gateway.simulator.hooks import is_loopback
from gateway.simulator.journal import Entry, Journal, as_json
from gateway.simulator.mail import Relay
from gateway.simulator.phones import Script
from gateway.simulator.texts import resource
from gateway.simulator.twilio import Twilio

_LONGEST_WAIT = 60.0
_FLAGS = ("confirms", "blocks", "advanced_opt_out", "magic_numbers", "fetches_media")
_Values = dict[str, Any]


def routes(journal: Journal, twilio: Twilio, relay: Relay) -> list[web.RouteDef]:
    """What the simulated Twilio serves beside its API."""
    control = Control(journal, twilio, relay)
    return [
        web.get("/simulator/messages", control.messages),
        web.get("/simulator/mails", control.mails),
        web.get("/simulator/journal", control.entries),
        web.post("/simulator/text", _json(control.text)),
        web.post("/simulator/again", _json(control.again)),
        web.post("/simulator/answer", _json(control.answer)),
        web.post("/simulator/report", _json(control.report)),
        web.post("/simulator/key", _json(control.key)),
        web.post("/simulator/fail", _json(control.fail)),
        web.post("/simulator/script", _json(control.script)),
        web.post("/simulator/account", _json(control.account)),
        web.post("/simulator/hooks", _json(control.hooks)),
        web.post("/simulator/clear", _json(control.clear)),
    ]


class Control:
    """The answers.  Those to POST raise KeyError, ValueError or TypeError for a body that says something wrong."""

    def __init__(self, journal: Journal, twilio: Twilio, relay: Relay) -> None:
        self._journal, self._twilio, self._relay = journal, twilio, relay

    async def messages(self, request: web.Request) -> web.Response:
        texts = self._twilio.texts.all(request.query.get("phone", ""))
        return web.json_response({"messages": [resource(text) for text in texts]})

    async def mails(self, request: web.Request) -> web.Response:
        to = request.query.get("to", "")
        mails = self._relay.to(to) if to else self._relay.mails
        return web.json_response({"mails": [as_json(mail) for mail in mails]})

    async def entries(self, request: web.Request) -> web.Response:
        try:
            after, seconds = int(request.query.get("after", "0")), float(request.query.get("seconds", "0"))
        except ValueError as error:
            return web.json_response({"error": str(error)}, status=400)
        found = await self._later(after, min(seconds, _LONGEST_WAIT))
        shown = [as_json(entry) for entry in found]
        posts, surprises = self._twilio.posts, self._journal.surprises
        return web.json_response({"journal": shown, "posts": posts, "surprises": surprises})

    async def text(self, body: _Values) -> _Values:
        author, to, words = (str(body[key]) for key in ("from", "to", "body"))
        missed = body.get("missed") is True
        media = _media(body)
        status, text = await self._twilio.phones.customer_texts(author, to, words, media, missed=missed)
        return {"status": status, "sid": text.sid}

    async def again(self, body: _Values) -> _Values:
        text = self._twilio.texts.get(str(body["sid"]))
        if text is None or text.direction != "inbound":
            raise ValueError("sid is of no inbound text")
        return {"status": await self._twilio.phones.deliver(text)}

    async def answer(self, body: _Values) -> _Values:
        words, phone = str(body["body"]), str(body["phone"])
        named = {key: str(body[key]) for key in ("form", "to", "results") if key in body}
        author, signed = str(body.get("from", "")), body.get("signed") is True
        answer = Answer(words=words, author=author, signed=signed, pictures=tuple(_media(body)), **named)
        return as_json(await self._relay.answers(phone, answer))

    async def report(self, body: _Values) -> _Values:
        sent = await self._relay.reports(str(body["to"]), str(body.get("form", "failed")), str(body.get("words", "")))
        return as_json(sent)

    async def key(self, body: _Values) -> _Values:
        domain, selector, private = (str(body[key]) for key in ("domain", "selector", "private"))
        self._relay.carriers.keys[domain.lower()] = Key(selector=selector, private=private.encode())
        return {}

    async def fail(self, body: _Values) -> _Values:
        faults = {"twilio": self._twilio.faults, "mail": self._relay.faults}[body.get("at", "twilio")]
        seconds = None if body.get("seconds") is None else float(body["seconds"])
        named = {key: str(body[key]) for key in ("to", "number", "words") if key in body}
        faults.add(str(body["fault"]), count=int(body.get("count", 1)), seconds=seconds, **named)
        return {}

    async def script(self, body: _Values) -> _Values:
        phones = self._twilio.phones
        values = {each.name: body[each.name] for each in fields(Script) if each.name in body}
        if "statuses" in values:
            values["statuses"] = tuple(map(str, values["statuses"]))
        script = replace(Script(), **values)
        if body.get("phone"):
            phones.scripts[str(body["phone"])] = script
        else:
            phones.default = script
        return {}

    async def account(self, body: _Values) -> _Values:
        twilio = self._twilio
        phones = twilio.phones
        flags = {name: body[name] for name in _FLAGS if name in body}
        if unlike := [name for name, value in flags.items() if not isinstance(value, bool)]:
            raise TypeError(f"{', '.join(unlike)}: true or false")
        limit, retries = int(body.get("pair_limit", phones.pair_limit)), int(body.get("retries", twilio.hooks.retries))
        phones.full = set(map(str, body.get("full", phones.full)))
        phones.pair_limit, twilio.hooks.retries = limit, retries
        phones.confirms = flags.get("confirms", phones.confirms)
        phones.blocks = flags.get("blocks", phones.blocks)
        phones.advanced_opt_out = flags.get("advanced_opt_out", phones.advanced_opt_out)
        twilio.magic_numbers = flags.get("magic_numbers", twilio.magic_numbers)
        twilio.media.fetches = flags.get("fetches_media", twilio.media.fetches)
        return {}

    async def hooks(self, body: _Values) -> _Values:
        hooks = self._twilio.hooks
        base = str(body.get("hooks", hooks.base)).rstrip("/")
        if base and not is_loopback(base):
            raise ValueError("hooks must be on loopback")
        door = str(body.get("bounces_to", self._relay.carriers.door))
        if door and not is_loopback(f"http://{door}"):
            raise ValueError("bounces_to must be on loopback")
        self._relay.carriers.door = door
        hooks.base, hooks.public_url = base, str(body.get("public_url", hooks.public_url)).rstrip("/")
        self._twilio.list_lag_seconds = float(body.get("list_lag_seconds", self._twilio.list_lag_seconds))
        return {}

    async def clear(self, _body: _Values) -> _Values:
        self._twilio.faults.clear()
        self._relay.faults.clear()
        self._twilio.phones.scripts.clear()
        self._twilio.phones.default = Script()
        self._twilio.list_lag_seconds = 0.0
        return {}

    async def _later(self, after: int, seconds: float) -> list[Entry]:
        try:
            return await self._journal.wait(lambda: self._journal.entries[after:], seconds)
        except TimeoutError:
            return []


def _media(body: _Values) -> list[tuple[str, bytes]]:
    """Content types and bytes.  Raises KeyError, ValueError or TypeError."""
    return [(str(one["kind"]), base64.b64decode(one["data"], validate=True)) for one in body.get("media", [])]


def _json(act: Callable[[_Values], Awaitable[_Values]]) -> Callable[[web.Request], Awaitable[web.Response]]:
    """`act` on the JSON object of the request; 400 with the reason when that is wrong."""

    async def answer(request: web.Request) -> web.Response:
        try:
            body = json.loads(await request.text() or "{}")
            if not isinstance(body, dict):
                raise TypeError("the body must be a JSON object")
            return web.json_response(await act(body))
        except (KeyError, ValueError, TypeError) as error:
            return web.json_response({"error": f"{type(error).__name__}: {error}"}, status=400)

    return answer
