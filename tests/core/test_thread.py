"""Which conversation a person's text belongs to."""

from __future__ import annotations

from typing import Any

import pytest
from shop import BOB, DAY, MARIA, MINUTE, NOON, RULES, SALES, facts, talk, text_in

from gateway.core import thread
from gateway.core.model import Conversation, TextIn
from gateway.core.thread import Belonging

INBOX = "desk@shop.example.com"


def belongs(*talks: Conversation, **event: Any) -> Belonging:
    known = facts(conversations=talks)
    heard = text_in(**event).event
    assert isinstance(heard, TextIn)
    return thread.belonging(heard, known, RULES, NOON, iter(known.fresh))


A = talk(id="a", job="a", texted_at=NOON - DAY)
B = talk(id="b", job="b", texted_at=NOON - DAY / 2)


@pytest.mark.parametrize(
    ("talks", "expected", "others", "reopened"),
    [
        pytest.param([A, B], "b", ["a"], False, id="texted last"),
        pytest.param([talk(id="a", heard_at=NOON - MINUTE), B], "a", ["b"], False, id="the person wrote last there"),
        pytest.param([A, talk(id="b", closes_at=NOON)], "a", [], False, id="an open one before a closed one"),
        pytest.param([talk(id="a", closes_at=NOON), talk(id="b", closes_at=NOON - DAY, heard_at=NOON - MINUTE)],
                     "b", [], True, id="the one closed last opens again"),
        pytest.param([talk(id="a", number="sales"), B], "b", [], False, id="the number tells the job"),
        pytest.param([talk(id="a", phone=BOB), B], "b", [], False, id="the phone tells the person"),
        pytest.param([talk(id="a", texted_at=None), B], "b", [], False, id="never texted"),
    ],
)  # fmt: skip
def test_a_text_belongs_where_something_was_said_last(
    talks: list[Conversation], expected: str, others: list[str], reopened: bool
) -> None:
    for order in (talks, talks[::-1]):
        found = belongs(*order)

        assert (expected, others, reopened) == (found.talk.id, [c.id for c in found.others], found.reopened)
        assert found.known


@pytest.mark.parametrize(
    ("talks", "ambiguous"),
    [
        pytest.param([B], False, id="one job"),
        pytest.param([A, B], True, id="two jobs, no word of his yet"),
        pytest.param([A, talk(id="b", heard_at=NOON - MINUTE)], False, id="he wrote there since"),
        pytest.param([talk(id="a", texted_at=NOON - MINUTE), talk(id="b", texted_at=NOON - DAY, heard_at=NOON)],
                     False, id="the other was texted before he wrote"),
        pytest.param([talk(id="a", texted_at=NOON - MINUTE), talk(id="b", heard_at=NOON - 2 * MINUTE, texted_at=NOON)],
                     True, id="the other was texted after he wrote"),
    ],
)  # fmt: skip
def test_a_text_may_be_about_another_job_that_was_texted_since(talks: list[Conversation], ambiguous: bool) -> None:
    assert ambiguous == belongs(*talks).ambiguous


def test_a_strangers_text_opens_a_conversation_with_the_inbox_of_the_number() -> None:
    found = belongs()

    assert (False, False, False) == (found.known, found.reopened, found.ambiguous)
    assert ("", MARIA, "", "service", INBOX) == (
        found.talk.sender, found.talk.phone, found.talk.job, found.talk.number, found.talk.reply_to,
    )  # fmt: skip


def test_a_stranger_keeps_his_conversation_and_takes_it_to_another_number() -> None:
    known = talk(id="s", sender="", job="", texted_at=None, reply_to="old@shop.example.com")
    found = belongs(known, number=SALES)

    assert ("s", "sales", "admin@shop.example.com") == (found.talk.id, found.talk.number, found.talk.reply_to)
    assert not found.known


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param({}, "Reminder", id="the subject"),
        pytest.param({"subject": "", "job": "1042"}, "1042", id="the job"),
        pytest.param({"subject": "", "job": "<a@x>"}, "a job without a subject", id="a message id says nothing"),
        pytest.param({"subject": "x" * 61}, "x" * 57 + "...", id="long"),
    ],
)
def test_a_conversation_is_named_in_few_words(changes: dict[str, str], expected: str) -> None:
    assert expected == thread.named(talk(**changes))
