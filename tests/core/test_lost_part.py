"""A carrier's text of several mails that loses one of them: the rest is not sent."""

from __future__ import annotations

import pytest
from outbox import carried, paid

from gateway.core import another, verdict
from gateway.core.facts import Facts
from gateway.core.model import BAD_ENDS, Fate
from gateway.core.work import Delivery, Settlement, Writes

THIRD = carried(id="m1.1.1-3", fate=Fate.WAITING)


def judged(*known: Delivery) -> Settlement | None:
    return verdict.superseded(THIRD, Facts(deliveries={d.id: d for d in (THIRD, *known)}))


@pytest.mark.parametrize("lost", ["m1.1.1", "m1.1.1-2"])
@pytest.mark.parametrize("fate", sorted(BAD_ENDS))
def test_what_waits_behind_a_lost_part_is_not_sent_and_tells_nobody_again(fate: Fate, lost: str) -> None:
    found = judged(carried(id=lost, fate=fate, note="the mailbox is full"))

    assert found is not None
    assert (Fate.CANCELLED, Writes()) == (found.fate, found.writes)
    assert "an earlier part could not be sent: the mailbox is full" == found.note


@pytest.mark.parametrize("fate", sorted(set(Fate) - BAD_ENDS))
def test_a_part_goes_while_those_before_it_have_not_ended_badly(fate: Fate) -> None:
    assert None is judged(carried(fate=fate), carried(id="m1.1.1-2", fate=fate))


def test_what_comes_behind_a_part_says_nothing_of_it() -> None:
    assert None is judged(carried(id="m1.1.1-4", fate=Fate.FAILED))


@pytest.mark.parametrize(
    ("other", "note"),
    [
        (Fate.WAITING, "the whole text goes by twilio"),
        (Fate.DELIVERED, "the whole text goes by twilio"),
        (Fate.FAILED, "an earlier part could not be sent: no such user"),
    ],
)
def test_the_rest_of_a_lost_text_says_whether_it_goes_another_way(other: Fate, note: str) -> None:
    found = judged(carried(fate=Fate.FAILED, note="no such user"), paid(id="m1.1.2", fate=other))

    assert found is not None
    assert (Fate.CANCELLED, note) == (found.fate, found.note)


def test_a_fallback_that_failed_does_not_end_parts_of_which_none_is_lost() -> None:
    assert None is judged(carried(fate=Fate.HANDED_OVER), paid(id="m1.1.2", fate=Fate.FAILED))


@pytest.mark.parametrize(
    ("id_", "earlier"),
    [
        ("m1.1.1", ()),
        ("m1.1.1-2", ("m1.1.1",)),
        ("m1.1.1-4", ("m1.1.1", "m1.1.1-2", "m1.1.1-3")),
    ],
)
def test_the_earlier_parts_of_a_mail_are_known_by_their_ids(id_: str, earlier: tuple[str, ...]) -> None:
    assert earlier == another.earlier_parts(carried(id=id_))
