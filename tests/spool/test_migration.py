"""An old database with rows is brought to the newest schema and loses nothing."""

from __future__ import annotations

import json
from pathlib import Path

import apsw
import pytest
from spooled import ANN, BEN, NOON, consent, delivery, message

from gateway.core.facts import Needs
from gateway.core.work import TextParcel, Writes
from gateway.spool import commit, copy, database, gather, rows
from gateway.spool.rows import stamp

ROW = (
    "INSERT INTO consent (seq, id, brand, phone, at, action, klass, method, evidence, disclosure, recorded_by, raw)"
    " VALUES (?, ?, 'Example Auto', ?, ?, ?, 'informational', 'paper', 'form 7', '', '', '')"
)


@pytest.fixture
def old(path: Path) -> Path:
    """A database of schema 3: a ledger whose counter is ahead of its rows, a text with its delivery."""
    opened = apsw.Connection(str(path))
    for number, statements in database.migrations()[:3]:
        opened.execute(statements)
        opened.pragma("user_version", number)
    opened.execute(ROW, (4, "c1", ANN, stamp(NOON), "grant"))
    opened.execute(ROW, (9, "c2", ANN, stamp(NOON), "stop"))
    opened.execute("UPDATE sqlite_sequence SET seq = 30 WHERE name = 'consent'")
    _insert(opened, "message", rows.MESSAGE, rows.message_row(message())[:-1])
    names = rows.delivery_row(delivery())
    parcel = json.loads(names[-3])
    del parcel["media"]
    _insert(opened, "delivery", rows.DELIVERY, (*names[:-3], json.dumps(parcel), None), lifetime=names[-1])
    opened.close()
    return path


def _insert(opened: apsw.Connection, table: str, select: str, values: tuple[object, ...], **more: object) -> None:
    listed = select.partition("FROM")[0].replace("SELECT", "").split(",")
    columns = [column.partition(".")[2].strip() for column in listed][: len(values)]
    names, cells = [*columns, *more], [*values, *more.values()]
    opened.execute(f"INSERT INTO {table} ({', '.join(names)}) VALUES ({', '.join('?' * len(cells))})", cells)


def test_the_ledger_of_an_old_database_keeps_its_rows_its_order_and_its_counter(old: Path) -> None:
    connection = database.connect(old)
    kept = gather.gather(connection, Needs(phones=frozenset({ANN, BEN})), NOON, NOON.tzinfo)  # type: ignore[arg-type]
    commit.write(connection, Writes(consents=(consent("c3", "block", number="+12025550100"),)), NOON, None)

    assert kept.consents == {ANN: (consent("c1"), consent("c2", "stop")), BEN: ()}
    assert kept.ledger == {ANN: 9, BEN: 0}
    assert connection.execute("SELECT seq FROM consent ORDER BY seq").fetchall() == [(4,), (9,), (31,)]
    assert connection.execute("SELECT name FROM sqlite_sequence").fetchall() == [("consent",)]
    connection.close()
    assert copy.check(old) == []


def test_the_ledger_of_an_old_database_stays_append_only(old: Path) -> None:
    connection = database.connect(old)
    for statement in (
        "DELETE FROM consent",
        "UPDATE consent SET action = 'grant'",
        "REPLACE INTO consent SELECT * FROM consent",
    ):
        with pytest.raises(apsw.ConstraintError, match="append-only"):
            connection.execute(statement)
    with pytest.raises(apsw.ConstraintError, match="CHECK"):
        connection.execute(
            ROW.replace("raw)", "raw, number)").replace("'', '')", "'', '', '')"), (50, "c9", ANN, 0, "x")
        )
    connection.close()


def test_an_old_and_a_fresh_database_have_the_same_shape(old: Path, tmp_path: Path) -> None:
    shapes = []
    for path in (old, tmp_path / "fresh.db"):
        connection = database.connect(path)
        shapes.append(connection.execute("SELECT type, name, sql FROM sqlite_schema ORDER BY name").fetchall())
        connection.close()

    assert shapes[0] == shapes[1]


def test_the_counter_of_an_empty_ledger_starts_at_one(connection: apsw.Connection) -> None:
    commit.write(connection, Writes(consents=(consent(),)), NOON, None)

    assert connection.execute("SELECT seq FROM consent").fetchall() == [(1,)]


def test_texts_of_an_old_database_are_read_without_pictures(old: Path) -> None:
    connection = database.connect(old)
    facts = gather.gather(connection, Needs(deliveries=frozenset({"m1.1.1"})), NOON, NOON.tzinfo)  # type: ignore[arg-type]
    connection.close()

    assert facts.deliveries == {"m1.1.1": delivery()}
    assert facts.messages == {"m1.1": message()}
    assert isinstance(facts.deliveries["m1.1.1"].parcel, TextParcel)
