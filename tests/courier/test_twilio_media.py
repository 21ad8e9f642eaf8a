"""What came with a text is fetched from the provider alone, and our credentials are shown to its API alone."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult

from gateway.core.model import Phone
from gateway.core.work import Accepted, TextParcel
from gateway.courier.internet import is_public
from gateway.courier.session import Timeouts
from gateway.courier.twilio import TwilioProvider
from gateway.courier.twilio_media import MediaShelf
from gateway.ports import Media, MediaFailed
from gateway.simulator.world import World

ACCOUNT, TOKEN = "AC" + "0123456789abcdef" * 2, "8d1f0c5b"
OURS, MARIA = Phone("+12025550100"), Phone("+12025550143")
MESSAGE, MEDIUM = "MM" + "a" * 32, "ME" + "b" * 32
PATH = f"/2010-04-01/Accounts/{ACCOUNT}/Messages/{MESSAGE}/Media/{MEDIUM}"
JPEG = b"\xff\xd8\xff\xe0 a picture"
ELSEWHERE = MediaFailed(reason="its address leads away from the provider's hosts")
NOT_OF_THE_API = MediaFailed(reason="its address is not one of the provider's API")
QUICK = Timeouts(connect=5, read=0.5, total=5)

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with World(ACCOUNT, TOKEN, numbers=[OURS]) as world:
        yield world


@pytest.fixture
async def twilio(world: World) -> AsyncIterator[TwilioProvider]:
    provider = TwilioProvider(account_sid=ACCOUNT, auth_token=TOKEN, api_url=world.api_url)
    yield provider
    await provider.close()


@dataclass
class Origin:
    """A server that answers always the same, and keeps the paths and credentials that it was shown."""

    url: str = ""
    answer: Answer | None = None
    asked: list[tuple[str, str]] = field(default_factory=list)

    async def serve(self, request: web.Request) -> web.StreamResponse:
        self.asked.append((request.raw_path, request.headers.get("Authorization", "")))
        assert self.answer is not None
        return await self.answer(request)


@pytest.fixture
async def origin() -> AsyncIterator[Callable[..., Awaitable[Origin]]]:
    async with AsyncExitStack() as servers:

        async def start(answer: Answer) -> Origin:
            made = Origin(answer=answer)
            app = web.Application()
            app.router.add_route("*", "/{rest:.*}", made.serve)
            runner = web.AppRunner(app, shutdown_timeout=0.01)
            await runner.setup()
            servers.push_async_callback(runner.cleanup)
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            made.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
            return made

        yield start


Start = Callable[[Answer], Awaitable[Origin]]


def says(status: int, body: bytes = b"", **headers: str) -> Answer:
    async def answer(_request: web.Request) -> web.StreamResponse:
        return web.Response(status=status, body=body, headers={k.replace("_", "-"): v for k, v in headers.items()})

    return answer


async def fetched(api_url: str, address: str = "", most_bytes: int = 1000) -> Media | MediaFailed:
    provider = TwilioProvider(account_sid=ACCOUNT, auth_token=TOKEN, api_url=api_url, timeouts=QUICK)
    try:
        async with asyncio.timeout(20):
            return await provider.fetch_media(address or api_url + PATH, most_bytes)
    finally:
        await provider.close()


async def test_a_picture_is_listed_fetched_and_deleted(world: World, twilio: TwilioProvider) -> None:
    await world.customer_texts(MARIA, OURS, "Look", [("image/jpeg", JPEG), ("text/vcard", b"BEGIN:VCARD")])
    (row,) = await twilio.inbound_since(OURS, datetime.now(UTC) - timedelta(minutes=1)) or []
    addresses = await twilio.media_of(row.remote_id)

    assert row.media == 2
    assert addresses is not None
    assert [await twilio.fetch_media(a, 1000) for a in addresses] == [
        Media(kind="image/jpeg", name="", data=JPEG),
        Media(kind="text/vcard", name="", data=b"BEGIN:VCARD"),
    ]
    assert [await twilio.delete_media(addresses[0]) for _ in range(2)] == [True, True]
    assert await twilio.fetch_media(addresses[0], 1000) == MediaFailed(reason="the provider does not have it any more")
    assert await twilio.media_of(row.remote_id) == addresses[1:]
    assert world.surprises == []


async def test_the_address_in_a_webhook_is_the_one_in_the_list(world: World, twilio: TwilioProvider) -> None:
    await world.customer_texts(MARIA, OURS, "Look", [("image/jpeg", JPEG)])
    (text,) = world.phone(MARIA)

    assert await twilio.media_of(text.sid) == (f"{world.api_url}{text.path}/Media/{text.media_sids[0]}",)


async def test_a_text_without_pictures_and_one_that_is_gone_have_none(world: World, twilio: TwilioProvider) -> None:
    await world.customer_texts(MARIA, OURS, "Hello")

    assert await twilio.media_of(world.phone(MARIA)[0].sid) == ()
    assert await twilio.media_of(MESSAGE) == ()


async def test_media_that_cannot_be_asked_for_are_none_at_all() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
    provider = TwilioProvider(account_sid=ACCOUNT, auth_token=TOKEN, api_url=url)

    assert await provider.media_of(MESSAGE) is None
    assert await provider.delete_media(url + PATH) is False
    found = await provider.fetch_media(url + PATH, 1000)
    assert isinstance(found, MediaFailed)
    assert found.again
    await provider.close()


@pytest.mark.parametrize("status", [401, 403, 500, 503])
async def test_a_refusal_of_the_list_is_no_empty_list(origin: Start, status: int) -> None:
    api = await origin(says(status, b"<html>no</html>"))
    provider = TwilioProvider(account_sid=ACCOUNT, auth_token=TOKEN, api_url=api.url)

    assert await provider.media_of(MESSAGE) is None
    assert await provider.delete_media(api.url + PATH) is False
    await provider.close()


async def test_pictures_go_out_as_addresses_for_twilio_to_fetch(world: World, twilio: TwilioProvider) -> None:
    media = ("https://sms.example.com/media/abc/picture-1.jpg", "https://sms.example.com/media/def/picture-2.png")
    parcel = TextParcel(number=OURS, service="", to=MARIA, body="Your car", validity_seconds=7200, media=media)
    outcome = await twilio.send(parcel, "01J9ZQ.0.0", 1)

    assert isinstance(outcome, Accepted)
    assert outcome.remote_id.startswith("MM")
    assert world.phone(MARIA)[0].media_urls == media
    (row,) = await twilio.lookup(parcel, datetime.now(UTC)) or []
    assert row.media == 2
    assert world.surprises == []


async def test_credentials_are_shown_to_the_api_and_never_after_a_redirect(origin: Start) -> None:
    cdn = await origin(says(200, JPEG, Content_Type="image/jpeg"))
    api = await origin(says(307, Location=f"{cdn.url}/signed?x=%2F"))

    assert await fetched(api.url) == Media(kind="image/jpeg", name="", data=JPEG)
    assert [bool(shown) for _, shown in api.asked] == [True]
    assert cdn.asked == [("/signed?x=%2F", "")]


async def test_a_redirect_back_to_the_api_is_followed_without_credentials(origin: Start) -> None:
    async def there_and_here(request: web.Request) -> web.StreamResponse:
        if request.path == PATH:
            return web.Response(status=302, headers={"Location": "/other"})
        return web.Response(body=JPEG, content_type="image/jpeg")

    api = await origin(there_and_here)

    assert await fetched(api.url) == Media(kind="image/jpeg", name="", data=JPEG)
    assert [(path, bool(shown)) for path, shown in api.asked] == [(PATH, True), ("/other", False)]


@pytest.mark.parametrize(
    "location",
    [
        "https://evil.example/x",
        "https://twilio.com.evil.example/x",
        "https://eviltwilio.com/x",
        "http://media.twiliocdn.com/x",
        "https://media.twiliocdn.com:8443/x",
        "https://user:pass@media.twiliocdn.com/x",
        "https://10.0.0.1/x",
        "https://169.254.169.254/latest/meta-data",
        "https://[::ffff:10.0.0.1]/x",
        "https://2130706433/x",
        "ftp://media.twiliocdn.com/x",
        "file:///etc/passwd",
        "https:///x",
        "//[",
    ],
)
async def test_a_redirect_to_anywhere_else_is_not_followed(origin: Start, location: str) -> None:
    api = await origin(says(302, Location=location))

    assert await fetched(api.url) == ELSEWHERE
    assert len(api.asked) == 1


async def test_a_circle_of_redirects_ends(origin: Start) -> None:
    api = await origin(says(302, Location="/again"))

    assert await fetched(api.url) == MediaFailed(reason="its address leads in a circle")
    assert len(api.asked) == 4


@pytest.mark.parametrize(
    "address",
    [
        "https://api.twilio.com.evil.example" + PATH,
        "http://api.twilio.com" + PATH,
        "https://user@api.twilio.com" + PATH,
        "https://api.twilio.com:8443" + PATH,
        "https://127.0.0.1" + PATH,
        f"https://api.twilio.com/2010-04-01/Accounts/{ACCOUNT}.json",
        "https://api.twilio.com" + PATH + "/../../../x",
        "https://api.twilio.com" + PATH + "?x=1",
        "https://api.twilio.com" + PATH.replace(ACCOUNT, "AC" + "f" * 32),
        "https://api.twilio.com" + PATH.replace("/Media/", "/Media/%2e%2e/"),
        "file:///etc/passwd",
        "",
        "https://[",
    ],
)
async def test_an_address_must_be_a_picture_of_ours_at_the_api(address: str) -> None:
    provider = TwilioProvider(account_sid=ACCOUNT, auth_token=TOKEN)

    assert await provider.fetch_media(address, 1000) == NOT_OF_THE_API
    assert await provider.delete_media(address) is False
    await provider.close()


class Names(AbstractResolver):
    """A DNS in which every name has these addresses."""

    def __init__(self, *addresses: str) -> None:
        self._addresses = addresses

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        flags = socket.AI_NUMERICHOST
        return [
            ResolveResult(hostname=host, host=a, port=port, family=socket.AF_INET, proto=0, flags=flags)
            for a in self._addresses
        ]

    async def close(self) -> None:
        return None


async def test_a_name_of_the_provider_that_leads_into_our_network_is_not_connected_to() -> None:
    with socket.create_server(("127.0.0.1", 0)) as inside:
        inside.setblocking(False)
        url = f"https://api.twilio.com:{inside.getsockname()[1]}"
        shelf = MediaShelf(
            account_sid=ACCOUNT,
            auth_token=TOKEN,
            api_url=url,
            hosts=("twilio.com",),
            timeouts=QUICK,
            resolver=Names("127.0.0.1", "10.0.0.1"),
        )
        found = await shelf.fetch(url + PATH, 1000)
        await shelf.close()

        assert found == MediaFailed(reason="its address leads into a private network")
        with pytest.raises(BlockingIOError):
            inside.accept()


@pytest.mark.parametrize(
    "address",
    [
        "10.1.2.3", "172.16.0.1", "192.168.1.1", "127.0.0.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1",
        "255.255.255.255", "::1", "::", "fe80::1%eth0", "fd00::1", "ff02::1", "::ffff:10.0.0.1", "2002:0a00:0001::1",
        "64:ff9b::a00:1", "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    ],
)  # fmt: skip
def test_addresses_that_are_not_of_the_internet(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700:4700::1111"])
def test_addresses_of_the_internet(address: str) -> None:
    assert is_public(address)


async def test_no_more_is_read_than_may_be(origin: Start) -> None:
    sent = 0

    async def endless(request: web.Request) -> web.StreamResponse:
        nonlocal sent
        response = web.StreamResponse()
        await response.prepare(request)
        while sent < 200 << 20:
            await response.write(bytes(65536))
            sent += 65536
        return response

    api = await origin(endless)

    assert await fetched(api.url, most_bytes=100_000) == MediaFailed(reason="it has more than 100000 bytes")
    assert sent < 50 << 20


async def test_a_silent_provider_is_not_waited_for(origin: Start) -> None:
    async def silent(_request: web.Request) -> web.StreamResponse:
        await asyncio.Event().wait()
        return web.Response()

    found = await fetched((await origin(silent)).url)

    assert found == MediaFailed(reason="the provider could not be asked for it: timed out", again=True)


@pytest.mark.parametrize(
    ("status", "again"), [(400, False), (401, False), (403, False), (429, True), (500, True), (503, True)]
)
async def test_an_answer_without_the_picture_says_whether_another_try_may_help(
    origin: Start, status: int, again: bool
) -> None:
    found = await fetched((await origin(says(status))).url)

    assert found == MediaFailed(reason=f"the provider answered {status}", again=again)


async def test_what_the_provider_calls_a_picture_is_no_path(origin: Start) -> None:
    named = 'inline; filename="../../etc/passwd"'
    api = await origin(says(200, JPEG, Content_Type="Image/JPEG; x=y", Content_Disposition=named))

    assert await fetched(api.url) == Media(kind="image/jpeg", name="passwd", data=JPEG)
