from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shop import BRAND, reading

from gateway.core import gsm
from gateway.core.rules import Template, TextRules
from gateway.core.template import Lacking, Words, fields, filled, first, fitted, words

OMIT, PREFIX, ONLY = TextRules(), TextRules(subject="prefix"), TextRules(subject="only")
FIRST = OMIT.first
OPT_OUT = "Reply HELP for help, STOP to opt out."
VISIT = Template(place="config.toml:7", name="visit", text="See you at {time}, {name}.", patterns={"time": r"at (\d+)"})


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


@pytest.mark.parametrize(
    ("text", "pattern", "expected"),
    [
        ("Ready.", FIRST, f"Example Auto: Ready. {OPT_OUT}"),
        ("Ready.", "", "Ready."),
        ("Example Auto: ready.", FIRST, f"Example Auto: ready. {OPT_OUT}"),
        ("EXAMPLE  AUTO - ready.", FIRST, f"EXAMPLE  AUTO - ready. {OPT_OUT}"),
        ("Example Automobiles: ready.", FIRST, f"Example Auto: Example Automobiles: ready. {OPT_OUT}"),
        ("Ready. Reply STOP to opt out.", FIRST, "Example Auto: Ready. Reply STOP to opt out."),
        ("Ready. text stop to end", FIRST, "Example Auto: Ready. text stop to end"),
        ("STOP by at 5.", FIRST, f"Example Auto: STOP by at 5. {OPT_OUT}"),
        ("Ready.", "{text}\n{brand}\nReply STOP to opt out", "Ready.\nExample Auto\nReply STOP to opt out"),
        ("Ready. Reply HELP for help.", "{text} Reply HELP for help. Reply STOP to opt out.",
         "Ready. Reply HELP for help. Reply STOP to opt out."),
        ("A {brand} {text}.", "{brand}: {text}", "Example Auto: A {brand} {text}."),
        ("Example Auto: opt out by STOP to us. Opt out.", FIRST, "Example Auto: opt out by STOP to us. Opt out."),
        ("Ready.", "This is {brand}. Reply STOP to opt out. {text}",
         "This is Example Auto. Reply STOP to opt out. Ready."),
        ("Example Auto. Ready. Opt out any time.", "This is {brand}. Reply STOP to opt out. {text}",
         "Example Auto. Ready. Opt out any time."),
    ],
)  # fmt: skip
def test_a_first_text_says_who_writes_and_how_to_stop_once(text: str, pattern: str, expected: str) -> None:
    assert expected == first(text, pattern, BRAND)


def test_a_shop_without_a_brand_leaves_it_out() -> None:
    assert f"Ready. {OPT_OUT}" == first("Ready.", FIRST, "")


def test_an_introduction_counts_and_is_in_our_alphabet() -> None:
    found = words("", "x" * 120, OMIT, introduce="Jo\u2019s \u2013 Auto")

    assert (2, "") == (found.segments, found.problem)
    assert found.text.startswith("Jo's - Auto: xxx")


def test_a_mail_without_words_is_not_introduced() -> None:
    assert Words(text="", segments=0, problem="the mail has no text") == words("", " ", OMIT, introduce=BRAND)


def test_a_first_text_that_is_too_long_is_refused_with_the_share_of_its_introduction() -> None:
    found = fitted("x" * 150, TextRules(max_segments=1), introduce=BRAND)

    assert (
        "the text is too long: 2 segments, [text] max_segments is 1; without the words of a first text it has 1"
        == found.problem
    )


@pytest.mark.parametrize("text", ["word " * 40, "Zoë \u0416 " * 40, "w" * 400, "[]" * 100, "a\u0301\u0416" * 90])
@pytest.mark.parametrize("most", [1, 2, 3])
def test_of_a_first_text_only_the_words_of_the_mail_are_cut(text: str, most: int) -> None:
    found = fitted(text, TextRules(max_segments=most, too_long="cut"), introduce=BRAND)

    assert "" == found.problem
    assert found.segments <= most
    assert found.text.endswith(f" {OPT_OUT}") or not found.cut
    if found.cut:
        kept = found.text.removeprefix(f"{BRAND}: ").removesuffix(f" {OPT_OUT}").removesuffix("...")
        assert text.strip() == kept + found.cut


def test_a_pair_that_a_part_would_split_is_given_up() -> None:
    found = fitted("[" * 300, TextRules(max_segments=2, too_long="cut", first="{text}z"), introduce=BRAND)

    assert ("[" * 150 + "...z", 2, "[" * 150) == (found.text, found.segments, found.cut)


def test_what_is_cut_with_its_own_opt_out_words_gets_ours() -> None:
    found = fitted("word " * 40 + "Reply STOP to opt out.", TextRules(max_segments=1, too_long="cut"), introduce=BRAND)

    assert found.text.endswith(f"word... {OPT_OUT}")
    assert found.cut.endswith("Reply STOP to opt out.")
    assert found.segments == 1


@pytest.mark.parametrize(
    "pattern", ["\u0416" * 80 + "{text}", "x" * 159 + "{text}", "x " * 78 + "{text}", "[" * 77 + "{text}"]
)
def test_an_introduction_that_leaves_no_room_is_a_refusal(pattern: str) -> None:
    found = fitted("word " * 40, TextRules(max_segments=1, too_long="cut", first=pattern), introduce=BRAND)

    assert found.problem.startswith("the text is too long:")


def test_a_template_is_filled_and_fitted() -> None:
    found = words("S", "T", PREFIX, template=VISIT, fields={"time": "5\u2013ish ", "name": "Jo"})

    assert Words(text="See you at 5-ish, Jo.", segments=1) == found


@pytest.mark.parametrize(
    ("given", "needs"),
    [({"time": "5"}, "{name}"), ({"time": "5", "name": " "}, "{name}"), ({}, "{time}, {name}")],
    ids=["missing", "empty", "both"],
)
def test_a_field_that_the_mail_does_not_have_is_named(given: dict[str, str], needs: str) -> None:
    problem = f"template visit needs {needs}, which the mail does not have: no header, line or pattern gives it"

    assert Lacking(problem=problem) == filled(VISIT, given)
    assert Words(text="", segments=0, problem=problem) == words("", "x", OMIT, template=VISIT, fields=given)


def test_double_braces_are_braces_and_values_are_not_filled_again() -> None:
    template = Template(place="", name="t", text="{{a}} {a} }}")

    assert "{a} {b} }" == filled(template, {"a": "{b}", "b": "no"})
    assert words("", "x", OMIT, template=Template(place="", name="t", text="Hi")).text == "Hi"


def test_the_pattern_of_a_template_wins_over_the_fields_of_the_mail() -> None:
    read = reading(fields={"time": "noon", "name": "Jo", "job": "of the mail"}, captured={r"at (\d+)": "5"})

    assert {"time": "5", "name": "Jo", "job": "of the mail", "text": read.text} == fields(VISIT, read)
    assert "noon" == fields(VISIT, reading(fields={"time": "noon"}))["time"]
    assert "1042" == fields(VISIT, reading(fields={"job": "of the mail"}, job="1042"))["job"]


@given(
    st.text(max_size=900), st.integers(1, 10), st.booleans(), st.sampled_from([FIRST, "{text}{brand}", "\u0416 {text}"])
)
def test_whatever_goes_out_first_fits(text: str, most: int, cut: bool, pattern: str) -> None:
    rules = TextRules(max_segments=most, too_long="cut" if cut else "refuse", first=pattern)
    found = fitted(text, rules, introduce=BRAND)

    assert found.problem or 1 <= found.segments <= most
    assert found.problem or gsm.segments(found.text) == found.segments
    assert not cut or found.problem in ("", "the mail has no text")
