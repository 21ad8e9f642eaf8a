"""Which job is meant?  Asked by text, and settled by the answer."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import shop
from hypothesis import given
from hypothesis import strategies as st
from outbox import only, words, written
from shop import ADMIN, DAY, JOBS, MARIA, MINUTE, NOON, PETER, entry, facts, picture, planned, said, talk, text_in

from gateway.core import ask
from gateway.core.facts import Facts
from gateway.core.intent import WAITING
from gateway.core.model import Fate, InboundHook, Kind, Question
from gateway.core.rules import Answer, PolicyRules, Rules
from gateway.core.work import Delivery, TextParcel, Writes

ASKING = shop.rules(ask=True)
BRAKES = talk(id="a", job="a", subject="Brakes", texted_at=NOON - DAY)
TIRES = talk(id="b", job="b", subject="Tires", texted_at=NOON - DAY / 2, reply_to="tires@shop.example.com")
TWO = facts(conversations=(TIRES, BRAKES))


def question(**changes: Any) -> Question:
    """What Maria was asked two minutes ago: 1 for Tires, 2 for Brakes."""
    made = Question(id="q", kind="job", phone=MARIA, number="service", asked_at=NOON - 2 * MINUTE,
                    closes_at=NOON + 8 * MINUTE, options=("b", "a"))  # fmt: skip
    return replace(made, **changes)


def second(text: str, ident: str = "SM2", **changes: Any) -> InboundHook:
    hook = text_in(text, remote_id=ident, **changes)
    return replace(hook, id=f"twilio:{ident}")


def first(text: str = "Will it be ready at 5?", told: Rules = ASKING, **more: Any) -> Writes:
    return planned(text_in(text), TWO, told, **more).writes


def answered_by(hook: InboundHook, *asked: Question, writes: Writes | None = None, told: Rules = ASKING) -> Writes:
    """What follows from a text while these questions are open and the mails of `writes` wait."""
    made = writes or first()
    known = replace(
        TWO,
        questions={q.id: q for q in asked},
        deliveries={d.id: d for d in made.deliveries},
        messages={m.id: m for m in made.messages},
    )
    return planned(hook, known, told, now=NOON + MINUTE).writes


def asked_in(writes: Writes) -> Question:
    (found,) = writes.questions
    return found


def text_of(writes: Writes) -> Delivery:
    return only([d for d in writes.deliveries if d.kind is Kind.QUESTION])


def reply_of(writes: Writes) -> Delivery:
    return only([d for d in writes.deliveries if d.kind is Kind.REPLY])


def test_a_text_that_may_be_about_two_jobs_is_asked_about_and_its_mail_waits() -> None:
    made = first()
    parcel, mail, found = text_of(made).parcel, reply_of(made), asked_in(made)

    assert isinstance(parcel, TextParcel)
    assert "Example Auto: which job is this about? Reply 1 for Tires, 2 for Brakes." == parcel.body
    assert (MARIA, NOON + 10 * MINUTE) == (parcel.to, text_of(made).expires_at)
    assert (("b", "a"), MARIA, "service", NOON + 10 * MINUTE) == (
        found.options, found.phone, found.number, found.closes_at,
    )  # fmt: skip
    assert (("twilio:SM1.1.1",), Fate.WAITING, "asked which job", NOON + 10 * MINUTE) == (
        found.deliveries, mail.fate, mail.reason, mail.due_at,
    )  # fmt: skip
    assert mail.expires_at > NOON + 5 * DAY, "the wait takes nothing of its time"
    assert "[The person was asked by text which job is meant.]" in words(mail)
    assert "the text may be about one of these:\n- Brakes\n]" in words(mail)


@pytest.mark.parametrize(
    ("text", "known", "told"),
    [
        pytest.param("At 5?", TWO, shop.RULES, id="not configured"),
        pytest.param("At 5?", facts(conversations=(TIRES,)), ASKING, id="one job"),
        pytest.param("stop", TWO, ASKING, id="STOP"),
        pytest.param("YES", TWO, ASKING, id="YES"),
        pytest.param("help", TWO, ASKING, id="HELP"),
        pytest.param("please stop texting me", TWO, ASKING, id="perhaps a STOP"),
        pytest.param("At 5?", facts(entry("suspend"), conversations=TWO.conversations), ASKING, id="in doubt"),
        pytest.param("At 5?", facts(entry("stop"), conversations=TWO.conversations), ASKING, id="stopped"),
        pytest.param("At 5?", facts(entry("revoke"), conversations=TWO.conversations), ASKING, id="opted out"),
        pytest.param(
            "At 5?", replace(TWO, said={MARIA: (said(kind=Kind.QUESTION),) * 3}), ASKING, id="asked thrice a day"
        ),
        pytest.param("At 5?", TWO, replace(ASKING, numbers=()), id="a number that is no more"),
    ],
)
def test_nobody_is_asked_without_need(text: str, known: Facts, told: Rules) -> None:
    made = planned(text_in(text), known, told).writes

    assert [] == [q for q in made.questions if q.kind == "job"]
    assert [] == [d for d in made.deliveries if d.kind is Kind.QUESTION and d.phone]
    assert ("", NOON) == (reply_of(made).reason, reply_of(made).due_at)


def test_a_text_that_comes_late_is_not_asked_about() -> None:
    hook = replace(text_in(), at=NOON - 11 * MINUTE)

    assert () == planned(hook, TWO, ASKING).writes.questions


def test_a_question_that_quiet_hours_would_hold_is_not_asked() -> None:
    night = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)
    told = replace(ASKING, policy=PolicyRules(quiet_hours="20:00-08:00", quiet_replies="hold"))
    made = planned(replace(text_in(), at=night), TWO, told, now=night).writes

    assert ((), night) == (made.questions, reply_of(made).due_at)


def test_five_jobs_are_named_at_most_and_long_names_are_shortened() -> None:
    talks = tuple(talk(id=f"t{n}", job=str(n), subject=f"{n} " + "x" * 40) for n in range(7))
    made = planned(text_in(), facts(conversations=talks), ASKING).writes

    assert 5 == len(asked_in(made).options)
    assert f"1 for 6 {'x' * 25}..., 2 for 5" in text_of(made).parcel.body  # type: ignore[union-attr]


def test_the_answer_sends_the_mail_that_waits_to_the_thread_of_that_job() -> None:
    made = first()
    after = answered_by(second("2"), asked_in(made), writes=made)
    (move,), mail, (message,) = after.moves, only(after.deliveries), after.messages

    assert ("twilio:SM1.1.1", Fate.CANCELLED, "answer") == (move.delivery, move.fate, move.source)
    assert ("twilio:SM2.1", "twilio:SM2.1.1", "a", JOBS) == (message.id, mail.id, message.conversation, mail.to)
    assert ("Re: Brakes", "<SM2.1@sms.example.com>") == (written(mail)["Subject"], written(mail)["Message-ID"])
    assert words(mail).startswith("Will it be ready at 5?\n")
    assert "[Asked which job is meant, the person answered 2.]" in words(mail)
    assert "12:00 EST" in words(mail), "when the words were said, not the number"
    assert [("a", NOON + MINUTE)] == [(c.id, c.heard_at) for c in after.conversations]
    assert ("2", NOON + MINUTE) == (asked_in(after).answer, asked_in(after).answered_at)


def test_the_answer_that_names_the_likely_job_lets_its_mail_go_at_once() -> None:
    made = first()
    after = answered_by(second(" 1. "), asked_in(made), writes=made)

    assert [("twilio:SM1.1.1", Fate.WAITING, NOON + MINUTE)] == [(m.delivery, m.fate, m.due_at) for m in after.moves]
    assert ((), ()) == (after.messages, after.deliveries)


def test_pictures_go_along_and_an_answer_rule_marks_the_moved_mail() -> None:
    told = replace(ASKING, answers=(Answer(place="x", name="tag", subject_tag="[SMS]"),))
    made = first(told=told, pictures=(picture(data=b"\xff\xd8jpeg"),))
    mail = only(answered_by(second("2"), asked_in(made), writes=made, told=told).deliveries)

    assert [b"\xff\xd8jpeg"] == [p.get_content() for p in written(mail).iter_attachments()]
    assert "[SMS] Re: Brakes" == written(mail)["Subject"]


def test_what_a_mail_says_besides_goes_along_to_the_job_that_is_meant() -> None:
    told = replace(ASKING, answers=(Answer(place="x", name="hours", text="Mon to Fri."),))
    made = first(told=told, pictures=(picture(data=b"", problem="it is larger than 5 MB"),))
    body = words(only(answered_by(second("2"), asked_in(made), writes=made, told=told).deliveries))

    assert "(One picture or file is missing: it is larger than 5 MB)" in body
    assert "[Texted back by itself (hours): Mon to Fri.]" in body
    assert "was asked by text" not in body


def test_pictures_that_nobody_fetched_are_named_by_their_addresses_there_too() -> None:
    made = planned(text_in("", media=("https://x.example/1",)), TWO, ASKING).writes
    body = words(only(answered_by(second("2"), asked_in(made), writes=made).deliveries))

    assert "(1 picture or file came with it:)\nhttps://x.example/1\n" in body


@pytest.mark.parametrize(
    ("text", "more"),
    [
        ("0", {}), ("3", {}), ("12", {}), ("1 pm", {}), ("two", {}), ("2" + " " * 30 + "x", {}), ("", {}),
        ("2", {"author": PETER}), ("2", {"number": shop.SALES}),
    ],
)  # fmt: skip
def test_anything_else_is_a_text_like_any_other(text: str, more: dict[str, Any]) -> None:
    made = answered_by(second(text, **more), question())

    assert [] == [q for q in made.questions if q.answered_at]
    assert words(reply_of(made)).startswith(text or "(no words)")


def test_a_picture_is_no_answer() -> None:
    known = replace(TWO, questions={"q": question()})
    made = planned(second("2"), known, ASKING, pictures=(picture(),)).writes

    assert None is asked_in(made).answered_at


@pytest.mark.parametrize(
    "changes",
    [{"answered_at": NOON, "answer": "1"}, {"closes_at": NOON}, {"kind": "stop"}, {"phone": PETER}],
    ids=["answered", "closed", "of another kind", "asked of somebody else"],
)
def test_only_an_open_question_is_answered(changes: dict[str, Any]) -> None:
    made = planned(second("2"), replace(TWO, questions={"q": question(**changes)}), ASKING).writes

    assert "2" == reply_of(made).parcel.data.decode().split("\r\n\r\n")[1].split("\r\n")[0]  # type: ignore[union-attr]


def test_a_further_text_waits_for_the_same_answer_without_another_question() -> None:
    made = answered_by(second("And the oil?"), question(deliveries=("x.1.1",)))

    assert ("x.1.1", "twilio:SM2.1.1") == asked_in(made).deliveries
    assert [Kind.REPLY] == [d.kind for d in made.deliveries]
    assert NOON + 8 * MINUTE == reply_of(made).due_at


def test_no_more_wait_for_one_answer_than_there_are_tokens_for() -> None:
    full = question(deliveries=tuple(f"x{n}.1.1" for n in range(WAITING)))
    made = answered_by(second("And the oil?"), full)

    assert ((), NOON + MINUTE) == (made.questions, reply_of(made).due_at)


def test_a_stop_while_the_question_is_open_is_a_stop_and_waits_for_nothing() -> None:
    made = answered_by(second("STOP"), question())

    assert (["stop"], (), "") == ([c.action for c in made.consents], made.questions, reply_of(made).reason)


def test_of_two_open_questions_the_first_is_answered() -> None:
    made = answered_by(second("2"), question(), question(id="r", options=("a", "b")))

    assert ("q", "a") == (asked_in(made).id, made.conversations[0].id)


@pytest.mark.parametrize(
    "gone", [{"deliveries": {}}, {"messages": {}}], ids=["the mail has gone already", "its message is gone"]
)
def test_an_answer_for_which_nothing_waits_goes_to_that_job_itself(gone: dict[str, Any]) -> None:
    made = first()
    known = replace(TWO, questions={"q": replace(asked_in(made), id="q")}, **{
        "deliveries": {d.id: d for d in made.deliveries}, "messages": {m.id: m for m in made.messages}, **gone,
    })  # fmt: skip
    after = planned(second("2"), known, ASKING).writes

    assert ((), "a", JOBS) == (after.moves, after.messages[0].conversation, reply_of(after).to)
    assert words(reply_of(after)).startswith("2\n\n[Asked which job is meant, the person answered 2.]")


def test_an_answer_that_names_a_conversation_that_is_no_more_is_a_text_like_any_other() -> None:
    made = answered_by(second("2"), question(options=("b", "gone")))

    assert (None, "b") == (asked_in(made).answered_at, made.messages[0].conversation)


def test_a_waiting_delivery_that_is_no_mail_brings_no_pictures() -> None:
    made = first()
    bare = replace(made, deliveries=tuple(replace(d, parcel=None) for d in made.deliveries))

    assert [ADMIN] == [m.report_to for m in answered_by(second("2"), asked_in(made), writes=bare).messages]


@given(st.text(max_size=30))
def test_whatever_is_said_the_answer_is_one_that_was_offered(text: str) -> None:
    event = text_in(text).event
    found = ask.settled(question(), event, TWO, NOON)  # type: ignore[arg-type]

    assert found is None or found[1].id in ("a", "b")


def test_a_question_is_open_no_longer_than_it_waits() -> None:
    told = replace(ASKING, ask_wait=timedelta(minutes=2))
    made = first(told=told)

    assert NOON + 2 * MINUTE == reply_of(made).due_at == asked_in(made).closes_at == text_of(made).expires_at


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("2", 2), (" 2. ", 2), ("#2", 2), ("2 please", 2), ("the 2nd one", 2), ("Number 2, thanks", 2),
        ("its for 1", 1),
        ("2 pm works", 0), ("yes at 2", 0), ("1 or 2", 0), ("RO 12", 0), ("$2", 2), ("2 more days is fine with me", 0),
        ("", 0), ("no", 0), ("the 2nd one about the truck and the trailer", 0),
    ],
)  # fmt: skip
def test_a_number_with_nothing_but_courtesies_around_it_is_an_answer(text: str, number: int) -> None:
    assert number == ask._number(text)
