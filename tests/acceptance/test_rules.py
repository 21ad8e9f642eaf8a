"""Consent, money and loops of texts; and a configuration that changes under the daemon."""

from __future__ import annotations

import asyncio
import signal

import pytest
from cases import Open, Seen, case
from house import House
from rig import ANN, JOBS, OURS, VOUCHED, connect, events, healthy, job_mail, rows, send, texted, texts_out

ANSWERING = '[[answer]]\nname = "closed"\nnumber = "service"\ntext = "We are closed."\n'


@case(51, "answers by text that answer each other", "at most one automatic answer per number and day")
async def test_two_machines_that_answer_texts_do_not_go_on_for_ever(open_shop: Open, seen: Seen) -> None:
    house = await open_shop(ANSWERING)
    await house.start()
    answers: list[int] = []
    for n in range(6):
        before = len(texts_out(house, ANN))
        assert await house.world.customer_texts(ANN, OURS, f"Thank you for your text, answer {n}") == 200
        await house.world.wait(lambda w, n=n: any(f"answer {n}" in m.text for m in w.mails), 20)
        answers.append(len(texts_out(house, ANN)) - before)

    seen(f"{len(answers)} texts in, {sum(answers)} automatic answer out")
    assert sum(answers) == 1


@case(56, "STOP, then a queued text", "not sent, refused by policy")
async def test_a_text_that_waits_when_a_stop_comes_is_never_sent(open_shop: Open, seen: Seen) -> None:
    house = await open_shop(VOUCHED)
    await house.start()
    house.world.twilio.faults.add("429", seconds=5)
    assert (await send(house, "your car is ready", ANN[1:])).startswith("250")
    await house.daemon.wait_event("delivery.deferred")
    assert await house.world.customer_texts(ANN, OURS, "STOP") == 200
    await house.daemon.wait_event("consent.withdrawn")
    vetoed = await house.daemon.wait_event("delivery.vetoed")
    (row,) = [r for r in await rows(house, "--all") if r["to"] == ANN]
    later = await send(house, "another", ANN[1:])

    posts = house.world.twilio.posts[ANN]
    seen(f"{vetoed['event']}, {row['fate']}; {posts} post before the STOP; the next mail: {later[:9]}")
    assert row["fate"] == "refused"
    assert [] == texts_out(house, ANN)
    assert posts == 1
    assert later.startswith("550 5.7.1")


DEAR = {
    "+1-900": "19005550143", "976": "12029765555", "Jamaica": "18765550143", "Bahamas": "12425550143",
    "+44 70": "+447012345678", "UK mobile": "+447400123456", "Latvia": "+37120123456", "satellite": "+881612345678",
    "short code": "72975", "short code, long": "262966", "911": "911", "no area code": "5550143",
    "unknown area": "12115550143", "our own": "12025550100",
}  # fmt: skip


@case(57, "numbers that cost: 900, Caribbean, +44 70, short codes, unknown", "refused before anything is spent")
async def test_a_number_that_would_cost_is_refused_at_the_door(open_shop: Open, seen: Seen) -> None:
    house = await open_shop(VOUCHED)
    await house.start()
    answers = {name: await send(house, "ready", number) for name, number in DEAR.items()}

    codes = sorted({answer[:9] for answer in answers.values()})
    seen(f"{len(answers)} numbers: {codes}; posts {sum(house.world.twilio.posts.values())}")
    assert [] == [name for name, answer in answers.items() if not answer.startswith("550 5.")]
    assert house.world.twilio.posts == {}


ABROAD = {
    "+44 70, personal": "+447012345678", "+44 87, premium": "+448712345678", "+44 33, company": "+443331234567",
    "+44 20, landline": "+442071838750", "+49 180, shared cost": "+49180512345", "+49 900": "+499001123456",
    "Guernsey": "+447911123456", "Jamaica": "18765550143",
}  # fmt: skip


@case(57, "the same where other countries are texted, with landlines", "refused before anything is spent")
async def test_a_country_that_is_texted_has_numbers_that_are_not_all_the_same(open_shop: Open, seen: Seen) -> None:
    house = await open_shop(f'{VOUCHED}[policy]\ncountries = ["US", "GB", "DE"]\n')
    await house.start()
    answers = {name: await send(house, "ready", number) for name, number in ABROAD.items()}
    before = dict(house.world.twilio.posts)
    mobile = await send(house, "a British mobile", "+447400123456")
    await texted(house, "a British mobile")

    seen(f"{sorted({answer[:9] for answer in answers.values()})}, posts {sum(before.values())}; a mobile: {mobile[:9]}")
    assert [] == [name for name, answer in answers.items() if not answer.startswith("550 5.")]
    assert before == {}


@case(57, "a landline of +1, which the number does not tell", "refused by the provider uncharged, told, never again")
async def test_a_landline_that_only_the_provider_knows_is_posted_once_and_reported(open_shop: Open, seen: Seen) -> None:
    house = await open_shop(VOUCHED)
    await house.start()
    house.world.twilio.faults.add("21614")
    assert (await send(house, "ready", ANN[1:])).startswith("250")
    refused = await house.daemon.wait_event("delivery.refused", code="21614")
    (report, *_) = await house.world.wait(lambda w: w.mail.to(JOBS), 20)

    seen(f"{refused['fate']}, {house.world.twilio.posts[ANN]} post, nothing sent; told: {report.message['Subject']}")
    assert refused["fate"] == "failed"
    assert house.world.twilio.posts == {ANN: 1}
    assert [] == texts_out(house)
    assert "not a mobile number" in report.text


@case(58, "budget race: 200 mails at budget - 1", "exactly one sent; survives kill -9")
async def test_two_hundred_mails_for_the_last_segment_spend_one(open_shop: Open, seen: Seen) -> None:
    budget = '[[sender]]\nname = "jobs"\nnetworks = ["127.0.0.0/8"]\nnumber = "service"\nsegments_per_day = 2\n'
    number = '[[number]]\nname = "service"\nphone = "+12025550100"\nprovider = "twilio"\nsegments_per_second = 1000\n'
    people = "".join(
        f'[[employee]]\nname = "tech{n}"\nphone = "+120255503{n:02d}"\ncarrier = "att"\nfallback = "provider"\n'
        for n in range(20)
    )
    house = await open_shop(budget + number + people)
    await house.start()
    await send(house, "the first", "tech0")
    await texted(house, "the first")

    async def client(name: int) -> None:
        for n in range(10):
            assert (await send(house, f"race {name}.{n}", f"tech{name}")).startswith("250")

    async with asyncio.TaskGroup() as group:
        for name in range(20):
            group.create_task(client(name))
    await _held(house, 199)
    sent = len(texts_out(house))
    await house.daemon.kill()
    await house.start()
    await send(house, "after the kill", "tech1")
    await _held(house, 200)

    seen(f"{sent - 1} of 200 sent, 199 held; after a kill {len(texts_out(house)) - sent} more")
    assert sent == 2
    assert len(texts_out(house)) == 2


async def _held(house: House, count: int) -> None:
    """Until so many texts are held for the budget."""
    async with asyncio.timeout(60):
        while sum(r["fate"] == "held" and r["reason"] == "budget" for r in await rows(house)) < count:
            pass


@case(62, "a configuration half written, wrong, or with an open secret", "the old one stays whole, the error is shown")
@pytest.mark.parametrize("what", ["half", "invalid", "unknown key", "secret 0644", "gone"])
async def test_a_bad_configuration_never_takes_the_place_of_a_good_one(what: str, shop: House, seen: Seen) -> None:
    config, secret = shop.folder / "config.toml", shop.folder / "token"
    good = config.read_text()
    match what:
        case "half":
            config.write_text(good[: len(good) // 2])
        case "invalid":
            config.write_text(good.replace('brand = "Example Auto"', "brand = 17"))
        case "unknown key":
            config.write_text(f'barnd = "x"\n{good}')
        case "gone":
            config.unlink()
        case _:
            secret.chmod(0o644)
    shop.daemon.signal(signal.SIGHUP)
    rejected = await shop.daemon.wait_event("config.rejected")
    answer = await send(shop, "ready")
    await texted(shop, "ready")
    refused = await shop.daemon.command("check")
    config.write_text(good)
    secret.chmod(0o600)
    shop.daemon.signal(signal.SIGHUP)
    await shop.daemon.wait_event("config.reloaded")

    seen(f"{what}: {str(rejected['error']).splitlines()[0].replace(str(shop.folder), '')[:90]}")
    assert answer.startswith("250")
    assert refused.code == 78
    assert rejected["error"]
    assert shop.token not in str(rejected)


@case(62, "SIGHUP under load", "0 dropped sessions")
async def test_reloads_under_load_drop_no_session_and_lose_no_mail(shop: House, seen: Seen) -> None:
    answers: list[str] = []
    over = asyncio.Event()

    async def client(name: int) -> None:
        async with await connect(shop.daemon.port()) as one:
            count = 0
            while not over.is_set():
                count += 1
                for line in (f"MAIL FROM:<{JOBS}>", "RCPT TO:<bob@sms.example.com>", "DATA"):
                    answers.append(await one.say(line))
                one.send(job_mail(f"mail {name}.{count}") + b".\r\n")
                answers.append(await one.reply())

    async with asyncio.TaskGroup() as group:
        for name in range(4):
            group.create_task(client(name))
        async with healthy(shop) as pulse:
            while len(events(shop, "config.reloaded")) < 20 or len(answers) < 200:
                before = len(shop.daemon.events)
                shop.daemon.signal(signal.SIGHUP)
                await shop.daemon.wait_event("config.reloaded", after=before)
        over.set()

    bad = [answer for answer in answers if answer[:1] not in ("2", "3")]
    mails = sum(answer.startswith("250 2.0.0 accepted") for answer in answers)
    count = len(events(shop, "config.reloaded"))
    seen(f"{count} reloads, {mails} mails, {len(bad)} bad answers or dropped sessions; {pulse.told}")
    assert [] == bad
    assert mails >= 40
