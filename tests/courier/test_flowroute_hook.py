"""What Flowroute posts to us, by real requests to the door: what is read, what is kept, what does not exist."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import aiohttp
import pytest
from structlog.testing import capture_logs
from yarl import URL

from gateway.core.model import InboundHook, Phone, StatusIn, TextIn
from gateway.courier.flowroute_hook import MOST_BYTES, FlowrouteHooks
from gateway.doors import HookRefused
from gateway.intake.webhook import WebDoor

SECRET = "b3Ks9x_Vd0-fXv2WqGz1Tg7mLr5pYc4e"
ID = "mdr2-ca82be46e6ba11e79d08862d092cf73d"
OURS, THEIRS = "+12025550100", "+12025550143"
NOON = datetime(2026, 11, 23, 17, 0, tzinfo=UTC)
MESSAGE, STATUS = f"/hooks/flowroute/{SECRET}/message", f"/hooks/flowroute/{SECRET}/status"
ASKED = "?d=01J9ZQ.0.0&a=2"
JSON_API = "application/vnd.api+json"

TEXT: dict[str, Any] = {
    "data": {
        "attributes": {
            "amount_display": "$0.0040",
            "amount_nanodollars": 4000000,
            "body": "When is it ready?",
            "delivery_receipts": [],
            "direction": "inbound",
            "from": "12025550143",
            "is_mms": False,
            "message_encoding": 0,
            "message_type": "longcode",
            "status": "delivered",
            "timestamp": "2026-11-23T16:59:59.39Z",
            "to": "12025550100",
        },
        "id": ID,
        "type": "message",
    }
}
RECEIPT: dict[str, Any] = {
    "data": {
        "attributes": {
            "body": "Your car is ready",
            "level": 2,
            "status": "delivered",
            "status_code": "1000",
            "status_code_description": "Message delivered",
            "timestamp": "2026-11-23T16:59:59.00Z",
        },
        "id": ID,
        "links": {"related": f"https://api.flowroute.com/v2.2/messages/{ID}"},
        "type": "delivery_receipt",
    }
}


def changed(document: dict[str, Any], **attributes: Any) -> dict[str, Any]:
    """The document with other attributes; `id_` and `type_` are those of its data."""
    made = deepcopy(document)
    for name in ("id_", "type_"):
        if name in attributes:
            made["data"][name.rstrip("_")] = attributes.pop(name)
    made["data"]["attributes"] |= attributes
    return made


class Noon:
    def now(self) -> datetime:
        return NOON


@dataclass
class Shelf:
    """Keeps hooks as a spool does: once for each id."""

    hooks: list[InboundHook] = field(default_factory=list)

    async def keep(self, hook: InboundHook) -> bool:
        new = hook.id not in {kept.id for kept in self.hooks}
        if new:
            self.hooks.append(hook)
        return new


@dataclass
class World:
    """A listening door, its shelf, and a client."""

    shelf: Shelf
    url: str
    http: aiohttp.ClientSession

    async def post(self, target: str, document: Any, kind: str = JSON_API) -> tuple[int, str]:
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        url = URL(self.url + target, encoded=True)
        async with self.http.post(url, data=body, headers={"Content-Type": kind}) as answer:
            return answer.status, await answer.text()

    @property
    def event(self) -> TextIn | StatusIn:
        (hook,) = self.shelf.hooks
        return hook.event


@pytest.fixture
async def world() -> AsyncIterator[World]:
    shelf = Shelf()
    door = WebDoor({"flowroute": FlowrouteHooks(secret=SECRET, numbers=lambda: [OURS])}, shelf.keep, Noon())
    port = await door.listen("127.0.0.1", 0)
    async with aiohttp.ClientSession() as http:
        yield World(shelf, f"http://127.0.0.1:{port}", http)
    await door.close()


async def test_a_text_is_kept_with_the_plus_of_its_numbers(world: World) -> None:
    status, _ = await world.post(MESSAGE, TEXT)

    assert status == 200
    assert world.shelf.hooks == [
        InboundHook(
            id=f"flowroute:{ID}",
            at=NOON,
            provider="flowroute",
            event=TextIn(remote_id=ID, author=THEIRS, number=Phone(OURS), text="When is it ready?"),
            raw=b"\n" + json.dumps(TEXT).encode(),
        )
    ]


async def test_a_receipt_is_kept_with_its_delivery_and_attempt(world: World) -> None:
    status, _ = await world.post(STATUS + ASKED, changed(RECEIPT, status="failed", status_code="1108"))

    assert 200 <= status < 300
    (hook,) = world.shelf.hooks
    assert hook.id == f"flowroute:{ID}:2:failed:2"
    assert hook.event == StatusIn(remote_id=ID, delivery="01J9ZQ.0.0", attempt=2, status="failed", code="1108")
    assert hook.raw.startswith(b"d=01J9ZQ.0.0&a=2\n{")
    assert SECRET.encode() not in hook.raw


async def test_the_two_receipts_of_a_text_are_two_hooks_and_a_replay_is_none(world: World) -> None:
    first = changed(RECEIPT, level=1, status="smsc submit", status_code=None)
    second = changed(RECEIPT, level=2, status="message buffered", status_code="1003")
    for document in (first, second, second, first):
        await world.post(STATUS + ASKED, document)

    assert [hook.id for hook in world.shelf.hooks] == [f"flowroute:{ID}:2:sent:{level}" for level in (1, 2)]
    assert [hook.event for hook in world.shelf.hooks] == [
        StatusIn(remote_id=ID, delivery="01J9ZQ.0.0", attempt=2, status="sent")
    ] * 2


@pytest.mark.parametrize(
    ("attributes", "status"),
    [
        ({"level": 1, "status": "delivered"}, "sent"),
        ({"level": "2", "status": "delivered"}, "delivered"),
        ({"level": None, "status": "delivered"}, "delivered"),
        ({"status": "a word of tomorrow", "status_code": "1999"}, "sent"),
    ],
    ids=["at the carrier", "level in words", "no level", "unknown word"],
)
async def test_a_receipt_says_no_more_than_it_knows(world: World, attributes: dict[str, Any], status: str) -> None:
    await world.post(STATUS + ASKED, changed(RECEIPT, **attributes))

    assert world.event == StatusIn(remote_id=ID, delivery="01J9ZQ.0.0", attempt=2, status=status)


async def test_a_receipt_without_our_query_belongs_to_no_known_delivery(world: World) -> None:
    await world.post(STATUS, RECEIPT)

    assert world.event == StatusIn(remote_id=ID, delivery="", attempt=0, status="delivered")


def media(url: Any, kind: str = "media") -> dict[str, Any]:
    attributes = {"file_name": "a.jpg", "file_size": 512, "mime_type": "image/jpeg", "url": url}
    return {
        "type": kind,
        "id": "1",
        "attributes": attributes,
        "links": {"self": "https://api.flowroute.com/v2.2/media/1"},
    }


async def test_the_media_of_a_text_are_those_that_are_included(world: World) -> None:
    urls = [f"https://fl-media.s3.amazonaws.com/{n}?X-Amz-Signature=ab%2Fc" for n in range(12)]
    included = [media("javascript: x"), media(None), media("https://x.example", "number"), *map(media, urls)]
    await world.post(MESSAGE, changed(TEXT, is_mms=True, body=None) | {"included": included})

    assert world.event == TextIn(remote_id=ID, author=THEIRS, number=Phone(OURS), text="", media=tuple(urls[:10]))


@pytest.mark.parametrize("inside", [True, False], ids=["media inside", "media outside"])
async def test_an_outer_data_is_taken_off(world: World, inside: bool) -> None:
    included = {"included": [media("https://m.flowroute.com/1")]}
    document = {"data": TEXT | included} if inside else {"data": TEXT} | included
    await world.post(MESSAGE, document)

    event = world.event
    assert isinstance(event, TextIn)
    assert (event.text, event.media) == ("When is it ready?", ("https://m.flowroute.com/1",))


@pytest.mark.parametrize(
    ("attributes", "event"),
    [
        ({"body": " two\r\nlines \rof it "}, {"text": " two\nlines \nof it "}),
        ({"body": "Señor 👍"}, {"text": "Señor 👍"}),
        ({"body": "half \ud83d of it"}, {"text": "half \ufffd of it"}),
        ({"from": "262966"}, {"author": "262966"}),
        ({"from": "+12025550143", "to": "+12025550100"}, {}),
        ({"tomorrow": {"a": 1}}, {}),
    ],
    ids=["line ends", "unicode", "half a character", "short code", "with plus", "new field"],
)
async def test_what_a_text_says_is_read_as_it_was_written(
    world: World, attributes: dict[str, Any], event: dict[str, Any]
) -> None:
    await world.post(MESSAGE, changed(TEXT, **attributes))

    expected = {"author": THEIRS, "text": "When is it ready?"} | event
    assert world.event == TextIn(remote_id=ID, number=Phone(OURS), **expected)


@pytest.mark.parametrize("kind", [JSON_API, "application/json", "Application/JSON; charset=utf-8"])
async def test_both_types_of_json_are_read(world: World, kind: str) -> None:
    assert (await world.post(MESSAGE, TEXT, kind))[0] == 200


FORGED = [
    "/hooks/flowroute/guess/message",
    f"/hooks/flowroute/{SECRET[:-1]}/message",
    f"/hooks/flowroute/{SECRET}x/message",
    f"/hooks/flowroute/{SECRET.lower()}/message",
    "/hooks/flowroute//message",
    "/hooks/flowroute/%ff/message",
    "/hooks/flowroute/message",
    f"/hooks/flowroute/{SECRET}/",
    f"/hooks/flowroute/{SECRET}/other",
    f"/hooks/flowroute/{SECRET}/message/",
    f"/hooks/flowroute/x/../{SECRET}/message",
]


@pytest.mark.parametrize("target", FORGED)
async def test_without_the_secret_nothing_is_there(world: World, target: str) -> None:
    with capture_logs() as logs:
        answer = await world.post(target, TEXT)

    assert answer == await world.post("/nowhere", TEXT)
    assert answer[0] == 404
    assert world.shelf.hooks == []
    assert SECRET not in str(logs)


def test_bytes_in_a_path_that_are_no_text_are_a_wrong_secret() -> None:
    found = FlowrouteHooks(secret=SECRET, numbers=list).read("/hooks/flowroute/\udcff/message", "", {}, b"", NOON)

    assert found == HookRefused(status=404, reason="not found")


def test_without_a_secret_of_ours_every_hook_is_refused() -> None:
    found = FlowrouteHooks(secret="", numbers=lambda: [OURS]).read("/hooks/flowroute//message", "", {}, b"", NOON)

    assert found == HookRefused(status=404, reason="not found")


@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "text/plain", "multipart/form-data; boundary=x"])
async def test_anything_but_json_is_415(world: World, kind: str) -> None:
    assert (await world.post(MESSAGE, TEXT, kind))[0] == 415


async def test_a_document_over_64_kib_is_413(world: World) -> None:
    large = FlowrouteHooks(secret=SECRET, numbers=list).read(
        MESSAGE, "", {"content-type": JSON_API}, b" " * (MOST_BYTES + 1), NOON
    )

    assert isinstance(large, HookRefused)
    assert large.status == 413
    assert (await world.post(MESSAGE, changed(TEXT, body="x" * 64_000)))[0] == 200
    assert (await world.post(MESSAGE, changed(TEXT, body="x" * 65_536)))[0] == 413


ODD = [
    ("not json", MESSAGE, b"{", 400),
    ("not utf-8", MESSAGE, b'{"data": "\xff"}', 400),
    ("nested too deep", MESSAGE, b"[" * 60_000, 400),
    ("a number of 5000 digits", MESSAGE, b'{"data": ' + b"9" * 5000 + b"}", 400),
    ("a list", MESSAGE, [TEXT], 400),
    ("no attributes", MESSAGE, {"data": {"id": ID}}, 400),
    ("no id", MESSAGE, changed(TEXT, id_=None), 400),
    ("id run on", MESSAGE, changed(TEXT, id_=ID + ":0:delivered"), 400),
    ("no author", MESSAGE, changed(TEXT, **{"from": ""}), 400),
    ("our own text", MESSAGE, changed(TEXT, direction="outbound"), 400),
    ("receipt as a text", MESSAGE, RECEIPT, 400),
    ("other number", MESSAGE, changed(TEXT, to="12025550101"), 403),
    ("no number", MESSAGE, changed(TEXT, to=None), 403),
    ("text as a receipt", STATUS, TEXT, 400),
    ("no status", STATUS, changed(RECEIPT, status=None), 400),
    ("odd attempt", STATUS + "?d=01J&a=x", RECEIPT, 400),
    ("odd delivery", STATUS + "?d=%0a&a=1", RECEIPT, 400),
    ("two deliveries", STATUS + "?d=1&d=2&a=1", RECEIPT, 400),
]


@pytest.mark.parametrize(("target", "document", "status"), [c[1:] for c in ODD], ids=[c[0] for c in ODD])
async def test_what_is_odd_or_not_ours_is_refused(world: World, target: str, document: Any, status: int) -> None:
    assert (await world.post(target, document))[0] == status
    assert world.shelf.hooks == []


def test_a_query_that_is_no_text_is_refused() -> None:
    found = FlowrouteHooks(secret=SECRET, numbers=list).read(
        STATUS, "d=é", {"Content-Type": JSON_API}, json.dumps(RECEIPT).encode(), NOON
    )

    assert isinstance(found, HookRefused)
    assert found.status == 400
