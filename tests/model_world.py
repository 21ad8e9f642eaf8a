"""The world around the gateway as only it sees itself: a provider, a relay, and the promises that hold at their doors.

Both keep every request that reached them and what became of it.  A request that breaks a promise fails where it leaves.
"""

from __future__ import annotations

import asyncio
import functools
from collections import defaultdict
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email import message_from_bytes

from gateway.core.model import Phone
from gateway.core.work import Accepted, Deferred, Delivery, MailParcel, Outcome, Refused, Remote, TextParcel, Unclear
from gateway.ports import Clock

BEFORE, AFTER = timedelta(seconds=120), timedelta(seconds=300)  # the window of a look-up around its request
MAIL_RESENDS = 2  # P5
LOOKUPS = 3  # P4
GOOD = ("queued", "sending", "sent")
ANSWERS: dict[str, Outcome] = {
    "accepted": Accepted(),
    "refused": Refused(reason="no such number", code="21211"),
    "opted out": Refused(reason="said STOP to the provider", code="21610", opted_out=True),
    "deferred": Deferred(reason="too many requests", code="20429"),
    "taken": Unclear(reason="no answer to the request"),
    "lost": Unclear(reason="no answer to the request"),
}
MAIL_ANSWERS = tuple(answer for answer in ANSWERS if answer != "opted out")


@dataclass
class Post:
    """One request that left."""

    delivery: str
    parcel: TextParcel | MailParcel
    attempt: int
    at: datetime
    end: str = ""  # a key of ANSWERS; "" = nobody heard of its end

    @property
    def doubtful(self) -> bool:
        return self.end in ("", "taken", "lost")


@dataclass(eq=False)
class Work:
    """One delivery in the hand of a worker: its task, and where it waits for an answer from outside."""

    delivery: Delivery
    begun_at: datetime
    entered: asyncio.Event = field(default_factory=asyncio.Event)
    post: Post | None = None  # what is on the wire
    task: asyncio.Task[None] | None = None
    answer: asyncio.Future[Outcome] | None = None


@dataclass
class Text:
    """A text that the provider took, and what it will say of it."""

    sid: str
    post: Post
    parcel: TextParcel
    at: datetime
    end: str  # delivered | undelivered | failed
    listed_at: datetime


WORK: ContextVar[Work] = ContextVar("WORK")


class World:
    """Satisfies ports.Provider; its `relay` satisfies ports.MailCourier.  `hold`: what is unclear never goes again.

    `people` are the phones behind carrier addresses.
    """

    name = "twilio"

    def __init__(self, clock: Clock, *, hold: bool, people: dict[str, Phone]) -> None:
        self._clock = clock
        self._hold = hold
        self._people = people
        self.relay = Relay(self, clock)
        self.on_the_wire: list[Work] = []
        self.texts: list[Text] = []
        self.mails: list[Post] = []  # those that the relay took
        self.posts: dict[str, list[Post]] = defaultdict(list)
        self.let_at: dict[str, int] = defaultdict(int)  # how many posts there were when a person let it go again
        self.heard: set[str] = set()  # deliveries of which a callback said that they were taken
        self.looked: dict[str, list[set[str]]] = defaultdict(list)  # what complete look-ups since the last post listed
        self.stopped: set[Phone] = set()
        self.blocked: set[Phone] = set()  # by the provider: no paid text
        self.answers_lookups = True
        self.lag = timedelta()  # until a text that is taken is listed

    # -- what the gateway asks

    async def send(self, parcel: TextParcel, delivery: str, attempt: int) -> Outcome:
        """See ports.Provider."""
        assert delivery == WORK.get().delivery.id
        self._obeys_stop(parcel.to, paid=True)
        self._paid_at_most_once(delivery)
        return await self.leave(Post(delivery, parcel, attempt, self._clock.now()))

    async def lookup(self, parcel: TextParcel, posted_at: datetime) -> list[Remote] | None:
        """See ports.Provider."""
        if not self.answers_lookups:
            return None
        now = self._clock.now()
        found = [t for t in self.texts if t.parcel.to == parcel.to and t.listed_at <= now]
        found = [t for t in found if posted_at - BEFORE <= t.at <= posted_at + AFTER]
        self.looked[WORK.get().delivery.id].append({t.post.delivery for t in found})
        return [_remote(t) for t in reversed(found)]

    async def fetch(self, remote_id: str) -> Remote | None:
        """See ports.Provider."""
        return next((_remote(t) for t in self.texts if t.sid == remote_id), None)

    async def close(self) -> None:
        """See ports.Provider."""

    async def leave(self, post: Post) -> Outcome:
        """Keeps the request on the wire until somebody answers it."""
        work = WORK.get()
        self.posts[post.delivery].append(post)
        self.looked[post.delivery] = []
        work.post = post
        work.answer = asyncio.get_running_loop().create_future()
        self.on_the_wire.append(work)
        work.entered.set()
        return await work.answer

    # -- what becomes of it

    def end(self, work: Work, answer: str, end: str) -> Outcome:
        """The outcome of what is on the wire; `end` is what becomes of a text that is taken."""
        self.on_the_wire.remove(work)
        post = work.post
        assert post is not None
        post.end = answer
        remote_id = self._take(post, end) if answer in ("accepted", "taken") else ""
        if answer == "opted out" and isinstance(post.parcel, TextParcel):
            self.blocked.add(post.parcel.to)
        outcome = ANSWERS[answer]
        return Accepted(remote_id=remote_id, status="queued") if isinstance(outcome, Accepted) else outcome

    def cut(self, work: Work, end: str, *, taken: bool) -> None:
        """Our end of the wire is gone; the request may have been whole."""
        self.on_the_wire.remove(work)
        assert work.post is not None
        if taken:
            self._take(work.post, end)

    def _take(self, post: Post, end: str) -> str:
        if isinstance(post.parcel, MailParcel):
            self.mails.append(post)
            return f"q{len(self.mails)}"
        now = self._clock.now()
        made = Text(f"SM{len(self.texts):032d}", post, post.parcel, now, end, now + self.lag)
        self.texts.append(made)
        return made.sid

    def let(self, delivery: str) -> None:
        """A person let a delivery go again: what follows is on his word."""
        self.let_at[delivery] = len(self.posts[delivery])
        self.heard.discard(delivery)

    # -- the promises at the door

    def obeys_stop(self, parcel: MailParcel) -> None:
        """P10, for a text by carrier."""
        if parcel.rcpt_to in self._people:
            self._obeys_stop(self._people[parcel.rcpt_to], paid=False)

    def _obeys_stop(self, phone: Phone, *, paid: bool) -> None:
        assert phone not in self.stopped, "P10: a text left after the commit of a STOP"
        assert not paid or phone not in self.blocked, "P10: a text left after the provider said that it is opted out"

    def _earlier(self, delivery: str) -> list[Post]:
        earlier = self.posts[delivery][self.let_at[delivery] :]
        ends = {p.end for p in earlier}
        assert not ends & {"accepted", "refused", "opted out"}, f"{delivery} left again after {sorted(ends)}"
        return earlier

    def _paid_at_most_once(self, delivery: str) -> None:
        earlier = self._earlier(delivery)
        doubtful = [p for p in earlier if p.doubtful]
        assert len(doubtful) <= (0 if self._hold else 1), "P4: a text that may have been taken left too often"
        assert delivery not in self.heard, "P4: a text left again after a callback had said that it was taken"
        if earlier and earlier[-1].doubtful:
            looked = self.looked[delivery]
            assert len(looked) >= LOOKUPS, f"P4: sent again after {len(looked)} complete look-ups"
            assert all(delivery not in listed for listed in looked), "P4: sent again although a look-up listed it"

    def mailed_at_least_once(self, delivery: str, parcel: MailParcel) -> None:
        """P5: at most two resends after ambiguous ends, and all of them the same mail."""
        doubtful = [p for p in self._earlier(delivery) if p.doubtful]
        assert len(doubtful) <= MAIL_RESENDS, "P5: a mail that may have been taken left too often"
        named = {d: message_id(p.parcel) for d, posts in self.posts.items() for p in posts}
        assert named.get(delivery, message_id(parcel)) == message_id(parcel) != "", "P5: a resend has another name"
        message = delivery.rpartition(".")[0]  # another way of the same message may keep its name
        twins = [d for d, name in named.items() if d.rpartition(".")[0] != message and name == message_id(parcel)]
        assert not twins, f"P5: {delivery} has the Message-ID of {twins}"


class Relay:
    """Satisfies ports.MailCourier."""

    def __init__(self, world: World, clock: Clock) -> None:
        self._world = world
        self._clock = clock

    async def send(self, parcel: MailParcel) -> Outcome:
        """See ports.MailCourier."""
        delivery = WORK.get().delivery
        self._world.obeys_stop(parcel)
        self._world.mailed_at_least_once(delivery.id, parcel)
        return await self._world.leave(Post(delivery.id, parcel, delivery.attempt + 1, self._clock.now()))


@functools.lru_cache(1000)
def message_id(parcel: TextParcel | MailParcel) -> str:
    """The Message-ID of a mail; "" of a text."""
    return str(message_from_bytes(parcel.data)["Message-ID"] or "") if isinstance(parcel, MailParcel) else ""


def _remote(text: Text) -> Remote:
    return Remote(
        remote_id=text.sid,
        to=text.parcel.to,
        sender=text.parcel.number,
        body=text.parcel.body,
        status="sent",
        code="",
        created_at=text.at,
        direction="outbound-api",
    )
