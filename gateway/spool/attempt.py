"""An attempt: its intent before the wire, its end after it, and what is left of it when its owner died."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import apsw

from gateway.core.model import Fate
from gateway.core.work import Delivery, Plan, Settlement
from gateway.ports import Budget, Committed, Recovered, Started
from gateway.spool.commit import apply, leases, plan
from gateway.spool.due import hasten_behind, put_off_behind
from gateway.spool.recent import WELL, introduce
from gateway.spool.remote import MAIL, Bound, bind, owner
from gateway.spool.rows import Row, every, maybe_stamp, one, span, stamp

MAX_RESENDS = 2  # P5: of one mail, after ambiguous ends
ENDED = "the gateway ended during the attempt; whether it was taken is not known"
ENDS = frozenset({"accepted", "deferred", "refused", "unclear"})
LOOKUPS = frozenset({"found", "not_found", "lookup_failed"})
_NOT_TAKEN = frozenset({"deferred", "refused"})
_TAKEN = frozenset({"accepted", "found"})

# The ledger by consent_said: what a sender vouches for, one row for each mail, forbids no text.
_STATE = """
SELECT seq, fate, attempt, lease_until IS NOT NULL, segments, released, coalesce((SELECT max(c.seq) FROM consent AS c
  INDEXED BY consent_said WHERE c.phone = delivery.phone AND (c.action <> 'grant' OR c.method <> 'job_system' OR
  c.klass <> 'informational')), 0) FROM delivery WHERE id = ?
"""
_START = """
UPDATE delivery SET fate = 'sending', attempt = attempt + 1, posted_at = ?, lookups = 0, reason = '', charged = ?,
  lease_until = ? WHERE seq = ?
"""
# What the person sees last is what he answers: a text that is held has not been said.
_TEXTED = """
UPDATE conversation SET texted_at = :now, text = m.text FROM delivery AS d, message AS m WHERE d.id = :delivery
  AND d.kind = 'text' AND m.id = d.message AND m.conversation <> '' AND conversation.id = m.conversation
  AND coalesce(conversation.texted_at, 0) <= :now
"""
_SPENT = "SELECT segments, alarmed FROM spent WHERE sender = ? AND period = ?"
_CHARGE = """
INSERT INTO spent (sender, period, segments, alarmed) VALUES (?, ?, ?, ?) ON CONFLICT (sender, period) DO UPDATE
  SET segments = segments + excluded.segments, alarmed = excluded.alarmed
"""
_REFUND = "UPDATE spent SET segments = max(0, segments - ?) WHERE sender = ? AND period = ?"
_RUNNING = """
SELECT fate, attempt, courier, lane, remote_id, posted_at, resends, charged, sender, segments, due_at, number, seq FROM
  delivery WHERE id = ?
"""
_SETTLE = """
UPDATE delivery SET fate = ?, due_at = ?, reason = ?, code = ?, note = ?, lookups = ?, resends = ?, charged =
  iif(?, '', charged), remote_id = coalesce(nullif(?, ''), remote_id), lease_until = NULL WHERE seq = ?
"""
# By delivery_lane: most have none behind them.
_OPEN_IN_LANE = """
SELECT 1 FROM delivery INDEXED BY delivery_lane WHERE lane = ? AND fate IN ('waiting', 'sending', 'unknown') LIMIT 1
"""
_HISTORY = """
INSERT INTO attempt (delivery, attempt, started_at, ended_at, outcome, code, note, remote_id, ms) VALUES (?, ?, ?,
  ?, ?, ?, ?, ?, ?)
"""
_HAS_ENDED = """
SELECT 1 FROM attempt WHERE delivery = ? AND attempt = ? AND outcome IN
  ('accepted','deferred','refused','unclear')
"""
_REMARK = "UPDATE delivery SET note = note || ? WHERE id = ?"
# Both by indexes that hold little else than these.
_END_INBOUND = "UPDATE inbound SET lease_until = NULL WHERE planned_at IS NULL AND lease_until <= ?"
_LEASED = """
SELECT id, fate, courier, attempt, posted_at, resends FROM delivery INDEXED BY delivery_leased WHERE lease_until
  IS NOT NULL AND lease_until <= ?
"""
_END_LEASE = "UPDATE delivery SET lease_until = NULL WHERE id = ?"
_ABANDONED = """
UPDATE delivery SET fate = ?, due_at = ?, reason = ?, note = ?, lookups = 0, resends = ?, lease_until = NULL WHERE
  id = ?
"""


def plan_and_start(
    connection: apsw.Connection, made: Plan, starts: Mapping[str, int], now: datetime, lease_until: int
) -> Committed:
    """Commits a plan, and the intents of those of its deliveries that can leave now; `starts`: id -> ledger."""
    committed = plan(connection, made, now, lease_until)
    leased, started = [], []
    for delivery in committed.leased:
        ledger = starts.get(delivery.id)
        if ledger is not None and start(connection, delivery, now, ledger, budget=None, lease_until=lease_until).done:
            started.append(replace(delivery, fate=Fate.SENDING, attempt=delivery.attempt + 1, posted_at=now))
        else:
            leased.append(delivery)
    return replace(committed, leased=tuple(leased), started=tuple(started))


def start(
    connection: apsw.Connection,
    delivery: Delivery,
    now: datetime,
    ledger: int,
    *,
    budget: Budget | None,
    lease_until: int,
) -> Started:
    """Marks the delivery as leaving, if nothing has changed since it was decided."""
    row = one(connection, _STATE, (delivery.id,))
    if row is None:
        return Started(done=False, reason="stale")
    seq, fate, attempt, leased, segments, released, newest = row
    if fate != Fate.WAITING or attempt != delivery.attempt or not leased:
        return Started(done=False, reason="stale")
    if newest > ledger:
        return Started(done=False, reason="ledger")
    counted = Started(done=True)
    if budget is not None:
        counted = _charge(connection, budget, segments, released=bool(released))
    if counted.done:
        charged = "" if budget is None else f"{budget.sender}\n{budget.day}\n{budget.month}"
        connection.execute(_START, (stamp(now), charged, lease_until, seq))
        connection.execute(_TEXTED, {"now": stamp(now), "delivery": delivery.id})
    return counted


def _charge(connection: apsw.Connection, budget: Budget, segments: int, *, released: bool) -> Started:
    """Counts the segments for day and month, or nothing when one of the two has no room.

    What a person released is counted over the bound too.  The alarm comes once a period for half of the bound and once
    for the first text that is refused.
    """
    bounds = ((budget.day, budget.per_day), (budget.month, budget.per_month))
    state = [one(connection, _SPENT, (budget.sender, period)) or (0, 0) for period, _ in bounds]
    over = [not released and 0 < bound < spent + segments for (_, bound), (spent, _) in zip(bounds, state, strict=True)]
    room = not any(over)
    alarm = False
    totals = []
    for (period, bound), (spent, alarmed), full in zip(bounds, state, over, strict=True):
        total = spent + segments if room else spent
        level = 2 if full else 1 if room and bound and total * 2 >= bound else 0
        alarm = alarm or level > alarmed
        if room or level > alarmed:
            connection.execute(_CHARGE, (budget.sender, period, total - spent, max(level, alarmed)))
        totals.append(total)
    reason = "" if room else "budget"
    return Started(done=room, reason=reason, spent_day=totals[0], spent_month=totals[1], alarm=alarm)


def settle(connection: apsw.Connection, s: Settlement, now: datetime, lease_until: int | None) -> Committed:
    """Commits the end of the attempt that is fenced by its number, then what follows from it."""
    row = one(connection, _RUNNING, (s.delivery,))
    if row is None or row[1] != s.attempt:
        return Committed(done=False)
    was, courier, lane, known = Fate(row[0]), row[2], row[3], row[4]
    if s.outcome == "found" and (other := _of_another(connection, courier, s)):
        return Committed(done=False, bound_to=other)
    running = was in (Fate.SENDING, Fate.UNKNOWN) or (was is Fate.WAITING and s.outcome not in ENDS | LOOKUPS)
    if not running and not _first_end(connection, s):
        return Committed(done=False)
    if running:
        _end(connection, s, row)
    bound = Bound()
    if s.remote_id and not (running and courier == MAIL):
        bound = bind(connection, courier, s.remote_id, s.delivery, known=known)
    if bound.other:
        connection.execute(_REMARK, (f" ({s.remote_id} belongs to {bound.other})", s.delivery))
    _remember(connection, s, row[5], now)
    if not running and not (was in WELL and s.fate in WELL):
        return Committed(done=False, doubled=bound.doubled)
    if s.outcome in _TAKEN and s.fate in WELL and courier != MAIL:
        introduce(connection, s.delivery, now)
    lanes = {lane: None} if one(connection, _OPEN_IN_LANE, (lane,)) else {}
    if lanes and running and row[11].startswith("@"):
        _lead(connection, s, row[10] if s.due_at is None else stamp(s.due_at), now)
    applied = apply(connection, s.writes, "", now, lease_until)
    leased = () if lease_until is None else leases(connection, {**lanes, **applied.lanes}, now, lease_until)
    doubled = bound.doubled + applied.doubled
    return Committed(done=True, leased=leased, moved=applied.moved, bound_to=bound.other, doubled=doubled)


def _of_another(connection: apsw.Connection, courier: str, s: Settlement) -> str:
    other = owner(connection, courier, s.remote_id)
    return "" if other == s.delivery else other


def _first_end(connection: apsw.Connection, s: Settlement) -> bool:
    """Whether a receipt was faster than this first end of the attempt: then it is history, and agrees or not."""
    return s.outcome in ENDS and one(connection, _HAS_ENDED, (s.delivery, s.attempt)) is None


def _end(connection: apsw.Connection, s: Settlement, row: Row) -> None:
    due_at = row[10] if s.due_at is None else stamp(s.due_at)
    refund = s.outcome in _NOT_TAKEN and row[7] != ""
    if refund:  # what was proven not taken costs nothing
        sender, *periods = row[7].split("\n")
        connection.executemany(_REFUND, [(row[9], sender, period) for period in periods])
    resends = max(row[6], s.resends)  # the bound on resends holds whatever a settlement forgets
    answer = s.remote_id if row[2] == MAIL else ""  # of the next hop: no id that is bound, see remote.bind
    state = (s.fate.value, due_at, s.reason, s.code, s.note, s.lookups, resends, int(refund))
    connection.execute(_SETTLE, (*state, answer, row[12]))


def _lead(connection: apsw.Connection, s: Settlement, due_at: int, now: datetime) -> None:
    """The further mails of a carrier's text follow this one."""
    if s.fate is Fate.WAITING:
        put_off_behind(connection, s.delivery, due_at)
    else:
        hasten_behind(connection, s.delivery, stamp(now))


def _remember(connection: apsw.Connection, s: Settlement, posted_at: int | None, now: datetime) -> None:
    started = posted_at if s.outcome in ENDS and posted_at is not None else stamp(now) - s.ms * 1000
    row = (s.delivery, s.attempt, started, stamp(now), s.outcome, s.code, s.note, s.remote_id, s.ms)
    connection.execute(_HISTORY, row)


def recover(
    connection: apsw.Connection, now: datetime, first_lookup: timedelta, *, until: datetime | None = None
) -> Recovered:
    """Ends leases: all of them, or with `until` those that ended by then.

    Carrier mail goes back to the queue, at most MAX_RESENDS times, then it is held; a paid text is looked up.
    """
    latest = maybe_stamp(until) or 2**62
    connection.execute(_END_INBOUND, (latest,))
    leased = every(connection, _LEASED, (latest,))
    sending = [row for row in leased if row[1] == Fate.SENDING]
    connection.executemany(_END_LEASE, [(row[0],) for row in leased])
    return Recovered(attempts=len(sending), held=tuple(_abandon(connection, sending, now, first_lookup)))


def _abandon(connection: apsw.Connection, sending: Sequence[Row], now: datetime, first_lookup: timedelta) -> list[str]:
    at = stamp(now)
    held = []
    for id_, _, courier, attempt, posted_at, resends in sending:
        if courier != MAIL:
            state = ("unknown", posted_at + span(first_lookup), "lookup", ENDED, resends)
        elif resends < MAX_RESENDS:
            state = ("waiting", at, "retry", ENDED, resends + 1)
        else:
            state = ("held", at, "unknown", ENDED, resends)
            held.append(id_)
        connection.execute(_ABANDONED, (*state, id_))
        connection.execute(_HISTORY, (id_, attempt, posted_at, at, "unclear", "", ENDED, "", (at - posted_at) // 1000))
    return held
