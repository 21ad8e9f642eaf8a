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
    sent,
    started,
    status_hook,
)

from gateway.core.facts import Facts, Needs
from gateway.core.model import Confirmation, Fate, Inbound, Kind, Recipient, Spent
from gateway.core.work import Move, Plan, Writes
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


async def test_large_mails_are_given_out_for_planning_in_several_answers(spool: Spool) -> None:
    for n in range(20):
        await spool.accept(mail(f"m{n}", raw=b"x" * (2 << 20)))
    counts = [len(await spool.unplanned(100)) for _ in range(5)]

    assert counts == [5, 5, 5, 5, 0]


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


async def test_older_facts_do_not_take_back_what_was_texted_and_heard_meanwhile(spool: Spool) -> None:
    heard = conversation(text="Ready", texted_at=NOON, heard_at=NOON)
    await spool.write(Writes(conversations=(heard,)))
    await spool.write(Writes(conversations=(conversation(subject="new"),)))

    facts = await spool.gather(Needs(tokens=frozenset({"talk1"})))

    assert facts.conversations == (replace(heard, subject="new"),)


async def test_a_mail_on_a_job_changes_its_thread_while_its_text_is_not_said_yet(spool: Spool) -> None:
    said = conversation(text="Ready", texted_at=NOON)
    second = conversation(subject="Second", message_id="<2@example.com>", references=("<1@example.com>",))
    back = conversation(message_id="<1@example.com>", references=("<2@example.com>",))
    for talk in (said, second, back):
        await spool.write(Writes(conversations=(talk,)))

    facts = await spool.gather(Needs(tokens=frozenset({"talk1"})))

    assert facts.conversations == (replace(back, text="Ready", texted_at=NOON),)


@pytest.mark.parametrize(
    ("closes_at", "heard_at"),
    [
        pytest.param(NOON - timedelta(minutes=1), None, id="closed"),
        pytest.param(NOON + timedelta(minutes=1), NOON - timedelta(days=1), id="open"),
    ],
)
async def test_our_text_opens_what_had_closed_and_not_the_right_to_answer(spool: Spool, closes_at, heard_at) -> None:
    old = conversation(heard_at=NOON - timedelta(days=1), closes_at=closes_at)
    for talk in (old, conversation()):
        await spool.write(Writes(conversations=(talk,)))

    (talk,) = (await spool.gather(Needs(tokens=frozenset({"talk1"})))).conversations

    assert (talk.heard_at, talk.closes_at) == (heard_at, conversation().closes_at)


async def test_a_text_is_the_last_one_of_its_conversation_from_its_start_on_and_only_forward(spool: Spool) -> None:
    async def said() -> tuple[object, str]:
        (talk,) = (await spool.gather(Needs(tokens=frozenset({"talk1"})))).conversations
        return talk.texted_at, talk.text

    await spool.accept(mail("m1"))
    made = replace(message(), conversation="talk1", text="Ready")
    receipt = replace(made, id="m1.2", kind=Kind.CONFIRMATION, text="Opted out")
    paid = (delivery(), replace(delivery("m1.2.1", phone=BEN), kind=Kind.CONFIRMATION))
    writes = Writes(messages=(made, receipt), deliveries=paid, conversations=(conversation(),))
    leased = (await spool.plan(Plan(inbound="m1", writes=writes))).leased

    assert await said() == (None, "")
    for one in reversed(leased):
        assert (await spool.start(one, NOON, 0, None)).done
        assert await said() == ((None, "") if one.id == "m1.2.1" else (NOON, "Ready"))
    later = conversation(texted_at=NOON + timedelta(minutes=1), text="Later")
    await spool.write(Writes(conversations=(later,)))
    await spool.settle(end("deferred", Fate.WAITING, due_at=NOON, reason="retry"), lease=False)
    (again,) = await spool.due(NOON, 1)
    assert (await spool.start(again, NOON, 0, None)).done
    assert await said() == (later.texted_at, "Later")


async def test_a_reply_planned_from_older_facts_keeps_the_newer_thread(spool: Spool) -> None:
    old = conversation(texted_at=NOON, text="Old")
    newer = replace(
        old,
        number="other",
        subject="Ready",
        message_id="<2@example.com>",
        references=("<0@example.com>", "<1@example.com>"),
        reply_to="boss@example.com",
        texted_at=NOON + timedelta(minutes=2),
        text="Ready",
        closes_at=NOON + timedelta(days=20),
    )
    for talk in (old, newer, replace(old, heard_at=NOON + timedelta(minutes=3))):
        await spool.write(Writes(conversations=(talk,)))

    facts = await spool.gather(Needs(tokens=frozenset({"talk1"})))

    assert facts.conversations == (replace(newer, heard_at=NOON + timedelta(minutes=3)),)


async def test_a_text_planned_from_older_facts_keeps_what_was_heard(spool: Spool) -> None:
    heard = conversation(texted_at=NOON, text="Old", heard_at=NOON, closes_at=NOON + timedelta(days=20))
    newer = conversation(texted_at=NOON + timedelta(minutes=2), text="Ready", message_id="<2@example.com>")
    for talk in (heard, newer):
        await spool.write(Writes(conversations=(talk,)))

    facts = await spool.gather(Needs(tokens=frozenset({"talk1"})))

    assert facts.conversations == (replace(newer, heard_at=NOON, closes_at=heard.closes_at),)


@pytest.mark.parametrize("texted_at", [None, NOON], ids=["never texted", "texted"])
async def test_a_stranger_who_writes_to_another_number_takes_the_conversation_there(spool: Spool, texted_at) -> None:
    known = conversation(sender="", job="", texted_at=texted_at, heard_at=NOON)
    later = replace(known, number="sales", reply_to="sales@example.com", heard_at=NOON + timedelta(minutes=1))
    for talk in (known, later, known):
        await spool.write(Writes(conversations=(talk,)))

    assert (await spool.gather(Needs(tokens=frozenset({"talk1"})))).conversations == (later,)


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


async def test_gauges_of_what_is_open_are_exact_and_of_what_ended_five_minutes_old_at_most(spool: Spool, clock) -> None:
    await planned(spool, delivery("m1.1.1"), delivery("m1.2.1", fate=Fate.HELD))
    names = ("fate_waiting", "fate_held", "fate_cancelled")
    before = await spool.sizes()
    ended = tuple(Move(delivery=d, fate=Fate.CANCELLED, source="admin") for d in ("m1.1.1", "m1.2.1"))
    await spool.write(Writes(moves=ended))
    soon = await spool.sizes()
    clock.advance(timedelta(minutes=5))
    later = await spool.sizes()

    assert [before[name] for name in names] == [1, 1, 0]
    assert [soon[name] for name in names[:2]] == [0, 0]
    assert [later[name] for name in names] == [0, 0, 2]


async def test_ping_returns_after_a_commit(spool: Spool) -> None:
    await spool.ping()
