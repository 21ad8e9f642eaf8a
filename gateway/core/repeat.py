"""What makes two mails the same mail (P7): read from the bytes, before anything is parsed."""

from __future__ import annotations

import hashlib
import re
from datetime import timedelta

# Without a Message-ID two equal mails are a repeat only when they come close together.
NAMELESS_WINDOW = timedelta(hours=1)
_HEADER_BYTES = 100_000
_TAIL_BYTES = 4096
_END = re.compile(rb"\r?\n\r?\n")
_FIELD = {
    name: re.compile(rb"^" + name + rb"[ \t]*:((?:[^\r\n]|\r?\n[ \t])*)", re.IGNORECASE | re.MULTILINE)
    for name in (b"Message-ID", b"Date", b"Subject")
}


def content(raw: bytes) -> tuple[bytes, bool]:
    """The fingerprint of what a mail says, and whether a Message-ID is part of it.

    Message-ID, Subject and body count; without a Message-ID the Date counts in its place.  Trace lines do not, since a
    second try passes other relays.
    """
    found = _END.search(raw, 0, _HEADER_BYTES)
    head, begin = (raw[: found.start()], found.end()) if found else (raw[:_HEADER_BYTES], 0)
    message_id = _value(b"Message-ID", head)
    named = message_id or _value(b"Date", head)
    hashed = hashlib.blake2b(digest_size=20)
    _add(hashed, named, _value(b"Subject", head))
    hashed.update(memoryview(raw)[begin : _ending(raw, begin)])
    return hashed.digest(), bool(message_id)


def _ending(raw: bytes, begin: int) -> int:
    """Where the white space begins that ends the mail, found without a copy of all that stands before it."""
    end = len(raw)
    while end > begin:
        start = max(begin, end - _TAIL_BYTES)
        tail = raw[start:end].rstrip()
        if tail:
            return start + len(tail)
        end = start
    return begin


def digest(sender: str, recipient: str, said: bytes) -> bytes:
    """The fingerprint of one mail to one recipient; `said` is that of its content, which all recipients share."""
    hashed = hashlib.blake2b(said, digest_size=20)
    _add(hashed, sender.encode(), recipient.lower().encode("utf-8", "replace"))
    return hashed.digest()


def _add(hashed: hashlib.blake2b, *parts: bytes) -> None:
    for part in parts:
        hashed.update(len(part).to_bytes(4, "big"))
        hashed.update(part)


def window(named: bool, configured: timedelta) -> timedelta:
    """How long a first counts; zero switches the check off."""
    return configured if named else min(configured, NAMELESS_WINDOW)


def _value(name: bytes, head: bytes) -> bytes:
    found = _FIELD[name].search(head)
    return b" ".join(found.group(1).split()) if found else b""
