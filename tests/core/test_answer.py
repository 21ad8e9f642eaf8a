"""Automatic answers: the first that fits, once a day, and never to a machine."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shop import MARIA, NOON, rules

from gateway.core.answer import answers, may_answer, rule_of
from gateway.core.model import Fate, Kind, Said
from gateway.core.rules import Answer

HOUR = timedelta(hours=1)
FRIDAY_NOON = datetime(2026, 11, 27, 17, tzinfo=UTC)


def answer(**changes: object) -> Answer:
    return Answer(place="config.toml:9", name="closed", text="We are closed.", **changes)  # type: ignore[arg-type]


def said(kind: Kind = Kind.ANSWER, *, rule: str = rule_of("closed"), text: str = "We are closed.",
         at: datetime = NOON - HOUR, fate: Fate = Fate.DELIVERED) -> Said:  # fmt: skip
    return Said(kind=kind, sender="", text=text, rule=rule, at=at, fate=fate)


def fits(found: Answer, text: str = "At ten?", at: datetime = NOON, number: str = "service") -> bool:
    return answers(rules(answers=(found,)), number, text, at) is not None


def test_the_first_answer_that_fits_is_given() -> None:
    hours, rest = answer(keywords=("hours",)), answer()

    assert hours == answers(rules(answers=(hours, rest)), "service", "Hours?", NOON)
    assert rest == answers(rules(answers=(hours, rest)), "service", "Is it ready?", NOON)
    assert answers(rules(), "service", "Hours", NOON) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("HOURS", True),
        (' "hours" 👍', True),
        ("what are your hours", False),
        ("", False),
        ("🙂", False),
        ("when", True),
    ],
)
def test_a_keyword_is_the_whole_text(text: str, expected: bool) -> None:
    assert expected is fits(answer(keywords=("Hours", "when?")), text)


def test_an_answer_may_belong_to_some_numbers() -> None:
    assert fits(answer(numbers=("sales", "service")))
    assert not fits(answer(numbers=("sales",)))


@pytest.mark.parametrize(
    ("days", "hours", "at", "expected"),
    [
        ((), "18:00-08:00", FRIDAY_NOON, False),
        ((), "18:00-08:00", FRIDAY_NOON + 6 * HOUR, True),
        (("fri",), "18:00-08:00", FRIDAY_NOON + 19 * HOUR, True),
        (("sat",), "18:00-08:00", FRIDAY_NOON + 19 * HOUR, False),
        (("fri",), "18:00-08:00", FRIDAY_NOON + 20 * HOUR, False),
        (("sun",), "18:00-08:00", FRIDAY_NOON + 66 * HOUR, True),
        (("fri",), "11:00-13:00", FRIDAY_NOON, True),
        (("sat", "sun"), "", FRIDAY_NOON, False),
        (("fri",), "", FRIDAY_NOON + 12 * HOUR - timedelta(seconds=1), True),
        (("fri",), "", FRIDAY_NOON + 12 * HOUR, False),
    ],
    ids=["by day", "by night", "the night belongs to its evening", "not to its morning", "its end", "Sunday to Monday",
         "at noon", "another day", "until midnight", "not after it"],
)  # fmt: skip
def test_days_and_hours_are_the_shops(days: tuple[str, ...], hours: str, at: datetime, expected: bool) -> None:
    assert expected is fits(answer(days=days, hours=hours), at=at)


def why(*before: Said, author: str = MARIA, text: str = "Is it ready?") -> str:
    return may_answer(before, "closed", author, text, NOON)


def test_a_person_is_answered() -> None:
    assert why() == ""
    assert why(said(Kind.TEXT, text="Your car is ready.", rule="")) == ""


@pytest.mark.parametrize("author", ["72345", "+72345", "BANK", "", "+1202555014a", "+01234567890"])
def test_short_codes_and_names_are_never_answered(author: str) -> None:
    assert why(author=author) == "short codes and names are never answered"


@pytest.mark.parametrize(
    "text",
    [
        "Auto-reply: I am in a meeting.",
        "I'm driving with Focus turned on. I'll see your message when I get where I'm going.",
        "I\u2019m driving right now",
        "(I'm not receiving notifications.)",
        "This is an automated message.",
        "Automatic reply: out of office until Monday",
        "Please do not reply to this message",
        "This number is not monitored.",
        "AUTORESPONDER: gone fishing",
        "Respuesta automática: vuelvo a las 8",
        "Réponse automatique",
    ],
)
def test_a_machine_is_never_answered(text: str) -> None:
    assert why(text=text) == "it looks like an automatic reply"


@pytest.mark.parametrize(
    "text", ["It is an automatic transmission", "I will drive over", "Reply please", "auto glass?"]
)
def test_words_of_the_trade_are_no_machine(text: str) -> None:
    assert why(text=text) == ""


def test_an_echo_is_never_answered() -> None:
    assert why(said(Kind.TEXT, text="Your car is ready!", rule=""), text="your car  is READY") == (
        "it repeats a text of ours"
    )
    assert why(said(Kind.TEXT, text="👍", rule=""), text="🙂") == ""


def test_an_answer_goes_to_a_phone_once_a_day() -> None:
    assert why(said()) == "this answer went to the phone within a day"
    assert why(said(at=NOON - 24 * HOUR)) == ""
    assert why(said(rule=rule_of("hours"))) == ""
    assert why(said(fate=Fate.REFUSED)) == ""
    assert why(said(fate=Fate.FAILED)) == "this answer went to the phone within a day"


def test_three_automatic_texts_a_day_are_enough() -> None:
    others = [said(Kind.CONFIRMATION, rule=""), said(Kind.QUESTION, rule=""), said(rule=rule_of("hours"))]

    assert why(*others[:2]) == ""
    assert why(*others) == "3 automatic texts went to the phone within a day"


@given(st.text(), st.text(max_size=20))
def test_every_text_has_a_verdict(text: str, author: str) -> None:
    assert may_answer([said(Kind.TEXT, text=text)], "closed", author, text, NOON) or author
    answers(rules(answers=(answer(keywords=("x",)),)), "service", text, NOON)
