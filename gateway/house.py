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
    """All rooms, built but not open."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.clock = SystemClock()
        self.spool = SqliteSpool(
            config.database,
            clock=self.clock,
            floor_bytes=config.smtp.min_free_disk,
            timezone=config.rules.timezone,
        )
        self.reader = MailReader(config.rules.text.cut_after)
        self.relay = _relay(config)
        self.providers: dict[str, Provider] = {}
        self._twilio = _twilio(config)
        if self._twilio is not None:
            self.providers["twilio"] = self._twilio
        self.dispatcher = Dispatcher(
            spool=self.spool,
            mail=self.relay,
            providers=self.providers,
            rules=lambda: self.config.rules,
            clock=self.clock,
            grace_seconds=GRACE_SECONDS,
        )
        retention = config.retention
        self.engine = Engine(
            spool=self.spool,
            reader=self.reader,
            dispatcher=self.dispatcher,
            rules=lambda: self.config.rules,
            clock=self.clock,
            keep_days={"raw": retention.raw, "done": retention.done, "conversations": retention.conversations},
        )
        self.room = True
        self.doorman = Doorman(
            config=lambda: self.config,
            spool=self.spool,
            clock=self.clock,
            arrived=self.engine.arrived,
            has_room=lambda: self.room,
        )
        self.catch_up = CatchUp(
            spool=self.spool,
            providers=self.providers,
            rules=lambda: self.config.rules,
            clock=self.clock,
            keep=self.doorman.hook,
            stopped_within=self.dispatcher.stopped_within,
            every=config.twilio.poll_every if config.twilio else timedelta(0),
        )
        self.commands = Commands(
            config=lambda: self.config,
            spool=self.spool,
            reader=self.reader,
            doorman=self.doorman,
            clock=self.clock,
            take=lambda deliveries: self.dispatcher.take(list(deliveries)),
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
        house = House(config)
        await open_spool(house)
        try:
            return await house.commands.run(verb, arguments)
        finally:
            await house.close()
