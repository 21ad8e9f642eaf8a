"""Values that the spool's tests store: a mail, a text hook, a message, a delivery, and the steps of its life."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

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
    MediaFile,
    Phone,
    Question,
    Recipient,
    StatusIn,
    TextIn,
)
from gateway.core.work import Delivery, MailParcel, Message, Move, Plan, Settlement, TextParcel, Writes
from gateway.ports import Fingerprint, Spool

NOON = datetime(2026, 11, 23, 17, 0, tzinfo=UTC)
ANN = Phone("+12025550143")
BEN = Phone("+12025550144")
OURS = Phone("+12025550100")
SECOND = timedelta(seconds=1)


def mail(id_: str = "m1", *to: str, at: datetime = NOON, raw: bytes = b"Subject: x\r\n\r\nhello\r\n") -> InboundMail:
    recipients = tuple(Recipient(address=address) for address in to or ("2025550143@sms.example.com",))
    envelope = Envelope(mail_from="jobs@example.com", recipients=recipients)
    return InboundMail(id=id_, at=at, door=Door.SUBMISSION, peer="192.0.2.7", sender="jobs", envelope=envelope, raw=raw)


def hook(sid: str = "SM1", author: Phone = ANN, text: str = "Thanks") -> InboundHook:
    event = TextIn(remote_id=sid, author=author, number=OURS, text=text)
    return InboundHook(id=f"twilio:{sid}", at=NOON, provider="twilio", event=event, raw=b"Body=x")


def status_hook(sid: str, word: str, delivery: str = "", code: str = "") -> InboundHook:
    event = StatusIn(remote_id=sid, delivery=delivery, attempt=1, status=word, code=code)
    return InboundHook(id=f"twilio:{sid}:1:{word}", at=NOON, provider="twilio", event=event, raw=b"")


def prints(inbound: InboundMail, *, digest: str = "same", window: float = 3600) -> list[Fingerprint]:
    return [
        Fingerprint(recipient=r.address, digest=digest.encode(), window_seconds=window)
        for r in inbound.envelope.recipients
    ]


def message(id_: str = "m1.1", *, phone: Phone | None = ANN, **fields: object) -> Message:
    made = Message(
        id=id_,
        inbound=id_.rpartition(".")[0],
        kind=Kind.TEXT,
        sender="jobs",
        recipient="2025550143@sms.example.com",
        phone=phone,
        person="",
        conversation="",
        subject="Your car",
        text="Your car is ready",
        at=NOON,
    )
    return replace(made, **fields)


def delivery(id_: str = "m1.1.1", *, phone: Phone = ANN, due_at: datetime = NOON, **fields: object) -> Delivery:
    """A paid text of three segments."""
    made = Delivery(
        id=id_,
        message=id_.rpartition(".")[0],
        kind=Kind.TEXT,
        courier="twilio",
        lane=f"twilio|{OURS}|{phone}",
        number="service",
        to=phone,
        phone=phone,
        person="",
        sender="jobs",
        parcel=TextParcel(number=OURS, service="", to=phone, body="Your car is ready", validity_seconds=14400),
        segments=3,
        due_at=due_at,
        expires_at=due_at + timedelta(hours=4),
    )
    return replace(made, **fields)


def carrier_mail(id_: str = "m1.1.1", *, to: str = "2025550143@carrier.example", **fields: object) -> Delivery:
    parcel = MailParcel(mail_from="b-x@sms.example.com", rcpt_to=to, data=b"From: x\r\n\r\nhi \xff\r\n", notify="NEVER")
    return replace(
        delivery(id_), courier="mail", lane=f"mail|{to}", number="", to=to, segments=0, parcel=parcel, **fields
    )


def consent(id_: str = "c1", action: str = "grant", phone: Phone = ANN, *, number: str = "") -> Consent:
    made = Consent(id=id_, brand="Example Auto", phone=phone, at=NOON, action=action, number=number)
    return replace(made, method="paper", evidence="form 7")


def conversation(id_: str = "talk1", *, job: str = "RO 17", sender: str = "jobs", **fields: object) -> Conversation:
    made = Conversation(
        id=id_,
        sender=sender,
        phone=ANN,
        job=job,
        number="service",
        subject="RO 17",
        message_id="<1@example.com>",
        references=("<0@example.com>",),
        reply_to=MailAddr("desk@example.com"),
        opened_at=NOON,
        closes_at=NOON + timedelta(days=14),
    )
    return replace(made, **fields)


def question(id_: str = "q1", **fields: object) -> Question:
    made = Question(
        id=id_,
        kind="job",
        phone=ANN,
        number="service",
        asked_at=NOON,
        closes_at=NOON + timedelta(minutes=10),
        text="Is it ready?",
        options=("talk1", "talk2"),
        deliveries=("m1.1.1",),
    )
    return replace(made, **fields)


def media_file(id_: str = "f1", **fields: object) -> MediaFile:
    """The file whose token is `id_`."""
    made = MediaFile(
        token=id_,
        name="brakes.jpg",
        kind="image/jpeg",
        data=bytes(range(256)),
        message="m1.1",
        at=NOON,
        expires_at=NOON + timedelta(days=7),
    )
    return replace(made, **fields)


def move(fate: Fate, source: str = "twilio", delivery: str = "m1.1.1", **fields: object) -> Move:
    return replace(Move(delivery=delivery, fate=fate, source=source), **fields)


def end(outcome: str, fate: Fate, *, delivery: str = "m1.1.1", attempt: int = 1, **fields: object) -> Settlement:
    return replace(Settlement(delivery=delivery, attempt=attempt, outcome=outcome, fate=fate), **fields)


async def planned(spool: Spool, *deliveries: Delivery, inbound: str = "m1", lease: bool = True) -> tuple[Delivery, ...]:
    """Accepts a mail and commits a plan with these deliveries; the leased ones."""
    await spool.accept(mail(inbound))
    messages = tuple(message(id_) for id_ in dict.fromkeys(d.message for d in deliveries))
    plan = Plan(inbound=inbound, writes=Writes(messages=messages, deliveries=deliveries))
    committed = await spool.plan(plan, lease=lease)
    assert committed.done
    return committed.leased


async def started(spool: Spool, *deliveries: Delivery) -> None:
    """Plans the deliveries and starts those that may go."""
    for leased in await planned(spool, *(deliveries or (delivery(),))):
        assert (await spool.start(leased, NOON, 0, None)).done


async def sent(spool: Spool, made: Delivery, *, inbound: str = "m1", remote_id: str = "SM9", ledger: int = 0) -> None:
    """Takes one delivery to `handed_over`."""
    (leased,) = await planned(spool, made, inbound=inbound)
    assert (await spool.start(leased, NOON, ledger, None)).done
    settled = await spool.settle(end("accepted", Fate.HANDED_OVER, delivery=made.id, remote_id=remote_id))
    assert settled.done


async def state_of(spool: Spool, id_: str = "m1.1.1") -> dict[str, object]:
    """The view of one delivery."""
    (row,) = await spool.find("delivery", id=id_)
    return row
