"""The carriers behind the relay as they write back: to the gateway's public door, like anybody on the internet.

What cannot be sent is kept as a Sent with its reason: nothing is raised for a gateway that is gone or says no.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime

import aiosmtplib

from gateway.simulator.carrier_mails import Answer, report, written
from gateway.simulator.journal import Journal, Mailed, Sent

_SECONDS = 20.0
_SIGNED = (b"from", b"to", b"subject", b"date", b"message-id", b"content-type")


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """What a carrier's domain signs with; its public half is for the name server of the gateway."""

    selector: str
    private: bytes = field(repr=False)  # an RSA key in PEM


class Carriers:
    """`close` ends what is still to be written."""

    def __init__(self, journal: Journal) -> None:
        self.door = ""  # where the gateway's listen_public is, "127.0.0.1:2526"; "" = nowhere
        self.keys: dict[str, Key] = {}  # by domain
        self._journal = journal
        self._tasks: set[asyncio.Task[None]] = set()

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def reports(self, mail: Mailed, form: str, words: str = "") -> Sent:
        """Reports to the envelope sender of `mail`; forms and default words are REPORTS.  Raises ValueError."""
        author, raw = report(form, mail, words, datetime.now(UTC))
        return await self._send(author, mail.mail_from, raw)

    def will_report(self, mail: Mailed, form: str, words: str, seconds: float) -> None:
        """The same after so many seconds; nothing where the null sender wrote the mail (RFC 5321 4.5.5)."""
        if mail.mail_from:
            task = asyncio.get_running_loop().create_task(self._later(mail, form, words, seconds))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def answers(self, answer: Answer, mail: Mailed | None, address: str) -> Sent:
        """What the phone at `address`, which got `mail`, texts back.  Raises ValueError."""
        author, to, raw = written(answer, mail, address, datetime.now(UTC))
        if answer.signed:
            raw = self._signed(raw, author.rpartition("@")[2].lower())
        if answer.results:
            raw = f"Authentication-Results: {answer.results}\r\n".encode() + raw
        return await self._send(author, to, raw)

    async def _later(self, mail: Mailed, form: str, words: str, seconds: float) -> None:
        await asyncio.sleep(seconds)
        await self.reports(mail, form, words)

    def _signed(self, raw: bytes, domain: str) -> bytes:
        import dkim  # type: ignore[import-untyped]  # it has no types

        key = self.keys.get(domain)
        if key is None:
            raise ValueError(f"{domain} has no key to sign with")
        names = list(_SIGNED)
        relaxed = (b"relaxed", b"relaxed")
        mark: bytes = dkim.sign(
            raw, key.selector.encode(), domain.encode(), key.private, canonicalize=relaxed, include_headers=names
        )
        return mark + raw

    async def _send(self, mail_from: str, to: str, raw: bytes) -> Sent:
        answer, note = await self._said(mail_from, to, raw)
        sent = Sent(at=datetime.now(UTC), mail_from=mail_from, to=to, raw=raw, answer=answer, note=note)
        self._journal.note(sent)
        return sent

    async def _said(self, mail_from: str, to: str, raw: bytes) -> tuple[str, str]:
        """The reply that ended the transaction, or why there is none."""
        host, _, port = self.door.rpartition(":")
        if not port:
            return "", "nobody said where the gateway's public door is"
        client = aiosmtplib.SMTP(
            hostname=host, port=int(port), start_tls=False, timeout=_SECONDS, local_hostname="mail.carrier.example"
        )
        try:
            async with client:
                await client.ehlo()
                await client.mail(mail_from)
                await client.rcpt(to)
                said = await client.data(raw)
        except aiosmtplib.SMTPResponseException as no:
            return f"{no.code} {no.message}", ""
        except (aiosmtplib.SMTPException, OSError) as error:
            return "", f"{type(error).__name__}: {error}"
        return f"{said.code} {said.message}", ""
