"""Texts through plan.make: the way back."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import shop
from outbox import only, words, written
from shop import (
    ADMIN,
    BOB,
    BRAND,
    DAY,
    DOMAIN,
    JOBS,
    MARIA,
    MINUTE,
    NOON,
    RULES,
    SALES,
    SERVICE,
    entry,
    facts,
    planned,
    talk,
    text_in,
)

from gateway.core.incoming import keyword_entry
from gateway.core.intent import Reply, understand
from gateway.core.model import Consent, InboundHook, Kind, Phone
from gateway.core.rules import Rules
from gateway.core.work import MailParcel

TOKEN = "aaaaaaaaaaaaaaaa"
OPEN = facts(entry("grant"), conversations=(talk(),))
INBOX = "desk@shop.example.com"


def entered(hook: InboundHook) -> Consent | None:
    (intent,) = understand(hook, None, RULES)
    assert isinstance(intent, Reply)
    return keyword_entry(hook, intent, BRAND)


def test_a_reply_becomes_a_mail_in_the_persons_name_on_the_thread_of_the_job() -> None:
    made = planned(text_in("Yes, but can I come at 10?"), OPEN)
    delivery, (message,) = only(made.writes.deliveries), made.writes.messages
    found = written(delivery)

    assert isinstance(delivery.parcel, MailParcel)
    assert (f"b-{delivery.bounce}@{DOMAIN}", JOBS) == (delivery.parcel.mail_from, delivery.parcel.rcpt_to)
    assert f'"+1 202-555-0143" <12025550143@{DOMAIN}>' in delivery.parcel.data.decode()
    assert f"r-{TOKEN}@{DOMAIN}" == found["Reply-To"]
    assert f"<SM1@{DOMAIN}>" == found["Message-ID"]
    assert (JOBS, "Re: Reminder") == (found["To"], found["Subject"])
    assert "<m0@shop.example.com>" == found["In-Reply-To"]
    assert "<root@shop.example.com> <m0@shop.example.com>" == found["References"]
    assert (None, "All") == (found["Auto-Submitted"], found["X-Auto-Response-Suppress"])
    assert (
        "Yes, but can I come at 10?\n\n-- \n"
        "+1 202-555-0143, Monday 23 November 2026 12:00 EST, to +1 202-555-0100\n"
        "Answer this mail to text back.\n\n"
        "On 2026-11-22 12:00 we texted:\n> Your car is in the shop.\n"
    ) == words(delivery)
    assert ("twilio:SM1.1", "twilio:SM1.1.1", Kind.REPLY) == (message.id, delivery.id, message.kind)
    assert (MARIA, "", TOKEN, "jobs") == (message.phone, message.person, message.conversation, message.sender)
    assert ("Yes, but can I come at 10?", "conversation reminder", ADMIN) == (
        message.text,
        message.rule,
        message.report_to,
    )
    assert None is delivery.phone, "a mail to the shop needs nobody's consent"


def test_a_text_opens_the_conversation_for_answers_and_keeps_it_open() -> None:
    (heard,) = planned(text_in(), OPEN).writes.conversations

    assert talk(heard_at=NOON, closes_at=NOON + timedelta(days=14)) == heard


def test_the_text_is_dated_when_it_came_in_and_not_when_it_was_planned() -> None:
    delivery = only(planned(replace(text_in(), at=NOON - DAY), OPEN).writes.deliveries)

    assert "Sunday 22 November 2026 12:00 EST" in words(delivery)
    assert "Sun, 22 Nov 2026 17:00:00 +0000" == written(delivery)["Date"]


@pytest.mark.parametrize(
    ("conversations", "expected"),
    [
        pytest.param(
            (talk(), talk(id="b", job="b", texted_at=NOON - DAY / 2)), "b", id="two jobs on one number: texted last"
        ),
        pytest.param((talk(), talk(id="b", number="sales", texted_at=NOON)), TOKEN, id="the number tells the job"),
        pytest.param((talk(), talk(id="b", phone=BOB, texted_at=NOON)), TOKEN, id="another phone"),
        pytest.param((talk(), talk(id="b", closes_at=NOON, texted_at=NOON)), TOKEN, id="a closed one"),
        pytest.param((talk(), talk(id="b", texted_at=None)), TOKEN, id="one that was never texted"),
        pytest.param((talk(id="s", sender="", job="", texted_at=NOON), talk()), "s", id="an answered stranger"),
        pytest.param((talk(), talk(id="b", job="b")), "b", id="texted at the same time: by their names"),
    ],
)
def test_a_reply_belongs_to_the_job_that_caused_the_text(conversations: Any, expected: str) -> None:
    (heard,) = planned(text_in(), facts(conversations=conversations)).writes.conversations

    assert expected == heard.id


def test_a_strangers_text_goes_to_the_inbox_of_the_number() -> None:
    made = planned(text_in("Are you open?"), facts())
    delivery, (opened,) = only(made.writes.deliveries), made.writes.conversations

    assert (INBOX, "Text from +1 202-555-0143") == (delivery.to, written(delivery)["Subject"])
    assert (None, None) == (written(delivery)["In-Reply-To"], written(delivery)["References"])
    assert f"r-{opened.id}@{DOMAIN}" == written(delivery)["Reply-To"]
    assert ("", MARIA, "", "service") == (opened.sender, opened.phone, opened.job, opened.number)
    assert (NOON, NOON, NOON + timedelta(days=14)) == (opened.opened_at, opened.heard_at, opened.closes_at)
    assert "inbox of number service" == made.writes.messages[0].rule
    assert "we texted" not in words(delivery)


def test_an_answered_strangers_text_still_goes_to_the_inbox() -> None:
    known = talk(sender="", job="", subject="", reply_to=INBOX)
    made = planned(text_in(), facts(conversations=(known,)))

    assert (INBOX, "inbox of number service") == (only(made.writes.deliveries).to, made.writes.messages[0].rule)


def test_a_strangers_second_text_stays_in_his_conversation() -> None:
    known = talk(
        sender="", job="", number="sales", texted_at=None, closes_at=NOON - DAY, reply_to="old@shop.example.com"
    )
    other = talk(id="b", number="sales", closes_at=NOON)
    (heard,) = planned(text_in(), facts(conversations=(other, known))).writes.conversations

    assert (TOKEN, "service", INBOX) == (heard.id, "service", heard.reply_to)


@pytest.mark.parametrize(
    ("told", "number", "expected", "rule"),
    [
        pytest.param(RULES, SERVICE, INBOX, "service", id="inbox"),
        pytest.param(RULES, SALES, ADMIN, "sales", id="no inbox: the admin"),
        pytest.param(shop.rules(alarm_to=()), SALES, f"postmaster@{DOMAIN}", "sales", id="nobody"),
        pytest.param(shop.rules(numbers=()), SERVICE, ADMIN, SERVICE, id="a number that is no more"),
    ],
)
def test_where_the_texts_of_strangers_go(told: Rules, number: Phone, expected: str, rule: str) -> None:
    made = planned(text_in(number=number), facts(), told)

    assert expected == only(made.writes.deliveries).to
    assert f"inbox of number {rule}" == made.writes.messages[0].rule


def test_a_conversation_whose_mails_named_nobody_is_answered_to_the_inbox() -> None:
    assert INBOX == only(planned(text_in(), facts(conversations=(talk(reply_to=""),))).writes.deliveries).to


@pytest.mark.parametrize(
    ("told", "reply_to", "expected"),
    [
        pytest.param(RULES, JOBS, ADMIN, id="the admin"),
        pytest.param(shop.sender("jobs", reply_fallback=INBOX), JOBS, INBOX, id="the fallback"),
        pytest.param(shop.sender("jobs", reply_fallback=INBOX), INBOX.upper(), ADMIN, id="not who failed already"),
        pytest.param(RULES, ADMIN, "", id="nobody else"),
    ],
)
def test_who_hears_that_a_reply_could_not_be_delivered(told: Rules, reply_to: str, expected: str) -> None:
    made = planned(text_in(), facts(conversations=(talk(reply_to=reply_to),)), told)

    assert [expected] == [m.report_to for m in made.writes.messages]


@pytest.mark.parametrize(
    ("author", "local", "name"),
    [
        pytest.param("242733", "242733", "242733", id="a short code"),
        pytest.param("ACME Caf\u00e9", "acmecaf", "ACME Caf\u00e9", id="a name"),
        pytest.param("!!", "unknown", "!!", id="neither"),
        pytest.param("+266696687", "266696687", "+266696687", id="an anonymous number"),
        pytest.param("x\r\nBcc: evil@x.example", "xbccevilxexample", "x Bcc: evil@x.example", id="lines"),
    ],
)
def test_who_has_no_phone_cannot_be_answered(author: str, local: str, name: str) -> None:
    made = planned(text_in(author=author), facts())
    delivery = only(made.writes.deliveries)
    sender = written(delivery)["From"].addresses[0]

    assert (f"{local}@{DOMAIN}", name) == (sender.addr_spec, sender.display_name)
    assert (None, ()) == (written(delivery)["Reply-To"], made.writes.conversations)
    assert (None, "") == (made.writes.messages[0].phone, made.writes.messages[0].conversation)
    assert "This cannot be answered by text." in words(delivery)
    assert None is written(delivery)["Bcc"]


def test_an_employees_reply_bears_his_name() -> None:
    made = planned(text_in(author=BOB), facts(conversations=(talk(phone=BOB),)))

    assert ["bob"] == [m.person for m in made.writes.messages]


def test_the_relays_one_sender_stands_in_the_envelope_and_in_from_of_a_reply() -> None:
    delivery = only(planned(text_in(), OPEN, shop.rules(relay_sender="s@r.example")).writes.deliveries)
    sender = written(delivery)["From"].addresses[0]

    assert isinstance(delivery.parcel, MailParcel)
    assert "s@r.example" == delivery.parcel.mail_from
    assert ("s@r.example", "+1 202-555-0143") == (sender.addr_spec, sender.display_name)
    assert f"r-{TOKEN}@{DOMAIN}" == written(delivery)["Reply-To"]


def test_pictures_are_named_by_their_addresses() -> None:
    body = words(only(planned(text_in("", media=("https://x.example/1",)), OPEN).writes.deliveries))

    assert body.startswith("(no words)\n\n(1 picture or file came with it:)\nhttps://x.example/1\n")


@pytest.mark.parametrize(
    ("text", "known", "action", "words_of_it", "answer"),
    [
        pytest.param(
            "STOP", [], "stop", "[STOP opts this phone out: Example Auto will not", "said STOP on 2026-11", id="STOP"
        ),
        pytest.param(
            "cancel", [], "stop", "[CANCEL opts this phone out", "No answer can be texted: this phone", id="CANCEL"
        ),
        pytest.param("start", ["stop"], "start", "[START lifts an earlier STOP", "Answer this mail", id="START"),
        pytest.param(
            "start",
            [],
            "start",
            "[START is also the word that lifts a STOP; there was none.]",
            "Answer this mail",
            id="START of a stranger",
        ),
        pytest.param("help", [], None, "[HELP asks for help; the provider", "Answer this mail", id="HELP"),
        pytest.param(
            "At ten?", ["stop"], None, "", "No answer can be texted: this phone said STOP", id="words after STOP"
        ),
        pytest.param("start", ["revoke"], "start", "", "this phone was opted out", id="a START lifts no revocation"),
        pytest.param("Don't stop", [], None, "", "Answer this mail to text back.", id="a word among others"),
    ],
)
def test_a_keyword_acts_and_the_mail_says_what_it_did(
    text: str, known: list[str], action: str | None, words_of_it: str, answer: str
) -> None:
    made = planned(text_in(text), facts(*(entry(a) for a in known), conversations=(talk(),)))
    body = words(only(made.writes.deliveries))

    assert [action] * bool(action) == [c.action for c in made.writes.consents]
    assert words_of_it in body
    assert answer in body
    assert body.startswith(f"{text}\n"), "the words go through, whatever they did"


def test_an_entry_that_the_door_made_is_not_counted_again() -> None:
    stop = entered(text_in("stop"))
    assert stop is not None
    made = planned(text_in("stop"), facts(stop, entry("start", at=NOON + MINUTE), conversations=(talk(),)))

    body = words(only(made.writes.deliveries))
    assert "Answer this mail to text back." in body
    assert "[STOP opts a phone out, but this phone has texted START since: texts go on.]" in body


@pytest.mark.parametrize(
    ("before", "word", "did"),
    [
        pytest.param([entry("suspend")], "YES", "ends the pause of reminders to this phone. It is no", id="a pause"),
        pytest.param([entry("block", number=SERVICE)], "start", "lifts the provider's block of our number service",
                     id="a block"),
        pytest.param([entry("block", number=SALES)], "start", "there was none.]", id="another number's block"),
        pytest.param([entry("grant")], "YES", "[YES is also the word that lifts a STOP; there was none.]", id="none"),
        pytest.param([entry("stop", at=NOON + MINUTE)], "start", "the one of this phone is newer and stands.]",
                     id="a newer STOP"),
    ],
)  # fmt: skip
def test_a_start_says_only_what_it_lifted(before: list[Consent], word: str, did: str) -> None:
    made = planned(text_in(word), facts(*before, conversations=(talk(),)))

    assert did in words(only(made.writes.deliveries))


@pytest.mark.parametrize("word", ["stop", "start"])
def test_a_keyword_of_who_is_no_phone_is_said_to_do_nothing(word: str) -> None:
    made = planned(text_in(word, author="242733"), facts())

    assert "[" not in words(only(made.writes.deliveries))


def test_the_entry_of_a_keyword_tells_its_evidence() -> None:
    assert Consent(
        id="twilio:SM1.stop",
        brand=BRAND,
        phone=MARIA,
        at=NOON,
        action="stop",
        method="keyword",
        evidence=f"text SM1 to {SERVICE}",
        recorded_by="twilio",
        raw="Stop.",
        number=SERVICE,
    ) == entered(text_in("Stop."))


@pytest.mark.parametrize("author", ["242733", "ACME"])
def test_only_a_phone_can_opt_out(author: str) -> None:
    assert None is entered(text_in("stop", author=author))


def test_a_phone_that_no_plan_knows_can_still_opt_out() -> None:
    found = entered(text_in("stop", author="+999123456"))

    assert found is not None
    assert "+999123456" == found.phone
