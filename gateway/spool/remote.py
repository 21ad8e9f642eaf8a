"""Whose text it is at the provider: one remote id belongs to one delivery, for good."""

from __future__ import annotations

from dataclasses import dataclass

import apsw

from gateway.spool.rows import one

MAIL = "mail"  # the courier that is no provider

# By the primary key of remote.
_OWNER = "SELECT delivery FROM remote WHERE courier = ? AND remote_id = ?"
_BIND = "INSERT INTO remote (courier, remote_id, delivery) VALUES (?, ?, ?)"
_NAME = "UPDATE delivery SET remote_id = ? WHERE id = ?"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """What came of binding a remote id to a delivery."""

    other: str = ""  # the other delivery that has it; nothing was bound
    doubled: tuple[tuple[str, str, str], ...] = ()  # (delivery, first id, second id), told once, when it is bound


def owner(connection: apsw.Connection, courier: str, remote_id: str) -> str:
    """The delivery to which a remote id belongs, or ""."""
    row = one(connection, _OWNER, (courier, remote_id))
    return "" if row is None else str(row[0])


def bind(connection: apsw.Connection, courier: str, remote_id: str, delivery: str, *, known: str) -> Bound:
    """Binds a remote id, where no other delivery has it.

    `known` is the delivery's remote id so far: the first one stays its name, a second is bound beside it: somebody was
    texted twice.  The next hop's answer to a mail is no id (two hosts may say the same) and is not bound, only kept.
    """
    if courier == MAIL:
        connection.execute(_NAME, (remote_id, delivery))
        return Bound()
    of = owner(connection, courier, remote_id)
    if of:
        return Bound(other="" if of == delivery else of)
    connection.execute(_BIND, (courier, remote_id, delivery))
    if known:
        return Bound(doubled=((delivery, known, remote_id),))
    connection.execute(_NAME, (remote_id, delivery))
    return Bound()
