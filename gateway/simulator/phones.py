"""The far side of the simulated Twilio: phones that get texts, and customers who write and say STOP.

Source: Twilio's default handling of STOP, START and HELP; the order of statuses and the fields of its webhooks.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from gateway.core import gsm
from gateway.simulator.hooks import Hooks
from gateway.simulator.journal import Journal, Texted
from gateway.simulator.texts import API_VERSION, Text, Texts, new_sid, now

MESSAGE_PATH = "/hooks/twilio/message"
_STOP = {"STOP", "UNSUBSCRIBE", "END", "QUIT", "STOPALL", "REVOKE", "OPTOUT", "CANCEL"}
_START = {"START", "YES", "UNSTOP"}
_HELP = {"HELP", "INFO"}
_ANSWERS = {
    "STOP": "You have been unsubscribed and will get no more messages from this number. Reply START to resubscribe.",
    "START": "You have been re-subscribed to messages from this number. Reply HELP for help, STOP to unsubscribe.",
    "HELP": "Reply STOP to unsubscribe. Msg & data rates may apply.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """What becomes of an accepted text."""

    statuses: tuple[str, ...] = ("sent", "delivered")
    code: int | None = None  # Twilio's error code of undelivered and failed: 30003, ...
    delay: float = 0.0  # seconds before each status
    callbacks: bool = True
    twice: bool = False  # each callback comes twice
    backwards: bool = False  # the callbacks come in reverse order, after the last status


class Phones:
    """Plays scripts and customers.  `default` is for every text, `scripts` for those to one phone."""

    def __init__(self, account: str, texts: Texts, hooks: Hooks, journal: Journal, services: Mapping[str, str]) -> None:
        self.default = Script()
        self.scripts: dict[str, Script] = {}
        self.advanced_opt_out = False  # Twilio's option that adds OptOutType to webhooks
        self.blocked: set[tuple[str, str]] = set()  # (our number or service, phone) after a STOP
        self._account, self._texts, self._hooks, self._journal = account, texts, hooks, journal
        self._services = services  # SID -> its number
        self._tasks: set[asyncio.Task[None]] = set()
        self.api_url = ""  # where the media of inbound texts are fetched

    def opted_out(self, author: str, service: str, phone: str) -> bool:
        """Whether a STOP of `phone` stands against this number or service."""
        return (author or self._services.get(service, service), phone) in self.blocked

    def ring(self, text: Text) -> None:
        """Lets the script of `text` run: statuses, and their callbacks where the text asked for them."""
        task = asyncio.get_running_loop().create_task(self._play(text, self.scripts.get(text.to, self.default)))
        self._tasks.add(task)
        task.add_done_callback(self._forget)

    async def customer_texts(
        self, phone: str, number: str, body: str, media: Sequence[tuple[str, bytes]] = ()
    ) -> tuple[int, Text]:
        """A text from `phone` to `number`: the answer of the webhook (0 = none) and the text.

        `media` are content types and bytes.  A STOP word blocks the pair first, as Twilio does, and is delivered too.
        """
        text = self._keep(phone, number, body, direction="inbound", media=tuple(media))
        word = keyword(body)
        self._obey(word, number, phone)
        return await self.deliver(text, word), text

    async def deliver(self, text: Text, word: str = "") -> int:
        """Posts the webhook of an inbound text, also a second time; the answer's status, 0 = none."""
        form = _inbound(text, self.api_url)
        if word and self.advanced_opt_out:
            form["OptOutType"] = word
        return await self._hooks.post(self._hooks.origin + MESSAGE_PATH, form, text.sid, text.status)

    async def close(self) -> None:
        """Ends all scripts.  Raises what went wrong in one."""
        for task in self._tasks:
            task.cancel()
        for end in await asyncio.gather(*self._tasks, return_exceptions=True):
            if isinstance(end, Exception):
                raise end

    def _forget(self, task: asyncio.Task[None]) -> None:
        # A script that failed stays until `close`, which raises its error.
        if task.cancelled() or task.exception() is None:
            self._tasks.discard(task)

    def _keep(
        self, author: str, to: str, body: str, *, direction: str, media: tuple[tuple[str, bytes], ...] = ()
    ) -> Text:
        at = now()
        text = Text(
            sid=new_sid(media=bool(media)),
            account=self._account,
            service=next((sid for sid, ours in self._services.items() if ours in (author, to)), ""),
            author=author,
            to=to,
            body=body,
            direction=direction,
            status="received" if direction == "inbound" else "delivered",
            created=at,
            updated=at,
            sent=at,
            segments=gsm.segments(body),
            media=media,
        )
        self._texts.add(text)
        self.note(text)
        return text

    def note(self, text: Text) -> None:
        """Writes the text into the journal."""
        author = text.author or text.service
        at = datetime.now(UTC)
        entry = Texted(at=at, sid=text.sid, author=author, to=text.to, body=text.body, direction=text.direction)
        self._journal.note(entry)

    def _obey(self, word: str, number: str, phone: str) -> None:
        stands = (number, phone) in self.blocked
        if word == "STOP":
            self.blocked.add((number, phone))
        elif word == "START":
            self.blocked.discard((number, phone))
        # A second STOP, and a YES of somebody who never stopped, get no answer.
        if word == "HELP" or (word == "STOP" and not stands) or (word == "START" and stands):
            self._keep(number, phone, _ANSWERS[word], direction="outbound-reply")

    async def _play(self, text: Text, script: Script) -> None:
        later: list[Text] = []
        for status in script.statuses:
            if script.delay:
                await asyncio.sleep(script.delay)
            text = self._move(text, status, script.code)
            self._journal.ring()
            if script.callbacks and not script.backwards:
                await self._call(text, script)
            later.append(text)
        if script.callbacks and script.backwards:
            for each in reversed(later):
                await self._call(each, script)

    def _move(self, text: Text, status: str, code: int | None) -> Text:
        author = text.author or self._services.get(text.service, "")
        failed = status in ("undelivered", "failed")
        return self._texts.change(
            text.sid,
            status=status,
            author=author,
            segments=gsm.segments(text.body),
            sent=text.sent or (now() if status != "failed" else None),
            code=code if failed else None,
        )

    async def _call(self, text: Text, script: Script) -> None:
        if not text.callback:
            return
        form = _status(text)
        for _ in range(2 if script.twice else 1):
            await self._hooks.post(text.callback, form, text.sid, text.status)


def keyword(body: str) -> str:
    """STOP, START or HELP when `body` is one of their words alone, in any case; else ""."""
    word = body.strip().upper()
    return "STOP" if word in _STOP else "START" if word in _START else "HELP" if word in _HELP else ""


def _status(text: Text) -> dict[str, str]:
    form = {
        "AccountSid": text.account,
        "ApiVersion": API_VERSION,
        "From": text.author,
        "MessageSid": text.sid,
        "MessageStatus": text.status,
        "SmsSid": text.sid,
        "SmsStatus": text.status,
        "To": text.to,
    }
    if text.service:
        form["MessagingServiceSid"] = text.service
    if text.code:
        form["ErrorCode"] = str(text.code)
    if text.status in ("delivered", "undelivered"):
        form["RawDlrDoneDate"] = text.updated.strftime("%y%m%d%H%M")
    return form


def _inbound(text: Text, api_url: str) -> dict[str, str]:
    form = {
        "AccountSid": text.account,
        "ApiVersion": API_VERSION,
        "Body": text.body,
        "From": text.author,
        "MessageSid": text.sid,
        "NumMedia": str(len(text.media)),
        "NumSegments": str(text.segments),
        "SmsMessageSid": text.sid,
        "SmsSid": text.sid,
        "SmsStatus": text.status,
        "To": text.to,
    }
    for side in ("From", "To"):
        # Blank ones are what Twilio sends for places that it does not know: the signature covers them.
        form |= {f"{side}City": "", f"{side}State": "", f"{side}Zip": "", f"{side}Country": "US"}
    for n, ((kind, _), sid) in enumerate(zip(text.media, text.media_sids, strict=True)):
        form |= {f"MediaContentType{n}": kind, f"MediaUrl{n}": f"{api_url}{text.path}/Media/{sid}"}
    if text.service:
        form["MessagingServiceSid"] = text.service
    return form
