"""Texts as the carriers send them on: each form of theirs has a mail in tests/data/mails/carriers."""

from __future__ import annotations

from email.message import Message
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core import carrier_answer, parts
from gateway.core.carrier_answer import Words
from gateway.core.model import Unreadable

MAILS = Path(__file__).parents[1] / "data" / "mails" / "carriers"


def read(name: str) -> Words:
    found = carrier_answer.words((MAILS / f"{name}.eml").read_bytes())
    assert isinstance(found, Words)
    return found


@pytest.mark.parametrize(
    ("name", "text", "subject", "images"),
    [
        ("att_footer", "On my way, ten minutes", "", 0),
        ("att_text_file", "The part is on the shelf", "", 1),
        ("verizon_plain", "Done with the brakes, what is next?", "Done with the brakes, what is ...", 0),
        ("verizon_pictures", "Look at this rotor", "Pic", 1),
        ("tmobile_html_only", "Customer approved, go ahead", "", 0),
        ("tmobile_text_file", "Leak is at the pan", "Engine", 1),
        ("cricket_type_plmn", "Ok will do", "", 0),
        ("uscellular_stop", "STOP", "", 0),
        ("telus_text_file", "Need two more hours", "", 0),
        ("telus_html_wrapper", "Running late", "", 1),
        ("virgin_two_languages", "Key is under the mat", "", 0),
        ("consumer_cellular_quoted", "Yes, after lunch", "Re: RO 4711", 0),
        ("peoples_operator_no_text", "", "", 1),
        ("own_link", "https://maps.example.com/lot-7", "", 0),
    ],
)
def test_what_the_person_texted_is_left_of_the_carriers_mail(name: str, text: str, subject: str, images: int) -> None:
    found = read(name)

    assert (found.text, found.subject, found.images, found.link) == (text, subject, images, "")


@pytest.mark.parametrize(
    ("name", "link", "images"),
    [
        ("sprint_link", "http://pictures.sprint.example/?mivt=0123456789&shareName=MMS", 0),
        ("bell_link", "http://mypictures.bell.example/share.do?invite=0123456789", 1),
        ("rogers_link", "http://picturemessaging.rogers.example", 0),
        ("telus_link", "http://mms.telus.example/do/LegacyLogin", 0),
    ],
)
def test_a_mail_that_holds_only_a_link_to_the_message_says_so(name: str, link: str, images: int) -> None:
    assert read(name) == Words(text="", gone="", subject="", link=link, images=images)


@pytest.mark.parametrize("charset", ["undefined", "idna"])
def test_a_charset_that_breaks_the_parser_is_unknown(charset: str) -> None:
    head = f"From: 2025550143@vtext.com\r\nContent-Type: text/plain; charset={charset}\r\n\r\n"
    found = carrier_answer.words(head.encode() + "Sí, at five".encode())

    assert isinstance(found, Words)
    assert found.text == "Sí, at five"


def test_quoted_history_is_cut() -> None:
    assert "can you take it today?" in read("consumer_cellular_quoted").gone


PLAIN = "From: 2025550143@vtext.com\r\n\r\n"
NOTICE = "You have received a New Message."


@pytest.mark.parametrize(
    ("body", "text", "link"),
    [
        pytest.param(f"{NOTICE}\r\nThe words", "The words", "", id="words below a notice"),
        pytest.param(f"{NOTICE}\r\nhttp://a.example/1", "", "http://a.example/1", id="the link on the next line"),
        pytest.param(NOTICE, "", "", id="a notice without a link"),
        pytest.param("Sent via BlackBerry from T-Mobile", "", "", id="nothing but a footer"),
        pytest.param("Sent via UPS, tracking 1Z", "Sent via UPS, tracking 1Z", "", id="not a footer"),
        pytest.param("You have received a new part", "You have received a new part", "", id="not a notice"),
        pytest.param(
            "Ok. This message was sent using PIX from Verizon Wireless! Buy", "Ok.", "", id="a footer within a line"
        ),
        pytest.param("Picture\r\nMultimedia message", "Picture", "", id="a subject within the text"),
        pytest.param("<smil><body/></smil>", "", "", id="a layout called text"),
    ],
)
def test_only_what_the_carrier_wrote_is_taken_away(body: str, text: str, link: str) -> None:
    found = carrier_answer.words(f"{PLAIN}{body}\r\n".encode())

    assert isinstance(found, Words)
    assert (found.text, found.link) == (text, link)


def made_of(*given: tuple[str, str]) -> Words:
    """What is read in a mail of parts: the Content-Type of each, and its body."""
    inner = "".join(f"--b\r\nContent-Type: {kind}\r\n\r\n{body}\r\n" for kind, body in given)
    head = "From: 2025550143@vtext.com\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
    found = carrier_answer.words(f"{head}{inner}--b--\r\n".encode())
    assert isinstance(found, Words)
    return found


OWN, FILE, PAGE = "text/plain", 'text/plain; name="text_0.txt"', "text/html"
QUOTED = "On Sat, Nov 21, 2026 at 1:55 PM <r-abcdefghij@sms.example.com> wrote:\r\n> Can you?"


@pytest.mark.parametrize(
    ("given", "text"),
    [
        pytest.param([(OWN, "Sent by Nowhere Mobile"), (FILE, "At ten")], "Sent by Nowhere Mobile\n\nAt ten",
                     id="words of a carrier that nobody knows"),
        pytest.param([(FILE, "At ten"), (OWN, "Sent by Nowhere Mobile")], "At ten\n\nSent by Nowhere Mobile",
                     id="in the order of the mail"),
        pytest.param([(OWN, "At ten"), (FILE, "At ten")], "At ten", id="the same twice"),
        pytest.param([(OWN, "Sent by text messaging from a mobile device"), (FILE, "At ten")], "At ten",
                     id="a footer ends its own part"),
        pytest.param([(OWN, QUOTED), (FILE, "At ten")], "At ten", id="so does history"),
        pytest.param([(OWN, NOTICE), (FILE, "At ten")], "At ten", id="a notice"),
        pytest.param([(OWN, ""), (PAGE, "<p>At ten</p>")], "At ten", id="HTML where there is nothing else"),
        pytest.param([(OWN, "At ten"), (PAGE, "<p>At ten o'clock</p>")], "At ten", id="and only there"),
        pytest.param([(OWN, "Sent by Nowhere Mobile"), (FILE, "Stop!")], "Stop!", id="a STOP below other words"),
        pytest.param([(FILE, "STOP"), (OWN, "Sent by Nowhere Mobile")], "STOP", id="a STOP above other words"),
        pytest.param([(OWN, "Stop"), (FILE, "STOP")], "Stop", id="a STOP twice"),
        pytest.param([(OWN, "Hello"), (FILE, "START")], "Hello\n\nSTART", id="a START is no exception"),
    ],
)  # fmt: skip
def test_a_person_is_heard_in_every_part(given: list[tuple[str, str]], text: str) -> None:
    assert text == made_of(*given).text


def test_what_stands_beside_a_stop_is_cut_and_not_lost() -> None:
    found = made_of((OWN, f"Sent by Nowhere Mobile\r\n\r\n{QUOTED}"), (FILE, "STOP"))

    assert "Sent by Nowhere Mobile\n\nOn Sat," == found.gone[:31]


@pytest.mark.parametrize(
    ("kind", "count"),
    [
        ("image/jpeg", 1),
        ('image/gif; name="spacer.gif"', 0),
        ("video/3gpp", 1),
        ("audio/amr", 1),
        ("application/pdf", 1),
        ('application/octet-stream; name="a.bin"', 1),
        ("text/x-vcard", 1),
        ("application/smil", 0),
        ('application/octet-stream; name="0.smil"', 0),
        ('text/plain; name="notes.txt"', 0),
        ("text/html", 0),
    ],
)
def test_whatever_is_neither_words_nor_wrapper_is_counted(kind: str, count: int) -> None:
    assert count == made_of((OWN, "Look"), (kind, "x")).images


@pytest.mark.parametrize(
    ("author", "expected"),
    [
        ("2025550143@vtext.com", True),
        ("+12025550143@VTEXT.com", True),
        ("12025550143/TYPE=PLMN@mms.mycricket.com", True),
        ("2025550143.iws@vtext.com", True),
        ("post_master@vtext.com", False),
        ("maria.1984@vtext.com", False),
        ("2025550143@m01.vtext.com", False),
        ("2025550143@example.com", False),
        ("2025550143", False),
        (None, False),
    ],
)
def test_a_number_at_a_carriers_domain_writes_texts(author: str | None, expected: bool) -> None:
    assert expected is carrier_answer.texted(author, {"vtext.com", "mms.mycricket.com"})


@pytest.mark.parametrize("path", sorted(MAILS.glob("*.eml")), ids=lambda path: path.stem)
def test_there_are_as_many_pictures_as_were_counted(path: Path) -> None:
    message = parts.parse(path.read_bytes())

    assert isinstance(message, Message)
    assert len(carrier_answer.pictures(message)) == read(path.stem).images


def test_no_more_is_looked_at_than_a_text_can_hold() -> None:
    head = b"From: 2025550143@vtext.com\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
    found = carrier_answer.words(head + b"".join(b"--b\r\n\r\npart %d\r\n" % n for n in range(20)) + b"--b--\r\n")
    long = carrier_answer.words(head + b"".join(b"--b\r\n\r\n%d%s\r\n" % (n, b"x" * 200_000) for n in range(5)))

    assert isinstance(found, Words)
    assert isinstance(long, Words)
    assert [f"part {n}" for n in range(8)] == [line for line in found.text.split("\n") if line]
    assert ["0", "1"] == [line[0] for line in long.text.split("\n") if line]


def test_a_mail_beyond_the_bounds_is_unreadable() -> None:
    assert isinstance(carrier_answer.words(b"X: " + b"a" * 300_000 + b"\r\n\r\nHi"), Unreadable)


PIECES = st.sampled_from([path.read_bytes() for path in sorted(MAILS.glob("*.eml"))])


@given(PIECES, st.integers(0, 3000), st.binary(max_size=12))
def test_any_bytes_have_an_answer(mail: bytes, at: int, put: bytes) -> None:
    found = carrier_answer.words(mail[:at] + put + mail[at:])

    assert isinstance(found, Words | Unreadable)


MARKUP = st.sampled_from(
    ["<a ", "<!--", "<b>", "<table><tr><td>", "You received a New Message", "http://", "&#9", "> "]
)
KIND = st.sampled_from(["plain", "html", "plain; name=a.txt"])


@given(st.lists(st.tuples(MARKUP | st.just("\r\n"), st.integers(1, 300)), max_size=6), KIND)
def test_any_markup_has_an_answer(pieces: list[tuple[str, int]], kind: str) -> None:
    body = "".join(piece * count for piece, count in pieces)
    found = carrier_answer.words(f"Content-Type: text/{kind}\r\n\r\n{body}".encode())

    assert isinstance(found, Words)
    assert not (found.text and found.link)
