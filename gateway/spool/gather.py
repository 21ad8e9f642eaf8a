"""Facts: everything that one decision must see, read in one transaction."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from datetime import datetime, tzinfo
from operator import itemgetter

import apsw

from gateway.core.facts import Facts, Needs
from gateway.core.model import Consent, Conversation, Phone, Spent
from gateway.core.policy import JOB_SYSTEM
from gateway.core.work import Delivery, Message
from gateway.spool import questions, recent
from gateway.spool.remote import owner
from gateway.spool.rows import (
    CONFIRMATION,
    CONSENT,
    CONVERSATION,
    DELIVERY,
    MESSAGE,
    Row,
    confirmation_of,
    consent_of,
    conversation_of,
    delivery_of,
    every,
    message_of,
    one,
    stamp,
)

TOKEN_CHARS = 16
MOST_CLOSED = 5  # conversations of a phone that may be reopened

# Each letter of base32 for the same number of bytes.
_BASE32 = bytes(b"abcdefghijklmnopqrstuvwxyz234567"[byte % 32] for byte in range(256))

# By consent_said and consent_vouched, whose conditions SQLite must find word for word.
_SAID = (
    CONSENT + " INDEXED BY consent_said WHERE c.phone = ?1 AND (c.action <> 'grant' OR c.method <> 'job_system' OR "
    "c.klass <> 'informational')"
)
_VOUCHED = (
    CONSENT + " INDEXED BY consent_vouched WHERE c.phone = ?1 AND c.action = 'grant' AND c.method = 'job_system' AND "
    "c.klass = 'informational'"
)
_NEWEST = "ORDER BY c.brand DESC, c.seq DESC LIMIT 1"
_CONSENTS = " ".join((_SAID, "UNION ALL SELECT * FROM (", _VOUCHED, _NEWEST, ")"))
_VOUCHED_BEFORE = f"{_VOUCHED} AND c.brand < ?2 {_NEWEST}"
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
    about = (*deliveries.values(), *by_remote.values(), *by_bounce.values())
    return Facts(
        consents=consents,
        conversations=_conversations(connection, needs, now),
        deliveries=deliveries,
        by_remote=by_remote,
        by_bounce=by_bounce,
        messages=_messages(connection, about) if about else {},
        confirmations={
            row[0]: confirmation_of(row) for name in needs.employees if (row := one(connection, _CONFIRMATION, (name,)))
        },
        spent={sender: _spent(connection, sender, now.astimezone(timezone)) for sender in needs.senders},
        ledger=ledger,
        questions=questions.gather(connection, needs.questions, needs.asked, now),
        introduced=recent.introduced(connection, needs.pairs),
        said={phone: recent.said(connection, phone, now) for phone in needs.said},
        floods={sender: recent.flood(connection, sender, now) for sender in needs.floods},
        fresh=tokens(needs.fresh) if needs.fresh else (),
    )


def tokens(count: int) -> tuple[str, ...]:
    """Random names in lower-case base32: 80 bits, so that nobody guesses one and two never meet."""
    # base64.b32encode takes 6 us for each, and a plan asks for twenty.
    drawn = secrets.token_bytes(count * TOKEN_CHARS).translate(_BASE32).decode("ascii")
    return tuple(drawn[begin : begin + TOKEN_CHARS] for begin in range(0, len(drawn), TOKEN_CHARS))


def _consents(
    connection: apsw.Connection, phones: Iterable[Phone]
) -> tuple[dict[Phone, tuple[Consent, ...]], dict[Phone, int]]:
    """Entries in the order of the ledger, and the newest row of each phone, 0 where there is none.

    Of the grants of senders who vouch the newest for each brand: the others change nothing, since what ends one ends
    them all, and there is one for every mail.
    """
    consents: dict[Phone, tuple[Consent, ...]] = {}
    ledger: dict[Phone, int] = {}
    for phone in phones:
        rows = every(connection, _CONSENTS, (phone,))
        newest = next(filter(_vouched, rows), None)
        while newest is not None:
            newest = one(connection, _VOUCHED_BEFORE, (phone, newest[1]))
            rows += () if newest is None else (newest,)
        rows.sort(key=itemgetter(-1))
        consents[phone] = tuple(consent_of(row) for row in rows)
        ledger[phone] = rows[-1][-1] if rows else 0
    return consents, ledger


def _vouched(row: Row) -> bool:
    """Whether a row of CONSENT is one that _VOUCHED finds."""
    return row[4:7] == ("grant", "informational", JOB_SYSTEM)


def _conversations(connection: apsw.Connection, needs: Needs, now: datetime) -> tuple[Conversation, ...]:
    at = stamp(now)
    rows = [row for phone in needs.threads for row in every(connection, _OPEN, (phone, at))]
    for phone in needs.threads:
        rows += every(connection, _CLOSED, (phone, at, MOST_CLOSED))
    read = {row[1:4] for row in rows}  # sender, phone, job
    rows += [row for key in needs.keys if key not in read for row in every(connection, _BY_KEY, key)]
    rows += [row for asked in needs.tokens for row in every(connection, _BY_TOKEN, (asked.lower(),))]
    found = {row[0]: row for row in rows}
    return tuple(sorted(map(conversation_of, found.values()), key=_last_text, reverse=True))


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
