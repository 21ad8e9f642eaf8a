"""More of the language of the stories: pictures on both ways, links, and the account at Flowroute.

missed PHONE NUMBER "WORDS" [picture=FILE]   a customer's text that no webhook brings: only the list shows it
attached NAME [FILE]                         an attachment of the last mail that was got, byte by byte
deleted PHONE COUNT                          pictures of that customer's last text, deleted at Twilio
fetching                                     from here on Twilio fetches the MediaUrl of each text
showed KIND[,KIND]                           the pictures of the last text, as Twilio fetched them ("" = none)
asks METHOD PATH [FILE] [-> STATUS KIND]     the public listener: what it answers, and what FILE holds
flowroute texts PHONE NUMBER "WORDS" [-> STATUS]     as above, by Flowroute
flowroute again [-> STATUS]
flowroute forge [-> STATUS]                  the last hook at an address with another secret (404)
flowroute texted PHONE "WORDS"
flowroute fault NAME [count=] [to=]
flowroute fails PHONE CODE                   the network does not deliver texts to PHONE
flowroute posts PHONE COUNT
"""

from __future__ import annotations

import mimetypes
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Protocol

import aiohttp
from house import House

from gateway.simulator.flowroute import Flowroute
from gateway.simulator.flowroute_texts import SENT, Medium, Receipt
from gateway.simulator.flowroute_texts import Text as FlowrouteText
from gateway.simulator.journal import Called, Mailed
from gateway.simulator.texts import Text


class Telling(Protocol):
    """What the verbs here need of the story."""

    house: House
    folder: Path
    text: Text | None  # the last that `texted` named
    mail: Mailed | None  # the last that `gets` named
    seen_by_flowroute: set[str]

    async def _next(self, find: Callable[[], Any], what: str) -> Any: ...

    def _match(self, want: str, actual: str) -> bool: ...


class Verbs:
    """Mixed into Story."""

    async def v_missed(self: Telling, phone: str, number: str, words: str, *options: str) -> None:
        media = pictures(self.folder, options)
        await self.house.world.customer_texts(phone, number, words, media, missed=True)

    async def v_attached(self: Telling, name: str, file: str = "") -> None:
        assert self.mail is not None, "no mail was got"
        found = {part.get_filename(): part.get_payload(decode=True) for part in self.mail.message.iter_attachments()}
        assert name in found, f"attached are {sorted(map(str, found))}"
        assert found[name] == (self.folder / (file or name)).read_bytes(), "it has other bytes"

    async def v_deleted(self: Telling, phone: str, count: str) -> None:
        def gone() -> bool:
            text = [t for t in self.house.world.phone(phone) if t.direction == "inbound"][-1]
            return len(text.gone) == int(count)

        if count == "0":
            assert gone()
        else:
            await self._next(gone, f"{count} deleted pictures of {phone}")

    async def v_fetching(self: Telling) -> None:
        self.house.world.twilio.media.fetches = True

    async def v_showed(self: Telling, kinds: str) -> None:
        assert self.text is not None, "no text was named"
        sid = self.text.sid
        texts = self.house.world.twilio.texts

        def fetched() -> Text | None:
            text = texts.get(sid)
            return text if text and len(text.media) == len(text.media_urls) else None

        text = await self._next(fetched, "picture that Twilio could fetch")
        assert kinds == ",".join(kind for kind, _ in text.media)

    async def v_asks(self: Telling, method: str, path: str, file: str = "", *, expected: str = "200") -> None:
        url = f"http://{self.house.daemon.doors['http'][0]}{path}"
        async with aiohttp.ClientSession() as http, http.request(method, url) as answer:
            data = await answer.read()
            status, _, kind = expected.partition(" ")
            assert (answer.status, answer.content_type) == (int(status), kind or answer.content_type)
            if file:
                whole = (self.folder / file).read_bytes()
                assert answer.content_length == len(whole)
                assert data == (b"" if method == "HEAD" else whole), "it has other bytes"

    async def v_flowroute(self: Telling, verb: str, *words: str, **named: Any) -> None:
        act: Callable[..., Awaitable[None]] = getattr(ByFlowroute(self), verb)
        await act(*words, **named)


class ByFlowroute:
    """The verbs after `flowroute`."""

    def __init__(self, story: Telling) -> None:
        assert story.house.world.flowroute is not None
        self._story = story
        self._account: Flowroute = story.house.world.flowroute

    async def texts(self, phone: str, number: str, words: str, *options: str, expected: str = "200") -> None:
        media = [
            Medium(name=f"file{n}", kind=k, data=d) for n, (k, d) in enumerate(pictures(self._story.folder, options))
        ]
        status, _ = await self._account.customer_texts(phone, number, words, media)
        assert status == int(expected)

    async def again(self, *, expected: str = "200") -> None:
        text = [t for t in self._account.texts.values() if t.direction == "inbound"][-1]
        assert await self._account.deliver(text) == int(expected)

    async def forge(self, *, expected: str = "404") -> None:
        hooks = self._account.hooks
        last = [entry for entry in self._account.journal.entries if isinstance(entry, Called)][-1]
        path = last.url.removeprefix(hooks.public_url).replace(hooks.secret, "0" * len(hooks.secret))
        assert hooks.secret not in path
        async with aiohttp.ClientSession() as http, http.post(hooks.base + path, data=b"{}") as answer:
            assert answer.status == int(expected)

    async def texted(self, phone: str, words: str, url: str = "") -> None:
        text = await self._story._next(lambda: next(iter(self.new(phone)), None), f"a text to {phone} by Flowroute")
        self._story.seen_by_flowroute.add(text.id)
        assert self._story._match(words.replace("\\n", "\n"), text.body), f"it is {text.body!r}"
        assert self._story._match(url, " ".join(text.media_urls)), text.media_urls

    async def fault(self, name: str, *options: str) -> None:
        named = dict(option.split("=", 1) for option in options)
        self._account.faults.add(name, count=int(named.get("count", 1)), to=named.get("to", ""))

    async def fails(self, phone: str, code: str) -> None:
        self._account.scripts[phone] = (SENT, Receipt(level=2, status="failed", code=code, words="not delivered"))

    async def posts(self, phone: str, count: str) -> None:
        assert self._account.posts.get(phone, 0) == int(count)

    def new(self, phone: str = "") -> list[FlowrouteText]:
        """Texts out that no story has named."""
        seen = self._story.seen_by_flowroute
        found = self._account.phone(phone) if phone else list(self._account.texts.values())
        return [text for text in found if text.direction == "outbound" and text.id not in seen]


def pictures(folder: Path, options: tuple[str, ...]) -> list[tuple[str, bytes]]:
    """What `picture=FILE,FILE` names: content types by their names, and bytes."""
    named = dict(option.split("=", 1) for option in options)
    files = [folder / name for name in named.get("picture", "").split(",") if name]
    return [(mimetypes.guess_type(file.name)[0] or "application/octet-stream", file.read_bytes()) for file in files]
