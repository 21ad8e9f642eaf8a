"""The play of `gateway demo`: each step is done with a real client, and waited for where it must show."""

from __future__ import annotations

import asyncio
import io
import secrets
from email.message import EmailMessage
from functools import partial
from pathlib import Path

from gateway.app import Serving
from gateway.cli.stage import (
    ALICE,
    BOB,
    DOMAIN,
    MARIA,
    OTHER_JOB,
    OURS,
    PICTURE,
    REMINDER,
    SECOND,
    SHOP,
    Ear,
    Stage,
    configured,
    photo,
    stay,
)
from gateway.cli.timeline import Bubble, Handset, Letter, console, scene
from gateway.core import phone as phones
from gateway.core.model import Phone
from gateway.house import House, owned
from gateway.simulator.journal import Mailed
from gateway.simulator.texts import Text
from gateway.simulator.world import World

_FIRST = "Example Auto: {} Reply HELP for help, STOP to opt out."  # [text] first, as shipped


async def play(folder: Path, ear: Ear, *, leave: bool) -> bool:
    """Plays it in `folder`; whether every step happened.  Without `leave` it stays open until SIGINT or SIGTERM.

    `ear` is where the daemon's events go.
    """
    account, token = "AC" + secrets.token_hex(16), secrets.token_hex(16)
    out = console()
    async with World(account, token, f"https://{DOMAIN}", numbers=[OURS, SECOND]) as world:
        # The store emits from a thread of its own.
        ear.wake = partial(asyncio.get_running_loop().call_soon_threadsafe, world.journal.ring)
        config = configured(folder, world, account, token)
        with owned(config):
            serving = Serving(House(config))
            try:
                await serving.open(signals=False)
                world.reach(f"http://{serving.ports['http'][0]}")
                port = int(serving.ports["smtp"][0].rpartition(":")[2])
                stage = Stage(world=world, serving=serving, ear=ear, out=out, port=port)
                await _morning(stage)
                _panels(stage)
                if not leave:
                    await stay(stage, folder)
            finally:
                await serving.close()
    return stage.right


async def _morning(stage: Stage) -> None:
    stage.out.print("A shop's morning.  The job software can only send mail; nothing here leaves this computer.")
    steps = (
        ("A reminder goes out as a text, and the customer's reply comes back on its thread.", _reminder),
        ("The shop answers that mail.", _answer),
        ("The same customer has a second job: it gets a number of its own, so no reply can be mistaken.", _two_jobs),
        ("She texts a picture.", _picture),
        ("A dispatch to an employee, through his carrier's mail-to-text address.", _dispatch),
        ("The job software still has Alice's AT&T address, which died in 2025.", _stored_address),
        ("The customer says STOP.", _stop),
        ("The provider's receipts have come in.", _receipts),
    )
    for number, (title, step) in enumerate(steps, 1):
        stage.title(f"{number}. {title}")
        await step(stage)


async def _reminder(stage: Stage) -> None:
    answer = await stage.serving.house.commands.run(
        "consent.grant", {"phone": MARIA, "method": "paper", "evidence": "form 17", "actor": "front desk"}
    )
    stage.show("front desk", "consent", f"Maria {phones.shown(Phone(MARIA))} signed form 17", "error" not in answer)
    words = "Your Corolla is booked for Tuesday 9:30. Is that still right?"
    said = await stage.mail(f"2025550143@{DOMAIN}", "Reminder for RO 1042", words, REMINDER)
    stage.show("job system", "mail in", f'to 2025550143@{DOMAIN}: "{words}"')
    stage.show("gateway", "answer", said, said.startswith("2.0.0"))
    first = _FIRST.format(words)
    await stage.expect("Maria", "text", f'"{first}"', lambda w: _texted(w, MARIA, first, OURS))
    await stage.texts("Maria", MARIA, OURS, "Yes, but can I come at 10?")
    await stage.expect(
        "mailbox",
        "mail",
        "her reply, on the thread of the reminder",
        lambda w: _reply(w, REMINDER, "Yes, but can I come at 10?"),
    )


async def _answer(stage: Stage) -> None:
    """Only the new words are texted, not the quoted mail."""
    reply = _reply(stage.world, REMINDER, "Yes, but can I come at 10?")
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
        References=f"{REMINDER} {reply.message['Message-ID']}",
    )
    stage.show("front desk", "mail in", f"answers the mail, to {to}")
    await stage.expect(
        "Maria", "text", '"10 is fine, see you then!"', lambda w: _texted(w, MARIA, "10 is fine, see you then!", OURS)
    )


async def _two_jobs(stage: Stage) -> None:
    """Two open jobs, a pool of two numbers: which number she answers tells which job she means."""
    words = "The tires for your van are in. When can you bring it?"
    await stage.mail(f"2025550143@{DOMAIN}", "Parts for RO 1051", words, OTHER_JOB)
    stage.show("job system", "mail in", f'to 2025550143@{DOMAIN}, about RO 1051: "{words}"')
    first = _FIRST.format(words)
    await stage.expect(
        "Maria", "text", f'from our second number: "{first}"', lambda w: _texted(w, MARIA, first, SECOND)
    )
    for number, job, which, said in (
        (SECOND, OTHER_JOB, "RO 1051", "Thursday after 4?"),
        (OURS, REMINDER, "RO 1042", "Do I need to wait for the car?"),
    ):
        await stage.texts("Maria", MARIA, number, said)
        await stage.expect(
            "mailbox", "mail", f'"{said}", on the thread of {which}', partial(_reply, job=job, words=said)
        )


async def _picture(stage: Stage) -> None:
    said = "And this dent, please."
    await stage.texts("Maria", MARIA, OURS, said, [("image/jpeg", photo())])
    await stage.expect(
        "mailbox",
        "mail",
        f'"{said}", with the picture attached, on the thread of RO 1042',
        lambda w: (found := _reply(w, REMINDER, said)) is not None and PICTURE in _sizes(found.message),
    )


async def _dispatch(stage: Stage) -> None:
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
    """Alice is texted all the same, by the provider."""
    words = "Parts for RO 1044 are in."
    said = await stage.mail("2025550103@txt.att.net", "RO 1044", words, "<ro-1044.1@shop.example.com>")
    stage.show("job system", "mail in", f'to 2025550103@txt.att.net: "{words}"')
    stage.show("gateway", "answer", said, said.startswith("2.0.0"))
    detail = f'AT&T closed that gateway in 2025; falls back to the provider: "{words}"'
    await stage.expect("Alice", "text", detail, lambda w: _texted(w, ALICE, words))


async def _stop(stage: Stage) -> None:
    """A STOP is heard by everybody: the ledger, the shop's mailbox, and the job software at its next mail."""
    await stage.texts("Maria", MARIA, OURS, "STOP")
    await stage.expect(
        "mailbox", "mail", "the shop is told that Maria opted out", lambda w: _reply(w, REMINDER, "STOP")
    )
    said = await stage.mail(
        f"2025550143@{DOMAIN}", "Survey for RO 1042", "How did we do?", "<ro-1042.2@shop.example.com>"
    )
    stage.show("job system", "mail in", f"to 2025550143@{DOMAIN}: a survey")
    stage.show("gateway", "refuses", said, "STOP" in said)


async def _receipts(stage: Stage) -> None:
    """Every text that was paid for is confirmed, and nothing of the gateway went wrong."""
    sent = sum(t.direction == "outbound-api" for t in stage.world.twilio.texts.all())
    await stage.expect(
        "gateway",
        "receipts",
        f"all {sent} paid texts are delivered",
        lambda _: stage.ear.count("delivery.confirmed", courier="twilio", fate="delivered") == sent,
    )
    faults = stage.ear.faults
    if faults:
        stage.show("gateway", "faults", ", ".join(faults), False)


def _texted(world: World, phone: str, words: str, number: str = "") -> Text | None:
    """The text that arrived on a phone, from that number of ours or any."""
    return next(
        (
            t
            for t in world.phone(phone)
            if (t.to, t.body, t.status) == (phone, words, "delivered") and number in ("", t.author)
        ),
        None,
    )


def _mails(world: World) -> list[Mailed]:
    return [m for m in world.mails if m.is_for(SHOP)]


def _reply(world: World, job: str, words: str) -> Mailed | None:
    """The mail with those words, when it stands on the thread that the job's first mail began."""
    found = next((m for m in _mails(world) if m.text.split("\n")[0] == words), None)
    return found if found is not None and _thread(found) == job else None


def _thread(mail: Mailed) -> str:
    """The Message-ID with which a mail's thread began, "" = it begins one."""
    ids = str(mail.message["References"] or "").split()
    return ids[0] if ids and mail.message["In-Reply-To"] else ""


def _sizes(mail: EmailMessage) -> list[tuple[int, int]]:
    """Width and height of the JPEGs that are attached, as far as they can be opened."""
    from PIL import Image, UnidentifiedImageError

    found = []
    for part in mail.iter_attachments():
        if part.get_content_type() != "image/jpeg":
            continue
        try:
            with Image.open(io.BytesIO(part.get_content()), formats=["JPEG"]) as image:
                image.load()
                found.append(image.size)
        except (UnidentifiedImageError, OSError):
            continue
    return found


def _panels(stage: Stage) -> None:
    stage.out.print()
    handsets = [
        _handset(stage.world, "Maria", MARIA, OURS),
        _handset(stage.world, "Maria", MARIA, SECOND),
        _handset(stage.world, "Alice", ALICE, OURS),
        _bob(stage.world),
    ]
    stage.out.print(scene(handsets, SHOP, [_letter(m) for m in _mails(stage.world)], stage.out))
    surprises = stage.world.surprises
    if surprises:
        stage.show("simulator", "surprised", "; ".join(surprises), False)
    done = (
        "Every step happened as it should."
        if stage.right
        else "Something did not happen as it should; see FAILED above."
    )
    stage.out.print(done)


def _handset(world: World, owner: str, phone: str, number: str) -> Handset:
    """What a person sees of the texts with one number of ours."""
    chat = [t for t in world.phone(phone) if number in (t.author, t.to)]
    bubbles = tuple(Bubble(words=t.body, mine=t.author == phone, pictures=len(t.media)) for t in chat)
    return Handset(owner=owner, number=f"with {phones.shown(Phone(number))[-8:]}", bubbles=bubbles)


def _bob(world: World) -> Handset:
    mails = tuple(Bubble(words=m.text) for m in world.mails if m.is_for("2025550102@vtext.com"))
    return Handset(owner="Bob", number=phones.shown(Phone(BOB)), bubbles=mails)


def _letter(mail: Mailed) -> Letter:
    return Letter(
        author=str(mail.message["From"]),
        subject=str(mail.message["Subject"]),
        words=mail.text.split("\n-- \n")[0].strip(),
        thread={REMINDER: "on RO 1042", OTHER_JOB: "on RO 1051"}.get(_thread(mail), ""),
        attached=tuple(part.get_filename("a file") for part in mail.message.iter_attachments()),
    )
