from __future__ import annotations

import io
from dataclasses import replace
from datetime import datetime

import pytest
from rich.console import Console, RenderableType

from gateway.cli.timeline import Beat, Bubble, Handset, Letter, beat, console, handset, mailbox, plain, scene, timeline

BEAT = Beat(at=datetime(2026, 11, 23, 9, 0, 1), who="gateway", what="text out", detail="to Maria")  # noqa: DTZ001
MARIA = Handset(
    owner="Maria", number="+1 202-555-0143", bubbles=(Bubble(words="Ready"), Bubble(words="at 5", mine=True))
)
LETTER = Letter(author="Maria", subject="Re: RO 1042", words="at 5\nthanks", thread="on RO 1042")


def shown(value: RenderableType, *, terminal: bool = False, width: int = 80) -> str:
    out = Console(file=io.StringIO(), width=width, force_terminal=terminal, color_system=None, highlight=False)
    out.print(value)
    assert isinstance(out.file, io.StringIO)
    return out.file.getvalue()


@pytest.mark.parametrize(("ok", "mark"), [(None, ""), (True, "  ok"), (False, "  FAILED")])
def test_a_beat_is_one_line_that_ends_with_its_mark(ok: bool | None, mark: str) -> None:
    assert shown(beat(replace(BEAT, ok=ok))) == f"09:00:01  gateway      text out    to Maria{mark}\n"


def test_a_long_detail_goes_on_below_itself_within_the_width() -> None:
    lines = shown(timeline([replace(BEAT, detail="word " * 40, ok=True)] * 2, width=80)).splitlines()

    assert len(lines) == 12
    assert max(map(len, lines)) <= 80
    assert all(line.startswith(" " * 35 + "word") for line in lines[1:5])
    assert [line for line in lines if line != line.rstrip()] == []


def test_a_plain_scene_is_blocks_without_frames_or_blanks_at_line_ends() -> None:
    out = console(io.StringIO())
    text = shown(scene([MARIA], "service", [LETTER], out))

    assert text == (
        "[Maria  +1 202-555-0143]\nReady\n      > at 5\n\n"
        "[Mailbox of service]\nFrom: Maria\nRe: RO 1042  (on RO 1042)\n  at 5\n  thanks\n\n"
    )


def test_pictures_on_a_phone_and_files_of_a_mail_are_named() -> None:
    sent = handset(replace(MARIA, bubbles=(Bubble(words="", mine=True, pictures=2),)), framed=False)
    came = mailbox("service", [replace(LETTER, attached=("dent.jpg", "bad\x1b.pdf"))], framed=False)

    assert shown(sent) == "[Maria  +1 202-555-0143]\n      > [a picture]\n        [a picture]\n\n"
    assert shown(came).endswith("  thanks\n  [dent.jpg attached]\n  [bad .pdf attached]\n\n")


def test_a_scene_on_a_terminal_has_panels_side_by_side_within_its_width() -> None:
    out = Console(file=io.StringIO(), width=100, force_terminal=True, color_system=None)
    lines = shown(
        scene([MARIA, replace(MARIA, owner="Bob")], "service", [LETTER], out), terminal=True, width=100
    ).splitlines()

    assert "Maria" in lines[0]
    assert "Bob" in lines[0]
    assert max(map(len, lines)) <= 100


def test_an_empty_phone_and_mailbox_say_so() -> None:
    assert "no texts" in shown(handset(Handset(owner="Bob", number="")))
    assert "no mail" in shown(mailbox("service", []))


def test_a_strangers_text_can_neither_steer_the_terminal_nor_the_markup() -> None:
    bad = "\x1b[2J[red]\tx[/]\r\n\x07"

    assert plain(bad) == " [2J[red] x[/]   "
    assert plain("a\nb", lines=True) == "a\nb"
    assert "\x1b" not in shown(beat(replace(BEAT, who=bad, what=bad, detail=bad)))
    assert "[red]" in shown(handset(replace(MARIA, bubbles=(Bubble(words=bad),))))


@pytest.mark.parametrize(("asked", "width"), [(20, 80), (100, 100), (300, 120), (None, 100)])
def test_the_console_is_80_to_120_columns_wide(asked: int | None, width: int) -> None:
    assert console(io.StringIO(), asked).width == width


def test_no_color_leaves_no_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("FORCE_COLOR", "1")
    out = console(io.StringIO())
    out.print(beat(replace(BEAT, ok=False)))
    assert isinstance(out.file, io.StringIO)

    assert "\x1b[3" not in out.file.getvalue()
