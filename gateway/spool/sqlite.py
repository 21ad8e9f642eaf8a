"""The spool in one SQLite file: one thread writes, another one reads the long views.

Every method answers after commit and fsync, or raises SpoolUnavailable and has stored nothing.  The caller holds the
lock of the state directory (lock.py); nothing else may write to the file.
"""

from __future__ import annotations

import asyncio
import functools
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import TypeVar

import apsw

from gateway.core.facts import Facts, Needs
from gateway.core.model import Confirmation, Consent, Inbound, MediaFile
from gateway.core.work import Delivery, Plan, Settlement, Writes
from gateway.events import emit
from gateway.ports import Budget, Clock, Committed, Fingerprint, Recovered, SpoolUnavailable, Started, Stored
from gateway.spool import accept, attempt, commit, copy, database, due, gather, marks, media, purge, shift, views
from gateway.spool.clerk import Clerk
from gateway.spool.rows import Shown, stamp

T = TypeVar("T")

FLOOR_BYTES = 64 * 1024 * 1024
LEASE_SECONDS = 60.0
HASTEN_STEP = 500  # rows between two commits, so that accepting never waits long
PURGE_STEP = 100  # rows of each kind between two commits, so that accepting never waits long


class SqliteSpool:
    """`timezone` is the shop's: the day and month of segments spent.  `floor_bytes` of free disk stay untouched."""

    def __init__(
        self,
        path: Path,
        *,
        clock: Clock,
        floor_bytes: int = FLOOR_BYTES,
        lease_seconds: float = LEASE_SECONDS,
        timezone: tzinfo = UTC,
    ) -> None:
        self._path = path
        self._clock = clock
        self._floor = floor_bytes
        self._lease = timedelta(seconds=lease_seconds)
        self._timezone = timezone
        self._ended = purge.Ended()  # belongs to the reading thread
        self._errand = asyncio.Lock()  # one backup or check at a time
        self._closing = threading.Event()  # ends them
        self.moved = 0  # commits that may have changed a consent or a confirmation
        self._full = False  # whether the disk was under the floor at the last accept
        self._writer = Clerk("spool", lambda: database.connect(path, check=True))
        # A view of its own for each reader: jobs do not share a transaction.
        self._reader = Clerk("views", lambda: database.connect_reader(path), batch=1)

    async def open(self) -> None:
        """Opens the file, making or upgrading it.

        Raises database.SpoolCorrupt, database.SpoolUnusable, or SpoolUnavailable when the file system says no.
        """
        try:
            self._writer.start(await asyncio.to_thread(database.connect, self._path))
            self._reader.start(await asyncio.to_thread(database.connect_reader, self._path))
        except (apsw.Error, OSError) as error:
            await self.close()
            raise SpoolUnavailable(f"{self._path}: {error}") from error

    async def close(self) -> None:
        """Answers what was asked, then closes the file."""
        self._closing.set()
        async with self._errand:
            await self._reader.stop()
            await self._writer.stop()

    async def accept(
        self, inbound: Inbound, prints: Sequence[Fingerprint] = (), consents: Sequence[Consent] = ()
    ) -> Stored:
        """See ports.Spool.  SpoolUnavailable too while less than `floor_bytes` of the disk are free."""
        return await self._write(
            lambda connection: self._accept(connection, inbound, prints, consents), moves=bool(consents)
        )

    async def unplanned(self, limit: int) -> list[Inbound]:
        """See ports.Spool."""
        now = self._clock.now()
        until = self._until(now)
        return await self._write(lambda connection: accept.unplanned(connection, limit, stamp(now), until))

    async def unpark(self, inbound: str) -> bool:
        """See ports.Spool."""
        return await self._write(lambda connection: accept.unpark(connection, inbound))

    async def discard(self, inbound: str, note: str) -> bool:
        """See ports.Spool."""
        return await self._write(lambda connection: accept.discard(connection, inbound, note))

    async def gather(self, needs: Needs) -> Facts:
        """See ports.Spool."""
        now = self._clock.now()
        return await self._read(lambda connection: gather.gather(connection, needs, now, self._timezone))

    async def plan(self, plan: Plan, lease: bool = True, starts: Mapping[str, int] | None = None) -> Committed:
        """See ports.Spool.  `again`: a conversation on the same job was opened since the facts were read."""
        now = self._clock.now()
        until = self._until(now) if lease else None
        if until is None or not starts:
            return await self._write(
                lambda connection: commit.plan(connection, plan, now, until), moves=_moves(plan.writes)
            )
        return await self._write(
            lambda connection: attempt.plan_and_start(connection, plan, starts, now, until), moves=_moves(plan.writes)
        )

    async def write(self, writes: Writes, lease: bool = True) -> Committed:
        """See ports.Spool.  `again` as for `plan`."""
        now = self._clock.now()
        until = self._until(now) if lease else None
        return await self._write(lambda connection: commit.write(connection, writes, now, until), moves=_moves(writes))

    async def due(self, now: datetime, limit: int, not_numbers: frozenset[str] = frozenset()) -> list[Delivery]:
        """See ports.Spool.  "mail" among `not_numbers` leaves what has no number alone."""
        until = self._until(now)
        return await self._write(lambda connection: due.due(connection, now, limit, not_numbers, until))

    async def next_due(self) -> datetime | None:
        """See ports.Spool.  What stands behind another one of its lane is left out too."""
        now = self._clock.now()
        return await self._read(lambda connection: due.next_due(connection, now))

    async def start(self, delivery: Delivery, now: datetime, ledger: int, budget: Budget | None) -> Started:
        """See ports.Spool.  What is not leased is stale."""
        until = self._until(now)
        return await self._write(
            lambda connection: attempt.start(connection, delivery, now, ledger, budget=budget, lease_until=until)
        )

    async def settle(self, settlement: Settlement, lease: bool = True) -> Committed:
        """See ports.Spool.

        An attempt that ended deferred or refused gives its segments back.  One whose fate a receipt moved first is
        kept as history; its writes follow only where both say that it was taken.
        """
        now = self._clock.now()
        until = self._until(now) if lease else None
        return await self._write(
            lambda connection: attempt.settle(connection, settlement, now, until), moves=_moves(settlement.writes)
        )

    async def recover(
        self, now: datetime, first_lookup: timedelta = timedelta(seconds=20), *, until: datetime | None = None
    ) -> Recovered:
        """See ports.Spool."""
        return await self._write(lambda connection: attempt.recover(connection, now, first_lookup, until=until))

    async def release(self, delivery: str, due_at: datetime, reason: str, expires_at: datetime | None = None) -> None:
        """See ports.Spool."""
        await self._write(lambda connection: due.give_back(connection, delivery, due_at, reason, expires_at))

    async def resume(self, at: datetime, number: str = "") -> tuple[str, ...]:
        """See ports.Spool."""
        numbers = tuple(one for one in await self._read(due.paused) if number in ("", one))
        for one in numbers:
            resume = functools.partial(due.resume, at=at, number=one, limit=HASTEN_STEP)
            while await self._write(resume):
                continue
        return numbers

    async def hasten_mail(self, at: datetime) -> int:
        """See ports.Spool."""
        count = 0
        while step := await self._write(lambda connection: due.hasten_mail(connection, at, HASTEN_STEP)):
            count += step
        return count

    async def set_back(self, by: timedelta) -> int:
        """See ports.Spool."""
        return await self._write(lambda connection: shift.set_back(connection, by))

    async def purge(self, now: datetime, keep_days: Mapping[str, int], limit: int) -> int:
        """See ports.Spool, and purge.py for the keys of `keep_days`; `limit` bounds each kind of row."""
        gone = 0
        for begun in range(0, limit, PURGE_STEP):
            call = functools.partial(purge.purge, now=now, keep_days=keep_days, limit=min(PURGE_STEP, limit - begun))
            step = await self._write(call)
            gone += step
            if step == 0:
                break
        return gone

    async def confirm(self, confirmation: Confirmation) -> None:
        """See ports.Spool."""
        await self._write(lambda connection: commit.confirm(connection, confirmation), moves=True)

    async def mark(self, name: str) -> datetime | None:
        """See ports.Spool."""
        return await self._read(lambda connection: marks.mark(connection, name))

    async def set_mark(self, name: str, at: datetime) -> None:
        """See ports.Spool."""
        await self._write(lambda connection: marks.set_mark(connection, name, at))

    async def find(self, view: str, **keys: object) -> list[Shown]:
        """See ports.Spool; views.py has the names and keys."""
        now = self._clock.now()
        return await self._reader.ask(lambda connection: views.find(connection, view, keys, now), reads=True)

    async def media(self, token: str) -> MediaFile | None:
        """See ports.Spool."""
        now = self._clock.now()
        return await self._reader.ask(lambda connection: media.served(connection, token, now), reads=True)

    async def sizes(self) -> dict[str, float]:
        """See ports.Spool.  Fates that are ends are counted every five minutes."""
        now = self._clock.now()
        return await self._reader.ask(
            lambda connection: purge.sizes(connection, self._path, now, self._ended), reads=True
        )

    async def backup(self, path: Path) -> int:
        """See ports.Spool.  A file that was left at `path` is replaced; `floor_bytes` of its disk stay free."""
        return await self._aside(lambda: self._backup(path))

    async def check(self, quick: bool = False) -> list[str]:
        """See ports.Spool.  `quick` leaves out whether indexes and tables agree."""
        return await self._aside(lambda: copy.check(self._path, quick=quick, stop=self._closing))

    async def ping(self) -> None:
        """See ports.Spool."""
        now = self._clock.now()
        await self._write(lambda connection: commit.pulse(connection, now))

    def _read(self, call: Callable[[apsw.Connection], T]) -> asyncio.Future[T]:
        """By the thread that writes: a second connection would read every page anew after each commit."""
        return self._writer.ask(call, reads=True)

    def _write(self, call: Callable[[apsw.Connection], T], *, moves: bool = False) -> asyncio.Future[T]:
        answer = self._writer.ask(call)
        if not moves:
            return answer
        answer.add_done_callback(self._count)
        # Who gives up waiting does not stop the commit: it is counted when it is done.
        return asyncio.shield(answer)

    def _count(self, done: object) -> None:
        self.moved += 1

    async def _aside(self, call: Callable[[], T]) -> T:
        """What takes minutes, on a thread and a connection of its own."""
        async with self._errand:
            try:
                return await asyncio.to_thread(call)
            except (apsw.Error, OSError) as error:
                raise SpoolUnavailable(str(error)) from error

    def _backup(self, path: Path) -> int:
        path.unlink(missing_ok=True)
        disk = os.statvfs(path.parent)
        if disk.f_bavail * disk.f_frsize < self._path.stat().st_size + self._floor:
            raise SpoolUnavailable(f"{path.parent} has no room for a copy")
        return copy.backup(self._path, path, self._closing)

    def _until(self, now: datetime) -> int:
        return stamp(now + self._lease)

    def _accept(
        self,
        connection: apsw.Connection,
        inbound: Inbound,
        prints: Sequence[Fingerprint],
        consents: Sequence[Consent],
    ) -> Stored:
        disk = os.statvfs(self._path.parent)
        full = disk.f_bavail * disk.f_frsize < self._floor
        if full != self._full:
            self._full = full
            emit("spool.failed" if full else "spool.recovered", error="the disk is nearly full" if full else "")
        if full:
            raise SpoolUnavailable("the disk is nearly full")
        return accept.accept(connection, inbound, prints, consents)


def _moves(writes: Writes) -> bool:
    return bool(writes.consents or writes.confirmations)
