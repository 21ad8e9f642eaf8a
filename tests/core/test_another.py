"""Another delivery of the same message: to another mailbox, with links, by the provider."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import shop
from outbox import carried, message, only, paid, told_to, written
from shop import ADMIN, BOB, DAY, DOMAIN, JOBS, MARIA, MINUTE, NOON, RULES, SERVICE, facts, mail, planned, reading

from gateway.core import another, notice, verdict
from gateway.core.intent import needs, understand
from gateway.core.model import Fate, Kind, MailAddr
from gateway.core.rules import Rules
from gateway.core.work import Deferred, Delivery, MailParcel, Message, Plan, Refused, TextParcel, Unclear, Writes

FALLBACK = "front@shop.example.com"
TOKENS = facts()
REPLY = message(id="twilio:SM1.1", inbound="twilio:SM1", kind=Kind.REPLY, recipient=JOBS, report_to=FALLBACK)
NO = Refused(reason="no such user", code="5.1.1")


def brought(n: int = 1, to: str = JOBS, **changes: Any) -> Delivery:
    """A reply mail under way."""
    ident = f"twilio:SM1.1.{n}"
    parcel = MailParcel(mail_from=f"b-old@{DOMAIN}", rcpt_to=to, data=b"Subject: x\r\n\r\nAt ten?\r\n")
    return paid(**{"id": ident, "message": "twilio:SM1.1", "kind": Kind.REPLY, "courier": "mail", "number": "",
                   "lane": f"mail|{ident}", "to": to, "phone": None, "parcel": parcel, "sender": "",
                   "expires_at": NOON + 5 * DAY, **changes})  # fmt: skip


def to_other(writes: Writes) -> list[Delivery]:
    return [d for d in writes.deliveries if d.kind is Kind.REPLY]


def judged(delivery: Delivery, outcome: Any, told: Rules = RULES, about: Message = REPLY, now: Any = NOON) -> Any:
    return verdict.judge(delivery, about, outcome, told, now, TOKENS)


def test_a_reply_that_its_mailbox_refuses_goes_to_the_one_behind_and_the_admin_hears_of_it() -> None:
    found = judged(brought(), NO)
    (other,), (alarm,) = to_other(found.writes), found.writes.messages

    assert (Fate.FAILED, "no such user; goes to front@shop.example.com") == (found.fate, found.note)
    assert ("twilio:SM1.1.2", "twilio:SM1.1", FALLBACK) == (other.id, other.message, other.to)
    assert isinstance(other.parcel, MailParcel)
    assert (FALLBACK, f"b-{TOKENS.fresh[0]}@{DOMAIN}") == (other.parcel.rcpt_to, other.parcel.mail_from)
    assert (TOKENS.fresh[0], "mail|twilio:SM1.1.2") == (other.bounce, other.lane)
    assert brought().parcel.data == other.parcel.data  # type: ignore[union-attr]
    assert ("alarm.mailbox.jobs.at.shop.example.com.2026-11-23.1", ADMIN) == (alarm.id, alarm.recipient)
    assert "cannot be handed to jobs@shop.example.com: no such user" in alarm.text
    assert "It went to front@shop.example.com instead." in alarm.text


@pytest.mark.parametrize(
    ("delivery", "about"),
    [
        pytest.param(brought(), replace(REPLY, report_to=""), id="no other mailbox"),
        pytest.param(brought(), replace(REPLY, report_to=JOBS.upper()), id="the same mailbox"),
        pytest.param(brought(2, FALLBACK), REPLY, id="this was the other"),
        pytest.param(brought(11, FALLBACK), REPLY, id="an eleventh way"),
        pytest.param(brought(kind=Kind.REPORT), replace(REPLY, kind=Kind.REPORT), id="a report"),
        pytest.param(brought(parcel=None), REPLY, id="nothing to bring"),
    ],
)
def test_where_there_is_no_other_mailbox_the_refusal_is_the_end(delivery: Delivery, about: Message) -> None:
    assert Writes() == another.to_fallback(delivery, about, "no", ["t"], facts(), RULES, NOON)
    assert [] == to_other(judged(delivery, NO, about=about).writes)


@pytest.mark.parametrize("outcome", [NO, Unclear(reason="no answer")], ids=["refused", "unclear for the last time"])
def test_that_the_other_mailbox_fails_too_is_told_to_a_third(outcome: Any) -> None:
    assert [ADMIN] == told_to(judged(brought(2, FALLBACK, resends=2), outcome))
    # Nobody else is left: the first mailbox may be back.
    assert [REPLY.recipient] == told_to(
        judged(brought(2, ADMIN, resends=2), outcome, about=replace(REPLY, report_to=ADMIN))
    )


def test_a_reply_that_is_put_off_for_long_goes_to_the_other_mailbox_as_well() -> None:
    busy = Deferred(reason="mailbox full", code="4.2.2")
    early = judged(brought(), busy, now=NOON + 14 * MINUTE)
    late = judged(brought(), busy, now=NOON + 15 * MINUTE)
    again = judged(brought(attempt=7), busy, now=NOON + DAY)

    assert ([], Fate.WAITING) == (to_other(early.writes), early.fate)
    assert ([FALLBACK], Fate.WAITING) == ([d.to for d in to_other(late.writes)], late.fate)
    assert [d.id for d in to_other(late.writes)] == [d.id for d in to_other(again.writes)], "once"
    (alarm,) = late.writes.messages
    assert "is put off by jobs@shop.example.com: mailbox full" in alarm.text
    assert "It goes to front@shop.example.com as well; the first mail is still tried, and may arrive too." in alarm.text
    assert "instead" not in alarm.text


@pytest.mark.parametrize(
    ("outcome", "now"),
    [
        pytest.param(Deferred(reason="down", sender_wide=True), NOON + DAY, id="the relay is at fault"),
        pytest.param(Deferred(reason="full"), NOON + 6 * DAY, id="its time is over"),
    ],
)
def test_what_is_no_fault_of_the_mailbox_goes_to_no_other(outcome: Deferred, now: Any) -> None:
    assert [] == to_other(judged(brought(), outcome, now=now).writes)


def test_the_relays_one_sender_needs_no_token() -> None:
    found = verdict.judge(brought(), REPLY, NO, shop.rules(relay_sender="s@r.example"), NOON)

    assert ["s@r.example"] == [d.parcel.mail_from for d in to_other(found.writes)]  # type: ignore[union-attr]


def bounced(*report: str, delivery: Delivery | None = None, about: Message = REPLY) -> Plan:
    found = delivery or brought(fate=Fate.HANDED_OVER)
    known = facts(by_bounce={"aaaaaaaaaaaaaaaa": found}, messages={about.id: about})
    read = reading(bounce=report, report=True, author=MailAddr("mailer-daemon@shop.example.com"))
    return planned(mail("b-aaaaaaaaaaaaaaaa", mail_from="", sender=""), known, read=read)


def test_a_reply_that_comes_back_goes_to_the_other_mailbox() -> None:
    writes = bounced("failed", "5.1.1", "no such user").writes

    assert [Fate.FAILED] == [m.fate for m in writes.moves]
    assert [FALLBACK] == [d.to for d in to_other(writes)]
    assert [ADMIN] == [d.to for d in writes.deliveries if d.kind is Kind.ALARM]
    assert "the mail came back: no such user" in writes.messages[0].text


def test_a_reply_that_is_only_late_goes_to_the_other_mailbox_too_and_has_not_failed() -> None:
    writes = bounced("delayed", "4.4.1", "busy").writes

    assert ((), [FALLBACK]) == (writes.moves, [d.to for d in to_other(writes)])
    assert "the mail is delayed: busy" in writes.messages[0].text


def test_a_bounce_of_the_other_mailbox_is_told_to_a_third() -> None:
    writes = bounced("failed", "5.1.1", "gone", delivery=brought(2, FALLBACK, fate=Fate.HANDED_OVER)).writes

    assert [(ADMIN, Kind.REPORT)] == [(d.to, d.kind) for d in writes.deliveries]


def test_many_bounces_in_one_mail_find_tokens_enough() -> None:
    many = mail(*(f"b-{c * 16}" for c in "abcdefghijklmnop"), mail_from="", sender="")

    assert needs(understand(many, reading(), RULES), many, reading(), RULES).fresh >= 16


PARCEL = TextParcel(number=SERVICE, service="MG1", to=MARIA, body="Look", validity_seconds=99, media=("https://x/1",))
PICTURED = paid(parcel=PARCEL)


def test_a_text_whose_picture_is_refused_goes_with_a_link() -> None:
    found = verdict.judge(PICTURED, message(), Refused(reason="no pictures", code="21622"), RULES, NOON, facts())
    other = only(found.writes.deliveries)

    assert (Fate.FAILED, "no pictures; goes without its pictures, with links to them") == (found.fate, found.note)
    assert ("m1.1.2", "m1.1", Fate.WAITING, NOON) == (other.id, other.message, other.fate, other.due_at)
    assert replace(PARCEL, body="Look\nhttps://x/1", media=()) == other.parcel
    assert (PICTURED.lane, "service", MARIA, MARIA, "jobs", 1) == (
        other.lane, other.number, other.to, other.phone, other.sender, other.segments,
    )  # fmt: skip
    assert [] == told_to(found)


@pytest.mark.parametrize(
    ("delivery", "code"),
    [
        pytest.param(PICTURED, "21614", id="the number is at fault"),
        pytest.param(paid(), "21622", id="it had none"),
        pytest.param(replace(PICTURED, courier="flowroute"), "21622", id="another provider's code"),
    ],
)
def test_anything_else_that_is_refused_stays_refused(delivery: Delivery, code: str) -> None:
    found = verdict.judge(delivery, message(), Refused(reason="no", code=code), RULES, NOON, facts())

    assert ([Kind.REPORT], [JOBS]) == ([d.kind for d in found.writes.deliveries], told_to(found))


@pytest.mark.parametrize(
    ("ident", "expected"),
    [
        ("m1.1.1", "m1.1.2"), ("m1.1.9", "m1.1.10"), ("m1.1.10", "m1.1.11"), ("twilio:SM1.answer.1",
        "twilio:SM1.answer.2"), ("twilio:SM1.stop.1", "twilio:SM1.stop.2"), ("twilio:SM1.ask.3", "twilio:SM1.ask.4"),
    ],
)  # fmt: skip
def test_the_next_delivery_of_a_message_has_the_next_number(ident: str, expected: str) -> None:
    delivery = replace(PICTURED, id=ident, message=ident.rpartition(".")[0])
    found = another.with_links(delivery, NOON, RULES)

    assert found is not None
    assert expected == found.id


def test_the_link_has_time_enough_to_arrive() -> None:
    found = another.with_links(replace(PICTURED, expires_at=NOON), NOON, RULES)

    assert found is not None
    assert NOON + timedelta(hours=1) == found.expires_at


def test_after_the_carrier_the_provider_counts_on() -> None:
    found = another.by_provider(carried(id="m1.1.9"), message(phone=BOB, person="bob"), RULES, NOON)

    assert found is not None
    assert "m1.1.10" == found.id


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param({"fallback": "none"}, False, id="he is to have no fallback any more"),
        pytest.param({"fallback": "none", "carrier": ""}, True, id="nothing else would bring his texts"),
        pytest.param({"carrier": "att"}, True, id="he has another carrier by now"),
    ],
)
def test_whether_an_employee_has_a_fallback_is_asked_again(changes: dict[str, str], expected: bool) -> None:
    found = another.by_provider(carried(), message(phone=BOB, person="bob"), shop.employee("bob", **changes), NOON)

    assert expected is (found is not None)


@pytest.mark.parametrize("ident", ["m1.1.1", "m1.1.1-2", "m1.1.1-12"])
def test_every_part_of_a_text_falls_back_on_the_same_delivery_of_the_whole(ident: str) -> None:
    whole = message(phone=BOB, person="bob", text="word " * 60)
    found = another.by_provider(carried(id=ident), whole, RULES, NOON)

    assert found is not None
    assert ("m1.1.2", "twilio", "service", "jobs", 2) == (
        found.id, found.courier, found.number, found.sender, found.segments,
    )  # fmt: skip
    assert isinstance(found.parcel, TextParcel)
    assert whole.text == found.parcel.body
    assert "m1.1.2" == another.fallback_id(carried(id=ident))


def test_a_bare_picture_has_no_words_to_fall_back_on() -> None:
    assert None is another.by_provider(carried(), message(phone=BOB, person="bob", text=""), RULES, NOON)


@pytest.mark.parametrize("delivery", [paid(), brought(), brought(2)], ids=["by the provider", "a reply", "its second"])
def test_only_a_carrier_text_is_replaced_as_a_whole(delivery: Delivery) -> None:
    assert "" == another.fallback_id(delivery)
    assert not another.superseded(delivery, facts(deliveries={"m1.1.2": paid(), "twilio:SM1.1.2": brought(2)}))


def test_a_part_is_superseded_once_the_whole_text_goes_by_the_provider() -> None:
    part = carried(id="m1.1.1-2")

    assert another.superseded(part, facts(deliveries={"m1.1.2": paid(id="m1.1.2")}))
    assert not another.superseded(part, facts(deliveries={part.id: part, "m1.1.1": carried()}))


def test_an_alarm_about_a_mailbox_reaches_phones_too() -> None:
    made = another.to_fallback(brought(), REPLY, "full", ["t"], facts(), shop.rules(alarm_to=(str(BOB),)), NOON)

    assert [FALLBACK, "2025550112@vtext.com"] == [d.to for d in made.deliveries]
    assert notice.PRIORITY[Kind.REPLY] == made.deliveries[0].priority
    assert "Subject" in written(brought())
