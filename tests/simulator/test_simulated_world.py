from __future__ import annotations

import asyncio
import smtplib
import socket
from datetime import UTC, datetime

import pytest
from simulated import ACCOUNT, OURS, PHONE, TOKEN, Api, Shop, text

from gateway.simulator.journal import Called, Mailed, Posted, Texted, as_json
from gateway.simulator.world import World


def mail(world: World, to: str) -> None:
    with smtplib.SMTP(world.mail.host, world.mail.port, timeout=5) as client:
        client.sendmail("a@shop.example", [to], "Subject: hi\r\n\r\nwords")


async def test_the_journal_has_everything_in_order_of_time(world: World, api: Api) -> None:
    await api.post(text())
    await asyncio.to_thread(mail, world, "joe@shop.example")
    await world.customer_texts(PHONE, OURS, "thanks")

    assert [type(entry) for entry in world.journal.entries] == [Texted, Posted, Mailed, Texted, Called]
    assert [entry.at for entry in world.journal.entries] == sorted(entry.at for entry in world.journal.entries)


async def test_waiting_answers_what_the_predicate_found(world: World, api: Api) -> None:
    waiting = asyncio.create_task(world.wait(lambda w: w.phone(PHONE)))
    await api.post(text(body="for you"))

    assert [each.body for each in await waiting] == ["for you"]


async def test_waiting_in_vain_tells_what_was_seen_instead(world: World) -> None:
    await world.customer_texts(PHONE, OURS, "something else")
    with pytest.raises(TimeoutError, match="something else"):
        await world.wait(lambda w: w.mails, seconds=0.01)


async def test_a_world_whose_port_is_taken_leaves_nothing_open() -> None:
    with socket.socket() as taken, socket.socket() as free:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        with pytest.raises(OSError, match="in use"):
            await World(ACCOUNT, TOKEN, twilio_port=port, smtp_port=taken.getsockname()[1]).__aenter__()
        with socket.socket() as again:
            again.bind(("127.0.0.1", port))


async def test_another_process_can_play_the_customer_by_http(world: World, shop: Shop, api: Api) -> None:
    status, said = await api.control("text", {"from": PHONE, "to": OURS, "body": "hello"})
    _, again = await api.control("again", {"sid": said["sid"]})
    _, seen = await api.get("/simulator/messages", phone=PHONE)

    assert (status, said["status"], again) == (200, 200, {"status": 200})
    assert [form["MessageSid"] for _, form, _ in shop.seen] == [said["sid"]] * 2
    assert [row["body"] for row in seen["messages"]] == ["hello"]


async def test_a_customers_picture_comes_by_http_too(shop: Shop, api: Api) -> None:
    picture = {"kind": "image/png", "data": "aGVsbG8="}
    status, _ = await api.control("text", {"from": PHONE, "to": OURS, "body": "", "media": [picture]})
    bad, told = await api.control(
        "text", {"from": PHONE, "to": OURS, "body": "", "media": [{"kind": "a/b", "data": "?"}]}
    )

    (_, form, _) = shop.seen[-1]
    assert (status, form["NumMedia"], form["MediaContentType0"]) == (200, "1", "image/png")
    assert (bad, "error" in told) == (400, True)


async def test_another_process_can_break_things_by_http(world: World, api: Api) -> None:
    await api.control("fail", {"fault": "500-after", "to": PHONE, "count": 1})
    await api.control("fail", {"at": "mail", "fault": "550", "count": 0, "to": "@shop.example"})
    await api.control("script", {"phone": PHONE, "statuses": ["undelivered"], "code": 30003})
    broken, _ = await api.post(text())
    with pytest.raises(smtplib.SMTPRecipientsRefused):
        await asyncio.to_thread(mail, world, "joe@shop.example")
    ended = await world.wait(lambda w: [each for each in w.phone(PHONE) if each.code])
    await api.control("clear", {})
    await asyncio.to_thread(mail, world, "joe@shop.example")
    good, _ = await api.post(text())

    assert (broken, good) == (500, 201)
    assert (ended[0].status, ended[0].code) == ("undelivered", 30003)


async def test_another_process_can_read_the_journal_and_wait_for_more(world: World, api: Api) -> None:
    await api.post(text(Strange="1"))
    _, before = await api.get("/simulator/journal")
    later = asyncio.create_task(api.get("/simulator/journal", after=str(len(before["journal"])), seconds="10"))
    await asyncio.to_thread(mail, world, "joe@shop.example")
    _, after = await later
    _, mails = await api.get("/simulator/mails", to="@shop.example")

    assert [entry["kind"] for entry in before["journal"]] == ["texted", "posted"]
    assert before["journal"][1]["form"][0] == ["To", PHONE]
    assert (before["posts"], before["surprises"]) == ({PHONE: 1}, ["POST Messages: unknown parameter 'Strange'"])
    assert [(entry["kind"], entry["text"], entry["subject"]) for entry in after["journal"]] == [
        ("mailed", "words", "hi")
    ]
    assert mails["mails"] == after["journal"]
    assert mails["mails"][0]["raw"] == "Subject: hi\r\n\r\nwords\r\n"


async def test_another_process_can_tell_where_the_gateway_is(world: World, shop: Shop, api: Api) -> None:
    world.twilio.hooks.base = ""
    _, lost = await api.control("text", {"from": PHONE, "to": OURS, "body": "1"})
    await api.control("hooks", {"hooks": shop.base, "list_lag_seconds": 60})
    _, found = await api.control("text", {"from": PHONE, "to": OURS, "body": "2"})

    assert (lost["status"], found["status"], world.twilio.list_lag_seconds) == (0, 200, 60.0)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("text", {"from": PHONE}),
        ("text", ["no object"]),
        ("again", {"sid": "SM0"}),
        ("fail", {"fault": "explode"}),
        ("fail", {"at": "moon", "fault": "500"}),
        ("script", {"statuses": 7}),
        ("hooks", {"hooks": "http://192.0.2.1"}),
    ],
)
async def test_a_wrong_order_is_refused_with_the_reason(api: Api, path: str, body: object) -> None:
    status, answer = await api.control(path, body)

    assert status == 400
    assert answer["error"]


async def test_a_journal_without_news_is_empty_and_a_bad_number_is_refused(api: Api) -> None:
    empty = await api.get("/simulator/journal", after="9", seconds="0.01")
    bad, _ = await api.get("/simulator/journal", after="x")

    assert empty == (200, {"journal": [], "posts": {}, "surprises": []})
    assert bad == 400


async def test_another_process_can_set_the_script_of_all_phones(world: World, api: Api) -> None:
    await api.control("script", {"statuses": ["failed"], "code": 30005})
    await api.post(text())

    assert await world.wait(lambda w: w.phone(PHONE)[0].code) == 30005


def test_words_in_an_unknown_charset_are_none() -> None:
    at = datetime(2026, 11, 23, tzinfo=UTC)
    raw = b"Content-Type: text/plain; charset=klingon\r\n\r\nx\r\n"
    sent = Mailed(at=at, mail_from="", options=(), rcpt_to=(), raw=raw, answer="", taken=True)

    assert sent.text == ""
    assert as_json(sent)["raw"] == raw.decode()
