"""Mails through plan.make: what a [[rule]], a tag, vouching, a first text and quiet hours change."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import shop
from outbox import fates, only, texts
from shop import AGREED, JOBS, MARIA, NOON, RULES, SALES, SERVICE, entry, facts, mail, planned, reading, talk

from gateway.core.model import Fate, Kind
from gateway.core.rules import PolicyRules, Rule, Rules, Template, TextRules

CUSTOMER = "2025550143"
FIRST = shop.rules(text=TextRules())
READY = Template(place="config.toml:50", name="ready", text="RO {job}: your {car} is ready.")
SOON = Template(place="config.toml:60", name="soon", text="See you soon.")
OFFERS = Rule(place="config.toml:9", subject=("offer*",), klass="marketing")
EVENING = datetime(2026, 11, 24, 1, 30, tzinfo=UTC)  # 20:30 where Maria's number is from
MARKETING = entry("grant", klass="marketing", id="marketing")


def ruled(*found: Rule, **changes: Any) -> Rules:
    return shop.rules(rules=found, templates=(READY, SOON), **changes)


def body(told: Rules, to: str = CUSTOMER, known: Any = AGREED, **read: Any) -> str:
    (text,) = texts(planned(mail(to), known, told, reading(**read)))
    return text.parcel.body  # type: ignore[union-attr]


def test_a_rule_chooses_the_number_and_is_named() -> None:
    told = ruled(Rule(place="config.toml:9", subject=("remind*",), numbers=("sales",)))
    made = planned(mail(CUSTOMER), AGREED, told)

    assert "sales" == only(made.writes.deliveries).number == made.writes.conversations[0].number
    assert "customer: twilio number sales; [[rule]] config.toml:9" == made.writes.messages[0].rule


def test_a_running_conversation_keeps_its_number_whatever_a_rule_says() -> None:
    told = ruled(Rule(place="config.toml:9", numbers=("sales",)))
    known = facts(entry("grant"), conversations=(talk(),))

    assert ["service"] == [d.number for d in texts(planned(mail(CUSTOMER), known, told))]


def test_the_first_rule_that_fits_counts() -> None:
    told = ruled(
        Rule(place="a", senders=("desk",), numbers=("sales",)), Rule(place="b"), Rule(place="c", numbers=("sales",))
    )

    assert ["service"] == [d.number for d in texts(planned(mail(CUSTOMER), AGREED, told))]


def test_a_refusal_names_the_rule_that_chose_too() -> None:
    told = ruled(Rule(place="config.toml:9"))

    assert "[[rule]] config.toml:9" == planned(mail(CUSTOMER), facts(), told).writes.messages[0].rule


def test_a_template_is_chosen_by_a_rule_and_by_a_tag_and_the_tag_counts() -> None:
    told = ruled(Rule(place="config.toml:9", template="ready"))

    assert "RO 1042: your Golf is ready." == body(told, job="1042", fields={"car": "Golf"})
    assert "See you soon." == body(told, f"{CUSTOMER}+soon", job="1042")
    assert "See you soon." == body(ruled(), f"{CUSTOMER}+soon")


def test_a_message_names_the_template_that_made_it_by_its_place() -> None:
    told = ruled(Rule(place="config.toml:9", template="soon"))
    (by_rule,), (by_tag,) = (
        [m.rule for m in planned(mail(to), AGREED, made).writes.messages if m.kind is Kind.TEXT]
        for to, made in ((CUSTOMER, told), (f"{CUSTOMER}+soon", ruled()))
    )
    place = f"[[template]] {SOON.place}"

    assert f"customer: twilio number service; [[rule]] config.toml:9; {place}" == by_rule
    assert f"customer: twilio number service; {place}" == by_tag


def test_an_answer_by_a_person_names_no_rule() -> None:
    known = facts(conversations=(talk(heard_at=NOON),))
    made = planned(mail("r-aaaaaaaaaaaaaaaa"), known, ruled(Rule(place="config.toml:9", template="soon")))

    assert ["customer: twilio number service"] == [m.rule for m in made.writes.messages]


def test_a_template_that_cannot_be_filled_is_refused_with_what_is_missing() -> None:
    told = ruled(Rule(place="config.toml:9", template="ready"))
    made = planned(mail(CUSTOMER), AGREED, told)

    assert (MARIA, "refused", "5.6.0") == fates(made)[0]
    assert "template ready needs {job}, {car}" in made.writes.deliveries[0].note


def test_a_rule_names_the_job_by_its_own_pattern() -> None:
    told = ruled(Rule(place="config.toml:9", job=r"WO (\d+)"))
    made = planned(mail(CUSTOMER), AGREED, told, reading(captured={r"WO (\d+)": "7"}, job="other"))

    assert ["7"] == [c.job for c in made.writes.conversations]


@pytest.mark.parametrize(
    ("read", "expected"),
    [({}, "reminder"), ({"job": "1042"}, "reminder"), ({"references": ("<a@x>",), "job": "1042"}, "<a@x>")],
    ids=["the subject", "not by [text] job", "the thread"],
)
def test_a_rules_pattern_that_finds_nothing_leaves_the_thread_or_the_subject(
    read: dict[str, Any], expected: str
) -> None:
    told = ruled(Rule(place="config.toml:9", job=r"WO (\d+)"))

    assert [expected] == [c.job for c in planned(mail(CUSTOMER), AGREED, told, reading(**read)).writes.conversations]


def test_the_reader_is_told_each_pattern_once() -> None:
    first, second = Rule(place="a", job="A"), Rule(place="b", job="B")
    told = shop.rules(
        rules=(first, second, Rule(place="c"), first),
        templates=(replace(READY, patterns={"car": "C", "x": "D"}), replace(SOON, patterns={"y": "C"})),
    )

    assert (("A", "B"), ("C", "D")) == (told.job_patterns, told.template_patterns)


@pytest.mark.parametrize(
    ("entries", "fate"),
    [
        pytest.param([entry("grant")], "refused", id="informational consent is not enough"),
        pytest.param([entry("grant"), MARKETING], "waiting", id="marketing consent"),
        pytest.param([MARKETING, entry("stop")], "refused", id="STOP"),
    ],
)
def test_an_offer_needs_marketing_consent(entries: list[Any], fate: str) -> None:
    made = planned(mail(CUSTOMER), facts(*entries), ruled(OFFERS), reading(subject="Offer of the week"))

    assert (fate, "marketing") == (made.writes.deliveries[0].fate.value, made.writes.messages[0].klass)


def test_an_answer_at_r_is_of_no_class() -> None:
    known = facts(conversations=(talk(heard_at=NOON),))
    made = planned(mail("r-aaaaaaaaaaaaaaaa"), known, ruled(OFFERS), reading(subject="Offer of the week"))

    assert [("waiting", "informational")] == [
        (d.fate.value, m.klass) for d, m in zip(made.writes.deliveries, made.writes.messages, strict=True)
    ]


def test_a_customers_first_text_by_a_number_says_who_texts_and_how_to_stop() -> None:
    whole = "Example Auto: Your car is ready. Reply HELP for help, STOP to opt out."

    assert whole == body(FIRST)
    assert "Your car is ready." == body(FIRST, known=replace(AGREED, introduced=frozenset({(SERVICE, MARIA)})))
    assert whole == body(FIRST, known=replace(AGREED, introduced=frozenset({(SALES, MARIA)}))), "each number once"
    assert whole == body(FIRST, known=replace(AGREED, introduced=frozenset({(SERVICE, shop.PETER)}))), "and phone"


def test_an_employee_and_a_person_who_wrote_need_no_introduction() -> None:
    known = facts(conversations=(talk(heard_at=NOON),))

    assert "Your car is ready." == body(FIRST, "alice", facts())
    assert "At five." == body(FIRST, "r-aaaaaaaaaaaaaaaa", known)


VOUCHING = shop.sender("jobs", vouches=True)


def test_each_mail_of_a_sender_who_vouches_is_entered_as_consent() -> None:
    made = [planned(mail(CUSTOMER, id=ident), facts(), VOUCHING) for ident in ("m1", "m2")]
    entries = [c for p in made for c in p.writes.consents]

    assert [f"m1.vouched.{MARIA}", f"m2.vouched.{MARIA}"] == [c.id for c in entries]
    assert {("grant", "informational", "job_system", "jobs")} == {
        (c.action, c.klass, c.method, c.recorded_by) for c in entries
    }
    assert "[[sender]] jobs vouches; mail <m1@shop.example.com>" == entries[0].evidence
    assert [1, 1] == [len(texts(p)) for p in made]


@pytest.mark.parametrize(
    ("to", "known"),
    [
        pytest.param(CUSTOMER, facts(entry("stop")), id="after a STOP"),
        pytest.param(CUSTOMER, facts(entry("revoke")), id="after a revocation"),
        pytest.param(CUSTOMER, facts(entry("grant"), entry("suspend")), id="in doubt"),
        pytest.param("bob", facts(), id="an employee"),
        pytest.param("r-aaaaaaaaaaaaaaaa", facts(conversations=(talk(heard_at=NOON),)), id="an answer"),
    ],
)
def test_vouching_enters_nothing_where_it_counts_for_nothing(to: str, known: Any) -> None:
    assert () == planned(mail(to), known, VOUCHING).writes.consents


def test_vouching_is_no_consent_to_offers() -> None:
    told = replace(ruled(OFFERS), senders=VOUCHING.senders)

    assert "refused" == fates(planned(mail(CUSTOMER), facts(), told, reading(subject="Offer")))[0][1]


def quiet(**changes: Any) -> Rules:
    return shop.rules(policy=PolicyRules(quiet_hours="20:00-08:00", **changes))


def test_quiet_hours_hold_a_reminder_and_no_employees_text() -> None:
    made = planned(mail(CUSTOMER, "bob"), AGREED, quiet(), now=EVENING)
    held, carried = made.writes.deliveries

    assert (Fate.WAITING, "quiet hours") == (held.fate, held.reason)
    assert EVENING + timedelta(hours=11, minutes=30) == held.due_at
    assert (EVENING, "") == (carried.due_at, carried.reason)


def test_a_reminder_that_they_would_hold_for_too_long_ends_and_is_told() -> None:
    made = planned(mail(CUSTOMER), AGREED, quiet(hold_at_most=timedelta(hours=2)), now=EVENING)

    assert [(MARIA, "expired", "4.4.7"), (JOBS, "waiting", "")] == fates(made)
    assert [Kind.TEXT, Kind.REPORT] == [m.kind for m in made.writes.messages]
    assert "quiet hours hold it until" in made.writes.messages[1].text


def test_a_number_that_the_provider_bars_is_left_out_and_the_rest_of_the_pool_is_used() -> None:
    known = facts(entry("grant"), entry("block", number=SALES))
    alone = facts(entry("grant"), entry("block", number=SERVICE))

    assert ["service"] == [d.number for d in texts(planned(mail(CUSTOMER, sender="desk"), known, RULES))]
    refused = planned(mail(CUSTOMER), alone, RULES).writes.deliveries[0]
    assert (Fate.REFUSED, "5.7.1") == (refused.fate, refused.code)
    assert "takes no text from service to +1 202-555-0143" in refused.note
    running = facts(entry("grant"), entry("block", number=SALES), conversations=(talk(sender="desk", number="sales"),))
    assert ["service"] == [d.number for d in texts(planned(mail(CUSTOMER, sender="desk"), running, RULES))]
