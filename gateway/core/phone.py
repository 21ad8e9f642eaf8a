"""Phone numbers: what a person wrote becomes E.164, and E.164 becomes what a person reads."""

from __future__ import annotations

import re
from functools import lru_cache

import phonenumbers
from phonenumbers import PhoneNumber, PhoneNumberFormat, PhoneNumberType

from gateway.core.model import Phone

# The countries that share +1: the North American Numbering Plan.
NANP = frozenset(phonenumbers.COUNTRY_CODE_TO_REGION_CODE[1])

_MOST = 40  # characters that are looked at; E.164 has at most 15 digits, the rest may be separators
_WRITTEN = re.compile(r"\+?[0-9 .()/-]+")
_SEPARATORS = str.maketrans("", "", " .-()/")
# An area code is never N11 (411, 911) and never N9X (kept for longer numbers); an exchange begins with 2-9.
_NANP_TEN = re.compile(r"[2-9](?!11|9)[0-9]{2}[2-9][0-9]{6}")
_CACHED = 65_536


@lru_cache(maxsize=_CACHED)
def parse(text: str, country: str) -> Phone | None:
    """The phone that `text` names, or None when it names none.

    `text` is digits with an optional leading plus and the separators space . - ( ) /; letters and extensions are
    refused.  `country` (ISO 3166 alpha-2) tells how a number without a plus is read.  Numbers of +1 are judged by the
    shape of the plan and not by a list of area codes, because new ones open every year and 555-01XX must work; others
    must be valid by libphonenumber.
    """
    written = text.strip(" ")
    if len(written) > _MOST or not _WRITTEN.fullmatch(written):
        return None
    number = written.translate(_SEPARATORS)
    if number.startswith("+1"):
        return _nanp(number[2:])
    if number.startswith("+") or country not in NANP:
        return _elsewhere(number, country)
    if len(number) == 11 and number.startswith("1"):
        return _nanp(number[1:])
    # Longer ones may begin with the international prefix 011.
    return _nanp(number) if len(number) <= 10 else _elsewhere(number, country)


def _nanp(ten: str) -> Phone | None:
    return Phone(f"+1{ten}") if _NANP_TEN.fullmatch(ten) else None


def _elsewhere(number: str, country: str) -> Phone | None:
    try:
        found = phonenumbers.parse(number, country)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_valid_number(found):
        return None
    return Phone(phonenumbers.format_number(found, PhoneNumberFormat.E164))


@lru_cache(maxsize=_CACHED)
def region(phone: Phone) -> str:
    """The country of `phone` as ISO 3166 alpha-2: "US", "CA", "JM" apart although all are +1; "" when not known.

    An area code that libphonenumber does not list has no country.
    """
    return phonenumbers.region_code_for_number(_number(phone)) or ""


@lru_cache(maxsize=_CACHED)
def premium(phone: Phone) -> bool:
    """Whether a text to `phone` may cost more than a text does: 900 and 976 in +1, premium rate elsewhere."""
    if is_nanp(phone) and (phone[2:5] == "900" or phone[5:8] == "976"):
        return True
    return phonenumbers.number_type(_number(phone)) == PhoneNumberType.PREMIUM_RATE


def is_nanp(phone: Phone) -> bool:
    """Whether `phone` belongs to +1."""
    return phone.startswith("+1")


@lru_cache(maxsize=_CACHED)
def national(phone: Phone) -> str:
    """The digits of `phone` without the country code: ten digits for +1."""
    return phone[2:] if is_nanp(phone) else phonenumbers.national_significant_number(_number(phone))


@lru_cache(maxsize=_CACHED)
def shown(phone: Phone) -> str:
    """`phone` as people write it abroad: "+1 202-555-0143", "+44 20 7183 8750"."""
    return phonenumbers.format_number(_number(phone), PhoneNumberFormat.INTERNATIONAL)


def digits(phone: Phone) -> str:
    """E.164 without the plus: "12025550143"."""
    return phone.removeprefix("+")


def _number(phone: Phone) -> PhoneNumber:
    return phonenumbers.parse(phone, None)
