"""Answers from outside: proven by a child that reads, and by keys from a real name server on loopback."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import pytest
from clock import NOON
from signing import COVERED, DOMAIN, FAILS, MAIL, NAME, SILENT, TO, Dns, answer, name_server, record, signed

from gateway.core.proof import Answered
from gateway.core.rules import Sender
from gateway.proof import Proof, ProofUnavailable, Prover
from gateway.reader import MailReader

MX = "mx.example.net"
JOBS, DESK = Sender(name="jobs", answer_from=("*@shop.example.com",)), Sender(name="desk", answer_from=("boss@*",))
PASS = f"Authentication-Results: {MX}; dkim=pass header.d={DOMAIN}\r\n".encode()
PROVEN = Proof(why=f"dkim=pass header.d={DOMAIN}", author=f"desk@{DOMAIN}", at=int(NOON.timestamp()))
UNSIGNED = Proof(missing=f"there is no valid DKIM signature aligned with {DOMAIN} that covers all that is read")
UNBOUND = Proof(missing=f"{TO} must be in To or Cc, and these signed")
OLD = Proof(missing="its Date must be signed, and of the last 5 days")


@pytest.fixture
async def reader() -> AsyncIterator[MailReader]:
    made = MailReader(children=1)
    yield made
    await made.close()


@pytest.fixture
async def names() -> AsyncIterator[Dns]:
    async with name_server() as made:
        yield made


@pytest.fixture
def prover(reader: MailReader, names: Dns) -> Prover:
    return Prover(reader, ["127.0.0.1"], port=names.port, seconds=2)


async def proven(prover: Prover, raw: bytes, *senders: Sender, upstream: str = "") -> Proof:
    thread = frozenset({"<job@shop.example.com>"})
    answered = [Answered(address=TO, sender=one, thread=thread) for one in senders or (JOBS,)]
    return await prover.proven(raw, answered, upstream, "SMS.example.com", NOON)


async def test_a_valid_signature_proves_the_author(prover: Prover, names: Dns) -> None:
    names.zone[NAME] = record()

    assert PROVEN == await proven(prover, signed())
    assert [NAME] == names.asked


async def test_a_long_key_beside_a_note_is_found(prover: Prover, names: Dns) -> None:
    names.zone[NAME] = ["made in 2026", record(2048)]

    assert PROVEN == await proven(prover, signed(bits=2048))


@pytest.mark.parametrize("zone", [{}, {NAME: ""}, {NAME: record(2048)}, {NAME: "v=DKIM1; p="}])
async def test_without_its_key_a_signature_proves_nothing(prover: Prover, names: Dns, zone: dict[str, str]) -> None:
    names.zone.update(zone)

    assert UNSIGNED == await proven(prover, signed())


@pytest.mark.parametrize("trouble", [FAILS, SILENT])
async def test_trouble_with_dns_is_no_judgement(prover: Prover, names: Dns, trouble: str) -> None:
    names.zone[NAME] = trouble

    with pytest.raises(ProofUnavailable):
        await proven(prover, signed())


async def test_one_valid_signature_is_enough_whatever_became_of_the_other(prover: Prover, names: Dns) -> None:
    names.zone |= {NAME: record(), f"other._domainkey.{DOMAIN}": FAILS}

    assert PROVEN == await proven(prover, signed(signed(), selector="other"))


async def test_a_mail_without_a_usable_signature_asks_no_name_server(prover: Prover, names: Dns) -> None:
    for raw in (MAIL, signed(domain="other.example"), signed(length=True)):
        assert UNSIGNED == await proven(prover, raw)
    assert [] == names.asked


async def test_a_signed_mail_to_somebody_else_is_no_answer(prover: Prover, names: Dns) -> None:
    names.zone[NAME] = record()
    other = answer("customer@elsewhere.example")

    assert UNBOUND == await proven(prover, signed(other))
    assert UNBOUND == await proven(prover, PASS + other, upstream=MX)
    assert UNBOUND == await proven(prover, signed(MAIL, headers=[h for h in COVERED if h != b"to"]))


@pytest.mark.parametrize(
    ("thread", "expected"),
    [
        (b"<job@shop.example.com> <SM1@sms.example.com>", PROVEN),
        (b"<SM1@sms.example.com>", UNBOUND),
        (b"<job@shop.example.com>", UNBOUND),
        (b"<job@shop.example.com> <SM1@sms.example.com.elsewhere.example>", UNBOUND),
    ],
    ids=["ours on its thread", "ours on another", "before ours", "not ours"],
)
async def test_a_mail_to_somebody_else_on_the_thread_of_the_conversation_is_an_answer(
    prover: Prover, names: Dns, thread: bytes, expected: Proof
) -> None:
    names.zone[NAME] = record()
    other = b"References: " + thread + b"\r\n" + answer("desk@shop.example.com")

    assert expected == await proven(prover, signed(other, headers=(*COVERED, b"references")))
    assert expected == await proven(prover, PASS + other, upstream=MX)
    assert UNBOUND == await proven(prover, signed(other))


@pytest.mark.parametrize(
    ("ago", "fresh"),
    [(timedelta(days=5), True), (timedelta(days=5, seconds=1), False), (-timedelta(days=1, seconds=1), False)],
    ids=["five days", "older", "ahead"],
)
async def test_an_answer_is_of_the_last_five_days(prover: Prover, names: Dns, ago: timedelta, fresh: bool) -> None:
    names.zone[NAME] = record()
    raw = answer(at=NOON - ago)
    expected = replace(PROVEN, at=int((NOON - ago).timestamp())) if fresh else OLD

    assert expected == await proven(prover, signed(raw))
    assert expected == await proven(prover, PASS + raw, upstream=MX)


async def test_what_could_be_read_in_two_ways_is_proven_by_nobody(prover: Prover, names: Dns) -> None:
    names.zone[NAME] = record()
    twice = Proof(missing="the mail cannot be read: Subject stands more than once in its header")

    assert twice == await proven(prover, b"Subject: RO 999\r\n" + signed())
    assert twice == await proven(prover, PASS + b"Subject: RO 999\r\n" + MAIL, upstream=MX)
    assert [] == names.asked


async def test_the_upstreams_results_are_believed_from_the_upstream_alone(prover: Prover, names: Dns) -> None:
    assert PROVEN == await proven(prover, PASS + MAIL, upstream=MX)
    assert UNSIGNED == await proven(prover, PASS + MAIL)
    assert Proof(
        missing=f"{UNSIGNED.missing}, and no Authentication-Results of mx.other.example that says pass"
    ) == await proven(prover, PASS + MAIL, upstream="mx.other.example")
    assert [] == names.asked


async def test_a_signature_proves_where_the_upstream_says_nothing(prover: Prover, names: Dns) -> None:
    names.zone[NAME] = record()

    assert PROVEN == await proven(prover, signed(), upstream=MX)


async def test_the_author_must_be_one_who_may_answer_for_every_sender(prover: Prover, names: Dns) -> None:
    names.zone[NAME] = record()

    assert Proof(missing="the address in From is not in answer_from of sender desk") == await proven(
        prover, signed(), JOBS, DESK
    )
    boss = replace(PROVEN, author=f"boss@{DOMAIN}")
    assert boss == await proven(prover, signed(MAIL.replace(b"desk@", b"boss@")), JOBS, DESK)
    assert [NAME] == names.asked


@pytest.mark.parametrize(
    ("raw", "missing"),
    [
        pytest.param(b"Subject: x\r\n\r\nhi\r\n", "there must be one From with one address", id="no From"),
        pytest.param(b"From: a@b.example\r\n" + MAIL, "there must be one From with one address", id="two From"),
        pytest.param(b"X: " + b"x" * 300_000 + b"\r\n" + MAIL, "the mail cannot be read: its header", id="too large"),
    ],
)
async def test_what_names_no_author_is_not_proven(prover: Prover, raw: bytes, missing: str) -> None:
    assert (await proven(prover, PASS + raw, upstream=MX)).missing.startswith(missing)


async def test_a_crafted_mail_costs_the_child_and_proves_nothing(
    prover: Prover, names: Dns, capsys: pytest.CaptureFixture[str]
) -> None:
    names.zone[NAME] = record()
    slow = signed() + (b" " * 990 + b"x\r\n") * 8_000

    assert UNSIGNED == await proven(prover, slow)
    assert "reader.killed" in capsys.readouterr().out
    assert PROVEN == await proven(prover, signed())


async def test_without_a_reader_nothing_is_judged(prover: Prover, reader: MailReader) -> None:
    await reader.close()

    with pytest.raises(ProofUnavailable):
        await proven(prover, signed())
