"""No statement of the spool reads a large table from end to end."""

from __future__ import annotations

import re
from datetime import UTC, timedelta
from pathlib import Path

import apsw
from spooled import (
    ANN,
    NOON,
    OURS,
    carrier_mail,
    consent,
    conversation,
    delivery,
    end,
    hook,
    mail,
    media_file,
    message,
    move,
    prints,
    question,
)

from gateway.core.facts import Needs
from gateway.core.model import Fate
from gateway.core.work import Plan, Writes
from gateway.ports import Budget
from gateway.spool import accept, attempt, commit, due, gather, media, purge, views
from gateway.spool.rows import stamp

SCAN = re.compile(r"^SCAN (?!.*USING (COVERING )?INDEX)(?!.*CONSTANT ROW)")
PAGE = re.compile(r"ORDER\s+BY\s+(d\.)?seq( DESC)?\s+LIMIT :limit")
SMALL = re.compile(r"SCAN (spent|confirmation)")
# Rows of a bounded subquery, which has a line of its own, and a list inside of one row.
INNER = re.compile(r"SCAN (\(subquery-\d+\)|newest)$|SCAN json_each VIRTUAL TABLE")


def a_day(connection: apsw.Connection) -> None:
    """Every statement of the spool, run at least once."""
    until = stamp(NOON + timedelta(minutes=1))
    first, second = mail("m1"), mail("m2")
    accept.accept(connection, first, prints(first), [consent()])
    accept.unplanned(connection, 5, stamp(NOON), until)
    everything = Needs(
        phones=frozenset({ANN}),
        keys=frozenset({("jobs", ANN, "x")}),
        tokens=frozenset({"t"}),
        threads=frozenset({ANN}),
        deliveries=frozenset({"d"}),
        remote_ids=frozenset({("twilio", "SM1")}),
        bounces=frozenset({"b"}),
        employees=frozenset({"alice"}),
        senders=frozenset({"jobs"}),
        questions=frozenset({"q"}),
        asked=frozenset({ANN}),
        pairs=frozenset({(OURS, ANN)}),
        said=frozenset({ANN}),
        floods=frozenset({"jobs"}),
    )
    gather.gather(connection, everything, NOON, UTC)
    rows = Writes(
        messages=(message(),),
        deliveries=(delivery(), carrier_mail("m1.1.2")),
        conversations=(conversation(),),
        questions=(question(),),
        media=(media_file(),),
    )
    (paid, free) = commit.plan(connection, Plan(inbound="m1", writes=rows), NOON, until).leased
    accept.accept(connection, second, prints(second), ())
    budget = Budget(sender="jobs", day="2026-11-23", month="2026-11", per_day=9)
    for leased in (paid, free):
        attempt.start(connection, leased, NOON, 1, budget=budget, lease_until=until)
    attempt.settle(connection, end("accepted", Fate.HANDED_OVER, remote_id="SM1"), NOON, until)
    attempt.settle(connection, end("deferred", Fate.WAITING, delivery="m1.1.2"), NOON, None)
    due.due(connection, NOON, 9, frozenset(), until)
    due.next_due(connection, NOON)
    due.give_back(connection, "m1.1.2", NOON, "pacing")
    due.resume(connection, NOON, "@vtext.com", 10)
    due.paused(connection)
    moves = (move(Fate.DELIVERED, remote_id="SM2"), move(Fate.CANCELLED, "admin", delivery="m1.1.2"))
    commit.write(connection, Writes(moves=moves), NOON, until)
    commit.write(connection, Writes(moves=(move(Fate.WAITING, "admin", delivery="m1.1.2"),)), NOON, until)
    sooner = move(Fate.WAITING, "answer", delivery="m1.1.2", due_at=NOON)
    commit.write(connection, Writes(moves=(sooner,)), NOON, until)
    attempt.recover(connection, NOON, timedelta(seconds=20))
    accept.accept(connection, hook(), (), ())
    commit.plan(connection, Plan(inbound="twilio:SM1", parked="x"), NOON, until)
    accept.unpark(connection, "twilio:SM1")
    parts = (carrier_mail("m1.1.3", bounce="b1"), carrier_mail("m1.1.3-2"))
    commit.write(connection, Writes(deliveries=parts), NOON, None)
    for ident in ("talk1", "q1", "b1"):
        views.find(connection, "story", {"id": ident}, NOON)
    for view, keys in (("queue", {}), ("queue", {"all": True}), ("story", {"id": "m1"}), ("story", {"phone": ANN})):
        views.find(connection, view, dict(keys), NOON)
    views.find(connection, "queue", {"after": "m1.1.1"}, NOON)
    views.find(connection, "queue", {"after": "m1"}, NOON)
    views.find(connection, "held", {"sender": "jobs"}, NOON)
    views.find(connection, "raw", {"id": "m1"}, NOON)
    for view in ("consents", "conversations", "questions"):
        views.find(connection, view, {"phone": ANN}, NOON)
        views.find(connection, view, {}, NOON)
    media.served(connection, "f1", NOON)
    purge.sizes(connection, Path(connection.filename), NOON, purge.Ended())
    purge.purge(connection, NOON + timedelta(days=900), {"raw": 1, "done": 1, "conversations": 1}, 10)


def test_every_statement_finds_its_rows_by_an_index(connection: apsw.Connection) -> None:
    seen: dict[str, apsw.Bindings] = {}

    def keep(_: apsw.Cursor, sql: str, bindings: apsw.Bindings | None) -> bool:
        seen[sql] = bindings or ()
        return True

    connection.set_exec_trace(keep)
    a_day(connection)
    connection.set_exec_trace(None)
    slow = {
        sql: detail
        for sql, bindings in seen.items()
        if not sql.startswith("PRAGMA")
        for *_, detail in connection.execute("EXPLAIN QUERY PLAN " + sql, bindings)
        if SCAN.match(detail) and not SMALL.match(detail) and not INNER.match(detail)
    }

    assert len(seen) > 60
    # Pages of a table in its own order read no more than the page.
    assert {sql: slow[sql] for sql in slow if not PAGE.search(sql)} == {}
