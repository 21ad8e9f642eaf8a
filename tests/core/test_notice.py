from __future__ import annotations

import pytest
import shop
from outbox import message, only, words, written
from shop import ADMIN, ALICE, BOB, DAVE, JOBS, NOON, RULES

from gateway.core import carrier, dsn, notice
from gateway.core.model import Confirmation, Fate, Kind
from gateway.core.rules import TextRules
from gateway.core.work import MailParcel, TextParcel


def alarm(told: shop.Rules, **confirmations: Confirmation) -> shop.Any:
    return notice.alarm("down.1", "The number is paused", "Why: no funds.", told, NOON, confirmations)


def test_an_alarm_reaches_mailboxes_by_mail_and_employees_by_text() -> None:
    made = alarm(shop.rules(alarm_to=(ADMIN, str(BOB), str(ALICE))))
    by_mail, by_carrier, by_provider = made.deliveries

    assert ["alarm.down.1.1", "alarm.down.1.2", "alarm.down.1.3"] == [m.id for m in made.messages]
    assert {Kind.ALARM} == {d.kind for d in made.deliveries}
    assert {2} == {d.priority for d in made.deliveries}
    assert (None, BOB, ALICE) == tuple(d.phone for d in made.deliveries)
    assert {""} == {d.sender for d in made.deliveries}, "nobody's budget"
    assert isinstance(by_mail.parcel, MailParcel)
    assert ("", ADMIN) == (by_mail.parcel.mail_from, by_mail.parcel.rcpt_to)
    assert ("The number is paused", "auto-generated") == (
        written(by_mail)["Subject"],
        written(by_mail)["Auto-Submitted"],
    )
    assert "Why: no funds.\n" == words(by_mail)
    assert isinstance(by_carrier.parcel, MailParcel)
    assert ("", "2025550112@vtext.com") == (by_carrier.parcel.mail_from, by_carrier.parcel.rcpt_to)
    assert "postmaster@sms.example.com" == written(by_carrier)["From"]
    assert "Example Auto: The number is paused\n" == words(by_carrier)
    assert isinstance(by_provider.parcel, TextParcel)
    assert "Example Auto: The number is paused" == by_provider.parcel.body


def test_the_relays_one_sender_sends_alarms_to_carriers() -> None:
    delivery = only(alarm(shop.rules(alarm_to=(str(BOB),), relay_sender="s@r.example")).deliveries)

    assert isinstance(delivery.parcel, MailParcel)
    assert "s@r.example" == delivery.parcel.mail_from


def by_row(**row: object) -> shop.Rules:
    """Alarms go to Bob, whose carrier's row says this besides its address; one segment is the most for job mail."""
    table = {"x": {"name": "X", "sms": {"address": "{national}@txt.x.example", "status": "active", **row}}}
    carriers, _ = carrier.build([("shop", table)])
    told = shop.replace(shop.employee("bob", carrier="x"), carriers=carriers, alarm_to=(str(BOB),))
    return shop.replace(told, text=TextRules(max_segments=1))


def test_an_alarm_that_is_too_long_for_a_gateway_goes_in_parts_without_bounces() -> None:
    made = notice.alarm("down.1", "The number is paused, " * 6 + "now", "", by_row(quirks=["no_colon"]), NOON, {})

    assert ["alarm.down.1.1.1", "alarm.down.1.1.1-2"] == [d.id for d in made.deliveries]
    assert ["(1/2) Example Auto - The number", "(2/2) "] == [
        words(made.deliveries[n])[:end] for n, end in ((0, 31), (1, 6))
    ]
    assert [("", "", "@txt.x.example")] * 2 == [
        (d.parcel.mail_from, d.parcel.notify, d.number) for d in made.deliveries if isinstance(d.parcel, MailParcel)
    ]


def test_an_alarm_that_a_gateway_cannot_take_goes_by_the_provider_or_not_at_all() -> None:
    told = by_row(max_chars=20)
    (one,) = alarm(told).deliveries

    assert (BOB, "twilio") == (one.to, one.courier)
    assert () == alarm(shop.replace(told, providers=frozenset())).deliveries


@pytest.mark.parametrize("phone", [DAVE, "+12025550199"], ids=["without a way", "no employee"])
def test_an_alarm_to_a_phone_that_cannot_be_texted_is_left_out(phone: str) -> None:
    assert () == alarm(shop.rules(alarm_to=(phone,))).deliveries


def test_an_alarm_about_the_relay_goes_by_the_provider_where_that_is_open() -> None:
    told = shop.employee("carol", carrier="verizon")
    told = shop.replace(told, alarm_to=(str(BOB), str(shop.CAROL)))
    made = notice.alarm("down.mail", "The relay is down", "", told, NOON, {}, by_relay=False)

    assert [BOB, "2025550113@vtext.com"] == [d.to for d in made.deliveries]


def test_an_alarm_uses_a_confirmed_carrier() -> None:
    word = Confirmation(employee="carol", address="2025550113@txt.unsure.example", at=NOON, by="admin")

    assert ["2025550113@txt.unsure.example"] == [
        d.to for d in alarm(shop.rules(alarm_to=(str(shop.CAROL),)), carol=word).deliveries
    ]


@pytest.mark.parametrize("kind", [Kind.REPORT, Kind.ALARM, Kind.PREVIEW])
def test_mails_of_the_machine_are_not_reported_about(kind: Kind) -> None:
    assert () == dsn.failure(message(kind=kind, phone=None), "no", "5.1.1", Fate.FAILED, RULES, NOON).deliveries


@pytest.mark.parametrize(
    ("fate", "code", "status", "action"),
    [
        pytest.param(Fate.FAILED, "5.1.1", "5.1.1", "failed", id="enhanced"),
        pytest.param(Fate.FAILED, "30005", "5.0.0", "failed", id="the provider's"),
        pytest.param(Fate.FAILED, "550", "5.0.0", "failed", id="a bare reply code"),
        pytest.param(Fate.FAILED, "", "5.0.0", "failed", id="none"),
        pytest.param(Fate.EXPIRED, "450", "4.4.7", "failed", id="expired"),
        pytest.param(Fate.HELD, "4.4.2", "4.4.2", "delayed", id="held"),
        pytest.param(Fate.HELD, "5.5.0", "4.5.0", "delayed", id="held, with a code that speaks of an end"),
    ],
)
def test_the_status_of_a_report(fate: Fate, code: str, status: str, action: str) -> None:
    delivery = only(dsn.failure(message(), "no", code, fate, RULES, NOON).deliveries)
    _, about, _ = written(delivery).iter_parts()
    fields = about.get_payload()[1]

    assert (status, action) == (fields["Status"], fields["Action"])


@pytest.mark.parametrize(
    ("kind", "words_of_it"),
    [
        (Kind.TEXT, "text to"),
        (Kind.REPLY, "reply from"),
        (Kind.FORWARD, "mail to"),
        (Kind.QUESTION, "question to"),
    ],
)
def test_a_report_names_what_was_not_delivered(kind: Kind, words_of_it: str) -> None:
    (told,) = dsn.failure(message(kind=kind), "no", "", Fate.FAILED, RULES, NOON).messages

    assert f"Not delivered: {words_of_it} +1 202-555-0143" == told.subject
    assert (
        f"The {words_of_it} +1 202-555-0143 (2025550143@sms.example.com) was, as far as is known, not delivered."
        in told.text
    )
    assert "Its whole story: gateway trace m1.1" in told.text
    assert "The text was: Your car is ready." in told.text
    assert "Code:" not in told.text


def test_a_report_names_an_employee_and_who_has_no_phone() -> None:
    of_bob = dsn.failure(message(person="bob"), "no", "", Fate.FAILED, RULES, NOON).messages[0]
    of_nobody = dsn.failure(message(phone=None), "no", "", Fate.FAILED, RULES, NOON).messages[0]

    assert "Not delivered: text to bob" == of_bob.subject
    assert "Not delivered: text to 2025550143@sms.example.com" == of_nobody.subject


def test_people_come_before_machines_and_answers_before_reminders() -> None:
    order = sorted(Kind, key=lambda kind: notice.PRIORITY[kind])

    assert Kind.CONFIRMATION is order[0], "it has five minutes"
    assert {Kind.REPLY, Kind.QUESTION, Kind.PREVIEW} == set(order[1:4])
    assert {Kind.ANSWER, Kind.ALARM} == set(order[4:6])
    assert [Kind.REPORT, Kind.FORWARD, Kind.TEXT] == order[6:]


def test_a_text_that_is_held_and_then_fails_is_told_twice_and_each_once() -> None:
    held = dsn.failure(message(), "no", "", Fate.HELD, RULES, NOON).messages
    failed = dsn.failure(message(), "no", "", Fate.FAILED, RULES, NOON).messages

    assert ["m1.1.held", "m1.1.failed"] == [m.id for m in held + failed]
    assert {JOBS} == {m.recipient for m in held + failed}


@pytest.mark.parametrize(
    ("ident", "expected"),
    [
        ("m1.1.1", "m1.1.1"),
        ("m1.1.1-2", "m1.1.1-2"),
        ("twilio:SM1.1", "twilio-SM1.1"),
        ("alarm.a@b", "alarm.a-b"),
        ("..", ".."),
        ("", ""),
    ],
)
def test_a_message_id_has_letters_digits_dots_and_hyphens(ident: str, expected: str) -> None:
    assert f"<{expected}@{shop.DOMAIN}>" == notice.mail_id(ident, shop.RULES)
