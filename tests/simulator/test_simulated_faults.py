from __future__ import annotations

import asyncio

import aiohttp
import pytest
from simulated import LIST, PHONE, Api, one, text

from gateway.simulator.faults import MAIL, TWILIO, Faults
from gateway.simulator.journal import Posted
from gateway.simulator.world import World

ANSWERED = {
    "500": (500, 20500, 0),
    "500-before": (500, 20500, 0),
    "500-after": (500, 20500, 1),
    "503": (503, 20503, 0),
    "503-after": (503, 20503, 1),
    "429": (429, 20429, 0),
    "401": (401, 20003, 0),
    "21614": (400, 21614, 0),
    "30999": (400, 30999, 0),
}


@pytest.mark.parametrize(("name", "expected"), ANSWERED.items(), ids=ANSWERED.keys())
async def test_a_fault_answers_with_its_code_and_only_after_ones_store(
    world: World, api: Api, name: str, expected: tuple[int, int, int]
) -> None:
    world.twilio.faults.add(name)
    status, body = await api.post(text())
    again, _ = await api.post(text())
    posted = world.journal.entries[1 if expected[2] else 0]

    assert (status, body["code"], len(world.phone(PHONE)) - 1) == expected
    assert isinstance(posted, Posted)
    assert (posted.answer, bool(posted.sid)) == (status, bool(expected[2]))
    assert again == 201
    assert world.twilio.posts == {PHONE: 2}


async def test_a_429_names_the_seconds_to_wait(world: World, api: Api) -> None:
    world.twilio.faults.add("429", seconds=7)
    async with api.http.post(api.url + LIST, data=text(), headers=api.headers) as answer:
        retry_after = answer.headers["Retry-After"]

    assert retry_after == "7"


async def test_a_proxy_answers_with_a_page_that_proves_nothing(world: World, api: Api) -> None:
    world.twilio.faults.add("502-html-after")
    async with api.http.post(api.url + LIST, data=text(), headers=api.headers) as answer:
        seen = (answer.status, answer.content_type)

    assert seen == (502, "text/html")
    assert len(world.phone(PHONE)) == 1


@pytest.mark.parametrize(
    ("name", "error", "stored"),
    [
        ("reset-after", aiohttp.ClientOSError, 1),
        ("reset-before", aiohttp.ClientOSError, 0),
        ("drop", aiohttp.ClientConnectionError, 0),
    ],
)
async def test_the_connection_ends_without_an_answer(
    world: World, api: Api, name: str, error: type[Exception], stored: int
) -> None:
    world.twilio.faults.add(name)
    with pytest.raises(error):
        await api.post(text())

    assert len(world.phone(PHONE)) == stored
    assert world.twilio.posts.get(PHONE, 0) == (0 if name == "drop" else 1)


async def test_a_silent_twilio_has_stored_the_text_and_never_answers(world: World, api: Api) -> None:
    world.twilio.faults.add("silent")
    post = asyncio.create_task(api.post(text()))
    await world.wait(lambda w: w.phone(PHONE) and w.phone(PHONE)[0].status == "delivered")
    unanswered = not post.done()
    post.cancel()

    assert unanswered
    assert world.twilio.posts == {PHONE: 1}


async def test_a_late_answer_is_the_good_one(world: World, api: Api) -> None:
    world.twilio.faults.add("late", seconds=0.05)
    status, body = await api.post(text())

    assert (status, body["sid"]) == (201, world.phone(PHONE)[0].sid)


async def test_the_list_and_one_text_can_fail_by_themselves(world: World, api: Api) -> None:
    _, made = await api.post(text())
    world.twilio.faults.add("500-list")
    world.twilio.faults.add("503-fetch")
    answers = [(await api.get(path))[0] for path in (LIST, one(made["sid"]))]
    # Without end: aiohttp repeats a GET whose kept-open connection was reset.
    world.twilio.faults.add("reset-list", count=0)
    world.twilio.faults.add("reset-fetch", count=0)
    for path in (LIST, one(made["sid"])):
        with pytest.raises(aiohttp.ClientOSError):
            await api.get(path)
    world.twilio.faults.clear()

    assert answers == [500, 503]
    assert (await api.get(LIST))[0] == 200


def test_a_fault_is_taken_as_often_as_was_asked_and_only_by_whom() -> None:
    faults = Faults(MAIL)
    faults.add("450", count=2, to="@VText.com")
    faults.add("550", count=0, to="bob@shop.example")
    taken = [faults.take("rcpt", to) for to in ("1@vtext.com", "x@other.example", "2@vtext.com", "3@vtext.com")]
    forever = [faults.take("rcpt", "Bob@shop.example") for _ in range(3)]
    faults.clear()

    assert [fault and fault.code for fault in taken] == [450, None, 450, None]
    assert [fault and fault.code for fault in forever] == [550, 550, 550]
    assert faults.take("rcpt", "bob@shop.example") is None


@pytest.mark.parametrize("kinds", [TWILIO, MAIL], ids=["twilio", "mail"])
@pytest.mark.parametrize("name", ["", "explode", "500-sideways", "12", "-after"])
def test_an_unknown_name_is_refused_with_the_known_ones(kinds: object, name: str) -> None:
    assert isinstance(kinds, type(TWILIO))
    with pytest.raises(ValueError, match="CODE"):
        kinds.named(name)
