"""What becomes of a paid text at Flowroute: every answer and failure of a real HTTP server, and its one outcome."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
from base64 import b64decode
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from aiohttp import web

from gateway.core.model import Phone
from gateway.core.work import Accepted, Deferred, Outcome, Refused, TextParcel, Unclear
from gateway.courier.flowroute import FlowrouteProvider
from gateway.courier.flowroute_words import number, status
from gateway.courier.session import Timeouts

KEY, SECRET, HOOK = "8d1f0c5b", "a secret key that only tests know", "s" * 43
PUBLIC = "https://sms.example.com"
DELIVERY = "01J9ZQ.0.0"
MESSAGES = "/v2.2/messages"
PARCEL = TextParcel(
    number=Phone("+12025550100"),
    service="",
    to=Phone("+12025550143"),
    body="Señor, your car & dog",
    validity_seconds=7200,
)
NOON = datetime(2026, 11, 23, 17, 0, tzinfo=UTC)
IDENT = "mdr2-" + "a" * 32
TAKEN = {
    "data": {"id": IDENT, "type": "message", "links": {"self": f"https://api.flowroute.com/v2.2/messages/{IDENT}"}}
}

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


def says(status: int, body: Any, **headers: str) -> Answer:
    """An answer with that status; a str goes out as a page, anything else as JSON:API."""

    async def answer(_request: web.Request) -> web.StreamResponse:
        text, kind = (body, "text/html") if isinstance(body, str) else (json.dumps(body), "application/vnd.api+json")
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return web.Response(status=status, text=text, content_type=kind, headers=named)

    return answer


def no(status: int, detail: str, **more: Any) -> Any:
    return {"errors": [{"id": "7fcfd1cd", "status": status, "title": "Client Error", "detail": detail} | more]}


async def reset(request: web.Request) -> web.StreamResponse:
    """Takes the request whole and drops the connection."""
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def silent(_request: web.Request) -> web.StreamResponse:
    """Takes the request whole and never answers."""
    await asyncio.Event().wait()
    return web.Response()


async def cut(request: web.Request) -> web.StreamResponse:
    """Begins a 202 and drops the connection before its end."""
    response = web.StreamResponse(status=202, headers={"Content-Length": "500"})
    await response.prepare(request)
    await response.write(b'{"data": {"id": "mdr2-')
    assert request.transport is not None
    request.transport.close()
    return response


@dataclass
class Api:
    """A server that answers in turn, then again with the last answer, and keeps what it was asked."""

    url: str = ""
    answers: list[Answer] = field(default_factory=list)
    asked: list[tuple[str, str]] = field(default_factory=list)  # method, raw path and query
    bodies: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append((request.method, request.raw_path))
        self.headers.append(dict(request.headers))
        self.bodies.append(await request.text())
        return await (self.answers.pop(0) if len(self.answers) > 1 else self.answers[0])(request)

    @property
    def attributes(self) -> dict[str, Any]:
        """Those of the first text that was posted."""
        document = json.loads(self.bodies[0])
        assert document["data"]["type"] == "message"
        found: dict[str, Any] = document["data"]["attributes"]
        return found


@pytest.fixture
async def api() -> AsyncIterator[Api]:
    api = Api()
    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", api.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.01)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    api.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield api
    await runner.cleanup()


Make = Callable[..., FlowrouteProvider]


@pytest.fixture
async def flowroute(api: Api) -> AsyncIterator[Make]:
    """Makes providers that ask `api` unless told; all are closed at the end."""
    made: list[FlowrouteProvider] = []

    def make(**options: Any) -> FlowrouteProvider:
        keys = {"access_key": KEY, "secret_key": SECRET, "hook_secret": HOOK}
        made.append(FlowrouteProvider(**(keys | {"api_url": api.url, "public_url": PUBLIC} | options)))
        return made[-1]

    yield make
    for one in made:
        await one.close()


async def send(provider: FlowrouteProvider, parcel: TextParcel = PARCEL) -> Outcome:
    async with asyncio.timeout(20):
        return await provider.send(parcel, DELIVERY, 2)


async def test_a_202_with_an_id_is_accepted(api: Api, flowroute: Make) -> None:
    api.answers = [says(202, TAKEN)]

    assert await send(flowroute()) == Accepted(remote_id=IDENT, status="queued", note="accepted by Flowroute: queued")


async def test_the_request_carries_the_text_and_the_address_of_its_receipts(api: Api, flowroute: Make) -> None:
    api.answers = [says(202, TAKEN)]

    await send(flowroute(public_url=PUBLIC + "/"))

    assert api.asked == [("POST", MESSAGES)]
    assert api.attributes == {
        "to": "+12025550143",
        "from": "+12025550100",
        "body": "Señor, your car & dog",
        "dlr_callback": f"{PUBLIC}/hooks/flowroute/{HOOK}/status?d={DELIVERY}&a=2",
    }
    sent = api.headers[0]
    assert (sent["Content-Type"], sent["Accept"]) == ("application/vnd.api+json",) * 2
    assert b64decode(sent["Authorization"].removeprefix("Basic ")).decode() == f"{KEY}:{SECRET}"


async def test_pictures_make_it_an_mms(api: Api, flowroute: Make) -> None:
    api.answers = [says(202, TAKEN)]

    await send(flowroute(), replace(PARCEL, media=("https://sms.example.com/media/x/a.jpg",)))

    assert api.attributes["is_mms"] is True
    assert api.attributes["media_urls"] == ["https://sms.example.com/media/x/a.jpg"]


async def test_curly_quotes_go_out_as_straight_ones(api: Api, flowroute: Make) -> None:
    api.answers = [says(202, TAKEN)]

    await send(flowroute(), replace(PARCEL, body="It\u2019s \u201cready\u201d \u2013 👍"))

    assert api.attributes["body"] == 'It\'s "ready" - 👍'


@pytest.mark.parametrize("without", [{"public_url": ""}, {"hook_secret": ""}], ids=["no address", "no secret"])
async def test_without_an_address_or_a_secret_no_receipt_is_asked_for(
    api: Api, flowroute: Make, without: dict[str, str]
) -> None:
    api.answers = [says(202, TAKEN)]

    await send(flowroute(**without))

    assert "dlr_callback" not in api.attributes


async def test_a_delivery_id_is_quoted_in_the_address_of_its_receipts(api: Api, flowroute: Make) -> None:
    api.answers = [says(202, TAKEN)]

    await flowroute().send(PARCEL, "a&b=c d", 1)

    assert parse_qsl(urlsplit(api.attributes["dlr_callback"]).query) == [("d", "a&b=c d"), ("a", "1")]


UNCLEAR = [
    ("202 without id", says(202, {"data": {"type": "message"}})),
    ("202 without data", says(202, {})),
    ("202 with a list", says(202, [1])),
    ("202 with garbage", says(202, '{"data": {"id": "mdr2')),
    ("202 nested too deep", says(202, "[" * 200_000)),
    ("202 cut off", cut),
    ("200 page", says(200, "<html>Welcome to the hotel network</html>")),
    ("307", says(307, "", Location="/elsewhere")),
    ("400 page", says(400, "<html>Bad Request</html>")),
    ("403 page", says(403, "<html>blocked</html>")),
    ("403 of a proxy", says(403, {"message": "Forbidden"})),
    ("403 with no errors", says(403, {"errors": []})),
    ("403 with odd errors", says(403, {"errors": ["blocked"]})),
    ("429 page", says(429, "<html>slow down</html>")),
    ("408", says(408, no(408, "too slow"))),
    ("500", says(500, no(500, "Internal Server Error"))),
    ("503 page", says(503, "<html>Service Unavailable</html>")),
    ("reset after the body", reset),
    ("silence", silent),
]


@pytest.mark.parametrize("answer", [a for _, a in UNCLEAR], ids=[i for i, _ in UNCLEAR])
async def test_whatever_does_not_prove_a_no_is_unclear_and_never_asked_again(
    api: Api, flowroute: Make, answer: Answer
) -> None:
    api.answers = [answer]

    outcome = await send(flowroute(timeouts=Timeouts(connect=5, read=0.3, total=5)))

    assert isinstance(outcome, Unclear)
    assert outcome.reason
    assert len(api.asked) == 1


async def test_a_kept_connection_that_breaks_is_unclear_like_a_new_one(api: Api, flowroute: Make) -> None:
    api.answers = [says(202, TAKEN), reset]
    provider = flowroute()

    first, second = await send(provider), await send(provider)

    assert isinstance(first, Accepted)
    assert isinstance(second, Unclear)
    assert len(api.asked) == 2


CERTAIN = [
    ("401", says(401, no(401, "who?")), Deferred(reason="who? (Flowroute 401)", code="401", sender_wide=True)),
    ("402", says(402, no(402, "pay")), Deferred(reason="pay (Flowroute 402)", code="402", sender_wide=True)),
    (
        "403 without words",
        says(403, {"errors": [{"title": "Permission Denied"}]}),
        Deferred(reason="Permission Denied (Flowroute 403)", code="403", sender_wide=True),
    ),
    (
        "429",
        says(429, no(429, "slow"), Retry_After="7"),
        Deferred(reason="slow (Flowroute 429)", code="429", retry_after=7.0),
    ),
    ("429 without time", says(429, no(429, "slow")), Deferred(reason="slow (Flowroute 429)", code="429")),
    ("400", says(400, no(400, "bad\nbody")), Refused(reason="bad body (Flowroute 400)", code="400")),
    ("404", says(404, no(404, "nothing")), Refused(reason="nothing (Flowroute 404)", code="404")),
    ("422 with a code", says(422, no(422, "odd", code="E7")), Refused(reason="odd (Flowroute E7)", code="E7")),
    (
        "422 that names the phone",
        says(422, no(422, "12025550143 and +12025550100 are invalid")),
        Refused(reason="<number> and <number> are invalid (Flowroute 422)", code="422"),
    ),
]


@pytest.mark.parametrize(("answer", "outcome"), [case[1:] for case in CERTAIN], ids=[case[0] for case in CERTAIN])
async def test_flowroutes_own_no_is_certain_and_never_asked_again(
    api: Api, flowroute: Make, answer: Answer, outcome: Outcome
) -> None:
    api.answers = [answer]

    assert await send(flowroute()) == outcome
    assert len(api.asked) == 1


async def test_a_connection_that_cannot_be_had_is_deferred_for_all_texts(api: Api, flowroute: Make) -> None:
    with socket.create_server(("127.0.0.1", 0)) as bound:
        gone = f"http://127.0.0.1:{bound.getsockname()[1]}"
    no_tls = api.url.replace("http:", "https:")

    for url in (gone, no_tls):
        outcome = await send(flowroute(api_url=url))
        assert isinstance(outcome, Deferred)
        assert outcome.sender_wide
        assert "+1" not in outcome.reason
    assert api.asked == []


async def test_no_log_bears_a_phone_a_text_or_the_keys(
    api: Api, flowroute: Make, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    api.answers = [says(202, TAKEN), says(422, no(422, "+12025550143 is odd"))]
    provider = flowroute()

    await send(provider)
    await send(provider)
    await provider.lookup(PARCEL, NOON)

    said = "\n".join(f"{r.getMessage()} {r.exc_info}" for r in caplog.records if r.name != "aiohttp.access")
    for secret in ("5550143", "dog", SECRET, HOOK):
        assert secret not in said


def row(n: int, at: datetime, **changes: Any) -> dict[str, Any]:
    """A text of the list that was created then."""
    attributes = {
        "body": "Your car is ready", "status": "message buffered", "direction": "outbound", "to": "12025550143",
        "from": "12025550100", "amount_nanodollars": 4000000, "message_encoding": 0, "is_mms": False,
        "amount_display": "$0.0040", "message_type": "longcode", "delivery_receipts": [],
        "timestamp": at.isoformat().replace("+00:00", "Z"),
    }  # fmt: skip
    return {"type": "message", "id": f"mdr2-{n:032x}", "attributes": attributes | changes}


def page(*rows: Any) -> Answer:
    return says(200, {"data": list(rows)})


def numbers(found: list[Any] | None) -> list[int]:
    assert found is not None
    return [int(each.remote_id.removeprefix("mdr2-"), 16) for each in found]


async def test_a_look_up_lists_what_went_to_the_phone_around_that_time(api: Api, flowroute: Make) -> None:
    ages = {1: -301, 2: -300, 3: 0, 4: 119.39, 5: 120, 6: 121}  # seconds before noon
    rows = [row(n, NOON - timedelta(seconds=age)) for n, age in ages.items()]
    others = [row(8, NOON, to="12025550144"), row(9, NOON, direction="inbound")]
    api.answers = [page(*others, *rows), page()]

    found = await flowroute().lookup(PARCEL, NOON)

    assert numbers(found) == [2, 3, 4, 5]
    assert found is not None
    assert (found[0].body, found[0].sender, found[0].status) == ("Your car is ready", "+12025550100", "sent")
    span = "start_date=2026-11-23T16%3A58%3A00.00Z&end_date=2026-11-23T17%3A05%3A00.00Z"
    assert api.asked == [("GET", f"{MESSAGES}?{span}&limit=500&offset={n}") for n in (0, 8)]


async def test_a_look_up_ends_at_an_empty_page_and_at_no_short_one(api: Api, flowroute: Make) -> None:
    api.answers = [page(row(1, NOON), row(2, NOON)), page(row(2, NOON), row(3, NOON)), page(row(4, NOON)), page()]

    assert numbers(await flowroute().lookup(PARCEL, NOON)) == [1, 2, 3, 4]
    assert [dict(parse_qsl(urlsplit(q).query))["offset"] for _, q in api.asked] == ["0", "2", "4", "5"]


@pytest.mark.parametrize(
    "answers",
    [
        [reset],
        [silent],
        [says(503, "<html>no</html>")],
        [says(403, no(403, "no"))],
        [says(200, "<html>hotel</html>")],
        [says(200, {"data": None})],
        [says(200, {})],
        [page(1)],
        [page(row(1, NOON) | {"id": None})],
        [page(row(1, NOON, timestamp="yesterday"))],
        [page(row(1, NOON, timestamp=None))],
        [page(row(1, NOON, direction=None))],
        [page(row(1, NOON)), says(503, "<html>no</html>")],
        [page(row(1, NOON))],
    ],
    ids=[
        "reset", "silence", "503", "403", "page", "no list", "empty", "no texts", "no id", "odd time", "no time",
        "no direction", "second page", "more pages than are read",
    ],
)  # fmt: skip
async def test_a_look_up_that_is_not_whole_is_none(api: Api, flowroute: Make, answers: list[Answer]) -> None:
    api.answers = answers

    assert await flowroute(timeouts=Timeouts(connect=5, read=0.3, total=5)).lookup(PARCEL, NOON) is None
    assert len(api.asked) <= 10


async def test_texts_that_came_while_we_were_down_are_listed_newest_first(api: Api, flowroute: Make) -> None:
    came = {"direction": "inbound", "to": "12025550100", "from": "12025550143", "body": "When?", "status": "delivered"}
    media = {"relationships": {"media": {"data": [{"type": "media", "id": "1"}, {"type": "media", "id": "2"}]}}}
    api.answers = [
        page(
            row(1, NOON - timedelta(seconds=1), **came),
            row(2, NOON, **came) | media,
            row(3, NOON + timedelta(seconds=1), **came),
            row(4, NOON, **(came | {"to": "12025550101"})),
            row(5, NOON),
        ),
        page(),
    ]

    found = await flowroute().inbound_since("+12025550100", NOON + timedelta(milliseconds=400))

    assert numbers(found) == [3, 2]
    assert found is not None
    assert [(each.sender, each.body, each.media) for each in found] == [
        ("+12025550143", "When?", 0),
        ("+12025550143", "When?", 2),
    ]
    assert "start_date=2026-11-23T17%3A00%3A00.00Z&limit" in api.asked[0][1]


async def test_a_text_is_fetched_with_its_status_and_code(api: Api, flowroute: Make) -> None:
    receipts = [
        {"level": 2, "status": "failed", "status_code": 1108, "status_code_description": "x"},
        {"level": 1, "status": "smsc submit", "status_code": None},
    ]
    api.answers = [says(200, {"data": row(7, NOON, status="failed", delivery_receipts=receipts)})]

    text = await flowroute().fetch("mdr2-7/../8")

    assert text is not None
    assert (text.status, text.code, text.created_at) == ("failed", "1108", NOON)
    assert api.asked == [("GET", f"{MESSAGES}/mdr2-7%2F..%2F8")]


async def test_delivered_to_the_carrier_is_not_yet_delivered(api: Api, flowroute: Make) -> None:
    receipts = [{"level": 1, "status": "delivered", "status_code": "1000"}]
    api.answers = [says(200, {"data": row(7, NOON, status="delivered", delivery_receipts=receipts)})]

    text = await flowroute().fetch(IDENT)

    assert text is not None
    assert (text.status, text.code) == ("sent", "")


@pytest.mark.parametrize("answer", [says(404, no(404, "gone")), says(200, "[]"), says(200, {}), reset])
async def test_a_text_that_cannot_be_fetched_is_none(api: Api, flowroute: Make, answer: Answer) -> None:
    api.answers = [answer]

    assert await flowroute().fetch(IDENT) is None


async def test_the_addresses_of_media_are_those_that_came_with_the_text(api: Api, flowroute: Make) -> None:
    included = [
        {"type": "media", "id": "1", "attributes": {"url": "https://m.flowroute.com/1?Signature=x"}},
        {"type": "other", "attributes": {"url": "https://m.flowroute.com/2"}},
        {"type": "media", "attributes": {"url": "https://m.flowroute.com/3\nX"}},
        {"type": "media", "attributes": {}},
        "odd",
    ]
    api.answers = [says(200, {"data": row(7, NOON), "included": included}), says(503, "<html>no</html>")]
    provider = flowroute()

    assert await provider.media_of(IDENT) == ("https://m.flowroute.com/1?Signature=x",)
    assert await provider.media_of(IDENT) is None


@pytest.mark.parametrize(
    ("word", "level", "expected"),
    [
        ("smsc submit", 1, "sent"),
        ("message buffered", 2, "sent"),
        ("Delivered", 2, "delivered"),
        ("delivered", 0, "delivered"),
        ("delivered", 1, "sent"),
        ("undelivered", 2, "undelivered"),
        ("smsc_reject", 1, "undelivered"),
        ("failed", 1, "failed"),
        ("canceled", 2, "canceled"),
        ("a word of tomorrow", 2, "sent"),
        (None, 2, "sent"),
    ],
)
def test_only_words_that_are_known_end_a_text(word: object, level: int, expected: str) -> None:
    assert status(word, level) == expected


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("12025550143", "+12025550143"),
        ("+12025550143", "+12025550143"),
        ("2025550143", "+12025550143"),
        ("442071838750", "+442071838750"),
        ("262966", "262966"),
        (12025550143, "+12025550143"),
        ("", ""),
        (None, ""),
    ],
)
def test_a_number_without_its_plus_gets_it_back(written: object, expected: str) -> None:
    assert number(written) == expected
