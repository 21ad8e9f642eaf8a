"""One way out for deliveries, the relay, a carrier's domain or a number of ours: its queue, pace and breaker."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from gateway.core import carrier as carriers
from gateway.core import gone, notice
from gateway.core.model import Fate, Kind
from gateway.core.rules import Rules
from gateway.core.verdict import PAID
from gateway.core.work import Accepted, Deferred, Delivery, MailParcel, Outcome, Refused
from gateway.events import emit
from gateway.known import Known

MAIL = "mail"  # the way of deliveries without a number; its breaker is the relay's, for all mails
BULK = notice.PRIORITY[Kind.TEXT]
MOST_PAUSE = 3600.0  # seconds; more is not believed of a Retry-After
ALARM_AFTER = 5  # failures in a row, about a minute
FAILING_SECONDS = 900.0  # a number whose texts fail after they were accepted: each try costs a text
SHUT_SECONDS, MOST_SHUT = 900.0, 14_400.0  # how long a carrier that refuses us is left alone, at first and at most
# A relay's 250 is no word of the carrier's: its no comes back as a mail, at the relay's first try, within seconds, or
# minutes where the relay has a queue.
PROBE_SECONDS = 300.0
PAUSED = "paused"  # Delivery.reason of what a carrier that is shut holds
DIRECT_PER_MINUTE = 60  # mails to a carrier's own hosts, where its row says nothing


@dataclass(slots=True, order=True)
class Item:
    """A place in a queue; `delivery` None tells a worker to end.

    In the order of arrival, not of age: of each conversation one text at a time is in the queue, so that one with a
    hundred texts takes turns with one that has a single text.
    """

    priority: int
    count: int
    delivery: Delivery | None = field(compare=False)
    known: Known | None = field(compare=False, default=None)


@dataclass(slots=True)
class Way:
    """One way out: its queue, its pace, its breaker."""

    name: str
    bound: int
    gate: asyncio.Lock = field(default_factory=asyncio.Lock)  # whoever is next waits for the pace in it
    queue: asyncio.PriorityQueue[Item] = field(default_factory=asyncio.PriorityQueue)
    next_at: float = 0.0  # monotonic time at which the pace allows the next segment
    open_until: float = 0.0  # breaker: monotonic time until which nothing is tried
    failures: int = 0
    down: bool = False  # that it is at fault has been said
    why: str = ""  # what was wrong when it was left alone for the last time
    shuts: int = 0  # how often in a row it was shut
    shut_at: datetime | None = None  # when for the last time
    probed: bool = False  # a relay has taken a text since: closed until that could have come back
    opens: tuple[float, datetime] | None = None  # `open_until`, and the same by the clock

    @property
    def carrier(self) -> bool:
        return self.name.startswith("@")

    @property
    def mail(self) -> bool:
        return self.carrier or self.name == MAIL

    @property
    def number(self) -> str:
        """As Delivery.number and the events have it."""
        return "" if self.name == MAIL else self.name

    @property
    def full(self) -> bool:
        return self.queue.qsize() >= self.bound

    @property
    def wait(self) -> float:
        """How many seconds the pace wants before the next one."""
        return self.next_at - time.monotonic()

    def idle(self, rules: Rules) -> bool:
        """Whether one that comes now waits for nothing: others, the pace, or one that finds out what is wrong."""
        return self.queue.empty() and not self.failures and not pace(self.name, rules)

    def closed_for(self, delivery: Delivery) -> float:
        """For how many seconds nothing is tried, 0 = it is; a look-up is no text."""
        return max(0.0, self.open_until - time.monotonic()) if delivery.fate is Fate.WAITING else 0.0

    def opens_at(self, now: datetime) -> datetime:
        """When the next one is tried: the same moment for all that the breaker holds, so that they keep their order."""
        # A clock that was set makes a new moment, lest all come back at once.
        if self.opens is None or self.opens[0] != self.open_until or self.opens[1] <= now:
            left = max(0.0, self.open_until - time.monotonic())
            self.opens = (self.open_until, now + timedelta(seconds=left))
        return self.opens[1]

    def reserve(self, delivery: Delivery, rules: Rules) -> None:
        """Counts a text or mail that leaves against the pace."""
        rate = pace(self.name, rules)
        if rate:
            self.next_at = max(time.monotonic(), self.next_at) + (1 if self.mail else delivery.segments) / rate

    def failed(self, delivery: Delivery, outcome: Deferred) -> bool:
        """Leaves the way alone for a while, longer with each failure; False = it is already: one fault, not one more.

        That it asks us to wait is no fault, unless it asks again.
        """
        if time.monotonic() < self.open_until:
            return False
        busy = outcome.retry_after is not None
        self.failures, self.why = self.failures + 1, outcome.reason
        least = min(2.0 ** (self.failures - busy), 60.0)
        self.open_until = time.monotonic() + max(least, min(outcome.retry_after or 0.0, MOST_PAUSE))
        if self.failures > busy:
            self._is_down(delivery.courier, outcome.code)
        return True

    def alarming(self, delivery: Delivery, outcome: Deferred) -> bool:
        """Whether the admin is to hear of the failure that was just counted."""
        # A provider that refuses our account will not mend itself; what cannot be reached may be back in a minute.
        at_once = delivery.courier in PAID and outcome.code and outcome.retry_after is None
        return self.failures == (1 if at_once else ALARM_AFTER)

    def fails_later(self, courier: str) -> None:
        """Leaves one of our numbers alone that takes texts which then fail; the next one that is taken ends it."""
        if self.open_until < time.monotonic() + FAILING_SECONDS / 2:
            self.open_until = time.monotonic() + FAILING_SECONDS
            self.failures, self.why = max(self.failures, 1), "its texts fail after they were accepted"
            self.down = False
            self._is_down(courier, "")

    def heard(self, delivery: Delivery, outcome: Outcome, now: datetime, *, direct: bool) -> str:
        """What the answer to a carrier's text changes: "shut", "opens" (at `opens_at`), or "" nothing.

        `direct`: the answer is the carrier's own, not a relay's.
        """
        if isinstance(outcome, Deferred | Refused) and gone.against_us(delivery, outcome.code, outcome.reason):
            return "shut" if self.shut(outcome.reason, outcome.code, now) else ""
        # Nothing that was under way before it was shut counts.
        if not self.failures or time.monotonic() < self.open_until:
            return ""
        if direct and isinstance(outcome, Accepted | Refused):
            self.mended(delivery.courier)
        elif isinstance(outcome, Accepted):
            self.probed, self.open_until = True, time.monotonic() + PROBE_SECONDS
        else:
            return ""
        return "opens"

    def shut(self, why: str, code: str, now: datetime, posted_at: datetime | None = None) -> bool:
        """Leaves a carrier that refuses us alone; False = it is already, or that is told of a text from before.

        Twice as long as the last time, where that is not long ago: what a relay takes comes back only later.
        `posted_at` is of a text that came back; None = the no was said just now.
        """
        begun = time.monotonic()
        known = posted_at is not None and self.shut_at is not None and posted_at <= self.shut_at
        if known or (begun < self.open_until and not self.probed):
            return False
        self.shuts = min(self.shuts + 1, 5) if begun < self.open_until + MOST_SHUT else 1
        self.open_until = begun + min(SHUT_SECONDS * 2.0 ** (self.shuts - 1), MOST_SHUT)
        self.failures, self.why = self.failures + 1, why
        self.shut_at, self.probed = now, False
        self._is_down("mail", code)
        return True

    def reopen(self) -> None:
        """Lets one text try at once whether a carrier takes us again, unless one is being waited for."""
        if self.failures and not self.probed:
            self.open_until = min(self.open_until, time.monotonic())

    def remembered(self) -> None:
        """It was shut when the daemon ended: one text finds out."""
        self.failures, self.down = max(self.failures, 1), True
        self.why = self.why or "it refused us before the daemon was started"

    def proven(self) -> None:
        """Opens a carrier whose probe has not come back."""
        if self.probed and time.monotonic() >= self.open_until:
            self.probed = False
            self.mended("mail")

    def mended(self, courier: str) -> None:
        """It has taken something."""
        if self.failures and self.down:
            emit("courier.up", courier=courier, number=self.number)
        self.failures, self.down = 0, False

    def _is_down(self, courier: str, code: str) -> None:
        if not self.down:
            emit("courier.down", courier=courier, number=self.number, reason=self.why, code=code)
        self.down = True

    def takes(self, delivery: Delivery) -> bool:
        """Whether there is room; a full queue of bulk still takes what goes before it."""
        return self.queue.qsize() < self.bound * (1 if delivery.priority >= BULK else 2)


def way_of(delivery: Delivery) -> str:
    """The way of a delivery.  Look-ups have one of their own: they cost no text, so no pace holds them."""
    if not delivery.number:
        return MAIL
    return f"look-ups of {delivery.number}" if delivery.fate is Fate.UNKNOWN else delivery.number


def size(delivery: Delivery) -> int:
    """Bytes of its mail."""
    return len(delivery.parcel.data) if isinstance(delivery.parcel, MailParcel) else 0


def pace(name: str, rules: Rules) -> float:
    """How much a way takes in a second, segments of texts or mails to a carrier; 0 = as fast as it can."""
    number = rules.number(name)
    if number is not None:
        return number.segments_per_second
    if not name.startswith("@"):
        return 0.0
    told = [c.per_minute for c in carriers.by_domain(rules.carriers, name[1:]) if c.per_minute]
    return min(told, default=DIRECT_PER_MINUTE if rules.direct else 0) / 60
