"""Which job is meant?  Asked by text where [replies] ask is on, and settled by the answer: a number."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime

from gateway.core import respond
from gateway.core.facts import Facts
from gateway.core.model import Conversation, Fate, InboundHook, Kind, Phone, Question, TextIn
from gateway.core.rules import Number, Rules
from gateway.core.thread import Belonging, named
from gateway.core.work import Delivery, Writes

ASKED = "asked which job"  # Delivery.reason
MOST = 5  # jobs that one text can name
_TOKEN = re.compile(r"[^\W\d_]+|\d+")
_AROUND = frozenset(
    (
        *("st", "nd", "rd", "th", "the", "one", "job", "number", "no", "nr", "option", "reply", "mean", "i", "it"),
        *("its", "is", "about", "for", "please", "pls", "thanks", "thank", "you", "thx"),
    )
)
_A_DAY = 3  # questions to one phone
_ANSWER_CHARS = 30  # more is something new
_TITLE = 30  # characters of a job's name in the text


def open_question(event: TextIn, facts: Facts, rules: Rules, now: datetime) -> Question | None:
    """The question that this person has been asked on this number and has not answered."""
    number = rules.number_at(event.number)
    return next(
        (
            q
            for q in facts.questions.values()
            if q.kind == "job"
            and (q.phone, q.number) == (event.author, number.name if number else "")
            and q.answered_at is None
            and q.closes_at > now
        ),
        None,
    )


def settled(question: Question, event: TextIn, facts: Facts, now: datetime) -> tuple[Question, Conversation] | None:
    """The answered question and the conversation that was chosen.

    None when the text is no answer to it, and when that conversation is no more: then it is a text like any other.
    """
    at = _number(event.text)
    if not 1 <= at <= len(question.options):
        return None
    talk = next((c for c in facts.conversations if c.id == question.options[at - 1]), None)
    return None if talk is None else (replace(question, answered_at=now, answer=str(at)), talk)


def _number(text: str) -> int:
    """The number that a short text names with nothing but courtesies around it, 0 = it does not: "2", "the 2nd one"."""
    if len(text) > _ANSWER_CHARS:
        return 0
    tokens = _TOKEN.findall(text.casefold())
    numbers = [token for token in tokens if token.isdecimal()]
    if len(numbers) != 1 or any(token not in _AROUND for token in tokens if not token.isdecimal()):
        return 0
    return int(numbers[0])


def ask(
    inbound: InboundHook, about: Belonging, number: Number, rules: Rules, now: datetime, tokens: Iterator[str]
) -> Writes:
    """The question by text, and the record of what was offered; nothing where it could not go at once."""
    offered: Sequence[Conversation] = (about.talk, *about.others)[:MOST]
    words = ", ".join(f"{n} for {_title(c)}" for n, c in enumerate(offered, 1))
    text = f"{rules.brand}: which job is this about? Reply {words}."
    question = Question(
        id=next(tokens),
        kind="job",
        phone=about.talk.phone,
        number=number.name,
        asked_at=now,
        closes_at=now + rules.ask_wait,
        text="",
        options=tuple(c.id for c in offered),
    )
    made = respond.machine_text(f"{inbound.id}.ask", Kind.QUESTION, text, about.talk, number, inbound.id, rules, now)
    if any(d.fate is not Fate.WAITING or d.due_at > now for d in made.deliveries):
        return Writes()  # quiet hours hold it, and the reply would wait for nothing
    short = tuple(replace(d, expires_at=min(d.expires_at, now + rules.ask_wait)) for d in made.deliveries)
    return replace(made, deliveries=short, questions=(question,))


def waiting(delivery: Delivery, question: Question, now: datetime) -> tuple[Delivery, Question]:
    """A reply mail that waits for the answer, at most until the question closes, and the question that knows of it."""
    due = max(now, question.closes_at)
    held = replace(delivery, due_at=due, reason=ASKED, expires_at=delivery.expires_at + (due - now))
    return held, replace(question, deliveries=(*question.deliveries, delivery.id))


def _title(talk: Conversation) -> str:
    words = named(talk)
    return words if len(words) <= _TITLE else f"{words[: _TITLE - 3].rstrip()}..."


def tired(facts: Facts, phone: Phone) -> bool:
    """Whether the person has been asked often enough for one day."""
    return sum(s.kind is Kind.QUESTION for s in facts.said.get(phone, ())) >= _A_DAY
