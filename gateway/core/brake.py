"""The flood brake: a sender that goes wild fills the queue, not the phones of customers."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta

from gateway.core.facts import Facts
from gateway.core.model import BAD_ENDS, Fate, Kind, Phone
from gateway.core.rules import Rules

FLOOD = "flood"  # Delivery.reason
_MINUTE = timedelta(minutes=1)


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
