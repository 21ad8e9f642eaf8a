from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import pytest
import shop
from hypothesis import given
from hypothesis import strategies as st
from shop import BOB, BRAND, BRITON, MARIA, NOON, RULES, SERVICE, entry

from gateway.core import policy
from gateway.core.model import Consent, Phone
from gateway.core.policy import Standing, conversational, forbids, standing, unpayable

STOP, START, GRANT, REVOKE = entry("stop"), entry("start"), entry("grant"), entry("revoke")
MARKETING = entry("grant", klass="marketing", id="marketing")
ACTIONS = st.sampled_from(["grant", "revoke", "start", "stop"])


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
        pytest.param([START, STOP], Standing(stopped=STOP), id="an earlier START"),
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


def test_entries_of_another_brand_say_nothing() -> None:
    assert Standing() == standing([entry("stop", brand="Other"), entry("grant", brand="Other")], BRAND)


def test_an_unknown_action_is_a_fault() -> None:
    with pytest.raises(ValueError, match="unknown action"):
        standing([entry("shrug")], BRAND)


@given(before=st.lists(ACTIONS), after=st.lists(ACTIONS.filter(lambda a: a != "start")), answering=st.booleans())
def test_a_stop_without_a_later_start_forbids_whatever_else_was_entered(
    before: list[str], after: list[str], answering: bool
) -> None:
    state = standing([entry(action) for action in (*before, "stop", *after)], BRAND)

    assert forbids(MARIA, state, RULES, answering=answering) is not None
    assert forbids(BOB, state, RULES, answering=answering) is not None


def test_a_conversation_counts_only_where_it_is_named() -> None:
    assert forbids(MARIA, Standing(), RULES) is not None
    assert "none" == policy.label(MARIA, Standing(), RULES)


@given(entries=st.lists(ACTIONS))
def test_consent_without_an_opt_out_after_it_allows(entries: list[str]) -> None:
    state = standing([entry(action) for action in (*entries, "start", "grant")], BRAND)

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
