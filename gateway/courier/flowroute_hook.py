"""What Flowroute posts to us: known by the secret in its path, checked to be meant for us, and read.

Flowroute signs nothing.  The secret is all the proof there is, so a path without it does not exist; and because
whoever sees the path could post again, it is the hook's id that makes a replay harmless.
"""

from __future__ import annotations

import hmac
import json
import re
from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from urllib.parse import parse_qs, unquote

from multidict import CIMultiDict

from gateway.core.model import InboundHook, Phone, StatusIn, TextIn
from gateway.courier import flowroute_words as say
from gateway.courier.flowroute_words import line, table
from gateway.doors import HookRefused

MOST_BYTES = 64 * 1024
_TYPES = frozenset({"application/vnd.api+json", "application/json"})
_ID = re.compile(r"[A-Za-z0-9_-]{1,100}")
_DELIVERY = re.compile(r"[\w.:@+-]{1,200}", re.ASCII)
_NUMBER = re.compile(r"[0-9]{1,6}")


class _UnfitError(Exception):
    """The document is not one that Flowroute should send."""


class _ForeignError(Exception):
    """The text was not sent to a number of ours."""


class FlowrouteHooks:
    """doors.HookReader for Flowroute: /hooks/flowroute/<secret>/message and .../status.

    `secret` has at least 128 bits and no slash; with "" every hook is refused.  `numbers` answers ours in E.164, asked
    anew each time: a reload may add some.
    """

    def __init__(self, *, secret: str, numbers: Callable[[], Collection[str]]) -> None:
        self._secret = secret.encode()
        self._numbers = numbers

    def read(
        self, path: str, query: str, headers: Mapping[str, str], body: bytes, now: datetime
    ) -> InboundHook | HookRefused:
        """The hook, or why it is refused: 404, 415, 413, 403, and 400 for a document that Flowroute should not send.

        `path` and `query` as they came over the wire.  `InboundHook.raw` is the query, LF, the body.  Flowroute posts
        again, four times in all, what is not answered 200; a receipt names no number, so none is checked.
        """
        kind = self._kind(path)
        if not kind:
            return HookRefused(status=404, reason="not found")
        if CIMultiDict(headers).get("Content-Type", "").partition(";")[0].strip().lower() not in _TYPES:
            return HookRefused(status=415, reason="only application/vnd.api+json and application/json are read")
        if len(body) > MOST_BYTES:
            return HookRefused(status=413, reason="the document is too large")
        if not query.isascii():
            return HookRefused(status=400, reason="the query cannot be read")
        try:
            document = _document(body)
            hook_id, event = self._text(document) if kind == "message" else _status(document, query)
        except _UnfitError as fault:
            return HookRefused(status=400, reason=str(fault))
        except _ForeignError:
            return HookRefused(status=403, reason="not our number")
        raw = query.encode("ascii") + b"\n" + body
        return InboundHook(id=hook_id, at=now, provider="flowroute", event=event, raw=raw)

    def _kind(self, path: str) -> str:
        """ "message" | "status" where the path bears the secret, else ""."""
        step = path.split("/")
        if step[:3] != ["", "hooks", "flowroute"] or len(step) != 5 or step[4] not in ("message", "status"):
            return ""
        return step[4] if self._secret and hmac.compare_digest(_bytes(step[3]), self._secret) else ""

    def _text(self, document: dict[str, object]) -> tuple[str, TextIn | StatusIn]:
        data = table(document.get("data"))
        said = table(data.get("attributes"))
        remote_id = _id(data)
        if data.get("type", "message") != "message" or said.get("direction", "inbound") != "inbound":
            raise _UnfitError("this is no text that came in")
        author, ours = say.number(said.get("from")), say.number(said.get("to"))
        if not author:
            raise _UnfitError("from is missing")
        if ours not in self._numbers():
            raise _ForeignError
        return f"flowroute:{remote_id}", TextIn(
            remote_id=remote_id,
            author=author,
            number=Phone(ours),
            text=line(said.get("body")).replace("\r\n", "\n").replace("\r", "\n"),
            media=say.media(document.get("included")),
        )


def _bytes(step: str) -> bytes:
    """A step of the path as bytes; those that are no UTF-8 come as lone surrogates."""
    return unquote(step).encode("utf-8", "surrogateescape")


def _status(document: dict[str, object], query: str) -> tuple[str, TextIn | StatusIn]:
    data = table(document.get("data"))
    said = table(data.get("attributes"))
    remote_id = _id(data)
    if data.get("type", "delivery_receipt") != "delivery_receipt" or not line(said.get("status")):
        raise _UnfitError("this is no delivery receipt")
    level = say.level(said.get("level"))
    status = say.status(said.get("status"), level)
    asked = parse_qs(query, keep_blank_values=True)
    deliveries, attempts = asked.get("d", [""]), asked.get("a", ["0"])
    if len(deliveries) > 1 or len(attempts) > 1:
        raise _UnfitError("d or a is given twice")
    delivery, attempt = deliveries[0], attempts[0]
    if (delivery and not _DELIVERY.fullmatch(delivery)) or not _NUMBER.fullmatch(attempt):
        raise _UnfitError("d or a is not ours")
    return f"flowroute:{remote_id}:{int(attempt)}:{status}:{level}", StatusIn(
        remote_id=remote_id,
        delivery=delivery,
        attempt=int(attempt),
        status=status,
        code=say.code(said.get("status_code"), status),
    )


def _document(body: bytes) -> dict[str, object]:
    """The JSON:API document, freed of an outer `data` in which some hooks come.  Raises _UnfitError."""
    try:
        document = table(json.loads(body.decode()))
    except (ValueError, RecursionError) as fault:
        raise _UnfitError("the document cannot be read") from fault
    inner = table(document.get("data"))
    if "attributes" not in inner and "data" in inner:
        document = {"included": document.get("included"), **inner}
    if not table(table(document.get("data")).get("attributes")):
        raise _UnfitError("the document has no attributes")
    return document


def _id(data: dict[str, object]) -> str:
    found = line(data.get("id"))
    if not _ID.fullmatch(found):
        raise _UnfitError("id is not an id of a text")
    return found
