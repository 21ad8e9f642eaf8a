"""What a mail has to go with a text: its attached images and PDFs.  Runs in the reader's child only."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Container, Iterator
from email.message import Message
from typing import Any
from urllib.parse import unquote, unquote_to_bytes

from gateway import picture
from gateway.core import carrier_answer, header, parts
from gateway.core.model import Picture, Unreadable

MOST_FILES = 10  # Twilio: media of one text
_ALL_BYTES = 5_000_000  # Twilio: of all images of one text
_HTML_BYTES = 1_000_000
_IMAGE_ENDS = (".jpg", ".jpeg", ".jpe", ".png", ".gif", ".webp", ".bmp", ".tif", ".tiff", ".avif")
_CID = re.compile(rb"cid:([^\s\"'<>()]{1,500})", re.IGNORECASE)
_PLAIN_NAME = re.compile(r"\b(?:file)?name\s{0,9}=\s{0,9}(?:\"([^\"]{0,500})\"|([^\s;\"]{1,500}))", re.IGNORECASE)
_LONG_NAME = re.compile(r"\b(?:file)?name\*\d{0,3}\*?\s{0,9}=\s{0,9}\"?([^\s;\"]{1,500})", re.IGNORECASE)
_CHARSET = re.compile(r"[\w-]{0,40}'[\w-]{0,20}'")
_UNCLEAN = re.compile(r"[^A-Za-z0-9-]+")


def count(raw: bytes) -> int:
    """How many attachments of a mail may go with a text, by their headers: nothing is decoded."""
    return sum(1 for _ in _candidates(raw))


def attached(raw: bytes, most_bytes: int = 0, *, reply_domains: Container[str] = ()) -> tuple[Picture, ...]:
    """The images and PDFs attached to a mail, in its order, each as picture.fitted makes it; at most 10, the images of
    at most 5 MB in all.  One that cannot be had has a `problem` and no data.  Of a text that a carrier sent on from one
    of `reply_domains` they are the person's pictures, attached or not.  `most_bytes` of one image, 0 = 600 kB.
    """
    found: list[Picture] = []
    room = _ALL_BYTES
    for part, name in _candidates(raw, reply_domains):
        if len(found) == MOST_FILES:
            break
        payload = part.get_payload(decode=True)
        data = payload if isinstance(payload, bytes) else b""
        one = picture.fitted(data, _stem(name), len(found) + 1, most_bytes)
        if one is None:
            continue
        if one.kind.startswith("image/") and len(one.data) > room:
            one = picture.left_out(len(found) + 1, f"the pictures have more than {_ALL_BYTES // 1_000_000} MB in all")
        room -= len(one.data) if one.kind.startswith("image/") else 0
        found.append(one)
    return tuple(found)


def _candidates(raw: bytes, reply_domains: Container[str] = ()) -> Iterator[tuple[Message, str]]:
    """The attachments that may be images or PDFs, with the names that they were given.

    What the HTML shows in its place is a part of the words; so is an image that has no name and was not attached.
    """
    message = parts.parse(raw)
    if isinstance(message, Unreadable):
        return
    author, _ = header.mailbox(parts.first(parts.fields(message), "from"))
    if carrier_answer.texted(author, reply_domains):
        yield from ((part, _named(parts.fields(part))) for part in carrier_answer.pictures(message))
        return
    leaves = [part for part, _ in parts.leaves(message) if not part.is_multipart()]
    shown = _shown(leaves)
    for part in leaves:
        fields = parts.fields(part)
        disposition = parts.first(fields, "content-disposition")
        attached = disposition.strip().lower().startswith("attachment")
        name = _named(fields)
        kind = part.get_content_type()
        image = kind.startswith("image/") or (kind == "application/octet-stream" and name.lower().endswith(_IMAGE_ENDS))
        pdf = kind in ("application/pdf", "application/x-pdf") or name.lower().endswith(".pdf")
        ident = parts.first(fields, "content-id").strip().strip("<>").encode("utf-8", "replace")
        if (image or pdf) and (attached or name) and not (ident and ident in shown):
            yield part, name


def _shown(leaves: list[Message]) -> frozenset[bytes]:
    """The Content-IDs that an HTML part refers to (RFC 2392)."""
    found: set[bytes] = set()
    for part in leaves:
        payload: Any = part.get_payload(decode=True) if part.get_content_type() == "text/html" else b""
        found.update(unquote_to_bytes(i) for i in _CID.findall(payload[:_HTML_BYTES]))
    return frozenset(found)


def _named(fields: parts.Fields) -> str:
    return _given(parts.first(fields, "content-disposition")) or _given(parts.first(fields, "content-type"))


def _given(field: str) -> str:
    """The name in a Content-Disposition or Content-Type as its sender wrote it, "" = none (RFC 2231, RFC 2183)."""
    pieces = _LONG_NAME.findall(field)
    if pieces:
        return unquote(_CHARSET.sub("", "".join(pieces), count=1), errors="replace")[:500]
    plain = _PLAIN_NAME.search(field)
    return header.words(plain[1] or plain[2] or "") if plain else ""


def _stem(name: str) -> str:
    """What of a stranger's name may stand in an address: letters, digits and hyphens, without its extension."""
    last = re.split(r"[/\\]", name)[-1]
    stem = last.rpartition(".")[0] or last
    bare = unicodedata.normalize("NFKD", stem).encode("ascii", "ignore").decode("ascii")
    return _UNCLEAN.sub("-", bare)[:40].strip("-")
