"""What Twilio says to the parameters of a new text: pure checks and the words of the errors.

Source: the OpenAPI document api_v2010 (parameters) and Twilio's error dictionary (codes).
The magic numbers are those of the test credentials.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from urllib.parse import parse_qsl, urlsplit

from multidict import MultiDict

Form = MultiDict[str]

_E164 = re.compile(r"\+(?:1\d{10}|[2-9]\d{6,14})")
_SENDER = re.compile(r"\+(?:1\d{10}|[2-9]\d{6,14})|\d{3,8}|(?=.*[A-Za-z])[A-Za-z0-9 &+_-]{1,11}")
_SERVICE = re.compile(r"MG[0-9a-fA-F]{32}")
_MAGIC_TO = {
    "+15005550001": 21211,
    "+15005550002": 21612,
    "+15005550003": 21408,
    "+15005550004": 21610,
    "+15005550009": 21614,
}
_MAGIC_FROM = {"+15005550001": 21212, "+15005550007": 21606, "+15005550008": 21611}
_MANY = {"MediaUrl", "PersistentAction"}
_KNOWN = _MANY | {
    "To", "From", "MessagingServiceSid", "Body", "StatusCallback", "ApplicationSid", "MaxPrice", "ProvideFeedback",
    "Attempt", "ValidityPeriod", "ForceDelivery", "ContentRetention", "AddressRetention", "SmartEncoded", "TrafficType",
    "ShortenUrls", "ScheduleType", "SendAt", "SendAsMms", "ContentVariables", "RiskCheck", "FallbackFrom", "ContentSid",
    "MessageIntent",
}  # fmt: skip

# code -> (HTTP status, words); HTTP statuses stand for their general code
ERRORS: dict[int, tuple[int, str]] = {
    14107: (400, "The send rate between these two numbers is too high"),
    20001: (400, "Unknown parameters"),
    20003: (401, "Authenticate"),
    20005: (403, "Account not active"),
    20006: (403, "Access denied"),
    20404: (404, "The requested resource was not found"),
    20415: (415, "Unsupported media type"),
    20422: (400, "Invalid parameter"),
    20429: (429, "Too Many Requests"),
    20500: (500, "An internal server error has occurred"),
    20503: (503, "Service is unavailable. Please try again"),
    21211: (400, "The 'To' number is not a valid phone number."),
    21212: (400, "The 'From' number is not a valid phone number, shortcode, or alphanumeric sender ID."),
    21219: (400, "The 'To' phone number is not verified"),
    21408: (400, "Permission to send an SMS has not been enabled for the region indicated by the 'To' number."),
    21601: (400, "The 'From' phone number is not a valid SMS-capable inbound phone number"),
    21602: (400, "Message body is required."),
    21603: (400, "A 'From' phone number is required."),
    21604: (400, "A 'To' phone number is required."),
    21606: (400, "The 'From' phone number provided is not a valid message-capable Twilio phone number."),
    21608: (400, "The number is unverified. Trial accounts cannot send messages to unverified numbers."),
    21609: (400, "The 'StatusCallback' URL is not a valid URL."),
    21610: (400, "Attempt to send to unsubscribed recipient"),
    21611: (400, "This 'From' number has exceeded the maximum number of queued messages."),
    21612: (400, "The message cannot be sent with the current combination of 'To' and/or 'From' parameters."),
    21614: (400, "The 'To' number is not a valid mobile number."),
    21616: (400, "The 'From' number matches multiple numbers of the account"),
    21617: (400, "The concatenated message body exceeds the 1600 character limit."),
    21618: (400, "The message body cannot be sent"),
    21619: (400, "A text message body or media urls must be specified."),
    21620: (400, "Invalid media URL(s)"),
    21621: (400, "The 'From' number has not been enabled for MMS"),
    21622: (400, "MMS has not been enabled for your account"),
    21623: (400, "Number of media files exceeds allowed limit"),
    21624: (400, "The validity period is invalid"),
    21635: (400, "The 'To' number is a landline"),
    21658: (400, "A parameter exceeds its length limit"),
    21659: (400, "The 'From' number is not a Twilio phone number or short code of this country"),
    21660: (400, "The 'From' number does not belong to the account"),
    21661: (400, "The 'From' number is not SMS-capable"),
    21703: (400, "The Messaging Service does not contain a phone number"),
    21704: (400, "The Messaging Service contains no phone numbers that fit"),
    21705: (400, "The Messaging Service Sid is invalid."),
    21709: (400, "The Messaging Service cannot be used"),
    21712: (400, "The phone number is not of the Messaging Service"),
    21730: (400, "Maintenance is under way"),
    90007: (400, "ValidityPeriod is out of range: 1 to 36000"),
}
_GENERAL = {400: 20001, 401: 20003, 403: 20006, 404: 20404, 415: 20415, 429: 20429, 500: 20500, 503: 20503}


def error(code: int) -> tuple[int, dict[str, object]]:
    """HTTP status and JSON body for a Twilio error code or a bare HTTP status."""
    number = _GENERAL.get(code, code)
    status, words = ERRORS.get(number, (code if code < 1000 else 400, "The request was not accepted"))
    more = f"https://www.twilio.com/docs/errors/{number}"
    return status, {"code": number, "message": words, "more_info": more, "status": status}


def parse(body: bytes) -> Form:
    """The form, values in order, blank ones kept.  Raises ValueError (UnicodeDecodeError among them)."""
    return MultiDict(
        parse_qsl(body.decode("ascii"), keep_blank_values=True, strict_parsing=bool(body), errors="strict")
    )


def strange(form: Form) -> list[str]:
    """What Twilio would silently ignore: parameters that it does not know, or that came twice."""
    unknown = [f"unknown parameter {key!r}" for key in sorted(set(form) - _KNOWN)]
    return unknown + [f"parameter {key!r} came twice" for key in sorted(set(form) - _MANY) if len(form.getall(key)) > 1]


def check(form: Form, numbers: Collection[str], barred: Callable[[str, str, str], int], *, magic: bool = True) -> int:
    """Twilio's error code for a new text; 0 = it is taken.

    `numbers` are the account's; when there are none any well-formed From is.  `barred(author, service, to)` is the code
    that stands between the two, 0 = none.  `magic` numbers fail by themselves.
    """
    to, author, service = (form.get(key, "") for key in ("To", "From", "MessagingServiceSid"))
    if not to:
        return 21604
    if not author and not service:
        return 21603
    code = (_MAGIC_FROM.get(author, 0) if magic else 0) or _author(author, service, numbers)
    code = code or _content(form) or _options(form)
    if code:
        return code
    if not _E164.fullmatch(to):
        return 21211
    return (_MAGIC_TO.get(to, 0) if magic else 0) or barred(author, service, to)


def _author(author: str, service: str, numbers: Collection[str]) -> int:
    if service and not _SERVICE.fullmatch(service):
        return 21705
    if author and not _SENDER.fullmatch(author):
        return 21212
    return 21606 if author and numbers and author not in numbers else 0


def _content(form: Form) -> int:
    media = form.getall("MediaUrl", [])
    if not form.get("Body") and not media and not form.get("ContentSid"):
        return 21602
    if len(form.get("Body", "")) > 1600:
        return 21617
    if len(media) > 10:
        return 21623
    return 0 if all(_is_url(url) for url in media) else 21620


def _options(form: Form) -> int:
    callback = form.get("StatusCallback", "")
    if callback and not (_is_url(callback) and len(callback) <= 4000):
        return 21609
    validity = form.get("ValidityPeriod", "1")
    if not (validity.isascii() and validity.isdigit() and 1 <= int(validity) <= 36000):
        return 90007
    attempt = form.get("Attempt", "1")
    return 0 if attempt.isascii() and attempt.isdigit() else 20001


def _is_url(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname) and "_" not in (parts.hostname or "")
