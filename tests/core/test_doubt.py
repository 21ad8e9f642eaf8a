"""A text that may be a STOP: texts by machine pause, and a person of the shop decides."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import shop
from outbox import fates, message, only, paid, texts, words, written
from shop import (
    ADMIN,
    AGREED,
    BOB,
    DAY,
    DOMAIN,
    JOBS,
    MARIA,
    NOON,
    RULES,
    entry,
    facts,
    mail,
    planned,
    reading,
    status_in,
    talk,
    text_in,
)

from gateway.core import policy
from gateway.core.facts import Facts
from gateway.core.model import Consent, Door, Fate, Kind, MailAddr, Question
from gateway.core.work import Delivery, MailParcel, Plan, Writes

WORDS = "please stop texting me"
TOKEN = "qqqqqqqqqqqqqqqq"
OPEN = facts(entry("grant"), conversations=(talk(),))


def heard(text: str = WORDS, known: Facts = OPEN, **event: Any) -> Writes:
    return planned(text_in(text, **event), known).writes


def asked_by(writes: Writes) -> Delivery:
    return only([d for d in writes.deliveries if d.kind is Kind.QUESTION])


def actions(writes: Writes) -> list[str]:
    return [c.action for c in writes.consents]


def question(**changes: Any) -> Question:
    made = Question(id=TOKEN, kind="stop", phone=MARIA, number="service", asked_at=NOON, closes_at=NOON + 30 * DAY,
                    sender="jobs", text=WORDS)  # fmt: skip
    return replace(made, **changes)


def answered(answer: str, asked: Question | None = None, *entries: Consent, **read: Any) -> Plan:
    known = facts(*(entries or (entry("suspend"),)), questions={TOKEN: asked or question()})
    return planned(mail(f"a-{TOKEN}"), known, read=reading(answer=answer, **read))


def test_words_that_may_be_a_stop_pause_reminders_and_are_asked_about_by_mail() -> None:
    made = heard()
    asked, (suspend,), (kept,) = asked_by(made), made.consents, made.questions

    assert ("suspend", MARIA, "keyword", "twilio", WORDS) == (
        suspend.action, suspend.phone, suspend.method, suspend.recorded_by, suspend.raw,
    )  # fmt: skip
    assert ("stop", MARIA, "service", "jobs", WORDS) == (kept.kind, kept.phone, kept.number, kept.sender, kept.text)
    assert NOON + 30 * DAY == kept.closes_at
    assert isinstance(asked.parcel, MailParcel)
    assert ("", JOBS, None) == (asked.parcel.mail_from, asked.to, asked.phone)
    assert f"a-{kept.id}@{DOMAIN}" == written(asked)["Reply-To"]
    assert "Did +1 202-555-0143 ask not to be texted?" == written(asked)["Subject"]
    assert "> please stop texting me" in words(asked)
    assert '"stop texting" may mean that no more texts are wanted.' in words(asked).lower()
    assert "reminders to this phone pause. A question about it is on its way.]" in words(made.deliveries[0])
    assert "Answer this mail to text back." in words(made.deliveries[0])


def test_the_pause_refuses_reminders_and_not_what_a_person_answers() -> None:
    known = facts(entry("grant"), *heard().consents, conversations=(talk(heard_at=NOON),))

    assert [(MARIA, "refused", "5.7.1")] == fates(planned(mail("2025550143"), known))[:1]
    assert [MARIA] == [d.to for d in texts(planned(mail("r-aaaaaaaaaaaaaaaa"), known))]


@pytest.mark.parametrize(
    ("text", "known", "event"),
    [
        pytest.param("can I stop by at 5?", OPEN, {}, id="a word of the trade"),
        pytest.param("STOP", OPEN, {}, id="STOP itself"),
        pytest.param(WORDS, facts(entry("suspend")), {}, id="asked already"),
        pytest.param(WORDS, facts(entry("stop")), {}, id="stopped already"),
        pytest.param(WORDS, facts(entry("revoke")), {}, id="opted out already"),
        pytest.param(WORDS, OPEN, {"author": BOB}, id="an employee"),
        pytest.param(WORDS, OPEN, {"author": "242733"}, id="a short code"),
    ],
)
def test_nothing_is_asked_without_need(text: str, known: Facts, event: dict[str, Any]) -> None:
    made = heard(text, known, **event)

    assert ((), [Kind.REPLY]) == (made.questions, [d.kind for d in made.deliveries])
    assert "suspend" not in actions(made)


def test_a_strangers_words_are_asked_about_at_the_inbox() -> None:
    assert "desk@shop.example.com" == asked_by(heard(known=facts())).to


@pytest.mark.parametrize(
    ("answer", "action"),
    [
        ("yes", "stop"), ("Yes, please.", "stop"), ("> \nJA", "stop"), ("stop", "stop"), ("S\u00ed", "stop"),
        ("no", "resume"), ("No, she meant the brakes", "resume"), ("nope", "resume"),
    ],
)  # fmt: skip
def test_a_yes_is_a_stop_and_a_no_lets_texts_go_on(answer: str, action: str) -> None:
    made = answered(answer)
    (found,), (kept,) = made.writes.consents, made.writes.questions

    assert (action, MARIA, "mail", "jobs", WORDS) == (
        found.action, found.phone, found.method, found.recorded_by, found.raw,
    )  # fmt: skip
    assert (f"m1.{TOKEN}", f"question {TOKEN} answered {kept.answer} by {JOBS}") == (found.id, found.evidence)
    assert (NOON, {"stop": "yes", "resume": "no"}[action]) == (kept.answered_at, kept.answer)
    assert () == made.writes.deliveries
    assert "is answered: " in made.note


@pytest.mark.parametrize("answer", ["maybe", "", "I will call him", "no more texts!", "No. Stop texting him.", "42"])
def test_anything_but_yes_or_no_changes_nothing_and_is_asked_again(answer: str) -> None:
    made = answered(answer)
    again = only(made.writes.deliveries)

    assert ((), ()) == (made.writes.consents, made.writes.questions)
    assert (JOBS, f"a-{TOKEN}@{DOMAIN}") == (again.to, written(again)["Reply-To"])
    assert words(again).startswith("Your answer was neither yes nor no, so nothing was changed.")
    assert "<m1@shop.example.com>" == written(again)["In-Reply-To"]


def test_two_machines_that_answer_each_other_come_to_an_end() -> None:
    known = facts(questions={TOKEN: question()})
    made = [planned(mail(f"a-{TOKEN}", id=i), known, read=reading(answer="We got your mail.")) for i in ("m1", "m2")]

    assert 1 == len({d.id for p in made for d in p.writes.deliveries})


def test_an_answer_of_nobody_is_not_asked_again() -> None:
    known = facts(questions={TOKEN: question()})
    made = planned(mail(f"a-{TOKEN}", mail_from="", door=shop.Door.LOCAL), known, read=reading(answer="?", author=None))

    assert Writes() == made.writes


def test_who_wrote_is_the_evidence() -> None:
    assert "by boss@x.example" in answered("yes", author=MailAddr("boss@x.example")).writes.consents[0].evidence
    assert f"by {JOBS}" in answered("yes", author=None).writes.consents[0].evidence


@pytest.mark.parametrize("asked", [{}, {TOKEN: question(kind="job")}], ids=["unknown", "of another kind"])
def test_a_question_that_nobody_asked_is_refused(asked: dict[str, Question]) -> None:
    made = planned(mail(f"a-{TOKEN}"), facts(questions=asked), read=reading(answer="yes"))

    assert ("refused", "5.1.1") == fates(made)[0][1:]
    assert () == made.writes.consents


def test_an_answer_counts_once() -> None:
    made = answered("no", question(answered_at=NOON, answer="yes"))

    assert (Writes(), "the question was answered with yes before") == (made.writes, made.note)


def test_a_no_lifts_no_stop_that_came_meanwhile() -> None:
    (resume,) = answered("no").writes.consents
    state = policy.standing([entry("suspend"), entry("stop"), resume], shop.BRAND)

    assert policy.forbids(MARIA, state, RULES, answering=True) is not None


@pytest.mark.parametrize(
    ("since", "why"),
    [
        pytest.param(entry("stop"), "the phone said STOP on 2026-11-22 already", id="STOP"),
        pytest.param(entry("start", at=NOON + DAY / 2), "the person texted START on 2026-11-24", id="START"),
    ],
)
@pytest.mark.parametrize("answer", ["yes", "no"])
def test_what_the_person_said_since_counts_more_and_who_answers_is_told(answer: str, since: Consent, why: str) -> None:
    made = answered(answer, None, entry("suspend", at=NOON), since)
    told = only(made.writes.deliveries)

    assert () == made.writes.consents
    assert answer == made.writes.questions[0].answer
    assert "it changes nothing" in made.note
    assert (JOBS, Kind.REPORT, None) == (told.to, told.kind, written(told)["Reply-To"])
    assert f"Your answer was {answer}, but nothing was changed, because {why}" in words(told)


@pytest.mark.parametrize("method", ["paper", "import"])
@pytest.mark.parametrize("action", ["grant", "revoke"])
def test_what_others_entered_since_undoes_no_yes(action: str, method: str) -> None:
    made = answered("yes", None, entry("suspend"), entry(action, method=method))

    assert ["stop"] == actions(made.writes)


def test_a_start_before_the_question_undoes_no_yes() -> None:
    assert ["stop"] == actions(answered("yes", None, entry("start"), entry("suspend", at=NOON)).writes)


def test_a_no_after_a_new_consent_changes_nothing_and_is_told() -> None:
    made = answered("no", None, entry("suspend"), entry("grant"))

    assert () == made.writes.consents
    assert "consent was entered since" in words(only(made.writes.deliveries))


def test_that_nothing_was_changed_is_told_to_nobody_where_nobody_wrote() -> None:
    known = facts(entry("stop"), questions={TOKEN: question()})
    inbound = mail(f"a-{TOKEN}", mail_from="", door=shop.Door.LOCAL)

    assert () == planned(inbound, known, read=reading(answer="yes", author=None)).writes.deliveries


def test_words_older_than_a_start_that_is_known_raise_no_doubt() -> None:
    made = heard(known=facts(entry("start", at=NOON + DAY), conversations=(talk(),)))

    assert ((), ()) == (made.questions, made.consents)
    assert "reminders to this phone pause" not in words(made.deliveries[0])


def test_a_machines_answer_decides_nothing() -> None:
    made = answered("yes", auto_submitted="auto-replied")

    assert () == made.writes.consents


def blocked(*entries: Consent, code: str = "30004", **changes: Any) -> Writes:
    known = facts(*entries, deliveries={"m1.1.1": paid(fate=Fate.HANDED_OVER, **changes)},
                  messages={"m1.1": message()})  # fmt: skip
    return planned(status_in("undelivered", code=code), known).writes


@pytest.mark.parametrize("code", ["30004", "30640"])
def test_a_block_that_the_network_tells_is_asked_about_too(code: str) -> None:
    made = blocked(entry("grant"), code=code)
    (suspend,) = made.consents

    assert (f"m1.1.1.{code}.suspend", "provider", "") == (suspend.id, suspend.method, suspend.raw)
    assert [Kind.REPORT, Kind.QUESTION] == [d.kind for d in made.deliveries]
    assert "texted:" not in words(asked_by(made))
    assert f"(Twilio {code})." in words(asked_by(made))
    assert JOBS == asked_by(made).to


@pytest.mark.parametrize(
    ("entries", "changes"),
    [([entry("stop")], {}), ([entry("suspend")], {}), ([], {"phone": BOB}), ([], {"phone": None})],
    ids=["stopped", "asked already", "an employee", "nobody's phone"],
)
def test_the_networks_block_of_whom_there_is_no_need_to_ask_is_only_told(
    entries: list[Consent], changes: dict[str, Any]
) -> None:
    made = blocked(*entries, **changes)

    assert ((), [Kind.REPORT]) == (made.consents, [d.kind for d in made.deliveries])


def test_a_question_that_cannot_be_delivered_is_told_to_the_admin() -> None:
    made = heard()
    (told,) = [m for m in made.messages if m.kind is Kind.QUESTION]
    alone = [m for m in heard(known=facts(conversations=(talk(reply_to=ADMIN),))).messages if m.kind is Kind.QUESTION]

    assert (ADMIN, [""]) == (told.report_to, [m.report_to for m in alone])


def test_a_replay_asks_nothing_twice() -> None:
    first, second = heard(), planned(text_in(WORDS), OPEN, now=NOON + timedelta(hours=1)).writes

    assert [c.id for c in first.consents] == [c.id for c in second.consents]
    assert [d.id for d in first.deliveries] == [d.id for d in second.deliveries]
    assert AGREED.fresh == OPEN.fresh


def test_an_answer_from_outside_is_answered_where_it_is_proven_to_come_from() -> None:
    asked = facts(entry("suspend"), questions={TOKEN: question()})
    read = reading(answer="maybe", author=MailAddr("boss@x.example"), reply_to=MailAddr("stranger@y.example"))
    outside = planned(mail(f"a-{TOKEN}", door=Door.PUBLIC), asked, read=read)
    inside = planned(mail(f"a-{TOKEN}"), asked, read=read)

    assert ["boss@x.example"] == [d.to for d in outside.writes.deliveries]
    assert ["stranger@y.example"] == [d.to for d in inside.writes.deliveries]
