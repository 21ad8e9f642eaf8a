"""The far side of the simulated Twilio: phones that get texts, and customers who write and say STOP.

Source: Twilio's default handling of STOP, START and HELP; the order of statuses and the fields of its webhooks.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from gateway.core import gsm
from gateway.simulator.hooks import Hooks, inbound_form, status_form
from gateway.simulator.journal import Journal, Texted
from gateway.simulator.media import Media
from gateway.simulator.texts import Text, Texts, new_sid, now

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
    media_code: int | None = None  # a text with media ends undelivered with this one instead, one without goes well
    delay: float = 0.0  # seconds before each status
    queued: float = 0.0  # seconds in Twilio's queue, counted and not waited for: beyond the validity it fails (30036)
    callbacks: bool = True
    late: float = 0.0  # seconds from the last status to the first callback
    twice: bool = False  # each callback comes twice
    backwards: bool = False  # the callbacks come in reverse order, after the last status
    double: bool = False  # Twilio's own fault: one request, two texts with a SID each, and callbacks for both
    count: int = 0  # for how many texts it stands; 0 = for all


class Phones:
    """Plays scripts and customers.  `default` is for every text, `scripts` for those to one phone."""

    def __init__(
        self,
        account: str,
        texts: Texts,
        hooks: Hooks,
        journal: Journal,
        services: Mapping[str, str],
        media: Media,
    ) -> None:
        self.default = Script()
        self.scripts: dict[str, Script] = {}
        self.advanced_opt_out = False  # Twilio's option that adds OptOutType to webhooks
        self.blocks = True  # whether STOP and START block and lift; off where an account filters for itself
        self.confirms = True  # whether Twilio answers STOP, START and HELP
        self.blocked: set[tuple[str, str]] = set()  # (our number or service, phone) after a STOP
        self.full: set[str] = set()  # our numbers whose queue is full: 21611, or 30001 where a service sends
        self.pair_limit = 0  # texts that one number may send to one phone within a minute (14107); 0 = any
        self._account, self._texts, self._hooks, self._journal = account, texts, hooks, journal
        self._services: dict[str, tuple[str, ...]] = {sid: (ours,) for sid, ours in services.items()}
        self._media = media
        self._tasks: set[asyncio.Task[None]] = set()
        self.api_url = ""  # where the media of inbound texts are fetched

    def serve(self, service: str, numbers: Sequence[str]) -> None:
        """Makes `service` send by these numbers, the first that is free."""
        self._services[service] = tuple(numbers)

    def opted_out(self, author: str, service: str, phone: str) -> bool:
        """Whether a STOP of `phone` stands against this number, its service, or this service."""
        numbers = (author,) if author else self._services.get(service, ())
        scopes = {author, service, *map(self._service_of, numbers)} - {""}
        return any((scope, phone) in self.blocked for scope in scopes)

    def barred(self, author: str, service: str, phone: str) -> int:
        """Twilio's code for what stands between our number or service and `phone`; 0 = nothing."""
        if self.opted_out(author, service, phone):
            return 21610
        if author in self.full and not service:
            return 21611
        return 14107 if self.pair_limit and self._crowd(author, phone) >= self.pair_limit else 0

    def _crowd(self, author: str, phone: str) -> int:
        """How many texts of the last minute went from one to the other."""
        since = now() - timedelta(minutes=1)
        sent = (text for text in self._texts.all(phone) if (text.author, text.to) == (author, phone))
        return sum(text.direction == "outbound-api" and text.created >= since for text in sent)

    def ring(self, text: Text) -> None:
        """Lets the script of `text` run: statuses, and their callbacks where the text asked for them."""
        script = self._script(text.to)
        self._begin(text, script)
        if script.double:
            twin = replace(text, sid=new_sid(media=bool(text.media_urls)))
            self._texts.add(twin)
            self.note(twin)
            self._begin(twin, script)

    async def customer_texts(
        self, phone: str, number: str, body: str, media: Sequence[tuple[str, bytes]] = (), *, missed: bool = False
    ) -> tuple[int, Text]:
        """A text from `phone` to `number`: the answer of the webhook (0 = none) and the text.

        `media` are content types and bytes.  A STOP word blocks the pair first, as Twilio does, and is delivered too.
        A `missed` one is only in the list: no webhook is posted.
        """
        text = self._keep(phone, number, body, direction="inbound", media=tuple(media))
        word = keyword(body)
        self._obey(word, number, phone)
        return 0 if missed else await self.deliver(text, word), text

    async def deliver(self, text: Text, word: str = "") -> int:
        """Posts the webhook of an inbound text, also a second time; the answer's status, 0 = none."""
        form = inbound_form(text, self.api_url)
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

    def _script(self, phone: str) -> Script:
        """The script for the next text to `phone`, counted down."""
        script = self.scripts.get(phone)
        if script is None:
            return self.default
        if script.count == 1:
            del self.scripts[phone]
        elif script.count:
            self.scripts[phone] = replace(script, count=script.count - 1)
        return script

    def _begin(self, text: Text, script: Script) -> None:
        task = asyncio.get_running_loop().create_task(self._play(text, script))
        self._tasks.add(task)
        task.add_done_callback(self._forget)

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
            service=self._service_of(author) or self._service_of(to),
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

    def _service_of(self, number: str) -> str:
        return next((sid for sid, ours in self._services.items() if number in ours), "")

    def _obey(self, word: str, number: str, phone: str) -> None:
        scope = self._service_of(number) or number
        stands = (scope, phone) in self.blocked
        if word == "STOP" and self.blocks:
            self.blocked.add((scope, phone))
        elif word == "START":
            self.blocked.discard((scope, phone))
        # A second STOP, and a YES of somebody who never stopped, get no answer.
        if self.confirms and (word == "HELP" or (word == "STOP" and not stands) or (word == "START" and stands)):
            self._keep(number, phone, _ANSWERS[word], direction="outbound-reply")

    async def _play(self, text: Text, script: Script) -> None:
        text, ends = await self._ending(text, script)
        at_once = script.callbacks and not (script.backwards or script.late)
        passed: list[Text] = []
        for status, code in ends:
            if passed and script.delay:
                await asyncio.sleep(script.delay)
            text = self._move(text, status, code)
            self._journal.ring()
            if at_once:
                await self._call(text, script)
            passed.append(text)
        if script.callbacks and not at_once:
            await asyncio.sleep(script.late)
            for each in reversed(passed) if script.backwards else passed:
                await self._call(each, script)

    async def _ending(self, text: Text, script: Script) -> tuple[Text, list[tuple[str, int | None]]]:
        """The statuses with their codes, after the time in the queue."""
        text, code = await self._media.collect(text)
        if code:
            return text, [("failed", code)]
        if script.queued + script.delay > text.validity:
            await asyncio.sleep(max(0.0, text.validity - script.queued))
            return text, [("failed", 30036)]
        if script.delay:
            await asyncio.sleep(script.delay)
        if text.service and self.full >= set(self._pool(text)):
            return text, [("failed", 30001)]
        if script.media_code and text.media_urls:
            return text, [("sent", None), ("undelivered", script.media_code)]
        bad = ("undelivered", "failed")
        return text, [(status, script.code if status in bad else None) for status in script.statuses]

    def _pool(self, text: Text) -> tuple[str, ...]:
        return (text.author,) if text.author else self._services.get(text.service, (text.service,))

    def _move(self, text: Text, status: str, code: int | None) -> Text:
        free = [number for number in self._pool(text) if number not in self.full and number != text.service]
        return self._texts.change(
            text.sid,
            status=status,
            author=text.author or next(iter(free), ""),
            segments=text.segments or gsm.segments(text.body),
            sent=text.sent or (now() if status != "failed" else None),
            code=code,
        )

    async def _call(self, text: Text, script: Script) -> None:
        if not text.callback:
            return
        form = status_form(text)
        for _ in range(2 if script.twice else 1):
            await self._hooks.post(text.callback, form, text.sid, text.status)


def keyword(body: str) -> str:
    """STOP, START or HELP when `body` is one of their words alone, in any case; else ""."""
    word = body.strip().upper()
    return "STOP" if word in _STOP else "START" if word in _START else "HELP" if word in _HELP else ""
