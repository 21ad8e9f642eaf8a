"""What goes wrong on purpose, by name: `500-after`, `drop-after`, `550`, `greylist`, `bounce-vtext`."""

from __future__ import annotations

import asyncio
import re
import socket
import struct
from collections.abc import Mapping
from dataclasses import dataclass, replace

from aiohttp import web

from gateway.simulator.form import error


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One way to fail.  `stored`: the request has its effect, only the answer goes wrong."""

    on: str  # Twilio: headers | post | list | fetch | media | cdn; mail: connect | greylist | rcpt | data
    mode: str  # answer | drop | reset | late | silent | lost
    code: int = 0  # HTTP status or Twilio error code; SMTP reply code
    stored: bool = False
    html: bool = False  # the answer is a page of some proxy instead of Twilio's JSON
    seconds: float = 1.0  # late: until the answer; 429: Retry-After; lost: until the report; greylist: how long
    count: int = (
        1  # how many requests, of greylist how many tries of each mail; 0 = until cleared or `seconds` are over
    )
    to: str = ""  # only for this phone or mail address, or "@domain"; "" = anybody (for media: the text's To)
    number: str = ""  # only for texts by this number of ours; "" = any
    words: str = ""  # mail: what follows the code, or what the report says; "" = the usual
    report: str = ""  # mail: what comes back after the 250, see carrier_mails.REPORTS


@dataclass(frozen=True, slots=True, kw_only=True)
class Kinds:
    """The names that one server knows: whole words, and what may follow a code."""

    words: Mapping[str, Fault]
    codes: Mapping[str, Fault]  # by what follows the code: "" | "after" | ...

    def named(self, name: str) -> Fault:
        """The fault of that name.  Raises ValueError that lists the names."""
        if name in self.words:
            return self.words[name]
        found = re.fullmatch(r"(\d{3,5})(?:-([a-z-]+))?", name)
        if found and (found[2] or "") in self.codes:
            return replace(self.codes[found[2] or ""], code=int(found[1]))
        known = [*self.words, *(f"CODE-{after}" if after else "CODE" for after in self.codes)]
        raise ValueError(f"no fault is called {name!r}; there are {', '.join(known)}")


TWILIO = Kinds(
    words={
        "drop": Fault(on="headers", mode="drop"),
        "reset-before": Fault(on="post", mode="reset"),
        "reset-after": Fault(on="post", mode="reset", stored=True),
        "late": Fault(on="post", mode="late", stored=True),
        "silent": Fault(on="post", mode="silent", stored=True),
        "reset-list": Fault(on="list", mode="reset"),
        "silent-list": Fault(on="list", mode="silent"),
        "reset-fetch": Fault(on="fetch", mode="reset"),
        "reset-media": Fault(on="media", mode="reset"),
        "silent-media": Fault(on="media", mode="silent"),
        "reset-cdn": Fault(on="cdn", mode="reset"),
        "silent-cdn": Fault(on="cdn", mode="silent"),
    },
    codes={
        "": Fault(on="post", mode="answer"),
        "before": Fault(on="post", mode="answer"),
        "after": Fault(on="post", mode="answer", stored=True),
        "html": Fault(on="post", mode="answer", html=True),
        "html-after": Fault(on="post", mode="answer", html=True, stored=True),
        "list": Fault(on="list", mode="answer"),
        "fetch": Fault(on="fetch", mode="answer"),
        "media": Fault(on="media", mode="answer"),
        "cdn": Fault(on="cdn", mode="answer", html=True),
    },
)
MAIL = Kinds(
    words={
        # T-Mobile: community.t-mobile.com, "421 4.2.0 sender rejected", thread 116618
        "aup": Fault(on="rcpt", mode="answer", code=421, words="4.2.0 sender rejected AUP#SNDR"),
        "banned": Fault(on="data", mode="answer", code=544, words="5.7.1 rejecting banned content"),
        "policy": Fault(on="data", mode="answer", code=550, words="5.7.1 From is not of the domain that sends"),
        "greylist": Fault(on="greylist", mode="answer", code=451, words="4.7.1 greylisted, try again later"),
        "drop-rcpt": Fault(on="rcpt", mode="drop"),
        "drop-before": Fault(on="data", mode="drop"),
        "drop-after": Fault(on="data", mode="drop", stored=True),
        "late": Fault(on="data", mode="late", stored=True),
        "silent": Fault(on="data", mode="silent", stored=True),
        "lost": Fault(on="data", mode="lost", stored=True),
        "bounce": Fault(on="data", mode="lost", stored=True, report="failed"),
        "bounce-policy": Fault(
            on="data", mode="lost", stored=True, report="failed", words="550 5.7.1 message blocked as spam"
        ),
        "bounce-vtext": Fault(on="data", mode="lost", stored=True, report="vtext"),
        "bounce-vzwpix": Fault(on="data", mode="lost", stored=True, report="vzwpix"),
        "delayed": Fault(on="data", mode="lost", stored=True, report="delayed"),
    },
    codes={
        "": Fault(on="rcpt", mode="answer"),
        "rcpt": Fault(on="rcpt", mode="answer"),
        "data": Fault(on="data", mode="answer"),
        "connect": Fault(on="connect", mode="answer"),
    },
)


class Faults:
    """The faults that wait for their request, first added first."""

    def __init__(self, kinds: Kinds) -> None:
        self._kinds = kinds
        self._waiting: list[Fault] = []

    def add(
        self,
        name: str,
        *,
        count: int = 1,
        to: str = "",
        number: str = "",
        seconds: float | None = None,
        words: str = "",
    ) -> Fault:
        """Lets the next `count` requests (0: all, until cleared) for `to` and by `number` fail so.

        Raises ValueError for the name.
        """
        fault = replace(self._kinds.named(name), count=count, to=to.lower(), number=number)
        if seconds is not None:
            fault = replace(fault, seconds=seconds)
        if words:
            fault = replace(fault, words=words)
        self._waiting.append(fault)
        return fault

    def take(self, on: str, to: str = "", number: str = "") -> Fault | None:
        """The fault for a request that comes now, counted down; None = all goes well."""
        for at, fault in enumerate(self._waiting):
            if fault.on == on and _matches(fault.to, to.lower()) and fault.number in ("", number):
                if fault.count == 1:
                    del self._waiting[at]
                elif fault.count:
                    self._waiting[at] = replace(fault, count=fault.count - 1)
                return fault
        return None

    def standing(self, on: str, to: str) -> Fault | None:
        """The first fault for a request that comes now, not counted down."""
        return next((fault for fault in self._waiting if fault.on == on and _matches(fault.to, to.lower())), None)

    def clear(self) -> None:
        self._waiting.clear()


def _matches(wanted: str, to: str) -> bool:
    return not wanted or (to.endswith(wanted) if wanted.startswith("@") else to == wanted)


async def pause(end: asyncio.Event, seconds: float | None) -> None:
    """Returns after `seconds` (None: never), or as soon as the server ends."""
    try:
        async with asyncio.timeout(seconds):
            await end.wait()
    except TimeoutError:
        return


async def fail(request: web.Request, fault: Fault, end: asyncio.Event) -> web.StreamResponse:
    """The answer that goes wrong; the connection is gone, or the answer never comes, in the other modes."""
    if fault.mode == "answer":
        retry = {"Retry-After": f"{fault.seconds:g}"} if error(fault.code)[0] == 429 else {}
        return _page(fault.code) if fault.html else refusal(fault.code, retry)
    if fault.mode in ("silent", "late"):
        await pause(end, None if fault.mode == "silent" else fault.seconds)
    else:
        _cut(request, hard=fault.mode == "reset")
    return web.Response(status=500)  # nobody reads it: aiohttp wants an answer from every handler


def refusal(code: int, headers: Mapping[str, str] | None = None) -> web.Response:
    """Twilio's JSON for an error code or a bare HTTP status."""
    status, body = error(code)
    return web.json_response(body, status=status, headers=headers)


def _page(status: int) -> web.Response:
    """What a proxy in between would say: no JSON, so that it proves nothing."""
    return web.Response(status=status, text=f"<html><body>{status}</body></html>", content_type="text/html")


def _cut(request: web.Request, *, hard: bool) -> None:
    """Ends the connection at once; `hard` by RST, so that the other side sees a reset and no end of file."""
    transport = request.transport
    if transport is None:
        return
    if hard:
        sock = transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
