"""Header values are read by rules that hold for bad mail too: RFC 5322 3.4 and 3.6.4, RFC 2047."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core import header


@pytest.mark.parametrize(
    ("value", "address", "name"),
    [
        ("jo@Shop.Example", "jo@shop.example", ""),
        ("Jo Doe <Jo@shop.example>", "Jo@shop.example", "Jo Doe"),
        ('"Doe, Jo <x>" <jo@shop.example>, other@x.example', "jo@shop.example", "Doe, Jo <x>"),
        ('"a \\"b\\" c" <jo@shop.example>', "jo@shop.example", 'a "b" c'),
        ("jo@shop.example (Jo)", "jo@shop.example", ""),
        ("(a (b) c) Jo <jo@shop.example>", "jo@shop.example", "Jo"),
        ("(a \\) c) Jo <jo@shop.example>", "jo@shop.example", "Jo"),
        ("staff: jo@shop.example, al@shop.example;", "jo@shop.example", ""),
        ("=?utf-8?Q?J=C3=BC?= <jo@shop.example>", "jo@shop.example", "Jü"),
        ("=?utf-8?Q?Doe=2C_Jo?= <jo@shop.example>", "jo@shop.example", "Doe, Jo"),
        ("=?utf-8?B?Sm8gPGpvQHNob3AuZXhhbXBsZT4=?=", "jo@shop.example", "Jo"),
        ("Jo, Al <al@shop.example>", "al@shop.example", "Al"),
        ("Jo <jo@shop.example", "jo@shop.example", "Jo"),
        ("Jo", None, "Jo"),
        ("", None, ""),
        ("Jo <>", None, "Jo"),
        ("Jo <a b@shop.example>", None, "Jo"),
        ("Jo <a@b@shop.example>", None, "Jo"),
        ("Jo <a\x07@shop.example>", None, "Jo"),
        ("<" + "a" * 260 + "@shop.example>", None, ""),
        ('"', None, ""),
        ("(c):", None, ""),
        ("(" * 1000, None, ""),
        ("a," * 32_000, None, ""),
        ("<" * 1000, None, ""),
    ],
)
def test_the_first_usable_address_is_taken(value: str, address: str | None, name: str) -> None:
    assert header.mailbox(value) == (address, name)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("plain  words", "plain words"),
        ("=?utf-8?Q?caf=C3?= =?UTF-8?Q?=A9_bar?= baz", "café bar baz"),
        ("=?utf-8?B?Y2Fm?= =?utf-8?B?w6k?=", "café"),
        ("=?utf-8?Q?a?= =?iso-8859-1?Q?=E9?= b", "aé b"),
        ("=?utf-8*en?Q?a?=", "a"),
        ("=?utf-8?Q?a?=b=?utf-8?Q?c?=", "abc"),
        ("=?utf-8?B?!?=x", "x"),
        ("=?utf-8?B?Y?=", "Y"),
        ("=?utf-8?X?a?=", "=?utf-8?X?a?="),
        ("=?utf-8?Q?never closed", "=?utf-8?Q?never closed"),
        ("=?idna?Q?a=E9?= =?no-such?Q?=E9?=", "aéé"),
        ("a\x00b\x7fc\td", "abc d"),
    ],
)
def test_encoded_words_are_decoded_as_far_as_they_can_be(value: str, words: str) -> None:
    assert header.words(value) == words


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("<a@b>", "<a@b>"),
        ("<[x@y]>", "<[x@y]>"),
        ("  <a @b> (comment)", "<a@b>"),
        ("a@b", "<a@b>"),
        ("<a@b> <c@d>", "<a@b>"),
        ("none", ""),
        ("<>", ""),
        ("", ""),
        ("<" + "a" * 901 + "@b>", ""),
        ("<caf\u00e9@b>", "<caf@b>"),
    ],
)
def test_a_message_id_keeps_its_brackets_and_bad_ones_are_tolerated(value: str, found: str) -> None:
    assert header.message_id(value) == found


def test_of_many_references_the_root_and_the_newest_are_kept() -> None:
    found = header.message_ids(" ".join(f"<{n}@x>" for n in range(200)))

    assert found == ("<0@x>", *(f"<{n}@x>" for n in range(151, 200)))


@pytest.mark.parametrize(
    ("value", "token"),
    [(" Auto-Replied (vacation)", "auto-replied"), ("auto_reply; x", "auto_reply"), ("", ""), ("(no)", "")],
)
def test_the_first_word_of_a_value_is_its_token(value: str, token: str) -> None:
    assert header.token(value) == token


@given(
    st.sampled_from(
        ["Jo Doe", '"Doe, Jo"', '"a (b) & c"', "", " ", "Jo  D. ", "O'Neil/Shop-2", "a_b", '""', "Jo,", "J\u00fc"]
    ),
    st.sampled_from(["", " ", "  ", "\t"]),
    st.sampled_from(
        ["jo@Shop.example", "j+o.d-e_f@x", "@x", "jo@", "j o@x", "jo@x.", "j\u00fc@x", "a" * 250 + "@x.example"]
    ),
    st.sampled_from(["{}<{}>", "{}{}", "{}<{}> ", "{}<{}>, <al@x>", "{}<{}"]),
)
def test_a_mailbox_in_the_usual_form_is_what_a_comment_beside_it_leaves(
    name: str, gap: str, address: str, form: str
) -> None:
    value = form.format(name + gap, address)
    found = header.mailbox(value)

    assert found == header.mailbox(f"(c){value}")


@given(st.text(st.sampled_from('=?utf-8QB_<>()"\\,;:@ab \t\r\n\x00é\ud800')))
def test_every_value_has_a_clean_answer(value: str) -> None:
    address, name = header.mailbox(value)
    shown = (address or "", name, header.words(value), header.message_id(value), *header.message_ids(value))

    assert all(c.isprintable() for text in shown for c in text if c != "\ufffd")
