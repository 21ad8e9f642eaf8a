"""Config -> built house: every room that lies behind the doors, and who may own its state directory."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from gateway.catchup import CatchUp
from gateway.commands import Commands
from gateway.config import Config
from gateway.core.rules import Rules
from gateway.courier.mail import RelayCourier
from gateway.courier.twilio import TwilioProvider
from gateway.dispatch import Dispatcher
from gateway.doorman import Doorman
from gateway.engine import Engine
from gateway.ports import Provider, SpoolUnavailable
from gateway.reader import MailReader
from gateway.spool.database import SpoolCorrupt, SpoolUnusable
from gateway.spool.lock import StateLock, StateLocked
from gateway.spool.sqlite import SqliteSpool

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
        self.spool = SqliteSpool(
            config.database,
            clock=self.clock,
            floor_bytes=config.smtp.min_free_disk,
            timezone=config.rules.timezone,
            lease_seconds=LEASE_SECONDS,
        )
        self.reader = MailReader(config.rules.text.cut_after, config.rules.text.job)
        self.relay = _relay(config)
        self._twilio = _twilio(config)
        self.providers: dict[str, Provider] = {} if self._twilio is None else {"twilio": self._twilio}
        self.dispatcher = Dispatcher(
            spool=self.spool,
            mail=self.relay,
            providers=self.providers,
            rules=self.rules,
            clock=self.clock,
            grace_seconds=GRACE_SECONDS,
        )
        self.engine = self._engine()
        self.doorman = Doorman(
            config=lambda: self.config,
            spool=self.spool,
            clock=self.clock,
            arrived=self.engine.arrived,
            has_room=lambda: self.room,
        )
        self.catch_up = self._catch_up()
        self.commands = self._commands(serving=serving)

    def rules(self) -> Rules:
        """The rules in force; a reload changes them."""
        return self.config.rules

    def _engine(self) -> Engine:
        kept = self.config.retention
        return Engine(
            spool=self.spool,
            reader=self.reader,
            dispatcher=self.dispatcher,
            rules=self.rules,
            clock=self.clock,
            keep_days={"raw": kept.raw, "done": kept.done, "conversations": kept.conversations},
        )

    def _catch_up(self) -> CatchUp:
        twilio = self.config.twilio
        return CatchUp(
            spool=self.spool,
            providers=self.providers,
            rules=self.rules,
            clock=self.clock,
            keep=self.doorman.hook,
            stopped_within=self.dispatcher.stopped_within,
            every=twilio.poll_every if twilio else timedelta(0),
        )

    def _commands(self, *, serving: bool) -> Commands:
        return Commands(
            config=lambda: self.config,
            spool=self.spool,
            reader=self.reader,
            doorman=self.doorman,
            clock=self.clock,
            take=self.dispatcher.take if serving else None,
            refill=self.engine.refill,
        )

    async def close(self) -> None:
        """Closes what was opened, in the order in which work flows."""
        await self.reader.close()
        await self.relay.close()
        if self._twilio is not None:
            await self._twilio.close()
        await self.spool.close()


def _relay(config: Config) -> RelayCourier:
    relay = config.relay
    return RelayCourier(
        host=relay.host,
        port=relay.port,
        tls=relay.tls,
        username=relay.username,
        password=relay.password.reveal() if relay.password else "",
        local_hostname=config.rules.domain,
        senders=tuple(filter(None, (f"@{config.rules.domain}", relay.sender))),
    )


def _twilio(config: Config) -> TwilioProvider | None:
    if config.twilio is None or not config.twilio.auth_tokens:
        return None
    return TwilioProvider(
        account_sid=config.twilio.account_sid,
        auth_token=config.twilio.auth_tokens[0].reveal(),
        api_url=config.twilio.api_url,
        public_url=config.http.public_url,
    )


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
