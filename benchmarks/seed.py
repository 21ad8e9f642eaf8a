"""Stores that hold very many rows: one real mail, made many by SQL, so that the rows fit whatever schema there is."""

from __future__ import annotations

import contextlib
import re
import shutil
from pathlib import Path

import apsw

from benchmarks import load
from benchmarks.processes import Failed, free_port
from benchmarks.subject import Gateway, Shop
from benchmarks.system import TECHS, tech, tech_phone

_HOUR = 3_600_000_000  # microseconds: rows that wait are not due while anything is measured
_TABLES = ("inbound", "message", "delivery", "attempt")  # each with its own seq, and ids that begin with the inbound's
_COPIES = f"""
CREATE TEMP TABLE copy AS
WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < ?)
SELECT printf('copy%010d', n) AS id, n % {TECHS} AS tech FROM n
"""  # noqa: S608  # a number of ours


async def seed(folder: Path, count: int, *, done: bool) -> Path:
    """The database file, in `folder`, of a shop with so many mails whose texts have gone, or wait for another try."""
    async with (
        load.Sink(folder) as sink,
        Gateway(folder, Shop(relay=sink.port if done else free_port())) as gateway,
    ):
        await load.mails(gateway.port, 1, 1, keep_open=False)
        await (sink.holds(1) if done else _deferred(gateway))
    multiply(gateway.database, count)
    return gateway.database


async def _deferred(gateway: Gateway) -> None:
    """Waits until the relay that is not there was tried."""
    for _ in range(100):
        if '"attempts": 1' in await gateway.command("queue", "list", "--json"):
            return
    raise Failed(f"nothing was deferred: {gateway.said()}")


def multiply(database: Path, count: int) -> None:
    """Makes `count` mails of the one in the store, spread over the employees."""
    with contextlib.closing(apsw.Connection(str(database))) as store:
        store.pragma("synchronous", 0)
        ((seq, ident),) = store.execute("SELECT seq, id FROM inbound").fetchall()
        waits = "reason = 'retry', due_at = due_at + ?1, expires_at = expires_at + ?1"
        later = f"UPDATE delivery SET {waits} WHERE fate = 'waiting'"  # noqa: S608  # words of ours
        store.execute(later, (_HOUR,))
        store.execute(_COPIES, (count - 1,))
        with store:
            for table in _TABLES:
                _copy(store, table, str(ident))
            raw = (
                "INSERT INTO raw SELECT i.seq, r.raw FROM copy c JOIN inbound i USING (id) JOIN raw r ON r.inbound = ?"
            )
            store.execute(raw, (seq,))
            store.execute(
                "INSERT INTO fingerprint SELECT randomblob(length(f.digest)), f.recipient, f.at, c.id"
                " FROM fingerprint f, copy c"
            )
        store.pragma("wal_checkpoint(TRUNCATE)")


def _copy(store: apsw.Connection, table: str, ident: str) -> None:
    columns = store.execute(f'SELECT name, type FROM pragma_table_info("{table}")').fetchall()  # noqa: S608  # ours
    values = ", ".join(_value(str(name), str(kind)) for name, kind in columns)
    names = ", ".join(f'"{name}"' for name, _ in columns)
    store.execute(
        f"INSERT INTO {table} ({names}) SELECT {values} FROM {table} t, copy c",  # noqa: S608  # names of the schema
        {"ident": ident, "person": tech(0), "phone": tech_phone(0), "digits": tech_phone(0)[:-2]},
    )


def _value(name: str, kind: str) -> str:
    """What a copy has in a column: its own id, and its employee's name and phone."""
    if name == "seq":
        return "NULL"
    if name in ("bounce", "conversation"):  # tokens
        return "lower(hex(randomblob(6)))"
    if kind != "TEXT":
        return f't."{name}"'
    named = f'replace(t."{name}", :ident, c.id)'
    return f"replace(replace({named}, :person, 'tech' || c.tech), :phone, :digits || printf('%02d', c.tech))"


def place(database: Path, gateway: Gateway) -> None:
    """Puts a copy of a store where a gateway that is not started will find it."""
    gateway.database.parent.mkdir(parents=True, exist_ok=True)
    for file in database.parent.iterdir():
        if re.fullmatch(rf"{re.escape(database.name)}(-wal|-shm)?", file.name):
            shutil.copyfile(file, gateway.database.with_name(file.name))
