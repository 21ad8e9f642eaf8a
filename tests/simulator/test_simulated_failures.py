"""Every failure of the provider's error table can be played, as an answer or as an end."""

from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
import pytest
from simulated import ACCOUNT, LIST, OURS, PHONE, PUBLIC, TOKEN, Api, Shop, text

from gateway.simulator.journal import Called
from gateway.simulator.phones import Script
from gateway.simulator.world import World

STATUS = f"{PUBLIC}/hooks/twilio/status?d=in1.0.0&a=1"
OTHER = "+12025550101"
SERVICE = "MG" + "c" * 32
ANSWERED = {
    20001: 400, 20003: 401, 20005: 403, 20006: 403, 20404: 404, 20422: 400, 20429: 429, 20500: 500, 20503: 503,
    14107: 400, 21211: 400, 21212: 400, 21219: 400, 21408: 400, 21601: 400, 21602: 400, 21603: 400, 21604: 400,
    21606: 400, 21608: 400, 21609: 400, 21610: 400, 21611: 400, 21612: 400, 21614: 400, 21616: 400, 21617: 400,
    21618: 400, 21619: 400, 21620: 400, 21621: 400, 21622: 400, 21623: 400, 21624: 400, 21635: 400, 21658: 400,
    21659: 400, 21660: 400, 21661: 400, 21703: 400, 21704: 400, 21705: 400, 21709: 400, 21712: 400, 21730: 400,
    90007: 400,
}  # fmt: skip
ENDED = [
    30001, 30002, 30003, 30004, 30005, 30006, 30007, 30008, 30010, 30011, 30017, 30018, 30019, 30022, 30023, 30024,
    30027, 30032, 30033, 30034, 30035, 30036, 30045, 30410, 30450, 30610, 30640, 63034,
]  # fmt: skip


@pytest.fixture
async def pooled(shop: Shop) -> AsyncIterator[tuple[World, Api]]:
    """A world whose service sends by one number."""
    headers = {"Authorization": aiohttp.encode_basic_auth(ACCOUNT, TOKEN)}
    async with (
        World(ACCOUNT, TOKEN, PUBLIC, shop.base, services={SERVICE: OURS}) as world,
        aiohttp.ClientSession() as http,
    ):
        yield world, Api(http, world.api_url, headers)


def calls(world: World) -> list[Called]:
    return [entry for entry in world.journal.entries if isinstance(entry, Called)]


def by_service() -> dict[str, str | list[str]]:
    return {"To": PHONE, "MessagingServiceSid": SERVICE, "Body": "hi"}


async def test_every_code_of_the_table_can_be_the_answer(world: World, api: Api) -> None:
    seen = {}
    for code in ANSWERED:
        world.twilio.faults.add(str(code))
        status, body = await api.post(text())
        seen[body["code"]] = status
        assert "not accepted" not in body["message"]

    assert seen == ANSWERED
    assert world.phone(PHONE) == []


@pytest.mark.parametrize("code", ENDED)
async def test_every_code_of_the_table_can_be_the_end(world: World, shop: Shop, api: Api, code: int) -> None:
    world.twilio.phones.scripts[PHONE] = Script(statuses=("sent", "undelivered"), code=code)
    await api.post(text(StatusCallback=STATUS))
    await world.wait(lambda w: len(calls(w)) == 2)

    assert [form.get("ErrorCode") for _, form, _ in shop.seen] == [None, str(code)]
    assert (world.phone(PHONE)[0].status, world.phone(PHONE)[0].code) == ("undelivered", code)


async def test_a_text_that_waits_longer_than_its_validity_fails_with_30036(world: World, shop: Shop, api: Api) -> None:
    world.twilio.phones.default = Script(queued=7200)
    await api.post(text(StatusCallback=STATUS, ValidityPeriod="7199"))
    await world.wait(calls)
    await api.post(text(ValidityPeriod="7200"))
    await world.wait(lambda w: w.phone(PHONE)[1].status == "delivered")

    assert (world.phone(PHONE)[0].status, world.phone(PHONE)[0].code) == ("failed", 30036)
    assert [(form["MessageStatus"], form["ErrorCode"]) for _, form, _ in shop.seen] == [("failed", "30036")]


async def test_only_a_text_with_media_ends_with_the_code_for_media(world: World, api: Api) -> None:
    world.twilio.phones.scripts[PHONE] = Script(media_code=30011)
    await api.post(text(MediaUrl="https://x.example/1"))
    await api.post(text())
    with_media, alone = await world.wait(
        lambda w: all(t.sent and t.status != "sent" for t in w.phone(PHONE)) and w.phone(PHONE)
    )

    assert (with_media.status, with_media.code) == ("undelivered", 30011)
    assert (alone.status, alone.code) == ("delivered", None)


async def test_a_script_stands_for_as_many_texts_as_it_says(world: World, api: Api) -> None:
    world.twilio.phones.scripts[PHONE] = Script(statuses=("undelivered",), code=30003, count=2)
    for _ in range(3):
        await api.post(text())
    await world.wait(lambda w: all(each.status in ("undelivered", "delivered") for each in w.phone(PHONE)))

    assert [each.code for each in world.phone(PHONE)] == [30003, 30003, None]


async def test_one_request_may_become_two_texts_with_callbacks_for_both(world: World, shop: Shop, api: Api) -> None:
    world.twilio.phones.scripts[PHONE] = Script(double=True)
    _, made = await api.post(text(StatusCallback=STATUS))
    await world.wait(lambda w: len(calls(w)) == 4)
    sids = [each.sid for each in world.phone(PHONE)]

    assert (len(set(sids)), made["sid"]) == (2, sids[0])
    assert {form["MessageSid"] for _, form, _ in shop.seen} == set(sids)
    assert {path for path, _, _ in shop.seen} == {STATUS.removeprefix(PUBLIC)}
    assert world.twilio.posts == {PHONE: 1}


async def test_late_callbacks_come_after_the_last_status(world: World, shop: Shop, api: Api) -> None:
    world.twilio.phones.scripts[PHONE] = Script(late=0.05)
    await api.post(text(StatusCallback=STATUS))
    await world.wait(lambda w: w.phone(PHONE)[0].status == "delivered")
    before = len(shop.seen)
    await world.wait(lambda w: len(calls(w)) == 2)

    assert before == 0
    assert [form["MessageStatus"] for _, form, _ in shop.seen] == ["sent", "delivered"]


async def test_a_full_queue_refuses_its_number_only_and_fails_the_texts_of_its_service(
    pooled: tuple[World, Api],
) -> None:
    world, api = pooled
    world.twilio.phones.full = {OURS}
    _, refused = await api.post(text())
    other, _ = await api.post(text() | {"From": OTHER})
    taken, made = await api.post(by_service())
    await world.wait(lambda w: w.twilio.texts.all()[-1].code)
    failed = world.twilio.texts.get(made["sid"])
    world.twilio.phones.full.clear()
    again, _ = await api.post(text())

    assert (refused["code"], other, taken, again) == (21611, 201, 201, 201)
    assert failed is not None
    assert (failed.status, failed.code) == ("failed", 30001)


async def test_too_many_texts_between_the_same_two_numbers_are_refused(world: World, api: Api) -> None:
    world.twilio.phones.pair_limit = 2
    answers = [(await api.post(text()))[1].get("code") for _ in range(3)]
    other, _ = await api.post(text() | {"From": OTHER})

    assert answers == [None, None, 14107]
    assert other == 201


async def test_a_fault_can_be_for_one_number_of_ours(world: World, api: Api) -> None:
    world.twilio.faults.add("21611", number=OTHER)
    mine, _ = await api.post(text())
    _, refused = await api.post(text() | {"From": OTHER})

    assert (mine, refused["code"]) == (201, 21611)


async def test_magic_numbers_fail_only_where_they_are_wanted(world: World, api: Api) -> None:
    world.twilio.magic_numbers = False
    answers = [(await api.post(text() | form))[0] for form in ({"To": "+15005550001"}, {"From": "+15005550007"})]

    assert answers == [201, 201]


async def test_a_stop_to_a_number_of_a_service_blocks_the_whole_service(shop: Shop) -> None:
    headers = {"Authorization": aiohttp.encode_basic_auth(ACCOUNT, TOKEN)}
    third = "+12025550102"
    async with World(ACCOUNT, TOKEN) as world, aiohttp.ClientSession() as http:
        phones = world.twilio.phones
        phones.serve(SERVICE, (OURS, OTHER))
        api = Api(http, world.api_url, headers)
        await world.customer_texts(PHONE, OTHER, "stop")
        ways = [by_service(), by_service() | {"From": OURS}, text(), text() | {"From": third}]
        blocked = [(await api.post(form))[1].get("code") for form in ways]
        await world.customer_texts(PHONE, OURS, "START")
        lifted = [(await api.post(form))[0] for form in ways]

    assert blocked == [21610, 21610, 21610, None]
    assert lifted == [201] * 4


async def test_an_account_may_filter_and_confirm_for_itself(world: World, api: Api) -> None:
    world.twilio.phones.confirms = False
    await world.customer_texts(PHONE, OURS, "STOP")
    _, refused = await api.post(text())
    await world.customer_texts(PHONE, OURS, "START")
    world.twilio.phones.blocks = False
    await world.customer_texts(PHONE, OURS, "STOP")
    taken, _ = await api.post(text())

    assert (refused["code"], taken) == (21610, 201)
    assert [each.direction for each in world.phone(PHONE) if each.direction == "outbound-reply"] == []


async def test_a_missed_text_is_only_in_the_list(world: World, shop: Shop, api: Api) -> None:
    picture = [("image/png", b"png")]
    status, missed = await world.twilio.phones.customer_texts(PHONE, OURS, "hello?", picture, missed=True)
    _, page = await api.get(LIST, To=OURS)

    assert (status, shop.seen, calls(world)) == (0, [], [])
    assert [(row["sid"], row["num_media"]) for row in page["messages"]] == [(missed.sid, "1")]


async def test_a_webhook_is_repeated_only_where_that_was_asked_for(world: World, shop: Shop) -> None:
    shop.status, shop.body = 503, ""
    await world.customer_texts(PHONE, OURS, "once")
    world.twilio.hooks.retries = 2
    await world.customer_texts(PHONE, OURS, "three times")
    shop.status = 404
    await world.customer_texts(PHONE, OURS, "once again")

    assert [form["Body"] for _, form, _ in shop.seen] == ["once", *["three times"] * 3, "once again"]


async def test_the_words_of_a_text_can_be_removed(world: World, api: Api) -> None:
    _, made = await api.post(text())
    url = f"{api.url}{LIST.removesuffix('.json')}/{made['sid']}.json"
    async with api.http.post(url, data={"Body": ""}, headers=api.headers) as redacted:
        seen = redacted.status, (await redacted.json())["body"]
    async with api.http.post(url, data={"Body": "other words"}, headers=api.headers) as refused:
        changed = refused.status

    assert (seen, changed, world.phone(PHONE)[0].body) == ((200, ""), 400, "")
    assert world.surprises == ["POST Messages/SID: the simulator knows only Body="]


async def test_another_process_can_say_what_the_account_is_like(world: World, shop: Shop, api: Api) -> None:
    flags = dict.fromkeys(("confirms", "blocks", "magic_numbers"), False) | {"fetches_media": True}
    good, _ = await api.control("account", flags | {"full": [OURS], "pair_limit": 3, "retries": 1})
    bad, _ = await api.control("account", {"confirms": "no"})
    await api.control("text", {"from": PHONE, "to": OURS, "body": "x", "missed": True})
    await api.control("fail", {"fault": "21611", "number": OTHER})
    _, refused = await api.post(text() | {"From": OTHER})
    phones, twilio = world.twilio.phones, world.twilio

    assert (good, bad, refused["code"], shop.seen) == (200, 400, 21611, [])
    assert (phones.confirms, phones.blocks, phones.full, phones.pair_limit) == (False, False, {OURS}, 3)
    assert (twilio.magic_numbers, twilio.media.fetches, twilio.hooks.retries) == (False, True, 1)
