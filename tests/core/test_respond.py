"""What the gateway texts back by itself."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import shop
from outbox import message, only, paid, words
from shop import BOB, BRAND, MARIA, MINUTE, NOON, RULES, SERVICE, entry, facts, planned, said, talk, text_in

from gateway.core import verdict
from gateway.core.facts import Facts
from gateway.core.model import Consent, Fate, InboundHook, Kind
from gateway.core.rules import Answer, PolicyRules, Rules, Sender, TextRules
from gateway.core.work import Delivery, TextParcel, Writes

OURS = shop.number("service", confirms_stop="gateway")
HOURS = Answer(place="config.toml:70", name="hours", keywords=("hours",), text="Mon to Fri, 8 to 5.")
ANSWERING = shop.rules(answers=(HOURS,))
UNMONITORED = shop.number("service", unmonitored="Nobody reads this. Call us.")
OPEN = facts(entry("grant"), conversations=(talk(),))
NIGHT = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)


def own(action: str, **changes: Any) -> Consent:
    """The entry that the door made of the text itself."""
    return entry(action, id=f"twilio:SM1.{action}", at=NOON, number=SERVICE, **changes)


def back(writes: Writes) -> list[str]:
    """What is texted back by itself."""
    return [d.parcel.body for d in writes.deliveries if isinstance(d.parcel, TextParcel)]


def reply(writes: Writes) -> Delivery:
    return only([d for d in writes.deliveries if d.kind is Kind.REPLY])


LATER = entry("stop", id="x", at=NOON + MINUTE)
STOPPED = f"{BRAND}: you are opted out and will get no more texts. Reply START to get them again."
STARTED = f"{BRAND}: you will get texts again. Reply HELP for help, STOP to opt out."
HELPED = f"{BRAND}: answer here and a person reads it. Reply STOP to opt out."


@pytest.mark.parametrize(
    ("text", "entries", "expected"),
    [
        pytest.param("stop", [], [STOPPED], id="STOP"),
        pytest.param("stop", [own("stop")], [STOPPED], id="STOP that the door entered"),
        pytest.param("stop", [entry("stop")], [], id="STOP again"),
        pytest.param("stop", [entry("stop"), own("stop")], [], id="STOP again, entered"),
        pytest.param("stop", [own("stop"), entry("stop", id="later")], [STOPPED], id="the first of two at once"),
        pytest.param("stop", [entry("stop"), entry("start")], [STOPPED], id="STOP after a START"),
        pytest.param("start", [entry("stop"), own("start")], [STARTED], id="START"),
        pytest.param("start", [entry("suspend")], [STARTED], id="START in doubt"),
        pytest.param("start", [entry("block", number=SERVICE)], [STARTED], id="START of a blocked number"),
        pytest.param("start", [], [], id="START that lifts nothing"),
        pytest.param("yes", [entry("grant")], [], id="a YES that is an answer"),
        pytest.param("start", [entry("revoke"), entry("stop")], [], id="START that does not let texts go"),
        pytest.param("start", [entry("stop"), own("start"), LATER], [], id="START and then STOP"),
        pytest.param("stop", [entry("start", at=NOON + MINUTE)], [], id="STOP that arrived after a newer START"),
        pytest.param("help", [], [HELPED], id="HELP"),
        pytest.param("help", [entry("stop")], [HELPED], id="HELP of who is opted out"),
        pytest.param("At ten?", [], [], id="words"),
    ],
)
def test_a_keyword_is_confirmed_exactly_once_where_that_is_ours(
    text: str, entries: list[Consent], expected: list[str]
) -> None:
    made = planned(text_in(text), facts(*entries, conversations=(talk(),)), OURS).writes

    assert expected == back(made)
    assert [] == back(planned(text_in(text), facts(*entries, conversations=(talk(),))).writes), "else the provider does"


def test_the_answer_to_help_promises_no_reader_where_nobody_reads() -> None:
    told = shop.number("service", confirms_stop="gateway", unmonitored="Nobody reads this. Call us.")

    assert [f"{BRAND}: Nobody reads this. Call us. Reply STOP to opt out."] == back(
        planned(text_in("help"), OPEN, told).writes
    )


def test_a_confirmation_comes_within_five_minutes_or_not_at_all() -> None:
    late = planned(text_in("stop"), OPEN, OURS, now=NOON + 5 * MINUTE + timedelta(seconds=1)).writes
    soon = planned(text_in("stop"), OPEN, OURS, now=NOON + 4 * MINUTE).writes
    confirmation = only([d for d in soon.deliveries if d.kind is Kind.CONFIRMATION])

    assert [] == back(late)
    assert (NOON + 5 * MINUTE, 0) == (confirmation.expires_at, confirmation.priority)
    assert ("twilio:SM1.stop.1", "service", MARIA, "jobs") == (
        confirmation.id, confirmation.number, confirmation.to, confirmation.sender,
    )  # fmt: skip


def test_quiet_hours_hold_no_confirmation() -> None:
    told = replace(OURS, policy=PolicyRules(quiet_hours="20:00-08:00", quiet_replies="hold"))
    made = planned(replace(text_in("stop"), at=NIGHT), OPEN, told, now=NIGHT).writes

    assert [NIGHT] == [d.due_at for d in made.deliveries if d.kind is Kind.CONFIRMATION]


def test_the_mail_says_who_answers_a_help() -> None:
    ours, theirs = (planned(text_in("help"), OPEN, told).writes for told in (OURS, RULES))

    assert "[HELP asks for help; the gateway answers it.]" in words(reply(ours))
    assert "[HELP asks for help; the provider answers it.]" in words(reply(theirs))
    late = planned(text_in("help"), OPEN, OURS, now=NOON + 6 * MINUTE).writes
    assert "[HELP asks for help; nothing answers it by itself.]" in words(reply(late))


@pytest.mark.parametrize(
    ("ident", "stop_at", "now", "goes"),
    [
        pytest.param("twilio:SM1.stop", NOON, NOON + 5 * MINUTE, True, id="the STOP's own"),
        pytest.param("twilio:SM1.stop", NOON, NOON + 5 * MINUTE + timedelta(seconds=1), False, id="too late"),
        pytest.param("twilio:SM1.help", NOON - MINUTE, NOON, True, id="HELP said after it"),
        pytest.param("twilio:SM1.start", NOON + MINUTE, NOON + MINUTE, False, id="a STOP came after START"),
    ],
)
def test_after_a_stop_only_its_confirmation_goes(ident: str, stop_at: datetime, now: datetime, goes: bool) -> None:
    delivery = paid(id=f"{ident}.1", message=ident, kind=Kind.CONFIRMATION, conversational=True)
    known = facts(entry("stop", at=stop_at))
    no = verdict.veto(delivery, message(id=ident, kind=Kind.CONFIRMATION), talk(heard_at=NOON), known, RULES, now)

    assert goes == (no is None)


def test_a_text_is_answered_and_the_mail_says_so() -> None:
    made = planned(text_in("Hours?"), OPEN, ANSWERING).writes
    text = only([d for d in made.deliveries if d.kind is Kind.ANSWER])

    assert ["Mon to Fri, 8 to 5."] == back(made)
    assert ("twilio:SM1.answer.1", True, "jobs", 2) == (text.id, text.conversational, text.sender, text.priority)
    assert "answer hours" == next(m.rule for m in made.messages if m.kind is Kind.ANSWER)
    assert "[Texted back by itself (hours): Mon to Fri, 8 to 5.]" in words(reply(made))
    assert "conversation reminder; [[answer]] config.toml:70" == made.messages[0].rule


def known(*entries: Consent, **changes: Any) -> Facts:
    return facts(*entries, conversations=(talk(),), **changes)


@pytest.mark.parametrize(
    ("event", "told", "note"),
    [
        pytest.param({}, known(said={MARIA: (said(kind=Kind.ANSWER, rule="answer hours"),)}),
                     "this answer went to the phone within a day", id="once a day"),
        pytest.param({}, known(said={MARIA: (said("hours"),)}), "it repeats a text of ours", id="an echo"),
        pytest.param({}, known(entry("stop")), "the phone said STOP on 2026-11-22", id="stopped"),
        pytest.param({}, known(entry("revoke")), "the phone was opted out on 2026-11-22", id="opted out"),
        pytest.param({}, known(entry("suspend")), "the phone perhaps asked not to be texted", id="in doubt"),
    ],
)  # fmt: skip
def test_an_answer_that_must_not_go_is_only_told(event: dict[str, Any], told: Facts, note: str) -> None:
    made = planned(text_in("hours", **event), told, ANSWERING).writes

    assert [] == back(made)
    assert f"[The answer hours was not texted: {note}.]" in words(reply(made))


@pytest.mark.parametrize(
    ("hook", "told"),
    [
        pytest.param(text_in("hours", author=BOB), ANSWERING, id="an employee"),
        pytest.param(text_in("hours", author="242733"), ANSWERING, id="a short code"),
        pytest.param(text_in("hours", number=shop.SALES), shop.rules(answers=(replace(HOURS, numbers=("service",)),)),
                     id="another number"),
        pytest.param(text_in("hours"), replace(ANSWERING, numbers=()), id="a number that is no more"),
        pytest.param(text_in("At ten?"), ANSWERING, id="other words"),
        pytest.param(replace(text_in("hours"), at=NOON - timedelta(hours=1, seconds=1)), ANSWERING, id="an hour late"),
        pytest.param(text_in("stop"), UNMONITORED, id="STOP where nobody reads"),
    ],
)  # fmt: skip
def test_whom_nothing_is_answered(hook: InboundHook, told: Rules) -> None:
    made = planned(hook, OPEN, told).writes

    assert [] == back(made)
    assert "by itself" not in words(reply(made))
    assert "was not texted" not in words(reply(made))


def test_quiet_hours_keep_an_answer_and_say_so() -> None:
    policy = PolicyRules(quiet_hours="20:00-08:00", quiet_replies="hold", hold_at_most=timedelta(hours=1))
    made = planned(replace(text_in("hours"), at=NIGHT), OPEN, replace(ANSWERING, policy=policy), now=NIGHT).writes

    assert [] == back(made)
    assert "[The answer hours was not texted: quiet hours.]" in words(reply(made))


def test_a_number_that_nobody_reads_says_so_and_the_words_still_arrive() -> None:
    made = planned(text_in("Are you open?"), facts(), UNMONITORED).writes

    assert ["Nobody reads this. Call us."] == back(made)
    assert words(reply(made)).startswith("Are you open?")
    assert "desk" == only([d for d in made.deliveries if d.kind is Kind.ANSWER]).sender, "who uses the number pays"


def test_an_answer_rule_without_words_only_marks_the_mail() -> None:
    told = replace(UNMONITORED, answers=(replace(HOURS, text="", subject_tag="[SMS]"),))
    made = planned(text_in("hours"), OPEN, told).writes

    assert ([], "[SMS] Re: Reminder") == (back(made), made.messages[0].subject)


@pytest.mark.parametrize(
    ("senders", "payer"),
    [((), ""), (RULES.senders[:1], "jobs"), (RULES.senders, "desk")],
    ids=["nobody", "the first", "who uses the number"],
)
def test_whose_budget_pays_for_a_text_to_a_stranger(senders: tuple[Sender, ...], payer: str) -> None:
    made = planned(text_in("Are you open?"), facts(), replace(UNMONITORED, senders=senders)).writes

    assert payer == only([d for d in made.deliveries if d.kind is Kind.ANSWER]).sender


@pytest.mark.parametrize("transliterate", [True, False])
def test_the_machines_words_follow_the_alphabet_that_is_configured(transliterate: bool) -> None:
    told = replace(ANSWERING, text=TextRules(first="", transliterate=transliterate),
                   answers=(replace(HOURS, text="It\u2019s open."),))  # fmt: skip

    assert ["It's open." if transliterate else "It\u2019s open."] == back(planned(text_in("hours"), OPEN, told).writes)


def test_words_that_may_be_a_stop_are_answered_by_no_machine() -> None:
    made = planned(text_in("please stop texting me"), OPEN, replace(UNMONITORED, ask=True)).writes

    assert [] == back(made)


def test_without_a_stop_every_confirmation_goes() -> None:
    delivery = paid(message="twilio:SM1.start", kind=Kind.CONFIRMATION, conversational=True)

    assert None is verdict.veto(delivery, message(), None, facts(entry("stop"), entry("start")), RULES, NOON)


def test_a_confirmation_whose_message_is_gone_does_not_outlive_a_stop() -> None:
    delivery = paid(message="twilio:SM1.start", kind=Kind.CONFIRMATION, conversational=True)

    assert None is not verdict.veto(delivery, None, None, facts(entry("stop")), RULES, NOON)


@pytest.mark.parametrize("kind", [Kind.ANSWER, Kind.QUESTION])
def test_a_doubt_stops_the_machines_words_at_the_last_moment_too(kind: Kind) -> None:
    delivery = paid(kind=kind, conversational=True)
    no = verdict.veto(delivery, message(), talk(heard_at=NOON), facts(entry("grant"), entry("suspend")), RULES, NOON)
    person = replace(delivery, kind=Kind.TEXT)

    assert no is not None
    assert None is verdict.veto(person, message(), talk(heard_at=NOON), facts(entry("suspend")), RULES, NOON)
    assert None is verdict.veto(delivery, message(), talk(heard_at=NOON), facts(), RULES, NOON)
    assert Fate.REFUSED is verdict.vetoed(delivery, message(), no, RULES, NOON).fate
