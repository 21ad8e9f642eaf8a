"""What is cut away from a mail's text before it becomes a text.

Job mail loses the "-- " block and what the admin named, nothing else: a reminder may well quote or sign.  An answer
to a conversation loses the history below it and the signature, so that the customer is not texted his own words.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from mailparser_reply.constants import MAIL_LANGUAGES
from mailparser_reply.parser import EmailMessage

from gateway.core import plain

MARKER = "## Reply above this line ##"  # a line of our own mails: everything from it on is history

_SIGNATURE = "-- "  # RFC 3676 4.3
_LIBRARY_CHARS = 8_000  # the library's expressions take quadratic time; a longer answer makes no text anyway
_LIBRARY_LINE = 1_000
_LANGUAGES = ("en", "es", "fr")
_CLOSING_WORDS = 4  # "Thanks, Bob at Example" closes a mail, "Thanks, come by at five" does not

_MACHINES = ("Sent from", "Get Outlook", "Enviado desde", "Envoyé depuis")
_SAYS = r"wrote|escribi[óo]|a écrit|schrieb|ha scritto|escreveu|schreef|skrev"
_OPENS = re.compile(r"\W{0,3}(?:On|El|Le|Am|Il|Em|Op|Den)\s", re.IGNORECASE)
_ATTRIBUTION = re.compile(rf"\b(?:{_SAYS})\b[^:]{{0,80}}:\s*$", re.IGNORECASE)
_ISO_ATTRIBUTION = re.compile(r"\s*\d{4}-\d\d-\d\d .{0,200}<\S{1,200}@\S{1,200}>:\s*$")
_FIRST_FIELD = re.compile(r"\W{0,3}(?:From|De|Von|Da|Van)\s?:\W{0,3}\s?\S", re.IGNORECASE)
_FIELD = re.compile(
    r"\W{0,3}(?:Sent|Date|To|Cc|Subject|Enviado(?: el)?|Fecha|Para|Asunto|Envoyé|À|Objet|Gesendet|An|Betreff)\s?:",
    re.IGNORECASE,
)
_RULE = re.compile(r"_{20,}|[-_]{32,}")
_SEPARATOR = re.compile(
    r"-{2,}\s?(?:Original (?:Message|Appointment)|Forwarded message|Mensaje (?:original|reenviado)|"
    r"Message (?:d'origine|transféré)|Ursprüngliche Nachricht)\s?-{2,}|Begin forwarded message:",
    re.IGNORECASE,
)
_NOT_HISTORY = re.compile(r"[\W_]{0,9}(?:To|Date|Cc|Subject|Sent|Para|Fecha|Asunto|Enviado|Organi)", re.IGNORECASE)

# In lower case, what a text must hold for a rule of this file or of the library to find anything: see `answer_at_once`.
_HISTORY = (
    ">", "wrote", "escribi", "a écrit", "schrieb", "ha scritto", "escreveu", "schreef", "skrev",
    "sent from my", "get outlook for", "enviado desde mi", "envoyé depuis",
    "\u0131", "\u017f", "\u0307",  # where letters are alike for expressions and not for str.lower
)  # fmt: skip
_MARKS = ("--", "__", "-_", "_-", "##", "begin forwarded")
_LIKE_FIELD = re.compile(
    r"[^\w:]*(?:(?:From|Von|Da|Van|Sent|Date|To|Cc|Subject|Organization|De|Enviado(?: el)?|Fecha|Para|Asunto|"
    r"Organización|Envoyé|À|Objet|Gesendet|An|Betreff)\s{0,3})?:",
    re.IGNORECASE,
)
_LIBRARY_RULE = re.compile(r"[-_]{2}(?:[-_]{30}|$)")
_CLOSING = re.compile("|".join(w for code in _LANGUAGES for w in MAIL_LANGUAGES[code]["signatures"]), re.IGNORECASE)
_CLOSINGS = ("regards", "thank", "best", "saludo", "atentamente", "gracias", "cordial", "salutations", "bonne")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    kept: str
    gone: str  # what was cut away, in its order


def job(text: str, cut_after: tuple[str, ...]) -> Cut:
    """Job mail without its "-- " block and without all from the first line on that holds one of `cut_after`.

    `text` has LF and its trailing spaces; case makes no difference to `cut_after`.
    """
    marks = tuple(mark.casefold() for mark in cut_after if mark.strip())
    if _SIGNATURE not in text and not any(map(text.casefold().__contains__, marks)):
        return Cut(kept=plain.trim(text), gone="")
    lines = text.split("\n")
    for at, line in enumerate(lines):
        if line == _SIGNATURE or (marks and any(mark in line.casefold() for mark in marks)):
            return _cut(lines[:at], lines[at:])
    return _cut(lines, [])


def _cut(kept: list[str], gone: list[str]) -> Cut:
    return Cut(kept=plain.trim("\n".join(kept)), gone=plain.trim("\n".join(gone)))


def answer(text: str) -> Cut:
    """The words that a person wrote in answer to a mail of ours: no history, no quotes, no signature.

    Answers between the quoted lines stay.  Below words that stand above the history nothing is looked for.
    """
    return answer_at_once(text) or answer_at_length(text)


def answer_at_length(text: str) -> Cut:
    """The same for any text: by all rules, and by the library."""
    lines = plain.trim(text).split("\n")
    tail = _tail(lines)
    kept, gone = _unquoted(lines[:tail])
    kept, closing = _unsigned(kept)
    return _cut(kept, [*closing, *gone, *lines[tail:]])


def answer_at_once(text: str) -> Cut | None:
    """The same in time in proportion to the text; None where it may quote, or where only the library can tell.

    Asked first, as the library's expressions take most of the time of reading a mail, and job mail quotes nothing.
    """
    whole = plain.trim(text)
    low = whole.lower()
    if any(map(low.__contains__, _HISTORY)):
        return None
    lines = whole.split("\n")
    tail = len(lines)
    if any(map(low.__contains__, _MARKS)) or _fields(lines) > 1:
        tail = _tail(lines)
        if _fields(lines[:tail]) > 1 or any(_LIBRARY_RULE.match(line.strip()) for line in lines[:tail]):
            return None
    kept, closing = _unclosed(lines[:tail]) if any(map(low.__contains__, _CLOSINGS)) else (lines[:tail], [])
    gone = [*closing, *lines[tail:]]
    return _cut(kept, gone) if gone else Cut(kept=whole, gone="")


def _fields(lines: list[str]) -> int:
    """How many lines look like "From: Jo", and may be the header of a mail that was answered."""
    return sum(":" in line and bool(_LIKE_FIELD.match(line)) for line in lines)


def _tail(lines: list[str]) -> int:
    """The first line from which on all is history or signature."""
    return next((at for at in range(len(lines)) if _ends(lines, at)), len(lines))


def _ends(lines: list[str], at: int) -> bool:
    """Whether everything from line `at` on is history or signature: our marker, a rule, a block of fields, "--"."""
    line = lines[at].strip()
    if not line or line[0] == ">":
        return False
    if line == "--" or MARKER.casefold() in line.casefold() or _RULE.fullmatch(line) or _SEPARATOR.fullmatch(line):
        return True
    return bool(_FIRST_FIELD.match(line)) and sum(bool(_FIELD.match(near)) for near in lines[at + 1 : at + 6]) >= 2


def _unquoted(lines: list[str]) -> tuple[list[str], list[str]]:
    """(the lines of the person, the others)."""
    kept: list[str] = []
    gone: list[str] = []
    last_quote = max((at for at, line in enumerate(lines) if line.startswith(">")), default=-1)
    below = False  # words of the person stand above an attribution
    at = 0
    while at < len(lines):
        span = _attribution(lines, at)
        if span:
            below = below or any(line.strip() for line in kept)
            following = next((line for line in lines[at + span :] if line.strip()), "")
            if not following.startswith(">"):
                return kept, [*gone, *lines[at:]]
            gone += lines[at : at + span]
            at += span
            continue
        quoted = lines[at].startswith(">") or (below and at > last_quote)
        (gone if quoted else kept).append(lines[at])
        at += 1
    return kept, gone


def _attribution(lines: list[str], at: int) -> int:
    """How many lines from `at` on say who wrote what follows, 0 when they do not; clients wrap it over up to three."""
    line = lines[at][:300]
    if _ISO_ATTRIBUTION.match(line):
        return 1
    opens = bool(_OPENS.match(line))
    if line.startswith(">") or not (opens or "@" in line):
        return 0
    for span in (1, 2, 3) if opens else (1,):
        last = lines[at + span - 1 : at + span]
        if span > 1 and (not last or not last[0].strip() or _OPENS.match(last[0])):
            return 0
        joined = " ".join(part[:300] for part in lines[at : at + span])
        if _ATTRIBUTION.search(joined[-400:]) and any(c.isdigit() or c == "@" for c in joined):
            return span
    return 0


def _unsigned(lines: list[str]) -> tuple[list[str], list[str]]:
    """(the lines above the signature or another history, the rest), as the library sees it."""
    if _long(lines):
        return lines, []
    text = "\n".join(lines)
    replies = EmailMessage(text=text, languages=list(_LANGUAGES), keep_hyphen_lists=True).read().replies
    head = replies[0]
    if head.headers:
        return lines, []
    words = head.content
    if len(replies) > 1 and _NOT_HISTORY.match(replies[1].headers or ""):
        words = text
    elif head.signatures and head.signatures in words:
        above, _, _ = words.partition(head.signatures)
        words = above if _closes(head.signatures) else words
    return _first(lines, sum(bool(line.strip()) for line in words.split("\n")))


def _long(lines: list[str]) -> bool:
    return sum(map(len, lines)) + len(lines) - 1 > _LIBRARY_CHARS or any(len(line) > _LIBRARY_LINE for line in lines)


def _unclosed(lines: list[str]) -> tuple[list[str], list[str]]:
    """The same where "Best regards" and its like are all that the library knows of the lines."""
    bare = [line.strip() for line in lines]
    at = next((n for n, line in enumerate(bare) if n and _CLOSING.match(line)), 0)
    signature = "\n".join(bare[at:]).strip()
    if not at or _long(lines) or not _closes(signature):
        return lines, []
    words, _, _ = "\n".join(bare).strip().partition(signature)
    return _first(lines, sum(bool(line.strip()) for line in words.split("\n")))


def _closes(signature: str) -> bool:
    """Whether a signature that the library found begins with a line too short to say anything."""
    opening = signature.strip().split("\n")[0]
    return len(opening.split()) <= _CLOSING_WORDS or opening.startswith(_MACHINES)


def _first(lines: list[str], count: int) -> tuple[list[str], list[str]]:
    """`lines` parted after the first `count` that are not blank."""
    seen = 0
    for at, line in enumerate(lines):
        if seen == count and line.strip():
            return lines[:at], lines[at:]
        seen += bool(line.strip())
    return lines, []
