"""Every key of config.toml, in whole.toml at another value than its default, reaches its place in Config."""

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
    FlowrouteSettings,
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
HOOK_SECRET = "nobody_can-guess-this"
HASHED = "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0c2FsdA$aGFzaGhhc2hoYXNoaGFzaGhhc2hoYXNoaGFzaGhhc2g"
WHOLE = (Path(__file__).parent / "whole.toml").read_text(encoding="utf-8")


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
        authserv_id="mx.example.com",
        upstream=(ip_network("192.0.2.25"), ip_network("2001:db8:25::/48")),
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
        poll_every=timedelta(seconds=5),
        delete_media=True,
        media_hosts=("media.example.com",),
    )
    assert config.flowroute == FlowrouteSettings(
        access_key="0123abcd",
        secret_key=Secret("correct horse"),
        hook_secret=Secret(HOOK_SECRET),
        api_url="http://[::1]:9998",
        on_unknown="reconcile",
        poll_every=timedelta(seconds=7),
    )


def test_who_may_send_and_what_is_kept(loaded: Loader) -> None:
    config = loaded(whole=WHOLE)

    assert config.dns_servers == ("192.0.2.53",)
    assert config.dns_watch == timedelta(minutes=90)
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
                mms=False,
                confirms_stop="gateway",
                unmonitored="Nobody reads this. Call 202-555-0100.",
            ),
            rules.Number(name="sales", phone=rules.Phone("+14165550102"), provider="flowroute"),
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
            first="{brand} says: {text}",
            pictures="ignore",
        ),
        policy=rules.PolicyRules(
            quiet_hours="21:00-07:00",
            quiet_replies="hold",
            flood_per_minute=9,
            same_text_window=timedelta(minutes=1),
            hold_at_most=timedelta(hours=1),
            countries=("CA",),
            duplicate_window=timedelta(0),
            expires_after=timedelta(minutes=30),
        ),
        close_after=timedelta(days=7),
        ask=True,
        ask_wait=timedelta(minutes=5),
        errors={
            "30007": rules.ErrorRule(klass="retry", text="filtered"),
            "30008": rules.ErrorRule(text="no reason"),
        },
        media_for=timedelta(hours=3),
        relay_sender="texts@example.com",
        providers=frozenset({"twilio", "flowroute"}),
        public_url="https://sms.example.com/gw",
        on_unknown="hold",
        unknown={"twilio": "hold", "flowroute": "reconcile"},
        lookup_after=(timedelta(seconds=1), timedelta(seconds=2)),
    )
