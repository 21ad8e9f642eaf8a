from __future__ import annotations

import asyncio
import re
from typing import Any

import aiohttp
import pytest
from simulated import ACCOUNT, LIST, OURS, PHONE, TOKEN, Api, one, text
from twilio.base.exceptions import TwilioRestException
from twilio.rest import Client
from twilio_contract import contract, needs_document

from gateway.simulator.form import Form, strange
from gateway.simulator.texts import LIST_KEYS
from gateway.simulator.world import World

SERVICE = "MG" + "c" * 32


def sdk(world: World, token: str = TOKEN) -> Client:
    client = Client(ACCOUNT, token)
    client.api.base_url = world.api_url
    return client


async def test_the_sdk_sends_fetches_and_lists_a_text(world: World) -> None:
    client = sdk(world)
    made = await asyncio.to_thread(
        client.messages.create, to=PHONE, from_=OURS, body="hi", media_url=["https://x.example/1"]
    )
    fetched = await asyncio.to_thread(client.messages(made.sid).fetch)
    listed = await asyncio.to_thread(client.messages.list, to=PHONE)

    assert (made.status, made.num_media, made.direction) == ("queued", "1", "outbound-api")
    assert re.fullmatch("MM[0-9a-f]{32}", made.sid)
    assert fetched.body == "hi"
    assert [row.sid for row in listed] == [made.sid]
    assert world.surprises == []


async def test_the_sdk_raises_what_twilio_refuses(world: World) -> None:
    with pytest.raises(TwilioRestException) as bad_login:
        await asyncio.to_thread(sdk(world, "wrong").messages.create, to=PHONE, from_=OURS, body="hi")
    with pytest.raises(TwilioRestException) as unknown:
        await asyncio.to_thread(sdk(world).messages("SM" + "0" * 32).fetch)

    assert (bad_login.value.status, bad_login.value.code) == (401, 20003)
    assert (unknown.value.status, unknown.value.code) == (404, 20404)


REFUSED = {
    "no To": ({"To": ""}, 21604),
    "no From": ({"From": ""}, 21603),
    "no Body": ({"Body": ""}, 21602),
    "1601 characters": ({"Body": "x" * 1601}, 21617),
    "To without its plus": ({"To": "2025550143"}, 21211),
    "To one digit short": ({"To": "+1202555014"}, 21211),
    "From of no form": ({"From": "+1"}, 21212),
    "service of no form": ({"MessagingServiceSid": "MGx"}, 21705),
    "callback that is no URL": ({"StatusCallback": "nowhere"}, 21609),
    "callback with an underscore": ({"StatusCallback": "https://my_host.example/"}, 21609),
    "callback of 4001 characters": ({"StatusCallback": "https://h.example/".ljust(4001, "x")}, 21609),
    "validity of 0": ({"ValidityPeriod": "0"}, 90007),
    "validity of 36001": ({"ValidityPeriod": "36001"}, 90007),
    "validity in words": ({"ValidityPeriod": "an hour"}, 90007),
    "attempt in words": ({"Attempt": "second"}, 20001),
    "eleven media": ({"MediaUrl": ["https://x.example/1"] * 11}, 21623),
    "medium that is no URL": ({"MediaUrl": "file:///etc/passwd"}, 21620),
    "magic invalid": ({"To": "+15005550001"}, 21211),
    "magic unreachable": ({"To": "+15005550002"}, 21612),
    "magic country": ({"To": "+15005550003"}, 21408),
    "magic stopped": ({"To": "+15005550004"}, 21610),
    "magic landline": ({"To": "+15005550009"}, 21614),
    "magic bad From": ({"From": "+15005550001"}, 21212),
    "magic foreign From": ({"From": "+15005550007"}, 21606),
    "magic full From": ({"From": "+15005550008"}, 21611),
}


@pytest.mark.parametrize(("change", "code"), REFUSED.values(), ids=REFUSED.keys())
async def test_a_bad_text_is_refused_with_twilios_code_and_not_stored(
    world: World, api: Api, change: dict[str, Any], code: int
) -> None:
    status, body = await api.post({key: value for key, value in (text() | change).items() if value})

    assert (status, body["code"], body["status"]) == (400, code, 400)
    assert set(body) == {"code", "message", "more_info", "status"}
    assert world.twilio.texts.all() == []


@pytest.mark.parametrize(
    "change",
    [
        {"Body": "x" * 1600},
        {"ValidityPeriod": "1"},
        {"ValidityPeriod": "36000"},
        {"From": "+15005550006"},
        {"From": "12345"},
    ],
    ids=["1600 characters", "validity of 1", "validity of 36000", "magic good From", "short code"],
)
async def test_a_text_at_the_bounds_is_taken(api: Api, change: dict[str, Any]) -> None:
    status, _ = await api.post(text() | change)

    assert status == 201


async def test_a_from_that_is_not_the_accounts_is_refused() -> None:
    async with World(ACCOUNT, TOKEN, numbers=[OURS]) as world, aiohttp.ClientSession() as http:
        api = Api(http, world.api_url, {"Authorization": aiohttp.encode_basic_auth(ACCOUNT, TOKEN)})
        _, refused = await api.post(text() | {"From": "+12025550199"})
        taken, _ = await api.post(text())

    assert refused["code"] == 21606
    assert taken == 201


async def test_parameters_that_twilio_does_not_know_are_surprises(world: World, api: Api) -> None:
    await api.post(text(Bodi="x", StatusCallBack="https://x.example"))
    await api.post(text() | {"To": [PHONE, PHONE]})
    await api.get(LIST, Too=PHONE)
    await api.get("/2010-04-01/Nothing.json")

    assert world.surprises == [
        "POST Messages: unknown parameter 'Bodi'",
        "POST Messages: unknown parameter 'StatusCallBack'",
        "POST Messages: parameter 'To' came twice",
        "GET Messages: unknown parameter 'Too'",
        "GET /2010-04-01/Nothing.json is nothing that is simulated",
    ]


@needs_document
def test_all_parameters_of_the_openapi_document_are_known() -> None:
    assert strange(Form(dict.fromkeys(contract()["create"]["properties"], "x"))) == []
    assert contract()["list"] == LIST_KEYS


async def test_a_body_that_is_no_form_is_refused(api: Api) -> None:
    async with api.http.post(api.url + LIST, json={"To": PHONE}, headers=api.headers) as answer:
        status = answer.status
    other, _ = await api.post(text(), **{"Content-Type": "text/plain"})

    assert (status, other) == (400, 415)


async def test_another_account_is_not_found(api: Api) -> None:
    status, body = await api.get(LIST.replace("a1", "b2"))

    assert (status, body["code"]) == (404, 20404)


def conforms(value: object, rule: dict[str, Any]) -> bool:
    if value is None:
        return bool(rule.get("nullable"))
    kinds: dict[str, type] = {"string": str, "integer": int, "object": dict}
    if not isinstance(value, kinds[rule["type"]]):
        return False
    return value in rule.get("enum", [value]) and bool(re.search(rule.get("pattern", ""), str(value)))


@needs_document
async def test_every_resource_and_page_has_the_fields_of_the_openapi_document(world: World, api: Api) -> None:
    await api.post(text())
    await api.post({"To": PHONE, "MessagingServiceSid": SERVICE, "Body": "by service"})
    await world.customer_texts(PHONE, OURS, "picture", [("image/png", b"png")])
    await world.wait(lambda w: all(t.status in ("delivered", "received") for t in w.twilio.texts.all()))
    _, page = await api.get(LIST)
    wrong = [
        (key, row.get(key, "missing"))
        for row in page["messages"]
        for key, rule in contract()["message"].items()
        if not conforms(row.get(key, ...), rule)
    ]

    assert wrong == []
    assert {key for row in page["messages"] for key in row} == set(contract()["message"])
    assert set(page) == contract()["page"]


async def test_a_text_by_service_is_accepted_first_and_gets_its_number_later() -> None:
    async with World(ACCOUNT, TOKEN, services={SERVICE: OURS}) as world, aiohttp.ClientSession() as http:
        api = Api(http, world.api_url, {"Authorization": aiohttp.encode_basic_auth(ACCOUNT, TOKEN)})
        _, made = await api.post({"To": PHONE, "MessagingServiceSid": SERVICE, "Body": "hi"})
        await world.wait(lambda w: w.phone(PHONE)[0].status == "delivered")
        _, later = await api.get(one(made["sid"]))
        await world.customer_texts(PHONE, OURS, "STOP")
        _, refused = await api.post({"To": PHONE, "MessagingServiceSid": SERVICE, "Body": "hi"})

    assert (made["status"], made["from"], made["num_segments"]) == ("accepted", None, "0")
    assert (later["from"], later["num_segments"]) == (OURS, "1")
    assert refused["code"] == 21610


async def test_the_list_is_newest_first_and_its_pages_do_not_shift(world: World, api: Api) -> None:
    made = [(await api.post(text(body=str(n))))[1]["sid"] for n in range(5)]
    _, first = await api.get(LIST, PageSize="2")
    await api.post(text(body="a late one"))
    async with api.http.get(api.url + first["next_page_uri"], headers=api.headers) as answer:
        second = await answer.json()
    rows = await asyncio.to_thread(sdk(world).messages.list, page_size=2)

    assert [row["sid"] for row in first["messages"] + second["messages"]] == made[:0:-1]
    assert [row.body for row in rows] == ["a late one", "4", "3", "2", "1", "0"]


async def test_the_list_is_filtered_by_to_and_from(api: Api) -> None:
    await api.post(text())
    await api.post(text(to="+12025550144") | {"From": "+12025550101"})

    found = [(await api.get(LIST, **query))[1]["messages"] for query in ({"To": PHONE}, {"From": "+12025550101"})]

    assert [[row["to"] for row in rows] for rows in found] == [[PHONE], ["+12025550144"]]


@pytest.mark.parametrize(
    ("key", "value", "found"),
    [
        ("DateSent", "today", 1),
        ("DateSent", "2001-01-01", 0),
        ("DateSent<", "2001-01-01", 0),
        ("DateSent<", "2999-01-01", 1),
        ("DateSent>", "2001-01-01T00:00:00Z", 1),
        ("DateSent>", "2999-01-01", 0),
    ],
)
async def test_the_list_is_filtered_by_date_sent(world: World, api: Api, key: str, value: str, found: int) -> None:
    await api.post(text())
    sent = (await world.wait(lambda w: w.phone(PHONE)[0] if w.phone(PHONE)[0].sent else None)).sent
    _, page = await api.get(LIST, **{key: f"{sent:%Y-%m-%d}" if value == "today" else value})

    assert len(page["messages"]) == found


@pytest.mark.parametrize("query", [{"DateSent": "yesterday"}, {"PageSize": "0"}, {"PageSize": "x"}])
async def test_a_list_with_a_bad_parameter_is_refused(api: Api, query: dict[str, str]) -> None:
    status, body = await api.get(LIST, **query)

    assert (status, body["code"]) == (400, 20001)


async def test_a_text_is_listed_only_after_the_lag(world: World, api: Api) -> None:
    world.twilio.list_lag_seconds = 3600
    await api.post(text())
    _, hidden = await api.get(LIST)
    world.twilio.list_lag_seconds = 0
    _, shown = await api.get(LIST)

    assert (len(hidden["messages"]), len(shown["messages"])) == (0, 1)


async def test_media_of_a_customer_need_the_credentials(world: World, api: Api) -> None:
    await world.customer_texts(PHONE, OURS, "", [("image/png", b"png")])
    url = f"{api.url}{world.phone(PHONE)[0].path}/Media/{world.phone(PHONE)[0].media_sids[0]}"
    async with api.http.get(url) as stranger, api.http.get(url, headers=api.headers) as owner:
        seen = (stranger.status, owner.status, owner.content_type, await owner.read())

    assert seen == (401, 200, "image/png", b"png")
