"""What the daemon may start with, but the admin should know: who is not texted, what has no effect, what is risky."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Any

from gateway.config import secret, unit
from gateway.config.place import Problem
from gateway.config.schema import Employee
from gateway.config.tables import Placed, Tables
from gateway.core import carrier, suspect
from gateway.core.carrier import CarrierTable
from gateway.core.keyword import keyword

_HEAVY = 48  # MiB of one login; `gateway hash-password` takes 19
_REMEDIES = {
    "twilio": "uncomment [twilio] and name the account and its auth_token",
    "flowroute": "add [flowroute] with the account's access_key and secret_key",
}
_MEANING = {"stop": "a STOP: no text goes to them any more", "start": "a START", "help": "a question for help"}


def problems(tables: Tables, carriers: CarrierTable, today: date) -> list[Problem]:
    """All warnings, in no order.  `today` tells which gateways of carriers have ended."""
    return [
        *_numbers(tables),
        *_employees(tables, carriers, today),
        *_returns(tables, carriers, today),
        *_senders(tables),
        *_doors(tables),
        *_invitations(tables),
        *_fallback(tables),
    ]


def _numbers(tables: Tables) -> Iterator[Problem]:
    for number in tables.numbers:
        provider = number.model.provider
        if provider not in tables.providers:
            text = f"texts to customers by number {number.model.name!r} are refused until [{provider}] is configured"
            yield number.problem(("provider",), text, _REMEDIES[provider], severity="warning")
    used = {number.model.provider for number in tables.numbers}
    for account in (tables.twilio, tables.flowroute):
        if account and account.path[0] not in used and len(tables.numbers) == len(tables.named("number")):
            text = f"[{account.path[0]}] is configured, but there is no [[number]] to text from"
            remedy = f'add [[number]] with provider = "{account.path[0]}"'
            yield account.problem((), text, remedy, severity="warning")
    if tables.providers and tables.http and tables.http.model.public_url and tables.http.model.public is None:
        text = "http.public is off: nothing answers at public_url"
        yield tables.http.problem(("public",), text, 'write public = "127.0.0.1:8080"', severity="warning")


def _employees(tables: Tables, carriers: CarrierTable, today: date) -> Iterator[Problem]:
    for employee in tables.employees:
        found = _employee(employee, tables, carriers, today)
        if found:
            text, remedy = found
            key = ("carrier",) if employee.model.carrier else ("name",)
            yield employee.problem(key, text, remedy, severity="warning")


def _employee(
    employee: Placed[Employee], tables: Tables, carriers: CarrierTable, today: date
) -> tuple[str, str] | None:
    """What will happen with texts to the employee, and the remedy; None when they go by his carrier."""
    model = employee.model
    paid = model.fallback == "provider" or not model.carrier
    open_way = any(n.model.provider in tables.providers for n in tables.numbers)
    fate = "go by the paid provider" if paid and open_way else "are refused"
    named = f"texts to {model.name}"
    if not model.carrier:
        need = "add carrier, or configure a [[number]] and its account"
        return None if open_way else (f"{named} {fate}: neither a carrier nor a provider can bring them", need)
    row = carriers.carriers.get(model.carrier)
    if row is None:
        return None
    channel = row.channels.get(model.channel)
    closed = carrier.routable(channel, today) if channel else f"{row.name} has no {model.channel} gateway"
    if closed or channel is None:
        successor = carriers.carriers.get(row.successor)
        other = f"{row.name} went to {successor.name}: " if successor else ""
        return (
            f"{named} {fate}: {closed}",
            f'{other}ask {model.name} for the carrier of today, or write fallback = "provider"',
        )
    if carrier.needs_confirmation(channel):
        remedy = f"gateway carriers test {model.name}"
        return f"{named} {fate} until confirmed: nobody has shown that {channel.domain} works", remedy
    ending = carrier.warning(channel, today)
    return (ending, f"texts to {model.name} then {fate.replace('are', 'will be', 1)}") if ending else None


def _returns(tables: Tables, carriers: CarrierTable, today: date) -> Iterator[Problem]:
    """What carriers send back, and nothing lets in."""
    smtp, relay = tables.smtp, tables.relay
    closed = smtp is not None and smtp.sound("listen_public") and not smtp.model.listen_public
    if smtp is None or not closed or relay is None or relay.model.sender:
        return
    names = [e.model.name for e in tables.employees if _by_carrier(e.model, carriers, today)]
    if names:
        who = f"the carrier of {names[0]}" if len(names) == 1 else f"the carriers of {len(names)} employees"
        domain = tables.top.model.domain if tables.top and tables.top.sound("domain") else "your domain"
        text = f"bounces and answers from {who} cannot come in without [smtp] listen_public"
        remedy = f"add listen_public, and an MX record for {domain}; or [relay] sender, a mailbox that people read"
        yield smtp.problem(("listen_public",), text, remedy, severity="warning")


def _by_carrier(employee: Employee, carriers: CarrierTable, today: date) -> bool:
    row = carriers.carriers.get(employee.carrier)
    channel = row.channels.get(employee.channel) if row else None
    return channel is not None and not carrier.routable(channel, today)


def _senders(tables: Tables) -> Iterator[Problem]:
    tls = tables.smtp is not None and (
        tables.smtp.model.tls_certificate is not None or not tables.smtp.sound("tls_certificate")
    )
    for sender in tables.senders:
        model = sender.model
        for n, network in enumerate(model.networks):
            if network.prefixlen == 0:
                text = f"sender.networks: {network} lets everybody who reaches the door send texts as {model.name!r}"
                remedy = "name the networks of the job software, or use a login"
                yield sender.problem(("networks", n), text, remedy, severity="warning")
        if model.answer_from and tables.smtp and not tables.smtp.model.listen_public:
            text = "sender.answer_from has no effect without [smtp] listen_public, where such answers come in"
            remedy = "add listen_public, or leave answer_from out: who is in his networks may answer anyway"
            yield sender.problem(("answer_from",), text, remedy, severity="warning")
        if model.login and sender.sound("networks") and not model.networks and not tls:
            text = f"sender {model.name!r} can never log in: without TLS a login is taken only from his networks"
            yield sender.problem(("login",), text, "add [smtp] tls_certificate and tls_key", severity="warning")
        if model.password_hash and secret.legal_hash(model.password_hash):
            heavy = secret.hash_megabytes(model.password_hash)
            if heavy > _HEAVY:
                text = f"sender.password_hash takes {heavy} MB of memory for each login"
                yield sender.problem(
                    ("password_hash",), text, "make a lighter one with: gateway hash-password", severity="warning"
                )


def _doors(tables: Tables) -> Iterator[Problem]:
    top, relay = tables.top, tables.relay
    if top and top.sound("alarm_to") and not top.model.alarm_to:
        text = "alarm_to is empty: nobody is told when texts fail or the relay is down"
        remedy = 'add above the first table: alarm_to = ["admin@example.com"]'
        yield top.problem(("alarm_to",), text, remedy, severity="warning")
    if not tables.document.values.get("sender"):
        text = "there is no [[sender]]: nobody may send mail through this gateway"
        remedy = 'add [[sender]] with name = "jobs" and networks = ["192.168.1.20"]'
        yield tables.document.problem(("sender",), text, remedy, severity="warning")
    if relay and relay.model.password and relay.model.tls == "opportunistic" and not unit.loopback(relay.model.host):
        text = 'relay.password can be sent in the clear with tls = "opportunistic"'
        yield relay.problem(("tls",), text, 'write tls = "required"', severity="warning")


def _fallback(tables: Tables) -> Iterator[Problem]:
    policy = tables.policy
    paid = any(n.model.provider in tables.providers for n in tables.numbers)
    behind = paid and any(e.model.carrier and e.model.fallback == "provider" for e in tables.employees)
    if policy is None or not behind or not (policy.sound("fallback_after") and policy.sound("expires_after")):
        return
    if policy.model.fallback_after >= policy.model.expires_after:
        text = "policy.fallback_after is no shorter than expires_after: no late text to an employee falls back"
        remedy = "write a shorter fallback_after: what is given up already goes no other way"
        yield policy.problem(("fallback_after",), text, remedy, severity="warning")


def _invitations(tables: Tables) -> Iterator[Problem]:
    """Words of ours that ask people to answer with what is taken for something else."""
    texts: list[tuple[Placed[Any], str, str]] = [(t, "text", t.model.text) for t in tables.templates]
    texts += [(a, "text", a.model.text) for a in tables.answers]
    texts += [(n, "unmonitored", n.model.unmonitored) for n in tables.numbers]
    texts += [(tables.text, "first", tables.text.model.first)] if tables.text else []
    for table, key, text in texts:
        for word in suspect.invited(text):
            found = keyword(word)
            meaning = _MEANING[found.action] if found else "something else"
            told = f"{table.path[0]}.{key} invites people to answer {word}, which is taken for {meaning}"
            yield table.problem((key,), told, 'ask for another word, such as "C" or "OK"', severity="warning")
