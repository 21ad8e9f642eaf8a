"""What the engine and the doors need from the world.  Satisfied by structure; app.py brings the two together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

from gateway.core.facts import Facts, Needs
from gateway.core.model import Confirmation, Consent, Inbound, MediaFile, Picture, Reading, Unreadable
from gateway.core.work import Delivery, MailParcel, Outcome, Plan, Remote, Settlement, TextParcel, Writes


class SpoolUnavailable(Exception):
    """The spool cannot store or answer now (full disk, lock, I/O error).  Doors say 4xx or 503; nothing was stored."""


class ReaderUnavailable(Exception):
    """No reader can be started now (no memory, no processes, shutdown).  The mail was not judged: try again later."""


class Clock(Protocol):
    def now(self) -> datetime:
        """The time, aware, UTC."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Media:
    """A picture or file that came with a text, as the provider gave it: not yet looked into."""

    kind: str  # content type as the provider says, lower case, without parameters
    name: str  # as the provider says, "" = none; never a path
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaFailed:
    """Why a picture could not be had, as a clause for people."""

    reason: str
    again: bool = False  # worth another try


class Reader(Protocol):
    """Looks into what strangers sent, bounded in CPU, memory and time.  Only ReaderUnavailable comes out."""

    def read_now(self, raw: bytes) -> Reading | None:
        """What a small plain mail says; None where `read` must be asked."""

    async def read(self, raw: bytes) -> Reading | Unreadable:
        """What a mail says, bounded in CPU, memory and time.  No input raises; only ReaderUnavailable comes out."""

    async def attached(self, raw: bytes, most_bytes: int = 0) -> tuple[Picture, ...]:
        """The images and PDFs of a mail, each in `most_bytes` (0: what the providers take) or with a problem."""

    async def inspected(self, media: Media, number: int = 1) -> Picture:
        """What came with a text, the `number`-th of it, made harmless; without data it has a problem."""

    async def ask(self, op: str, payload: bytes, **arguments: Any) -> dict[str, Any] | Unreadable:
        """The answer of one of reader_child.OPS about `payload`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fingerprint:
    """What makes two mails to one recipient the same mail (P7)."""

    recipient: str  # as in the envelope
    digest: bytes  # of sender, recipient, Message-ID (else Date) and content
    window_seconds: float  # how long a first counts


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """The answer of `Spool.accept`, given after commit and fsync."""

    id: str  # of the inbound that stands for this one: its own, or the first's when all recipients are repeats
    repeated: tuple[str, ...] = ()  # recipients that were dropped as repeats
    new: bool = True  # False: nothing was stored


@dataclass(frozen=True, slots=True, kw_only=True)
class Committed:
    """The answer of a commit that made deliveries."""

    done: bool  # False: the plan had been made already, or the fence did not hold
    leased: tuple[Delivery, ...] = ()  # those that the caller may deliver at once, in order
    started: tuple[Delivery, ...] = ()  # those whose first attempt is committed: the next thing is the wire
    again: bool = False  # not done, because facts moved on: gather and decide again
    moved: tuple[str, ...] = ()  # deliveries whose fate a Move changed
    bound_to: str = ""  # the other delivery to which the remote id belongs already; "found" is then not done
    doubled: tuple[tuple[str, str, str], ...] = ()  # (delivery, first remote id, second): both are bound to it


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """The answer of `Spool.start`."""

    done: bool
    reason: str = ""  # "" | "stale" (lease, attempt or fate moved on) | "ledger" (consent changed) | "budget"
    spent_day: int = 0  # segments of the sender today, this attempt included
    spent_month: int = 0
    alarm: bool = False  # this attempt passed half of the budget, or was the first over it


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """The bound that `start` counts against, in the same transaction.  0 = no bound."""

    sender: str
    day: str  # "2026-11-21" in the shop's time zone
    month: str  # "2026-11"
    per_day: int = 0
    per_month: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovered:
    """What a dead owner left behind."""

    attempts: int  # that were under way
    held: tuple[str, ...] = ()  # deliveries that now wait for a person, whom somebody must tell


class Spool(Protocol):
    """The durable state.  Every method that writes answers after commit and fsync, or raises SpoolUnavailable."""

    async def accept(
        self, inbound: Inbound, prints: Sequence[Fingerprint] = (), consents: Sequence[Consent] = ()
    ) -> Stored:
        """Keeps what came in.  A hook whose id is known changes nothing (`new` False); for a mail's it is unavailable.

        Recipients with a fingerprint whose first still counts are left out; when none is left nothing is stored.
        `consents` (a STOP) are committed in the same transaction.
        """

    async def unplanned(self, limit: int) -> list[Inbound]:
        """Leases inbounds that have no plan and no living lease, oldest first.  Parked ones are not among them.

        Only an empty answer means that none is left: one holds about 32 MB of mail.
        """

    async def gather(self, needs: Needs) -> Facts:
        """All facts asked for, as one snapshot."""

    async def plan(self, plan: Plan, lease: bool = True, starts: Mapping[str, int] | None = None) -> Committed:
        """Commits a plan while its inbound is unplanned; `lease` takes the deliveries that are due at once.

        `starts`: new ones that cost nothing, each with its `ledger`: `start` in one; what that holds back is leased.
        """

    async def write(self, writes: Writes, lease: bool = True) -> Committed:
        """Commits writes that have no inbound: alarms, commands."""

    async def due(self, now: datetime, limit: int, not_numbers: frozenset[str] = frozenset()) -> list[Delivery]:
        """Leases deliveries that are due: waiting ones to be sent, unknown ones to be looked up.

        At most one per lane, never past an earlier one of the lane that is sending, unknown or waiting for a retry;
        lowest priority number first, then due_at, then age; about 32 MB of mail at once.  `not_numbers` are left alone.
        """

    async def next_due(self) -> datetime | None:
        """When the next waiting or unknown delivery is due, leased ones left out."""

    async def start(self, delivery: Delivery, now: datetime, ledger: int, budget: Budget | None) -> Started:
        """Commits the intent: fate `sending`, attempt + 1, posted_at = now.  To be called before the first byte leaves.

        Holds only if the fate is waiting and the attempt is the delivery's, no ledger entry newer than `ledger` exists
        for its phone, and the budget has room for its segments, which are then counted.  A released one needs no room.
        """

    async def settle(self, settlement: Settlement, lease: bool = True) -> Committed:
        """Commits the end of an attempt and what follows from it.  A wrong attempt number changes nothing."""

    async def recover(self, now: datetime, first_lookup: timedelta, *, until: datetime | None = None) -> Recovered:
        """Ends every lease, when it is proven that all who held one are dead; with `until` those that ended by then.

        Carrier mail under way is sent again, at most twice, then held; a paid text is unknown and looked up.
        """

    async def release(self, delivery: str, due_at: datetime, reason: str, expires_at: datetime | None = None) -> None:
        """Gives a leased, unstarted delivery back: waiting, due then, with that reason; perhaps with a new end."""

    async def resume(self, at: datetime, number: str = "") -> tuple[str, ...]:
        """Makes what waits with the reason "paused" due at `at`, or sooner, of one number or all; of which numbers."""

    async def hasten_mail(self, at: datetime) -> int:
        """Makes due at `at` what waits for later with the reason "relay"; how many."""

    async def set_back(self, by: timedelta) -> int:
        """Follows a clock that was set back: all that waits, its end and the leases move too; how many deliveries."""

    async def unpark(self, inbound: str) -> bool:
        """Lets a parked inbound be planned again, by the next `unplanned`; False when it is not parked."""

    async def discard(self, inbound: str, note: str) -> bool:
        """Gives a parked inbound up, with a note of who did; False when it is not parked."""

    async def purge(self, now: datetime, keep_days: Mapping[str, int], limit: int) -> int:
        """Removes what retention lets go, never the ledger, never what is open; answers how many rows went."""

    async def confirm(self, confirmation: Confirmation) -> None:
        """Records that an employee's carrier address works."""

    async def mark(self, name: str) -> datetime | None:
        """Until when a list at a provider has been read; None = never."""

    async def set_mark(self, name: str, at: datetime) -> None:
        """Moves that mark forward, never back."""

    async def find(self, view: str, **keys: Any) -> list[dict[str, Any]]:
        """Rows for people, by named view: see spool/views.py for the names and their keys."""

    async def media(self, token: str) -> MediaFile | None:
        """The file at /media/<token>/; None when there is none or its time is over."""

    async def sizes(self) -> dict[str, float]:
        """Gauges: rows by fate ("fate_waiting", ...), unplanned, parked, oldest_seconds, {media,database,free}_bytes"""

    async def backup(self, path: Path) -> int:
        """Writes one consistent state to a new file, mode 0600, not yet fsynced, while all else goes on; its bytes."""

    async def check(self, quick: bool = False) -> list[str]:
        """What is wrong with the store, while all else goes on; [] when it is sound."""

    async def ping(self) -> None:
        """Returns when the writer has committed something trivial: the readiness probe."""


class MailCourier(Protocol):
    async def send(self, parcel: MailParcel) -> Outcome:
        """Hands one mail to [relay]: one recipient, one transaction.  Accepted means handed over, never delivered."""

    async def close(self) -> None: ...


class Provider(Protocol):
    """A paid way out.  `send` never retries by itself."""

    name: str

    async def send(self, parcel: TextParcel, delivery: str, attempt: int) -> Outcome: ...

    async def lookup(self, parcel: TextParcel, posted_at: datetime) -> list[Remote] | None:
        """Texts that may be this one: to the same phone around that time.  None: the look-up could not be completed."""

    async def fetch(self, remote_id: str) -> Remote | None:
        """The state of one text; None when it could not be asked."""

    async def inbound_since(self, number: str, since: datetime) -> list[Remote] | None:
        """Texts that came to our number; None when it could not be asked."""

    async def media_of(self, remote_id: str) -> tuple[str, ...] | None:
        """The addresses of what came with a text; None when it could not be asked."""

    async def fetch_media(self, address: str, most_bytes: int) -> Media | MediaFailed:
        """One picture or file, from the provider's own hosts only, with our credentials where they belong."""

    async def delete_media(self, address: str) -> bool:
        """Removes it at the provider; whether it is gone there."""

    async def close(self) -> None: ...
