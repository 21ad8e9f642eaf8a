"""The play of `gateway demo`: each step is done with a real client, and waited for where it must show."""

from __future__ import annotations

import asyncio
import secrets
import signal
from functools import partial
from pathlib import Path

from gateway.app import Serving
from gateway.cli.stage import ALICE, BOB, DOMAIN, MARIA, OURS, REMINDER, SHOP, Stage, configured
from gateway.cli.timeline import Bubble, Handset, Letter, console, scene
from gateway.core import phone as phones
from gateway.core.model import Phone
from gateway.house import House, owned
from gateway.simulator.journal import Journal, Mailed, Texted
from gateway.simulator.texts import Text
from gateway.simulator.world import World


async def play(folder: Path, *, leave: bool) -> bool:
    """Plays it in `folder`; whether every step happened.  Without `leave` it stays open until SIGINT or SIGTERM."""
    account, token = "AC" + secrets.token_hex(16), secrets.token_hex(16)
    out = console()
    async with World(account, token, f"https://{DOMAIN}", numbers=[OURS]) as world:
        config = configured(folder, world, account, token)
        with owned(config):
            serving = Serving(House(config))
            try:
                await serving.open(signals=False)
                world.twilio.hooks.base = f"http://{serving.ports['http'][0]}"
                port = int(serving.ports["smtp"][0].rpartition(":")[2])
                stage = Stage(world=world, serving=serving, out=out, port=port)
                await _morning(stage)
                _panels(stage)
                if not leave:
                    await _stay(stage, folder)
            finally:
                await serving.close()
    return stage.right


async def _morning(stage: Stage) -> None:
    stage.out.print("A shop's morning.  The job software can only send mail; nothing here leaves this computer.\n")
    for step in (_reminder, _answer, _dispatch, _stored_address, _stop):
        await step(stage)


async def _reminder(stage: Stage) -> None:
    """A customer who agreed gets a reminder, and her reply lands on the thread of the job."""
    answer = await stage.serving.house.commands.run(
        "consent.grant", {"phone": MARIA, "method": "paper", "evidence": "form 17", "actor": "front desk"}
    )
    stage.show("front desk", "consent", f"Maria {phones.shown(Phone(MARIA))} signed form 17", "error" not in answer)
    words = "Your Corolla is booked for Tuesday 9:30. Is that still right?"
    said = await stage.mail(f"2025550143@{DOMAIN}", "Reminder for RO 1042", words, REMINDER)
    stage.show("job system", "mail in", f'to 2025550143@{DOMAIN}: "{words}"')
    stage.show("gateway", "answer", said, said.startswith("2.0.0"))
    await stage.expect("Maria", "text", f'"{words}"', lambda w: _texted(w, MARIA, words))
    await stage.world.customer_texts(MARIA, OURS, "Yes, but can I come at 10?")
    stage.show("Maria", "texts back", '"Yes, but can I come at 10?"')
    await stage.expect(
        "mailbox",
        "mail",
        "her reply, on the thread of the reminder",
        lambda w: next((m for m in _mails(w) if m.message["In-Reply-To"] == REMINDER), None),
    )


async def _answer(stage: Stage) -> None:
    """The shop answers the mail; only the new words are texted."""
    reply = next((m for m in _mails(stage.world) if m.message["In-Reply-To"] == REMINDER), None)
    if reply is None:
        stage.show("front desk", "answers", "there is no reply to answer", False)
        return
    to = str(reply.message["Reply-To"])
    quoted = "\n".join(f"> {line}" for line in reply.text.splitlines())
    text = f"10 is fine, see you then!\n\nOn Tuesday Maria wrote:\n{quoted}\n"
    await stage.mail(
        to,
        str(reply.message["Subject"]),
        text,
        "<answer.1@shop.example.com>",
        In_Reply_To=reply.message["Message-ID"],
    )
    stage.show("front desk", "mail in", f"answers the mail, to {to}")
    await stage.expect(
        "Maria", "text", '"10 is fine, see you then!"', lambda w: _texted(w, MARIA, "10 is fine, see you then!")
    )


async def _dispatch(stage: Stage) -> None:
    """An employee is texted through his carrier's mail address, once an admin has seen that it works."""
    words = "Tow at 12 Main St, white Civic, keys in the box."
    await stage.mail(f"bob@{DOMAIN}", "Dispatch RO 1043", words, "<ro-1043.1@shop.example.com>")
    stage.show("job system", "mail in", f'to bob@{DOMAIN}: "{words}"')
    await stage.expect(
        "Bob",
        "by carrier",
        f'2025550102@vtext.com: "{words}"',
        lambda w: next((m for m in w.mails if m.is_for("2025550102@vtext.com") and m.text == words), None),
    )


async def _stored_address(stage: Stage) -> None:
    """The job software still has Alice's AT&T address, which died in 2025: she is texted all the same."""
    words = "Parts for RO 1044 are in."
    said = await stage.mail("2025550103@txt.att.net", "RO 1044", words, "<ro-1044.1@shop.example.com>")
    stage.show("job system", "mail in", f'to 2025550103@txt.att.net: "{words}"')
    stage.show("gateway", "answer", said, said.startswith("2.0.0"))
    detail = f'AT&T closed that gateway in 2025; falls back to the provider: "{words}"'
    await stage.expect("Alice", "text", detail, lambda w: _texted(w, ALICE, words))


async def _stop(stage: Stage) -> None:
    """A STOP is heard by everybody: the ledger, the shop's mailbox, and the job software at its next mail."""
    await stage.world.customer_texts(MARIA, OURS, "STOP")
    stage.show("Maria", "texts back", '"STOP"')
    await stage.expect(
        "mailbox",
        "mail",
        "the shop is told that Maria opted out",
        lambda w: next((m for m in _mails(w) if m.text.startswith("STOP\n")), None),
    )
    said = await stage.mail(
        f"2025550143@{DOMAIN}", "Survey for RO 1042", "How did we do?", "<ro-1042.2@shop.example.com>"
    )
    stage.show("job system", "mail in", f"to 2025550143@{DOMAIN}: a survey")
    stage.show("gateway", "refuses", said, "STOP" in said)


def _texted(world: World, phone: str, words: str) -> Text | None:
    return next((t for t in world.phone(phone) if t.to == phone and t.body == words and t.status == "delivered"), None)


def _mails(world: World) -> list[Mailed]:
    return [m for m in world.mails if m.is_for(SHOP)]


def _panels(stage: Stage) -> None:
    stage.out.print()
    handsets = [_handset(stage.world, "Maria", MARIA), _bob(stage.world), _handset(stage.world, "Alice", ALICE)]
    letters = [
        Letter(
            author=str(m.message["From"]),
            subject=str(m.message["Subject"]),
            words=m.text.split("\n-- \n")[0].strip(),
            thread="on the reminder" if REMINDER in str(m.message["References"]) else "",
        )
        for m in _mails(stage.world)
    ]
    stage.out.print(scene(handsets, SHOP, letters, stage.out))
    surprises = stage.world.surprises
    if surprises:
        stage.show("simulator", "surprised", "; ".join(surprises), False)
    done = (
        "Every step happened as it should."
        if stage.right
        else "Something did not happen as it should; see FAILED above."
    )
    stage.out.print(done)


def _handset(world: World, owner: str, phone: str) -> Handset:
    bubbles = tuple(Bubble(words=t.body, mine=t.author == phone) for t in world.phone(phone))
    return Handset(owner=owner, number=phones.shown(Phone(phone)), bubbles=bubbles)


def _bob(world: World) -> Handset:
    mails = tuple(Bubble(words=m.text) for m in world.mails if m.is_for("2025550102@vtext.com"))
    return Handset(owner="Bob", number=phones.shown(Phone(BOB)), bubbles=mails)


async def _stay(stage: Stage, folder: Path) -> None:
    config = folder / "config.toml"
    smtp = stage.serving.ports["smtp"][0]
    stage.out.print(
        "\n".join(
            [
                "",
                "It keeps running: Ctrl-C ends it and removes everything.  Try more from another terminal:",
                "",
                f"  gateway send -c {config} bob 'Coffee?'",
                f"  gateway send -c {config} 202-555-0103 'Your car is ready'",
                f"  printf 'Subject: RO 1045\\n\\nBrakes done.\\n' | curl -s --crlf smtp://{smtp} "
                f"--mail-from {SHOP} --mail-rcpt alice@{DOMAIN} -T -",
                f"  curl -s {stage.world.api_url}/simulator/text -d "
                f'\'{{"from": "{ALICE}", "to": "{OURS}", "body": "On my way"}}\'   # Alice texts back',
                f"  gateway trace -c {config} {MARIA}",
                f"  gateway queue list -c {config} --all",
                "",
            ]
        ),
        soft_wrap=True,
    )
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ended.set)
    seen = len(stage.world.journal.entries)
    watching = asyncio.create_task(_tell(stage, seen))
    await ended.wait()
    watching.cancel()


async def _tell(stage: Stage, seen: int) -> None:
    """Shows what comes after the play."""
    journal = stage.world.journal
    while True:
        await journal.wait(partial(_longer, journal, seen), 10**6)
        for entry in journal.entries[seen:]:
            if isinstance(entry, Mailed):
                stage.show(
                    "mail", "out", f'{", ".join(r.address for r in entry.rcpt_to)}: "{entry.text.split(chr(10))[0]}"'
                )
            elif isinstance(entry, Texted):
                stage.show("text", entry.direction, f'{entry.author} -> {entry.to}: "{entry.body}"')
        seen = len(journal.entries)


def _longer(journal: Journal, seen: int) -> bool:
    return len(journal.entries) > seen
