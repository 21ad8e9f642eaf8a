"""Answers that the gateway gives by itself: which [[answer]] fits a text, and whether it may be given.

Two machines that answer each other never end, so nothing that looks like a machine is answered, and what is answered
is counted.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, timedelta

from gateway.core import quiet
from gateway.core.keyword import bare, spoken
from gateway.core.model import Fate, Kind, Said
from gateway.core.rules import Answer, Rules

_DAY = timedelta(days=1)
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_MOST = 3  # automatic texts to a phone a day
_AUTOMATIC = (Kind.ANSWER, Kind.CONFIRMATION, Kind.QUESTION)
_NEVER_SENT = (Fate.REFUSED, Fate.CANCELLED, Fate.EXPIRED)

_PERSON = re.compile(r"\+[1-9][0-9]{7,14}")  # E.164; a short code has at most six digits and no plus

# What phones say on the road or in the night, and shops after hours; in the form of keyword.spoken.
_MACHINES = re.compile(
    r"\b(?:auto ?(?:reply|replies|response|responder|generated)|this is an automat(?:ic|ed)|"
    r"automat(?:ic|ically|ed) (?:reply|replies|response|answer|message|messages|text|sms|generated|sent)|"
    r"(?:im|i am|currently) (?:now )?driving|driving mode|do not disturb|not receiving notifications|"
    r"(?:do not|dont|cannot|cant|no) ?reply|not (?:being )?monitored|unmonitored|out of (?:the )?office|"
    r"estoy conduciendo|estoy manejando|respuesta automatica|mensaje automatico|no responda|"
    r"je conduis|reponse automatique|message automatique|ne pas repondre)\b"
)


def rule_of(answer: str) -> str:
    """The rule of a message that gives the [[answer]] of that name; by it `may_answer` knows what was answered."""
    return f"answer {answer}"


def answers(rules: Rules, number: str, text: str, at: datetime) -> Answer | None:
    """The first [[answer]] that fits a text to our number of that name, None when none does.

    A keyword is the whole text, compared as STOP is.  Days and hours are the shop's; hours that cross midnight belong
    to the day on which they begin: "fri" with "18:00-08:00" lasts until Saturday morning.
    """
    said, local = bare(text), at.astimezone(rules.timezone)
    return next((a for a in rules.answers if _fits(a, number, said) and _open(a, local)), None)


def _fits(answer: Answer, number: str, said: str) -> bool:
    if answer.numbers and number not in answer.numbers:
        return False
    return not answer.keywords or (bool(said) and any(said == bare(word) for word in answer.keywords))


def _open(answer: Answer, local: datetime) -> bool:
    day = local.weekday()
    if answer.hours:
        span = quiet.window(answer.hours)
        if not span.holds(local):
            return False
        if span.end < span.begin and timedelta(hours=local.hour, minutes=local.minute) < span.end:
            day -= 1  # Monday becomes -1, which is Sunday in the tuple as well
    return not answer.days or _DAYS[day] in answer.days


def may_answer(said: Sequence[Said], answer: str, author: str, text: str, now: datetime) -> str:
    """Why the [[answer]] of that name must not be texted to `author`; "" = it may.

    `said` is what was texted to the phone, `text` what the phone says.  One answer goes to a phone once in 24 hours,
    and no more than three automatic texts of any kind; short codes, names and machines are never answered.
    """
    if not _PERSON.fullmatch(author):
        return "short codes and names are never answered"
    words = spoken(text)
    if _MACHINES.search(words):
        return "it looks like an automatic reply"
    if words and any(words == spoken(ours.text) for ours in said):
        return "it repeats a text of ours"
    sent = [s for s in said if s.kind in _AUTOMATIC and now - s.at < _DAY and s.fate not in _NEVER_SENT]
    if any(s.kind is Kind.ANSWER and s.rule == rule_of(answer) for s in sent):
        return "this answer went to the phone within a day"
    if len(sent) >= _MOST:
        return f"{_MOST} automatic texts went to the phone within a day"
    return ""
