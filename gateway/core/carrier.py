"""The carrier table: which mail address reaches a phone, as of which date, on whose word."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

STATUSES = ("active", "unverified", "retiring", "retired", "no_gateway")


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """One gateway of a carrier: its sms or its mms table."""

    carrier: str  # id of the carrier
    channel: str  # "sms" | "mms"
    address: str = ""  # "{national}@vtext.com"; "" = not routable
    domain: str = ""  # of the address, or named alone where the address form is not known; lower case
    status: str = "unverified"
    ends: date | None = None
    seen: date | None = None
    max_chars: int = 0  # 0 = not known: 160 is assumed
    source: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Carrier:
    id: str
    name: str
    country: str = ""
    successor: str = ""
    mccmnc: tuple[str, ...] = ()
    channels: Mapping[str, Channel] = field(default_factory=dict)  # "sms", "mms"
    origin: str = "shipped"  # "shipped", or "file:line" of the admin's row


@dataclass(frozen=True, slots=True, kw_only=True)
class CarrierTable:
    carriers: Mapping[str, Carrier] = field(default_factory=dict)
    domains: Mapping[str, tuple[Channel, ...]] = field(default_factory=dict)  # every domain, routable or not
