"""The words of outgoing texts, made from a mail."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.core import gsm
from gateway.core.rules import TextRules

EMPTY = "the mail has no text"


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """The text that goes out, or why it does not."""

    text: str
    segments: int
    problem: str = ""  # "" = it may go
    cut: str = ""  # what was cut to fit


def words(subject: str, text: str, rules: TextRules) -> Words:
    """The text of a job mail: subject as configured, our alphabet, not longer than allowed."""
    match rules.subject:
        case "only":
            joined = subject
        case "prefix" if subject and text:
            joined = f"{subject}{' ' if subject[-1] in '.!?:' else ': '}{text}"
        case "prefix":
            joined = subject or text
        case _:
            joined = text
    return fitted(joined, rules)


def fitted(text: str, rules: TextRules) -> Words:
    """`text` in the cheapest alphabet and within [text] max_segments, refused or cut as configured.

    Ten segments, the most that can be configured, are less than the provider's 1600 characters (Twilio 21617).
    """
    text = (gsm.transliterate(text) if rules.transliterate else text).strip()
    size = gsm.segments(text)
    if not text:
        return Words(text="", segments=0, problem=EMPTY)
    if size <= rules.max_segments:
        return Words(text=text, segments=size)
    if rules.too_long == "cut":
        short = gsm.shorten(text, rules.max_segments)
        kept = len(short.removesuffix("..."))
        return Words(text=short, segments=gsm.segments(short), cut=text[kept:])
    problem = f"the text is too long: {size} segments, [text] max_segments is {rules.max_segments}"
    return Words(text=text, segments=size, problem=problem)
