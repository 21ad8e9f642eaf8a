"""The parts of a mail: bytes to a parsed message, its header fields, and the text that is its body.

The standard parser takes seconds for crafted structure and raises on crafted parameters, so the bytes are measured
first and every parameter is read here.  What still goes wrong is an Unreadable, never an exception.
Sources: RFC 2045 to 2047, RFC 2183, RFC 3676.
"""

from __future__ import annotations

import email
import email.policy
import re
from collections.abc import Iterator
from dataclasses import dataclass
from email.errors import MessageError
from email.message import Message

from gateway.core import html, plain
from gateway.core.model import Unreadable

_HEADER_BYTES = 262_144
_FIELD_BYTES = 8_192  # of one Content-* field
_BOUNDARIES = 50  # distinct ones: nested multiparts
_DELIMITERS = 2_000  # lines that may part something
_MESSAGES = 100  # messages inside of messages
_TEXT_BYTES = 262_144  # of all text parts; a hundred times what a text can hold

_BLANK_LINE = re.compile(rb"\r?\n\r?\n")
_BOUNDARY = re.compile(rb"boundary(?:\*\d{0,3}\*?)?\s{0,9}=\s{0,9}\"?([^\"\s;]{1,200})")
_CONTENT_FIELD = re.compile(rb"^content-[a-z-]{1,40}:[^\n]*(?:\n[ \t][^\n]*)*", re.MULTILINE)
_CHARSET = re.compile(
    r"charset(?:\*0?\*?)?\s{0,9}=\s{0,9}\"?(?:[\w-]{0,40}'[\w-]{0,20}')?([^\s\";']{1,60})", re.IGNORECASE
)
_NAMED = re.compile(r"\bname(?:\*\d{0,3})?\*?\s{0,9}=|\bfilename(?:\*\d{0,3})?\*?\s{0,9}=", re.IGNORECASE)

Fields = dict[str, list[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    text: str  # LF, not trimmed
    attachments: int  # parts that are not the body


def parse(raw: bytes) -> Message | Unreadable:
    """The message in `raw`, NUL bytes left out, or why it is not parsed: too large a header or too many parts."""
    whole = raw.replace(b"\0", b"") if b"\0" in raw else raw
    reason = _excess(whole)
    if reason:
        return Unreadable(reason=reason)
    try:
        return email.message_from_bytes(whole, policy=email.policy.compat32)
    except (MessageError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as fault:
        return Unreadable(reason=f"its structure cannot be read ({type(fault).__name__})")


def _excess(raw: bytes) -> str:
    blank = _BLANK_LINE.search(raw)
    header = blank.start() if blank else len(raw)
    if header > _HEADER_BYTES:
        return f"its header has {header} bytes, more than {_HEADER_BYTES}"
    lower = raw.lower()
    if len(lower) > _FIELD_BYTES:
        longest = max((m.end() - m.start() for m in _CONTENT_FIELD.finditer(lower)), default=0)
        if longest > _FIELD_BYTES:
            return f"a Content field has {longest} bytes, more than {_FIELD_BYTES}"
    boundaries = set(_BOUNDARY.findall(lower))
    if len(boundaries) > _BOUNDARIES:
        return f"it has more than {_BOUNDARIES} nested multiparts"
    if sum(lower.count(b"\n--" + boundary) for boundary in boundaries) > _DELIMITERS:
        return f"it has more than {_DELIMITERS} parts"
    if lower.count(b"message/rfc822") > _MESSAGES:
        return f"it has more than {_MESSAGES} messages inside"
    return ""


def fields(message: Message) -> Fields:
    """The header fields of a message or part by name in lower case, unfolded, 8-bit bytes decoded, in their order."""
    found: Fields = {}
    for name, value in message.raw_items():
        line = str(value).replace("\r", "").replace("\n", "")
        found.setdefault(name.lower(), []).append(line if line.isascii() else plain.decode(_bytes(line), ""))
    return found


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def first(fields: Fields, name: str) -> str:
    """The first value of the field of that name, "" when there is none."""
    return fields.get(name, [""])[0]


def leaves(message: Message) -> Iterator[tuple[Message, Message | None]]:
    """Each part that is no multipart, in order, with the multipart/alternative that it is a choice of."""
    waiting: list[tuple[Message, Message | None]] = [(message, None)]
    while waiting:
        part, choice = waiting.pop()
        # Asked for text without decoding, the standard parser raises for some charsets ("undefined", "idna").
        inside = part.get_payload() if part.get_content_maintype() == "multipart" and part.is_multipart() else None
        if isinstance(inside, list):
            choice = part if part.get_content_subtype() == "alternative" else choice
            waiting += [(p, choice) for p in reversed(inside) if isinstance(p, Message)]
        else:
            yield part, choice


def body(message: Message) -> Body:
    """The words of a mail: its plain parts, else its HTML as text, else a named text file, else nothing.

    Attached and named parts are no body while another is there; of the choices of an alternative one is taken.
    """
    found: dict[str, list[tuple[Message, Message | None]]] = {"plain": [], "html": [], "named": [], "": []}
    for part, choice in leaves(message):
        found[_kind(part)].append((part, choice))
    others = len(found["named"]) + len(found[""])
    for kind in ("plain", "html", "named"):
        words = _words(found[kind], kind)
        if words:
            return Body(text="\n\n".join(words), attachments=others - (len(words) if kind == "named" else 0))
    return Body(text="", attachments=others)


def _words(candidates: list[tuple[Message, Message | None]], kind: str) -> list[str]:
    """The texts of parts of one kind that are not blank, one of each alternative, as far as the bound on bytes goes."""
    words: list[str] = []
    chosen: set[int] = set()
    room = _TEXT_BYTES
    for part, choice in candidates:
        if room <= 0 or id(choice) in chosen:
            continue
        payload = part.get_payload(decode=True)
        raw = payload[:room] if isinstance(payload, bytes) else b""
        room -= len(raw)
        text = _text(part, raw, kind)
        if text.strip():
            words.append(text)
            chosen |= {id(choice)} if choice is not None else set()
    return words


def _kind(part: Message) -> str:
    """ "plain", "html", "named" (a text file) or "" (no text)."""
    if part.is_multipart():  # a message inside
        return ""
    header = fields(part)
    kind = {"text/plain": "plain", "text/html": "html"}.get(part.get_content_type(), "")
    if not kind and part.get_content_maintype() == "multipart":
        kind = "plain"  # a multipart without parts: the bytes are all there is
    disposition = first(header, "content-disposition")
    attached = disposition.strip().lower().startswith("attachment")
    if attached or _NAMED.search(disposition) or _NAMED.search(first(header, "content-type")):
        return "named" if kind == "plain" else ""
    return kind


def _text(part: Message, raw: bytes, kind: str) -> str:
    about = first(fields(part), "content-type")
    label = _CHARSET.search(about)
    words = plain.clean(plain.decode(raw, label[1] if label else "")).lstrip("\ufeff")
    if kind == "html" or html.looks_like(words):
        return _with_signature(html.text(words))
    return unflow(words, about.lower())


def _with_signature(text: str) -> str:
    """`text` of HTML, where a line of "--" had lost the space that makes it a signature's mark (RFC 3676 4.3)."""
    return "\n".join("-- " if line == "--" else line for line in text.split("\n"))


def unflow(text: str, content_type: str) -> str:
    """`text` with the soft line breaks of format=flowed joined (RFC 3676); other texts come back as they are."""
    if "format=flowed" not in content_type.replace(" ", "").replace('"', ""):
        return text
    delsp = "delsp=yes" in content_type.replace(" ", "").replace('"', "")
    out: list[str] = []
    paragraph: list[str] = []
    for line in text.split("\n"):
        if line.startswith(">") or line == "-- ":
            out += ["".join(paragraph)] * bool(paragraph) + [line]
            paragraph = []
            continue
        bare = line.removeprefix(" ")  # space-stuffing
        soft = bare.endswith(" ")
        paragraph.append(bare[:-1] if soft and delsp else bare)
        if not soft:
            out.append("".join(paragraph))
            paragraph = []
    return "\n".join(out + ["".join(paragraph)] * bool(paragraph))
