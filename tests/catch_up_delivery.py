"""A text that the real courier has handed over, and that the spool knows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from gateway.core.model import Fate, Kind, Phone
from gateway.core.work import Accepted, Delivery, Message, Settlement, TextParcel, Writes
from gateway.courier.twilio import TwilioProvider
from gateway.spool.sqlite import SqliteSpool


async def handed_over(spool: SqliteSpool, api_url: str, account: str, token: str, ours: Phone, to: Phone) -> str:
    """The id of its delivery, posted ten minutes ago."""
    at = datetime.now(UTC) - timedelta(minutes=10)
    message = Message(
        id="m1.1", inbound="m1", kind=Kind.TEXT, sender="jobs", recipient=to, phone=to, person="", conversation="",
        subject="", text="Your car is ready", at=at,
    )  # fmt: skip
    parcel = TextParcel(number=ours, service="", to=to, body=message.text, validity_seconds=3600)
    delivery = Delivery(
        id="m1.1.1", message="m1.1", kind=Kind.TEXT, courier="twilio", lane=f"twilio|{ours}|{to}", number="service",
        to=to, phone=to, person="", sender="jobs", parcel=parcel, segments=1, due_at=at,
        expires_at=at + timedelta(hours=4),
    )  # fmt: skip
    (leased,) = (await spool.write(Writes(messages=(message,), deliveries=(delivery,)))).leased
    await spool.start(leased, at, 0, None)
    provider = TwilioProvider(account_sid=account, auth_token=token, api_url=api_url)
    outcome = await provider.send(parcel, delivery.id, 1)
    await provider.close()
    assert isinstance(outcome, Accepted)
    await spool.settle(
        Settlement(
            delivery=delivery.id, attempt=1, outcome="accepted", fate=Fate.HANDED_OVER, remote_id=outcome.remote_id
        )
    )
    return delivery.id
