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


def test_what_is_in_hand_counts_where_it_takes_much_memory() -> None:
    held = backlog.Backlog()
    large = [mail(f"m{n}", backlog.HEAVY_BYTES // 2) for n in range(2)]
    for one in large:
        held.add(one, slow=False)
        held.add(one, slow=False)
        assert held.next() is one
    assert (held.full, held.heavy) == (False, False)
    held.add(mail("m9", 1), slow=True)
    assert (held.full, held.heavy) == (True, True)
    held.done(large[0])
    assert (held.full, held.heavy) == (False, False)


def test_what_waits_is_bounded_in_number_and_bytes() -> None:
    held = backlog.Backlog()
    for n in range(backlog.MOST):
        held.add(mail(f"m{n}", 1), slow=False)
    assert (held.full, held.heavy) == (True, False)
    assert held.next().id == "m0"
    assert not held.full
    held.add(mail("large", backlog.MOST_BYTES), slow=True)
    assert (held.full, held.heavy) == (True, False)
    assert held.next(slow=True).id == "large"
    assert not held.full
