"""Which DKIM signatures prove a From: real keys and signatures, and what must not count."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shop import NOON
from signing import DOMAIN, MAIL, NAME, expiring, record, signed

from gateway.core.model import Unreadable
from gateway.core.signed import Claim, claim, verify

NOW = int(NOON.timestamp())


def names(raw: bytes, now: int = NOW) -> tuple[str, ...]:
    found = claim(raw, now)
    assert isinstance(found, Claim)
    return found.names


def proves(raw: bytes, key: str = "", now: int = NOW) -> bool:
    return (DOMAIN,) == verify(raw, DOMAIN, {NAME: key or record()}, now)


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
    assert ("example.com",) == verify(parent, DOMAIN, {"sel._domainkey.example.com": record()}, NOW)


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
        pytest.param(signed(selector=".".join(["s" * 60] * 4)), id="a name too long for DNS"),
        pytest.param(b"From: boss@other.example\r\n" + signed(), id="two From"),
        pytest.param(b" folded\r\n" + signed(), id="a header that begins in the middle"),
        pytest.param(signed().replace(b"\r\n\r\n", b"\r\nno header\r\n\r\n"), id="a line that is no field"),
    ],
)
def test_a_signature_that_could_not_prove_from_is_not_looked_up(raw: bytes) -> None:
    assert () == names(raw)
    assert not proves(raw)


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
    assert () == verify(signed(), DOMAIN, {NAME: key}, NOW)


@pytest.mark.parametrize(("bits", "expected"), [(1016, False), (1024, True), (2048, True)])
def test_a_key_has_at_least_1024_bits(bits: int, expected: bool) -> None:
    assert expected is proves(signed(bits=bits), record(bits))


def test_the_first_five_usable_signatures_are_looked_up() -> None:
    raw = MAIL
    for n in range(7):
        raw = signed(signed(raw, selector=f"s{n}"), domain="other.example")

    assert tuple(f"s{n}._domainkey.{DOMAIN}" for n in (6, 5, 4, 3, 2)) == names(raw)
    assert (DOMAIN,) == verify(raw, DOMAIN, {f"s2._domainkey.{DOMAIN}": record()}, NOW)
    assert () == verify(raw, DOMAIN, {f"s1._domainkey.{DOMAIN}": record()}, NOW)


def test_a_header_beyond_the_bounds_is_unreadable() -> None:
    assert isinstance(claim(b"From: a@b.example\r\nX: " + b"x" * 300_000 + b"\r\n\r\n", NOW), Unreadable)


@given(st.binary(max_size=200))
def test_crafted_signatures_have_an_answer(value: bytes) -> None:
    raw = b"DKIM-Signature: v=1; a=rsa-sha256; d=shop.example.com; s=sel; h=from; " + value + b"\r\n" + MAIL

    assert () == verify(raw, DOMAIN, {NAME: record()}, NOW)
    assert isinstance(claim(raw, NOW), Claim | Unreadable)
