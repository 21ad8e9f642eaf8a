"""Whose text it is at the provider: one remote id belongs to one delivery, for good."""

from __future__ import annotations

import apsw

from gateway.spool.rows import one

# By the primary key of remote.
_OWNER = "SELECT delivery FROM remote WHERE courier = ? AND remote_id = ?"
_BIND = "INSERT INTO remote (courier, remote_id, delivery) VALUES (?, ?, ?)"
_NAME = "UPDATE delivery SET remote_id = ? WHERE id = ?"


def owner(connection: apsw.Connection, courier: str, remote_id: str) -> str:
    """The delivery to which a remote id belongs, or ""."""
    row = one(connection, _OWNER, (courier, remote_id))
    return "" if row is None else str(row[0])


def bind(connection: apsw.Connection, courier: str, remote_id: str, delivery: str, *, known: str) -> str:
    """Binds a remote id; the answer is "" or the other delivery that has it.

    `known` is the delivery's remote id so far: the first one stays its name, a second is bound beside it.  The next
    hop's answer to a mail is no id (two hosts may say the same) and is not bound, only kept.
    """
    if courier != "mail":
        other = owner(connection, courier, remote_id)
        if other and other != delivery:
            return other
        if not other:
            connection.execute(_BIND, (courier, remote_id, delivery))
    if not known or courier == "mail":
        connection.execute(_NAME, (remote_id, delivery))
    return ""
