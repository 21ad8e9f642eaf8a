"""Header values of mail, read by rules that hold for bad mail too.

Every function takes time in proportion to its input, looks at no more than LONGEST characters, and never fails: the
parsers of the standard library freeze, recurse or raise on short crafted values (CPython #136063, #151857).
Sources: RFC 5322 3.4 and 3.6.4, RFC 2047, RFC 3834.
"""

from __future__ import annotations

import binascii
import re

from gateway.core import plain
from gateway.core.model import MailAddr

LONGEST = 16_384  # characters of one value that are looked at
_SUBJECT_CHARS = 2_000
_NAME_CHARS = 200
_ADDRESS_CHARS = 254  # RFC 5321 4.5.3.1.3
_ID_CHARS = 900  # a longer one fits no header line (RFC 5322 2.1.1)
_REFERENCES = 50

_ENCODED = re.compile(r"=\?([^?\s]{1,80})\?([bBqQ])\?([^?]*)\?=")
_ADDRESS = re.compile(r"[^\s@<>()\[\],;:\\\"]+@[^\s@<>()\[\],;:\\\"]+")
# Nearly all values of From and To: an address, alone or behind a name without anything that would have to be decoded.
_MAILBOX = re.compile(r"(?:\"([\w .,'&@/-]*)\" ?|([\w .'&/-]*))<([\w.+-]+)@([\w.-]+)>|([\w.+-]+)@([\w.-]+)", re.ASCII)
_ID = re.compile(r"<([^<>]+)>")
_NOT_ID = re.compile(r"[^!-;=?-~]")
_TOKEN = re.compile(r"\s*([A-Za-z][A-Za-z0-9_-]*)")


def words(value: str) -> str:
    """The text of a value with its encoded words decoded (RFC 2047), as one line of at most 2,000 characters."""
    shown = value[:LONGEST]
    return plain.one_line(_decoded(shown) if "=?" in shown else shown)[:_SUBJECT_CHARS]


def _decoded(value: str) -> str:
    out: list[str] = []
    held: list[bytes] = []  # neighbours in one charset are joined as bytes: they may share a character
    charset, at = "", 0
    for match in _ENCODED.finditer(value):
        between = value[at : match.start()]
        label, payload = match[1].split("*")[0].lower(), _payload(match[2], match[3])
        if held and (label != charset or not _blank(between)):
            out.append(plain.decode(b"".join(held), charset))
        if not (held and _blank(between)):
            out.append(between)
        if held and label == charset and _blank(between):
            held.append(payload)
        else:
            held, charset = [payload], label
        at = match.end()
    if held:
        out.append(plain.decode(b"".join(held), charset))
    return "".join((*out, value[at:]))


def _blank(between: str) -> bool:
    return not between or between.isspace()


def _payload(how: str, text: str) -> bytes:
    raw = text.encode("ascii", "ignore")
    if how in "qQ":
        return binascii.a2b_qp(raw, header=True)
    try:
        return binascii.a2b_base64(raw + b"===")
    except binascii.Error:
        return raw


def mailbox(value: str) -> tuple[MailAddr | None, str]:
    """The first address of a From or Reply-To, and the name beside it; (None, name) when there is no usable address.

    The domain comes back in lower case.  Comments, quotes and groups are understood, quoted local parts are not taken.
    """
    if not value:
        return None, ""
    usual = _MAILBOX.fullmatch(value) if len(value) <= _ADDRESS_CHARS else None
    if usual is not None:
        local, domain = usual[3] or usual[5], usual[4] or usual[6]
        return MailAddr(f"{local}@{domain.lower()}"), " ".join((usual[1] or usual[2] or "").split())[:_NAME_CHARS]
    address, name = _scan(value[:LONGEST])
    if not _ADDRESS.fullmatch(address):
        address, name = _scan(_decoded(value[:LONGEST]))  # some encode the whole value, which RFC 2047 5 forbids
    found = _ADDRESS.fullmatch(address) if len(address) <= _ADDRESS_CHARS and address.isprintable() else None
    shown = words(name)[:_NAME_CHARS]
    if found is None:
        return None, shown
    local, _, domain = address.partition("@")
    return MailAddr(f"{local}@{domain.lower()}"), shown


def _scan(value: str) -> tuple[str, str]:
    """(address, name) of the first mailbox in `value`, both as written."""
    name: list[str] = []
    quoted, depth, at = False, 0, 0
    while at < len(value):
        c = value[at]
        if c == "\\" and (quoted or depth):
            at += 1
            if quoted and not depth:
                name.append(value[at : at + 1])
        elif depth:
            depth += (c == "(") - (c == ")")
        elif c == '"':
            quoted = not quoted
        elif quoted:
            name.append(c)
        elif c == "(":
            depth = 1
        elif c == "<":
            return value[at + 1 :].partition(">")[0].strip(), "".join(name)
        elif c == ":":
            name.clear()  # "group: first@..., second@...;"
        elif c in ",;":
            if _among("".join(name)):
                break
            name.clear()
        else:
            name.append(c)
        at += 1
    alone = _among("".join(name))
    return (alone, "") if alone else ("", "".join(name))


def _among(text: str) -> str:
    """The first word of `text` that is an address, or ""."""
    return next((word for word in text.split() if _ADDRESS.fullmatch(word)), "")


def message_id(value: str) -> str:
    """The first message id of a value with its brackets, "" when there is none; white space inside is dropped."""
    found = message_ids(value)
    if found:
        return found[0]
    return _id(next((word for word in value[:LONGEST].split() if "@" in word), "")) if value else ""


def message_ids(value: str) -> tuple[str, ...]:
    """All message ids of a References value, oldest first; of more than 50 the root and the newest are kept."""
    found = tuple(filter(None, map(_id, _ID.findall(value[:LONGEST])))) if value else ()
    return found if len(found) <= _REFERENCES else (found[0], *found[1 - _REFERENCES :])


def _id(inner: str) -> str:
    bare = _NOT_ID.sub("", inner)
    return f"<{bare}>" if bare and len(bare) <= _ID_CHARS else ""


def token(value: str) -> str:
    """The first word of a value in lower case: "auto-replied" of `auto-replied (vacation)`; "" when there is none."""
    found = _TOKEN.match(value[:LONGEST])
    return found[1].lower() if found else ""
