"""The content of a mail, from the first byte after 354 to the lone dot: taken in blocks, bounded, never line by line.

Only CRLF.CRLF ends a mail (RFC 5321 4.1.1.4): what other servers may take for an end stays inside, and is refused for
its bare CR or LF, so that nobody smuggles a second mail in.
"""

from __future__ import annotations

import re

from gateway.core.model import Refusal

_END = b"\r\n.\r\n"
_RECEIVED = re.compile(rb"\nreceived[ \t]*:")  # in a header in lower case

TOO_BIG = Refusal(code=552, enhanced="5.3.4", text="The mail is larger than this server takes, see SIZE")
LONG_LINE = Refusal(code=500, enhanced="5.5.2", text="A line of the mail is too long")
BARE = Refusal(
    code=550,
    enhanced="5.6.0",
    text='The mail has a bare CR or LF, or a NUL; lines must end in CRLF (or set bare_lf = "accept" for this sender)',
)
LOOP = Refusal(code=554, enhanced="5.4.6", text="The mail has passed too many servers: a loop")


class Content:
    """Collects one mail and finds its end.

    `bare_lf` is for machines that end lines, and the mail, with LF alone.  LF.LF then ends a mail that has no CR at
    all, and only when nothing follows it: whoever sends on without waiting for an answer has not ended his mail.
    """

    def __init__(self, *, max_bytes: int, line_bytes: int, bare_lf: bool = False) -> None:
        self.fault: Refusal | None = None  # why it cannot be taken; what comes is thrown away then
        self._max_bytes = max_bytes
        self._line_bytes = line_bytes
        self._bare_lf = bare_lf
        self._only_lf = bare_lf  # no CR has come
        self._buffer = bytearray(b"\r\n")  # the end of the DATA line counts for a dot in the first line

    @property
    def held(self) -> int:
        """Bytes in memory."""
        return len(self._buffer)

    def feed(self, block: bytes) -> bytes | None:
        """Takes a block; None while the mail goes on, at its end the bytes that follow it."""
        buffer, before = self._buffer, len(self._buffer)
        buffer += block
        end = buffer.find(_END, max(0, before - len(_END) + 1))
        if end >= 0:
            rest = bytes(buffer[end + len(_END) :])
            del buffer[end + 2 :]
            return rest
        self._only_lf = self._only_lf and b"\r" not in block
        if self._only_lf and buffer.endswith(b"\n.\n"):
            del buffer[-2:]
            return b""
        if self.fault is not None:
            self._forget()
        elif len(buffer) > self._max_bytes + len(_END) + 1:
            self.refuse(TOO_BIG)
        elif len(buffer) - buffer.rfind(b"\n") > self._line_bytes + 2:
            self.refuse(LONG_LINE)
        return None

    def refuse(self, fault: Refusal) -> None:
        """Throws away what came and will come; the first reason stays."""
        self.fault = self.fault or fault
        self._forget()

    def take(self) -> bytes:
        """The mail as it was sent, dots unstuffed (RFC 5321 4.5.2); with `bare_lf` every line ends in CRLF.

        Gives it up: of a large mail there are never more than two copies.
        """
        stuffed, self._buffer = self._buffer, bytearray()
        if self._bare_lf and stuffed.count(b"\n") != stuffed.count(b"\r\n"):
            stuffed = stuffed.replace(b"\r\n", b"\n")
            stuffed = stuffed.replace(b"\n", b"\r\n")
        if b"\r\n." in stuffed:
            stuffed = stuffed.replace(b"\r\n.", b"\r\n")
        return bytes(memoryview(stuffed)[2:])

    def _forget(self) -> None:
        del self._buffer[: -len(_END) + 1]


def fault(raw: bytes, *, max_bytes: int, line_bytes: int, hops: int) -> Refusal | None:
    """Why a complete mail cannot be taken, or None."""
    if len(raw) > max_bytes:
        return TOO_BIG
    if _has_longer_line(raw, line_bytes):
        return LONG_LINE
    lines = raw.count(b"\r\n")
    if raw.count(b"\n") != lines or raw.count(b"\r") != lines or b"\0" in raw:
        return BARE
    header = b"" if raw.startswith(b"\r\n") else raw.partition(b"\r\n\r\n")[0]
    lowered = b"\n" + header.lower()
    # Counting a word takes a tenth of the time of a pattern, and most mails need no more.
    if lowered.count(b"\nreceived") > hops and len(_RECEIVED.findall(lowered)) > hops:
        return LOOP
    return None


def _has_longer_line(raw: bytes, most: int) -> bool:
    """Whether any line is longer, its CRLF apart.  Each byte is looked at about twice, and no line is copied."""
    at = 0
    while len(raw) - at > most:
        end = raw.rfind(b"\r\n", at, at + most + 2)
        if end < 0:
            return True
        at = end + 2
    return False
