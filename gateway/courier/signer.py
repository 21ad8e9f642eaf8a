"""Signs outgoing mail of our domain with DKIM (RFC 6376, RFC 8463), and tells what DNS must say for it."""

from __future__ import annotations

import asyncio
import base64
import re

from gateway.config.signing import SigningKey
from gateway.core import proof

_LINE_END = re.compile(rb"\r\n|\r|\n")
_SIGNED = frozenset(
    {b"from", b"to", b"subject", b"date", b"message-id", b"reply-to", b"in-reply-to", b"references", b"mime-version"}
)
_LARGE = 256 * 1024  # bytes from which hashing would hold up the loop


async def wire_form(data: bytes, signer: Signer | None) -> bytes:
    """The mail as it goes over the wire but for the dots: CRLF at every end of line, signed where it may be."""
    if not data.count(b"\r\n") == data.count(b"\n") == data.count(b"\r"):
        data = _LINE_END.sub(b"\r\n", data)
    if not data.endswith(b"\r\n"):
        data += b"\r\n"
    if signer is None:
        return data
    return await asyncio.to_thread(signer.signed, data) if len(data) > _LARGE else signer.signed(data)


class Signer:
    """One key of one domain, published under one selector."""

    def __init__(self, *, domain: str, selector: str, key: SigningKey) -> None:
        self._domain = domain
        self._selector = selector
        self._key = key

    def signed(self, data: bytes) -> bytes:
        """The mail with a signature on top; unchanged when its From is not ours (RFC 7489 3.1.1) or cannot be read.

        `data` has CRLF line ends.  Signed are the fields that readers see and From once more than it is there, so that
        no second From can be put in front of it (RFC 6376 8.15).  Blocks: milliseconds for RSA, and 10 ms a MB.
        """
        import dkim  # type: ignore[import-untyped]  # it has no types

        try:
            mail = dkim.DKIM(data, signature_algorithm=self._key.algorithm.encode())
        except (dkim.MessageFormatError, IndexError):  # the latter for a header that begins with a space
            return data
        names = [name.lower() for name, _ in mail.headers]
        authors = [value.decode("utf-8", "replace") for name, value in mail.headers if name.lower() == b"from"]
        author = proof.author([" ".join(value.split()) for value in authors])
        if author is None or not proof.aligned(self._domain, proof.domain(author)):
            return data
        covered = [name for name in names if name in _SIGNED or name.startswith(b"content-")]
        mark: bytes = mail.sign(
            self._selector.encode("ascii"),
            self._domain.encode("ascii"),
            self._key.private,
            canonicalize=(b"relaxed", b"relaxed"),
            include_headers=[*covered, b"from"],
        )
        return mark + data

    def record(self) -> tuple[str, str]:
        """The name in DNS, and the text of the TXT record that must stand there (RFC 6376 3.6.1)."""
        public = base64.b64encode(self._key.public).decode("ascii")
        return f"{self._selector}._domainkey.{self._domain}", f"v=DKIM1; k={self._key.kind}; p={public}"
