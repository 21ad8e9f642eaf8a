"""The words by which a person stops, starts or asks about texts.

Only a message that is nothing but such a word counts: "cancel my Friday appointment" is a customer's reply.
Source: the provider's default lists (Twilio, opt-out keywords); 47 CFR 64.1200(a)(10) names the same words.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from gateway.core import gsm
from gateway.core.model import TextIn

_LISTS = {
    "stop": (
        "STOP", "UNSUBSCRIBE", "END", "QUIT", "STOPALL", "STOP ALL", "REVOKE", "OPTOUT", "OPT OUT", "OPT-OUT", "CANCEL",
    ),
    "start": ("START", "UNSTOP", "YES"),
    "help": ("HELP", "INFO"),
}  # fmt: skip
_LONGEST = 100  # characters of a message that can be a word with its trimmings
_MOST = 2_000  # characters that are looked at; a text has at most 1600 (Twilio 21617)
_SPOKEN = str.maketrans("", "", "'`")  # "don't" and "dont" are one word
_GAP = re.compile(r"[\W_]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Keyword:
    word: str  # as in the provider's list: "STOP", "OPT OUT"
    action: str  # "stop" | "start" | "help"


_KEYWORDS = {word.casefold(): Keyword(word=word, action=action) for action, words in _LISTS.items() for word in words}


def keyword(text: str) -> Keyword | None:
    """The keyword that the whole of `text` is, or None.

    Case, width, spaces around and between, and whatever is neither letter nor digit around it (quotes, dots, emoji)
    make no difference; any other word does.
    """
    return _KEYWORDS.get(bare(text))


def texted(event: TextIn) -> Keyword | None:
    """The keyword of a text: ours, or the one that the provider found, who knows words of other languages too."""
    said = keyword(event.text)
    if not event.opt_out or (said is not None and said.action == event.opt_out.lower()):
        return said
    return Keyword(word=" ".join(event.text.split())[:20].upper() or event.opt_out, action=event.opt_out.lower())


def bare(text: str) -> str:
    """`text` as keywords are compared: NFKC, without case, from its first letter or digit to its last, one space
    between words.  "" when there is none, or when it is too long to be a keyword (100 characters).
    """
    words = text.strip()
    if len(words) > _LONGEST:
        return ""
    plain = gsm.transliterate(unicodedata.normalize("NFKC", words)).casefold()
    return " ".join(_solid(plain).split())


def _solid(text: str) -> str:
    """`text` from its first letter or digit to its last."""
    solid = [at for at, c in enumerate(text) if c.isalnum()]
    return text[solid[0] : solid[-1] + 1] if solid else ""


def spoken(text: str) -> str:
    """The words of `text` as phrases are looked for: as `bare`, but without accents, apostrophes and punctuation.

    One space between words; no more than the first 2,000 characters are looked at.
    """
    known = gsm.transliterate(unicodedata.normalize("NFKC", text[:_MOST])).casefold().translate(_SPOKEN)
    if not known.isascii():
        known = "".join(c for c in unicodedata.normalize("NFKD", known) if not unicodedata.combining(c))
    return _GAP.sub(" ", known).strip()
