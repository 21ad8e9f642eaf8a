"""The contract of Spool, part eight: whole stories."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from spooled import (
    ANN,
    BEN,
    NOON,
    carrier_mail,
    consent,
    conversation,
    delivery,
    end,
    hook,
    mail,
    message,
    move,
    planned,
    question,
    status_hook,
)

from gateway.core import compose
from gateway.core.model import Fate, InboundMail, Kind
from gateway.core.work import Delivery, MailParcel, Plan, Writes
from gateway.ports import Spool


async def told(spool: Spool) -> None:
    """A reminder that was sent and delivered, and the answer to it."""
    await spool.write(Writes(consents=(consent(),), conversations=(conversation(),)))
    await spool.accept(mail())
    text = message(conversation="talk1")
    (leased,) = (await spool.plan(Plan(inbound="m1", writes=Writes(messages=(text,), deliveries=(delivery(),))))).leased
    await spool.start(leased, NOON, 0, None)
    await spool.write(Writes(moves=(move(Fate.HANDED_OVER, remote_id="SM9"),)))
    status = status_hook("SM9", "delivered")
    await spool.accept(status)
    await spool.plan(Plan(inbound=status.id, writes=Writes(moves=(move(Fate.DELIVERED),))))
    await spool.accept(hook("SM5"))
    answer = message("twilio:SM5.1", conversation="talk1", kind=Kind.REPLY)
    writes = Writes(messages=(answer,), deliveries=(carrier_mail("twilio:SM5.1.1", to="desk@example.com"),))
    await spool.plan(Plan(inbound="twilio:SM5", writes=writes))


WHOLE = [
    ("consent", "c1"),
    ("delivery", "m1.1.1"),
    ("delivery", "twilio:SM5.1.1"),
    ("inbound", "m1"),
    ("inbound", "twilio:SM5"),
    ("inbound", "twilio:SM9:1:delivered"),
    ("message", "m1.1"),
    ("message", "twilio:SM5.1"),
]


@pytest.mark.parametrize(
    "keys",
    [
        {"id": "m1"},
        {"id": "m1.1"},
        {"id": "m1.1.1"},
        {"id": "SM9"},
        {"id": "twilio:SM9:1:delivered"},
        {"id": "SM5"},
        {"phone": ANN},
    ],
    ids=lambda keys: next(iter(keys.values())),
)
async def test_a_story_is_whole_from_wherever_it_is_asked(spool: Spool, keys: dict[str, str]) -> None:
    await told(spool)
    rows = await spool.find("story", **keys)
    names = sorted((row["what"], row["id"]) for row in rows)

    if keys.get("id") == "SM5":  # an answer's story begins with the answer
        assert set(names) >= {("inbound", "twilio:SM5"), ("message", "twilio:SM5.1"), ("consent", "c1")}
    else:
        assert names == WHOLE
    assert [row["at"] for row in rows] == sorted(row["at"] for row in rows)
    json.dumps(rows)


async def test_a_story_tells_the_attempts_receipts_envelope_and_event(spool: Spool) -> None:
    await told(spool)
    rows = {row["id"]: row for row in await spool.find("story", id="m1")}

    assert rows["m1"]["envelope"]["mail_from"] == "jobs@example.com"
    assert rows["twilio:SM9:1:delivered"]["event"]["status"] == "delivered"
    assert [r["fate"] for r in rows["m1.1.1"]["receipts"]] == ["handed_over", "delivered"]
    assert rows["m1.1.1"]["fate"] == "delivered"
    assert rows["m1"]["at"] == "2026-11-23T17:00:00Z"


@pytest.mark.parametrize("ident", ["talk1", "q1", "bounce1"], ids=["conversation", "question", "b- address"])
async def test_a_story_begins_at_a_conversation_a_question_or_a_bounce_address(spool: Spool, ident: str) -> None:
    await told(spool)
    mailed = carrier_mail("m1.1.2", bounce="bounce1", fate=Fate.HANDED_OVER)
    await spool.write(Writes(questions=(question(),), deliveries=(mailed,)))
    names = {(row["what"], row["id"]) for row in await spool.find("story", id=ident)}

    assert names == {*WHOLE, ("question", "q1"), ("delivery", "m1.1.2")}


async def test_a_question_that_waits_for_nothing_leads_to_the_mail_that_asked_it(spool: Spool) -> None:
    asked = question(kind="stop", deliveries=(), options=())
    mailed = message("twilio:SM7.question", kind=Kind.QUESTION, phone=None, recipient="desk@example.com")
    await spool.accept(hook("SM7"))
    other = message("m9.1", kind=Kind.QUESTION, phone=BEN)
    await spool.plan(Plan(inbound="twilio:SM7", writes=Writes(messages=(mailed, other), questions=(asked,))))
    rows = await spool.find("story", id="q1")

    # Other messages of the same plan are of the same inbound: their story is the same.
    assert {"twilio:SM7", "twilio:SM7.question", "q1"} <= {row["id"] for row in rows}


async def test_a_phones_story_holds_what_it_sent_by_mail(spool: Spool) -> None:
    await spool.accept(replace(mail("m5"), sender="", phone=ANN))
    await spool.accept(replace(mail("m6"), sender="", phone=BEN))
    (kept, _) = await spool.unplanned(5)

    assert isinstance(kept, InboundMail)
    assert kept.phone == ANN
    assert [row["id"] for row in await spool.find("story", phone=ANN)] == ["m5"]


async def bounced(spool: Spool, clock: Any) -> None:
    """A mail to a carrier that came back a minute later: the provider's delivery waits since."""
    first = carrier_mail(fate=Fate.WAITING)
    (leased,) = await planned(spool, first)
    await spool.start(leased, NOON, 0, None)
    await spool.settle(end("accepted", Fate.HANDED_OVER))
    clock.advance(60)
    await spool.accept(replace(mail("m2"), at=clock.now()))
    moves = (move(Fate.FAILED, "bounce"),)
    later = delivery("m1.1.2", due_at=clock.now() + timedelta(hours=1))
    await spool.plan(Plan(inbound="m2", writes=Writes(moves=moves, deliveries=(later,))), lease=False)


async def test_a_later_way_stands_behind_the_bounce_that_led_to_it(spool: Spool, clock: Any) -> None:
    await bounced(spool, clock)
    waits = await spool.find("story", id="m1")
    clock.advance(3600)
    (leased,) = await spool.due(clock.now(), 5, frozenset())
    await spool.start(leased, clock.now(), 0, None)
    started = await spool.find("story", id="m1")
    await spool.settle(end("accepted", Fate.HANDED_OVER, delivery="m1.1.2"))
    ended = await spool.find("story", id="m1")

    for rows in (waits, started, ended):
        assert [row["id"] for row in rows] == ["m1", "m1.1", "m1.1.1", "m2", "m1.1.2"]
    times = [rows[-1]["at"] for rows in (waits, started, ended)]
    assert times == ["2026-11-23T17:01:00Z", "2026-11-23T18:01:00Z", "2026-11-23T18:01:00Z"]


async def test_each_part_of_a_text_is_told_with_its_words(spool: Spool) -> None:
    def part(id_: str, words: str) -> Delivery:
        parcel = MailParcel(mail_from="", rcpt_to="x@carrier.example", data=_text(words))
        return replace(carrier_mail(id_), lane="mail|m1.1.1", parcel=parcel)

    await planned(spool, part("m1.1.1", "(1/2) Caf\u00e9,"), part("m1.1.1-2", "(2/2) at five."), lease=False)
    await spool.write(Writes(deliveries=(delivery("m1.1.2", fate=Fate.CANCELLED),)), lease=False)
    rows = {row["id"]: row for row in await spool.find("story", id="m1")}

    assert rows["m1.1.1"]["text"] == "(1/2) Caf\u00e9,"
    assert rows["m1.1.1-2"]["text"] == "(2/2) at five."
    assert "text" not in rows["m1.1.2"]


def _text(words: str) -> bytes:
    """The mail in which a carrier gets these words."""
    return compose.carrier_text(
        sender="r-x@sms.example.com",
        reply_to="r-x@sms.example.com",
        to="x@carrier.example",
        text=words,
        message_id="<m1.1.1@sms.example.com>",
        at=NOON,
        domain="sms.example.com",
    )


async def test_nothing_is_told_of_an_id_that_is_not_known(spool: Spool) -> None:
    await told(spool)

    assert await spool.find("story", id="m7") == []
    assert await spool.find("story", phone=BEN) == []
    assert await spool.find("delivery", id="m7") == []
