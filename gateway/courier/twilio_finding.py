"""What is found out about our account and numbers at Twilio, judged in plain words.  Nothing here asks anybody.

A number goes by its name in the configuration, and of a foreign web address only the host is told.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

from gateway.core.phone import is_nanp, region
from gateway.core.rules import Number

MESSAGE_HOOK = "/hooks/twilio/message"
UNREACHABLE = "unreachable"
CHANGED = "changed"
_TOLL_FREE = frozenset({"800", "888", "877", "866", "855", "844", "833", "822"})
# A long code here is assumed to text US phones; "" is an area code that libphonenumber does not list.
_US = frozenset({"US", "PR", "VI", "GU", "AS", "MP", ""})
_LONGEST = 200  # characters of Twilio's own words that are shown

# status -> level, text, remedy; "" = there is no such registration.  Source: OpenAPI document messaging v1.
Words = Mapping[str, tuple[str, str, str]]
_VERIFICATION: Words = {
    "TWILIO_APPROVED": ("ok", "the toll-free number is verified", ""),
    "IN_REVIEW": (
        "warning",
        "the toll-free number is being reviewed: until it is verified its texts fail with 30032",
        "wait for Twilio's decision, then check again",
    ),
    "PENDING_REVIEW": (
        "warning",
        "the toll-free number waits for review: until it is verified its texts fail with 30032",
        "wait for Twilio's decision, then check again",
    ),
    "TWILIO_REJECTED": (
        "error",
        "Twilio has turned down the verification of the toll-free number: its texts fail with 30032",
        "mend the verification in Twilio's console and hand it in again",
    ),
    "": (
        "error",
        "the toll-free number is not verified: its texts fail with 30032",
        "ask for toll-free verification in Twilio's console",
    ),
}
_CAMPAIGN: Words = {
    "VERIFIED": ("ok", "its A2P 10DLC campaign is verified", ""),
    "IN_PROGRESS": (
        "warning",
        "its A2P 10DLC campaign is being reviewed: until it is verified texts to US phones fail with 30034",
        "wait for the decision, then check again",
    ),
    "FAILED": (
        "error",
        "its A2P 10DLC campaign was turned down: texts to US phones fail with 30034",
        "mend the campaign in Twilio's console and hand it in again",
    ),
    "": (
        "error",
        "its messaging service has no A2P 10DLC campaign: texts to US phones fail with 30034",
        "register a brand and a campaign in Twilio's console, for this messaging service",
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What one question brought."""

    number: str  # name of our number; "" = it is about no single one
    level: str  # ok | warning | error
    what: str  # account | ours | service | webhook | registration | refused | unreachable | changed
    text: str  # a plain sentence: what is, and what follows
    remedy: str = ""  # "" = nothing is to be done
    fixable: bool = False  # TwilioAccount.point sets it right


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """The messaging service that a number names."""

    has_number: bool
    url: str  # "" = texts that come in are dropped, unless it defers
    method: str
    defers: bool  # the webhook of the number counts


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """Where Twilio hands in the texts to a number, and whose setting that is."""

    owner: str  # number | service | application
    url: str = ""
    method: str = "POST"

    def leads_to(self, ours: str) -> bool:
        """Whether it is our webhook.  What follows # steers Twilio's retries and is not sent."""
        return self.url.partition("#")[0] == ours and self.method == "POST"

    @property
    def shown(self) -> str:
        """The address for people: its path or query may hold somebody's secret."""
        return (urlsplit(self.url).hostname or "another address") if self.url else "empty"


def door(row: Any, service: Service | None) -> Door:
    """The door of the number with that row.  Twilio ignores SmsUrl beside a TwiML App."""
    if service is not None and service.has_number and not service.defers:
        return Door(owner="service", url=service.url, method=service.method)
    if row.sms_application_sid:
        return Door(owner="application")
    return Door(owner="number", url=row.sms_url or "", method=row.sms_method or "POST")


def unreachable(text: str) -> Finding:
    """Twilio said nothing that can be used."""
    remedy = "check the way to the internet and twilio.api_url, then check again"
    return Finding(number="", level="error", what=UNREACHABLE, text=text, remedy=remedy)


def unusable(text: str) -> Finding:
    """The account is not one that texts can be sent from."""
    remedy = "compare twilio.account_sid and twilio.auth_token with Twilio's console"
    return Finding(number="", level="error", what="account", text=text, remedy=remedy)


def account(row: Any) -> Finding:
    """The account with that row; None = Twilio has no such account."""
    if row is None:
        return unusable("Twilio has no such account")
    if row.status != "active":
        return unusable(f"the account is {_plain(row.status) or 'not active'}: Twilio takes no text from it")
    if row.type == "Trial":
        text = "the account is a trial: it texts only phones that were verified in Twilio's console (21608)"
        return Finding(number="", level="warning", what="account", text=text, remedy="upgrade the account")
    return Finding(number="", level="ok", what="account", text="the account is active")


def ours(number: Number, row: Any) -> Finding:
    """Whether the account has the number and may text from it; a `row` of None = it has not."""
    if row is None:
        text = "the number does not belong to the account: Twilio takes no text from it (21606)"
        remedy = "compare the phone of the [[number]] and twilio.account_sid with Twilio's console"
        return Finding(number=number.name, level="error", what="ours", text=text, remedy=remedy)
    able = row.capabilities if isinstance(row.capabilities, Mapping) else {}
    if not any(can is True for name, can in able.items() if name.lower() == "sms"):
        text = "the number belongs to the account but cannot send texts (21601)"
        remedy = "use a number that can send texts"
        return Finding(number=number.name, level="error", what="ours", text=text, remedy=remedy)
    if number.mms and not any(can is True for name, can in able.items() if name.lower() == "mms"):
        text = "the number can send texts but no pictures"
        remedy = "set mms = false of the [[number]]: pictures then go as links"
        return Finding(number=number.name, level="warning", what="ours", text=text, remedy=remedy)
    text = "the number belongs to the account and can send texts"
    return Finding(number=number.name, level="ok", what="ours", text=text)


def pool(number: Number, service: Service | None) -> Finding:
    """Whether the messaging service that the number names exists and has the number."""
    if service is not None and service.has_number:
        return Finding(number=number.name, level="ok", what="service", text="the number is in its messaging service")
    if service is None:
        text = "its messaging service does not exist in the account: Twilio takes no text by it (21705)"
        remedy = "correct messaging_service_sid of the [[number]]"
    else:
        text = (
            "the number is not in its messaging service: Twilio takes no text by it (21712), and no campaign covers it"
        )
        remedy = "add the number to the sender pool of the service in Twilio's console"
    return Finding(number=number.name, level="error", what="service", text=text, remedy=remedy)


def webhook(number: Number, found: Door, public_url: str) -> Finding:
    """Whether texts to the number come to us: by webhook, or with a `public_url` of "" by polling."""
    if found.owner == "service" and not found.url:
        text = (
            "its messaging service has no address for texts that come in: Twilio drops them, and they cannot be polled"
        )
        remedy = "" if public_url else "let the service defer to the sender's webhook, or set http.public_url"
        return _wrong(number, text, remedy, fixable=bool(public_url))
    if not public_url:
        return _polled(number, found)
    here = f"{public_url}{MESSAGE_HOOK}"
    if found.leads_to(here):
        return Finding(number=number.name, level="ok", what="webhook", text=f"texts to the number come to {here}")
    if found.owner == "application":
        text = "texts to the number go to a TwiML App and reach us late, by polling"
        return _wrong(number, text, "take the TwiML App off the number in Twilio's console, then use --fix")
    whose = "its messaging service" if found.owner == "service" else "the number"
    if found.url.partition("#")[0] == here:
        text = f"the webhook of {whose} is called by {_plain(found.method)}, not POST: texts reach us late, by polling"
    else:
        text = f"the webhook of {whose} is {found.shown} and not {here}: texts reach us late, by polling"
    return _wrong(number, text, fixable=True)


def _wrong(number: Number, text: str, remedy: str = "", *, fixable: bool = False) -> Finding:
    remedy = remedy or "gateway check --fix sets it"
    return Finding(number=number.name, level="error", what="webhook", text=text, remedy=remedy, fixable=fixable)


def _polled(number: Number, found: Door) -> Finding:
    if found.owner != "application" and not found.url:
        text = "texts are polled: http.public_url is not set"
        return Finding(number=number.name, level="ok", what="webhook", text=text)
    where = "a TwiML App" if found.owner == "application" else found.shown
    text = f"texts are polled, but Twilio hands them to {where} too, which may answer them"
    remedy = "take that webhook off in Twilio's console, or set http.public_url"
    return Finding(number=number.name, level="warning", what="webhook", text=text, remedy=remedy)


def toll_free(number: Number) -> bool:
    """Whether the number is registered by toll-free verification and not by a campaign."""
    return is_nanp(number.phone) and number.phone[2:5] in _TOLL_FREE


def verification(number: Number, rows: Sequence[Any]) -> Finding:
    """What the verifications of a toll-free number say; the best one counts."""
    found = _registration(number, _VERIFICATION, [str(row.status or "") for row in rows], "30032")
    if found.level != "error" or not rows:
        return found
    return _because(found, next((row.rejection_reason for row in rows if row.rejection_reason), ""))


def unasked(number: Number) -> Finding | None:
    """What can be said of a number that names no messaging service; None where that one must be asked."""
    if not is_nanp(number.phone):
        text = "no registration is known to this check for numbers of its country"
        return Finding(number=number.name, level="ok", what="registration", text=text)
    if number.messaging_service_sid:
        return None
    text = (
        "whether it is registered cannot be asked: an A2P 10DLC campaign is attached to a messaging service, and the"
        " number names none; without a campaign texts to US phones fail with 30034"
    )
    remedy = "set messaging_service_sid of the [[number]] to the service that has the campaign and the number"
    return Finding(number=number.name, level="warning", what="registration", text=text, remedy=remedy)


def campaign(number: Number, rows: Sequence[Any]) -> Finding:
    """What the campaigns of a number's messaging service say; the best one counts.

    A number of another country of +1 needs a campaign for texts to the US alone: what is an error for a US number is a
    warning there.
    """
    found = _registration(number, _CAMPAIGN, [str(row.campaign_status or "") for row in rows], "30034")
    if found.level != "error":
        return found
    reasons = [error.get("error_code") for row in rows for error in row.errors or [] if isinstance(error, Mapping)]
    found = _because(found, ", ".join(str(code) for code in dict.fromkeys(reasons) if code))
    return found if region(number.phone) in _US else replace(found, level="warning")


def _registration(number: Number, words: Words, statuses: Iterable[str], code: str) -> Finding:
    """The finding for the best status, in the order of `words`; one that they do not hold is told as it is."""
    have = set(statuses) - {""}
    best = next((status for status in words if status in have), min(have, default=""))
    if best in words:
        level, text, remedy = words[best]
    else:
        level, text = "warning", f"the registration says {_plain(best)}: texts may fail with {code}"
        remedy = "look it up in Twilio's console"
    return Finding(number=number.name, level=level, what="registration", text=text, remedy=remedy)


def _because(found: Finding, reason: object) -> Finding:
    told = _plain(reason)
    return replace(found, text=f"{found.text}; the reason given: {told}") if told else found


def _plain(said: object) -> str:
    """Words of Twilio's on one line, without control characters."""
    line = " ".join(str(said or "").split())[:_LONGEST]
    return "".join(letter for letter in line if letter.isprintable())
