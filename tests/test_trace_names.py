"""What `gateway trace` takes: whatever the gateway has shown of a message or a phone leads to its story."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from shop_store import ANN, SERVICE, shop, text_in, text_out

from gateway.cli.trace import story
from gateway.commands.answer import CommandFailed
from gateway.commands.queue import Queue
from gateway.config import Config, load
from gateway.core.model import Consent, Fate, Kind, Question
from gateway.core.notice import mail_id
from gateway.core.work import Writes
from gateway.spool.sqlite import SqliteSpool

TALK, BOUNCE, ASKED = "talk222222", "bounce2222", "asked22222"
EMPLOYEE = '[[employee]]\nname = "ann"\nphone = "+12025550143"\ncarrier = "verizon"\n'


@pytest.fixture
def config(state: Path) -> Config:
    shop(state)
    path = state / "config.toml"
    path.write_text(path.read_text() + EMPLOYEE)
    return load(path, secrets=False)


@pytest.fixture
async def spool(config: Config, clock: Any) -> AsyncIterator[SqliteSpool]:
    opened = SqliteSpool(config.database, clock=clock, timezone=config.rules.timezone)
    await opened.open()
    yield opened
    await opened.close()


async def traced(what: str, spool: SqliteSpool, config: Config) -> list[dict[str, Any]]:
    """What the command is answered."""
    queue = Queue(config=lambda: config, spool=spool, take=None, refill=lambda: None)
    rows: list[dict[str, Any]] = (await queue.trace(what))["rows"]
    return rows


@pytest.mark.parametrize(
    "what",
    [
        "m1.1.1",
        "m1.1",
        "m1",
        TALK,
        f"r-{TALK}",
        f"R-{TALK.upper()}@SMS.example.com",
        f"b-{BOUNCE}@sms.example.com",
        f"b-{BOUNCE}",
        BOUNCE,
        ASKED,
        f"a-{ASKED}",
        f"a-{ASKED}@sms.example.com",
        "<m1.1.1@sms.example.com>",
        "m1.1.1@sms.example.com",
        "2025550143@vtext.com",
        "12025550143@sms.example.com",
        "+12025550143",
        "ann",
        "ann@sms.example.com",
    ],
)
async def test_all_names_of_a_text_and_its_phone_lead_to_its_story(
    what: str, spool: SqliteSpool, config: Config, clock: Any
) -> None:
    await text_out(spool, "m1", clock.now(), courier="mail", bounce=BOUNCE, talk=TALK)
    asked = Question(
        id=ASKED,
        kind="stop",
        phone=ANN,
        number="service",
        asked_at=clock.now(),
        closes_at=clock.now() + timedelta(hours=1),
        deliveries=("m1.1.1",),
    )
    await spool.write(Writes(questions=(asked,)))
    rows = await traced(what, spool, config)

    assert {"m1.1.1", ASKED} <= {row["id"] for row in rows}


async def test_the_message_id_of_a_reply_to_a_text_leads_to_it(spool: SqliteSpool, config: Config, clock: Any) -> None:
    await text_in(spool, "SM7", clock.now(), "At ten?", sender="jobs")
    written = mail_id("twilio:SM7.1", config.rules)

    assert "<twilio-SM7.1@sms.example.com>" == written
    assert "twilio:SM7.1" in {row["id"] for row in await traced(written, spool, config)}


@pytest.mark.parametrize(
    "what",
    [
        "nobody",
        "nobody@sms.example.com",
        "m1.1.1@elsewhere.example",
        "<>",
        "2025550144@vtext.com",
        "r-zzzzzzzzzz",
        "twilio-",
        "techs@",
    ],
)
async def test_of_all_else_nothing_is_known(what: str, spool: SqliteSpool, config: Config, clock: Any) -> None:
    await text_out(spool, "m1", clock.now())

    with pytest.raises(CommandFailed, match="nothing is known of"):
        await traced(what, spool, config)


async def test_where_a_stop_by_mail_was_sent_is_no_number_of_ours(
    spool: SqliteSpool, clock: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    made = Consent(
        id="c1", brand="Example Auto", phone=ANN, at=clock.now(), action="stop", method="keyword", number=SERVICE
    )
    mailed = replace(made, id="c2", number=f"r-{TALK}@sms.example.com")
    await spool.write(Writes(consents=(made, mailed)))
    story(await spool.find("story", phone=ANN))
    shown = capsys.readouterr().out

    assert f"our number: {SERVICE}\n" in shown
    assert f"sent to: r-{TALK}@sms.example.com\n" in shown


def test_a_part_of_a_text_is_shown_with_its_words(capsys: pytest.CaptureFixture[str]) -> None:
    row = {
        "what": "delivery",
        "at": "2026-11-23T17:00:00Z",
        "id": "m1.1.1-2",
        "courier": "mail",
        "to": "2025550143@vtext.com",
        "kind": Kind.TEXT,
        "fate": Fate.HANDED_OVER,
        "reason": "",
        "attempts": [],
        "receipts": [],
        "code": "",
        "note": "",
        "text": "(2/2) at five.",
    }
    story([row])

    assert "part: (2/2) at five.\n" in capsys.readouterr().out
