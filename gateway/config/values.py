"""The frozen configuration: what the rest of the house is built from.  Secrets do not show in any repr."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path

from gateway.config.place import Problem
from gateway.config.secret import Secret
from gateway.config.signing import SigningKey
from gateway.core.rules import Rules

Network = IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True)
class Listener:
    """An address to listen on."""

    host: str  # IP address without brackets, or "localhost"
    port: int  # 0 = the system chooses a free one; the choice is shown by engine.started

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SmtpSettings:
    listen: tuple[Listener, ...]
    listen_tls: tuple[Listener, ...] = ()
    listen_public: tuple[Listener, ...] = ()
    tls_certificate: Path | None = None  # PEM; None = STARTTLS is not offered
    tls_key: Path | None = None
    max_bytes: int = 10 * 1024**2  # of one mail
    max_recipients: int = 100  # of one mail
    max_connections: int = 200
    max_connections_per_address: int = 20
    max_commands: int = 100_000  # of one session
    max_queue: int = 100_000  # unfinished deliveries; over it 452
    min_free_disk: int = 200 * 1024**2  # bytes; under it 452
    command_timeout: timedelta = timedelta(seconds=60)
    data_timeout: timedelta = timedelta(minutes=5)
    session_timeout: timedelta = timedelta(minutes=10)
    authserv_id: str = ""  # lower case: the name in Authentication-Results that is believed, from `upstream` alone
    upstream: tuple[Network, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpSettings:
    public: Listener | None  # webhooks and media; None = off
    admin: Listener | None  # health, metrics; None = off
    public_url: str = ""  # without the trailing slash; "" = webhooks cannot reach us
    max_connections: int = 200  # of public


@dataclass(frozen=True, slots=True, kw_only=True)
class RelaySettings:
    host: str
    port: int
    tls: str  # required | opportunistic | implicit | off
    direct: bool = False  # no relay: each mail goes to the mail hosts of its domain
    auth: str = ""  # "" = no login | password | xoauth2
    username: str = ""
    password: Secret | None = None
    token_file: Path | None = None  # xoauth2: an access token that somebody else keeps fresh; else it is fetched
    token_url: str = ""  # of the provider's token endpoint
    client_id: str = ""
    client_secret: Secret | None = None
    refresh_file: Path | None = None  # None = the client's own credentials are the grant
    scope: str = ""
    sender: str = ""  # "" = per_delivery


@dataclass(frozen=True, slots=True, kw_only=True)
class DkimSettings:
    domain: str
    selector: str
    key: SigningKey | None  # None only where secrets were not read


@dataclass(frozen=True, slots=True, kw_only=True)
class TwilioSettings:
    account_sid: str
    auth_tokens: tuple[Secret, ...]  # the first signs our requests, all are tried on webhooks
    api_url: str = "https://api.twilio.com"  # without the trailing slash
    on_unknown: str = "reconcile"  # reconcile | hold
    lookup_after: tuple[timedelta, ...] = ()
    poll_every: timedelta = timedelta(seconds=20)  # without webhooks; with them fifteen times as long
    delete_media: bool = False  # whether pictures of customers are deleted at the provider once we have them
    media_hosts: tuple[str, ...] = ()  # lower case: whose files may be fetched, subdomains included


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowrouteSettings:
    access_key: str
    secret_key: Secret | None  # None only where secrets were not read
    hook_secret: Secret | None = None  # the part of the webhooks' path that nobody can guess; None = no webhooks
    api_url: str = "https://api.flowroute.com"  # without the trailing slash
    on_unknown: str = "reconcile"  # reconcile | hold
    poll_every: timedelta = timedelta(seconds=20)  # without webhooks; with them fifteen times as long


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """How a sender shows who he is: by network, by login, or by either."""

    sender: str  # name of the [[sender]]
    login: str = ""  # "" = by network only
    password_hash: str = field(default="", repr=False)  # argon2
    networks: tuple[Network, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionSettings:
    """Days after which finished rows go.  The ledger of consent stays for good."""

    raw: int = 90  # bytes of mails and webhooks as they came in
    done: int = 400  # messages, deliveries and attempts
    conversations: int = 400  # counted from the last word


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    path: Path  # of config.toml, absolute
    state: Path  # directory of lock, control.sock and database
    database: Path
    rules: Rules
    smtp: SmtpSettings
    http: HttpSettings
    relay: RelaySettings
    dkim: DkimSettings | None = None
    twilio: TwilioSettings | None
    flowroute: FlowrouteSettings | None = None
    dns_servers: tuple[str, ...]  # IP addresses; () = the system's
    dns_watch: timedelta = timedelta(hours=6)  # between two looks at the carriers' mail domains; 0 = never
    credentials: tuple[Credential, ...]  # in the order of [[sender]]
    retention: RetentionSettings
    warnings: tuple[Problem, ...] = ()
