"""Whose fault a code of Twilio is, what people are told, and which of our words a status is."""

from __future__ import annotations

import pytest

from gateway.core import codes
from gateway.core.codes import Klass


@pytest.mark.parametrize(
    ("code", "http_status", "klass"),
    [
        ("20003", 401, Klass.CONFIG),
        ("20005", 403, Klass.CONFIG),
        ("21606", 400, Klass.CONFIG),
        ("21659", 400, Klass.CONFIG),
        ("30034", 0, Klass.CONFIG),
        ("21610", 400, Klass.OPTED_OUT),
        ("30004", 0, Klass.OPTED_OUT),
        ("21211", 400, Klass.RECIPIENT),
        ("21614", 400, Klass.RECIPIENT),
        ("30005", 0, Klass.RECIPIENT),
        ("30006", 0, Klass.RECIPIENT),
        ("21617", 400, Klass.MESSAGE),
        ("30007", 0, Klass.MESSAGE),
        ("20429", 429, Klass.RETRY),
        ("30003", 0, Klass.RETRY),
        ("30008", 0, Klass.RETRY),
        ("21611", 400, Klass.LATER),
        ("30023", 0, Klass.LATER),
        ("20500", 500, Klass.UNCLEAR),
        ("20503", 503, Klass.UNCLEAR),
    ],
)
def test_a_known_code_has_its_class(code: str, http_status: int, klass: Klass) -> None:
    assert codes.known(code)
    assert codes.klass(code, http_status) is klass


@pytest.mark.parametrize(
    ("http_status", "klass"),
    [
        (0, Klass.RETRY),
        (400, Klass.MESSAGE),
        (404, Klass.MESSAGE),
        (401, Klass.CONFIG),
        (403, Klass.CONFIG),
        (429, Klass.RETRY),
        (500, Klass.UNCLEAR),
        (503, Klass.UNCLEAR),
        (200, Klass.UNCLEAR),
    ],
)
def test_an_unknown_code_is_classed_by_its_http_status(http_status: int, klass: Klass) -> None:
    assert not codes.known("29999")
    assert codes.klass("29999", http_status) is klass


def test_429_is_passing_whatever_its_code() -> None:
    assert codes.klass("21211", 429) is Klass.RETRY


@pytest.mark.parametrize(
    ("code", "otherwise", "sentence"),
    [
        ("30005", "x", "the phone is not known or no longer exists (Twilio 30005)"),
        ("29999", "new", "new (Twilio 29999)"),
        ("", "no answer", "no answer"),
    ],
)
def test_a_sentence_names_the_code(code: str, otherwise: str, sentence: str) -> None:
    assert codes.sentence(code, otherwise) == sentence


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("accepted", "queued"),
        ("scheduled", "queued"),
        ("read", "delivered"),
        ("sent", "sent"),
        ("received", "received"),
    ],
)
def test_a_status_is_told_in_our_words(word: str, status: str) -> None:
    assert codes.status(word) == status


def test_the_table_lists_every_code_in_order_with_its_class_and_words() -> None:
    rows = codes.table()

    assert sorted(rows) == rows
    assert all(codes.known(code) and klass is codes.klass(code) and words for code, klass, words in rows)
    assert {code for code, _, _ in rows} >= codes.PICTURE
