"""The bounds of the door for mail (P9), and the crowd of open sessions that shares them."""

from __future__ import annotations

import asyncio
import ssl
from collections import Counter
from dataclasses import dataclass
from typing import Protocol

from gateway.core.model import Door
from gateway.doors import Host
from gateway.intake.throttle import Throttle


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one stranger, and all strangers together, may take from us.  Times are seconds."""

    max_bytes: int = 10_240_000  # of one mail, dots stuffed; announced as SIZE
    slack_bytes: int = 10_240_000  # read past max_bytes, and thrown away, only to answer 552; then the session is cut
    held_bytes: int = 134_217_728  # of the mails that all sessions are sending now
    recipients: int = 100  # accepted for one mail, RFC 5321 4.5.3.1.8
    connections: int = 200
    connections_per_address: int = 20
    commands: int = 1_000  # since the session began or had its last mail accepted
    errors: int = 20  # 5xx answers, counted the same way
    failed_logins: int = 3
    command_seconds: float = 60.0  # of silence
    content_seconds: float = 300.0  # for one DATA as a whole
    session_seconds: float = 600.0  # then no new mail is begun; one that is under way has content_seconds more
    line_bytes: int = 1_000_000  # of a line of a mail; old software writes HTML as one line
    command_bytes: int = 2_048  # RFC 5321 4.5.3.1.4 says 512; the parameters of SIZE, AUTH and DSN add about 1,200
    login_bytes: int = 12_288  # of an answer to AUTH, RFC 4954 4
    hops: int = 50  # Received headers; RFC 5321 6.3 suggests 100 for relays, a notification passes a handful


class Guest(Protocol):
    """A session as its crowd sees it."""

    @property
    def task(self) -> asyncio.Task[None] | None: ...

    def dismiss(self) -> None:
        """Says 421 and hangs up if the client is idle; else the session ends before its next command."""
        ...

    def cut(self) -> None:
        """Ends the session now, whatever it does."""
        ...


class Crowd:
    """All open sessions of one door: who is in, and how many bytes they hold in memory."""

    def __init__(self, limits: Limits) -> None:
        self.stopping = False
        self.held_bytes = 0
        self._limits = limits
        self._guests: dict[Guest, str] = {}
        self._by_peer: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._guests)

    def guests(self) -> list[Guest]:
        """Those that are in, oldest first."""
        return list(self._guests)

    def enter(self, guest: Guest, peer: str, *, known: bool = False) -> str:
        """Lets a guest in; the answer is '', or the reason why he must stay outside.

        A known address (of a [[sender]]) may hold three quarters of all places: job software opens many connections,
        and still cannot shut out the others.  Nor can strangers, however many: the last quarter is for known ones.
        """
        if self.stopping:
            return "stopping"
        most = self._limits.connections
        if len(self._guests) >= (most if known else max(1, most * 3 // 4)):
            return "too many connections"
        places = self._limits.connections_per_address
        if known:
            places = max(places, self._limits.connections * 3 // 4)
        if self._by_peer[peer] >= places:
            return "too many connections from this address"
        self._guests[guest] = peer
        self._by_peer[peer] += 1
        return ""

    def leave(self, guest: Guest) -> None:
        """Forgets a guest; he may have left before."""
        peer = self._guests.pop(guest, None)
        if peer is None:
            return
        self._by_peer[peer] -= 1
        if not self._by_peer[peer]:
            del self._by_peer[peer]

    def hold(self, count: int) -> bool:
        """Counts bytes that a session keeps in memory; False when all of them together are too many."""
        self.held_bytes += count
        return self.held_bytes <= self._limits.held_bytes

    def release(self, count: int) -> None:
        """Takes bytes off the count of `hold`."""
        self.held_bytes -= count


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What one listener gives to each of its sessions."""

    host: Host
    limits: Limits
    hostname: str
    door: Door
    tls: ssl.SSLContext | None
    implicit_tls: bool
    crowd: Crowd
    throttle: Throttle
