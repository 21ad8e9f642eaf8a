"""Which conversation a person's text belongs to, and what else is open with him on that number."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime

from gateway.core.facts import Facts
from gateway.core.intent import mailboxes
from gateway.core.model import Conversation, Phone, TextIn
from gateway.core.rules import Rules


@dataclass(frozen=True, slots=True, kw_only=True)
class Belonging:
    """The conversation of a text."""

    talk: Conversation
    others: tuple[Conversation, ...] = ()  # also open on that number, the one texted last first
    known: bool = False  # a text of ours is answered; False: a stranger's text, for the inbox of the number
    reopened: bool = False  # it had closed

    @property
    def ambiguous(self) -> bool:
        """Whether it may as well be about another one: of those, one was texted since the person last wrote in this."""
        heard = self.talk.heard_at
        return any(heard is None or (o.texted_at is not None and o.texted_at > heard) for o in self.others)


def belonging(event: TextIn, facts: Facts, rules: Rules, now: datetime, tokens: Iterator[str]) -> Belonging:
    """The open conversation on that number in which something was said last; else the last one that closed, which opens
    again; else the one of strangers.
    """
    number = rules.number_at(event.number)
    name = number.name if number else ""
    texted = [c for c in facts.conversations if (c.phone, c.number) == (event.author, name) and c.texted_at is not None]
    live = sorted((c for c in texted if c.closes_at > now), key=_spoken_at, reverse=True)
    if live:
        return Belonging(talk=live[0], others=tuple(live[1:]), known=True)
    if texted:
        return Belonging(talk=max(texted, key=_spoken_at), known=True, reopened=True)
    return Belonging(talk=_stranger(event, name, facts, rules, now, tokens))


def _spoken_at(talk: Conversation) -> tuple[datetime, str]:
    return max(filter(None, (talk.texted_at, talk.heard_at)), default=talk.opened_at), talk.id


def _stranger(
    event: TextIn, number: str, facts: Facts, rules: Rules, now: datetime, tokens: Iterator[str]
) -> Conversation:
    """The conversation of somebody who answers no text of ours: his words go to the inbox of the number."""
    for known in facts.conversations:
        if (known.sender, known.phone, known.job) == ("", event.author, ""):
            return replace(known, reply_to=inbox(event, rules), number=number)
    return Conversation(
        id=next(tokens),
        sender="",
        phone=Phone(event.author),
        job="",
        number=number,
        subject="",
        message_id="",
        references=(),
        reply_to=inbox(event, rules),
        opened_at=now,
        closes_at=now,
    )


def inbox(event: TextIn, rules: Rules) -> str:
    """Where texts of strangers to that number go."""
    number = rules.number_at(event.number)
    options = (number.inbox if number else "", *mailboxes(rules))
    return next(filter(None, options), f"postmaster@{rules.domain}")


def named(talk: Conversation) -> str:
    """A conversation in a few words, for people: its subject, else its job."""
    words = talk.subject or (talk.job if not talk.job.startswith("<") else "") or "a job without a subject"
    return words if len(words) <= 60 else f"{words[:57].rstrip()}..."
