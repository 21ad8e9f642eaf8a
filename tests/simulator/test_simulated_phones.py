from __future__ import annotations

import aiohttp
import pytest
from simulated import ACCOUNT, LIST, OURS, PHONE, PUBLIC, TOKEN, Api, Shop, text
from twilio.request_validator import RequestValidator

from gateway.simulator.hooks import Hooks, signature
from gateway.simulator.journal import Called, Journal
from gateway.simulator.phones import Script, keyword
from gateway.simulator.world import World

STATUS = f"{PUBLIC}/hooks/twilio/status?d=in1.0.0&a=1"
VALIDATOR = RequestValidator(TOKEN)


def calls(world: World) -> list[Called]:
    return [entry for entry in world.journal.entries if isinstance(entry, Called)]


def test_the_signature_is_that_of_twilios_own_example() -> None:
    form = {"CallSid": "CA1234567890ABCDE", "Caller": "+14158675310", "Digits": "1234", "From": "+14158675310"}

    found = signature("12345", "https://example.com/myapp.php?foo=1&bar=2#rc=2", form | {"To": "+18005551212"})

    assert found == "L/OH5YylLD5NRKLltdqwSvS0BnU="


async def test_statuses_are_posted_in_order_and_signed_over_the_public_url(world: World, shop: Shop, api: Api) -> None:
    _, made = await api.post(text(StatusCallback=STATUS))
    await world.wait(lambda w: len(calls(w)) == 2)
    form = shop.seen[0][1]

    assert [path for path, _, _ in shop.seen] == ["/hooks/twilio/status?d=in1.0.0&a=1"] * 2
    assert [form["MessageStatus"] for _, form, _ in shop.seen] == ["sent", "delivered"]
    assert all(VALIDATOR.validate(STATUS, form, sign) for _, form, sign in shop.seen)
    assert not VALIDATOR.validate(STATUS + "1", form, shop.seen[0][2])
    assert (form["MessageSid"], form["SmsSid"], form["AccountSid"]) == (made["sid"], made["sid"], ACCOUNT)
    assert (form["From"], form["To"], form["SmsStatus"]) == (OURS, PHONE, "sent")
    assert [call.answer for call in calls(world)] == [204, 204]


SCRIPTS = {
    "none": (Script(callbacks=False), []),
    "twice": (Script(twice=True), ["sent", "sent", "delivered", "delivered"]),
    "backwards": (Script(backwards=True), ["delivered", "sent"]),
    "undelivered": (Script(statuses=("sent", "undelivered"), code=30003), ["sent", "undelivered"]),
    "failed": (Script(statuses=("failed",), code=30005), ["failed"]),
    "only sent": (Script(statuses=("sending", "sent")), ["sending", "sent"]),
    "with a delay": (Script(delay=0.01), ["sent", "delivered"]),
}


@pytest.mark.parametrize(("script", "expected"), SCRIPTS.values(), ids=SCRIPTS.keys())
async def test_a_script_decides_what_becomes_of_a_text(
    world: World, shop: Shop, api: Api, script: Script, expected: list[str]
) -> None:
    world.twilio.phones.scripts[PHONE] = script
    await api.post(text(StatusCallback=STATUS))
    last = await world.wait(lambda w: w.phone(PHONE)[0] if w.phone(PHONE)[0].status == script.statuses[-1] else None)
    await world.wait(lambda w: len(calls(w)) == len(expected))

    assert [form["MessageStatus"] for _, form, _ in shop.seen] == expected
    assert last.code == script.code
    assert [form["ErrorCode"] for _, form, _ in shop.seen if "ErrorCode" in form] == [
        str(c) for c in [script.code] if c
    ]


async def test_a_customers_text_is_posted_with_all_fields_and_signed(world: World, shop: Shop) -> None:
    status = await world.customer_texts(PHONE, OURS, "Yes please ✓", [("image/jpeg", b"jpeg")])
    path, form, sign = shop.seen[0]

    assert (status, path) == (200, "/hooks/twilio/message")
    assert VALIDATOR.validate(f"{PUBLIC}/hooks/twilio/message", form, sign)
    assert {key: form[key] for key in ("From", "To", "Body", "NumMedia", "NumSegments", "AccountSid")} == {
        "From": PHONE,
        "To": OURS,
        "Body": "Yes please ✓",
        "NumMedia": "1",
        "NumSegments": "1",
        "AccountSid": ACCOUNT,
    }
    assert form["MessageSid"] == form["SmsSid"] == form["SmsMessageSid"]
    assert form["MessageSid"].startswith("MM")
    assert form["MediaUrl0"].startswith(world.api_url)
    assert {"FromCity", "FromState", "FromZip", "FromCountry", "ToCity", "ApiVersion", "MediaContentType0"} <= set(form)


@pytest.mark.parametrize("word", ["STOP", "stop", " Unsubscribe\n", "CANCEL", "end"])
async def test_a_stop_word_blocks_the_pair_and_is_delivered_too(world: World, shop: Shop, api: Api, word: str) -> None:
    await world.customer_texts(PHONE, OURS, word)
    _, refused = await api.post(text())
    other_number, _ = await api.post(text() | {"From": "+12025550101"})
    other_phone, _ = await api.post(text(to="+12025550144"))

    assert shop.seen[0][1]["Body"] == word
    assert refused["code"] == 21610
    assert (other_number, other_phone) == (201, 201)


@pytest.mark.parametrize("word", ["START", "unstop", "Yes"])
async def test_a_start_word_lifts_the_block(world: World, api: Api, word: str) -> None:
    await world.customer_texts(PHONE, OURS, "STOP")
    await world.customer_texts(PHONE, OURS, word)
    status, _ = await api.post(text())

    assert status == 201


async def test_twilio_answers_a_first_stop_a_lifting_start_and_help_by_itself(world: World) -> None:
    for word in ("YES", "STOP", "STOP", "START", "START", "HELP", "stop please"):
        await world.customer_texts(PHONE, OURS, word)
    answers = [each.body.split(" ")[0:4] for each in world.phone(PHONE) if each.direction == "outbound-reply"]

    assert [" ".join(words) for words in answers] == [
        "You have been unsubscribed",
        "You have been re-subscribed",
        "Reply STOP to unsubscribe.",
    ]


@pytest.mark.parametrize(
    ("body", "word"), [("Stop", "STOP"), ("info", "HELP"), ("stop it", ""), ("", ""), ("unstop", "START")]
)
def test_only_a_keyword_alone_counts(body: str, word: str) -> None:
    assert keyword(body) == word


async def test_the_opt_out_type_is_named_only_with_advanced_opt_out(world: World, shop: Shop) -> None:
    await world.customer_texts(PHONE, OURS, "STOP")
    world.twilio.phones.advanced_opt_out = True
    await world.customer_texts(PHONE, OURS, "START")

    assert [form.get("OptOutType") for _, form, _ in shop.seen] == [None, "START"]


async def test_a_text_is_kept_when_the_gateway_is_down(api: Api, world: World, shop: Shop) -> None:
    world.twilio.hooks.base = "http://127.0.0.1:1"
    status = await world.customer_texts(PHONE, OURS, "anybody there?")
    _, page = await api.get(LIST, To=OURS)

    assert status == 0
    assert [(row["body"], row["direction"]) for row in page["messages"]] == [("anybody there?", "inbound")]
    assert calls(world)[0].note == "ClientConnectorError"


async def test_nothing_is_posted_beyond_loopback(world: World, api: Api) -> None:
    await api.post(text(StatusCallback="https://elsewhere.example/status"))
    await world.wait(lambda w: len(calls(w)) == 2)

    assert {(call.answer, call.note) for call in calls(world)} == {(0, "not on loopback")}


def test_a_prefix_of_the_public_host_is_not_the_gateway() -> None:
    hooks = Hooks(Journal(), TOKEN, PUBLIC, "http://127.0.0.1:8080")

    assert hooks.real(f"{PUBLIC}/a?b=%20c#rc=2") == "http://127.0.0.1:8080/a?b=%20c"
    assert hooks.real(f"{PUBLIC}.evil.example/a") == ""
    with pytest.raises(ValueError, match="loopback only"):
        Hooks(Journal(), TOKEN, PUBLIC, "http://192.0.2.1").real(f"{PUBLIC}/a")


@pytest.mark.parametrize(
    ("kind", "body", "surprises"),
    [
        ("text/xml", "<Response/>", 0),
        ("text/xml", "", 0),
        ("application/json", "{}", 1),
        ("text/xml", "<Other/>", 1),
        ("text/xml", "<Response>", 1),
    ],
)
async def test_an_answer_that_is_no_twiml_is_a_surprise(
    world: World, shop: Shop, kind: str, body: str, surprises: int
) -> None:
    shop.kind, shop.body = kind, body
    await world.customer_texts(PHONE, OURS, "hi")

    assert len(world.surprises) == surprises


async def test_a_refused_webhook_is_told_to_the_caller(world: World, shop: Shop) -> None:
    shop.status, shop.body, shop.kind = 503, "later", "text/plain"

    assert await world.customer_texts(PHONE, OURS, "hi") == 503
    assert world.surprises == []


async def test_a_world_without_a_public_url_posts_to_the_gateway_itself(shop: Shop) -> None:
    async with World(ACCOUNT, TOKEN, hooks=shop.base) as world, aiohttp.ClientSession():
        status = await world.customer_texts(PHONE, OURS, "hi")
    path, form, sign = shop.seen[0]

    assert status == 200
    assert VALIDATOR.validate(shop.base + path, form, sign)


async def test_a_script_that_fails_is_raised_at_the_end() -> None:
    headers = {"Authorization": aiohttp.encode_basic_auth(ACCOUNT, TOKEN)}
    world = await World(ACCOUNT, TOKEN, PUBLIC, "http://192.0.2.1").__aenter__()
    async with aiohttp.ClientSession() as http:
        await Api(http, world.api_url, headers).post(text(StatusCallback=STATUS))
        await world.wait(lambda w: w.phone(PHONE)[0].status == "sent")

    with pytest.raises(ValueError, match="loopback only"):
        await world.__aexit__()


async def test_a_script_that_still_runs_ends_with_the_world(shop: Shop) -> None:
    async with World(ACCOUNT, TOKEN, PUBLIC, shop.base) as world, aiohttp.ClientSession() as http:
        api = Api(http, world.api_url, {"Authorization": aiohttp.encode_basic_auth(ACCOUNT, TOKEN)})
        world.twilio.phones.default = Script(delay=3600)
        await api.post(text(StatusCallback=STATUS))

    assert shop.seen == []
