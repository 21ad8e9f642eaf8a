"""The contract of Spool, part five: what the daemon asks a provider for by itself."""

from __future__ import annotations

from datetime import timedelta

from spooled import NOON, consent, delivery, mail, message, move

from gateway.core.model import Fate
from gateway.core.work import Plan, Writes
from gateway.ports import Spool


async def test_a_mark_that_was_never_set_is_none(spool: Spool) -> None:
    assert await spool.mark("inbound +12025550100") is None


async def test_a_mark_moves_forward_and_never_back(spool: Spool) -> None:
    await spool.set_mark("inbound", NOON)
    await spool.set_mark("inbound", NOON - timedelta(hours=1))

    assert await spool.mark("inbound") == NOON

    await spool.set_mark("inbound", NOON + timedelta(hours=1))

    assert await spool.mark("inbound") == NOON + timedelta(hours=1)


async def test_a_paid_text_without_a_receipt_is_unconfirmed_until_the_receipt_comes(spool: Spool) -> None:
    await spool.write(Writes(consents=(consent(),)))
    await spool.accept(mail())
    plan = Plan(inbound="m1", writes=Writes(messages=(message(),), deliveries=(delivery(),)))
    (leased,) = (await spool.plan(plan)).leased
    await spool.start(leased, NOON, 1, None)
    await spool.write(Writes(moves=(move(Fate.HANDED_OVER, remote_id="SM9"),)))

    (row,) = await spool.find("unconfirmed", since=NOON - timedelta(hours=1))

    assert (row["id"], row["courier"], row["remote_id"], row["attempt"]) == (leased.id, "twilio", "SM9", 1)
    assert row["posted_at"] == NOON
    assert await spool.find("unconfirmed", since=NOON) == []

    await spool.write(Writes(moves=(move(Fate.DELIVERED, remote_id="SM9"),)))

    assert await spool.find("unconfirmed", since=NOON - timedelta(hours=1)) == []
