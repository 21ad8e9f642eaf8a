"""What `gateway trace` tells of each kind of row, `consent show` of the ledger, and `preview` of a mail."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import click
import pytest
from shop_store import ANN, BEN, SERVICE, gateway, shop, text_out

from gateway.cli.common import json_line, printable, table
from gateway.cli.preview import _shown as shown_preview
from gateway.cli.trace import story
from gateway.config import Config
from gateway.core.model import Confirmation, Consent, Fate, InboundHook, Kind, Phone, Question, TextIn
from gateway.core.work import Writes
from gateway.ports import Clock
from gateway.spool.sqlite import SqliteSpool

HOUR = timedelta(hours=1)


@pytest.fixture
def config(state: Path) -> Config:
    return shop(state)


@pytest.fixture
async def spool(config: Config, clock: Any) -> AsyncIterator[SqliteSpool]:
    opened = SqliteSpool(config.database, clock=clock, timezone=config.rules.timezone)
    await opened.open()
    yield opened
    await opened.close()


def entry(action: str, clock: Clock, *, method: str = "keyword", number: str = "", phone: Phone = ANN) -> Consent:
    return Consent(
        id=f"{action}.{method}.{phone}",
        brand="Example Auto",
        phone=phone,
        at=clock.now(),
        action=action,
        method=method,
        recorded_by="twilio",
        number=number,
    )


async def told(spool: Any, capsys: Any, **keys: str) -> str:
    """The story as it is printed."""
    story(await spool.find("story", **keys))
    return str(capsys.readouterr().out)


@pytest.mark.parametrize(
    ("action", "method", "words"),
    [
        ("grant", "paper", "agreed"),
        ("grant", "job_system", "agreed, says the job system"),
        ("revoke", "verbal", "opted out"),
        ("stop", "keyword", "said STOP"),
        ("stop", "provider", "is opted out, says the provider"),
        ("stop", "mail", "is opted out: the shop answered yes"),
        ("start", "keyword", "said START"),
        ("suspend", "keyword", "perhaps asked not to be texted"),
        ("suspend", "provider", "perhaps asked not to be texted, says the provider"),
        ("resume", "mail", "did not ask to stop: the shop answered no"),
        ("block", "provider", "is blocked by the provider for one number of ours"),
    ],
)
async def test_every_entry_of_the_ledger_is_told_in_words(
    spool: Any, clock: Any, capsys: Any, action: str, method: str, words: str
) -> None:
    await spool.write(Writes(consents=(entry(action, clock, method=method, number=SERVICE),)))
    shown = await told(spool, capsys, phone=ANN)

    assert f"consent    {ANN} {words} (informational, {method}, recorded by twilio)" in shown
    assert f"our number: {SERVICE}" in shown


async def test_a_question_is_told_with_what_was_offered_what_waits_and_its_answer(
    spool: Any, clock: Any, capsys: Any
) -> None:
    asked = Question(
        id="aaaaaaaaaa",
        kind="job",
        phone=ANN,
        number="service",
        asked_at=clock.now(),
        closes_at=clock.now() + HOUR,
        options=("first00000", "second0000"),
        deliveries=("twilio:SM1.1.1",),
    )
    doubt = replace(asked, id="bbbbbbbbbb", kind="stop", text="please stop texting me", options=(), deliveries=())
    await spool.write(Writes(questions=(asked, doubt)))
    before = await told(spool, capsys, phone=ANN)
    await spool.write(Writes(questions=(replace(asked, answered_at=clock.now(), answer="2"),)))
    after = await told(spool, capsys, phone=ANN)

    assert "question   aaaaaaaaaa  which job is meant: not answered, " in before
    assert "offered: 1 = conversation first00000, 2 = conversation second0000" in before
    assert "waits for it: twilio:SM1.1.1" in before
    assert "question   bbbbbbbbbb  whether it was a wish not to be texted: not answered, " in before
    assert "about: please stop texting me" in before
    assert "question   aaaaaaaaaa  which job is meant: answered 2 at " in after


@pytest.mark.parametrize(
    ("kind", "text", "words"),
    [
        ("test", "4821", "whether 2025550143@vtext.com works, by a text with the code 4821: not answered, open until"),
        ("enroll", "verizon", "whether the phone, which wrote to enroll@, is an employee's at 2025550143@vtext.com: "),
    ],
)
async def test_a_question_about_an_address_is_told_in_words(
    spool: Any, clock: Any, capsys: Any, kind: str, text: str, words: str
) -> None:
    until = datetime.now(UTC) + HOUR
    options = ("2025550143@vtext.com", "dkim=pass header.d=vtext.com")
    asked = Question(
        id="aaaaaaaaaa",
        kind=kind,
        phone=ANN,
        number="",
        asked_at=clock.now(),
        closes_at=until,
        text=text,
        options=options,
    )
    await spool.write(Writes(questions=(asked,)))
    shown = await told(spool, capsys, phone=ANN)

    assert f"question   aaaaaaaaaa  {words}" in shown
    assert "offered" not in shown
    assert "about:" not in shown


async def test_the_word_on_an_employees_address_stands_at_its_time_in_the_story_of_his_phone(
    spool: Any, clock: Any, capsys: Any
) -> None:
    word = Confirmation(
        employee="ann",
        address="2025550143@vtext.com",
        at=clock.now() + HOUR,
        by="12025550143@vtext.com",
        how="test",
        note="answered the code 4821, not verified",
    )
    await spool.write(Writes(consents=(entry("start", clock),), confirmations=(word,)))
    works = await told(spool, capsys, phone=ANN, person="ann")
    gone = replace(
        word, at=clock.now() + 2 * HOUR, works=False, how="bounce", by="mx.vtext.com", note="550 5.1.1 nobody"
    )
    await spool.write(Writes(confirmations=(gone,)))
    bounced = await told(spool, capsys, phone=ANN, person="ann")

    assert "address    2025550143@vtext.com confirmed by test, 12025550143@vtext.com\n" in works
    assert "note: answered the code 4821, not verified\n" in works
    assert works.index("said START") < works.index("address    ")
    assert "address    2025550143@vtext.com gone: 550 5.1.1 nobody\n" in bounced
    assert "said by: mx.vtext.com\n" in bounced
    assert "address    " not in await told(spool, capsys, phone=ANN)


async def test_the_story_of_a_text_to_an_employee_tells_what_is_known_of_his_address(
    spool: Any, clock: Any, capsys: Any
) -> None:
    word = Confirmation(employee="ann", address="2025550143@vtext.com", at=clock.now(), by="root")
    await text_out(spool, "m1", clock.now(), courier="mail", person="ann")
    await spool.write(Writes(confirmations=(word,)))

    assert "address    2025550143@vtext.com confirmed by admin, root\n" in await told(spool, capsys, id="m1.1")


@pytest.mark.parametrize(
    ("fate", "reason", "words"),
    [
        (Fate.WAITING, "quiet hours", "for the end of quiet hours"),
        (Fate.WAITING, "asked which job", "for the person's answer to which job is meant"),
        (Fate.HELD, "flood", "gateway queue release or cancel; the flood brake held it"),
        (Fate.HELD, "budget", "the sender's budget is used up"),
    ],
)
async def test_a_text_that_waits_says_until_when_and_for_what(
    spool: Any, clock: Any, capsys: Any, fate: Fate, reason: str, words: str
) -> None:
    due = clock.now() + HOUR
    await text_out(spool, "m1", clock.now(), outcome="", fate=fate, reason=reason, due_at=due)
    shown = await told(spool, capsys, id="m1.1.1")
    until = f", due {due.astimezone():%Y-%m-%d %H:%M:%S}" if fate is Fate.WAITING else ""

    assert f"delivery   m1.1.1  by twilio to {ANN}: {fate} ({reason}){until}\n" in shown
    assert words in shown


async def test_a_reply_that_went_to_the_other_mailbox_says_so(spool: Any, clock: Any, capsys: Any) -> None:
    await text_out(spool, "m1", clock.now(), courier="mail", kind=Kind.REPLY)
    await text_out(spool, "m2", clock.now(), courier="mail", kind=Kind.REPLY, id="m2.1.2", to="other@example.com")
    first, second = [await told(spool, capsys, id=ident) for ident in ("m1.1.1", "m2.1.2")]

    assert "why this mailbox" not in first
    assert "by mail to other@example.com: handed_over" in second
    assert "why this mailbox: the one before did not take the mail" in second


async def test_a_text_that_came_in_says_how_many_pictures_came_with_it(spool: Any, clock: Any, capsys: Any) -> None:
    addresses = ("https://api.twilio.com/1", "https://api.twilio.com/2")
    event = TextIn(remote_id="MM1", author=ANN, number=SERVICE, text="look", media=addresses)
    await spool.accept(InboundHook(id="twilio:MM1", at=clock.now(), provider="twilio", event=event, raw=b"x"))

    assert "text: look\n" + " " * 21 + "pictures or files: 2\n" in await told(spool, capsys, id="MM1")


HOSTILE = "hi \x1b]0;mine\x07\x1b[2J \x9b31m\x7f [/form] [red] 17\nattempt 1, 0 ms: accepted"


async def test_a_strangers_words_steer_no_terminal_and_pass_for_no_other_line(
    spool: Any, clock: Any, capsys: Any
) -> None:
    event = TextIn(remote_id="SM1", author=ANN, number=SERVICE, text=HOSTILE)
    await spool.accept(InboundHook(id="twilio:SM1", at=clock.now(), provider="twilio", event=event, raw=b"x"))
    shown = await told(spool, capsys, id="SM1")

    assert all(letter.isprintable() or letter == "\n" for letter in shown)
    assert " [2J  31m  [/form] [red] 17\n" + " " * 27 + "attempt 1" in shown


def test_a_preview_shows_no_control_characters(capsys: Any) -> None:
    keys = ("rule", "consent", "cut", "price", "due_at", "refused", "person", "pictures")
    row = dict.fromkeys(keys, "") | {"to": ANN, "kind": "customer", "route": None, "text": HOSTILE, "segments": 1}
    click.echo(shown_preview(printable(row | {"units": 9, "encoding": "GSM-7", "costly": ["\x1b"], "warnings": []})))
    shown = capsys.readouterr().out

    assert all(letter.isprintable() or letter == "\n" for letter in shown)
    assert "\n" + " " * 19 + "attempt 1" in shown


def test_the_cells_of_a_table_are_words_and_not_markup(capsys: Any) -> None:
    table(("evidence",), [[HOSTILE], ["paper [form 7] :car:"]])
    shown = capsys.readouterr().out

    assert all(letter.isprintable() or letter == "\n" for letter in shown)
    assert " [2J  31m  [/form] [red] 17 attempt" in shown
    assert "paper [form 7] :car:" in shown


@pytest.mark.usefixtures("config")
def test_words_that_are_not_utf_8_are_refused_with_a_sentence(state: Path) -> None:
    done = gateway(state, "consent", "grant", ANN, "--method", "paper", "--evidence", "form \udc9b")

    assert done.returncode == 2
    assert done.stderr == "gateway: evidence is not UTF-8: write it anew, or set the terminal to UTF-8\n"


@pytest.mark.parametrize("terminal", [True, False])
def test_json_on_a_terminal_has_no_control_characters_either(monkeypatch: Any, terminal: bool) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: terminal)
    line = json_line({"text": HOSTILE + "\u2028\u00e9"})

    assert json.loads(line)["text"] == HOSTILE + "\u2028\u00e9"
    assert line.isprintable() == terminal
    assert line.isascii() == terminal


@pytest.mark.parametrize(
    ("actions", "standing", "says"),
    [
        (("grant",), "granted", ""),
        (("grant", "suspend"), "suspended", "answer the question that was mailed about it with yes or no"),
        (("grant", "stop"), "stopped", "only a START from that phone lifts it"),
        (("grant", "start", "block"), "granted", f"blocked by the provider for our number {SERVICE}"),
        ((), "none", "has not agreed to texts"),
    ],
)
async def test_consent_show_says_what_follows_from_the_ledger(
    state: Path, spool: Any, clock: Any, actions: tuple[str, ...], standing: str, says: str
) -> None:
    await spool.write(Writes(consents=tuple(entry(a, clock, number=SERVICE, phone=BEN) for a in actions)))
    await spool.close()
    shown = gateway(state, "consent", "show", BEN).stdout

    assert f"{BEN}: {standing}\n" in shown
    assert says in shown


@pytest.mark.usefixtures("config")
@pytest.mark.parametrize(
    ("words", "warning"),
    [("Reply CANCEL to cancel your visit.", "the text invites the answer CANCEL"), ("Your car is ready.", "")],
)
def test_a_preview_warns_of_words_that_would_opt_people_out(state: Path, words: str, warning: str) -> None:
    gateway(state, "consent", "grant", ANN, "--method", "paper", "--evidence", "form 1")
    shown = gateway(state, "preview", ANN, "-", given=f"Subject: RO 1\n\n{words}\n").stdout

    assert f"text: Example Auto: {words} Reply HELP for help, STOP to opt out.\n" in shown
    assert (f"warning: {warning}" in shown) == bool(warning)
    assert ("warning" in shown) == bool(warning)


def test_a_preview_says_when_quiet_hours_let_the_text_go(state: Path) -> None:
    shop(state)
    path = state / "config.toml"
    quiet = '[policy]\nquiet_hours = "00:00-23:59"\nhold_at_most = "7 d"\n[text]\nfirst = ""\n'
    path.write_text(path.read_text() + quiet)
    gateway(state, "consent", "grant", ANN, "--method", "paper", "--evidence", "form 1")
    shown = gateway(state, "preview", ANN, "-", given="Subject: RO 1\n\nYour car is ready.\n").stdout

    # Between 23:58 and midnight where the phone is it goes at once.
    assert "after quiet hours" in shown or datetime.now(ZoneInfo("America/New_York")).hour in (23, 0)
