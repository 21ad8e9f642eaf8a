"""gateway queue list: all of it for a program, as much as was asked for with a word on the rest."""

from __future__ import annotations

import pytest
from house import House

CUSTOMER = "+12025550143"


async def send(house: House, words: str) -> None:
    raw = f"From: jobs@shop.example.com\r\nSubject: RO 17\r\nMessage-ID: <{words}@shop>\r\n\r\n{words}\r\n"
    before = len(house.daemon.events)
    answers = await house.daemon.mail(raw.encode(), "jobs@shop.example.com", [f"{CUSTOMER}@sms.example.com"])
    assert answers[-1].startswith("250"), answers
    await house.daemon.wait_event("delivery.confirmed", after=before, fate="delivered")


@pytest.mark.parametrize("serving", [True, False])
async def test_a_bound_on_the_list_says_how_much_it_leaves_out(house: House, serving: bool) -> None:
    await house.start()
    await house.daemon.command("consent", "grant", CUSTOMER, "--method", "paper", "--evidence", "form")
    for words in ("one", "two", "three"):
        await send(house, words)
    if not serving:
        await house.daemon.stop()
    whole = await house.daemon.command("queue", "list", "--all", "--json")
    two = await house.daemon.command("queue", "list", "--all", "--json", "--limit", "2")
    table = await house.daemon.command("queue", "list", "--all", "--limit", "1")
    all_three = await house.daemon.command("queue", "list", "--all", "--json", "--limit", "3")
    empty = await house.daemon.command("queue", "list")

    assert [whole.rows[:2], whole.rows] == [two.rows, all_three.rows]
    assert (len(whole.rows), whole.err, all_three.err) == (3, "", "")
    assert two.err == "... and more: --limit 0 shows all\n"
    assert [line.split()[0] for line in table.out.splitlines()] == ["id", whole.rows[0]["id"]]
    assert table.err == two.err
    assert empty.out == "The queue is empty.\n"
