from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core import gsm
from gateway.core.rules import TextRules
from gateway.core.template import Words, fitted, words

OMIT, PREFIX, ONLY = TextRules(), TextRules(subject="prefix"), TextRules(subject="only")


@pytest.mark.parametrize(
    ("rules", "subject", "text", "expected"),
    [
        pytest.param(OMIT, "RO 7", "Ready.", "Ready.", id="omit"),
        pytest.param(PREFIX, "RO 7", "Ready.", "RO 7: Ready.", id="prefix"),
        pytest.param(PREFIX, "Ready?", "Yes.", "Ready? Yes.", id="a subject that ends a sentence"),
        pytest.param(PREFIX, "RO 7:", "Yes.", "RO 7: Yes.", id="a subject with a colon"),
        pytest.param(PREFIX, "", "Yes.", "Yes.", id="prefix without subject"),
        pytest.param(PREFIX, "RO 7", "", "RO 7", id="prefix without text"),
        pytest.param(ONLY, "RO 7", "Ready.", "RO 7", id="only"),
    ],
)
def test_the_subject_goes_as_configured(rules: TextRules, subject: str, text: str, expected: str) -> None:
    assert Words(text=expected, segments=1) == words(subject, text, rules)


@pytest.mark.parametrize(
    ("rules", "subject", "text"),
    [(OMIT, "RO 7", " \n "), (ONLY, "", "Ready."), (PREFIX, "", ""), (OMIT, "", "\u200b")],
    ids=["blank", "only a subject that is missing", "nothing", "nothing that is seen"],
)
def test_a_mail_without_words_makes_no_text(rules: TextRules, subject: str, text: str) -> None:
    assert Words(text="", segments=0, problem="the mail has no text") == words(subject, text, rules)


def test_typographic_characters_become_plain_as_configured() -> None:
    assert "It's 5 - now" == fitted("It\u2019s 5 \u2013 now", OMIT).text
    assert "It\u2019s 5 \u2013 now" == fitted("It\u2019s 5 \u2013 now", TextRules(transliterate=False)).text


def test_a_text_that_is_too_long_is_refused_with_its_size() -> None:
    found = fitted("x" * 307, TextRules(max_segments=2))

    assert ("x" * 307, 3) == (found.text, found.segments)
    assert "the text is too long: 3 segments, [text] max_segments is 2" == found.problem


def test_the_last_character_that_fits_is_not_too_long() -> None:
    assert Words(text="x" * 306, segments=2) == fitted("x" * 306, TextRules(max_segments=2))


def test_a_text_that_is_too_long_is_cut_as_configured() -> None:
    found = fitted("word " * 40, TextRules(max_segments=1, too_long="cut"))

    assert found.text.endswith(" word...")
    assert (1, "") == (found.segments, found.problem)
    assert ("word " * 40).strip() == found.text.removesuffix("...") + found.cut


@given(st.text(max_size=900), st.integers(1, 10), st.booleans())
def test_whatever_goes_out_fits(text: str, most: int, cut: bool) -> None:
    rules = TextRules(max_segments=most, too_long="cut" if cut else "refuse")
    found = fitted(text, rules)

    assert found.problem or 1 <= found.segments <= most
    assert found.problem or gsm.segments(found.text) == found.segments
    assert found.problem or len(found.text) <= 1600  # Twilio 21617
    assert not cut or found.problem in ("", "the mail has no text")
