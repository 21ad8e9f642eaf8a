"""The way out of our mail: logins by token, mail without a relay, and the key that signs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from gateway.config import Config, ConfigError, DkimSettings, RelaySettings, Secret
from gateway.config.signing import SigningKey, read_key

TOO_WEAK = """-----BEGIN RSA PRIVATE KEY-----
MIIBPAIBAAJBAJx41YLSZPMbqWnCsOoYQPHG7blQwatF8w8vsxIFYhKeDP1s/cht
adbPoXSBOydkcufI4oeDhjWi4khfd3THoBkCAwEAAQJBAJWB76Dcn5Ca8bkYSiqj
mgpq5WKYgzS/1YrBLP0fH6Jg27AJC3C8TS1g/h0touXqsqxM90darnfkRhpvI+8u
tgECIQDN5V2CwWj4TkNyMZ8EnyLBge3Hcl97rXbDJxSfnD3vSQIhAMKMhU2gFCq4
QXBeUweBBbFeiAlKJd18gHGeLA7QVZpRAiEArtv+YI+1gDunWBIARMKJl+GqeNoP
cU/OLsq/3xWoG9ECIHANpZ3PLK5qT+6btXDmBFRjoTDQjzyhwA0w0Cl8H0HxAiEA
lXYt+rgjO2abldV1gZjPzGLb/TqNBl+FYsOFkCVz1CY=
-----END RSA PRIVATE KEY-----
"""
PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
STRONG = rsa.generate_private_key(65537, 2048)
WEAK = rsa.generate_private_key(65537, 1024)  # noqa: S505  # what the warning is about
Loader = Callable[..., Config]
DKIM = '[dkim]\nselector = "GW1"\nkey = { file = "dkim.pem" }\n'


def whole(relay: str, tables: str = "") -> str:
    return f"""
domain = "sms.example.com"
alarm_to = ["admin@example.com"]
[smtp]
listen = ["127.0.0.1:0"]
[relay]
{relay}
[[sender]]
name = "jobs"
networks = ["192.0.2.10"]
{tables}
"""


def written(path: Path, content: str, mode: int = 0o600) -> Path:
    path.write_text(content)
    path.chmod(mode)
    return path


def made(path: Path, key: PrivateKey, form: PrivateFormat = PrivateFormat.TraditionalOpenSSL) -> Path:
    path.write_bytes(key.private_bytes(Encoding.PEM, form, NoEncryption()))
    path.chmod(0o600)
    return path


def test_tokens_are_fetched_with_a_refresh_token(loaded: Loader, tmp_path: Path) -> None:
    written(tmp_path / "refresh.secret", "first\n")
    relay = (
        'host = "smtp.gmail.com"\nauth = "xoauth2"\nusername = "gateway@example.com"\n'
        'token_url = "https://oauth2.googleapis.com/token"\nclient_id = "0123"\nscope = "https://mail.google.com/"\n'
        'client_secret = { env = "SET_BY_TESTS" }\nrefresh_token = { file = "refresh.secret" }\n'
    )

    assert loaded(whole=whole(relay)).relay == RelaySettings(
        host="smtp.gmail.com",
        port=587,
        tls="required",
        auth="xoauth2",
        username="gateway@example.com",
        token_url="https://oauth2.googleapis.com/token",
        client_id="0123",
        client_secret=Secret("correct horse"),
        refresh_file=tmp_path / "refresh.secret",
        scope="https://mail.google.com/",
    )


def test_a_token_can_come_from_a_file(loaded: Loader, tmp_path: Path) -> None:
    relay = 'host = "smtp.example.com"\nauth = "xoauth2"\nusername = "g"\ntoken = { file = "access.token" }\n'
    with pytest.raises(ConfigError, match=r"relay\.token: there is no file"):
        loaded(whole=whole(relay))

    written(tmp_path / "access.token", "first\n")

    assert loaded(whole=whole(relay)).relay.token_file == tmp_path / "access.token"


@pytest.mark.parametrize(
    ("line", "tls"), [("", "opportunistic"), ('tls = "required"', "required"), ('tls = "opportunistic"',) * 2]
)
def test_mail_without_a_relay_is_encrypted_where_it_can_be_and_warns(loaded: Loader, line: str, tls: str) -> None:
    config = loaded(whole=whole(f'host = "direct"\n{line}\n'))

    assert config.relay == RelaySettings(host="direct", direct=True, port=25, tls=tls.removeprefix("tls = ").strip('"'))
    assert ["experimental" in warning.text for warning in config.warnings] == [True]
    assert config.rules.direct


def test_a_key_signs_for_the_domain_of_the_gateway(loaded: Loader, tmp_path: Path) -> None:
    path = made(tmp_path / "dkim.pem", STRONG)

    config = loaded(tables=DKIM)

    assert config.dkim == DkimSettings(domain="sms.example.com", selector="gw1", key=read_key(path))
    assert config.warnings == ()
    assert "PRIVATE" not in repr(config)
    assert loaded(tables=DKIM, secrets=False).dkim == DkimSettings(domain="sms.example.com", selector="gw1", key=None)
    assert loaded().dkim is None


def test_a_domain_above_that_of_the_gateway_may_sign(loaded: Loader, tmp_path: Path) -> None:
    made(tmp_path / "dkim.pem", STRONG)

    dkim = loaded(tables=DKIM + 'domain = "Example.com"\n').dkim

    assert dkim is not None
    assert dkim.domain == "example.com"


def test_a_short_key_warns_and_a_shorter_one_is_refused(loaded: Loader, tmp_path: Path) -> None:
    made(tmp_path / "dkim.pem", WEAK)
    assert [w.text for w in loaded(tables=DKIM).warnings] == [
        "dkim.key has 1024 bits, which some mail servers hold for weak"
    ]

    written(tmp_path / "dkim.pem", TOO_WEAK)
    with pytest.raises(ConfigError, match=r"RSA key of 512 bits(.|\n)*help: make one with: openssl genrsa"):
        loaded(tables=DKIM)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        pytest.param("correct horse\n", "holds no key in PEM", id="words"),
        pytest.param(
            "-----BEGIN RSA PRIVATE KEY-----\n*\n-----END RSA PRIVATE KEY-----\n", "is damaged", id="no base64"
        ),
        pytest.param(
            "-----BEGIN RSA PRIVATE KEY-----\nMAA=\n-----END RSA PRIVATE KEY-----\n",
            "is neither an RSA nor",
            id="empty",
        ),
        pytest.param(
            "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMAA=\n-----END ENCRYPTED PRIVATE KEY-----\n",
            "has a password(.|\n)*openssl pkey",
            id="with a password",
        ),
        pytest.param(
            "-----BEGIN PRIVATE KEY-----\nMAcGAytlcAQA\n-----END PRIVATE KEY-----\n", "is damaged", id="half an ed25519"
        ),
    ],
)
def test_a_file_without_a_usable_key_is_refused_with_its_name(
    loaded: Loader, tmp_path: Path, content: str, said: str
) -> None:
    written(tmp_path / "dkim.pem", content)

    with pytest.raises(ConfigError, match=rf"dkim\.key: .*/dkim\.pem {said}"):
        loaded(tables=DKIM)


def test_a_public_key_or_one_of_another_kind_is_refused(loaded: Loader, tmp_path: Path) -> None:
    made(tmp_path / "dkim.pem", ec.generate_private_key(ec.SECP256R1()))

    with pytest.raises(ConfigError, match="is neither an RSA nor an ed25519 private key"):
        loaded(tables=DKIM)

    public = WEAK.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    written(tmp_path / "dkim.pem", public.decode())
    with pytest.raises(ConfigError, match="is neither an RSA nor an ed25519 private key"):
        loaded(tables=DKIM)


def test_a_key_open_to_others_is_refused(loaded: Loader, tmp_path: Path) -> None:
    made(tmp_path / "dkim.pem", WEAK).chmod(0o644)

    with pytest.raises(ConfigError, match=r"open to group or others(.|\n)*help: chmod 600"):
        loaded(tables=DKIM)


@pytest.mark.parametrize("form", [PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL], ids=["pkcs8", "pkcs1"])
def test_what_dns_must_show_is_the_public_half(tmp_path: Path, form: PrivateFormat) -> None:
    public = STRONG.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

    key = read_key(made(tmp_path / "dkim.pem", STRONG, form))

    assert (key.kind, key.bits, key.public, key.algorithm) == ("rsa", 2048, public, "rsa-sha256")
    assert repr(key) == repr(SigningKey(kind="rsa", bits=2048, private=b"", public=public))


def test_windows_line_ends_do_not_spoil_a_key(tmp_path: Path) -> None:
    path = made(tmp_path / "dkim.pem", WEAK)
    plain = read_key(path)
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))

    assert read_key(path) == plain
