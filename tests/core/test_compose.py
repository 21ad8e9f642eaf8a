from __future__ import annotations

from email import message_from_bytes
from email.message import EmailMessage, Message
from email.policy import default
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shop import ADMIN, DOMAIN, JOBS, NOON

from gateway.core import compose, mime
from gateway.core.model import Picture, Reading

HOSTILE = "x\r\nBcc: evil@elsewhere.example\r\n\r\nbody\n.\r\n=?utf-8?q?=0D=0ABcc:_e@x?=\x00\x85\u2028\ud800\u00e9"
ANY = st.one_of(st.text(max_size=300), st.sampled_from([HOSTILE, HOSTILE * 9, "a" * 5000, "\u00e9" * 2000, ""]))


def carrier_text(**changes: Any) -> bytes:
    values = {
        "sender": f"r-x@{DOMAIN}",
        "reply_to": f"r-x@{DOMAIN}",
        "to": "2025550112@vtext.com",
        "text": "Tow at 12 Main St.\nKeys in the box.",
        "message_id": f"<m1.1.1@{DOMAIN}>",
        "at": NOON,
        "domain": DOMAIN,
    }
    return compose.carrier_text(**(values | changes))


def reply(**changes: Any) -> bytes:
    values = {
        "name": "+1 202-555-0143",
        "address": f"12025550143@{DOMAIN}",
        "answer_to": f"r-x@{DOMAIN}",
        "to": JOBS,
        "subject": "Re: Reminder",
        "text": "At ten?",
        "message_id": f"<SM1@{DOMAIN}>",
        "in_reply_to": "<m1@shop.example.com>",
        "references": ("<m0@shop.example.com>", "<m1@shop.example.com>"),
        "at": NOON,
        "domain": DOMAIN,
    }
    return compose.reply(**(values | changes))


def notice(**changes: Any) -> bytes:
    values = {
        "sender": f"postmaster@{DOMAIN}",
        "to": ADMIN,
        "subject": "Texts are held",
        "text": "Why: the budget.",
        "message_id": f"<alarm.1@{DOMAIN}>",
        "at": NOON,
        "domain": DOMAIN,
    }
    return compose.notice(**(values | changes))


def report(**changes: Any) -> bytes:
    values = {
        "sender": f"postmaster@{DOMAIN}",
        "to": JOBS,
        "text": "The text was not sent.",
        "subject": "Not delivered",
        "message_id": f"<m1.1.failed@{DOMAIN}>",
        "at": NOON,
        "domain": DOMAIN,
        "original_recipient": "rfc822;2025550143@sms.example.com",
        "final_recipient": "2025550143@sms.example.com",
        "action": "failed",
        "status": "5.1.1",
        "diagnostic": "nobody is there",
        "envelope_id": "QQ314159",
        "arrived": NOON,
        "about_id": "<m1@shop.example.com>",
        "about_subject": "Reminder",
    }
    return compose.report(**(values | changes))


def parsed(raw: bytes) -> EmailMessage:
    found = message_from_bytes(raw, policy=default)
    assert isinstance(found, EmailMessage)
    return found


def header(raw: bytes) -> list[tuple[str, str]]:
    """The header as it is written, folds undone."""
    head = raw.partition(b"\r\n\r\n")[0].decode("ascii").replace("\r\n ", " ")
    return [(name, value) for name, _, value in (line.partition(": ") for line in head.split("\r\n"))]


def read(raw: bytes) -> Reading:
    found = mime.read(raw)
    assert isinstance(found, Reading)
    return found


def assert_sound(raw: bytes, names: set[str]) -> None:
    """7-bit lines that end in CRLF, none too long, and no header but those named."""
    assert raw.isascii()
    assert b"\0" not in raw
    assert [] == [line for line in raw.split(b"\r\n") if b"\r" in line or b"\n" in line or len(line) > 998]
    assert raw.endswith(b"\r\n")
    assert {name for name, _ in header(raw)} <= names
    assert len(header(raw)) == len({name for name, _ in header(raw)})


PLAIN = {"Date", "Message-ID", "X-Gateway-Loop", "From", "To", "MIME-Version", "Content-Type"}
TEXT = PLAIN | {"Reply-To", "Content-Transfer-Encoding"}
REPLY = TEXT | {"Subject", "In-Reply-To", "References", "X-Auto-Response-Suppress"}
MACHINE = (REPLY - {"Reply-To"}) | {"Auto-Submitted"}


PICTURE = Picture(kind="image/jpeg", name="picture-1.jpg", data=bytes(range(256)) * 9)


def test_pictures_are_attached_to_a_reply_under_their_names() -> None:
    contact = Picture(kind="text/vcard", name="contact-2.vcf", data="BEGIN:VCARD\r\nFN:é".encode())
    missing = Picture(kind="", name="file-3", data=b"", problem="it is gone")
    raw = reply(attachments=(PICTURE, contact, missing))
    mail = parsed(raw)
    body = mail.get_body()

    assert_sound(raw, REPLY)
    assert mail.get_content_type() == "multipart/mixed"
    assert body is not None
    assert body.get_content() == "At ten?\r\n"
    assert [
        (a.get_content_type(), a.get_filename(), a.get_content_disposition(), a.get_payload(decode=True))
        for a in mail.iter_attachments()
    ] == [
        ("image/jpeg", "picture-1.jpg", "attachment", PICTURE.data),
        ("text/vcard", "contact-2.vcf", "attachment", contact.data),
    ]
    assert raw == reply(attachments=(PICTURE, contact, missing))
    assert read(raw).text == "At ten?"


def test_a_reply_without_pictures_is_the_same_plain_mail() -> None:
    missing = Picture(kind="", name="file-1", data=b"", problem="it is gone")

    assert reply() == reply(attachments=(missing,)) == reply(attachments=(), header=())
    assert parsed(reply()).get_content_type() == "text/plain"


@given(st.binary(min_size=1, max_size=400), ANY, ANY)
def test_no_picture_breaks_out_of_its_part(data: bytes, name: str, kind: str) -> None:
    raw = reply(attachments=(Picture(kind=kind, name=name, data=data),))
    (found,) = parsed(raw).iter_attachments()

    assert_sound(raw, REPLY)
    assert found.get_payload(decode=True) == data


def test_a_reply_may_bear_one_more_field() -> None:
    raw = reply(header=("X-Shop-Closed", "until Monday\r\nBcc: evil@elsewhere.example"))

    assert ("X-Shop-Closed", "until Monday Bcc: evil@elsewhere.example") in header(raw)
    assert_sound(raw, REPLY | {"X-Shop-Closed"})


@pytest.mark.parametrize(
    "name", ["Bcc", "From", "x-auto-response-suppress", "X-Gateway-Loop", "X-A: b\r\nBcc", "X-", "X-é", ""]
)
def test_no_field_of_ours_is_written_twice_or_replaced(name: str) -> None:
    assert reply(header=(name, "x")) == reply()


@given(ANY, ANY, ANY, ANY)
def test_nothing_that_a_mail_holds_breaks_out_of_its_place(a: str, b: str, c: str, d: str) -> None:
    assert_sound(carrier_text(sender=a, reply_to=b, to=c, text=d), TEXT)
    assert_sound(reply(name=a, address=b, answer_to=c, to=d, subject=a, text=b), REPLY)
    assert_sound(reply(in_reply_to=a, references=(b, c, d), text=d), REPLY)
    assert_sound(notice(to=a, subject=b, text=c, in_reply_to=d), MACHINE)
    assert_sound(report(to=a, text=b, subject=c, diagnostic=d, about_subject=a, about_id=b), MACHINE)
    assert_sound(report(original_recipient=a, final_recipient=b, envelope_id=c, text=d), MACHINE)


@given(st.text(max_size=300))
def test_words_arrive_as_they_were_written(text: str) -> None:
    found = read(reply(subject=text, text=text))
    wanted = read(b"Subject: x\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n" + text.encode("utf-8", "replace"))

    assert " ".join(compose.clean(text).split()) == found.subject
    assert wanted.text == found.text


@pytest.mark.parametrize(
    "subject",
    ["Reminder", "R\u00e9paration", "\U0001f697" * 90, "a=?b", "=?utf-8?q?=0D=0ABcc:_e@x?=", "x" * 2000],
    ids=["plain", "accents", "folded", "nearly encoded", "encoded by the author", "too long"],
)
def test_a_subject_is_shown_as_it_was_written(subject: str) -> None:
    assert subject[:900] == parsed(reply(subject=subject))["Subject"]


def test_a_carrier_text_is_one_part_with_as_little_header_as_allowed() -> None:
    raw = carrier_text()

    assert {name for name, _ in header(raw)} == TEXT - {"Reply-To"}
    assert ("From", f"r-x@{DOMAIN}") in header(raw)
    assert ("To", "2025550112@vtext.com") in header(raw)
    assert ("Message-ID", f"<m1.1.1@{DOMAIN}>") in header(raw)
    assert ("Content-Type", 'text/plain; charset="us-ascii"') in header(raw)
    assert raw.endswith(b"\r\n\r\nTow at 12 Main St.\r\nKeys in the box.\r\n")


def test_a_carrier_text_by_the_relays_one_sender_is_answered_at_r() -> None:
    raw = carrier_text(sender="shop@relay.example")

    assert ("From", "shop@relay.example") in header(raw)
    assert ("Reply-To", f"r-x@{DOMAIN}") in header(raw)


def test_a_carrier_text_beyond_ascii_is_quoted_printable() -> None:
    raw = carrier_text(text="Sch\u00f6n")

    assert ("Content-Type", 'text/plain; charset="utf-8"') in header(raw)
    assert raw.endswith(b"\r\n\r\nSch=C3=B6n\r\n")


def test_a_carrier_text_with_a_picture_is_the_text_and_then_the_picture() -> None:
    raw = carrier_text(picture=PICTURE, text="Fix this.")
    whole, words, picture = parsed(raw).walk()

    assert_sound(raw, TEXT)
    assert ["multipart/mixed", "text/plain", "image/jpeg"] == [p.get_content_type() for p in (whole, words, picture)]
    assert ("Fix this.", PICTURE.data) == (words.get_payload().strip(), picture.get_payload(decode=True))
    assert "picture-1.jpg" == picture.get_filename()
    assert raw == carrier_text(picture=PICTURE, text="Fix this."), "planning twice makes the same bytes"


def test_a_picture_without_words_has_no_empty_part_before_it() -> None:
    raw = carrier_text(picture=PICTURE, text="")

    assert ["multipart/mixed", "image/jpeg"] == [part.get_content_type() for part in parsed(raw).walk()]


def test_a_reply_carries_a_persons_words() -> None:
    assert [
        ("Date", "Mon, 23 Nov 2026 17:00:00 +0000"),
        ("Message-ID", f"<SM1@{DOMAIN}>"),
        ("X-Gateway-Loop", DOMAIN),
        ("From", f'"+1 202-555-0143" <12025550143@{DOMAIN}>'),
        ("Reply-To", f"r-x@{DOMAIN}"),
        ("To", JOBS),
        ("Subject", "Re: Reminder"),
        ("In-Reply-To", "<m1@shop.example.com>"),
        ("References", "<m0@shop.example.com> <m1@shop.example.com>"),
        ("X-Auto-Response-Suppress", "All"),
        ("MIME-Version", "1.0"),
        ("Content-Type", 'text/plain; charset="us-ascii"'),
        ("Content-Transfer-Encoding", "7bit"),
    ] == header(reply())


def test_a_reply_outside_of_a_thread_names_none() -> None:
    names = {name for name, _ in header(reply(answer_to="", in_reply_to="", references=()))}

    assert not names & {"Reply-To", "In-Reply-To", "References"}


@pytest.mark.parametrize("name", ['O"Brien \\ Sons', "Caf\u00e9"], ids=["quotes", "accents"])
def test_the_name_of_an_author_is_quoted_or_encoded(name: str) -> None:
    found = parsed(reply(name=name))["From"].addresses[0]

    assert (name, f"12025550143@{DOMAIN}") == (found.display_name, found.addr_spec)


def test_a_notice_says_that_a_machine_wrote_it() -> None:
    found = dict(header(notice(in_reply_to="<m1@shop.example.com>")))

    assert "auto-generated" == found["Auto-Submitted"]
    assert "All" == found["X-Auto-Response-Suppress"]
    assert f'"Text gateway" <postmaster@{DOMAIN}>' == found["From"]
    assert "<m1@shop.example.com>" == found["In-Reply-To"] == found["References"]


def test_our_own_mails_are_known_when_they_come_back() -> None:
    assert all(read(raw).ours for raw in (carrier_text(), reply(), notice(), report()))


def fields(group: Message) -> list[tuple[str, str]]:
    return [(name, str(value)) for name, value in group.items()]


def test_a_report_tells_machines_and_people() -> None:
    found = parsed(report())
    words, status, head = found.iter_parts()

    assert "multipart/report" == found.get_content_type()
    assert "delivery-status" == found.get_param("report-type")
    assert ["text/plain", "message/delivery-status", "text/rfc822-headers"] == [
        part.get_content_type() for part in (words, status, head)
    ]
    assert "The text was not sent." == words.get_content().strip()
    about_mail, about_recipient = status.get_payload()
    assert [
        ("Original-Envelope-Id", "QQ314159"),
        ("Reporting-MTA", f"dns; {DOMAIN}"),
        ("Arrival-Date", "Mon, 23 Nov 2026 17:00:00 +0000"),
    ] == fields(about_mail)
    assert [
        ("Original-Recipient", "rfc822;2025550143@sms.example.com"),
        ("Final-Recipient", "rfc822; 2025550143@sms.example.com"),
        ("Action", "failed"),
        ("Status", "5.1.1"),
        ("Diagnostic-Code", "X-Gateway; nobody is there"),
    ] == fields(about_recipient)
    assert "Message-ID: <m1@shop.example.com>\nSubject: Reminder" == head.get_payload().strip().replace("\r", "")
    assert [] == found.defects


def test_a_report_leaves_out_what_is_not_known() -> None:
    found = parsed(
        report(original_recipient="", envelope_id="", arrived=None, diagnostic="", about_id="", about_subject="")
    )
    _, status = found.iter_parts()
    about_mail, about_recipient = status.get_payload()

    assert ["Reporting-MTA"] == about_mail.keys()
    assert ["Final-Recipient", "Action", "Status"] == about_recipient.keys()
    assert "In-Reply-To" not in found


@pytest.mark.parametrize("make", [carrier_text, reply, notice, report])
def test_the_same_values_make_the_same_bytes(make: Any) -> None:
    assert make() == make()


LONG = "<" + "r" * 900 + ">"
MANY = ["<root@x>"] + [f"<{n}{'x' * 100}>" for n in range(20)]


@pytest.mark.parametrize(
    ("references", "expected"),
    [
        pytest.param([], [], id="none"),
        pytest.param(["<a@x>", "", "<b@x>", "<a@x>"], ["<a@x>", "<b@x>"], id="each once"),
        pytest.param(MANY, [MANY[0], *MANY[-8:]], id="as many as fit"),
        pytest.param([LONG, "<b@x>"], [LONG], id="a root that fills the line"),
    ],
)
def test_a_thread_keeps_its_root_and_its_newest(references: list[str], expected: list[str]) -> None:
    assert expected == compose.thread(references).split()


@pytest.mark.parametrize(
    ("subject", "expected"),
    [("a", "Re: a"), ("Re: a", "Re: a"), ("RE:a", "RE:a"), ("", "Re:"), ("Regards", "Re: Regards")],
)
def test_an_answer_has_one_re(subject: str, expected: str) -> None:
    assert expected == compose.again(subject)


@given(ANY | st.text("ab \n\t\xa0\u00e9", max_size=20))
def test_a_line_is_printable_with_single_spaces_inside(text: str) -> None:
    printable = "".join(c if c.isprintable() else " " for c in text)

    assert " ".join(printable.split())[:900] == compose.clean(text)


def test_mails_of_one_second_have_one_date_and_those_of_the_next_another() -> None:
    moments = [NOON, NOON.replace(microsecond=999_999), NOON.replace(second=1)]
    dates = [message_from_bytes(carrier_text(at=at))["Date"] for at in moments]

    noon = "Mon, 23 Nov 2026 17:00:0{} +0000"
    assert [noon.format(n) for n in (0, 0, 1)] == dates
