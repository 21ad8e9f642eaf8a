"""What the doors ask of the house: who is this, may this go there, keep it; and how a provider's hook is proven."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from gateway.core.model import Door, Envelope, InboundHook, Refusal


@dataclass(frozen=True, slots=True, kw_only=True)
class HookRefused:
    status: int  # HTTP status: 400, 403, 413, 415
    reason: str


class HookReader(Protocol):
    """Reads and proves what a provider posts to us.  One per provider."""

    def read(
        self, path: str, query: str, headers: Mapping[str, str], body: bytes, now: datetime
    ) -> InboundHook | HookRefused:
        """Checks the signature against the public URL + path + raw query, then the account and our number."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """One SMTP session, as far as decisions need it."""

    door: Door
    peer: str  # IP address
    login: str = ""  # name of the [[sender]] that logged in; "" = nobody


class Host(Protocol):
    """What the mail door asks: who is this, may this go there, keep it."""

    async def login(self, peer: str, username: str, password: bytes) -> str | None:
        """The name of the [[sender]], or None."""
        ...

    def in_network(self, peer: str) -> bool:
        """Whether any [[sender]] lists the peer: such a peer may log in without TLS."""
        ...

    def may_bare_lf(self, visit: Visit, mail_from: str) -> bool:
        """Whether the sender's machine is known to write bare LF."""
        ...

    def mail(self, visit: Visit, mail_from: str) -> Refusal | None:
        """The answer to MAIL: None = welcome."""
        ...

    async def rcpt(self, visit: Visit, mail_from: str, address: str) -> Refusal | None:
        """The answer to RCPT: None = welcome.  Raises SpoolUnavailable."""
        ...

    async def data(self, visit: Visit, envelope: Envelope, raw: bytes) -> str | Refusal:
        """Keeps the mail; the answer is its id, after the commit.  Raises SpoolUnavailable."""
        ...
