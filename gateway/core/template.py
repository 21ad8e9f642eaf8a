"""The words of outgoing texts, made from a mail."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from gateway.core import gsm
from gateway.core.model import Reading
from gateway.core.rules import Template, TextRules

EMPTY = "the mail has no text"

_PLACE = re.compile(r"\{\{|\}\}|\{([a-z][a-z0-9_]*)\}")
_PIECE = re.compile(r".*?(?:[.!?]\s+|\Z)", re.DOTALL)  # a sentence with the spaces after it
_STOP = re.compile(
    r"\bSTOP\b(?= (?:to|2)\b|[\"'.])|\b(?i:(?:reply|text|send)(?: with)? [\"']?stop\b|opt[ -]?out\b|unsubscribe\b)"
)
_HELP = re.compile(r"\bHELP for\b|\b(?i:(?:reply|text|send)(?: with)? [\"']?help\b)")
_FILLER = "x"  # stands for a space where only the size counts
_LEAST = 8  # characters of a first word that is cut inside; less would say nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """The text that goes out, or why it does not."""

    text: str
    segments: int
    problem: str = ""  # "" = it may go
    cut: str = ""  # what was cut to fit


@dataclass(frozen=True, slots=True, kw_only=True)
class Lacking:
    """A template that cannot be filled."""

    problem: str  # for people


@dataclass(frozen=True, slots=True, kw_only=True)
class _Frame:
    """What an introduction puts around the words of a mail."""

    before: str = ""
    after: str = ""

    def around(self, text: str) -> str:
        return f"{self.before}{text}{self.after}"


def words(
    subject: str,
    text: str,
    rules: TextRules,
    *,
    template: Template | None = None,
    fields: Mapping[str, str] | None = None,
    introduce: str = "",
) -> Words:
    """The text of a job mail: subject as configured or the template filled, our alphabet, not longer than allowed.

    `fields` are those that `fields()` found.  `introduce`: the brand, where this is a customer's first text.
    """
    if template is not None:
        made = filled(template, fields or {})
        return _refused(made.problem) if isinstance(made, Lacking) else fitted(made, rules, introduce=introduce)
    match rules.subject:
        case "only":
            joined = subject
        case "prefix" if subject and text:
            joined = f"{subject}{' ' if subject[-1] in '.!?:' else ': '}{text}"
        case "prefix":
            joined = subject or text
        case _:
            joined = text
    return fitted(joined, rules, introduce=introduce)


def fitted(text: str, rules: TextRules, *, introduce: str = "") -> Words:
    """`text` in the cheapest alphabet and within [text] max_segments, refused or cut as configured.

    `introduce`: the brand, where it is a first text; what [text] first adds counts, and only `text` is cut.
    Ten segments, the most that can be configured, are less than the provider's 1600 characters (Twilio 21617).
    """
    text, brand = _plain(text, rules).strip(), _plain(introduce, rules)
    if not text:
        return _refused(EMPTY)
    pattern = _plain(rules.first, rules) if introduce else ""
    whole = first(text, pattern, brand)
    size = gsm.segments(whole)
    if size <= rules.max_segments:
        return Words(text=whole, segments=size)
    if rules.too_long == "cut":
        short, frame = _cut(text, pattern, brand, rules.max_segments)
        if short:
            whole = frame.around(short)
            return Words(text=whole, segments=gsm.segments(whole), cut=text[_kept(short) :])
    problem = f"the text is too long: {size} segments, [text] max_segments is {rules.max_segments}"
    alone = gsm.segments(text)
    if alone <= rules.max_segments:
        problem += f"; without the words of a first text it has {alone}"
    return Words(text=whole, segments=size, problem=problem)


def _plain(text: str, rules: TextRules) -> str:
    return gsm.transliterate(text) if rules.transliterate else text


def _refused(problem: str) -> Words:
    return Words(text="", segments=0, problem=problem)


def _cut(text: str, pattern: str, brand: str, most: int) -> tuple[str, _Frame]:
    """(`text` cut to fit, what stands around it): where how to opt out is cut away, what stands around says it."""
    frame = _frame(text, pattern, brand)
    short = _shortened(text, frame, most)
    again = _frame(text[: _kept(short)], pattern, brand)
    return (short, frame) if again == frame else (_shortened(text, again, most), again)


def _kept(short: str) -> int:
    return len(short.removesuffix("..."))


def _shortened(text: str, frame: _Frame, most: int) -> str:
    """`text` cut so that it fits within `frame` and `most` parts, "" when there is no room for a word of it.

    The size is what counts, so the frame stands before the text as one long word.  A part may end before a character
    of the extension table that would have fitted elsewhere: then one more character is given up.
    """
    put = re.sub(r"\s", _FILLER, frame.around(""))
    while True:
        whole = gsm.shorten(put + text, most)
        kept = _kept(whole) - len(put)
        if kept < _LEAST and not re.search(r"\s", text[: max(0, kept) + 1]):
            return ""
        short = whole[len(put) :]
        if gsm.segments(frame.around(short)) <= most:
            return short
        put += _FILLER


def first(text: str, pattern: str, brand: str) -> str:
    """`text` as the first that a customer gets: `pattern` with its {text} and {brand}; "" leaves it as it is.

    The brand is not said again where the text begins with it, nor how to opt out where the text says so.
    Source: CTIA Messaging Principles 5.1, the words of a confirmation message.
    """
    return _frame(text, pattern, brand).around(text)


def _frame(text: str, pattern: str, brand: str) -> _Frame:
    if not pattern:
        return _Frame()
    named, leaves, helps = _begins(text, brand), _STOP.search(text), _HELP.search(text)

    def said(piece: str) -> bool:
        if named and "{brand}" in piece:
            return True
        return bool(leaves if _STOP.search(piece) else helps and _HELP.search(piece))

    def kept(affix: str) -> str:
        return "".join(p for p in _PIECE.findall(affix) if not said(p)).replace("{brand}", brand)

    before, _, after = pattern.partition("{text}")
    closing = kept(after.lstrip()).rstrip()
    gap = after[: len(after) - len(after.lstrip())]
    return _Frame(before=kept(before).lstrip(), after=f"{gap}{closing}" if closing else "")


def _begins(text: str, brand: str) -> bool:
    """Whether `text` opens with the brand as a word of its own; no brand needs no saying."""
    opening, name = " ".join(text[: len(brand) * 2 + 1].split()).casefold(), " ".join(brand.split()).casefold()
    return not name or (opening.startswith(name) and not opening[len(name) : len(name) + 1].isalnum())


def filled(template: Template, fields: Mapping[str, str]) -> str | Lacking:
    """The template's text with each {field} replaced; Lacking when the mail does not have one, or has it empty.

    "{{" and "}}" are braces.
    """
    names = dict.fromkeys(m[1] for m in _PLACE.finditer(template.text) if m[1])
    missing = [f"{{{name}}}" for name in names if not fields.get(name, "").strip()]
    if missing:
        needs = f"template {template.name} needs {', '.join(missing)}, which the mail does not have"
        return Lacking(problem=f"{needs}: no header, line or pattern gives it")
    return _PLACE.sub(lambda m: fields[m[1]].strip() if m[1] else m[0][0], template.text)


def fields(template: Template, reading: Reading) -> Mapping[str, str]:
    """The values for a template's placeholders: what its patterns found, else the mail's own fields.

    Besides those of the header and of `Key: value` lines a mail has {text} and, where [text] job finds one, {job}.
    """
    found = {**reading.fields, "text": reading.text} | ({"job": reading.job} if reading.job else {})
    captured = {name: reading.captured.get(pattern, "") for name, pattern in template.patterns.items()}
    return found | {name: value for name, value in captured.items() if value}
