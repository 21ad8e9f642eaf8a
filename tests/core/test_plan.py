"""What holds for every plan, and mails that cannot be read."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import shop
from hypothesis import given
from hypothesis import strategies as st
from outbox import texts, words, written
from shop import (
    ADMIN,
    ALICE,
    BOB,
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
    talk,
    text_in,
)

from gateway.core import plan
from gateway.core.intent import Reply, SendText, Status, understand
from gateway.core.model import Door, InboundHook, Kind, MailAddr, Phone, Recipient, Unreadable

CUSTOMER = "2025550143"
TOKEN = "aaaaaaaaaaaaaaaa"
OPEN = facts(entry("grant"), conversations=(talk(),))


def test_an_unreadable_mail_is_parked_and_told_to_its_sender_and_the_admin() -> None:
    made = plan.make(mail("bob"), Unreadable(reason="too deep"), (), facts(), RULES, NOON)

    assert "too deep" == made.parked
    assert [ADMIN, JOBS] == [d.to for d in made.writes.deliveries]
    assert [Kind.ALARM, Kind.REPORT] == [d.kind for d in made.writes.deliveries]
    assert all("Why: too deep" in words(d) for d in made.writes.deliveries)


@pytest.mark.parametrize(
    "changes",
    [{"sender": "", "door": Door.PUBLIC}, {"mail_from": ADMIN}, {"mail_from": ""}],
    ids=["from outside: no backscatter", "the admin's own", "no envelope sender: the admin once"],
)
def test_an_unreadable_mail_is_told_to_the_admin_alone(changes: dict[str, Any]) -> None:
    made = plan.make(mail("bob", **changes), None, (), facts(), RULES, NOON)

    assert "the mail was not read" == made.parked
    assert [ADMIN] == [d.to for d in made.writes.deliveries]


NAMES = ["bob", "techs", CUSTOMER, "2025550144", "alice", f"r-{TOKEN}", "postmaster", "preview+bob", "dave", "12"]


@given(st.lists(st.sampled_from(NAMES), max_size=8), st.sampled_from(["jobs", "clerk", "lax"]), st.text(max_size=40))
def test_planning_twice_gives_equal_plans_whose_ids_follow_from_the_mail(
    names: list[str], sender: str, subject: str
) -> None:
    known = facts(entry("grant"), conversations=(talk(heard_at=NOON),))
    first = planned(mail(*names, sender=sender), known, read=reading(subject=subject))

    assert first == planned(mail(*names, sender=sender), known, read=reading(subject=subject))
    assert all(m.id.startswith("m1.") and m.inbound == "m1" for m in first.writes.messages)
    assert len(first.writes.messages) == len({m.id for m in first.writes.messages}) == len(first.writes.deliveries)
    assert [f"{m.id}.1" for m in first.writes.messages] == [d.id for d in first.writes.deliveries]


@given(st.lists(st.sampled_from(NAMES), max_size=8))
def test_no_phone_is_texted_twice(names: list[str]) -> None:
    known = facts(entry("grant"), conversations=(talk(heard_at=NOON),))
    phones = [d.phone for d in texts(planned(mail(*names), known))]

    assert len(phones) == len(set(phones))


@given(st.lists(st.sampled_from(NAMES), max_size=8), st.sampled_from([MARIA, BOB, ALICE]))
def test_a_stopped_phone_is_never_texted(names: list[str], stopped: Phone) -> None:
    known = facts(entry("grant"), entry("stop", stopped), conversations=(talk(heard_at=NOON),))

    assert stopped not in {d.phone for d in texts(planned(mail(*names), known))}


@pytest.mark.parametrize(
    "intent", [Reply(event=shop.text_in().event, keyword=None), Status(event=shop.status_in("sent").event)]
)  # type: ignore[arg-type]
def test_what_comes_by_a_webhook_cannot_come_by_mail(intent: Reply | Status) -> None:
    with pytest.raises(TypeError, match="cannot come from a mail"):
        plan.make(mail("bob"), reading(), (intent,), facts(), RULES, NOON)


TEXTS = st.one_of(st.sampled_from(["STOP", "start", "help", "", "Yes"]), st.text(max_size=200))
AUTHORS = st.one_of(st.sampled_from([MARIA, BOB, "242733", "ACME", "+1", "+"]), st.text(max_size=20))


@given(TEXTS, AUTHORS, st.sampled_from(["", "STOP", "START", "HELP"]))
def test_planning_twice_gives_equal_plans_whose_ids_follow_from_the_text(text: str, author: str, opt_out: str) -> None:
    inbound = text_in(text, author=author, opt_out=opt_out)
    made = planned(inbound, OPEN)

    assert made == planned(inbound, OPEN)
    assert ["twilio:SM1.1"] == [m.id for m in made.writes.messages]
    assert ["twilio:SM1.1.1"] == [d.id for d in made.writes.deliveries]
    assert all(c.id.startswith("twilio:SM1.") for c in made.writes.consents)
    assert [] == written(made.writes.deliveries[0]).defects


def test_what_comes_by_mail_cannot_come_by_a_webhook() -> None:
    (intent,) = understand(mail("bob"), reading(), RULES)
    assert isinstance(intent, SendText)
    hook: InboundHook = text_in()

    with pytest.raises(TypeError, match="cannot come from a hook"):
        plan.make(hook, None, (intent,), facts(), RULES, NOON)


def test_a_recipient_is_told_by_the_words_of_his_address() -> None:
    made = planned(mail(Recipient(address=f"b-{TOKEN}@{DOMAIN}")), facts())

    assert f"b-{TOKEN}@{DOMAIN}: no failure" in made.note


def test_a_webhook_that_cannot_be_planned_is_parked_and_told_to_the_admin() -> None:
    made = plan.parked(text_in(), "a fault", RULES, NOON, facts())

    assert ("twilio:SM1", "a fault") == (made.inbound, made.parked)
    assert [ADMIN] == [d.to for d in made.writes.deliveries]
    assert "What twilio told us (twilio:SM1) could not be read" in words(made.writes.deliveries[0])


def test_a_phone_that_writes_to_enroll_is_asked_about_and_the_answer_is_taken_where_the_question_is_known() -> None:
    heard = reading(author=MailAddr("2025550199@vtext.com"), answer="Hello")
    asked = planned(mail("enroll", door=Door.PUBLIC, sender="", mail_from="2025550199@vtext.com"), facts(), read=heard)
    (question,) = asked.writes.questions
    known = replace(facts(), questions={TOKEN: replace(question, id=TOKEN)})
    answered = planned(mail(f"a-{TOKEN}", id="m2"), known, read=reading(answer="NO"))

    assert ("enroll", [ADMIN]) == (question.kind, [d.to for d in asked.writes.deliveries])
    assert [True] == [q.answered_at is not None for q in answered.writes.questions]
    assert [] == [d for d in asked.writes.deliveries if d.phone is not None]
