"""Quiet hours: when a phone may not be texted by the clock on its owner's wall.

Where the owner lives is a guess from the number, so it is quiet as soon as it is quiet in one of the time zones that
the number may be in.  Hours are "20:00-08:00": from the first moment on, until before the second.
Source: 47 CFR 64.1200(c)(1) and stricter state laws speak of the called party's local time.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import phonenumbers
from phonenumbers import timezone
from phonenumbers.tzdata import TIMEZONE_DATA

from gateway.core import phone as phones
from gateway.core.model import Phone

_FURTHEST = timedelta(days=7)  # a window that never opens in all zones at once ends here
_DAY = timedelta(days=1)
_MOMENT = timedelta.resolution
_CACHED = 65_536

# The states of the US and the provinces of Canada, as far as their clocks differ or a legislature may make them differ.
_UNITED_STATES_AND_CANADA = (
    "America/St_Johns", "America/Halifax", "America/Puerto_Rico", "America/New_York", "America/Toronto",
    "America/Chicago", "America/Winnipeg", "America/Regina", "America/Denver", "America/Edmonton", "America/Phoenix",
    "America/Whitehorse", "America/Los_Angeles", "America/Vancouver", "America/Anchorage", "America/Adak",
    "Pacific/Honolulu",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A part of every day by the clock on the wall; it crosses midnight when it ends before it begins."""

    begin: timedelta  # since midnight
    end: timedelta

    def holds(self, local: datetime) -> bool:
        """Whether the wall clock of `local` stands inside."""
        clock = _clock(local)
        if self.begin < self.end:
            return self.begin <= clock < self.end
        return clock >= self.begin or clock < self.end


@lru_cache
def window(hours: str) -> Window:
    """The window that "20:00-08:00" names; ValueError for anything else, which config.py lets through nowhere."""
    begin, end = (timedelta(hours=int(at[:2]), minutes=int(at[3:])) for at in hours.split("-"))
    return Window(begin=begin, end=end)


@lru_cache(maxsize=_CACHED)
def zones(phone: Phone) -> tuple[ZoneInfo, ...]:
    """The time zones that `phone` may be in, at least one.

    A number of +1 may be in every zone of its area code, because numbers are ported across it; one without a place
    (toll-free, an area code that the list does not have) in every zone of the US and Canada.
    """
    found = tuple(zone for name in sorted(_places(phone)) if (zone := _zone(name)))
    return found or tuple(ZoneInfo(name) for name in _UNITED_STATES_AND_CANADA)


def _places(phone: Phone) -> frozenset[str]:
    if phones.is_nanp(phone):
        return _area_codes().get(phone[1:5], frozenset())
    return frozenset(timezone.time_zones_for_geographical_number(phonenumbers.parse(phone, None)))


@lru_cache
def _area_codes() -> dict[str, frozenset[str]]:
    """The names of zones by "1" and area code: what the library knows of the code and of the exchanges within it."""
    found: dict[str, set[str]] = {}
    for prefix, names in TIMEZONE_DATA.items():
        if prefix.startswith("1") and len(prefix) >= 4:
            found.setdefault(prefix[:4], set()).update(names)
    return {code: frozenset(names) for code, names in found.items()}


def _zone(name: str) -> ZoneInfo | None:
    """The zone of that name; None for the library's "Etc/Unknown", and for one younger than this machine's tables."""
    try:
        return None if name == timezone.UNKNOWN_TIMEZONE else ZoneInfo(name)
    except ZoneInfoNotFoundError:
        return None


def lifts_at(phone: Phone, hours: str, now: datetime) -> datetime | None:
    """The first moment from `now` on, UTC, when it is quiet in none of the phone's zones; None when that is `now`.

    `hours` "" is never quiet.  Where zones lie so far apart that no common moment comes within 7 days, those 7 days.
    """
    if not hours:
        return None
    lifted = _lifted(zones(phone), window(hours), now)
    return lifted if lifted > now else None


def begins_at(phone: Phone, hours: str, now: datetime) -> datetime | None:
    """The next moment, UTC, when quiet begins in the first of the phone's zones; None when `hours` is "".

    While it is quiet, the moment after that.  Where it never ceases (see `lifts_at`), `now`.
    """
    if not hours:
        return None
    span, places = window(hours), zones(phone)
    start = _lifted(places, span, now)
    if any(span.holds(start.astimezone(zone)) for zone in places):
        return now.astimezone(UTC)
    return min(_turn(zone, span, start) for zone in places)


def _lifted(places: tuple[ZoneInfo, ...], span: Window, now: datetime) -> datetime:
    """The first moment from `now` on that is quiet nowhere, at most 7 days ahead."""
    at = now.astimezone(UTC)
    latest = at + _FURTHEST
    while at < latest:
        quiet = [zone for zone in places if span.holds(at.astimezone(zone))]
        if not quiet:
            return at
        at = max(_turn(zone, span, at) for zone in quiet)
    return latest


def _turn(zone: ZoneInfo, span: Window, at: datetime) -> datetime:
    """The first moment after `at`, UTC, when it becomes quiet in `zone` or ceases to be.

    A clock that is set forward may jump over the edge of the window, and one that is set back may pass it twice.
    """
    while True:
        local = at.astimezone(zone)
        quiet = span.holds(local)
        then = at + ((span.end if quiet else span.begin) - _clock(local)) % _DAY
        if then.astimezone(zone).utcoffset() == local.utcoffset():
            return then
        at = _set(zone, at, then)
        if span.holds(at.astimezone(zone)) != quiet:
            return at


def _set(zone: ZoneInfo, before: datetime, after: datetime) -> datetime:
    """The moment at which the clock of `zone` is set; its offsets at `before` and `after` differ."""
    was = before.astimezone(zone).utcoffset()
    while after - before > _MOMENT:
        middle = before + (after - before) // 2
        if middle.astimezone(zone).utcoffset() == was:
            before = middle
        else:
            after = middle
    return after


def _clock(local: datetime) -> timedelta:
    return timedelta(hours=local.hour, minutes=local.minute, seconds=local.second, microseconds=local.microsecond)
