"""The bounds of the door for mail (P9), and the crowd of open sessions that shares them."""

from __future__ import annotations

import asyncio
import ssl
from collections import Counter
from dataclasses import dataclass
from typing import Protocol

from gateway.core.model import Door
from gateway.doors import Host
from gateway.intake.throttle import Throttle, network_of


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
        self.empty = asyncio.Event()  # nobody is in
        self.empty.set()
        self.held_bytes = 0
        self._limits = limits
        self._guests: dict[Guest, tuple[str, bool]] = {}  # of each its network, and whether it is known
        self._by_peer: Counter[str] = Counter()  # by network
        self._strangers = 0

    def __len__(self) -> int:
        return len(self._guests)

    def guests(self) -> list[Guest]:
        """Those that are in, oldest first."""
        return list(self._guests)

    def enter(self, guest: Guest, peer: str, *, known: bool = False) -> str:
        """Lets a guest in; the answer is '', or the reason why he must stay outside.

        A known address (of a [[sender]]) may hold three quarters of all places: job software opens many connections,
        and still cannot shut out the others.  Nor can strangers, however many, who have as much among them.  The
        addresses of one customer's IPv6 network count as one.
        """
        if self.stopping:
            return "stopping"
        most, network = self._limits.connections, network_of(peer)
        share = max(1, most * 3 // 4)
        if len(self._guests) >= most or (not known and self._strangers >= share):
            return "too many connections"
        places = max(self._limits.connections_per_address, share) if known else self._limits.connections_per_address
        if self._by_peer[network] >= places:
            return "too many connections from this address"
        self._guests[guest] = network, known
        self._by_peer[network] += 1
        self._strangers += not known
        self.empty.clear()
        return ""

    def leave(self, guest: Guest) -> None:
        """Forgets a guest; he may have left before."""
        if guest not in self._guests:
            return
        network, known = self._guests.pop(guest)  # "" where he had gone before it was asked who he is
        self._strangers -= not known
        self._by_peer[network] -= 1
        if not self._by_peer[network]:
            del self._by_peer[network]
        if not self._guests:
            self.empty.set()

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
