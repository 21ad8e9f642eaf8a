"""Pictures and files that go out with a text, also through plan.make."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
import shop
from outbox import fates, only, paid, texts
from shop import AGREED, MARIA, NOON, entry, facts, mail, picture, planned, reading

from gateway.core import carrier
from gateway.core.desk import Desk
from gateway.core.enclosed import address, as_links, carried_bytes, enclosed, linked
from gateway.core.forecast import forecast
from gateway.core.gsm import segments
from gateway.core.intent import target_of, understand
from gateway.core.model import Picture
from gateway.core.rules import Rules, TextRules
from gateway.core.template import Words
from gateway.core.work import MailParcel, Plan, TextParcel

CUSTOMER = "2025550143"
URL = "https://sms.example.com"
OPEN = shop.rules(public_url=URL)
PLAIN = replace(shop.number("service", mms=False), public_url=URL)
PDF = picture("application/pdf", "bill.pdf")


def parcel(made: Plan) -> TextParcel:
    found = texts(made)[0].parcel
    assert isinstance(found, TextParcel)
    return found


def worded(told: Rules, **changes: object) -> Rules:
    return replace(told, text=TextRules(**{"first": "", **changes}))  # type: ignore[arg-type]


def test_a_picture_goes_with_the_text_by_an_address_that_nobody_guesses() -> None:
    made = planned(mail(CUSTOMER), AGREED, OPEN, pictures=(picture(),))
    (file,) = made.writes.media

    assert (f"{URL}/media/{file.token}/car.jpg",) == parcel(made).media
    assert "Your car is ready." == parcel(made).body
    assert file.token in AGREED.fresh
    assert ("image/jpeg", b"abc", "m1.1") == (file.kind, file.data, file.message)
    assert (NOON, NOON + timedelta(days=7)) == (file.at, file.expires_at)
    assert address(file, OPEN) == parcel(made).media[0]


@pytest.mark.parametrize(
    ("told", "sent", "media", "links"),
    [
        pytest.param(OPEN, (picture(), PDF), 1, 1, id="a PDF goes as a link"),
        pytest.param(PLAIN, (picture(), PDF), 0, 2, id="a number without pictures"),
        pytest.param(shop.RULES, (picture(),), 0, 0, id="nowhere to fetch it"),
        pytest.param(worded(OPEN, pictures="ignore"), (picture(),), 0, 0, id="ignored"),
        pytest.param(OPEN, (picture(data=b"", problem="too large"),), 0, 0, id="without data"),
        pytest.param(OPEN, tuple(picture(name=f"{n}.jpg") for n in range(12)), 10, 0, id="ten at most"),
    ],
)
def test_what_goes_as_media_and_what_as_a_link(told: Rules, sent: tuple[Picture, ...], media: int, links: int) -> None:
    known = facts(entry("grant"))
    found = enclosed(sent, told.numbers[0], "m1.1", told, NOON, iter(known.fresh))
    made = planned(mail(CUSTOMER), known, told, pictures=sent)

    assert (media, links) == (len(found.media), len(found.links))
    assert media == len(parcel(made).media)
    assert links == parcel(made).body.count(f"\n{URL}/media/")
    assert media + links == len(made.writes.media) == len({f.token for f in made.writes.media})


def test_an_employees_carrier_is_sent_no_pictures() -> None:
    made = planned(mail("bob"), facts(), OPEN, pictures=(picture(),))

    assert ((), "Your car is ready.") == (made.writes.media, made.writes.messages[0].text)
    assert isinstance(only(made.writes.deliveries).parcel, MailParcel)


@pytest.mark.parametrize(
    ("told", "sent", "body", "media"),
    [
        pytest.param(OPEN, picture(), "", 1, id="a picture says enough"),
        pytest.param(OPEN, PDF, f"{URL}/media/token00001x/bill.pdf", 0, id="so does a link"),
        pytest.param(
            worded(OPEN, first="{brand}: {text} Reply HELP for help, STOP to opt out."),
            picture(),
            "Example Auto: Reply HELP for help, STOP to opt out.",
            1,
            id="but for a first text",
        ),
    ],
)
def test_a_mail_without_words_is_texted_for_its_picture(told: Rules, sent: Picture, body: str, media: int) -> None:
    made = planned(mail(CUSTOMER), AGREED, told, reading(text=""), pictures=(sent,))

    assert (body, media) == (parcel(made).body, len(parcel(made).media))


@pytest.mark.parametrize("recipient", [CUSTOMER, "bob"])
def test_a_mail_without_words_and_without_a_picture_that_can_be_had_is_refused(recipient: str) -> None:
    sent = picture(data=b"", problem="too large") if recipient == CUSTOMER else picture()
    made = planned(mail(recipient), AGREED, OPEN, reading(text=""), pictures=(sent,))

    assert ("refused", "5.6.0") == fates(made)[0][1:]
    assert "the mail has no text" in made.writes.deliveries[0].note


def test_words_and_links_that_are_too_long_together_are_refused() -> None:
    told = worded(PLAIN, max_segments=1)
    made = planned(mail(CUSTOMER), AGREED, told, reading(text="word " * 30), pictures=(picture(),))

    assert (MARIA, "refused", "5.6.0") == fates(made)[0]
    assert "2 segments with its links, [text] max_segments is 1" in made.writes.deliveries[0].note


@pytest.mark.parametrize("most", [1, 2, 3, 4])
@pytest.mark.parametrize("word", ["word ", "caf\u00e9 \U0001f697 ", "[x] "], ids=["plain", "costly", "two septets"])
def test_words_give_way_where_they_may_be_cut_and_never_a_link_nor_the_way_out(most: int, word: str) -> None:
    first = "{brand}: {text} Reply HELP for help, STOP to opt out."
    told = worded(PLAIN, max_segments=most + 1, too_long="cut", first=first)
    made = planned(mail(CUSTOMER), AGREED, told, reading(text=word * 200), pictures=(picture(),))
    text, message = parcel(made).body, made.writes.messages[0]

    assert segments(text) <= most + 1
    assert text.endswith("STOP to opt out.\n" + f"{URL}/media/token00001x/car.jpg")
    assert text.startswith("Example Auto: ")
    assert message.cut.endswith(word.strip())


@pytest.mark.parametrize(("most", "count"), [(1, 5), (2, 9), (3, 9)])
def test_links_that_leave_no_room_for_words_are_refused(most: int, count: int) -> None:
    told = worded(PLAIN, max_segments=most, too_long="cut")
    sent = tuple(picture(name=f"{n}{'x' * 40}.jpg") for n in range(count))
    made = planned(mail(CUSTOMER), AGREED, told, pictures=sent)

    assert f"with its links, [text] max_segments is {most}" in made.writes.deliveries[0].note


def test_words_that_are_refused_get_no_links() -> None:
    bad = Words(text="", segments=0, problem="no")

    assert bad == linked(bad, ("https://x.example",), OPEN)
    assert Words(text="a", segments=1) == linked(Words(text="a", segments=1), (), OPEN)


def test_a_refused_picture_goes_as_links() -> None:
    delivery = paid(parcel=TextParcel(number=shop.SERVICE, service="", to=MARIA, body="", validity_seconds=9,
                                      media=("https://x/1", "https://x/2")))  # fmt: skip
    found = as_links(delivery)

    assert found is not None
    assert ("https://x/1\nhttps://x/2", ()) == (found.body, found.media)
    assert None is as_links(paid())
    assert None is as_links(paid(parcel=None))


@pytest.mark.parametrize(
    ("recipients", "expected"),
    [
        pytest.param(("bob",), 0, id="by sms"),
        pytest.param(("alice",), 300_000, id="as its row says"),
        pytest.param(("carol",), 500_000, id="as is assumed"),
        pytest.param(("carol", "alice", "bob", CUSTOMER), 300_000, id="the least"),
        pytest.param(("all",), 300_000, id="a group"),
        pytest.param(("preview+carol",), 500_000, id="a preview"),
        pytest.param((CUSTOMER, "dave", "postmaster"), 0, id="nobody's carrier"),
        pytest.param(("r-aaaaaaaaaaaaaaaa",), 300_000, id="whoever is behind a conversation"),
    ],
)
def test_a_picture_is_made_for_the_smallest_gateway_that_gets_it(recipients: tuple[str, ...], expected: int) -> None:
    row = {"address": "{national}@mms.example", "status": "active"}
    table = {"a": {"name": "A", "mms": {**row, "max_bytes": 300_000}}, "c": {"name": "C", "mms": row}}
    carriers, _ = carrier.build([("shop", table)])
    by = {"alice": "a", "carol": "c", "dave": "gone"}
    people = tuple(replace(e, carrier=by.get(e.name, ""), channel="mms") for e in shop.RULES.employees)
    told = shop.rules(carriers=carriers, employees=people, groups={"all": ("bob", "alice", "carol")})

    assert expected == carried_bytes(understand(mail(*recipients), reading(), told), told)


@pytest.mark.parametrize("told", [OPEN, PLAIN], ids=["media", "links"])
@pytest.mark.parametrize("words", ["Your car is ready.", ""])
def test_a_preview_shows_the_text_with_its_pictures_and_uses_no_token_up(told: Rules, words: str) -> None:
    known = facts(entry("grant"), fresh=())
    read, sent = reading(text=words), (picture(), PDF)
    desk = Desk(mail=mail(CUSTOMER), reading=read, facts=known, rules=told, now=NOON, tokens=iter(()), pictures=sent)
    (row,) = forecast(target_of(shop.at(CUSTOMER), told), desk, shop.at(CUSTOMER))

    assert None is row["refused"]
    assert (1 if told is OPEN else 0) == row["pictures"]
    assert str(row["text"]).startswith(words)
    assert "/bill.pdf" in str(row["text"])


@pytest.mark.parametrize(
    ("told", "to", "warned"),
    [
        pytest.param(shop.RULES, CUSTOMER, True, id="nowhere to fetch them"),
        pytest.param(OPEN, CUSTOMER, False, id="they go"),
        pytest.param(worded(shop.RULES, pictures="ignore"), CUSTOMER, False, id="left out on purpose"),
        pytest.param(shop.RULES, "bob", False, id="an employee"),
    ],
)
def test_a_preview_warns_that_pictures_are_left_out(told: Rules, to: str, warned: bool) -> None:
    read = reading(text="Reply STOP or YES", pictures=1)
    desk = Desk(mail=mail(to), reading=read, facts=AGREED, rules=told, now=NOON, tokens=iter(()))
    (row,) = forecast(target_of(shop.at(to), told), desk, shop.at(to))
    warnings = row["warnings"]

    assert isinstance(warnings, list)
    assert warned == ("its pictures are left out: they need [http] public_url" in warnings)
    assert any("invites the answer YES" in w for w in warnings)
