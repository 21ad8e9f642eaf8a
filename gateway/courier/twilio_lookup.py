"""What kind of line a phone is and whose network it is on, by Twilio Lookup v2.  Each question costs about one cent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from twilio.base.exceptions import TwilioException
from twilio.rest import Client

from gateway.config import unit
from gateway.core import codes
from gateway.core.model import Phone
from gateway.courier.session import NotSentError, Timeouts, words
from gateway.courier.twilio import API_URL
from gateway.courier.twilio_wire import AnswerError, Wire

LOOKUPS_URL = "https://lookups.twilio.com"
REFUSED = "refused"
UNREACHABLE = "unreachable"
_PACKAGE = "line_type_intelligence"
_UNREADABLE = (TwilioException, ValueError, TypeError, AttributeError, KeyError)  # the SDK's, for a strange answer
_SAID = {
    "20404": ("Twilio does not know this phone number", "look whether it is written right"),
    "60601": ("Twilio looks up Canadian carriers only after an approval, once", "ask Twilio's support for it"),
    "60606": (
        "the account may not look up line types",
        "turn on Lookup Line Type Intelligence in Twilio's console",
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """What Twilio says of a phone; "" = it says nothing."""

    kind: str  # mobile | landline | fixedVoip | nonFixedVoip | tollFree | ...; "" = not known
    code: str = ""  # of the network: "310-260"; only of mobiles
    name: str = ""  # of the carrier, as number registries write it


@dataclass(frozen=True, slots=True, kw_only=True)
class NoLine:
    """Why Twilio says nothing."""

    what: str  # refused | unreachable
    text: str
    remedy: str = ""


class TwilioLookup:
    """The look-ups of one account.  An `api_url` on loopback stands for all of Twilio."""

    def __init__(
        self,
        account_sid: str,
        auth_token: str,
        api_url: str = API_URL,
        lookups_url: str = LOOKUPS_URL,
        *,
        timeouts: Timeouts | None = None,
    ) -> None:
        self._wire = Wire(timeouts or Timeouts())
        # an environment of our own, or TWILIO_EDGE and TWILIO_REGION would change the host
        self._client: Any = Client(account_sid, auth_token, http_client=self._wire, environment={"TWILIO_EDGE": ""})
        here = unit.loopback(urlsplit(api_url).hostname or "")
        self._client.lookups.base_url = (api_url if here else lookups_url).rstrip("/")

    async def line(self, phone: Phone) -> Line | NoLine:
        """The line type, network code and carrier name of `phone`; raises nothing of the network.

        Asked once: an answer that is lost may have been paid for.
        Source: https://www.twilio.com/docs/lookup/v2-api/line-type-intelligence
        """
        try:
            answer = await self._client.lookups.v2.phone_numbers(phone).fetch_async(fields=_PACKAGE)
            return _line(answer.line_type_intelligence, valid=answer.valid is not False)
        except AnswerError as no:
            if no.code and no.status != 429 and no.status < 500:
                return _refused(no.code, f"HTTP {no.status}")
            return _unreachable(f"Twilio, or something before it, answered {f'{no.status} {no.code}'.strip()}")
        except NotSentError as fault:
            return _unreachable(f"Twilio cannot be reached: {fault}")
        except (aiohttp.ClientError, OSError) as fault:
            return _unreachable(f"no answer from Twilio: {words(fault)}")
        except _UNREADABLE as fault:
            return _unreachable(f"Twilio's answer cannot be read: {type(fault).__name__}")

    async def close(self) -> None:
        await self._wire.close()


def _line(said: Mapping[str, Any] | None, *, valid: bool) -> Line | NoLine:
    """Raises what a strange answer makes of it: AttributeError, TypeError."""
    if not valid:
        return _refused("20404", "")
    if said is None:
        return _refused("60606", "")
    if said.get("error_code"):
        return _refused(str(said["error_code"]), "Twilio could not look it up")
    country, network = said.get("mobile_country_code"), said.get("mobile_network_code")
    code = f"{country}-{network}" if country and network else ""
    return Line(kind=str(said.get("type") or ""), code=code, name=" ".join(str(said.get("carrier_name") or "").split()))


def _refused(code: str, otherwise: str) -> NoLine:
    text, remedy = _SAID.get(code, (f"Twilio refuses to say: {codes.sentence(code, otherwise)}", ""))
    return NoLine(what=REFUSED, text=f"{text} ({code})" if code in _SAID else text, remedy=remedy)


def _unreachable(text: str) -> NoLine:
    return NoLine(what=UNREACHABLE, text=text, remedy="try again later")
