"""Quiet hours are the owner's; where he lives is a guess, so every zone of the number counts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from phonenumbers.tzdata import TIMEZONE_DATA

from gateway.core.model import Phone
from gateway.core.quiet import begins_at, lifts_at, window, zones

NIGHT = "20:00-08:00"
NEW_YORK = Phone("+12025550143")
KENTUCKY = Phone("+12705550143")  # in two zones, though the library names one for its area code
TOLL_FREE = Phone("+18005550143")
UNKNOWN = Phone("+19995550143")
BRITON = Phone("+447400123456")
ADAK = Phone("+19075550143")
PHONES = [NEW_YORK, KENTUCKY, TOLL_FREE, UNKNOWN, BRITON, ADAK, Phone("+17095550143"), Phone("+61491570156")]
MOMENT = timedelta.resolution


def names(phone: Phone) -> set[str]:
    return {zone.key for zone in zones(phone)}


def utc(*when: int) -> datetime:
    return datetime(*when, tzinfo=UTC)  # type: ignore[arg-type, misc]


def quiet_somewhere(phone: Phone, hours: str, at: datetime) -> bool:
    """The same question asked of the wall clocks, minute by minute and without the code under test."""
    begin, end = hours.split("-")
    for zone in zones(phone):
        clock = f"{at.astimezone(zone):%H:%M}"
        if (begin <= clock < end) if begin < end else (clock >= begin or clock < end):
            return True
    return False


@pytest.mark.parametrize(
    ("phone", "expected"),
    [
        (NEW_YORK, {"America/New_York"}),
        (KENTUCKY, {"America/New_York", "America/Chicago"}),
        (BRITON, {"Europe/London", "Europe/Guernsey", "Europe/Isle_of_Man"}),
        (Phone("+18765550143"), {"America/Jamaica"}),
    ],
    ids=["one zone", "a state in two", "abroad", "an island of +1"],
)
def test_a_number_is_in_all_zones_of_its_area(phone: Phone, expected: set[str]) -> None:
    assert expected <= names(phone)
    assert len(names(phone)) <= len(expected) + 1


@pytest.mark.parametrize(
    "phone", [TOLL_FREE, UNKNOWN, Phone("+881612345678")], ids=["toll-free", "no such area", "none"]
)
def test_a_number_without_a_place_is_everywhere_in_the_us_and_canada(phone: Phone) -> None:
    assert {"Pacific/Honolulu", "America/Los_Angeles", "America/New_York", "America/St_Johns"} <= names(phone)


def test_the_tables_of_zones_know_every_name_of_the_library() -> None:
    for name in {name for found in TIMEZONE_DATA.values() for name in found}:
        assert ZoneInfo(name).key == name


def test_a_zone_that_this_machine_does_not_have_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(TIMEZONE_DATA, "447400999", ("Europe/London", "Moon/Tycho"))

    assert {"Europe/London"} == names(Phone("+447400999999"))


@pytest.mark.parametrize(
    ("phone", "now", "expected"),
    [
        (NEW_YORK, utc(2026, 11, 23, 17), None),
        (NEW_YORK, utc(2026, 11, 24, 0, 59, 59), None),
        (NEW_YORK, utc(2026, 11, 24, 1), utc(2026, 11, 24, 13)),
        (NEW_YORK, utc(2026, 11, 24, 12, 59, 59), utc(2026, 11, 24, 13)),
        (NEW_YORK, utc(2026, 11, 24, 13), None),
        (KENTUCKY, utc(2026, 11, 24, 13), utc(2026, 11, 24, 14)),
        (NEW_YORK, utc(2026, 3, 8, 3), utc(2026, 3, 8, 12)),
        (NEW_YORK, utc(2026, 11, 1, 3), utc(2026, 11, 1, 13)),
    ],
    ids=["noon", "before it begins", "begins", "before it ends", "ends", "the later zone", "spring", "autumn"],
)
def test_quiet_lifts_when_it_is_quiet_in_no_zone(phone: Phone, now: datetime, expected: datetime | None) -> None:
    assert expected == lifts_at(phone, NIGHT, now)


@pytest.mark.parametrize(
    ("phone", "hours", "now", "expected"),
    [
        (NEW_YORK, NIGHT, utc(2026, 11, 23, 17), utc(2026, 11, 24, 1)),
        (KENTUCKY, NIGHT, utc(2026, 11, 23, 17), utc(2026, 11, 24, 1)),
        (NEW_YORK, "12:00-13:00", utc(2026, 11, 23, 17), utc(2026, 11, 24, 17)),
        (NEW_YORK, NIGHT, utc(2026, 11, 24, 3), utc(2026, 11, 25, 1)),
    ],
    ids=["the evening", "the earlier zone", "while it is quiet at noon", "while it is quiet at night"],
)
def test_quiet_begins_next_in_the_first_zone(phone: Phone, hours: str, now: datetime, expected: datetime) -> None:
    assert expected == begins_at(phone, hours, now)


@pytest.mark.parametrize(
    ("hours", "now", "expected"),
    [
        ("22:00-02:30", utc(2026, 3, 8, 5), utc(2026, 3, 8, 7)),
        ("02:15-02:45", utc(2026, 3, 8, 5), None),
        ("22:00-01:30", utc(2026, 11, 1, 4), utc(2026, 11, 1, 5, 30)),
        ("22:00-01:30", utc(2026, 11, 1, 6), utc(2026, 11, 1, 6, 30)),
        ("22:00-02:00", utc(2026, 11, 1, 4), utc(2026, 11, 1, 7)),
    ],
    ids=["ends in the gap", "is the gap", "first pass", "second pass", "ends where the clock is set back"],
)
def test_a_clock_that_is_set_counts_as_it_shows(hours: str, now: datetime, expected: datetime | None) -> None:
    assert expected == lifts_at(NEW_YORK, hours, now)


def test_no_hours_are_never_quiet() -> None:
    now = utc(2026, 11, 24, 3)

    assert (None, None) == (lifts_at(NEW_YORK, "", now), begins_at(NEW_YORK, "", now))


def test_hours_without_a_common_moment_end_after_seven_days() -> None:
    now = utc(2026, 11, 23, 17)

    assert now + timedelta(days=7) == lifts_at(TOLL_FREE, "12:00-11:00", now)
    assert now == begins_at(TOLL_FREE, "12:00-11:00", now)


def test_hours_that_are_none_are_a_bug() -> None:
    with pytest.raises(ValueError, match="invalid literal"):
        window("evening-morning")


TIMES = st.timedeltas(timedelta(0), timedelta(days=730)).map(lambda since: utc(2026, 1, 1) + since)
CLOCK = st.tuples(st.integers(0, 23), st.sampled_from((0, 1, 15, 30, 59)))
HOURS = (
    st.tuples(CLOCK, CLOCK).filter(lambda t: t[0] != t[1]).map(lambda t: "{:02}:{:02}-{:02}:{:02}".format(*sum(t, ())))
)
# The hours in which clocks are set, here and abroad.
CHANGES = st.builds(
    lambda day, minutes: day + timedelta(minutes=minutes),
    st.sampled_from([utc(2026, 3, 8), utc(2026, 11, 1), utc(2027, 3, 14), utc(2026, 3, 29), utc(2026, 10, 25)]),
    st.integers(0, 1440),
)


@settings(max_examples=300, deadline=None)  # the tables of zones are read on the way
@given(st.sampled_from(PHONES), HOURS, TIMES | CHANGES, st.floats(0, 1))
def test_quiet_lasts_from_now_until_it_lifts_and_not_longer(
    phone: Phone, hours: str, now: datetime, part: float
) -> None:
    lifted = lifts_at(phone, hours, now)

    assert (lifted is not None) == quiet_somewhere(phone, hours, now)
    if lifted is not None:
        assert quiet_somewhere(phone, hours, now + (lifted - MOMENT - now) * part)
        assert quiet_somewhere(phone, hours, lifted - MOMENT)
        assert lifted == now + timedelta(days=7) or not quiet_somewhere(phone, hours, lifted)


@settings(max_examples=300, deadline=None)  # the tables of zones are read on the way
@given(st.sampled_from(PHONES), HOURS, TIMES | CHANGES, st.floats(0, 1))
def test_nothing_is_quiet_until_quiet_begins(phone: Phone, hours: str, now: datetime, part: float) -> None:
    start, begun = lifts_at(phone, hours, now) or now, begins_at(phone, hours, now)

    assert begun is not None
    assert quiet_somewhere(phone, hours, begun)
    if not quiet_somewhere(phone, hours, start):
        assert not quiet_somewhere(phone, hours, start + (begun - MOMENT - start) * part)
        assert not quiet_somewhere(phone, hours, begun - MOMENT)
