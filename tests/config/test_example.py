"""config.example.toml and docs/config.md say what is true."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import tomli

from gateway.config import Config, load, schema

Loader = Callable[..., Config]
ROOT = Path(__file__).parents[2]
EXAMPLE = (ROOT / "config.example.toml").read_text(encoding="utf-8")
PAGE = (ROOT / "docs" / "config.md").read_text(encoding="utf-8")
NO_DEFAULT = {  # the example shows a value where the default is none, or follows from something else
    *(("number", key) for key in ("name", "phone", "provider")),
    *(("employee", key) for key in ("name", "phone", "carrier")),
    *(("", key) for key in ("domain", "brand", "state", "carriers", "employees", "alarm_to")),
    *(("smtp", key) for key in ("listen", "tls_certificate", "tls_key")),
    *(("relay", key) for key in schema.names(schema.Relay) if key != "sender"),
    *(("dkim", key) for key in schema.names(schema.Dkim)),
    *(("sender", key) for key in ("name", "networks", "login", "password_hash", "number")),
    *(("twilio", key) for key in ("account_sid", "auth_token")),
    *(("flowroute", key) for key in ("access_key", "secret_key", "hook_secret")),
    *((table, key) for table in ("rule", "template", "answer") for key in schema.names(schema.LISTS[table])),
    ("http", "public_url"),
    ("dns", "servers"),
    ("text", "job"),
}


def uncommented() -> str:
    """The example with every setting in force: "#key = value" without the "#"."""
    return re.sub(r"^#(?=\S)", "", EXAMPLE, flags=re.MULTILINE)


def tables(text: str) -> dict[str, dict[str, object]]:
    """The keys of each table, of a list of tables those of its first."""
    parsed = tomli.loads(text)
    nested = {name: value for name, value in parsed.items() if name in (*schema.TABLES, *schema.LISTS)}
    loose = {name: value for name, value in parsed.items() if name not in (*nested, "groups")}
    return {"": loose} | {name: value[0] if isinstance(value, list) else value for name, value in nested.items()}


def test_the_example_loads_as_shipped_without_warnings() -> None:
    config = load(ROOT / "config.example.toml")

    assert config.warnings == ()
    assert config.twilio is None


def test_the_example_has_every_key() -> None:
    found = {(table, key) for table, values in tables(uncommented()).items() for key in values}

    assert set(schema.keys()) == found


@pytest.mark.parametrize(("table", "key"), sorted(set(schema.keys()) - NO_DEFAULT), ids=lambda part: part or "top")
def test_a_key_stands_in_the_example_at_its_default(table: str, key: str) -> None:
    model = {"": schema.Top, **schema.TABLES, **schema.LISTS}[table]
    written = tables(uncommented())[table][key]
    required = {name: tables(uncommented())[table][name] for name, f in model.model_fields.items() if f.is_required()}

    assert getattr(model.model_validate({**required, key: written}), key) == model.model_fields[key].default


def test_the_example_loads_with_everything_uncommented(loaded: Loader, tmp_path: Path) -> None:
    (tmp_path / "carriers.toml").write_text("")
    (tmp_path / "employees.toml").write_text("")

    # A login is by password or by token.
    by_password = re.sub(
        r"^(token|token_url|client_\w+|refresh_token|scope) = .*\n", "", uncommented(), flags=re.MULTILINE
    )

    config = loaded(whole=by_password, secrets=False)

    assert [e.name for e in config.rules.employees] == ["alice", "bob"]
    assert config.rules.groups == {"techs": ("alice", "bob")}
    assert config.rules.providers == {"twilio", "flowroute"}
    assert [rule.template for rule in config.rules.rules] == ["ready"]
    assert [w.text for w in config.warnings] == [
        "bounces and answers from the carrier of alice cannot come in without [smtp] listen_public",
        "[flowroute] is configured, but there is no [[number]] to text from",
    ]


def test_the_page_has_every_key_in_the_table_of_its_section() -> None:
    found = set()
    for section in re.split(r"^## ", PAGE, flags=re.MULTILINE)[1:]:
        if section.startswith("carriers.toml"):
            continue  # keys of another file
        title = re.match(r"\[+([a-z]+)\]+\n", section)
        name = title[1] if title else ""
        found |= {(name, key) for key in re.findall(r"^\| `([a-z_]+)` \|", section, re.MULTILINE)}

    assert set(schema.keys()) == found
