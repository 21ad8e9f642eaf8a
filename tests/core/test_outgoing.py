"""Mails through plan.make: what is texted, to whom, by which way, and what is told instead."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import shop
from outbox import fates, only, texts, words, written
from shop import (
    ADMIN,
    AGREED,
    ALICE,
    BOB,
    DAVE,
    DAY,
    DOMAIN,
    JOBS,
    MARIA,
    NOON,
    RULES,
    SERVICE,
    entry,
    facts,
    mail,
    planned,
    reading,
    talk,
)

from gateway.core.facts import Facts
from gateway.core.model import Confirmation, Fate, Kind, Recipient
from gateway.core.rules import Rules, TextRules
from gateway.core.work import Delivery, MailParcel, TextParcel

CUSTOMER = "2025550143"
TOKEN = "aaaaaaaaaaaaaaaa"
HEARD = facts(conversations=(talk(heard_at=NOON - DAY),))

BOSS = "boss@shop.example.com"


def test_a_job_mail_to_a_customer_becomes_a_text_by_the_provider() -> None:
    made = planned(
        mail(Recipient(address=f"{CUSTOMER}@{DOMAIN}", notify="FAILURE", orcpt="rfc822;a@b"), envid="e1"), AGREED
    )
    (message,) = made.writes.messages
    delivery = only(made.writes.deliveries)

    assert ("m1.1", "m1", Kind.TEXT, "jobs") == (message.id, message.inbound, message.kind, message.sender)
    assert (MARIA, "", f"{CUSTOMER}@{DOMAIN}") == (message.phone, message.person, message.recipient)
    assert ("Reminder", "Your car is ready.", "") == (message.subject, message.text, message.cut)
    assert "customer: twilio number service" == message.rule
    assert (JOBS, "FAILURE", "rfc822;a@b", "e1") == (message.report_to, message.notify, message.orcpt, message.envid)
    assert ("m1.1.1", "twilio", "service", MARIA) == (delivery.id, delivery.courier, delivery.number, delivery.to)
    assert f"twilio|{SERVICE}|{MARIA}" == delivery.lane
    assert (MARIA, "jobs", 1, 5) == (delivery.phone, delivery.sender, delivery.segments, delivery.priority)
    assert (Fate.WAITING, NOON, NOON + timedelta(hours=4)) == (delivery.fate, delivery.due_at, delivery.expires_at)
    assert (
        TextParcel(number=SERVICE, service="", to=MARIA, body="Your car is ready.", validity_seconds=14_400)
        == delivery.parcel
    )
    assert not delivery.conversational


def test_a_dispatch_to_an_employee_is_one_mail_to_his_carrier() -> None:
    made = planned(mail("bob"), facts())
    delivery, (conversation,) = only(made.writes.deliveries), made.writes.conversations
    found = written(delivery)

    assert isinstance(delivery.parcel, MailParcel)
    assert ("mail", "2025550112@vtext.com", "@vtext.com") == (delivery.courier, delivery.to, delivery.number)
    assert (BOB, "bob", "") == (delivery.phone, delivery.person, delivery.sender), "a carrier's text costs no budget"
    assert ("service",) == delivery.ways
    assert f"b-{delivery.bounce}@{DOMAIN}" == delivery.parcel.mail_from
    assert ("2025550112@vtext.com", "FAILURE,DELAY") == (delivery.parcel.rcpt_to, delivery.parcel.notify)
    assert f"r-{conversation.id}@{DOMAIN}" == found["From"]
    assert f"<m1.1.1@{DOMAIN}>" == found["Message-ID"]
    assert "text/plain" == found.get_content_type()
    assert ("Your car is ready.\n", None, None) == (words(delivery), found["Subject"], found["Auto-Submitted"])


def test_two_mails_to_one_mailbox_do_not_wait_for_each_other() -> None:
    lanes = {only(planned(mail("bob", id=name), facts()).writes.deliveries).lane for name in ("m1", "m2")}

    assert 2 == len(lanes)


def test_the_relays_one_sender_stands_in_the_envelope_and_in_from() -> None:
    told = shop.rules(relay_sender="shop@relay.example")
    made = planned(mail("bob"), facts(), told)
    delivery, (conversation,) = only(made.writes.deliveries), made.writes.conversations

    assert isinstance(delivery.parcel, MailParcel)
    assert "shop@relay.example" == delivery.parcel.mail_from == written(delivery)["From"]
    assert f"r-{conversation.id}@{DOMAIN}" == written(delivery)["Reply-To"]


@pytest.mark.parametrize(
    ("hours", "seconds"), [(4, 14_400), (24, 36_000), (0, 1)], ids=["as configured", "the provider's most", "the least"]
)
def test_the_provider_is_told_how_long_a_text_is_worth_sending(hours: int, seconds: int) -> None:
    told = replace(RULES, policy=replace(RULES.policy, expires_after=timedelta(hours=hours)))
    parcel = only(planned(mail(CUSTOMER), AGREED, told).writes.deliveries).parcel

    assert isinstance(parcel, TextParcel)
    assert seconds == parcel.validity_seconds


@pytest.mark.parametrize(
    ("recipient", "known", "expected"),
    [
        pytest.param("2025550111@txt.att.net", facts(), (ALICE, "twilio"), id="employee of a closed gateway: fallback"),
        pytest.param(
            "2025550112@txt.att.net", facts(), ("2025550112@vtext.com", "mail"), id="employee: today's carrier"
        ),
        pytest.param("2025550143@vtext.com", AGREED, (MARIA, "twilio"), id="customer with consent: never by carrier"),
        pytest.param("alice", facts(), (ALICE, "twilio"), id="retired carrier"),
        pytest.param("erin", facts(), (shop.ERIN, "twilio"), id="no carrier"),
    ],
)
def test_the_route_is_the_one_that_works_today(recipient: str, known: Facts, expected: tuple[str, str]) -> None:
    delivery = only(planned(mail(recipient), known).writes.deliveries)

    assert expected == (delivery.to, delivery.courier)


def test_an_unverified_carrier_works_once_the_address_is_confirmed() -> None:
    word = Confirmation(employee="carol", address="2025550113@txt.unsure.example", at=NOON, by="admin")
    known = facts(confirmations={"carol": word})

    assert ["2025550113@txt.unsure.example"] == [d.to for d in texts(planned(mail("carol"), known))]
    assert [("+12025550113", "refused", "5.7.1")] == fates(planned(mail("carol"), facts()))[:1]


def test_what_was_cut_away_is_kept_in_the_order_of_the_mail() -> None:
    told = shop.rules(text=TextRules(max_segments=1, too_long="cut", first=""))
    made = planned(mail(CUSTOMER), AGREED, told, reading(text="word " * 40, cut="-- \nDesk"))
    (message,) = made.writes.messages

    assert message.text.endswith("word...")
    assert message.cut.endswith("word\n-- \nDesk")


@pytest.mark.parametrize(
    ("recipient", "known", "code", "why"),
    [
        pytest.param(CUSTOMER, facts(), "5.7.1", "has not agreed to texts", id="no consent any more"),
        pytest.param(CUSTOMER, facts(entry("grant"), entry("stop")), "5.7.1", "said STOP", id="a STOP came in between"),
        pytest.param(
            "2025550144@vtext.com", facts(), "5.1.1", "belongs to no employee", id="text address of a stranger"
        ),
        pytest.param("dave", facts(), "5.1.6", "closed txt.att.net on 2025-06-17", id="no way"),
        pytest.param("mallory", facts(), "5.1.1", "neither an employee nor a group", id="no such name"),
        pytest.param("r-bbbbbbbbbbbbbbbb", facts(), "5.1.1", "no such conversation", id="no such conversation"),
        pytest.param("12", facts(), "5.1.3", "12 is not a valid phone number", id="no phone"),
        pytest.param("enroll", facts(), "5.1.1", "not available", id="enrolment"),
    ],
)
def test_a_recipient_who_cannot_be_texted_has_a_visible_end_and_a_report(
    recipient: str, known: Facts, code: str, why: str
) -> None:
    made = planned(mail(recipient, sender="lax"), known)
    ended, told = made.writes.deliveries
    text, report = made.writes.messages

    assert (Fate.REFUSED, code, None, "") == (ended.fate, ended.code, ended.parcel, ended.lane)
    assert why in ended.note
    assert (JOBS, Kind.REPORT, Fate.WAITING) == (told.to, told.kind, told.fate)
    assert ("m1.1.refused", "m1.1", "m1.1.1") == (report.id, text.id, ended.id)
    assert f"Why: {ended.note}" in words_of_report(told)


def words_of_report(delivery: Delivery) -> str:
    (first, *_) = written(delivery).iter_parts()
    return str(first.get_content())


def test_a_report_is_a_machines_mail_with_an_empty_envelope_sender() -> None:
    recipient = Recipient(address=f"{CUSTOMER}@{DOMAIN}", orcpt="rfc822;maria@shop.example.com", notify="FAILURE,DELAY")
    told = planned(mail(recipient, envid="QQ314159"), facts()).writes.deliveries[1]
    found = written(told)
    _, status, head = found.iter_parts()
    about_mail, about_recipient = status.get_payload()

    assert isinstance(told.parcel, MailParcel)
    assert ("", JOBS) == (told.parcel.mail_from, told.parcel.rcpt_to)
    assert "auto-generated" == found["Auto-Submitted"]
    assert "<m1@shop.example.com>" == found["In-Reply-To"]
    assert "Not delivered: text to +1 202-555-0143" == found["Subject"]
    assert "QQ314159" == about_mail["Original-Envelope-Id"]
    assert "rfc822;maria@shop.example.com" == about_recipient["Original-Recipient"]
    assert f"rfc822; {CUSTOMER}@{DOMAIN}" == about_recipient["Final-Recipient"]
    assert ("failed", "5.7.1") == (about_recipient["Action"], about_recipient["Status"])
    assert "Message-ID: <m1@shop.example.com>" in head.get_payload()


@pytest.mark.parametrize(
    ("notify", "told"),
    [("", True), ("FAILURE", True), ("SUCCESS,FAILURE", True), ("NEVER", False), ("SUCCESS,DELAY", False)],
)
def test_notify_decides_whether_a_failure_is_told(notify: str, told: bool) -> None:
    made = planned(mail(Recipient(address=f"{CUSTOMER}@{DOMAIN}", notify=notify)), facts())

    assert (MARIA, "refused", "5.7.1") == fates(made)[0]
    assert told == (len(made.writes.deliveries) == 2)


@pytest.mark.parametrize(
    ("told", "changes", "expected"),
    [
        pytest.param(RULES, {}, JOBS, id="the envelope sender"),
        pytest.param(shop.sender("jobs", report_to=BOSS), {}, JOBS, id="the envelope sender before report_to"),
        pytest.param(shop.sender("jobs", report_to=BOSS), {"mail_from": ""}, BOSS, id="report_to"),
        pytest.param(RULES, {"mail_from": ""}, ADMIN, id="no envelope sender: the admin"),
        pytest.param(RULES, {"mail_from": f"x@{DOMAIN.upper()}"}, ADMIN, id="never ourselves"),
        pytest.param(RULES, {"sender": "gone"}, JOBS, id="a sender whose configuration is gone"),
        pytest.param(shop.rules(alarm_to=(str(BOB),)), {"mail_from": ""}, "", id="nobody can be told"),
    ],
)
def test_who_is_told_of_a_bad_end(told: Rules, changes: dict[str, Any], expected: str) -> None:
    made = planned(mail(CUSTOMER, **changes), facts(), told)

    assert expected == made.writes.messages[0].report_to
    assert [expected] * bool(expected) == [d.to for d in made.writes.deliveries[1:]]


@pytest.mark.parametrize(
    ("changes", "problem"),
    [({"text": ""}, "the mail has no text"), ({"text": "x" * 1000}, "the text is too long: 7 segments")],
    ids=["empty", "too long"],
)
def test_what_only_reading_shows_is_reported(changes: dict[str, Any], problem: str) -> None:
    made = planned(mail(CUSTOMER), AGREED, read=reading(**changes))

    assert (MARIA, "refused", "5.6.0") == fates(made)[0]
    assert problem in made.writes.deliveries[0].note
    assert [Kind.TEXT, Kind.REPORT] == [m.kind for m in made.writes.messages]


@pytest.mark.parametrize(
    ("recipient", "changes"),
    [(CUSTOMER, {"auto_submitted": "auto-replied"}), (f"r-{TOKEN}", {"bulk": True}), ("postmaster", {"ours": True})],
    ids=["job mail", "answer", "our own"],
)
def test_words_of_a_machine_end_visibly_and_are_told_to_nobody(recipient: str, changes: dict[str, Any]) -> None:
    made = planned(mail(recipient), AGREED, read=reading(**changes))

    assert [(shop.at(recipient), "refused", "5.7.1")] == fates(made)


def test_one_member_who_cannot_be_texted_does_not_harm_the_others() -> None:
    made = planned(mail("techs"), facts(entry("stop", ALICE)))

    assert [
        (ALICE, "refused", "5.7.1"),
        (JOBS, "waiting", ""),
        ("2025550112@vtext.com", "waiting", ""),
        (DAVE, "refused", "5.1.6"),
        (JOBS, "waiting", ""),
    ] == fates(made)


def test_a_mail_texts_a_phone_once_however_many_addresses_lead_to_it() -> None:
    made = planned(mail("bob", "techs", "2025550112", "2025550112@vtext.com"), facts())

    assert ["2025550112@vtext.com", ALICE] == [d.to for d in texts(made)]
    assert f"2025550112@{DOMAIN} leads to a phone that this mail texts already" in made.note


def test_the_persons_own_text_is_no_consent_to_job_mail() -> None:
    assert [(MARIA, "refused", "5.7.1")] == fates(planned(mail(CUSTOMER), HEARD))[:1]


def test_a_refused_address_does_not_silence_another_that_may_text_the_phone() -> None:
    made = planned(mail(CUSTOMER, f"r-{TOKEN}", sender="lax"), HEARD)

    assert [(MARIA, "refused"), (JOBS, "waiting"), (MARIA, "waiting")] == [(to, fate) for to, fate, _ in fates(made)]
