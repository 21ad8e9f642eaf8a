"""What a person does about a text of several mails: retry, cancel and release take them as one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import pytest
from model_house import config
from spooled import NOON, carrier_mail, delivery, end, planned, state_of

from gateway.commands.answer import CommandFailed
from gateway.commands.queue import Queue
from gateway.core.model import Fate
from gateway.core.work import Delivery
from gateway.ports import Spool

IDS = ("m1.1.1", "m1.1.1-2", "m1.1.1-3")
NAMED = ["m1.1.1", "m1.1.1-2", "m1.1.1-3", "m1.1", "m1"]
FORMS = pytest.mark.parametrize("named", NAMED, ids=["first", "second", "third", "message", "mail"])


@dataclass
class Desk:
    """The commands beside a daemon, and what they hand to it."""

    spool: Spool
    taken: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.queue = Queue(config=lambda: config("hold"), spool=self.spool, take=self.take, refill=lambda: None)

    def take(self, deliveries: Sequence[Delivery]) -> None:
        self.taken += [d.id for d in deliveries]

    async def fates(self, *ids: str) -> list[object]:
        return [(await state_of(self.spool, id_))["fate"] for id_ in ids or IDS]


@pytest.fixture
def desk(spool: Spool) -> Desk:
    return Desk(spool)


async def stored(desk: Desk, fates: Sequence[str], *more: Delivery, **fields: object) -> None:
    """A text of three mails with these fates."""
    made = [
        replace(carrier_mail(id_), number="@vtext.com", lane="mail|m1.1.1", sender="", fate=Fate(fate), **fields)
        for id_, fate in zip(IDS, fates, strict=True)
    ]
    await planned(desk.spool, *made, *more, lease=False)


def done(answer: dict[str, object]) -> list[str]:
    return [row["id"] for row in answer["rows"] if row["done"]]  # type: ignore[attr-defined]  # rows of an answer


@FORMS
@pytest.mark.parametrize(
    "fates", [["waiting"] * 3, ["failed", "cancelled", "cancelled"], ["expired"] * 3, ["held"] * 3]
)
async def test_a_retry_lets_all_mails_of_a_text_go_again(desk: Desk, fates: list[str], named: str) -> None:
    await stored(desk, fates)

    assert done(await desk.queue.retry([named])) == list(IDS)
    assert await desk.fates() == ["waiting"] * 3
    assert desk.taken == ["m1.1.1"]


@FORMS
async def test_a_retry_sends_no_part_again_that_was_handed_over(desk: Desk, named: str) -> None:
    await stored(desk, ["handed_over", "failed", "cancelled"])

    assert done(await desk.queue.retry([named])) == ["m1.1.1-2", "m1.1.1-3"]
    assert await desk.fates() == ["handed_over", "waiting", "waiting"]
    assert desk.taken == ["m1.1.1-2"]


async def test_parts_that_were_all_handed_over_are_not_retried(desk: Desk) -> None:
    await stored(desk, ["handed_over"] * 3)
    with pytest.raises(CommandFailed, match=r"m1\.1\.1: it is handed_over"):
        await desk.queue.retry(["m1.1"])


@FORMS
async def test_cancel_ends_all_mails_of_a_text_that_have_not_left(desk: Desk, named: str) -> None:
    await stored(desk, ["handed_over", "waiting", "waiting"])

    assert done(await desk.queue.cancel([named])) == ["m1.1.1-2", "m1.1.1-3"]
    assert await desk.fates() == ["handed_over", "cancelled", "cancelled"]
    assert desk.taken == []


@FORMS
async def test_release_lets_all_mails_of_a_text_go(desk: Desk, named: str) -> None:
    await stored(desk, ["held"] * 3, reason="flood")

    assert done(await desk.queue.release([named])) == list(IDS)
    assert desk.taken == ["m1.1.1"]


async def test_what_is_named_mail_by_mail_goes_once_and_is_told_once(desk: Desk) -> None:
    await stored(desk, ["held"] * 3)
    answer = await desk.queue.release(list(IDS))

    assert [(row["id"], row["done"]) for row in answer["rows"]] == [(id_, True) for id_ in IDS]


async def test_what_the_flood_brake_holds_of_a_sender_includes_texts_by_carrier(desk: Desk) -> None:
    await stored(desk, ["held"] * 3, reason="flood")
    await desk.queue.release(sender="jobs")

    assert await desk.fates() == ["waiting"] * 3


@pytest.mark.parametrize("fate", ["waiting", "sending", "unknown", "held", "handed_over", "delivered"])
@FORMS
async def test_no_part_is_tried_again_while_another_way_lives_or_brought_the_text(
    desk: Desk, fate: str, named: str
) -> None:
    await stored(desk, ["failed", "cancelled", "cancelled"], delivery("m1.1.2", fate=Fate(fate)))
    if named in IDS:
        with pytest.raises(CommandFailed, match=f"its message is {fate} by m1.1.2"):
            await desk.queue.retry([named])
    elif fate in ("waiting", "held"):
        assert done(await desk.queue.retry([named])) == ["m1.1.2"]

    assert await desk.fates() == ["failed", "cancelled", "cancelled"]


@pytest.mark.parametrize("named", ["m1.1.2", "m1.1", "m1"])
async def test_the_last_way_is_tried_again_where_no_other_brought_the_whole_text(desk: Desk, named: str) -> None:
    await stored(desk, ["failed", "handed_over", "handed_over"], delivery("m1.1.2", fate=Fate.FAILED))

    assert done(await desk.queue.retry([named])) == ["m1.1.2"]
    assert await desk.fates(*IDS, "m1.1.2") == ["failed", "handed_over", "handed_over", "waiting"]


async def test_of_ways_that_all_failed_the_last_is_tried_again(desk: Desk) -> None:
    await stored(desk, ["failed", "cancelled", "cancelled"], delivery("m1.1.2", fate=Fate.FAILED))
    with pytest.raises(CommandFailed, match=r"m1\.1\.2 came after it: retry that"):
        await desk.queue.retry(["m1.1.1-2"])


async def test_parts_that_are_retried_leave_one_after_the_other(desk: Desk) -> None:
    await stored(desk, ["waiting"] * 3)
    (first,) = await desk.spool.due(NOON, 10)
    assert (await desk.spool.start(first, NOON, 0, None)).done
    later = end("deferred", Fate.WAITING, due_at=first.expires_at, reason="retry")
    assert (await desk.spool.settle(later)).leased == ()
    await desk.queue.retry(["m1.1.1-2"])

    assert desk.taken == ["m1.1.1"]
    assert await desk.spool.due(NOON, 10) == []
