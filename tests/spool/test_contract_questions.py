"""The contract of Spool, part six: questions that were asked, pictures that are fetched, and what a text carries."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

import pytest
from spooled import (
    ANN,
    BEN,
    NOON,
    SECOND,
    consent,
    delivery,
    media_file,
    message,
    move,
    planned,
    question,
    sent,
    started,
    state_of,
)

from gateway.core.facts import Needs
from gateway.core.model import ACTIONS, Fate, Kind, Question
from gateway.core.work import Writes
from gateway.ports import Spool

DAY = timedelta(days=1)


async def asked(spool: Spool, *ids: str) -> dict[str, Question]:
    """The questions of these ids, and those that are open about ANN."""
    facts = await spool.gather(Needs(questions=frozenset(ids), asked=frozenset({ANN})))
    return dict(facts.questions)


async def test_questions_are_known_by_id_and_open_ones_by_phone(spool: Spool) -> None:
    answered = question("q2", answered_at=NOON, answer="1")
    closed = question("q3", closes_at=NOON)
    other = question("q4", phone=BEN)
    await spool.write(Writes(questions=(question(), answered, closed, other)))

    assert await asked(spool) == {"q1": question()}
    assert await asked(spool, "Q2", "q3", "q9") == {"q1": question(), "q2": answered, "q3": closed}


async def test_a_question_is_replaced_by_its_id_as_a_whole(spool: Spool) -> None:
    other = Question(
        id="q1", kind="stop", phone=BEN, number="sales", asked_at=NOON + SECOND, closes_at=NOON + DAY, answer="2"
    )
    other = replace(other, answered_at=NOON + SECOND)
    for one in (question(), other):
        await spool.write(Writes(questions=(one,)))

    assert await asked(spool, "q1") == {"q1": other}


async def test_a_plan_made_from_older_facts_does_not_take_an_answer_back(spool: Spool) -> None:
    answered = question(answered_at=NOON, answer="1")
    for one in (question(), answered, question(deliveries=("m1.1.1", "m2.1.1"))):
        await spool.write(Writes(questions=(one,)))

    assert await asked(spool, "q1") == {"q1": answered}


async def test_open_questions_are_shown_first_closing_first(spool: Spool, clock) -> None:
    soon = question("q2", phone=BEN, closes_at=NOON + SECOND)
    await spool.write(Writes(questions=(question(), soon, question("q3", answered_at=NOON))))

    shown = await spool.find("questions")
    assert [row["id"] for row in shown] == ["q2", "q1"]
    assert [row["id"] for row in await spool.find("questions", phone=ANN)] == ["q1"]
    assert [row["id"] for row in await spool.find("questions", limit=1, offset=1)] == ["q1"]
    assert shown[1] == {
        "id": "q1",
        "kind": "job",
        "phone": ANN,
        "number": "service",
        "sender": "",
        "asked_at": "2026-11-23T17:00:00Z",
        "closes_at": "2026-11-23T17:10:00Z",
        "text": "Is it ready?",
        "options": ["talk1", "talk2"],
        "deliveries": ["m1.1.1"],
        "answered_at": None,
        "answer": "",
    }
    clock.advance(SECOND)
    assert [row["id"] for row in await spool.find("questions")] == ["q1"]


async def test_the_story_of_a_phone_tells_what_was_asked_and_answered(spool: Spool) -> None:
    await spool.write(Writes(questions=(question(answered_at=NOON + SECOND, answer="2"), question("q2", phone=BEN))))
    (row,) = await spool.find("story", phone=ANN)

    told = (row["what"], row["at"], row["options"], row["answered_at"], row["answer"])
    assert told == ("question", "2026-11-23T17:00:00Z", ["talk1", "talk2"], "2026-11-23T17:00:01Z", "2")
    json.dumps(row)


async def test_retention_removes_questions_long_after_their_close(spool: Spool) -> None:
    await spool.write(Writes(questions=(question(), question("q2", closes_at=NOON + 9 * DAY))))
    await spool.purge(NOON + 10 * DAY, {"done": 9}, 10)

    assert set(await asked(spool, "q1", "q2")) == {"q2"}


async def test_a_file_is_served_by_its_token_until_it_expires(spool: Spool, clock) -> None:
    await spool.write(Writes(media=(media_file(),)))

    assert await spool.media("f1") == media_file()
    assert await spool.media("f2") is None
    clock.advance(timedelta(days=7))
    assert await spool.media("f1") is None


async def test_a_file_whose_token_exists_is_left_alone(spool: Spool) -> None:
    for one in (media_file(), media_file(data=b"other", name="other.jpg")):
        await spool.write(Writes(media=(one,)))

    assert await spool.media("f1") == media_file()


async def test_expired_files_go_with_their_bytes_whatever_retention_keeps(spool: Spool) -> None:
    await spool.write(Writes(media=(media_file(), media_file("f2", data=b"x" * 10, expires_at=NOON + 9 * DAY))))
    before = (await spool.sizes())["media_bytes"]
    gone = await spool.purge(NOON + 8 * DAY, {}, 10)

    assert (before, gone, (await spool.sizes())["media_bytes"]) == (266, 1, 10)


async def test_many_expired_files_go_in_steps(spool: Spool) -> None:
    await spool.write(Writes(media=tuple(media_file(f"f{n}", data=b"x") for n in range(120))))

    assert await spool.purge(NOON + 8 * DAY, {}, 10_000) == 120
    assert (await spool.sizes())["media_bytes"] == 0


async def test_a_text_keeps_its_pictures_and_its_class_of_consent(spool: Spool) -> None:
    made = delivery()
    assert made.parcel is not None
    made = replace(made, parcel=replace(made.parcel, media=("https://sms.example.com/media/f1/brakes.jpg",)))
    text = message(klass="marketing")
    await spool.write(Writes(messages=(text,), deliveries=(made,)), lease=False)

    facts = await spool.gather(Needs(deliveries=frozenset({"m1.1.1"})))

    assert facts.deliveries == {"m1.1.1": made}
    assert facts.messages == {"m1.1": text}


@pytest.mark.parametrize("action", ACTIONS)
async def test_the_ledger_takes_every_action_with_the_number_that_it_is_about(spool: Spool, action: str) -> None:
    entry = consent("c1", action, number="+12025550100")
    await spool.write(Writes(consents=(entry,)))

    assert (await spool.gather(Needs(phones=frozenset({ANN})))).consents == {ANN: (entry,)}
    assert [row["number"] for row in await spool.find("consents")] == ["+12025550100"]
    assert [row["number"] for row in await spool.find("story", phone=ANN)] == ["+12025550100"]


@pytest.mark.parametrize("kind", [Kind.ANSWER, Kind.CONFIRMATION, Kind.QUESTION])
async def test_a_text_of_any_kind_that_was_under_way_is_looked_up_after_a_crash(spool: Spool, kind: Kind) -> None:
    await started(spool, delivery(kind=kind))
    found = await spool.recover(NOON, 20 * SECOND)

    assert (found.attempts, found.held) == (1, ())
    assert (await state_of(spool))["fate"] == "unknown"


async def test_an_answer_cancels_what_waited_for_it_or_lets_it_go_at_once(spool: Spool) -> None:
    later = NOON + timedelta(minutes=10)
    await planned(spool, delivery("m1.1.1", due_at=later), delivery("m1.2.1", due_at=later, phone=BEN))
    moves = (move(Fate.CANCELLED, "answer"), move(Fate.WAITING, "answer", delivery="m1.2.1", due_at=NOON))
    done = await spool.write(Writes(moves=moves))

    assert done.moved == ("m1.1.1",)
    assert done.leased == (replace(delivery("m1.2.1", due_at=later, phone=BEN), due_at=NOON),)
    assert (await state_of(spool))["fate"] == "cancelled"


@pytest.mark.parametrize("fate", [Fate.HELD, Fate.CANCELLED, Fate.HANDED_OVER])
async def test_only_what_waits_can_be_made_due(spool: Spool, fate: Fate) -> None:
    await planned(spool, delivery(fate=fate, due_at=NOON + DAY))
    done = await spool.write(Writes(moves=(move(Fate.WAITING, "answer", due_at=NOON),)))

    row = await state_of(spool)
    assert (done.moved, done.leased) == ((), ())
    assert (row["fate"], row["due_at"]) == (fate, "2026-11-24T17:00:00Z")
    assert [r["changed"] for r in row["receipts"]] == [0]  # type: ignore[attr-defined]


async def test_what_was_sent_is_beyond_an_answer(spool: Spool) -> None:
    await sent(spool, delivery())

    assert (await spool.write(Writes(moves=(move(Fate.CANCELLED, "answer"),)))).moved == ()
