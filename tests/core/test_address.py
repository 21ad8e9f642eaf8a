from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core import address as addresses
from gateway.core.address import (
    BadAddress,
    ConsentCommand,
    Foreign,
    Target,
    TextAddress,
    ToAbuse,
    ToAsk,
    ToBounce,
    ToConversation,
    ToEnroll,
    ToName,
    ToPhone,
    ToPostmaster,
    ToPreview,
)
from gateway.core.model import MailAddr, Phone

DOMAIN = "sms.example.com"
CARRIERS = frozenset({"txt.att.net", "tmomail.net", "sms.example.org"})
PHONE = Phone("+12025550143")
BRITISH = Phone("+442071838750")


def parse(address: str) -> Target | BadAddress:
    return addresses.parse(address, DOMAIN, "US", CARRIERS)


@pytest.mark.parametrize(
    ("local", "expected"),
    [
        ("2025550143", ToPhone(PHONE)),
        ("12025550143", ToPhone(PHONE)),
        ("+12025550143", ToPhone(PHONE)),
        ("202-555-0143", ToPhone(PHONE)),
        ("202.555.0143", ToPhone(PHONE)),
        ("(202)555-0143", ToPhone(PHONE)),
        ("+442071838750", ToPhone(BRITISH)),
        ("2025550143+sales", ToPhone(PHONE, "sales")),
        ("+12025550143+sales", ToPhone(PHONE, "sales")),
        ("+1-202-555-0143+Sales.Two_3", ToPhone(PHONE, "sales.two_3")),
        ("alice", ToName("alice")),
        ("Alice.B_2", ToName("alice.b_2")),
        ("r-abcdefgh23", ToConversation("abcdefgh23")),
        ("R-ABCDEFGH234567AB", ToConversation("abcdefgh234567ab")),
        ("b-abcdefgh23", ToBounce("abcdefgh23")),
        ("a-abcdefgh23", ToAsk("abcdefgh23")),
        ("optin+2025550143", ConsentCommand("optin", PHONE)),
        ("OptOut++1-202-555-0143", ConsentCommand("optout", PHONE)),
        ("enroll", ToEnroll()),
        ("Postmaster", ToPostmaster()),
        ("ABUSE", ToAbuse()),
    ],
)
@pytest.mark.parametrize("preview", [False, True], ids=["plain", "preview"])
def test_each_form_at_our_domain_has_one_meaning(local: str, expected: addresses.Plain, preview: bool) -> None:
    address = f"{'Preview+' if preview else ''}{local}@SMS.Example.COM"

    assert parse(address) == (ToPreview(expected) if preview else expected)


def test_postmaster_needs_no_domain() -> None:
    """RFC 5321 4.5.1."""
    assert parse("postmaster") == ToPostmaster()
    assert parse("POSTMASTER") == ToPostmaster()
    assert isinstance(parse("abuse"), BadAddress)


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("2025550143@txt.att.net", TextAddress(PHONE, "txt.att.net")),
        ("12025550143@TMOMAIL.net", TextAddress(PHONE, "tmomail.net")),
        ("202-555-0143@txt.att.net", TextAddress(PHONE, "txt.att.net")),
        ("442071838750@sms.example.org", TextAddress(BRITISH, "sms.example.org")),
        ("preview+2025550143@txt.att.net", ToPreview(TextAddress(PHONE, "txt.att.net"))),
    ],
)
def test_a_phone_at_a_carrier_domain_is_a_text_address(address: str, expected: Target) -> None:
    assert parse(address) == expected


@pytest.mark.parametrize(
    "address", ["bob@example.net", "Bob.Smith+shop@Example.Net", "preview+bob@example.net", "2025550143@example.net"]
)
def test_an_address_elsewhere_is_foreign_and_keeps_its_local_part(address: str) -> None:
    local, _, domain = address.partition("@")

    assert parse(address) == Foreign(MailAddr(f"{local}@{domain.lower()}"))


@pytest.mark.parametrize(
    ("address", "word"),
    [
        pytest.param("202555014@sms.example.com", "202555014 is not a valid phone number", id="a digit is missing"),
        pytest.param("9115550143@sms.example.com", "not a valid phone number", id="no such area code"),
        pytest.param("+12025550143+@sms.example.com", "after the phone number", id="empty tag"),
        pytest.param("2025550143+9a@sms.example.com", "+9a after the phone number", id="tag with a digit first"),
        pytest.param("+1+2025550143@sms.example.com", "not a valid phone number", id="two pluses"),
        pytest.param("optin+123@sms.example.com", "123 is not a valid phone number", id="opt-in of no phone"),
        pytest.param("optin+@sms.example.com", "not a valid phone number", id="opt-in of nothing"),
        pytest.param("r-short@sms.example.com", "r-short", id="short token"),
        pytest.param("r-abcdefgh234567abc@sms.example.com", "given out", id="long token"),
        pytest.param("b-abcdefgh01@sms.example.com", "given out", id="token with 0 and 1"),
        pytest.param("x-abcdefgh23@sms.example.com", "neither", id="unknown prefix"),
        pytest.param("alice+sales@sms.example.com", "neither", id="name with a tag"),
        pytest.param("_alice@sms.example.com", "neither", id="name with a wrong start"),
        pytest.param("preview+@sms.example.com", "neither", id="preview of nothing"),
        pytest.param("preview+preview+alice@sms.example.com", "neither", id="preview of a preview"),
        pytest.param("alice@txt.att.net", "alice is not a phone number", id="name at a carrier"),
        pytest.param("2025550143+sales@txt.att.net", "is not a phone number", id="tag at a carrier"),
        pytest.param("optin+2025550143@txt.att.net", "is not a phone number", id="command at a carrier"),
        pytest.param("123456789012345@txt.att.net", "is not a phone number", id="long digits at a carrier"),
    ],
)
def test_anything_else_is_refused_with_a_reason_that_names_the_fault(address: str, word: str) -> None:
    found = parse(address)

    assert isinstance(found, BadAddress)
    assert word in found.reason
    assert found.reason.isascii()


UNSAFE = [
    pytest.param('"alice"@sms.example.com', id="quotes"),
    pytest.param("alice%example.net@sms.example.com", id="percent route"),
    pytest.param("example.net!alice@sms.example.com", id="bang path"),
    pytest.param("@example.net:alice@sms.example.com", id="source route"),
    pytest.param("alice@example.net@sms.example.com", id="two @"),
    pytest.param("alice\x00@sms.example.com", id="NUL"),
    pytest.param("alice\r\nDATA@sms.example.com", id="CRLF"),
    pytest.param("alice@sms.example.com\n", id="LF at the end"),
    pytest.param("alice\x7f@sms.example.com", id="DEL"),
    pytest.param("al\u00efce@sms.example.com", id="not ASCII"),
    pytest.param("alice@sms.ex\u00e4mple.com", id="domain not ASCII"),
    pytest.param("\u212aelvin@sms.example.com", id="becomes ASCII in lower case"),
    pytest.param("alice@\u212a.example.com", id="domain becomes ASCII in lower case"),
    pytest.param("<alice@sms.example.com>", id="brackets"),
    pytest.param("al\\ice@sms.example.com", id="backslash"),
    pytest.param("a,b@sms.example.com", id="comma"),
    pytest.param("", id="nothing"),
    pytest.param("@", id="only @"),
    pytest.param("alice", id="no domain"),
    pytest.param("alice@", id="empty domain"),
    pytest.param("@sms.example.com", id="empty local part"),
    pytest.param("alice@sms..example.com", id="empty label"),
    pytest.param("alice@sms.example.com.", id="dot at the end"),
    pytest.param("alice@-sms.example.com", id="hyphen first"),
    pytest.param("alice@sms-.example.com", id="hyphen last"),
    pytest.param("alice@[192.0.2.1]", id="address literal"),
    pytest.param("alice@sms_x.example.com", id="underscore in the domain"),
    pytest.param("alice@sms .example.com", id="space in the domain"),
    pytest.param("a" * 65 + "@sms.example.com", id="local part of 65"),
    pytest.param("alice@" + "a" * 64 + ".com", id="label of 64"),
    pytest.param("alice@" + ".".join(["a" * 63] * 4) + ".com", id="domain over 255"),
]


@pytest.mark.parametrize("address", UNSAFE)
def test_what_is_not_safe_to_read_is_neither_split_nor_parsed(address: str) -> None:
    assert addresses.split(address) is None
    assert isinstance(parse(address), BadAddress)


@pytest.mark.parametrize("local", [".bob", "bob.", "b..ob", "b ob", "bob(x)"])
def test_what_is_no_dot_string_is_not_foreign(local: str) -> None:
    assert isinstance(parse(f"{local}@example.net"), BadAddress)


def test_the_longest_parts_are_split() -> None:
    local, domain = "a" * 64, ".".join(["a" * 63] * 3 + ["b" * 63])

    assert addresses.split(f"{local}@{domain.upper()}") == (local, domain)


@given(st.text(max_size=400))
def test_every_text_has_a_meaning_or_a_reason(text: str) -> None:
    found = parse(text)

    assert not isinstance(found, BadAddress) or found.reason.isascii()


@given(st.text(alphabet="+-.()0123456789abrpreview@smxal", max_size=40).map(lambda local: f"{local}@{DOMAIN}"))
def test_case_never_changes_a_meaning(address: str) -> None:
    upper, lower = parse(address.upper()), parse(address)

    assert upper == lower


@pytest.mark.parametrize(
    ("name", "legal"),
    [("alice", True), ("a.b_2", True), ("Alice", False), ("2nd", False), ("a-b", False), ("abuse", False), ("", False)],
)
def test_names_that_an_address_can_reach_are_legal(name: str, legal: bool) -> None:
    assert addresses.legal_name(name) is legal


@pytest.mark.parametrize("name", sorted(addresses.RESERVED))
def test_no_person_may_bear_a_reserved_name(name: str) -> None:
    assert not addresses.legal_name(name)


def test_case_does_not_tell_mailboxes_apart() -> None:
    assert addresses.same("Bob@Example.NET", "bob@example.net")
    assert not addresses.same("bob@example.net", "bob@example.com")
    assert addresses.mail_domain("Bob@Example.NET") == "example.net"
    assert addresses.mail_domain("postmaster") == ""
