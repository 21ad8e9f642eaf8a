"""The tables of config.toml as pydantic models: every key, its form and its default.

docs/config.md says what each key does.  Defaults stand here in their final form,
because pydantic does not run them through the reader of the key.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, PlainValidator, StringConstraints

from gateway.config import phrase, unit
from gateway.config.values import Listener


class Table(BaseModel):
    """A table in which unknown keys and wrong types are errors."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


def _reference(value: object) -> SecretRef:
    if isinstance(value, dict) and len(value) == 1:
        kind, name = next(iter(value.items()))
        if kind in ("file", "env") and isinstance(name, str) and name:
            return SecretRef(kind=kind, name=name)
    if isinstance(value, str):
        remedy = 'put it into a file of its own with mode 600, and write { file = "name.secret" } or { env = "NAME" }'
        raise unit.wrong("is a secret and must not stand in this file", remedy)
    raise unit.wrong("must be a reference to a secret", 'write { file = "name.secret" } or { env = "NAME" }')


def _references(value: object) -> tuple[SecretRef, ...]:
    if value == []:
        raise unit.wrong("must not be empty", 'write { file = "name.secret" } or { env = "NAME" }')
    return tuple(map(_reference, value)) if isinstance(value, list) else (_reference(value),)


def _names(value: object) -> tuple[str, ...]:
    found = value if isinstance(value, list) else [value]
    if not all(isinstance(name, str) for name in found):
        raise unit.wrong("must be the name of a [[number]], or a list of names")
    return tuple(found)


class SecretRef(Table):
    kind: Literal["file", "env"]
    name: str


Reference = Annotated[SecretRef, PlainValidator(_reference)]
References = Annotated[tuple[SecretRef, ...], PlainValidator(_references)]
Line = Annotated[str, StringConstraints(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f\x7f]*$")]
FileName = Annotated[str, StringConstraints(min_length=1)]


class Smtp(Table):
    listen: list[unit.Listen] = Field(min_length=1)
    listen_tls: list[unit.Listen] = []
    listen_public: list[unit.Listen] = []
    tls_certificate: FileName | None = None
    tls_key: FileName | None = None
    authserv_id: unit.Authserv = ""
    upstream: list[unit.Network] = []
    max_bytes: Annotated[int, unit.room("64 KB", "100 MB")] = 10 * 1024**2
    max_recipients: int = Field(100, ge=1, le=10_000)
    max_connections: int = Field(200, ge=1, le=10_000)
    max_connections_per_address: int = Field(20, ge=1, le=10_000)
    max_commands: int = Field(100_000, ge=10, le=10_000_000)
    max_queue: int = Field(100_000, ge=10, le=10_000_000)
    min_free_disk: Annotated[int, unit.room("1 MB", "1000 GB")] = 200 * 1024**2
    command_timeout: Annotated[timedelta, unit.span("1 s", "1 h")] = timedelta(seconds=60)
    data_timeout: Annotated[timedelta, unit.span("1 s", "1 h")] = timedelta(minutes=5)
    session_timeout: Annotated[timedelta, unit.span("1 s", "1 d")] = timedelta(minutes=10)


class Http(Table):
    public: unit.ListenOrOff = Listener("127.0.0.1", 8080)
    public_url: unit.UrlOrNone = ""
    media_for: Annotated[timedelta, unit.span("1 h", "365 d")] = timedelta(days=7)
    max_connections: int = Field(200, ge=10, le=10_000)
    admin: unit.ListenOrOff = Listener("127.0.0.1", 8081)


class Relay(Table):
    host: unit.Host
    port: int | None = Field(None, ge=1, le=65_535)
    tls: Literal["required", "opportunistic", "implicit", "off"] = "required"
    auth: Literal["password", "xoauth2"] | None = None
    username: Line | None = None
    password: Reference | None = None
    token: Reference | None = None
    token_url: unit.Url | None = None
    client_id: Line | None = None
    client_secret: Reference | None = None
    refresh_token: Reference | None = None
    scope: Line | None = None
    sender: unit.RelaySender = ""


class Dkim(Table):
    selector: unit.Selector
    key: Reference
    domain: unit.Domain | None = None


class Dns(Table):
    servers: list[unit.Ip] = []
    watch: Annotated[timedelta, unit.span("0 s", "7 d")] = timedelta(hours=6)


class Sender(Table):
    name: unit.SenderName
    networks: list[unit.Network] = []
    login: Line | None = None
    password_hash: str | None = None
    mail_from: list[unit.Pattern] = Field(["*"], min_length=1)
    answer_from: list[unit.Pattern] = []
    number: Annotated[tuple[str, ...], PlainValidator(_names)] = ()
    reply_to: unit.MailboxOrNone = ""
    reply_fallback: unit.MailboxOrNone = ""
    report_to: unit.MailboxOrNone = ""
    may_consent: bool = False
    vouches: bool = False
    refuse: Literal["smtp", "mail"] = "smtp"
    other_mail: Literal["refuse", "relay"] = "refuse"
    bare_lf: Literal["refuse", "accept"] = "refuse"
    segments_per_day: int = Field(10_000, ge=0)
    segments_per_month: int = Field(0, ge=0)


class Number(Table):
    name: unit.Name
    phone: str
    provider: Literal["twilio", "flowroute"]
    segments_per_second: float = Field(1.0, gt=0, le=1000)
    messaging_service_sid: Annotated[str, StringConstraints(pattern=r"^(MG[0-9a-fA-F]{32})?$")] = ""
    inbox: unit.MailboxOrNone = ""
    price_per_segment: float = Field(0.0, ge=0, le=10)
    mms: bool = True
    confirms_stop: Literal["provider", "gateway"] = "provider"
    unmonitored: phrase.Sentence = ""


class ErrorCode(Table):
    klass: phrase.ErrorClass = Field("", alias="class")
    text: phrase.Sentence = ""


Lookups = Annotated[list[Annotated[timedelta, unit.span("1 s", "1 h")]], Field(min_length=1, max_length=10)]
_LOOKUPS = [timedelta(seconds=20), timedelta(seconds=60), timedelta(seconds=150)]


class Twilio(Table):
    account_sid: Annotated[str, StringConstraints(pattern=r"^AC[0-9a-fA-F]{32}$")]
    auth_token: References
    api_url: unit.Url = "https://api.twilio.com"
    on_unknown: Literal["reconcile", "hold"] = "reconcile"
    lookup_after: Lookups = _LOOKUPS
    poll_every: Annotated[timedelta, unit.span("1 s", "1 h")] = timedelta(seconds=20)
    delete_media: bool = False
    media_hosts: list[unit.MediaHost] = ["twilio.com", "twiliocdn.com", "s3-external-1.amazonaws.com"]
    errors: dict[phrase.Code, ErrorCode] = {}


class Flowroute(Table):
    access_key: Line
    secret_key: Reference
    hook_secret: Reference | None = None
    api_url: unit.Url = "https://api.flowroute.com"
    on_unknown: Literal["reconcile", "hold"] = "reconcile"
    lookup_after: Lookups = _LOOKUPS
    poll_every: Annotated[timedelta, unit.span("1 s", "1 h")] = timedelta(seconds=20)


class Employee(Table):
    name: unit.Name
    phone: str
    carrier: str = ""
    channel: Literal["sms", "mms"] = "sms"
    fallback: Literal["provider", "none"] = "provider"


class Text(Table):
    subject: Literal["omit", "prefix", "only"] = "omit"
    max_segments: int = Field(6, ge=1, le=10)
    too_long: Literal["refuse", "cut"] = "refuse"
    transliterate: bool = True
    cut_after: list[Line] = []
    job: phrase.Job = ""
    first: phrase.First = "{brand}: {text} Reply HELP for help, STOP to opt out."
    pictures: Literal["send", "ignore"] = "send"


class Replies(Table):
    close_after: Annotated[timedelta, unit.span("1 min", "365 d")] = timedelta(days=14)
    ask: bool = False
    ask_wait: Annotated[timedelta, unit.span("1 min", "24 h")] = timedelta(minutes=10)


class Policy(Table):
    quiet_hours: unit.Hours = ""
    quiet_replies: Literal["send", "hold"] = "send"
    hold_at_most: Annotated[timedelta, unit.span("1 min", "7 d")] = timedelta(hours=16)
    countries: list[unit.Country] = Field(["US", "CA"], min_length=1)
    duplicate_window: Annotated[timedelta, unit.span("0 s", "7 d")] = timedelta(hours=24)
    flood_per_minute: int = Field(0, ge=0)
    same_text_window: Annotated[timedelta, unit.span("0 s", "24 h")] = timedelta(minutes=10)
    expires_after: Annotated[timedelta, unit.span("1 min", "7 d")] = timedelta(hours=4)
    fallback_after: Annotated[timedelta, unit.span("1 min", "7 d")] = timedelta(minutes=15)


class Retention(Table):
    raw: Annotated[timedelta, unit.span("1 d", "36500 d")] = timedelta(days=90)
    done: Annotated[timedelta, unit.span("1 d", "36500 d")] = timedelta(days=400)
    conversations: Annotated[timedelta, unit.span("1 d", "36500 d")] = timedelta(days=400)


class Rule(Table):
    sender: phrase.Names = ()
    to: phrase.Globs = ()
    subject: phrase.Globs = ()
    number: phrase.Names = ()
    klass: Literal["informational", "marketing"] | None = Field(None, alias="class")
    template: str | None = None
    job: phrase.Job = ""


class Template(Table):
    name: unit.Name
    text: phrase.Filled
    patterns: dict[phrase.Field, phrase.Pattern] = {}


class Answer(Table):
    name: unit.SenderName
    number: phrase.Names = ()
    keyword: phrase.Keywords = ()
    days: list[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]] = Field([], min_length=1)
    hours: unit.Hours = ""
    text: phrase.TextOrNone = ""
    subject_tag: Line | None = None
    header: phrase.Header = ()


class Top(Table):
    """The keys above the first table."""

    domain: unit.Domain
    country: unit.Country = "US"
    brand: Line | None = None
    timezone: unit.Zone = ZoneInfo("America/New_York")
    state: FileName | None = None
    database: unit.Database = "gateway.db"
    carriers: FileName | None = None
    employees: FileName | None = None
    alarm_to: list[Line] = []


TABLES: dict[str, type[Table]] = {
    "smtp": Smtp,
    "http": Http,
    "relay": Relay,
    "dkim": Dkim,
    "dns": Dns,
    "twilio": Twilio,
    "flowroute": Flowroute,
    "text": Text,
    "replies": Replies,
    "policy": Policy,
    "retention": Retention,
}
LISTS: dict[str, type[Table]] = {
    "sender": Sender,
    "number": Number,
    "employee": Employee,
    "rule": Rule,
    "template": Template,
    "answer": Answer,
}
NAMES = (*Top.model_fields, *TABLES, *LISTS, "groups")  # what may stand at the top of config.toml


def names(model: type[BaseModel]) -> tuple[str, ...]:
    """The keys of a table, as they are written."""
    return tuple(field.alias or name for name, field in model.model_fields.items())


def keys() -> list[tuple[str, str]]:
    """Every key that config.toml may hold, with its table ("" above the first)."""
    tables: dict[str, type[Table]] = {"": Top, **TABLES, **LISTS}
    return [(table, key) for table, model in tables.items() for key in names(model)]
