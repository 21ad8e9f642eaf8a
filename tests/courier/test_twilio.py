"""What becomes of a paid text at Twilio: every answer and failure of a real HTTP server, and its one outcome."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import socket
from base64 import b64decode
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import pytest
from aiohttp import web
from twilio_contract import contract, needs_document

from gateway.core.model import Phone
from gateway.core.work import Accepted, Deferred, Outcome, Refused, TextParcel, Unclear
from gateway.courier.session import Timeouts
from gateway.courier.twilio import TwilioProvider

ACCOUNT = "AC" + "0123456789abcdef" * 2
TOKEN = "8d1f0c5b"
PUBLIC = "https://sms.example.com"
DELIVERY = "01J9ZQ.0.0"
MESSAGES = f"/2010-04-01/Accounts/{ACCOUNT}/Messages.json"
PARCEL = TextParcel(
    number=Phone("+12025550100"),
    service="",
    to=Phone("+12025550143"),
    body="Señor, your car & dog",
    validity_seconds=7200,
)
NOON = datetime(2026, 11, 23, 17, 0, tzinfo=UTC)

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


def recorded(name: str) -> dict[str, Any]:
    """An answer of the API, from tests/courier/twilio."""
    found: dict[str, Any] = json.loads((Path(__file__).with_name("twilio") / f"{name}.json").read_text())
    return found


def says(status: int, body: Any, **headers: str) -> Answer:
    """An answer with that status; a str goes out as a page, anything else as JSON."""

    async def answer(_request: web.Request) -> web.StreamResponse:
        text, kind = (body, "text/html") if isinstance(body, str) else (json.dumps(body), "application/json")
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return web.Response(status=status, text=text, content_type=kind, headers=named)

    return answer


async def reset(request: web.Request) -> web.StreamResponse:
    """Takes the request whole and drops the connection."""
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def silent(request: web.Request) -> web.StreamResponse:
    """Takes the request whole and never answers."""
    await asyncio.Event().wait()
    return web.Response()


async def cut(request: web.Request) -> web.StreamResponse:
    """Begins a 201 and drops the connection before its end."""
    response = web.StreamResponse(status=201, headers={"Content-Length": "500"})
    await response.prepare(request)
    await response.write(b'{"sid": "SM')
    assert request.transport is not None
    request.transport.close()
    return response


@dataclass
class Api:
    """A server that answers in turn, then again with the last answer, and keeps what it was asked."""

    url: str = ""
    answers: list[Answer] = field(default_factory=list)
    asked: list[tuple[str, str]] = field(default_factory=list)  # method, raw path and query
    forms: list[dict[str, list[str]]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append((request.method, request.raw_path))
        self.headers.append(dict(request.headers))
        self.forms.append(
            parse_qs((await request.text()), keep_blank_values=True, strict_parsing=bool(request.can_read_body))
        )
        return await (self.answers.pop(0) if len(self.answers) > 1 else self.answers[0])(request)


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


Make = Callable[..., TwilioProvider]


@pytest.fixture
async def twilio(api: Api) -> AsyncIterator[Make]:
    """Makes providers that ask `api` unless told; all are closed at the end."""
    made: list[TwilioProvider] = []

    def make(**options: Any) -> TwilioProvider:
        options = {"account_sid": ACCOUNT, "auth_token": TOKEN, "api_url": api.url, "public_url": PUBLIC} | options
        made.append(TwilioProvider(**options))
        return made[-1]

    yield make
    for one in made:
        await one.close()


async def send(provider: TwilioProvider, parcel: TextParcel = PARCEL) -> Outcome:
    async with asyncio.timeout(20):
        return await provider.send(parcel, DELIVERY, 2)


async def test_a_201_with_a_sid_is_accepted(api: Api, twilio: Make) -> None:
    api.answers = [says(201, recorded("created"))]

    assert await send(twilio()) == Accepted(
        remote_id="SM" + "a" * 32, status="queued", note="accepted by Twilio: queued"
    )


async def test_accepted_by_a_service_counts_as_queued(api: Api, twilio: Make) -> None:
    api.answers = [says(201, recorded("created_by_service"))]

    outcome = await send(twilio(), replace(PARCEL, service="MG" + "c" * 32))

    assert isinstance(outcome, Accepted)
    assert outcome.status == "queued"


async def test_the_request_carries_the_text_its_time_and_the_address_of_its_status(api: Api, twilio: Make) -> None:
    api.answers = [says(201, recorded("created"))]

    await send(twilio(public_url=PUBLIC + "/"))

    assert api.asked == [("POST", MESSAGES)]
    assert api.forms == [
        {
            "To": ["+12025550143"],
            "From": ["+12025550100"],
            "Body": ["Señor, your car & dog"],
            "ValidityPeriod": ["7200"],
            "StatusCallback": [f"{PUBLIC}/hooks/twilio/status?d={DELIVERY}&a=2"],
        }
    ]
    assert b64decode(api.headers[0]["Authorization"].removeprefix("Basic ")).decode() == f"{ACCOUNT}:{TOKEN}"


async def test_a_service_goes_with_the_number_that_it_must_use(api: Api, twilio: Make) -> None:
    api.answers = [says(201, recorded("created_by_service"))]

    await send(twilio(), replace(PARCEL, service="MG" + "c" * 32))

    assert (api.forms[0]["MessagingServiceSid"], api.forms[0]["From"]) == (["MG" + "c" * 32], ["+12025550100"])


async def test_without_a_public_url_no_status_is_asked_for(api: Api, twilio: Make) -> None:
    api.answers = [says(201, recorded("created"))]

    await send(twilio(public_url=""))

    assert "StatusCallback" not in api.forms[0]


async def test_a_delivery_id_is_quoted_in_the_address_of_its_status(api: Api, twilio: Make) -> None:
    api.answers = [says(201, recorded("created"))]

    await twilio().send(PARCEL, "a&b=c d", 1)

    query = urlsplit(api.forms[0]["StatusCallback"][0]).query
    assert parse_qsl(query) == [("d", "a&b=c d"), ("a", "1")]


@needs_document
@pytest.mark.parametrize("service", ["", "MG" + "c" * 32], ids=["number", "service"])
async def test_every_field_is_one_of_the_providers_document(api: Api, twilio: Make, service: str) -> None:
    api.answers = [says(201, recorded("created"))]

    await send(twilio(), replace(PARCEL, service=service))

    for name, (value,) in api.forms[0].items():
        schema = contract()["create"]["properties"][name]
        assert schema["type"] != "integer" or value.isdigit()
        assert re.search(schema.get("pattern", ""), value)
    assert set(contract()["create"]["required"]) <= set(api.forms[0])


@needs_document
@pytest.mark.parametrize("name", ["created", "created_by_service", "fetched_undelivered", "inbound"])
def test_the_recorded_texts_have_the_form_of_the_providers_document(name: str) -> None:
    text = recorded(name)

    assert set(text) == set(contract()["message"])
    for key, value in text.items():
        schema = contract()["message"][key]
        assert value is None or re.search(schema.get("pattern", ""), str(value))
        assert value in schema.get("enum", [value])


UNREADABLE = [
    ("201 without sid", says(201, recorded("created") | {"sid": None})),
    ("201 with a list", says(201, [1])),
    ("201 with garbage", says(201, '{"sid": "SM')),
    ("201 with nothing", says(201, "")),
    ("201 cut off", cut),
    ("200 page", says(200, "<html>Welcome to the hotel network</html>")),
    ("307", says(307, "", Location="/elsewhere")),
    ("400 page", says(400, "<html>Bad Request</html>")),
    ("403 page", says(403, "<html>blocked</html>")),
    ("429 page", says(429, "<html>slow down</html>")),
    ("429 of a proxy", says(429, {"code": 429, "message": "slow down"})),
    ("500 code 20500", says(500, {"code": 20500, "message": "Internal Server Error", "status": 500})),
    ("503 code 20503", says(503, {"code": 20503, "message": "Service unavailable", "status": 503})),
    ("503 page", says(503, "<html>Service Unavailable</html>")),
    ("500 with a 4xx code", says(500, {"code": 21211, "message": "Invalid To", "status": 500})),
    ("reset after the body", reset),
    ("silence", silent),
]


@pytest.mark.parametrize("answer", [a for _, a in UNREADABLE], ids=[i for i, _ in UNREADABLE])
async def test_whatever_does_not_prove_a_no_is_unclear_and_never_asked_again(
    api: Api, twilio: Make, answer: Answer
) -> None:
    api.answers = [answer]

    outcome = await send(twilio(timeouts=Timeouts(connect=5, read=0.3, total=5)))

    assert isinstance(outcome, Unclear)
    assert outcome.reason
    assert len(api.asked) == 1


async def test_a_kept_connection_that_breaks_is_unclear_like_a_new_one(api: Api, twilio: Make) -> None:
    api.answers = [says(201, recorded("created")), reset]
    provider = twilio()

    first, second = await send(provider), await send(provider)

    assert isinstance(first, Accepted)
    assert isinstance(second, Unclear)
    assert len(api.asked) == 2


async def test_the_whole_request_has_a_deadline(api: Api, twilio: Make) -> None:
    api.answers = [silent]

    assert isinstance(await send(twilio(timeouts=Timeouts(connect=5, read=60, total=0.3))), Unclear)


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (
            says(400, recorded("error_21610")),
            Refused(
                reason="the person has opted out (STOP) of texts from this number (Twilio 21610)",
                code="21610",
                opted_out=True,
            ),
        ),
        (
            says(400, recorded("error_21211")),
            Refused(reason="the number is not a valid phone number (Twilio 21211)", code="21211"),
        ),
        (
            says(400, recorded("problem_21211")),
            Refused(reason="the number is not a valid phone number (Twilio 21211)", code="21211"),
        ),
        (
            says(400, {"code": 29999, "message": "A rule\nof tomorrow", "status": 400}),
            Refused(reason="A rule of tomorrow (Twilio 29999)", code="29999"),
        ),
        (
            says(401, recorded("error_20003")),
            Deferred(
                reason="the account or its auth token is not accepted (Twilio 20003)", code="20003", sender_wide=True
            ),
        ),
        (
            says(403, {"code": 29998, "message": "No", "status": 403}),
            Deferred(reason="No (Twilio 29998)", code="29998", sender_wide=True),
        ),
        (
            says(400, {"code": 21606, "message": "not yours", "status": 400}),
            Deferred(
                reason="our number does not belong to the account or cannot text that destination (Twilio 21606)",
                code="21606",
                sender_wide=True,
            ),
        ),
        (
            says(400, {"code": 21611, "message": "queue", "status": 400}),
            Deferred(
                reason="the queue of our number is full (Twilio 21611)",
                code="21611",
                retry_after=300.0,
                sender_wide=True,
            ),
        ),
        (
            says(429, recorded("error_20429"), Retry_After="7"),
            Deferred(
                reason="too many requests at once; this one was not processed (Twilio 20429)",
                code="20429",
                retry_after=7.0,
                sender_wide=True,
            ),
        ),
        (
            says(429, {"code": 20429}, Retry_After="Mon, 23 Nov 2026 17:00:00 GMT"),
            Deferred(
                reason="too many requests at once; this one was not processed (Twilio 20429)",
                code="20429",
                retry_after=1.0,
                sender_wide=True,
            ),
        ),
    ],
    ids=["stop", "recipient", "rfc 9457", "unknown", "auth", "unknown 403", "number", "queue full", "429", "429 date"],
)
async def test_twilios_own_no_is_certain_and_never_asked_again(
    api: Api, twilio: Make, answer: Answer, outcome: Outcome
) -> None:
    api.answers = [answer]

    assert await send(twilio()) == outcome
    assert len(api.asked) == 1


async def test_a_connection_that_cannot_be_had_is_deferred_for_all_texts(api: Api, twilio: Make) -> None:
    with socket.create_server(("127.0.0.1", 0)) as bound:
        gone = f"http://127.0.0.1:{bound.getsockname()[1]}"
    no_tls = api.url.replace("http:", "https:")

    for url in (gone, no_tls):
        outcome = await send(twilio(api_url=url))
        assert isinstance(outcome, Deferred)
        assert outcome.sender_wide
        assert "+1" not in outcome.reason
    assert api.asked == []


async def test_time_that_runs_out_before_there_is_a_connection_is_deferred(twilio: Make) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as deaf:  # no TLS answer ever comes
        outcome = await send(
            twilio(
                api_url=f"https://127.0.0.1:{deaf.getsockname()[1]}",
                timeouts=Timeouts(connect=0.3, read=0.3, total=0.3),
            )
        )

    assert isinstance(outcome, Deferred)
    assert outcome.sender_wide


async def test_the_environment_does_not_choose_the_host(
    api: Api, twilio: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TWILIO_EDGE", "ashburn")
    monkeypatch.setenv("TWILIO_REGION", "ie1")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    api.answers = [says(201, recorded("created"))]

    assert isinstance(await send(twilio()), Accepted)


async def test_no_log_bears_a_phone_a_text_or_the_token(
    api: Api, twilio: Make, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    api.answers = [says(201, recorded("created")), says(400, recorded("error_21211"))]
    provider = twilio()

    await send(provider)
    await send(provider)
    await provider.lookup(PARCEL, NOON)

    said = "\n".join(f"{r.getMessage()} {r.exc_info}" for r in caplog.records if r.name != "aiohttp.access")
    for secret in ("5550143", "dog", TOKEN):
        assert secret not in said


def row(n: int, at: datetime, **changes: Any) -> dict[str, Any]:
    """A text of the list that was created then."""
    return recorded("created") | {"sid": f"SM{n:032x}", "date_created": format_datetime(at)} | changes


def page(rows: list[dict[str, Any]], next_page: int = 0) -> Answer:
    link = f"{MESSAGES}?To=%2B12025550143&PageSize=50&Page={next_page}&PageToken=PA1" if next_page else None
    return says(200, {"messages": rows, "next_page_uri": link, "page": max(0, next_page - 1), "page_size": 50})


async def test_a_look_up_lists_what_went_to_the_phone_around_that_time(api: Api, twilio: Make) -> None:
    ages = {1: -301, 2: -300, 3: 0, 4: 119, 5: 120, 6: 121}  # seconds before noon
    rows = [row(n, NOON - timedelta(seconds=age)) for n, age in ages.items()]
    api.answers = [page([row(9, NOON, direction="inbound"), *rows])]

    found = await twilio().lookup(PARCEL, NOON)

    assert found is not None
    assert [int(r.remote_id[2:], 16) for r in found] == [2, 3, 4, 5]
    assert (found[0].body, found[0].sender, found[0].status) == ("Your car is ready", "+12025550100", "queued")
    assert api.asked == [("GET", f"{MESSAGES}?To=%2B12025550143&PageSize=50")]


async def test_a_look_up_follows_the_pages_until_they_are_older(api: Api, twilio: Make) -> None:
    api.answers = [
        page([row(1, NOON)], 1),
        page([row(2, NOON - timedelta(seconds=60))], 2),
        page([row(3, NOON - timedelta(seconds=100)), row(4, NOON - timedelta(seconds=200))], 3),
    ]

    found = await twilio().lookup(PARCEL, NOON)

    assert found is not None
    assert len(found) == 3
    assert [q for _, q in api.asked[1:]] == [
        f"{MESSAGES}?To=%2B12025550143&PageSize=50&Page={n}&PageToken=PA1" for n in (1, 2)
    ]


async def test_pages_that_run_from_old_to_new_prove_nothing_before_the_last(api: Api, twilio: Make) -> None:
    old = NOON - timedelta(days=1)
    api.answers = [page([row(1, old), row(2, old + timedelta(seconds=1))], 1), page([row(3, NOON)])]

    found = await twilio().lookup(PARCEL, NOON)

    assert found is not None
    assert [int(r.remote_id[2:], 16) for r in found] == [3]


@pytest.mark.parametrize(
    "answers",
    [
        [reset],
        [silent],
        [says(503, "<html>no</html>")],
        [says(401, recorded("error_20003"))],
        [says(200, "<html>hotel</html>")],
        [says(200, {"messages": None})],
        [says(200, {"messages": [1]})],
        [says(200, {})],
        [page([row(1, NOON) | {"date_created": "yesterday"}])],
        [page([row(1, NOON) | {"sid": None}])],
        [page([row(1, NOON)], 1), says(503, "<html>no</html>")],
        [page([row(1, NOON)], 1)],
    ],
    ids=[
        "reset", "silence", "503", "401", "page", "no list", "no texts", "empty", "no time", "no sid", "second page",
        "more pages than are read",
    ],
)  # fmt: skip
async def test_a_look_up_that_is_not_whole_is_none(api: Api, twilio: Make, answers: list[Answer]) -> None:
    api.answers = answers

    assert await twilio(timeouts=Timeouts(connect=5, read=0.3, total=5)).lookup(PARCEL, NOON) is None
    assert len(api.asked) <= 4


async def test_a_look_up_that_cannot_connect_is_none(twilio: Make) -> None:
    with socket.create_server(("127.0.0.1", 0)) as bound:
        gone = f"http://127.0.0.1:{bound.getsockname()[1]}"

    assert await twilio(api_url=gone).lookup(PARCEL, NOON) is None


async def test_a_text_is_fetched_with_its_status_and_code(api: Api, twilio: Make) -> None:
    api.answers = [says(200, recorded("fetched_undelivered"))]

    text = await twilio().fetch("SM" + "a" * 32)

    assert text is not None
    assert (text.status, text.code, text.created_at) == ("undelivered", "30005", NOON)
    assert api.asked == [("GET", f"/2010-04-01/Accounts/{ACCOUNT}/Messages/SM{'a' * 32}.json")]


@pytest.mark.parametrize(
    "answer", [says(404, {"code": 20404, "message": "not found", "status": 404}), says(200, "[]"), reset]
)
async def test_a_text_that_cannot_be_fetched_is_none(api: Api, twilio: Make, answer: Answer) -> None:
    api.answers = [answer]

    assert await twilio().fetch("SM" + "a" * 32) is None


async def test_texts_that_came_while_we_were_down_are_listed(api: Api, twilio: Make) -> None:
    came = recorded("inbound")
    api.answers = [
        page([came, came | {"sid": "SM" + "e" * 32, "direction": "outbound-api"}], 1),
        page([came | {"sid": "SM" + "f" * 32, "date_created": format_datetime(NOON - timedelta(hours=1))}], 2),
    ]

    found = await twilio().inbound_since("+12025550100", NOON + timedelta(milliseconds=400))

    assert found is not None
    assert [(r.remote_id, r.sender, r.body) for r in found] == [("SM" + "d" * 32, "+12025550143", "When?")]
    assert len(api.asked) == 2


async def test_a_list_that_is_longer_than_a_few_pages_is_read_in_large_ones(api: Api, twilio: Make) -> None:
    came = recorded("inbound")
    old = came | {"sid": "SM" + "f" * 32, "date_created": format_datetime(NOON - timedelta(hours=1))}
    api.answers = [*(page([came], n) for n in (1, 2, 3, 4)), page([came], 1), page([old])]

    found = await twilio().inbound_since("+12025550100", NOON)

    assert found is not None
    assert [r.remote_id for r in found] == ["SM" + "d" * 32]
    assert [("PageSize=500" in q, "Page=" in q) for _, q in api.asked[4:5]] == [(True, False)]


async def test_texts_that_are_more_than_any_page_holds_are_none(api: Api, twilio: Make) -> None:
    api.answers = [page([recorded("inbound")], 1)]

    assert await twilio().inbound_since("+12025550100", NOON) is None
    assert len(api.asked) == 44


async def test_texts_that_cannot_be_listed_are_none(api: Api, twilio: Make) -> None:
    api.answers = [says(503, "<html>no</html>")]

    assert await twilio().inbound_since("+12025550100", NOON) is None
