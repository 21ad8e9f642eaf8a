"""Does an employee's carrier address work?  Asked by a text with a code, that goes there alone; settled by the answer.

What a carrier answers at its door proves nothing (250 is not delivered): only the phone itself does.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from gateway.core import notice
from gateway.core.carrier import Channel
from gateway.core.intent import mailboxes
from gateway.core.model import Confirmation, Conversation, InboundMail, Kind, Question
from gateway.core.route import CarrierWay
from gateway.core.rules import Employee, Rules
from gateway.core.taste import Unfit
from gateway.core.work import Message, Writes

JOB = "carriers test"  # of the conversation: there is one for each phone
OPEN_FOR = timedelta(days=7)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What is to be tried."""

    employee: Employee
    channel: Channel
    address: str  # of the employee's phone at the gateway
    code: str  # see code_of
    talk: Conversation | None = None  # that of an earlier trial of the phone


def code_of(token: str) -> str:
    """Four digits that follow from a random token, the first no 0: what is typed back loses it easily."""
    number = 0
    for letter in token.lower().encode():
        number = (number * 37 + letter) % 9_000
    return str(1_000 + number)


def ask(trial: Trial, tokens: Iterator[str], rules: Rules, now: datetime) -> Writes | Unfit:
    """The text with the code by the carrier's way, the conversation in which it is answered, and the question.

    Nothing falls back: a text by the provider would prove nothing.  Unfit where the gateway cannot take the words.
    Takes a token, two where there is no conversation yet, and one for each mail.
    """
    question = Question(
        id=next(tokens),
        kind="test",
        phone=trial.employee.phone,
        number="",
        asked_at=now,
        closes_at=now + OPEN_FOR,
        text=trial.code,
        options=(trial.address,),
    )
    talk = _talk(trial, tokens, rules, now)
    row = trial.channel
    way = CarrierWay(channel=row, address=trial.address, rule=f"{JOB}: carrier {row.carrier}.{row.channel} alone")
    message = Message(
        id=f"test.{question.id}",
        inbound="",
        kind=Kind.TEXT,
        sender="",
        recipient=trial.address,
        phone=trial.employee.phone,
        person=trial.employee.name,
        conversation=talk.id,
        subject="",
        text=f"{rules.brand}: this tests your text address. Please answer with {trial.code}.",
        rule=way.rule,
        at=now,
        report_to=next(iter(mailboxes(rules)), ""),
    )
    made = notice.texts(message, way, rules, now, tokens)
    if isinstance(made, Unfit):
        return made
    return Writes(messages=(message,), deliveries=made, conversations=(talk,), questions=(question,))


def _talk(trial: Trial, tokens: Iterator[str], rules: Rules, now: datetime) -> Conversation:
    mailbox = next(iter(mailboxes(rules)), f"postmaster@{rules.domain}")
    if trial.talk is not None:
        return replace(trial.talk, reply_to=mailbox, closes_at=now + OPEN_FOR)
    return Conversation(
        id=next(tokens),
        sender="",
        phone=trial.employee.phone,
        job=JOB,
        number="",
        subject=f"Test of {trial.employee.name}'s text address",
        message_id="",
        references=(),
        reply_to=mailbox,
        opened_at=now,
        closes_at=now + OPEN_FOR,
    )


def passed(question: Question, mail: InboundMail, address: str, rules: Rules, now: datetime) -> Writes:
    """What follows from the code in a mail of the employee's phone: his address works, and the admin hears of it.

    `question` is open and of the kind "test", `address` the From of `mail`.
    """
    done = replace(question, answered_at=now, answer=question.text)
    employee = rules.employee_at(question.phone)
    if employee is None:
        return Writes(questions=(done,))  # he has left the configuration since
    confirmation = Confirmation(
        employee=employee.name,
        address=question.options[0],
        at=now,
        by=address,
        how="test",
        note=f"answered the code {question.text}, {mail.proven or 'not verified'}",
    )
    made = Writes(questions=(done,), confirmations=(confirmation,))
    subject, text = f"{employee.name}'s text address works", _told(question, confirmation, mail.proven)
    for n, to in enumerate(mailboxes(rules), 1):
        ident = f"test.{question.id}.works.{n}"
        made = made.joined(notice.to_mailbox(ident, mail.id, to, subject, text, rules, now))
    return made


def _told(question: Question, word: Confirmation, proven: str) -> str:
    """The words for the admin, who may have asked days ago."""
    forged = "Not verified: nothing but the code proves that the phone wrote."
    return "\n".join(
        [
            f"{word.employee} was sent the code {question.text} at {word.address} on {question.asked_at:%Y-%m-%d},",
            f"and answered with it from {word.by}.",
            f"Proven: {proven}." if proven else forged,
            "",
            f"The address is confirmed.  The whole story: gateway trace {word.employee}",
            "",
        ]
    )
