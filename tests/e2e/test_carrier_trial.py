"""`gateway carriers test`: a code goes out to an employee's carrier address, and what becomes of it is shown.

The daemon runs as a process; the simulator is its relay, and the phone behind it.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from house import House, opened

from gateway.simulator.carrier_mails import Answer

CAROL = "2025550104@txt.unsure.example"
ROW = '[unsure]\nname = "Unsure Wireless"\n[unsure.sms]\naddress = "{national}@txt.unsure.example"\n'
CONFIG = """
carriers = "carriers.toml"
[smtp]
listen_public = ["127.0.0.1:0"]
[[employee]]
name = "bob"
phone = "+12025550102"
carrier = "verizon"
[[employee]]
name = "alice"
phone = "+12025550103"
carrier = "att"
[[employee]]
name = "carol"
phone = "+12025550104"
carrier = "unsure"
[[employee]]
name = "erin"
phone = "+12025550105"
"""


@pytest.fixture
async def house(state: Path) -> AsyncIterator[House]:
    """The shop with an employee whose carrier nobody has proven, started."""
    (state / "carriers.toml").write_text(ROW)
    async with opened(state, CONFIG) as made:
        await made.start()
        made.world.mail.carriers.door = made.daemon.doors["smtp_public"][0]
        yield made


async def code_of(house: House, address: str = CAROL) -> str:
    """The code in the newest text that the phone shows."""
    mail = house.world.mail
    await house.world.journal.wait(lambda: mail.shown(address))
    return mail.shown(address)[-1].raw.decode().rstrip(".\r\n")[-4:]


async def test_the_code_goes_to_an_unverified_address_and_its_answer_confirms_it(house: House) -> None:
    before = (await house.daemon.command("carriers", "list", "--used", "--json")).rows
    waiting = asyncio.create_task(house.daemon.command("carriers", "test", "carol", "--wait", "30"))
    code = await code_of(house)
    answer = await house.world.mail.answers(CAROL, Answer(words=f"It is {code}"))
    done = await waiting
    told = await house.world.journal.wait(lambda: house.world.mail.to("admin@shop.example.com"))
    listed = await house.daemon.command("carriers", "list", "--used")
    row = next(r for r in (await house.daemon.command("carriers", "show", "unsure", "--json")).rows)
    traced = await house.daemon.command("trace", "carol")

    assert [[], []] == [r["confirmed"] for r in before if r["employees"] in (["carol"], ["bob"])]
    assert answer.answer.startswith("250"), answer
    assert done.code == 0, done
    assert f"A text with the code {code} goes to {CAROL} of carol." in done.out
    assert "When carol answers with the code, the address is confirmed by itself" in done.out
    assert "gateway carriers confirm carol" in done.out
    assert f"{CAROL} is confirmed by test: answered the code {code}, not verified" in done.out
    assert b"Subject: carol's text address works" in told[-1].raw
    assert "carol (test 20" in listed.out
    assert [("carol", CAROL, True, "test")] == [
        (p["employee"], p["address"], p["works"], p["how"]) for p in row["confirmed"]
    ]
    assert f"whether {CAROL} works, by a text with the code {code}: answered {code} at" in traced.out
    assert f"address    {CAROL} confirmed by test, {CAROL}" in traced.out


async def test_what_was_confirmed_is_shown_without_a_daemon_too_and_check_is_content(house: House) -> None:
    unproven = await house.daemon.command("carriers", "check")
    await house.daemon.command("carriers", "confirm", "carol")
    proven = await house.daemon.command("carriers", "check")
    await house.daemon.stop()
    listed = await house.daemon.command("carriers", "list", "--used")

    assert "texts to carol go by the paid provider until confirmed" in unproven.out
    assert "texts to carol" not in proven.out
    assert (0, True) == (listed.code, "carol (admin 20" in listed.out), listed


async def test_an_address_that_came_back_is_marked_and_check_warns_of_it(house: House) -> None:
    await house.daemon.command("carriers", "confirm", "bob")
    await house.daemon.stop()
    with sqlite3.connect(house.folder / "gateway.db") as database:
        database.execute("UPDATE confirmation SET works = 0, how = 'bounce', note = '550 5.1.1 nobody'")
    listed = await house.daemon.command("carriers", "list", "--used")
    shown = await house.daemon.command("carriers", "show", "verizon")
    checked = await house.daemon.command("carriers", "check")

    assert "bob (gone 20" in listed.out
    assert "(550 5.1.1 nobody)" in shown.out
    assert "2025550102@vtext.com of bob came back on 20" in checked.out
    assert 0 == checked.code


async def test_a_test_prints_what_programs_need_and_ends_with_75_where_no_answer_comes(house: House) -> None:
    done = await house.daemon.command("carriers", "test", "bob", "--json", "--wait", "0.5")
    (row,) = done.rows

    assert 75 == done.code, done
    assert "no answer within 0.5 seconds; it counts until 20" in done.err
    assert {"employee", "address", "code", "message", "delivery", "closes_at", "asked_at"} == set(row)
    assert ("bob", "2025550102@vtext.com") == (row["employee"], row["address"])
    assert row["delivery"].startswith(f"{row['message']}.")
    assert await code_of(house, row["address"]) == row["code"]


async def test_a_test_that_the_carrier_refuses_ends_with_1_and_no_provider_takes_over(house: House) -> None:
    house.world.mail.faults.add("550", to="@vtext.com", count=0)
    done = await house.daemon.command("carriers", "test", "bob", "--wait", "30")

    assert 1 == done.code, done
    assert "the text did not go out: failed, " in done.err
    assert [] == house.world.twilio.texts.all()


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("alice", "AT&T closed txt.att.net on 2025-06-17; ask alice for the carrier of today"),
        ("erin", "erin has no carrier address: no carrier is set"),
        ("zoe", "there is no employee named 'zoe' (known: bob, alice, carol, erin)"),
    ],
)
async def test_what_cannot_be_tested_is_a_no_with_its_remedy(house: House, name: str, said: str) -> None:
    done = await house.daemon.command("carriers", "test", name)

    assert 1 == done.code, done
    assert said in done.err
    assert [] == house.world.mail.mails


async def test_a_stop_of_the_employee_forbids_his_test(house: House) -> None:
    await house.daemon.command("consent", "revoke", "bob")
    done = await house.daemon.command("carriers", "test", "bob")

    assert 1 == done.code, done
    assert "bob was opted out on 20" in done.err


async def test_a_phone_that_writes_to_enroll_is_entered_by_the_admins_yes(house: House) -> None:
    phone, admin = "2025550104@txt.unsure.example", "admin@shop.example.com"
    raw = b"From: 2025550104@txt.unsure.example\r\nMessage-ID: <e1@txt.unsure.example>\r\n\r\nHi, it is me\r\n"
    taken = await house.daemon.mail(raw, phone, ["enroll@sms.example.com"], door="smtp_public")
    (asked,) = await house.world.journal.wait(lambda: house.world.mail.to(admin))
    answer_to = asked.message["Reply-To"]
    yes = f"From: {admin}\r\nTo: {answer_to}\r\nMessage-ID: <e2@shop.example.com>\r\n\r\nyes\r\n".encode()
    said = await house.daemon.mail(yes, admin, [answer_to])
    done = await house.world.journal.wait(lambda: house.world.mail.to(admin)[1:])
    listed = await house.daemon.command("carriers", "list", "--used")
    traced = await house.daemon.command("trace", "carol")

    assert [["250"], ["250"]] == [[a[:3] for a in answers] for answers in (taken, said)]
    assert "It is carol's phone." in asked.text
    assert "> Hi, it is me" in asked.text
    assert f"{CAROL} is confirmed as the address of carol." in done[0].text
    assert "carol (enroll 20" in listed.out
    assert f"address    {CAROL} confirmed by enroll, {admin}" in traced.out
    assert f"an employee's at {CAROL}: answered yes carol at" in traced.out
    assert [] == house.world.mail.to(CAROL)


async def test_without_a_daemon_nothing_is_tested_and_a_table_makes_no_store(state: Path) -> None:
    (state / "carriers.toml").write_text(ROW)
    async with opened(state, CONFIG) as house:
        tested = await house.daemon.command("carriers", "test", "bob")
        listed = await house.daemon.command("carriers", "list", "--used", "--json")

    assert 69 == tested.code, tested
    assert (0, []) == (listed.code, [proof for row in listed.rows for proof in row["confirmed"]]), listed
    assert not (state / "gateway.db").exists()
