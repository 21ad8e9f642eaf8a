"""Which moves change a fate: the whole table, and what holds for all of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from spooled import NOON, move

from gateway.core.model import BAD_ENDS, Fate
from gateway.spool.moves import may_move

ANY = frozenset(Fate)
LEFT = {Fate.SENDING, Fate.UNKNOWN, Fate.HELD}
RECEIPTS = {
    Fate.DELIVERED: ANY - {Fate.DELIVERED},
    Fate.HANDED_OVER: LEFT | {Fate.WAITING, Fate.EXPIRED, Fate.CANCELLED},
    Fate.FAILED: LEFT | {Fate.HANDED_OVER},
    Fate.REFUSED: LEFT | {Fate.HANDED_OVER},
    Fate.WAITING: set(),
    Fate.SENDING: set(),
    Fate.HELD: set(),
    Fate.UNKNOWN: set(),
}
ADMIN = {
    Fate.CANCELLED: {Fate.WAITING, Fate.HELD, Fate.UNKNOWN},
    Fate.REFUSED: {Fate.WAITING, Fate.HELD, Fate.UNKNOWN},
    Fate.WAITING: {Fate.WAITING, Fate.HELD, *BAD_ENDS},
    Fate.DELIVERED: set(),
    Fate.HANDED_OVER: set(),
}
STOP = {Fate.CANCELLED: {Fate.WAITING, Fate.HELD}, Fate.REFUSED: {Fate.WAITING, Fate.HELD}, Fate.WAITING: set()}
ANSWER = {Fate.CANCELLED: {Fate.WAITING}, Fate.WAITING: set(), Fate.DELIVERED: set()}
TABLE = [
    pytest.param(source, to, frozenset(expected), id=f"{source} {to}")
    for source, rows in (
        ("twilio", RECEIPTS),
        ("bounce", RECEIPTS),
        ("admin", ADMIN),
        ("stop", STOP),
        ("answer", ANSWER),
    )
    for to, expected in rows.items()
]
MOVES = st.builds(move, st.sampled_from(Fate), st.sampled_from(["twilio", "bounce", "admin", "stop", "answer"]))


@pytest.mark.parametrize(("source", "to", "expected"), TABLE)
def test_a_move_changes_only_these_fates(source: str, to: Fate, expected: frozenset[Fate]) -> None:
    assert {was for was in Fate if may_move(was, 1, move(to, source))} == expected


@given(MOVES, st.integers(0, 3))
def test_delivered_is_the_last_word(made, attempt: int) -> None:
    assert not may_move(Fate.DELIVERED, attempt, made)


@given(MOVES)
def test_no_command_reaches_what_is_being_sent(made) -> None:
    assert not (may_move(Fate.SENDING, 1, made) and made.source in ("admin", "stop", "answer"))


@pytest.mark.parametrize("source", ["admin", "answer"])
def test_a_move_of_the_due_time_changes_no_fate(source: str) -> None:
    assert {was for was in Fate if may_move(was, 1, move(Fate.WAITING, source, due_at=NOON))} == set()


@pytest.mark.parametrize("was", [Fate.WAITING, Fate.HELD, Fate.EXPIRED, Fate.CANCELLED])
def test_what_was_never_tried_cannot_have_been_handed_over(was: Fate) -> None:
    assert not may_move(was, 0, move(Fate.HANDED_OVER))
