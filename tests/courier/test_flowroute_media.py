"""Pictures of customers: from which addresses they are fetched, and what is believed of them."""

from __future__ import annotations

import gzip
import socket
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult

from gateway.courier.flowroute import MEDIA_HOSTS
from gateway.courier.flowroute_media import MediaShelf
from gateway.courier.internet import PublicResolver
from gateway.courier.session import Timeouts
from gateway.ports import Media, MediaFailed

JPEG = b"\xff\xd8\xff\xe0 a picture"
SHORT = Timeouts(connect=2, read=0.3, total=2)


@dataclass
class Host:
    """A server of media; `paths` are what it was asked for, `keys` the Authorization that came along."""

    url: str = ""
    paths: list[str] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    elsewhere: str = ""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.paths.append(request.raw_path)
        self.keys += request.headers.getall("Authorization", [])
        match request.path:
            case "/a.jpg":
                return web.Response(body=JPEG, headers={"Content-Type": "Image/JPEG; q=1"})
            case "/named":
                named = {"Content-Type": "image/png", "Content-Disposition": 'attachment; filename="..\\\\..\\\\b.png"'}
                return web.Response(body=JPEG, headers=named)
            case "/large":
                return await self._large(request)
            case "/packed":
                return web.Response(body=gzip.compress(b"0" * 100_000), headers={"Content-Encoding": "gzip"})
            case "/moved":
                return web.Response(status=302, headers={"Location": "/a.jpg"})
            case "/away":
                return web.Response(status=302, headers={"Location": self.elsewhere})
            case "/round":
                return web.Response(status=302, headers={"Location": "/round"})
            case "/cut":
                assert request.transport is not None
                request.transport.abort()
        return web.Response(status=int(request.path[1:]) if request.path[1:].isdigit() else 404)

    async def _large(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for _ in range(64):
            await response.write(b"0" * 65536)
        return response


@pytest.fixture
async def hosts() -> AsyncIterator[tuple[Host, Host]]:
    """Two servers on loopback: the provider's, and another."""
    made = (Host(), Host())
    runners = []
    for host in made:
        app = web.Application()
        app.router.add_get("/{rest:.*}", host.answer)
        runners.append(web.AppRunner(app, shutdown_timeout=0.01))
        await runners[-1].setup()
        await web.TCPSite(runners[-1], "127.0.0.1", 0).start()
        host.url = f"http://127.0.0.1:{runners[-1].addresses[0][1]}"
    made[0].elsewhere = made[1].url + "/a.jpg"
    yield made
    for runner in runners:
        await runner.cleanup()


class Known(AbstractResolver):
    """Leads every name to the same addresses."""

    def __init__(self, *addresses: str) -> None:
        self._addresses = addresses

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        return [
            ResolveResult(hostname=host, host=each, port=port, family=family, proto=0, flags=0)
            for each in self._addresses
        ]

    async def close(self) -> None:
        """Nothing is open."""


Make = Callable[..., MediaShelf]


@pytest.fixture
async def shelf(hosts: tuple[Host, Host]) -> AsyncIterator[Make]:
    made: list[MediaShelf] = []

    def make(api_url: str = hosts[0].url, hosts: tuple[str, ...] = MEDIA_HOSTS) -> MediaShelf:
        made.append(MediaShelf(hosts, api_url, SHORT))
        return made[-1]

    yield make
    for one in made:
        await one.close()


async def test_a_picture_comes_with_its_type_and_name_and_without_our_keys(
    hosts: tuple[Host, Host], shelf: Make
) -> None:
    found = await shelf().fetch(f"{hosts[0].url}/a.jpg?Signature=a%2Fb&Expires=1", 100)

    assert found == Media(kind="image/jpeg", name="a.jpg", data=JPEG)
    assert hosts[0].paths == ["/a.jpg?Signature=a%2Fb&Expires=1"]
    assert hosts[0].keys == []


async def test_a_name_is_never_a_path(hosts: tuple[Host, Host], shelf: Make) -> None:
    assert await shelf().fetch(f"{hosts[0].url}/named", 100) == Media(kind="image/png", name="b.png", data=JPEG)


async def test_no_more_is_read_than_asked_for(hosts: tuple[Host, Host], shelf: Make) -> None:
    assert isinstance(await shelf().fetch(f"{hosts[0].url}/a.jpg", len(JPEG)), Media)
    for path, most in (("a.jpg", len(JPEG) - 1), ("large", 100_000)):
        found = await shelf().fetch(f"{hosts[0].url}/{path}", most)
        assert found == MediaFailed(reason=f"it is larger than {most} bytes")


async def test_what_is_packed_is_not_unpacked(hosts: tuple[Host, Host], shelf: Make) -> None:
    found = await shelf().fetch(f"{hosts[0].url}/packed", 1000)

    assert isinstance(found, Media)
    assert gzip.decompress(found.data) == b"0" * 100_000


async def test_a_way_to_another_host_is_not_gone(hosts: tuple[Host, Host], shelf: Make) -> None:
    assert isinstance(await shelf().fetch(f"{hosts[0].url}/moved", 100), Media)
    assert await shelf().fetch(f"{hosts[0].url}/away", 100) == MediaFailed(reason="its address leads to another host")
    assert await shelf().fetch(f"{hosts[0].url}/round", 100) == MediaFailed(reason="its address leads in a circle")
    assert hosts[1].paths == []


@pytest.mark.parametrize(
    ("path", "again"),
    [("403", False), ("404", False), ("410", False), ("400", False), ("204", False), ("429", True), ("503", True),
     ("cut", True)],
)  # fmt: skip
async def test_another_try_is_worth_it_only_for_what_may_pass(
    hosts: tuple[Host, Host], shelf: Make, path: str, again: bool
) -> None:
    found = await shelf().fetch(f"{hosts[0].url}/{path}", 100)

    assert isinstance(found, MediaFailed)
    assert found.again is again


FOREIGN = [
    "http://media.flowroute.com/a.jpg",
    "https://flowroute.com.evil.example/a.jpg",
    "https://evilflowroute.com/a.jpg",
    "https://media.flowroute.com:8443/a.jpg",
    "https://user@media.flowroute.com/a.jpg",
    "https://127.0.0.1/a.jpg",
    "https://[::1]/a.jpg",
    "https://169.254.169.254/latest/meta-data",
    "http://localhost:1/a.jpg",
    "file:///etc/passwd",
    "ftp://media.flowroute.com/a.jpg",
    "//media.flowroute.com/a.jpg",
    "/a.jpg",
    "",
    "https://",
    "https://media.flowroute.com:99999999/a.jpg",
    "https://[/a.jpg",
    "https://ec2-192-0-2-1.compute-1.amazonaws.com/a.jpg",
    "https://abc.execute-api.us-west-2.amazonaws.com/a.jpg",
    "https://amazonaws.com/a.jpg",
    "https://notes3.amazonaws.com/a.jpg",
]


@pytest.mark.parametrize("address", FOREIGN)
async def test_only_https_to_a_listed_host_is_fetched(shelf: Make, address: str) -> None:
    found = await shelf("https://api.flowroute.com").fetch(address, 100)

    assert isinstance(found, MediaFailed)
    assert found.reason.startswith("its address ")
    assert not found.again


async def test_loopback_is_refused_where_the_api_is_not_on_loopback(hosts: tuple[Host, Host], shelf: Make) -> None:
    found = await shelf("https://api.flowroute.com").fetch(f"{hosts[0].url}/a.jpg", 100)

    assert found == MediaFailed(reason="its address is not one of the provider's")
    assert hosts[0].paths == []


async def test_a_listed_name_with_a_private_address_is_refused(shelf: Make) -> None:
    found = await shelf("https://api.flowroute.com", ("localhost",)).fetch("https://localhost/a.jpg", 100)

    assert found == MediaFailed(reason="its address is none of the internet")


@pytest.mark.parametrize(
    "address",
    ["10.0.0.1", "169.254.169.254", "64:ff9b::a9fe:a9fe", "2002:7f00:1::", "::ffff:10.0.0.1", "224.0.0.1", "ff02::1"],
)
async def test_a_name_of_theirs_that_leads_to_an_address_of_ours_is_refused(address: str) -> None:
    with pytest.raises(OSError, match="no public address"):
        await PublicResolver(Known(address), local=False).resolve("bucket.s3.amazonaws.com", 443)


async def test_a_bucket_of_theirs_is_asked() -> None:
    found = await PublicResolver(Known("52.92.0.1", "10.0.0.1"), local=False).resolve("bucket.s3.amazonaws.com", 443)

    assert [each["host"] for each in found] == ["52.92.0.1"]


async def test_a_host_that_is_gone_may_come_back(shelf: Make) -> None:
    with socket.create_server(("127.0.0.1", 0)) as bound:
        gone = f"http://127.0.0.1:{bound.getsockname()[1]}"

    found = await shelf(gone).fetch(f"{gone}/a.jpg", 100)

    assert isinstance(found, MediaFailed)
    assert found.again
