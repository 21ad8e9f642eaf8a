# ruff: noqa: RUF001 -- the tables are made of ambiguous characters
"""Texts are counted as the network counts them: 3GPP TS 23.038 and 23.040, by the provider's own vectors."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core import gsm

VECTORS: list[dict[str, Any]] = [
    vector
    for vector in json.loads((Path(__file__).parents[1] / "data" / "segments.json").read_text())["vectors"]
    if vector["use"] == "exact"
]
PLAIN = [vector for vector in VECTORS if not vector["smart_encoding"]]
SMART = [vector for vector in VECTORS if vector["smart_encoding"]]
ANY_TEXT = st.text(
    st.characters(exclude_categories=()) | st.sampled_from("a {€\u200d\ud83d\udc4d\n’½1👍"), max_size=400
)


@pytest.mark.parametrize("vector", PLAIN, ids=lambda v: v["name"])
def test_a_text_is_counted_as_the_provider_counts_it(vector: dict[str, Any]) -> None:
    text = vector["text"]

    assert gsm.encoding(text) == vector["encoding"]
    assert gsm.segments(text) == vector["segments"]
    assert gsm.units(text) == vector["units"] == sum(vector["units_per_segment"])


@pytest.mark.parametrize("vector", SMART, ids=lambda v: v["name"])
def test_a_transliterated_text_makes_as_many_segments_as_with_smart_encoding(vector: dict[str, Any]) -> None:
    text = gsm.transliterate(vector["text"])

    assert (gsm.encoding(text), gsm.segments(text)) == (vector["encoding"], vector["segments"])


@given(ANY_TEXT)
def test_every_text_has_an_answer_and_its_parts_fit(text: str) -> None:
    alone, chained = (160, 153) if gsm.encoding(text) == "GSM-7" else (70, 67)
    parts = gsm.parts(text)

    assert len(parts) == gsm.segments(text) >= 1
    assert max(parts) <= (alone if len(parts) == 1 else chained)
    assert all(size >= chained - 1 for size in parts[:-1])


@given(ANY_TEXT)
def test_units_are_what_the_codecs_say(text: str) -> None:
    if gsm.encoding(text) == "UCS-2":
        assert gsm.units(text) == len(text.encode("utf-16-le", "surrogatepass")) // 2
    else:
        assert gsm.units(text) == len(text) + sum(c in "\f^{}\\[~]|€" for c in text)


@given(ANY_TEXT)
def test_costly_characters_are_exactly_those_that_force_ucs2(text: str) -> None:
    costly = gsm.costly(text)

    assert bool(costly) == (gsm.encoding(text) == "UCS-2")
    assert gsm.encoding("".join(c for c in text if c not in costly)) == "GSM-7"


def test_costly_characters_are_told_once_in_their_order() -> None:
    assert gsm.costly("á “á” ok") == ("á", "“", "”")


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ("Joe’s “garage”", 'Joe\'s "garage"'),
        ("9–10 — ok…", "9-10 - ok..."),
        ("• one\xa0two\tthree\u2009four", "- one two three four"),
        ("a\u200bb\u2060c\ufeffd\xade", "abcde"),
        ("ＡＢＣ１２３！", "ABC123!"),
        ("½ h, 1½ h", "1/2 h, 1 1/2 h"),
        ("ﬁt o\ufb00", "fit off"),
        ("a\u2028b", "a\nb"),
        ("a\x00\x1b\x07b", "ab"),
        ("á ç ê î ñ é Ω €", "á ç ê î ñ é Ω €"),
        ("👨‍👩‍👧 ❤️", "👨‍👩‍👧 ❤️"),
        ("`x´", "'x'"),
        ("line\r\nline\n", "line\r\nline\n"),
    ],
)
def test_typographic_characters_become_those_of_the_alphabet(written: str, sent: str) -> None:
    assert gsm.transliterate(written) == sent


@given(ANY_TEXT)
def test_transliterating_twice_is_the_same_as_once(text: str) -> None:
    once = gsm.transliterate(text)

    assert gsm.transliterate(once) == once


@given(st.text(st.sampled_from([chr(c) for c in range(0x2100) if gsm.encoding(chr(c)) == "GSM-7"])))
def test_what_the_alphabet_has_is_left_alone(text: str) -> None:
    assert gsm.transliterate(text) == text


@given(st.characters(categories=("Lu", "Ll")))
def test_letters_with_accents_are_never_folded(letter: str) -> None:
    # width, ligatures and letter-like signs are another matter: those have a compatibility form
    if len(unicodedata.decomposition(letter).split()) == 2 and "<" not in unicodedata.decomposition(letter):
        assert gsm.transliterate(letter) == letter


@given(ANY_TEXT, st.integers(1, 6))
def test_a_shortened_text_fits_and_begins_like_the_whole(text: str, most: int) -> None:
    short = gsm.shorten(text, most)

    assert gsm.segments(short) <= most
    assert short == text or text.startswith(short.removesuffix("..."))


@pytest.mark.parametrize(
    ("text", "most", "short"),
    [
        ("it fits", 1, "it fits"),
        ("word " * 40, 1, "word " * 30 + "word..."),
        ("a" * 200, 1, "a" * 157 + "..."),
        ("á" + "b" * 100, 1, "á" + "b" * 66 + "..."),
        ("x" * 150 + " á", 1, "x" * 150 + "..."),
        ("no bound below one", 0, "no bound below one"),
        ("á" * 64 + "👍🏽" + "b" * 9, 1, "á" * 64 + "..."),
        ("á" * 66 + "👍🏽" + "b" * 9, 1, "á" * 66 + "..."),
        ("a" * 157 + " bcd", 1, "a" * 157 + "..."),
    ],
    ids=["fits", "word end", "one long word", "ucs-2", "costly end", "zero", "skin tone", "emoji", "just a word"],
)
def test_a_text_is_shortened_at_the_end_of_a_word(text: str, most: int, short: str) -> None:
    assert gsm.shorten(text, most) == short


@given(ANY_TEXT | st.text("ab \n`^", max_size=1800) | st.integers(0, 1800).map("x".__mul__), st.integers(0, 10))
def test_what_is_ascii_alone_is_counted_and_cut_as_all_else_is(text: str, most: int) -> None:
    quick = (gsm.segments(text), gsm.shorten(text, most), gsm.transliterate(text))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(gsm, "_single", lambda _: False)
        patched.setattr(gsm, "_STAYS", b"")

        assert (len(gsm.parts(text)), gsm.shorten(text, most), gsm.transliterate(text)) == quick
