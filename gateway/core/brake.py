"""The flood brake: a sender that goes wild fills the queue, not the phones of customers."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta

from gateway.core import phone as phones
from gateway.core.facts import Facts
from gateway.core.model import BAD_ENDS, Fate, Kind, Phone, Said
from gateway.core.rules import Rules
from gateway.core.work import Message

FLOOD = "flood"  # Delivery.reason
# What one conversation texts in answer: two machines that answer each other get there, a person hardly does.
ANSWERS, ANSWERS_FOR = 20, timedelta(minutes=10)
ALIKE, ALIKE_FOR = 3, timedelta(hours=1)
SENTENCE = 12  # characters: "Yes" is said again, a sentence is not


def brakes(
    sender: str, phone: Phone, wordings: Collection[str], before: int, facts: Facts, rules: Rules, now: datetime
) -> str:
    """Why a text is held, "" = it goes.  `before`: texts of the same mail, which the facts do not know yet.

    `wordings` are the forms that the same words take, as a first text and as a later one, without links: a link is
    another one each time.  Without any, only the number of texts counts.
    """
    most = rules.policy.flood_per_minute
    if not most:
        return ""
    count = facts.floods.get(sender, 0) + before
    if count >= most:
        return f"flood: sender {sender} has sent {count} texts within a minute, [policy] flood_per_minute is {most}"
    first = now - rules.policy.same_text_window
    same = [
        s
        for s in facts.said.get(phone, ())
        if s.kind is Kind.TEXT
        and s.sender == sender
        and s.at > first
        and s.fate not in BAD_ENDS
        and _unlinked(s.text, rules) in wordings
    ]
    if not same:
        return ""
    sent = next((s for s in same if s.fate is not Fate.HELD), None)
    first_one = sent or same[-1]
    what = "went to this phone" if sent else "to this phone is held, since one came"
    return f"flood: the same text {what} at {first_one.at:%H:%M:%S} UTC; this is number {len(same) + 1}"


def echoes(message: Message, facts: Facts, rules: Rules, now: datetime) -> str:
    """Why an answer at r- is held, "" = it goes.  A machine may answer there without a mark that says so.

    It counts whatever flood_per_minute says: each round may cost money, and does so until somebody looks.
    """
    known = _answered(message, facts, now)
    count = sum(one.at > now - ANSWERS_FOR for one in known)
    if count >= ANSWERS:
        minutes = int(ANSWERS_FOR.total_seconds() / 60)
        return f"flood: this conversation has had {count} texts to the phone within {minutes} minutes"
    words = _unlinked(message.text, rules)
    alike = [one.at for one in known if words and _unlinked(one.text, rules) == words]
    if len(words) >= SENTENCE and any(at > now - ANSWERS_FOR for at in alike):
        return "flood: this conversation has had the same sentence within 10 minutes, as a machine would answer"
    same = len(alike)
    return f"flood: the same words came {same} times within an hour in this conversation" if same >= ALIKE else ""


def echoed(message: Message, facts: Facts, now: datetime) -> bool:
    """Whether an answer of that conversation is held already, so that its people know."""
    return any(one.fate is Fate.HELD for one in _answered(message, facts, now))


def _answered(message: Message, facts: Facts, now: datetime) -> list[Said]:
    """The texts of the conversation of `message` to its phone within an hour, without those that did not go."""
    said = facts.said.get(message.phone, ()) if message.phone else ()
    return [
        one
        for one in said
        if one.kind is Kind.TEXT
        and one.conversation == message.conversation
        and one.at > now - ALIKE_FOR
        and one.fate not in BAD_ENDS
    ]


def _unlinked(text: str, rules: Rules) -> str:
    """A text of ours without the links to its files, which stand under it."""
    lines = text.split("\n")
    while lines and rules.public_url and lines[-1].startswith(f"{rules.public_url}/media/"):
        lines.pop()
    return "\n".join(lines)


def summary(sender: str, why: str, now: datetime) -> tuple[str, str, str]:
    """Key, subject and text of the one mail about a flood: one per sender and hour, however many texts are held."""
    text = (
        f"Texts of sender {sender} are held.\n\nWhy: {why}\n\n"
        f"See them:     gateway queue list\n"
        f"Send them:    gateway queue release --sender {sender}\n"
        f"Give them up: gateway queue cancel ID ...\n\n"
        "What else it sends too fast is held too, without another mail within this hour.\n"
    )
    return f"flood.{sender}.{now:%Y-%m-%d-%H}", f"Texts of {sender} are held: too many at once", text


def echo(message: Message, why: str, now: datetime) -> tuple[str, str, str]:
    """Key, subject and text of the one mail about answers that are held: one per conversation and hour."""
    shown = phones.shown(message.phone) if message.phone else message.recipient
    text = (
        f"Answers to {shown} are held: a machine may answer the mails that its texts become, and a machine may answer "
        f"its texts.\n\nWhy: {why}\n\n"
        f"What was said: gateway trace {message.conversation}\n"
        f"See them:      gateway queue list\n"
        f"Send one:      gateway queue release {message.id}\n"
        f"Give them up:  gateway queue cancel ID ...\n\n"
        "Where an auto-responder answers there, let it answer no mail of the gateway, or mark what it writes "
        "(Auto-Submitted: auto-replied).\n"
        "What else this conversation sends is held too, without another mail within this hour.\n"
    )
    return f"flood.{message.conversation}.{now:%Y-%m-%d-%H}", f"Answers to {shown} are held: too many alike", text
