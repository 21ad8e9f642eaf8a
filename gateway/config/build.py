"""From tables that are right to the frozen Config; secrets are read here."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

from gateway.config import account, check, outgoing, rulebook, schema, secret
from gateway.config.place import KeyPath, Problem
from gateway.config.secret import Secret, SecretError
from gateway.config.signing import SigningKey
from gateway.config.tables import M, Placed, Tables
from gateway.config.values import (
    Config,
    Credential,
    FlowrouteSettings,
    HttpSettings,
    RetentionSettings,
    SmtpSettings,
    TwilioSettings,
)
from gateway.core import phone as phones
from gateway.core import rules
from gateway.core.carrier import CarrierTable
from gateway.core.model import Phone

_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Secrets:
    """The secrets that the tables refer to."""

    password: Secret | None = None  # of [relay]
    client_secret: Secret | None = None  # of [relay]
    signing: SigningKey | None = None  # of [dkim]
    tokens: tuple[Secret, ...] = ()  # of [twilio]
    secret_key: Secret | None = None  # of [flowroute]
    hook_secret: Secret | None = None  # of [flowroute]


def read_secrets(tables: Tables, problems: list[Problem]) -> Secrets:
    """The secrets; those that cannot be had are added to `problems`."""
    relay, twilio, flowroute = tables.relay, tables.twilio, tables.flowroute
    password = client_secret = secret_key = hook_secret = None
    tokens: list[Secret | None] = []
    if relay and relay.model.password:
        password = _secret(relay, ("password",), relay.model.password, tables.folder, problems)
    if relay and relay.model.client_secret:
        client_secret = _secret(relay, ("client_secret",), relay.model.client_secret, tables.folder, problems)
    if relay and relay.model.auth == "xoauth2":
        # Read anew at each use: here only to tell at once what would keep us from it.
        for name, file in (("token", relay.model.token), ("refresh_token", relay.model.refresh_token)):
            if file is not None and file.kind == "file":
                _secret(relay, (name,), file, tables.folder, problems)
    if twilio:
        listed = isinstance(twilio.document.values["twilio"]["auth_token"], list)
        for n, reference in enumerate(twilio.model.auth_token):
            key: KeyPath = ("auth_token", n) if listed else ("auth_token",)
            tokens.append(_secret(twilio, key, reference, tables.folder, problems))
    if flowroute:
        secret_key = _secret(flowroute, ("secret_key",), flowroute.model.secret_key, tables.folder, problems)
    if flowroute and flowroute.model.hook_secret:
        hook_secret = _secret(flowroute, ("hook_secret",), flowroute.model.hook_secret, tables.folder, problems)
        problems += account.hook_secret(hook_secret, tables)
    return Secrets(
        password=password,
        client_secret=client_secret,
        signing=outgoing.signing_key(tables, problems),
        tokens=tuple(filter(None, tokens)),
        secret_key=secret_key,
        hook_secret=hook_secret,
    )


def _secret(
    table: Placed[M], key: KeyPath, reference: schema.SecretRef, folder: Path, problems: list[Problem]
) -> Secret | None:
    try:
        if reference.kind == "env":
            return secret.from_environment(reference.name)
        return secret.from_file(folder / reference.name)
    except SecretError as error:
        text, remedy = error.args
        problems.append(table.problem(key, f"{table.path[0]}.{key[0]}: {text}", remedy))
        return None


def config(path: Path, tables: Tables, carriers: CarrierTable, secrets: Secrets, warnings: list[Problem]) -> Config:
    """The Config of tables without errors."""
    top, http, relay = _model(tables.top), _model(tables.http), _model(tables.relay)
    folder = tables.folder.absolute()
    state = _state(top.state, folder)
    return Config(
        path=path.absolute(),
        state=state,
        database=state / top.database,
        rules=_rules(tables, carriers),
        smtp=_smtp(_model(tables.smtp), folder),
        http=HttpSettings(
            public=http.public, admin=http.admin, public_url=http.public_url, max_connections=http.max_connections
        ),
        relay=outgoing.relay_settings(relay, folder, secrets.password, secrets.client_secret),
        dkim=outgoing.dkim_settings(tables, top.domain, secrets.signing),
        twilio=_twilio(tables, secrets),
        flowroute=_flowroute(tables, secrets),
        dns_servers=tuple(_model(tables.dns).servers),
        dns_watch=_model(tables.dns).watch,
        credentials=tuple(_credential(s.model) for s in tables.senders),
        retention=_retention(_model(tables.retention)),
        warnings=tuple(warnings),
    )


def _model(table: Placed[M] | None) -> M:
    if table is None:
        raise ValueError("a table that could not be read has a problem")
    return table.model


def _state(named: str | None, folder: Path) -> Path:
    if named is not None:
        return folder / named
    # systemd gives several folders with colons between them (systemd.exec(5)); ours is the first.
    given = os.environ.get("STATE_DIRECTORY", "").split(":")[0]
    return Path(given) if given else folder


def _smtp(smtp: schema.Smtp, folder: Path) -> SmtpSettings:
    return SmtpSettings(
        listen=tuple(smtp.listen),
        listen_tls=tuple(smtp.listen_tls),
        listen_public=tuple(smtp.listen_public),
        tls_certificate=folder / smtp.tls_certificate if smtp.tls_certificate else None,
        tls_key=folder / smtp.tls_key if smtp.tls_key else None,
        max_bytes=smtp.max_bytes,
        max_recipients=smtp.max_recipients,
        max_connections=smtp.max_connections,
        max_connections_per_address=smtp.max_connections_per_address,
        max_commands=smtp.max_commands,
        max_queue=smtp.max_queue,
        min_free_disk=smtp.min_free_disk,
        command_timeout=smtp.command_timeout,
        data_timeout=smtp.data_timeout,
        session_timeout=smtp.session_timeout,
        authserv_id=smtp.authserv_id,
        upstream=tuple(smtp.upstream),
    )


def _twilio(tables: Tables, secrets: Secrets) -> TwilioSettings | None:
    if tables.twilio is None:
        return None
    twilio = tables.twilio.model
    return TwilioSettings(
        account_sid=twilio.account_sid,
        auth_tokens=secrets.tokens,
        api_url=twilio.api_url,
        on_unknown=twilio.on_unknown,
        lookup_after=tuple(twilio.lookup_after),
        poll_every=twilio.poll_every,
        delete_media=twilio.delete_media,
        media_hosts=tuple(twilio.media_hosts),
    )


def _flowroute(tables: Tables, secrets: Secrets) -> FlowrouteSettings | None:
    if tables.flowroute is None:
        return None
    flowroute = tables.flowroute.model
    return FlowrouteSettings(
        access_key=flowroute.access_key,
        secret_key=secrets.secret_key,
        hook_secret=secrets.hook_secret,
        api_url=flowroute.api_url,
        on_unknown=flowroute.on_unknown,
        poll_every=flowroute.poll_every,
    )


def _retention(kept: schema.Retention) -> RetentionSettings:
    return RetentionSettings(raw=kept.raw // _DAY, done=kept.done // _DAY, conversations=kept.conversations // _DAY)


def _credential(sender: schema.Sender) -> Credential:
    return Credential(
        sender=sender.name,
        login=sender.login or "",
        password_hash=sender.password_hash or "",
        networks=tuple(sender.networks),
    )


def _rules(tables: Tables, carriers: CarrierTable) -> rules.Rules:
    top, text, policy, replies = _model(tables.top), _model(tables.text), _model(tables.policy), _model(tables.replies)
    accounts = {"twilio": tables.twilio, "flowroute": tables.flowroute}
    base = rules.Rules(
        domain=top.domain,
        country=top.country,
        brand=top.brand or top.domain,
        timezone=top.timezone,
        alarm_to=tuple(filter(None, (check.alarm(entry, tables) for entry in top.alarm_to))),
        senders=tuple(_sender(s.model) for s in tables.senders),
        numbers=tuple(_number(n.model, top.country) for n in tables.numbers),
        employees=tuple(_employee(e.model, top.country) for e in tables.employees),
        groups={group.name: group.members for group in tables.groups},
        carriers=carriers,
        text=rules.TextRules(**{**dict(text), "cut_after": tuple(text.cut_after)}),
        policy=rules.PolicyRules(**{**dict(policy), "countries": tuple(policy.countries)}),
        close_after=replies.close_after,
        ask=replies.ask,
        ask_wait=replies.ask_wait,
        rules=tuple(map(rulebook.rule, tables.rules)),
        templates=tuple(map(rulebook.template, tables.templates)),
        answers=tuple(map(rulebook.answer, tables.answers)),
        media_for=_model(tables.http).media_for,
        relay_sender=_model(tables.relay).sender,
        direct=_model(tables.relay).host == outgoing.DIRECT,
        providers=tables.providers,
        public_url=_model(tables.http).public_url,
        on_unknown=tables.twilio.model.on_unknown if tables.twilio else "reconcile",
        unknown={name: placed.model.on_unknown for name, placed in accounts.items() if placed},
        errors=_errors(tables.twilio),
    )
    after = account.lookup_after(tables)
    return replace(base, lookup_after=tuple(after)) if after else base


def _errors(twilio: Placed[schema.Twilio] | None) -> dict[str, rules.ErrorRule]:
    said = twilio.model.errors if twilio else {}
    return {code: rules.ErrorRule(klass=one.klass, text=one.text) for code, one in said.items()}


def _sender(sender: schema.Sender) -> rules.Sender:
    return rules.Sender(
        name=sender.name,
        mail_from=tuple(sender.mail_from),
        answer_from=tuple(sender.answer_from),
        numbers=sender.number,
        reply_to=sender.reply_to,
        reply_fallback=sender.reply_fallback,
        report_to=sender.report_to,
        may_consent=sender.may_consent,
        vouches=sender.vouches,
        refuse=sender.refuse,
        other_mail=sender.other_mail,
        bare_lf=sender.bare_lf,
        segments_per_day=sender.segments_per_day,
        segments_per_month=sender.segments_per_month,
    )


def _number(number: schema.Number, country: str) -> rules.Number:
    return rules.Number(**{**dict(number), "phone": _phone(number.phone, country)})


def _employee(employee: schema.Employee, country: str) -> rules.Employee:
    return rules.Employee(**{**dict(employee), "phone": _phone(employee.phone, country)})


def _phone(text: str, country: str) -> Phone:
    phone = phones.parse(text, country)
    if phone is None:
        raise ValueError("a phone that could not be read has a problem")
    return phone
