"""An employee answers a carrier text: his carrier makes a mail of it, and the shop gets it on the thread of the job."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
import shop
from hypothesis import given
from hypothesis import strategies as st
from outbox import carried, fates, message, only, texts, words, written
from shop import ADMIN, ALICE, BOB, DAY, DOMAIN, JOBS, MARIA, NOON, RULES, entry, facts, mail, planned, reading, talk

from gateway.core import policy, trial
from gateway.core.facts import Facts
from gateway.core.model import Consent, Conversation, Door, Fate, Kind, MailAddr, Phone, Picture, Question, Reading
from gateway.core.rules import Rules
from gateway.core.work import Delivery, Plan, Writes

TALK, BOUNCE = "aaaaaaaaaaaaaaaa", "bbbbbbbbbbbbbbbb"
FROM = "2025550112@vtext.com"
SIGNED = "dkim=pass header.d=vtext.com"
UNVERIFIED = "[Not verified: nothing proves that this came from the phone: no signature of vtext.com.]"


def bobs(**changes: Any) -> Conversation:
    """What jobs says to Bob, by his carrier: texted yesterday, open."""
    return talk(**{"phone": BOB, "number": "", "text": "Tow the Ford.", **changes})


OPEN = facts(conversations=(bobs(),))


def read(answer: str = "On my way.", **changes: Any) -> Reading:
    """The answer of Bob's phone, without what its carrier wrote around it."""
    given = {"author": MailAddr(FROM), "subject": "", "text": answer, "answer": answer, "answer_cut": ""}
    return reading(**{**given, "message_id": "<1@vtext.com>", **changes})


def came(
    heard: Reading | None = None,
    known: Facts = OPEN,
    told: Rules = RULES,
    *,
    to: tuple[str, ...] = (f"r-{TALK}",),
    proven: str = SIGNED,
    pictures: tuple[Picture, ...] = (),
    mail_from: str = FROM,
) -> Plan:
    """What follows from a mail of Bob's phone that the public door has taken."""
    inbound = mail(*to, id="m9", door=Door.PUBLIC, sender="", mail_from=mail_from, proven=proven)
    return planned(inbound, known, told, heard or read(), pictures=pictures)


def reply(made: Plan) -> Delivery:
    return only([d for d in made.writes.deliveries if d.kind is Kind.REPLY])


def actions(made: Plan) -> list[str]:
    return [c.action for c in made.writes.consents]


def test_the_answer_goes_to_who_texted_on_the_thread_of_the_job_in_the_name_of_the_phone() -> None:
    made = came()
    sent = written(reply(made))

    assert (JOBS, Fate.WAITING) == (reply(made).to, reply(made).fate)
    assert f"b-{reply(made).bounce}@{DOMAIN}" == getattr(reply(made).parcel, "mail_from", "")
    assert f"+1 202-555-0112 <12025550112@{DOMAIN}>" == sent["From"]
    assert (f"r-{TALK}@{DOMAIN}", "Re: Reminder") == (sent["Reply-To"], sent["Subject"])
    assert ("<m0@shop.example.com>", "<root@shop.example.com> <m0@shop.example.com>") == (
        sent["In-Reply-To"], sent["References"],
    )  # fmt: skip
    assert ("All", None) == (sent["X-Auto-Response-Suppress"], sent["Auto-Submitted"])
    assert (
        "On my way.\n\n-- \n"
        "+1 202-555-0112, Monday 23 November 2026 12:00 EST, by mail from 2025550112@vtext.com\n"
        "Answer this mail to text back.\n\n"
        "On 2026-11-22 12:00 we texted:\n> Tow the Ford.\n"
    ) == words(reply(made))


@pytest.mark.parametrize(
    ("proven", "rule", "first"),
    [
        (SIGNED, f"conversation reminder, by mail from vtext.com ({SIGNED})", "On my way.\n\n-- \n"),
        ("", "conversation reminder, by mail from vtext.com (not verified)", f"On my way.\n\n{UNVERIFIED}\n\n-- \n"),
    ],
    ids=["signed", "unverified"],
)
def test_what_proves_the_phone_is_kept_and_its_lack_is_told(proven: str, rule: str, first: str) -> None:
    made = came(proven=proven)
    (kept,) = made.writes.messages

    assert (Kind.REPLY, BOB, "bob", TALK, "jobs", "On my way.", rule) == (
        kept.kind, kept.phone, kept.person, kept.conversation, kept.sender, kept.text, kept.rule,
    )  # fmt: skip
    assert (ADMIN, "m9.1", "m9") == (kept.report_to, kept.id, kept.inbound)
    assert words(reply(made)).startswith(first)


def test_an_answer_keeps_the_conversation_open() -> None:
    (kept,) = came().writes.conversations

    assert (TALK, NOON, NOON + timedelta(days=14), JOBS) == (kept.id, kept.heard_at, kept.closes_at, kept.reply_to)


def test_an_answer_opens_a_closed_conversation_again_and_says_so() -> None:
    made = came(known=facts(conversations=(bobs(closes_at=NOON - DAY),)))

    assert "[This conversation had closed; the answer opened it again.]" in words(reply(made))
    assert made.writes.messages[0].rule.endswith("; reopened")
    assert NOON < made.writes.conversations[0].closes_at


def test_an_answer_without_a_mailbox_goes_to_the_admin() -> None:
    assert ADMIN == reply(came(known=facts(conversations=(bobs(reply_to=""),)))).to


LINK = "https://pictures.example.com/1"


@pytest.mark.parametrize(
    ("heard", "sent", "expected"),
    [
        pytest.param(read("Look", pictures=1), (shop.picture(),), "Look\n\n(1 picture or file attached)\n", id="one"),
        pytest.param(read("", pictures=2), (shop.picture(), shop.picture(name="b.jpg")),
                     "(2 pictures or files attached)\n", id="two and no words"),
        pytest.param(read("", pictures=1), (shop.picture(data=b"", problem="it is too large"),),
                     "(One picture or file is missing: it is too large)\n", id="missing"),
        pytest.param(read("Look", pictures=1), (),
                     "Look\n\n(A file came with it and is not attached: gateway queue show --raw m9)\n",
                     id="not looked into, or a sound"),
        pytest.param(read("Look", pictures=3), (shop.picture(),),
                     "Look\n\n(1 picture or file attached)\n\n"
                     "(2 files came with it and are not attached: gateway queue show --raw m9)\n",
                     id="a picture and two films"),
        pytest.param(read("", link=LINK), (), f"(The message is kept by the carrier at {LINK})\n", id="a link alone"),
        pytest.param(read(""), (), "(no words)\n\n-- \n", id="nothing at all"),
        pytest.param(read("", subject="On my way."), (), "On my way.\n\n-- \n", id="all in the subject"),
        pytest.param(read("At ten.", subject="The Ford"), (), "At ten.\n\n(Its subject: The Ford)\n", id="a subject"),
        pytest.param(read("At ten.", subject="at ten"), (), "At ten.\n\n-- \n", id="the subject says no more"),
        pytest.param(read("At ten.", subject="Re: Reminder"), (), "At ten.\n\n-- \n", id="the subject is ours"),
    ],
)  # fmt: skip
def test_whatever_the_phone_sent_is_in_the_mail_or_told(
    heard: Reading, sent: tuple[Picture, ...], expected: str
) -> None:
    made = came(heard, pictures=sent)

    assert words(reply(made)).startswith(expected)
    assert sum(bool(p.data) for p in sent) == len(list(written(reply(made)).iter_attachments()))


def test_a_link_alone_is_the_text_of_the_message() -> None:
    (kept,) = came(read("", link=LINK)).writes.messages

    assert f"(The message is kept by the carrier at {LINK})" == kept.text


@pytest.mark.parametrize("proven", [SIGNED, ""], ids=["signed", "unverified"])
def test_a_stop_is_entered_whatever_is_proven_and_ends_texts_on_every_route(proven: str) -> None:
    made = came(read("Stop."), proven=proven)
    (stop,) = made.writes.consents
    after = facts(stop, conversations=made.writes.conversations)

    assert ("m9.stop", BOB, "stop", "keyword", "mail", NOON) == (
        stop.id, stop.phone, stop.action, stop.method, stop.recorded_by, stop.at,
    )  # fmt: skip
    assert f"mail m9 from {FROM}, {proven or 'not verified'}" == stop.evidence
    assert NOON == came(read("Stop.", date=OLD), proven=proven).writes.consents[0].at
    assert "[STOP opts this phone out: Example Auto will not text it again until it texts START.]" in words(reply(made))
    assert "No answer can be texted: this phone said STOP on 2026-11-23." in words(reply(made))
    for to in ("bob", "2025550112", FROM, f"r-{TALK}"):
        refused = planned(mail(to), after)
        assert [] == texts(refused)
        assert ("refused", "5.7.1") == fates(refused)[0][1:]


def test_no_question_is_asked_about_an_employee_who_perhaps_wants_no_texts() -> None:
    made = came(read("please stop texting me"))

    assert ((), ()) == (made.writes.consents, made.writes.questions)


def by_mail(action: str, proven: str = "", **changes: Any) -> Consent:
    """What a mail of Bob's phone entered yesterday."""
    evidence = f"mail m0 from {FROM}, {proven or 'not verified'}"
    return entry(action, BOB, **{"method": "keyword", "evidence": evidence, "recorded_by": "mail", **changes})


STOPPED = facts(entry("stop", BOB), conversations=(bobs(),))
FORGED = facts(by_mail("stop"), conversations=(bobs(),))
PROVEN = facts(by_mail("stop", SIGNED), conversations=(bobs(),))
PAUSED = facts(entry("suspend", BOB), conversations=(bobs(),))
LIFTED = "[START lifts an earlier STOP of this phone. It is no consent by itself.]"
KEPT = (
    "[START was not taken, since nothing proves that it came from the phone: this phone said STOP on 2026-11-22, and "
    "that stands. A START that vtext.com signs, or that is texted to a number of ours, lifts it.]"
)
LIFTED_TOO = "[START lifts an earlier STOP of this phone, which was not verified either. It is no consent by itself.]"
WAITS = (
    "[START was not taken, since nothing proves that it came from the phone: reminders to it stay paused. A START that "
    "vtext.com signs, or that is texted to a number of ours, lifts it.]"
)
NONE = "is also the word that lifts a STOP; there was none.]"
NEWER = "[START is also the word that lifts a STOP; the one of this phone is newer and stands.]"


@pytest.mark.parametrize(
    ("said", "known", "proven", "entered", "line"),
    [
        pytest.param("START", STOPPED, SIGNED, ["start"], LIFTED, id="signed: lifts"),
        pytest.param("START", STOPPED, "", [], KEPT, id="unverified: not taken"),
        pytest.param("START", PROVEN, "", [], KEPT, id="unverified: nor against a STOP by mail that is proven"),
        pytest.param("START", FORGED, "", ["start"], LIFTED_TOO, id="unverified, and so was the STOP: lifts"),
        pytest.param("START", FORGED, SIGNED, ["start"], LIFTED, id="signed: lifts what is not"),
        pytest.param("START", PAUSED, "", [], WAITS, id="unverified: a pause goes on"),
        pytest.param("Yes", OPEN, SIGNED, ["start"], f"[YES {NONE}", id="signed: nothing to lift"),
        pytest.param("Yes", OPEN, "", [], f"[YES {NONE}", id="unverified: nothing to lift"),
        pytest.param("help", OPEN, "", [], "[HELP asks for help; nothing answers it by itself.]", id="help"),
    ],
)
def test_a_start_counts_only_where_the_phone_is_proven_or_the_stop_was_not_either(
    said: str, known: Facts, proven: str, entered: list[str], line: str
) -> None:
    made = came(read(said), known, proven=proven)
    allowed = "Answer this mail to text back." in words(reply(made))
    state = policy.standing((*known.consents.get(BOB, ()), *made.writes.consents), shop.BRAND)

    assert entered == actions(made)
    assert line in words(reply(made))
    assert allowed is (state.stopped is None) is (line != KEPT)
    assert (said == "START" and not entered) is ("the START was not taken, since nothing proves the phone" in made.note)


def test_an_unverified_start_names_the_stop_that_stands() -> None:
    both = facts(entry("stop", BOB, at=NOON - 3 * DAY), by_mail("stop", id="m0.stop"), conversations=(bobs(),))

    assert "this phone said STOP on 2026-11-20, and that stands." in words(reply(came(read("START"), both, proven="")))


SENT = NOON - 2 * DAY
OLD = format_datetime(SENT)


@pytest.mark.parametrize(
    ("date", "at", "lifts"),
    [
        pytest.param(OLD, SENT + timedelta(minutes=1), False, id="written before the STOP"),
        pytest.param(format_datetime(NOON - timedelta(hours=23)), NOON - timedelta(hours=23) + timedelta(minutes=1),
                     True, id="written after it"),
        pytest.param(format_datetime(NOON + DAY), NOON, True, id="written tomorrow: the clock is wrong"),
        pytest.param(format_datetime(NOON), NOON, True, id="just written"),
        pytest.param("soon", NOON, True, id="no date"),
        pytest.param("", NOON, True, id="none at all"),
        pytest.param("Mon, 99 Nov 99999 25:61:00 +9999", NOON, True, id="no day of any calendar"),
    ],
)  # fmt: skip
def test_a_start_that_waited_for_days_lifts_no_stop_that_was_said_since(date: str, at: datetime, lifts: bool) -> None:
    made = came(read("START", date=date), STOPPED)
    (start,) = made.writes.consents
    state = policy.standing((*STOPPED.consents[BOB], start), shop.BRAND)

    assert at == start.at
    assert lifts is (state.stopped is None)
    assert lifts is (LIFTED in words(reply(made)))
    assert lifts is not (NEWER in words(reply(made)))


def test_an_unverified_start_can_be_texted_only_where_there_is_a_number() -> None:
    made = came(read("START"), STOPPED, shop.rules(numbers=()), proven="")

    assert "A START that vtext.com signs lifts it.]" in words(reply(made))


def test_a_start_by_mail_lifts_no_block_of_a_provider_who_has_not_heard_it() -> None:
    blocked = facts(entry("block", BOB, number=shop.SERVICE), conversations=(bobs(),))
    made = came(read("START"), blocked)
    entries = (*blocked.consents[BOB], *made.writes.consents)

    assert (shop.SERVICE,) == policy.standing(entries, shop.BRAND).blocked
    assert f"[START {NONE}" in words(reply(made))


REFUSED = ("refused", "5.7.1")


@pytest.mark.parametrize(
    ("heard", "known"),
    [
        pytest.param(read(author=MailAddr("2025550111@vtext.com")), OPEN, id="the phone of somebody else"),
        pytest.param(read(author=MailAddr("bob@shop.example.com")), OPEN, id="no phone"),
        pytest.param(read(author=MailAddr("2025550112@elsewhere.example")), OPEN, id="no carrier"),
        pytest.param(read(author=None), OPEN, id="nobody"),
        pytest.param(read(author=MailAddr("2025550143@vtext.com")), facts(entry("grant"), conversations=(talk(),)),
                     id="a customer: his conversation is not by mail"),
        pytest.param(read(auto_submitted="auto-replied"), OPEN, id="an answering machine"),
        pytest.param(read("STOP", auto_submitted="auto-replied"), OPEN, id="an answering machine that says STOP"),
        pytest.param(read("STOP", ours=True), OPEN, id="a mail of our own that says STOP"),
        pytest.param(read(auto_submitted="auto-generated"), OPEN, id="a machine"),
        pytest.param(read(report=True), OPEN, id="a report"),
        pytest.param(read(bounce=("failed", "5.1.1", "550 no such user")), OPEN, id="a carrier's own form of report"),
        pytest.param(read(ours=True), OPEN, id="a mail of our own"),
    ],
)  # fmt: skip
def test_what_the_phone_of_the_conversation_did_not_write_goes_no_further_and_is_told_to_nobody(
    heard: Reading, known: Facts
) -> None:
    made = came(heard, known)

    assert [REFUSED] == [fate[1:] for fate in fates(made)]
    assert ((), ()) == (made.writes.conversations, made.writes.consents)


MARKS = [
    pytest.param({}, "", id="no envelope sender"),
    pytest.param({"bulk": True}, FROM, id="Precedence: bulk"),
    pytest.param({"bulk": True}, "", id="both"),
]


@pytest.mark.parametrize(("marks", "mail_from"), MARKS)
def test_what_only_looks_like_bulk_is_what_the_phone_wrote(marks: dict[str, Any], mail_from: str) -> None:
    made = came(read(**marks), mail_from=mail_from)

    assert (JOBS, "On my way.") == (reply(made).to, made.writes.messages[0].text)
    assert ["stop"] == actions(came(read("STOP", **marks), mail_from=mail_from))


@pytest.mark.parametrize("subject", ["", "STOP"], ids=["in the words", "in the subject"])
def test_a_stop_counts_also_where_the_carriers_machine_says_that_it_wrote_the_mail(subject: str) -> None:
    made = came(read("" if subject else "Stop.", subject=subject, auto_submitted="auto-generated"), mail_from="")

    assert ["stop"] == actions(made)
    assert "[STOP opts this phone out" in words(reply(made))


@pytest.mark.parametrize(
    ("heard", "mail_from", "why"),
    [
        pytest.param(read(auto_submitted="auto-generated"), FROM,
                     "an automatic reply: Auto-Submitted is auto-generated", id="a machine"),
        pytest.param(read(subject="Undeliverable: Reminder"), "",
                     "a delivery report: its envelope sender is empty, and its subject is that of a report",
                     id="a report in a form that nobody knows"),
    ],
)  # fmt: skip
def test_the_words_of_a_machine_are_no_persons_and_stand_in_the_story_of_the_phone(
    heard: Reading, mail_from: str, why: str
) -> None:
    made = came(heard, mail_from=mail_from)
    (kept,), (ended,) = made.writes.messages, made.writes.deliveries

    assert (BOB, "bob", "On my way.", Kind.REPLY, "", "") == (
        kept.phone, kept.person, kept.text, kept.kind, kept.conversation, kept.report_to,
    )  # fmt: skip
    assert (BOB, "bob", f"r-{TALK}@{DOMAIN}", "mail", Fate.REFUSED, why) == (
        ended.phone, ended.person, ended.to, ended.courier, ended.fate, ended.note,
    )  # fmt: skip
    assert () == made.writes.conversations


def test_a_conversation_that_is_no_more_takes_no_answer() -> None:
    assert [("refused", "5.1.1")] == [fate[1:] for fate in fates(came(known=facts()))]


def bounced(**changes: Any) -> Facts:
    """The text to Bob that bears the b- address, in his conversation."""
    text = carried(bounce=BOUNCE, fate=Fate.HANDED_OVER, **changes)
    about = message(phone=BOB, person="bob", conversation=TALK)
    return facts(conversations=(bobs(),), by_bounce={BOUNCE: text}, messages={"m1.1": about})


def test_an_answer_to_the_bounce_address_belongs_to_the_conversation_of_that_text() -> None:
    made = came(known=bounced(), to=(f"b-{BOUNCE}",))

    assert (JOBS, "On my way.", TALK) == (
        reply(made).to, made.writes.messages[0].text, made.writes.messages[0].conversation,
    )  # fmt: skip
    assert () == made.writes.moves
    assert ["stop"] == actions(came(read("stop"), bounced(), to=(f"b-{BOUNCE}",), proven=""))


@pytest.mark.parametrize(
    ("heard", "known"),
    [
        pytest.param(read(author=MailAddr("2025550111@vtext.com")), bounced(), id="another phone"),
        pytest.param(read(author=MailAddr("friend@elsewhere.example")), bounced(), id="no phone"),
        pytest.param(read(auto_submitted="auto-replied"), bounced(), id="a machine"),
        pytest.param(read(), facts(), id="no mail of ours"),
        pytest.param(read(), replace(bounced(), conversations=()), id="no conversation: an alarm"),
        pytest.param(read(author=MailAddr("2025550112@vtext.com")), bounced(phone=ALICE), id="the text was another's"),
    ],
)
def test_other_mail_to_the_bounce_address_is_no_answer(heard: Reading, known: Facts) -> None:
    if known.by_bounce and known.by_bounce[BOUNCE].phone == ALICE:
        known = replace(known, conversations=(bobs(phone=ALICE),))
    made = came(heard, known, to=(f"b-{BOUNCE}",))

    assert ((), ()) == (made.writes.messages, made.writes.deliveries)
    assert f"b-{BOUNCE}@{DOMAIN}: no failure of a mail of ours is reported" == made.note


def test_a_delivery_report_to_the_bounce_address_ends_the_text() -> None:
    made = came(read(bounce=("failed", "5.1.1", "550 5.1.1 no such user")), bounced(), to=(f"b-{BOUNCE}",))

    assert ["m1.1.1"] == [move.delivery for move in made.writes.moves]
    assert [] == [m for m in made.writes.messages if m.kind is Kind.REPLY]


def test_one_mail_answers_a_conversation_once_however_many_of_its_addresses_it_names() -> None:
    made = came(known=bounced(), to=(f"r-{TALK}", f"b-{BOUNCE}", f"R-{TALK.upper()}"))

    assert [JOBS] == [d.to for d in made.writes.deliveries]
    assert 2 == made.note.count("is of a conversation that this mail answers already")


def test_one_mail_answers_every_conversation_that_it_names() -> None:
    both = facts(conversations=(bobs(), bobs(id="cccccccccccccccc", job="tires", reply_to="tires@shop.example.com")))
    made = came(known=both, to=(f"r-{TALK}", "r-cccccccccccccccc"))

    assert [JOBS, "tires@shop.example.com"] == [d.to for d in made.writes.deliveries]
    assert ["m9.1", "m9.2"] == [m.id for m in made.writes.messages]


def test_the_shop_answers_the_answer_by_text() -> None:
    (kept,) = came().writes.conversations
    made = planned(mail(f"r-{TALK}"), facts(conversations=(kept,)))

    assert [("2025550112@vtext.com", "mail")] == [(d.to, d.courier) for d in texts(made)]


def test_an_answer_that_says_nothing_of_a_stop_changes_no_consent() -> None:
    assert [] == actions(came(read("stop by at five")))


def code(**changes: Any) -> Question:
    """Whether Bob's address works: asked yesterday with 4821."""
    made = Question(
        id="q" * 16, kind="test", phone=BOB, number="", asked_at=NOON - DAY, closes_at=NOON + DAY, text="4821",
        options=(FROM,),
    )  # fmt: skip
    return replace(made, **changes)


TRIAL = bobs(sender="", job="carriers test", subject="Test of bob's text address", reply_to=ADMIN)


def with_code(answer: str, asked: Question, about: Conversation = TRIAL) -> Plan:
    return came(read(answer), replace(facts(conversations=(about,)), questions={asked.id: asked}))


@pytest.mark.parametrize("answer", ["4821", "Got it: 4821!", "code 4821.\nBob"])
def test_the_code_of_a_test_confirms_the_address_and_the_admin_gets_one_mail(answer: str) -> None:
    made = with_code(answer, code())

    assert [("bob", FROM, True, "test")] == [(c.employee, c.address, c.works, c.how) for c in made.writes.confirmations]
    assert ["4821"] == [q.answer for q in made.writes.questions]
    assert [(ADMIN, Kind.REPORT)] == [(d.to, d.kind) for d in made.writes.deliveries]
    assert [TALK] == [c.id for c in made.writes.conversations]
    assert f"r-{TALK}@{DOMAIN}: the code of the test is answered" == made.note


@pytest.mark.parametrize(
    ("answer", "asked"),
    [
        pytest.param("48210", code(), id="another number"),
        pytest.param("14821", code(), id="the end of another number"),
        pytest.param("It came", code(), id="no code"),
        pytest.param("4821", code(phone=MARIA), id="about another phone"),
        pytest.param("4821", code(answered_at=NOON - DAY), id="answered"),
        pytest.param("4821", code(closes_at=NOON), id="closed"),
        pytest.param("4821", code(kind="stop"), id="no test"),
        pytest.param("4821", code(text=""), id="no code asked"),
    ],
)
def test_what_is_not_the_code_confirms_nothing_and_goes_to_who_asked(answer: str, asked: Question) -> None:
    made = with_code(answer, asked)

    assert ((), ()) == (made.writes.confirmations, made.writes.questions)
    assert ADMIN == reply(made).to


SENTENCE = "Example Auto: this tests your text address. Please answer with 4821."


@pytest.mark.parametrize(
    ("answer", "changes"),
    [
        pytest.param(SENTENCE, {}, id="our own text alone"),
        pytest.param("Could not be sent:\n: Please\n> answer with 4821.", {}, id="quoted and wrapped"),
        pytest.param("4821", {"subject": "Undeliverable: Test of bob's text address"}, id="below such a subject"),
        pytest.param("550 4821 7730 no such phone", {}, id="among other numbers of its length"),
    ],
)
def test_what_merely_comes_back_proves_no_address(answer: str, changes: dict[str, Any]) -> None:
    known = replace(facts(conversations=(TRIAL,)), questions={"q" * 16: code()})
    made = came(read(answer, **changes), known)

    assert ((), ()) == (made.writes.confirmations, made.writes.questions)
    assert ADMIN == reply(made).to


def test_the_sentence_that_is_taken_out_is_the_one_that_asks() -> None:
    bob = RULES.employee("bob")
    channel = RULES.channel(bob) if bob else None
    assert bob is not None
    assert channel is not None
    tokens = (f"token{n:05d}x" for n in range(9))
    asked = trial.ask(trial.Trial(employee=bob, channel=channel, address=FROM, code="4821"), tokens, RULES, NOON)

    assert isinstance(asked, Writes)
    assert SENTENCE == asked.messages[0].text


def test_the_code_beside_our_sentence_is_an_answer() -> None:
    assert ["bob"] == [c.employee for c in with_code(f"4821\n\n{SENTENCE}", code()).writes.confirmations]


def test_the_code_in_another_conversation_confirms_the_address_and_the_words_go_on() -> None:
    made = with_code("4821", code(), bobs())

    assert ["bob"] == [c.employee for c in made.writes.confirmations]
    assert (JOBS, "4821") == (reply(made).to, made.writes.messages[0].text)
    assert "[It is the code of a test: the text address of this phone works.]" in words(reply(made))


SAID = st.one_of(st.sampled_from(["STOP", "start", "help", "", "4821", "Yes"]), st.text(max_size=200))
ADDRESSES = st.sampled_from([f"r-{TALK}", f"b-{BOUNCE}", "enroll", "postmaster", "r-cccccccccccccccc", "12"])


@given(SAID, st.lists(ADDRESSES, min_size=1, max_size=4), st.sampled_from([SIGNED, ""]), st.booleans())
def test_planning_twice_gives_equal_plans_whose_ids_follow_from_the_mail(
    said: str, to: list[str], proven: str, stopped: bool
) -> None:
    known = replace(bounced(), questions={"q" * 16: code()}, consents={BOB: (entry("stop", BOB),)} if stopped else {})
    first, second = (came(read(said), known, to=tuple(to), proven=proven) for _ in range(2))
    replies = [m for m in first.writes.messages if m.kind is Kind.REPLY]

    assert first == second
    assert all(m.id.startswith("m9.") for m in replies)
    assert all([] == written(d).defects for d in first.writes.deliveries if d.fate is Fate.WAITING)
    assert len(replies) <= 1
    assert all(c.id.startswith("m9.") for c in first.writes.consents)


@given(st.sampled_from([BOB, ALICE, MARIA]), st.sampled_from(["2025550112", "2025550111", "2025550143", "12", "bob"]))
def test_only_the_phone_of_an_employees_conversation_is_heard_in_it(phone: Phone, local: str) -> None:
    known = facts(conversations=(talk(phone=phone),))
    made = came(read(author=MailAddr(f"{local}@vtext.com")), known)
    own = phone != MARIA and phone.endswith(local) and len(local) == 10

    assert own is (Kind.REPLY in {d.kind for d in made.writes.deliveries})
    assert own is bool(made.writes.conversations)
