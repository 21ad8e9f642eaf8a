"""Lists of stored text addresses: what is found in them, what is mended, and the employees that they make."""

from __future__ import annotations

import tomllib
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core import carrier as carriers
from gateway.core.address import RESERVED, legal_name
from gateway.core.consent_csv import lines
from gateway.core.migrate import VERDICTS, Entry, Found, Sheet, entries, read, toml
from gateway.core.model import Phone

TODAY = date(2026, 11, 23)
TABLE, PROBLEMS = carriers.build(
    [
        (
            "table",
            tomllib.loads("""
            [verizon]
            name = "Verizon Wireless"
            [verizon.sms]
            address = "{national}@vtext.com"
            status = "retiring"
            ends = 2027-03-31
            [visible]
            name = "Visible"
            [visible.sms]
            address = "{national}@vtext.com"
            status = "retiring"
            ends = 2027-03-31
            [att]
            name = "AT&T"
            [att.sms]
            address = "{national}@txt.att.net"
            status = "retired"
            ends = 2025-06-17
            [cingular]
            name = "Cingular"
            successor = "att"
            [cingular.sms]
            address = "{national}@cingularme.com"
            status = "retired"
            [h2o-wireless]
            name = "H2O"
            successor = "att"
            [h2o-wireless.sms]
            address = "{national}@txt.att.net"
            status = "retired"
            [metro]
            name = "Metro"
            [metro.sms]
            address = "{national}@mymetropcs.com"
            [metro.mms]
            address = "{national}@mymetropcs.com"
            [hill]
            name = "Hill Cell"
            [hill.mms]
            address = "{national}@mms.hill.example"
            status = "active"
            [dale]
            name = "Dale Cell"
            [dale.sms]
            domain = "dale.example"
            """),
        )
    ]
)


def sheet(text: str, *wanted: str) -> Sheet:
    return read(lines(text), TABLE, "US", TODAY, wanted)


def one(cell: str) -> Found:
    """What is found of a cell in a list where text addresses are the rule."""
    quoted = cell.replace('"', '""')
    return sheet(f'Text\n"{quoted}"\n', "Text").found[0]


def test_the_table_of_these_tests_is_sound() -> None:
    assert PROBLEMS == []


@pytest.mark.parametrize(
    ("cell", "verdict", "carrier", "text"),
    [
        ("2025550101@mms.hill.example", "good", "hill", ""),
        ("2025550101@vtext.com", "retiring", "verizon", "Verizon Wireless closes vtext.com on 2027-03-31"),
        ("2025550101@mymetropcs.com", "unproven", "metro", "nobody has shown that mymetropcs.com works"),
        (
            "2025550101@dale.example",
            "unproven",
            "dale",
            "it is not known how Dale Cell writes its sms addresses at dale.example",
        ),
        ("2025550101@txt.att.net", "dead", "att", "AT&T closed txt.att.net on 2025-06-17"),
        (
            "2025550101@vtex.com",
            "unknown_domain",
            "",
            "no carrier of the table has vtex.com; did you mean vtext.com?",
        ),
        ("2025550101@nowhere.invalid", "unknown_domain", "", "no carrier of the table has nowhere.invalid"),
        ("front.desk@vtext.com", "not_a_number", "", "no phone number stands before the @"),
        ("0125550101@vtext.com", "not_a_number", "", "no phone number stands before the @"),
        ("n/a", "not_a_number", "", "this is not one address"),
        ("2025550101@2025550102@vtext.com", "not_a_number", "", "this is not one address"),
    ],
)
def test_an_address_is_judged_by_the_table(cell: str, verdict: str, carrier: str, text: str) -> None:
    found = one(cell)

    assert (found.verdict, found.channel.carrier if found.channel else "", found.text) == (verdict, carrier, text)
    assert (found.phone is None) == (verdict == "not_a_number")


def test_a_dead_gateway_names_who_took_the_carrier_over() -> None:
    found = one("2025550101@cingularme.com")

    assert (found.verdict, found.successor) == ("dead", "att")


def test_of_a_domain_with_both_channels_the_text_one_counts() -> None:
    found = one("2025550101@mymetropcs.com")

    assert found.channel == TABLE.carriers["metro"].channels["sms"]


@pytest.mark.parametrize(
    "written",
    [
        "2025550101@vtext.com",
        "12025550101@vtext.com",
        "+12025550101@VTEXT.com",
        "(202) 555-0101@vtext.com",
        "202.555.0101@vtext.com",
        "mailto:2025550101@vtext.com",
        "A Tech <2025550101@vtext.com>",
    ],
)
def test_a_number_is_read_however_it_is_written(written: str) -> None:
    found = one(written)

    assert (found.phone, found.domain, found.mended) == ("+12025550101", "vtext.com", ())


def test_digits_with_a_country_code_are_a_number_abroad() -> None:
    assert one("442071838750@mms.hill.example").phone == "+442071838750"


@pytest.mark.parametrize(
    ("written", "what"),
    [
        ("2025550101@vtext.com ", "spaces around the address"),
        ("2025550101 @ vtext.com", "spaces around the @"),
        ("2025550101@2025550101@vtext.com", "the number is there twice"),
        ("(202) 555-0101@12025550101@vtext.com", "the number is there twice"),
        ("2025550101@vtext.com@vtext.com", "the domain is there twice"),
        ("2025550101@vtext.comvtext.com", "the domain is there twice"),
        ("2025550101@vtextvtext.com", "a part of the domain is there twice"),
        ("2025550101@vtext.com.", "a full stop after the domain"),
    ],
)
def test_a_slip_that_has_one_meaning_is_mended_and_told(written: str, what: str) -> None:
    found = one(written)

    assert (found.phone, found.domain, found.mended) == ("+12025550101", "vtext.com", (what,))


def test_a_doubled_domain_that_the_table_does_not_know_is_left_as_it_is() -> None:
    found = one("2025550101@pager.examplepager.example")

    assert (found.verdict, found.domain) == ("unknown_domain", "pager.examplepager.example")


def test_columns_are_found_by_what_they_hold() -> None:
    made = sheet(
        "Tech;Mail;Text\r\nAda;ada@shop.example;2025550101@vtext.com\r\nBen;2025550102@vtext.com;\r\nC;c@d.e;x\r\n"
    )

    assert made.columns == ("Mail", "Text")
    # few of Mail are text addresses: the others are mail; half of Text are not, and may be any words
    assert [(f.line, f.column, f.name) for f in made.found] == [(2, "Text", "Ada"), (3, "Mail", "Ben")]


def test_in_a_column_of_text_addresses_what_is_none_is_told() -> None:
    made = sheet("Text\n2025550101@vtext.com\n2025550102@vtext.com\nask him\n\n")

    assert [(f.line, f.verdict) for f in made.found] == [(2, "retiring"), (3, "retiring"), (4, "not_a_number")]


def test_a_column_that_is_named_is_the_only_one() -> None:
    text = "A,B\n2025550101@vtext.com,2025550102@vtext.com\n"

    assert [f.phone for f in sheet(text, " b ").found] == ["+12025550102"]
    assert sheet(text, "C").unknown == ("C",)
    assert sheet(text, "C").header == ("A", "B")


def test_a_list_without_a_header_is_read_from_its_first_line() -> None:
    made = sheet("Ada,2025550101@vtext.com\nBen,2025550102@vtext.com\n")

    assert made.columns == ("column 2",)
    assert [f.line for f in made.found] == [1, 2]


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_the_separator_is_that_of_the_header(separator: str) -> None:
    made = sheet(f"Name{separator}Text\nAda{separator}2025550101@vtext.com\n")

    assert [(f.name, f.phone) for f in made.found] == [("Ada", "+12025550101")]


def test_several_addresses_in_one_cell_are_each_judged() -> None:
    made = sheet('Text\n"2025550101@vtext.com, 2025550102@txt.att.net 2025550103@mms.hill.example"\n')

    assert [f.verdict for f in made.found] == ["retiring", "dead", "good"]
    assert [f.mended for f in made.found] == [(), (), ()]


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ("Name,Carrier Name,Text", "Ada"),
        ("Technician,Shop,Text", "Ada"),
        ("First Name,Last Name,Text", "Ada Bell"),
        ("Tech Name,Shop,Text", "Ada"),
        ("Company Name,Employee,Text", "Bell"),
        ("Key,Shop,Text", ""),
    ],
)
def test_the_name_comes_from_the_column_that_says_so(header: str, name: str) -> None:
    (found,) = sheet(f"{header}\nAda,Bell,2025550101@vtext.com\n").found

    assert found.name == name


def test_a_line_is_counted_as_in_the_file() -> None:
    made = sheet('Name,Text\n"Ada\nBell",2025550101@vtext.com\n\nBen,2025550102@vtext.com\n')

    assert [f.line for f in made.found] == [2, 5]


def test_a_broken_quote_ends_the_list_with_its_line() -> None:
    made = sheet('Name,Text\nAda,2025550101@vtext.com\nBen,"2025550102@vtext.com\n')

    assert [f.phone for f in made.found] == ["+12025550101"]
    assert made.broken.startswith("line 3 is not CSV")


def test_an_empty_list_is_empty() -> None:
    assert sheet("") == Sheet()
    assert sheet("Name,Text\n").found == ()


def made_of(text: str, names: tuple[str, ...] = (), theirs: tuple[str, ...] = ()) -> list[Entry]:
    return entries(sheet(text).found, names, [Phone(phone) for phone in theirs])


def test_a_phone_is_one_employee_by_its_best_address() -> None:
    made = made_of("Name,A,B\n,2025550101@txt.att.net,2025550101@vtext.com\nAda,,2025550101@mymetropcs.com\n")

    assert [(e.name, e.phone, e.carrier, e.channel) for e in made] == [("ada", "+12025550101", "verizon", "sms")]


def test_a_dead_gateway_stays_named_and_an_unknown_one_does_not() -> None:
    made = made_of("Name,A\nAda,2025550101@txt.att.net\nBen,2025550102@pager.example\nCy,x@vtext.com\n")

    assert [(e.name, e.carrier) for e in made] == [("ada", "att"), ("ben", "")]


def test_names_are_legal_and_unique_and_leave_others_theirs() -> None:
    names = ["Ada O'Hara", "ADA OHARA", "Zo\u00eb", "42", "Postmaster", "", "techs", "\u5f20"]
    rows = "".join(f'"{name}",20255501{n:02}@vtext.com\n' for n, name in enumerate(names))

    made = made_of(f"Name,Text\n{rows}", names=("techs",))

    assert [e.name for e in made] == [
        "ada.ohara",
        "ada.ohara.2",
        "zoe",
        "tech.42",
        "postmaster.2",
        "tech.0105",
        "techs.2",
        "tech",
    ]


def test_a_phone_that_is_entered_already_is_left_out() -> None:
    assert made_of("Name,Text\nAda,2025550101@vtext.com\n", theirs=("+12025550101",)) == []


def test_what_is_written_reads_as_employees() -> None:
    made = made_of('Name,Text\nAda,2025550101@vtext.com\nBen,"2025550102@a\x07\u2028b"\n')

    read_back = tomllib.loads(toml(made, "from a\nlist"))

    assert read_back == {
        "employee": [
            {
                "name": "ada",
                "phone": "+12025550101",
                "carrier": "verizon",
                "channel": "sms",
                "fallback": "provider",
            },
            {"name": "ben", "phone": "+12025550102", "fallback": "provider"},
        ]
    }


CELLS = st.one_of(
    st.text(max_size=30),
    st.text(st.sampled_from('0125@. <>;,()+-"vtexcom\n'), max_size=40),
    st.sampled_from(["2025550101@vtext.com", "2025550102@txt.att.net ", "2025550103@2025550103@vtext.com"]),
)


@given(st.lists(st.lists(CELLS, min_size=1, max_size=4), max_size=6), st.sampled_from(",;\t|"))
def test_any_list_has_an_answer_and_makes_sound_employees(rows: list[list[str]], separator: str) -> None:
    text = "\n".join(separator.join('"' + cell.replace('"', '""') + '"' for cell in row) for row in rows)

    found = sheet(text).found
    made = tomllib.loads(toml(entries(found, ["techs"], []), "head")).get("employee", [])

    assert {one.verdict for one in found} <= set(VERDICTS)
    assert len({e["name"] for e in made}) == len(made) == len({one.phone for one in found if one.phone})
    assert all(legal_name(e["name"]) and e["name"] not in {"techs", *RESERVED} for e in made)


@given(st.text())
def test_words_that_are_no_csv_do_no_harm(text: str) -> None:
    sheet(text)


def test_the_sample_of_200_lines_is_judged_whole() -> None:
    text = (Path(__file__).parents[1] / "data" / "text_addresses.csv").read_text(encoding="utf-8")

    made = sheet(text)
    slips = {f.line for f in made.found if f.mended}

    assert made.columns == ("Text Address", "Text Address 2")
    assert len(text.splitlines()) == 201
    assert slips == {12, 24, 38, 80, 98, 128, 150}
    assert [f.line for f in made.found if f.verdict == "not_a_number"] == [84, 102, 132]
