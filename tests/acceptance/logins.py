"""The shop with a certificate and a login, and a stranger's address."""

from __future__ import annotations

LOGIN = """
[smtp]
tls_certificate = "cert.pem"
tls_key = "key.pem"
listen_tls = ["127.0.0.1:0"]
{more}

[[sender]]
name = "jobs"
networks = ["127.0.0.1/32"]
login = "jobs"
password_hash = "{password_hash}"
number = "service"
{sender}
"""
STRANGER = "127.0.0.2"  # in no network of LOGIN


def login(more: str = "", sender: str = "") -> str:
    return LOGIN.replace("{more}", more).replace("{sender}", sender)
