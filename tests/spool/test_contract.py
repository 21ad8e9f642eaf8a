"""The contract of Spool, part one: what comes in, is recognised, planned, parked and known.

The files test_contract*.py are one suite: every backend of the `spool` fixture must pass all of it.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

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
    planned,
    prints,
    sent,
    started,
    status_hook,
)

from gateway.core.model import Confirmation, Fate, Inbound, Kind, Recipient, Spent
from gateway.core.work import Facts, Needs, Plan, Writes
from gateway.ports import Budget, Spool, Stored

A, B = "2025550143@sms.example.com", "2025550144@sms.example.com"


@pytest.mark.parametrize(
    "inbound",
    [
        mail("m1", A, raw=bytes(range(256))),
        replace(
            mail("m1"),
            envelope=replace(
                mail().envelope,
                recipients=(Recipient(address=A, notify="NEVER", orcpt="rfc822;é"),),
                envid="e1",
                ret="FULL",
            ),
        ),
        replace(hook(), event=replace(hook().event, media=("https://example.com/1",), opt_out="STOP")),
        status_hook("SM1", "failed", "m1.1.1", "30007"),
    ],
    ids=["mail", "mail with DSN words", "text", "status"],
)
async def test_what_came_in_is_given_out_for_planning_as_it_was(spool: Spool, inbound: Inbound) -> None:
    stored = await spool.accept(inbound)

    assert stored == Stored(id=inbound.id)
    assert await spool.unplanned(10) == [inbound]


async def test_inbounds_are_given_out_oldest_first_and_once_while_the_lease_lives(spool: Spool) -> None:
    for id_ in ("m2", "m1", "m3"):
        await spool.accept(mail(id_))

    assert [i.id for i in await spool.unplanned(2)] == ["m2", "m1"]
    assert [i.id for i in await spool.unplanned(2)] == ["m3"]
    assert await spool.unplanned(2) == []


async def test_an_ended_lease_lets_an_inbound_be_planned_by_another(spool: Spool, clock) -> None:
    await spool.accept(mail())
    await spool.unplanned(1)
    clock.advance(61)

    assert [i.id for i in await spool.unplanned(1)] == ["m1"]


async def test_a_hook_whose_id_is_known_changes_nothing(spool: Spool) -> None:
    await spool.accept(hook("SM1", text="first"))
    again = await spool.accept(hook("SM1", text="second"), consents=[consent()])

    assert again == Stored(id="twilio:SM1", new=False)
    assert [i.event.text for i in await spool.unplanned(10)] == ["first"]
    assert await spool.find("consents") == []


async def test_a_stop_is_in_the_ledger_when_its_hook_is_accepted(spool: Spool) -> None:
    await spool.accept(hook(), consents=[consent("c1", "stop")])

    facts = await spool.gather(Needs(phones=frozenset({ANN})))

    assert facts.consents == {ANN: (consent("c1", "stop"),)}


async def test_a_repeat_is_answered_with_the_id_of_the_first_and_stored_nowhere(spool: Spool) -> None:
    first, second = mail("m1"), mail("m2", at=NOON + timedelta(minutes=5))
    await spool.accept(first, prints(first))

    assert await spool.accept(second, prints(second)) == Stored(id="m1", repeated=(A,), new=False)
    assert [i.id for i in await spool.unplanned(10)] == ["m1"]


async def test_recipients_are_compared_without_case_and_named_as_written(spool: Spool) -> None:
    first, second = mail("m1", "Alice@sms.example.com"), mail("m2", "ALICE@SMS.example.com")
    await spool.accept(first, prints(first))

    assert (await spool.accept(second, prints(second))).repeated == ("ALICE@SMS.example.com",)


async def test_one_mail_that_names_a_recipient_twice_is_no_repeat_of_itself(spool: Spool) -> None:
    twice = mail("m1", "alice@sms.example.com", "Alice@sms.example.com")

    assert await spool.accept(twice, prints(twice)) == Stored(id="m1")


async def test_only_the_repeated_recipients_are_left_out(spool: Spool) -> None:
    first, second = mail("m1", A), mail("m2", A, B)
    await spool.accept(first, prints(first))

    assert await spool.accept(second, prints(second)) == Stored(id="m2", repeated=(A,))
    assert await spool.unplanned(10) == [first, mail("m2", B)]


async def test_other_content_is_no_repeat(spool: Spool) -> None:
    first, second = mail("m1"), mail("m2")
    await spool.accept(first, prints(first, digest="one"))

    assert (await spool.accept(second, prints(second, digest="two"))).new


@pytest.mark.parametrize(("seconds", "new"), [(3599, False), (3600, True)])
async def test_a_first_counts_within_its_window(spool: Spool, seconds: int, new: bool) -> None:
    first, second = mail("m1"), mail("m2", at=NOON + timedelta(seconds=seconds))
    await spool.accept(first, prints(first))

    assert (await spool.accept(second, prints(second, window=3600))).new is new


@pytest.mark.parametrize(
    ("fates", "new"),
    [
        (["waiting"], False),
        (["handed_over"], False),
        (["held"], False),
        (["failed"], True),
        (["expired"], True),
        (["refused"], True),
        (["cancelled"], True),
        (["failed", "waiting"], False),
        (["failed", "expired"], True),
        ([], False),
    ],
    ids=lambda value: "+".join(value) or "none" if isinstance(value, list) else None,
)
async def test_a_first_whose_deliveries_all_ended_badly_does_not_count(
    spool: Spool, fates: list[str], new: bool
) -> None:
    first, second = mail("m1"), mail("m2")
    await spool.accept(first, prints(first))
    ways = tuple(delivery(f"m1.1.{k}", fate=Fate(fate)) for k, fate in enumerate(fates))
    await spool.plan(Plan(inbound="m1", writes=Writes(messages=(message(),), deliveries=ways)))

    assert (await spool.accept(second, prints(second))).new is new


async def test_the_fate_of_one_recipient_does_not_speak_for_another(spool: Spool) -> None:
    first, second = mail("m1", A, B), mail("m2", A, B)
    await spool.accept(first, prints(first))
    messages = (message("m1.1"), replace(message("m1.2", phone=BEN), recipient=B))
    ways = (delivery("m1.1.1", fate=Fate.FAILED), delivery("m1.2.1", phone=BEN))
    await spool.plan(Plan(inbound="m1", writes=Writes(messages=messages, deliveries=ways)))

    assert await spool.accept(second, prints(second)) == Stored(id="m2", repeated=(B,))


async def test_a_report_that_went_out_does_not_make_a_failed_first_count(spool: Spool) -> None:
    first, second = mail("m1"), mail("m2")
    await spool.accept(first, prints(first))
    report = replace(message("m1.9", kind=Kind.REPORT), recipient="jobs@example.com")
    ways = (delivery("m1.1.1", fate=Fate.REFUSED, parcel=None), carrier_mail("m1.9.1"))
    await spool.plan(Plan(inbound="m1", writes=Writes(messages=(message(), report), deliveries=ways)))

    assert (await spool.accept(second, prints(second))).new


async def test_a_plan_commits_once(spool: Spool) -> None:
    leased = await planned(spool, delivery())
    again = await spool.plan(Plan(inbound="m1", writes=Writes(deliveries=(delivery("m1.1.2"),))))

    assert leased == (delivery(),)
    assert not again.done
    assert await spool.find("delivery", id="m1.1.2") == []


async def test_a_plan_for_an_unknown_inbound_is_not_done(spool: Spool) -> None:
    assert not (await spool.plan(Plan(inbound="nobody"))).done


async def test_a_plan_leases_nothing_when_it_is_told_so(spool: Spool) -> None:
    assert await planned(spool, delivery(), lease=False) == ()
    assert await spool.due(NOON, 10) == [delivery()]


async def test_a_parked_inbound_is_shown_and_planned_again_after_its_release(spool: Spool) -> None:
    await spool.accept(mail())
    await spool.plan(Plan(inbound="m1", parked="no charset of that name"))

    (row,) = await spool.find("queue")
    assert (row["id"], row["fate"], row["courier"], row["note"]) == ("m1", "held", None, "no charset of that name")
    assert await spool.unplanned(10) == []
    assert await spool.unpark("m1")
    assert await spool.unplanned(10) == [mail()]
    assert (await spool.plan(Plan(inbound="m1", note="nothing to do"))).done
    assert await spool.find("queue") == []
    assert not await spool.unpark("m1")


async def test_a_parked_inbound_that_is_given_up_stays_planned_and_says_who_did_it(spool: Spool) -> None:
    await spool.accept(mail())
    await spool.plan(Plan(inbound="m1", parked="no charset of that name"))

    assert await spool.discard("m1", "cancel by ann")
    assert not await spool.discard("m1", "cancel by ann")
    assert await spool.find("queue") == []
    assert await spool.unplanned(10) == []
    (row,) = await spool.find("story", id="m1")
    assert (row["parked"], row["note"]) == ("", "cancel by ann")


async def test_rows_whose_id_exists_are_left_alone(spool: Spool) -> None:
    await spool.write(Writes(messages=(message("a.1"),), deliveries=(delivery("a.1.1"),), consents=(consent(),)))
    other = Writes(
        messages=(replace(message("a.1"), text="other"),),
        deliveries=(delivery("a.1.1", priority=1),),
        consents=(consent("c1", "revoke"),),
    )
    await spool.write(other)

    facts = await spool.gather(Needs(deliveries=frozenset({"a.1.1"}), phones=frozenset({ANN})))

    assert facts.deliveries == {"a.1.1": delivery("a.1.1")}
    assert facts.messages == {"a.1": message("a.1")}
    assert facts.consents == {ANN: (consent(),)}


async def test_a_conversation_is_replaced_by_its_id(spool: Spool) -> None:
    later = conversation(subject="new", text="Ready", texted_at=NOON, closes_at=NOON + timedelta(days=20))
    await spool.write(Writes(conversations=(conversation(),)))
    await spool.write(Writes(conversations=(later,)))

    assert (await spool.gather(Needs(tokens=frozenset({"TALK1"})))).conversations == (later,)


async def test_older_facts_do_not_take_back_what_was_heard_meanwhile(spool: Spool) -> None:
    heard = conversation(text="Ready", texted_at=NOON, heard_at=NOON)
    await spool.write(Writes(conversations=(heard,)))
    await spool.write(Writes(conversations=(conversation(subject="new"),)))

    facts = await spool.gather(Needs(tokens=frozenset({"talk1"})))

    assert facts.conversations == (replace(heard, subject="new"),)


async def test_of_two_plans_that_open_the_same_conversation_the_second_is_made_again(spool: Spool) -> None:
    await spool.accept(mail("m1"))
    await spool.accept(mail("m2"))
    await spool.unplanned(2)
    await spool.plan(Plan(inbound="m1", writes=Writes(conversations=(conversation("talk1"),))))
    writes = Writes(messages=(message("m2.1"),), conversations=(conversation("talk2"),))
    second = await spool.plan(Plan(inbound="m2", writes=writes))

    assert (second.done, second.again) == (False, True)
    assert [i.id for i in await spool.unplanned(2)] == ["m2"]
    assert (await spool.write(writes)).again
    assert await spool.find("story", id="m2.1") == []


async def test_all_facts_are_answered(spool: Spool) -> None:
    made = delivery(bounce="abc", ways=("provider",), note="x")
    talks = [
        conversation("old", job="RO 1", texted_at=NOON - timedelta(days=1), text="a"),
        conversation("new", job="RO 2", texted_at=NOON, text="b"),
        conversation("closed", job="RO 3", closes_at=NOON),
    ]
    await spool.write(Writes(conversations=tuple(talks), consents=(consent("c1"), consent("c2", "stop"))))
    await sent(spool, made, ledger=2)
    word = Confirmation(employee="alice", address="2025550143@carrier.example", at=NOON, by="admin")
    await spool.confirm(replace(word, by="somebody"))
    await spool.confirm(word)

    facts = await spool.gather(
        Needs(
            phones=frozenset({ANN, BEN}),
            keys=frozenset({("jobs", ANN, "RO 3"), ("jobs", ANN, "RO 9")}),
            tokens=frozenset({"old"}),
            threads=frozenset({ANN}),
            deliveries=frozenset({"m1.1.1", "none"}),
            remote_ids=frozenset({("twilio", "SM9"), ("twilio", "SM0")}),
            bounces=frozenset({"ABC", "zzz"}),
            employees=frozenset({"alice", "bob"}),
            senders=frozenset({"jobs"}),
            fresh=3,
        )
    )

    after = replace(made, fate=Fate.HANDED_OVER, attempt=1, posted_at=NOON, remote_id="SM9", note="")
    assert replace(facts, fresh=()) == Facts(
        consents={ANN: (consent("c1"), consent("c2", "stop")), BEN: ()},
        conversations=(talks[1], talks[0], talks[2]),
        deliveries={"m1.1.1": after},
        by_remote={("twilio", "SM9"): after},
        by_bounce={"ABC": after},
        messages={"m1.1": message()},
        confirmations={"alice": word},
        spent={"jobs": Spent()},
        ledger={ANN: 2, BEN: 0},
    )
    assert len(set(facts.fresh)) == 3
    assert all(len(token) == 16 and token == token.lower() and token.isalnum() for token in facts.fresh)


async def test_spent_is_told_for_the_day_and_month_of_now(spool: Spool, clock) -> None:
    (leased,) = await planned(spool, delivery())
    await spool.start(leased, NOON, 0, Budget(sender="jobs", day="2026-11-23", month="2026-11"))

    today = await spool.gather(Needs(senders=frozenset({"jobs"})))
    clock.advance(timedelta(days=1))
    tomorrow = await spool.gather(Needs(senders=frozenset({"jobs"})))

    assert today.spent == {"jobs": Spent(day=3, month=3)}
    assert tomorrow.spent == {"jobs": Spent(day=0, month=3)}


async def test_a_mail_parcel_comes_back_byte_for_byte(spool: Spool) -> None:
    assert await planned(spool, carrier_mail()) == (carrier_mail(),)


async def test_gauges_tell_what_is_there(spool: Spool, clock) -> None:
    await started(spool, delivery())
    await spool.settle(end("accepted", Fate.HANDED_OVER))
    await spool.accept(mail("m2"))
    await spool.accept(mail("m3"))
    await spool.plan(Plan(inbound="m3", parked="why"))
    clock.advance(90)
    sizes = await spool.sizes()

    wanted = {"fate_handed_over": 1, "fate_waiting": 0, "unplanned": 1, "parked": 1, "oldest_seconds": 90}
    assert {key: sizes[key] for key in wanted} == wanted
    assert sizes["database_bytes"] > 0
    assert sizes["free_bytes"] > 0


async def test_ping_returns_after_a_commit(spool: Spool) -> None:
    await spool.ping()
