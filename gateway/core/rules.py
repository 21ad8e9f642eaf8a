"""What the admin decided, as far as decisions need it.  Built by config.py, frozen, without secrets.

Carrier rows have a file of their own: core/carrier.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from zoneinfo import ZoneInfo

from gateway.core.carrier import CarrierTable, Channel
from gateway.core.model import Phone


@dataclass(frozen=True, slots=True, kw_only=True)
class Sender:
    """Job software, or a person, who may send through us."""

    name: str
    mail_from: tuple[str, ...] = ("*",)  # globs on the envelope sender, matched without case
    answer_from: tuple[str, ...] = ()  # globs on From of mails that answer at r- on the public door
    numbers: tuple[str, ...] = ()  # names of our numbers; several are a pool
    reply_to: str = ""  # "" = the mail's Reply-To or From
    reply_fallback: str = ""
    report_to: str = ""
    may_consent: bool = False
    vouches: bool = False
    refuse: str = "smtp"  # smtp | mail
    other_mail: str = "refuse"  # refuse | relay
    bare_lf: str = "refuse"  # refuse | accept
    segments_per_day: int = 10_000
    segments_per_month: int = 0  # 0 = no bound


@dataclass(frozen=True, slots=True, kw_only=True)
class Number:
    """One of our numbers at a provider."""

    name: str
    phone: Phone
    provider: str  # "twilio" | "flowroute"
    segments_per_second: float = 1.0
    messaging_service_sid: str = ""
    inbox: str = ""  # mail address for texts of strangers; "" = alarm_to
    price_per_segment: float = 0.0
    mms: bool = True  # may send pictures; else they go as links
    confirms_stop: str = "provider"  # provider | gateway: who answers STOP, START and HELP
    unmonitored: str = ""  # the answer to whoever texts this number, "" = a person reads it


@dataclass(frozen=True, slots=True, kw_only=True)
class Employee:
    name: str
    phone: Phone
    carrier: str = ""  # id of a carrier row; "" = by the provider only
    channel: str = "sms"  # sms | mms
    fallback: str = "provider"  # provider | none


@dataclass(frozen=True, slots=True, kw_only=True)
class TextRules:
    subject: str = "omit"  # omit | prefix | only
    max_segments: int = 6
    too_long: str = "refuse"  # refuse | cut
    transliterate: bool = True
    cut_after: tuple[str, ...] = ()
    job: str = ""  # regular expression; its first capture in the Subject names the job
    first: str = "{brand}: {text} Reply HELP for help, STOP to opt out."  # a customer's first by a number; "" = as is
    pictures: str = "send"  # send | ignore: images and PDFs attached to job mail


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyRules:
    quiet_hours: str = ""  # "" or "20:00-08:00"
    quiet_replies: str = "send"  # send | hold: answers in a conversation during quiet hours
    hold_at_most: timedelta = timedelta(hours=16)
    countries: tuple[str, ...] = ("US", "CA")
    duplicate_window: timedelta = timedelta(hours=24)
    flood_per_minute: int = 0  # texts of one sender; 0 = no brake
    same_text_window: timedelta = timedelta(minutes=10)  # with the brake: one text to one phone goes once
    expires_after: timedelta = timedelta(hours=4)
    fallback_after: timedelta = timedelta(minutes=15)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A [[rule]]: what is chosen for mails that fit.  The first that fits counts; "" and () change nothing."""

    place: str  # "config.toml:41"
    senders: tuple[str, ...] = ()  # names of [[sender]]; () = any
    to: tuple[str, ...] = ()  # globs on the envelope recipient, matched without case; () = any
    subject: tuple[str, ...] = ()  # globs on the Subject, matched without case; () = any
    numbers: tuple[str, ...] = ()  # names of our numbers; several are a pool
    klass: str = ""  # informational | marketing
    template: str = ""  # name of a [[template]]
    job: str = ""  # pattern, in place of [text] job


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """A [[template]]: the words of a text with {field} placeholders."""

    place: str
    name: str
    text: str
    patterns: Mapping[str, str] = field(default_factory=dict)  # field -> pattern with one capture, in Subject and text


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An [[answer]]: what is texted back, and how the reply mail is marked, when a person's text fits."""

    place: str
    name: str
    numbers: tuple[str, ...] = ()  # names of our numbers; () = all
    keywords: tuple[str, ...] = ()  # the whole text is one of these; () = any text
    days: tuple[str, ...] = ()  # "mon" ... "sun", the shop's time; () = every day
    hours: str = ""  # "18:00-08:00", the shop's time; "" = all day
    text: str = ""  # "" = nothing is texted
    subject_tag: str = ""  # put before the Subject of the reply mail
    header: tuple[str, str] | tuple[()] = ()  # one more field of the reply mail: name, value


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorRule:
    """What an admin says of a provider's error code, in place of the table in codes.py; "" leaves it as it is."""

    klass: str = ""  # a codes.Klass
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    """The tables of Rules by what is asked for: made once, since one mail asks for a dozen."""

    senders: Mapping[str, Sender]
    numbers: Mapping[str, Number]
    numbers_at: Mapping[str, Number]
    templates: Mapping[str, Template]
    employees: Mapping[str, Employee]
    employees_at: Mapping[str, Employee]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    domain: str  # lower case
    country: str  # ISO 3166 alpha-2: how a number without + is read
    brand: str
    timezone: ZoneInfo
    alarm_to: tuple[str, ...] = ()  # mail addresses, or phones of employees
    senders: tuple[Sender, ...] = ()
    numbers: tuple[Number, ...] = ()
    employees: tuple[Employee, ...] = ()
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    carriers: CarrierTable = field(default_factory=CarrierTable)
    text: TextRules = TextRules()
    policy: PolicyRules = PolicyRules()
    close_after: timedelta = timedelta(days=14)  # [replies] close_after
    ask: bool = False  # [replies] ask
    ask_wait: timedelta = timedelta(minutes=10)  # how long a reply waits for the answer to "which job?"
    rules: tuple[Rule, ...] = ()
    templates: tuple[Template, ...] = ()
    answers: tuple[Answer, ...] = ()
    errors: Mapping[str, ErrorRule] = field(default_factory=dict)  # by Twilio's code
    media_for: timedelta = timedelta(days=7)  # how long a picture of ours can be fetched
    dead: Mapping[str, str] = field(default_factory=dict)  # carriers' mail domains that DNS says take no mail: why
    direct: bool = False  # carrier mail goes straight to the carriers' hosts, by no relay
    relay_sender: str = ""  # "" = per_delivery; else the one envelope sender and From that the relay takes
    providers: frozenset[str] = frozenset()  # those with an account: {"twilio"}
    public_url: str = ""  # without the trailing slash; "" = webhooks cannot reach us
    on_unknown: str = "reconcile"  # reconcile | hold: that of twilio
    unknown: Mapping[str, str] = field(default_factory=dict)  # the same by provider, for each that has an account
    lookup_after: tuple[timedelta, ...] = (timedelta(seconds=20), timedelta(seconds=60), timedelta(seconds=150))
    _known: _Known = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_known", _known(self))

    @property
    def job_patterns(self) -> tuple[str, ...]:
        """The patterns that [[rule]] names a job by, each once, in order; [text] job is not among them."""
        return tuple(dict.fromkeys(rule.job for rule in self.rules if rule.job))

    @property
    def template_patterns(self) -> tuple[str, ...]:
        """The patterns that fill the fields of templates, each once, in order."""
        return tuple(dict.fromkeys(pattern for t in self.templates for pattern in t.patterns.values()))

    @property
    def alarm_texts(self) -> int:
        """How many mails to carriers one alarm makes: seldom more than two for each phone in alarm_to."""
        return 2 * sum("@" not in to for to in self.alarm_to)

    def sender(self, name: str) -> Sender | None:
        """The sender of that name."""
        return self._known.senders.get(name)

    def number(self, name: str) -> Number | None:
        """Our number of that name."""
        return self._known.numbers.get(name)

    def number_at(self, phone: str) -> Number | None:
        """Our number with that E.164."""
        return self._known.numbers_at.get(phone)

    def template(self, name: str) -> Template | None:
        """The template of that name."""
        return self._known.templates.get(name)

    def employee(self, name: str) -> Employee | None:
        """The employee of that name."""
        return self._known.employees.get(name)

    def channel(self, employee: Employee) -> Channel | None:
        """The row of the carrier table that an employee's texts go by; None where he names none, or one without it."""
        carrier = self.carriers.carriers.get(employee.carrier)
        return carrier.channels.get(employee.channel) if carrier else None

    def employee_at(self, phone: str) -> Employee | None:
        """The employee with that E.164."""
        return self._known.employees_at.get(phone)


def _known(rules: Rules) -> _Known:
    """What the tables of `rules` hold by name and by phone; of two with one name the first counts."""
    numbers, employees = rules.numbers[::-1], rules.employees[::-1]
    return _Known(
        senders={s.name: s for s in rules.senders[::-1]},
        numbers={n.name: n for n in numbers},
        numbers_at={n.phone: n for n in numbers},
        templates={t.name: t for t in rules.templates[::-1]},
        employees={e.name: e for e in employees},
        employees_at={e.phone: e for e in employees},
    )
