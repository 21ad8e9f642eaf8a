"""What is read of a phone's ledger says the same as the whole of it, however many mails have vouched for the phone."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, timedelta
from pathlib import Path

import apsw
from hypothesis import given
from hypothesis import strategies as st
from spooled import ANN, BEN, NOON, consent

from gateway.core import policy
from gateway.core.facts import Needs
from gateway.core.model import Consent
from gateway.spool import database, gather, rows
from gateway.spool.accept import enter

BRANDS = ("Example Auto", "Example Tires")
NUMBERS = ("", "+12025550150", "+12025550151")
METHODS = (policy.JOB_SYSTEM, policy.EMPLOYEE, "paper", "keyword", "mail", "import")
ACTIONS = ("stop", "start", "suspend", "resume", "block", "revoke")

moments = st.integers(0, 6).map(lambda n: NOON + timedelta(hours=n))
vouched = st.builds(
    replace,
    st.just(consent()),
    at=moments,
    brand=st.sampled_from(BRANDS),
    klass=st.sampled_from(("informational", "informational", "marketing")),
    method=st.just(policy.JOB_SYSTEM),
)
others = st.builds(
    replace,
    st.just(consent()),
    at=moments,
    brand=st.sampled_from(BRANDS),
    action=st.sampled_from((*ACTIONS, "grant", "grant")),
    klass=st.sampled_from(("informational", "marketing")),
    method=st.sampled_from(METHODS),
    number=st.sampled_from(NUMBERS),
    recorded_by=st.sampled_from(("twilio", policy.BY_MAIL)),
    evidence=st.sampled_from(("form 7", policy.NOT_VERIFIED)),
)
ledgers = st.lists(vouched | others, max_size=14).map(
    lambda entries: [replace(entry, id=f"c{n}") for n, entry in enumerate(entries)]
)


@functools.cache
def database_in_memory() -> apsw.Connection:
    connection = apsw.Connection(":memory:")
    database.migrate(connection, Path(":memory:"))
    return connection


def read(entries: Sequence[Consent]) -> tuple[tuple[Consent, ...], int, int]:
    """What is gathered of a ledger, the number of its newest row as told, and as it is."""
    connection = database_in_memory()
    connection.execute("BEGIN")
    try:
        enter(connection, [consent("before", phone=BEN), *entries, consent("behind", phone=BEN)])
        facts = gather.gather(connection, Needs(phones=frozenset({ANN, BEN})), NOON, UTC)
        newest = rows.one(connection, "SELECT max(seq) FROM consent WHERE phone = ?", (ANN,))
    finally:
        connection.execute("ROLLBACK")
    assert newest is not None
    return facts.consents[ANN], facts.ledger[ANN], newest[0] or 0


def ends(state: policy.Standing) -> tuple[object, ...]:
    """What an entry may have changed, as the words that go back tell it."""
    return state.stopped, state.revoked, state.suspended, state.blocked


@given(ledgers)
def test_a_phone_stands_by_what_is_read_as_it_does_by_the_whole_ledger(entries: list[Consent]) -> None:
    found, told, newest = read(entries)

    for brand in BRANDS:
        own = [entry for entry in entries if entry.brand == brand]  # as the answer to a question counts
        assert policy.standing(found, brand) == policy.standing(entries, brand)
        assert policy.standing([e for e in found if e.brand == brand], brand) == policy.standing(own, brand)
    assert told == newest


@given(ledgers)
def test_all_that_no_mail_vouched_for_is_read_in_its_order(entries: list[Consent]) -> None:
    found, _, _ = read(entries)

    assert [e for e in found if not policy.vouched(e)] == [e for e in entries if not policy.vouched(e)]
    assert list(found) == [e for e in entries if e in found]
    assert len([e for e in found if policy.vouched(e)]) == len({e.brand for e in entries if policy.vouched(e)})


@given(ledgers)
def test_what_one_entry_did_is_told_from_what_is_read(entries: list[Consent]) -> None:
    found, _, _ = read(entries)

    for n, entry in enumerate(entries):
        if not policy.vouched(entry):
            before = policy.standing(found[: found.index(entry)], BRANDS[0])
            assert ends(before) == ends(policy.standing(entries[:n], BRANDS[0]))


def test_a_thousand_mails_that_vouch_for_a_phone_are_one_entry_to_read() -> None:
    mails = [replace(consent(f"m{n}"), method=policy.JOB_SYSTEM) for n in range(1000)]
    found, told, newest = read([consent("paper"), *mails])

    assert [entry.id for entry in found] == ["paper", "m999"]
    assert told == newest
