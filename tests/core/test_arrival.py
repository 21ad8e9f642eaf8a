"""A person's text through plan.make: the mail about it, with all that it says."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import shop
from outbox import only, words, written
from shop import ADMIN, DAY, JOBS, MARIA, NOON, RULES, entry, facts, picture, planned, talk, text_in

from gateway.core.facts import Facts
from gateway.core.intent import WAITING, needs, understand
from gateway.core.model import Kind, Picture
from gateway.core.rules import Answer, Rules
from gateway.core.work import Delivery, Writes

INBOX = "desk@shop.example.com"
OPEN = facts(entry("grant"), conversations=(talk(),))
NIGHT = Answer(
    place="config.toml:70", name="night", subject_tag="[after hours]", header=("X-Queue", "night"),
    text="We open at 8.",
)  # fmt: skip


def heard(text: str = "At ten?", known: Facts = OPEN, told: Rules = RULES, **more: Any) -> Writes:
    return planned(text_in(text, **more.pop("event", {})), known, told, **more).writes


def reply(writes: Writes) -> Delivery:
    return only([d for d in writes.deliveries if d.kind is Kind.REPLY])


def test_all_that_follows_from_one_text_is_one_set_of_writes() -> None:
    talks = (talk(), talk(id="b", job="b", subject="Tires", texted_at=NOON - 2 * DAY))
    told = shop.rules(answers=(NIGHT,), ask=True)
    known = facts(entry("grant"), conversations=talks)
    made = heard("Will it be ready at 5?", known, told, pictures=(picture(),))
    mail = written(reply(made))

    assert [Kind.REPLY, Kind.QUESTION, Kind.ANSWER] == [d.kind for d in made.deliveries]
    assert ["twilio:SM1.1", "twilio:SM1.ask", "twilio:SM1.answer"] == [m.id for m in made.messages]
    assert ("[after hours] Re: Reminder", "night") == (mail["Subject"], mail["X-Queue"])
    assert [b"abc"] == [part.get_content() for part in mail.iter_attachments()]
    assert words(reply(made)).startswith(
        "Will it be ready at 5?\n\n(1 picture or file attached)\n\n"
        "[Texted back by itself (night): We open at 8.]\n\n"
        "[The person was asked by text which job is meant.]\n\n"
        "[This person has other open jobs on the same number; the text may be about one of these:\n- Tires\n]\n"
    )


def test_a_text_that_may_be_a_stop_and_answers_by_machine_do_not_go_together() -> None:
    talks = (talk(), talk(id="b", job="b", texted_at=NOON - 2 * DAY))
    told = shop.rules(answers=(NIGHT,), ask=True)
    made = heard("please stop texting me", facts(entry("grant"), conversations=talks), told)

    assert [Kind.REPLY, Kind.QUESTION] == [d.kind for d in made.deliveries]
    assert {None} == {d.phone for d in made.deliveries}
    assert "[The answer night was not texted: the phone perhaps asked not to be texted.]" in words(reply(made))
    assert "[after hours] Re: Reminder" == made.messages[0].subject


@pytest.mark.parametrize(
    ("text", "sent", "media", "expected"),
    [
        pytest.param("Look", (picture(),), ("u1",), "Look\n\n(1 picture or file attached)\n", id="one"),
        pytest.param("", (picture(), picture(name="b.jpg")), ("u1", "u2"), "\n(2 pictures or files attached)\n",
                     id="two and no words"),
        pytest.param("", (picture(data=b"", problem="it is too large"),), ("u1",),
                     "(no words)\n\n(One picture or file is missing: it is too large)\n", id="missing"),
        pytest.param("Look", (picture(), picture(data=b"", problem="it is gone")), ("u1", "u2"),
                     "Look\n\n(1 picture or file attached)\n\n(One picture or file is missing: it is gone)\n",
                     id="one of two"),
        pytest.param("", (), (), "(no words)\n\n-- \n", id="nothing at all"),
    ],
)  # fmt: skip
def test_what_came_with_a_text_is_attached_or_its_lack_is_told(
    text: str, sent: tuple[Picture, ...], media: tuple[str, ...], expected: str
) -> None:
    made = heard(text, pictures=sent, event={"media": media})

    assert words(reply(made)).startswith(expected)
    assert sum(bool(p.data) for p in sent) == len(list(written(reply(made)).iter_attachments()))


def test_a_text_opens_a_closed_conversation_again_and_says_so() -> None:
    closed = facts(entry("grant"), conversations=(talk(closes_at=NOON - DAY),))
    made = heard(known=closed)
    (kept,) = made.conversations

    assert ("aaaaaaaaaaaaaaaa", NOON, NOON + timedelta(days=14)) == (kept.id, kept.heard_at, kept.closes_at)
    assert "[This conversation had closed; the text opened it again.]" in words(reply(made))
    assert ("conversation reminder; reopened", JOBS) == (made.messages[0].rule, reply(made).to)


def test_a_text_about_a_reopened_conversation_is_not_asked_about() -> None:
    closed = (talk(closes_at=NOON - DAY), talk(id="b", job="b", closes_at=NOON - DAY))

    assert () == heard(known=facts(conversations=closed), told=shop.rules(ask=True)).questions


def test_facts_that_lack_the_conversation_make_a_strangers_text_of_it_and_lose_no_word() -> None:
    made = heard("At ten?", facts())

    assert (INBOX, "At ten?") == (reply(made).to, made.messages[0].text)


def test_a_stop_ends_nothing_but_texts() -> None:
    made = heard("STOP", told=replace(shop.number("service", unmonitored="No."), answers=(NIGHT,)))

    assert ([Kind.REPLY], ["stop"]) == ([d.kind for d in made.deliveries], [c.action for c in made.consents])
    assert "No answer can be texted: this phone said STOP" in words(reply(made))


@pytest.mark.parametrize("text", ["STOP", "At ten?", "please stop texting me", ""])
def test_a_text_that_is_planned_twice_makes_the_same(text: str) -> None:
    told = replace(shop.number("service", confirms_stop="gateway", unmonitored="No."), ask=True)
    talks = (talk(), talk(id="b", job="b", texted_at=NOON - 2 * DAY))
    known = facts(entry("grant"), conversations=talks)

    assert heard(text, known, told) == heard(text, known, told)


def test_there_are_tokens_enough_for_all_that_can_follow() -> None:
    hook = text_in()
    told = shop.rules(ask=True)
    wanted = needs(understand(hook, None, told), hook, None, told)

    assert wanted.fresh >= WAITING + 4


def test_who_hears_of_a_reply_that_fails_is_not_the_mailbox_that_failed() -> None:
    known = facts(conversations=(talk(reply_to=ADMIN.upper()),))

    assert [""] == [m.report_to for m in heard(known=known).messages]
    assert {MARIA} == {m.phone for m in heard(known=known).messages}


def test_a_question_that_its_keyword_answers_is_not_asked_which_job_it_is_about() -> None:
    talks = (talk(), talk(id="b", job="b", subject="Tires", texted_at=NOON - 2 * DAY))
    hours = replace(NIGHT, keywords=("hours",))
    made = heard("Hours?", facts(entry("grant"), conversations=talks), shop.rules(answers=(hours,), ask=True))

    assert [Kind.REPLY, Kind.ANSWER] == [d.kind for d in made.deliveries]
    assert "- Tires" in words(reply(made))
