"""A shop of plain values: its rules, its people, and what comes in.  Everything is made anew by each call."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from gateway.core import carrier, plan
from gateway.core.facts import Facts
from gateway.core.intent import understand
from gateway.core.model import (
    Consent,
    Conversation,
    Door,
    Envelope,
    Fate,
    InboundHook,
    InboundMail,
    Kind,
    MailAddr,
    Phone,
    Picture,
    Reading,
    Recipient,
    Said,
    StatusIn,
    TextIn,
)
from gateway.core.rules import Employee, Number, Rules, Sender, TextRules
from gateway.core.work import Plan

NOON = datetime(2026, 11, 23, 17, 0, tzinfo=UTC)  # a Monday, 12:00 in New York
DAY = timedelta(days=1)
MINUTE = timedelta(minutes=1)
DOMAIN = "sms.example.com"
BRAND = "Example Auto"
ADMIN = "admin@shop.example.com"
JOBS = "jobs@shop.example.com"

MARIA = Phone("+12025550143")  # a customer
PETER = Phone("+12025550144")  # another one
ALICE = Phone("+12025550111")  # her carrier's gateway is closed: falls back to the provider
BOB = Phone("+12025550112")  # by carrier
CAROL = Phone("+12025550113")  # her carrier's gateway is unverified, no fallback
DAVE = Phone("+12025550114")  # his carrier's gateway is closed, no fallback
ERIN = Phone("+12025550115")  # without a carrier
BRITON = Phone("+447400123456")
SERVICE, SALES = Phone("+12025550100"), Phone("+12025550101")

_CARRIERS = {
    "att": {
        "name": "AT&T",
        "sms": {"address": "{national}@txt.att.net", "status": "retired", "ends": date(2025, 6, 17)},
    },
    "verizon": {"name": "Verizon", "sms": {"address": "{national}@vtext.com", "status": "active"}},
    "unsure": {"name": "Unsure", "sms": {"address": "{national}@txt.unsure.example", "status": "unverified"}},
    "dark": {"name": "Dark", "sms": {"domain": "txt.dark.example"}},
}
CARRIERS, _PROBLEMS = carrier.build([("shop", _CARRIERS)])
assert not _PROBLEMS


def rules(**changes: Any) -> Rules:
    """The admin's word.  Senders: jobs; desk with a pool of both numbers; clerk who may more, and is never refused."""
    made = Rules(
        domain=DOMAIN,
        country="US",
        brand=BRAND,
        timezone=ZoneInfo("America/New_York"),
        alarm_to=(ADMIN,),
        senders=(
            Sender(name="jobs"),
            Sender(name="desk", numbers=("sales", "service")),
            Sender(name="clerk", may_consent=True, other_mail="relay"),
            Sender(name="lax", refuse="mail"),
        ),
        numbers=(
            Number(name="service", phone=SERVICE, provider="twilio", inbox="desk@shop.example.com"),
            Number(name="sales", phone=SALES, provider="twilio", price_per_segment=0.01),
        ),
        employees=(
            Employee(name="alice", phone=ALICE, carrier="att"),
            Employee(name="bob", phone=BOB, carrier="verizon"),
            Employee(name="carol", phone=CAROL, carrier="unsure", fallback="none"),
            Employee(name="dave", phone=DAVE, carrier="att", fallback="none"),
            Employee(name="erin", phone=ERIN),
        ),
        groups={"techs": ("alice", "bob", "dave"), "twins": ("bob", "bob")},
        carriers=CARRIERS,
        providers=frozenset({"twilio"}),
        text=TextRules(first=""),
    )
    return replace(made, **changes)


RULES = rules()


def sender(name: str, **changes: Any) -> Rules:
    """The rules with one sender changed."""
    return rules(senders=tuple(replace(s, **changes) if s.name == name else s for s in RULES.senders))


def employee(name: str, **changes: Any) -> Rules:
    """The rules with one employee changed."""
    return rules(employees=tuple(replace(e, **changes) if e.name == name else e for e in RULES.employees))


def reading(**changes: Any) -> Reading:
    """A job mail: Subject "Reminder", text "Your car is ready."."""
    made = Reading(
        subject="Reminder",
        author=MailAddr(JOBS),
        author_name="Job system",
        reply_to=None,
        message_id="<m1@shop.example.com>",
        in_reply_to="",
        references=(),
        date="Mon, 23 Nov 2026 12:00:00 -0500",
        auto_submitted="",
        bulk=False,
        report=False,
        hops=1,
        ours=False,
        text="Your car is ready.",
        cut="",
        answer="At five.",
        answer_cut="> earlier words",
        attachments=0,
    )
    return replace(made, **changes)


def mail(*recipients: str | Recipient, **changes: Any) -> InboundMail:
    """A mail of the sender jobs to these recipients; one without @ is at our domain.  `mail_from`, `envid` as named."""
    mail_from, envid = changes.pop("mail_from", JOBS), changes.pop("envid", "")
    given = tuple(r if isinstance(r, Recipient) else Recipient(address=at(r)) for r in recipients)
    made = InboundMail(
        id="m1",
        at=NOON,
        door=Door.SUBMISSION,
        peer="192.0.2.7",
        sender="jobs",
        envelope=Envelope(mail_from=mail_from, recipients=given, envid=envid),
        raw=b"Subject: Reminder\r\n\r\nYour car is ready.\r\n",
    )
    return replace(made, **changes)


def at(recipient: str) -> str:
    return recipient if "@" in recipient else f"{recipient}@{DOMAIN}"


def text_in(text: str = "At ten?", **changes: Any) -> InboundHook:
    """What Maria texts to our service number."""
    event = TextIn(remote_id="SM1", author=MARIA, number=SERVICE, text=text)
    return InboundHook(id="twilio:SM1", at=NOON, provider="twilio", event=replace(event, **changes), raw=b"")


def status_in(status: str, **changes: Any) -> InboundHook:
    """What Twilio says of the text m1.1.1."""
    event = StatusIn(remote_id="SM1", delivery="m1.1.1", attempt=1, status=status)
    hook = InboundHook(id=f"twilio:SM1:1:{status}", at=NOON, provider="twilio", event=event, raw=b"")
    return replace(hook, event=replace(event, **changes))


def entry(action: str, phone: Phone = MARIA, **changes: Any) -> Consent:
    """An entry of yesterday in the ledger; a START comes a minute after all else."""
    when = NOON - DAY + (MINUTE if action == "start" else timedelta())
    made = Consent(id=f"{action}.{phone}", brand=BRAND, phone=phone, at=when, action=action, method="paper")
    return replace(made, **changes)


def talk(**changes: Any) -> Conversation:
    """What jobs says to Maria about "reminder": texted yesterday, open."""
    made = Conversation(
        id="aaaaaaaaaaaaaaaa",
        sender="jobs",
        phone=MARIA,
        job="reminder",
        number="service",
        subject="Reminder",
        message_id="<m0@shop.example.com>",
        references=("<root@shop.example.com>",),
        reply_to=JOBS,
        opened_at=NOON - 2 * DAY,
        closes_at=NOON + DAY,
        texted_at=NOON - DAY,
        text="Your car is in the shop.",
    )
    return replace(made, **changes)


def facts(*entries: Consent, **changes: Any) -> Facts:
    """What is known: the ledger, and a hundred fresh tokens."""
    phones = {e.phone for e in entries}
    ledger = {phone: tuple(e for e in entries if e.phone == phone) for phone in phones}
    return replace(Facts(consents=ledger, fresh=tuple(f"token{n:05d}x" for n in range(100))), **changes)


AGREED = facts(entry("grant"))


def planned(
    inbound: InboundMail | InboundHook,
    known: Facts,
    told: Rules = RULES,
    read: Reading | None = None,
    *,
    pictures: tuple[Picture, ...] = (),
    now: datetime = NOON,
) -> Plan:
    """The plan for what came in, from understanding on."""
    found = None if isinstance(inbound, InboundHook) else read or reading()
    return plan.make(inbound, found, understand(inbound, found, told), known, told, now, pictures)


def picture(kind: str = "image/jpeg", name: str = "car.jpg", **changes: Any) -> Picture:
    """A picture of three bytes."""
    return replace(Picture(kind=kind, name=name, data=b"abc"), **changes)


def said(text: str = "Your car is ready.", **changes: Any) -> Said:
    """What jobs texted a minute ago."""
    made = Said(kind=Kind.TEXT, sender="jobs", text=text, rule="", at=NOON - MINUTE, fate=Fate.HANDED_OVER)
    return replace(made, **changes)


def number(name: str, **changes: Any) -> Rules:
    """The rules with one number changed."""
    return rules(numbers=tuple(replace(n, **changes) if n.name == name else n for n in RULES.numbers))
