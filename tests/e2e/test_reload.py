"""SIGHUP: all files of the configuration are one snapshot, which comes into force whole or not at all."""

from __future__ import annotations

import shutil
import signal
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import aiosmtplib
import pytest
import trustme
from daemon import SECONDS, Daemon
from house import PASSWORD, House, opened

JOBS = "jobs@shop.example.com"
OFFICE = """
employees = "employees.toml"
carriers = "carriers.toml"
[smtp]
listen_tls = ["127.0.0.1:0"]
tls_certificate = "cert.pem"
tls_key = "key.pem"
[[sender]]
name = "jobs"
networks = ["127.0.0.0/8"]
number = "service"
[[sender]]
name = "office"
login = "office"
password_hash = "{password_hash}"
number = "service"
"""
CARA = '[[employee]]\nname = "cara"\nphone = "+12025550104"\ncarrier = "verizon"\n'
HILL = '[hill]\nname = "Hill"\n[hill.sms]\naddress = "{national}@sms.hill.example"\n'


@pytest.fixture
async def office(state: Path) -> AsyncIterator[House]:
    """A shop with its employees and carriers in files of their own, and TLS; it runs."""
    (state / "employees.toml").write_text("")
    (state / "carriers.toml").write_text(HILL)
    async with opened(state, OFFICE) as house:
        await house.start()
        yield house


async def reloaded(daemon: Daemon, event: str = "config.reloaded") -> dict[str, object]:
    """What the daemon says to SIGHUP."""
    after = len(daemon.events)
    daemon.signal(signal.SIGHUP)
    return await daemon.wait_event(event, after=after)


async def answer(house: House, to: str) -> str:
    """The code that a mail to an employee gets."""
    raw = f"From: {JOBS}\r\nSubject: RO 17\r\n\r\nReady\r\n".encode()
    return (await house.daemon.mail(raw, JOBS, [f"{to}@sms.example.com"]))[0][:3]


def certificate(folder: Path, name: str) -> None:
    trustme.CA().issue_cert(name).cert_chain_pems[0].write_to_path(folder / "cert.pem")


@pytest.mark.parametrize("bad", ["carriers.toml", "key.pem", "config.toml", "token"])
async def test_a_fault_in_one_file_keeps_what_is_new_in_the_others_out(bad: str, office: House) -> None:
    good = (office.folder / bad).read_bytes()
    (office.folder / "employees.toml").write_text(CARA)
    match bad:
        case "key.pem":
            certificate(office.folder, "other.example.com")
        case "token":
            (office.folder / bad).unlink()
        case _:
            (office.folder / bad).write_bytes(good + b"\n[half")
    told = await reloaded(office.daemon, "config.rejected")
    before = [await answer(office, name) for name in ("cara", "bob")]
    if bad == "key.pem":
        fresh = trustme.CA().issue_cert("sms.example.com")
        fresh.cert_chain_pems[0].write_to_path(office.folder / "cert.pem")
        fresh.private_key_pem.write_to_path(office.folder / bad)
    else:
        (office.folder / bad).write_bytes(good)
        (office.folder / bad).chmod(0o600)
    await reloaded(office.daemon)

    assert bad in str(told["error"]) or bad == "key.pem", told
    assert before == ["550", "250"]
    assert await answer(office, "cara") == "250"
    await office.daemon.stop()


async def test_what_is_read_at_the_start_alone_is_named_and_the_rest_is_in_force(office: House) -> None:
    (office.folder / "employees.toml").write_text(CARA)
    office.merge('[smtp]\nmax_recipients = 7\n[relay]\nhost = "localhost"\n')
    office.write()

    assert (await reloaded(office.daemon))["needs_restart"] == ["smtp", "relay"]
    assert await answer(office, "cara") == "250"
    # named at each reload until the restart, also when nothing else has changed
    assert (await reloaded(office.daemon))["needs_restart"] == ["smtp", "relay"]
    await office.daemon.stop()


async def test_a_session_under_tls_lives_on_while_new_ones_get_the_new_certificate(office: House) -> None:
    old = tls_client(office.daemon.port("smtp_tls"))
    await old.connect()
    await old.login("office", PASSWORD)
    await old.mail(JOBS)
    fresh = trustme.CA().issue_cert("sms.example.com")
    shutil.copy(office.folder / "cert.pem", office.folder / "old.pem")
    fresh.cert_chain_pems[0].write_to_path(office.folder / "cert.pem")
    fresh.private_key_pem.write_to_path(office.folder / "key.pem")
    await reloaded(office.daemon)

    assert (await old.rcpt("bob@sms.example.com")).code == 250
    assert (await old.data(b"Subject: RO 17\r\n\r\nReady\r\n")).code == 250
    async with tls_client(office.daemon.port("smtp_tls")) as new:
        shown = [shown_certificate(client) for client in (old, new)]
    assert shown == [stored_certificate(office.folder / name) for name in ("old.pem", "cert.pem")]
    await old.quit()
    await office.daemon.stop()


def tls_client(port: int) -> aiosmtplib.SMTP:
    return aiosmtplib.SMTP(hostname="127.0.0.1", port=port, use_tls=True, validate_certs=False, timeout=SECONDS)


def shown_certificate(client: aiosmtplib.SMTP) -> bytes:
    wire = client.get_transport_info("ssl_object")
    assert wire is not None
    return bytes(wire.getpeercert(binary_form=True))


def stored_certificate(path: Path) -> bytes:
    return ssl.PEM_cert_to_DER_cert(path.read_text())
