from __future__ import annotations

from outbox import message, paid
from shop import BOB, MARIA, NOON, entry, facts, talk

from gateway.core.facts import NOTHING, Facts, Needs
from gateway.core.work import NO_WRITES, Writes


def test_needs_joined_ask_for_both() -> None:
    one = Needs(phones=frozenset({MARIA}), tokens=frozenset({"a"}), fresh=2)
    other = Needs(phones=frozenset({BOB}), employees=frozenset({"bob"}), fresh=3)

    assert Needs(
        phones=frozenset({MARIA, BOB}), tokens=frozenset({"a"}), employees=frozenset({"bob"}), fresh=5
    ) == one.joined(other)


def test_of_facts_that_were_read_twice_the_later_stand() -> None:
    first = Facts(
        consents={MARIA: ()},
        conversations=(talk(id="a"), talk(id="b")),
        deliveries={"m1.1.1": paid()},
        messages={"m1.1": message()},
        ledger={MARIA: 1},
        fresh=("x",),
    )
    later = facts(entry("grant"), conversations=(talk(id="b", heard_at=NOON),), ledger={MARIA: 2}, fresh=("y",))
    found = first.joined(later)

    assert (entry("grant"),) == found.consents[MARIA]
    assert (talk(id="b", heard_at=NOON), talk(id="a")) == found.conversations
    assert ({MARIA: 2}, ("x", "y")) == (found.ledger, found.fresh)
    assert ({"m1.1.1": paid()}, {"m1.1": message()}) == (found.deliveries, found.messages)


def test_of_two_versions_of_a_conversation_the_later_is_written() -> None:
    one = Writes(messages=(message(),), conversations=(talk(),))
    other = Writes(deliveries=(paid(),), consents=(entry("stop"),), conversations=(talk(heard_at=NOON),))

    assert Writes(
        messages=(message(),),
        deliveries=(paid(),),
        consents=(entry("stop"),),
        conversations=(talk(heard_at=NOON),),
    ) == one.joined(other)


def test_nothing_joined_changes_nothing() -> None:
    needs, writes = Needs(phones=frozenset({MARIA}), fresh=2), Writes(messages=(message(),), conversations=(talk(),))

    assert needs == needs.joined(NOTHING) == NOTHING.joined(needs) == needs.joined(Needs())
    assert writes == writes.joined(NO_WRITES) == NO_WRITES.joined(writes) == writes.joined(Writes())
