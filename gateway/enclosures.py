"""Pictures and files on their way: from the provider with a text that came in, from a job mail with one that goes out.

A text is never lost or long delayed for its picture: what cannot be had is said in the reply mail.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Coroutine, Mapping
from datetime import timedelta
from typing import Any

from gateway.core.enclosed import carried_bytes
from gateway.core.intent import FILES, Intent, Preview, ReplyByMail, Report, SendText
from gateway.core.model import Inbound, InboundHook, Picture, Reading, TextIn, Unreadable
from gateway.core.rules import Rules
from gateway.events import emit
from gateway.ports import Media, MediaFailed, Provider, Reader

MOST_BYTES_OF_ALL = 10 << 20  # of the files of one text: base64 makes 14 MB of it, and many relays take no more
MOST_SECONDS = 60.0  # for the files of one text: its words wait as long
_TOO_MUCH = f"the files of the text have more than {MOST_BYTES_OF_ALL >> 20} MB in all"
_NEVER = timedelta(days=1)
_PAUSES = (1.0, 4.0)  # seconds before another try


class Interrupted(Exception):
    """The daemon ends before all is fetched: the next one plans the text."""


def brings(inbound: Inbound) -> bool:
    """Whether files came with it that have to be fetched, which may take MOST_SECONDS and more."""
    return isinstance(inbound, InboundHook) and isinstance(inbound.event, TextIn) and bool(inbound.event.media)


class Enclosures:
    def __init__(
        self,
        *,
        reader: Reader,
        providers: Mapping[str, Provider],
        deleting: Collection[str],
        stopped_within: Callable[[timedelta], Awaitable[bool]],
    ) -> None:
        """`deleting`: names of the providers at which media are deleted once they are ours."""
        self._reader = reader
        self._providers = providers
        self._deleting = deleting
        self._stopped_within = stopped_within

    async def of(
        self, inbound: Inbound, reading: Reading | Unreadable | None, intents: tuple[Intent, ...], rules: Rules
    ) -> tuple[Picture, ...]:
        """What came with a text, each looked into or with the reason why it is missing; or what goes with a mail.

        Raises Interrupted when the daemon ends first.
        """
        if isinstance(inbound, InboundHook):
            event = inbound.event
            if not isinstance(event, TextIn) or not event.media:
                return ()
            return await self._unless_stopped(self._fetched(inbound.provider, event))
        if not isinstance(reading, Reading) or not reading.pictures:
            return ()
        if any(isinstance(i, ReplyByMail) or (isinstance(i, Report) and i.phone) for i in intents):
            return await self._reader.attached(inbound.raw)
        if not any(isinstance(i, SendText | Preview) for i in intents) or rules.text.pictures != "send":
            return ()
        carried = carried_bytes(intents, rules)  # one fits all: a mail's pictures are made once
        return await self._reader.attached(inbound.raw, carried) if rules.public_url or carried else ()

    async def _unless_stopped(self, fetching: Coroutine[Any, Any, tuple[Picture, ...]]) -> tuple[Picture, ...]:
        work = asyncio.get_running_loop().create_task(fetching)
        stop = asyncio.ensure_future(self._stopped_within(_NEVER))
        both: set[asyncio.Future[Any]] = {work, stop}
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            if not work.done():
                raise Interrupted
            return work.result()
        finally:
            for each in both:
                each.cancel()
            await asyncio.gather(*both, return_exceptions=True)

    async def _fetched(self, name: str, event: TextIn) -> tuple[Picture, ...]:
        found: list[Picture] = []
        room = MOST_BYTES_OF_ALL
        ends = asyncio.get_running_loop().time() + MOST_SECONDS
        for n, address in enumerate(event.media[:FILES], 1):
            picture = await self._one(name, address, n, ends) if room else _missing(_TOO_MUCH)
            if len(picture.data) > room:
                picture = _missing(_TOO_MUCH)
            room -= len(picture.data)
            if picture.problem:
                emit("media.failed", courier=name, error=picture.problem)
            found.append(picture)
        if len(event.media) > FILES:
            found.append(_missing(f"more than {FILES} files came with one text"))
        return tuple(found)

    async def _one(self, name: str, address: str, n: int, ends: float) -> Picture:
        """`ends`: the time of the loop at which it is given up."""
        provider = self._providers.get(name)
        if provider is None:
            return _missing(f"no [{name}] account is configured")
        late = "the provider took too long to hand it over"
        try:
            async with asyncio.timeout_at(ends):
                media = await self._tried(provider, address)
                if isinstance(media, MediaFailed):
                    return _missing(media.reason)
                late = "there was no time left to look into it"
                return await self._reader.inspected(media, n)
        except TimeoutError:
            return _missing(late)

    async def _tried(self, provider: Provider, address: str) -> Media | MediaFailed:
        """What one try, or the last of a few, brings."""
        media = await provider.fetch_media(address, MOST_BYTES_OF_ALL)
        for pause in _PAUSES:
            if not isinstance(media, MediaFailed) or not media.again:
                break
            await asyncio.sleep(pause)
            media = await provider.fetch_media(address, MOST_BYTES_OF_ALL)
        return media

    async def kept(self, inbound: Inbound, pictures: tuple[Picture, ...]) -> None:
        """Deletes at the provider what the reply mail holds, where that is configured."""
        if not isinstance(inbound, InboundHook) or not isinstance(inbound.event, TextIn):
            return
        provider = self._providers.get(inbound.provider)
        if provider is None or inbound.provider not in self._deleting:
            return
        for address, picture in zip(inbound.event.media, pictures, strict=False):
            if picture.data and not await provider.delete_media(address):
                emit("media.kept", courier=inbound.provider, inbound=inbound.id)


def _missing(why: str) -> Picture:
    return Picture(kind="", name="", data=b"", problem=why)
