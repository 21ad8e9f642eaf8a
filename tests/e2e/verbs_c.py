"""More of the language of the stories: the carriers behind the relay, and the phones behind them.

answers ADDRESS "WORDS" [form=] [from=] [to=] [picture=FILE] [results="..."] [-> REGEX]
                                             the phone at a carrier's address answers the newest text that it shows, and
                                             what the public door says; see Answer in gateway/simulator/carrier_mails.py
reports ADDRESS FORM ["WORDS"] [-> REGEX]    the carrier reports on the newest mail to ADDRESS, to its envelope sender
shown ADDRESS COUNT                          how many texts that phone shows
tried ADDRESS COUNT                          how many mails came for it, turned away or not
holds ADDRESS KIND[,KIND] [most=BYTES]       the files in the last mail for it, "" = none, and how large one may be
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Protocol

from house import House
from verbs_b import pictures

from gateway.simulator.carrier_mails import Answer
from gateway.simulator.journal import Mailed, Sent, Turned


class Telling(Protocol):
    """What the verbs here need of the story."""

    house: House
    folder: Path

    def _came_in(self, sent: Sent, expected: str) -> None: ...


class CarrierVerbs:
    """Mixed into Story."""

    async def v_answers(self: Telling, address: str, words: str, *options: str, expected: str = "^250 2.0.0 ") -> None:
        named = dict(option.split("=", 1) for option in options)
        answer = Answer(
            words=words.replace("\\n", "\n"),
            form=named.get("form", "plain"),
            author=named.get("from", ""),
            to=named.get("to", ""),
            pictures=tuple(pictures(self.folder, options)),
            results=named.get("results", ""),
        )
        self._came_in(await self.house.world.employee_answers(address, answer), expected)

    async def v_reports(
        self: Telling, address: str, form: str, words: str = "", *, expected: str = "^250 2.0.0 "
    ) -> None:
        self._came_in(await self.house.world.mail.reports(address, form, words), expected)

    async def v_shown(self: Telling, address: str, count: str) -> None:
        assert len(self.house.world.mail.shown(address)) == int(count)

    async def v_tried(self: Telling, address: str, count: str) -> None:
        entries = self.house.world.journal.entries
        turned = [entry for entry in entries if isinstance(entry, Turned) and entry.address == address]
        mailed = [entry for entry in entries if isinstance(entry, Mailed) and entry.is_for(address)]
        assert len(turned) + len(mailed) == int(count), f"{len(turned)} were turned away, {len(mailed)} ended"

    async def v_holds(self: Telling, address: str, kinds: str, most: str = "most=0") -> None:
        files = list(self.house.world.mail.to(address)[-1].message.iter_attachments())
        bound = int(most.removeprefix("most="))
        sizes = [len(part.get_payload(decode=True) or b"") for part in files]
        assert ",".join(part.get_content_type() for part in files) == kinds
        assert not bound or all(0 < size <= bound for size in sizes), sizes

    def _came_in(self: Telling, sent: Sent, expected: str) -> None:
        told = sent.answer or sent.note
        assert re.search(expected, told, re.MULTILINE), (
            f"{told}\n\nthe mail was:\n{sent.raw.decode('utf-8', 'replace')}"
        )
        if found := re.search(r"accepted as (\S+)", told):
            self.house.names["mail"] = found[1]
