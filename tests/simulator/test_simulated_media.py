from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import aiohttp
import pytest
from aiohttp import web
from simulated import ACCOUNT, OURS, PHONE, TOKEN, Api, text
from twilio_contract import document, needs_document

from gateway.simulator.world import World

PNG = b"\x89PNG\r\n\x1a\n and more"
JPEG = b"\xff\xd8\xff and more"
PICTURES = [("image/png", PNG), ("image/jpeg", JPEG)]
LOGIN = aiohttp.encode_basic_auth(ACCOUNT, TOKEN)


def place(world: World, n: int = 0, *, end: str = "") -> str:
    it = world.phone(PHONE)[0]
    return f"{world.api_url}{it.path}/Media/{it.media_sids[n]}{end}"


@dataclass
class Host:
    """A web server for MediaUrl: what each path answers to HEAD and GET."""

    url: str = ""
    files: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    head: dict[str, str] = field(default_factory=dict)  # another Content-Type for HEAD
    asked: list[tuple[str, str, bool]] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.Response:
        self.asked.append((request.method, request.path, "Authorization" in request.headers))
        if request.path not in self.files:
            return web.Response(status=404)
        kind, data = self.files[request.path]
        kind = self.head.get(request.path, kind) if request.method == "HEAD" else kind
        return web.Response(body=data, headers={"Content-Type": kind})


@pytest.fixture
async def host() -> AsyncIterator[Host]:
    host = Host()
    app = web.Application()
    app.router.add_get("/{path:.*}", host.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield host
    await runner.cleanup()


async def test_the_media_of_a_text_are_listed_until_they_are_deleted(world: World, api: Api) -> None:
    await world.customer_texts(PHONE, OURS, "", PICTURES)
    it = world.phone(PHONE)[0]
    _, page = await api.get(f"{it.path}/Media.json")
    async with api.http.delete(place(world, end=".json"), headers=api.headers) as answer:
        deleted = answer.status, await answer.read()
    async with api.http.delete(place(world, end=".json"), headers=api.headers) as answer:
        twice = answer.status
    gone = [(await api.get(place(world, end=end).removeprefix(api.url)))[0] for end in ("", ".json")]
    _, left = await api.get(f"{it.path}/Media.json")

    assert [(row["sid"], row["content_type"]) for row in page["media_list"]] == [
        (it.media_sids[0], "image/png"),
        (it.media_sids[1], "image/jpeg"),
    ]
    assert (deleted, twice, gone) == ((204, b""), 404, [404, 404])
    assert [row["sid"] for row in left["media_list"]] == [it.media_sids[1]]


@needs_document
async def test_media_have_the_fields_of_the_openapi_document(world: World, api: Api) -> None:
    await world.customer_texts(PHONE, OURS, "", PICTURES)
    _, page = await api.get(f"{world.phone(PHONE)[0].path}/Media.json")
    _, one = await api.get(place(world, end=".json").removeprefix(api.url))
    schemas = document()["components"]["schemas"]

    assert set(one) == set(schemas["api.v2010.account.message.media"]["properties"])
    assert one == page["media_list"][0]


async def test_a_file_is_a_redirect_to_another_origin_that_wants_no_credentials(world: World, api: Api) -> None:
    await world.customer_texts(PHONE, OURS, "", PICTURES)
    async with api.http.get(place(world), headers=api.headers, allow_redirects=False) as answer:
        status, target = answer.status, answer.headers["Location"]
    async with api.http.get(target) as file:
        seen = file.status, file.content_type, await file.read()

    assert (status, target.startswith(world.twilio.media.cdn_url)) == (307, True)
    assert world.twilio.media.cdn_url != world.api_url
    assert seen == (200, "image/png", PNG)
    assert world.surprises == []


async def test_credentials_that_reach_the_cdn_are_a_surprise(world: World, api: Api) -> None:
    await world.customer_texts(PHONE, OURS, "", PICTURES)
    async with api.http.get(place(world), headers=api.headers, allow_redirects=False) as answer:
        target = answer.headers["Location"]
    async with api.http.get(target, headers=api.headers) as file:
        await file.read()

    assert world.surprises == ["credentials were sent to the CDN, which is another origin"]


@pytest.mark.parametrize("end", ["/Media.json", "/Media/ME" + "0" * 32, "/Media/ME" + "0" * 32 + ".json"])
async def test_media_are_for_the_owner_only(world: World, api: Api, end: str) -> None:
    await world.customer_texts(PHONE, OURS, "", PICTURES)
    url = world.api_url + world.phone(PHONE)[0].path + end
    async with api.http.get(url) as stranger, api.http.get(url, headers={"Authorization": LOGIN}) as owner:
        seen = stranger.status, owner.status

    assert seen == (401, 200 if end == "/Media.json" else 404)


async def test_media_of_a_text_that_does_not_exist_are_not_found(world: World, api: Api) -> None:
    path = f"/2010-04-01/Accounts/{ACCOUNT}/Messages/SM{'0' * 32}/Media.json"
    async with api.http.get(f"{world.twilio.media.cdn_url}/nothing") as answer:
        nothing = answer.status
    async with api.http.delete(f"{api.url}{path[:-5]}/ME{'0' * 32}.json", headers=api.headers) as answer:
        deleted = answer.status

    assert ((await api.get(path))[0], nothing, deleted) == (404, 404, 404)


async def test_the_list_of_media_and_the_cdn_can_fail_by_themselves(world: World, api: Api) -> None:
    await world.customer_texts(PHONE, OURS, "", PICTURES)
    path = f"{world.phone(PHONE)[0].path}/Media.json"
    for _ in range(3):
        world.twilio.faults.add("500-media")
    world.twilio.faults.add("503-cdn")
    listed, _ = await api.get(path)
    async with api.http.get(place(world), headers=api.headers) as answer:
        one = answer.status
    async with api.http.delete(place(world, end=".json"), headers=api.headers) as answer:
        deleted = answer.status
    async with api.http.get(place(world), headers=api.headers) as answer:
        cdn = answer.status
    async with api.http.get(place(world), headers=api.headers) as answer:
        good = answer.status

    assert (listed, one, deleted, cdn, good) == (500, 500, 500, 503, 200)


async def test_a_media_url_is_fetched_and_kept_before_the_text_is_sent(world: World, api: Api, host: Host) -> None:
    world.twilio.media.fetches = True
    host.files = {"/a/picture.png": ("image/png", PNG), "/b/plan.txt": ("text/plain; charset=utf-8", b"words")}
    await api.post(text(MediaUrl=[host.url + path for path in host.files]))
    it = await world.wait(lambda w: w.phone(PHONE)[0] if w.phone(PHONE)[0].status == "delivered" else None)

    assert it.media == (("image/png", PNG), ("text/plain", b"words"))
    assert host.asked == [(method, path, False) for path in host.files for method in ("HEAD", "GET")]
    assert world.surprises == []


async def test_no_media_url_is_fetched_unless_that_is_wanted(world: World, api: Api, host: Host) -> None:
    await api.post(text(MediaUrl=host.url + "/1"))
    await world.wait(lambda w: w.phone(PHONE)[0].status == "delivered")

    assert host.asked == []


LARGE = PNG.ljust(2_500_001, b"x")
BAD = {
    "not there": ({}, {}, 11200, 1),
    "of another type": ({"/1": ("image/jpeg", PNG)}, {}, 12300, 1),
    "no picture": ({"/1": ("image/png", b"<html>")}, {}, 12300, 1),
    "without a type": ({"/1": ("", b"words")}, {}, 12300, 1),
    "too large together": ({"/1": ("image/png", LARGE), "/2": ("image/png", LARGE)}, {}, 63034, 0),
    "with another type for HEAD": ({"/1": ("image/png", PNG)}, {"/1": "text/html"}, None, 1),
}


@pytest.mark.parametrize(("files", "head", "code", "surprises"), BAD.values(), ids=BAD.keys())
async def test_media_that_twilio_does_not_take_fail_the_text(
    world: World,
    api: Api,
    host: Host,
    files: dict[str, tuple[str, bytes]],
    head: dict[str, str],
    code: int | None,
    surprises: int,
) -> None:
    world.twilio.media.fetches = True
    host.files, host.head = files, head
    await api.post(text(MediaUrl=[host.url + path for path in files or ["/1"]]))
    ends = ("failed", "delivered")
    it = await world.wait(lambda w: w.phone(PHONE)[0] if w.phone(PHONE)[0].status in ends else None)

    assert (it.status, it.code) == ("failed" if code else "delivered", code)
    assert len(world.surprises) == surprises


@pytest.mark.parametrize("url", ["https://elsewhere.example/1", "http://127.0.0.1:1/1"])
async def test_nothing_is_fetched_beyond_loopback_or_where_nobody_listens(world: World, api: Api, url: str) -> None:
    world.twilio.media.fetches = True
    await api.post(text(MediaUrl=url))

    assert await world.wait(lambda w: w.phone(PHONE)[0].code) == 11200
