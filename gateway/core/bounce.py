"""Delivery reports: whether a mail of ours came back for good or is late, and what the other side said.

Which delivery it speaks of is told by the b- address that it was sent to, never by its content.
Sources: RFC 3464 2.3 (fields of a recipient), RFC 3463 (enhanced status); sisimai's Lhost::Verizon for the forms of
vtext.com and vzwpix.com, which look like a person's answer; flufl.bounce for all other forms.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from email.errors import MessageError
from email.message import Message

from flufl.bounce import all_failures

from gateway.core import header, parts, plain
from gateway.core.model import Reading, Unreadable

_DIAGNOSTIC_CHARS = 500
_GUESSED_BYTES = 262_144  # of a report that the library looks at: what failed stands at the top
_RECIPIENTS = 100
_ACTIONS = ("failed", "delayed")  # the worse first; delivered, relayed and expanded are no bounce
_POSTMASTERS = ("mailer-daemon", "postmaster", "mdaemon", "mail-daemon", "mail.daemon", "bounce")
_SUBJECTS = re.compile(
    r"undeliver|non-deliver|not be delivered|couldn't be delivered|failure notice|returned mail|returned to sender|"
    r"delivery (?:status|failure|failed|has failed|problem|report)|mail (?:delivery|system error)",
    re.IGNORECASE,
)
_STATUS = re.compile(r"\b[245]\.\d{1,3}\.\d{1,3}\b")
_ANSWER = re.compile(r"(?<!\d)[45]\d\d[ -].{0,300}")
_CARRIER = re.compile(r"post_master@vtext\.com|sysadmin@(?:[\w-]{1,63}\.){0,9}vzwpix\.com")
_CARRIER_ANSWER = re.compile(r"^[ \t]*([45]\d\d[ -].{0,300})", re.MULTILINE)
_CARRIER_ERROR = re.compile(r"^[ \t]*Error:[ \t]*(\S.{0,300})", re.MULTILINE)
# The library takes quadratic time for a line, and a newsletter's HTML may be one: no report has longer lines of its own
# (RFC 5322 2.1.1).
_LONG_LINE = re.compile(rb"([^\n]{998})[^\n]+")
_TYPED = re.compile(r"\s*[\w.-]{1,40}\s*;\s*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounce:
    action: str  # "failed" | "delayed"
    status: str  # RFC 3463, "" when not told
    diagnostic: str  # one line, at most 500 characters


def suspected(reading: Reading) -> bool:
    """Whether author, subject or form of a mail speak for a report, so that `read` is worth its time."""
    author = (reading.author or "").lower()
    named = author.startswith(_POSTMASTERS) or bool(_CARRIER.fullmatch(author))
    return reading.report or named or bool(_SUBJECTS.search(reading.subject))


def read(raw: bytes) -> Bounce | None:
    """What a delivery report says, None when `raw` is none or tells of no failure.  Never raises.

    Of several recipients the worst counts: our mails have one.
    """
    message = parts.parse(raw)
    if isinstance(message, Unreadable):
        return None
    try:
        told = min(_standard(message), key=lambda found: _ACTIONS.index(found.action), default=None)
        return told if told is not None or _has_status(message) else _of_carrier(message) or _guessed(raw)
    except (MessageError, ValueError, LookupError, TypeError, AttributeError, AssertionError, RecursionError):
        return None


def _standard(message: Message) -> Iterator[Bounce]:
    for part, _ in parts.leaves(message):
        told = part.get_content_type() == "message/delivery-status" and part.is_multipart()
        blocks = part.get_payload() if told else None
        inside = blocks[:_RECIPIENTS] if isinstance(blocks, list) else ()
        for fields in (parts.fields(block) for block in inside if isinstance(block, Message)):
            action = header.token(parts.first(fields, "action"))
            if action in _ACTIONS:
                said = plain.one_line(parts.first(fields, "diagnostic-code"))
                status = _STATUS.search(parts.first(fields, "status")[:100])
                yield _bounce(action, status.group() if status else "", _TYPED.sub("", said[:1000], count=1))


def _bounce(action: str, status: str, said: str) -> Bounce:
    """A Bounce whose status, where it says no more than "x.0.0", comes from the host's own words."""
    better = _STATUS.search(said) if status[1:] in ("", ".0.0") else None
    return Bounce(action=action, status=better.group() if better else status, diagnostic=said[:_DIAGNOSTIC_CHARS])


def _has_status(message: Message) -> bool:
    return any(part.get_content_type() == "message/delivery-status" for part, _ in parts.leaves(message))


def _of_carrier(message: Message) -> Bounce | None:
    """What a carrier's own form of report says; it has neither a null sender nor a code that is set apart."""
    author, _ = header.mailbox(parts.first(parts.fields(message), "from"))
    if author is None or not _CARRIER.fullmatch(author.lower()):
        return None
    text = parts.body(message).text
    said = _CARRIER_ANSWER.search(text) or _CARRIER_ERROR.search(text)
    return _bounce("failed", "", plain.one_line(said[1])) if said else None


def _guessed(raw: bytes) -> Bounce | None:
    message = parts.parse(_LONG_LINE.sub(rb"\1", raw[:_GUESSED_BYTES]))
    if isinstance(message, Unreadable):
        return None
    late, failed = all_failures(message)
    if not late and not failed:
        return None
    said = _ANSWER.search(" ".join(parts.body(message).text.split()))
    return _bounce("failed" if failed else "delayed", "", plain.one_line(said.group()) if said else "")


def verdict_of(code: str, words: str) -> str:
    """Whose no it is, by what a refusal or report says: "number" | "policy" | "mailbox_full" | "other".

    "number" is for good: the phone is none of the carrier's.  "policy" is against us, whatever the phone and whatever
    the first digit: no other text will fare better.  `code` is a reply code or an enhanced one, "" when not told;
    `words` are the host's own.  A bare 550 is the number's.
    """
    codes = " ".join((code, *_CODE.findall(words[:_DIAGNOSTIC_CHARS])))
    for verdict, coded, worded in _VERDICTS:
        if (not coded or coded.search(codes)) and (not worded or worded.search(words[:_DIAGNOSTIC_CHARS])):
            return verdict
    return "other"


def greylisted(code: str, words: str) -> bool:
    """Whether a host only wants to see that we come again: it takes the mail after some minutes."""
    return not code.startswith("5") and bool(_GREYLISTED.search(words[:_DIAGNOSTIC_CHARS]))


_CODE = re.compile(r"(?<![\d.-])(?:[45]\d\d(?=[ -])|[45]\.\d{1,3}\.\d{1,3}\b)")
_PERMANENT = re.compile(r"\A\s*\Z|(?<![\d.])5")  # or not told
_BARE_550 = re.compile(r"\A(?!.*\b[45]\.(?!0\.0))(?=.*\b550\b)")  # beside it no enhanced code that says otherwise


def _codes(*patterns: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![\d.])(?:{'|'.join(patterns)})(?![\d.])")


def _words(*patterns: str) -> re.Pattern[str]:
    return re.compile("|".join(patterns), re.IGNORECASE)


_GREYLISTED = _words(r"gr[ae]y-?list")
# The first row that fits holds; None fits all.
_VERDICTS: tuple[tuple[str, re.Pattern[str] | None, re.Pattern[str] | None], ...] = (
    # Greylisting bears the codes of policy, and is over after minutes (textbelt #77: Verizon).
    ("other", None, _GREYLISTED),
    # RFC 7505: it bears a code of numbers, and is said of the domain with all its numbers.
    ("other", None, _words(r"\bnull ?mx\b")),
    ("mailbox_full", _codes(r"[45]\.2\.2"), None),
    (
        "mailbox_full",
        None,
        _words(r"(?:mailbox|inbox|storage) (?:is )?full", r"over (?:its |the )?quota", "quota exceeded"),
    ),
    # T-Mobile: 421 4.2.0 sender rejected AUP#SNDR, 544 rejecting banned content; Charter: AUP#I-1000.
    ("policy", None, _words(r"\bAUP#", "banned content")),
    ("policy", _codes("544", r"5\.7\.\d{1,3}", r"5\.1\.[78]"), None),
    ("number", _codes(r"5\.1\.[136]", r"5\.1\.10", r"5\.2\.1"), None),
    (
        "policy",
        None,
        _words(
            r"\b(?:anti-?)?spam(?:m\w+|haus)?\b", r"\bblock(?:ed|ing| ?list(?:ed)?)\b", r"\bblack ?list", r"\bbanned\b",
            r"\bsender\b.{0,60}\b(?:rejected|denied|refused)\b", r"\bpolicy\b", r"\bpolicies\b", r"\breputation\b",
            r"\bunsolicited\b", r"\bSPF\b", r"\bDKIM\b", r"\bDMARC\b", r"\babus(?:e|ive)\b", r"not authorized to send",
            r"\bPTR\b", r"reverse (?:dns|hostname)", r"\brate[ -]?limit", r"too many (?:messages|connections|mails)",
        ),
    ),
    (
        "number",
        _PERMANENT,
        _words(
            r"no such (?:user|subscriber|number|recipient|mailbox|person)",
            r"(?:user|subscriber|recipient|mailbox|number|address)\b.{0,60}\b(?:unknown|not found|does not exist)",
            r"(?:unknown|invalid|non-?existent) (?:user|subscriber|recipient|mailbox|number|address)",
            "no valid recipients", "permanent failure for one or more recipients", "mailbox unavailable",
        ),
    ),
    ("number", _BARE_550, None),
)  # fmt: skip
