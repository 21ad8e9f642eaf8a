from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest
import shop
from hypothesis import given
from hypothesis import strategies as st
from shop import BOB, BRAND, BRITON, MARIA, NOON, RULES, SALES, SERVICE, entry

from gateway.core import policy
from gateway.core.model import Consent, Phone
from gateway.core.policy import Standing, barred, conversational, forbids, standing, unpayable

STOP, START, GRANT, REVOKE = entry("stop"), entry("start"), entry("grant"), entry("revoke")
MARKETING = entry("grant", klass="marketing", id="marketing")
SUSPEND, RESUME = entry("suspend"), entry("resume")
LATER, LATE_DOUBT = (entry(a, id="later", at=START.at + timedelta(minutes=1)) for a in ("stop", "suspend"))
BLOCK, BLOCK_SALES = entry("block", number=SERVICE), entry("block", number=SALES)
VOUCHED = entry("grant", method="job_system", id="vouched")
IMPORTED = entry("grant", method="import", id="imported")
FORGED_STOP, FORGED_START, LATE_FORGED, PROVEN_STOP = (
    replace(
        known,
        method="keyword",
        recorded_by="mail",
        evidence=f"mail m1 from 2025550143@vtext.com, {'dkim=pass header.d=vtext.com' if proven else 'not verified'}",
    )
    for known, proven in ((STOP, False), (START, False), (LATER, False), (STOP, True))
)
ACTIONS = st.sampled_from(["grant", "revoke", "start", "stop", "suspend", "resume", "block"])


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        pytest.param([], Standing(), id="nothing"),
        pytest.param([GRANT], Standing(informational=GRANT), id="a grant"),
        pytest.param([MARKETING], Standing(marketing=MARKETING), id="marketing"),
        pytest.param([MARKETING, GRANT], Standing(marketing=MARKETING, informational=GRANT), id="both classes"),
        pytest.param([GRANT, MARKETING, REVOKE], Standing(revoked=REVOKE), id="a revocation ends every class"),
        pytest.param([REVOKE, GRANT], Standing(informational=GRANT), id="a grant after a revocation"),
        pytest.param([REVOKE, MARKETING], Standing(marketing=MARKETING), id="marketing after a revocation"),
        pytest.param([REVOKE, START], Standing(revoked=REVOKE), id="a START lifts no revocation"),
        pytest.param([STOP, GRANT], Standing(stopped=STOP, informational=GRANT), id="a grant lifts no STOP"),
        pytest.param([GRANT, STOP, START], Standing(informational=GRANT), id="a START lifts a STOP"),
        pytest.param([STOP, START], Standing(), id="a START is no consent"),
        pytest.param([START, LATER], Standing(stopped=LATER), id="an earlier START"),
        pytest.param([START, STOP], Standing(), id="a STOP that arrived late: START was the last word"),
        pytest.param([LATER, START], Standing(stopped=LATER), id="a START that arrived late lifts no newer STOP"),
        pytest.param([entry("start", at=STOP.at), STOP], Standing(stopped=STOP), id="in the same moment STOP stands"),
        pytest.param([STOP, entry("start", at=STOP.at)], Standing(stopped=STOP), id="in whatever order they came"),
        pytest.param([LATER, STOP], Standing(stopped=LATER), id="of two STOPs the newer"),
        pytest.param([LATER, STOP, START], Standing(stopped=LATER), id="which an old START does not lift"),
        pytest.param([FORGED_STOP, FORGED_START], Standing(), id="a START by mail lifts a STOP that came no better"),
        pytest.param([FORGED_START, LATE_FORGED], Standing(stopped=LATE_FORGED), id="but no later one"),
        pytest.param([PROVEN_STOP, FORGED_START], Standing(stopped=PROVEN_STOP), id="nor one that is proven"),
        pytest.param([STOP, FORGED_START], Standing(stopped=STOP), id="nor one by text"),
        pytest.param([STOP, FORGED_STOP, FORGED_START], Standing(stopped=STOP), id="which stands below another"),
        pytest.param([SUSPEND, FORGED_START], Standing(suspended=SUSPEND), id="nor a doubt"),
        pytest.param([BLOCK, replace(FORGED_START, number=SERVICE)], Standing(blocked=(SERVICE,)), id="nor a block"),
        pytest.param([FORGED_STOP, START], Standing(), id="a START that is proven lifts what is not"),
        pytest.param([START, SUSPEND], Standing(), id="a doubt that arrived late"),
        pytest.param([LATE_DOUBT, START], Standing(suspended=LATE_DOUBT), id="a START older than a doubt"),
        pytest.param([LATE_DOUBT, STOP, START], Standing(suspended=LATE_DOUBT), id="with an old STOP beside it"),
        pytest.param([START, BLOCK], Standing(), id="a block that arrived late"),
        pytest.param(
            [entry("start", number=SALES), BLOCK], Standing(blocked=(SERVICE,)), id="and a START to another number"
        ),
        pytest.param(
            [replace(BLOCK, at=LATER.at), START], Standing(blocked=(SERVICE,)), id="a START older than a block"
        ),
        pytest.param([GRANT, SUSPEND], Standing(informational=GRANT, suspended=SUSPEND), id="a doubt"),
        pytest.param([SUSPEND, RESUME], Standing(), id="a doubt that was none"),
        pytest.param([STOP, RESUME], Standing(stopped=STOP), id="a doubt that was none lifts no STOP"),
        pytest.param([REVOKE, RESUME], Standing(revoked=REVOKE), id="nor a revocation"),
        pytest.param([SUSPEND, STOP], Standing(stopped=STOP), id="a STOP settles a doubt"),
        pytest.param([SUSPEND, START], Standing(), id="a START settles a doubt"),
        pytest.param([SUSPEND, GRANT], Standing(informational=GRANT), id="a grant that a person saw settles a doubt"),
        pytest.param(
            [SUSPEND, VOUCHED], Standing(informational=VOUCHED, suspended=SUSPEND), id="a machine's grant does not"
        ),
        pytest.param([SUSPEND, IMPORTED], Standing(informational=IMPORTED, suspended=SUSPEND), id="nor does a list"),
        pytest.param([BLOCK, BLOCK], Standing(blocked=(SERVICE,)), id="a block counts once"),
        pytest.param([BLOCK, entry("start", number=SALES)], Standing(blocked=(SERVICE,)), id="START to another number"),
        pytest.param([BLOCK, entry("start", number=SERVICE)], Standing(), id="START to the blocked number"),
        pytest.param([BLOCK, BLOCK_SALES, START], Standing(), id="START to a number that was not kept"),
        pytest.param([BLOCK, GRANT], Standing(informational=GRANT, blocked=(SERVICE,)), id="a grant lifts no block"),
        pytest.param([VOUCHED], Standing(informational=VOUCHED), id="vouched by the job system"),
        pytest.param([REVOKE, VOUCHED], Standing(revoked=REVOKE), id="what a machine says is below any opt-out"),
        pytest.param([STOP, VOUCHED], Standing(stopped=STOP, informational=VOUCHED), id="and below a STOP"),
    ],
)
def test_the_standing_follows_from_all_entries(entries: Sequence[Consent], expected: Standing) -> None:
    assert expected == standing(entries, BRAND)


def test_the_entry_of_an_employee_is_his_consent_only_while_he_is_one() -> None:
    recorded = entry("grant", method="employee")

    assert Standing() == standing([REVOKE, recorded], BRAND)
    assert Standing(stopped=STOP) == standing([STOP, recorded], BRAND)
    assert forbids(MARIA, standing([recorded], BRAND), RULES) is not None
    assert forbids(BOB, standing([entry("grant", BOB, method="employee")], BRAND), RULES) is None


def test_consent_to_another_brand_says_nothing() -> None:
    assert Standing() == standing([entry("grant", brand="Other")], BRAND)


def test_a_stop_outlasts_a_new_name_of_the_shop() -> None:
    stop, revoke = entry("stop", brand="Other"), entry("revoke", brand="Other")

    assert Standing(stopped=stop, informational=GRANT) == standing([stop, GRANT], BRAND)
    assert Standing(revoked=revoke) == standing([entry("grant", brand="Other"), revoke], BRAND)


def test_an_unknown_action_is_a_fault() -> None:
    with pytest.raises(ValueError, match="unknown action"):
        standing([entry("shrug")], BRAND)


@given(before=st.lists(ACTIONS), after=st.lists(ACTIONS.filter(lambda a: a != "start")), answering=st.booleans())
def test_a_stop_without_a_later_start_forbids_whatever_else_was_entered(
    before: list[str], after: list[str], answering: bool
) -> None:
    stop = entry("stop", at=NOON - timedelta(hours=1))
    state = standing([*map(entry, before), stop, *map(entry, after)], BRAND)

    assert forbids(MARIA, state, RULES, answering=answering) is not None
    assert forbids(BOB, state, RULES, answering=answering) is not None


@given(entries=st.permutations([STOP, START, LATER, LATE_DOUBT, BLOCK, replace(START, at=LATER.at, id="again")]))
def test_what_a_person_said_counts_by_its_time_and_not_by_its_arrival(entries: list[Consent]) -> None:
    state = standing(entries, BRAND)

    assert (LATER, ()) == (state.stopped, state.blocked)


def test_an_opt_out_by_the_shop_says_so() -> None:
    no = forbids(MARIA, standing([entry("stop", method="mail", raw="please stop texting me")], BRAND), RULES)

    assert no is not None
    assert "was opted out by the shop on 2026-11-22, which took a text for a STOP" == no.why


def test_a_conversation_counts_only_where_it_is_named() -> None:
    assert forbids(MARIA, Standing(), RULES) is not None
    assert "none" == policy.label(MARIA, Standing(), RULES)


@given(entries=st.lists(ACTIONS))
def test_consent_without_an_opt_out_after_it_allows(entries: list[str]) -> None:
    state = standing([entry(action) for action in (*entries, "start", "grant")], BRAND)

    assert forbids(MARIA, state, RULES) is None


@given(before=st.lists(ACTIONS), after=st.lists(ACTIONS))
def test_no_vouching_undoes_an_opt_out(before: list[str], after: list[str]) -> None:
    entries = [entry(action) for action in (*before, "revoke", *(a for a in after if a != "grant"))]
    state = standing([*entries, VOUCHED], BRAND)

    assert forbids(MARIA, state, RULES, vouched=True, answering=True) is not None


@pytest.mark.parametrize(
    ("entries", "changes", "why"),
    [
        pytest.param([GRANT], {"klass": "marketing"}, "has not agreed to marketing texts", id="another class"),
        pytest.param([MARKETING], {"klass": "marketing"}, None, id="marketing"),
        pytest.param([MARKETING, STOP], {"klass": "marketing"}, "said STOP on 2026-11-22", id="marketing and STOP"),
        pytest.param([], {"klass": "marketing", "vouched": True}, "has not agreed to marketing texts", id="vouched"),
        pytest.param([], {"vouched": True}, None, id="vouched, informational"),
        pytest.param([STOP], {"vouched": True}, "said STOP on 2026-11-22", id="vouched and STOP"),
        pytest.param([GRANT, SUSPEND], {"vouched": True}, "perhaps asked on 2026-11-22 not to be texted", id="a doubt"),
        pytest.param([GRANT, SUSPEND], {"answering": True}, None, id="a doubt, and a person answers"),
        pytest.param([SUSPEND], {"answering": True, "klass": "marketing"}, None, id="an answer has no class"),
    ],
)
def test_class_doubt_and_vouching_decide(entries: Sequence[Consent], changes: dict[str, bool], why: str | None) -> None:
    no = forbids(MARIA, standing(entries, BRAND), RULES, **changes)  # type: ignore[arg-type]

    assert why == (no.why if no else None)


def test_the_remedy_names_the_class_that_is_missing() -> None:
    no = forbids(MARIA, standing([GRANT], BRAND), RULES, klass="marketing")

    assert no is not None
    assert no.remedy.endswith("--class marketing")


@pytest.mark.parametrize(
    ("entries", "label"),
    [([SUSPEND], "suspended 2026-11-22"), ([], "vouched"), ([GRANT], "informational by paper 2026-11-22")],
    ids=["a doubt", "vouched", "an entry before vouching"],
)
def test_a_label_tells_of_doubt_and_vouching(entries: Sequence[Consent], label: str) -> None:
    assert label == policy.label(MARIA, standing(entries, BRAND), RULES, vouched=True)


def test_a_block_bars_the_one_number() -> None:
    state = standing([GRANT, BLOCK], BRAND)
    service, sales = RULES.numbers
    no = barred(service, state)

    assert no is not None
    assert "is blocked by the provider for our number service" == no.why
    assert "+1 202-555-0100" in no.remedy
    assert barred(sales, state) is None
    assert forbids(MARIA, state, RULES) is None


@pytest.mark.parametrize(
    ("phone", "entries", "answering", "why", "label"),
    [
        pytest.param(MARIA, [], False, "has not agreed to texts", "none", id="a customer without consent"),
        pytest.param(MARIA, [], True, None, "conversational", id="an answer in an open conversation"),
        pytest.param(MARIA, [GRANT], False, None, "informational by paper 2026-11-22", id="consent"),
        pytest.param(
            MARIA, [MARKETING], False, None, "marketing by paper 2026-11-22", id="marketing includes the rest"
        ),
        pytest.param(MARIA, [GRANT, REVOKE], True, "was opted out on 2026-11-22", "revoked 2026-11-22", id="revoked"),
        pytest.param(MARIA, [GRANT, STOP], True, "said STOP on 2026-11-22", "stopped 2026-11-22", id="stopped"),
        pytest.param(BOB, [], False, None, "employee", id="an employee's entry is his consent"),
        pytest.param(BOB, [STOP], False, "said STOP on 2026-11-22", "stopped 2026-11-22", id="an employee's STOP"),
        pytest.param(BOB, [REVOKE], False, "was opted out on 2026-11-22", "revoked 2026-11-22", id="employee revoked"),
    ],
)
def test_who_may_be_texted_and_on_what_it_rests(
    phone: Phone, entries: Sequence[Consent], answering: bool, why: str | None, label: str
) -> None:
    state = standing(entries, BRAND)
    no = forbids(phone, state, RULES, answering=answering)

    assert why == (no.why if no else None)
    assert label == policy.label(phone, state, RULES, answering=answering)


@pytest.mark.parametrize(
    ("raw", "word"),
    [("", "STOP"), ("  ", "STOP"), ("stop", "STOP"), ('"Cancel."', "CANCEL"), ("\n\u00a0", "STOP"), ("parar", "STOP")],
    ids=["told by the provider", "blank", "plain", "with trimmings", "odd spaces", "a word of the provider's"],
)
def test_a_refusal_names_the_word_that_was_said(raw: str, word: str) -> None:
    no = forbids(MARIA, standing([entry("stop", raw=raw)], BRAND), RULES)

    assert no is not None
    assert f"said {word} on 2026-11-22" == no.why
    assert "START" in no.remedy


@pytest.mark.parametrize(
    ("conversation", "expected"),
    [
        pytest.param(None, False, id="none"),
        pytest.param(shop.talk(), False, id="the person never wrote"),
        pytest.param(shop.talk(heard_at=NOON), True, id="open"),
        pytest.param(shop.talk(heard_at=NOON, closes_at=NOON), False, id="closed"),
        pytest.param(shop.talk(heard_at=NOON, closes_at=NOON + timedelta(seconds=1)), True, id="closes in a second"),
    ],
)
def test_a_conversation_allows_answers_from_the_persons_text_until_it_closes(
    conversation: shop.Conversation | None, expected: bool
) -> None:
    assert expected == conversational(conversation, NOON)


@pytest.mark.parametrize(
    ("phone", "why"),
    [
        pytest.param(MARIA, None, id="at home"),
        pytest.param(BRITON, "is a number of GB", id="another country"),
        pytest.param(SERVICE, "is a number of our own", id="our own"),
        pytest.param(Phone("+12005550143"), "is a number of no known country", id="an area code that nobody lists"),
        pytest.param(Phone("+18765550143"), "is a number of JM", id="another country of +1"),
        pytest.param(Phone("+19005550143"), "is a premium-rate number", id="premium"),
    ],
)
def test_some_phones_are_never_paid_for(phone: Phone, why: str | None) -> None:
    no = unpayable(phone, RULES)

    assert why == (no.why if no else None)


@pytest.mark.parametrize(
    ("phone", "why"),
    [
        pytest.param("+447400123456", None, id="British mobile"),
        pytest.param("+447012345678", "is a personal number, which may cost much", id="British personal"),
        pytest.param("+442071838750", "is a landline", id="British landline"),
        pytest.param("+448712345678", "is a premium-rate number", id="British premium rate"),
        pytest.param("+443331234567", "is a company-wide number", id="British company"),
        pytest.param("+49180512345", "is a shared-cost number", id="German shared cost"),
        pytest.param("+4915123456789", None, id="German mobile"),
    ],
)
def test_a_country_that_is_texted_has_numbers_that_are_not(phone: str, why: str | None) -> None:
    abroad = replace(RULES, policy=replace(RULES.policy, countries=("US", "GB", "DE")))
    no = unpayable(Phone(phone), abroad)

    assert why == (no.why if no else None)
