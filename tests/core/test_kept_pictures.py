"""The picture of a carrier's text that falls back: the provider brings it, or the note says that it stayed behind."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import shop
from outbox import texts
from shop import BOB, JOBS, NOON, facts, mail, picture, planned, reading

from gateway.core import carrier, verdict
from gateway.core.model import Fate
from gateway.core.rules import Employee, Rules, TextRules
from gateway.core.work import Delivery, MailParcel, Plan, Refused, Settlement, TextParcel

URL = "https://sms.example.com"
_ROW = {
    "name": "Snap",
    "sms": {"address": "{national}@txt.snap.example", "status": "active"},
    "mms": {"address": "{national}@mms.snap.example", "status": "active", "max_bytes": 9},
}
CARRIERS, _PROBLEMS = carrier.build([("shop", {"snap": _ROW})])
assert not _PROBLEMS
FULL = Refused(reason="552 full", code="5.2.2")


def told(url: str = URL, *, fallback: str = "provider", **changes: Any) -> Rules:
    """Bob's texts go by a carrier that takes a picture."""
    bob = Employee(name="bob", phone=BOB, carrier="snap", channel="mms", fallback=fallback)
    return shop.rules(public_url=url, carriers=CARRIERS, employees=(bob,), groups={}, **changes)


def plain(**changes: Any) -> Rules:
    """The number sends no pictures."""
    numbers = tuple(replace(n, mms=False) for n in shop.RULES.numbers)
    return told(numbers=numbers, **changes)


def made(rules: Rules, text: str = "Your car is ready.", **changes: Any) -> Plan:
    return planned(mail("bob"), facts(), rules, reading(text=text), pictures=(picture(**changes),))


def refused(plan: Plan, rules: Rules, n: int = 0, **changes: Any) -> tuple[Settlement, Delivery | None]:
    """What follows when the carrier refuses mail n of a plan, and the fallback."""
    (message,) = plan.writes.messages
    running = replace(texts(plan)[n], fate=Fate.SENDING, attempt=1, posted_at=NOON, **changes)
    found = verdict.judge(running, message, FULL, rules, NOON, facts())
    return found, next((d for d in found.writes.deliveries if d.phone == BOB), None)


def parcel(delivery: Delivery | None) -> TextParcel:
    assert delivery is not None
    assert isinstance(delivery.parcel, TextParcel)
    return delivery.parcel


def test_the_picture_that_goes_by_a_carrier_is_kept_where_the_provider_is_behind() -> None:
    plan = made(told())
    (file,), (delivery,) = plan.writes.media, texts(plan)

    assert (b"abc", "m1.1", NOON + timedelta(days=7)) == (file.data, file.message, file.expires_at)
    assert isinstance(delivery.parcel, MailParcel)
    assert (f"{URL}/media/{file.token}/car.jpg",) == delivery.parcel.pictures
    assert file.token not in {delivery.bounce, plan.writes.conversations[0].id}


@pytest.mark.parametrize(
    ("rules", "changes", "expected"),
    [
        pytest.param(told(fallback="none"), {}, (), id="nothing is behind"),
        pytest.param(told(url=""), {}, ("car.jpg",), id="nowhere to fetch it"),
        pytest.param(told(), {"data": b"more than nine"}, (), id="the carrier takes none so large"),
        pytest.param(told(text=TextRules(pictures="ignore")), {}, (), id="ignored"),
    ],
)
def test_no_other_picture_is_kept(rules: Rules, changes: dict[str, Any], expected: tuple[str, ...]) -> None:
    plan = made(rules, **changes)
    (delivery,) = texts(plan)

    assert () == plan.writes.media
    assert isinstance(delivery.parcel, MailParcel)
    assert expected == delivery.parcel.pictures


def test_a_text_that_falls_back_brings_its_picture() -> None:
    plan = made(told())
    found, other = refused(plan, told())

    assert ("Your car is ready.", 1) == (parcel(other).body, len(parcel(other).media))
    assert plan.writes.media[0].token in parcel(other).media[0]
    assert "552 full; falls back to twilio" == found.note


def test_a_number_without_pictures_brings_a_link_that_counts() -> None:
    text = "x" * 150
    plan = made(plain(), text)
    found, other = refused(plan, plain(), n=1)
    token = plan.writes.media[0].token

    assert f"{text}\n{URL}/media/{token}/car.jpg" == parcel(other).body
    assert other is not None
    assert (2, ()) == (other.segments, parcel(other).media)
    assert text == plan.writes.messages[0].text
    assert "552 full; falls back to twilio; it may reach the phone twice" == found.note


@pytest.mark.parametrize("rules", [told(), plain()], ids=["with it", "as a link"])
def test_a_bare_picture_falls_back_too(rules: Rules) -> None:
    plan = made(rules, "")
    _, other = refused(plan, rules)

    assert any(plan.writes.media[0].token in where for where in (parcel(other).body, *parcel(other).media))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param(told(url=""), told(url=""), id="nowhere to fetch it"),
        pytest.param(told(), told(url=""), id="nowhere any more"),
        pytest.param(told(), told(url="https://other.example.com"), id="elsewhere by now"),
        pytest.param(told(), told(media_for=timedelta()), id="no longer there"),
        pytest.param(plain(), plain(text=TextRules(max_segments=1)), id="no room for a link"),
    ],
)
def test_a_picture_that_stays_behind_is_told(before: Rules, after: Rules) -> None:
    plan = made(before, "word " * 24)
    found, other = refused(plan, after)

    assert (("word " * 24).strip(), ()) == (parcel(other).body, parcel(other).media)
    assert found.note.startswith("552 full; falls back to twilio, without its picture")


def test_a_bare_picture_that_would_stay_behind_does_not_fall_back() -> None:
    plan = made(told(url=""), "")
    found, other = refused(plan, told(url=""))

    assert (None, [JOBS]) == (other, [d.to for d in found.writes.deliveries])


def test_a_text_without_a_picture_has_none_to_miss() -> None:
    plan = planned(mail("bob"), facts(), told())
    found, other = refused(plan, told())

    assert "552 full; falls back to twilio" == found.note
    assert other is not None
    assert "" == other.note
