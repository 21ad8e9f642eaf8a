"""What is fuzzed, each as one function of bytes that fails where a rule is broken.

Hypothesis (test_fuzz_*.py), atheris (atheris_run.py) and the inputs that once broke a rule (test_crashers.py) all drive
these, so that what one of them finds is a test for all.
"""

from __future__ import annotations

import functools
import io
import logging
import os
import re
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import conversation
import hooked
from PIL import Image

from gateway import attachment, picture
from gateway.config import Config, ConfigError, load
from gateway.core import bounce, carrier_answer, cut, header, html, mime, parts, plain, signed, simple
from gateway.core.model import Reading, Recipient, Refusal, Unreadable
from gateway.intake import argument

ROOT = Path(__file__).parents[2]
DATA = ROOT / "tests" / "data"
CRASHERS = DATA / "crashers"

NOW = 1_795_453_200  # Monday, 2026-11-23, noon in New York
REPLY_DOMAINS = frozenset({"vtext.com", "tmomail.net", "mms.att.net"})
_TEXTS = frozenset({"text", "cut", "answer", "answer_cut", "gone", "captured"})  # of these lines end in LF
_ANY_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_CONTROL_IN_TEXT = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\ud800-\udfff]")

Check = Callable[[bytes], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A function of bytes that raises where a rule is broken, open for as long as it is used."""

    opened: Callable[[], AbstractContextManager[Check]]
    seeds: tuple[str, ...] = ()  # globs below the root: where atheris begins
    made: tuple[bytes, ...] = ()  # further ones
    longest: int = 16_384  # bytes of one input

    def corpus(self) -> list[bytes]:
        """All seeds."""
        files = sorted(path for glob in self.seeds for path in ROOT.glob(glob) if path.is_file())
        return [*(path.read_bytes()[: self.longest] for path in files), *self.made]


def _always(check: Check) -> Callable[[], AbstractContextManager[Check]]:
    """A target that needs nothing but its input."""

    @contextmanager
    def opened() -> Iterator[Check]:
        logging.getLogger("flufl.bounce").disabled = True  # as in the reader's child
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield check

    return opened


def read_mail(raw: bytes) -> Reading | Unreadable:
    """What mime.read says of a mail.  Whatever else the reader's child may be asked about it is asked, too."""
    reading = mime.read(raw, ("Do not reply", "-----"))
    words = carrier_answer.words(raw)
    claim = signed.claim(raw, NOW)
    told = bounce.read(raw)
    if isinstance(reading, Unreadable):
        assert isinstance(words, Unreadable)
        assert isinstance(claim, Unreadable)
        assert (told, attachment.count(raw)) == (None, 0)
        return reading
    assert isinstance(words, carrier_answer.Words)
    _clean(asdict(reading))
    _clean(asdict(words))
    _clean(asdict(told) if told else {})
    _read_parts(raw)
    if isinstance(claim, signed.Claim):
        key = "v=DKIM1; k=rsa; p=" + "A" * 300
        signed.verify(raw, "jobs.example", dict.fromkeys(claim.names, key), NOW)
    assert attachment.count(raw) >= 0
    return reading


def _read_parts(raw: bytes) -> None:
    message = parts.parse(raw)
    assert not isinstance(message, Unreadable)
    body = parts.body(message)
    assert not _CONTROL_IN_TEXT.search(body.text)
    assert body.attachments >= 0
    carrier_answer.pictures(message)
    for part, _ in parts.leaves(message):
        parts.fields(part)


SIMPLY = simple.wanted(("Do not reply", "-----"), mime.Patterns(job=r"RO (\d+)", anywhere=("(ready)",)))


def read_simply(raw: bytes) -> Reading | None:
    """What is read without a child, which says the same in the general way."""
    found = simple.read(raw, SIMPLY)
    if found is not None:
        assert found == mime.read(raw, SIMPLY.cut_after, SIMPLY.patterns)
        _clean(asdict(found))
    return found


def read_files(raw: bytes) -> None:
    """The files of a mail, of a stranger's and of a carrier's, decoded."""
    for domains in (frozenset[str](), REPLY_DOMAINS):
        for found in attachment.attached(raw, 100_000, reply_domains=domains):
            assert bool(found.problem) != bool(found.data)
            assert re.fullmatch(r"[A-Za-z0-9-]{1,60}(?:\.[a-z0-9]{2,4})?", found.name), found.name


def read_value(raw: bytes) -> None:
    """Everything that reads a header value, a text or HTML, on any characters."""
    value = raw.decode("utf-8", "surrogateescape")
    address, name = header.mailbox(value)
    for line in (header.words(value), name, address or "", header.message_id(value), header.token(value)):
        assert not _ANY_CONTROL.search(line), line
    for ident in header.message_ids(value):
        assert re.fullmatch(r"<[!-;=?-~]{1,900}>", ident), ident
    charset, _, rest = raw.partition(b"\n")
    text = plain.clean(plain.decode(rest, charset.decode("latin-1")))
    for kept in (text, html.text(text), cut.answer(text).kept, cut.job(text, ("--",)).kept):
        assert not _CONTROL_IN_TEXT.search(kept), kept
    parts.unflow(text, "text/plain; format=flowed; delsp=yes")


def read_picture(raw: bytes) -> None:
    """A file that came with a text, and one that shall go with one."""
    shown = picture.inspected(raw, 1)
    assert bool(shown.problem) != bool(shown.data)
    fit = picture.fitted(raw, "stem", 2, 0)
    assert fit is None or bool(fit.problem) != bool(fit.data)


def read_argument(raw: bytes) -> None:
    """What stands behind MAIL and RCPT."""
    words = raw.decode("ascii", "replace").strip()
    for found in (argument.mail_from(words), argument.rcpt_to(words)):
        match found:
            case Refusal():
                assert found.code >= 500
                assert str(found).isascii()
            case Recipient():
                assert 0 < len(found.address) <= 256
            case argument.MailFrom():
                assert len(found.address) <= 256


def _drawn() -> tuple[bytes, ...]:
    """A small picture in each form that is decoded."""
    made = []
    for form in ("JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF"):
        out = io.BytesIO()
        Image.new("RGB", (120, 110), "red").save(out, format=form)
        made.append(out.getvalue())
    return (*made, b"%PDF-1.4\n", b"BEGIN:VCARD\r\nEND:VCARD\r\n")


@contextmanager
def _configuring(name: str, beside: dict[str, str]) -> Iterator[Check]:
    """Loads a configuration of which the file `name` is the input, and the others are `beside`."""
    known = {key: os.environ.pop(key, None) for key in ("STATE_DIRECTORY", "CREDENTIALS_DIRECTORY", "GATEWAY_CONFIG")}
    with tempfile.TemporaryDirectory(prefix="gw-") as folder:
        home = Path(folder)
        for other, text in beside.items():
            (home / other).write_text(text)
        yield lambda raw: load_config(home, name, raw)
    os.environ.update({key: value for key, value in known.items() if value is not None})


def load_config(home: Path, name: str, raw: bytes) -> Config | ConfigError:
    """The Config, or the error with a sound place for each of its problems."""
    (home / name).write_bytes(raw)
    try:
        return load(home / "config.toml")
    except ConfigError as fault:
        error = fault
    assert [p for p in error.problems if p.severity == "error"], error.problems
    lines = functools.cache(_lines)
    for problem in error.problems:
        assert problem.text, problem
        assert problem.file, problem
        assert 0 <= problem.line <= lines(problem.file), problem
        assert problem.column >= (problem.line > 0), problem
    assert str(error).endswith(f" in {home / 'config.toml'}")
    return error


def _lines(name: str) -> int:
    try:
        return Path(name).read_bytes().count(b"\n") + 1
    except (OSError, ValueError):  # one that the input names
        return 0


def _clean(found: dict[str, object]) -> None:
    """Fails where a str has a control character or half a character, but for LF in texts."""
    for name, value in found.items():
        bad = _CONTROL_IN_TEXT if name in _TEXTS else _ANY_CONTROL
        for text in _strings(value):
            assert not bad.search(text), f"{name}: {text!r}"


def _strings(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from (text for pair in value.items() for part in pair for text in _strings(part))
    elif isinstance(value, tuple | list):
        yield from (text for part in value for text in _strings(part))


SMALL = """
domain = "sms.example.com"
alarm_to = ["admin@example.com"]
[smtp]
listen = ["127.0.0.1:0"]
[relay]
host = "127.0.0.1"
tls = "off"
[[sender]]
name = "jobs"
networks = ["192.0.2.10"]
"""

TARGETS = {
    "mail": Target(
        opened=_always(read_mail), seeds=("tests/data/mails/**/*.eml", "tests/data/torture/*", "tests/e2e/*/*.eml")
    ),
    "simple": Target(
        opened=_always(read_simply),
        seeds=("tests/data/mails/**/*.eml", "tests/data/torture/*", "tests/e2e/*/*.eml"),
        longest=simple.LONGEST,
    ),
    "files": Target(opened=_always(read_files), seeds=("tests/data/mails/**/*.eml", "tests/e2e/t-92*/*.eml")),
    "value": Target(opened=_always(read_value), seeds=("tests/data/mails/**/*.eml",), longest=8_192),
    "picture": Target(opened=_always(read_picture), made=_drawn(), longest=8_192),
    "argument": Target(
        opened=_always(read_argument),
        made=(
            b"FROM:<jobs@shop.example> SIZE=100 BODY=8BITMIME RET=HDRS ENVID=a+3Db AUTH=<>",
            b'TO:<"a\\ b"@sms.example.com> NOTIFY=FAILURE,DELAY ORCPT=rfc822;a@x',
        ),
        longest=600,
    ),
    "dialogue": Target(opened=conversation.opened, seeds=("tests/intake/dialogs/*.smtp",), longest=4_096),
    "hook": Target(opened=hooked.opened, made=hooked.SEEDS, longest=4_096),
    "config": Target(
        opened=lambda: _configuring("config.toml", {}), seeds=("config.example.toml", "tests/config/bad/*.toml")
    ),
    "carriers": Target(
        opened=lambda: _configuring("carriers.toml", {"config.toml": SMALL}),
        seeds=("tests/config/bad/with/carriers_bad.toml", "tests/e2e/*/carriers.toml"),
    ),
}
