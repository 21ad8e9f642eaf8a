"""The marker that makes a test one of the acceptance cases, and those that are run elsewhere."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import pytest
from house import House

COUNT = 62
Open = Callable[..., Awaitable[House]]  # the fixture open_shop
Seen = Callable[[str], None]  # the fixture seen


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """A case, or the part of one, that is not run here."""

    title: str
    expected: str
    reason: str


def case(number: int, title: str, expected: str) -> pytest.MarkDecorator:
    """Makes a test the acceptance case `number`; the `seen` fixture fills the third column of the table."""
    return pytest.mark.case(number, title, expected)


def gap(what: str, *, always: bool = True) -> pytest.MarkDecorator:
    """Says what the daemon lacks for the case; it goes with the gap.  `always`: the case fails each time until then."""
    return pytest.mark.xfail(reason=what, strict=always)


ELSEWHERE = {
    3: Elsewhere("power cut", "0 acknowledged lost", "needs LazyFS, a FUSE file system that is no package"),
    17: Elsewhere("two nodes, one row", "fencing: provider count = 1", "needs PostgreSQL, a backend of later work"),
    18: Elsewhere("PostgreSQL restarted", "451 meanwhile, 0 lost", "needs PostgreSQL, a backend of later work"),
    32: Elsewhere("smuggling, the public scanners", "550, 0 extra mails", "smtpsmug and its like are no packages"),
    34: Elsewhere("STARTTLS injection, the public tester", "none", "command-injection-tester is no package"),
    45: Elsewhere("1,802 mails of public corpora", "no crash, none lost", "the corpora are no package"),
    47: Elsewhere("629 public bounces and auto-replies", "never texted", "sisimai's set of mails is no package"),
    48: Elsewhere("sisimai's vtext bounces", "matched, never texted", "sisimai's set of mails is no package"),
}
