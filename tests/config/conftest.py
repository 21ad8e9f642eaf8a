"""A configuration that loads without warnings, to which tests add what they are about."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.config import Config, load

TOP = """
domain = "sms.example.com"
alarm_to = ["admin@example.com"]
"""
TABLES = """
[smtp]
listen = ["127.0.0.1:0"]
[relay]
host = "127.0.0.1"
tls = "off"
[[sender]]
name = "jobs"
networks = ["192.0.2.10"]
"""

Loader = Callable[..., Config]


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GATEWAY_CONFIG", "STATE_DIRECTORY", "CREDENTIALS_DIRECTORY", "UNSET_BY_TESTS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SET_BY_TESTS", "correct horse")
    monkeypatch.setenv("HOOK_OF_TESTS", "nobody_can-guess-this")


@pytest.fixture
def loaded(tmp_path: Path) -> Loader:
    """Loads the base with `top` and `tables` added, `public` with the door to the internet; or `whole` in its place."""

    def loader(
        *, top: str = "", tables: str = "", whole: str = "", public: bool = False, secrets: bool = True
    ) -> Config:
        path = tmp_path / "config.toml"
        base = TABLES.replace("[relay]", 'listen_public = ["127.0.0.1:0"]\n[relay]') if public else TABLES
        path.write_text(whole or TOP + top + base + tables, encoding="utf-8")
        return load(path, secrets=secrets)

    return loader
