"""Statuses and bounces through plan.make."""

from __future__ import annotations

from typing import Any

import pytest
from outbox import carried, message, paid
from shop import BOB, DOMAIN, JOBS, facts, mail, planned, reading, status_in

from gateway.core.facts import Facts
from gateway.core.incoming import FATES
from gateway.core.model import Fate, MailAddr
from gateway.core.work import Delivery, Move, Plan, Writes

TOKEN = "aaaaaaaaaaaaaaaa"


def after(status: str, delivery: Delivery, **event: Any) -> Writes:
    known = facts(deliveries={"m1.1.1": delivery}, messages={"m1.1": message()})
    return planned(status_in(status, **event), known).writes


@pytest.mark.parametrize("status", sorted(FATES))
def test_a_status_moves_the_delivery_that_its_address_names(status: str) -> None:
    writes = after(status, paid(fate=Fate.UNKNOWN))
    note = f"twilio says {status}"

    assert (
        Move(delivery="m1.1.1", fate=FATES[status], note=note, remote_id="SM1", source="twilio", attempt=1),
    ) == writes.moves


def test_a_polled_status_is_found_by_its_remote_id() -> None:
    known = facts(by_remote={("twilio", "SM1"): paid()})
    writes = planned(status_in("sent", delivery="", attempt=0), known).writes

    assert ["m1.1.1"] == [m.delivery for m in writes.moves]


@pytest.mark.parametrize(
    "known",
    [facts(), facts(deliveries={"m1.1.1": carried()})],
    ids=["unknown", "another courier's"],
)
def test_a_status_of_nothing_of_ours_changes_nothing_and_leaves_a_note(known: Facts) -> None:
    made = planned(status_in("failed"), known)

    assert Writes() == made.writes
    assert "no text of ours" in made.note


@pytest.mark.parametrize(
    ("status", "fate", "told"),
    [
        pytest.param("failed", Fate.SENDING, True, id="under way"),
        pytest.param("undelivered", Fate.HANDED_OVER, True, id="handed over"),
        pytest.param("failed", Fate.UNKNOWN, True, id="being looked up"),
        pytest.param("failed", Fate.HELD, True, id="held"),
        pytest.param("canceled", Fate.HANDED_OVER, True, id="taken back"),
        pytest.param("failed", Fate.FAILED, False, id="known already"),
        pytest.param("failed", Fate.DELIVERED, False, id="delivered wins"),
        pytest.param("failed", Fate.WAITING, False, id="it will be sent again"),
        pytest.param("delivered", Fate.HANDED_OVER, False, id="no bad end"),
        pytest.param("sent", Fate.HANDED_OVER, False, id="no end"),
    ],
)
def test_a_bad_end_is_told_once(status: str, fate: Fate, told: bool) -> None:
    writes = after(status, paid(fate=fate), code="30005")

    assert 1 == len(writes.moves)
    assert [JOBS] * told == [d.to for d in writes.deliveries]
    assert all("no longer exists (Twilio 30005)" in m.text for m in writes.messages)


def test_the_bad_end_of_an_earlier_attempt_is_no_news() -> None:
    later = paid(fate=Fate.HANDED_OVER, attempt=2)

    assert Writes() == after("failed", later)
    assert [Fate.DELIVERED] == [m.fate for m in after("delivered", later).moves]
    assert [Fate.FAILED] == [m.fate for m in after("failed", later, attempt=2).moves]
    assert [Fate.FAILED] == [m.fate for m in after("failed", later, attempt=0).moves]


def test_a_status_whose_message_is_gone_moves_the_delivery_alone() -> None:
    writes = planned(status_in("failed"), facts(deliveries={"m1.1.1": paid()})).writes

    assert (1, ()) == (len(writes.moves), writes.deliveries)


def bounced(delivery: Delivery | None, *report: str, gone: bool = False) -> Plan:
    by_bounce = {TOKEN: delivery} if delivery else {}
    text = message(phone=BOB, person="bob", recipient=f"bob@{DOMAIN}")
    known = facts(by_bounce=by_bounce, messages={} if gone else {"m1.1": text})
    read = reading(bounce=report, report=True, author=MailAddr("mailer-daemon@vtext.com"))  # type: ignore[arg-type]
    return planned(mail(f"b-{TOKEN}", mail_from="", sender=""), known, read=read)


@pytest.mark.parametrize("fate", [Fate.HANDED_OVER, Fate.SENDING])
def test_a_bounce_ends_the_delivery_and_is_told(fate: Fate) -> None:
    writes = bounced(carried(fate=fate, ways=()), "failed", "5.2.2", "it is full").writes

    assert (
        Move(delivery="m1.1.1", fate=Fate.FAILED, code="5.2.2", note="bounced: it is full", source="bounce"),
    ) == writes.moves
    assert [JOBS] == [d.to for d in writes.deliveries]
    assert "Why: the mail to 2025550112@vtext.com came back: it is full" in writes.messages[0].text


@pytest.mark.parametrize("fate", [Fate.FAILED, Fate.WAITING, Fate.CANCELLED])
def test_a_bounce_of_what_ended_or_is_sent_again_is_kept_and_not_told(fate: Fate) -> None:
    writes = bounced(carried(fate=fate), "failed", "5.1.1", "no such user").writes

    assert (1, ()) == (len(writes.moves), writes.deliveries)


def test_a_bounce_whose_message_is_gone_moves_the_delivery_alone() -> None:
    writes = bounced(carried(fate=Fate.HANDED_OVER), "failed", "", "gone", gone=True).writes

    assert (1, ()) == (len(writes.moves), writes.deliveries)


@pytest.mark.parametrize(
    ("delivery", "report"),
    [
        pytest.param(None, ("failed", "5.1.1", "no such user"), id="of no mail of ours"),
        pytest.param(carried(fate=Fate.HANDED_OVER), (), id="not a report"),
        pytest.param(
            carried(fate=Fate.HANDED_OVER, phone=None), ("delayed", "4.4.1", "busy"), id="a mail that is late"
        ),
    ],
)
def test_what_reports_no_failure_changes_nothing_and_leaves_a_note(
    delivery: Delivery | None, report: tuple[str, ...]
) -> None:
    made = bounced(delivery, *report)

    assert Writes() == made.writes
    assert "no failure of a mail of ours is reported" in made.note
