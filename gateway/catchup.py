"""Asks a provider for what no webhook brought (P6): texts that came while the daemon was down, or ever without a
public_url, and what became of ours.

What it finds goes the way of a webhook, under the same ids, so that hearing a thing twice changes nothing.  A text
whose pictures cannot be asked for is not kept yet: it is found again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta

from gateway.core.model import InboundHook, Phone, StatusIn, TextIn
from gateway.core.rules import Number, Rules
from gateway.core.work import Remote
from gateway.events import emit, fault
from gateway.ports import Clock, Provider, Spool, SpoolUnavailable

# With webhooks the list is only asked for what a webhook missed.
WEBHOOKS_FACTOR = 15
# A text may show in the list a little after its own time.
OVERLAP = timedelta(minutes=5)
# A receipt can come as long as the provider may try (36,000 s), and a little longer.
RECEIPTS_FOR = timedelta(hours=11)
_ENDED = frozenset({"delivered", "undelivered", "failed", "canceled"})
_PAGE = 100


class CatchUp:
    def __init__(
        self,
        *,
        spool: Spool,
        providers: Mapping[str, Provider],
        rules: Callable[[], Rules],
        clock: Clock,
        keep: Callable[[InboundHook], Awaitable[bool]],
        stopped_within: Callable[[timedelta], Awaitable[bool]],
        every: timedelta,
    ) -> None:
        self._spool = spool
        self._providers = providers
        self._rules = rules
        self._clock = clock
        self._keep = keep
        self._stopped_within = stopped_within
        self._every = every
        self._asked: dict[str, datetime] = {}
        self._media: dict[
            str, dict[str, tuple[str, ...]]
        ] = {}  # by number: the pictures of texts that are still listed

    async def run(self) -> None:
        """Asks at once and then again and again, until the daemon stops."""
        if not self._providers:
            return
        while True:
            hooks = bool(self._rules().public_url)
            try:
                for number in self._rules().numbers:
                    await self.texts(number)
                await self.statuses()
            except SpoolUnavailable as error:
                emit("spool.failed", error=str(error), during="catching up")
            except Exception as error:
                emit("engine.failed", loop="catch up", **fault(error))
            if await self._stopped_within(self._every * (WEBHOOKS_FACTOR if hooks else 1)):
                return

    async def texts(self, number: Number) -> int:
        """Keeps the texts to one of our numbers that are not known yet; how many there were.

        The first time ever nothing is fetched: what came before the gateway was there belongs to nobody here.
        """
        provider = self._providers.get(number.provider)
        if provider is None:
            return 0
        name = f"inbound {number.phone}"
        begun = self._clock.now()
        since = await self._spool.mark(name)
        if since is None:
            await self._spool.set_mark(name, begun + OVERLAP)
            return 0
        found = await provider.inbound_since(number.phone, since - OVERLAP)
        if found is None:
            emit("catchup.failed", courier=number.provider, number=number.name)
            return 0
        fresh = 0
        mark = begun
        media = await self._pictures(provider, number, found)
        # Newest first, with times in whole seconds: of two in one second the later one listed is the older.
        found.reverse()
        for row in sorted(found, key=lambda r: r.created_at):
            if row.media and row.remote_id not in media:
                mark = min(mark, row.created_at)
                continue
            fresh += await self._keep(_text(row, number, media.get(row.remote_id, ())))
        await self._spool.set_mark(name, mark)
        if fresh:
            emit("catchup.found", courier=number.provider, number=number.name, texts=fresh)
        return fresh

    async def _pictures(
        self, provider: Provider, number: Number, found: Sequence[Remote]
    ) -> dict[str, tuple[str, ...]]:
        """The addresses of what came with these texts; a text that could not be asked about is left out."""
        known = self._media.get(number.phone, {})
        media: dict[str, tuple[str, ...]] = {}
        for row in found:
            if row.media:
                addresses = known.get(row.remote_id) or await provider.media_of(row.remote_id)
                if addresses is None:
                    emit("catchup.failed", courier=number.provider, number=number.name)
                else:
                    media[row.remote_id] = addresses
        self._media[number.phone] = media
        return media

    async def statuses(self) -> None:
        """Asks what became of our texts: soon after the sending often, later seldom."""
        now = self._clock.now()
        rows = await self._spool.find("unconfirmed", since=now - RECEIPTS_FOR, limit=1000)
        self._asked = {row["id"]: self._asked[row["id"]] for row in rows if row["id"] in self._asked}
        due = [r for r in rows if now - self._asked.get(r["id"], r["posted_at"]) >= (now - r["posted_at"]) / 4]
        for row in due[:_PAGE]:
            self._asked[row["id"]] = now
            provider = self._providers.get(row["courier"])
            remote = await provider.fetch(row["remote_id"]) if provider else None
            if remote is not None and remote.status in _ENDED:
                await self._keep(_status(remote, row["courier"], row["id"], row["attempt"], now))


def _text(row: Remote, number: Number, media: tuple[str, ...]) -> InboundHook:
    event = TextIn(remote_id=row.remote_id, author=row.sender, number=Phone(number.phone), text=row.body, media=media)
    return InboundHook(
        id=f"{number.provider}:{row.remote_id}", at=row.created_at, provider=number.provider, event=event, raw=b""
    )


def _status(row: Remote, provider: str, delivery: str, attempt: int, now: datetime) -> InboundHook:
    event = StatusIn(remote_id=row.remote_id, delivery=delivery, attempt=attempt, status=row.status, code=row.code)
    ident = f"{provider}:{row.remote_id}:{attempt}:{row.status}"
    return InboundHook(id=ident, at=now, provider=provider, event=event, raw=b"")
