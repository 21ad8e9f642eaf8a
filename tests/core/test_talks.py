"""Mails through plan.make: conversations, their threads and their numbers, and answers at r-."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import shop
from outbox import fates, only, texts
from shop import (
    ADMIN,
    AGREED,
    BOB,
    DAY,
    DOMAIN,
    JOBS,
    MARIA,
    NOON,
    PETER,
    RULES,
    SALES,
    entry,
    facts,
    mail,
    planned,
    reading,
    talk,
)

from gateway.core.facts import Facts
from gateway.core.model import MailAddr
from gateway.core.rules import Rules

CUSTOMER = "2025550143"
TOKEN = "aaaaaaaaaaaaaaaa"
HEARD = facts(conversations=(talk(heard_at=NOON - DAY),))


def test_a_first_mail_opens_the_conversation_of_its_job() -> None:
    read = reading(references=("<root@x>",), reply_to=MailAddr("desk@shop.example.com"))
    made = planned(mail(CUSTOMER), AGREED, read=read)
    (message,), (opened,) = made.writes.messages, made.writes.conversations

    assert message.conversation == opened.id == AGREED.fresh[0]
    assert ("jobs", MARIA, "<root@x>", "service") == (opened.sender, opened.phone, opened.job, opened.number)
    assert ("Reminder", "<m1@shop.example.com>", ("<root@x>",)) == (
        opened.subject,
        opened.message_id,
        opened.references,
    )
    assert "desk@shop.example.com" == opened.reply_to
    assert (NOON, NOON + timedelta(days=14)) == (opened.opened_at, opened.closes_at)
    assert (None, "", None) == (opened.texted_at, opened.text, opened.heard_at), "nothing was said before it leaves"


def test_three_reminders_on_one_job_are_one_conversation() -> None:
    known = facts(entry("grant"), conversations=(talk(job="1042", heard_at=NOON - DAY),))
    read = reading(subject="Second reminder for RO 1042", job="1042", references=("<other@x>",))
    (kept,) = planned(mail(CUSTOMER), known, RULES, read).writes.conversations

    assert (TOKEN, NOON - 2 * DAY, NOON - DAY) == (kept.id, kept.opened_at, kept.heard_at)
    assert ("Second reminder for RO 1042", "<m1@shop.example.com>") == (kept.subject, kept.message_id)
    assert ("<root@shop.example.com>", "<m0@shop.example.com>", "<other@x>") == kept.references


@pytest.mark.parametrize(
    "changes",
    [{"sender": "desk"}, {"job": "other"}, {"phone": PETER}],
    ids=["of another sender", "about another job", "with another phone"],
)
def test_another_sender_job_or_phone_is_another_conversation(changes: dict[str, Any]) -> None:
    known = facts(entry("grant"), conversations=(talk(**changes),))
    (opened,) = planned(mail(CUSTOMER), known).writes.conversations

    assert TOKEN != opened.id


def test_a_mail_without_subject_and_id_keeps_those_of_the_conversation() -> None:
    known = facts(entry("grant"), conversations=(talk(job=""),))
    (kept,) = planned(mail(CUSTOMER), known, read=reading(subject="", message_id="")).writes.conversations

    assert ("Reminder", "<m0@shop.example.com>") == (kept.subject, kept.message_id)


def test_a_long_thread_keeps_its_root() -> None:
    many = tuple(f"<{n}@x>" for n in range(80))
    known = facts(entry("grant"), conversations=(talk(job="<0@x>", message_id="", references=many[:60]),))
    (kept,) = planned(mail(CUSTOMER), known, read=reading(references=many)).writes.conversations

    assert (50, "<0@x>", "<79@x>") == (len(kept.references), kept.references[0], kept.references[-1])


@pytest.mark.parametrize(
    ("told", "changes", "mail_from", "expected"),
    [
        pytest.param(RULES, {}, JOBS, JOBS, id="From"),
        pytest.param(RULES, {"reply_to": "a@x.example"}, JOBS, "a@x.example", id="Reply-To"),
        pytest.param(
            shop.sender("jobs", reply_to="b@x.example"), {"reply_to": "a@x.example"}, JOBS, "b@x.example", id="set"
        ),
        pytest.param(RULES, {"reply_to": f"x@{DOMAIN}"}, JOBS, JOBS, id="a Reply-To at ourselves: From"),
        pytest.param(
            shop.sender("jobs", reply_fallback="f@x.example"), {"author": None}, JOBS, "f@x.example", id="the fallback"
        ),
        pytest.param(RULES, {"author": None}, "env@x.example", "env@x.example", id="the envelope sender"),
        pytest.param(RULES, {"author": f"x@{DOMAIN}"}, "", ADMIN, id="the admin"),
        pytest.param(RULES, {"author": None}, f"x@{DOMAIN}", ADMIN, id="never ourselves"),
        pytest.param(shop.rules(alarm_to=(), senders=()), {"author": None}, "", "", id="nobody"),
    ],
)
def test_where_replies_go(told: Rules, changes: dict[str, Any], mail_from: str, expected: str) -> None:
    (opened,) = planned(mail("bob", mail_from=mail_from), facts(), told, reading(**changes)).writes.conversations

    assert expected == opened.reply_to


def test_a_new_conversation_takes_a_free_number_of_the_pool_and_a_running_one_keeps_its_own() -> None:
    busy = talk(sender="desk", job="other", number="sales")
    running = talk(id="bbbbbbbbbbbbbbbb", sender="desk", number="sales")
    fresh = planned(mail(CUSTOMER, sender="desk"), facts(entry("grant"), conversations=(busy,)))
    again = planned(mail(CUSTOMER, sender="desk"), facts(entry("grant"), conversations=(busy, running)))

    assert [("service", "service")] == [(texts(fresh)[0].number, c.number) for c in fresh.writes.conversations]
    assert [("sales", "sales")] == [(texts(again)[0].number, c.number) for c in again.writes.conversations]


def test_a_tag_chooses_the_number() -> None:
    made = planned(mail(f"{CUSTOMER}+sales"), AGREED)

    assert (["sales"], [f"twilio|{SALES}|{MARIA}"]) == ([d.number for d in texts(made)], [d.lane for d in texts(made)])


def test_a_conversation_by_carrier_belongs_to_the_number_that_it_would_fall_back_on() -> None:
    (by_carrier,) = planned(mail("bob"), facts()).writes.conversations
    (alone,) = planned(mail("bob"), facts(), shop.employee("bob", fallback="none")).writes.conversations

    assert ("service", "") == (by_carrier.number, alone.number)


def test_answering_the_reply_mail_texts_the_person_without_the_quoted_history() -> None:
    made = planned(mail(f"r-{TOKEN}", mail_from="anna@shop.example.com"), HEARD, read=reading(subject="Re: Reminder"))
    (message,), (kept,) = made.writes.messages, made.writes.conversations
    delivery = only(made.writes.deliveries)

    assert (TOKEN, MARIA, "At five.", "> earlier words") == (
        message.conversation,
        message.phone,
        message.text,
        message.cut,
    )
    assert (True, 1, MARIA, "service") == (delivery.conversational, delivery.priority, delivery.to, delivery.number)
    assert (JOBS, "Reminder") == (kept.reply_to, kept.subject), "replies go where they went"
    assert (NOON - DAY, "Your car is in the shop.") == (kept.texted_at, kept.text), "a text that waits is not said yet"
    assert ("<m1@shop.example.com>", ("<root@shop.example.com>", "<m0@shop.example.com>")) == (
        kept.message_id,
        kept.references,
    )


@pytest.mark.parametrize(
    ("known", "fate"),
    [
        pytest.param(HEARD, "waiting", id="the person wrote"),
        pytest.param(facts(conversations=(talk(),)), "refused", id="the person did not"),
        pytest.param(facts(conversations=(talk(heard_at=NOON - DAY, closes_at=NOON),)), "refused", id="closed"),
        pytest.param(facts(entry("stop"), conversations=(talk(heard_at=NOON),)), "refused", id="STOP"),
    ],
)
def test_at_r_the_persons_text_is_the_consent(known: Facts, fate: str) -> None:
    assert fate == fates(planned(mail(f"r-{TOKEN}"), known))[0][1]


def test_an_employee_is_answered_by_his_carrier() -> None:
    known = facts(conversations=(talk(phone=BOB, number=""),))

    assert ["2025550112@vtext.com"] == [d.to for d in texts(planned(mail(f"r-{TOKEN}"), known))]
