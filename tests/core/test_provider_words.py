"""What a provider says of a text, by code: told once, asked about, alarmed, replaced; and whose STOP it is."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import shop
from outbox import message, only, paid
from shop import ADMIN, JOBS, MARIA, MINUTE, NOON, RULES, SALES, SERVICE, entry, facts, planned, status_in, talk

from gateway.core import policy, verdict
from gateway.core.model import Consent, Fate, Kind
from gateway.core.rules import ErrorRule, Rules
from gateway.core.work import Delivery, Refused, TextParcel, Writes

PICTURED = paid(
    fate=Fate.HANDED_OVER,
    parcel=TextParcel(number=SERVICE, service="", to=MARIA, body="Look", validity_seconds=9, media=("https://x/1",)),
)


def after(code: str, delivery: Delivery | None = None, told: Rules = RULES, status: str = "undelivered") -> Writes:
    known = facts(
        entry("grant"),
        deliveries={"m1.1.1": delivery or paid(fate=Fate.HANDED_OVER)},
        messages={"m1.1": message()},
        conversations=(talk(),),
    )
    return planned(status_in(status, code=code), known, told).writes


@pytest.mark.parametrize(
    ("code", "kinds"),
    [
        pytest.param("30003", [Kind.REPORT], id="the phone is off"),
        pytest.param("30005", [Kind.REPORT], id="the phone is no more"),
        pytest.param("30007", [Kind.REPORT], id="filtered"),
        pytest.param("30008", [Kind.REPORT], id="no reason"),
        pytest.param("", [Kind.REPORT], id="no code"),
        pytest.param("30011", [Kind.REPORT], id="no pictures, and it had none"),
        pytest.param("30034", [Kind.REPORT, Kind.ALARM], id="our number is not registered"),
        pytest.param("30004", [Kind.REPORT, Kind.QUESTION], id="the person blocked it"),
    ],
)
def test_what_was_accepted_and_failed_is_told_and_never_sent_again(code: str, kinds: list[Kind]) -> None:
    made = after(code)

    assert kinds == [d.kind for d in made.deliveries]
    assert [(JOBS, f"m1.1.{Fate.FAILED}")] == [(m.recipient, m.id) for m in made.messages if m.kind is Kind.REPORT]
    assert [("m1.1.1", Fate.FAILED)] == [(m.delivery, m.fate) for m in made.moves]


@pytest.mark.parametrize("code", ["30003", "30004", "30011", "30034"])
def test_a_failure_that_is_known_already_changes_nothing_more(code: str) -> None:
    made = after(code, replace(PICTURED, fate=Fate.FAILED))

    assert ((), (), ()) == (made.deliveries, made.consents, made.questions)


def test_a_number_at_fault_is_alarmed_once_a_day() -> None:
    first, second = after("30034"), after("30034", paid(id="m1.1.1", message="m1.1", fate=Fate.SENDING))
    (alarm,) = [m for m in first.messages if m.kind is Kind.ALARM]

    assert ("alarm.code.service.30034.2026-11-23.1", ADMIN) == (alarm.id, alarm.recipient)
    assert [alarm.id] == [m.id for m in second.messages if m.kind is Kind.ALARM]
    assert "not registered for business texts" in alarm.text


@pytest.mark.parametrize("code", ["30011", "30019", "63034"])
def test_a_text_whose_picture_the_carrier_refuses_goes_with_a_link_and_is_not_told(code: str) -> None:
    made = after(code, PICTURED)
    linked = only(made.deliveries)

    assert ("m1.1.2", Fate.WAITING, Kind.TEXT) == (linked.id, linked.fate, linked.kind)
    assert "Look\nhttps://x/1" == linked.parcel.body  # type: ignore[union-attr]
    assert [Fate.FAILED] == [m.fate for m in made.moves]


def test_the_one_with_a_link_that_fails_too_is_told() -> None:
    linked = replace(only(after("30011", PICTURED).deliveries), id="m1.1.1", fate=Fate.HANDED_OVER)

    assert [Kind.REPORT] == [d.kind for d in after("30011", linked).deliveries]


def test_the_admins_own_class_of_a_code_counts() -> None:
    told = shop.rules(errors={"30034": ErrorRule(klass="message", text="ask Ann"), "30003": ErrorRule(klass="config")})

    assert [Kind.REPORT] == [d.kind for d in after("30034", told=told).deliveries]
    assert "ask Ann (Twilio 30034)" in after("30034", told=told).messages[0].text
    assert [Kind.REPORT, Kind.ALARM] == [d.kind for d in after("30003", told=told).deliveries]


def test_a_provider_without_a_table_is_quoted_by_its_code() -> None:
    known = facts(by_remote={("flowroute", "m-1"): paid(courier="flowroute", fate=Fate.HANDED_OVER)},
                  messages={"m1.1": message()})  # fmt: skip
    hook = replace(status_in("failed", remote_id="m-1", delivery="", code="30034"), provider="flowroute")
    made = planned(hook, known).writes

    assert [Kind.REPORT] == [d.kind for d in made.deliveries]
    assert "flowroute says failed: code 30034" == made.moves[0].note


def test_who_has_no_mailbox_to_ask_at_is_asked_at_the_postmaster() -> None:
    known = facts(deliveries={"m1.1.1": paid(fate=Fate.HANDED_OVER)}, messages={"m1.1": message(report_to="")})
    made = planned(status_in("failed", code="30004"), known, shop.rules(alarm_to=())).writes

    assert ["postmaster@sms.example.com"] == [d.to for d in made.deliveries]


@pytest.mark.parametrize(
    ("entries", "action"),
    [([entry("grant")], "stop"), ([entry("stop"), entry("start")], "block"), ([entry("suspend")], "stop")],
    ids=["consent", "a START since", "a doubt"],
)
def test_an_opt_out_that_the_provider_tells_by_status_enters_what_it_does_by_answer(
    entries: list[Consent], action: str
) -> None:
    delivery = paid(fate=Fate.HANDED_OVER, posted_at=NOON - MINUTE)
    known = facts(*entries, deliveries={"m1.1.1": delivery}, messages={"m1.1": message()})
    made = planned(status_in("failed", code="21610"), known).writes
    (found,) = made.consents

    assert ("m1.1.1.1.stop", action, SERVICE, "provider") == (found.id, found.action, found.number, found.method)
    assert [Kind.REPORT] == [d.kind for d in made.deliveries]
    assert NOON - MINUTE == found.at, "a START since the request lifts it"
    assert found == replace(opted_out(*entries, posted_at=NOON - MINUTE))


def opted_out(*entries: Consent, told: Rules = RULES, **changes: Any) -> Consent:
    refused = Refused(reason="opted out", code="21610", opted_out=True)
    found = verdict.judge(paid(**changes), message(), refused, told, NOON, facts(*entries))
    (made,) = found.writes.consents
    return made


@pytest.mark.parametrize(
    ("entries", "action"),
    [
        pytest.param([], "stop", id="nobody knew"),
        pytest.param([entry("grant")], "stop", id="consent"),
        pytest.param([entry("stop")], "stop", id="a STOP before"),
        pytest.param([entry("start"), entry("stop", id="later", at=NOON)], "stop", id="a STOP after a START"),
        pytest.param([entry("stop"), entry("start")], "block", id="a START since, perhaps to another number"),
        pytest.param([entry("stop"), entry("start"), entry("grant")], "block", id="and a grant"),
        pytest.param([entry("stop"), entry("start", brand="Other")], "stop", id="a START to another brand"),
    ],
)
def test_a_providers_no_is_a_stop_to_the_brand_or_the_block_of_one_number(entries: list[Consent], action: str) -> None:
    made = opted_out(*entries)

    assert (action, SERVICE, MARIA, "provider") == (made.action, made.number, made.phone, made.method)


def test_a_block_leaves_the_other_numbers_open_and_a_stop_none() -> None:
    before = [entry("stop"), entry("start"), entry("grant")]
    blocked = policy.standing([*before, opted_out(*before)], shop.BRAND)
    stopped = policy.standing([entry("grant"), opted_out(entry("grant"))], shop.BRAND)
    service, sales = RULES.numbers

    assert (True, False) == (policy.barred(service, blocked) is not None, policy.barred(sales, blocked) is not None)
    assert None is policy.forbids(MARIA, blocked, RULES)
    assert None is not policy.forbids(MARIA, stopped, RULES)


def test_an_opt_out_of_a_number_that_is_no_more_names_none() -> None:
    assert "" == opted_out(told=shop.rules(numbers=())).number


def test_a_block_is_asked_again_before_sending() -> None:
    known = facts(entry("grant"), entry("block", number=SERVICE))
    no = verdict.veto(paid(), message(), None, known, RULES, NOON)

    assert no is not None
    assert "is blocked by the provider for our number service" == no.why
    assert None is verdict.veto(paid(number="sales"), message(), None, known, RULES, NOON)
    assert None is verdict.veto(paid(number="gone"), message(), None, known, RULES, NOON)
    assert SALES == RULES.numbers[1].phone


def test_the_class_of_a_text_is_asked_again_before_sending() -> None:
    offer = message(klass="marketing")
    known = facts(entry("grant"))

    assert None is verdict.veto(paid(), message(), None, known, RULES, NOON)
    assert None is not verdict.veto(paid(), offer, None, known, RULES, NOON)
    assert None is verdict.veto(paid(), None, None, known, RULES, NOON)
