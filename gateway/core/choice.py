"""Which [[rule]] a mail falls under."""

from __future__ import annotations

from fnmatch import fnmatchcase

from gateway.core.rules import Rule, Rules

_MOST = 1_000  # characters of a Subject that are looked at


def chosen(rules: Rules, sender: str, recipient: str, subject: str) -> Rule | None:
    """The first [[rule]] that fits, None when none does.

    `sender` is the name of the [[sender]], `recipient` the envelope address as the client wrote it: globs in `to` are
    held against all of it and against what stands before its @.  Case makes no difference.
    """
    if not rules.rules:
        return None
    address = recipient.lower()
    places = (address, address.rpartition("@")[0])
    line = subject[:_MOST].lower()
    return next((rule for rule in rules.rules if _fits(rule, sender, places, line)), None)


def _fits(rule: Rule, sender: str, places: tuple[str, ...], subject: str) -> bool:
    return (
        (not rule.senders or sender in rule.senders)
        and (not rule.to or any(_like(place, rule.to) for place in places))
        and (not rule.subject or _like(subject, rule.subject))
    )


def _like(text: str, globs: tuple[str, ...]) -> bool:
    return any(fnmatchcase(text, glob.lower()) for glob in globs)
