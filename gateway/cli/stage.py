"""The stage of `gateway demo`: a world, a daemon between its people, and the eye that waits for what must show."""

from __future__ import annotations

import asyncio
import io
import json
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from email.message import EmailMessage
from functools import partial
from pathlib import Path
from typing import Any, TextIO, TypeVar

import aiosmtplib
from rich.console import Console

from gateway.app import Serving
from gateway.cli.timeline import Beat, beat
from gateway.config import Config, load
from gateway.simulator.journal import Journal, Mailed, Texted
from gateway.simulator.world import World

DOMAIN = "sms.example.com"
SHOP = "service@shop.example.com"
MARIA = "+12025550143"
BOB = "+12025550102"
ALICE = "+12025550103"
OURS = "+12025550100"
SECOND = "+12025550101"  # of the pool
REMINDER = "<ro-1042.1@shop.example.com>"
OTHER_JOB = "<ro-1051.1@shop.example.com>"
PICTURE = (320, 240)  # pixels
SECONDS = 15
T = TypeVar("T")

_CONFIG = """\
domain = "{domain}"
brand = "Example Auto"
timezone = "America/New_York"
alarm_to = ["admin@shop.example.com"]

[smtp]
listen = ["127.0.0.1:0"]

[http]
public = "127.0.0.1:0"
public_url = "https://{domain}"
admin = "127.0.0.1:0"

[relay]
host = "127.0.0.1"
port = {relay}
tls = "off"

[dns]
watch = "0 s"

[[sender]]
name = "jobs"
networks = ["127.0.0.0/8"]
number = ["service", "second"]

[[number]]
name = "service"
phone = "{ours}"
provider = "twilio"
segments_per_second = 20
inbox = "{shop}"
price_per_segment = 0.0083

[[number]]
name = "second"
phone = "{second}"
provider = "twilio"
segments_per_second = 20
inbox = "{shop}"
price_per_segment = 0.0083

[twilio]
account_sid = "{account}"
auth_token = {{ file = "token" }}
api_url = "{api}"

[[employee]]
name = "bob"
phone = "{bob}"
carrier = "verizon"

[[employee]]
name = "alice"
phone = "{alice}"
carrier = "att"
fallback = "provider"

[text]
job = 'RO (\\d+)'
"""


class Ear:
    """Where the daemon's events go: kept for the play, which is woken by each, and written on to `file`."""

    def __init__(self, file: TextIO | None = None) -> None:
        self.heard: list[dict[str, Any]] = []
        self.wake: Callable[[], object] = lambda: None
        self._file = file

    def write(self, words: str) -> int:
        if words.strip():
            self.heard.append(json.loads(words))
        if self._file is not None:
            self._file.write(words)
        self.wake()
        return len(words)

    def flush(self) -> None:
        if self._file is not None:
            self._file.flush()

    def count(self, event: str, **values: object) -> int:
        """How many events of that name have these values."""
        return sum(
            e["event"] == event and all(e.get(name) == value for name, value in values.items()) for e in self.heard
        )

    @property
    def faults(self) -> list[str]:
        """The names of the events that tell of a fault, each once."""
        return sorted({e["event"] for e in self.heard if e["level"] == "error"})


@dataclass(slots=True)
class Stage:
    """What a step has at hand, and what has been shown."""

    world: World
    serving: Serving
    ear: Ear
    out: Console
    port: int
    right: bool = True
    told: list[Beat] = field(default_factory=list)

    def show(self, who: str, what: str, detail: str, ok: bool | None = None) -> None:
        value = Beat(at=datetime.now().astimezone(), who=who, what=what, detail=detail, ok=ok)
        self.told.append(value)
        self.right = self.right and ok is not False
        self.out.print(beat(value, self.out.width))

    def title(self, words: str) -> None:
        """The heading of a step."""
        self.out.print(f"\n{words}\n")

    async def expect(self, who: str, what: str, detail: str, sign: Callable[[World], T]) -> T | None:
        """Waits until the world shows the sign; without it the step, and so the play, has failed."""
        try:
            found = await self.world.wait(sign, SECONDS)
        except TimeoutError:
            self.show(who, what, f"{detail}: did not happen within {SECONDS} s", False)
            return None
        self.show(who, what, detail, True)
        return found

    async def texts(
        self, who: str, phone: str, number: str, words: str, media: Sequence[tuple[str, bytes]] = ()
    ) -> None:
        """A person's text to a number of ours; the step fails where the webhook is not answered with 200."""
        status = await self.world.customer_texts(phone, number, words, media)
        detail = f'"{words}"' + (", with a picture" if media else "")
        self.show(who, "texts", detail, None if status == 200 else False)

    async def mail(self, to: str, subject: str, text: str, message_id: str, **headers: str) -> str:
        """Sends one mail as the job software does; the daemon's last answer."""
        made = EmailMessage()
        made["From"], made["To"], made["Subject"] = SHOP, to, subject
        made["Message-ID"] = message_id
        for name, value in headers.items():
            made[name.replace("_", "-")] = value
        made.set_content(text)
        try:
            _, answer = await aiosmtplib.send(
                made, sender=SHOP, recipients=[to], hostname="127.0.0.1", port=self.port, start_tls=False
            )
        except aiosmtplib.SMTPRecipientsRefused as refused:
            return f"{refused.recipients[0].code} {refused.recipients[0].message}"
        return answer


def configured(folder: Path, world: World, account: str, token: str) -> Config:
    secret = folder / "token"
    secret.touch(mode=0o600)
    secret.write_text(token)
    text = _CONFIG.format(
        domain=DOMAIN,
        relay=world.mail.port,
        ours=OURS,
        second=SECOND,
        shop=SHOP,
        account=account,
        api=world.api_url,
        bob=BOB,
        alice=ALICE,
    )
    path = folder / "config.toml"
    path.write_text(text)
    return load(path)


def photo() -> bytes:
    """A JPEG as a phone takes it, of PICTURE's size: a red door with a dent."""
    from PIL import Image, ImageDraw

    image = Image.new("RGB", PICTURE, (150, 30, 30))
    draw = ImageDraw.Draw(image)
    draw.rectangle((210, 60, 270, 75), fill=(40, 40, 40))
    draw.ellipse((90, 120, 150, 165), fill=(110, 20, 20), outline=(80, 10, 10), width=3)
    out = io.BytesIO()
    image.save(out, "JPEG")
    return out.getvalue()


async def stay(stage: Stage, folder: Path) -> None:
    """Shows what to try, and what comes of it, until SIGINT or SIGTERM."""
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
                to = ", ".join(r.address for r in entry.rcpt_to)
                stage.show("mail", "out", f'{to}: "{entry.text.split(chr(10))[0]}"')
            elif isinstance(entry, Texted):
                stage.show("text", entry.direction, f'{entry.author} -> {entry.to}: "{entry.body}"')
        seen = len(journal.entries)


def _longer(journal: Journal, seen: int) -> bool:
    return len(journal.entries) > seen
