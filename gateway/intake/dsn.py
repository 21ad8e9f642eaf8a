"""The parameters of RFC 3461 as a client writes them.  Nonsense answers None: the door then says 501."""

from __future__ import annotations

import re

_XTEXT = re.compile(r"(?:[!-*,-<>-~]|\+[0-9A-F]{2})*")
_HEX = re.compile(r"\+([0-9A-F]{2})")
_ATOM = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+")
_REASONS = frozenset({"SUCCESS", "FAILURE", "DELAY"})


def xtext(value: str) -> str | None:
    """The decoded text; None where it is not xtext, or hides anything but printable ASCII.

    A "+0D+0A" would otherwise become a line of its own in the reports that we write.
    Source: RFC 3461 section 4.
    """
    if not _XTEXT.fullmatch(value):
        return None
    decoded = _HEX.sub(lambda match: chr(int(match[1], 16)), value)
    return decoded if decoded.isascii() and decoded.isprintable() else None


def ret(value: str) -> str | None:
    """FULL or HDRS.  Source: RFC 3461 4.3."""
    upper = value.upper()
    return upper if upper in {"FULL", "HDRS"} else None


def envid(value: str) -> str | None:
    """The decoded envelope id, 1 to 100 characters as encoded.  Source: RFC 3461 4.4."""
    return (xtext(value) or None) if len(value) <= 100 else None


def notify(value: str) -> str | None:
    """NEVER, or a list of SUCCESS, FAILURE and DELAY in upper case and in the order given, each once.

    Source: RFC 3461 4.1.
    """
    words = value.upper().split(",")
    if words == ["NEVER"]:
        return "NEVER"
    if len(set(words)) != len(words) or not _REASONS.issuperset(words):
        return None
    return ",".join(words)


def orcpt(value: str) -> str | None:
    """The original recipient, decoded: "rfc822;alice@example.com".  At most 500 characters.  Source: RFC 3461 4.2."""
    kind, semicolon, address = value.partition(";")
    if len(value) > 500 or not semicolon or not _ATOM.fullmatch(kind):
        return None
    decoded = xtext(address)
    return f"{kind};{decoded}" if decoded else None
