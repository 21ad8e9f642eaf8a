"""Config -> built house: every room that lies behind the doors, and who may own its state directory."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from gateway.almanac import Almanac
from gateway.catchup import CatchUp
from gateway.commands import Commands
from gateway.config import Config
from gateway.core.rules import Rules
from gateway.courier.direct import DirectCourier
from gateway.courier.flowroute import FlowrouteProvider
from gateway.courier.mail import RelayCourier
from gateway.courier.oauth import FetchedTokens, FileTokens, Tokens
from gateway.courier.signer import Signer
from gateway.courier.twilio import TwilioProvider
from gateway.dispatch import Dispatcher
from gateway.doorman import Doorman
from gateway.enclosures import Enclosures
from gateway.engine import Engine
from gateway.events import emit
from gateway.ports import MailCourier, Provider, SpoolUnavailable
from gateway.proof import Prover
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
        rules = config.rules
        self.reader = MailReader(rules.text.cut_after, rules.text.job, rules.job_patterns, rules.template_patterns)
        self.relay = _relay(config)
        accounts = (_twilio(config, self.rules), _flowroute(config))
        self.providers: dict[str, Provider] = {account.name: account for account in accounts if account is not None}
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
            prover=Prover(self.reader, config.dns_servers),
        )
        self.catch_up = self._catch_up()
        self.almanac = Almanac(
            spool=self.spool,
            rules=self.rules,
            clock=self.clock,
            taken=self.dispatcher.take,
            stopped_within=self.dispatcher.stopped_within,
        )
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
        for provider in self.providers.values():
            await provider.close()
        await self.spool.close()


def _relay(config: Config) -> MailCourier:
    relay, dkim = config.relay, config.dkim
    signer = Signer(domain=dkim.domain, selector=dkim.selector, key=dkim.key) if dkim and dkim.key else None
    if relay.direct:
        return DirectCourier(
            tls=relay.tls, local_hostname=config.rules.domain, servers=config.dns_servers, signer=signer
        )
    return RelayCourier(
        host=relay.host,
        port=relay.port,
        tls=relay.tls,
        username=relay.username,
        password=relay.password.reveal() if relay.password else "",
        local_hostname=config.rules.domain,
        senders=tuple(filter(None, (f"@{config.rules.domain}", relay.sender))),
        tokens=_tokens(config),
        signer=signer,
    )


def _tokens(config: Config) -> Tokens | None:
    relay = config.relay
    if relay.token_file:
        return FileTokens(relay.token_file)
    if not relay.token_url:
        return None
    return FetchedTokens(
        token_url=relay.token_url,
        client_id=relay.client_id,
        client_secret=relay.client_secret,
        refresh_file=relay.refresh_file,
        scope=relay.scope,
        unsaved=lambda error: emit("token.unsaved", error=error),
    )


def _twilio(config: Config, rules: Callable[[], Rules]) -> TwilioProvider | None:
    if config.twilio is None or not config.twilio.auth_tokens:
        return None
    return TwilioProvider(
        account_sid=config.twilio.account_sid,
        auth_token=config.twilio.auth_tokens[0].reveal(),
        api_url=config.twilio.api_url,
        public_url=config.http.public_url,
        media_hosts=config.twilio.media_hosts,
        errors=lambda: rules().errors,
    )


def _flowroute(config: Config) -> FlowrouteProvider | None:
    account = config.flowroute
    if account is None or account.secret_key is None:
        return None
    return FlowrouteProvider(
        access_key=account.access_key,
        secret_key=account.secret_key.reveal(),
        api_url=account.api_url,
        public_url=config.http.public_url if account.hook_secret else "",
        hook_secret=account.hook_secret.reveal() if account.hook_secret else "",
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
