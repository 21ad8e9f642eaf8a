"""What the simulator saw, in order of time, and how one waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field, fields
from datetime import datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Posted:
    """A POST to Messages.json, whatever its answer."""

    at: datetime
    form: tuple[tuple[str, str], ...]
    to: str
    sid: str  # of the text that was stored; "" = nothing was
    answer: int  # HTTP status; 0 = no answer was given
    code: int = 0  # Twilio's error code


@dataclass(frozen=True, slots=True, kw_only=True)
class Texted:
    """A text in the store: from the API, from a customer, or Twilio's own answer to a STOP word."""

    at: datetime
    sid: str
    author: str  # our number, the service's SID while no number is chosen, or the customer
    to: str
    body: str
    direction: str  # outbound-api | outbound-reply | inbound


@dataclass(frozen=True, slots=True, kw_only=True)
class Called:
    """A webhook that was posted to the gateway."""

    at: datetime
    sid: str
    status: str  # of the text: sent, delivered, ...; "received" for a customer's text
    url: str  # as Twilio knows it: the signature covers this one
    form: tuple[tuple[str, str], ...]
    answer: int  # HTTP status; 0 = no answer
    note: str = ""  # why there was no answer


@dataclass(frozen=True, slots=True, kw_only=True)
class RcptTo:
    address: str
    options: tuple[str, ...] = ()  # as written: "NOTIFY=NEVER"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Mail:
    """What every mail has."""

    at: datetime
    mail_from: str  # "" is the null sender
    raw: bytes = field(repr=False)
    answer: str  # the SMTP reply that ended it; "" = none was given

    @property
    def message(self) -> EmailMessage:
        """The parsed mail."""
        return message_from_bytes(self.raw, policy=policy.default)

    @property
    def text(self) -> str:
        """The words of its plain part with LF, without the last line end; "" when it has none that can be read."""
        part = self.message.get_body(preferencelist=("plain",))
        try:
            return "" if part is None else str(part.get_content()).replace("\r\n", "\n").rstrip("\n")
        except LookupError:  # an unknown charset
            return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mailed(_Mail):
    """A mail that reached the end of DATA."""

    options: tuple[str, ...]  # of MAIL, as written: "ENVID=...", "SIZE=..."
    rcpt_to: tuple[RcptTo, ...]
    taken: bool  # whether it was taken over from the gateway
    shown: bool = True  # whether the mailbox or phone behind it has it, where it was taken
    login: str = ""  # the user name of AUTH

    def is_for(self, address: str) -> bool:
        """Whether a recipient is `address`, or lies in the domain when it begins with "@"; without case."""
        wanted = address.lower()
        mine = [rcpt.address.lower() for rcpt in self.rcpt_to]
        return any(rcpt.endswith(wanted) if wanted.startswith("@") else rcpt == wanted for rcpt in mine)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent(_Mail):
    """A mail to the gateway, from a carrier: a report of its own, or what a phone wrote."""

    to: str
    note: str = ""  # why there was no answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Turned:
    """A recipient that was turned away at RCPT."""

    at: datetime
    mail_from: str
    address: str
    answer: str  # "" = the connection was dropped


Entry = Posted | Texted | Called | Mailed | Sent | Turned


def as_json(entry: Entry) -> dict[str, object]:
    """`entry` as plain values; `kind` is the class in lower case, times are ISO 8601.

    `raw` is one character per byte (latin-1), so that nothing is lost; `subject` and `text` stand beside it.
    """
    shown: dict[str, object] = {"kind": type(entry).__name__.lower()}
    for each in fields(entry):
        value = getattr(entry, each.name)
        if isinstance(value, datetime):
            value = value.isoformat()
        elif isinstance(value, bytes):
            value = value.decode("latin-1")
        elif each.name == "rcpt_to":
            value = [{"address": rcpt.address, "options": list(rcpt.options)} for rcpt in value]
        elif isinstance(value, tuple):
            value = [list(part) if isinstance(part, tuple) else part for part in value]
        shown[each.name] = value
    if isinstance(entry, Mailed | Sent):
        shown |= {"subject": str(entry.message["Subject"] or ""), "text": entry.text}
    return shown


class Journal:
    """Everything that happened, oldest first.  One loop only."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.surprises: list[str] = []  # what a real counterpart would not have understood or would complain of
        self._bell = asyncio.Event()

    def note(self, entry: Entry) -> None:
        self.entries.append(entry)
        self.ring()

    def surprise(self, what: str) -> None:
        self.surprises.append(what)
        self.ring()

    def ring(self) -> None:
        """Wakes those who wait: something changed."""
        self._bell.set()
        self._bell = asyncio.Event()

    async def wait(self, predicate: Callable[[], T], seconds: float = 10) -> T:
        """The first true answer of `predicate`, asked at once and after every change.

        Raises TimeoutError, with the last entries in its words.
        """
        try:
            async with asyncio.timeout(seconds):
                while not (answer := predicate()):
                    await self._bell.wait()
                return answer
        except TimeoutError as error:
            last = "\n".join(f"  {entry}" for entry in self.entries[-20:])
            raise TimeoutError(
                f"not seen within {seconds} s; the last of {len(self.entries)} entries:\n{last}"
            ) from error

    async def follow(self, after: int = 0) -> AsyncGenerator[Entry, None]:
        """All entries from number `after` on, then each as it comes, without end."""
        while True:
            while after < len(self.entries):
                yield self.entries[after]
                after += 1
            await self._bell.wait()
