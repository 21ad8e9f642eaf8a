"""What the daemon may start with, but the admin should know: who is not texted, what has no effect, what is risky."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

from gateway.config import secret, unit
from gateway.config.place import Problem
from gateway.config.schema import Employee
from gateway.config.tables import Placed, Tables
from gateway.core import carrier
from gateway.core.carrier import CarrierTable

_HEAVY = 48  # MiB of one login; `gateway hash-password` takes 19
# Keys that are read and judged, and that a later version gives an effect.
_LATER = (
    ("policy", "quiet_hours"),
    ("policy", "flood_per_minute"),
    ("policy", "fallback_after"),
    ("replies", "ask"),
)
_LATER_OF_SENDER = ("vouches", "answer_from")


def problems(tables: Tables, carriers: CarrierTable, today: date) -> list[Problem]:
    """All warnings, in no order.  `today` tells which gateways of carriers have ended."""
    return [
        *_without_effect(tables),
        *_numbers(tables),
        *_employees(tables, carriers, today),
        *_senders(tables),
        *_doors(tables),
    ]


def _without_effect(tables: Tables) -> Iterator[Problem]:
    remedy = "a later version uses it; until then leave it out"
    for name, key in _LATER:
        table = tables.policy if name == "policy" else tables.replies
        if table and getattr(table.model, key) != type(table.model).model_fields[key].default:
            yield table.problem((key,), f"{name}.{key} has no effect yet", remedy, severity="warning")
    for sender in tables.senders:
        for key in _LATER_OF_SENDER:
            if getattr(sender.model, key):
                yield sender.problem((key,), f"sender.{key} has no effect yet", remedy, severity="warning")
    for later in tables.later:
        yield later.problem((), f"[[{later.path[0]}]] has no effect yet", remedy, severity="warning")
    if tables.smtp and tables.smtp.model.listen_public:
        text = "smtp.listen_public takes only b-, postmaster and abuse yet; r-, a- and enroll are refused there"
        yield tables.smtp.problem(("listen_public",), text, remedy, severity="warning")


def _numbers(tables: Tables) -> Iterator[Problem]:
    for number in tables.numbers:
        provider = number.model.provider
        if provider not in tables.providers:
            text = f"texts to customers by number {number.model.name!r} are refused until [{provider}] is configured"
            remedy = "uncomment [twilio] and name the account and its auth_token"
            if provider != "twilio":
                text = f"texts by number {number.model.name!r} are refused: {provider} is not supported yet"
                remedy = 'use provider = "twilio"'
            yield number.problem(("provider",), text, remedy, severity="warning")
    if tables.twilio and not tables.named("number"):
        text = "[twilio] is configured, but there is no [[number]] to text from"
        yield tables.twilio.problem((), text, 'add [[number]] with provider = "twilio"', severity="warning")
    if tables.twilio and tables.http and tables.http.model.public_url and tables.http.model.public is None:
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
        remedy = f"text {model.name}, ask, and then: gateway carriers confirm {model.name}"
        return f"{named} {fate} until confirmed: nobody has shown that {channel.domain} works", remedy
    ending = carrier.warning(channel, today)
    return (ending, f"texts to {model.name} then {fate.replace('are', 'will be', 1)}") if ending else None


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
