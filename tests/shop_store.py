"""A shop's configuration on disk, and steps that fill its store: texts out and in, as the engine commits them."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from gateway.config import Config, load
from gateway.core.model import Door, Envelope, Fate, InboundHook, InboundMail, Kind, Phone, Recipient, TextIn
from gateway.core.work import Delivery, MailParcel, Message, Plan, Settlement, TextParcel, Writes
from gateway.ports import Budget, Spool

ANN = Phone("+12025550143")
BEN = Phone("+12025550144")
SERVICE = Phone("+12025550100")
SALES = Phone("+12025550101")
CONFIG = """
domain = "sms.example.com"
brand = "Example Auto"
timezone = "America/New_York"
alarm_to = ["admin@shop.example.com"]
[smtp]
listen = ["127.0.0.1:0"]
[relay]
host = "127.0.0.1"
tls = "off"
[twilio]
account_sid = "AC00000000000000000000000000000000"
auth_token = { file = "token" }
[[sender]]
name = "jobs"
networks = ["127.0.0.0/8"]
number = "service"
segments_per_day = 100
segments_per_month = 1000
[[sender]]
name = "desk"
networks = ["192.0.2.0/24"]
number = "sales"
[[number]]
name = "service"
phone = "+12025550100"
provider = "twilio"
price_per_segment = 0.0083
[[number]]
name = "sales"
phone = "+12025550101"
provider = "twilio"
"""


def shop(folder: Path) -> Config:
    """The configuration, written to config.toml in `folder` and loaded without its secret."""
    path = folder / "config.toml"
    path.write_text(CONFIG)
    return load(path, secrets=False)


def gateway(folder: Path, *words: str, given: str = "") -> subprocess.CompletedProcess[str]:
    """The command line with the configuration of `shop`; `given` is its standard input."""
    call = [sys.executable, "-m", "gateway", "-c", str(folder / "config.toml"), *words]
    return subprocess.run(call, input=given, capture_output=True, text=True, timeout=60, check=False)


async def text_out(
    spool: Spool,
    id_: str,
    at: datetime,
    *,
    outcome: str = "accepted",
    courier: str = "twilio",
    talk: str = "",
    **changes: object,
) -> None:
    """One text of two segments from `jobs` by `service`, made at `at`, planned and ended with `outcome`; `talk` is its
    conversation.
    """
    await spool.accept(_mail(id_, at))
    made = replace(_delivery(id_, at, courier), **changes)
    message = replace(_message(id_, at, made.kind), sender=made.sender, conversation=talk)
    committed = await spool.plan(Plan(inbound=id_, writes=Writes(messages=(message,), deliveries=(made,))))
    if not outcome:
        return
    (leased,) = committed.leased
    budget = Budget(sender=made.sender, day=f"{at:%Y-%m-%d}", month=f"{at:%Y-%m}")
    assert (await spool.start(leased, at, 0, budget if courier != "mail" else None)).done
    fate = {"accepted": Fate.HANDED_OVER, "refused": Fate.FAILED, "unclear": Fate.UNKNOWN}[outcome]
    remote_id = f"SM{id_}" if outcome == "accepted" else ""
    end = Settlement(delivery=made.id, attempt=1, outcome=outcome, fate=fate, remote_id=remote_id)
    assert (await spool.settle(end)).done


async def text_in(
    spool: Spool, sid: str, at: datetime, text: str, *, number: Phone = SERVICE, sender: str = ""
) -> None:
    """One text to our number; brought to `sender` as a reply where one is named."""
    event = TextIn(remote_id=sid, author=ANN, number=number, text=text)
    hook = InboundHook(id=f"twilio:{sid}", at=at, provider="twilio", event=event, raw=b"x")
    await spool.accept(hook)
    replies = (replace(_message(hook.id, at, Kind.REPLY), sender=sender),) if sender else ()
    assert (await spool.plan(Plan(inbound=hook.id, writes=Writes(messages=replies)))).done


def _mail(id_: str, at: datetime) -> InboundMail:
    envelope = Envelope(mail_from="jobs@example.com", recipients=(Recipient(address="2025550143@sms.example.com"),))
    return InboundMail(
        id=id_, at=at, door=Door.SUBMISSION, peer="192.0.2.7", sender="jobs", envelope=envelope, raw=b"\r\n"
    )


def _message(inbound: str, at: datetime, kind: Kind) -> Message:
    return Message(
        id=f"{inbound}.1",
        inbound=inbound,
        kind=kind,
        sender="jobs",
        recipient="2025550143@sms.example.com",
        phone=ANN,
        person="",
        conversation="",
        subject="",
        text="Your car is ready",
        at=at,
    )


def _delivery(inbound: str, at: datetime, courier: str) -> Delivery:
    mail = courier == "mail"
    text = TextParcel(number=SERVICE, service="", to=ANN, body="Your car is ready", validity_seconds=14400)
    return Delivery(
        id=f"{inbound}.1.1",
        message=f"{inbound}.1",
        kind=Kind.TEXT,
        courier=courier,
        lane=f"{courier}|{inbound}",
        number="" if mail else "service",
        to="2025550143@carrier.example" if mail else ANN,
        phone=ANN,
        person="",
        sender="jobs",
        parcel=MailParcel(mail_from="b-x@sms.example.com", rcpt_to="x@carrier.example", data=b"x") if mail else text,
        segments=0 if mail else 2,
        due_at=at,
        expires_at=at + timedelta(hours=4),
    )
