"""Alarms by text to an employee's phone: they fall back like other texts; what nothing brings is told by mail."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import shop
from outbox import words
from shop import ADMIN, ALICE, BOB, MINUTE, NOON, facts, mail, planned, reading

from gateway.core import notice, verdict
from gateway.core.intent import needs, understand
from gateway.core.model import Fate, Kind, MailAddr
from gateway.core.rules import Rules
from gateway.core.work import Delivery, MailParcel, Message, Refused, Writes

TOLD = shop.rules(alarm_to=(str(BOB),))
BOTH = shop.rules(alarm_to=(str(BOB), ADMIN))
TOKEN = "aaaaaaaaaaaaaaaa"


def raised(told: Rules = TOLD, *tokens: str, **options: Any) -> Writes:
    return notice.alarm("down.1", "The number is paused", "", told, NOON, {}, tokens=iter(tokens), **options)


def to_bob(made: Writes) -> tuple[Message, Delivery]:
    (delivery,) = [d for d in made.deliveries if d.phone == BOB]
    return next(m for m in made.messages if m.id == delivery.message), delivery


def under_way(told: Rules = TOLD, **changes: Any) -> tuple[Message, Delivery]:
    """The alarm to Bob's carrier, being sent."""
    message, delivery = to_bob(raised(told, TOKEN))
    return message, replace(delivery, **{"fate": Fate.SENDING, "attempt": 1, "posted_at": NOON, **changes})


def test_an_alarm_by_carrier_can_come_back_and_has_the_provider_behind() -> None:
    _, delivery = to_bob(raised(TOLD, TOKEN))

    assert isinstance(delivery.parcel, MailParcel)
    assert (TOKEN, f"b-{TOKEN}@sms.example.com") == (delivery.bounce, delivery.parcel.mail_from)
    assert ("service",) == delivery.ways


@pytest.mark.parametrize(
    ("told", "options"),
    [
        pytest.param(shop.replace(TOLD, numbers=()), {}, id="no number"),
        pytest.param(shop.replace(shop.employee("bob", fallback="none"), alarm_to=(str(BOB),)), {}, id="none"),
        pytest.param(TOLD, {"by_relay": False}, id="by the provider"),
    ],
)
def test_an_alarm_has_no_more_ways_behind_than_there_are(told: Rules, options: dict[str, Any]) -> None:
    assert () == to_bob(raised(told, **options))[1].ways


def test_an_alarm_that_the_carrier_refuses_goes_by_the_provider_at_nobodys_cost() -> None:
    message, delivery = under_way()
    found = verdict.judge(delivery, message, Refused(reason="552 full", code="5.2.2"), TOLD, NOON, facts())
    (other,) = found.writes.deliveries

    assert ("alarm.down.1.1.2", "twilio", BOB, "") == (other.id, other.courier, other.to, other.sender)
    assert Kind.ALARM is other.kind


def test_an_alarm_that_comes_back_goes_by_the_provider() -> None:
    message, delivery = under_way(fate=Fate.HANDED_OVER)
    known = facts(by_bounce={TOKEN: delivery}, messages={message.id: message})
    read = reading(bounce=("failed", "5.2.2", "full"), report=True, author=MailAddr("mailer-daemon@relay.example"))
    made = planned(mail(f"b-{TOKEN}", mail_from="", sender=""), known, TOLD, read, now=NOON + MINUTE).writes

    assert [("alarm.down.1.1.2", "twilio")] == [(d.id, d.courier) for d in made.deliveries]


def ended(told: Rules, reason: str = "no") -> Writes:
    """What follows when the provider refuses the alarm too."""
    message, delivery = under_way(told)
    last = replace(delivery, id=f"{message.id}.2", courier="twilio", number="service", ways=())
    return verdict.judge(last, message, Refused(reason=reason, code="30003"), told, NOON, facts()).writes


def test_an_alarm_that_nothing_brings_to_a_phone_is_told_to_the_mailboxes_once() -> None:
    made = ended(BOTH)
    (told,), (mailed,) = made.messages, made.deliveries

    assert ("alarm.down.1.1.untold.1", Kind.REPORT, ADMIN) == (told.id, told.kind, mailed.to)
    assert "An alarm did not reach bob by text" == told.subject
    assert (
        "The alarm was: Example Auto: The number is paused\nIts whole story: gateway trace alarm.down.1.1\n"
        in words(mailed)
    )
    assert told.id == ended(BOTH, "another end").messages[0].id, "its id names no end"


def test_where_there_is_no_mailbox_nothing_is_told() -> None:
    assert Writes() == ended(TOLD)


def test_that_the_mail_about_it_fails_too_raises_nothing() -> None:
    made = ended(BOTH)
    sent = replace(made.deliveries[0], fate=Fate.SENDING, attempt=1)

    assert Writes() == verdict.judge(sent, made.messages[0], Refused(reason="no", code="5.1.1"), BOTH, NOON).writes


def test_more_alarms_than_tokens_go_without_a_bounce_address() -> None:
    told = shop.replace(shop.employee("alice", carrier="verizon"), alarm_to=(str(BOB), str(ALICE)))
    made = raised(told, TOKEN)

    assert [TOKEN, ""] == [d.bounce for d in made.deliveries]


@pytest.mark.parametrize("alarm_to", [(), (ADMIN,), (str(BOB),), (str(BOB), str(ALICE), ADMIN)])
def test_a_plan_has_tokens_for_the_alarm_of_each_of_its_recipients(alarm_to: tuple[str, ...]) -> None:
    inbound = mail(*(f"b-{letter * 16}" for letter in "abc"), mail_from="", sender="")
    intents = understand(inbound, reading(), shop.RULES)
    least = needs(intents, inbound, reading(), shop.rules(alarm_to=())).fresh
    phones = sum("@" not in to for to in alarm_to)

    assert least + 3 * 2 * phones == needs(intents, inbound, reading(), shop.rules(alarm_to=alarm_to)).fresh
