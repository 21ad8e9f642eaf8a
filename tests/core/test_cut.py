"""An answer keeps what the person wrote and loses what he answers."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mailparser_reply.constants import MAIL_LANGUAGES

from gateway.core import cut
from gateway.core.cut import Cut

GMAIL = "On Mon, Nov 23, 2026 at 10:00 AM +1 202-555-0143\n<r-abcdefghij@sms.example.com> wrote:"

ANSWERS = {
    "nothing to cut": ("Yes, at five.", "Yes, at five."),
    "gmail, wrapped": (f"Yes, at five.\n\n{GMAIL}\n\n> when?\n> where?", "Yes, at five."),
    "spanish": (
        "Sí, a las 5.\n\nEl lun, 23 nov 2026 a las 10:00, Jo (<jo@x.example>) escribió:\n> hola", "Sí, a las 5."),
    "french": ("Oui.\n\nLe lun. 23 nov. 2026 à 10:00, Jo <jo@x.example> a écrit :\n> bonjour", "Oui."),
    "german": ("Ja.\n\nAm 23.11.2026 um 10:00 schrieb Jo Doe <jo@x.example>:\n> hallo", "Ja."),
    "iso date": ("Yes.\n\n2026-11-23 10:00 GMT-05:00 Jo <jo@x.example>:\n> when?", "Yes."),
    "quote without marks": ("Yes.\n\nOn Nov 23, 2026, at 10:00, Jo <jo@x.example> wrote:\n\nwhen?\nwhere?", "Yes."),
    "outlook, rule": (
        "Yes.\n\n________________________________\nFrom: Jo\nSent: Monday\nTo: us\nSubject: x\n\nwhen?", "Yes."),
    "outlook, fields": ("Yes.\n\nFrom: Jo <jo@x.example>\nSent: Monday\nTo: us\nSubject: x\n\nwhen?", "Yes."),
    "outlook, bold fields": ("Yes.\n\n*From:* Jo\n*Sent:* Monday\n*To:* us\n\nwhen?", "Yes."),
    "outlook, spanish": ("Sí.\n\nDe: Jo\nEnviado el: lunes\nPara: us\nAsunto: x\n\nhola", "Sí."),
    "original message": ("Yes.\n\n-----Original Message-----\nanything", "Yes."),
    "forwarded": ("Yes.\n\nBegin forwarded message:\nanything", "Yes."),
    "our marker": (f"Yes.\n{cut.MARKER}\nanything", "Yes."),
    "our marker, quoted": (f"Yes.\n> {cut.MARKER}\n> anything", "Yes."),
    "between the quotes": (
        "On 23 Nov 2026 Jo wrote:\n> when?\nAt five.\n> where?\nHere.\n", "At five.\nHere."),
    "words above and between": (
        "See below.\n\nOn 23 Nov 2026 Jo wrote:\n> when?\n\nAt five.\n\n> where?\nfooter of a server",
        "See below.\n\nAt five."),
    "quote without attribution": ("> when?\nAt five.", "At five."),
    "signature": ("Yes.\n--\nJo Doe", "Yes."),
    "signature with space": ("Yes.\n-- \nJo Doe", "Yes."),
    "phone": ("Yes.\n\nSent from my iPhone\n\n> On Nov 23, 2026, Jo wrote:\n> when?", "Yes."),
    "closing": ("Yes.\n\nBest regards\nJo Doe\nExample Auto", "Yes."),
    "thanks and name": ("Yes.\n\nThanks,\nJo", "Yes."),
    "thanks that say something": (
        "It is ready.\nThanks, come by at five today please.", "It is ready.\nThanks, come by at five today please."),
    "list with hyphens": ("We need:\n- brake pads\n- rotors", "We need:\n- brake pads\n- rotors"),
    "lines that look like fields": (
        "Pick a day:\nDate: Friday\nTo: the front desk", "Pick a day:\nDate: Friday\nTo: the front desk"),
    "a line with an address": ("Mail me at jo@x.example\nOn Nov 23, 2026 Jo wrote:\n> x", "Mail me at jo@x.example"),
    "on and wrote, no date": ("On the phone he wrote:\nfive", "On the phone he wrote:\nfive"),
    "only history": (f"{GMAIL}\n> when?", ""),
    "empty": ("", ""),
}  # fmt: skip


@pytest.mark.parametrize(("text", "kept"), ANSWERS.values(), ids=ANSWERS)
def test_an_answer_keeps_only_the_persons_words(text: str, kept: str) -> None:
    assert cut.answer(text).kept == kept


@pytest.mark.parametrize("text", [text for text, _ in ANSWERS.values()], ids=ANSWERS)
def test_what_is_cut_is_shown_so_that_no_line_vanishes(text: str) -> None:
    found = cut.answer(text)
    lines = [line.rstrip() for line in text.split("\n") if line.strip()]

    assert sorted(lines) == sorted(
        line for part in (found.kept, found.gone) for line in part.split("\n") if line.strip()
    )


LINES = st.sampled_from(
    ["", "yes", "> q", "--", "-- ", "On 1 May 2026 Jo wrote:", "From: x", "Sent: y", "To: z", "Thanks,", "_" * 40,
     "-----Original Message-----", "Sent from my iPhone", "CAUTION: mail", cut.MARKER, "jo@x.example wrote:", "- item"]
)  # fmt: skip


@given(st.lists(LINES | st.text(max_size=20), max_size=25).map("\n".join))
def test_no_line_of_any_answer_vanishes(text: str) -> None:
    found = cut.answer(text)
    before = [line.strip() for line in text.split("\n") if line.strip()]
    after = [line.strip() for part in (found.kept, found.gone) for line in part.split("\n") if line.strip()]

    assert sorted(before) == sorted(after)


@given(st.lists(LINES | st.text(max_size=20), max_size=25).map("\n".join), st.lists(st.text(max_size=4), max_size=3))
def test_job_mail_is_parted_in_two_and_nothing_else(text: str, marks: list[str]) -> None:
    found = cut.job(text, tuple(marks))

    assert [line for line in f"{found.kept}\n{found.gone}".split("\n") if line] == [
        line.rstrip() for line in text.split("\n") if line.strip()
    ]


# Whatever a rule or the library may look at, and what looks nearly so.
MARKED = [
    "", "", "yes", "Thank you,", "THANKS,", "Best,", "regards, Jo", "  Gracias,", "\u00a0Best,", "* Thanks,",
    "Example Auto", "Thanks, come by at five today please.", "BONNE JOURN\u00c9E", "bonne reception",
    "Salutations distingu\u00e9es", "Saludo\u017f,", "K\u0131nd regards", "K\u0130ND REGARDS", "Than\u212as,", "--",
    "-- ", "---", "__", "-_", "_-", "-_" * 16, "_" * 19, "_" * 20, "-" * 31, "-" * 32, "-" * 40 + " x",
    " " + "-" * 33, "From: x", "From : x", "De : x", "* To: y", "To: z", "\u00c0 : x", "*   : y", "Envoy\u00e9 :",
    "Subject:", "Cc :", ":: Date: x", "\u2003Date: y", "Organization: z", "Total : 5", "-----Original Message-----",
    "Begin forwarded message:", "CAUTION: mail", cut.MARKER, "## ", "- item", "On the phone", "jo@x.example", "> q",
    "El 5 escribi\u00f3:", "a \u00e9crit :", "Sent from my phone", "Enviado desde mi x", "word " * 250,
]  # fmt: skip


@given(st.lists(st.sampled_from(MARKED) | st.text(max_size=12), max_size=14).map("\n".join))
def test_an_answer_that_is_known_at_once_is_that_of_all_rules_and_the_library(text: str) -> None:
    assert cut.answer_at_once(text) in (None, cut.answer_at_length(text))


@pytest.mark.parametrize(
    "text", ["Ready at 5.\n\nThank you,\nJo", "Ready.\n-- \nJo", "Ready.\n-----\nBye.", "", "Date: x"]
)
def test_of_job_mail_the_answer_is_known_at_once(text: str) -> None:
    assert cut.answer_at_once(text) == cut.answer_at_length(text)


def test_each_closing_of_the_library_holds_a_word_that_is_looked_for() -> None:
    closings = [words for code in ("en", "es", "fr") for words in MAIL_LANGUAGES[code]["signatures"]]
    written = [re.sub(r"\[.*?\]", "e", words) for words in closings]
    found = {words: cut.answer_at_once(f"yes\n{words}\nJo") for words in written}

    assert found == {words: Cut(kept="yes", gone=f"{words}\nJo") for words in written}


def test_a_long_answer_is_cut_without_the_library() -> None:
    words = "On " * 20_000

    assert cut.answer(f"{words}\n\n{GMAIL}\n> when?").kept == words.rstrip()
