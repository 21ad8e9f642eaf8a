"""Stands between the provider's client and the simulator, hands everything through and keeps it, one line each."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field

import aiohttp
from aiohttp import web
from yarl import URL

_ABOUT_ONE_HOP = {"host", "connection", "content-length", "transfer-encoding", "content-encoding"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """One request and its answer, as they were on the wire."""

    method: str
    path: str
    query: str  # raw, without "?"
    login: str  # Authorization
    kind: str  # Content-Type of the request
    body: str
    status: int
    answer_kind: str
    location: str
    answer: str


@dataclass
class Recorder:
    """`url` is for the client."""

    target: str
    url: str = ""
    exchanges: list[Exchange] = field(default_factory=list)

    def rows(self) -> list[dict[str, object]]:
        return [asdict(each) for each in self.exchanges]

    async def answer(self, request: web.Request) -> web.Response:
        body = await request.read()
        url = URL(self.target + request.raw_path, encoded=True)
        headers = {key: value for key, value in request.headers.items() if key.lower() not in _ABOUT_ONE_HOP}
        async with (
            aiohttp.ClientSession(auto_decompress=False) as http,
            http.request(request.method, url, data=body, headers=headers, allow_redirects=False) as answer,
        ):
            data = await answer.read()
            kept = {key: value for key, value in answer.headers.items() if key.lower() not in _ABOUT_ONE_HOP}
        self.exchanges.append(
            Exchange(
                method=request.method,
                path=request.rel_url.raw_path,
                query=request.rel_url.raw_query_string,
                login=request.headers.get("Authorization", ""),
                kind=request.headers.get("Content-Type", "").partition(";")[0],
                body=body.decode("ascii"),
                status=answer.status,
                answer_kind=answer.headers.get("Content-Type", "").partition(";")[0],
                location=answer.headers.get("Location", ""),
                answer=data.decode(),
            )
        )
        return web.Response(status=answer.status, body=data, headers=kept)


@asynccontextmanager
async def recorded(target: str) -> AsyncIterator[Recorder]:
    """A recorder in front of the API at `target`."""
    recorder = Recorder(target)
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", recorder.answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    recorder.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield recorder
    finally:
        await runner.cleanup()
