"""pydantic's findings in the words of the shop: what is wrong with which key, what was written, and what to do."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, time
from difflib import get_close_matches

from pydantic_core import ErrorDetails

from gateway.config.document import Document, disguised, secretish
from gateway.config.place import KeyPath, Problem
from gateway.config.schema import LISTS, ErrorCode, keys, names

_LONGEST = 60  # characters of a value that are shown
_SAMPLES = {
    ("", "domain"): '"sms.example.com"',
    ("smtp", "listen"): '["127.0.0.1:2525"]',
    ("relay", "host"): '"smtp.example.com"',
    ("dkim", "selector"): '"gw1"',
    ("dkim", "key"): '{ file = "dkim.pem" }',
    ("sender", "name"): '"jobs"',
    ("number", "name"): '"service"',
    ("number", "phone"): '"+12025550100"',
    ("number", "provider"): '"twilio"',
    ("twilio", "account_sid"): '"AC..."',
    ("twilio", "auth_token"): '{ file = "twilio.secret" }',
    ("flowroute", "access_key"): '"..."',
    ("flowroute", "secret_key"): '{ file = "flowroute.secret" }',
    ("template", "name"): '"ready"',
    ("template", "text"): '"Your vehicle is ready."',
    ("answer", "name"): '"closed"',
    ("employee", "name"): '"alice"',
    ("employee", "phone"): '"+12025550101"',
}
_MUST = {
    "string_type": "must be text in quotes",
    "bool_type": "must be true or false, without quotes",
    "int_type": "must be a whole number without quotes",
    "float_type": "must be a number without quotes",
    "too_short": "must not be empty",
    "string_too_short": "must not be empty",
    "list_type": "must be a list",
    "dict_type": "must be a table",
    "model_type": "must be a table",
}
_PATTERNS = {
    "account_sid": "must be AC and 32 hexadecimal digits",
    "messaging_service_sid": "must be MG and 32 hexadecimal digits",
}


def problem(error: ErrorDetails, document: Document, path: KeyPath, known: Iterable[str]) -> Problem:
    """The Problem of one finding; `path` leads to the table, `known` are the keys that it may hold."""
    # The library's mark, unless it is an unknown key of that very name.
    of_key = error["loc"][-1:] == ("[key]",) and error["type"] != "extra_forbidden"
    where: KeyPath = (*path, *(error["loc"][:-1] if of_key else error["loc"]))
    if error["type"] == "missing":
        return _missing(document, where)
    if error["type"] == "extra_forbidden":
        # The one table within a table is that of an error code.
        return unknown(document, where, known if len(error["loc"]) == 1 else names(ErrorCode))
    text, remedy = _wrong(error, where)
    got = "" if _secret(where) else f"; got {shown(error['input'])}"
    return document.problem(where, f"{label(where)} {text}{got}", remedy, at_key=of_key)


def label(path: KeyPath) -> str:
    """The key as people say it: "sender.networks"; which of several senders is told by the line."""
    return ".".join(part for part in path if isinstance(part, str))


def bracketed(table: str) -> str:
    """The header of a table: "[smtp]", "[[sender]]"."""
    return f"[[{table}]]" if table in LISTS else f"[{table}]"


def shown(value: object) -> str:
    """A value as the admin may have written it, shortened."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        text = value if len(value) <= _LONGEST else f"{value[:_LONGEST]}..."
        if "://" in text and "@" in text:
            text = f"{text.partition('://')[0]}://..."
        # repr would double the backslashes of a regular expression.
        return disguised(f"'{text}'" if text.isprintable() else repr(text))
    if isinstance(value, (int, float)):
        return str(value)
    if isinstance(value, (date, time)):
        return value.isoformat()
    return "a list" if isinstance(value, list) else "a table"


def unknown(document: Document, path: KeyPath, known: Iterable[str]) -> Problem:
    """The Problem of a key that its table does not have."""
    *_, key = path
    table = label(path[:-1])
    place = f" in {bracketed(table)}" if table else ""
    words = list(known)
    near = get_close_matches(str(key), words, n=1)
    homes = [home for home, name in keys() if name == key]
    if near:
        remedy = f'did you mean "{near[0]}"?'
    elif homes:
        remedy = " or ".join(
            f"it belongs into {bracketed(h)}" if h else "it belongs above the first table" for h in homes
        )
    else:
        remedy = f"known are: {', '.join(words)}"
    return document.problem(path, f'unknown key "{key}"{place}', remedy, at_key=True)


def meant(word: str, known: Iterable[str], what: str) -> str:
    """A remedy for a name that nobody bears: the one that may be meant, else those that there are."""
    words = list(dict.fromkeys(known))
    near = get_close_matches(word, words, n=1)
    if near:
        return f'did you mean "{near[0]}"?'
    return f"known are: {', '.join(words[:12])}" if words else f"there is no {what} yet"


def _missing(document: Document, path: KeyPath) -> Problem:
    *_, key = path
    table = label(path[:-1])
    sample = f"{key} = {_SAMPLES[table, str(key)]}"
    remedy = f"add under {bracketed(table)}: {sample}" if table else f"add above the first table: {sample}"
    return document.problem(path, f"{label(path)} is missing", remedy)


def _wrong(error: ErrorDetails, path: KeyPath) -> tuple[str, str]:
    kind, value, context = error["type"], error["input"], error.get("ctx", {})
    match kind:
        case "said":
            return context["text"], context["remedy"]
        case "literal_error":
            words = [word.strip("'") for word in context["expected"].replace(" or ", ", ").split(", ")]
            near = get_close_matches(value, words, n=1) if isinstance(value, str) else []
            return f"must be one of {', '.join(words)}", f'did you mean "{near[0]}"?' if near else ""
        case "greater_than_equal" | "greater_than":
            return f"must be {context['ge']} or more" if "ge" in context else f"must be more than {context['gt']:g}", ""
        case "less_than_equal":
            return f"must be {context['le']} or less", ""
        case "too_long" | "string_too_long":
            return f"must not be longer than {context['max_length']}", ""
        case "string_pattern_mismatch":
            return _pattern(str(path[-1]), value)
        case "list_type" if isinstance(value, str) and not _secret(path):
            return _MUST[kind], f'write ["{value}"]'
        case "dict_type" | "model_type":
            return _MUST[kind], f"write {bracketed(label(path))} above its keys"
    return _MUST.get(kind, f"is wrong ({error['msg']})"), ""


def _pattern(key: str, value: object) -> tuple[str, str]:
    if key == "account_sid" and isinstance(value, str) and value.startswith("SK"):
        return _PATTERNS[key], "SK... is an API key; the Account SID stands on the first page of the Twilio console"
    return _PATTERNS.get(key, "must be one line of text"), ""


def _secret(path: KeyPath) -> bool:
    return any(isinstance(part, str) and secretish(part) for part in path)
