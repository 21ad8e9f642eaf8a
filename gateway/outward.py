"""The ways out as the configuration names them: the courier of our mail, and the accounts at the providers."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from gateway.config import Config
from gateway.core.rules import Rules
from gateway.courier.direct import DirectCourier
from gateway.courier.flowroute import FlowrouteProvider
from gateway.courier.flowroute_hook import FlowrouteHooks
from gateway.courier.mail import RelayCourier
from gateway.courier.oauth import FetchedTokens, FileTokens, Tokens
from gateway.courier.signer import Signer
from gateway.doors import HookReader
from gateway.events import emit
from gateway.ports import MailCourier

if TYPE_CHECKING:
    from gateway.courier.twilio import TwilioProvider


def mail_courier(config: Config) -> MailCourier:
    """By the relay, or where there is none by the mail hosts of each domain."""
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
        tokens=tokens(config),
        signer=signer,
    )


def tokens(config: Config) -> Tokens | None:
    """What the relay is logged in to with in place of a password; None = nothing of that kind."""
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


def twilio(config: Config, rules: Callable[[], Rules]) -> TwilioProvider | None:
    """None = there is no account, or its secret was not read; `rules` are those in force."""
    if config.twilio is None or not config.twilio.auth_tokens:
        return None
    # Its SDK takes 10 MB and more, which a shop without an account need not hold.
    from gateway.courier.twilio import TwilioProvider

    return TwilioProvider(
        account_sid=config.twilio.account_sid,
        auth_token=config.twilio.auth_tokens[0].reveal(),
        api_url=config.twilio.api_url,
        public_url=config.http.public_url,
        media_hosts=config.twilio.media_hosts,
        errors=lambda: rules().errors,
    )


def flowroute(config: Config) -> FlowrouteProvider | None:
    """None = there is no account, or its secret was not read."""
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


def hook_readers(config: Config, rules: Callable[[], Rules]) -> dict[str, HookReader]:
    """What reads the webhooks of each provider; `rules` are those in force."""
    found: dict[str, HookReader] = {}
    if config.twilio is not None and config.http.public_url:
        from gateway.courier.twilio_hook import TwilioHooks

        found["twilio"] = TwilioHooks(
            account_sid=config.twilio.account_sid,
            auth_tokens=[t.reveal() for t in config.twilio.auth_tokens],
            public_url=config.http.public_url,
            numbers=lambda: _numbers(rules(), "twilio"),
        )
    if config.flowroute is not None and config.flowroute.hook_secret and config.http.public_url:
        found["flowroute"] = FlowrouteHooks(
            secret=config.flowroute.hook_secret.reveal(), numbers=lambda: _numbers(rules(), "flowroute")
        )
    return found


def _numbers(rules: Rules, provider: str) -> list[str]:
    return [number.phone for number in rules.numbers if number.provider == provider]
