from __future__ import annotations

from datetime import date, time

import pytest
import tomli
import tomlkit
from hypothesis import given
from hypothesis import strategies as st

from gateway.config.place import KeyPath, places

TEXT = '''# a = 1
top = "# no comment" # a comment = 2
"quoted key" = 1.5e3
dotted . "a.b".c = 1979-05-27 07:32:00Z
lines = """
[not]
a table = ""\\""" ""
"""
literal = \'\'\'
'quoted' \'\'\'
list = [ # first
  [1, 2], { x = "}", y.z = [3] },
  "]",
]

[table]
key = true
[[array]]
n = 1
[array.inner]
m = 1
[[array]]
[[array.deep]]
k = 'x'
  [ spaced . "out" ]
  last = -inf
'''


def shown(text: str, path: KeyPath) -> tuple[str, str]:
    """The rest of the line behind the key, and behind the value."""
    place = places(text)[path]
    return text[place.key :].partition("\n")[0], text[place.value :].partition("\n")[0]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (("top",), ('top = "# no comment" # a comment = 2', '"# no comment" # a comment = 2')),
        (("quoted key",), ('"quoted key" = 1.5e3', "1.5e3")),
        (("dotted", "a.b", "c"), ('dotted . "a.b".c = 1979-05-27 07:32:00Z', "1979-05-27 07:32:00Z")),
        (("list", 0, 1), ('2], { x = "}", y.z = [3] },', '2], { x = "}", y.z = [3] },')),
        (("list", 1, "y", "z"), ("y.z = [3] },", "[3] },")),
        (("list", 2), ('"]",', '"]",')),
        (("table",), ("[table]", "[table]")),
        (("table", "key"), ("key = true", "true")),
        (("array", 0, "n"), ("n = 1", "1")),
        (("array", 0, "inner", "m"), ("m = 1", "1")),
        (("array", 1), ("[[array]]", "[[array]]")),
        (("array", 1, "deep", 0, "k"), ("k = 'x'", "'x'")),
        (("spaced", "out", "last"), ("last = -inf", "-inf")),
    ],
    ids=str,
)
def test_a_key_and_its_value_are_found_where_they_stand(path: KeyPath, expected: tuple[str, str]) -> None:
    assert shown(TEXT, path) == expected


def paths(value: object, path: KeyPath = ()) -> set[KeyPath]:
    """Every path of parsed TOML."""
    found = {path} if path else set()
    if isinstance(value, dict):
        return found.union(*(paths(v, (*path, k)) for k, v in value.items()))
    if isinstance(value, list):
        return found.union(*(paths(v, (*path, n)) for n, v in enumerate(value)))
    return found


def test_every_path_is_found_and_no_other() -> None:
    assert set(places(TEXT)) == paths(tomli.loads(TEXT))


words = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), max_size=8)
scalars = (
    st.booleans()
    | st.integers(-(2**31), 2**31)
    | st.floats(allow_nan=False)
    | words
    | st.dates(date(1900, 1, 1))
    | st.times().map(lambda t: time(t.hour, t.minute, t.second))
    | st.datetimes().filter(lambda d: d.year >= 1900).map(lambda d: d.replace(microsecond=0))
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3), max_leaves=12
)


@given(st.dictionaries(words, values, max_size=5))
def test_whatever_toml_can_say_has_a_place(document: dict[str, object]) -> None:
    text = tomlkit.dumps(document)

    assert set(places(text)) == paths(tomli.loads(text))


@given(st.dictionaries(words, words, min_size=1, max_size=5))
def test_the_value_at_its_place_is_the_value(document: dict[str, str]) -> None:
    text = tomlkit.dumps(document)

    found = {
        path[0]: tomli.loads(f"v = {text[place.value :].split(chr(10))[0]}")["v"]
        for path, place in places(text).items()
    }

    assert found == document
