"""What comes back of a text by a carrier: it goes by the provider, once."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import shop
from outbox import carried, message, paid
from shop import BOB, JOBS, MINUTE, NOON, RULES, facts, mail, planned, reading

from gateway.core import verdict
from gateway.core.model import BAD_ENDS, Confirmation, Fate, Kind, MailAddr
from gateway.core.rules import PolicyRules, Rules
from gateway.core.work import Delivery, Move, Refused, Writes

TOKEN = "aaaaaaaaaaaaaaaa"
TO_BOB = message(phone=BOB, person="bob", recipient="bob@sms.example.com")
LEFT = carried(fate=Fate.HANDED_OVER, bounce=TOKEN)
FULL = ("failed", "5.2.2", "552 5.2.2 mailbox full")
GONE = ("failed", "", "550 - Requested action not taken: no such user here")
POLICY = ("failed", "5.7.1", "550 5.7.1 rejected by policy")
LATE = ("delayed", "4.4.1", "451 4.4.1 no answer")
QUARTER = NOON + 15 * MINUTE


def bounced(
    said: tuple[str, str, str], found: Delivery = LEFT, now: Any = NOON, told: Rules = RULES, **known: Any
) -> Writes:
    all_known = facts(**{"by_bounce": {TOKEN: found}, "messages": {"m1.1": TO_BOB}, **known})
    read = reading(bounce=said, report=True, author=MailAddr("mailer-daemon@relay.example"))
    return planned(mail(f"b-{TOKEN}", mail_from="", sender=""), all_known, told, read, now=now).writes


def ways(writes: Writes) -> list[tuple[str, str]]:
    return [(d.id, d.courier) for d in writes.deliveries if d.kind is Kind.TEXT]


def reports(writes: Writes) -> list[str]:
    return [d.to for d in writes.deliveries if d.kind is Kind.REPORT]


def move(fate: Fate, code: str, note: str) -> tuple[Move, ...]:
    return (Move(delivery="m1.1.1", fate=fate, code=code, note=note, source="bounce"),)


def test_a_text_that_comes_back_goes_by_the_provider() -> None:
    writes = bounced(FULL, now=NOON + MINUTE)
    (other,) = writes.deliveries

    assert move(Fate.FAILED, "5.2.2", "bounced: 552 5.2.2 mailbox full; falls back to twilio") == writes.moves
    assert ("m1.1.2", "twilio", BOB, "jobs", 1) == (other.id, other.courier, other.to, other.sender, other.segments)
    assert (NOON + MINUTE, LEFT.expires_at) == (other.due_at, other.expires_at)


@pytest.mark.parametrize(
    ("found", "now", "told"),
    [
        pytest.param(LEFT, LEFT.expires_at, RULES, id="its time is over"),
        pytest.param(carried(fate=Fate.HANDED_OVER, ways=()), NOON, RULES, id="nothing else is open"),
        pytest.param(LEFT, NOON, shop.rules(numbers=()), id="no number any more"),
    ],
)
def test_a_text_that_comes_back_and_has_no_other_way_is_reported(found: Delivery, now: Any, told: Rules) -> None:
    writes = bounced(FULL, found, now, told)

    assert move(Fate.FAILED, "5.2.2", "bounced: 552 5.2.2 mailbox full") == writes.moves
    assert ([], [JOBS]) == (ways(writes), reports(writes))


@pytest.mark.parametrize("fate", sorted(BAD_ENDS))
@pytest.mark.parametrize("said", [GONE, POLICY, LATE])
def test_a_bounce_of_what_ended_badly_before_is_no_news(said: tuple[str, str, str], fate: Fate) -> None:
    writes = bounced(said, carried(fate=fate), QUARTER)

    assert 1 == len(writes.moves)
    assert Writes(moves=writes.moves) == writes


@pytest.mark.parametrize("fate", [Fate.WAITING, Fate.HANDED_OVER, Fate.FAILED])
@pytest.mark.parametrize("said", [FULL, LATE])
def test_what_has_a_fallback_gets_no_second_one(said: tuple[str, str, str], fate: Fate) -> None:
    writes = bounced(said, now=QUARTER, deliveries={"m1.1.2": paid(id="m1.1.2", fate=fate)})

    assert Writes(moves=writes.moves) == writes
    assert [Fate.FAILED if said is FULL else Fate.HANDED_OVER] == [m.fate for m in writes.moves]


def test_parts_that_come_back_one_after_the_other_make_one_fallback() -> None:
    first, second = (bounced(FULL, carried(id=i, fate=Fate.HANDED_OVER)) for i in ("m1.1.1", "m1.1.1-2"))

    assert ways(first) == ways(second) == [("m1.1.2", "twilio")]


@pytest.mark.parametrize(
    ("now", "found", "expected"),
    [
        pytest.param(QUARTER, LEFT, True, id="for too long"),
        pytest.param(LEFT.expires_at, LEFT, False, id="until nobody wants it"),
        pytest.param(QUARTER, carried(fate=Fate.HANDED_OVER, ways=()), False, id="nothing else is open"),
    ],
)
def test_a_text_that_is_late_for_too_long_goes_by_the_provider_as_well(
    now: Any, found: Delivery, expected: bool
) -> None:
    writes = bounced(LATE, found, now)
    also = "; goes by twilio as well: it may reach the phone twice" if expected else ""

    assert move(Fate.HANDED_OVER, "4.4.1", f"delayed: 451 4.4.1 no answer{also}") == writes.moves
    assert [("m1.1.2", "twilio")] * expected == ways(writes)
    assert all(d.note.startswith("it may reach the phone twice") for d in writes.deliveries)
    assert [] == reports(writes)


def test_the_one_report_that_a_text_is_late_is_remembered_until_the_carrier_has_had_its_time() -> None:
    writes = bounced(LATE, now=NOON + MINUTE)
    (other,) = writes.deliveries
    said = "delayed: 451 4.4.1 no answer; goes by twilio as well at 2026-11-23 17:15 UTC: it may reach the phone twice"

    assert move(Fate.HANDED_OVER, "4.4.1", said) == writes.moves
    assert ("m1.1.2", "twilio", Fate.WAITING, QUARTER) == (other.id, other.courier, other.fate, other.due_at)
    assert LEFT.expires_at == other.expires_at
    assert (
        "until 2026-11-23 17:15 UTC the carrier has time; it may reach the phone twice: "
        "the mail to 2025550112@vtext.com is only late"
    ) == other.note


@pytest.mark.parametrize("hours", [4, 5], ids=["when it is worth nothing", "later than that"])
def test_a_late_text_that_could_fall_back_only_after_its_time_does_not(hours: int) -> None:
    told = shop.rules(policy=PolicyRules(fallback_after=timedelta(hours=hours)))

    assert [] == ways(bounced(LATE, now=NOON + MINUTE, told=told))


def waiting(**changes: Any) -> dict[str, Delivery]:
    """The fallback that gives the carrier time."""
    changes = {"id": "m1.1.2", "fate": Fate.WAITING, "due_at": QUARTER, "attempt": 0, "posted_at": None, **changes}
    return {"m1.1.2": paid(**changes)}


def test_a_late_text_that_then_comes_back_waits_no_longer() -> None:
    writes = bounced(FULL, now=NOON + MINUTE, deliveries=waiting())
    came_back, hastened = writes.moves
    words = "bounced: 552 5.2.2 mailbox full"

    assert move(Fate.FAILED, "5.2.2", words) == (came_back,)
    assert Move(delivery="m1.1.2", fate=Fate.WAITING, note=words, source="bounce", due_at=NOON + MINUTE) == hastened
    assert Writes(moves=writes.moves) == writes, "and is reported to nobody"


@pytest.mark.parametrize(
    "changes",
    [{"due_at": NOON}, {"attempt": 1}, {"fate": Fate.HANDED_OVER}, {"fate": Fate.HELD}, {"fate": Fate.CANCELLED}],
    ids=["it is due", "it is tried again", "it went", "a person decides", "a person ended it"],
)
def test_a_fallback_that_does_not_wait_for_the_carrier_is_not_hastened(changes: dict[str, Any]) -> None:
    assert 1 == len(bounced(FULL, now=NOON + MINUTE, deliveries=waiting(**changes)).moves)


def test_another_part_that_is_refused_hastens_it_too() -> None:
    part = carried(id="m1.1.1-2")
    found = verdict.judge(part, TO_BOB, Refused(reason="552 full"), RULES, NOON, facts(deliveries=waiting()))

    assert [("m1.1.2", NOON)] == [(m.delivery, m.due_at) for m in found.writes.moves]
    assert ("552 full; the whole text goes by the provider", ()) == (found.note, found.writes.deliveries)


@pytest.mark.parametrize(
    ("after", "twice"),
    [
        pytest.param({"fate": Fate.HANDED_OVER}, True, id="it has left"),
        pytest.param({"fate": Fate.SENDING}, True, id="it is leaving"),
        pytest.param({"fate": Fate.WAITING, "resends": 1}, True, id="it may have left"),
        pytest.param({"fate": Fate.WAITING}, False, id="it waits"),
        pytest.param({"fate": Fate.FAILED}, False, id="it failed"),
        pytest.param({"fate": Fate.HANDED_OVER, "id": "m2.1.1-2"}, False, id="another text"),
    ],
)
def test_where_the_next_part_may_have_arrived_the_note_of_the_first_says_so(after: dict[str, Any], twice: bool) -> None:
    part = carried(**{"id": "m1.1.1-2", **after})
    writes = bounced(FULL, deliveries={part.id: part})

    assert twice is writes.moves[0].note.endswith("; falls back to twilio; it may reach the phone twice")
    assert [("m1.1.2", "twilio")] == ways(writes)


def test_a_number_that_comes_back_is_noted_with_one_mail_to_the_admin() -> None:
    writes = bounced(GONE)
    (word,) = writes.confirmations

    assert ("bob", "2025550112@vtext.com", False, "bounce", "bounce") == (
        word.employee, word.address, word.works, word.by, word.how,
    )  # fmt: skip
    assert ["alarm.gone.2025550112.at.vtext.com..1"] == [m.id for m in writes.messages]
    assert [("m1.1.2", "twilio")] == ways(writes)


@pytest.mark.parametrize(
    ("at", "works"), [(NOON + MINUTE, True), (NOON - MINUTE, False)], ids=["proven since", "known"]
)
def test_a_number_that_comes_back_is_not_noted_against_a_newer_word(at: Any, works: bool) -> None:
    word = Confirmation(employee="bob", address="2025550112@vtext.com", at=at, by="admin", works=works)
    writes = bounced(GONE, confirmations={"bob": word})

    assert ((), ()) == (writes.confirmations, writes.messages)


@pytest.mark.parametrize("said", [POLICY, ("delayed", "4.2.0", "421 4.2.0 sender rejected AUP#SNDR")])
def test_what_comes_back_for_our_own_sake_is_told_to_the_admin_once_a_day(said: tuple[str, str, str]) -> None:
    writes = bounced(said)

    assert ["alarm.policy.vtext.com.2026-11-23.1"] == [m.id for m in writes.messages]
    assert () == writes.confirmations


def test_what_comes_back_for_our_own_sake_long_after_it_left_is_told_to_nobody() -> None:
    writes = bounced(POLICY, carried(fate=Fate.HANDED_OVER, bounce=TOKEN, posted_at=NOON - 241 * MINUTE))

    assert [] == [m.id for m in writes.messages if m.kind is Kind.ALARM]


@pytest.mark.parametrize("said", [FULL, LATE])
def test_a_text_of_which_nothing_is_known_any_more_ends_without_a_word(said: tuple[str, str, str]) -> None:
    writes = bounced(said, now=QUARTER, messages={})

    assert 1 == len(writes.moves)
    assert Writes(moves=writes.moves) == writes
