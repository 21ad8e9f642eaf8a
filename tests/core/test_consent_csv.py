"""Lists of consent in CSV: what a line says, every problem with its line, and the way out again."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.consent_csv import (
    CLASSES,
    COLUMNS,
    EXPORTED,
    METHODS,
    PROVEN,
    Entry,
    Sheet,
    cells,
    check,
    consent,
    lines,
    read,
    written,
)
from gateway.core.model import Phone

NOON = datetime(2026, 11, 23, 17, 0, tzinfo=UTC)
NEW_YORK = ZoneInfo("America/New_York")
ANN = Phone("+12025550143")
HEADER = "phone,class,method,evidence,at,disclosure,recorded_by\n"


def sheet(text: str) -> Sheet:
    return read(lines(text), "US", NOON, NEW_YORK)


def told(text: str) -> list[tuple[int, str]]:
    return [(problem.line, str(problem)) for problem in sheet(text).problems]


def test_a_full_line_is_an_entry() -> None:
    made = sheet(HEADER + "(202) 555-0143,marketing,paper,form 7,2026-11-02T09:30:00-05:00,v2,Ann at the desk\n")
    at = datetime(2026, 11, 2, 14, 30, tzinfo=UTC)
    entry = Entry(
        line=2,
        phone=ANN,
        klass="marketing",
        method="paper",
        evidence="form 7",
        at=at,
        disclosure="v2",
        recorded_by="Ann at the desk",
    )

    assert made == Sheet(entries=(entry,))


def test_columns_stand_in_any_order_and_what_is_not_given_has_a_default() -> None:
    made = sheet('\ufeffEvidence, METHOD ,phone\r\n"form 7, page 2",web,202-555-0143\r\n\r\n,,\r\n')
    entry = Entry(line=2, phone=ANN, klass="informational", method="web", evidence="form 7, page 2", at=NOON)

    assert made == Sheet(entries=(entry,))


def test_a_list_with_a_header_alone_is_empty() -> None:
    assert sheet(HEADER) == Sheet()


@pytest.mark.parametrize(
    ("text", "at"),
    [
        pytest.param("2026-11-02", datetime(2026, 11, 2, 5, 0, tzinfo=UTC), id="midnight-in-the-shop"),
        pytest.param("2026-11-02T09:30", datetime(2026, 11, 2, 14, 30, tzinfo=UTC), id="the-shops-time"),
        pytest.param("2026-11-02T09:30:00Z", datetime(2026, 11, 2, 9, 30, tzinfo=UTC), id="utc"),
        pytest.param("2026-11-23T12:00", NOON, id="now"),
    ],
)
def test_a_time_without_an_offset_is_the_shops(text: str, at: datetime) -> None:
    (entry,) = sheet(f"phone,method,evidence,at\n2025550143,paper,form 7,{text}\n").entries

    assert at == entry.at


KNOWN = "phone, class, method, evidence, at, disclosure, recorded_by"


@pytest.mark.parametrize(
    ("header", "problems"),
    [
        pytest.param("", [f"a header line is needed: {KNOWN.replace(' ', '')}"], id="empty"),
        pytest.param("phone;method;evidence\n", ["columns are separated by commas"], id="semicolons"),
        pytest.param("phone\tmethod\n", ["columns are separated by commas"], id="tabs"),
        pytest.param(
            "phone,metod,evidence\n",
            ["there is no column 'metod' (did you mean method?)", "method: this column is missing"],
            id="a-slip",
        ),
        pytest.param(
            "phone,method,evidence,recorded by\n",
            ["there is no column 'recorded by' (did you mean recorded_by?)"],
            id="a-blank",
        ),
        pytest.param("phone,method,evidence,zzzz\n", [f"there is no column 'zzzz' (known: {KNOWN})"], id="like-none"),
        pytest.param("phone,method,evidence,phone\n", ["phone: this column is there twice"], id="twice"),
        pytest.param('"phone\n', ["is not CSV: unexpected end of data; lines below it were not read"], id="quote"),
    ],
)
def test_a_wrong_header_is_told_before_anything_else(header: str, problems: list[str]) -> None:
    assert [(1, problem) for problem in problems] == told(header + ("x,y,z\n" if header else ""))


@pytest.mark.parametrize(
    ("line", "problems"),
    [
        pytest.param("555,,paper,form,,,", ["phone: '555' is not a phone number"], id="phone"),
        pytest.param(",,paper,form,,,", ["phone: is missing"], id="no-phone"),
        pytest.param("2025550143,all,paper,form,,,", ["class: 'all' is none of informational, marketing"], id="class"),
        pytest.param(
            "2025550143,,papr,form,,,",
            [f"method: 'papr' is none of {', '.join(METHODS)} (did you mean paper?)"],
            id="method",
        ),
        pytest.param("2025550143,,,form,,,", ["method: is missing"], id="no-method"),
        pytest.param(
            "2025550143,,paper,,,,", ["evidence: is missing: name the form, the file or who heard it"], id="evidence"
        ),
        pytest.param(
            "2025550143,marketing,verbal,form,,,",
            ["method: marketing needs consent on paper, by web or by keyword"],
            id="marketing",
        ),
        pytest.param("2025550143,,paper,form,2026-11-24,,", ["at: '2026-11-24' is in the future"], id="future"),
        pytest.param("2025550143,,paper,form,0202-11-24,,", ["at: '0202-11-24' is too long ago"], id="past"),
        pytest.param(
            "2025550143,,paper,form,11/02/2026,,",
            ["at: '11/02/2026' is not a time such as 2026-11-21 or 2026-11-21T09:30:00-05:00"],
            id="not-iso",
        ),
        pytest.param(
            "2025550143,,paper,form,0001-01-01T00:00:00+14:00,,",
            ["at: '0001-01-01T00:00:00+14:00' is not a time such as 2026-11-21 or 2026-11-21T09:30:00-05:00"],
            id="before-all-time",
        ),
        pytest.param(f"2025550143,,paper,{'x' * 1001},,,", ["evidence: has more than 1000 characters"], id="too-long"),
        pytest.param(
            '2025550143,,paper,"a\nb",,,', ["evidence: has a line break or another control character"], id="control"
        ),
        pytest.param("2025550143,,paper,form", ["this line has 4 cells, the header 7"], id="cells"),
        pytest.param(
            "5,,papr,,,,",
            [
                "phone: '5' is not a phone number",
                f"method: 'papr' is none of {', '.join(METHODS)} (did you mean paper?)",
                "evidence: is missing: name the form, the file or who heard it",
            ],
            id="all-of-them",
        ),
        pytest.param(
            '2025550143,,"paper"x,form,,,',
            ["is not CSV: ',' expected after '\"'; lines below it were not read"],
            id="q",
        ),
    ],
)
def test_every_problem_of_a_line_is_told_with_its_number(line: str, problems: list[str]) -> None:
    assert [(3, problem) for problem in problems] == told(f"{HEADER}2025550144,,paper,form,,,\n{line}\n")


def test_one_problem_leaves_nothing_to_enter() -> None:
    assert sheet(f"{HEADER}2025550144,,paper,form,,,\n5,,paper,form,,,\n").entries == ()


def test_a_record_of_several_lines_is_told_by_its_first() -> None:
    text = HEADER + '2025550143,,paper,"a\n\nb",,,\n\n5,,paper,x,,,\n'

    assert [2, 6] == [line for line, _ in told(text)]


def test_the_same_consent_twice_is_a_problem_and_another_of_the_same_phone_is_none() -> None:
    text = HEADER + "2025550143,,paper,form 7,,,\n2025550143,,paper,form 8,,,\n+1 202 555 0143,,paper,form 7,,v2,\n"

    assert [(4, "is the same as line 2")] == told(text)


def test_the_id_of_an_entry_follows_from_what_it_says() -> None:
    (entry,) = sheet("phone,method,evidence\n2025550143,paper,form 7\n").entries
    made = consent(entry, "Example Auto", "admin")

    assert ("grant", "admin", "Example Auto") == (made.action, made.recorded_by, made.brand)
    assert consent(replace(entry, line=9, disclosure="v2"), "Example Auto", "ann").id == made.id
    assert made.id not in {
        consent(other, "Example Auto", "admin").id
        for other in (
            replace(entry, phone=Phone("+12025550144")),
            replace(entry, klass="marketing"),
            replace(entry, method="web"),
            replace(entry, evidence="form 8"),
            replace(entry, at=NOON - timedelta(seconds=1)),
        )
    }
    assert consent(entry, "Another", "admin").id != made.id


def test_words_of_strangers_are_no_formulas_in_a_spreadsheet() -> None:
    text = written([{"phone": ANN, "raw": raw} for raw in ("=1+1", " @x", "STOP", None)], ("phone", "raw"))

    assert [["phone", "raw"], [ANN, "'=1+1"], [ANN, "' @x"], [ANN, "STOP"], [ANN, ""]] == list(
        csv.reader(io.StringIO(text))
    )


words = st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), max_size=30)
cell = st.fixed_dictionaries(
    {
        "phone": st.integers(100, 199).map(lambda n: f"(202) 555-0{n}"),
        "class": st.sampled_from((*CLASSES, "")),
        "method": st.sampled_from(PROVEN),
        "evidence": words.filter(str.strip),
        "at": st.just("") | st.datetimes(datetime(1990, 1, 2), datetime(2026, 11, 22)).map(datetime.isoformat),  # noqa: DTZ001
        "disclosure": words,
        "recorded_by": words,
    }
)


@given(st.lists(cell, max_size=8), st.permutations(COLUMNS))
def test_what_was_accepted_reads_back_equal_after_its_export(rows: list[dict[str, str]], columns: list[str]) -> None:
    first = sheet(written(rows, columns))
    kept = [{**cells(e), "action": "grant", "brand": "x", "raw": ""} for e in first.entries]
    exported = written(kept, EXPORTED)
    again = sheet(written(list(csv.DictReader(io.StringIO(exported, newline=""))), COLUMNS))

    assert all("is the same as" in problem.text for problem in first.problems)
    assert [replace(e, line=0) for e in first.entries] == [replace(e, line=0) for e in again.entries]
    assert list(first.entries) == [check(e.line, cells(e), "US", NOON, NEW_YORK) for e in first.entries]


@given(st.text())
def test_no_text_is_too_strange_to_be_read(text: str) -> None:
    made = sheet(text)

    assert not (made.entries and made.problems)


@given(words, words, words)
def test_no_cell_is_too_strange_to_be_checked(phone: str, method: str, at: str) -> None:
    made = check(2, {"phone": phone, "method": method, "at": at, "evidence": "form"}, "US", NOON, NEW_YORK)

    assert isinstance(made, Entry) or made


@given(st.text(st.sampled_from("a\r\n\x0b\x85\u2028")))
def test_a_line_ends_where_a_file_says_so_and_nowhere_else(text: str) -> None:
    assert list(io.StringIO(text, newline="")) == list(lines(text))
