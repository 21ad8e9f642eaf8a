"""Facts: everything that one decision must see, read in one transaction."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Iterable
from datetime import datetime, tzinfo

import apsw

from gateway.core.facts import Facts, Needs
from gateway.core.model import Consent, Conversation, Phone, Spent
from gateway.core.work import Delivery, Message
from gateway.spool import questions, recent
from gateway.spool.remote import owner
from gateway.spool.rows import (
    CONFIRMATION,
    CONSENT,
    CONVERSATION,
    DELIVERY,
    MESSAGE,
    confirmation_of,
    consent_of,
    conversation_of,
    delivery_of,
    every,
    message_of,
    one,
    stamp,
)

TOKEN_BYTES = 10  # 16 characters of base32
MOST_CLOSED = 5  # conversations of a phone that may be reopened

_CONSENTS = CONSENT + " WHERE c.phone = ? ORDER BY c.seq"
_BY_KEY = CONVERSATION + " WHERE c.sender = ? AND c.phone = ? AND c.job = ?"
_BY_TOKEN = CONVERSATION + " WHERE c.id = ?"
_OPEN = CONVERSATION + " WHERE c.phone = ? AND c.closes_at > ?"
# By conversation_texted, the last texted first.
_CLOSED = (
    CONVERSATION + " INDEXED BY conversation_texted WHERE c.phone = ? AND c.closes_at <= ? "
    "ORDER BY c.texted_at DESC LIMIT ?"
)
_DELIVERY = DELIVERY + " WHERE d.id = ?"
_BY_BOUNCE = DELIVERY + " WHERE d.bounce = ? AND d.bounce <> ''"
_MESSAGE = MESSAGE + " WHERE m.id = ?"
_CONFIRMATION = CONFIRMATION + " WHERE c.employee = ?"
_SPENT = "SELECT segments FROM spent WHERE sender = ? AND period = ?"


def gather(connection: apsw.Connection, needs: Needs, now: datetime, timezone: tzinfo) -> Facts:
    """The facts at `now`; `timezone` says which day and month are counted."""
    consents, ledger = _consents(connection, needs.phones)
    deliveries = {id_: found for id_ in needs.deliveries if (found := _delivery(connection, id_))}
    by_remote = {key: found for key in needs.remote_ids if (found := _delivery(connection, owner(connection, *key)))}
    by_bounce = {token: found for token in needs.bounces if (found := _bounced(connection, token))}
    return Facts(
        consents=consents,
        conversations=_conversations(connection, needs, now),
        deliveries=deliveries,
        by_remote=by_remote,
        by_bounce=by_bounce,
        messages=_messages(connection, (*deliveries.values(), *by_remote.values(), *by_bounce.values())),
        confirmations={
            row[0]: confirmation_of(row) for name in needs.employees if (row := one(connection, _CONFIRMATION, (name,)))
        },
        spent={sender: _spent(connection, sender, now.astimezone(timezone)) for sender in needs.senders},
        ledger=ledger,
        questions=questions.gather(connection, needs.questions, needs.asked, now),
        introduced=recent.introduced(connection, needs.pairs),
        said={phone: recent.said(connection, phone, now) for phone in needs.said},
        floods={sender: recent.flood(connection, sender, now) for sender in needs.floods},
        fresh=tuple(token() for _ in range(needs.fresh)),
    )


def token() -> str:
    """A random name in lower-case base32: 80 bits, so that nobody guesses one and two never meet."""
    return base64.b32encode(secrets.token_bytes(TOKEN_BYTES)).decode("ascii").lower()


def _consents(
    connection: apsw.Connection, phones: Iterable[Phone]
) -> tuple[dict[Phone, tuple[Consent, ...]], dict[Phone, int]]:
    """Entries in the order of the ledger, and the newest row of each phone, 0 where there is none."""
    consents: dict[Phone, tuple[Consent, ...]] = {}
    ledger: dict[Phone, int] = {}
    for phone in phones:
        rows = every(connection, _CONSENTS, (phone,))
        consents[phone] = tuple(consent_of(row) for row in rows)
        ledger[phone] = rows[-1][-1] if rows else 0
    return consents, ledger


def _conversations(connection: apsw.Connection, needs: Needs, now: datetime) -> tuple[Conversation, ...]:
    rows = [row for key in needs.keys for row in every(connection, _BY_KEY, key)]
    rows += [row for asked in needs.tokens for row in every(connection, _BY_TOKEN, (asked.lower(),))]
    rows += [row for phone in needs.threads for row in every(connection, _OPEN, (phone, stamp(now)))]
    for phone in needs.threads:
        rows += every(connection, _CLOSED, (phone, stamp(now), MOST_CLOSED))
    found = {row[0]: conversation_of(row) for row in rows}
    return tuple(sorted(found.values(), key=_last_text, reverse=True))


def _last_text(conversation: Conversation) -> tuple[bool, datetime, str]:
    texted = conversation.texted_at
    return texted is not None, texted or conversation.opened_at, conversation.id


def _delivery(connection: apsw.Connection, id_: str) -> Delivery | None:
    row = one(connection, _DELIVERY, (id_,)) if id_ else None
    return None if row is None else delivery_of(row)


def _bounced(connection: apsw.Connection, bounce: str) -> Delivery | None:
    row = one(connection, _BY_BOUNCE, (bounce.lower(),))
    return None if row is None else delivery_of(row)


def _messages(connection: apsw.Connection, deliveries: Iterable[Delivery]) -> dict[str, Message]:
    rows = [one(connection, _MESSAGE, (id_,)) for id_ in {d.message for d in deliveries}]
    return {row[0]: message_of(row) for row in rows if row is not None}


def _spent(connection: apsw.Connection, sender: str, local: datetime) -> Spent:
    day = one(connection, _SPENT, (sender, f"{local:%Y-%m-%d}"))
    month = one(connection, _SPENT, (sender, f"{local:%Y-%m}"))
    return Spent(day=day[0] if day else 0, month=month[0] if month else 0)
