"""The simulated Flowroute by plain HTTP, and the gateway's own client and hooks against it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from gateway.core.model import InboundHook, Phone, StatusIn, TextIn
from gateway.core.work import Accepted, Deferred, Outcome, Refused, TextParcel, Unclear
from gateway.courier.flowroute import FlowrouteProvider
from gateway.courier.flowroute_hook import FlowrouteHooks
from gateway.courier.session import Timeouts
from gateway.doors import HookRefused
from gateway.ports import Media
from gateway.simulator.flowroute import Flowroute
from gateway.simulator.flowroute_texts import BUFFERED, FAILED, SENT, Medium
from gateway.simulator.journal import Called, Journal, Posted

KEY, SECRET, HOOK = "access", "a secret key that only tests know", "s" * 43
PUBLIC = "https://sms.example.com"
OURS, PHONE = "+12025550100", "+12025550143"
PARCEL = TextParcel(number=Phone(OURS), service="", to=Phone(PHONE), body="Your car is ready", validity_seconds=60)
JPEG = Medium(name="a.jpg", kind="image/jpeg", data=b"\xff\xd8\xff a picture")


@dataclass
class Shop:
    """A web server that reads hooks as the gateway does, and answers them 200."""

    url: str = ""
    status: int = 200
    found: list[InboundHook | HookRefused] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.Response:
        path, _, query = request.raw_path.partition("?")
        reader = FlowrouteHooks(secret=HOOK, numbers=lambda: [OURS])
        self.found.append(reader.read(path, query, request.headers, await request.read(), datetime.now(UTC)))
        return web.Response(status=self.status)

    @property
    def events(self) -> list[Any]:
        assert not [each for each in self.found if isinstance(each, HookRefused)]
        return [each.event for each in self.found if isinstance(each, InboundHook)]


@pytest.fixture
async def shop() -> AsyncIterator[Shop]:
    shop = Shop()
    app = web.Application()
    app.router.add_post("/{path:.*}", shop.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    shop.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield shop
    await runner.cleanup()


@pytest.fixture
async def far(shop: Shop) -> AsyncIterator[Flowroute]:
    keys = {"hooks": shop.url, "hook_secret": HOOK, "public_url": PUBLIC}
    async with Flowroute(Journal(), KEY, SECRET, numbers=[OURS], **keys) as far:
        yield far


@pytest.fixture
async def provider(far: Flowroute) -> AsyncIterator[FlowrouteProvider]:
    made = client(far)
    yield made
    await made.close()


def client(far: Flowroute, secret: str = SECRET) -> FlowrouteProvider:
    short = Timeouts(connect=5, read=0.3, total=5)
    return FlowrouteProvider(
        access_key=KEY, secret_key=secret, api_url=far.url, public_url=PUBLIC, hook_secret=HOOK, timeouts=short
    )


async def called(journal: Journal, count: int) -> list[Called]:
    """The first hooks that were posted, as soon as there are so many."""

    def found() -> list[Called]:
        calls = [entry for entry in journal.entries if isinstance(entry, Called)]
        return calls if len(calls) >= count else []

    return await journal.wait(found)


async def test_a_text_is_taken_and_its_two_receipts_come_back(
    far: Flowroute, shop: Shop, provider: FlowrouteProvider
) -> None:
    outcome = await provider.send(PARCEL, "01J.0.0", 3)
    calls = await called(far.journal, 2)

    (text,) = far.phone(PHONE)
    assert outcome == Accepted(remote_id=text.id, status="queued", note="accepted by Flowroute: queued")
    assert shop.events == [
        StatusIn(remote_id=text.id, delivery="01J.0.0", attempt=3, status=status) for status in ("sent", "delivered")
    ]
    assert [call.answer for call in calls] == [200, 200]
    assert (text.author, text.body, text.direction) == (OURS, "Your car is ready", "outbound")
    assert far.journal.surprises == []


async def test_what_was_posted_stands_in_the_journal(far: Flowroute, provider: FlowrouteProvider) -> None:
    await provider.send(PARCEL, "01J.0.0", 1)

    (posted,) = [entry for entry in far.journal.entries if isinstance(entry, Posted)]
    assert (posted.to, posted.answer, posted.sid) == (PHONE, 202, far.phone(PHONE)[0].id)
    assert dict(posted.form)["dlr_callback"] == f"{PUBLIC}/hooks/flowroute/{HOOK}/status?d=01J.0.0&a=1"
    assert far.posts == {PHONE: 1}


async def test_a_script_decides_how_a_text_ends(far: Flowroute, shop: Shop, provider: FlowrouteProvider) -> None:
    far.scripts[PHONE] = (SENT, BUFFERED, FAILED)
    outcome = await provider.send(PARCEL, "01J.0.0", 1)
    await called(far.journal, 3)

    assert isinstance(outcome, Accepted)
    fetched = await provider.fetch(outcome.remote_id)
    assert fetched is not None
    assert (fetched.status, fetched.code) == ("failed", "1108")
    assert [(event.status, event.code) for event in shop.events] == [("sent", ""), ("sent", ""), ("failed", "1108")]


FAULTS = [
    ("401", Deferred, 0),
    ("403", Deferred, 0),
    ("429", Deferred, 0),
    ("400", Refused, 0),
    ("422-before", Refused, 0),
    ("403-html", Unclear, 0),
    ("500", Unclear, 0),
    ("500-after", Unclear, 1),
    ("503-html-after", Unclear, 1),
    ("drop", Unclear, 0),
    ("drop-before", Unclear, 0),
    ("drop-after", Unclear, 1),
    ("reset-before", Unclear, 0),
    ("reset-after", Unclear, 1),
    ("silent", Unclear, 1),
    ("late", Unclear, 1),
]


@pytest.mark.parametrize(("fault", "outcome", "stored"), FAULTS, ids=[case[0] for case in FAULTS])
async def test_each_fault_has_its_outcome_and_the_look_up_finds_what_was_stored(
    far: Flowroute, provider: FlowrouteProvider, fault: str, outcome: type[Outcome], stored: int
) -> None:
    far.faults.add(fault)
    begun = datetime.now(UTC)

    assert isinstance(await provider.send(PARCEL, "01J.0.0", 1), outcome)
    found = await provider.lookup(PARCEL, begun)
    assert found is not None
    assert [row.remote_id for row in found] == [text.id for text in far.phone(PHONE)]
    assert len(found) == stored
    assert all((row.body, row.sender) == (PARCEL.body, OURS) for row in found)


async def test_a_late_list_shows_a_text_when_its_time_has_come(far: Flowroute, provider: FlowrouteProvider) -> None:
    far.list_lag_seconds = 3600
    await provider.send(PARCEL, "01J.0.0", 1)

    assert await provider.lookup(PARCEL, datetime.now(UTC)) == []
    far.list_lag_seconds = 0
    assert len(await provider.lookup(PARCEL, datetime.now(UTC)) or []) == 1


async def test_a_server_that_lowers_the_limit_is_read_to_its_end(far: Flowroute, provider: FlowrouteProvider) -> None:
    far.most_per_page = 2
    for n in range(5):
        await provider.send(PARCEL, f"01J.0.{n}", 1)

    assert len(await provider.lookup(PARCEL, datetime.now(UTC)) or []) == 5


@pytest.mark.parametrize("fault", ["500-list", "429-list", "reset-list", "silent-list"])
async def test_a_list_that_fails_is_no_list(far: Flowroute, provider: FlowrouteProvider, fault: str) -> None:
    far.faults.add(fault, count=2)  # a GET that is reset is asked once more by aiohttp

    assert await provider.lookup(PARCEL, datetime.now(UTC)) is None


@pytest.mark.parametrize("fault", ["500-fetch", "reset-fetch"])
async def test_a_fetch_that_fails_is_none(far: Flowroute, provider: FlowrouteProvider, fault: str) -> None:
    _, text = await far.customer_texts(PHONE, OURS, "hi")
    far.faults.add(fault, count=2)

    assert await provider.fetch(text.id) is None
    far.faults.clear()
    assert await provider.fetch(text.id) is not None


async def test_keys_that_are_wrong_are_refused_everywhere(far: Flowroute) -> None:
    wrong = client(far, "wrong")

    outcome = await wrong.send(PARCEL, "01J.0.0", 1)
    assert outcome == Deferred(reason="the keys are not accepted (Flowroute 403)", code="403", sender_wide=True)
    assert await wrong.lookup(PARCEL, datetime.now(UTC)) is None
    assert await wrong.fetch("mdr2-1") is None
    await wrong.close()


async def test_a_customers_text_comes_by_hook_and_by_list(
    far: Flowroute, shop: Shop, provider: FlowrouteProvider
) -> None:
    begun = datetime.now(UTC)
    status, text = await far.customer_texts(PHONE, OURS, "When is it ready?", [JPEG])

    assert status == 200
    (event,) = shop.events
    media = event.media
    assert event == TextIn(remote_id=text.id, author=PHONE, number=Phone(OURS), text="When is it ready?", media=media)
    found = await provider.inbound_since(OURS, begun - timedelta(seconds=1))
    assert found is not None
    assert [(row.remote_id, row.sender, row.body, row.media) for row in found] == [
        (text.id, PHONE, "When is it ready?", 1)
    ]
    assert await provider.media_of(text.id) == media


async def test_the_media_of_a_text_are_fetched_without_keys_and_cannot_be_deleted(
    far: Flowroute, provider: FlowrouteProvider
) -> None:
    _, text = await far.customer_texts(PHONE, OURS, "", [JPEG])
    (address,) = await provider.media_of(text.id) or ()

    assert await provider.fetch_media(address, 1000) == Media(kind="image/jpeg", name="a.jpg", data=JPEG.data)
    assert await provider.delete_media(address) is False
    assert far.journal.surprises == []


async def test_a_text_with_pictures_is_an_mms(far: Flowroute, provider: FlowrouteProvider) -> None:
    pictures = (f"{PUBLIC}/media/token/a.jpg", f"{PUBLIC}/media/token/b.jpg")
    parcel = TextParcel(number=Phone(OURS), service="", to=Phone(PHONE), body="", validity_seconds=60, media=pictures)

    assert isinstance(await provider.send(parcel, "01J.0.0", 1), Accepted)
    assert far.phone(PHONE)[0].media_urls == pictures
    assert far.journal.surprises == []


async def test_a_hook_that_is_not_answered_200_is_a_surprise(far: Flowroute, shop: Shop) -> None:
    shop.status = 204
    assert (await far.customer_texts(PHONE, OURS, "hi"))[0] == 204

    assert far.journal.surprises == ["received: the hook was answered 204, and not 200: it would come again"]


async def test_a_hook_goes_to_loopback_only() -> None:
    async with Flowroute(Journal(), KEY, SECRET, public_url=PUBLIC, hook_secret=HOOK) as far:
        assert (await far.customer_texts(PHONE, OURS, "hi"))[0] == 0
        (call,) = await called(far.journal, 1)

    assert call.note == "not on loopback"


async def test_a_hook_to_nobody_is_noted(shop: Shop) -> None:
    async with Flowroute(Journal(), KEY, SECRET, hooks="http://127.0.0.1:1", hook_secret=HOOK) as far:
        assert (await far.customer_texts(PHONE, OURS, "hi"))[0] == 0


GOOD: dict[str, Any] = {"to": PHONE, "from": OURS, "body": "hi"}
BAD = [
    ("to without plus", GOOD | {"to": "12025550143"}, 422),
    ("no from", {"to": PHONE, "body": "hi"}, 422),
    ("other from", GOOD | {"from": "+12025550101"}, 403),
    ("no body", GOOD | {"body": ""}, 422),
    ("media in words", GOOD | {"media_urls": "https://x.example/1"}, 422),
    ("medium that is no address", GOOD | {"media_urls": ["nowhere"]}, 422),
    ("mms in words", GOOD | {"is_mms": "true"}, 422),
    ("callback that is no address", GOOD | {"dlr_callback": "http://["}, 422),
    ("nothing", None, 422),
]


async def post(far: Flowroute, attributes: object, **headers: str) -> tuple[int, Any]:
    document = {"data": {"type": "message", "attributes": attributes}}
    login = {"Authorization": aiohttp.encode_basic_auth(KEY, SECRET)}
    async with (
        aiohttp.ClientSession() as http,
        http.post(far.url + "/v2.2/messages", json=document, headers=login | headers) as answer,
    ):
        return answer.status, await answer.json(content_type=None)


@pytest.mark.parametrize(("attributes", "status"), [case[1:] for case in BAD], ids=[case[0] for case in BAD])
async def test_a_bad_text_is_refused_and_not_stored(far: Flowroute, attributes: object, status: int) -> None:
    answer, body = await post(far, attributes)

    assert (answer, body["errors"][0]["status"]) == (status, status)
    assert far.texts == {}


async def test_what_flowroute_would_pass_over_is_a_surprise(far: Flowroute) -> None:
    odd = GOOD | {"validity_period": 60, "media_urls": ["https://x.example/1"], "body": "it\u2019s"}
    status, _ = await post(far, odd, Accept="*/*")

    assert status == 202
    assert far.journal.surprises == [
        "POST messages: unknown attribute 'validity_period'",
        "POST messages: media_urls without is_mms",
        "POST messages: curly quotes in the body are known to cause errors",
        "POST messages: Content-Type is not application/vnd.api+json",
        "POST messages: Accept is not application/vnd.api+json",
    ]


@pytest.mark.parametrize(
    "query",
    ["", "start_date=yesterday", "start_date=2026-01-01&limit=0", "start_date=2026-01-01&offset=-1"],
    ids=["no start", "odd start", "no limit", "odd offset"],
)
async def test_a_bad_list_is_refused(far: Flowroute, query: str) -> None:
    login = {"Authorization": aiohttp.encode_basic_auth(KEY, SECRET)}
    async with aiohttp.ClientSession(headers=login) as http, http.get(f"{far.url}/v2.2/messages?{query}") as answer:
        assert answer.status == 400


async def test_a_list_names_its_next_page_and_wonders_at_odd_parameters(far: Flowroute) -> None:
    for body in ("one", "two", "three"):
        await far.customer_texts(PHONE, OURS, body)
    login = {"Authorization": aiohttp.encode_basic_auth(KEY, SECRET)}
    url = f"{far.url}/v2.2/messages?start_date=2026-01-01&limit=2&to=x"
    async with aiohttp.ClientSession(headers=login) as http:
        async with http.get(url) as answer:
            first = await answer.json(content_type=None)
        async with http.get(first["links"]["next"]) as answer:
            second = await answer.json(content_type=None)

    assert [row["attributes"]["body"] for row in first["data"] + second["data"]] == ["three", "two", "one"]
    assert "links" not in second
    assert "GET messages: unknown parameter 'to'" in far.journal.surprises


async def test_keys_at_a_signed_address_and_unknown_paths_are_surprises(far: Flowroute) -> None:
    login = {"Authorization": aiohttp.encode_basic_auth(KEY, SECRET)}
    async with aiohttp.ClientSession(headers=login) as http:
        async with http.get(f"{far.url}/media/1/a.jpg") as answer:
            assert answer.status == 404
        async with http.delete(f"{far.url}/v2.2/other") as answer:
            assert answer.status == 404

    assert far.journal.surprises == [
        "GET media: the address is signed, the keys of the API went along",
        "DELETE /v2.2/other is nothing that is simulated",
    ]


async def test_a_port_that_is_taken_is_an_error(far: Flowroute) -> None:
    with pytest.raises(OSError, match="address already in use"):
        async with asyncio.timeout(5), Flowroute(Journal(), KEY, SECRET, port=int(far.url.rpartition(":")[2])):
            pass
