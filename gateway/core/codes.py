"""Twilio's error codes and status words as data: whose fault a code is, and what to tell people.

Source: Twilio's error dictionary.  Its API document warns that codes may change, so what the table does not hold is
classed by the HTTP status alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from gateway.core.rules import ErrorRule


class Klass(StrEnum):
    """Whose fault an error is, and so what follows from it."""

    RECIPIENT = "recipient"  # this phone cannot be texted: never again by itself
    OPTED_OUT = "opted_out"  # the person said STOP, or the network says so for him
    CONFIG = "config"  # our account, number or service: stop the number, tell the admin, keep the queue
    MESSAGE = "message"  # this text only: never again by itself
    RETRY = "retry"  # passing: another try, soon
    LATER = "later"  # a full queue or a spent allowance: another try, much later
    UNCLEAR = "unclear"  # it may or may not have been taken


_TABLE: dict[str, tuple[Klass, str]] = {
    # answers to the request itself
    "20001": (Klass.MESSAGE, "a parameter of the request is unknown or invalid"),
    "20003": (Klass.CONFIG, "the account or its auth token is not accepted"),
    "20005": (Klass.CONFIG, "the account is not active, perhaps without funds"),
    "20006": (Klass.CONFIG, "the account may not do this"),
    "20404": (Klass.CONFIG, "the account or the messaging service does not exist"),
    "20422": (Klass.MESSAGE, "a parameter of the request is invalid"),
    "20429": (Klass.RETRY, "too many requests at once; this one was not processed"),
    "20500": (Klass.UNCLEAR, "the provider had an internal error"),
    "20503": (Klass.UNCLEAR, "the provider is not available"),
    "21211": (Klass.RECIPIENT, "the number is not a valid phone number"),
    "21212": (Klass.CONFIG, "our number is not valid"),
    "21219": (Klass.RECIPIENT, "a trial account may text verified numbers only, and this one is not"),
    "21408": (Klass.RECIPIENT, "the account is not enabled for texts to that country"),
    "21601": (Klass.CONFIG, "our number cannot send texts"),
    "21602": (Klass.MESSAGE, "the text is empty"),
    "21603": (Klass.CONFIG, "no number of ours was named to send from"),
    "21604": (Klass.MESSAGE, "no number was named to send to"),
    "21606": (Klass.CONFIG, "our number does not belong to the account or cannot text that destination"),
    "21608": (Klass.RECIPIENT, "a trial account may text verified numbers only, and this one is not"),
    "21609": (Klass.CONFIG, "the address for status reports, made from public_url, is not valid"),
    "21610": (Klass.OPTED_OUT, "the person has opted out (STOP) of texts from this number"),
    "21611": (Klass.LATER, "the queue of our number is full"),
    "21612": (Klass.RECIPIENT, "there is no way from our number to that phone"),
    "21614": (Klass.RECIPIENT, "the number is not a mobile number"),
    "21616": (Klass.CONFIG, "our number is ambiguous"),
    "21617": (Klass.MESSAGE, "the text is longer than 1600 characters"),
    "21618": (Klass.MESSAGE, "the text was filtered by all carriers"),
    "21619": (Klass.MESSAGE, "the text is empty"),
    "21620": (Klass.MESSAGE, "the address of a picture is not valid"),
    "21621": (Klass.MESSAGE, "our number cannot send pictures"),
    "21622": (Klass.MESSAGE, "the account cannot send pictures"),
    "21623": (Klass.MESSAGE, "there are more than ten pictures"),
    "21624": (Klass.MESSAGE, "the validity period is out of range"),
    "21635": (Klass.RECIPIENT, "the number is a landline"),
    "21658": (Klass.MESSAGE, "a parameter of the request is too long"),
    "21659": (Klass.CONFIG, "our number is not a number of the account"),
    "21660": (Klass.CONFIG, "our number belongs to another account"),
    "21661": (Klass.CONFIG, "our number cannot send texts"),
    "21703": (Klass.CONFIG, "the messaging service has no number"),
    "21704": (Klass.CONFIG, "the messaging service has no usable number"),
    "21705": (Klass.CONFIG, "the messaging service is not valid"),
    "21709": (Klass.CONFIG, "the messaging service has no usable number"),
    "21712": (Klass.CONFIG, "our number is not in the messaging service"),
    "21730": (Klass.RETRY, "the provider is under maintenance"),
    "90007": (Klass.MESSAGE, "the validity period is out of range"),
    # what became of a text that was accepted
    "30001": (Klass.LATER, "the queue of our number is full"),
    "30002": (Klass.CONFIG, "the account is suspended"),
    "30003": (Klass.RETRY, "the phone is off, out of reach or cannot take texts"),
    "30004": (Klass.OPTED_OUT, "the text was blocked by the recipient or the network"),
    "30005": (Klass.RECIPIENT, "the phone is not known or no longer exists"),
    "30006": (Klass.RECIPIENT, "the number is a landline or its carrier cannot be reached"),
    "30007": (Klass.MESSAGE, "the text was filtered as unwanted by the carrier or the provider"),
    "30008": (Klass.RETRY, "the carrier gave no reason"),
    "30010": (Klass.MESSAGE, "the price was above the highest that was allowed"),
    "30011": (Klass.MESSAGE, "the phone's carrier does not take pictures"),
    "30017": (Klass.RETRY, "the carrier is congested"),
    "30018": (Klass.CONFIG, "our number must first be registered with the carrier"),
    "30019": (Klass.MESSAGE, "the content is too large for the carrier"),
    "30022": (Klass.RETRY, "the rate that the carrier allows was exceeded"),
    "30023": (Klass.LATER, "the carrier's daily allowance is spent"),
    "30024": (Klass.CONFIG, "our number is not yet known to the carrier"),
    "30027": (Klass.LATER, "the carrier's daily allowance is spent"),
    "30032": (Klass.CONFIG, "our toll-free number is not verified"),
    "30033": (Klass.CONFIG, "the campaign of our number is suspended"),
    "30034": (Klass.CONFIG, "our number is not registered for business texts (A2P 10DLC)"),
    "30035": (Klass.LATER, "our number is still being set up"),
    "30036": (Klass.MESSAGE, "the text was not sent before its time was over"),
    "30045": (Klass.MESSAGE, "the validity period is out of range"),
    "30410": (Klass.RETRY, "the carrier did not answer in time"),
    "30450": (Klass.MESSAGE, "the text was blocked on suspicion of fraud"),
    "30610": (Klass.LATER, "the text was blocked because of quiet hours"),
    "30640": (Klass.OPTED_OUT, "the provider advises never to text this number"),
    "63034": (Klass.MESSAGE, "a picture is larger than 5 MB"),
    # our own side, and loops
    "11200": (Klass.CONFIG, "our webhook could not be reached"),
    "11205": (Klass.CONFIG, "our webhook could not be connected to"),
    "11215": (Klass.CONFIG, "our webhook redirects too often"),
    "11237": (Klass.CONFIG, "the certificate of our webhook is not accepted"),
    "11750": (Klass.CONFIG, "the answer of our webhook was too large"),
    "12300": (Klass.CONFIG, "the answer of our webhook had a wrong type"),
    "14107": (Klass.MESSAGE, "too many texts between the same two numbers in a short time"),
}

# What follows of itself, for people.
ACTIONS: dict[Klass, str] = {
    Klass.RECIPIENT: "it is not sent again; check the phone number",
    Klass.OPTED_OUT: "it is not sent again; 21610 enters a STOP, the others pause texts by machine and ask the shop",
    Klass.CONFIG: "texts by this number wait, and the admin is told; what was taken already is not sent again",
    Klass.MESSAGE: "it is not sent again, unless only its picture was refused: then it goes once more with a link",
    Klass.RETRY: "before it was taken it is tried again by itself; once taken it is not, since it would be paid twice",
    Klass.LATER: "before it was taken it is tried again later by itself; once taken it is not",
    Klass.UNCLEAR: "it is looked up at the provider before anything else is done",
}
# The provider or the phone's carrier takes the words, but not the picture.
PICTURE = frozenset({"21620", "21621", "21622", "21623", "30011", "30019", "63034"})

_STATUS = {"accepted": "queued", "scheduled": "queued", "partially_delivered": "sent", "read": "delivered"}


Errors = Mapping[str, ErrorRule]


def of_text(courier: str, code: str, errors: Errors | None = None) -> Klass | None:
    """Whose fault it is that a text failed after `courier` had taken it; None where no table says so."""
    return klass(code, errors=errors) if code and courier == "twilio" else None


def known(code: str) -> bool:
    """Whether the table holds the code."""
    return code in _TABLE


def table() -> list[tuple[str, Klass, str]]:
    """Every code with its class and sentence, in order."""
    return [(code, klass, words) for code, (klass, words) in sorted(_TABLE.items())]


def klass(code: str, http_status: int = 0, errors: Errors | None = None) -> Klass:
    """Whose fault `code` is; `errors` are the admin's own classes, which beat all but 429.

    `http_status` is that of the answer; 0 means that the code came later, with a status.  429 is passing whatever the
    code.  An unknown code counts as 401 and 403: ours; other 4xx: this text's; none: passing, like 30008; else unclear.
    """
    if http_status == 429:
        return Klass.RETRY
    own = errors.get(code) if errors else None
    if own is not None and own.klass:
        return Klass(own.klass)
    if code in _TABLE:
        return _TABLE[code][0]
    if http_status in (401, 403):
        return Klass.CONFIG
    if http_status == 0:
        return Klass.RETRY
    return Klass.MESSAGE if 400 <= http_status < 500 else Klass.UNCLEAR


def sentence(code: str, otherwise: str = "no reason is known for this code", errors: Errors | None = None) -> str:
    """What `code` means, for people: words and the code; `otherwise` stands for an unknown code's words."""
    own = errors.get(code) if errors else None
    words = _TABLE[code][1] if code in _TABLE else otherwise
    words = own.text if own is not None and own.text else words
    return f"{words} (Twilio {code})" if code else words


def status(word: str) -> str:
    """Twilio's status in the words of `StatusIn.status`; a word without counterpart comes back as it is."""
    return _STATUS.get(word, word)
