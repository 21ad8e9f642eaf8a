"""Each bad/NAME.toml is refused with bad/NAME.error: what `gateway check` shows, without the folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.config import ConfigError, Problem, load, render

BAD = Path(__file__).parent / "bad"
FILES = sorted(BAD.glob("*.toml"))
SECRETS = ("correct horse", "correcthorse", "0123456789abcdef0123456789abcdef", "0" * 32 + '"')


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_bad_file_is_refused_with_place_value_and_remedy(path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load(path)

    shown = str(caught.value).replace(f"{BAD}/", "")
    assert path.with_suffix(".error").read_text(encoding="utf-8") == shown + "\n"


def test_every_expected_error_has_its_file() -> None:
    assert [path.with_suffix(".error") for path in FILES] == sorted(BAD.glob("*.error"))


def test_no_value_of_a_secret_is_shown() -> None:
    shown = "".join(path.read_text() for path in BAD.glob("*.error"))
    written = "".join(path.read_text() for path in FILES)

    assert [secret for secret in SECRETS if secret not in written] == []
    assert [
        secret for secret in SECRETS if secret in shown.replace(f"AC{'0' * 32}", "").replace(f"SK{'0' * 32}", "")
    ] == []


def test_errors_stand_before_warnings_and_the_own_file_before_others() -> None:
    def problem(file: str, line: int, severity: str = "error") -> Problem:
        return Problem(file=file, line=line, column=1, text=f"{file} {line}", severity=severity)

    shown = render(
        [
            problem("b.toml", 1, "warning"),
            problem("a.toml", 2),
            problem("b.toml", 9),
            problem("b.toml", 3),
            problem("b.toml", 3),
            problem("a.toml", 1, "warning"),
        ],
        Path("b.toml"),
    )

    assert shown.splitlines() == [
        "b.toml:3:1: error: b.toml 3",
        "b.toml:9:1: error: b.toml 9",
        "a.toml:2:1: error: a.toml 2",
        "b.toml:1:1: warning: b.toml 1",
        "a.toml:1:1: warning: a.toml 1",
        "3 errors, 2 warnings in b.toml",
    ]


def test_the_caret_stands_under_the_place_behind_tabs_too() -> None:
    shown = render(
        [Problem(file="a.toml", line=2, column=6, text="no", source="\ta = \tx", remedy="yes")], Path("a.toml")
    )

    assert shown.splitlines()[1:4] == ["   2 | \ta = \tx", "     | \t    ^", "     = help: yes"]
