"""The loops over a real spool: what is due goes out once, what went wrong is mended, and nothing is lost by a stop."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from postroom import (
    ADMIN,
    BOB,
    JOBS,
    OURS,
    UNCLEAR,
    Now,
    Room,
    by_carrier,
    counted,
    mail,
    phone,
    text,
    writes,
)

from gateway.alarms import Alarms
from gateway.core.facts import Facts, Needs
from gateway.core.model import Fate, InboundMail, Phone, Recipient
from gateway.core.rules import Number, Sender
from gateway.core.work import Deferred, Delivery, Outcome, Writes
from gateway.deliver import Deliverer
from gateway.engine import STUCK_SECONDS
from gateway.known import after
from gateway.ports import ReaderUnavailable

OTHER = Phone("+12065550198")


def job_mail(ident: str, job: str, to: Phone) -> InboundMail:
    """A mail about that job to a customer."""
    raw = f"From: {JOBS}\r\nMessage-ID: <{ident}@shop.example.com>\r\nSubject: {job}\r\n\r\nReady\r\n"
    envelope = replace(mail().envelope, recipients=(Recipient(address=f"{to.removeprefix('+1')}@sms.example.com"),))
    return replace(mail(), id=f"mail{ident}", raw=raw.encode(), envelope=envelope)


async def test_large_mails_for_a_slow_relay_hold_up_no_text(room: Callable[..., Room]) -> None:
    r = room()
    r.relay.open.clear()
    mails = [by_carrier(n, data=b"x" * (9 << 20)) for n in range(100, 105)]
    texts = [text(n, phone(n)) for n in range(30)]
    await r.spool.write(writes(*mails), False)
    await r.spool.write(writes(*texts), False)
    r.run()
    await r.ends_as(Fate.HANDED_OVER, *(delivery.id for _, delivery in texts))

    assert len(r.account.sent) == 30
    r.relay.open.set()


@pytest.mark.parametrize(
    ("count", "phones", "rate", "segments"),
    [
        pytest.param(80, 80, 1000.0, 1, id="as-many-phones"),
        pytest.param(80, 1, 1000.0, 1, id="one-phone"),
        pytest.param(250, 250, 1000.0, 1, id="more-than-one-claim"),
        # Without segments nothing is paced: the queue in memory has room for twenty, and is filled again at once.
        pytest.param(80, 80, 1.0, 0, id="more-than-the-queue-holds"),
    ],
)
async def test_all_that_is_due_at_the_start_is_sent_without_waiting_for_the_next_minute(
    room: Callable[..., Room], count: int, phones: int, rate: float, segments: int
) -> None:
    r = room(rate=rate)
    made = [text(n, phone(n % phones), segments=segments) for n in range(count)]
    await r.spool.write(writes(*made), False)
    r.run()
    await r.ends_as(Fate.HANDED_OVER, *(delivery.id for _, delivery in made))

    assert set(Counter(r.account.sent).values()) == {1}
    assert len(r.account.sent) == count


async def test_a_settlement_that_finds_the_spool_unavailable_is_tried_again(room: Callable[..., Room]) -> None:
    r = room()
    r.spool.failing = 1
    await r.spool.write(writes(text()), False)
    r.run()
    await r.ends_as(Fate.HANDED_OVER, "m0.1.1")

    assert await r.spool.fates() == {"m0.1.1": "handed_over"}
    assert r.account.sent == [("m0.1.1", 1)]


@pytest.mark.parametrize(
    ("answers", "fate"),
    [
        pytest.param([UNCLEAR], Fate.HANDED_OVER, id="then-taken"),
        pytest.param([UNCLEAR, UNCLEAR], Fate.HELD, id="then-unclear-again"),
    ],
)
async def test_an_unclear_text_that_no_look_up_finds_is_sent_again_exactly_once(
    room: Callable[..., Room], answers: list[Outcome], fate: Fate
) -> None:
    r = room(answers)
    await r.spool.write(writes(text()), False)
    r.run()
    await r.ends_as(fate, "m0.1.1")

    assert r.account.sent == [("m0.1.1", 1), ("m0.1.1", 2)]
    assert r.account.looked_up == 3 * len(answers)
    assert (await r.spool.fates())["m0.1.1"] == fate


async def test_a_delivery_that_is_leased_twice_is_sent_once(room: Callable[..., Room]) -> None:
    r = room()
    r.account.open.clear()
    leased = (await r.spool.write(writes(text()))).leased
    r.dispatcher.take(leased)
    r.dispatcher.take(leased)
    await r.bell.until(lambda: bool(r.account.sent))
    r.dispatcher.take(leased)
    r.account.open.set()
    await r.bell.until(lambda: len(r.spool.started) == 2)

    assert r.account.sent == [("m0.1.1", 1)]


async def test_a_way_that_is_at_fault_is_left_alone_and_its_queue_stays_in_the_spool(room: Callable[..., Room]) -> None:
    r = room([Deferred(reason="the account is busy", sender_wide=True)])
    before = counted("courier.up")
    r.dispatcher.take((await r.spool.write(writes(text(0)))).leased)
    await r.ends_as(Fate.WAITING, "m0.1.1")
    others = [text(n) for n in (1, 2, 3)]
    r.dispatcher.take((await r.spool.write(writes(*others))).leased)
    r.run()
    await r.ends_as(Fate.HANDED_OVER, *(delivery.id for _, delivery in others))

    first, *rest = r.spool.started
    down, *_ = r.spool.settled
    assert (first, down.outcome) == ("m0.1.1", "deferred")
    # Given back while the way was paused, each was started once, after the pause.
    assert {"m1.1.1": 1, "m2.1.1": 1, "m3.1.1": 1}.items() <= Counter(rest).items()
    assert counted("courier.up") == before + 1


async def test_nothing_is_sent_by_a_way_that_is_paused(room: Callable[..., Room]) -> None:
    r = room([Deferred(reason="the account is busy", sender_wide=True)])
    r.dispatcher.take((await r.spool.write(writes(text(0)))).leased)
    await r.ends_as(Fate.WAITING, "m0.1.1")
    r.dispatcher.take((await r.spool.write(writes(text(1)))).leased)
    async with asyncio.timeout(10):
        while (await r.spool.find("delivery", id="m1.1.1"))[0]["reason"] != "retry":
            continue

    assert r.account.sent == [("m0.1.1", 1)]
    assert await r.spool.fates() == {"m0.1.1": "waiting", "m1.1.1": "waiting"}


async def test_a_provider_that_refuses_the_account_is_told_to_the_admin_at_once(room: Callable[..., Room]) -> None:
    r = room([Deferred(reason="authentication failed", code="20003", sender_wide=True)])
    await r.spool.write(writes(text()), False)
    r.run()
    await r.bell.until(lambda: bool(r.relay.sent))

    assert [mail.rcpt_to for mail in r.relay.sent] == [ADMIN]


async def test_a_relay_that_is_down_is_told_to_an_employees_phone_by_the_provider(room: Callable[..., Room]) -> None:
    r = room(alarm_to=(BOB,))
    told: list[Delivery] = []

    def taken(deliveries: Sequence[Delivery], *, later: bool) -> None:
        told.extend(deliveries)

    alarms = Alarms(spool=r.spool, rules=lambda: r.rules, clock=Now(), taken=taken)
    _, delivery = by_carrier()
    await alarms.down(delivery, Deferred(reason="connection refused", sender_wide=True))
    await alarms.down(delivery, Deferred(reason="connection refused", sender_wide=True))

    assert [(d.courier, d.to) for d in told] == [("twilio", BOB)]


async def test_a_stop_ends_the_run_at_once_and_what_was_paced_still_waits(room: Callable[..., Room]) -> None:
    r = room(rate=0.01)
    await r.spool.write(writes(*(text(n) for n in range(5))), False)
    r.run()
    await r.bell.until(lambda: len(r.spool.settled) == 1)
    await r.stopped()

    assert Counter((await r.spool.fates()).values()) == {"handed_over": 1, "waiting": 4}
    now = datetime.now(UTC)
    await r.spool.recover(now)
    assert len(await r.spool.due(now, 10)) == 4


async def test_a_reply_goes_before_all_the_reminders_that_wait_for_the_pace(room: Callable[..., Room]) -> None:
    r = room(rate=1.0)
    reminders = [text(n, priority=5) for n in range(30)]
    await r.spool.write(writes(*reminders), False)
    r.run()
    await r.ends_as(Fate.HANDED_OVER, "m0.1.1")
    reply = text(40, priority=1)
    r.dispatcher.take((await r.spool.write(writes(reply))).leased)
    await r.ends_as(Fate.HANDED_OVER, "m40.1.1")

    assert [ident for ident, _ in r.account.sent] == ["m0.1.1", "m40.1.1"]


async def test_a_look_up_waits_for_no_pace(room: Callable[..., Room]) -> None:
    r = room([UNCLEAR], rate=0.01)
    await r.spool.write(writes(text(0), text(1)), False)
    r.run()
    await r.bell.until(lambda: any(s.outcome == "not_found" for s in r.spool.settled))

    assert r.account.sent == [("m0.1.1", 1)]


async def test_many_texts_find_out_with_few_requests_that_the_account_takes_no_more_now(
    room: Callable[..., Room],
) -> None:
    busy = Deferred(reason="too many requests", code="20429", retry_after=1.0, sender_wide=True)
    r = room([busy] * 100)
    down = counted("courier.down")
    await r.spool.write(writes(*(text(n) for n in range(60))), False)
    r.run()
    async with asyncio.timeout(10):
        while any(row["reason"] != "retry" for row in await r.spool.find("queue", all=True, limit=100)):
            continue

    assert len(r.account.sent) <= 25
    assert r.relay.sent == []
    assert counted("courier.down") - down <= 1


async def test_two_mails_to_one_customer_get_two_numbers_of_a_pool(room: Callable[..., Room]) -> None:
    numbers = tuple(Number(name=n, phone=Phone(p), provider="twilio") for n, p in (("a", OURS), ("b", OTHER)))
    for n in range(5):
        r = room(senders=(Sender(name="jobs", numbers=("a", "b")),), numbers=numbers)
        to = phone(n)
        await r.spool.write(Writes(consents=writes(text(n)).consents))
        mails = [job_mail(f"{n}{job}", job, to) for job in ("one", "two")]
        for one in mails:
            await r.spool.accept(one)
        engine = r.engine()
        await asyncio.gather(*(engine.plan_one(one) for one in mails))
        talks = (await r.spool.gather(Needs(threads=frozenset({to})))).conversations

        assert {talk.number for talk in talks} == {"a", "b"}


async def test_a_mail_that_fails_three_times_is_parked_and_the_admin_is_told(room: Callable[..., Room]) -> None:
    r = room()
    engine = r.engine(*(RuntimeError("a fault") for _ in range(3)))
    await r.spool.accept(mail())
    r.run(engine)
    await r.bell.until(lambda: ADMIN in [m.rcpt_to for m in r.relay.sent])
    await r.stopped()

    (parked,) = [row for row in await r.spool.find("queue", all=False, limit=10) if row["id"] == "mailmailmai"]
    assert (parked["fate"], parked["reason"]) == ("held", "parked")
    assert "2065550102@vtext.com" not in [m.rcpt_to for m in r.relay.sent]


async def test_a_mail_that_no_reader_can_take_now_is_tried_again_and_never_parked(room: Callable[..., Room]) -> None:
    r = room()
    engine = r.engine(*(ReaderUnavailable("no memory") for _ in range(4)))
    before = counted("inbound.parked", "")
    await r.spool.accept(mail())
    r.run(engine)
    await r.bell.until(lambda: bool(r.relay.sent))
    await r.stopped()

    assert [m.rcpt_to for m in r.relay.sent] == ["2065550102@vtext.com"]
    assert counted("inbound.parked", "") == before


async def test_the_sender_of_a_mail_that_is_held_after_its_third_crash_is_told(room: Callable[..., Room]) -> None:
    r = room()
    engine = r.engine()
    await r.spool.write(writes(by_carrier()), False)
    for _ in range(3):
        now = datetime.now(UTC)
        (leased,) = await r.spool.due(now, 10)
        assert (await r.spool.start(leased, now, 10, None)).done
        assert r.relay.sent == []
        assert await engine.recover(now) == 1
    await r.bell.until(lambda: bool(r.relay.sent))

    assert (await r.spool.fates())["m0.1.1"] == "held"
    (report,) = r.relay.sent
    assert report.rcpt_to == JOBS
    assert b"Not delivered: text to" in report.data


async def test_a_conversation_with_many_texts_takes_turns_with_those_that_have_one(room: Callable[..., Room]) -> None:
    r = room(rate=100.0)
    many = [text(n, phone(0)) for n in range(4)]
    single = [text(n, phone(n)) for n in range(10, 40)]
    await r.spool.write(writes(*many, *single), False)
    r.run()
    await r.ends_as(Fate.HANDED_OVER, *(delivery.id for _, delivery in (*many, *single)))

    order = [delivery for delivery, _ in r.account.sent]
    assert [d.id for _, d in many] == [ident for ident in order if ident in {d.id for _, d in many}]
    assert order.index(many[1][1].id) > max(order.index(d.id) for _, d in single)


async def test_loops_that_have_not_turned_for_minutes_are_stuck_whatever_the_wall_says(
    room: Callable[..., Room], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The watchdog is fed, and the daemon ready, only while this says nothing."""
    house = room()
    engine = house.engine()
    house.run(engine)
    async with asyncio.timeout(20):
        while house.dispatcher.turned_at is None:
            await asyncio.sleep(0)
    assert engine.stuck() == []

    now = time.monotonic()
    monkeypatch.setattr("gateway.engine.time", SimpleNamespace(monotonic=lambda: now + STUCK_SECONDS + 60))

    assert engine.stuck() == ["sweeper", "dispatcher"]


@pytest.mark.parametrize("read_anew", [False, True], ids=["the rules of the plan", "rules that were read since"])
async def test_a_text_leaves_with_its_plan_under_the_rules_in_force_alone(
    room: Callable[..., Room], read_anew: bool
) -> None:
    r = room([])
    message, delivery = by_carrier()
    assert delivery.phone is not None
    agreed = writes((message, delivery)).consents
    facts = Facts(consents={delivery.phone: agreed}, ledger={delivery.phone: 1})
    known = after(Writes(messages=(message,), deliveries=(delivery,)), facts, r.rules)
    in_force = replace(r.rules) if read_anew else r.rules
    alarms = Alarms(spool=r.spool, rules=lambda: in_force, clock=Now(), taken=r.dispatcher.take)
    deliverer = Deliverer(
        spool=r.spool,
        mail=r.relay,
        providers={},
        rules=lambda: in_force,
        clock=Now(),
        taken=r.dispatcher.take,
        alarms=alarms,
        stopped_within=r.dispatcher.stopped_within,
    )

    assert await deliverer.reserved(delivery, known) is not read_anew
