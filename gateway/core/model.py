"""The values that pass through the house.  All frozen: a change is a new value.

Times are aware UTC datetimes; a phone is E.164 with its plus; text uses LF.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import NewType

Phone = NewType("Phone", str)  # "+12025550143"
MailAddr = NewType("MailAddr", str)  # "local@domain", the domain in lower case


class Door(StrEnum):
    """Where a mail knocked: `submission` for known senders, `public` for the internet, `local` the control socket."""

    SUBMISSION = "submission"
    PUBLIC = "public"
    LOCAL = "local"


class Fate(StrEnum):
    """Where a delivery stands.  design.md section 4 tells how they follow each other."""

    WAITING = "waiting"
    SENDING = "sending"
    UNKNOWN = "unknown"
    HELD = "held"
    HANDED_OVER = "handed_over"
    DELIVERED = "delivered"
    FAILED = "failed"
    REFUSED = "refused"
    EXPIRED = "expired"
    CANCELLED = "cancelled"


OPEN_FATES = frozenset({Fate.WAITING, Fate.SENDING, Fate.UNKNOWN, Fate.HELD})
BAD_ENDS = frozenset({Fate.FAILED, Fate.REFUSED, Fate.EXPIRED, Fate.CANCELLED})


class Kind(StrEnum):
    """What a message is: a person's words (text out, reply in) or a machine's, by text (answer, confirmation, question)
    or by mail (report, alarm, preview, question).
    """

    TEXT = "text"
    REPLY = "reply"
    ANSWER = "answer"  # an [[answer]], or that replies are not monitored
    CONFIRMATION = "confirmation"  # of a STOP, START or HELP, where the provider sends none
    QUESTION = "question"  # which job is meant (by text), whether a STOP was meant (by mail)
    REPORT = "report"
    ALARM = "alarm"
    PREVIEW = "preview"
    FORWARD = "forward"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipient:
    address: str  # as the client wrote it, without brackets
    notify: str = ""  # RFC 3461 NOTIFY, upper case, "NEVER" or "FAILURE,DELAY"; "" = not given
    orcpt: str = ""  # RFC 3461 ORCPT, xtext decoded, "rfc822;address"


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    mail_from: str  # "" is the null sender
    recipients: tuple[Recipient, ...]
    envid: str = ""  # RFC 3461 ENVID, xtext decoded
    ret: str = ""  # RFC 3461 RET: "FULL" | "HDRS" | ""


@dataclass(frozen=True, slots=True, kw_only=True)
class InboundMail:
    id: str
    at: datetime
    door: Door
    peer: str  # IP address, or "local"
    sender: str  # name of the [[sender]]; "" on the public door for a stranger
    envelope: Envelope
    raw: bytes = field(repr=False)
    proven: str = ""  # what proves its From, "dkim=pass header.d=vtext.com"; "" = nothing that was asked for
    phone: Phone | None = None  # whose address at a carrier stands in From


@dataclass(frozen=True, slots=True, kw_only=True)
class TextIn:
    """A text that somebody sent to one of our numbers."""

    remote_id: str  # the provider's id (SM... or MM...)
    author: str  # E.164, a short code, or an alphanumeric sender
    number: Phone  # our number
    text: str
    media: tuple[str, ...] = ()  # the provider's media URLs
    opt_out: str = ""  # "STOP" | "START" | "HELP" where the provider says so itself


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusIn:
    """What a provider says has become of a text that it accepted."""

    remote_id: str
    delivery: str  # our delivery id from the callback URL; "" when polled
    attempt: int  # 0 when not known
    status: str  # queued | sending | sent | delivered | undelivered | failed | canceled
    code: str = ""  # the provider's error code


@dataclass(frozen=True, slots=True, kw_only=True)
class InboundHook:
    id: str  # "twilio:SID" for a text, "twilio:SID:attempt:status" for a status
    at: datetime
    provider: str
    event: TextIn | StatusIn
    raw: bytes = field(repr=False)


Inbound = InboundMail | InboundHook


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What the reader found in a mail.  Every str is free of control characters but LF in texts."""

    subject: str
    author: MailAddr | None  # the address in From
    author_name: str
    reply_to: MailAddr | None
    message_id: str  # with its angle brackets; "" when missing
    in_reply_to: str
    references: tuple[str, ...]  # message ids with brackets, oldest first
    date: str  # as written
    auto_submitted: str  # RFC 3834 word in lower case; "" when missing
    bulk: bool  # Precedence bulk/list/auto_reply/junk, List-Id: see mime.read
    report: bool  # multipart/report
    hops: int  # Received headers
    ours: bool  # bears our X-Gateway-Loop header
    text: str  # job mail: the words that are texted (the "-- " block and cut_after removed)
    cut: str  # what was cut away from job mail
    answer: str  # mail to r-: quoted history and signature removed
    answer_cut: str
    attachments: int
    job: str = ""  # what [text] job captured in the Subject, "" = nothing
    captured: Mapping[str, str] = field(
        default_factory=dict
    )  # by pattern: what [[rule]] and [[template]] patterns found
    fields: Mapping[str, str] = field(default_factory=dict)  # {field} of a template, lower case: see template.fields
    pictures: int = 0  # attachments that may be sent with a text: images and PDFs that are no part of the words
    link: str = ""  # where a carrier keeps what its phone sent, when that is all that it wrote
    bounce: tuple[str, str, str] | tuple[()] = ()  # ("failed" | "delayed", enhanced status or "", what the host said)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreadable:
    """A mail that the reader could not read: kept raw, parked, and told."""

    reason: str


ACTIONS = (
    "grant",
    "revoke",  # withdrawn on the person's behalf
    "stop",  # the person's own word, or the provider's for it
    "start",
    "suspend",  # perhaps a stop: no automatic text until a person of the shop has said
    "resume",  # it was none
    "block",  # the provider takes no text from `number` to this phone; a start texted to that number lifts it
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Consent:
    """One entry of the append-only ledger of consent.  The state follows from all entries of (brand, phone)."""

    id: str  # derived, so that writing twice is harmless
    brand: str
    phone: Phone
    at: datetime
    action: str  # see ACTIONS
    klass: str = "informational"  # informational | marketing
    method: str = ""  # paper | web | keyword | verbal | mail | job_system | import | employee | provider
    evidence: str = ""
    disclosure: str = ""  # version of the words that were shown
    recorded_by: str = ""  # "twilio", "admin", a sender's name
    raw: str = ""  # what the person wrote
    number: str = ""  # where a stop or start was sent, our E.164 or mail address; what alone a block is about


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    """What is said between one sender and one phone about one job."""

    id: str  # the token of its r- address
    sender: str  # name of the [[sender]]; "" for a stranger's text to a number's inbox
    phone: Phone
    job: str
    number: str  # name of our [[number]]; "" while only carrier mail was used
    subject: str
    message_id: str  # of the last mail of the job system, for In-Reply-To
    references: tuple[str, ...]
    reply_to: str  # where answers go
    opened_at: datetime
    closes_at: datetime
    texted_at: datetime | None = None  # our last text
    text: str = ""  # our last text, quoted in the reply mail
    heard_at: datetime | None = None  # the person's last text: opens conversational consent


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What was asked of a person, and what hangs on the answer."""

    id: str  # the token of its a- address
    # "job": which job a text is about, asked by text | "stop": whether a text was a STOP, asked by mail
    # "test": whether an employee's carrier address works, by a text with a code (`text`; the address is in `options`)
    # "enroll": whether a phone that wrote to enroll@ is an employee's, asked by mail (its address is in `options`)
    kind: str
    phone: Phone
    number: str  # name of our number on which the text came
    asked_at: datetime
    closes_at: datetime
    sender: str = ""  # the [[sender]] whose conversation it is about
    text: str = ""  # the words that it is about
    options: tuple[str, ...] = ()  # conversations, in the order in which they were offered: 1, 2, ...
    deliveries: tuple[str, ...] = ()  # reply mails that wait for the answer
    answered_at: datetime | None = None
    answer: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A picture or file on its way in or out, looked into and made harmless by the reader."""

    kind: str  # image/jpeg, image/png, image/gif, application/pdf; anything else only on the way in
    name: str  # letters, digits, dot and hyphen, at most 60; never a path
    data: bytes = field(repr=False)  # b"" where it could not be had
    problem: str = ""  # why not, a clause for people


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaFile:
    """A file at /media/<token>/<name>, for the provider or a person to fetch."""

    token: str
    name: str
    kind: str
    data: bytes = field(repr=False)
    message: str
    at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """A text of ours to a phone, as far as the next one must know of it."""

    kind: Kind
    sender: str
    text: str
    rule: str
    at: datetime
    fate: Fate
    conversation: str = ""  # its token


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmation:
    """The newest word on whether an employee's carrier address works."""

    employee: str
    address: str  # the carrier address that it is about: another one needs another word
    at: datetime
    by: str  # who said so: a user of this machine, the address that answered, or the host that refused
    works: bool = True  # False: what was sent there came back for good
    how: str = "admin"  # the admin's word | "test": its code was answered | "enroll" | "bounce": refused or returned
    note: str = ""  # what the other side said, for people


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """Segments that a sender has used up, by the calendar of the shop's time zone."""

    day: int = 0
    month: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """An SMTP answer that says no, for a person who reads it in the job software."""

    code: int  # 4xx or 5xx
    enhanced: str  # RFC 3463
    text: str  # one line, ASCII

    def __str__(self) -> str:
        return f"{self.code} {self.enhanced} {self.text}"
