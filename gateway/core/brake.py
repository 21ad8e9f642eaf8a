"""The flood brake: a sender that goes wild fills the queue, not the phones of customers."""

from __future__ import annotations

from datetime import datetime, timedelta

from gateway.core.model import BAD_ENDS, Fate, Kind, Phone
from gateway.core.rules import Rules
from gateway.core.work import Facts

FLOOD = "flood"  # Delivery.reason
_MINUTE = timedelta(minutes=1)


def brakes(sender: str, phone: Phone, text: str, before: int, facts: Facts, rules: Rules, now: datetime) -> str:
    """Why a text is held, "" = it goes.  `before`: texts of the same mail, which the facts do not know yet."""
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
        if s.kind is Kind.TEXT and s.sender == sender and s.text == text and s.at > first and s.fate not in BAD_ENDS
    ]
    if not same:
        return ""
    sent = next((s for s in same if s.fate is not Fate.HELD), same[-1])
    return f"flood: the same text went to this phone at {sent.at:%H:%M:%S} UTC; this is number {len(same) + 1}"


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
