"""What goes with a text, looked into by the real reader before its mail is planned."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from email.message import EmailMessage
from email.policy import SMTP
from zoneinfo import ZoneInfo

import pytest
from clock import NOON
from PIL import Image

from gateway.core import carrier
from gateway.core.intent import understand
from gateway.core.model import Door, Envelope, InboundMail, Phone, Picture, Reading, Recipient
from gateway.core.rules import Employee, Rules, TextRules
from gateway.enclosures import Enclosures
from gateway.reader import MailReader

DOMAIN = "sms.example.com"
_TABLE = {
    "x": {
        "name": "X",
        "sms": {"address": "{national}@txt.x.example", "status": "active"},
        "mms": {"address": "{national}@mms.x.example", "status": "active", "max_bytes": 60_000},
    }
}
CARRIERS, _ = carrier.build([("shop", _TABLE)])
RULES = Rules(
    domain=DOMAIN,
    country="US",
    brand="Example Auto",
    timezone=ZoneInfo("America/New_York"),
    carriers=CARRIERS,
    employees=(
        Employee(name="alice", phone=Phone("+12025550111"), carrier="x"),
        Employee(name="bob", phone=Phone("+12025550112"), carrier="x", channel="mms"),
    ),
)
OPEN = replace(RULES, public_url="https://sms.example.com")


@pytest.fixture
async def reader() -> AsyncIterator[MailReader]:
    made = MailReader(reply_domains=("txt.x.example", "mms.x.example"), children=1)
    yield made
    await made.close()


def photo() -> bytes:
    out = io.BytesIO()
    Image.effect_noise((1200, 900), 90).convert("RGB").save(out, format="JPEG", quality=90)
    return out.getvalue()


def mail(*recipients: str, author: str = "jobs@shop.example.com", door: Door = Door.SUBMISSION) -> InboundMail:
    """A mail with a large photo and a PDF attached."""
    written = EmailMessage(policy=SMTP)
    written["From"] = author
    written.set_content("Fix this.")
    written.add_attachment(photo(), maintype="image", subtype="jpeg", filename="car.jpg")
    written.add_attachment(b"%PDF-1.7", maintype="application", subtype="pdf", filename="bill.pdf")
    envelope = Envelope(mail_from=author, recipients=tuple(Recipient(address=f"{r}@{DOMAIN}") for r in recipients))
    sender = "jobs" if door is Door.SUBMISSION else ""
    return InboundMail(
        id="m1", at=NOON, door=door, peer="192.0.2.7", sender=sender, envelope=envelope, raw=written.as_bytes()
    )


async def enclosed(reader: MailReader, inbound: InboundMail, rules: Rules) -> tuple[Picture, ...]:
    async def never(_: timedelta) -> bool:
        return False

    found = await reader.read(inbound.raw)
    assert isinstance(found, Reading)
    house = Enclosures(reader=reader, providers={}, deleting=(), stopped_within=never)
    return await house.of(inbound, found, understand(inbound, found, rules), rules)


@pytest.mark.parametrize(
    ("recipients", "rules", "most"),
    [
        pytest.param(("alice",), OPEN, 600_000, id="as large as the providers take it"),
        pytest.param(("bob",), RULES, 60_000, id="as small as a carrier wants it, without public_url too"),
        pytest.param(("alice", "2025550143", "bob"), OPEN, 60_000, id="one for all"),
    ],
)
async def test_a_photo_is_made_for_all_who_get_it(
    reader: MailReader, recipients: tuple[str, ...], rules: Rules, most: int
) -> None:
    image, document = await enclosed(reader, mail(*recipients), rules)

    assert (image.kind, image.problem, document.name) == ("image/jpeg", "", "bill.pdf")
    assert most // 10 < len(image.data) <= most


@pytest.mark.parametrize(
    ("recipient", "rules"),
    [
        pytest.param("alice", RULES, id="no way takes one"),
        pytest.param("bob", replace(OPEN, text=TextRules(pictures="ignore")), id="ignored"),
        pytest.param("postmaster", OPEN, id="no text"),
    ],
)
async def test_nothing_is_decoded_that_goes_nowhere(reader: MailReader, recipient: str, rules: Rules) -> None:
    assert await enclosed(reader, mail(recipient), rules) == ()


@pytest.mark.parametrize("recipient", ["r-aaaaaaaaaaaaaaaa", "b-aaaaaaaaaaaaaaaa"])
async def test_what_an_employee_sends_by_mail_is_looked_into(reader: MailReader, recipient: str) -> None:
    answer = mail(recipient, author="2025550112@mms.x.example", door=Door.PUBLIC)
    found = await enclosed(reader, answer, replace(RULES, text=TextRules(pictures="ignore")))

    assert [one.kind for one in found if one.kind.startswith("image/")] == ["image/jpeg"]
    assert len(found[0].data) > 60_000
