"""A carrier's no, or silence: the way that brings the text then, what is noted, and what the admin is told."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import shop
from outbox import carried, message, paid, told_to
from shop import ADMIN, BOB, DAY, JOBS, MINUTE, NOON, RULES, facts

from gateway.core import gone, timing, verdict
from gateway.core.facts import Facts
from gateway.core.model import Confirmation, Fate, Kind
from gateway.core.rules import Rules
from gateway.core.work import Deferred, Delivery, Outcome, Refused, Settlement, Unclear, Writes

TO_BOB = message(phone=BOB, person="bob", recipient="bob@sms.example.com")
BUSY = Deferred(reason="try again", code="4.4.1")
NO_USER = Refused(reason="mx.example answered RCPT with 550 5.1.1 no such user", code="5.1.1")
POLICY = "mx.example answered MAIL with 421 4.2.0 sender rejected AUP#SNDR"
QUARTER = NOON + 15 * MINUTE
SUBJECT = "bob's address at Verizon is gone: left the carrier?"
PROVEN = Confirmation(employee="bob", address="2025550112@vtext.com", at=NOON - DAY, by="admin")


def judged(
    delivery: Delivery, outcome: Outcome, now: Any = NOON, told: Rules = RULES, known: Facts | None = None
) -> Settlement:
    return verdict.judge(delivery, TO_BOB, outcome, told, now, known or facts())


def by_provider(writes: Writes) -> list[str]:
    return [d.id for d in writes.deliveries if d.courier == "twilio"]


def alarms(writes: Writes) -> list[str]:
    return [m.subject for m in writes.messages if m.kind is Kind.ALARM]


def knowing(**changes: Any) -> Facts:
    return facts(confirmations={"bob": replace(PROVEN, **changes)})


@pytest.mark.parametrize(
    ("now", "fate"),
    [
        pytest.param(QUARTER - timedelta(seconds=1), Fate.WAITING, id="in its time"),
        pytest.param(QUARTER, Fate.FAILED, id="at its end"),
        pytest.param(NOON + timedelta(hours=3), Fate.FAILED, id="long after"),
        pytest.param(NOON + timedelta(hours=4), Fate.EXPIRED, id="when it is worth nothing"),
    ],
)
@pytest.mark.parametrize("wide", [False, True], ids=["the carrier", "the relay"])
def test_a_text_that_is_put_off_for_too_long_goes_by_the_provider(now: Any, fate: Fate, wide: bool) -> None:
    found = judged(carried(), replace(BUSY, sender_wide=wide), now)

    assert fate is found.fate
    assert ["m1.1.2"] * (fate is Fate.FAILED) == by_provider(found.writes)
    assert [JOBS] * (fate is Fate.EXPIRED) == told_to(found)
    if fate is Fate.FAILED:
        assert ("deferred", "4.4.1", "try again; falls back to twilio") == (found.outcome, found.code, found.note)


@pytest.mark.parametrize(
    ("delivery", "now", "due"),
    [
        pytest.param(
            carried(attempt=4), NOON + 10 * MINUTE, QUARTER, id="the end of its time comes before the next try"
        ),
        pytest.param(carried(attempt=4, ways=()), NOON + 10 * MINUTE, None, id="nothing else is open"),
        pytest.param(carried(attempt=1), NOON, None, id="the next try comes before"),
        pytest.param(paid(attempt=6), NOON + 14 * MINUTE, None, id="a paid text"),
        pytest.param(carried(phone=None), NOON + 14 * MINUTE, None, id="a mail"),
    ],
)
def test_the_next_try_is_no_later_than_the_end_of_the_carriers_time(delivery: Delivery, now: Any, due: Any) -> None:
    found = judged(delivery, BUSY, now)

    assert (due or now + verdict.backoff(delivery)) == found.due_at


@pytest.mark.parametrize(
    ("delivery", "outcome", "twice"),
    [
        pytest.param(carried(), BUSY, False, id="never taken"),
        pytest.param(carried(resends=1), BUSY, True, id="once unclear, then put off"),
        pytest.param(carried(resends=1), Refused(reason="no", code="5.0.0"), True, id="once unclear, then refused"),
        pytest.param(carried(id="m1.1.1-2"), BUSY, True, id="a later part"),
    ],
)
def test_the_fallback_of_what_may_have_arrived_says_so(delivery: Delivery, outcome: Outcome, twice: bool) -> None:
    found = judged(delivery, outcome, QUARTER)

    assert ["m1.1.2"] == by_provider(found.writes)
    assert found.note.endswith(f"falls back to twilio{'; it may reach the phone twice' if twice else ''}")


def test_a_note_ends_in_what_follows_however_much_the_host_says() -> None:
    assert judged(carried(), Refused(reason="no " * 900)).note.endswith("; falls back to twilio")


@pytest.mark.parametrize(
    ("delivery", "known"),
    [
        pytest.param(carried(ways=()), facts(), id="no provider way"),
        pytest.param(carried(), facts(deliveries={"m1.1.2": paid(id="m1.1.2", fate=Fate.FAILED)}), id="it was tried"),
    ],
)
def test_without_another_way_a_text_that_is_put_off_waits_for_the_carrier(delivery: Delivery, known: Facts) -> None:
    found = judged(delivery, BUSY, QUARTER, known=known)

    assert (Fate.WAITING, []) == (found.fate, by_provider(found.writes))


def test_a_refusal_after_the_fallback_has_failed_is_the_end() -> None:
    known = facts(deliveries={"m1.1.2": paid(id="m1.1.2", fate=Fate.FAILED)})
    found = judged(carried(), Refused(reason="no", code="5.0.0"), known=known)

    assert ("no", [], [JOBS]) == (found.note, by_provider(found.writes), told_to(found))


@pytest.mark.parametrize(("fate", "told"), [(Fate.HANDED_OVER, 0), (Fate.WAITING, 0), (Fate.FAILED, 1)])
def test_a_part_that_is_refused_while_its_text_goes_another_way_is_no_news(fate: Fate, told: int) -> None:
    part = carried(id="m1.1.1-2", ways=())
    other = replace(paid(), id="m1.1.2", fate=fate)
    known = facts(deliveries={part.id: part, other.id: other})
    found = judged(part, NO_USER, known=known)

    assert found.fate is Fate.FAILED
    assert [m.kind for m in found.writes.messages].count(Kind.REPORT) == told


def test_an_unclear_end_is_no_reason_to_text_twice() -> None:
    found = judged(carried(resends=2), Unclear(reason="no answer"), QUARTER)

    assert (Fate.FAILED, []) == (found.fate, by_provider(found.writes))


@pytest.mark.parametrize(
    ("outcome", "minutes"),
    [
        pytest.param(Deferred(reason="451 4.7.1 greylisted", code="4.7.1"), 5, id="greylisted"),
        pytest.param(Deferred(reason="451 4.7.1 greylisted", retry_after=900.0), 15, id="and asked for more"),
        pytest.param(BUSY, 0, id="busy"),
    ],
)
def test_a_host_that_greylists_is_not_tried_again_before_five_minutes(outcome: Deferred, minutes: int) -> None:
    found = judged(carried(), outcome)

    assert max(NOON + minutes * MINUTE, NOON + verdict.backoff(carried())) == found.due_at


def test_a_host_that_greylists_an_other_mail_is_tried_as_ever() -> None:
    found = judged(carried(phone=None), Deferred(reason="451 greylisted"))

    assert NOON + verdict.backoff(carried()) == found.due_at


@pytest.mark.parametrize(
    ("delivery", "now", "expected"),
    [
        pytest.param(carried(fate=Fate.WAITING), QUARTER, True, id="its time is over"),
        pytest.param(carried(fate=Fate.WAITING), QUARTER - MINUTE, False, id="it has time"),
        pytest.param(carried(fate=Fate.WAITING, ways=()), QUARTER, False, id="nothing else is open"),
        pytest.param(carried(fate=Fate.WAITING), NOON + DAY, False, id="it is worth nothing"),
        pytest.param(paid(fate=Fate.WAITING), QUARTER, False, id="a paid text"),
    ],
)
def test_a_text_that_cannot_leave_for_too_long_goes_by_the_provider(
    delivery: Delivery, now: Any, expected: bool
) -> None:
    found = verdict.overdue(delivery, TO_BOB, "the relay is down", facts(), RULES, now)

    assert expected is (found is not None)
    assert expected is timing.decided(delivery, RULES, now) or now == NOON + DAY
    if found is not None:
        assert ("overdue", Fate.FAILED, 1) == (found.outcome, found.fate, found.attempt)
        assert "the relay is down; falls back to twilio" == found.note
        assert ["m1.1.2"] == by_provider(found.writes)


def test_the_last_answer_says_more_than_the_state_of_the_way() -> None:
    waiting = carried(fate=Fate.WAITING, note="451 busy", code="4.4.1")
    found = verdict.overdue(waiting, TO_BOB, "the relay is down", facts(), RULES, QUARTER)

    assert found is not None
    assert ("451 busy; falls back to twilio", "4.4.1") == (found.note, found.code)
    assert None is verdict.overdue(waiting, None, "", facts(), RULES, QUARTER), "nobody knows what to bring"


@pytest.mark.parametrize(
    ("fate", "ended"),
    [(Fate.WAITING, True), (Fate.HANDED_OVER, True), (Fate.HELD, True), (Fate.FAILED, False), (Fate.EXPIRED, False)],
)
def test_what_waits_of_a_text_that_goes_another_way_is_not_sent(fate: Fate, ended: bool) -> None:
    part = carried(id="m1.1.1-2", fate=Fate.WAITING)
    found = verdict.superseded(part, facts(deliveries={"m1.1.2": paid(id="m1.1.2", fate=fate)}))

    assert ended is (found is not None)
    if found is not None:
        assert (Fate.CANCELLED, "the whole text goes by twilio", Writes()) == (found.fate, found.note, found.writes)


def test_only_what_is_a_carriers_is_replaced() -> None:
    known = facts(deliveries={"m1.1.2": paid(id="m1.1.2")})

    assert None is verdict.superseded(paid(), known)
    assert None is verdict.superseded(carried(), facts())


def test_an_address_that_no_carrier_knows_is_noted_and_the_admin_is_asked_about_it() -> None:
    found = judged(carried(), NO_USER)
    (word,) = found.writes.confirmations
    (told,) = [m for m in found.writes.messages if m.kind is Kind.ALARM]

    assert Fate.FAILED is found.fate
    assert ["m1.1.2"] == by_provider(found.writes)
    assert ("bob", "2025550112@vtext.com", NOON, "vtext.com") == (word.employee, word.address, word.at, word.by)
    assert (False, "bounce", "550 5.1.1 no such user") == (word.works, word.how, word.note)
    assert ("alarm.gone.2025550112.at.vtext.com..1", ADMIN, SUBJECT) == (told.id, told.recipient, told.subject)
    assert "A text to 2025550112@vtext.com came back: 550 5.1.1 no such user" in told.text
    assert "From now on texts to bob go by twilio number service, which costs money." in told.text
    for command in ("suggest bob", "test bob", "confirm bob"):
        assert f"gateway carriers {command}\n" in told.text
    assert "gateway trace m1.1\n" in told.text


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        pytest.param({"fallback": "none"}, "Nothing else is open to bob, so the carrier is still tried.", id="none"),
        pytest.param({"carrier": "unsure", "fallback": "none"}, "refused from now on: bob cannot", id="unverified"),
    ],
)
def test_the_admin_hears_what_becomes_of_the_texts(changes: dict[str, str], words: str) -> None:
    told = shop.employee("bob", **changes)
    to = "2025550112@txt.unsure.example" if "carrier" in changes else "2025550112@vtext.com"
    found = judged(carried(ways=(), to=to), NO_USER, told=told)

    assert [False] == [c.works for c in found.writes.confirmations]
    assert words in next(m.text for m in found.writes.messages if m.kind is Kind.ALARM)
    assert [JOBS] == told_to(found), "and the sender that his text was not delivered"


@pytest.mark.parametrize(
    ("known", "noted"),
    [
        pytest.param(facts(), True, id="nobody said anything"),
        pytest.param(knowing(), True, id="it was proven before"),
        pytest.param(knowing(at=NOON + MINUTE), False, id="it was proven since the text left"),
        pytest.param(knowing(works=False), False, id="it is known"),
        pytest.param(knowing(works=False, address="2025550112@elsewhere.example"), True, id="another address was gone"),
        pytest.param(knowing(at=NOON + MINUTE, address="2025550112@elsewhere.example"), True, id="another was proven"),
    ],
)
def test_an_address_is_noted_once_until_somebody_proves_it_anew(known: Facts, noted: bool) -> None:
    found = judged(carried(), NO_USER, known=known)

    assert noted is bool(found.writes.confirmations)
    assert [SUBJECT] * noted == alarms(found.writes)
    assert ["m1.1.2"] == by_provider(found.writes), "the text goes another way in any case"


def test_each_word_that_came_between_makes_it_news_again() -> None:
    asked = [knowing(), knowing(), knowing(at=NOON - MINUTE), facts()]
    ids = [judged(carried(), NO_USER, known=known).writes.messages[0].id for known in asked]

    assert ids[0] == ids[1]
    assert 3 == len(set(ids))


@pytest.mark.parametrize(
    ("delivery", "outcome", "told"),
    [
        pytest.param(carried(), Refused(reason="550 5.7.1 spam", code="5.7.1"), RULES, id="said of us"),
        pytest.param(carried(), Refused(reason="552 too large", code="5.3.4"), RULES, id="said of the text"),
        pytest.param(carried(), NO_USER, shop.employee("bob", carrier="att"), id="he has another carrier by now"),
        pytest.param(carried(), NO_USER, shop.employee("bob", carrier=""), id="he has none by now"),
        pytest.param(carried(), NO_USER, shop.rules(employees=()), id="he is no employee by now"),
        pytest.param(carried(phone=None, to="bob@shop.example.com"), NO_USER, RULES, id="a mail"),
        pytest.param(paid(person="bob"), Refused(reason="no such user", code="5.1.1"), RULES, id="by the provider"),
    ],
)
def test_no_other_refusal_says_that_an_address_is_gone(delivery: Delivery, outcome: Refused, told: Rules) -> None:
    found = judged(delivery, outcome, told=told)

    assert ((), []) == (found.writes.confirmations, alarms(found.writes))


def test_the_alarm_about_an_address_that_is_gone_does_not_go_there() -> None:
    found = judged(carried(), NO_USER, told=shop.rules(alarm_to=(str(BOB),)))

    assert {"twilio"} == {d.courier for d in found.writes.deliveries}


@pytest.mark.parametrize(
    ("delivery", "code", "words", "expected"),
    [
        pytest.param(carried(), "4.2.0", POLICY, True, id="AUP#SNDR"),
        pytest.param(carried(), "544", "544 rejecting banned content", True, id="banned content"),
        pytest.param(carried(), "5.1.1", NO_USER.reason, False, id="no such user"),
        pytest.param(carried(), "4.7.1", "451 4.7.1 greylisted", False, id="greylisted"),
        pytest.param(carried(), "5.3.0", "spam.example answered RCPT with 550 5.3.0 no", False, id="a relay's name"),
        pytest.param(carried(phone=None), "5.7.1", "550 5.7.1 spam", False, id="a mail"),
        pytest.param(paid(), "5.7.1", "550 5.7.1 spam", False, id="a paid text"),
    ],
)
def test_whether_a_no_is_said_of_us(delivery: Delivery, code: str, words: str, expected: bool) -> None:
    assert expected is gone.against_us(delivery, code, words)


def test_a_carrier_that_refuses_us_is_one_alarm_a_day() -> None:
    key, subject, text = gone.shut_out(carried(), POLICY, RULES, NOON)

    assert ("policy.vtext.com.2026-11-23", "vtext.com refuses our texts") == (key, subject)
    assert text.startswith(POLICY)
    assert "gateway check --live" in text
    assert key != gone.shut_out(carried(), POLICY, RULES, NOON + DAY)[0]
