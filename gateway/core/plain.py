"""Bytes to clean characters: whatever a charset label claims, what comes out can be shown, logged and sent.

Nothing here fails on any input, and every function takes time in proportion to its input.
"""

from __future__ import annotations

import re

# Codecs that are not charsets (rot13, idna, undefined), that run in quadratic time (punycode) or that can smuggle
# (utf-7) are not on this list: such a label counts as unknown.
_CHARSETS = re.compile(
    r"utf-?(?:8|16|32)(?:-?[bl]e)?|(?:iso-?)?8859-\d{1,2}|iso-8859-\d{1,2}(?:-[ei])?|latin-?\d|(?:windows-|cp)\d{3,4}|"
    r"koi8-[rut]|gb2312|gbk|gb18030|hz-gb-2312|big5(?:-?hkscs)?|shift[_-]jis|sjis|euc-(?:jp|kr|tw)|"
    r"iso-2022-(?:jp|kr)(?:-\d)?|ks_c_5601-1987|mac(?:intosh|-roman|roman)|tis-620"
)
_WESTERN = re.compile(r"|us-ascii|ascii|(?:iso-?)?8859-1|latin-?1|windows-1252|cp1252")
_WIDE = re.compile(r"utf-?(?:16|32).*")
_BINARY = re.compile(rb"[\x00-\x08\x0e-\x1f]")  # wide text in any script has such bytes, at the latest in its line ends
_UTF8, _CP1252 = "utf-8", "cp1252"

_SURROGATES = dict.fromkeys(range(0xD800, 0xE000), "\ufffd")
_CONTROLS: dict[int, str] = dict.fromkeys([*range(0x20), *range(0x7F, 0xA0)], "")
_BREAKS = dict.fromkeys(map(ord, "\n\x0b\x0c\x85\u2028\u2029"), "\n")
_IN_TEXT = _CONTROLS | _BREAKS | {ord("\t"): " "} | _SURROGATES
_IN_LINE = _CONTROLS | dict.fromkeys(_BREAKS, " ") | {ord("\t"): " ", ord("\r"): " "} | _SURROGATES


def decode(raw: bytes, charset: str) -> str:
    """`raw` in `charset` if it is one and fits, else in UTF-8 if it fits, else in Windows-1252.

    A western label on bytes that are UTF-8 is taken for the lie that it nearly always is, and so is a wide label on
    bytes that look like narrow text.
    """
    label = charset.strip(" \t\"'").lower()
    if raw.isascii() and (_WESTERN.fullmatch(label) or label == _UTF8):
        return raw.decode("ascii")
    lie = _WESTERN.fullmatch(label) or (_WIDE.fullmatch(label) and not _BINARY.search(raw))
    named = None if lie or not _CHARSETS.fullmatch(label) else _strict(raw, label)
    if named is not None:
        return named
    utf8 = _strict(raw, _UTF8)
    return raw.decode(_CP1252, "replace") if utf8 is None else utf8


def _strict(raw: bytes, charset: str) -> str | None:
    try:
        return raw.decode(charset)
    except (UnicodeError, LookupError):
        return None


def one_line(text: str) -> str:
    """`text` as a single line without control characters or surrogates, runs of white space as one space."""
    clean = text if text.isascii() and text.isprintable() else text.translate(_IN_LINE)
    return " ".join(clean.split())


def clean(text: str) -> str:
    """`text` with LF as its only line end and its only control character, a tab as a space."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n")
    return lines if lines.isascii() and lines.replace("\n", "").isprintable() else lines.translate(_IN_TEXT)


def trim(text: str) -> str:
    """`text` without spaces at line ends, without blank lines at both ends, and with single blank lines inside."""
    bare = "\n".join([line.rstrip() for line in text.split("\n")])
    while "\n\n\n" in bare:
        bare = bare.replace("\n\n\n", "\n\n")
    return bare.strip("\n")
