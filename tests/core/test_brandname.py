"""Which row a network's name and code lead to, and where they lead to several."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.config.carriers import shipped_table
from gateway.core import brandname
from gateway.core.brandname import Told, normal, tell
from gateway.core.carrier import Carrier, CarrierTable

TABLE = shipped_table()


def told(name: str, code: str = "", country: str = "US") -> Told:
    return tell(name, code, TABLE, country)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("Verizon Wireless:6006 - SVR/2", "VERIZON WIRELESS"),
        ("T-Mobile US-SVR-10X/2", "T-MOBILE US"),
        ("T-Mobile USA, Inc.", "T-MOBILE USA"),
        ("CELLCO PARTNERSHIP DBA VERIZON WIRELESS - OH", "CELLCO PARTNERSHIP DBA VERIZON WIRELESS"),
        ("Cingular Wireless/2", "CINGULAR WIRELESS"),
        ("NEW CINGULAR WIRELESS PCS, LLC - GA", "NEW CINGULAR WIRELESS PCS"),
        ("Metro PCS Communications Inc-SVR-10X/2", "METRO PCS COMMUNICATIONS"),
        ("SPRINT SPECTRUM L.P.", "SPRINT SPECTRUM"),
        ("Videotron Ltd.", "VIDEOTRON"),
        ("Bandwidth/13 - Bandwidth.com - SVR", "BANDWIDTH - BANDWIDTH.COM"),
        ("  Example   Cell-NSR ", "EXAMPLE CELL"),
        ("", ""),
    ],
)
def test_a_name_loses_what_registries_add(written: str, expected: str) -> None:
    assert normal(written) == expected


@given(st.text(st.sampled_from("abz :/-,.6102SVRXINCLP\u00df\u0130"), max_size=40))
def test_what_is_normal_stays_as_it_is(name: str) -> None:
    assert normal(normal(name)) == normal(name)


@given(st.text(max_size=40), st.text(max_size=8), st.sampled_from(["", "US", "CA", "GB"]))
def test_any_word_of_a_network_has_an_answer_that_names_rows_of_the_table(name: str, code: str, country: str) -> None:
    answer = tell(name, code, TABLE, country)

    assert {*answer.candidates, *filter(None, [answer.carrier])} <= set(TABLE.carriers)
    assert not (answer.carrier and answer.candidates)
    assert answer.why


@pytest.mark.parametrize(
    ("name", "code", "country", "expected"),
    [
        pytest.param("Metro PCS Communications Inc-SVR-10X/2", "310-260", "US", "metro", id="a-brand-by-its-own-name"),
        pytest.param("ELISKA WIRELESS", "310-150", "US", "cricket", id="a-company-name-and-a-code-of-one-brand"),
        pytest.param("", "313-340", "US", "boost", id="a-code-of-one-brand-alone"),
        pytest.param("Boost Mobile", "310-260", "US", "boost", id="a-brand-on-another-network"),
        pytest.param("Tracfone", "311-480", "US", "tracfone-verizon", id="the-code-tells-whose-sim-it-is"),
        pytest.param("Freedom Mobile Inc.", "302-490", "CA", "freedom-mobile", id="name-and-code-of-one"),
        pytest.param("Videotron Ltd.", "", "CA", "videotron", id="a-name-alone"),
        pytest.param("Thumb Cellular", "", "US", "thumb-cellular", id="a-row-of-just-that-name"),
        pytest.param("Boost Mobile", "310-260", "", "boost", id="a-country-that-is-not-known"),
    ],
)
def test_one_row_that_fits_is_named(name: str, code: str, country: str, expected: str) -> None:
    assert told(name, code, country).carrier == expected


@pytest.mark.parametrize(
    ("name", "code", "some"),
    [
        pytest.param("T-Mobile USA, Inc.", "310-160", ["t-mobile", "metro", "mint-mobile"], id="t-mobile"),
        pytest.param("Verizon Wireless:6006 - SVR/2", "311-480", ["verizon", "visible"], id="verizon"),
        pytest.param("Cingular Wireless/2", "310-410", ["att", "cricket", "h2o-wireless"], id="att"),
        pytest.param("", "310-260", ["t-mobile", "metro"], id="a-code-alone"),
        pytest.param("Verizon Wireless", "", ["verizon", "xfinity-mobile"], id="a-name-alone"),
        pytest.param("USCC", "311-580", ["us-cellular", "tracfone-uscc"], id="a-code-of-the-table-whose-owner-hosts"),
        pytest.param("Tracfone", "", ["tracfone-att", "tracfone-verizon"], id="a-brand-on-many-networks"),
    ],
)
def test_brands_that_share_a_network_cannot_be_told_apart(name: str, code: str, some: list[str]) -> None:
    answer = told(name, code)

    assert answer.carrier == ""
    assert set(some) <= set(answer.candidates)


def test_a_name_and_a_code_that_disagree_are_both_shown() -> None:
    answer = told("AT&T Wireless", "310-150")

    assert answer == Told(
        candidates=("att", "cricket"),
        why="the name says AT&T, the network code 310-150 is Cricket Wireless: they disagree",
    )


def test_a_name_that_the_table_does_not_know_is_no_guess_at_the_codes_brand() -> None:
    answer = told("Example Cell LLC", "313-340")

    assert (answer.carrier, answer.candidates) == ("", ("boost",))
    assert "does not know the name 'Example Cell LLC'" in answer.why


def test_what_is_known_in_no_way_has_no_candidates() -> None:
    assert told("Example Cell", "999-99").candidates == ()
    assert told("", "").candidates == ()


def test_a_name_of_another_country_is_not_taken_for_ours() -> None:
    assert told("T-Mobile Deutschland", "262-01", "DE") == Told(
        why="the table knows neither the name 'T-Mobile Deutschland' nor the network code 262-01"
    )


def test_a_row_of_the_admin_is_found_by_its_own_name_and_code() -> None:
    own = Carrier(id="hill-cell", name="Hill Cell (north)", country="US", mccmnc=("310-999",))
    table = CarrierTable(carriers={**TABLE.carriers, own.id: own})

    assert tell("Hill Cell, Inc.", "310-999", table, "US").carrier == "hill-cell"
    assert tell("", "310-999", table, "US").carrier == "hill-cell"


def test_every_row_that_the_lists_name_is_in_the_shipped_table() -> None:
    listed = {*brandname._NETWORKS, *brandname._HOSTED, *(one for ids in brandname._HOSTED.values() for one in ids)}
    listed |= {one for _, ids in (*brandname._BRANDS, *brandname._HOSTS) for one in ids}

    assert listed - set(TABLE.carriers) == set()


def test_every_alias_is_written_as_names_are_compared() -> None:
    aliases = [alias for alias, _ in (*brandname._BRANDS, *brandname._HOSTS)]

    assert [alias for alias in aliases if brandname._words(alias) != alias] == []


def test_no_code_of_a_shared_network_stands_in_the_shipped_table() -> None:
    own = {code for carrier in TABLE.carriers.values() for code in carrier.mccmnc}

    assert own & set(brandname._CODES) == set()
