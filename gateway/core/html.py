"""HTML to text.  The input is cut to LONGEST, and what the renderer cannot show whole goes through a plain stripper.

The renderer sits on libxml2, which drops everything below 256 nested elements, and all that follows, without a word.
"""

from __future__ import annotations

import re
from html import unescape

from gateway.core import plain

LONGEST = 262_144  # characters of HTML that are looked at
_DEEPEST = 200  # open elements at which the renderer is no longer trusted

_DECLARATION = re.compile(r"\A<\?xml\b[^>]{0,200}>")
_TAG = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9]{0,15})")
# Elements that never hold others, or that close by themselves: they make no depth.
_FLAT = frozenset(
    ("area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr",
     "p", "li", "dt", "dd", "tr", "td", "th", "option", "thead", "tbody", "tfoot")
)  # fmt: skip
_BLOCKS = frozenset(
    ("address", "article", "blockquote", "br", "dd", "div", "dl", "dt", "footer", "form", "h1", "h2", "h3", "h4", "h5",
     "h6", "header", "hr", "li", "ol", "p", "pre", "section", "table", "title", "tr", "ul")
)  # fmt: skip
_HIDDEN = frozenset(("script", "style", "title"))
_LOWER = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz")  # str.lower moves offsets
_LONG_REFERENCE = re.compile(r"&#[xX]?[0-9a-fA-F]{9,};?")


def text(html: str) -> str:
    """The words that a reader of `html` sees, lines by LF, without runs of spaces.  Every str has an answer."""
    source = _DECLARATION.sub("", plain.clean(html[:LONGEST]).lstrip(), count=1)
    rendered = "" if _deep(source) else _rendered(source)
    return _lines(rendered) or _lines(_stripped(source))


def looks_like(text: str) -> bool:
    """Whether a text that claims to be plain is an HTML document."""
    return text[:1000].lstrip("\ufeff \t\r\n")[:14].lower().startswith(("<html", "<!doctype html", "<body"))


def _deep(source: str) -> bool:
    depth = 0
    for closing, name in _TAG.findall(source):
        if name.lower() not in _FLAT:
            depth = max(0, depth - 1) if closing else depth + 1
            if depth > _DEEPEST:
                return True
    return False


def _rendered(source: str) -> str:
    from gateway.core import render  # see there

    return plain.clean(render.rendered(source))  # a reference may name a control character


def _lines(text: str) -> str:
    # Spaces have no meaning in HTML, so that a signature's "-- " cannot keep its own.
    lines = (" ".join(line.split()) for line in text.split("\n"))
    return plain.trim("\n".join(lines))


def _stripped(source: str) -> str:
    """`source` without tags, comments, scripts and styles, in one pass: `find` that fails once ends it."""
    out: list[str] = []
    lower = source.translate(_LOWER)
    at = 0
    while True:
        start = source.find("<", at)
        out.append(source[at:] if start < 0 else source[at:start])
        if start < 0:
            break
        tag = _TAG.match(source, start)
        if tag is None and source[start + 1 : start + 2] not in ("!", "?", "/"):
            out.append("<")
            at = start + 1
            continue
        name = tag[2].lower() if tag else ""
        at = _end(lower, start, name if tag and not tag[1] else "")
        if name in _BLOCKS or name in ("td", "th"):
            out.append("\n" if name in _BLOCKS else " ")
        if at < 0:
            break
    return _unescaped("".join(out))


def _end(lower: str, start: int, opened: str) -> int:
    """Where the text goes on after the tag or comment at `start`; -1 when it never ends."""
    if lower.startswith("<!--", start):
        end = lower.find("-->", start + 4)
        return end + 3 if end >= 0 else -1
    if opened in _HIDDEN:
        start = lower.find(f"</{opened}", start)
        if start < 0:
            return -1
    end = lower.find(">", start)
    return end + 1 if end >= 0 else -1


def _unescaped(text: str) -> str:
    # A reference of thousands of digits makes int() raise.
    return plain.clean(unescape(_LONG_REFERENCE.sub("", text)))
