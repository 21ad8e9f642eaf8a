"""The contract of Spool, part four: what people are shown."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from spooled import (
    ANN,
    BEN,
    NOON,
    consent,
    conversation,
    delivery,
    hook,
    mail,
    planned,
    sent,
    started,
)

from gateway.core.facts import Needs
from gateway.core.model import Confirmation
from gateway.core.work import Plan, Writes
from gateway.ports import Budget, Spool


async def test_the_queue_shows_the_columns_of_the_contract(spool: Spool) -> None:
    await planned(spool, delivery(reason="pacing"))
    (row,) = await spool.find("queue")

    assert row == {
        "id": "m1.1.1",
        "message": "m1.1",
        "to": ANN,
        "courier": "twilio",
        "fate": "waiting",
        "attempts": 0,
        "due_at": "2026-11-23T17:00:00Z",
        "code": "",
        "note": "",
        "kind": "text",
        "sender": "jobs",
        "reason": "pacing",
        "expires_at": "2026-11-23T21:00:00Z",
    }


async def test_the_queue_shows_what_is_unfinished_and_all_on_demand(spool: Spool) -> None:
    await sent(spool, delivery("m1.1.1"))
    await planned(spool, delivery("m2.1.1"), inbound="m2")
    await spool.accept(mail("m3"))

    assert [row["id"] for row in await spool.find("queue")] == ["m3", "m2.1.1"]
    assert [row["id"] for row in await spool.find("queue", all=True)] == ["m2.1.1", "m1.1.1"]


async def test_the_queue_is_read_in_pages(spool: Spool) -> None:
    for n in range(2):
        await spool.accept(mail(f"a{n}"))
    await planned(spool, *(delivery(f"m1.{n}.1") for n in range(3)))

    async def after(last: str, limit: int, **keys: bool) -> list[str]:
        return [row["id"] for row in await spool.find("queue", limit=limit, after=last, **keys)]

    assert await after("", 2) == ["a0", "a1"]
    assert await after("a0", 3) == ["a1", "m1.0.1", "m1.1.1"]
    assert await after("a1", 2) == ["m1.0.1", "m1.1.1"]
    assert await after("m1.1.1", 2) == ["m1.2.1"]
    assert await after("m1.2.1", 2) == []
    assert await after("m1.2.1", 1, all=True) == ["m1.1.1"]
    for everything in (False, True):
        with pytest.raises(LookupError, match="m7"):
            await after("m7", 1, all=everything)


async def test_ledger_conversations_confirmations_and_usage_are_shown(spool: Spool, clock) -> None:
    await spool.write(Writes(consents=(consent("c1"), consent("c2", phone=BEN)), conversations=(conversation(),)))
    await spool.confirm(Confirmation(employee="alice", address="x@carrier.example", at=NOON, by="admin"))
    (leased,) = await planned(spool, delivery())
    await spool.start(leased, NOON, 2, Budget(sender="jobs", day="2026-11-23", month="2026-11"))

    assert [row["id"] for row in await spool.find("consents")] == ["c1", "c2"]
    assert [row["id"] for row in await spool.find("consents", phone=BEN)] == ["c2"]
    assert [row["id"] for row in await spool.find("conversations")] == ["talk1"]
    assert await spool.find("conversations", phone=BEN) == []
    assert await spool.find("confirmations") == [
        {
            "employee": "alice",
            "address": "x@carrier.example",
            "at": "2026-11-23T17:00:00Z",
            "by": "admin",
            "works": True,
            "how": "admin",
            "note": "",
        }
    ]
    assert await spool.find("usage", sender="jobs") == [
        {"sender": "jobs", "period": "2026-11-23", "segments": 3},
        {"sender": "jobs", "period": "2026-11", "segments": 3},
    ]


async def test_the_newest_word_about_an_address_stands_whichever_was_committed_last(spool: Spool, clock) -> None:
    works = Confirmation(employee="alice", address="x@carrier.example", at=NOON, by="admin")
    gone = replace(works, at=NOON + timedelta(hours=1), by="bounce", works=False, how="bounce", note="550 5.1.1 nobody")
    await spool.write(Writes(confirmations=(works,)))
    await spool.write(Writes(confirmations=(gone,)))
    await spool.write(Writes(confirmations=(works,)))

    found = await spool.gather(Needs(employees=frozenset({"alice"})))
    assert found.confirmations == {"alice": gone}


async def test_the_raw_bytes_of_an_inbound_are_shown_as_latin_1_until_retention_takes_them(spool: Spool, clock) -> None:
    await spool.accept(mail("m1", raw=bytes(range(256))))
    await spool.accept(hook("SM5"))
    rows = [*await spool.find("raw", id="m1"), *await spool.find("raw", id="twilio:SM5")]

    assert rows == [
        {"id": "m1", "kind": "mail", "raw": bytes(range(256)).decode("latin-1")},
        {"id": "twilio:SM5", "kind": "hook", "raw": "Body=x"},
    ]
    assert await spool.find("raw", id="m7") == []
    await spool.plan(Plan(inbound="m1"))
    await spool.purge(clock.advance(timedelta(days=9)), {"raw": 1}, 10)
    assert await spool.find("raw", id="m1") == []


async def test_an_unknown_view_or_key_is_an_error(spool: Spool) -> None:
    with pytest.raises(LookupError, match="secrets"):
        await spool.find("secrets")
    with pytest.raises(TypeError):
        await spool.find("queue", colour="red")
    with pytest.raises(TypeError):
        await spool.find("story")


async def test_a_view_sees_what_was_committed_before_it_was_asked(spool: Spool) -> None:
    for n in range(20):
        await started(spool) if n == 0 else await spool.accept(mail(f"a{n}", at=NOON + timedelta(seconds=n)))

        assert len(await spool.find("queue")) == n + 1
