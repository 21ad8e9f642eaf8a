"""What Twilio posts to us: proven by its signature, checked to be meant for us, and read.

The signature covers our public URL, the query and every field, but no time: a replay is proven as well as the first.
It is the hook's id that makes a replay harmless, so ids are taken from fields of a strict form only.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from urllib.parse import parse_qsl

from multidict import CIMultiDict, MultiDict
from twilio.request_validator import RequestValidator, compare

from gateway.core import codes
from gateway.core.model import InboundHook, Phone, StatusIn, TextIn
from gateway.doors import HookRefused

MOST_BYTES = 64 * 1024
_MESSAGE = "/hooks/twilio/message"
_STATUS = "/hooks/twilio/status"
_MOST_FIELDS = 200
_MOST_MEDIA = 10
_SID = re.compile(r"(?:SM|MM)[0-9a-fA-F]{32}")
_DELIVERY = re.compile(r"[\w.:@+-]{1,200}", re.ASCII)
_NUMBER = re.compile(r"[0-9]{1,6}")
_STATUSES = frozenset({"queued", "sending", "sent", "delivered", "undelivered", "failed", "canceled"})
_OPT_OUTS = frozenset({"STOP", "START", "HELP"})


class _UnfitError(Exception):
    """The proven form is not one that Twilio should send."""


class TwilioHooks:
    """doors.HookReader for Twilio.

    `auth_tokens`: any of them may have signed, so that a token can be changed.  `public_url` is what Twilio was told,
    without /hooks/...; `numbers` answers ours in E.164, asked anew each time: a
    reload may add some.
    """

    def __init__(
        self, *, account_sid: str, auth_tokens: Sequence[str], public_url: str, numbers: Callable[[], Collection[str]]
    ) -> None:
        self._account_sid = account_sid
        self._validators = [RequestValidator(token) for token in auth_tokens]
        self._public_url = public_url.rstrip("/")
        self._numbers = numbers

    def read(
        self, path: str, query: str, headers: Mapping[str, str], body: bytes, now: datetime
    ) -> InboundHook | HookRefused:
        """The hook, or why it is refused: 404, 415, 413, 403, and 400 for a form that Twilio should not send.

        `path` and `query` as they came over the wire.  `InboundHook.raw` is the query, LF, the body.
        """
        if path not in (_MESSAGE, _STATUS):
            return HookRefused(status=404, reason="no such hook")
        fields = CIMultiDict(headers)
        if fields.get("Content-Type", "").partition(";")[0].strip().lower() != "application/x-www-form-urlencoded":
            return HookRefused(status=415, reason="only application/x-www-form-urlencoded is read")
        if len(body) > MOST_BYTES:
            return HookRefused(status=413, reason="the form is too large")
        form = _form(body)
        if form is None or not query.isascii():
            return HookRefused(status=400, reason="the form cannot be read")
        url = f"{self._public_url}{path}?{query}" if query else f"{self._public_url}{path}"
        if not self._signed(url, form, fields.get("X-Twilio-Signature", "")):
            return HookRefused(status=403, reason="the signature does not match")
        if form.getall("AccountSid", []) != [self._account_sid]:
            return HookRefused(status=403, reason="not our account")
        if form.get("To" if path == _MESSAGE else "From", "") not in self._numbers():
            return HookRefused(status=403, reason="not our number")
        try:
            hook_id, event = _text(form) if path == _MESSAGE else _status(form, query)
        except _UnfitError as fault:
            return HookRefused(status=400, reason=str(fault))
        raw = query.encode("ascii") + b"\n" + body
        return InboundHook(id=hook_id, at=now, provider="twilio", event=event, raw=raw)

    def _signed(self, url: str, form: MultiDict[str], signature: str) -> bool:
        """Whether one of our tokens signed it.  The address as it is comes first: `validate` computes two others."""
        if not signature:
            return False
        as_it_is = any(compare(v.compute_signature(url, form), signature) for v in self._validators)
        return as_it_is or any(v.validate(url, form, signature) for v in self._validators)


def _text(form: MultiDict[str]) -> tuple[str, TextIn | StatusIn]:
    sid = _sid(form)
    author = _one(form, "From")
    if not author:
        raise _UnfitError("From is missing")
    count = _NUMBER.fullmatch(_one(form, "NumMedia") or "0")
    media = (_one(form, f"MediaUrl{n}") for n in range(min(int(count[0]), _MOST_MEDIA) if count else 0))
    said = _one(form, "OptOutType").upper()
    return f"twilio:{sid}", TextIn(
        remote_id=sid,
        author=author,
        number=Phone(_one(form, "To")),
        text=_one(form, "Body").replace("\r\n", "\n").replace("\r", "\n"),
        media=tuple(url for url in media if url),
        opt_out=said if said in _OPT_OUTS else "",
    )


def _status(form: MultiDict[str], query: str) -> tuple[str, TextIn | StatusIn]:
    sid = _sid(form)
    status = codes.status(_one(form, "MessageStatus"))
    if status not in _STATUSES:
        raise _UnfitError("MessageStatus is not a status of a text that was sent")
    asked = MultiDict(parse_qsl(query, keep_blank_values=True))
    delivery, attempt = _one(asked, "d"), _one(asked, "a") or "0"
    if (delivery and not _DELIVERY.fullmatch(delivery)) or not _NUMBER.fullmatch(attempt):
        raise _UnfitError("d or a is not ours")
    return f"twilio:{sid}:{int(attempt)}:{status}", StatusIn(
        remote_id=sid,
        delivery=delivery,
        attempt=int(attempt),
        status=status,
        code=_one(form, "ErrorCode"),
    )


def _form(body: bytes) -> MultiDict[str] | None:
    """All fields, empty ones too: the signature covers them.  None for too many."""
    try:
        pairs = parse_qsl(body.decode("latin-1"), keep_blank_values=True, max_num_fields=_MOST_FIELDS)
    except ValueError:
        return None
    return MultiDict(pairs)


def _one(form: MultiDict[str], name: str) -> str:
    """The value of a field that must be single, "" when missing.

    The signature joins names and values without a mark between them and drops repeated ones, so two values for one
    name could be one request cut up anew.
    """
    values = set(form.getall(name, []))
    if len(values) > 1:
        raise _UnfitError(f"{name} is given twice")
    return values.pop() if values else ""


def _sid(form: MultiDict[str]) -> str:
    sid = _one(form, "MessageSid")
    if not _SID.fullmatch(sid):
        raise _UnfitError("MessageSid is not an id of a text")
    return sid
