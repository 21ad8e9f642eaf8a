"""The values of the work: what must be done, and what happened.  All frozen."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from gateway.core.model import (
    Confirmation,
    Consent,
    Conversation,
    Fate,
    Kind,
    MediaFile,
    Phone,
    Question,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class MailParcel:
    mail_from: str
    rcpt_to: str
    data: bytes = field(repr=False)  # CRLF lines, complete header
    notify: str = ""  # RFC 3461, sent where the next hop offers DSN
    pictures: tuple[str, ...] = ()  # of its text, for another way: public addresses, or names where nothing is kept


@dataclass(frozen=True, slots=True, kw_only=True)
class TextParcel:
    number: Phone  # our number
    service: str  # messaging service SID, or ""
    to: Phone
    body: str
    validity_seconds: int  # 1 to 36000
    media: tuple[str, ...] = ()  # public addresses of pictures, at most ten


Parcel = MailParcel | TextParcel


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What one recipient of one inbound shall get: a text to one phone, or a mail to one mailbox."""

    id: str  # f"{inbound.id}.{n}"
    inbound: str
    kind: Kind
    sender: str  # the [[sender]] it is for; "" for alarms
    recipient: str  # the envelope address as the client wrote it, or the mailbox that we write to
    phone: Phone | None  # the person texted, or the author of a reply
    person: str  # employee's name, or ""
    conversation: str  # its token, or ""
    subject: str
    text: str  # exactly what goes out
    cut: str = ""  # what was cut away from the mail; of a reply that waits for an answer: what its mail says besides
    rule: str = ""  # which rule chose the route
    at: datetime
    report_to: str = ""  # who is told of a bad end; "" nobody
    notify: str = ""
    orcpt: str = ""
    envid: str = ""
    message_id: str = ""  # of the mail that caused it
    klass: str = "informational"  # informational | marketing: which consent it needs

    def with_person(self, phone: Phone, person: str, rule: str) -> Message:
        """The same message to a known person's phone."""
        return replace(self, phone=phone, person=person, rule=rule)


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One way of bringing one message.  Its attempts are its history; a fallback is another delivery."""

    id: str  # f"{message.id}.{k}"; the d of the StatusCallback and of `gateway queue`
    message: str
    kind: Kind
    courier: str  # "mail" | "twilio" | "flowroute"
    lane: str  # one in flight per lane, in order: "twilio|+1...|+1..."; a mail has one of its own, "mail|id"
    number: str  # name of our number; "@vtext.com" for a carrier's text address; "" for other mail
    to: str  # E.164, or a mail address
    phone: Phone | None  # the person texted: asked again for consent before sending
    person: str  # employee's name, or ""
    sender: str  # whose budget pays; "" nobody's
    parcel: Parcel | None  # None when refused before anything was made
    segments: int = 0
    fate: Fate = Fate.WAITING
    reason: str = ""  # why it waits: "" | retry | quiet hours | pacing | lookup | budget ...
    priority: int = 5  # 0 first: reply 1, report 3, text 5
    due_at: datetime
    expires_at: datetime
    attempt: int = 0  # how many were started; the fence of start and settle
    posted_at: datetime | None = None  # start of the last attempt
    lookups: int = 0  # since the last attempt
    resends: int = 0  # after an unclear end
    remote_id: str = ""  # SID, or the queue id in the next hop's 250
    code: str = ""  # SMTP enhanced code, or the provider's error code
    note: str = ""  # the last answer, for people
    bounce: str = ""  # token of the b- address
    conversational: bool = False  # an answer at r-: conversational consent is enough
    released: bool = False  # a person let it go over its budget
    ways: tuple[str, ...] = ()  # ways still open after this one: names of our numbers
    # From when it was let go to expires_at; None = let go at due_at, and not stored yet.
    lifetime: timedelta | None = field(default=None, compare=False)

    @property
    def begun_at(self) -> datetime:
        """When it was let go: what its time counts from, whatever the configuration says by now."""
        return self.due_at if self.lifetime is None else self.expires_at - self.lifetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """A fate that moves outside of an attempt: a receipt, a late bounce, a STOP, a command."""

    delivery: str
    fate: Fate
    code: str = ""
    note: str = ""
    remote_id: str = ""
    attempt: int = 0  # of which attempt it tells; 0 = not known
    source: str = ""  # "twilio", "bounce", "stop", "answer", "admin"
    due_at: datetime | None = None  # with fate WAITING: when a waiting one is due instead, and nothing else changes


@dataclass(frozen=True, slots=True, kw_only=True)
class Writes:
    """A set of writes: one transaction or nothing.  Rows whose id exists are left alone; conversations and questions
    are replaced.
    """

    messages: tuple[Message, ...] = ()
    deliveries: tuple[Delivery, ...] = ()
    consents: tuple[Consent, ...] = ()
    conversations: tuple[Conversation, ...] = ()
    moves: tuple[Move, ...] = ()
    questions: tuple[Question, ...] = ()
    media: tuple[MediaFile, ...] = ()
    confirmations: tuple[Confirmation, ...] = ()  # kept where none that is newer stands

    def joined(self, other: Writes) -> Writes:
        """Both sets, in this order; of two versions of a conversation or question the later stays."""
        if self is NO_WRITES or other is NO_WRITES:
            return other if self is NO_WRITES else self
        talks = {c.id: c for c in self.conversations + other.conversations}
        asked = {q.id: q for q in self.questions + other.questions}
        return Writes(
            messages=self.messages + other.messages,
            deliveries=self.deliveries + other.deliveries,
            consents=self.consents + other.consents,
            conversations=tuple(talks.values()),
            moves=self.moves + other.moves,
            questions=tuple(asked.values()),
            media=self.media + other.media,
            confirmations=self.confirmations + other.confirmations,
        )


NO_WRITES = Writes()  # joined to it, others stay as they are, and nothing is copied


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    inbound: str
    writes: Writes = NO_WRITES
    parked: str = ""  # the reason why it is kept raw for a person
    note: str = ""  # what trace shows when nothing was to be done


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    remote_id: str = ""  # SID; for mail the next hop's answer
    status: str = ""  # the provider's first status
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deferred:
    """Certainly not accepted, worth another try."""

    reason: str
    code: str = ""
    retry_after: float | None = None  # seconds, where the other side names them
    sender_wide: bool = False  # the number, account or relay is at fault: pause it, keep its queue


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """Certainly not accepted, never will be."""

    reason: str
    code: str = ""
    opted_out: bool = False  # the provider says that the person said STOP (21610)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unclear:
    """The one outcome that can text somebody twice: sent, and no answer."""

    reason: str


Outcome = Accepted | Deferred | Refused | Unclear


@dataclass(frozen=True, slots=True, kw_only=True)
class Remote:
    """A text as the provider lists it."""

    remote_id: str
    to: str
    sender: str
    body: str
    status: str
    code: str
    created_at: datetime
    direction: str  # inbound | outbound-api | ...
    media: int = 0  # how many pictures and files came with it


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """The end of one attempt or look-up, and what follows from it: one write."""

    delivery: str
    attempt: int  # the fence: only the attempt that was started may settle
    # accepted | deferred | refused | unclear | found | not_found | lookup_failed | vetoed | expired | held | overdue
    # | superseded
    outcome: str
    fate: Fate
    due_at: datetime | None = None
    reason: str = ""
    code: str = ""
    note: str = ""
    remote_id: str = ""
    lookups: int = 0
    resends: int = 0
    ms: int = 0
    writes: Writes = NO_WRITES
