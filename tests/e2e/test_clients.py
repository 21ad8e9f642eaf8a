"""The clients that shops have, and Postfix's smtp-sink as relay: mails in, texts out."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import smtplib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from email.message import EmailMessage
from pathlib import Path

import pytest
from house import PASSWORD, House, opened

TLS = """
[smtp]
tls_certificate = "cert.pem"
tls_key = "key.pem"

[[sender]]
name = "jobs"
networks = ["127.0.0.0/8"]
login = "jobs"
password_hash = "{password_hash}"
number = "service"
"""
FROM, TO = "jobs@shop.example.com", "bob@sms.example.com"
WORDS = "Tow at 12 Main St."
MAIL = f"From: {FROM}\nTo: {TO}\nSubject: RO 9\nMessage-ID: <c1@shop.example.com>\n\n{WORDS}\n"


def tool(name: str) -> str:
    """Its path; the test is skipped where it is not installed."""
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin:/usr/local/sbin")
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


async def ran(*words: str, stdin: str = "") -> str:
    """What the command printed; it must end with 0."""
    process = await asyncio.create_subprocess_exec(
        *words, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    async with asyncio.timeout(30):
        out, _ = await process.communicate(stdin.encode())
    assert process.returncode == 0, out.decode()
    return out.decode()


async def by_swaks(house: House) -> None:
    # Without TLS, which swaks needs another package for: from the sender's own networks a login may come so.
    port = str(house.daemon.port())
    login = ["--auth", "PLAIN", "--auth-user", "jobs", "--auth-password", PASSWORD]
    await ran(
        tool("swaks"), "--server", "127.0.0.1", "--port", port, *login, "-f", FROM, "-t", TO, "--data", "-", stdin=MAIL
    )


async def by_curl(house: House) -> None:
    path = house.folder / "mail.eml"
    path.write_text(MAIL.replace("\n", "\r\n"))
    url = f"smtp://127.0.0.1:{house.daemon.port()}/client.example"
    who = ["--user", f"jobs:{PASSWORD}", "--mail-from", FROM, "--mail-rcpt", TO]
    await ran(tool("curl"), "--silent", "--show-error", "--insecure", "--ssl-reqd", "--url", url, *who, "-T", str(path))


async def by_msmtp(house: House) -> None:
    words = [
        "--host=127.0.0.1",
        f"--port={house.daemon.port()}",
        "--tls=on",
        "--tls-starttls=on",
        "--tls-certcheck=off",
    ]
    words += ["--auth=plain", "--user=jobs", f"--passwordeval=echo '{PASSWORD}'", f"--from={FROM}", "--file=/dev/null"]
    await ran(tool("msmtp"), *words, TO, stdin=MAIL)


async def by_smtplib(house: House) -> None:
    def send() -> None:
        made = EmailMessage()
        made["From"], made["To"], made["Subject"] = FROM, TO, "RO 9"
        made.set_content(WORDS + "\n")
        with smtplib.SMTP("127.0.0.1", house.daemon.port(), timeout=20) as client:
            client.starttls()
            client.login("jobs", PASSWORD)
            assert client.send_message(made) == {}

    await asyncio.to_thread(send)


@pytest.fixture
async def behind_login(state: Path) -> AsyncIterator[House]:
    """The shop, whose programs must log in under TLS."""
    async with opened(state, TLS) as house:
        await house.start()
        yield house
        await house.daemon.stop()


@pytest.mark.parametrize("send", [by_swaks, by_curl, by_msmtp, by_smtplib], ids=lambda send: send.__name__[3:])
async def test_a_client_of_the_shops_logs_in_and_its_mail_is_texted(
    behind_login: House, send: Callable[[House], Awaitable[None]]
) -> None:
    await send(behind_login)
    await behind_login.daemon.wait_event("login.accepted", username="jobs")
    mails = await behind_login.world.wait(lambda world: world.mail.to("2025550102@vtext.com"), 20)

    assert [mail.text for mail in mails] == [WORDS]


@asynccontextmanager
async def sink(folder: Path, port: int) -> AsyncIterator[None]:
    """Postfix's smtp-sink on that port; each mail becomes a file in `folder`."""
    user = ["-u", "nobody"] if os.geteuid() == 0 else []
    folder.mkdir()
    folder.chmod(0o777)
    words = [*user, "-h", "sink.example", "-d", str(folder / "%H%M%S."), f"127.0.0.1:{port}", "100"]
    process = await asyncio.create_subprocess_exec(tool("smtp-sink"), *words)
    try:
        yield
    finally:
        process.terminate()
        await process.wait()


async def test_postfix_takes_our_mail_as_a_relay(state: Path) -> None:
    tool("smtp-sink")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    state.chmod(0o711)  # smtp-sink gives root up and must still reach its folder
    async with opened(state, f"[relay]\nport = {port}\n") as house, sink(state / "sink", port):
        await house.start()
        for n in range(5):
            raw = MAIL.replace("c1@", f"c{n}@").replace(WORDS, f"{WORDS} {n}").encode()
            (answer,) = await house.daemon.mail(raw, FROM, [TO])
            assert answer.startswith("250 2.0.0 accepted as ")
            accepted = answer.rpartition(" ")[2]
            await house.daemon.wait_event("delivery.accepted", delivery=f"{accepted}.1.1", fate="handed_over")
        await house.daemon.stop()

        taken = sorted(path.read_text() for path in (state / "sink").iterdir())
        words = sorted(found for mail in taken for found in re.findall(rf"^{WORDS} \d$", mail, re.MULTILINE))
        assert [f"{WORDS} {n}" for n in range(5)] == words
        assert all("Content-Type: text/plain" in mail for mail in taken)
