"""Inbounds in memory (gateway/backlog.py)."""

from __future__ import annotations

from datetime import UTC, datetime

from gateway import backlog
from gateway.core.model import Door, Envelope, InboundMail, Recipient

NOON = datetime(2026, 11, 23, 17, 0, tzinfo=UTC)


def mail(name: str, size: int) -> InboundMail:
    to = Envelope(mail_from="jobs@example.com", recipients=(Recipient(address="ann@sms.example.com"),))
    return InboundMail(
        id=name, at=NOON, door=Door.SUBMISSION, peer="192.0.2.7", sender="jobs", envelope=to, raw=b"x" * size
    )


def test_a_large_mail_counts_until_it_is_planned() -> None:
    held = backlog.Backlog()
    first, second = mail("m1", backlog.MOST_BYTES), mail("m2", 1)
    held.add(first, slow=False)
    held.add(first, slow=False)
    assert not held.full
    held.add(second, slow=True)
    assert held.full
    assert held.next() is first
    assert held.full
    held.done(first)
    assert not held.full


def test_small_mails_count_while_they_wait() -> None:
    held = backlog.Backlog()
    for n in range(backlog.MOST):
        held.add(mail(f"m{n}", 1), slow=False)
    assert held.full
    assert held.next().id == "m0"
    assert not held.full
