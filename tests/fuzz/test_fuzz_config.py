"""Any file is a Config, or an error that says where: never another exception."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import tomlkit
from grammar import mutations, times, toml_value
from hypothesis import given
from hypothesis import strategies as st
from targets import ROOT, SMALL, TARGETS, Check, load_config

from gateway.config import ConfigError

WHOLE = (ROOT / "tests" / "config" / "whole.toml").read_bytes()
EXAMPLE = (ROOT / "config.example.toml").read_bytes()
CARRIERS = (ROOT / "carriers.toml").read_bytes()
BAD = [path.read_bytes() for path in sorted((ROOT / "tests" / "config" / "bad").glob("*.toml"))]
KEYS = sorted(set(re.findall(r"^(?:# ?)?([a-z_]+) *=", EXAMPLE.decode(), re.MULTILINE)))
TABLES = sorted(tomllib.loads(WHOLE.decode()))
BASE = SMALL.encode()

keys = st.one_of(st.sampled_from(KEYS + TABLES), st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=6))
tables = st.dictionaries(keys, toml_value(), max_size=5)
documents = st.dictionaries(keys, st.one_of(toml_value(), tables, st.lists(tables, max_size=3)), max_size=8)


@pytest.fixture(scope="module", params=["config", "carriers"])
def check(request: pytest.FixtureRequest) -> Iterator[Check]:
    with TARGETS[request.param].opened() as opened:
        yield opened


def written(values: dict[str, Any]) -> bytes:
    return tomlkit.dumps(values).encode()


@times(40)
@given(st.one_of(st.binary(max_size=300), st.lists(st.sampled_from(WHOLE.splitlines()), max_size=20).map(b"\n".join)))
def test_any_bytes_are_a_config_or_an_error_with_a_place(check: Check, raw: bytes) -> None:
    check(raw)


@times(25)
@given(documents)
def test_any_toml_is_a_config_or_an_error_with_a_place(check: Check, values: dict[str, Any]) -> None:
    check(written(values))


@times(25)
@given(mutations([WHOLE, BASE, EXAMPLE, *BAD], 8))
def test_a_damaged_file_is_a_config_or_an_error_with_a_place(check: Check, raw: bytes) -> None:
    check(raw)


@times(15)
@given(mutations([CARRIERS], 20))
def test_a_damaged_table_of_carriers_is_taken_or_an_error_with_a_place(tmp_path: Path, raw: bytes) -> None:
    (tmp_path / "config.toml").write_bytes(BASE)
    load_config(tmp_path, "carriers.toml", raw)


def rows(count: int, row: str) -> bytes:
    return "".join(f"[carrier-{n}]\n{row.replace('#', str(n))}" for n in range(count)).encode()


@pytest.mark.parametrize(
    ("raw", "wrong"),
    [
        pytest.param(rows(3_000, 'name = "C"\n[carrier-#.sms]\naddress = "{national}@c.example"\n'), False, id="right"),
        pytest.param(rows(5_000, 'name = "Carrier"\nsms = [2]\nother = {}\n'), True, id="wrong"),
    ],
)
def test_a_table_of_carriers_of_200_kb_is_judged_as_a_small_one(tmp_path: Path, raw: bytes, wrong: bool) -> None:
    (tmp_path / "config.toml").write_bytes(BASE)

    assert len(raw) > 200_000
    assert isinstance(load_config(tmp_path, "carriers.toml", raw), ConfigError) == wrong


def beside(table: str, line: str) -> bytes:
    """The base with one more line in a table, "" = above the first."""
    place = f"[{table}]\n" if table else SMALL.lstrip().splitlines(keepends=True)[0]
    whole = SMALL if place in SMALL else f"{SMALL}{place}"
    return whole.replace(place, f"{place}{line}\n").encode()


NESTED = "not TOML that can be read: keys or lists are nested too deep"
PATTERN = "text.job is a regular expression with too many parentheses or repetitions"
NAMELESS = "smtp.tls_certificate: {}/\0 cannot be read: no file has NUL in its name"
HURTING = {
    "a number of 5,000 digits": (b"x = " + b"9" * 5_000, "not TOML that can be read: a number has too many digits"),
    "lists in lists": (b"x = " + b"[" * 5_000, NESTED),
    "tables in tables": (b"x = " + b"{a=" * 5_000, NESTED),
    "a key of 5,000 parts": (b"a." * 5_000 + b"a = 1", NESTED),
    "a list of 390 lists": (beside("", f"brand = {'[' * 390}{']' * 390}"), "brand must be"),
    "NUL in the name of a file": (beside("", 'carriers = "\\u0000"'), "carriers: there is no file {}/\0"),
    "NUL in the name of a certificate": (beside("smtp", 'tls_certificate = "\\u0000"\ntls_key = "\\u0000"'), NAMELESS),
    "a name of 5,000 letters": (
        beside("", f"carriers = '{'a' * 5_000}'"),
        "the file cannot be read: File name too long",
    ),
    "500 parentheses": (beside("text", f"job = '{'(' * 500}{')' * 500}'"), PATTERN),
    "4 billion repetitions": (beside("text", "job = '(a{4294967296})'"), PATTERN),
}


@pytest.mark.parametrize(("raw", "text"), HURTING.values(), ids=HURTING)
def test_what_hurts_the_parsers_is_an_error_in_words(tmp_path: Path, raw: bytes, text: str) -> None:
    error = load_config(tmp_path, "config.toml", raw)

    assert isinstance(error, ConfigError)
    assert [p for p in error.problems if p.text.startswith(text.format(tmp_path))], error.problems


def test_2000_unknown_keys_are_each_told_with_their_line(tmp_path: Path) -> None:
    error = load_config(tmp_path, "config.toml", b"".join(b"no-key-%d = 1\n" % n for n in range(2_000)))

    assert isinstance(error, ConfigError)
    assert [n + 1 for n in range(2_000)] == [p.line for p in error.problems if p.text.startswith("unknown key")]
