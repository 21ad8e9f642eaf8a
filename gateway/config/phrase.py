"""The forms of words: globs, patterns, texts with {fields}, keywords, header fields, codes."""

from __future__ import annotations

import re
from collections.abc import Callable
from difflib import get_close_matches
from typing import Annotated

from pydantic import AfterValidator, PlainValidator, StringConstraints

from gateway.config.unit import words, wrong
from gateway.core.codes import Klass
from gateway.core.keyword import bare, keyword

_LONGEST_PATTERN = 200  # characters
_LONGEST_TEXT = 1600  # characters: what the provider takes (Twilio 21617)
_FIELD = re.compile(r"[a-z][a-z0-9_]*")
_BRACES = re.compile(r"\{\{|\}\}|\{[a-z][a-z0-9_]*\}|[{}]")
_CODE = re.compile(r"\d{5}")
_HEADER = re.compile(r"(X-[A-Za-z0-9-]{1,60}): ?(\S(?:[ -~]{0,198}\S)?)", re.IGNORECASE | re.ASCII)
_OURS = ("x-auto-response-suppress", "x-gateway-")  # fields that the gateway itself writes
_KEYWORD_OF = {
    "stop": "withdraws the consent of whoever sends it",
    "start": "gives consent to texts",
    "help": "is answered with help",
}


def several(form: Callable[[object], str]) -> PlainValidator:
    """One value of the form, or a list of them that is not empty."""

    def forms(value: object) -> tuple[str, ...]:
        if value == []:
            raise wrong("must not be empty", "leave the key out where it makes no difference")
        return tuple(map(form, value)) if isinstance(value, list) else (form(value),)

    return PlainValidator(forms)


def _name(value: object) -> str:
    if not isinstance(value, str):
        raise wrong("must be a name, or a list of names", 'write it like "service" or ["service", "sales"]')
    return value


def _glob(value: object) -> str:
    text = words(value)
    if not text.strip() or not text.isprintable():
        raise wrong("must be one line of text in which * stands for anything", 'write it like "*ready*"')
    return text.lower()


def _word(value: object) -> str:
    text = bare(words(value))
    if not text:
        raise wrong("must have letters or digits, and at most 100 characters", 'write it like "hours"')
    found = keyword(text)
    if found is not None:
        reason = f"cannot be {found.word}: that word {_KEYWORD_OF[found.action]}, on every number"
        raise wrong(reason, 'take another word, such as "hours"')
    return text


def _captures(remedy: str) -> Callable[[object], str]:
    def form(value: object) -> str:
        text = words(value)
        try:
            groups = re.compile(text).groups
        except re.error as error:
            raise wrong(f"is not a regular expression: {error}", remedy) from None
        except (RecursionError, OverflowError):
            raise wrong("is a regular expression with too many parentheses or repetitions", remedy) from None
        if not groups or len(text) > _LONGEST_PATTERN:
            raise wrong(f"must have one pair of parentheses and at most {_LONGEST_PATTERN} characters", remedy)
        return text

    return form


_job = _captures("write it like 'RO (\\d+)': what stands in the parentheses names the job")
_pattern = _captures("write it like 'at (\\d+:\\d+)': what stands in the parentheses is the value of the field")


def _job_or_none(value: object) -> str:
    return "" if value == "" else _job(value)


def _field(value: object) -> str:
    text = words(value)
    if not _FIELD.fullmatch(text):
        raise wrong("is not a possible name for a field", "begin with a small letter, then small letters, digits and _")
    return text


def _text(value: object) -> str:
    text = words(value)
    if not text.strip():
        raise wrong("must not be empty")
    if len(text) > _LONGEST_TEXT or not all(line.isprintable() for line in text.split("\n")):
        raise wrong(f"must have at most {_LONGEST_TEXT} characters, and no tabs or other control characters")
    return text


def _text_or_none(value: object) -> str:
    return "" if value == "" else _text(value)


def _filled(value: object) -> str:
    text = _text(value)
    stray = [m.group() for m in _BRACES.finditer(text) if m.group() in ("{", "}")]
    if stray:
        remedy = 'write a field like {ready_by}: small letters, digits and _; a brace itself is "{{" or "}}"'
        raise wrong(f'has a "{stray[0]}" that belongs to no field', remedy)
    return text


def _first(value: object) -> str:
    text = _text_or_none(value)
    rest = text.replace("{brand}", "").replace("{text}", "")
    if text and (text.count("{text}") != 1 or "{" in rest or "}" in rest):
        remedy = 'write it like "{brand}: {text} Reply STOP to opt out.", or "" for none'
        raise wrong("must have {text} once, and no braces but those of {text} and {brand}", remedy)
    return text


def _header(value: object) -> tuple[str, str]:
    found = _HEADER.fullmatch(words(value))
    if found is None:
        remedy = (
            'write it like "X-Priority: 1": letters, digits and - before the colon, at most 200 characters behind it'
        )
        raise wrong("must be the name of a header that begins with X-, a colon and its value, in ASCII", remedy)
    if found[1].lower().startswith(_OURS):
        raise wrong("names a header that the gateway itself writes", 'take another name, such as "X-Shop"')
    return found[1], found[2]


def _code(value: str) -> str:
    if not _CODE.fullmatch(value):
        raise wrong("is not a code of the provider", 'write its five digits in quotes: "30007"')
    return value


def _klass(value: object) -> str:
    text = words(value)
    known = [str(klass) for klass in Klass]
    if text not in known:
        near = get_close_matches(text, known, n=1)
        raise wrong(f"must be one of {', '.join(known)}", f'did you mean "{near[0]}"?' if near else "")
    return text


Names = Annotated[tuple[str, ...], several(_name)]
Globs = Annotated[tuple[str, ...], several(_glob)]
Keywords = Annotated[tuple[str, ...], several(_word)]
Job = Annotated[str, PlainValidator(_job_or_none)]
Pattern = Annotated[str, PlainValidator(_pattern)]
Field = Annotated[str, PlainValidator(_field)]
TextOrNone = Annotated[str, PlainValidator(_text_or_none)]
Filled = Annotated[str, PlainValidator(_filled)]
First = Annotated[str, PlainValidator(_first)]
Header = Annotated[tuple[str, str] | tuple[()], PlainValidator(_header)]
Code = Annotated[str, AfterValidator(_code)]
ErrorClass = Annotated[str, PlainValidator(_klass)]
Sentence = Annotated[str, StringConstraints(max_length=300, pattern=r"^[^\x00-\x1f\x7f\x85\u2028\u2029]*$")]
