"""Mails through plan.make that ask for something else: consent, or to be passed on."""

from __future__ import annotations

import pytest
import shop
from outbox import fates, only
from shop import ADMIN, BOB, BRAND, DOMAIN, JOBS, MARIA, NOON, facts, mail, planned, reading

from gateway.core.facts import Facts
from gateway.core.model import Door, Recipient
from gateway.core.work import MailParcel

CUSTOMER = "2025550143"


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


def test_the_evidence_of_a_mail_without_an_id_is_its_id_here() -> None:
    made = planned(mail(f"optin+{CUSTOMER}", sender="clerk"), facts(), read=reading(message_id=""))

    assert ["mail m1: Reminder"] == [c.evidence for c in made.writes.consents]


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


def test_mail_to_the_postmaster_goes_to_the_admin_with_our_trace() -> None:
    told = shop.rules(alarm_to=(ADMIN, str(BOB), "boss@shop.example.com"))
    made = planned(mail("postmaster", peer="2001:db8::7"), facts(), told)

    assert [ADMIN, "boss@shop.example.com"] == [d.to for d in made.writes.deliveries]
    assert ["m1.1", "m1.2"] == [m.id for m in made.writes.messages]
    assert (ADMIN, f"passed on to {ADMIN}") == (made.writes.messages[0].recipient, made.writes.messages[0].rule)
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
