from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core import phone as phones
from gateway.core.model import Phone

OURS = Phone("+12025550143")


@pytest.mark.parametrize(
    ("text", "country"),
    [
        pytest.param("2025550143", "US", id="ten digits"),
        pytest.param("12025550143", "US", id="one and ten digits"),
        pytest.param("+12025550143", "US", id="E.164"),
        pytest.param("+1 (202) 555-0143", "US", id="brackets"),
        pytest.param("202.555.0143", "US", id="dots"),
        pytest.param("202/555-0143", "US", id="slash"),
        pytest.param("1-202-555-0143", "CA", id="hyphens, another country of the plan"),
        pytest.param("+1 202 555 0143", "GB", id="international form elsewhere"),
        pytest.param("001 202 555 0143", "GB", id="international prefix elsewhere"),
    ],
)
def test_the_ways_in_which_people_write_a_number_name_one_phone(text: str, country: str) -> None:
    assert phones.parse(text, country) == OURS


@pytest.mark.parametrize(
    ("text", "country", "expected"),
    [
        pytest.param("020 7183 8750", "GB", "+442071838750", id="national form"),
        pytest.param("+44 20 7183 8750", "US", "+442071838750", id="plus"),
        pytest.param("011 44 20 7183 8750", "US", "+442071838750", id="prefix 011"),
        pytest.param("+18765550143", "US", "+18765550143", id="Jamaica"),
        pytest.param("+15005550006", "US", "+15005550006", id="a test number of the provider"),
    ],
)
def test_numbers_of_other_countries_are_read(text: str, country: str, expected: str) -> None:
    assert phones.parse(text, country) == expected


@pytest.mark.parametrize("last", range(100))
def test_numbers_kept_for_fiction_are_phones(last: int) -> None:
    assert phones.parse(f"20255501{last:02}", "US") == f"+120255501{last:02}"


@pytest.mark.parametrize(
    ("text", "country"),
    [
        pytest.param("", "US", id="nothing"),
        pytest.param("+", "US", id="a plus"),
        pytest.param("-", "US", id="a hyphen"),
        pytest.param("5550143", "US", id="without area code"),
        pytest.param("20255501433", "US", id="eleven digits without a 1"),
        pytest.param("120255501433", "US", id="a digit too many"),
        pytest.param("1025550143", "US", id="area code begins with 1"),
        pytest.param("0025550143", "US", id="area code begins with 0"),
        pytest.param("9115550143", "US", id="area code N11"),
        pytest.param("2925550143", "US", id="area code N9X"),
        pytest.param("2021550143", "US", id="exchange begins with 1"),
        pytest.param("911", "US", id="emergency"),
        pytest.param("62966", "US", id="short code"),
        pytest.param("2025550143x12", "US", id="extension"),
        pytest.param("202-555-ABCD", "US", id="letters"),
        pytest.param("2025550143;ext=1", "US", id="parameter"),
        pytest.param("++12025550143", "US", id="two pluses"),
        pytest.param("1+2025550143", "US", id="plus inside"),
        pytest.param("2025550143\n", "US", id="line feed"),
        pytest.param("202\t555\t0143", "US", id="tabs"),
        pytest.param("\u0662\u0660\u0662\u0665\u0665\u0665\u0660\u0661\u0664\u0663", "US", id="other digits"),
        pytest.param("\uff0b12025550143", "US", id="wide plus"),
        pytest.param("+999123456789", "US", id="no such country"),
        pytest.param("+4420718387", "US", id="too short for its country"),
        pytest.param("2025550143" + " " * 31 + "-", "US", id="too long to be read"),
        pytest.param("2025550143", "GB", id="ten digits where they are no number"),
    ],
)
def test_what_is_no_valid_number_is_none(text: str, country: str) -> None:
    assert phones.parse(text, country) is None


@given(st.text(alphabet="+0123456789 .()/-x", max_size=30), st.sampled_from(["US", "CA", "GB", "DE"]))
def test_every_text_has_an_answer_and_what_is_read_reads_as_itself(text: str, country: str) -> None:
    phone = phones.parse(text, country)

    assert phone is None or phones.parse(phone, country) == phone


@given(st.text(max_size=60))
def test_no_text_raises(text: str) -> None:
    phone = phones.parse(text, "US")

    assert phone is None or (phone[0] == "+" and phone[1:].isdigit() and len(phone) <= 16)


@pytest.mark.parametrize(
    ("phone", "region"),
    [
        ("+12025550143", "US"),
        ("+12045550143", "CA"),
        ("+18765550143", "JM"),
        ("+17875550143", "PR"),
        ("+18005550143", "US"),
        ("+442071838750", "GB"),
        ("+15555550143", ""),
    ],
)
def test_a_region_is_that_of_the_area_code_and_not_of_the_plan(phone: str, region: str) -> None:
    assert phones.region(Phone(phone)) == region


@pytest.mark.parametrize(
    ("phone", "premium"),
    [
        pytest.param("+19005550143", True, id="900"),
        pytest.param("+12029760143", True, id="976"),
        pytest.param("+449098790879", True, id="British premium rate"),
        pytest.param("+12025550143", False, id="ordinary"),
        pytest.param("+442071838750", False, id="British, ordinary"),
        pytest.param("+18005550143", False, id="toll-free"),
    ],
)
def test_premium_numbers_are_known(phone: str, premium: bool) -> None:
    assert phones.premium(Phone(phone)) is premium


def test_a_phone_is_written_for_carriers_and_for_people() -> None:
    british = Phone("+442071838750")

    assert phones.national(OURS) == "2025550143"
    assert phones.digits(OURS) == "12025550143"
    assert phones.shown(OURS) == "+1 202-555-0143"
    assert phones.national(british) == "2071838750"
    assert phones.digits(british) == "442071838750"
    assert phones.shown(british) == "+44 20 7183 8750"
    assert phones.is_nanp(OURS)
    assert not phones.is_nanp(british)
