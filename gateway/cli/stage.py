"""The stage of `gateway demo`: a world, a daemon between its people, and the eye that waits for what must show."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from email.message import EmailMessage
from pathlib import Path
from typing import TypeVar

import aiosmtplib
from rich.console import Console

from gateway.app import Serving
from gateway.cli.timeline import Beat, beat
from gateway.config import Config, load
from gateway.simulator.world import World

DOMAIN = "sms.example.com"
SHOP = "service@shop.example.com"
MARIA = "+12025550143"
BOB = "+12025550102"
ALICE = "+12025550103"
OURS = "+12025550100"
REMINDER = "<ro-1042.1@shop.example.com>"
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

[[sender]]
name = "jobs"
networks = ["127.0.0.0/8"]
number = "service"

[[number]]
name = "service"
phone = "{ours}"
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


@dataclass(slots=True)
class Stage:
    """What a step has at hand, and what has been shown."""

    world: World
    serving: Serving
    out: Console
    port: int
    right: bool = True
    told: list[Beat] = field(default_factory=list)

    def show(self, who: str, what: str, detail: str, ok: bool | None = None) -> None:
        value = Beat(at=datetime.now().astimezone(), who=who, what=what, detail=detail, ok=ok)
        self.told.append(value)
        self.right = self.right and ok is not False
        self.out.print(beat(value, self.out.width))

    async def expect(self, who: str, what: str, detail: str, sign: Callable[[World], T]) -> T | None:
        """Waits until the world shows the sign; without it the step, and so the play, has failed."""
        try:
            found = await self.world.wait(sign, SECONDS)
        except TimeoutError:
            self.show(who, what, f"{detail}: did not happen within {SECONDS} s", False)
            return None
        self.show(who, what, detail, True)
        return found

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
        shop=SHOP,
        account=account,
        api=world.api_url,
        bob=BOB,
        alice=ALICE,
    )
    path = folder / "config.toml"
    path.write_text(text)
    return load(path)
