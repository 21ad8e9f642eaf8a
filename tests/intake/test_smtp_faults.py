"""When we cannot, the client hears 4xx and nothing from inside; when the door refuses, the log says who and why."""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import pytest
from smtp_house import Client, House, connect

from gateway.core.model import Refusal
from gateway.ports import SpoolUnavailable

Open = Callable[..., Awaitable[House]]
Events = list[MutableMapping[str, Any]]
HELLO = b"Subject: x\r\n\r\nhello\r\n.\r\n"
LOGIN = "AUTH PLAIN " + base64.b64encode(b"\0shop\0wrench").decode()


async def begin(client: Client) -> str:
    await client.say("MAIL FROM:<jobs@shop.example>")
    return await client.say("RCPT TO:<alice@sms.example.com>")


async def test_without_a_spool_a_recipient_is_451(client: Client, house: House, events: Events) -> None:
    house.host.faults["rcpt"] = SpoolUnavailable("disk full at /var/lib/gateway")

    answer = await begin(client)

    assert answer.startswith("451 4.3.0")
    assert "/var" not in answer
    assert [e["event"] for e in events] == ["inbound.deferred"]
    del house.host.faults["rcpt"]
    assert (await client.say("RCPT TO:<alice@sms.example.com>")).startswith("250")


async def test_without_a_spool_a_mail_is_452(client: Client, house: House, events: Events) -> None:
    house.host.faults["data"] = SpoolUnavailable("disk full")

    assert (await client.mail(HELLO)).startswith("452 4.3.1")
    assert [(e["event"], e["stage"], e["code"]) for e in events] == [("inbound.deferred", "data", "452 4.3.1")]
    del house.host.faults["data"]
    assert await client.mail(HELLO) == "250 2.0.0 accepted as m1"


async def test_without_a_spool_a_login_is_454(house: House) -> None:
    house.host.networks.add("127.0.0.1")
    house.host.faults["login"] = SpoolUnavailable("locked")
    async with await connect(house.port) as client:
        assert (await client.say(LOGIN)).startswith("454 4.7.0")


@pytest.mark.parametrize("stage", ["mail", "rcpt", "data"])
@pytest.mark.parametrize("error", [RuntimeError, ConnectionResetError, AssertionError])
async def test_a_fault_of_ours_is_451_without_a_word_from_inside(
    client: Client, house: House, events: Events, stage: str, error: type[Exception]
) -> None:
    house.host.faults[stage] = error("secret of 2025550143 at /var/lib/gateway")

    answers = [await client.say("MAIL FROM:<jobs@shop.example>"), await client.say("RCPT TO:<alice@sms.example.com>")]
    if stage == "data":
        await client.say("DATA")
        client.send(HELLO)
        answers.append(await client.reply())

    answer = answers[["mail", "rcpt", "data"].index(stage)]
    assert answer == "451 4.3.0 A fault of this server, try again later"
    failed = [event for event in events if event["event"] == "session.failed"]
    assert len(failed) == 1
    assert failed[0]["error"].startswith(f"{error.__name__}: secret of")
    assert "2025550143" not in str(failed)
    assert "_fail" in failed[0]["where"]
    house.host.faults.clear()
    await client.say("RSET")
    assert await client.mail(HELLO) == "250 2.0.0 accepted as m1"


async def test_a_refusal_is_logged_with_masked_numbers(client: Client, house: House, events: Events) -> None:
    to = "2025550143@sms.example.com"
    house.host.refusals[to] = Refusal(code=550, enhanced="5.7.1", text="2025550143 has said STOP")
    await client.say("MAIL FROM:<2025550177@shop.example>")
    await client.say(f"RCPT TO:<{to}>")

    assert events == [
        {
            "event": "inbound.refused",
            "log_level": "warning",
            "peer": "127.0.0.1",
            "door": "submission",
            "mail_from": "+1******0177@shop.example",
            "recipient": "+1******0143@sms.example.com",
            "stage": "rcpt",
            "code": "550 5.7.1",
            "reason": "+1******0143 has said STOP",
        }
    ]


async def test_a_refusal_is_one_line_of_ascii_whatever_the_host_says(client: Client, house: House) -> None:
    house.host.refusals["jobs@shop.example"] = Refusal(code=550, enhanced="5.7.1", text="Jörg\r\n250 ok " + "x" * 999)

    answer = await client.say("MAIL FROM:<jobs@shop.example>")

    assert answer.startswith("550 5.7.1 J?rg 250 ok xxx")
    assert len(answer) == 510
    assert (await client.say("NOOP")).startswith("250 2.0.0")


async def test_a_login_is_logged_with_peer_and_name(house: House, events: Events) -> None:
    house.host.networks.add("127.0.0.1")
    async with await connect(house.port) as client:
        bad = base64.b64encode(b"\x002025550143\n\xff\0wrench").decode()
        assert (await client.say(f"AUTH PLAIN {bad}")).startswith("535 5.7.8")
        assert (await client.say(LOGIN)).startswith("235 2.7.0")
        assert await client.mail(HELLO) == "250 2.0.0 accepted as m1"

    assert [(e["event"], e["peer"], e["username"]) for e in events if e["event"].startswith("login")] == [
        ("login.failed", "127.0.0.1", "+1******0143?\N{REPLACEMENT CHARACTER}"),
        ("login.accepted", "127.0.0.1", "shop"),
    ]
    assert house.host.kept[0].visit.login == "sender-shop"


async def test_after_five_wrong_passwords_even_the_right_one_must_wait_on_every_connection(
    house: House, events: Events
) -> None:
    house.host.networks.add("127.0.0.1")
    bad = base64.b64encode(b"\0shop\0hammer").decode()
    for tries in (3, 2):
        async with await connect(house.port) as client:
            for _ in range(tries):
                assert (await client.say(f"AUTH PLAIN {bad}")).startswith("535 5.7.8")
    async with await connect(house.port) as client:
        assert (await client.say(LOGIN)).startswith("454 4.7.0 Too many failed logins, try again in 1 s")

    reasons = [e["reason"] for e in events if e["event"] == "login.failed"]
    assert reasons == ["wrong"] * 5 + ["throttled"]


async def test_a_client_that_leaves_during_the_commit_does_not_stop_it(
    client: Client, house: House, eventually: Callable[[Callable[[], bool]], Awaitable[None]]
) -> None:
    house.host.disk.clear()
    await begin(client)
    await client.say("DATA")
    client.send(HELLO)
    await house.host.committing.wait()
    client.writer.transport.abort()
    await client.gone()
    house.host.disk.set()

    await eventually(lambda: house.door.open_sessions == 0)
    assert len(house.host.kept) == 1


async def test_a_client_that_leaves_in_the_middle_of_a_mail_leaves_nothing(
    client: Client, house: House, eventually: Callable[[Callable[[], bool]], Awaitable[None]]
) -> None:
    await begin(client)
    await client.say("DATA")
    client.send(b"Subject: half")
    await client.writer.drain()
    client.writer.close()

    await eventually(lambda: house.door.open_sessions == 0)
    assert not house.host.kept


async def test_a_client_that_closes_its_side_early_still_gets_all_answers(house: House) -> None:
    async with await connect(house.port, greet=False) as client:
        client.send(b"HELO pc7\r\nMAIL FROM:<a@shop.example>\r\nRCPT TO:<alice@sms.example.com>\r\nDATA\r\n" + HELLO)
        client.send(b"QUIT\r\n")
        client.writer.write_eof()
        said = (await client.gone()).decode().splitlines()

    assert [line[:3] for line in said] == ["220", "250", "250", "250", "354", "250", "221"]


@pytest.mark.parametrize(
    "smuggled",
    [
        pytest.param(b"\n.\n", id="lf-dot-lf"),
        pytest.param(b"\r.\r", id="cr-dot-cr"),
        pytest.param(b"\r\n.\n", id="crlf-dot-lf"),
        pytest.param(b"\n.\r\n", id="lf-dot-crlf"),
        pytest.param(b"\r\n.\r", id="crlf-dot-cr"),
        pytest.param(b"\r\n\0.\r\n", id="nul-dot"),
        pytest.param(b"\r\n.\0\r\n", id="dot-nul"),
        pytest.param(b"\r\r\n.\r\r\n", id="crcrlf"),
    ],
)
@pytest.mark.parametrize("bare_lf", [False, True], ids=["strict", "bare-lf"])
async def test_no_second_mail_is_smuggled_in(client: Client, house: House, smuggled: bytes, bare_lf: bool) -> None:
    house.host.bare_lf = bare_lf
    second = b"MAIL FROM:<boss@shop.example>\r\nRCPT TO:<bob@sms.example.com>\r\nDATA\r\nsmuggled\r\n.\r\n"

    answer = await client.mail(b"Subject: x\r\n\r\nhello" + smuggled + second)

    refused = not bare_lf or b"\0" in smuggled or smuggled.replace(b"\r\n", b"").count(b"\r") > 0
    assert answer[:9] == ("550 5.6.0" if refused else "250 2.0.0")
    assert (await client.say("NOOP")).startswith("250 2.0.0 Here")
    assert len(house.host.kept) == (0 if refused else 1)
    assert house.host.asked == ["2025550143@sms.example.com"]


async def test_a_machine_that_writes_bare_lf_is_understood_where_it_may(client: Client, house: House) -> None:
    house.host.bare_lf = True

    assert await client.mail(b"Subject: x\n\nhello\n.\n") == "250 2.0.0 accepted as m1"
    assert house.host.kept[0].raw == b"Subject: x\r\n\r\nhello\r\n"
