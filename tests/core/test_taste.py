from __future__ import annotations

import re

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from gateway.core import taste
from gateway.core.carrier import QUIRKS, Channel
from gateway.core.taste import Unfit

AUTHOR = "r-abcdefghij@sms.example.com"  # 28 characters: 131 of 160 are left
LONG = "The brakes are done and the car stands in the yard. " * 8
MARK = re.compile(r" ?\((\d+)/(\d+)\) ")


def gateway(*quirks: str, max_chars: int = 0, channel: str = "sms", max_bytes: int = 0) -> Channel:
    return Channel(
        carrier="verizon",
        name="Verizon",
        channel=channel,
        domain="vtext.com",
        max_chars=max_chars,
        quirks=quirks,
        max_bytes=max_bytes,
    )


def bare(part: str) -> str:
    return MARK.sub("", part, count=1)


@pytest.mark.parametrize(
    ("size", "max_chars", "subject", "expected"),
    [
        pytest.param(131, 0, "", 1, id="160 is assumed, From and one more count"),
        pytest.param(132, 0, "", 2, id="one character too many"),
        pytest.param(125, 0, "Shop", 1, id="Subject and two more count"),
        pytest.param(126, 0, "Shop", 2, id="one too many with a Subject"),
        pytest.param(371, 400, "", 1, id="a gateway that takes more"),
        pytest.param(372, 400, "", 2, id="one too many for that"),
    ],
)
def test_what_the_gateway_counts_fits(size: int, max_chars: int, subject: str, expected: int) -> None:
    text = ("word " * 100)[: size - 1] + "x"
    found = taste.parts(text, gateway(max_chars=max_chars), AUTHOR, subject)

    assert isinstance(found, tuple)
    assert len(found) == expected
    taken = len(AUTHOR) + 1 + (len(subject) + 2 if subject else 0)
    assert all(len(part) + taken <= (max_chars or 160) for part in found)


def test_a_long_text_is_parted_at_the_end_of_words_and_counted() -> None:
    found = taste.parts(LONG, gateway(), AUTHOR)

    assert isinstance(found, tuple)
    assert [part[:6] for part in found] == ["(1/4) ", "(2/4) ", "(3/4) ", "(4/4) "]
    assert " ".join(bare(part) for part in found) == LONG.strip()


def test_ten_parts_and_more_have_longer_marks() -> None:
    found = taste.parts(LONG * 4, gateway(), AUTHOR, most=20)

    assert isinstance(found, tuple)
    assert found[0].startswith("(1/14) ")
    assert found[-1].startswith("(14/14) ")
    assert all(len(part) <= 131 for part in found)


def test_only_a_word_that_fits_no_part_is_cut_inside() -> None:
    found = taste.parts(f"see {'a' * 200} there", gateway(), AUTHOR)

    assert found == ("(1/3) see", f"(2/3) {'a' * 125}", f"(3/3) {'a' * 75} there")


@pytest.mark.parametrize("sign", ["e\u0301", "\U0001f468\u200d\U0001f469", "\u2764\ufe0f"])
def test_a_word_is_not_cut_inside_a_sign(sign: str) -> None:
    for before in range(118, 126):
        found = taste.parts("a" * before + sign * 60, gateway(), AUTHOR)

        assert isinstance(found, tuple)
        assert all(not bare(part).startswith(("\u0301", "\u200d", "\ufe0f")) for part in found)
        assert all(not part.endswith("\u200d") for part in found)


def test_a_word_of_nothing_but_accents_still_ends() -> None:
    found = taste.parts("\u0301" * 300, gateway(), AUTHOR)

    assert isinstance(found, tuple)
    assert sum(len(bare(part)) for part in found) == 300


def test_a_text_without_words_makes_no_mail() -> None:
    assert taste.parts(" \n ", gateway(), AUTHOR) == ()


@pytest.mark.parametrize(
    ("text", "channel", "author", "most", "says"),
    [
        pytest.param(LONG, gateway(), AUTHOR, 3, "makes 4 texts of 131 characters, and at most 3", id="too many"),
        pytest.param("word " * 9999, gateway(), AUTHOR, 500, "at most 500 are sent", id="more than can be counted"),
        pytest.param(LONG, gateway(), "a" * 140, 6, "leave no room", id="From takes all"),
        pytest.param("x" * 20, gateway(max_chars=40), "a" * 40, 6, "takes 40 characters", id="From is longer than all"),
        pytest.param("\u041f\u0440\u0438\u0432\u0435\u0442", gateway("ascii"), AUTHOR, 6, "ASCII only", id="no ASCII"),
    ],
)
def test_what_cannot_be_taken_is_a_problem_in_words(
    text: str, channel: Channel, author: str, most: int, says: str
) -> None:
    found = taste.parts(text, channel, author, most=most)

    assert isinstance(found, Unfit)
    assert says in found.problem


def test_a_subject_that_leaves_no_room_is_named() -> None:
    found = taste.parts(LONG, gateway(), AUTHOR, "s" * 120)

    assert isinstance(found, Unfit)
    assert "and its subject leave no room" in found.problem


@pytest.mark.parametrize(
    ("quirk", "text", "expected"),
    [
        pytest.param("no_colon", "RO 1234: ready", "RO 1234 - ready", id="a colon after words"),
        pytest.param("no_colon", "Parts :\nbrakes", "Parts -\nbrakes", id="a colon at the end of a line"),
        pytest.param("no_colon", "Ready at 10:30", " Ready at 10:30", id="a time stays"),
        pytest.param("no_colon", "https://example.com/a", " https://example.com/a", id="a link stays"),
        pytest.param("no_colon", "ready", "ready", id="no colon"),
        pytest.param("ascii", "Caf\u00e9 \u201cOlé\u201d \u2014 \u00bd", 'Cafe "Ole" - 1/2', id="accents and quotes"),
        pytest.param("ascii", "Stra\u00dfe 5\u20ac", "Strasse 5EUR", id="letters and signs"),
        pytest.param("ascii", "ok \U0001f44d\U0001f3fd\U0001f44d", "ok ?", id="what has no counterpart"),
        pytest.param("no_links", "a: \u00e9", "a: \u00e9", id="nothing to change"),
    ],
)
def test_a_quirk_changes_the_text(quirk: str, text: str, expected: str) -> None:
    assert taste.flavoured(text, gateway(quirk)) == expected
    assert taste.flavoured(text, gateway()) == text


def test_a_colon_that_stays_gets_a_space_in_each_part_that_has_one() -> None:
    found = taste.parts("Come at 10:30. " + "x " * 70 + "Or at 11:30.", gateway("no_colon"), AUTHOR)

    assert isinstance(found, tuple)
    assert [part[:7] for part in found] == [" (1/2) ", " (2/2) "]


@pytest.mark.parametrize(
    ("quirk", "text", "says"),
    [
        ("no_links", "see https://example.com/a", "Verizon drops links"),
        ("no_links", "see WWW.example.com", "Verizon drops links"),
        ("no_links", "no link", ""),
        ("no_colon", "see https://example.com/a", ""),
    ],
)
def test_what_a_gateway_drops_is_told(quirk: str, text: str, says: str) -> None:
    assert taste.drops(text, gateway(quirk)).startswith(says)
    assert bool(taste.drops(text, gateway(quirk))) is bool(says)


@pytest.mark.parametrize(
    ("channel", "max_bytes", "expected"),
    [("mms", 0, 500_000), ("mms", 1_000_000, 1_000_000), ("sms", 0, 0)],
)
def test_only_an_mms_gateway_takes_a_picture(channel: str, max_bytes: int, expected: int) -> None:
    assert taste.picture_bytes(gateway(channel=channel, max_bytes=max_bytes)) == expected


TEXT = st.text(st.sampled_from("abc d:e\n.\u00e9\u2014\U0001f44d\u0301 "), max_size=900)
QUIRKED = st.lists(st.sampled_from(QUIRKS), unique=True, max_size=3)


@given(TEXT, QUIRKED)
def test_flavour_is_added_once(text: str, quirks: list[str]) -> None:
    once = taste.flavoured(text, gateway(*quirks))

    assert taste.flavoured(once, gateway(*quirks)) == once
    assert once.isascii() or "ascii" not in quirks


@given(TEXT, QUIRKED, st.sampled_from([0, 70, 140, 400]), st.text(st.sampled_from("ab"), max_size=10))
def test_the_parts_hold_all_words_in_order_and_each_fits(
    text: str, quirks: list[str], max_chars: int, subject: str
) -> None:
    channel = gateway(*quirks, max_chars=max_chars)
    found = taste.parts(text, channel, AUTHOR, subject, most=99)
    assume(isinstance(found, tuple))
    assert isinstance(found, tuple)

    bodies = [bare(part) if len(found) > 1 else part for part in found]
    assert "".join("".join(bodies).split()) == "".join(taste.flavoured(text, channel).split())
    taken = len(AUTHOR) + 1 + (len(subject) + 2 if subject else 0)
    assert all(len(part) + taken <= (max_chars or 160) for part in found)
    assert all(body.strip() for body in bodies)
    if max(map(len, text.split()), default=0) < _room(max_chars or 160, taken):
        assert [w for body in bodies for w in body.split()] == taste.flavoured(text, channel).split()


def _room(limit: int, taken: int) -> int:
    """A word shorter than this is never cut: ASCII and " -" may lengthen it, marks and the space take eleven."""
    return (limit - taken - 11) // 2


@pytest.mark.parametrize(
    ("text", "author", "most", "expected"),
    [
        pytest.param(LONG, AUTHOR, 1, f"{LONG[:127]}...", id="one part"),
        pytest.param("x" * 200, AUTHOR, 1, "", id="one long word"),
        pytest.param(LONG, "a" * 158, 6, "", id="From takes all"),
        pytest.param("", AUTHOR, 1, "", id="no words"),
    ],
)
def test_a_text_is_shortened_at_the_end_of_a_word(text: str, author: str, most: int, expected: str) -> None:
    assert taste.shortened(text, gateway(), author, most=most) == expected


@given(TEXT, QUIRKED, st.integers(1, 4))
def test_a_shortened_text_goes_in_so_many_parts_and_another_word_would_not(
    text: str, quirks: list[str], most: int
) -> None:
    channel = gateway(*quirks)
    found = taste.shortened(text, channel, AUTHOR, most=most)
    kept = found.removesuffix("...")

    assert text.startswith(kept)
    if found:
        assert isinstance(taste.parts(found, channel, AUTHOR, most=most), tuple)
    rest = text[len(kept) :].split()
    if rest and "ascii" not in quirks:
        longer = f"{text[: text.index(rest[0], len(kept)) + len(rest[0])]}..."
        assert isinstance(taste.parts(longer, channel, AUTHOR, most=most), Unfit)
