"""STOP, START and HELP are heard only when the message is nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.keyword import bare, keyword, spoken

STOPS = [
    "STOP",
    "UNSUBSCRIBE",
    "END",
    "QUIT",
    "STOPALL",
    "STOP ALL",
    "REVOKE",
    "OPTOUT",
    "OPT OUT",
    "OPT-OUT",
    "CANCEL",
]
WORDS = [*((word, "stop") for word in STOPS), *((word, "start") for word in ("START", "UNSTOP", "YES")),
         *((word, "help") for word in ("HELP", "INFO"))]  # fmt: skip


def heard(text: str) -> tuple[str, str] | None:
    found = keyword(text)
    return (found.word, found.action) if found else None


@pytest.mark.parametrize(("word", "action"), WORDS)
@pytest.mark.parametrize("form", ["{}", " {}\r\n", "{}.", '"{}"', "“{}”", "¡{}!", "👍 {} 🙏🏽", "({})...", "{}\ufe0f"])
def test_a_keyword_is_heard_through_its_trimmings(word: str, action: str, form: str) -> None:
    assert heard(form.format(word)) == (word, action)
    assert heard(form.format(word.lower())) == (word, action)
    assert heard(form.format(word.title())) == (word, action)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("\uff33\uff34\uff2f\uff30", "STOP"),
        ("stop\u00a0all", "STOP ALL"),
        ("opt \n out", "OPT OUT"),
        ("opt\u2011out", "OPT-OUT"),
        ("\u200bstop", "STOP"),
    ],
    ids=["full width", "no-break space", "line end", "no-break hyphen", "zero width"],
)
def test_a_keyword_is_heard_in_unusual_characters(text: str, word: str) -> None:
    found = keyword(text)

    assert found is not None
    assert found.word == word


@pytest.mark.parametrize(
    "text",
    ["", "   ", "👍", "...", "stop please", "cancel my Friday appointment", "yes fix it", "don't stop", "stops",
     "stop 2", "the end", "s t o p", "stop" + "!" * 100, "informational"],
)  # fmt: skip
def test_any_other_word_makes_it_a_reply(text: str) -> None:
    assert keyword(text) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Don\u2019t  STOP\ntexting!", "dont stop texting"),
        ("No me escriban m\u00e1s", "no me escriban mas"),
        ("Arr\u00eatez-vous", "arretez vous"),
        ("under_score \U0001f44d 5pm", "under score 5pm"),
        ("x" * 3_000, "x" * 2_000),
    ],
    ids=["apostrophe", "accents", "hyphen", "signs", "too long"],
)
def test_phrases_are_looked_for_in_bare_words(text: str, expected: str) -> None:
    assert expected == spoken(text)


def test_words_are_compared_without_case_and_trimmings() -> None:
    assert "what are your hours" == bare(' "What  are your HOURS?" ')
    assert "" == bare("x" * 101)


@given(st.text(st.characters(exclude_categories=())))
def test_every_text_has_an_answer(text: str) -> None:
    found = keyword(text)

    assert found is None or found.word.replace(" ", "").replace("-", "").isalpha()
