"""Who sent a mail hears what he asked for, and of success no more than is known."""

from __future__ import annotations

import email
from dataclasses import replace
from datetime import timedelta

import pytest
from outbox import carried, message, paid
from shop import BOB, JOBS, MINUTE, NOON, RULES, facts

from gateway.core import dsn, verdict
from gateway.core.model import Fate, Kind
from gateway.core.rules import PolicyRules
from gateway.core.work import Accepted, Deferred, Delivery, MailParcel, Message, Writes


def to_bob(notify: str = "SUCCESS,FAILURE,DELAY") -> Message:
    return message(phone=BOB, person="bob", recipient="bob@sms.example.com", notify=notify)


def fields(writes: Writes) -> list[dict[str, str]]:
    """The recipient's part of each report (RFC 3464 2.3)."""
    found = []
    for delivery in writes.deliveries:
        assert isinstance(delivery.parcel, MailParcel)
        mail = email.message_from_bytes(delivery.parcel.data)
        (part,) = [p for p in mail.walk() if p.get_content_type() == "message/delivery-status"]
        found.append(dict(part.get_payload()[1].items()))
    return found


def accepted(delivery: Delivery, about: Message, *known: Delivery) -> Writes:
    told = facts(deliveries={d.id: d for d in known})
    return verdict.judge(delivery, about, Accepted(note="250 queued"), RULES, NOON, told).writes


def test_a_carriers_250_is_relayed_and_never_delivered() -> None:
    made = accepted(carried(), to_bob())

    (report,) = fields(made)
    assert (report["Action"], report["Status"]) == ("relayed", "2.0.0")
    assert report["Final-Recipient"] == "rfc822; bob@sms.example.com"
    assert [(m.id, m.kind, m.recipient) for m in made.messages] == [(f"{to_bob().id}.relayed", Kind.REPORT, JOBS)]
    assert "Whether the phone has it is not known" in made.messages[0].text


@pytest.mark.parametrize("notify", ["", "NEVER", "FAILURE", "FAILURE,DELAY"])
def test_success_that_nobody_asked_for_is_not_told(notify: str) -> None:
    assert accepted(carried(), to_bob(notify)) == Writes()


def test_a_text_in_parts_is_relayed_with_the_last_of_them() -> None:
    first, second = carried(), carried(id=f"{carried().message}.1-2")

    assert accepted(first, to_bob(), second) == Writes()
    assert [f["Action"] for f in fields(accepted(second, to_bob()))] == ["relayed"]


def test_that_a_provider_took_a_text_is_told_to_nobody() -> None:
    assert accepted(paid(), message(notify="SUCCESS")) == Writes()


def test_a_receipt_makes_it_delivered() -> None:
    made = dsn.delivered(to_bob(), "twilio", RULES, NOON)

    assert [(f["Action"], f["Status"]) for f in fields(made)] == [("delivered", "2.0.0")]


@pytest.mark.parametrize(
    ("after", "notify", "told"),
    [
        pytest.param(timedelta(minutes=59), "DELAY", [], id="not late yet"),
        pytest.param(timedelta(hours=1), "DELAY", ["delayed"], id="a quarter of its time is over"),
        pytest.param(timedelta(hours=1), "FAILURE", [], id="nobody asked"),
    ],
)
def test_a_text_that_is_late_is_told_where_it_was_asked_for(after: timedelta, notify: str, told: list[str]) -> None:
    # Without another way: it would have gone by the provider long before.
    delivery = carried(ways=(), expires_at=NOON + timedelta(hours=4))
    end = verdict.judge(delivery, to_bob(notify), Deferred(reason="try later", code="4.4.1"), RULES, NOON + after)

    assert end.fate is Fate.WAITING
    assert [f["Action"] for f in fields(end.writes)] == told


@pytest.mark.parametrize("hours", [2, 8])
def test_when_it_is_late_follows_from_its_own_time_whatever_is_configured_since(hours: int) -> None:
    told = replace(RULES, policy=PolicyRules(expires_after=timedelta(hours=hours)))
    delivery = carried(ways=(), lifetime=timedelta(hours=4))
    ends = [
        verdict.judge(delivery, to_bob("DELAY"), Deferred(reason="try later"), told, NOON + n * MINUTE)
        for n in (59, 60)
    ]

    assert [0, 1] == [len(end.writes.deliveries) for end in ends]


def test_each_thing_is_told_once_whatever_is_tried_again() -> None:
    delivery = carried(ways=(), expires_at=NOON + timedelta(hours=4))
    late = Deferred(reason="try later", code="4.4.1")
    ends = [verdict.judge(delivery, to_bob(), late, RULES, NOON + timedelta(hours=1) + n * MINUTE) for n in range(3)]

    assert len({d.id for end in ends for d in end.writes.deliveries}) == 1


@pytest.mark.parametrize(
    ("notify", "kept"),
    [
        ("", ""),
        ("SUCCESS", "NEVER"),
        ("SUCCESS,FAILURE", "FAILURE"),
        ("FAILURE,DELAY,SUCCESS", "FAILURE,DELAY"),
        ("NEVER", "NEVER"),
    ],
)
def test_what_a_group_was_asked_to_tell_of_its_members(notify: str, kept: str) -> None:
    assert dsn.unasked(notify) == kept
