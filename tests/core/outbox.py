"""What leaves the shop: messages, deliveries and the mails in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any

from shop import BOB, DOMAIN, JOBS, MARIA, NOON, SERVICE, at

from gateway.core.model import Fate, Kind
from gateway.core.work import Delivery, MailParcel, Message, Plan, Settlement, TextParcel


def message(**changes: Any) -> Message:
    """A text to Maria of which jobs hears."""
    made = Message(
        id="m1.1",
        inbound="m1",
        kind=Kind.TEXT,
        sender="jobs",
        recipient=at("2025550143"),
        phone=MARIA,
        person="",
        conversation="aaaaaaaaaaaaaaaa",
        subject="Reminder",
        text="Your car is ready.",
        at=NOON,
        report_to=JOBS,
        message_id="<m1@shop.example.com>",
    )
    return replace(made, **changes)


def paid(**changes: Any) -> Delivery:
    """The first attempt of a text to Maria by Twilio, under way since noon."""
    made = Delivery(
        id="m1.1.1",
        message="m1.1",
        kind=Kind.TEXT,
        courier="twilio",
        lane=f"twilio|{SERVICE}|{MARIA}",
        number="service",
        to=MARIA,
        phone=MARIA,
        person="",
        sender="jobs",
        parcel=TextParcel(number=SERVICE, service="", to=MARIA, body="Your car is ready.", validity_seconds=14_400),
        segments=1,
        fate=Fate.SENDING,
        due_at=NOON,
        expires_at=NOON + timedelta(hours=4),
        attempt=1,
        posted_at=NOON,
    )
    return replace(made, **changes)


def carried(**changes: Any) -> Delivery:
    """The first attempt of a text to Bob by his carrier, under way since noon; the service number is his fallback."""
    changes = {
        "courier": "mail",
        "lane": "mail|m1.1.1",
        "number": "@vtext.com",
        "to": "2025550112@vtext.com",
        "phone": BOB,
        "person": "bob",
        "sender": "",
        "parcel": MailParcel(mail_from=f"b-x@{DOMAIN}", rcpt_to="2025550112@vtext.com", data=b"\r\n"),
        "ways": ("service",),
        **changes,
    }
    return paid(**changes)


def written(delivery: Delivery) -> EmailMessage:
    """The mail that a delivery brings, parsed by the standard library."""
    assert isinstance(delivery.parcel, MailParcel)
    found = message_from_bytes(delivery.parcel.data, policy=default)
    assert isinstance(found, EmailMessage)
    return found


def words(delivery: Delivery) -> str:
    """The plain text of the mail that a delivery brings."""
    body = written(delivery).get_body(("plain",))
    assert body is not None
    return str(body.get_content()).replace("\r\n", "\n")


def only(deliveries: Sequence[Delivery]) -> Delivery:
    """The one delivery there is."""
    (one,) = deliveries
    return one


def fates(made: Plan) -> list[tuple[str, str, str]]:
    """To, fate and code of every delivery of a plan."""
    return [(d.to, d.fate.value, d.code) for d in made.writes.deliveries]


def texts(made: Plan) -> list[Delivery]:
    """The texts that a plan sends."""
    return [d for d in made.writes.deliveries if d.kind is Kind.TEXT and d.fate is Fate.WAITING]


def told_to(settlement: Settlement) -> list[str]:
    """Who hears of what a settlement decides."""
    return [d.to for d in settlement.writes.deliveries if d.kind is Kind.REPORT]
