"""Mails as bytes, sent as they stand, and what becomes of them."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

from house import House
from rig import JOBS, connect, envelope

MAILS = Path(__file__).parents[1] / "data" / "mails"
PUBLIC = '[smtp]\nlisten_public = ["127.0.0.1:0"]\n'
HEAD = b"From: jobs@shop.example.com\r\nSubject: RO 17\r\nMIME-Version: 1.0\r\n"
TEXT = b"Content-Type: text/plain; charset=us-ascii\r\n\r\nhello\r\n"


async def dropped(house: House, raw: bytes, to: str = "bob@sms.example.com", **parts: str) -> str:
    """The answer to a mail that is sent as its bytes stand, dots stuffed."""
    door, mail_from = parts.get("door", "smtp"), parts.get("mail_from", JOBS)
    async with await connect(house.daemon.port(door)) as client:
        await envelope(client, to, mail_from)
        stuffed = re.sub(rb"(?m)^\.", b"..", raw)
        client.send(stuffed + (b"" if stuffed.endswith(b"\r\n") or not stuffed else b"\r\n") + b".\r\n")
        return await client.reply()


async def became(house: House, answer: str, deadline: float = 60) -> str:
    """What became of an accepted mail: parked, ignored, or planned."""
    ident = answer.rpartition(" ")[2]
    names = {"inbound.parked": "parked", "inbound.ignored": "ignored", "plan.committed": "planned"}

    def ends() -> list[str]:
        return [names[e["event"]] for e in house.daemon.events if e.get("inbound") == ident and e["event"] in names]

    async with asyncio.timeout(deadline):
        while not (found := ends()):
            await asyncio.sleep(0.02)
    return found[0]
