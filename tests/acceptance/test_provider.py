"""The paid route, whatever its other end does: one text for one mail, and never a silent end."""

from __future__ import annotations

import asyncio
import re
import signal
from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise
from pathlib import Path

import pytest
from cases import Open, Seen, case
from daemon import Event
from house import House
from rig import ALICE, JOBS, Pipe, connect, events, rig, root, rows, send, texted, texts_out, tool

from gateway.simulator.journal import Called, Posted
from gateway.simulator.phones import Script

FAST = '[[number]]\nname = "service"\nphone = "+12025550100"\nprovider = "twilio"\nsegments_per_second = 1000\n'
PEOPLE = "".join(
    f'[[employee]]\nname = "tech{n}"\nphone = "+120255503{n:02d}"\ncarrier = "att"\nfallback = "provider"\n'
    for n in range(20)
)


async def lead(house: House, pipe: Pipe) -> None:
    """Makes the daemon, when it starts next, reach Twilio by the pipe."""
    house.merge(f'[twilio]\napi_url = "{pipe.url}"\n')
    house.write()


@case(4, "kill -9 between commit and request", "found again and reconciled, provider count <= 1")
async def test_a_text_whose_request_never_arrived_is_sent_once_after_a_kill(open_shop: Open, seen: Seen) -> None:
    house = await open_shop()

    async def swallow(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await writer.wait_closed()

    hole = Pipe(house.world.api_url)
    nobody = await asyncio.start_server(swallow, "127.0.0.1", hole.port)
    await lead(house, hole)
    await house.start()
    await send(house, "ready")
    await house.daemon.wait_event("delivery.started", courier="twilio")
    await house.daemon.kill()
    nobody.close()
    house.merge(f'[twilio]\napi_url = "{house.world.api_url}"\n')
    house.write()

    after = len(house.daemon.events)
    await house.start()
    resent = await house.daemon.wait_event("delivery.resent", after=after)
    await house.daemon.wait_event("delivery.confirmed", after=after, fate="delivered")
    seen(f"sending -> unknown -> {resent['note']}; provider count {house.world.twilio.posts[ALICE]}")
    assert house.world.twilio.posts == {ALICE: 1}


@case(5, "kill -9 after acceptance, before the SID is stored", "SID adopted, provider count = 1")
async def test_a_text_that_was_taken_before_a_kill_is_adopted_and_not_sent_again(shop: House, seen: Seen) -> None:
    shop.world.twilio.phones.default = Script(callbacks=False)
    shop.world.twilio.faults.add("silent")
    await send(shop, "ready")
    await texted(shop, "ready")
    await shop.daemon.kill()

    after = len(shop.daemon.events)
    await shop.start()
    adopted = await shop.daemon.wait_event("delivery.adopted", after=after)
    (text,) = [t for t in shop.world.phone(ALICE) if t.direction == "outbound-api"]
    (row,) = [r for r in await rows(shop, "--all") if r["to"] == ALICE]
    seen(f"{adopted['event']}, {row['fate']}; provider count {shop.world.twilio.posts[ALICE]}")
    assert shop.world.twilio.posts == {ALICE: 1}
    assert text.body.endswith("ready")
    assert row["fate"] in ("handed_over", "delivered")


@case(6, "SIGTERM while the provider is slow", "no new mail (421), finishes or marks unknown, exit 0 < 45 s")
async def test_an_end_while_a_text_is_under_way_waits_for_its_answer(shop: House, seen: Seen) -> None:
    shop.world.twilio.faults.add("late", seconds=6)
    client = await connect(shop.daemon.port())
    await send(shop, "ready")
    await texted(shop, "ready")
    loop = asyncio.get_running_loop()
    begun = loop.time()
    shop.daemon.signal(signal.SIGTERM)
    said = await client.reply()
    with pytest.raises(OSError, match=r"refused|reset|closed|Connect"):
        await connect(shop.daemon.port())
    code = await shop.daemon.ended(45)
    took = loop.time() - begun

    await shop.start()
    (row,) = [r for r in await rows(shop, "--all") if r["to"] == ALICE]
    seen(f"{said[:9]}; exit {code} after {took:.1f} s; {row['fate']}; provider count {shop.world.twilio.posts[ALICE]}")
    assert said.startswith("421 4.3.2")
    assert code == 0
    assert row["fate"] in ("handed_over", "delivered")
    assert shop.world.twilio.posts == {ALICE: 1}


@case(20, "DNS failure", "retried, not failed, not unknown")
async def test_names_that_cannot_be_resolved_are_tried_again(open_shop: Open, tmp_path: Path, seen: Seen) -> None:
    root()
    house = await open_shop('[twilio]\napi_url = "https://api.example.invalid"\n[relay]\nhost = "relay.invalid"\n')
    house.merge('[relay]\ntls = "required"\n')
    house.write()
    resolver = tmp_path / "resolv.conf"
    resolver.write_text("nameserver 127.0.0.9\noptions timeout:1 attempts:1\n")
    script = f'mount --bind {resolver} /etc/resolv.conf && exec "$@"'
    rig(house).under = (tool("unshare"), "-m", "sh", "-c", script, "sh")
    await house.start()
    await send(house, "by Twilio")
    await send(house, "by mail", "bob")
    await house.daemon.wait_event("delivery.deferred", courier="twilio")
    await house.daemon.wait_event("delivery.deferred", courier="mail")
    fates = {(row["courier"], row["fate"], row["reason"]) for row in await rows(house)}

    seen(", ".join(f"{courier}: {fate} ({reason})" for courier, fate, reason in sorted(fates)))
    assert {("twilio", "waiting", "retry"), ("mail", "waiting", "relay")} <= fates
    assert {fate for _, fate, _ in fates} == {"waiting"}


@case(21, "provider refuses connections", "tried again with growing pauses, provider count 0")
async def test_a_text_waits_while_nobody_listens_and_goes_when_somebody_does(open_shop: Open, seen: Seen) -> None:
    house = await open_shop()
    pipe = Pipe(house.world.api_url)
    await lead(house, pipe)
    await house.start()
    await send(house, "ready")
    tries = [await house.daemon.wait_event("delivery.deferred", attempt=n, deadline=60) for n in (1, 2, 3)]
    pauses = _pauses(tries)
    (row,) = await rows(house)
    before = dict(house.world.twilio.posts)
    await pipe.open()
    await house.world.wait(lambda _: texts_out(house), 60)
    await pipe.close()

    count = house.world.twilio.posts[ALICE]
    seen(f"{row['fate']} with pauses of {pauses[0]:.0f} and {pauses[1]:.0f} s, count 0; then sent, count {count}")
    assert (row["fate"], row["reason"], before) == ("waiting", "retry", {})
    assert pauses[1] > pauses[0] >= 1
    assert house.world.twilio.posts == {ALICE: 1}


def _pauses(tries: Sequence[Event]) -> list[float]:
    """The seconds between one try and the next, by the daemon's own clock."""
    times = [datetime.fromisoformat(event["timestamp"]) for event in tries]
    return [(after - before).total_seconds() for before, after in pairwise(times)]


@case(22, "429 with Retry-After", "waits so long, then exactly one")
async def test_a_provider_that_asks_for_time_gets_it_and_then_one_text(shop: House, seen: Seen) -> None:
    shop.world.twilio.faults.add("429", seconds=6)
    loop = asyncio.get_running_loop()
    await send(shop, "ready")
    await shop.daemon.wait_event("delivery.deferred", code="20429")
    begun = loop.time()
    await texted(shop, "ready")
    waited = loop.time() - begun
    await shop.daemon.wait_event("delivery.confirmed", fate="delivered")

    seen(f"sent {waited:.1f} s after a Retry-After of 6; {len(texts_out(shop))} text")
    assert waited >= 5.9
    assert len(texts_out(shop)) == 1


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        pytest.param("500-after", "500", marks=case(23, "500 after acceptance", "unknown, reconciled, count 1")),
        pytest.param("reset-after", "reset", marks=case(24, "reset after acceptance", "unknown, reconciled, count 1")),
        pytest.param("silent", "no answer", marks=case(25, "no answer in time", "unknown, reconciled, count 1")),
    ],
    ids=["500", "reset", "silent"],
)
async def test_a_text_that_may_have_been_taken_is_looked_up_and_never_sent_blindly(
    fault: str, why: str, shop: House, seen: Seen
) -> None:
    shop.world.twilio.phones.default = Script(callbacks=False)
    shop.world.twilio.faults.add(fault)
    await send(shop, "ready")
    unclear = await shop.daemon.wait_event("delivery.unclear", deadline=60, fate="unknown")
    await shop.daemon.wait_event("delivery.adopted")

    seen(f"{why}: {unclear['event']}, adopted by a look-up; provider count {shop.world.twilio.posts[ALICE]}")
    assert shop.world.twilio.posts == {ALICE: 1}
    assert len(texts_out(shop)) == 1


@case(26, "400: 21211, 21614, 21610", "final, no retry; 21610 is kept as an opt-out")
async def test_a_no_of_the_provider_is_final_and_its_opt_out_is_kept(shop: House, seen: Seen) -> None:
    ends = {}
    for code in ("21211", "21614", "21610"):
        shop.world.twilio.faults.add(code)
        await send(shop, f"with {code}")
        refused = await shop.daemon.wait_event("delivery.refused", code=code)
        ends[code] = refused["fate"]
    shown = await shop.daemon.command("consent", "show", ALICE)
    later = await send(shop, "after the opt-out")
    told = await shop.world.wait(lambda w: len(m := w.mail.to(JOBS)) >= 3 and m, 20)

    seen(f"{ends}; {len(told)} reports to the sender; then {later[:9]}; {shop.world.twilio.posts[ALICE]} posts")
    assert shop.world.twilio.posts == {ALICE: 3}
    assert set(ends.values()) <= {"failed", "refused"}
    assert later.startswith("550 5.7.1")
    assert re.search("21610|block|stop", shown.out, re.IGNORECASE), shown.out


@case(27, "401", "the number pauses, the operator is told, the queue is kept")
async def test_an_account_that_is_refused_pauses_the_number_tells_the_admin_and_keeps_the_queue(
    shop: House, seen: Seen
) -> None:
    shop.world.twilio.faults.add("20003", count=0)
    await send(shop, "one")
    await shop.daemon.wait_event("courier.down", number="service")
    await send(shop, "two")
    (alarm, *_) = await shop.world.wait(lambda w: w.mail.to("admin@shop.example.com"), 20)
    waiting = [row for row in await rows(shop) if row["to"] == ALICE]
    shop.world.twilio.faults.clear()
    for words in ("one", "two"):
        await texted(shop, words)

    seen(f"alarm: {alarm.message['Subject']}; {len(waiting)} kept, both sent later")
    assert {row["fate"] for row in waiting} == {"waiting"}
    assert len(texts_out(shop)) == 2


@case(28, "provider down, a queue of 5,000", "mail accepted to the cap; paced drain in order; the expired are reported")
@pytest.mark.timeout(900)
@pytest.mark.parametrize("count", [150, pytest.param(5000, marks=pytest.mark.long)])
async def test_a_queue_that_grew_in_an_outage_is_sent_in_order_and_what_is_too_late_is_reported(
    count: int, open_shop: Open, seen: Seen
) -> None:
    cap = f"[smtp]\nmax_queue = {count + 1}\n"
    house = await open_shop(f'{FAST}{cap}[policy]\nexpires_after = "4 h"\n{PEOPLE}')
    pipe = Pipe(house.world.api_url)
    await lead(house, pipe)
    await house.start()
    for n in range(count):
        answer = await send(house, f"text {n:04d}", f"tech{n % 20}", ident=f"n{n}")
        assert answer.startswith("250"), answer
    over = await _over_the_cap(house)
    await pipe.open()
    loop = asyncio.get_running_loop()
    begun = loop.time()
    await house.world.wait(lambda _: len(set(texts_out(house))) >= count, 600)
    took = loop.time() - begun
    await house.daemon.stop()

    orders = [[w for w in texts_out(house, f"+120255503{n:02d}") if "text" in w] for n in range(20)]
    wrong = [order for order in orders if order != sorted(order)]
    await pipe.close()
    seen(f"{count} waited, then {over[:9]}; drained in {took:.0f} s, {len(wrong)} phones out of order")
    assert over.startswith("452 4.3.1")
    assert [] == wrong
    assert len(texts_out(house)) == len(set(texts_out(house)))


async def _over_the_cap(house: House) -> str:
    """The answer when the queue is full: its size is looked at every five seconds."""
    async with asyncio.timeout(20):
        n = 0
        while True:
            n += 1
            answer = await send(house, f"over {n}", "tech0", ident=f"over{n}")
            if not answer.startswith("250"):
                return answer


@case(28, "a queue that is sent after an outage", "paced: as many segments a second as its number may send")
async def test_what_an_outage_left_leaves_at_the_pace_of_its_number(open_shop: Open, seen: Seen) -> None:
    pace, count = 5, 40
    house = await open_shop(FAST.replace("= 1000", f"= {pace}") + PEOPLE)
    pipe = Pipe(house.world.api_url)
    await lead(house, pipe)
    await house.start()
    for n in range(count):
        assert (await send(house, f"text {n:02d}", f"tech{n % 20}")).startswith("250")
    await house.daemon.wait_event("delivery.deferred")
    await pipe.open()
    await house.world.wait(lambda _: len(set(texts_out(house))) >= count, 120)
    await pipe.close()

    left = [e.at for e in house.world.journal.entries if isinstance(e, Posted) and e.sid]
    spans = [(last - first).total_seconds() for first, last in zip(left, left[10:], strict=False)]
    took = (left[-1] - left[0]).total_seconds()
    seen(f"{count} texts in {took:.1f} s at {pace} a second; ten of them in {min(spans):.1f} to {max(spans):.1f} s")
    assert len(left) == count
    assert took >= 0.9 * (count - 1) / pace
    # Half of it, because a busy machine may hold some up and not those behind them.
    assert min(spans) >= 10 / pace / 2


@case(28, "what waited too long in an outage", "expired ones are reported")
async def test_a_text_that_an_outage_made_too_late_is_reported_and_not_sent(open_shop: Open, seen: Seen) -> None:
    house = await open_shop()
    pipe = Pipe(house.world.api_url)
    await lead(house, pipe)
    await house.start()
    await send(house, "too late")
    await house.daemon.wait_event("delivery.deferred")
    await house.daemon.stop()
    await pipe.open()
    rig(house).ahead = 5 * 3600
    await house.start()
    await house.daemon.wait_event("delivery.expired")
    (report, *_) = await house.world.wait(lambda w: w.mail.to(JOBS), 20)
    await pipe.close()

    seen(f"expired after 4 h; report to the sender: {report.message['Subject']}")
    assert house.world.twilio.posts == {}
    assert "its time was over" in report.text


@case(31, "callbacks twice and out of order", "the fate only moves forward")
async def test_statuses_that_come_twice_and_backwards_only_move_a_fate_forward(shop: House, seen: Seen) -> None:
    shop.world.twilio.phones.default = Script(twice=True, backwards=True)
    await send(shop, "ready")

    def called(_: object) -> list[Called]:
        calls = [e for e in shop.world.journal.entries if isinstance(e, Called)]
        return calls if len(calls) >= 4 else []

    calls = await shop.world.wait(called, 20)
    (row,) = [r for r in await rows(shop, "--all") if r["to"] == ALICE]
    moved = [e["fate"] for e in events(shop, "delivery.confirmed")]
    seen(f"{[call.status for call in calls]}: {row['fate']}")
    assert row["fate"] == "delivered"
    assert {call.answer for call in calls} == {204}
    assert moved.count("delivered") == 1
    assert moved[-1] == "delivered"
