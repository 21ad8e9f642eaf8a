"""What Flowroute says of our account and our numbers before the first text, and what it does not say.

Every question is a GET.  Which address its webhooks have and how a number is registered are not asked: the pages of
Flowroute name no way that we could try, so both are told as not known.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import aiohttp

from gateway.core import phone as phones
from gateway.core.rules import Number
from gateway.courier.flowroute_wire import AnswerError, Wire
from gateway.courier.flowroute_words import line, rows, table
from gateway.courier.session import NotSentError, Timeouts, words
from gateway.courier.twilio_finding import UNREACHABLE, Finding

_MESSAGES = "/v2.2/messages"
_NUMBERS = "/v2/numbers"  # those of the account alone; /v2/numbers/{id} also answers for numbers that are for sale
_PORTAL = "look it up in Flowroute's portal"


class FlowrouteAccount:
    """The account as its owner sees it.  Raises nothing of the network: what could not be asked is a Finding."""

    def __init__(self, *, access_key: str, secret_key: str, api_url: str, timeouts: Timeouts | None = None) -> None:
        self._wire = Wire(access_key, secret_key, api_url, timeouts or Timeouts())

    async def look(self, numbers: Sequence[Number], public_url: str) -> list[Finding]:
        """What is known of the account, then of each number in turn; `public_url` is without the
        trailing slash; "" = texts are polled.

        Of an account that cannot be used nothing more is asked.
        """
        found = [await self._account()]
        if found[0].level == "error":
            return found
        for number in numbers:
            found += [await self._ours(number), _webhook(number, public_url), _registration(number)]
        return found

    async def close(self) -> None:
        await self._wire.close()

    async def _account(self) -> Finding:
        """Whether Flowroute takes our keys, by the shortest question that needs them: one text of the last hour."""
        since = f"{datetime.now(UTC) - timedelta(hours=1):%Y-%m-%dT%H:%M:%S}.00Z"
        answer = await self._asked(_MESSAGES, {"start_date": since, "limit": "1"})
        match answer:
            case dict():
                return Finding(number="", level="ok", what="account", text="Flowroute takes the keys of the account")
            case AnswerError(own=True, status=401 | 402 | 403):
                text = f"Flowroute does not take the keys of the account: {answer.words} (Flowroute {answer.code})"
                remedy = "compare flowroute.access_key and flowroute.secret_key with Flowroute's portal"
                return Finding(number="", level="error", what="account", text=text, remedy=remedy)
            case AnswerError():
                return _unreachable(f"Flowroute, or something before it, answered {answer.status}")
        return _unreachable(answer)

    async def _ours(self, number: Number) -> Finding:
        """Whether the number is among those of the account."""
        digits = phones.digits(number.phone)
        answer = await self._asked(_NUMBERS, {"starts_with": digits, "limit": "10"})
        if not isinstance(answer, dict) or not isinstance(answer.get("data"), list):
            why = answer.status if isinstance(answer, AnswerError) else "nothing that can be read"
            text = f"whether the number belongs to the account is not known: Flowroute answered {why}"
            return Finding(number=number.name, level="warning", what="ours", text=text, remedy=_PORTAL)
        have = {line(table(row.get("attributes")).get("value")) for row in map(table, rows(answer["data"]))}
        if digits not in {value.removeprefix("+") for value in have}:
            text = "the number does not belong to the account: Flowroute takes no text from it"
            remedy = "compare the phone of the [[number]] and flowroute.access_key with Flowroute's portal"
            return Finding(number=number.name, level="error", what="ours", text=text, remedy=remedy)
        return Finding(number=number.name, level="ok", what="ours", text="the number belongs to the account")

    async def _asked(self, path: str, query: dict[str, str]) -> dict[str, object] | AnswerError | str:
        """The answer, or the no, or why there is neither."""
        try:
            return await self._wire.request("GET", path, query)
        except AnswerError as no:
            return no
        except NotSentError as fault:
            return f"Flowroute cannot be reached: {fault}"
        except (aiohttp.ClientError, OSError) as fault:
            return f"no answer from Flowroute: {words(fault)}"
        except ValueError:
            return "Flowroute's answer cannot be read"


def _webhook(number: Number, public_url: str) -> Finding:
    if not public_url:
        text = "texts are polled: http.public_url is not set, or http.public is off"
        return Finding(number=number.name, level="ok", what="webhook", text=text)
    text = (
        f"not asked: whether texts to the number come to {public_url}/hooks/flowroute/<flowroute.hook_secret>/message"
    )
    remedy = "set that address for SMS and MMS in Flowroute's portal; until then texts reach us late, by polling"
    return Finding(number=number.name, level="warning", what="webhook", text=text, remedy=remedy)


def _registration(number: Number) -> Finding:
    text = "not asked: whether the number can send texts, and its registration (A2P 10DLC or toll-free)"
    return Finding(number=number.name, level="warning", what="registration", text=text, remedy=_PORTAL)


def _unreachable(text: str) -> Finding:
    remedy = "check the way to the internet and flowroute.api_url, then check again"
    return Finding(number="", level="error", what=UNREACHABLE, text=text, remedy=remedy)
