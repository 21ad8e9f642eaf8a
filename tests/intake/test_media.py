"""Files at addresses that nobody can guess: what the provider's fetcher gets, and what everybody else gets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from gateway.core.model import MediaFile
from gateway.intake.media import MediaDesk
from gateway.intake.webhook import WebDoor
from gateway.ports import SpoolUnavailable

NOON = datetime(2026, 11, 23, 17, 0, tzinfo=UTC)
TOKEN = "abcdefgh234567ab"
JPEG = b"\xff\xd8\xff\xe0" + bytes(1000)
FILE = MediaFile(
    token=TOKEN,
    name="picture-1.jpg",
    kind="image/jpeg",
    data=JPEG,
    message="m.1",
    at=NOON,
    expires_at=NOON + timedelta(days=7),
)
PATH = f"/media/{TOKEN}/picture-1.jpg"


class Noon:
    def now(self) -> datetime:
        return NOON


@dataclass
class Shelf:
    """Files by token."""

    files: dict[str, MediaFile] = field(default_factory=lambda: {TOKEN: FILE})
    asked: list[str] = field(default_factory=list)
    fault: Exception | None = None

    async def media(self, token: str) -> MediaFile | None:
        self.asked.append(token)
        if self.fault is not None:
            raise self.fault
        return self.files.get(token)

    async def keep(self, _hook: object) -> bool:
        return True


@dataclass
class Got:
    status: int
    body: bytes
    headers: dict[str, str]


@dataclass
class Site:
    shelf: Shelf
    url: str
    http: aiohttp.ClientSession

    async def ask(self, path: str = PATH, method: str = "GET") -> Got:
        async with self.http.request(method, aiohttp.client.URL(self.url + path, encoded=True)) as answer:
            return Got(answer.status, await answer.read(), dict(answer.headers))


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    shelf = Shelf()
    door = WebDoor({}, shelf.keep, Noon(), media=shelf.media)
    port = await door.listen("127.0.0.1", 0)
    async with aiohttp.ClientSession() as http:
        yield Site(shelf, f"http://127.0.0.1:{port}", http)
    await door.close()


async def test_a_file_is_what_its_content_type_says(site: Site) -> None:
    found = await site.ask()

    assert (found.status, found.body) == (200, JPEG)
    assert {name: found.headers[name] for name in HEADERS} == HEADERS


HEADERS = {
    "Content-Type": "image/jpeg",
    "Content-Length": str(len(JPEG)),
    "Content-Disposition": 'inline; filename="picture-1.jpg"',
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "private",
}


async def test_head_says_the_same_without_the_file(site: Site) -> None:
    got, head = await site.ask(), await site.ask(method="HEAD")

    assert (head.status, head.body) == (200, b"")
    assert head.headers | {"Date": ""} == got.headers | {"Date": ""}


@pytest.mark.parametrize(
    ("kind", "served", "shown"),
    [
        ("image/png", "image/png", "inline"),
        ("application/pdf", "application/pdf", "inline"),
        ("text/html", "application/octet-stream", "attachment"),
        ("image/svg+xml", "application/octet-stream", "attachment"),
    ],
)
async def test_only_listed_kinds_are_shown_by_a_browser(site: Site, kind: str, served: str, shown: str) -> None:
    site.shelf.files[TOKEN] = replace(FILE, kind=kind)
    found = await site.ask()

    assert found.headers["Content-Type"] == served
    assert found.headers["Content-Disposition"].startswith(shown)


@pytest.mark.parametrize(
    "path",
    [
        "/media/zzzzzzzz234567ab/picture-1.jpg",
        f"/media/{TOKEN}/picture-2.jpg",
        f"/media/{TOKEN}/picture-1.JPG",
        f"/media/{TOKEN}/",
        f"/media/{TOKEN}",
        "/media/",
        "/media//picture-1.jpg",
        f"/media/{TOKEN.upper()}/picture-1.jpg",
        f"/media/{TOKEN}/..%2fpicture-1.jpg",
        f"/media/{TOKEN}/../picture-1.jpg",
        f"/media/../{TOKEN}/picture-1.jpg",
        f"/media/{TOKEN}/picture-1.jpg/x",
        f"/media/{TOKEN}/picture%2d1.jpg",
        "/media/" + "a" * 4000 + "/picture-1.jpg",
        "/medium",
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_what_is_unknown_over_or_misnamed_has_the_same_answer(site: Site, path: str, method: str) -> None:
    found, other = await site.ask(path, method), await site.ask("/elsewhere", method)

    assert found.status == 404
    assert (found.body, found.headers | {"Date": ""}) == (other.body, other.headers | {"Date": ""})


async def test_no_path_of_a_stranger_reaches_the_store(site: Site) -> None:
    for path in ("/media/..%2f..%2fetc/passwd", "/media/a'b/picture-1.jpg", f"/media/{TOKEN}/%00"):
        await site.ask(path)

    assert site.shelf.asked == []


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"])
async def test_nothing_but_get_and_head_is_answered(site: Site, method: str) -> None:
    found = await site.ask(method=method)

    assert (found.status, found.headers["Allow"]) == (405, "GET, HEAD")
    assert site.shelf.asked == []


async def test_a_store_that_does_not_answer_is_no_missing_file(site: Site) -> None:
    site.shelf.fault = SpoolUnavailable("the disk is full")
    found = await site.ask()

    assert (found.status, found.headers["Retry-After"]) == (503, "10")
    assert b"disk" not in found.body


async def test_without_files_there_is_no_such_path() -> None:
    shelf = Shelf()
    door = WebDoor({}, shelf.keep, Noon())
    port = await door.listen("127.0.0.1", 0)
    async with aiohttp.ClientSession() as http:
        found = await Site(shelf, f"http://127.0.0.1:{port}", http).ask()
    await door.close()

    assert found.status == 404


async def serving(stack: AsyncExitStack, desk: MediaDesk) -> int:
    """The port at which `desk` answers."""
    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", desk.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.01)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    return int(runner.addresses[0][1])


async def test_only_a_few_are_served_at_once_and_the_rest_is_asked_to_come_again() -> None:
    begun, go = asyncio.Event(), asyncio.Event()

    async def slow(_token: str) -> MediaFile | None:
        begun.set()
        await go.wait()
        return FILE

    async with AsyncExitStack() as stack, aiohttp.ClientSession() as http:
        port = await serving(stack, MediaDesk(slow, at_once=1, wait_seconds=0.05))
        site = Site(Shelf(), f"http://127.0.0.1:{port}", http)
        first = asyncio.create_task(site.ask())
        await asyncio.wait_for(begun.wait(), 10)

        assert (await site.ask()).status == 503
        go.set()
        assert (await first).status == 200
        assert (await site.ask()).status == 200


async def test_a_reader_that_takes_too_long_is_cut_and_gives_its_place_free() -> None:
    large = replace(FILE, data=bytes(64 << 20))

    async def media(token: str) -> MediaFile | None:
        return large if token == TOKEN else replace(FILE, token=token)

    async with AsyncExitStack() as stack, aiohttp.ClientSession() as http:
        port = await serving(stack, MediaDesk(media, at_once=1, send_seconds=0.2))
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
        writer.write(f"GET {PATH} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        await writer.drain()
        other: Any = Site(Shelf(), f"http://127.0.0.1:{port}", http)
        await reader.readexactly(100)

        assert (await other.ask(f"/media/{'b' * 16}/picture-1.jpg")).status == 200
        with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
            async with asyncio.timeout(10):
                await reader.readexactly(64 << 20)
        writer.close()
