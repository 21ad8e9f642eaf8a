"""A text with a code to an employee's carrier address, by that way alone, and what its answer proves."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from outbox import only, words, written
from shop import ADMIN, BOB, DOMAIN, NOON, RULES, employee, mail, rules

from gateway.core import dsn, trial
from gateway.core.carrier import Channel
from gateway.core.model import Conversation, Door, Fate, Kind
from gateway.core.rules import Rules
from gateway.core.taste import Unfit
from gateway.core.trial import Trial
from gateway.core.work import MailParcel, Writes

ADDRESS = "2025550112@vtext.com"
FROM = "12025550112@vzwpix.com"
TOKENS = tuple(f"token{n:05d}x" for n in range(20))
WEEK = timedelta(days=7)


def tried(told: Rules = RULES, *, talk: Conversation | None = None, **row: Any) -> Writes:
    """What a test of Bob's address writes; `row` changes that of his carrier."""
    made = asked(told, talk=talk, **row)
    assert isinstance(made, Writes)
    return made


def asked(told: Rules, *, talk: Conversation | None = None, **row: Any) -> Writes | Unfit:
    bob = told.employee("bob")
    assert bob is not None
    channel = told.channel(bob)
    assert isinstance(channel, Channel)
    about = Trial(employee=bob, channel=replace(channel, **row), address=ADDRESS, code="4821", talk=talk)
    return trial.ask(about, iter(TOKENS), told, NOON)


def test_the_code_goes_to_the_carrier_address_alone_and_is_asked_about_for_a_week() -> None:
    made = tried()
    text, (message,), (question,), (talk,) = only(made.deliveries), made.messages, made.questions, made.conversations

    assert isinstance(text.parcel, MailParcel)
    assert (ADDRESS, "mail", "@vtext.com", (), Fate.WAITING) == (
        text.to, text.courier, text.number, text.ways, text.fate,
    )  # fmt: skip
    assert "Example Auto: this tests your text address. Please answer with 4821.\n" == words(text)
    assert f"r-{talk.id}@{DOMAIN}" == written(text)["From"]
    assert f"b-{text.bounce}@{DOMAIN}" == text.parcel.mail_from
    assert ("test", BOB, "4821", (ADDRESS,), NOON + WEEK) == (
        question.kind, question.phone, question.text, question.options, question.closes_at,
    )  # fmt: skip
    assert (Kind.TEXT, "bob", BOB, talk.id, f"test.{question.id}", ADMIN) == (
        message.kind, message.person, message.phone, message.conversation, message.id, message.report_to,
    )  # fmt: skip
    assert ("", BOB, "carriers test", ADMIN, NOON + WEEK) == (
        talk.sender, talk.phone, talk.job, talk.reply_to, talk.closes_at,
    )  # fmt: skip


def test_an_unverified_row_is_tested_like_any_other() -> None:
    assert ADDRESS == only(tried(status="unverified").deliveries).to


def test_a_second_test_goes_on_in_the_conversation_of_the_first_and_asks_anew() -> None:
    (talk,) = tried().conversations
    again = tried(talk=replace(talk, closes_at=NOON, heard_at=NOON))

    assert [talk.id] == [c.id for c in again.conversations]
    assert NOON + WEEK == again.conversations[0].closes_at
    assert talk.id not in {q.id for q in again.questions}


def test_answers_go_to_postmaster_where_alarm_to_names_no_mailbox() -> None:
    made = tried(rules(alarm_to=(BOB,)))

    assert [f"postmaster@{DOMAIN}"] == [c.reply_to for c in made.conversations]
    assert [""] == [m.report_to for m in made.messages]


def test_a_gateway_that_cannot_take_the_words_is_said_so() -> None:
    assert isinstance(asked(RULES, max_chars=30), Unfit)


@given(st.text(alphabet="abcdefghijklmnopqrstuvwxyz234567", min_size=10, max_size=16))
def test_a_code_is_four_digits_of_its_token_without_a_zero_in_front(token: str) -> None:
    code = trial.code_of(token)

    assert (4, True, True) == (len(code), code.isdecimal(), code[0] != "0")
    assert code == trial.code_of(token.upper())


def passed(told: Rules = RULES, *, proven: str = "") -> Writes:
    (question,) = tried().questions
    heard = mail("r-aaaaaaaaaaaaaaaa", id="m9", door=Door.PUBLIC, sender="", proven=proven)
    return trial.passed(question, heard, FROM, told, NOON + timedelta(minutes=3))


@pytest.mark.parametrize(
    ("proven", "note", "told"),
    [
        ("dkim=pass header.d=vzwpix.com", "dkim=pass header.d=vzwpix.com", "Proven: dkim=pass header.d=vzwpix.com."),
        ("", "not verified", "Not verified: nothing but the code proves that the phone wrote."),
    ],
    ids=["proven", "unverified"],
)
def test_the_answered_code_confirms_the_address_and_the_admin_hears_what_proves_it(
    proven: str, note: str, told: str
) -> None:
    made = passed(proven=proven)
    (word,), (question,) = made.confirmations, made.questions

    assert ("bob", ADDRESS, FROM, True, "test", f"answered the code 4821, {note}") == (
        word.employee, word.address, word.by, word.works, word.how, word.note,
    )  # fmt: skip
    assert (NOON + timedelta(minutes=3), "4821") == (question.answered_at, question.answer)
    assert (ADMIN, "bob's text address works") == (only(made.deliveries).to, written(only(made.deliveries))["Subject"])
    assert told in words(only(made.deliveries))


def test_what_was_passed_is_told_once_however_often_it_is_planned() -> None:
    first, second = passed(), passed()

    assert [d.id for d in first.deliveries] == [d.id for d in second.deliveries]


def test_an_employee_who_has_left_the_configuration_is_not_confirmed() -> None:
    made = passed(employee("bob", phone="+12025550199"))

    assert ((), ()) == (made.confirmations, made.deliveries)
    assert ["4821"] == [q.answer for q in made.questions]


def test_a_test_without_an_answer_is_told_to_the_admin_where_it_could_not_be_delivered() -> None:
    (message,) = tried().messages
    told = dsn.failure(message, "550 5.1.1 nobody", "5.1.1", Fate.FAILED, RULES, NOON)

    assert [ADMIN] == [d.to for d in told.deliveries]
