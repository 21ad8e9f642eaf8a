from __future__ import annotations

from dataclasses import replace

import pytest
import shop
from hypothesis import given
from hypothesis import strategies as st
from shop import BOB, MARIA, RULES, SALES, SERVICE, mail, reading, status_in, text_in

from gateway.core import plan
from gateway.core.address import TextAddress, ToConversation, ToName, ToPhone
from gateway.core.facts import Needs
from gateway.core.intent import (
    FILES,
    Answered,
    ConsentChange,
    Enroll,
    Forward,
    Ignored,
    Intent,
    NotForUs,
    Preview,
    Reply,
    ReplyByMail,
    Report,
    SendText,
    Status,
    bare_subject,
    job,
    needs,
    understand,
)
from gateway.core.keyword import Keyword
from gateway.core.mime import captured
from gateway.core.model import Door, MailAddr, Phone, Reading, Recipient, Unreadable
from gateway.core.rules import TextRules

TOKEN = "aaaaaaaaaaaaaaaa"


def meant(recipient: str, read: Reading | None = None, **changes: object) -> Intent:
    (intent,) = understand(mail(recipient, **changes), read or reading(), RULES)
    return intent


@pytest.mark.parametrize(
    ("recipient", "expected"),
    [
        pytest.param("2025550143", SendText, id="phone"),
        pytest.param("bob", SendText, id="name"),
        pytest.param("2025550112@vtext.com", SendText, id="text address"),
        pytest.param(f"r-{TOKEN}", SendText, id="conversation"),
        pytest.param("preview+bob", Preview, id="preview"),
        pytest.param(f"b-{TOKEN}", Report, id="bounce"),
        pytest.param("optin+2025550143", ConsentChange, id="consent"),
        pytest.param("postmaster", Forward, id="postmaster"),
        pytest.param("abuse", Forward, id="abuse"),
        pytest.param("friend@elsewhere.example", Forward, id="foreign"),
        pytest.param("enroll", NotForUs, id="enrolment"),
        pytest.param(f"a-{TOKEN}", Answered, id="question"),
        pytest.param("12", NotForUs, id="bad number"),
    ],
)
def test_each_address_means_one_thing(recipient: str, expected: type) -> None:
    assert expected is type(meant(recipient))


def test_each_recipient_has_an_intent_of_its_own() -> None:
    intents = understand(mail("bob", "2025550143", "2025550112@vtext.com"), reading(), RULES)

    assert [ToName("bob"), ToPhone(MARIA), TextAddress(BOB, "vtext.com")] == [
        i.target for i in intents if isinstance(i, SendText)
    ]


def test_mail_to_the_postmaster_goes_to_the_mailboxes_of_the_admin_and_not_to_phones() -> None:
    told = replace(RULES, alarm_to=("a@shop.example.com", str(BOB), "b@shop.example.com"))
    (intent,) = understand(mail("postmaster"), reading(), told)

    assert isinstance(intent, Forward)
    assert ("a@shop.example.com", "b@shop.example.com") == intent.to
    assert not intent.unchanged


JOB, ANSWER, POSTMASTER = "2025550143", f"r-{TOKEN}", "postmaster"


@pytest.mark.parametrize(
    ("changes", "stopped"),
    [
        pytest.param({}, set(), id="a person"),
        pytest.param({"auto_submitted": "no"}, set(), id="Auto-Submitted: no"),
        pytest.param({"auto_submitted": "auto-generated"}, {ANSWER}, id="auto-generated: reminders rightly say so"),
        pytest.param({"auto_submitted": "auto-notified"}, {ANSWER}, id="auto-notified"),
        pytest.param({"auto_submitted": "auto-replied"}, {JOB, ANSWER}, id="auto-replied"),
        pytest.param({"bulk": True}, {ANSWER}, id="Precedence or List-Id"),
        pytest.param({"report": True}, {JOB, ANSWER}, id="multipart/report"),
        pytest.param({"ours": True}, {JOB, ANSWER, POSTMASTER}, id="our own mail"),
    ],
)
def test_words_of_a_machine_are_stopped(changes: dict[str, object], stopped: set[str]) -> None:
    found = {to for to in (JOB, ANSWER, POSTMASTER) if isinstance(meant(to, reading(**changes)), Ignored)}

    assert stopped == found


def test_a_mail_without_envelope_sender_is_no_answer_but_may_be_job_mail() -> None:
    assert isinstance(meant(ANSWER, mail_from=""), Ignored)
    assert isinstance(meant(JOB, mail_from=""), SendText)


FROM = MailAddr("12025550112@vtext.com")
NO_PHONE = "it comes from no phone at a carrier's domain"


def from_phone(recipient: str, author: MailAddr | None = FROM, **changes: object) -> Intent:
    """What a mail means that a phone's carrier brings to the public door."""
    return meant(recipient, reading(author=author, **changes), door=Door.PUBLIC, sender="", mail_from="x@vtext.com")


def test_the_mail_of_a_phone_answers_a_conversation_or_enrols() -> None:
    to = {name: Recipient(address=shop.at(name)) for name in (ANSWER, "enroll", f"b-{TOKEN}")}

    assert ReplyByMail(recipient=to[ANSWER], target=ToConversation(TOKEN), phone=BOB) == from_phone(ANSWER)
    assert Enroll(recipient=to["enroll"], phone=BOB, carriers=("verizon",), address=FROM) == from_phone("enroll")
    assert Report(recipient=to[f"b-{TOKEN}"], token=TOKEN, phone=BOB) == from_phone(f"b-{TOKEN}")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        pytest.param({"author": MailAddr("bob@vtext.com")}, NO_PHONE, id="no number"),
        pytest.param({"author": MailAddr("2025550112@a.example")}, NO_PHONE, id="no carrier"),
        pytest.param({"author": None}, NO_PHONE, id="nobody"),
        pytest.param({"bounce": ("failed", "", "550 no such user")}, "a delivery report", id="a carrier's own report"),
        pytest.param({"auto_submitted": "auto-replied"}, "an automatic reply: Auto-Submitted is auto-replied",
                     id="a machine"),
        pytest.param({"auto_submitted": "auto-generated"}, "an automatic reply: Auto-Submitted is auto-generated",
                     id="what a machine wrote by itself"),
    ],
)  # fmt: skip
def test_mail_from_outside_that_no_person_wrote_with_a_phone_is_no_answer(
    changes: dict[str, object], reason: str
) -> None:
    phone = None if reason == NO_PHONE else BOB
    for to in (ANSWER, "enroll"):
        expected = Ignored(recipient=Recipient(address=shop.at(to)), reason=reason, phone=phone)
        assert expected == from_phone(to, **changes)
    assert getattr(from_phone(f"b-{TOKEN}", **changes), "phone", BOB) is None


def test_what_comes_from_outside_in_the_name_of_a_sender_is_texted() -> None:
    assert isinstance(meant(ANSWER, reading(author=FROM), door=Door.PUBLIC), SendText)


def test_the_admins_own_text_to_a_conversation_has_no_envelope_sender() -> None:
    assert isinstance(meant(ANSWER, mail_from="", door=Door.LOCAL), SendText)


@pytest.mark.parametrize(
    ("text", "opt_out", "expected"),
    [
        pytest.param("At ten?", "", None, id="words"),
        pytest.param("stop", "", Keyword(word="STOP", action="stop"), id="STOP by our list"),
        pytest.param("Stop.", "STOP", Keyword(word="STOP", action="stop"), id="both know it"),
        pytest.param("parar\nya", "STOP", Keyword(word="PARAR YA", action="stop"), id="a word of the provider's"),
        pytest.param("", "HELP", Keyword(word="HELP", action="help"), id="the provider's word without text"),
        pytest.param("stop", "START", Keyword(word="STOP", action="start"), id="the provider's word counts"),
    ],
)
def test_the_keyword_of_a_text(text: str, opt_out: str, expected: Keyword | None) -> None:
    (intent,) = understand(text_in(text, opt_out=opt_out), None, RULES)

    assert isinstance(intent, Reply)
    assert expected == intent.keyword


def test_a_status_is_a_status() -> None:
    assert (Status(event=status_in("sent").event),) == understand(status_in("sent"), None, RULES)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("read", "reason"), [(Unreadable(reason="too deep"), "too deep"), (None, "the mail was not read")]
)
def test_what_cannot_be_read_means_nothing(read: Unreadable | None, reason: str) -> None:
    assert (Unreadable(reason=reason),) == understand(mail("bob"), read, RULES)


@pytest.mark.parametrize(
    ("pattern", "changes", "expected"),
    [
        pytest.param("", {}, "reminder", id="the subject"),
        pytest.param("", {"subject": "RE: Fwd: Aw[2]: Reminder"}, "reminder", id="without Re and Fwd"),
        pytest.param("", {"references": ("<a@x>", "<b@x>")}, "<a@x>", id="the root of the thread"),
        pytest.param(r"RO (\d+)", {"subject": "RO 1042 is ready"}, "1042", id="the capture"),
        pytest.param(r"RO (\d+)", {"subject": "Re: RO 1042", "references": ("<a@x>",)}, "1042", id="before the thread"),
        pytest.param(r"RO (\d+)", {"subject": "Hello", "references": ("<a@x>",)}, "<a@x>", id="no capture: the thread"),
        pytest.param(r"RO (\d+)", {"subject": "Hello"}, "hello", id="no capture, no thread: the subject"),
        pytest.param(r"RO (\d+)|WO (\d+)", {"subject": "WO 7"}, "7", id="the first group that captured"),
        pytest.param(r"RO ?( *)", {"subject": "RO  "}, "ro", id="an empty capture is none"),
    ],
)
def test_the_job_that_a_mail_is_about(pattern: str, changes: dict[str, object], expected: str) -> None:
    read = reading(**changes)
    read = replace(read, job=captured(pattern, read.subject))

    assert expected == job(read)


@pytest.mark.parametrize(
    ("subject", "expected"),
    [("Re: a", "a"), ("re:fw:a", "a"), ("WG: AW: a", "a"), ("Regards", "Regards"), ("Re:", ""), ("a Re: b", "a Re: b")],
)
def test_a_bare_subject_has_no_re_in_front(subject: str, expected: str) -> None:
    assert expected == bare_subject(subject)


def asked(inbound: shop.InboundMail | shop.InboundHook, read: Reading | None = None) -> Needs:
    return replace(needs(understand(inbound, read, RULES), inbound, read, RULES), fresh=0)


@pytest.mark.parametrize(
    ("recipient", "expected"),
    [
        pytest.param(
            "bob",
            Needs(
                phones=frozenset({BOB}),
                threads=frozenset({BOB}),
                employees=frozenset({"bob"}),
                keys=frozenset({("jobs", BOB, "reminder")}),
            ),
            id="an employee: consent, confirmation, conversations",
        ),
        pytest.param(
            "2025550143",
            Needs(
                phones=frozenset({MARIA}),
                threads=frozenset({MARIA}),
                keys=frozenset({("jobs", MARIA, "reminder")}),
                pairs=frozenset({(SERVICE, MARIA), (SALES, MARIA)}),
            ),
            id="a customer: consent, conversations, whether he knows our numbers",
        ),
        pytest.param(
            f"r-{TOKEN}",
            Needs(tokens=frozenset({TOKEN}), spoken=frozenset({TOKEN})),
            id="a conversation, and the brake",
        ),
        pytest.param(f"a-{TOKEN}", Needs(questions=frozenset({TOKEN})), id="a question"),
        pytest.param(f"b-{TOKEN}", Needs(bounces=frozenset({TOKEN})), id="a bounce"),
        pytest.param("optout+2025550143", Needs(phones=frozenset({MARIA})), id="consent"),
        pytest.param("postmaster", Needs(), id="postmaster"),
        pytest.param("12", Needs(), id="nobody"),
    ],
)
def test_the_needs_of_a_mail(recipient: str, expected: Needs) -> None:
    assert expected == asked(mail(recipient), reading())


def test_the_needs_of_a_text_and_of_a_status() -> None:
    named = Needs(deliveries=frozenset({"m1.1.1"}), remote_ids=frozenset({("twilio", "SM1")}))
    people = frozenset({MARIA})

    assert Needs(phones=people, threads=people, keys=frozenset({("", MARIA, "")}), asked=people, said=people) == asked(
        text_in()
    )
    assert named == asked(status_in("sent"))
    assert replace(named, deliveries=frozenset()) == asked(status_in("sent", delivery=""))


def test_the_needs_of_a_phone_that_writes_by_mail() -> None:
    read, own, names = reading(author=FROM), frozenset({BOB}), frozenset({"bob"})
    known = Needs(phones=own, asked=own, employees=names)

    assert replace(known, tokens=frozenset({TOKEN})) == asked(mail(ANSWER, door=Door.PUBLIC, sender=""), read)
    assert known == asked(mail("enroll", door=Door.PUBLIC, sender=""), read)
    assert Needs(bounces=frozenset({TOKEN}), phones=own) == asked(mail(f"b-{TOKEN}", door=Door.PUBLIC, sender=""), read)


def test_the_needs_of_an_alarm_are_read_too() -> None:
    told = replace(RULES, alarm_to=(str(BOB), "+12025550199", "a@shop.example.com"))

    assert frozenset({"bob"}) == needs((Unreadable(reason=""),), mail("12"), Unreadable(reason=""), told).employees


def test_there_are_tokens_enough_for_every_recipient_in_as_many_texts_as_it_takes() -> None:
    many = [f"202555{n:04d}" for n in range(100, 200)]
    one = mail(*many, "techs", *(f"friend{n}@elsewhere.example" for n in range(100)))

    assert needs(understand(one, reading(), RULES), one, reading(), RULES).fresh >= 7 * (len(many) + 3) + 100


def test_a_text_address_and_a_conversation_are_texted() -> None:
    assert ToConversation(TOKEN) == getattr(meant(f"r-{TOKEN}"), "target", None)
    assert TextAddress(Phone("+12025550112"), "vtext.com") == getattr(meant("2025550112@vtext.com"), "target", None)


@given(
    st.integers(1, 10),
    st.sampled_from(["refuse", "cut"]),
    st.integers(0, 300),
    st.sets(st.sampled_from(["bob", "alice", "techs", "2025550143", f"r-{TOKEN}", "2025550112@vtext.com"]), min_size=1),
    st.integers(0, 12),
)
def test_a_text_has_tokens_enough_and_no_more_than_its_length_may_need(
    most: int, too_long: str, words: int, recipients: set[str], files: int
) -> None:
    told = shop.rules(text=TextRules(max_segments=most, too_long=too_long, first=""), public_url="https://a.example")
    read, one = reading(text="word " * words, answer="word " * words, pictures=files), mail(*sorted(recipients))
    intents = understand(one, read, told)
    wanted = needs(intents, one, read, told)
    known = shop.facts(shop.entry("grant"), conversations=(shop.talk(),), fresh=("t",) * wanted.fresh)
    made = plan.make(one, read, intents, known, told, shop.NOON, tuple(shop.picture() for _ in range(files)))

    assert made.writes.messages
    assert wanted.fresh <= (1 + most + min(files, FILES)) * len(wanted.phones | wanted.tokens)
