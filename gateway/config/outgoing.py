"""The way out of our mail: rules between the keys of [relay] and [dkim], and their settings."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from gateway.config import unit
from gateway.config.place import Problem
from gateway.config.schema import Relay, SecretRef
from gateway.config.secret import Secret, SecretError
from gateway.config.signing import GOOD_BITS, SigningKey, read_key
from gateway.config.tables import Placed, Tables
from gateway.config.values import DkimSettings, RelaySettings
from gateway.core import proof

DIRECT = "direct"  # as a host: no relay, but the mail hosts of each domain

_PORTS = {"required": 587, "opportunistic": 587, "implicit": 465, "off": 25}
_OF_TOKENS = ("token", "token_url", "client_id", "client_secret", "refresh_token", "scope")
_OF_LOGIN = ("auth", "username", "password", *_OF_TOKENS)
_LOGIN = 'write username = "..." and password = { file = "..." }'
_SOURCE = 'write token = { file = "..." }, or token_url, client_id and what else the provider wants'


def problems(tables: Tables) -> list[Problem]:
    """Everything that is wrong with the way out, in no order."""
    found = list(_dkim(tables))
    relay = tables.relay
    if relay is None or not relay.sound("host", "tls", *_OF_LOGIN):
        return found
    if relay.model.host == DIRECT:
        return [*found, *_direct(relay)]
    return [*found, *_tls(relay), *_login(relay)]


def warnings(tables: Tables, key: SigningKey | None) -> list[Problem]:
    """What the admin should know of the way out; `key` is that of [dkim], where it was read."""
    found = []
    relay, dkim = tables.relay, tables.dkim
    if relay and relay.model.host == DIRECT:
        text = (
            'relay.host = "direct" is experimental: carriers want PTR, SPF and DKIM of whoever speaks to them himself'
        )
        remedy = "give this machine's address a name (PTR), publish SPF and DKIM; a smarthost is the safe way"
        found.append(relay.problem(("host",), text, remedy, severity="warning"))
    if key and dkim and key.kind == "rsa" and key.bits < GOOD_BITS:
        text = f"dkim.key has {key.bits} bits, which some mail servers hold for weak"
        remedy = f"make one with: openssl genrsa -out dkim.pem {GOOD_BITS}"
        found.append(dkim.problem(("key",), text, remedy, severity="warning"))
    return found


def _tls(relay: Placed[Relay]) -> Iterator[Problem]:
    if relay.model.tls == "off" and not unit.loopback(relay.model.host):
        text = f"relay.tls may be off only for a relay on this machine; the host is {relay.model.host!r}"
        yield relay.problem(("tls",), text, 'write tls = "required"; "opportunistic" where the relay offers no TLS')


def _direct(relay: Placed[Relay]) -> Iterator[Problem]:
    remedy = 'leave it out, or name a relay in place of "direct"'
    for key in ("port", *_OF_LOGIN):
        if key in relay.model.model_fields_set:
            yield relay.problem((key,), f'relay.{key} has no meaning with host = "direct": there is no relay', remedy)
    if relay.model.tls in ("implicit", "off"):
        text = f'relay.tls = "{relay.model.tls}" does not go with host = "direct": mail hosts speak STARTTLS on port 25'
        yield relay.problem(("tls",), text, 'write tls = "opportunistic" or "required"')


def _login(relay: Placed[Relay]) -> Iterator[Problem]:
    if relay.model.auth == "xoauth2":
        yield from _tokens(relay)
        return
    given = {"username": relay.model.username, "password": relay.model.password}
    absent = [key for key, value in given.items() if value is None]
    if absent and (relay.model.auth or len(absent) == 1):
        by = "auth" if relay.model.auth else next(key for key in given if key not in absent)
        need = " and ".join(f"relay.{key}" for key in absent)
        yield relay.problem((by,), f"relay.{by} needs {need}", _LOGIN)
    for key in _OF_TOKENS:
        if key in relay.model.model_fields_set:
            yield relay.problem((key,), f'relay.{key} needs auth = "xoauth2"', 'write auth = "xoauth2" above it')
            return


def _tokens(relay: Placed[Relay]) -> Iterator[Problem]:
    model, given = relay.model, relay.model.model_fields_set
    if model.username is None:
        yield relay.problem(("auth",), 'relay.auth = "xoauth2" needs relay.username', "write the mailbox that sends")
    if model.password is not None:
        yield relay.problem(("password",), "relay.password is not used with xoauth2", "leave it out")
    if (model.token is None) == (model.token_url is None):
        which = "either token or token_url, not both" if model.token else "relay.token or relay.token_url"
        yield relay.problem(("auth",), f'relay.auth = "xoauth2" needs {which}', _SOURCE)
    for key in ("token", "refresh_token"):
        reference = getattr(model, key)
        if reference is not None and reference.kind != "file":
            text = f"relay.{key} must be a file: it changes while the daemon runs"
            yield relay.problem((key,), text, f'write {key} = {{ file = "relay.token" }}')
    if model.token_url is None:
        lost = [key for key in _OF_TOKENS[2:] if key in given]
        if lost:
            yield relay.problem((lost[0],), f"relay.{lost[0]} needs relay.token_url", _SOURCE)
    elif model.client_id is None:
        yield relay.problem(("token_url",), "relay.token_url needs relay.client_id", 'write client_id = "..."')
    elif model.refresh_token is None and model.client_secret is None:
        text = "relay.token_url needs relay.refresh_token, or relay.client_secret for a grant without one"
        yield relay.problem(("token_url",), text, 'write refresh_token = { file = "refresh.secret" }')


def _dkim(tables: Tables) -> Iterator[Problem]:
    dkim, top = tables.dkim, tables.top
    if dkim is None:
        return
    if dkim.model.key.kind != "file":
        text = "dkim.key must be a file: a key has many lines"
        yield dkim.problem(("key",), text, 'write key = { file = "dkim.pem" }')
    if top and top.sound("domain") and dkim.model.domain and not proof.aligned(dkim.model.domain, top.model.domain):
        text = f"dkim.domain must be {top.model.domain} or a domain above it; got {dkim.model.domain!r}"
        yield dkim.problem(("domain",), text, "leave it out: then it is the domain of the gateway")


def signing_key(tables: Tables, problems: list[Problem]) -> SigningKey | None:
    """The key of [dkim]; what is wrong with it is added to `problems`."""
    if tables.dkim is None or tables.dkim.model.key.kind != "file":
        return None
    try:
        return read_key(tables.folder / tables.dkim.model.key.name)
    except SecretError as error:
        text, remedy = error.args
        problems.append(tables.dkim.problem(("key",), f"dkim.key: {text}", remedy))
        return None


def relay_settings(relay: Relay, folder: Path, password: Secret | None, client_secret: Secret | None) -> RelaySettings:
    direct = relay.host == DIRECT
    tls = "opportunistic" if direct and "tls" not in relay.model_fields_set else relay.tls
    return RelaySettings(
        host=relay.host,
        direct=direct,
        port=25 if direct else relay.port or _PORTS[tls],
        tls=tls,
        auth=relay.auth or ("password" if relay.username else ""),
        username=relay.username or "",
        password=password,
        token_file=_path(relay.token, folder),
        token_url=relay.token_url or "",
        client_id=relay.client_id or "",
        client_secret=client_secret,
        refresh_file=_path(relay.refresh_token, folder),
        scope=relay.scope or "",
        sender=relay.sender,
    )


def _path(reference: SecretRef | None, folder: Path) -> Path | None:
    return folder / reference.name if reference else None


def dkim_settings(tables: Tables, domain: str, key: SigningKey | None) -> DkimSettings | None:
    if tables.dkim is None:
        return None
    return DkimSettings(domain=tables.dkim.model.domain or domain, selector=tables.dkim.model.selector, key=key)
