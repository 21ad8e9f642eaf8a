from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.config import Config, ConfigError, Secret, hash_password, verify
from gateway.config.secret import legal_hash

Loader = Callable[..., Config]
TOKEN = "correct horse"


def relay(reference: str) -> str:
    return f"""
domain = "sms.example.com"
alarm_to = ["admin@example.com"]
[smtp]
listen = ["127.0.0.1:0"]
[relay]
host = "smtp.example.com"
username = "gateway"
password = {reference}
[[sender]]
name = "jobs"
networks = ["192.0.2.10"]
"""


def write(path: Path, content: bytes, mode: int = 0o600) -> None:
    path.write_bytes(content)
    path.chmod(mode)


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n"], ids=["bare", "newline", "windows"])
def test_a_secret_is_the_file_without_the_end_of_its_line(loaded: Loader, tmp_path: Path, end: bytes) -> None:
    write(tmp_path / "relay.secret", TOKEN.encode() + end)

    assert loaded(whole=relay('{ file = "relay.secret" }')).relay.password == Secret(TOKEN)


def test_a_secret_can_come_from_the_environment(loaded: Loader) -> None:
    found = loaded(whole=relay('{ env = "SET_BY_TESTS" }')).relay.password

    assert found is not None
    assert found.reveal() == TOKEN


def test_a_secret_shows_in_no_repr(loaded: Loader) -> None:
    config = loaded(whole=relay('{ env = "SET_BY_TESTS" }'))

    assert TOKEN not in repr(config)
    assert TOKEN not in str(config.relay.password)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o666], ids=oct)
def test_a_secret_open_to_others_is_refused(loaded: Loader, tmp_path: Path, mode: int) -> None:
    write(tmp_path / "relay.secret", TOKEN.encode(), mode)

    with pytest.raises(ConfigError, match=rf"open to group or others \(mode {mode:03o}\)(.|\n)*help: chmod 600"):
        loaded(whole=relay('{ file = "relay.secret" }'))


def test_under_the_credentials_of_systemd_the_mode_does_not_count(
    loaded: Loader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "credentials"
    folder.mkdir()
    write(folder / "relay", TOKEN.encode(), 0o440)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(folder))

    assert loaded(whole=relay(f'{{ file = "{folder}/relay" }}')).relay.password == Secret(TOKEN)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        pytest.param(b"", "is empty", id="empty"),
        pytest.param(b" \n", "is empty", id="blank"),
        pytest.param(b"correct horse\nbattery\n", "more than one line", id="two lines"),
        pytest.param(b"correct \xff horse", "is not UTF-8 text", id="bytes"),
        pytest.param(b"correct horse" * 400, "more than one line", id="huge"),
    ],
)
def test_a_file_that_holds_no_secret_is_refused_without_its_words(
    loaded: Loader, tmp_path: Path, content: bytes, said: str
) -> None:
    write(tmp_path / "relay.secret", content)

    with pytest.raises(ConfigError, match=said) as caught:
        loaded(whole=relay('{ file = "relay.secret" }'))

    assert "correct" not in str(caught.value)


@pytest.mark.parametrize(
    "written",
    [
        '"correct horse"',
        '"""\ncorrect horse"""',
        '{ file = "a", env = "correct horse" }',
        '{ text = "correct horse" }',
        '[\n  "correct horse",\n]',
        "[\n  { text = 'correct horse' },\n]",
        '{ file = "none" }\npass_word = "correct horse"',
        '{ file = "none" }\nPASSWORD = "correct horse"',
        '"correct horse',
        '"""correct horse',
        "correct horse",
        "[\n  'correct horse",
    ],
)
def test_a_secret_in_the_file_is_an_error_that_does_not_repeat_it(loaded: Loader, written: str) -> None:
    with pytest.raises(ConfigError) as caught:
        loaded(whole=relay(written))

    assert "correct" not in str(caught.value)


def test_a_secret_in_an_inline_table_is_not_repeated_by_errors_beside_it(loaded: Loader) -> None:
    whole = 'relay = { host = "h.example", password = "correct horse", tls = "of" }\n'

    with pytest.raises(ConfigError, match=r"relay\.tls must be one of") as caught:
        loaded(whole=whole)

    assert "correct" not in str(caught.value)


def test_a_password_belongs_to_its_hash_alone() -> None:
    hashed = hash_password(TOKEN)

    assert legal_hash(hashed)
    assert [verify(hashed, word) for word in (TOKEN, TOKEN.encode(), "correct house", "")] == [True, True, False, False]
    assert hashed != hash_password(TOKEN)


@pytest.mark.parametrize("text", ["", "correct horse", "$1$abc", "$argon2id$v=19$m=19456,t=2,p=1$c2FsdA", "$2b$12$x"])
def test_what_is_no_argon2_hash_is_known_as_such(text: str) -> None:
    assert not legal_hash(text)
