"""Config -> built house: every room that lies behind the doors, and who may own its state directory."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from gateway import outward
from gateway.almanac import Almanac
from gateway.catchup import CatchUp
from gateway.commands import Commands
from gateway.commands.probe import Probe
from gateway.config import Config
from gateway.core.model import Inbound
from gateway.core.rules import Rules
from gateway.dispatch import Dispatcher
from gateway.doorman import Doorman
from gateway.enclosures import Enclosures
from gateway.engine import Engine
from gateway.mx import look_up
from gateway.ports import Provider, SpoolUnavailable
from gateway.proof import Prover
from gateway.reader import MailReader
from gateway.spool.database import SpoolCorrupt, SpoolUnusable
from gateway.spool.lock import StateLock, StateLocked
from gateway.spool.sqlite import SqliteSpool
from gateway.timekeeper import Timekeeper
from gateway.watch import Watch

GRACE_SECONDS = 30.0
# Longer than the longest attempt: a relay may take ten minutes for its last answer (RFC 5321 4.5.3.2.6).
LEASE_SECONDS = 1800.0


class StartError(Exception):
    """Why the daemon, or a command without one, cannot begin: a sentence with its remedy, and the exit code."""

    def __init__(self, text: str, exit_code: int) -> None:
        super().__init__(text)
        self.text = text
        self.exit_code = exit_code


class SystemClock:
    def now(self) -> datetime:
        """The time, aware, UTC."""
        return datetime.now(UTC)


class House:
    """All rooms behind the doors, built but not open."""

    def __init__(self, config: Config, *, serving: bool = True) -> None:
        """`serving` False: a command without a daemon; nothing is delivered."""
        self.config = config
        self.clock = SystemClock()
        self.room = True  # for more mail; the gauges keep it true
        self._merged: tuple[Config, Mapping[str, str], Config] = (config, {}, config)  # see `current`
        self.spool = SqliteSpool(
            config.database,
            clock=self.clock,
            floor_bytes=config.smtp.min_free_disk,
            timezone=config.rules.timezone,
            lease_seconds=LEASE_SECONDS,
        )
        self.reader = MailReader(*read_by(config.rules))
        self.relay = outward.mail_courier(config)
        accounts = (outward.twilio(config, self.rules), outward.flowroute(config))
        self.providers: dict[str, Provider] = {account.name: account for account in accounts if account is not None}
        self.dispatcher = Dispatcher(
            spool=self.spool,
            mail=self.relay,
            providers=self.providers,
            rules=self.rules,
            clock=self.clock,
            grace_seconds=GRACE_SECONDS,
        )
        self.watch = self._watch()
        take = self.dispatcher.take if serving else None
        self.probe = Probe(config=self.current, spool=self.spool, clock=self.clock, take=take)
        self.engine = self._engine()
        self.doorman = Doorman(
            config=self.current,
            spool=self.spool,
            clock=self.clock,
            arrived=self._arrived,
            has_room=lambda: self.room,
            prover=Prover(self.reader, config.dns_servers),
            moved=lambda: self.spool.moved,
        )
        self.catch_up = self._catch_up()
        self.almanac = self._almanac()
        self.timekeeper = self._timekeeper()
        self.commands = self._commands(serving=serving)

    def current(self) -> Config:
        """The configuration in force: a reload changes it, and its rules change with what DNS says of the carriers."""
        dead = self.watch.dead
        config, known, made = self._merged
        if config is not self.config or known is not dead:
            made = replace(self.config, rules=replace(self.config.rules, dead=dead)) if dead else self.config
            self._merged = (self.config, dead, made)
        return made

    def rules(self) -> Rules:
        """The rules in force."""
        return self.current().rules

    def _arrived(self, inbound: Inbound) -> None:
        self.probe.heard(inbound)
        self.engine.arrived(inbound)

    def _watch(self) -> Watch:
        return Watch(
            spool=self.spool,
            rules=self.rules,
            clock=self.clock,
            taken=self.dispatcher.take,
            stopped_within=self.dispatcher.stopped_within,
            look_up=partial(look_up, servers=self.config.dns_servers),
            every=self.config.dns_watch,
        )

    def _engine(self) -> Engine:
        kept = self.config.retention
        return Engine(
            spool=self.spool,
            reader=self.reader,
            dispatcher=self.dispatcher,
            enclosures=self._enclosures(),
            rules=self.rules,
            clock=self.clock,
            keep_days={"raw": kept.raw, "done": kept.done, "conversations": kept.conversations},
        )

    def _enclosures(self) -> Enclosures:
        twilio = self.config.twilio
        return Enclosures(
            reader=self.reader,
            providers=self.providers,
            deleting=frozenset({"twilio"}) if twilio and twilio.delete_media else frozenset(),
            stopped_within=self.dispatcher.stopped_within,
        )

    def _catch_up(self) -> CatchUp:
        accounts = [account for account in (self.config.twilio, self.config.flowroute) if account is not None]
        return CatchUp(
            spool=self.spool,
            providers=self.providers,
            rules=self.rules,
            clock=self.clock,
            keep=self.doorman.hook,
            stopped_within=self.dispatcher.stopped_within,
            every=min((account.poll_every for account in accounts), default=timedelta(0)),
        )

    def _almanac(self) -> Almanac:
        return Almanac(
            spool=self.spool,
            rules=self.rules,
            clock=self.clock,
            taken=self.dispatcher.take,
            stopped_within=self.dispatcher.stopped_within,
        )

    def _timekeeper(self) -> Timekeeper:
        return Timekeeper(
            spool=self.spool,
            clock=self.clock,
            moved=lambda: self.dispatcher.take(()),
            stopped_within=self.dispatcher.stopped_within,
        )

    def _commands(self, *, serving: bool) -> Commands:
        return Commands(
            config=self.current,
            spool=self.spool,
            reader=self.reader,
            doorman=self.doorman,
            clock=self.clock,
            take=self.dispatcher.take if serving else None,
            retry=self.dispatcher.take_by_hand if serving else None,
            refill=self.engine.refill,
            probe=self.probe,
        )

    async def close(self) -> None:
        """Closes what was opened, in the order in which work flows."""
        await self.reader.close()
        await self.relay.close()
        for provider in self.providers.values():
            await provider.close()
        await self.spool.close()


def read_by(rules: Rules) -> tuple[tuple[str, ...], str, tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """What the reader must know of the rules: the arguments of MailReader.configure."""
    text, replies = rules.text, rules.carriers.reply_domains
    return text.cut_after, text.job, rules.job_patterns, rules.template_patterns, tuple(sorted(replies))


def tls_context(config: Config) -> ssl.SSLContext | None:
    """The certificate of the doors; None where none is configured.  Raises StartError."""
    smtp = config.smtp
    if smtp.tls_certificate is None or smtp.tls_key is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(smtp.tls_certificate, smtp.tls_key)
    except (OSError, ssl.SSLError) as error:
        raise StartError(f"{smtp.tls_certificate}: the certificate or its key cannot be read: {error}", 78) from error
    return context


@contextlib.contextmanager
def owned(config: Config) -> Iterator[None]:
    """Holds the state directory; StartError 75 while another process does."""
    lock = StateLock(config.state)
    try:
        lock.take()
    except StateLocked as error:
        text = f"{error}: only one daemon or command may own it; stop the other first"
        raise StartError(text, 75) from error
    except OSError as error:
        raise StartError(f"the state directory {config.state} cannot be used: {error.strerror}", 78) from error
    try:
        yield
    finally:
        lock.drop()


async def open_spool(house: House) -> None:
    try:
        await house.spool.open()
    except SpoolCorrupt as error:
        raise StartError(str(error), 1) from error
    except SpoolUnusable as error:
        raise StartError(f"{house.config.database}: {error}", 78) from error
    except (SpoolUnavailable, OSError) as error:
        raise StartError(f"{house.config.database} cannot be opened: {error}", 69) from error


async def offline(config: Config, verb: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """The answer to a command while no daemon runs: from the store, under the state lock.  Raises StartError."""
    with owned(config):
        house = House(config, serving=False)
        await open_spool(house)
        try:
            return await house.commands.run(verb, arguments)
        finally:
            await house.close()
