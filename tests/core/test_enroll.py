"""A phone writes to enroll@, the admin is asked, and only his yes is recorded."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from outbox import only, words, written
from shop import ADMIN, ALICE, BOB, DAY, DOMAIN, ERIN, JOBS, NOON, facts, mail, reading, rules

from gateway.core import admit, carrier, enroll
from gateway.core.desk import Desk
from gateway.core.facts import Facts
from gateway.core.intent import Answered, Enroll, understand
from gateway.core.model import Confirmation, Door, Kind, MailAddr, Phone, Recipient
from gateway.core.rules import Rules
from gateway.core.work import Writes

NEW = Phone("+12025550177")  # nobody's
PROOF = "dkim=pass header.d=vtext.com"
TOKEN = "token00000x"
CARRIERS, _PROBLEMS = carrier.build(
    [
        (
            "shop",
            {
                "att": {
                    "name": "AT&T",
                    "sms": {"address": "{national}@txt.att.net", "status": "retired", "ends": date(2025, 6, 17)},
                },
                "verizon": {
                    "name": "Verizon",
                    "aliases": ["mypixmessages.com"],
                    "sms": {"address": "{national}@vtext.com", "status": "retiring", "ends": date(2027, 3, 31)},
                    "mms": {"address": "{national}@vzwpix.com", "status": "unverified"},
                },
                "visible": {"name": "Visible", "sms": {"address": "{national}@vtext.com", "status": "unverified"}},
                "hill": {"name": "Hill", "mms": {"address": "{national}@mms.hill.example", "status": "active"}},
                "moss": {"name": "Moss", "sms": {"address": "{national}@txt.moss.example"}},
                "mosslet": {"name": "Mosslet", "successor": "moss", "sms": {"address": "{national}@txt.moss.example"}},
                "dark": {"name": "Dark", "sms": {"domain": "txt.dark.example"}},
            },
        )
    ]
)
assert not _PROBLEMS
TOLD = rules(carriers=CARRIERS)


def desk(told: Rules, known: Facts, **changes: Any) -> Desk:
    read, proven = reading(**changes.pop("read", {})), changes.pop("proven", "")
    came = mail("enroll", door=Door.PUBLIC, sender="", proven=proven)
    return Desk(mail=came, reading=read, facts=known, rules=told, now=NOON, tokens=iter(known.fresh))


def wrote(phone: Phone = NEW, domain: str = "vtext.com", told: Rules = TOLD, **changes: Any) -> tuple[Writes, Desk]:
    """What follows when a phone writes from `domain`."""
    at = desk(told, changes.pop("known", facts()), **changes)
    ids = told.carriers.reply_domains[domain]
    address = f"{phone.removeprefix('+1')}@{domain}"
    intent = Enroll(recipient=Recipient(address=f"enroll@{DOMAIN}"), phone=phone, carriers=ids, address=address)
    return enroll.asked(intent, at), at


def answered(said: str, phone: Phone = NEW, told: Rules = TOLD, **changes: Any) -> tuple[Writes, Desk]:
    """What follows when the admin answers the question about that phone, which wrote from vtext.com."""
    (asked,) = wrote(phone)[0].questions
    known = facts(questions={TOKEN: replace(asked, **changes)})
    came = mail(f"a-{TOKEN}", id="m2")
    at = Desk(
        mail=came,
        reading=reading(answer=said, author=MailAddr("boss@shop.example.com")),
        facts=known,
        rules=told,
        now=NOON + DAY,
        tokens=iter(known.fresh),
    )
    return enroll.answered(Answered(recipient=Recipient(address=f"a-{TOKEN}@{DOMAIN}"), token=TOKEN), at), at


def test_the_admin_is_asked_about_a_phone_that_is_nobodys_with_the_lines_to_enter_it() -> None:
    made, _ = wrote(read={"answer": "Hi, I am the new one"}, proven=PROOF)
    asked, (question,) = only(made.deliveries), made.questions
    said = words(asked)

    assert (ADMIN, f"a-{question.id}@{DOMAIN}", Kind.QUESTION) == (asked.to, written(asked)["Reply-To"], asked.kind)
    assert "+1 202-555-0177 wrote to enroll@sms.example.com from 2025550177@vtext.com.\nProven: " in said
    assert f"Proven: {PROOF}.\n" in said
    assert "> Hi, I am the new one\n" in said
    assert "Phones that write from vtext.com: Verizon (verizon), Visible (visible).\n" in said
    assert "Chosen: verizon, sms.  Verizon closes vtext.com on 2027-03-31.\n" in said
    block = '[[employee]]\nname = "..."\nphone = "+12025550177"\ncarrier = "verizon"\nchannel = "sms"\n'
    assert f'{block}fallback = "provider"\n' in said.replace("    ", "")
    assert "gateway carriers confirm NAME" in said
    assert ("enroll", NEW, "verizon", ("2025550177@vtext.com", PROOF), NOON + 30 * DAY) == (
        question.kind, question.phone, question.text, question.options, question.closes_at,
    )  # fmt: skip
    assert () == made.confirmations


def test_no_text_goes_to_a_phone_that_wrote() -> None:
    assert [None] == [d.phone for d in wrote(BOB)[0].deliveries]


def test_what_nothing_proves_is_said_to_be_unverified() -> None:
    assert "Not verified: nothing proves that this phone wrote, no signature of vtext.com." in words(
        only(wrote()[0].deliveries)
    )


@pytest.mark.parametrize(
    ("phone", "said", "missing"),
    [
        pytest.param(
            BOB, ["It is bob's phone.", "2025550112@vtext.com is confirmed as bob's"], "write into it", id="same"
        ),
        pytest.param(
            ALICE,
            ["It is alice's phone.", 'His entry has carrier = "att".', '    carrier = "verizon"\n    channel = "sms"'],
            "[[employee]]",
            id="another",
        ),
        pytest.param(ERIN, ["It is erin's phone.", "His entry has no carrier."], "[[employee]]", id="none"),
    ],
)
def test_of_an_employees_phone_the_admin_hears_what_his_entry_lacks(
    phone: Phone, said: list[str], missing: str
) -> None:
    shown = words(only(wrote(phone)[0].deliveries))

    assert [] == [part for part in said if part not in shown]
    assert missing not in shown


@pytest.mark.parametrize(
    ("domain", "chosen"),
    [
        ("vtext.com", ("verizon", "sms")),
        ("vzwpix.com", ("verizon", "sms")),
        ("mypixmessages.com", ("verizon", "sms")),
        ("mms.hill.example", ("hill", "mms")),
        ("txt.moss.example", ("moss", "sms")),
        ("txt.dark.example", None),
    ],
)
def test_the_carrier_whose_own_domain_it_is_comes_first_and_sms_before_mms(
    domain: str, chosen: tuple[str, str] | None
) -> None:
    row = enroll.row_of(CARRIERS.reply_domains[domain], domain, CARRIERS)

    assert chosen == (row and (row.carrier, row.channel))


def test_a_domain_of_its_own_counts_more_than_a_network() -> None:
    layer = {
        "verizon": {"name": "V", "aliases": ["x.example"], "sms": {"address": "{national}@v.example"}},
        "hill": {"name": "H", "sms": {"address": "{national}@x.example"}},
    }
    table, problems = carrier.build([("shop", layer)])
    row = enroll.row_of(table.reply_domains["x.example"], "x.example", table)

    assert [] == problems
    assert "hill" == (row and row.carrier)


@pytest.mark.parametrize(
    ("domain", "said"),
    [
        ("txt.att.net", "AT&T closed txt.att.net on 2025-06-17: mail to it is not sent any more"),
        ("txt.moss.example", "Nobody has shown that it works"),
        ("mms.hill.example", "It works as far as is known."),
        ("txt.dark.example", "None of these rows says how its phones are addressed"),
    ],
)
def test_the_state_of_the_gateway_is_told(domain: str, said: str) -> None:
    assert said in words(only(wrote(domain=domain)[0].deliveries))


@pytest.mark.parametrize(("before", "now"), [("", ""), (PROOF, PROOF), (PROOF, ""), (PROOF, "spf=pass")])
@pytest.mark.parametrize("domain", ["vtext.com", "vzwpix.com"])
def test_a_phone_whose_question_is_open_is_not_asked_about_again(before: str, now: str, domain: str) -> None:
    (open_,) = wrote(proven=before)[0].questions
    again, at = wrote(domain=domain, proven=now, known=facts(questions={open_.id: open_}))

    assert Writes() == again
    assert "the admin has been asked about +12025550177" in at.notes[0]


@pytest.mark.parametrize(
    ("before", "domain", "now"),
    [
        pytest.param("", "vtext.com", PROOF, id="the same address, proven at last"),
        pytest.param("", "mms.hill.example", "", id="another carrier"),
        pytest.param("", "mms.hill.example", PROOF, id="another carrier, proven at last"),
        pytest.param(PROOF, "mms.hill.example", PROOF, id="another carrier, both proven"),
    ],
)
def test_what_a_phone_shows_anew_is_asked_in_place_of_the_old_question(before: str, domain: str, now: str) -> None:
    (open_,) = wrote(proven=before)[0].questions
    known = facts(questions={open_.id: open_}, fresh=("freshfreshfresh1",))
    made, _ = wrote(domain=domain, proven=now, known=known)
    old, new = made.questions

    assert (open_.id, NOON, admit.SUPERSEDED) == (old.id, old.answered_at, old.answer)
    assert (None, now) == (new.answered_at, new.options[1])
    said = words(only(made.deliveries))
    assert "The earlier question about 2025550177@vtext.com is closed: its answer counts no more." in said


def test_what_nothing_proves_takes_the_place_of_no_proven_question() -> None:
    (proven,) = wrote(proven=PROOF)[0].questions
    known = facts(questions={proven.id: proven}, fresh=("freshfreshfresh1",))
    made, _ = wrote(domain="mms.hill.example", known=known)
    (forged,) = made.questions
    said = words(only(made.deliveries))
    both = facts(questions={q.id: q for q in (proven, forged)}, fresh=("freshfreshfresh2",))

    assert ("2025550177@mms.hill.example", "") == forged.options
    assert "The earlier question about 2025550177@vtext.com is proven, and stays open: answer the right one." in said
    assert Writes() == wrote(known=both)[0]
    assert Writes() == wrote(domain="mms.hill.example", known=both)[0]
    moved = wrote(domain="mms.hill.example", proven="dkim=pass header.d=mms.hill.example", known=both)[0].questions
    assert [proven.id, forged.id] == [q.id for q in moved if q.answer == admit.SUPERSEDED]


def test_the_answer_to_a_superseded_question_records_nothing() -> None:
    made, at = answered("yes frank", answered_at=NOON, answer=admit.SUPERSEDED)

    assert (Writes(), ["the question was superseded before"]) == (made, at.notes)


@pytest.mark.parametrize(
    "changes",
    [{"answered_at": NOON}, {"closes_at": NOON}, {"kind": "test"}, {"phone": BOB}],
    ids=["answered", "closed", "of another kind", "about another phone"],
)
def test_a_phone_is_asked_about_again_where_no_question_about_it_is_open(changes: dict[str, Any]) -> None:
    (before,) = wrote()[0].questions
    known = facts(questions={before.id: replace(before, **changes)})

    assert 1 == len(wrote(known=known)[0].questions)


def test_every_mailbox_of_alarm_to_is_asked_and_one_question_is_open() -> None:
    made, _ = wrote(told=rules(carriers=CARRIERS, alarm_to=(ADMIN, BOB, "boss@shop.example.com")))

    assert [ADMIN, "boss@shop.example.com"] == [d.to for d in made.deliveries]
    assert 1 == len({written(d)["Reply-To"] for d in made.deliveries}) == len(made.questions)


def test_where_alarm_to_names_no_mailbox_nobody_is_asked_and_the_mail_says_so() -> None:
    made, at = wrote(told=rules(carriers=CARRIERS, alarm_to=(BOB,)))

    assert Writes() == made
    assert "alarm_to names no mail address" in at.notes[0]


@pytest.mark.parametrize(
    ("answer", "phone", "name"),
    [
        ("yes", BOB, "bob"),
        ("YES, please!", BOB, "bob"),
        ("Yes bob", BOB, "bob"),
        ("yes frank", NEW, "frank"),
        ("\n Yes:  Frank.\n\nRegards", NEW, "frank"),
        ("ja frank.x", NEW, "frank.x"),
    ],
)
def test_a_yes_confirms_the_address_for_that_name(answer: str, phone: Phone, name: str) -> None:
    made, _ = answered(answer, phone)
    address = f"{phone.removeprefix('+1')}@vtext.com"

    assert (
        Confirmation(
            employee=name,
            address=address,
            at=NOON + DAY,
            by="boss@shop.example.com",
            how="enroll",
            note="the phone wrote to enroll@, not verified",
        ),
    ) == made.confirmations
    assert [(NOON + DAY, f"yes {name}")] == [(q.answered_at, q.answer) for q in made.questions]
    assert f"{address} is confirmed as the address of {name}." in words(only(made.deliveries))


def test_the_answer_to_a_yes_repeats_the_lines_with_the_name_and_asks_nothing() -> None:
    told = only(answered("yes frank")[0].deliveries)

    assert (JOBS, None) != (told.to, written(told)["Reply-To"])
    assert ("boss@shop.example.com", None, Kind.REPORT) == (told.to, written(told)["Reply-To"], told.kind)
    assert 'name = "frank"' in words(told)
    assert "<m1@shop.example.com>" == written(told)["In-Reply-To"]


def test_a_no_is_recorded_and_nothing_else() -> None:
    made, at = answered("No, I do not know him")

    assert ((), ()) == (made.confirmations, made.deliveries)
    assert [(NOON + DAY, "no")] == [(q.answered_at, q.answer) for q in made.questions]
    assert ["the question about +12025550177 is answered: no"] == at.notes


@pytest.mark.parametrize(
    ("answer", "phone", "why"),
    [
        ("maybe", NEW, "it was neither yes nor no"),
        ("", NEW, "it was neither yes nor no"),
        ("stop", NEW, "it was neither yes nor no"),
        ("42", NEW, "it was neither yes nor no"),
        ("yes", NEW, "the phone is nobody's yet, and not one name follows the yes"),
        ("yes please", NEW, "the phone is nobody's yet, and not one name follows the yes"),
        ("yes it is him", NEW, "the phone is nobody's yet, and not one name follows the yes"),
        ("yes frank/smith", NEW, "frank/smith cannot be a name"),
        ("yes enroll", NEW, "enroll cannot be a name"),
        ("yes bob", NEW, "the name bob is taken"),
        ("yes techs", NEW, "the name techs is taken"),
        ("yes sales", NEW, "the name sales is taken"),
        ("yes alice", BOB, "the phone is bob's and not alice's"),
    ],
)
def test_anything_else_records_nothing_and_is_asked_again(answer: str, phone: Phone, why: str) -> None:
    made, at = answered(answer, phone)
    again = only(made.deliveries)

    assert ((), ()) == (made.confirmations, made.questions)
    assert f"Nothing was recorded by your answer: {why}" in words(again)
    assert f"a-{at.facts.questions[TOKEN].id}@{DOMAIN}" == written(again)["Reply-To"]


def test_saidafter_a_yes_do_no_harm_where_the_phone_has_a_name() -> None:
    assert ["bob"] == [c.employee for c in answered("Yes, it is his new phone", BOB)[0].confirmations]


def test_who_was_entered_since_is_confirmed_by_his_own_name() -> None:
    entered = replace(TOLD, employees=(*TOLD.employees, replace(TOLD.employees[1], name="frank", phone=NEW)))

    assert ["frank"] == [c.employee for c in answered("yes frank", NEW, entered)[0].confirmations]
    assert () == answered("yes fred", NEW, entered)[0].confirmations


def test_two_machines_that_answer_each_other_come_to_an_end() -> None:
    first, second = answered("We got your mail."), answered("We got your mail.")

    assert [d.id for d in first[0].deliveries] == [d.id for d in second[0].deliveries]


def test_an_answer_counts_once() -> None:
    made, at = answered("yes frank", answered_at=NOON, answer="no")

    assert (Writes(), ["the question was answered with no before"]) == (made, at.notes)


def test_a_question_of_another_kind_is_refused() -> None:
    made, _ = answered("yes", kind="stop")

    assert (["5.1.1"], ()) == ([d.code for d in made.deliveries if d.phone is None][:1], made.confirmations)


def test_without_an_address_nothing_can_be_confirmed_and_the_mail_says_so() -> None:
    (asked,) = wrote(domain="txt.dark.example")[0].questions
    made, _ = answered("yes frank", text=asked.text, options=asked.options)

    assert ("", ("", "")) == (asked.text, asked.options)
    assert () == made.confirmations
    assert "Nothing could be confirmed." in words(only(made.deliveries))
    assert "carrier =" not in words(only(made.deliveries))


def test_a_row_that_was_taken_out_of_the_table_since_is_confirmed_all_the_same() -> None:
    made, _ = answered("yes frank", text="nowhere")

    assert ["2025550177@vtext.com"] == [c.address for c in made.confirmations]


def test_an_answer_of_nobody_is_recorded_and_told_to_nobody() -> None:
    (asked,) = wrote()[0].questions
    known = facts(questions={TOKEN: asked})
    came = mail(f"a-{TOKEN}", id="m2", mail_from="", door=Door.LOCAL)
    intent = Answered(recipient=Recipient(address=f"a-{TOKEN}@{DOMAIN}"), token=TOKEN)
    said = {}
    for answer in ("yes frank", "what?"):
        read = reading(answer=answer, author=None)
        at = Desk(mail=came, reading=read, facts=known, rules=TOLD, now=NOON, tokens=iter(()))
        said[answer] = enroll.answered(intent, at)

    assert ["jobs"] == [c.by for c in said["yes frank"].confirmations]
    assert () == said["yes frank"].deliveries
    assert Writes() == said["what?"]


def test_an_answer_from_outside_is_recorded_as_its_authors_and_told_to_him_alone() -> None:
    (asked,), token = wrote()[0].questions, "aaaaaaaaaaaaaaaa"
    came = mail(f"a-{token}", id="m2", door=Door.PUBLIC, sender="", proven="dkim=pass header.d=shop.example.com")
    read = reading(answer="yes frank", author=MailAddr(ADMIN), reply_to=MailAddr("else@mail.example"))
    (intent,) = understand(came, read, TOLD)
    assert isinstance(intent, Answered)
    known = facts(questions={token: asked})
    made = enroll.answered(intent, Desk(mail=came, reading=read, facts=known, rules=TOLD, now=NOON, tokens=iter(())))

    assert [("frank", ADMIN)] == [(c.employee, c.by) for c in made.confirmations]
    assert [ADMIN] == [d.to for d in made.deliveries]


def test_a_question_that_nobody_asked_is_refused() -> None:
    at = desk(TOLD, facts())
    made = enroll.answered(Answered(recipient=Recipient(address=f"a-{TOKEN}@{DOMAIN}"), token=TOKEN), at)

    assert "5.1.1" == made.deliveries[0].code
