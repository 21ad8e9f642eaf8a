from __future__ import annotations

import dataclasses
from collections.abc import Callable
from ipaddress import ip_network
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import trustme

from gateway.config import (
    Config,
    ConfigError,
    Credential,
    HttpSettings,
    Listener,
    RelaySettings,
    RetentionSettings,
    SmtpSettings,
    TwilioSettings,
    default_path,
    load,
    shipped_only,
)
from gateway.core import rules
from gateway.core.carrier import CarrierTable

Loader = Callable[..., Config]
ACCOUNT = "AC" + "0" * 32
NUMBER = '[[number]]\nname = "service"\nphone = "202-555-0100"\nprovider = "twilio"\n'
TWILIO = f'[twilio]\naccount_sid = "{ACCOUNT}"\nauth_token = {{ env = "SET_BY_TESTS" }}\n'


def refused(error: ConfigError) -> list[str]:
    return [problem.text for problem in error.problems if problem.severity == "error"]


def test_a_small_configuration_has_safe_defaults(loaded: Loader, tmp_path: Path) -> None:
    config = loaded()

    bare = dataclasses.replace(config.rules, carriers=CarrierTable())
    expected = Config(
        path=tmp_path / "config.toml",
        state=tmp_path,
        database=tmp_path / "gateway.db",
        rules=rules.Rules(
            domain="sms.example.com",
            country="US",
            brand="sms.example.com",
            timezone=ZoneInfo("America/New_York"),
            alarm_to=("admin@example.com",),
            senders=(rules.Sender(name="jobs"),),
        ),
        smtp=SmtpSettings(listen=(Listener("127.0.0.1", 0),)),
        http=HttpSettings(public=Listener("127.0.0.1", 8080), admin=Listener("127.0.0.1", 8081)),
        relay=RelaySettings(host="127.0.0.1", port=25, tls="off"),
        twilio=None,
        dns_servers=(),
        credentials=(Credential(sender="jobs", networks=(ip_network("192.0.2.10"),)),),
        retention=RetentionSettings(),
    )
    assert dataclasses.replace(config, rules=bare) == expected


@pytest.mark.parametrize(
    ("line", "port"),
    [('tls = "required"', 587), ('tls = "opportunistic"', 587), ('tls = "implicit"', 465), ("port = 26", 26)],
)
def test_the_port_of_the_relay_follows_its_tls(loaded: Loader, line: str, port: int) -> None:
    config = loaded(
        whole=f'domain = "a.example"\n[smtp]\nlisten = ["127.0.0.1:0"]\n[relay]\nhost = "b.example"\n{line}\n'
    )

    assert config.relay.port == port


def test_the_state_is_the_first_folder_that_systemd_names(
    loaded: Loader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STATE_DIRECTORY", f"{tmp_path / 'lib'}:{tmp_path / 'other'}")

    assert loaded().state == tmp_path / "lib"
    assert loaded(top='state = "own"\n').state == tmp_path / "own"


def test_the_default_path_is_the_variable_then_here_then_etc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    nowhere = default_path()
    (tmp_path / "config.toml").touch()
    here = default_path()
    monkeypatch.setenv("GATEWAY_CONFIG", "/srv/gw.toml")

    assert [nowhere, here, default_path()] == [
        Path("/etc/gateway/config.toml"),
        Path("config.toml"),
        Path("/srv/gw.toml"),
    ]


def test_a_missing_file_and_a_folder_are_errors_with_the_path(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.toml: error: there is no such file"):
        load(tmp_path / "none.toml")
    with pytest.raises(ConfigError, match="error: the file cannot be read: Is a directory"):
        load(tmp_path)


def test_a_file_from_a_windows_editor_loads(tmp_path: Path, loaded: Loader) -> None:
    expected = loaded()
    path = tmp_path / "config.toml"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))

    assert load(path) == expected


def test_a_file_that_is_not_utf_8_is_told_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_bytes(b'domain = "sms.example.com"\nbrand = "Caf\xe9"\n')

    with pytest.raises(ConfigError, match="line 2 is not UTF-8 text"):
        load(path)


def test_employees_and_groups_of_the_second_file_are_added(loaded: Loader, tmp_path: Path) -> None:
    (tmp_path / "employees.toml").write_text(
        '[[employee]]\nname = "bob"\nphone = "202-555-0102"\n[groups]\nall = ["alice", "bob"]\n'
    )

    found = loaded(tables='[[employee]]\nname = "alice"\nphone = "202-555-0101"\n[groups]\none = ["bob"]\n').rules

    assert [e.name for e in found.employees] == ["alice", "bob"]
    assert found.groups == {"one": ("bob",), "all": ("alice", "bob")}


def test_the_own_carrier_table_is_laid_over_the_shipped_one(loaded: Loader, tmp_path: Path) -> None:
    shipped = loaded().rules.carriers.carriers
    (tmp_path / "carriers.toml").write_text(
        '[mine]\nname = "Mine"\n[mine.sms]\naddress = "{national}@sms.example.net"\nstatus = "active"\n'
    )

    found = loaded().rules.carriers.carriers

    assert "mine" not in shipped
    assert found["mine"].origin == str(tmp_path / "carriers.toml")
    assert {key: row for key, row in found.items() if key != "mine"} == shipped


def test_the_shipped_table_beside_the_configuration_is_not_the_admins(loaded: Loader, tmp_path: Path) -> None:
    (tmp_path / "carriers.toml").write_bytes((Path(__file__).parents[2] / "carriers.toml").read_bytes())

    assert {row.origin for row in loaded().rules.carriers.carriers.values()} == {"shipped"}


def test_without_any_configuration_there_is_the_shipped_table(loaded: Loader) -> None:
    assert shipped_only().rules.carriers == loaded().rules.carriers


def test_without_secrets_neither_token_nor_certificate_is_read(loaded: Loader) -> None:
    tables = f'[twilio]\naccount_sid = "{ACCOUNT}"\nauth_token = {{ file = "none.secret" }}\n'

    assert loaded(tables=NUMBER + tables, secrets=False).twilio == TwilioSettings(
        account_sid=ACCOUNT,
        auth_tokens=(),
        lookup_after=rules.Rules.__dataclass_fields__["lookup_after"].default,
        media_hosts=("twilio.com", "twiliocdn.com", "s3-external-1.amazonaws.com"),
    )
    with pytest.raises(ConfigError):
        loaded(tables=NUMBER + tables)


def test_a_certificate_loads_with_its_key_alone(loaded: Loader, tmp_path: Path) -> None:
    authority = trustme.CA()
    for name in ("one", "other"):
        made = authority.issue_cert("sms.example.com")
        made.cert_chain_pems[0].write_to_path(tmp_path / f"{name}.pem")
        made.private_key_pem.write_to_path(tmp_path / f"{name}.key")
    whole = """
domain = "sms.example.com"
[smtp]
listen = ["127.0.0.1:0"]
listen_tls = ["127.0.0.1:0"]
tls_certificate = "one.pem"
tls_key = "{}.key"
[relay]
host = "smtp.example.com"
"""

    assert loaded(whole=whole.format("one")).smtp.tls_key == tmp_path / "one.key"
    with pytest.raises(ConfigError, match="key values mismatch"):
        loaded(whole=whole.format("other"))


def test_rules_and_schema_agree_on_defaults(loaded: Loader) -> None:
    found = loaded(tables=NUMBER).rules

    assert found.text == rules.TextRules()
    assert found.policy == rules.PolicyRules()
    assert found.numbers == (
        rules.Number(name="service", phone=rules.Phone("+12025550100"), provider="twilio", mms=True),
    )


def test_one_wrong_value_does_not_hide_other_mistakes(loaded: Loader) -> None:
    with pytest.raises(ConfigError) as caught:
        loaded(tables='number = "sales"\nmay_consent = 1\n[text]\nsubject = "all"\n')

    assert refused(caught.value) == [
        "sender.number: there is no [[number]] 'sales'",
        "sender.may_consent must be true or false, without quotes; got 1",
        "text.subject must be one of omit, prefix, only; got 'all'",
    ]
