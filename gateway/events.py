"""Every event of the house as one function: one log line and one count.  The closed list is EVENTS.

Lines go to stdout: JSON for machines, a readable form on a terminal.  Phones are masked, texts and secrets have no way
in: fields are named here, and what may hold a number passes `masked`.
"""

from __future__ import annotations

import json
import logging
import re
import sys
import traceback
from functools import lru_cache
from pathlib import Path
from typing import Any

import structlog
from prometheus_client import CollectorRegistry, Counter

from gateway.lines import Lines

REGISTRY = CollectorRegistry()
_TOTAL = Counter("gateway_events_total", "Events by name, see docs/events.md", ["event", "courier"], registry=REGISTRY)
# A number of ten digits in its usual writings, or any other run of seven digits and more; none inside a word or an id.
_DIGITS = re.compile(
    r"(?<![0-9A-Za-z])\+?(?:1[ .-]?)?\(?\d{3}\)?[ ./-]?\d{3}[ ./-]?\d{4}(?![0-9A-Za-z])"
    r"|\+\d[\d ()./-]{6,20}\d(?![0-9A-Za-z])"
    r"|(?<![0-9A-Za-z])\d{7,15}(?![0-9A-Za-z])"
)
_ZEROS = bytes.maketrans(b"0123456789", b"0" * 10)
_COURIERS = 1024  # pairs of event and courier whose counter is kept at hand

# name -> (level, what it says); docs/events.md must list the same names
EVENTS: dict[str, tuple[str, str]] = {
    "engine.started": ("info", "the daemon listens; doors and their ports"),
    "engine.stopping": ("info", "a signal came; no new work is taken"),
    "engine.stopped": ("info", "all work is settled or given back"),
    "engine.failed": ("error", "a loop met a fault of ours and goes on; the item stays in the queue"),
    "clock.stepped": ("warning", "the clock was set back; what waits was moved with it"),
    "config.reloaded": ("info", "a new configuration is in force"),
    "config.rejected": ("error", "the new configuration has errors; the old one stays in force"),
    "config.warned": ("warning", "something in the configuration wants attention"),
    "session.rejected": ("warning", "a connection was turned away: too many"),
    "session.cut": ("warning", "a connection was cut: a limit was passed"),
    "session.failed": ("error", "a fault of ours was answered with 451"),
    "login.accepted": ("info", "a sender logged in"),
    "login.failed": ("warning", "a login was refused; peer and name, for fail2ban"),
    "inbound.accepted": ("info", "a mail or hook is committed"),
    "inbound.proven": ("info", "the From of an answer from outside is proven, and by what"),
    "inbound.repeated": ("info", "the same mail came again: same answer, no second text"),
    "inbound.refused": ("warning", "a mail or recipient was refused at the door"),
    "inbound.deferred": ("warning", "a mail could not be stored now and was answered 4xx"),
    "inbound.parked": ("error", "a mail could not be read: kept raw for a person"),
    "inbound.ignored": ("info", "a mail that must not be texted or answered, such as an automatic reply"),
    "plan.committed": ("info", "it is decided what must be done"),
    "delivery.started": ("info", "the intent is committed; the next thing is the wire"),
    "delivery.accepted": ("info", "the next hop took it"),
    "delivery.deferred": ("warning", "not taken, another try will follow"),
    "delivery.refused": ("warning", "refused, for good"),
    "delivery.unclear": ("warning", "sent, and no answer: it will be looked up"),
    "delivery.adopted": ("info", "an unclear text was found at the provider"),
    "delivery.resent": ("warning", "an unclear text was not found and is sent once more"),
    "delivery.held": ("warning", "a person must act"),
    "delivery.expired": ("warning", "its time is over"),
    "delivery.overtaken": ("info", "not tried any more: its text goes another way, or lost an earlier part"),
    "delivery.vetoed": ("warning", "policy forbids it now, for example after a STOP"),
    "delivery.confirmed": ("info", "a receipt moved the fate forward"),
    "delivery.bounced": ("warning", "a late failure came back"),
    "delivery.doubled": ("error", "the provider has two texts for one attempt"),
    "consent.granted": ("info", "an entry in the ledger"),
    "consent.withdrawn": ("info", "a STOP or a revocation is committed"),
    "consent.restored": ("info", "a START lifted a STOP, or a doubt about one is settled: texts go on"),
    "consent.suspended": ("warning", "perhaps a STOP: texts by machine pause until the shop has answered"),
    "consent.blocked": ("warning", "the provider takes no text from one of our numbers to this phone"),
    "hook.accepted": ("info", "a webhook is committed"),
    "hook.repeated": ("info", "a webhook came again and changed nothing"),
    "catchup.found": ("info", "texts that no webhook brought were fetched"),
    "catchup.failed": (
        "warning",
        "the list of texts could not be read, or more than about 20,000 came since; it is asked again",
    ),
    "hook.rejected": ("warning", "a webhook was refused: signature, account, number or form"),
    "hook.deferred": ("error", "a webhook could not be stored and was answered 503"),
    "hook.failed": ("error", "a fault of ours was answered with 500"),
    "courier.down": ("error", "a way out is at fault; its queue is kept"),
    "courier.up": ("info", "the way out works again"),
    "reader.killed": ("warning", "the reader passed its limits on a mail and was ended"),
    "reader.patterns_skipped": ("warning", "the patterns took too long on a mail: it was read without them"),
    "spool.failed": ("error", "the store could not be written or read"),
    "spool.recovered": ("info", "the store works again"),
    "token.unsaved": ("warning", "a changed refresh token could not be written; it is lost when the daemon ends"),
    "media.failed": ("warning", "a picture that came with a text could not be had; the reply mail says so"),
    "media.kept": ("warning", "a picture could not be deleted at the provider"),
    "carrier.warned": ("warning", "a carrier's gateway ends soon or is dead"),
    "carrier.lost": ("error", "DNS has said twice that a carrier's mail domain takes no mail: nothing is sent there"),
    "carrier.found": ("info", "a carrier's mail domain that was lost takes mail again"),
    "dns.failed": ("warning", "no answer for carriers' mail domains: nothing changes; told once a day"),
    "dns.doubted": (
        "warning",
        "all carriers' mail domains are gone at once, and no domain of ours is found: not believed; told once a day",
    ),
    "command.done": ("info", "an admin's command changed something"),
    "budget.warned": ("warning", "a sender has used half of its segments"),
    "alarm.raised": ("error", "the admin is told by mail or text"),
    "purge.done": ("info", "retention removed old rows"),
}


def masked(text: str) -> str:
    """`text` with every phone number reduced to its country digit and last four: +1******4567."""
    return _DIGITS.sub(_mask, text) if "+" in text or _has_digits(text, 4) else text


def _masked_address(text: str) -> str:
    shown = masked(text)
    return _RUN.sub(_mask, shown) if _has_digits(shown, 7) else shown


def _has_digits(text: str, count: int) -> bool:
    """Whether there are `count` digits in a row: without four no number begins, and to look costs a tenth of a search.

    True as well for what may hold digits other than ASCII's.
    """
    return not text.isascii() or b"0" * count in text.encode("ascii").translate(_ZEROS)


def _mask(match: re.Match[str]) -> str:
    found = match.group()
    digits = found if found.isdecimal() else _NO_DIGIT.sub("", found)
    if len(digits) == 10:
        digits = "1" + digits
    return f"+{digits[0]}{'*' * (len(digits) - 5)}{digits[-4:]}"


_NO_DIGIT = re.compile(r"\D")
# In an address any long run of digits is a number, whatever stands beside it.
_ADDRESSES = frozenset({"to", "phone", "recipient", "address", "mail_from", "author", "username"})
_RUN = re.compile(r"\+?\d{7,15}")
_MASKED_FIELDS = _ADDRESSES | {"note", "reason", "error"}


def emit(event: str, **fields: Any) -> None:
    """Writes one line and counts one.  The name must be in EVENTS; a field that may hold a phone is masked."""
    level, _ = EVENTS[event]
    _counter(event, str(fields.get("courier", ""))).inc()
    for name in _MASKED_FIELDS.intersection(fields):
        value = fields[name]
        if isinstance(value, str):
            fields[name] = _masked_address(value) if name in _ADDRESSES else masked(value)
    getattr(_bound.logger(), level)(event, **fields)


@lru_cache(maxsize=_COURIERS)
def _counter(event: str, courier: str) -> Counter:
    return _TOTAL.labels(event=event, courier=courier)


class _Bound:
    """The logger of the configuration in force: to make one for each line takes longer than the line."""

    def __init__(self) -> None:
        self._made: tuple[object, Any] = (None, None)

    def logger(self) -> Any:
        processors = structlog.get_config()["processors"]
        known, logger = self._made
        if known is not processors:
            logger = structlog.get_logger("gateway").bind()
            self._made = (processors, logger)
        return logger


_bound = _Bound()


def fault(error: BaseException) -> dict[str, str]:
    """What may be logged of an exception: its class and where it came from.  Its words may hold a text or a number."""
    frames = traceback.extract_tb(error.__traceback__)[-4:]
    where = " > ".join(f"{Path(frame.filename).name}:{frame.lineno}" for frame in frames)
    return {"error": type(error).__name__, "where": where}


def setup(stream: Any = None, level: str = "info") -> None:
    """Sends events to `stream` (default stdout) and silences the libraries that log commands and bodies."""
    out = stream or sys.stdout
    tty = bool(getattr(out, "isatty", lambda: False)())
    if stream is None and not tty:
        out = Lines(out)
    # An encoder made once; what it does not know is shown as it is in Python, as structlog does.
    encode = json.JSONEncoder(default=repr).encode
    renderer: Any = structlog.dev.ConsoleRenderer() if tty else lambda logger, method, line: encode(line)
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=structlog.WriteLoggerFactory(out),
        cache_logger_on_first_use=False,
    )
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, force=True)
    for name in ("mail.log", "mail.debug", "twilio", "twilio.async_http_client", "aiohttp.access", "asyncio"):
        logging.getLogger(name).setLevel(logging.ERROR)
    # Its errors quote requests: what a stranger sent, and paths that hold a secret (Flowroute).
    logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)
