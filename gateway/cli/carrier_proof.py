"""What is known of employees' carrier addresses: confirmed, tested, or gone.

It is shown beside the table, which needs neither a daemon nor a store: where neither can be asked nothing is shown, and
nothing is said.
"""

from __future__ import annotations

import asyncio
import http.client
import sys
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from gateway.cli.common import exchange
from gateway.core.carrier import render

Proof = Mapping[str, Any]  # employee, address, at, by, works, how, note: see model.Confirmation
_SECONDS = 5  # that a daemon may take
_VERB = "carriers.confirmed"


def proofs(config: Any) -> dict[str, Proof] | None:
    """The newest word on the address that each employee has today, by his name; None where nobody can be asked.

    A store is opened where it is there and no daemon holds it, and never made.
    """
    addresses: dict[str, str | None] = {}
    for employee in config.rules.employees:
        channel = config.rules.channel(employee)
        addresses[employee.name] = render(channel, employee.phone) if channel else None
    if not any(addresses.values()):
        return {}
    rows = _rows(config)
    if rows is None:
        return None
    return {row["employee"]: row for row in rows if row["address"] == addresses.get(row["employee"], "")}


def _rows(config: Any) -> list[dict[str, Any]] | None:
    try:
        answer = exchange(config.state / "control.sock", _VERB, {}, _SECONDS)
    except (FileNotFoundError, ConnectionRefusedError):
        answer = _from_store(config)
    except (OSError, http.client.HTTPException, ValueError):
        return None
    return answer.get("rows")


def _from_store(config: Any) -> dict[str, Any]:
    if not config.database.exists():
        return {}
    from gateway import events, house

    events.setup(sys.stderr, level="error")
    try:
        return asyncio.run(house.offline(config, _VERB, {}))
    except house.StartError:
        return {}


def said(proof: Proof) -> str:
    """A word and its day, in local time: "test 2026-11-22", "gone 2026-11-20"."""
    return f"{proof['how'] if proof['works'] else 'gone'} {day(proof)}"


def day(proof: Proof) -> str:
    """The local day of a word."""
    return f"{datetime.fromisoformat(proof['at']).astimezone():%Y-%m-%d}"


def named(name: str, known: Mapping[str, Proof]) -> str:
    """An employee with the word on his address, where there is one."""
    return f"{name} ({said(known[name])})" if name in known else name
