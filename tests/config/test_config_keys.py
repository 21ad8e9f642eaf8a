"""Every key of config.toml, at another value than its default, reaches its place in Config."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path
from zoneinfo import ZoneInfo

from gateway.config import (
    Config,
    Credential,
    HttpSettings,
    Listener,
    RelaySettings,
    RetentionSettings,
    Secret,
    SmtpSettings,
    TwilioSettings,
)
from gateway.core import rules
from gateway.core.carrier import CarrierTable

Loader = Callable[..., Config]
ACCOUNT = "AC" + "0" * 32
HASHED = "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0c2FsdA$aGFzaGhhc2hoYXNoaGFzaGhhc2hoYXNoaGFzaGhhc2g"
WHOLE = f"""
domain = "SMS.Example.com"
country = "CA"
brand = "Example Auto"
timezone = "America/Toronto"
state = "var"
database = "sqlite:texts.db"
alarm_to = ["Admin@Example.com", "416-555-0101"]
[smtp]
listen = ["127.0.0.1:2525", "[::1]:2525"]
listen_tls = []
max_bytes = "1 MB"
max_recipients = 5
max_connections = 6
max_connections_per_address = 7
max_commands = 80
max_queue = 90
min_free_disk = "1 GB"
command_timeout = "10 s"
data_timeout = "11 s"
session_timeout = "12 min"
[http]
public = ""
public_url = "https://sms.example.com/gw/"
admin = "[::1]:9000"
[relay]
host = "SMTP.example.com"
port = 2587
username = "gateway"
password = {{ env = "SET_BY_TESTS" }}
sender = "texts@example.com"
[dns]
servers = ["192.0.2.53"]
[[sender]]
name = "Jobs-1"
networks = ["192.0.2.0/24", "2001:db8::/32"]
login = "jobs"
password_hash = "{HASHED}"
mail_from = ["*@Example.com"]
number = ["service"]
reply_to = "desk@example.com"
reply_fallback = "office@example.com"
report_to = "reports@example.com"
may_consent = true
refuse = "mail"
other_mail = "relay"
bare_lf = "accept"
segments_per_day = 5
segments_per_month = 6
[[number]]
name = "service"
phone = "416-555-0100"
provider = "twilio"
segments_per_second = 2
messaging_service_sid = "MG{"0" * 32}"
inbox = "front@example.com"
price_per_segment = 0.0083
[twilio]
account_sid = "{ACCOUNT}"
auth_token = [{{ env = "SET_BY_TESTS" }}, {{ env = "SET_BY_TESTS" }}]
api_url = "http://127.0.0.1:9999/"
on_unknown = "hold"
lookup_after = ["1 s", "2 s"]
[[employee]]
name = "alice"
phone = "416-555-0101"
fallback = "provider"
channel = "mms"
[groups]
techs = ["alice"]
[text]
subject = "prefix"
max_segments = 3
too_long = "cut"
transliterate = false
cut_after = ["Confidential"]
job = 'RO (\\d+)'
[replies]
close_after = "7 d"
[policy]
hold_at_most = "1 h"
countries = ["CA"]
duplicate_window = "0 s"
expires_after = "30 min"
[retention]
raw = "1 d"
done = "2 d"
conversations = "3 d"
"""


def test_the_paths(loaded: Loader, tmp_path: Path) -> None:
    config = loaded(whole=WHOLE)

    assert config.state == tmp_path / "var"
    assert config.database == tmp_path / "var" / "texts.db"


def test_the_doors(loaded: Loader) -> None:
    config = loaded(whole=WHOLE)

    assert config.smtp == SmtpSettings(
        listen=(Listener("127.0.0.1", 2525), Listener("::1", 2525)),
        max_bytes=1024**2,
        max_recipients=5,
        max_connections=6,
        max_connections_per_address=7,
        max_commands=80,
        max_queue=90,
        min_free_disk=1024**3,
        command_timeout=timedelta(seconds=10),
        data_timeout=timedelta(seconds=11),
        session_timeout=timedelta(minutes=12),
    )
    assert config.http == HttpSettings(
        public=None, public_url="https://sms.example.com/gw", admin=Listener("::1", 9000)
    )


def test_the_ways_out(loaded: Loader) -> None:
    config = loaded(whole=WHOLE)

    assert config.relay == RelaySettings(
        host="smtp.example.com",
        port=2587,
        tls="required",
        auth="password",
        username="gateway",
        password=Secret("correct horse"),
        sender="texts@example.com",
    )
    assert config.twilio == TwilioSettings(
        account_sid=ACCOUNT,
        auth_tokens=(Secret("correct horse"), Secret("correct horse")),
        api_url="http://127.0.0.1:9999",
        on_unknown="hold",
        lookup_after=(timedelta(seconds=1), timedelta(seconds=2)),
    )


def test_who_may_send_and_what_is_kept(loaded: Loader) -> None:
    config = loaded(whole=WHOLE)

    assert config.dns_servers == ("192.0.2.53",)
    assert config.credentials == (
        Credential(
            sender="Jobs-1",
            login="jobs",
            password_hash=HASHED,
            networks=(ip_network("192.0.2.0/24"), ip_network("2001:db8::/32")),
        ),
    )
    assert config.retention == RetentionSettings(raw=1, done=2, conversations=3)


def test_the_rules(loaded: Loader) -> None:
    config = loaded(whole=WHOLE)

    assert dataclasses.replace(config.rules, carriers=CarrierTable()) == rules.Rules(
        domain="sms.example.com",
        country="CA",
        brand="Example Auto",
        timezone=ZoneInfo("America/Toronto"),
        alarm_to=("Admin@example.com", "+14165550101"),
        senders=(
            rules.Sender(
                name="Jobs-1",
                mail_from=("*@example.com",),
                numbers=("service",),
                reply_to="desk@example.com",
                reply_fallback="office@example.com",
                report_to="reports@example.com",
                may_consent=True,
                refuse="mail",
                other_mail="relay",
                bare_lf="accept",
                segments_per_day=5,
                segments_per_month=6,
            ),
        ),
        numbers=(
            rules.Number(
                name="service",
                phone=rules.Phone("+14165550100"),
                provider="twilio",
                segments_per_second=2,
                messaging_service_sid="MG" + "0" * 32,
                inbox="front@example.com",
                price_per_segment=0.0083,
            ),
        ),
        employees=(
            rules.Employee(name="alice", phone=rules.Phone("+14165550101"), channel="mms", fallback="provider"),
        ),
        groups={"techs": ("alice",)},
        text=rules.TextRules(
            subject="prefix",
            max_segments=3,
            too_long="cut",
            transliterate=False,
            cut_after=("Confidential",),
            job=r"RO (\d+)",
        ),
        policy=rules.PolicyRules(
            hold_at_most=timedelta(hours=1),
            countries=("CA",),
            duplicate_window=timedelta(0),
            expires_after=timedelta(minutes=30),
        ),
        close_after=timedelta(days=7),
        relay_sender="texts@example.com",
        providers=frozenset({"twilio"}),
        public_url="https://sms.example.com/gw",
        on_unknown="hold",
        lookup_after=(timedelta(seconds=1), timedelta(seconds=2)),
    )
