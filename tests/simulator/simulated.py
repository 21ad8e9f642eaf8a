"""What the tests of the simulator share: names, a shop's web server, plain HTTP to the API."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import aiohttp
from aiohttp import web
from multidict import MultiDict

ACCOUNT = "AC" + "a1" * 16
TOKEN = "a token that only tests know"
PUBLIC = "https://sms.example.com"
OURS = "+12025550100"
PHONE = "+12025550143"
LIST = f"/2010-04-01/Accounts/{ACCOUNT}/Messages.json"


def one(sid: str) -> str:
    return LIST.replace(".json", f"/{sid}.json")


@dataclass
class Shop:
    """What came to the webhooks, and how texts are answered."""

    status: int = 200
    body: str = "<Response/>"
    kind: str = "text/xml"
    base: str = ""
    seen: list[tuple[str, MultiDict[str], str]] = field(default_factory=list)  # raw path, form, signature

    async def answer(self, request: web.Request) -> web.Response:
        form = MultiDict({key: str(value) for key, value in (await request.post()).items()})
        self.seen.append((request.raw_path, form, request.headers["X-Twilio-Signature"]))
        if request.path.endswith("/status"):
            return web.Response(status=204)
        return web.Response(status=self.status, text=self.body, content_type=self.kind)


@dataclass
class Api:
    """What the gateway's own client would say, without its care."""

    http: aiohttp.ClientSession
    url: str
    headers: dict[str, str]

    async def post(self, form: dict[str, str | list[str]], **headers: str) -> tuple[int, Any]:
        pairs = [(key, one) for key, value in form.items() for one in ([value] if isinstance(value, str) else value)]
        async with self.http.post(self.url + LIST, data=pairs, headers=self.headers | headers) as answer:
            return answer.status, await answer.json(content_type=None)

    async def get(self, path: str, **query: str) -> tuple[int, Any]:
        async with self.http.get(self.url + path, params=query, headers=self.headers) as answer:
            return answer.status, await answer.json()

    async def control(self, path: str, body: object) -> tuple[int, Any]:
        async with self.http.post(f"{self.url}/simulator/{path}", json=body) as answer:
            return answer.status, await answer.json()


def text(to: str = PHONE, body: str = "Your car is ready", **more: str | list[str]) -> dict[str, str | list[str]]:
    """The form of a good text."""
    return {"To": to, "From": OURS, "Body": body, **more}
