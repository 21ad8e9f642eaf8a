"""Which DKIM signatures prove a From: real keys and signatures, and what must not count."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shop import NOON
from signing import COVERED, DOMAIN, MAIL, NAME, TO, expiring, record, signed

from gateway.core.model import Unreadable
from gateway.core.proof import Witness
from gateway.core.signed import Claim, claim, verify

NOW = int(NOON.timestamp())


def names(raw: bytes, now: int = NOW) -> tuple[str, ...]:
    found = claim(raw, now)
    assert isinstance(found, Claim)
    return found.names


def domains(raw: bytes, keys: Mapping[str, str], now: int = NOW) -> tuple[str, ...]:
    return tuple(one.domain for one in verify(raw, DOMAIN, keys, now)[1:])


def proves(raw: bytes, key: str = "", now: int = NOW) -> bool:
    return (DOMAIN,) == domains(raw, {NAME: key or record()}, now)


def test_a_claim_is_what_the_header_says() -> None:
    raw = b"Authentication-Results: a; none\r\nAuthentication-Results: b;\r\n none\r\n" + signed()

    assert claim(raw, NOW) == Claim(
        authors=("Front desk <desk@shop.example.com>",),
        results=("a; none", "b; none"),
        names=(NAME,),
    )


def test_a_valid_aligned_signature_proves_from() -> None:
    parent = signed(domain="example.com")

    assert proves(signed())
    assert (NAME,) == names(signed())
    assert ("example.com",) == domains(parent, {"sel._domainkey.example.com": record()})


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(MAIL, id="unsigned"),
        pytest.param(signed(domain="other.example"), id="another domain"),
        pytest.param(signed(domain="com"), id="a top-level domain"),
        pytest.param(signed(domain="desk.shop.example.com"), id="a domain below"),
        pytest.param(signed(length=True), id="a part of the body"),
        pytest.param(signed(algorithm=b"rsa-sha1"), id="SHA-1"),
        pytest.param(expiring(NOW - 1), id="expired"),
        pytest.param(signed().replace(b"h=from", b"h=date"), id="From is not signed"),
        pytest.param(signed().replace(b"s=sel", b"s=a b"), id="no selector"),
        pytest.param(signed().replace(b"s=sel", b"s=" + b".".join([b"s" * 60] * 4)), id="a name too long for DNS"),
        pytest.param(b"From: boss@other.example\r\n" + signed(), id="two From"),
        pytest.param(b" folded\r\n" + signed(), id="a header that begins in the middle"),
        pytest.param(signed().replace(b"\r\n\r\n", b"\r\nno header\r\n\r\n"), id="a line that is no field"),
    ],
)
def test_a_signature_that_could_not_prove_from_is_not_looked_up(raw: bytes) -> None:
    assert () == names(raw)
    assert not proves(raw)


@pytest.mark.parametrize(
    "field",
    [
        *("Content-Type", "Content-Transfer-Encoding", "MIME-Version", "Subject", "In-Reply-To", "References", "Date"),
        *("To", "Cc", "Reply-To", "Message-ID", "Auto-Submitted"),
    ],
)
def test_a_field_that_stands_twice_makes_a_mail_unreadable(field: str) -> None:
    name, line = field.encode() + b":", field.encode() + b": x\r\n"
    there = MAIL if name in MAIL else line + MAIL

    assert isinstance(claim(line.upper() + signed(there), NOW), Unreadable)
    assert isinstance(claim(signed(line + there), NOW), Unreadable)


@pytest.mark.parametrize("field", [b"Content-Type", b"Content-Transfer-Encoding", b"Subject", b"Reply-To"])
def test_a_signature_covers_what_decides_how_a_mail_is_read(field: bytes) -> None:
    bare = b"".join(line for line in MAIL.splitlines(keepends=True) if not line.startswith(field))
    there = field + b": x\r\n" + bare
    without = [name for name in COVERED if name != field.lower()]

    assert proves(signed(there, headers=[*without, field.lower()]))
    assert proves(signed(bare, headers=without))
    assert () == names(signed(there, headers=without))
    assert () == names(field + b": y\r\n" + signed(bare, headers=without)), "put there by somebody else"
    assert not proves(field + b": y\r\n" + signed(bare, headers=[*without, field.lower()])), "signed as missing"


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b"X: a\rSubject: RO 999\r\n" + signed(), id="bare CR"),
        pytest.param(signed().replace(b"ready.", b"ready.\r--b"), id="bare CR in the body"),
        pytest.param(b"Sub\0ject: RO 999\r\n" + signed(), id="NUL"),
        pytest.param(signed().replace(b"\r\n\r\n", b"\r\nFrom now on call 202-555-0199.\r\n\r\n"), id="From, a space"),
        pytest.param(b"From desk@shop.example.com\r\n" + signed(), id="a line of an mbox"),
    ],
)
def test_what_two_parsers_read_in_two_ways_is_unreadable(raw: bytes) -> None:
    assert isinstance(claim(raw, NOW), Unreadable)


def test_a_line_of_the_body_may_begin_with_from() -> None:
    assert proves(signed(MAIL + b"From Monday on we close at five.\r\n"))


def test_a_witness_vouches_for_what_is_covered() -> None:
    raw = b"Cc: boss@shop.example.com\r\nIn-Reply-To: <2@x.example>\r\nReferences: <1@x.example>\r\n" + MAIL
    whole = Witness(
        domain="", at=NOW, recipients=("boss@shop.example.com", TO), thread=("<2@x.example>", "<1@x.example>")
    )
    thin, full = (b"from", b"subject", b"content-type"), (*COVERED, b"in-reply-to", b"references")

    assert [whole] == list(verify(raw, DOMAIN, {}, NOW))
    assert [whole, whole._replace(domain=DOMAIN)] == list(
        verify(signed(raw, headers=full), DOMAIN, {NAME: record()}, NOW)
    )
    alone = verify(signed(raw, headers=thin), DOMAIN, {NAME: record()}, NOW)[1]
    assert (DOMAIN, (), ()) == (alone.domain, alone.recipients, alone.thread)
    assert alone.at is not None, "t= stands in for a Date that is not signed"


@pytest.mark.parametrize("date", [b"", b"yesterday", b"Mon, 99 Nov 99999999999 17:00:00 +0000", b"x" * 9_000])
def test_a_date_that_is_none_is_nobodys(date: bytes) -> None:
    raw = b"Date: " + date + b"\r\nFrom: desk@shop.example.com\r\n\r\nhi\r\n"

    assert [None] == [one.at for one in verify(raw, DOMAIN, {}, NOW)]


def test_without_one_author_there_is_nothing_to_look_up() -> None:
    assert () == names(signed(MAIL.replace(b">\r\n", b">, boss@other.example\r\n", 1)))


def test_a_signature_counts_until_it_expires() -> None:
    raw = expiring(NOW + 10**9)

    assert proves(raw)
    assert proves(raw, now=NOW + 10**9)
    assert not proves(raw, now=NOW + 10**9 + 1)


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(signed().replace(b"It is ready", b"It is stolen"), id="body"),
        pytest.param(signed().replace(b"RO 1042", b"RO 1043"), id="signed field"),
        pytest.param(signed().replace(b"desk@", b"boss@"), id="From"),
        pytest.param(signed(bits=2048), id="another key"),
        pytest.param(signed().replace(b" i=@", b" i="), id="an identity without @"),
    ],
)
def test_a_changed_mail_is_not_proven(raw: bytes) -> None:
    assert (NAME,) == names(raw)
    assert not proves(raw)


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ("", True),
        ("s=email; ", True),
        ("h=sha1:sha256; ", True),
        ("t=s; ", True),
        ("t=y; ", False),
        ("t=s:y; ", False),
        ("h=sha1; ", False),
        ("s=tlsrpt; ", False),
        ("s=*; ", True),
        ("s=other; ", False),
    ],
)
def test_the_key_record_says_what_it_is_for(tags: str, expected: bool) -> None:
    assert expected is proves(signed(), record(tags=tags))


def test_a_strict_key_speaks_for_its_own_domain_only() -> None:
    raw = signed(identity=f"x@sub.{DOMAIN}")

    assert proves(raw)
    assert not proves(raw, record(tags="t=s; "))


@pytest.mark.parametrize(
    "key",
    [
        "v=DKIM1; p=",
        "v=DKIM1",
        "v=DKIM2; " + record().partition("; ")[2],
        record().replace("k=rsa", "k=ed25519"),
        record().replace("k=rsa", "k=none"),
        "v=DKIM1; p=AAAA",
        "v=DKIM1; p=a",
        "v=DKIM1; p=MAUwAwUB/w==",
        "v=DKIM1; p=\N{SNOWMAN}",
        record() + "; n=" + "x" * 5_000,
        "no record",
        "",
    ],
)
def test_a_bad_key_proves_nothing(key: str) -> None:
    assert () == domains(signed(), {NAME: key})


@pytest.mark.parametrize(("bits", "expected"), [(1016, False), (1024, True), (2048, True)])
def test_a_key_has_at_least_1024_bits(bits: int, expected: bool) -> None:
    assert expected is proves(signed(bits=bits), record(bits))


def test_the_first_five_usable_signatures_are_looked_up() -> None:
    raw = MAIL
    for n in range(7):
        raw = signed(signed(raw, selector=f"s{n}"), domain="other.example")

    assert tuple(f"s{n}._domainkey.{DOMAIN}" for n in (6, 5, 4, 3, 2)) == names(raw)
    assert (DOMAIN,) == domains(raw, {f"s2._domainkey.{DOMAIN}": record()})
    assert () == domains(raw, {f"s1._domainkey.{DOMAIN}": record()})


def test_a_header_beyond_the_bounds_is_unreadable() -> None:
    raw = b"From: a@b.example\r\nX: " + b"x" * 300_000 + b"\r\n\r\n"

    assert isinstance(claim(raw, NOW), Unreadable)
    assert () == verify(raw, DOMAIN, {NAME: record()}, NOW)


@given(st.binary(max_size=200))
def test_crafted_signatures_have_an_answer(value: bytes) -> None:
    raw = b"DKIM-Signature: v=1; a=rsa-sha256; d=shop.example.com; s=sel; h=from; " + value + b"\r\n" + MAIL

    assert () == domains(raw, {NAME: record()})
    assert isinstance(claim(raw, NOW), Claim | Unreadable)
