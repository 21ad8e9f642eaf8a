"""How `gateway demo` shows a play: lines in order of time, phones and a mailbox as panels.

Pure functions from frozen values to what rich prints.  Without a terminal, or with NO_COLOR, the same words stand there
without colours; panels without a terminal are plain blocks, so that a log of the demo reads well too.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TextIO

from rich.box import ROUNDED
from rich.columns import Columns
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.panel import Panel
from rich.text import Text

from gateway.cli.common import plain

NARROWEST, WIDEST = 80, 120
_WHO, _WHAT = 12, 12  # columns


@dataclass(frozen=True, slots=True, kw_only=True)
class Beat:
    """One thing that happened, or should have."""

    at: datetime  # shown in its own time zone
    who: str  # "job system", "gateway", "Maria", ...
    what: str  # "mail in", "text out"
    detail: str = ""
    ok: bool | None = None  # whether a step of the play came true; None: nothing was expected


@dataclass(frozen=True, slots=True, kw_only=True)
class Bubble:
    """One text on a phone."""

    words: str
    mine: bool = False  # written by the phone's owner
    pictures: int = 0  # that came with it


@dataclass(frozen=True, slots=True, kw_only=True)
class Handset:
    owner: str
    number: str
    bubbles: tuple[Bubble, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """One mail in the mailbox."""

    author: str
    subject: str
    words: str
    thread: str = ""  # what the mail answers, in words: "on RO 1042"
    attached: tuple[str, ...] = ()  # names of files


def console(file: TextIO | None = None, width: int | None = None) -> Console:
    """A console for `file` (default: stdout) that is 80 to 120 columns wide; rich itself heeds NO_COLOR and pipes."""
    out = Console(file=file, width=width, highlight=False, markup=False, emoji=False)
    out.width = max(NARROWEST, min(WIDEST, out.width if out.is_terminal or width else 100))
    return out


def beat(value: Beat, width: int = NARROWEST) -> Text:
    """`09:00:01  gateway      text out    to ...`, marked ok or FAILED where a step was expected.

    The detail goes on below itself where `width` ends; no line has blanks at its end.
    """
    line = Text(f"{value.at:%H:%M:%S}  ", style="")
    line.stylize("dim")
    line.append(f"{plain(value.who):<{_WHO}} ", style="bold not dim")
    line.append(f"{plain(value.what):<{_WHAT}}", style="cyan not dim")
    mark = "" if value.ok is None else "  ok" if value.ok else "  FAILED"
    indent = line.cell_len
    detail = textwrap.wrap(plain(value.detail), max(20, width - indent - len("  FAILED"))) or [""]
    line.append(("\n" + " " * indent).join(detail), style="not dim")
    line.append(mark, style="not dim green" if value.ok else "not dim bold red")
    line.rstrip()
    return line


def timeline(beats: Iterable[Beat], width: int = NARROWEST) -> RenderableType:
    """All beats, one below the other."""
    return Group(*(beat(each, width) for each in beats))


def handset(value: Handset, *, framed: bool = True) -> RenderableType:
    """A phone: what came on the left, what its owner wrote on the right."""
    lines = [_bubble(each, framed=framed) for each in value.bubbles] or [Text("no texts", style="dim")]
    return _frame(f"{plain(value.owner)}  {plain(value.number)}", lines, "blue", framed=framed)


def mailbox(owner: str, letters: Sequence[Letter], *, framed: bool = True) -> RenderableType:
    """The mails of `owner`, oldest first."""
    lines: list[RenderableType] = []
    for each in letters:
        head = Text(f"From: {plain(each.author)}\n", style="dim")
        head.append(plain(each.subject), style="bold not dim")
        if each.thread:
            head.append(f"  ({plain(each.thread)})", style="dim")
        lines += [head, _indented(plain(each.words, lines=True), 2, framed=framed)]
        lines += [_indented(f"[{plain(name)} attached]", 2, framed=framed) for name in each.attached]
    return _frame(f"Mailbox of {plain(owner)}", lines or [Text("no mail", style="dim")], "yellow", framed=framed)


def scene(phones: Sequence[Handset], owner: str, letters: Sequence[Letter], out: Console) -> RenderableType:
    """Phones side by side, the mailbox below; for a pipe one plain block after the other."""
    framed = out.is_terminal
    shown = [handset(each, framed=framed) for each in phones]
    mails = mailbox(owner, letters, framed=framed)
    if not framed:
        return Group(*shown, mails)
    across = max(1, min(3, len(shown)))
    return Group(Columns(shown, width=out.width // across - 1, padding=(0, 1)), mails)


def _bubble(value: Bubble, *, framed: bool) -> RenderableType:
    said = plain(value.words, lines=True)
    words = "\n".join([*([said] if said else []), *["[a picture]"] * value.pictures])
    if not value.mine:
        return Text(words)
    return _indented("> " + words.replace("\n", "\n  "), 6, framed=framed, style="green")


def _indented(words: str, by: int, *, framed: bool, style: str = "") -> RenderableType:
    """In a frame the indent also holds where rich wraps; in a plain block no line gets blanks at its end."""
    if framed:
        return Padding(Text(words, style=style), (0, 0, 0, by))
    return Text(textwrap.indent(words, " " * by), style=style)


def _frame(title: str, lines: Sequence[RenderableType], style: str, *, framed: bool) -> RenderableType:
    if framed:
        return Panel(Group(*lines), title=Text(title), title_align="left", border_style=style, box=ROUNDED)
    return Group(Text(f"[{title}]"), *lines, Text(""))
