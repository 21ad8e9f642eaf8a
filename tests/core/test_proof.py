"""Whose word about From counts: Authentication-Results of RFC 8601, one From, one address, and answer_from."""

from __future__ import annotations

from time import perf_counter

import pytest
import shop
from hypothesis import given
from hypothesis import strategies as st

from gateway.core import header
from gateway.core.desk import told_of
from gateway.core.model import Door, MailAddr
from gateway.core.proof import (
    Answered,
    Witness,
    aligned,
    author,
    believed,
    fingerprint,
    may_answer,
    recipients,
    unbound,
)
from gateway.core.rules import Sender

MX, DOMAIN = "mx.example.net", "shop.example.com"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("desk@shop.example.com", "desk@shop.example.com"),
        ("Front desk <desk@SHOP.example.com>", "desk@shop.example.com"),
        ('"Desk, front @ shop" <desk@shop.example.com>', "desk@shop.example.com"),
        ("=?utf-8?Q?M=C3=BCller,_H?= <desk@shop.example.com>", "desk@shop.example.com"),
        ("desk@shop.example.com (boss@other.example)", "desk@shop.example.com"),
        ("desk@shop.example.com, boss@other.example", None),
        ("Desk: desk@shop.example.com;", None),
        ("boss@other.example <desk@shop.example.com>", None),
        ('"boss@other.example <desk@shop.example.com>', None),
        ("<desk@shop.example.com> (", None),
        ("desk) <desk@shop.example.com>", None),
        ("desk@shop.example.com <desk>", None),
        ("=?utf-8?q?=3Cdesk=40shop.example.com=3E?=", None),
        ("=?a?q?<boss@other.example>?= <desk@shop.example.com>", None),
        ('"desk"@shop.example.com', None),
        ("desk@shop_.example.com", None),
        ("desk@münchen.example", None),
        ("", None),
    ],
)
def test_an_author_is_one_address_and_nothing_else(value: str, expected: str | None) -> None:
    assert expected == author([value])


@pytest.mark.parametrize("values", [[], ["desk@shop.example.com"] * 2, ["desk@shop.example.com" + " " * 20_000]])
def test_there_is_exactly_one_from_of_usual_length(values: list[str]) -> None:
    assert None is author(values)


@given(st.text(alphabet='ab@.<>,;:()"\\ =?', max_size=60))
def test_the_author_is_the_one_that_all_others_see(value: str) -> None:
    found = author([value])

    assert found is None or header.mailbox(value)[0] == found


TALK, OTHER, OURS = "r-aaaaaaaaaaaa@sms.example.com", "other@shop.example.com", "sms.example.com"


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        pytest.param([TALK], {TALK}, id="alone"),
        pytest.param([f'"+1 202-555-0143" <{TALK.upper()}>, {OTHER}'], {TALK, OTHER}, id="a list"),
        pytest.param([f"Shop: {TALK}, <{OTHER}>;"], {TALK, OTHER}, id="a group"),
        pytest.param([TALK, f"x <{OTHER}>"], {TALK, OTHER}, id="To and Cc"),
        pytest.param([f'"{TALK}" <{OTHER}>'], {OTHER}, id="in a name"),
        pytest.param([f'"x, {TALK}, y" <{OTHER}>'], {OTHER}, id="in a name with commas"),
        pytest.param([f"{TALK} <{OTHER}>"], {OTHER}, id="in a bare name"),
        pytest.param([f"{OTHER} ({TALK})"], {OTHER}, id="in a comment"),
        pytest.param([f"=?utf-8?q?a,b=40c,d?= <{OTHER}>"], {OTHER}, id="beside an encoded word"),
        pytest.param([f"=?utf-8?q?,{TALK},?= <{OTHER}>"], set(), id="in what is no encoded word (RFC 2047 5)"),
        pytest.param([f"<{OTHER}> {TALK}"], set(), id="two in one place"),
        pytest.param([f"{OTHER} {TALK}"], set(), id="two words"),
        pytest.param([f'{TALK}, "x'], set(), id="a quote without end"),
        pytest.param([TALK + "," * 20_000], set(), id="too long"),
        pytest.param([], set(), id="none"),
    ],
)
def test_recipients_are_addresses_and_not_the_names_beside_them(values: list[str], expected: set[str]) -> None:
    assert expected == recipients(values)


DAY = 86_400


@pytest.mark.parametrize(
    ("witness", "expected"),
    [
        (Witness(domain="", at=0, recipients=(OTHER, TALK), thread=()), ""),
        (Witness(domain="", at=5 * DAY, recipients=(TALK,), thread=()), ""),
        (Witness(domain="", at=-5 * DAY, recipients=(TALK,), thread=()), ""),
        (Witness(domain="", at=0, recipients=(), thread=("<SM1@SMS.example.com>", "<j1@x>")), ""),
        (Witness(domain="", at=0, recipients=(OTHER,), thread=("<SM1@sms.example.com>",)), "To or Cc"),
        (Witness(domain="", at=0, recipients=(OTHER,), thread=("<j1@x>", "<1@not-sms.example.com>")), "To or Cc"),
        (Witness(domain="", at=-5 * DAY - 1, recipients=(TALK,), thread=()), "of the last 5 days"),
        (Witness(domain="", at=DAY + 1, recipients=(TALK,), thread=()), "of the last 5 days"),
        (Witness(domain="", at=None, recipients=(TALK,), thread=()), "of the last 5 days"),
    ],
)
def test_an_answer_is_fresh_and_to_the_conversation(witness: Witness, expected: str) -> None:
    talk = Answered(address=TALK, thread=frozenset({"<j1@x>"}))
    found = unbound(witness, talk, OURS, 0 if witness.at != 5 * DAY else 4 * DAY)

    assert expected in found
    assert bool(expected) == bool(found)


def test_a_fingerprint_is_of_author_date_recipient_and_words() -> None:
    raw = b"Subject: a\n\nIt is\n ready.\n"
    first = fingerprint("desk@x", 1, TALK, raw)

    assert first == fingerprint("DESK@x", 1, TALK.upper(), b"Message-ID: <2@x>\r\n\r\nIt  is ready.\r\n\r\n")
    assert first != fingerprint("boss@x", 1, TALK, raw)
    assert first != fingerprint("desk@x", 2, TALK, raw)
    assert first != fingerprint("desk@x", 1, OTHER, raw)
    assert first != fingerprint("desk@x", 1, TALK, raw + b"x")
    assert fingerprint("desk@x", 1, TALK, b"no body") == fingerprint("desk@x", 1, TALK, b"Subject: b\n\n\n")


def test_a_bad_end_of_an_answer_from_outside_is_told_to_the_senders_own_people() -> None:
    answer = shop.mail("r-aaaaaaaaaaaa", door=Door.PUBLIC, mail_from="forged@elsewhere.example")

    assert shop.ADMIN == told_of(answer, shop.RULES)
    assert "boss@shop.example.com" == told_of(answer, shop.sender("jobs", report_to="boss@shop.example.com"))


@pytest.mark.parametrize(
    ("signing", "expected"),
    [
        ("shop.example.com", True),
        ("example.com", True),
        ("com", False),
        ("op.example.com", False),
        ("desk.shop.example.com", False),
        (".example.com", False),
        ("example.com.", False),
        ("", False),
    ],
)
def test_who_signs_speaks_for_itself_and_what_is_below_it(signing: str, expected: bool) -> None:
    assert expected is aligned(signing, DOMAIN)


def test_a_name_without_dots_speaks_for_itself_alone() -> None:
    assert aligned("localhost", "localhost")
    assert not aligned("localhost", "a.localhost")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param(f"{MX}; dkim=pass header.d=shop.example.com", "dkim=pass header.d=shop.example.com", id="plain"),
        pytest.param(
            f"{MX.upper()} 1; DKIM/1 = Pass (2048-bit key) header.d = Example.COM header.s=a header.b=ab/+=",
            "dkim=pass header.d=example.com",
            id="all that RFC 8601 allows",
        ),
        pytest.param(
            f"{MX};\t dkim=pass header.i=@shop.example.com header.s=a;\r\n spf=pass smtp.mailfrom=d@shop.example.com",
            "dkim=pass header.i=@shop.example.com",
            id="by header.i",
        ),
        pytest.param(
            f"{MX}; spf=fail; dmarc=pass (p=NONE sp=NONE) action=none header.from=shop.example.com;",
            "dmarc=pass header.from=shop.example.com",
            id="dmarc",
        ),
        pytest.param(
            f"{MX}; dkim=fail header.d=shop.example.com; dkim=pass header.d=example.com",
            "dkim=pass header.d=example.com",
            id="the second signature",
        ),
        pytest.param(
            f'"{MX}"; dkim=pass header.d="shop.example.com"', "dkim=pass header.d=shop.example.com", id="quoted"
        ),
        pytest.param(f"{MX}; dkim=pass header.d=other.example", "", id="not aligned"),
        pytest.param(f"{MX}; dkim=pass header.d=other.example header.i=@shop.example.com", "", id="d before i"),
        pytest.param(f"{MX}; dkim=pass header.d=shop.example.com header.d=other.example", "", id="named twice"),
        pytest.param(f"{MX}; dmarc=pass header.from=example.com", "", id="dmarc of another domain"),
        pytest.param(f"{MX}; spf=pass smtp.mailfrom=desk@shop.example.com", "", id="spf says nothing of From"),
        pytest.param(f"{MX}; arc=pass header.d=shop.example.com", "", id="arc"),
        pytest.param(f"{MX}; dkim=fail header.d=shop.example.com", "", id="fail"),
        pytest.param(f"{MX}; none", "", id="none"),
        pytest.param(f"{MX}", "", id="no results"),
        pytest.param("mx.other.example; dkim=pass header.d=shop.example.com", "", id="another's"),
        pytest.param(f"{MX} x; dkim=pass header.d=shop.example.com", "", id="no version"),
        pytest.param("dkim=pass header.d=shop.example.com", "", id="nobody's"),
        pytest.param(f"({MX}) mx.other.example; dkim=pass header.d=shop.example.com", "", id="id in a comment"),
        pytest.param(f"{MX}; dkim=fail (; dkim=pass header.d=shop.example.com)", "", id="in a comment"),
        pytest.param(f"{MX}; dkim=fail ((;) dkim=pass header.d=shop.example.com)", "", id="in a nested comment"),
        pytest.param(f'{MX}; dkim=fail reason="; dkim=pass header.d=shop.example.com"', "", id="in quotes"),
        pytest.param(f'{MX}; dkim=fail reason="\\"; dkim=pass header.d=shop.example.com"', "", id="behind an escape"),
        pytest.param(f"{MX}; spf=none (x) ) ; dkim=pass header.d=shop.example.com", "", id="a comment that ends twice"),
        pytest.param(f"{MX}; dkim=pass header.d=shop.example.com (", "", id="a comment without end"),
        pytest.param(f'{MX}; dkim=pass header.d=shop.example.com "', "", id="a quote without end"),
        pytest.param(f"{MX}; dkim=pass header.d=shop.example.com" + " " * 20_000, "", id="too long"),
    ],
)
def test_an_aligned_pass_of_the_upstream_is_believed_and_nothing_else(value: str, expected: str) -> None:
    assert expected == believed([value], MX, DOMAIN)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param("spf=pass smtp.mailfrom=desk@shop.example.com", f"spf=pass smtp.mailfrom={DOMAIN}", id="address"),
        pytest.param("spf=pass smtp.mailfrom=Example.com", "spf=pass smtp.mailfrom=example.com", id="parent, alone"),
        pytest.param(
            f"spf=none; spf=pass smtp.mailfrom={DOMAIN}",
            f"spf=pass smtp.mailfrom={DOMAIN}",
            id="the second",
        ),
        pytest.param("spf=pass smtp.mailfrom=desk@other.example", "", id="not aligned"),
        pytest.param("spf=pass smtp.mailfrom=desk@mx.shop.example.com", "", id="below From"),
        pytest.param('spf=pass smtp.mailfrom="@shop.example.com x"@other.example', "", id="in quotes"),
        pytest.param("spf=pass smtp.mailfrom=", "", id="the null sender"),
        pytest.param(f"spf=pass smtp.helo={DOMAIN}", "", id="the name in HELO"),
        pytest.param(f"spf=pass smtp.mailfrom=other.example smtp.mailfrom={DOMAIN}", "", id="named twice"),
        pytest.param(f"spf=softfail smtp.mailfrom={DOMAIN}", "", id="softfail"),
    ],
)
def test_spf_counts_where_it_is_asked_for(value: str, expected: str) -> None:
    assert expected == believed([f"{MX}; {value}"], MX, DOMAIN, spf=True)


def test_only_the_topmost_of_the_upstream_counts() -> None:
    good, bad = f"{MX}; dkim=pass header.d={DOMAIN}", f"{MX}; dkim=fail header.d={DOMAIN}"

    assert believed(["mx.other.example; dkim=fail", good], MX, DOMAIN)
    assert "" == believed([bad, good], MX, DOMAIN)
    assert "" == believed([f"{MX}; spf=pass (", good], MX, DOMAIN)
    assert "" == believed(["mx.other.example; none"] * 50 + [good], MX, DOMAIN)


@given(st.lists(st.text(alphabet='mx;=()"\\ pasdkim.@/1', max_size=80), max_size=4))
def test_every_value_has_an_answer(values: list[str]) -> None:
    assert "" == believed(values, "m", "pass.dkim", spf=True)


@pytest.mark.parametrize("piece", ["(", '"', "\\", "; ", " =", "= ", "a=b ", "=?a?q?", "( ", ")", "\t", "@", "x"])
def test_time_is_in_proportion_to_the_input(piece: str) -> None:
    value = piece * (header.LONGEST // len(piece))
    began = perf_counter()
    author([value])
    recipients([value])
    believed([f"{MX}; {value}"[: header.LONGEST]] * 50, MX, DOMAIN)

    assert perf_counter() - began < 2


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [("desk@shop.example.com", True), ("*@SHOP.example.com", True), ("*@example.com", False), ("*", True)],
)
def test_answer_from_names_authors_by_globs_without_case(pattern: str, expected: bool) -> None:
    sender = Sender(name="jobs", answer_from=("boss@shop.example.com", pattern))

    assert expected is may_answer(MailAddr("Desk@shop.example.com"), sender)
    assert not may_answer(MailAddr("desk@shop.example.com"), Sender(name="jobs"))
