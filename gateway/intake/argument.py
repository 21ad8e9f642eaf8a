"""What stands behind MAIL and RCPT: a path and its parameters, read by a strict and linear grammar.

A parser of RFC 5322 would cost more than the rest of a session.  The path is not judged: source routes, quotes and
percent signs reach the host as they were written and are refused there.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from gateway.core.model import Recipient, Refusal
from gateway.intake import dsn

# Each branch begins with another character, so a match never goes back.
_BRACKETS = r'<((?:[^<>"\\\s]|\\.|"(?:[^"\\]|\\.)*")*)>'
_PATH = re.compile(rf"(FROM|TO):[ \t]*(?:{_BRACKETS}|([^\s<>]+))(?:[ \t]+(.*))?", re.IGNORECASE)
_PARAMETER = re.compile(r"([A-Za-z0-9][A-Za-z0-9-]*)(?:=([!-<>-~]+))?")
_DIGITS = re.compile(r"[0-9]{1,20}")
_REMEMBERED = 512  # arguments of each verb: job software says the same ones all day
_MAX_PATH = 256  # RFC 5321 4.5.3.1.3, without the brackets


@dataclass(frozen=True, slots=True, kw_only=True)
class MailFrom:
    """The argument of MAIL."""

    address: str  # without brackets; "" is the null sender
    size: int = 0  # announced bytes, RFC 1870; 0 = not given
    ret: str = ""
    envid: str = ""


@lru_cache(maxsize=_REMEMBERED)
def mail_from(arg: str) -> MailFrom | Refusal:
    """The argument of MAIL, or the answer that refuses it."""
    parts = _split("FROM", arg)
    if isinstance(parts, Refusal):
        return parts
    address, parameters = parts
    if len(address) > _MAX_PATH:
        return Refusal(code=501, enhanced="5.1.7", text="The sender's address is too long")
    known = {"SIZE": _size, "BODY": _body, "AUTH": _auth, "RET": dsn.ret, "ENVID": dsn.envid}
    values: dict[str, str] = {}
    for name, value in parameters.items():
        if name not in known:
            return Refusal(code=555, enhanced="5.5.4", text=f"MAIL has no parameter {name[:40]} here")
        read = known[name](value)
        if read is None:
            return _nonsense(name)
        values[name] = read
    size = int(values.get("SIZE", "0"))
    return MailFrom(address=address, size=size, ret=values.get("RET", ""), envid=values.get("ENVID", ""))


@lru_cache(maxsize=_REMEMBERED)
def rcpt_to(arg: str) -> Recipient | Refusal:
    """The argument of RCPT, or the answer that refuses it."""
    parts = _split("TO", arg)
    if isinstance(parts, Refusal):
        return parts
    address, parameters = parts
    if not address or len(address) > _MAX_PATH:
        return Refusal(code=501, enhanced="5.1.3", text="The recipient's address is missing or too long")
    known = {"NOTIFY": dsn.notify, "ORCPT": dsn.orcpt}
    values: dict[str, str] = {}
    for name, value in parameters.items():
        if name not in known:
            return Refusal(code=555, enhanced="5.5.4", text=f"RCPT has no parameter {name[:40]} here")
        read = known[name](value)
        if read is None:
            return _nonsense(name)
        values[name] = read
    return Recipient(address=address, notify=values.get("NOTIFY", ""), orcpt=values.get("ORCPT", ""))


def _split(keyword: str, arg: str) -> tuple[str, dict[str, str]] | Refusal:
    verb = "MAIL FROM" if keyword == "FROM" else "RCPT TO"
    match = _PATH.fullmatch(arg)
    if match is None or match[1].upper() != keyword:
        return Refusal(code=501, enhanced="5.5.4", text=f"Syntax: {verb}:<address>")
    parameters: dict[str, str] = {}
    for word in (match[4] or "").split():
        parameter = _PARAMETER.fullmatch(word)
        name = parameter[1].upper() if parameter else ""
        if parameter is None or name in parameters:
            return Refusal(code=501, enhanced="5.5.4", text=f"The parameters of {verb} cannot be read")
        parameters[name] = parameter[2] or ""
    return match[2] or match[3] or "", parameters


def _nonsense(name: str) -> Refusal:
    return Refusal(code=501, enhanced="5.5.4", text=f"The value of {name} cannot be read")


def _size(value: str) -> str | None:
    return value if _DIGITS.fullmatch(value) else None


def _body(value: str) -> str | None:
    """RFC 6152: both kinds are stored as they come."""
    return value if value.upper() in {"7BIT", "8BITMIME"} else None


def _auth(value: str) -> str | None:
    """RFC 4954 section 5: who sent it first.  Read and not used; VMware and others write AUTH=<> without a login."""
    return value if value == "<>" or dsn.xtext(value) else None
