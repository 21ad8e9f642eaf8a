"""Mails through plan.make: what is texted, to whom, by which way, in which conversation, and what is told instead."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import shop
from hypothesis import given
from hypothesis import strategies as st
from shop import (
    ADMIN,
    AGREED,
    ALICE,
    BOB,
    BRAND,
    DAVE,
    DAY,
    DOMAIN,
    JOBS,
    MARIA,
    NOON,
    PETER,
    RULES,
    SALES,
    SERVICE,
    entry,
    facts,
    mail,
    only,
    planned,
    reading,
    talk,
    words,
    written,
)

from gateway.core import plan
from gateway.core.intent import Reply, Status
from gateway.core.model import Confirmation, Door, Fate, Kind, MailAddr, Phone, Recipient, Unreadable
from gateway.core.rules import Rules, TextRules
from gateway.core.work import Delivery, Facts, MailParcel, Plan, TextParcel

CUSTOMER = "2025550143"
TOKEN = "aaaaaaaaaaaaaaaa"
HEARD = facts(conversations=(talk(heard_at=NOON - DAY),))


def fates(made: Plan) -> list[tuple[str, str, str]]:
    """To, fate and code of every delivery."""
    return [(d.to, d.fate.value, d.code) for d in made.writes.deliveries]


def texts(made: Plan) -> list[Delivery]:
    return [d for d in made.writes.deliveries if d.kind is Kind.TEXT and d.fate is Fate.WAITING]


# -- one text


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
    assert ("mail", "2025550112@vtext.com", "") == (delivery.courier, delivery.to, delivery.number)
    assert (BOB, "bob", "") == (delivery.phone, delivery.person, delivery.sender), "a carrier's text costs no budget"
    assert ("service",) == delivery.ways
    assert f"b-{delivery.bounce}@{DOMAIN}" == delivery.parcel.mail_from
    assert "2025550112@vtext.com" == delivery.parcel.rcpt_to
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
    told = shop.rules(text=TextRules(max_segments=1, too_long="cut"))
    made = planned(mail(CUSTOMER), AGREED, told, reading(text="word " * 40, cut="-- \nDesk"))
    (message,) = made.writes.messages

    assert message.text.endswith("word...")
    assert message.cut.endswith("word\n-- \nDesk")


# -- who is not texted


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
        pytest.param(
            shop.sender("jobs", report_to="boss@shop.example.com"), {}, "boss@shop.example.com", id="report_to"
        ),
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


# -- groups, and one text per phone


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


def test_a_refused_address_does_not_silence_another_that_may_text_the_phone() -> None:
    made = planned(mail(CUSTOMER, f"r-{TOKEN}", sender="lax"), HEARD)

    assert [(MARIA, "refused"), (JOBS, "waiting"), (MARIA, "waiting")] == [(to, fate) for to, fate, _ in fates(made)]


# -- conversations


def test_a_first_mail_opens_the_conversation_of_its_job() -> None:
    read = reading(references=("<root@x>",), reply_to=MailAddr("desk@shop.example.com"))
    made = planned(mail(CUSTOMER), AGREED, read=read)
    (message,), (opened,) = made.writes.messages, made.writes.conversations

    assert message.conversation == opened.id == AGREED.fresh[0]
    assert ("jobs", MARIA, "<root@x>", "service") == (opened.sender, opened.phone, opened.job, opened.number)
    assert ("Reminder", "<m1@shop.example.com>", ("<root@x>",)) == (
        opened.subject,
        opened.message_id,
        opened.references,
    )
    assert "desk@shop.example.com" == opened.reply_to
    assert (NOON, NOON + timedelta(days=14)) == (opened.opened_at, opened.closes_at)
    assert (NOON, "Your car is ready.", None) == (opened.texted_at, opened.text, opened.heard_at)


def test_three_reminders_on_one_job_are_one_conversation() -> None:
    told = shop.rules(text=TextRules(job=r"RO (\d+)"))
    known = facts(entry("grant"), conversations=(talk(job="1042", heard_at=NOON - DAY),))
    read = reading(subject="Second reminder for RO 1042", references=("<other@x>",))
    (kept,) = planned(mail(CUSTOMER), known, told, read).writes.conversations

    assert (TOKEN, NOON - 2 * DAY, NOON - DAY) == (kept.id, kept.opened_at, kept.heard_at)
    assert ("Second reminder for RO 1042", "<m1@shop.example.com>") == (kept.subject, kept.message_id)
    assert ("<root@shop.example.com>", "<m0@shop.example.com>", "<other@x>") == kept.references


@pytest.mark.parametrize(
    "changes",
    [{"sender": "desk"}, {"job": "other"}, {"phone": PETER}],
    ids=["of another sender", "about another job", "with another phone"],
)
def test_another_sender_job_or_phone_is_another_conversation(changes: dict[str, Any]) -> None:
    known = facts(entry("grant"), conversations=(talk(**changes),))
    (opened,) = planned(mail(CUSTOMER), known).writes.conversations

    assert TOKEN != opened.id


def test_a_mail_without_subject_and_id_keeps_those_of_the_conversation() -> None:
    known = facts(entry("grant"), conversations=(talk(job=""),))
    (kept,) = planned(mail(CUSTOMER), known, read=reading(subject="", message_id="")).writes.conversations

    assert ("Reminder", "<m0@shop.example.com>") == (kept.subject, kept.message_id)


def test_a_long_thread_keeps_its_root() -> None:
    many = tuple(f"<{n}@x>" for n in range(80))
    known = facts(entry("grant"), conversations=(talk(job="<0@x>", message_id="", references=many[:60]),))
    (kept,) = planned(mail(CUSTOMER), known, read=reading(references=many)).writes.conversations

    assert (50, "<0@x>", "<79@x>") == (len(kept.references), kept.references[0], kept.references[-1])


@pytest.mark.parametrize(
    ("told", "changes", "mail_from", "expected"),
    [
        pytest.param(RULES, {}, JOBS, JOBS, id="From"),
        pytest.param(RULES, {"reply_to": "a@x.example"}, JOBS, "a@x.example", id="Reply-To"),
        pytest.param(
            shop.sender("jobs", reply_to="b@x.example"), {"reply_to": "a@x.example"}, JOBS, "b@x.example", id="set"
        ),
        pytest.param(RULES, {"reply_to": f"x@{DOMAIN}"}, JOBS, JOBS, id="a Reply-To at ourselves: From"),
        pytest.param(
            shop.sender("jobs", reply_fallback="f@x.example"), {"author": None}, JOBS, "f@x.example", id="the fallback"
        ),
        pytest.param(RULES, {"author": None}, "env@x.example", "env@x.example", id="the envelope sender"),
        pytest.param(RULES, {"author": f"x@{DOMAIN}"}, "", ADMIN, id="the admin"),
        pytest.param(RULES, {"author": None}, f"x@{DOMAIN}", ADMIN, id="never ourselves"),
        pytest.param(shop.rules(alarm_to=(), senders=()), {"author": None}, "", "", id="nobody"),
    ],
)
def test_where_replies_go(told: Rules, changes: dict[str, Any], mail_from: str, expected: str) -> None:
    (opened,) = planned(mail("bob", mail_from=mail_from), facts(), told, reading(**changes)).writes.conversations

    assert expected == opened.reply_to


def test_a_new_conversation_takes_a_free_number_of_the_pool_and_a_running_one_keeps_its_own() -> None:
    busy = talk(sender="desk", job="other", number="sales")
    running = talk(id="bbbbbbbbbbbbbbbb", sender="desk", number="sales")
    fresh = planned(mail(CUSTOMER, sender="desk"), facts(entry("grant"), conversations=(busy,)))
    again = planned(mail(CUSTOMER, sender="desk"), facts(entry("grant"), conversations=(busy, running)))

    assert [("service", "service")] == [(texts(fresh)[0].number, c.number) for c in fresh.writes.conversations]
    assert [("sales", "sales")] == [(texts(again)[0].number, c.number) for c in again.writes.conversations]


def test_a_tag_chooses_the_number() -> None:
    made = planned(mail(f"{CUSTOMER}+sales"), AGREED)

    assert (["sales"], [f"twilio|{SALES}|{MARIA}"]) == ([d.number for d in texts(made)], [d.lane for d in texts(made)])


def test_a_conversation_by_carrier_belongs_to_the_number_that_it_would_fall_back_on() -> None:
    (by_carrier,) = planned(mail("bob"), facts()).writes.conversations
    (alone,) = planned(mail("bob"), facts(), shop.employee("bob", fallback="none")).writes.conversations

    assert ("service", "") == (by_carrier.number, alone.number)


# -- answers at r-


def test_answering_the_reply_mail_texts_the_person_without_the_quoted_history() -> None:
    made = planned(mail(f"r-{TOKEN}", mail_from="anna@shop.example.com"), HEARD, read=reading(subject="Re: Reminder"))
    (message,), (kept,) = made.writes.messages, made.writes.conversations
    delivery = only(made.writes.deliveries)

    assert (TOKEN, MARIA, "At five.", "> earlier words") == (
        message.conversation,
        message.phone,
        message.text,
        message.cut,
    )
    assert (True, 1, MARIA, "service") == (delivery.conversational, delivery.priority, delivery.to, delivery.number)
    assert (JOBS, "Reminder", "At five.") == (kept.reply_to, kept.subject, kept.text), "replies go where they went"
    assert ("<m1@shop.example.com>", ("<root@shop.example.com>", "<m0@shop.example.com>")) == (
        kept.message_id,
        kept.references,
    )


@pytest.mark.parametrize(
    ("known", "fate"),
    [
        pytest.param(HEARD, "waiting", id="the person wrote"),
        pytest.param(facts(conversations=(talk(),)), "refused", id="the person did not"),
        pytest.param(facts(conversations=(talk(heard_at=NOON - DAY, closes_at=NOON),)), "refused", id="closed"),
        pytest.param(facts(entry("stop"), conversations=(talk(heard_at=NOON),)), "refused", id="STOP"),
    ],
)
def test_at_r_the_persons_text_is_the_consent(known: Facts, fate: str) -> None:
    assert fate == fates(planned(mail(f"r-{TOKEN}"), known))[0][1]


def test_an_employee_is_answered_by_his_carrier() -> None:
    known = facts(conversations=(talk(phone=BOB, number=""),))

    assert ["2025550112@vtext.com"] == [d.to for d in texts(planned(mail(f"r-{TOKEN}"), known))]


# -- consent by mail


@pytest.mark.parametrize(("action", "entered"), [("optin", "grant"), ("optout", "revoke")])
def test_a_sender_who_may_enters_consent_by_mail(action: str, entered: str) -> None:
    made = planned(mail(f"{action}+{CUSTOMER}", sender="clerk"), facts())
    (found,) = made.writes.consents

    assert (f"m1.{action}.{MARIA}", entered, "mail", "clerk") == (
        found.id,
        found.action,
        found.method,
        found.recorded_by,
    )
    assert (BRAND, MARIA, NOON) == (found.brand, found.phone, found.at)
    assert "<m1@shop.example.com>: Reminder" in found.evidence
    assert f"{action} of {MARIA}: entered in the ledger" == made.note


@pytest.mark.parametrize(
    ("recipient", "known"),
    [
        pytest.param(f"optin+{CUSTOMER}", facts(), id="consent"),
        pytest.param("friend@elsewhere.example", facts(), id="relaying"),
    ],
)
def test_what_the_door_let_in_for_a_report_is_still_refused(recipient: str, known: Facts) -> None:
    made = planned(mail(recipient, sender="lax"), known)

    assert () == made.writes.consents
    assert [(shop.at(recipient), "refused", "5.7.1"), (JOBS, "waiting", "")] == fates(made)


# -- mails that are passed on


def test_mail_to_the_postmaster_goes_to_the_admin_with_our_trace() -> None:
    told = shop.rules(alarm_to=(ADMIN, str(BOB), "boss@shop.example.com"))
    made = planned(mail("postmaster", peer="2001:db8::7"), facts(), told)

    assert [ADMIN, "boss@shop.example.com"] == [d.to for d in made.writes.deliveries]
    assert ["m1.1", "m1.2"] == [m.id for m in made.writes.messages]
    parcel = made.writes.deliveries[0].parcel
    assert isinstance(parcel, MailParcel)
    assert f"b-{made.writes.deliveries[0].bounce}@{DOMAIN}" == parcel.mail_from
    assert (
        parcel.data
        == (
            f"Received: from [IPv6:2001:db8::7] by {DOMAIN} with ESMTP id m1; Mon, 23 Nov 2026 17:00:00 +0000\r\n"
            f"X-Gateway-Loop: {DOMAIN}\r\nSubject: Reminder\r\n\r\nYour car is ready.\r\n"
        ).encode()
    )


def test_the_relays_one_sender_passes_mail_on() -> None:
    parcel = only(planned(mail("abuse"), facts(), shop.rules(relay_sender="s@r.example")).writes.deliveries).parcel

    assert isinstance(parcel, MailParcel)
    assert "s@r.example" == parcel.mail_from


def test_mail_to_a_postmaster_without_mailbox_ends_visibly() -> None:
    made = planned(mail("postmaster"), facts(), shop.rules(alarm_to=()))

    assert [(f"postmaster@{DOMAIN}", "failed", "5.3.5")] == fates(made)


def test_a_mail_from_outside_is_passed_on_and_its_sender_never_hears_of_it() -> None:
    made = planned(mail("postmaster", sender="", door=Door.PUBLIC, mail_from="forged@elsewhere.example"), facts())

    assert [""] == [m.report_to for m in made.writes.messages]


def test_foreign_mail_is_relayed_unchanged() -> None:
    one = Recipient(address="friend@elsewhere.example", notify="FAILURE")
    delivery = only(planned(mail(one, sender="clerk", raw=b"Subject: \xff\r\n\r\nHi\r\n"), facts()).writes.deliveries)

    assert isinstance(delivery.parcel, MailParcel)
    assert (JOBS, "friend@elsewhere.example", "FAILURE", "") == (
        delivery.parcel.mail_from,
        delivery.parcel.rcpt_to,
        delivery.parcel.notify,
        delivery.bounce,
    )
    assert delivery.parcel.data.startswith(b"Received: from [192.0.2.7] by ")
    assert delivery.parcel.data.endswith(b"\r\nSubject: \xff\r\n\r\nHi\r\n")
    assert None is delivery.phone


# -- mails that cannot be read


def test_an_unreadable_mail_is_parked_and_told_to_its_sender_and_the_admin() -> None:
    made = plan.make(mail("bob"), Unreadable(reason="too deep"), (), facts(), RULES, NOON)

    assert "too deep" == made.parked
    assert [ADMIN, JOBS] == [d.to for d in made.writes.deliveries]
    assert [Kind.ALARM, Kind.REPORT] == [d.kind for d in made.writes.deliveries]
    assert all("Why: too deep" in words(d) for d in made.writes.deliveries)


@pytest.mark.parametrize(
    "changes",
    [{"sender": "", "door": Door.PUBLIC}, {"mail_from": ADMIN}, {"mail_from": ""}],
    ids=["from outside: no backscatter", "the admin's own", "no envelope sender: the admin once"],
)
def test_an_unreadable_mail_is_told_to_the_admin_alone(changes: dict[str, Any]) -> None:
    made = plan.make(mail("bob", **changes), None, (), facts(), RULES, NOON)

    assert "the mail was not read" == made.parked
    assert [ADMIN] == [d.to for d in made.writes.deliveries]


# -- planning twice

NAMES = ["bob", "techs", CUSTOMER, "2025550144", "alice", f"r-{TOKEN}", "postmaster", "preview+bob", "dave", "12"]


@given(st.lists(st.sampled_from(NAMES), max_size=8), st.sampled_from(["jobs", "clerk", "lax"]), st.text(max_size=40))
def test_planning_twice_gives_equal_plans_whose_ids_follow_from_the_mail(
    names: list[str], sender: str, subject: str
) -> None:
    known = facts(entry("grant"), conversations=(talk(heard_at=NOON),))
    first = planned(mail(*names, sender=sender), known, read=reading(subject=subject))

    assert first == planned(mail(*names, sender=sender), known, read=reading(subject=subject))
    assert all(m.id.startswith("m1.") and m.inbound == "m1" for m in first.writes.messages)
    assert len(first.writes.messages) == len({m.id for m in first.writes.messages}) == len(first.writes.deliveries)
    assert [f"{m.id}.1" for m in first.writes.messages] == [d.id for d in first.writes.deliveries]


@given(st.lists(st.sampled_from(NAMES), max_size=8))
def test_no_phone_is_texted_twice(names: list[str]) -> None:
    known = facts(entry("grant"), conversations=(talk(heard_at=NOON),))
    phones = [d.phone for d in texts(planned(mail(*names), known))]

    assert len(phones) == len(set(phones))


@given(st.lists(st.sampled_from(NAMES), max_size=8), st.sampled_from([MARIA, BOB, ALICE]))
def test_a_stopped_phone_is_never_texted(names: list[str], stopped: Phone) -> None:
    known = facts(entry("grant"), entry("stop", stopped), conversations=(talk(heard_at=NOON),))

    assert stopped not in {d.phone for d in texts(planned(mail(*names), known))}


@pytest.mark.parametrize(
    "intent", [Reply(event=shop.text_in().event, keyword=None), Status(event=shop.status_in("sent").event)]
)  # type: ignore[arg-type]
def test_what_comes_by_a_webhook_cannot_come_by_mail(intent: Reply | Status) -> None:
    with pytest.raises(TypeError, match="cannot come from a mail"):
        plan.make(mail("bob"), reading(), (intent,), facts(), RULES, NOON)
