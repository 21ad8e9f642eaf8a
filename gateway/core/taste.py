"""A carrier's taste: how long a text may be and how a longer one is parted, its quirks, and its one picture.

What a gateway cannot take it cuts, drops or turns round without a word, so that is done here, where it can be seen.
Sources: Signal-Android #3071 and streetmerchant #1544 (From, Subject and text share the limit), textbelt #10 (colons).
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left
from dataclasses import dataclass

from gateway.core import gsm
from gateway.core.carrier import Channel

MOST_PARTS = 6

_CHARS = 160  # where the row does not say
_PICTURE_BYTES = 500_000  # the same; before base64
_LEAST = 20  # characters of a part, below which it is not worth sending
_COUNTED = 99  # parts that "(12/34) " can count

_COLON = re.compile(r"(?<![^\S\n])[^\S\n]*:+(?=\s|\Z)")
_LINK = re.compile(r"\b(?:https?://|www\.)\S", re.IGNORECASE)
_WORDS = re.compile(r"(.*\S)\s", re.DOTALL)
_WORD = re.compile(r"\S+")
_UNWRITABLE = re.compile(r"[^\x00-\x7f]+")
# Letters and signs that do not fall apart into an ASCII letter and an accent.
_PLAIN = str.maketrans({
    "ß": "ss", "Æ": "AE", "æ": "ae", "Œ": "OE", "œ": "oe", "Ø": "O", "ø": "o", "Đ": "D", "đ": "d", "Ð": "D",
    "ð": "d", "Ł": "L", "ł": "l", "Þ": "Th", "þ": "th", "\u0131": "i", "¡": "!", "¿": "?", "°": " deg", "±": "+/-",
    "€": "EUR", "£": "GBP", "¥": "JPY", "¢": "c", "§": "S.", "µ": "u", "Ω": "Ohm",
})  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Unfit:
    """A text that the gateway cannot take, not even in parts."""

    problem: str  # for people


def parts(
    text: str, channel: Channel, author: str, subject: str = "", most: int = MOST_PARTS
) -> tuple[str, ...] | Unfit:
    """The texts of the mails that bring `text` to a phone: one, or several with "(1/3) " in front; () for no text.

    Each holds, with the address in From and one more, and with the Subject and two more where there is one, at most the
    row's max_chars.  It is parted at the end of a word; only a word that fits no part is cut inside.  `most`: 1 to 99.
    Quirks are applied.  Source: SparkPost's and Verizon's way of counting.
    """
    body = _plainer(text, channel).strip()
    if not body:
        return ()
    if "ascii" in channel.quirks and not any(c.isalnum() for c in body):
        return Unfit(problem=f"{channel.domain} takes ASCII only, and nothing of the text can be written in it")
    room = (channel.max_chars or _CHARS) - len(author) - 1 - (len(subject) + 2 if subject else 0)
    room -= _led(body, channel) != body
    if len(body) <= room:
        return (_led(body, channel),)
    for digits in (1, 2):
        left = room - len("(/) ") - 2 * digits
        if left < _LEAST:
            return Unfit(problem=_no_room(channel, author, subject))
        pieces = _parted(body, left)
        if len(str(len(pieces))) == digits:
            break
    if len(pieces) > min(most, _COUNTED):
        long = f"the text is too long for {channel.domain}: it makes {len(pieces)} texts of {room} characters"
        return Unfit(problem=f"{long}, and at most {most} are sent")
    return tuple(_led(f"({n}/{len(pieces)}) {piece}", channel) for n, piece in enumerate(pieces, 1))


def _no_room(channel: Channel, author: str, subject: str) -> str:
    taken = "the address that it comes from and its subject" if subject else "the address that it comes from"
    return f"{channel.domain} takes {channel.max_chars or _CHARS} characters, and {taken} leave no room for a text"


def _parted(text: str, room: int) -> list[str]:
    """`text` in pieces of at most `room` characters; the white space between two pieces is left out."""
    pieces: list[str] = []
    while len(text) > room:
        words = _WORDS.match(text[: room + 1])
        end = words.end(1) if words else _inside(text, room)
        pieces.append(text[:end])
        text = text[end:].lstrip()
    return [*pieces, text] if text else pieces


def _inside(text: str, end: int) -> int:
    """The last place up to `end` where a word may be cut, so that no accent or joined sign stands alone."""
    for at in range(end, 0, -1):
        if not (unicodedata.combining(text[at]) or text[at] in "\u200d\ufe0f" or text[at - 1] == "\u200d"):
            return at
    return end


def shortened(text: str, channel: Channel, author: str, subject: str = "", most: int = MOST_PARTS) -> str:
    """The longest beginning of `text` that ends with a word and, with "..." after it, goes in `most` parts.

    "" where there is none: the first word alone is too long, or From and Subject leave no room.
    """
    tries = [f"{text[: word.end()]}..." for word in _WORD.finditer(text)]
    fit = bisect_left(tries, True, key=lambda one: isinstance(parts(one, channel, author, subject, most), Unfit))
    return tries[fit - 1] if fit else ""


def flavoured(text: str, channel: Channel) -> str:
    """`text` as the gateway's quirks want it: twice is the same as once."""
    return _led(_plainer(text, channel), channel)


def _plainer(text: str, channel: Channel) -> str:
    if "ascii" in channel.quirks:
        text = _ascii(text)
    return _COLON.sub(" -", text) if "no_colon" in channel.quirks else text


def _led(text: str, channel: Channel) -> str:
    """`text` with the space in front that a colon needs, as in times and links, whose colon has to stay."""
    needed = "no_colon" in channel.quirks and ":" in text and not text[:1].isspace()
    return f" {text}" if needed else text


def _ascii(text: str) -> str:
    """`text` in ASCII; each run of what has no counterpart there becomes one question mark."""
    letters = unicodedata.normalize("NFKD", gsm.transliterate(text).translate(_PLAIN))
    return _UNWRITABLE.sub("?", "".join(c for c in letters if not unicodedata.combining(c)))


def drops(text: str, channel: Channel) -> str:
    """What of `text` the gateway is known to drop, a clause for people; "" = nothing that is known of."""
    if "no_links" in channel.quirks and _LINK.search(text):
        return f"{channel.name or channel.carrier} drops links, so that the text may arrive without its link"
    return ""


def picture_bytes(channel: Channel) -> int:
    """The size of the one picture that the gateway takes with a text, in bytes before base64; 0 = it takes none."""
    return (channel.max_bytes or _PICTURE_BYTES) if channel.channel == "mms" else 0
