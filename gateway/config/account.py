"""Rules between the keys of the providers' accounts: [twilio], [flowroute]."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from itertools import pairwise

from gateway.config.place import Problem
from gateway.config.secret import Secret
from gateway.config.tables import Tables

_HOOK_SECRET = re.compile(r"[A-Za-z0-9_-]{16,128}")


def problems(tables: Tables) -> list[Problem]:
    """Everything that is wrong with the accounts, in no order."""
    return [*_lookups(tables), *_twilio(tables), *_flowroute(tables)]


def lookup_after(tables: Tables) -> list[timedelta] | None:
    """When an unclear text is looked up: one schedule counts for every account; None where there is no account."""
    account = tables.twilio or tables.flowroute
    return account.model.lookup_after if account else None


def _lookups(tables: Tables) -> Iterator[Problem]:
    for account in (tables.twilio, tables.flowroute):
        if account is None or not account.sound("lookup_after") or "lookup_after" not in account.model.model_fields_set:
            continue
        if any(a >= b for a, b in pairwise(account.model.lookup_after)):
            text = f"{account.path[0]}.lookup_after must rise: each is counted from the sending"
            yield account.problem(("lookup_after",), text, 'write it like ["20 s", "60 s", "150 s"]')
        elif account.model.lookup_after != lookup_after(tables):
            text = "flowroute.lookup_after differs from that of [twilio]: one schedule counts for both accounts"
            yield account.problem(("lookup_after",), text, "leave it out here, and write it under [twilio]")


def _twilio(tables: Tables) -> Iterator[Problem]:
    twilio = tables.twilio
    if twilio is None:
        return
    for code, said in twilio.model.errors.items():
        if not said.klass and not said.text:
            remedy = 'write class = "retry", text = "...", or both'
            yield twilio.problem(("errors", code), f"twilio.errors.{code} says nothing of that code", remedy)


def _flowroute(tables: Tables) -> Iterator[Problem]:
    flowroute, http = tables.flowroute, tables.http
    if flowroute is None or http is None or not http.model.public_url or not flowroute.sound("hook_secret"):
        return
    if flowroute.model.hook_secret is None and any(n.model.provider == "flowroute" for n in tables.numbers):
        text = "flowroute.hook_secret is missing: Flowroute signs nothing, and anybody could write to public_url"
        yield flowroute.problem((), text, 'add under [flowroute]: hook_secret = { file = "hook.secret" }')


def hook_secret(found: Secret | None, tables: Tables) -> list[Problem]:
    """What is wrong with the secret in the path of Flowroute's webhooks."""
    if found is None or tables.flowroute is None or _HOOK_SECRET.fullmatch(found.reveal()):
        return []
    text = "flowroute.hook_secret must hold 16 to 128 letters, digits, - and _, since it is part of an address"
    return [tables.flowroute.problem(("hook_secret",), text, "make one with: openssl rand -hex 24")]
