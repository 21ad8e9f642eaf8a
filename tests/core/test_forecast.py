"""Mails to preview+ through plan.make, and the rows of `gateway preview --json`."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import shop
from outbox import only, words, written
from shop import AGREED, DOMAIN, JOBS, MARIA, NOON, RULES, entry, facts, mail, planned, reading, talk

from gateway.core import carrier
from gateway.core.address import BadAddress
from gateway.core.desk import Desk
from gateway.core.facts import Facts
from gateway.core.forecast import forecast
from gateway.core.intent import target_of
from gateway.core.model import Fate, InboundMail, Kind, Picture, Reading
from gateway.core.rules import PolicyRules, Rules, TextRules
from gateway.core.work import MailParcel

# design.md 5.4
KEYS = {
    "to", "kind", "person", "route", "rule", "text", "encoding", "segments", "units", "costly", "consent", "due_at",
    "refused",
}  # fmt: skip


def rows(
    recipient: str,
    known: Facts = AGREED,
    told: Rules = RULES,
    read: Reading | None = None,
    *,
    now: datetime = NOON,
    pictures: tuple[Picture, ...] = (),
    **changes: Any,
) -> list[dict[str, object]]:
    inbound: InboundMail = mail(recipient, **changes)
    desk = Desk(
        mail=inbound, reading=read or reading(), facts=known, rules=told, now=now, tokens=iter(()), pictures=pictures
    )
    return forecast(target_of(shop.at(recipient), told), desk, shop.at(recipient))


def test_a_row_tells_what_a_text_to_a_customer_would_be() -> None:
    read = reading(text="Your car is ready\u2014pay 5\u20ac {now}.", cut="-- \nDesk")

    assert [
        {
            "to": MARIA,
            "kind": "customer",
            "person": None,
            "route": {"courier": "twilio", "number": "sales", "from": shop.SALES, "address": MARIA},
            "rule": "customer: twilio number sales",
            "text": "Your car is ready-pay 5\u20ac {now}.",
            "parts": [],
            "cut": "-- \nDesk",
            "encoding": "GSM-7",
            "segments": 1,
            "units": 34,
            "costly": [],
            "price": 0.01,
            "consent": "informational by paper 2026-11-22",
            "due_at": "2026-11-23T17:00:00+00:00",
            "pictures": 0,
            "warnings": [],
            "refused": None,
        }
    ] == rows("2025550143+sales", read=read)


def test_a_row_tells_which_carrier_would_bring_it() -> None:
    (row,) = rows("bob")

    assert {"courier": "mail", "carrier": "verizon", "channel": "sms", "address": "2025550112@vtext.com"} == row[
        "route"
    ]
    assert ("employee", "bob", "employee", None) == (row["kind"], row["person"], row["consent"], row["price"])


def test_a_row_shows_the_characters_that_make_a_text_costly() -> None:
    (row,) = rows("2025550143", read=reading(text="Ready \U0001f697"))

    assert ("UCS-2", ["\U0001f697"], 8) == (row["encoding"], row["costly"], row["units"])


def test_there_is_one_row_per_person_of_a_group() -> None:
    assert [("alice", None), ("bob", None)] == [(r["person"], r["refused"]) for r in rows("techs")[:2]]
    assert "2025-06-17" in str(rows("techs")[2]["refused"])


@pytest.mark.parametrize(
    ("recipient", "known", "read", "told", "reason"),
    [
        pytest.param("2025550144", facts(), None, RULES, "has not agreed to texts", id="no consent"),
        pytest.param("2025550143", facts(entry("stop")), None, RULES, "said STOP", id="STOP"),
        pytest.param("mallory", facts(), None, RULES, "neither an employee nor a group", id="nobody"),
        pytest.param("12", facts(), None, RULES, "12 is not a valid phone number", id="no phone"),
        pytest.param("postmaster", facts(), None, RULES, "no text follows from this address", id="no text"),
        pytest.param("2025550143", AGREED, reading(text=""), RULES, "the mail has no text", id="no words"),
        pytest.param(
            "2025550143",
            AGREED,
            reading(text="x" * 161),
            shop.rules(text=TextRules(max_segments=1, first="")),
            "too long",
            id="long",
        ),
    ],
)
def test_a_row_says_why_nothing_would_go_out(
    recipient: str, known: Facts, read: Reading | None, told: Rules, reason: str
) -> None:
    (row,) = rows(recipient, known, told, read)

    assert reason in str(row["refused"])
    assert None is row["due_at"]


@pytest.mark.parametrize("recipient", ["2025550143", "bob", "mallory", "12", "postmaster", "r-aaaaaaaaaaaaaaaa"])
def test_every_row_has_the_keys_of_the_contract(recipient: str) -> None:
    known = facts(entry("grant"), conversations=(talk(),))

    assert all(KEYS <= set(row) for row in rows(recipient, known))


def test_an_answer_at_r_shows_what_is_cut_from_it() -> None:
    (row,) = rows("r-aaaaaaaaaaaaaaaa", facts(conversations=(talk(heard_at=NOON),)))

    assert ("At five.", "> earlier words", "conversational") == (row["text"], row["cut"], row["consent"])


def test_the_number_is_the_one_that_the_text_would_go_by() -> None:
    running = talk(sender="desk", number="service")
    (row,) = rows("2025550143", facts(entry("grant"), conversations=(running,)), sender="desk")

    assert "customer: twilio number service" == row["rule"]


def test_a_mail_to_preview_is_answered_and_texts_nobody() -> None:
    made = planned(mail("preview+2025550143", "preview+mallory"), AGREED)
    first, second = made.writes.deliveries

    assert isinstance(first.parcel, MailParcel)
    assert ("", JOBS, Kind.PREVIEW, Fate.WAITING) == (first.parcel.mail_from, first.to, first.kind, first.fate)
    assert ("Preview: Reminder", "auto-generated") == (written(first)["Subject"], written(first)["Auto-Submitted"])
    assert "<m1@shop.example.com>" == written(first)["In-Reply-To"]
    assert (
        "to: +12025550143\nkind: customer\ntext: Your car is ready.\nencoding: GSM-7\nsegments: 1\nunits: 18\n"
        "route: twilio service +12025550100 +12025550143\n"
        "rule: customer: twilio number service\nconsent: informational by paper 2026-11-22\n"
        "due_at: 2026-11-23T17:00:00+00:00\n\nNothing was sent.\n"
    ) == words(first)
    assert "refused: mallory is neither an employee nor a group" in words(second)
    assert () == made.writes.conversations
    assert {("", "preview")} == {(m.report_to, m.rule) for m in made.writes.messages}


def test_a_preview_comes_from_the_relays_one_sender() -> None:
    delivery = only(planned(mail("preview+bob"), facts(), shop.rules(relay_sender="s@r.example")).writes.deliveries)

    assert "s@r.example" == written(delivery)["From"].addresses[0].addr_spec


def test_a_preview_of_what_is_no_address_is_refused_like_any_other() -> None:
    assert isinstance(target_of(f"preview+12@{DOMAIN}", RULES), BadAddress)
    assert Fate.REFUSED is planned(mail("preview+12", sender="lax"), facts()).writes.deliveries[0].fate


def test_a_row_says_when_quiet_hours_let_it_go() -> None:
    night = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)
    told = shop.rules(policy=PolicyRules(quiet_hours="20:00-08:00"))

    assert "2026-11-24T13:00:00+00:00" == rows("2025550143", told=told, now=night)[0]["due_at"]
    assert night.isoformat() == rows("bob", told=told, now=night)[0]["due_at"]


def test_what_quiet_hours_would_end_at_once_is_shown_as_refused() -> None:
    night = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)
    told = shop.rules(policy=PolicyRules(quiet_hours="20:00-08:00", hold_at_most=timedelta(hours=1)))
    (row,) = rows("2025550143", told=told, now=night)

    assert None is row["due_at"]
    assert "longer than [policy] hold_at_most allows" in str(row["refused"])


def by_row(fallback: str = "none", channel: str = "sms", **row: object) -> Rules:
    """Bob's texts go by a row of the table that says this besides its address."""
    bare = {"address": "{national}@txt.x.example", "status": "active"}
    carriers, _ = carrier.build([("shop", {"x": {"name": "X", channel: {**bare, **row}}})])
    return replace(shop.employee("bob", carrier="x", channel=channel, fallback=fallback), carriers=carriers)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        pytest.param("Your car is ready.", ["Your car is ready."], id="one"),
        pytest.param("RO 12: ready", ["RO 12 - ready"], id="as its quirks want it"),
        pytest.param("x" * 120 + " at end", [f"(1/2) {'x' * 119}", "(2/2) x at end"], id="two"),
    ],
)
def test_a_row_shows_the_texts_that_a_carrier_gets_and_the_text_as_it_was_written(text: str, parts: list[str]) -> None:
    (row,) = rows("bob", told=by_row(quirks=["no_colon"]), read=reading(text=text))

    assert (text, parts, None) == (row["text"], row["parts"], row["refused"])


def test_a_row_warns_of_what_the_carrier_drops() -> None:
    read = reading(text="See https://shop.example.com")
    (warned,) = rows("bob", told=by_row(quirks=["no_links"]), read=read)

    assert ["X drops links, so that the text may arrive without its link"] == warned["warnings"]
    assert [] == rows("bob", read=read)[0]["warnings"]


def courier(row: dict[str, object]) -> object:
    route = row["route"]
    assert isinstance(route, dict)
    return route["courier"]


def test_a_row_says_what_the_gateway_cannot_take_and_which_way_does() -> None:
    (refused,) = rows("bob", told=by_row(max_chars=40))
    (by_provider,) = rows("bob", told=by_row("provider", max_chars=40))

    assert "leave no room for a text" in str(refused["refused"])
    assert ("mail", [], None) == (courier(refused), refused["parts"], refused["due_at"])
    assert ("twilio", [], None) == (courier(by_provider), by_provider["parts"], by_provider["refused"])
    assert "leave no room for a text; employee bob: fallback" in str(by_provider["rule"])


def test_a_row_counts_the_picture_that_goes_to_a_carrier() -> None:
    sent = (shop.picture(), shop.picture(name="b.jpg"))
    (row,) = rows("bob", told=by_row(channel="mms"), pictures=sent)
    why = "b.jpg was left out: X's mms gateway takes one picture, of at most 500 kB"

    assert (1, [why]) == (row["pictures"], row["warnings"])


def test_the_mail_that_answers_a_preview_shows_the_parts_below_each_other() -> None:
    parted = planned(mail("preview+bob"), facts(), by_row(), reading(text="x" * 120 + " at end"))
    whole = planned(mail("preview+bob"), facts(), by_row())

    assert f"\nparts: \n  (1/2) {'x' * 119}\n  (2/2) x at end\n" in words(only(parted.writes.deliveries))
    assert "parts" not in words(only(whole.writes.deliveries))


def test_a_row_says_which_picture_cannot_go_and_why() -> None:
    bad = shop.picture(data=b"", problem="car.jpg is too large")
    told = shop.rules(public_url="https://sms.example.com")

    assert ["car.jpg is too large"] == rows("2025550143", told=told, pictures=(bad,))[0]["warnings"]
    assert ["a picture or file was left out: Verizon's sms gateway takes none"] == rows(
        "bob", told=told, pictures=(bad,)
    )[0]["warnings"]
