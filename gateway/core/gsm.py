# ruff: noqa: RUF001 -- the table of look-alikes is made of ambiguous characters
"""The alphabets of a text: which one it needs, how many parts it makes, what it can be turned into, where it is cut.

Sources: 3GPP TS 23.038 6.2.1 (default alphabet and its extension table), 3GPP TS 23.040 9.2.3.24.1 (chains of parts).
"""

from __future__ import annotations

import re

_BASIC = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENSION = "\f^{}\\[~]|€"
_ALPHABET = frozenset(_BASIC + _EXTENSION)
_ESCAPED = re.compile(f"[{re.escape(_EXTENSION)}]")
_ESC = "\x1b"
_SINGLE = "".join(c for c in _BASIC if c.isascii()).encode()  # ASCII of one septet each

_GSM_ALONE, _GSM_CHAINED = 160, 153  # septets; a chained part gives six octets to its header
_UCS_ALONE, _UCS_CHAINED = 70, 67  # UTF-16 code units

_DOTS = "..."
_TO_SPACE = re.compile(r"(?s).*\s")
_JOINS = re.compile("[\u0300-\u036f\u200d\u20d0-\u20ff\ufe00-\ufe0f\U0001f3fb-\U0001f3ff]")  # never begin a part


def encoding(text: str) -> str:
    """The alphabet that `text` needs: "GSM-7" or "UCS-2".  Every str has an answer, lone surrogates are UCS-2."""
    return "GSM-7" if _ALPHABET.issuperset(text) else "UCS-2"


def costly(text: str) -> tuple[str, ...]:
    """The distinct characters that force UCS-2, in the order in which they first appear."""
    return tuple(c for c in dict.fromkeys(text) if c not in _ALPHABET)


def units(text: str) -> int:
    """The length of `text` on the air: septets in GSM-7 (two for the extension table), else UTF-16 code units."""
    return sum(parts(text))


def segments(text: str) -> int:
    """How many parts a phone network cuts `text` into.

    GSM-7 holds 160 septets alone and 153 in a chain, UCS-2 70 and 67 units; a pair (escape and character, or two
    surrogates) is never split.  Every str has an answer; "" is one part.  CR and LF count one each.
    """
    if _single(text):
        return 1 if len(text) <= _GSM_ALONE else -(-len(text) // _GSM_CHAINED)
    return len(parts(text))


def _single(text: str) -> bool:
    """Whether every character is ASCII and one septet, as in nearly every text: then the length says all."""
    return text.isascii() and not text.encode("ascii").translate(None, _SINGLE)


def parts(text: str) -> tuple[int, ...]:
    """The units in each part of `text`, at least one part."""
    if encoding(text) == "GSM-7":
        return _chain(_ESCAPED.sub(_ESC * 2, text), _GSM_ALONE, _GSM_CHAINED)
    return _chain(_code_units(text), _UCS_ALONE, _UCS_CHAINED)


def _code_units(text: str) -> str:
    """One character for each UTF-16 code unit of `text`; an ESC stands for either half of a pair."""
    return "".join("." if c < "\U00010000" else _ESC * 2 for c in _paired(text))


def _paired(text: str) -> str:
    """`text` with surrogates that stand beside their other half joined to the character which they mean."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")


def _chain(marked: str, alone: int, chained: int) -> tuple[int, ...]:
    if len(marked) <= alone:
        return (len(marked),)
    sizes: list[int] = []
    at = 0
    while at < len(marked):
        size = min(chained, len(marked) - at)
        # an odd run of ESC up to the cut means that the cut falls inside a pair: runs start at pair bounds
        run = marked[at : at + size]
        if at + size < len(marked) and (len(run) - len(run.rstrip(_ESC))) % 2:
            size -= 1
        sizes.append(size)
        at += size
    return tuple(sizes)


def shorten(text: str, max_segments: int) -> str:
    """`text` cut at the end of a word, with "..." after it, so that it makes at most `max_segments` (at least 1) parts.

    A text that fits comes back as it is.  A first word that alone is too long is cut inside.
    """
    most = max(1, max_segments)
    if segments(text) <= most:
        return text
    low, high = 0, min(len(text), most * _GSM_ALONE)
    if _single(text):
        low = high = (_GSM_ALONE if most == 1 else most * _GSM_CHAINED) - len(_DOTS)
    while low < high:
        middle = (low + high + 1) // 2
        if segments(text[:middle] + _DOTS) <= most:
            low = middle
        else:
            high = middle - 1
    kept = text[:low]
    if not text[low].isspace():
        words = _TO_SPACE.match(kept)
        kept = words.group() if words and words.group().strip() else _whole(text, low)
    return kept.rstrip() + _DOTS


def _whole(text: str, end: int) -> str:
    """`text` up to `end`, less what would leave an accent or the half of a joined sign behind."""
    while end > 0 and (_JOINS.match(text[end]) or text[end - 1] == "\u200d"):
        end -= 1
    return text[:end]


def transliterate(text: str) -> str:
    """`text` with typographic characters replaced by those of GSM-7 that mean the same.

    Quotes, dashes, dots, bullets, spaces (one each), fractions, ligatures and full-width letters change; zero-width
    characters and controls go; what GSM-7 has, letters with accents and emoji stay.  Twice is the same as once.
    """
    if text.isascii() and not text.encode("ascii").translate(None, _STAYS):
        return text
    return _AFTER_DIGIT.sub(" ", text).translate(_TABLE)


_FRACTIONS = {
    "½": "1/2", "⅓": "1/3", "⅔": "2/3", "¼": "1/4", "¾": "3/4", "⅕": "1/5", "⅖": "2/5", "⅗": "3/5", "⅘": "4/5",
    "⅙": "1/6", "⅚": "5/6", "⅐": "1/7", "⅛": "1/8", "⅜": "3/8", "⅝": "5/8", "⅞": "7/8", "⅑": "1/9", "⅒": "1/10",
}  # fmt: skip
_AFTER_DIGIT = re.compile(rf"(?<=\d)(?=[{''.join(_FRACTIONS)}])")  # 1½ is "1 1/2", not "11/2"

# what it becomes -> all that become it
_SAME = {
    '"': "“”„‟«»″‶ʺˮ❝❞〝〞〟🙶🙷🙸",
    "'": "‘’‚‛′‵`´ʹʻʼʽˈˊˋ❛❜",
    "<": "‹〈⟨❮﹤",
    ">": "›〉⟩❯﹥",
    "-": "‐‑‒–—―−﹘﹣⁃•‣●◦∙·▪■◆►▶➤➔",
    "->": "→⇒",
    "<-": "←⇐",
    "...": "…⋯",
    "..": "‥",
    ".": "․。﹒。",
    ",": "、﹐",
    ";": "﹔\u037e",
    ":": "ː꞉︓﹕∶",
    "!": "ǃ﹗",
    "?": "﹖",
    "!!": "‼",
    "?!": "⁈",
    "!?": "⁉",
    "??": "⁇",
    "/": "÷⁄∕⧸",
    "\\": "⧵﹨⧹",
    "|": "∣⏐│",
    "_": "‗",
    "~": "˜∼〜﹋",
    "^": "ˆ",
    "*": "⁎∗✱✻★☆",
    "+": "˖﹢",
    "=": "꞊﹦",
    "#": "﹟",
    "$": "﹩",
    "%": "﹪",
    "&": "﹠",
    "@": "﹫",
    "(": "❨❪﹙⦅",
    ")": "❩❫﹚⦆",
    "[": "〔❲",
    "]": "〕❳",
    "{": "❴﹛",
    "}": "❵﹜",
    "x": "×✕",
    "(c)": "©",
    "(R)": "®",
    "TM": "™",
    "No.": "№",
    "a": "ª",
    "o": "º",
    "ff": "ﬀ", "fi": "ﬁ", "fl": "ﬂ", "ffi": "ﬃ", "ffl": "ﬄ", "st": "ﬅﬆ", "IJ": "Ĳ", "ij": "ĳ",
    "Ω": "\u2126", "Å": "\u212b",
    " ": "\t\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000",
    "\n": "\x0b\x85\u2028\u2029",
}  # fmt: skip
# the zero-width joiner and the variation selectors stay: they hold emoji together
_GONE = (
    *map(ord, "\xad\u034f\u061c\u180e\u200b\u200c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\ufeff"),
    *range(0x2060, 0x2065),
    *range(0x2066, 0x2070),
    *(code for code in (*range(0x20), *range(0x7F, 0xA0)) if chr(code) not in "\t\n\x0b\f\r\x85"),
)
_SMALL_CAPITALS = dict(zip("ᴀʙᴄᴅᴇꜰɢʜɪᴊᴋʟᴍɴᴏᴘʀꜱᴛᴜᴠᴡʏᴢ", "ABCDEFGHIJKLMNOPRSTUVWYZ", strict=True))


def _table() -> dict[int, str]:
    table = {ord(c): like for like, many in _SAME.items() for c in many}
    table |= {ord(c): like for c, like in (_FRACTIONS | _SMALL_CAPITALS).items()}
    table |= {0xFF01 + n: table.get(0x21 + n, chr(0x21 + n)) for n in range(94)}  # full-width ASCII
    return table | dict.fromkeys(_GONE, "")


_TABLE = _table()
_STAYS = bytes(code for code in range(128) if code not in _TABLE)
