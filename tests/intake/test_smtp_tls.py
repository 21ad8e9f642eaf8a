"""STARTTLS, TLS from the first byte, and who may log in."""

from __future__ import annotations

import asyncio
import base64
import smtplib
import ssl
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import pytest
from smtp_house import House, connect

from gateway.core.model import Door
from gateway.intake.smtp import Limits, MailDoor

Open = Callable[..., Awaitable[House]]
Events = list[MutableMapping[str, Any]]
LOGIN = "AUTH PLAIN " + base64.b64encode(b"\0shop\0wrench").decode()
HELLO = b"Subject: x\r\n\r\nhello\r\n.\r\n"


async def test_a_login_is_offered_and_taken_only_under_tls(
    open_door: Open, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    house = await open_door(tls=server_tls)
    async with await connect(house.port) as client:
        before = await client.say("EHLO pc7")
        early = await client.say(LOGIN)
        assert (await client.say("STARTTLS")).startswith("220 2.0.0")
        await client.start_tls(client_tls)
        unknown = await client.say("MAIL FROM:<jobs@shop.example>")
        after = await client.say("EHLO pc7")

        assert "STARTTLS" in before
        assert "AUTH" not in before
        assert early.startswith("538 5.7.11")
        assert unknown.startswith("503 5.5.1")
        assert "STARTTLS" not in after
        assert after.endswith("250 AUTH PLAIN LOGIN")
        assert (await client.say("STARTTLS")).startswith("503")
        assert (await client.say(LOGIN)).startswith("235 2.7.0")
        assert await client.mail(HELLO) == "250 2.0.0 accepted as m1"
    assert house.host.kept[0].visit.login == "sender-shop"


async def test_tls_from_the_first_byte(open_door: Open, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext) -> None:
    house = await open_door(tls=server_tls, implicit_tls=True)
    async with await connect(house.port, tls=client_tls) as client:
        offers = await client.say("EHLO pc7")

        assert "STARTTLS" not in offers
        assert "AUTH PLAIN LOGIN" in offers
        assert await client.mail(HELLO) == "250 2.0.0 accepted as m1"


async def test_at_the_public_door_tls_opens_no_login(
    open_door: Open, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    house = await open_door(door=Door.PUBLIC, tls=server_tls)
    async with await connect(house.port) as client:
        await client.say("STARTTLS")
        await client.start_tls(client_tls)

        assert "AUTH" not in await client.say("EHLO mail.example.net")
        assert (await client.say(LOGIN)).startswith("502 5.5.1")


async def test_a_login_in_clear_is_forgotten_by_starttls(
    open_door: Open, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    house = await open_door(tls=server_tls)
    house.host.networks.add("127.0.0.1")
    async with await connect(house.port) as client:
        assert (await client.say(LOGIN)).startswith("235")
        await client.say("STARTTLS")
        await client.start_tls(client_tls)
        await client.say("EHLO pc7")
        await client.mail(HELLO)

    assert house.host.kept[0].visit.login == ""


@pytest.mark.parametrize(
    "injected",
    [b"NOOP\r\n", b"EHLO x\r\nMAIL FROM:<boss@shop.example>\r\n", b"x"],
    ids=["noop", "mail", "part-of-a-line"],
)
async def test_what_follows_starttls_in_clear_is_never_obeyed(
    open_door: Open, server_tls: ssl.SSLContext, events: Events, injected: bytes
) -> None:
    """CVE-2024-34083, CVE-2011-0411."""
    house = await open_door(tls=server_tls)
    async with await connect(house.port) as client:
        client.send(b"STARTTLS\r\n" + injected)

        assert (await client.reply()).startswith("554 5.5.1")
        assert await client.gone() == b""
    assert [(e["event"], e["reason"]) for e in events] == [("session.cut", "commands behind STARTTLS")]


async def test_starttls_with_an_argument_is_501(open_door: Open, server_tls: ssl.SSLContext) -> None:
    house = await open_door(tls=server_tls)
    async with await connect(house.port) as client:
        assert (await client.say("STARTTLS now")).startswith("501 5.5.4")


@pytest.mark.parametrize("implicit", [False, True], ids=["starttls", "implicit"])
async def test_a_handshake_that_fails_ends_the_session(
    open_door: Open, server_tls: ssl.SSLContext, events: Events, implicit: bool,
    eventually: Callable[[Callable[[], bool]], Awaitable[None]],
) -> None:  # fmt: skip
    house = await open_door(tls=server_tls, implicit_tls=implicit)
    async with await connect(house.port, greet=not implicit) as client:
        if not implicit:
            await client.say("STARTTLS")
        client.send(b"this is no handshake\r\n" * 10)
        await client.gone()
        await eventually(lambda: house.door.open_sessions == 0)

    assert [e["event"] for e in events] == ["session.cut"]
    assert events[0]["reason"].startswith("TLS handshake failed")


async def test_a_handshake_that_never_begins_is_cut(open_door: Open, server_tls: ssl.SSLContext) -> None:
    house = await open_door(tls=server_tls, implicit_tls=True, limits=Limits(command_seconds=0.1))
    async with await connect(house.port, greet=False) as client:
        assert await client.gone() == b""


async def test_bytes_are_counted_under_tls_too(
    open_door: Open, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext, events: Events
) -> None:
    house = await open_door(tls=server_tls, limits=Limits(max_bytes=100_000, slack_bytes=100_000))
    async with await connect(house.port) as client:
        await client.say("STARTTLS")
        await client.start_tls(client_tls)
        for line in ("EHLO pc7", "MAIL FROM:<jobs@shop.example>", "RCPT TO:<alice@sms.example.com>", "DATA"):
            await client.say(line)
        client.send(b"a" * 1_000_000)
        await client.gone()

    assert ("session.cut", "too many bytes") in [(e["event"], e.get("reason")) for e in events]


async def test_a_door_without_a_certificate_cannot_listen_for_tls() -> None:
    house = MailDoor(None, Limits(), "mx.example.com")  # type: ignore[arg-type]

    with pytest.raises(ValueError, match="certificate"):
        await house.listen("127.0.0.1", 0, Door.SUBMISSION, implicit_tls=True)


async def test_the_standard_librarys_client_logs_in_and_sends(
    open_door: Open, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    house = await open_door(tls=server_tls)

    def send() -> dict[str, tuple[int, bytes]]:
        with smtplib.SMTP("localhost", house.port, local_hostname="pc7", timeout=20) as smtp:
            smtp.starttls(context=client_tls)
            smtp.login("shop", "wrench")
            return smtp.sendmail(
                "jobs@shop.example", ["alice@sms.example.com"], "Subject: x\n\n.dot\n", ["BODY=8BITMIME"]
            )

    assert await asyncio.to_thread(send) == {}
    assert house.host.kept[0].raw == b"Subject: x\r\n\r\n.dot\r\n"


async def test_the_standard_librarys_client_hears_of_a_wrong_password(
    open_door: Open, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    house = await open_door(tls=server_tls, implicit_tls=True)

    def log_in() -> None:
        with smtplib.SMTP_SSL("localhost", house.port, local_hostname="pc7", timeout=20, context=client_tls) as smtp:
            smtp.login("shop", "hammer")

    with pytest.raises(smtplib.SMTPAuthenticationError) as caught:
        await asyncio.to_thread(log_in)
    assert caught.value.smtp_code == 535
