"""Texts by a carrier as its gateway takes them, through plan.make: in parts, with one picture, or by another way."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import shop
from outbox import fates, texts, words, written
from shop import BOB, DOMAIN, NOON, facts, mail, picture, planned, reading, said, talk

from gateway.core import carrier
from gateway.core.facts import Facts
from gateway.core.model import Fate, Picture
from gateway.core.rules import Employee, PolicyRules, Rules, TextRules
from gateway.core.work import Delivery, MailParcel, Plan, TextParcel

_ROWS = {
    "plain": {
        "name": "Plain",
        "sms": {"address": "{national}@txt.plain.example", "status": "active"},
        "mms": {"address": "{national}@mms.plain.example", "status": "active", "max_bytes": 9},
    },
    "odd": {
        "name": "Odd",
        "sms": {"address": "{national}@txt.odd.example", "status": "active", "quirks": ["no_colon", "ascii"]},
    },
    "tiny": {"name": "Tiny", "sms": {"address": "{national}@txt.tiny.example", "status": "active", "max_chars": 40}},
}
CARRIERS, _PROBLEMS = carrier.build([("shop", _ROWS)])
assert not _PROBLEMS
AUTHOR = 2 + 16 + 1 + len(DOMAIN)  # r-, a token, @: 125 of 160 characters are left
TOKENS = tuple(f"tokenabcdefg{n:04d}" for n in range(40))
FRESH = Facts(fresh=TOKENS)
PDF = picture("application/pdf", "bill.pdf")


def told(row: str = "plain", *, channel: str = "sms", fallback: str = "provider", **changes: Any) -> Rules:
    """Bob's texts go by that row of the table; `changes` are those of [text]."""
    bob = Employee(name="bob", phone=BOB, carrier=row, channel=channel, fallback=fallback)
    text = TextRules(**{"first": "", **changes})
    return shop.rules(carriers=CARRIERS, employees=(bob,), groups={}, text=text)


def made(text: str, rules: Rules, *pictures: Picture, known: Facts = FRESH, **changes: Any) -> Plan:
    return planned(mail("bob"), known, rules, reading(text=text, **changes), pictures=pictures)


def bodies(plan: Plan) -> list[str]:
    return [words(one).removesuffix("\n") for one in texts(plan)]


LONG = ("word " * 96)[:-1]


def test_a_text_that_is_too_long_for_the_gateway_goes_in_parts_that_leave_in_order() -> None:
    plan = made(LONG, told())
    deliveries = texts(plan)

    assert ["m1.1.1", "m1.1.1-2", "m1.1.1-3", "m1.1.1-4"] == [d.id for d in deliveries]
    assert {"mail|m1.1.1"} == {d.lane for d in deliveries}
    assert {("@txt.plain.example", "2025550112@txt.plain.example", "")} == {
        (d.number, d.to, d.sender) for d in deliveries
    }
    assert [f"({n}/4) word word" for n in (1, 2, 3, 4)] == [body[:15] for body in bodies(plan)]
    assert LONG == " ".join(body[6:] for body in bodies(plan))
    assert all(len(body) <= 160 - AUTHOR - 1 for body in bodies(plan))
    assert LONG == plan.writes.messages[0].text, "the whole text is what trace shows"


def test_each_part_is_a_mail_of_its_own_that_can_come_back() -> None:
    plan = made(LONG, told())
    tokens = [d.bounce for d in texts(plan)]
    parcels = [d.parcel for d in texts(plan)]

    assert len({*tokens, plan.writes.conversations[0].id}) == 5
    assert set(tokens) < set(TOKENS)
    assert [(f"b-{token}@{DOMAIN}", "FAILURE,DELAY") for token in tokens] == [
        (p.mail_from, p.notify) for p in parcels if isinstance(p, MailParcel)
    ]
    assert [f"<m1.1.1{part}@{DOMAIN}>" for part in ("", "-2", "-3", "-4")] == [
        written(d)["Message-ID"] for d in texts(plan)
    ]
    assert {f"r-{plan.writes.conversations[0].id}@{DOMAIN}"} == {written(d)["From"] for d in texts(plan)}


@pytest.mark.parametrize(
    ("text", "row", "expected"),
    [
        pytest.param("x" * 125, "plain", ["x" * 125], id="as long as it may be"),
        pytest.param("x" * 124 + " y", "plain", [f"(1/2) {'x' * 119}", "(2/2) xxxxx y"], id="one too many"),
        pytest.param("RO 12: caf\u00e9", "odd", ["RO 12 - cafe"], id="quirks in one mail"),
        pytest.param("Come at 10:30", "odd", [" Come at 10:30"], id="a colon that stays"),
        pytest.param("Caf\u00e9", "plain", ["Caf\u00e9"], id="no quirk"),
    ],
)
def test_a_text_goes_as_its_gateway_takes_it(text: str, row: str, expected: list[str]) -> None:
    plan = made(text, told(row))

    assert expected == bodies(plan)
    assert (text, "") == (plan.writes.messages[0].text, plan.writes.messages[0].cut)
    assert [1] * len(expected) == [d.segments for d in texts(plan)]


def test_the_relays_one_sender_counts_as_the_address_that_a_part_comes_from() -> None:
    rules = replace(told(), relay_sender="texts.of.the.workshop@relay.shop.example.com")

    assert 2 == len(texts(made("x" * 120, rules)))


@pytest.mark.parametrize(
    ("row", "text", "changes", "why"),
    [
        pytest.param(
            "plain", LONG[:449], {"max_segments": 3}, "it makes 4 texts of 125 characters, and at most 3", id="long"
        ),
        pytest.param("odd", "\u041f\u0440\u0438\u0432\u0435\u0442", {}, "takes ASCII only", id="another script"),
        pytest.param("tiny", "x" * 30, {}, "leave no room for a text", id="no room"),
        pytest.param("tiny", "x" * 30, {"too_long": "cut"}, "leave no room for a text", id="nor where it may be cut"),
        pytest.param("plain", "x" * 150, {"max_segments": 1, "too_long": "cut"}, "makes 2 texts", id="one long word"),
    ],
)
def test_what_a_gateway_cannot_take_goes_by_the_provider_or_is_refused(
    row: str, text: str, changes: dict[str, Any], why: str
) -> None:
    by_provider = made(text, told(row, **changes))
    (one,), (message,) = texts(by_provider), by_provider.writes.messages
    refused = made(text, told(row, fallback="none", **changes))

    assert ("m1.1.1", "twilio", "service", ()) == (one.id, one.courier, one.number, one.ways)
    assert isinstance(one.parcel, TextParcel)
    assert (text, text, "jobs") == (one.parcel.body, message.text, one.sender)
    assert message.rule.startswith("employee bob: carrier ")
    assert why in message.rule
    assert message.rule.endswith("; employee bob: fallback twilio number service")
    assert (BOB, "refused", "5.6.0") == fates(refused)[0]
    assert why in refused.writes.deliveries[0].note
    assert () == refused.writes.conversations


@pytest.mark.parametrize("most", [1, 2, 3])
def test_a_text_that_may_be_cut_gives_way_to_what_the_gateway_takes(most: int) -> None:
    plan = made(LONG, told(max_segments=most, too_long="cut"), cut="-- \nThe desk")
    (message,) = plan.writes.messages

    assert most == len(texts(plan))
    assert message.text.endswith("word...")
    kept, gone = message.text.removesuffix("...").split(), message.cut.split()
    assert LONG.split() == kept + gone[:-3]
    assert message.cut.endswith("word\n-- \nThe desk")
    # another word would have made another part
    assert most * 114 < len(message.text) <= most * 125


def test_a_text_that_may_be_cut_is_not_cut_where_its_parts_suffice() -> None:
    (message,) = made(LONG, told(too_long="cut")).writes.messages

    assert (LONG, "") == (message.text, message.cut)


def test_the_answer_of_a_person_goes_first_in_all_its_parts() -> None:
    running = talk(phone=BOB, heard_at=NOON)
    plan = planned(mail("r-aaaaaaaaaaaaaaaa"), facts(conversations=(running,)), told(), reading(answer=LONG))

    assert [(True, 1, ("service",))] * 4 == [(d.conversational, d.priority, d.ways) for d in texts(plan)]


def test_the_flood_brake_holds_all_parts_and_knows_a_text_that_was_cut() -> None:
    rules = told(max_segments=2, too_long="cut")
    braked = replace(rules, policy=PolicyRules(flood_per_minute=5))
    (sent,) = made(LONG, rules).writes.messages
    again = made(LONG, braked, known=replace(FRESH, said={BOB: (said(sent.text),)}))
    held = [d for d in again.writes.deliveries if d.phone == BOB]

    assert [Fate.HELD, Fate.HELD] == [d.fate for d in held]
    assert all("the same text went to this phone" in d.note for d in held)


def attached(delivery: Delivery) -> list[tuple[str, bytes]]:
    return [(part.get_content_type(), part.get_content()) for part in written(delivery).iter_attachments()]


LARGE = picture(name="large.jpg", data=b"x" * 10)
BAD = picture(kind="", name="file-1", data=b"", problem="a picture that cannot be decoded was left out")
TAKES = "was left out: Plain's mms gateway takes one picture, of at most 0.009 kB"
NONE = "left out: Plain's sms gateway takes none"


@pytest.mark.parametrize(
    ("channel", "sent", "goes", "cut"),
    [
        pytest.param("mms", (picture(),), True, "", id="a picture"),
        pytest.param("mms", (PDF, picture()), True, f"(bill.pdf {TAKES})", id="not a PDF"),
        pytest.param("mms", (picture(), picture(name="b.jpg")), True, f"(b.jpg {TAKES})", id="one"),
        pytest.param("mms", (LARGE, picture()), True, f"(large.jpg {TAKES})", id="the first that is small enough"),
        pytest.param("mms", (BAD, LARGE), False, f"({BAD.problem})\n(large.jpg {TAKES})", id="none that is good"),
        pytest.param("mms", (), False, "", id="none at all"),
        pytest.param("sms", (picture(),), False, f"(a picture or file was {NONE})", id="by sms"),
        pytest.param("sms", (picture(), PDF), False, f"(2 pictures or files were {NONE})", id="two by sms"),
    ],
)
def test_one_picture_goes_with_a_text_and_what_is_left_out_is_said(
    channel: str, sent: tuple[Picture, ...], goes: bool, cut: str
) -> None:
    plan = made("Fix this.", told(channel=channel), *sent)
    (one,), (message,) = texts(plan), plan.writes.messages

    assert ([("image/jpeg", b"abc")] if goes else []) == attached(one)
    assert ("multipart/mixed" if goes else "text/plain") == written(one).get_content_type()
    assert ("Fix this.\n", "Fix this.", cut) == (words(one), message.text, message.cut)
    assert () == plan.writes.media


@pytest.mark.parametrize(
    ("changes", "cut"),
    [({}, f"(3 pictures or files were {NONE})"), ({"pictures": "ignore"}, "")],
    ids=["told", "ignored on purpose"],
)
def test_files_that_nobody_looked_into_are_told_too(changes: dict[str, Any], cut: str) -> None:
    (message,) = made("Fix this.", told(**changes), pictures=3).writes.messages

    assert cut == message.cut


def test_pictures_that_are_ignored_go_to_no_carrier() -> None:
    (one,) = texts(made("Fix this.", told(channel="mms", pictures="ignore"), picture()))

    assert [] == attached(one)


def test_the_picture_goes_with_the_first_part() -> None:
    plan = made(LONG, told(channel="mms"), picture())

    assert [1, 0, 0, 0] == [len(attached(one)) for one in texts(plan)]
    assert [f"({n}/4)" for n in (1, 2, 3, 4)] == [body[:5] for body in bodies(plan)]


def test_a_picture_says_enough_where_the_gateway_takes_it() -> None:
    plan = made("", told(channel="mms"), picture())
    (one,) = texts(plan)

    assert ("", [("image/jpeg", b"abc")]) == (plan.writes.messages[0].text, attached(one))
    assert ["multipart/mixed", "image/jpeg"] == [part.get_content_type() for part in written(one).walk()]
    assert (BOB, "refused", "5.6.0") == fates(made("", told(), picture()))[0]
    assert (BOB, "refused", "5.6.0") == fates(made("", told(channel="mms"), LARGE))[0]
