"""What the doors decide with: who a visitor is, whether a recipient is welcome, and keeping what is accepted.

Nothing is answered with yes before the spool has committed it.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import itertools
import os
import secrets
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime
from fnmatch import fnmatchcase
from functools import lru_cache, partial

from gateway.config import Config, verify
from gateway.core import admit
from gateway.core.address import BadAddress, Target
from gateway.core.facts import Needs
from gateway.core.incoming import keyword_entry
from gateway.core.intent import Reply, target_of, understand
from gateway.core.model import Consent, Door, Envelope, Inbound, InboundHook, InboundMail, Refusal, TextIn
from gateway.core.rules import Rules, Sender
from gateway.doors import Visit
from gateway.events import emit
from gateway.known import gathered
from gateway.outside import Author, Outside, inside, prints
from gateway.ports import Clock, Spool, Stored
from gateway.proof import Prover

_ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"
_LOGIN_SECONDS = 300.0  # how long a right password is remembered, since job software logs in for every mail
_LOGINS_AT_ONCE = 2  # each hash takes 19 MiB
_LARGE = 250_000  # bytes of a mail whose fingerprint holds the loop for some milliseconds
_REMEMBERED = 1024  # visitors, and addresses
_DUMMY = "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$8B0kRz1jJwZ0m4k6lqfRO1T3jL2i3Zk3V9Z8b7c6d5E"


class Ids:
    """New ids of inbounds: short, unique, and in order of time."""

    def __init__(self) -> None:
        self._count = itertools.count(secrets.randbits(19))

    def next(self, now: datetime) -> str:
        """Eleven characters of lowercase base32: seven of the second, four of a counter."""
        return _base32(int(now.timestamp()), 7) + _base32(next(self._count) % 2**20, 4)


def _base32(number: int, length: int) -> str:
    return "".join(_ALPHABET[number >> 5 * i & 31] for i in reversed(range(length)))


class _Book:
    """What follows from one configuration alone: each mail asks for all of it, and most mails ask the same."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.rules = config.rules
        self.in_network = lru_cache(_REMEMBERED)(partial(_in_network, config))
        self.sender = lru_cache(_REMEMBERED)(partial(_sender, config))
        self.meant = lru_cache(_REMEMBERED)(partial(_meant, config.rules))
        self.welcome: dict[tuple[Door, str, str], tuple[int, date]] = {}  # by door, sender and address: since when

    def note(self, asked: tuple[Door, str, str], state: tuple[int, date]) -> None:
        """Remembers that somebody is welcome while `state` lasts."""
        if len(self.welcome) >= _REMEMBERED:
            self.welcome.clear()
        self.welcome[asked] = state


class Doorman:
    def __init__(
        self,
        *,
        config: Callable[[], Config],
        spool: Spool,
        clock: Clock,
        arrived: Callable[[Inbound], None],
        has_room: Callable[[], bool],
        prover: Prover | None = None,
        moved: Callable[[], int] | None = None,
    ) -> None:
        """`prover` None: no answer from outside is taken.

        `moved` counts the commits that may have changed a consent or a confirmation: while it stands still a recipient
        that was welcome is so without another look.  None: each is looked up.
        """
        self._config = config
        self._spool = spool
        self._clock = clock
        self._arrived = arrived
        self._has_room = has_room
        self._outside = Outside(config=config, spool=spool, prover=prover)
        self._moved = moved
        self._book: _Book | None = None
        self._ids = Ids()
        self._hashing = asyncio.Semaphore(_LOGINS_AT_ONCE)
        self._key = os.urandom(32)
        self._proven: dict[bytes, float] = {}

    # -- who is it

    async def login(self, peer: str, username: str, password: bytes) -> str | None:
        """The name of the [[sender]] with that login and password, or None.  Takes as long for an unknown name."""
        found = next((c for c in self._config().credentials if c.login and c.login == username), None)
        stored = found.password_hash if found else _DUMMY
        mark = hmac.new(self._key, b"\0".join([username.encode(), password, stored.encode()]), hashlib.sha256).digest()
        if found is not None and self._proven.get(mark, 0.0) > time.monotonic():
            return found.sender
        async with self._hashing:
            right = await asyncio.to_thread(verify, stored, password.decode("utf-8", "replace"))
        if found is None or not right:
            return None
        if len(self._proven) > 1000:
            self._proven.clear()
        self._proven[mark] = time.monotonic() + _LOGIN_SECONDS
        return found.sender

    def in_network(self, peer: str) -> bool:
        """Whether any [[sender]] lists the peer."""
        return self._in_force().in_network(peer)

    def sender(self, visit: Visit, mail_from: str) -> Sender | None:
        """The sender that this visitor is: by login, else the first whose networks and mail_from fit."""
        return self._in_force().sender(visit, mail_from)

    def _in_force(self) -> _Book:
        config = self._config()
        if self._book is None or self._book.config is not config:
            self._book = _Book(config)
        return self._book

    def may_bare_lf(self, visit: Visit, mail_from: str) -> bool:
        """Whether this visitor's machine is known to write bare LF."""
        found = self.sender(visit, mail_from)
        return found is not None and found.bare_lf == "accept"

    # -- what may it

    def mail(self, visit: Visit, mail_from: str) -> Refusal | None:
        """The answer to MAIL: 452 while there is no room; who may write is decided at RCPT, where b- is open to all."""
        if not self._has_room():
            return Refusal(code=452, enhanced="4.3.1", text="no room for more mail now, try again later")
        return None

    async def rcpt(self, visit: Visit, mail_from: str, address: str) -> Refusal | None:
        """The answer to one RCPT (design.md 5.1)."""
        book = self._in_force()
        target, wanted, lasting = book.meant(address)
        sender = book.sender(visit, mail_from)
        if sender is None and visit.login:
            text = f"sender {visit.login} may not write as {mail_from or '<>'}: see mail_from"
            return Refusal(code=550, enhanced="5.7.1", text=_line(text))
        now = self._clock.now()
        asked = visit.door, sender.name if sender else "", address
        state = self._state(book.rules, now) if lasting else None
        if state is not None and book.welcome.get(asked) == state:
            return None
        facts = await gathered(self._spool, wanted, book.rules)
        no = admit.admit(target, visit.door, sender, facts, book.rules, now)
        if no is None or (sender is not None and sender.refuse == "mail" and visit.door is not Door.PUBLIC):
            if state is not None:
                book.note(asked, state)
            return None
        return Refusal(code=no.code, enhanced=no.enhanced, text=_line(no.text))

    def _state(self, rules: Rules, now: datetime) -> tuple[int, date] | None:
        """What the answer to a person's address rests on besides the configuration; None = that is not known."""
        return (self._moved(), now.astimezone(rules.timezone).date()) if self._moved is not None else None

    # -- keep it

    async def data(self, visit: Visit, envelope: Envelope, raw: bytes) -> str | Refusal:
        """Commits the mail and answers its id; the same mail again gets the id of the first (P7).

        An answer from outside is kept as the mail of the sender whose conversation or question it answers; an
        employee's by his carrier, as all else from outside, as nobody's.
        """
        now = self._clock.now()
        if visit.door is Door.PUBLIC:
            author = await self._outside.author(visit, envelope, raw, now)
            if isinstance(author, Refusal):
                return replace(author, text=_line(author.text))
        else:
            sender = self.sender(visit, envelope.mail_from)
            author = Author(sender=sender.name if sender else "")
        mail = InboundMail(
            id=self._ids.next(now),
            at=now,
            door=visit.door,
            peer=visit.peer,
            sender=author.sender,
            envelope=envelope,
            raw=raw,
            proven=author.proof.why,
            phone=author.phone,
        )
        stored = await self._stored(mail, author)
        if stored.repeated:
            emit("inbound.repeated", inbound=stored.id, sender=mail.sender, recipients=len(stored.repeated))
        if stored.new:
            left = tuple(r for r in envelope.recipients if r.address not in stored.repeated)
            self._keep(replace(mail, envelope=replace(envelope, recipients=left)) if stored.repeated else mail)
        return stored.id

    async def _stored(self, mail: InboundMail, author: Author) -> Stored:
        """What the spool makes of the mail; what it does not keep is no enrolment."""
        window, kept = self._config().rules.policy.duplicate_window, False
        try:
            if len(mail.raw) > _LARGE:
                found = await asyncio.to_thread(prints, mail, author, window)
            else:
                found = prints(mail, author, window)
            stored = await self._spool.accept(mail, found)
            kept = stored.new
        finally:
            if not kept:
                self._outside.uncount(author)
        return stored

    def _keep(self, mail: InboundMail) -> None:
        emit(
            "inbound.accepted",
            inbound=mail.id,
            door=mail.door.value,
            peer=mail.peer,
            sender=mail.sender,
            mail_from=mail.envelope.mail_from,
            recipients=len(mail.envelope.recipients),
            bytes=len(mail.raw),
        )
        if mail.proven:
            emit("inbound.proven", inbound=mail.id, reason=mail.proven)
        self._arrived(mail)

    async def hook(self, hook: InboundHook) -> bool:
        """Commits a webhook, a STOP in it in the same transaction; whether it was new."""
        entries = self._keyword_entries(hook)
        stored = await self._spool.accept(hook, (), entries)
        if stored.new:
            self._arrived(hook)
        return stored.new

    def _keyword_entries(self, hook: InboundHook) -> tuple[Consent, ...]:
        if not isinstance(hook.event, TextIn):
            return ()
        rules = self._config().rules
        found = [keyword_entry(hook, i, rules.brand) for i in understand(hook, None, rules) if isinstance(i, Reply)]
        return tuple(entry for entry in found if entry is not None)


def _in_network(config: Config, peer: str) -> bool:
    return any(inside(peer, c.networks) for c in config.credentials)


def _sender(config: Config, visit: Visit, mail_from: str) -> Sender | None:
    rules = config.rules
    if visit.door is Door.PUBLIC:
        return None
    if visit.door is Door.LOCAL:
        return rules.sender(visit.login)
    if visit.login:
        named = rules.sender(visit.login)
        return named if named is not None and _may_write_as(named, mail_from) else None
    for credential in config.credentials:
        one = rules.sender(credential.sender)
        if one is not None and inside(visit.peer, credential.networks) and _may_write_as(one, mail_from):
            return one
    return None


def _meant(rules: Rules, address: str) -> tuple[Target | BadAddress, Needs, bool]:
    """What an envelope address means, the facts on which the answer to it rests, and whether these are nothing but
    consents and confirmations.
    """
    target = target_of(address, rules)
    wanted = admit.wants([] if isinstance(target, BadAddress) else [target], rules)
    if all(number.provider in rules.providers for number in rules.numbers):
        # Other conversations only tell which of our numbers is chosen, and here each of them would do.
        wanted = replace(wanted, threads=frozenset())
    return target, wanted, wanted == Needs(phones=wanted.phones, employees=wanted.employees)


def _may_write_as(sender: Sender, mail_from: str) -> bool:
    return any(fnmatchcase(mail_from.lower(), pattern.lower()) for pattern in sender.mail_from)


def _line(text: str) -> str:
    """One line of an SMTP reply: ASCII, printable, within 512 octets (RFC 5321 4.5.3.1.5)."""
    return "".join(c if 32 <= ord(c) < 127 else "?" for c in text)[:440]
